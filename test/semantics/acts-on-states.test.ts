import { afterEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { createEngine, NonRetryableError, task, workflow, type Engine, type EngineEvent, type Run } from '../../src/index.ts';
import { testEngine, type TestEngine } from '../../src/testing/index.ts';
import { silent } from '../engine/kit.ts';

const engines: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const engine of engines.splice(0)) await engine.close();
});

type Use = Parameters<typeof testEngine>[0]['use'];
type Body = (input: unknown, ctx: { attempt: number; signal: AbortSignal; idempotencyKey: string }) => unknown;

/** What bodies do, by the task's name; changed between the acts of a test. */
let bodies: Record<string, Body> = {};
let calls: string[] = [];
const body = (name: string, effects: 'idempotent' | 'unsafe' = 'idempotent') =>
  task({
    name,
    effects,
    retry: { maxAttempts: 1 },
    run: (input: unknown, ctx): unknown => {
      calls.push(`${name}#${ctx.attempt}`);
      return bodies[name]?.(input, ctx) ?? name;
    },
  });
const broken = (): never => {
  throw new NonRetryableError('no', { code: 'BROKEN' });
};
const held: Body = (_, ctx) => new Promise((resolve) => ctx.signal.addEventListener('abort', () => resolve('aborted')));

function kit(...use: Use): TestEngine {
  const engine = testEngine({ use, logger: silent });
  engines.push(engine);
  calls = [];
  bodies = {};
  return engine;
}

/** An engine that does not work until it is told to. */
function idle(...use: Use): Engine {
  const engine = createEngine({ store: 'sqlite::memory:', use, logger: silent, drain: '100ms' });
  engines.push(engine);
  calls = [];
  bodies = {};
  return engine;
}

const states = async (run: Pick<Run<unknown>, 'tasks'>): Promise<Record<string, string>> =>
  Object.fromEntries(
    (await run.tasks({ items: true })).map((one) => [one.item === undefined ? one.task : `${one.task}[${one.item}]`, one.status]),
  );

const pair = () =>
  workflow({ name: 'pair' }, (w) => {
    const a = w.run(body('a'), {});
    w.run(body('b'), {}, { after: [a], join: 'all_done' });
    w.run(body('c'), {});
  });

describe('a run that no worker has claimed yet', () => {
  test('goes on where a root of it was skipped', async () => {
    const flow = pair();
    const engine = idle(flow);
    const run = await engine.start(flow);
    await run.skip('a');
    await engine.work();
    await run.result({ timeout: '5s' });
    expect(await states(run)).toEqual({ a: 'skipped', b: 'success', c: 'success' });
    expect(calls.toSorted()).toEqual(['b#1', 'c#1']);
  });

  test('goes on where a skipped root of it was marked, also after a pause', async () => {
    const flow = pair();
    const engine = idle(flow);
    const run = await engine.start(flow);
    await run.pause();
    await run.skip('a');
    await run.mark('a', { output: 'by hand' });
    await engine.work();
    const other = await engine.start(flow);
    await other.result({ timeout: '5s' });
    expect(await states(run)).toMatchObject({ a: 'success', b: 'queued', c: 'queued' });
    await run.resume();
    await run.result({ timeout: '5s' });
    expect(await states(run)).toEqual({ a: 'success', b: 'success', c: 'success' });
    expect(calls.toSorted()).toEqual(['a#1', 'b#1', 'b#1', 'c#1', 'c#1']);
  });

  test('waits while it is paused, and is claimed after that', async () => {
    const flow = pair();
    const engine = idle(flow);
    const run = await engine.start(flow);
    await run.pause();
    await engine.work();
    await (await engine.start(flow)).result({ timeout: '5s' });
    expect((await run.status()).status).toBe('paused');
    await run.resume();
    await run.result({ timeout: '5s' });
    expect((await run.status()).status).toBe('success');
  });
});

describe('a run that starts later', () => {
  test.each([false, true])('starts nothing before its time, whatever is skipped and marked (paused: %s)', async (isPaused) => {
    const flow = pair();
    const engine = kit(flow);
    const run = await engine.start(flow, undefined, { delay: '1h' });
    if (isPaused) await run.pause();
    await run.skip('a');
    await run.mark('a', { output: 'by hand' });
    await engine.clock.advance('30m');
    if (isPaused) await run.resume();
    expect(calls).toEqual([]);
    expect((await run.status()).status).toBe('scheduled');
    await engine.clock.advance('31m');
    expect(calls.toSorted()).toEqual(['b#1', 'c#1']);
    expect((await run.status()).status).toBe('success');
  });
});

