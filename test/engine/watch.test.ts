import { afterEach, describe, expect, test, vi } from 'vitest';
import { workflow, type EngineEvent, type Logger, type TaskProgress } from '../../src/index.ts';
import { realPorts } from '../../src/engine/ports.ts';
import { testEngine, type TestEngine, type TestEngineOptions } from '../../src/testing/index.ts';
import { silent } from './kit.ts';

const open: TestEngine[] = [];
const engineWith = (options: TestEngineOptions): TestEngine => {
  const engine = testEngine(options);
  open.push(engine);
  return engine;
};
afterEach(async () => {
  await Promise.all(open.splice(0).map((engine) => engine.close()));
});

const two = workflow({ name: 'two' }, (w) => {
  const a = w.run('a', {}, () => 1);
  return { b: w.run('b', { a }, ({ a: n }) => n + 1) };
});

const text = (event: EngineEvent): string => ('task' in event ? `${event.type} ${event.task}` : event.type);

async function all(events: AsyncIterable<EngineEvent>): Promise<EngineEvent[]> {
  const seen: EngineEvent[] = [];
  for await (const event of events) seen.push(event);
  return seen;
}

describe('watch', () => {
  test('gives what happened to a run in commit order, and goes on behind any cursor without a gap or a repeat', async () => {
    const engine = engineWith({ use: [two] });
    const run = await engine.start(two);
    await run.result();
    const events = await all(run.watch({ after: '0:0' }));
    expect(events.map(text)).toEqual([
      'run.started',
      'task.started a',
      'task.finished a',
      'task.started b',
      'task.finished b',
      'run.finished',
    ]);
    for (const [i, { cursor }] of events.entries()) {
      if (i === events.length - 1) continue;
      expect((await all(run.watch({ after: cursor }))).map(text)).toEqual(events.slice(i + 1).map(text));
    }
  });

  test('follows what is still to come, and ends with the run', async () => {
    const engine = engineWith({ use: [two] });
    const run = await engine.start(two, undefined, { delay: '1h' });
    const watching = all(run.watch());
    await engine.clock.advance('2h');
    expect((await watching).map(text).at(-1)).toBe('run.finished');
  });

  test('of a run that is over ends at once', async () => {
    const engine = engineWith({ use: [two] });
    const run = await engine.start(two);
    await run.result();
    expect(await all(run.watch())).toEqual([]);
  });

  test('refuses a cursor that is none', async () => {
    const engine = engineWith({ use: [two] });
    const run = await engine.start(two);
    for (const after of ['x', '1', '1:2:3', '-1:0', `${'9'.repeat(30)}:0`]) {
      await expect(all(run.watch({ after }))).rejects.toMatchObject({ code: 'CONFIG_OPTION' });
    }
  });
});

test('onEvent sees every event of the store, and one that throws stops nothing', async () => {
  const seen: string[] = [];
  const engine = engineWith({
    use: [two],
    logger: silent,
    onEvent: (event) => {
      seen.push(text(event));
      throw new Error('listener');
    },
  });
  await (await engine.start(two)).result();
  await engine.settle();
  expect(seen).toEqual(['run.started', 'task.started a', 'task.finished a', 'task.started b', 'task.finished b', 'run.finished']);
});

describe('a body', () => {
  test('logs with run, task, attempt and trace id on each line', async () => {
    const lines: [string, object | undefined][] = [];
    const logger: Logger = { ...silent, info: (message, data) => void lines.push([message, data]) };
    const logs = workflow({ name: 'logs' }, (w) => {
      w.run('a', {}, (_, ctx) => ctx.log.info('hello', { n: 1, task: 'not this' }));
      return {};
    });
    const engine = engineWith({ use: [logs], logger });
    const run = await engine.start(logs, undefined, { traceparent: '00-abc-def-01' });
    await run.result();
    expect(lines).toEqual([['hello', { n: 1, run: run.id, task: 'a', attempt: 1, traceparent: '00-abc-def-01' }]]);
  });

  test('that reports progress is heard, and keeps its heartbeat; one that falls silent is ended', async () => {
    const heard: TaskProgress[] = [];
    let beats = 0;
    const beating = workflow({ name: 'beating' }, (w) => {
      const opts = { timeout: { heartbeat: '10s', attempt: '1h' }, retry: { maxAttempts: 1 } } as const;
      w.run(
        'lively',
        {},
        async (_, ctx) => {
          for (; beats < 5; beats++) {
            ctx.progress({ done: beats, of: 5 });
            await new Promise<void>((resolve) => kit.onAdvance(resolve));
          }
        },
        opts,
      );
      w.run('silent', {}, () => new Promise<void>(() => undefined), opts);
      return {};
    });
    const kit = withAdvance(engineWith({ use: [beating], onProgress: (progress) => heard.push(progress) }));
    const run = await kit.engine.start(beating);
    for (let i = 0; i < 6; i++) await kit.advance('8s');
    const tasks = Object.fromEntries((await run.tasks()).map((one) => [one.task, one]));
    expect(tasks['lively']?.status).toBe('success');
    expect(tasks['silent']).toMatchObject({ status: 'failed', reason: 'heartbeat_timeout' });
    expect(heard.map(({ progress }) => progress)).toEqual([0, 1, 2, 3, 4].map((done) => ({ done, of: 5 })));
  });

  test('has the same idempotency key in every attempt, another per task and item', async () => {
    const keys: Record<string, string[]> = {};
    const note = (name: string, key: string): void => void (keys[name] ??= []).push(key);
    const keyed = workflow({ name: 'keyed' }, (w) => {
      w.run('a', {}, (_, ctx) => {
        note('a', ctx.idempotencyKey);
        if (ctx.attempt < 3) throw new Error('again');
      });
      w.run('b', {}, (_, ctx) => note('b', ctx.idempotencyKey));
      return {};
    });
    const engine = engineWith({ use: [keyed] });
    const run = await engine.start(keyed);
    await engine.clock.advance('1h');
    await run.result();
    expect(new Set(keys['a']).size).toBe(1);
    expect(keys['a']).toHaveLength(3);
    expect(keys['b']?.[0]).not.toBe(keys['a']?.[0]);
  });
});

