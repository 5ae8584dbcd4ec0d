import { afterEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { task, workflow, type Ref, type Run } from '../../src/index.ts';
import type { TestEngine } from '../../src/testing/index.ts';
import { closeAll, engineOf, fail, Naps, ok, stateOf } from './kit.ts';

afterEach(closeAll);

let log: string[] = [];
afterEach(() => {
  log = [];
});
const undo = (name: string) => () => void log.push(name);

/** A child with one step for each name; each is undone. */
const steps = (name: string, ids: readonly string[]) =>
  workflow({ name }, (w) => {
    let before: Ref<unknown>[] = [];
    for (const id of ids) before = [w.run(id, {}, ok, { after: before, compensate: undo(id) })];
    return {};
  });
const trip = steps('trip', ['hotel', 'flight']);

async function childrenOf(
  kit: TestEngine,
  run: Run<unknown>,
): Promise<{ readonly [task: string]: { status: string; compensation?: string } }> {
  const { children = [] } = await run.inspect();
  const all = await Promise.all(children.map(async (one) => [one.call ?? one.task, await (await kit.get(one.id)).inspect()] as const));
  return Object.fromEntries(
    all.map(([id, { status, compensation }]) => [id, { status, ...(compensation === undefined ? {} : { compensation }) }]),
  );
}

describe('a child run that succeeded is undone with the run that called it', () => {
  test('a workflow as a task: in reverse order with the tasks around it; the child stays a success', async () => {
    const one = workflow({ name: 'order' }, (w) => {
      const a = w.run('a', {}, ok, { compensate: undo('a') });
      const sub = w.run(trip, undefined, { after: [a] });
      const b = w.run('b', {}, ok, { after: [sub], compensate: undo('b') });
      w.run('last', {}, fail, { after: [b] });
      return {};
    });
    const kit = engineOf(one);
    const run = await kit.start(one);
    await kit.settle();
    expect(log).toEqual(['b', 'flight', 'hotel', 'a']);
    expect(await stateOf(run)).toMatchObject({ run: 'failed' });
    expect((await run.inspect()).compensation).toBe('complete');
    expect(await childrenOf(kit, run)).toEqual({ trip: { status: 'success', compensation: 'complete' } });
  });

  test('by a parent that has nothing of its own to undo, also through a run between them', async () => {
    const middle = workflow({ name: 'middle' }, (w) => ({ trip: w.run(trip, undefined) }));
    const one = workflow({ name: 'order' }, (w) => {
      const sub = w.run(middle, undefined);
      w.run('last', {}, fail, { after: [sub] });
      return {};
    });
    const kit = engineOf(one);
    const run = await kit.start(one);
    await kit.settle();
    expect(log).toEqual(['flight', 'hotel']);
    expect((await run.inspect()).compensation).toBe('complete');
    expect(await childrenOf(kit, run)).toEqual({ middle: { status: 'success', compensation: 'complete' } });
  });

  test('not where the outcome is none that is asked for, and not a child that nobody waits for', async () => {
    const one = workflow({ name: 'order', compensateOn: ['cancelled'] }, (w) => {
      const sub = w.run(trip, undefined);
      w.run('last', {}, fail, { after: [sub] });
      return {};
    });
    const two = workflow({ name: 'other' }, (w) => {
      const sub = w.run(trip, undefined, { detached: true });
      w.run('last', {}, fail, { after: [sub] });
      return {};
    });
    const kit = engineOf(one, two);
    const runs = [await kit.start(one), await kit.start(two)];
    await kit.settle();
    expect(await Promise.all(runs.map(async (run) => (await run.status()).status))).toEqual(['failed', 'failed']);
    expect(log).toEqual([]);
    expect((await runs[0]?.inspect())?.compensation).toBeUndefined();
  });

  test('runs in place of the items of a map, and parts of the graph per item', async () => {
    const book = workflow({ name: 'book', input: z.object({ n: z.number() }) }, (w, input) => ({
      n: w.run('do', { n: input.n }, ({ n }) => n, { compensate: ({ output }) => void log.push(`book ${output}`) }),
    }));
    const one = workflow({ name: 'order' }, (w) => {
      const books = w.map([1, 2, 3], book, (n) => ({ n }), { concurrency: 1 });
      const parts = w.map(
        [4, 5],
        (w, n) => ({ n: w.run('part', { n }, ({ n }) => n, { compensate: ({ output }) => void log.push(`part ${output}`) }) }),
        { after: [books], concurrency: 1 },
      );
      w.run('last', {}, fail, { after: [parts] });
      return {};
    });
    const kit = engineOf(one);
    const run = await kit.start(one);
    await kit.settle();
    expect((await run.status()).status).toBe('failed');
    expect(log).toEqual(['part 5', 'part 4', 'book 3', 'book 2', 'book 1']);
  });

  test('calls of a body in the order in which they ended, between the tasks beside it, also where the body failed', async () => {
    const naps = new Naps();
    const [x, y] = [steps('x', ['x']), steps('y', ['y'])];
    const one = workflow({ name: 'order' }, (w) => {
      w.run('body', {}, async (_, ctx) => {
        await ctx.run('x', x);
        await ctx.sleep('pause', '10s');
        await ctx.run('y', y);
        fail();
      });
      w.run('beside', {}, () => naps.sleep(5), { compensate: undo('beside') });
      return {};
    });
    const kit = naps.on(engineOf(one, x, y));
    const run = await kit.start(one);
    await naps.pass(20);
    expect((await run.status()).status).toBe('failed');
    expect(log).toEqual(['y', 'beside', 'x']);
  });

  test('a body with a compensation of its own is undone before what it called', async () => {
    const one = workflow({ name: 'order' }, (w) => {
      const body = w.run('body', {}, (_, ctx) => ctx.run('trip', trip).then(ok), { compensate: undo('body') });
      w.run('last', {}, fail, { after: [body] });
      return {};
    });
    const kit = engineOf(one, trip);
    await kit.start(one);
    await kit.settle();
    expect(log).toEqual(['body', 'flight', 'hotel']);
  });

  test('after a crash at any moment; one at a time', async () => {
    const naps = new Naps();
    const slow = (id: string) =>
      workflow({ name: id }, (w) => ({ a: w.run(id, {}, ok, { compensate: () => naps.sleep(5).then(undo(id)) }) }));
    const [x, y] = [slow('x'), slow('y')];
    const one = workflow({ name: 'order' }, (w) => {
      const a = w.run(x, undefined);
      const b = w.run(y, undefined, { after: [a] });
      w.run('last', {}, fail, { after: [b] });
      return {};
    });
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await kit.settle();
    expect(await childrenOf(kit, run)).toEqual({ x: { status: 'success' }, y: { status: 'finishing', compensation: 'running' } });
    expect((await run.why()).sentence).toMatch(
      /^It failed, cleaning up: it waits for a run of its own to undo what that did: run \w+: it ends as success, cleaning up: task "y.compensate"/,
    );
    await kit.reboot();
    await naps.pass(7);
    await kit.reboot();
    await naps.pass(30);
    expect([...new Set(log)]).toEqual(['y', 'x']);
    expect((await run.inspect()).compensation).toBe('complete');
  });

  test('a cancelled parent waits with its compensations until the runs that it has cancelled have cleaned up', async () => {
    const naps = new Naps();
    const sub = workflow({ name: 'sub' }, (w) => {
      const held = w.run('held', {}, ok, { compensate: () => naps.sleep(5).then(undo('held')) });
      w.run('long', {}, () => naps.sleep(1_000), { after: [held] });
      return {};
    });
    const one = workflow({ name: 'order' }, (w) => {
      const a = w.run('a', {}, ok, { compensate: undo('a') });
      w.run(sub, undefined, { after: [a] });
      return {};
    });
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(1);
    await run.cancel();
    await naps.pass(1);
    expect([log, (await run.status()).status]).toEqual([[], 'cancelling']);
    await kit.reboot();
    await naps.pass(30);
    expect([...new Set(log)]).toEqual(['held', 'a']);
    expect((await run.status()).status).toBe('cancelled');
    expect(await childrenOf(kit, run)).toEqual({ sub: { status: 'cancelled', compensation: 'complete' } });
  });

  test('hooks of a child are called when it ends, and not again when it is undone', async () => {
    const sub = workflow({ name: 'sub', onFinish: () => void log.push('finished') }, (w) => ({
      a: w.run('a', {}, ok, { compensate: undo('a') }),
    }));
    const one = workflow({ name: 'order' }, (w) => void w.run('last', {}, fail, { after: [w.run(sub, undefined)] }));
    const kit = engineOf(one);
    await kit.start(one);
    await kit.settle();
    expect(log.toSorted()).toEqual(['a', 'finished']);
  });

  test('while its parent is paused nothing is undone', async () => {
    const naps = new Naps();
    const one = workflow({ name: 'order' }, (w) => {
      const sub = w.run(trip, undefined);
      w.run('last', {}, () => naps.sleep(5).then(fail), { after: [sub] });
      return {};
    });
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(1);
    await run.pause();
    await naps.pass(10);
    expect(log).toEqual([]);
    await run.resume();
    await kit.settle();
    expect(log).toEqual(['flight', 'hotel']);
  });
});

test('the place of a child has handlers as any task has: what the child did is undone after its place', async () => {
  const broken = workflow({ name: 'broken' }, (w) => void w.run('b', {}, fail));
  const one = workflow({ name: 'order' }, (w) => {
    const sub = w.run(trip, undefined, { compensate: () => void log.push('place') });
    const many = w.map([1, 2], trip, () => undefined, {
      id: 'many',
      after: [sub],
      concurrency: 1,
      compensate: () => void log.push('item'),
    });
    const saved = w.run(broken, undefined, { after: [many], catch: ({ error }) => void log.push(error.code) });
    w.run('last', {}, fail, { after: [saved] });
    return {};
  });
  const kit = engineOf(one);
  const run = await kit.start(one);
  await kit.settle();
  expect(await stateOf(run)).toMatchObject({ run: 'failed', tasks: { broken: 'failed', 'broken.catch': 'success' } });
  expect(log).toEqual(['RUN_FAILED', 'item', 'flight', 'hotel', 'item', 'flight', 'hotel', 'place', 'flight', 'hotel']);
});

describe('what could not be undone', () => {
  let isBroken = true;
  const stubborn = workflow({ name: 'stubborn' }, (w) => {
    const a = w.run('a', {}, ok, { compensate: undo('a') });
    w.run('b', { a }, ok, {
      compensate: () => {
        if (isBroken) fail();
        log.push('b');
      },
    });
    return {};
  });
  const parent = workflow({ name: 'order' }, (w) => {
    const first = w.run('first', {}, ok, { compensate: undo('first') });
    const sub = w.run(stubborn, undefined, { after: [first] });
    w.run('last', {}, fail, { after: [sub] });
    return {};
  });

  test('is a dead letter of the child, the rest goes on, and both are incomplete until it is redriven', async () => {
    isBroken = true;
    const kit = engineOf(parent);
    const run = await kit.start(parent);
    await kit.settle();
    expect(log).toEqual(['a', 'first']);
    expect((await run.inspect()).compensation).toBe('incomplete');
    expect(await childrenOf(kit, run)).toEqual({ stubborn: { status: 'failed', compensation: 'incomplete' } });
    await expect(run.result()).rejects.toMatchObject({ code: 'RUN_FAILED', details: { compensation: 'incomplete' } });
    const letters = (await kit.dead.list()).letters;
    expect(letters.map((one) => one.task).toSorted()).toEqual(['b.compensate', 'last']);

    isBroken = false;
    await kit.reboot();
    const letter = letters.find((one) => one.task === 'b.compensate') ?? expect.fail('no letter');
    const child = await kit.get(letter.runId);
    await child.redrive({ task: 'b.compensate' });
    await kit.settle();
    expect(log).toEqual(['a', 'first', 'b']);
    expect(await childrenOf(kit, run)).toEqual({ stubborn: { status: 'success', compensation: 'complete' } });
    expect((await run.inspect()).compensation).toBe('complete');
    expect((await kit.dead.list()).letters).toMatchObject([{ task: 'last' }]);
    await expect(child.redrive()).rejects.toMatchObject({ code: 'RUN_COMPENSATED' });
  });

  test('of a run of its own: a cancelled one that could not be undone has failed, and is cancelled once it is', async () => {
    const naps = new Naps();
    isBroken = true;
    const one = workflow({ name: 'one' }, (w) => {
      const a = w.run('a', {}, ok, { compensate: undo('a') });
      const b = w.run('b', { a }, ok, { compensate: ({ output }) => (isBroken ? fail() : log.push(`b ${String(output)}`)) });
      w.run('long', { b }, () => naps.sleep(100));
      return {};
    });
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(1);
    await run.cancel();
    await kit.settle();
    expect((await run.status()).status).toBe('failed');
    await expect(run.redrive()).rejects.toMatchObject({ code: 'RUN_COMPENSATED' });
    await expect(run.redrive({ task: 'long' })).rejects.toMatchObject({ code: 'RUN_COMPENSATED' });
    await run.redrive({ task: 'b.compensate' });
    await kit.settle();
    expect([(await run.status()).status, (await run.inspect()).compensation]).toEqual(['failed', 'incomplete']);
    isBroken = false;
    await run.redrive({ task: 'b.compensate', input: { input: {}, output: 'given' } });
    await kit.settle();
    expect([(await run.status()).status, (await run.inspect()).compensation]).toEqual(['cancelled', 'complete']);
    expect(log).toEqual(['a', 'b given']);
    await expect(run.redrive({ task: 'b.compensate' })).rejects.toMatchObject({ code: 'TASK_NOT_DEAD' });
  });
});

test('a child that was done over by a person is undone once, as it is by then', async () => {
  const naps = new Naps();
  const one = workflow({ name: 'order' }, (w) => {
    const sub = w.run(trip, undefined);
    w.run('last', {}, () => naps.sleep(10).then(fail), { after: [sub] });
    return {};
  });
  const kit = naps.on(engineOf(one));
  const run = await kit.start(one);
  await naps.pass(1);
  const id = (await run.inspect()).children?.[0]?.id ?? expect.fail('no child');
  await (await kit.get(id)).rerun('flight');
  await naps.pass(1);
  expect(log).toEqual([]);
  await naps.pass(30);
  expect((await run.status()).status).toBe('failed');
  expect(log).toEqual(['flight', 'hotel']);
});

test('of a task in a body, run as a child of its own, there is nothing to undo', async () => {
  const leaf = task({ name: 'leaf', run: () => 1 });
  const one = workflow({ name: 'order' }, (w) => {
    w.run('body', {}, (_, ctx) => ctx.run('leaf', leaf, undefined).then(fail), { compensate: undo('body') });
    return {};
  });
  const kit = engineOf(one);
  const run = await kit.start(one);
  await kit.settle();
  expect((await run.inspect()).compensation).toBeUndefined();
});