describe('a paused run', () => {
  const listed = () => workflow({ name: 'listed' }, (w) => w.map([0, 1, 2, 3], body('each'), (x) => x, { concurrency: 1 }));

  test('that was cancelled goes on with its map when it is redriven', async () => {
    const flow = listed();
    const engine = kit(flow);
    bodies = { each: held };
    const run = await engine.start(flow);
    await engine.settle();
    await run.pause();
    await run.cancel();
    await run.redrive();
    await engine.settle();
    await engine.reboot();
    bodies = {};
    await engine.reboot();
    await engine.settle();
    expect((await run.status()).status).toBe('success');
    expect(await run.result()).toEqual(['each', 'each', 'each', 'each']);
  });

  test('keeps what falls due, over a crash, until it is resumed', async () => {
    const flow = workflow({ name: 'f' }, (w) => {
      w.run(
        'a',
        {},
        (_, ctx) => {
          calls.push(`a#${ctx.attempt}`);
          if (ctx.attempt === 1) throw new Error('once');
        },
        { retry: { initial: '1m', jitter: 'none' } },
      );
    });
    const engine = kit(flow);
    const run = await engine.start(flow);
    await engine.settle();
    await run.pause();
    await engine.clock.advance('2m');
    await engine.reboot();
    await engine.clock.advance('2m');
    expect(calls).toEqual(['a#1']);
    expect(await states(run)).toEqual({ a: 'queued' });
    await run.resume();
    await engine.settle();
    expect(calls).toEqual(['a#1', 'a#2']);
    expect((await run.status()).status).toBe('success');
  });

  test('ends by its deadline, and its redrive has the time afresh', async () => {
    const flow = workflow({ name: 'f', timeout: '5m' }, (w) => {
      w.run(body('b'), {}, { after: [w.run(body('a'), {})] });
    });
    const engine = kit(flow);
    bodies = { a: held };
    const run = await engine.start(flow);
    await engine.settle();
    await run.pause();
    await engine.clock.advance('6m');
    expect(await run.status()).toMatchObject({ status: 'failed', reason: 'deadline' });
    bodies = {};
    await run.redrive();
    await engine.settle();
    expect((await run.status()).status).toBe('success');
  });
});

