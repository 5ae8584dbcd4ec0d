import { afterEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { isPawlError, NonRetryableError, task, workflow, type StartOptions } from '../../src/index.ts';
import { parseRunId } from '../../src/core/ids.ts';
import { testEngine, type TestEngine } from '../../src/testing/index.ts';

const engines: TestEngine[] = [];
afterEach(async () => {
  for (const engine of engines.splice(0)) await engine.close();
});

/** What a body does, by its task; changed between the acts of a test. */
let acts: Record<string, (input: unknown, key: string) => unknown> = {};
let calls: string[] = [];
const body = (name: string, effects: 'idempotent' | 'unsafe' = 'idempotent') =>
  task({
    name,
    effects,
    retry: { maxAttempts: 1 },
    run: (input: unknown, ctx): unknown => {
      calls.push(`${name}#${ctx.attempt}`);
      return acts[name]?.(input, ctx.idempotencyKey) ?? name;
    },
  });
const broken = (): never => {
  throw new NonRetryableError('no', { code: 'BROKEN' });
};

function engineOf(...use: Parameters<typeof testEngine>[0]['use'][number][]): TestEngine {
  const engine = testEngine({ use });
  engines.push(engine);
  calls = [];
  return engine;
}

const states = async (run: { tasks(o?: object): Promise<{ task: string; item?: number; status: string }[]> }) =>
  Object.fromEntries(
    (await run.tasks({ items: true })).map((one) => [one.item === undefined ? one.task : `${one.task}[${one.item}]`, one.status]),
  );

describe('a redrive', () => {
  test('107: a, b succeeded, c failed, d never ran: c runs attempt 2 in generation 2, d follows, the run is the same', async () => {
    acts = { c: broken };
    const flow = workflow({ name: 'f' }, (w) => {
      const a = w.run(body('a'), {});
      const b = w.run(body('b'), {}, { after: [a] });
      const c = w.run(body('c'), {}, { after: [b] });
      w.run(body('d'), {}, { after: [c] });
    });
    const engine = engineOf(flow);
    const run = await engine.start(flow);
    await engine.settle();
    expect((await run.status()).status).toBe('failed');
    expect((await engine.dead.list()).letters).toMatchObject([{ task: 'c', code: 'BROKEN', attempts: 1, runId: run.id }]);
    acts = {};
    const report = await run.redrive({ task: 'c', actor: 'ann' });
    expect(report).toMatchObject({
      applied: true,
      generation: 2,
      tasks: [
        { task: 'c', was: 'failed', why: 'named' },
        { task: 'd', was: 'upstream_failed', why: 'downstream' },
      ],
    });
    await engine.settle();
    expect((await run.status()).status).toBe('success');
    expect(calls).toEqual(['a#1', 'b#1', 'c#1', 'c#2', 'd#1']);
    expect((await engine.dead.list()).letters).toEqual([]);
    expect((await engine.audit()).entries).toMatchObject([{ actor: 'ann', action: 'redrive', runId: run.id }]);
  });

  test('names all dead letters and cancelled tasks where no task is named', async () => {
    acts = { b: broken };
    const flow = workflow({ name: 'f' }, (w) => {
      w.run(body('a'), {});
      w.run(body('b'), {});
      w.run(body('c'), {}, { after: [w.run(body('late'), {})] });
    });
    const engine = engineOf(flow);
    const run = await engine.start(flow);
    await engine.settle();
    acts = {};
    await run.redrive();
    await engine.settle();
    expect(await states(run)).toEqual({ a: 'success', b: 'success', c: 'success', late: 'success' });
    expect(calls.filter((call) => call.startsWith('a'))).toEqual(['a#1']);
    await expect(run.redrive()).rejects.toMatchObject({ code: 'RUN_NOTHING_TO_REDRIVE' });
  });

  test('of items of a map goes on in the map: the others are kept, the concurrency holds', async () => {
    acts = { each: (input) => ((input as number) % 2 === 1 ? broken() : (input as number) * 10) };
    const each = body('each');
    const flow = workflow({ name: 'f' }, (w) => {
      const all = w.map([0, 1, 2, 3, 4], each, (x) => x, { concurrency: 1 });
      return w.run(body('sum'), { all });
    });
    const engine = engineOf(flow);
    const run = await engine.start(flow);
    await engine.settle();
    expect(await states(run)).toMatchObject({ each: 'failed', 'each[1]': 'failed', 'each[3]': 'failed', sum: 'upstream_failed' });
    expect((await engine.dead.list()).letters.map((one) => one.item)).toEqual([3, 1]);
    acts = { each: (input) => (input as number) * 10, sum: (input) => (input as { all: number[] }).all.reduce((a, b) => a + b, 0) };
    await run.redrive({ task: 'each', item: 1 });
    await engine.settle();
    expect(await states(run)).toMatchObject({ each: 'failed', 'each[1]': 'success', 'each[3]': 'failed' });
    await run.redrive();
    await engine.settle();
    expect(await run.result()).toBe(100);
    expect(calls.filter((call) => call.startsWith('each'))).toHaveLength(7);
  });

  test('with another input adds 1 to the effect number, and is refused where the schema does not take it', async () => {
    const keys: string[] = [];
    acts = { charge: (_, key) => (keys.push(key), broken()) };
    const charge = task({
      name: 'charge',
      input: z.object({ cents: z.number() }),
      retry: { maxAttempts: 1 },
      run: (input, ctx): unknown => acts['charge']?.(input, ctx.idempotencyKey),
    });
    const flow = workflow({ name: 'f' }, (w) => w.run(charge, { cents: -5 }));
    const engine = engineOf(flow);
    const run = await engine.start(flow);
    await engine.settle();
    await expect(run.redrive({ task: 'charge', input: { cents: 'x' } })).rejects.toMatchObject({ code: 'TASK_INPUT_INVALID' });
    acts = { charge: (input, key) => (keys.push(key), (input as { cents: number }).cents) };
    await run.redrive({ task: 'charge', input: { cents: 7 } });
    await engine.settle();
    expect(await run.result()).toBe(7);
    expect(keys).toEqual([`${run.id}:charge:1`, `${run.id}:charge:2`]);
  });

  test('resets what ran on the failure, keeps what is asked to stay and marks it stale', async () => {
    acts = { a: broken };
    const flow = workflow({ name: 'f' }, (w) => {
      const a = w.run(body('a'), {});
      w.run(body('told'), {}, { after: [a], join: 'all_done' });
      w.run(body('kept'), {}, { after: [a], join: 'all_done' });
      w.run(body('sent', 'unsafe'), {}, { after: [a], join: 'all_done' });
    });
    const engine = engineOf(flow);
    const run = await engine.start(flow);
    await engine.settle();
    acts = {};
    const preview = await run.redrive({ task: 'a', keep: ['kept'], dryRun: true });
    expect(preview).toMatchObject({
      applied: false,
      kept: expect.arrayContaining([
        { task: 'kept', why: 'asked' },
        { task: 'sent', why: 'unsafe' },
      ]) as unknown,
    });
    expect(preview.tasks).toEqual([
      { task: 'a', was: 'failed', why: 'named' },
      { task: 'told', was: 'success', why: 'ran_on_the_failure' },
    ]);
    expect((await run.redrive({ task: 'a', keep: ['kept'] })).tasks).toEqual(preview.tasks);
    await engine.settle();
    expect(calls).toEqual(expect.arrayContaining(['told#2', 'a#2']) as unknown);
    expect(calls.filter((call) => /^(kept|sent)/.test(call))).toHaveLength(2);
    expect((await run.status()).status).toBe('success');
  });

  test('of the same actor and request id is done once', async () => {
    acts = { a: broken };
    const flow = workflow({ name: 'f' }, (w) => w.run(body('a'), {}));
    const engine = engineOf(flow);
    const run = await engine.start(flow);
    await engine.settle();
    const [one, two] = await Promise.all([run.redrive({ requestId: 'r1', actor: 'ann' }), run.redrive({ requestId: 'r1', actor: 'ann' })]);
    expect(two).toEqual(one);
    await engine.settle();
    expect(calls).toEqual(['a#1', 'a#2']);
    expect(await run.redrive({ requestId: 'r1', actor: 'ann' })).toEqual(one);
    await expect(run.redrive({ requestId: 'r1', actor: 'ann', task: 'a' })).rejects.toMatchObject({ code: 'RUN_REQUEST_CONFLICT' });
    await engine.clock.advance('8d');
    expect(await run.redrive({ requestId: 'r1', actor: 'ann', task: 'a' })).toMatchObject({ generation: 3 });
  });
});

describe('other acts', () => {
  const chain = () =>
    workflow({ name: 'f' }, (w) => {
      const a = w.run(body('a'), {});
      const b = w.run(body('b'), {}, { after: [a] });
      w.run(body('c'), {}, { after: [b] });
      w.run(body('d'), {}, { after: [a] });
    });

  test('105: a rerun of b resets exactly b and c', async () => {
    acts = {};
    const flow = chain();
    const engine = engineOf(flow);
    const run = await engine.start(flow);
    await engine.settle();
    expect((await run.rerun('b')).tasks.map((one) => one.task)).toEqual(['b', 'c']);
    await engine.settle();
    expect((await run.status()).status).toBe('success');
    expect(calls.toSorted()).toEqual(['a#1', 'b#1', 'b#2', 'c#1', 'c#2', 'd#1']);
  });

  test('a fork takes over what does not depend on where it begins', async () => {
    acts = {};
    const flow = chain();
    const engine = engineOf(flow);
    const run = await engine.start(flow);
    await engine.settle();
    const { run: forked, reused } = await run.fork('b', { requestId: 'f1' });
    await engine.settle();
    expect(reused).toEqual(['a', 'd']);
    expect((await forked.status()).status).toBe('success');
    expect(calls.filter((call) => call.startsWith('a'))).toHaveLength(1);
    expect((await run.fork('b', { requestId: 'f1' })).run.id).toBe(forked.id);
    expect((await engine.audit({ run: run.id })).entries).toMatchObject([{ action: 'fork', facts: { from: ['b'], made: forked.id } }]);
  });

  test('a fork that is asked for again says what it took over then, whatever became of the run since', async () => {
    acts = {};
    const flow = chain();
    const engine = engineOf(flow);
    const run = await engine.start(flow);
    await engine.settle();
    const first = await run.fork('b', { requestId: 'f1' });
    acts = { a: broken };
    await run.rerun('a');
    await engine.settle();
    expect(await run.previewFork('b')).toEqual({ reused: [] });
    const again = await run.fork('b', { requestId: 'f1' });
    expect([again.run.id, again.reused]).toEqual([first.run.id, ['a', 'd']]);
  });

  test('a fork and a restart have the priority of the run that they are made from', async () => {
    acts = {};
    const flow = chain();
    const engine = engineOf(flow);
    const store = await engine.storeOf;
    const priorities: number[] = [];
    for (const options of [{ priority: 7 }, { priority: -3, delay: '1h' }, {}] satisfies StartOptions[]) {
      const run = await engine.start(flow, undefined, options);
      await engine.clock.advance('2h');
      const made = [(await run.fork('b')).run, await run.restart()];
      for (const { id } of made) {
        const row = await store.findRun(parseRunId(id) ?? expect.fail());
        const [loaded] = await store.load([{ run: row?.run ?? 0, items: [] }]);
        if (loaded === undefined || !('facts' in loaded)) expect.fail();
        priorities.push((loaded.facts.acceptedAt - loaded.facts.rank) / 60_000);
      }
    }
    expect(priorities).toEqual([7, 7, -3, -3, 0, 0]);
  });

  test('a restart is a new run', async () => {
    acts = { a: broken };
    const flow = chain();
    const engine = engineOf(flow);
    const run = await engine.start(flow);
    await engine.settle();
    acts = {};
    const again = await run.restart();
    await engine.settle();
    expect(again.id).not.toBe(run.id);
    expect((await again.status()).status).toBe('success');
  });

  test('a mark lets the run go on with the output of a person', async () => {
    acts = { a: broken };
    const flow = workflow({ name: 'f' }, (w) => {
      const a = w.run(body('a'), {});
      return w.run(body('b'), { a });
    });
    const engine = engineOf(flow);
    const run = await engine.start(flow);
    await engine.settle();
    acts = { b: (input) => (input as { a: string }).a };
    await run.mark('a', { output: 'by hand' });
    await engine.settle();
    expect(await run.result()).toBe('by hand');
    expect((await run.tasks()).find((one) => one.task === 'a')).toMatchObject({ status: 'success', reason: 'manual' });
  });

  test('a skip, a discard, a paused run', async () => {
    acts = { a: broken };
    const flow = chain();
    const engine = engineOf(flow);
    const run = await engine.start(flow, undefined, { delay: '1h' });
    await engine.settle();
    await run.pause();
    await engine.clock.advance('2h');
    expect((await run.status()).status).toBe('paused');
    expect(calls).toEqual([]);
    await run.skip('d');
    await run.resume();
    await engine.clock.advance('1s');
    expect(await states(run)).toEqual({ a: 'failed', b: 'upstream_failed', c: 'upstream_failed', d: 'skipped' });
    expect((await run.why()).sentence).toMatch(
      /^It failed .* because "a" failed with BROKEN: no; after "pawl redrive" it goes on from there\.$/,
    );
    expect((await run.why('c')).sentence).toBe('It did not run because "a" did not succeed; it goes on when that is redriven.');
    await run.discard('a', { note: 'known' });
    expect((await engine.dead.list()).letters).toEqual([]);
    const error: unknown = await run.discard('a', { note: 'known' }).catch((thrown: unknown) => thrown);
    expect(isPawlError(error, 'TASK_NOT_DEAD')).toBe(true);
  });
});
