import { afterEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { NonRetryableError, workflow } from '../../src/index.ts';
import type { Build } from '../../src/core/types/types.ts';
import { closeAll, engineOf, fail, flow, Naps, ok, ran, stateOf } from './kit.ts';

afterEach(closeAll);

const child = (name: string, build: (w: Build) => void) =>
  workflow({ name }, (w) => {
    build(w);
    return { done: true };
  });

/** A child whose task `work` fails while `bad` says so. */
function flaky(bad: { value: boolean }, name = 'sub') {
  const seen = { a: 0, work: 0, after: 0 };
  const sub = child(name, (w) => {
    const a = w.run('a', {}, () => void seen.a++);
    const work = w.run(
      'work',
      {},
      () => {
        seen.work++;
        if (bad.value) throw new NonRetryableError('for good');
      },
      { after: [a] },
    );
    w.run('after', {}, () => void seen.after++, { after: [work] });
  });
  return { sub, seen };
}

describe('a child run in the place of a task', () => {
  const double = workflow({ name: 'double', input: z.object({ n: z.coerce.number() }) }, (w, input) => ({
    n: w.run('twice', { n: input.n }, ({ n }) => n * 2),
  }));
  const broken = child('sub', (w) => void w.run('broken', {}, fail));

  test('its output is the output of the task', async () => {
    const one = workflow({ name: 'one' }, (w) => {
      const child = w.run(double, { n: 4 });
      return { n: w.run('plus', { n: child.n }, ({ n }) => n + 1) };
    });
    const kit = engineOf(one);
    const run = await kit.start(one);
    expect(await run.result()).toEqual({ n: 9 });
    expect((await stateOf(run)).tasks).toEqual({ double: 'success', plus: 'success' });
  });

  test('one without a schema starts in the commit of its parent, with an empty graph it ends in it', async () => {
    const nothing = workflow({ name: 'nothing' }, () => ({ here: 1 }));
    const one = workflow({ name: 'one' }, (w) => {
      const a = w.run(nothing, undefined);
      return { here: w.run('b', { a }, (i) => i.a.here) };
    });
    expect(await (await engineOf(one).start(one)).result()).toEqual({ here: 1 });
  });

  test('the input is checked by the schema of its workflow', async () => {
    const one = flow((w) => void w.run(double, { n: w.run('a', {}, () => 'no number' as unknown as number) }));
    const ended = await ran(one);
    expect(ended).toMatchObject({ run: 'failed', tasks: { double: 'failed' } });
  });

  test('its failure is the failure of the task, and the cause is named in it', async () => {
    const one = flow((w) => {
      const child = w.run(broken, undefined, { id: 'child' });
      w.run('after', {}, ok, { after: [child] });
    });
    const naps = new Naps();
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(1);
    expect(await stateOf(run)).toMatchObject({ run: 'failed', tasks: { child: 'failed', after: 'upstream_failed' } });
    await expect(run.result()).rejects.toMatchObject({ code: 'RUN_FAILED' });
    expect((await kit.dead.list()).letters.map((letter) => letter.task)).toEqual(['broken']);
  });
});

describe('what flows down', () => {
  const napping = (naps: Naps, seconds: number, name = 'sub') => child(name, (w) => void w.run('nap', {}, () => naps.sleep(seconds)));

  test('a cancel of the parent cancels its children, and theirs', async () => {
    const naps = new Naps();
    const inner = napping(naps, 100, 'inner');
    const middle = child('middle', (w) => void w.run(inner, undefined));
    const one = flow((w) => void w.run(middle, undefined));
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(1);
    expect((await stateOf(run)).tasks).toEqual({ middle: 'waiting' });
    await run.cancel();
    await naps.pass(1);
    const { runs } = await kit.runs.list();
    expect(Object.fromEntries(runs.map((row) => [row.workflow, `${row.status}: ${row.reason ?? ''}`]))).toEqual({
      case: 'cancelled: person',
      middle: 'cancelled: parent',
      inner: 'cancelled: parent',
    });
  });

  test('so does its deadline; a detached child goes on', async () => {
    const naps = new Naps();
    const [a, b] = [napping(naps, 20, 'a'), napping(naps, 20, 'b')];
    const one = workflow({ name: 'case', timeout: '5s' }, (w) => {
      w.run(a, undefined);
      w.run(b, undefined, { detached: true });
      return {};
    });
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(10);
    expect(await stateOf(run)).toMatchObject({ run: 'failed', reason: 'deadline', tasks: { a: 'cancelled: deadline', b: 'success' } });
    await naps.pass(20);
    const { runs } = await kit.runs.list();
    expect(runs.map((row) => [row.workflow, row.status])).toEqual(
      expect.arrayContaining([
        ['a', 'cancelled'],
        ['b', 'success'],
      ]),
    );
  });

  test('a child that is cancelled by itself cancels its place', async () => {
    const naps = new Naps();
    const one = flow((w) => void w.run(napping(naps, 20), undefined));
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(1);
    const [sub] = (await kit.runs.list({ workflow: 'sub' })).runs;
    await (await kit.get(sub?.id ?? '')).cancel();
    await naps.pass(1);
    expect(await stateOf(run)).toMatchObject({ run: 'cancelled', tasks: { sub: 'cancelled: person' } });
  });

  test('a skip of the place lets go of the child', async () => {
    const naps = new Naps();
    const one = flow((w) => void w.run(napping(naps, 20), undefined));
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(1);
    await run.skip('sub');
    await naps.pass(1);
    expect(await stateOf(run)).toMatchObject({ run: 'success', tasks: { sub: 'skipped: manual' } });
    expect((await kit.runs.list({ workflow: 'sub' })).runs).toMatchObject([{ status: 'cancelled', reason: 'parent' }]);
  });

  test('while the parent is paused no child starts', async () => {
    const naps = new Naps();
    const one = flow((w) => void w.run(napping(naps, 1), undefined, { after: [w.run('first', {}, () => naps.sleep(5))] }));
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(1);
    await run.pause();
    await naps.pass(10);
    expect((await stateOf(run)).tasks).toEqual({ first: 'success', sub: 'queued' });
    await run.resume();
    await naps.pass(5);
    expect(await stateOf(run)).toMatchObject({ run: 'success', tasks: { first: 'success', sub: 'success' } });
  });
});

describe('redrive through children', () => {
  test('of the parent: only what failed in the child runs again', async () => {
    const bad = { value: true };
    const { sub, seen } = flaky(bad);
    const one = flow((w) => void w.run('end', {}, ok, { after: [w.run(sub, undefined)] }));
    const naps = new Naps();
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(1);
    expect(await stateOf(run)).toMatchObject({ run: 'failed', tasks: { sub: 'failed', end: 'upstream_failed' } });
    bad.value = false;
    await run.redrive();
    await naps.pass(1);
    expect(await stateOf(run)).toMatchObject({ run: 'success', tasks: { sub: 'success', end: 'success' } });
    expect(seen).toEqual({ a: 1, work: 2, after: 1 });
    expect((await kit.runs.list({ workflow: 'sub' })).runs).toMatchObject([{ status: 'success' }]);
  });

  test('of the dead letter in the child: the runs around it go on', async () => {
    const bad = { value: true };
    const { sub, seen } = flaky(bad);
    const middle = child('middle', (w) => void w.run('last', {}, ok, { after: [w.run(sub, undefined)] }));
    const one = flow((w) => void w.run('end', {}, ok, { after: [w.run(middle, undefined)] }));
    const naps = new Naps();
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(1);
    bad.value = false;
    for await (const done of kit.dead.redrive({})) expect(done.error).toBeUndefined();
    await naps.pass(1);
    expect(await stateOf(run)).toMatchObject({ run: 'success', tasks: { middle: 'success', end: 'success' } });
    expect(seen).toEqual({ a: 1, work: 2, after: 1 });
  });

  test('after a cancel the child goes on where it was', async () => {
    const naps = new Naps();
    let a = 0;
    const sub = child('sub', (w) => {
      const first = w.run('a', {}, () => void a++);
      w.run('nap', {}, () => naps.sleep(10), { after: [first] });
    });
    const one = flow((w) => void w.run(sub, undefined));
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(1);
    await run.cancel();
    await naps.pass(1);
    await run.redrive();
    await naps.pass(20);
    expect(await stateOf(run)).toMatchObject({ run: 'success', tasks: { sub: 'success' } });
    expect(a).toBe(1);
  });

  test('a rerun starts another child, and lets go of the one that was there', async () => {
    const naps = new Naps();
    const sub = workflow({ name: 'sub' }, (w) => ({ v: w.run('nap', {}, () => naps.sleep(3)) }));
    const one = flow((w) => void w.run(sub, undefined, { after: [w.run('first', {}, ok)] }));
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(1);
    await run.rerun('first');
    await naps.pass(10);
    expect(await stateOf(run)).toMatchObject({ run: 'success' });
    expect((await kit.runs.list({ workflow: 'sub' })).runs.map((row) => row.status)).toEqual(['success', 'cancelled']);
  });
});

describe('a map over a workflow', () => {
  test('results in input order, at most so many open', async () => {
    const naps = new Naps();
    let open = 0;
    let most = 0;
    const sub = workflow({ name: 'sub', input: z.object({ i: z.number() }) }, (w, input) => ({
      i: w.run('nap', { i: input.i }, async ({ i }) => {
        most = Math.max(most, ++open);
        await naps.sleep(10 - i);
        open--;
        return i;
      }),
    }));
    const one = workflow({ name: 'case' }, (w) => ({ all: w.map([0, 1, 2, 3, 4, 5, 6], sub, (i) => ({ i }), { concurrency: 3 }) }));
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(60);
    expect(await run.result()).toEqual({ all: [0, 1, 2, 3, 4, 5, 6].map((i) => ({ i })) });
    expect(most).toBe(3);
  });

  test('failures within the bound are tolerated, and a redrive of one reopens the map', async () => {
    const bad = new Set([1]);
    const sub = workflow({ name: 'sub', input: z.number() }, (w, input) => ({
      i: w.run('work', { input }, (i) => {
        if (bad.has(i.input)) throw new NonRetryableError('this one');
        return i.input;
      }),
    }));
    const one = workflow({ name: 'case' }, (w) => ({
      n: w.run('count', { all: w.map([0, 1, 2], sub, (i) => i, { id: 'm', tolerate: { count: 1 } }) }, (i) => i.all.length),
    }));
    const naps = new Naps();
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(5);
    expect(await stateOf(run)).toMatchObject({ run: 'partial', tasks: { m: 'success', 'm[1]': 'failed' } });
    expect(await run.result()).toEqual({ n: 2 });
    bad.clear();
    for await (const done of kit.dead.redrive({})) expect(done.error).toBeUndefined();
    await naps.pass(5);
    expect(await stateOf(run)).toMatchObject({ run: 'success', tasks: { m: 'success', 'm[1]': 'success' } });
    expect(await run.result()).toEqual({ n: 3 });
  });

  test('a redrive of the parent redrives the failed items only', async () => {
    const bad = new Set([1, 3]);
    const began: number[] = [];
    const sub = workflow({ name: 'sub', input: z.number() }, (w, input) => ({
      i: w.run('work', { input }, (i) => {
        began.push(i.input);
        if (bad.has(i.input)) throw new NonRetryableError('this one');
        return i.input;
      }),
    }));
    const one = workflow({ name: 'case' }, (w) => ({ all: w.map([0, 1, 2, 3], sub, (i) => i, { id: 'm' }) }));
    const naps = new Naps();
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(5);
    expect(await stateOf(run)).toMatchObject({ run: 'failed', tasks: { m: 'failed: too_many_failures' } });
    bad.clear();
    began.length = 0;
    await run.redrive();
    await naps.pass(5);
    expect(await run.result()).toEqual({ all: [0, 1, 2, 3].map((i) => ({ i })) });
    expect(began.toSorted((a, b) => a - b)).toEqual([1, 3]);
  });

  test('1,000 detached runs are accepted in several commits', async () => {
    const sub = workflow({ name: 'sub' }, () => ({}));
    const one = workflow({ name: 'case' }, (w) => ({
      n: w.run(
        'count',
        {
          all: w.map(
            w.run('list', {}, () => Array.from({ length: 1_000 }, (_, i) => i)),
            sub,
            () => undefined,
            { detached: true },
          ),
        },
        (i) => i.all.length,
      ),
    }));
    const naps = new Naps();
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(2);
    expect(await run.result()).toEqual({ n: 1_000 });
  });
});

test('why and inspect go through the runs of a tree', async () => {
  const naps = new Naps();
  const inner = child('inner', (w) => void w.run('nap', {}, () => naps.sleep(100)));
  const one = flow((w) => void w.run(inner, undefined));
  const kit = naps.on(engineOf(one));
  const run = await kit.start(one);
  await naps.pass(1);
  const [sub] = (await kit.runs.list({ workflow: 'inner' })).runs;
  const { sentence } = await run.why();
  expect(sentence).toContain(`for a run of "inner": run ${sub?.id}`);
  expect(sentence).toContain('attempt 1 runs');
  expect((await run.inspect()).children).toEqual([{ id: sub?.id, workflow: 'inner', status: 'running', task: 'inner', kind: 'child' }]);
  expect((await (await kit.get(sub?.id ?? '')).inspect()).parent).toEqual({ id: run.id, workflow: 'case', kind: 'child' });
  await run.cancel();
});

test('a child that ends partial makes its place, a map around it, and the run partial', async () => {
  const sub = child('sub', (w) => {
    w.run('bad', {}, fail, { allowFailure: true });
    w.run('good', {}, ok);
  });
  const one = workflow({ name: 'case' }, (w) => ({ v: w.run(sub, undefined) }));
  const many = workflow({ name: 'many' }, (w) => ({ all: w.map([1, 2], sub, () => undefined) }));
  const naps = new Naps();
  const kit = naps.on(engineOf(one, many));
  const runs = [await kit.start(one), await kit.start(many)];
  await naps.pass(5);
  for (const run of runs) expect(await stateOf(run)).toMatchObject({ run: 'partial' });
});