describe('a map', () => {
  test('is marked with a list, each item by the schema', async () => {
    const each = task({ name: 'each', output: z.number(), retry: { maxAttempts: 1 }, run: (): number => broken() });
    const flow = workflow({ name: 'f' }, (w) => {
      const all = w.map([1, 2], each, (x) => x);
      return w.run(body('sum'), { all });
    });
    const engine = kit(flow);
    const run = await engine.start(flow);
    await engine.settle();
    await expect(run.mark('each', { output: 7 })).rejects.toMatchObject({ code: 'TASK_OUTPUT_INVALID' });
    await expect(run.mark('each', { output: [7, 'x'] })).rejects.toMatchObject({ code: 'TASK_OUTPUT_INVALID' });
    bodies = { sum: (input) => (input as { all: number[] }).all };
    await run.mark('each', { output: [7, 8] });
    await engine.settle();
    expect(await run.result()).toEqual([7, 8]);
    expect(await run.output('each')).toEqual([7, 8]);
    expect((await engine.dead.list()).letters).toEqual([]);
  });

  test('whose list was given by hand keeps it in a fork, item by item', async () => {
    const seen: unknown[] = [];
    const flow = workflow({ name: 'f' }, (w) => {
      const source = w.run(body('source'), {});
      const all = w.map(source as never, body('each'), (x) => x, { tolerate: { count: 1 } });
      w.run(body('end'), {}, { after: [all] });
    });
    const engine = kit(flow);
    bodies = { source: () => 'no list' };
    const run = await engine.start(flow);
    await engine.settle();
    expect((await engine.dead.list()).letters).toMatchObject([{ task: 'each', reason: 'not_iterable' }]);
    await expect(run.redrive({ task: 'each', input: 'none' })).rejects.toMatchObject({ code: 'TASK_INPUT_INVALID' });
    bodies = { source: () => 'no list', each: (x) => (x === 'y' ? broken() : x) };
    await run.redrive({ task: 'each', input: ['x', 'y'] });
    await engine.settle();
    expect((await run.status()).status).toBe('partial');
    const { run: forked } = await run.fork('end');
    await engine.settle();
    bodies = { each: (x) => void seen.push(x) };
    await forked.redrive({ task: 'each', item: 1 });
    await engine.settle();
    expect(seen).toEqual(['y']);
  });

  test('its discarded dead letter is not sent on with the rest', async () => {
    const flow = workflow({ name: 'f' }, (w) => w.map([0, 1, 2], body('each'), (x) => x, { tolerate: { count: 1 } }));
    const engine = kit(flow);
    bodies = { each: (x) => (x === 2 ? x : broken()) };
    const run = await engine.start(flow);
    await engine.settle();
    expect((await engine.dead.list()).letters.map((one) => one.item).toSorted((a, b) => (a ?? 0) - (b ?? 0))).toEqual([0, 1]);
    await run.discard('each', { item: 0, note: 'known' });
    bodies = {};
    expect((await run.redrive()).tasks).toMatchObject([
      { task: 'each', item: 1, why: 'named' },
      { task: 'each', why: 'around' },
    ]);
    await engine.settle();
    expect((await run.status()).status).toBe('partial');
    expect((await engine.dead.list()).letters).toEqual([]);
  });

  test('the input that a person gave for an item survives that the run is cancelled', async () => {
    const flow = workflow({ name: 'f' }, (w) => w.map([0, 1], body('each'), (x) => x));
    const engine = kit(flow);
    bodies = { each: broken };
    const run = await engine.start(flow);
    await engine.settle();
    bodies = { each: held };
    await run.redrive({ task: 'each', item: 0, input: 'by hand' });
    await engine.settle();
    await run.cancel();
    bodies = { each: (x) => x };
    await run.redrive({ task: 'each', item: 1 });
    await engine.settle();
    expect(await run.result()).toEqual(['by hand', 1]);
  });

  test('items of it are not sent on when its list is no longer the one they came from', async () => {
    const flow = workflow({ name: 'f' }, (w) => {
      const source = w.run(body('source'), {}, { allowFailure: true });
      w.map(w.optional(source as never, ['old'] as never) as never, body('each', 'unsafe'), (x) => x, {
        settle: true,
        join: 'all_done',
      } as never);
    });
    const engine = kit(flow);
    bodies = { source: () => ['a', 'b'], each: broken };
    const run = await engine.start(flow);
    await engine.settle();
    expect(await states(run)).toMatchObject({ each: 'success', 'each[0]': 'failed', 'each[1]': 'failed' });
    expect(run.id).not.toBe('');
  });
});

describe('effects that are unsafe', () => {
  const pay = () => workflow({ name: 'pay' }, (w) => void w.run(body('charge', 'unsafe'), {}, { after: [w.run(body('order'), {})] }));

  test('are not done again by a rerun whose outcome is unknown, unless that is accepted', async () => {
    const flow = pay();
    const engine = kit(flow);
    bodies = {
      charge: () => {
        throw new Error('socket hang up');
      },
    };
    const run = await engine.start(flow);
    await engine.settle();
    await expect(run.rerun('charge')).rejects.toMatchObject({ code: 'TASK_OUTCOME_UNKNOWN' });
    await expect(run.rerun('order')).rejects.toMatchObject({ code: 'TASK_OUTCOME_UNKNOWN' });
    bodies = {};
    await run.rerun('order', { acceptUnknown: true });
    await engine.settle();
    expect((await run.status()).status).toBe('success');
  });

  test('that a cancel met while they ran have an unknown outcome, too', async () => {
    const flow = pay();
    const engine = kit(flow);
    bodies = { charge: held };
    const run = await engine.start(flow);
    await engine.settle();
    await run.cancel();
    await expect(run.redrive()).rejects.toMatchObject({ code: 'TASK_OUTCOME_UNKNOWN' });
    bodies = {};
    await run.redrive({ acceptUnknown: true });
    await engine.settle();
    expect((await run.status()).status).toBe('success');
  });
});