test('a run that had to wait for a slot keeps its trace context', async () => {
  const traces: (string | undefined)[] = [];
  const traced = workflow({ name: 'traced' }, (w) => {
    w.run('a', {}, (_, ctx) => void traces.push(ctx.traceparent));
    return {};
  });
  const engine = engineWith({ use: [traced], concurrency: 1 });
  const runs = await Promise.all([1, 2, 3].map((n) => engine.start(traced, undefined, { traceparent: `00-${n}` })));
  await Promise.all(runs.map((run) => run.result()));
  expect(new Set(traces)).toEqual(new Set(['00-1', '00-2', '00-3']));
});

test('a run of higher priority does not wait for the whole of a chain that holds the only slot', async () => {
  const order: string[] = [];
  const long = workflow({ name: 'long' }, (w) => {
    let last = w.run('t0', {}, () => 0);
    for (let i = 1; i < 60; i++) last = w.run(`t${i}`, { last }, ({ last: n }) => (order.push('long'), n + 1));
    return { last };
  });
  const urgent = workflow({ name: 'urgent' }, (w) => ({ a: w.run('a', {}, () => (order.push('urgent'), 1)) }));
  const engine = engineWith({ use: [long, urgent], concurrency: 1 });
  const first = await engine.start(long);
  const second = await engine.start(urgent, undefined, { priority: 1_000 });
  await Promise.all([first.result(), second.result()]);
  expect(order.indexOf('urgent')).toBeLessThan(20);
});

describe('timeouts', () => {
  test('of the queue fail a task that nobody took in time, without an attempt', async () => {
    const queued = workflow({ name: 'queued' }, (w) => {
      w.run('long', {}, () => new Promise<void>(() => undefined), { priority: 1, timeout: '5m', retry: { maxAttempts: 1 } });
      w.run('waits', {}, () => 1, { timeout: { queue: '1m' } });
      return {};
    });
    const engine = engineWith({ use: [queued], concurrency: 1, grace: '1s' });
    const run = await engine.start(queued);
    await engine.clock.advance('2m');
    expect(await run.tasks()).toMatchObject([
      { task: 'long', status: 'running' },
      { task: 'waits', status: 'failed', reason: 'queue_timeout', attempt: 0 },
    ]);
  });

  test('of a task as a whole end it, also while it waits for a retry that would come too late', async () => {
    const total = workflow({ name: 'total' }, (w) => {
      w.run(
        'a',
        {},
        () => {
          throw new Error('again');
        },
        { timeout: { total: '1m' }, retry: { maxAttempts: 10, initial: '40s', factor: 1, jitter: 'none' } },
      );
      return {};
    });
    const engine = engineWith({ use: [total] });
    const run = await engine.start(total);
    await engine.clock.advance('41s');
    expect(await run.tasks()).toMatchObject([{ status: 'failed', reason: 'total_timeout', attempt: 2 }]);
  });
});

test('a timer longer than Node can count fires once, at its time', () => {
  vi.useFakeTimers();
  try {
    let fired = 0;
    const days = 60 * 86_400_000;
    realPorts.timer(days, () => fired++);
    vi.advanceTimersByTime(days - 1);
    expect(fired).toBe(0);
    vi.advanceTimersByTime(days);
    expect(fired).toBe(1);
  } finally {
    vi.useRealTimers();
  }
});

/** Bodies that wait for the next advance of the clock. */
function withAdvance(engine: TestEngine) {
  let waiting: (() => void)[] = [];
  return {
    engine,
    onAdvance: (wake: () => void): void => void waiting.push(wake),
    advance: async (by: `${number}s`): Promise<void> => {
      await engine.clock.advance(by);
      for (const wake of waiting.splice(0)) wake();
      waiting = [];
      await engine.settle();
    },
  };
}