describe('a redrive', () => {
  test('that names an empty list of tasks or items is refused: it would be a redrive of everything', async () => {
    const flow = workflow({ name: 'f' }, (w) => w.map([0, 1], body('each'), (x) => x));
    const engine = kit(flow);
    bodies = { each: broken };
    const run = await engine.start(flow);
    await engine.settle();
    await expect(run.redrive({ task: [] })).rejects.toMatchObject({ code: 'CONFIG_OPTION' });
    await expect(run.redrive({ task: 'each', item: [] })).rejects.toMatchObject({ code: 'CONFIG_OPTION' });
    await expect(run.redrive({ item: 0 })).rejects.toMatchObject({ code: 'CONFIG_OPTION' });
    expect((await run.status()).status).toBe('failed');
  });

  test('leaves what a person has marked, and what only came of that', async () => {
    const flow = workflow({ name: 'f' }, (w) => {
      const a = w.run(body('a'), {});
      const b = w.run(body('b'), {}, { after: [a] });
      w.run(body('c'), {}, { after: [b] });
    });
    const engine = kit(flow);
    bodies = { a: broken };
    const run = await engine.start(flow);
    await engine.settle();
    await run.mark('b', { output: 'by hand' });
    await engine.settle();
    bodies = {};
    expect((await run.redrive()).tasks.map((one) => one.task)).toEqual(['a']);
    await engine.settle();
    expect((await run.status()).status).toBe('success');
    expect(calls).toEqual(['a#1', 'c#1', 'a#2']);
  });

  test('of an open run takes what ran on the failure back: its report is refused', async () => {
    const flow = workflow({ name: 'f' }, (w) => {
      const a = w.run(body('a'), {});
      return w.run(body('told'), { all: w.settle({ a }) });
    });
    const engine = kit(flow);
    const seen: unknown[] = [];
    let release: (() => void) | undefined;
    bodies = {
      a: broken,
      told: (input, ctx) => {
        seen.push((input as { all: { a: { status: string } } }).all.a.status);
        return ctx.attempt === 1 ? new Promise((resolve) => (release = () => resolve('late'))) : 'told';
      },
    };
    const run = await engine.start(flow);
    await engine.settle();
    bodies['a'] = () => 'a';
    expect((await run.redrive({ task: 'a' })).tasks).toMatchObject([
      { task: 'a' },
      { task: 'told', was: 'running', why: 'ran_on_the_failure' },
    ]);
    release?.();
    await engine.settle();
    expect(seen).toEqual(['failed', 'success']);
    expect(await run.result()).toBe('told');
  });

  test('asked for again under its request id gives what it came to, whatever the run is by then; a preview never acts', async () => {
    const flow = workflow({ name: 'f' }, (w) => {
      const list = w.run(body('list'), {});
      w.map(list as never, body('each'), (x) => x);
    });
    const engine = kit(flow);
    bodies = { list: () => ['x', 'y'], each: broken };
    const run = await engine.start(flow);
    await engine.settle();
    const once = await run.redrive({ task: 'each', item: 1, requestId: 'r' });
    await engine.settle();
    bodies = { list: () => [], each: broken };
    await run.rerun('list');
    await engine.settle();
    expect(await run.redrive({ task: 'each', item: 1, requestId: 'r' })).toEqual(once);
    await expect(run.redrive({ task: 'each', item: 1, dryRun: true })).rejects.toMatchObject({ code: 'TASK_UNKNOWN' });
    const before = (await engine.audit()).entries.length;
    await expect(run.redrive({ requestId: 'r', dryRun: true })).rejects.toMatchObject({ code: 'RUN_NOTHING_TO_REDRIVE' });
    expect((await engine.audit()).entries).toHaveLength(before);
  });
});

describe('events', () => {
  test('tell of one end per generation of a task: not of a discard, nor of what is left as it is', async () => {
    const flow = workflow({ name: 'f' }, (w) => {
      const a = w.run(body('a'), {});
      w.run(body('kept'), {}, { after: [a], join: 'all_done' });
    });
    const events: EngineEvent[] = [];
    const engine = testEngine({ use: [flow], logger: silent, onEvent: (event) => events.push(event) });
    engines.push(engine);
    bodies = { a: broken };
    const run = await engine.start(flow);
    await engine.settle();
    await run.discard('a', { note: 'known' });
    bodies = {};
    await run.redrive({ task: 'a', keep: ['kept'] });
    await engine.settle();
    const ends = events.flatMap((event) => (event.type === 'task.finished' ? [`${event.task} ${event.status}`] : []));
    expect(ends).toEqual(['a failed', 'kept success', 'a success']);
    expect(events.filter((event) => event.type === 'run.finished')).toHaveLength(2);
  });
});

describe('a cancel', () => {
  test('asked for again under its request id says what it came to', async () => {
    const flow = pair();
    const engine = kit(flow);
    const run = await engine.start(flow, undefined, { delay: '1h' });
    expect(await run.cancel({ requestId: 'c' })).toBe(true);
    expect(await run.cancel({ requestId: 'c' })).toBe(true);
    expect(await run.cancel()).toBe(false);
  });
});
