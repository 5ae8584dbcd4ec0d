/** Rates, priorities, fairness, queues, pauses, bounds on what waits, and local continuation. */
import { expect, test } from 'vitest';
import { createEngine, isPawlError, task, workflow, type TaskOpts } from '../../src/index.ts';
import { codeOf } from './further-ops-kit.ts';
import { anyText, endAll, engineWith, flowOf, gate } from './capacity-kit.ts';
import type { TestEngine } from '../../src/testing/index.ts';

const START = Date.UTC(2030, 0, 1);
/** A task that only notes when it began. */
function noting(options: TaskOpts, name = 'job') {
  const at: [string, number][] = [];
  let kit: TestEngine | undefined;
  const job = task({ name, ...options, run: (id: string) => void at.push([id, ((kit?.clock.now().getTime() ?? 0) - START) / 1_000]) });
  const flow = workflow({ name: `f-${name}`, input: anyText }, (w, i) => w.run(job, i));
  return { at, job, flow, on: (engine: TestEngine) => (kit = engine) };
}
const taskOf = async (run: { tasks(): Promise<readonly { status: string; reason?: string }[]> }): Promise<string> => {
  const [one] = await run.tasks();
  return one?.reason === undefined ? String(one?.status) : `${one.status}: ${one.reason}`;
};

test('rate 2/s, five at once: two now, then one each half second', async () => {
  const { at, flow, on } = noting({ rate: '2/s' });
  const engine = on(engineWith({ use: [flow] }));
  for (const id of ['1', '2', '3', '4', '5']) await engine.start(flow, id);
  await engine.clock.advance('10s');
  expect(at).toEqual([
    ['1', 0],
    ['2', 0],
    ['3', 0.5],
    ['4', 1],
    ['5', 1.5],
  ]);
});

test('a rate is no debt: after a quiet hour the bucket holds as much as it can, not more', async () => {
  const { at, flow, on } = noting({ rate: '2/m' });
  const engine = on(engineWith({ use: [flow] }));
  await engine.clock.advance('1h');
  for (const id of ['1', '2', '3']) await engine.start(flow, id);
  await engine.clock.advance('10m');
  expect(at.map(([, second]) => second - 3_600)).toEqual([0, 0, 30]);
});

test('two tasks share the bucket that the engine declares; an operator makes it faster', async () => {
  const one = noting({ rate: 'mail' }, 'one');
  const two = noting({ rate: 'mail' }, 'two');
  const engine = engineWith({ use: [one.flow, two.flow], limits: { mail: '1/m' } });
  one.on(engine);
  two.on(engine);
  await engine.start(one.flow, 'a');
  await engine.start(two.flow, 'b');
  await engine.start(one.flow, 'c');
  await engine.clock.advance('30s');
  expect([one.at, two.at]).toEqual([[['a', 0]], []]);
  await engine.limits.set('mail', '60/m');
  await engine.clock.advance('5s');
  expect(one.at.length + two.at.length).toBe(3);
});

test('a retry takes from the rate too', async () => {
  const begun: number[] = [];
  const job = task({
    name: 'job',
    rate: '1/m',
    retry: { maxAttempts: 3, initial: '1s', jitter: 'none' },
    run: () => {
      begun.push((engine.clock.now().getTime() - START) / 1_000);
      throw new Error('no');
    },
  });
  const flow = workflow({ name: 'flow' }, (w) => w.run(job, undefined));
  const engine = engineWith({ use: [flow] });
  await engine.start(flow);
  await engine.clock.advance('10m');
  expect(begun).toEqual([0, 60, 120]);
});

test('what waits for a rate and is cancelled takes no token', async () => {
  const { at, flow, on } = noting({ rate: '1/m' });
  const engine = on(engineWith({ use: [flow] }));
  await engine.start(flow, '1');
  await engine.settle();
  const second = await engine.start(flow, '2');
  await engine.start(flow, '3');
  await engine.settle();
  await second.cancel();
  await engine.clock.advance('5m');
  expect(at).toEqual([
    ['1', 0],
    ['3', 60],
  ]);
});

test('priority: higher first; one unit is a minute of waiting, so that an old one is not starved', async () => {
  const job = gate('job', { timeout: '1d' });
  const flow = flowOf('flow', job.task);
  const engine = engineWith({ use: [flow], concurrency: 1 });
  await engine.start(flow, 'first');
  await engine.settle();
  await engine.start(flow, 'old');
  await engine.clock.advance('90s');
  await engine.start(flow, 'one', { priority: 1 });
  await engine.start(flow, 'two', { priority: 2 });
  await engine.start(flow, 'low', { priority: -5 });
  await endAll(engine, job);
  expect(job.begun).toEqual(['first', 'two', 'old', 'one', 'low']);
});

test('a retry comes back with its first priority and age', async () => {
  const job = gate('job', { timeout: '1d', retry: { maxAttempts: 2, initial: '1m', jitter: 'none' } });
  const flow = flowOf('flow', job.task);
  const engine = engineWith({ use: [flow], concurrency: 1 });
  await engine.start(flow, '1');
  await engine.settle();
  job.fail('1');
  await engine.settle();
  await engine.start(flow, '2');
  await engine.settle();
  await engine.start(flow, '3');
  await engine.clock.advance('2m');
  expect(job.running()).toEqual(['2']);
  await endAll(engine, job);
  expect(job.begun).toEqual(['1', '2', '1', '3']);
});

test('fair between runs: a small run is served while a large one has its whole list in the pool', async () => {
  const job = gate('job', { pools: { db: 1 } });
  const flow = workflow({ name: 'flow', input: anyText }, (w, input) =>
    w.map(
      w.run('list', { input }, ({ input }) => input.split(',')),
      job.task,
      (id) => id,
    ),
  );
  const engine = engineWith({ use: [flow], limits: { db: { units: 2, fair: 'run' } } });
  await engine.start(flow, 'a1,a2,a3,a4,a5,a6');
  await engine.settle();
  await engine.start(flow, 'b1,b2');
  await endAll(engine, job);
  expect(job.begun.indexOf('b1')).toBeLessThan(4);
  expect(job.begun.indexOf('b2')).toBeLessThan(6);
});

test('a task of a queue that nobody serves waits, and why says so; others go on', async () => {
  const job = task({ name: 'job', queue: 'gpu', run: () => 'done' });
  const flow = workflow({ name: 'flow' }, (w) => ({ a: w.run('plain', {}, () => 1), b: w.run(job, undefined) }));
  const engine = createEngine({ store: 'sqlite::memory:', use: [flow] });
  await engine.work();
  const run = await engine.start(flow);
  await expect.poll(async () => (await run.tasks()).map(({ status }) => status)).toEqual(['success', 'queued']);
  expect((await run.why()).sentence).toContain('gpu');
  await engine.close();
});

test('a paused queue: what runs ends, nothing new begins, the queue timeout goes on; resumed it goes on', async () => {
  const job = gate('job', { queue: 'media', timeout: { queue: '1h', attempt: '1d' } });
  const other = gate('other', { timeout: '1d' });
  const [fj, fo] = [flowOf('fj', job.task), flowOf('fo', other.task)];
  const engine = engineWith({ use: [fj, fo] });
  await engine.start(fj, '1');
  await engine.settle();
  expect(await engine.queues.pause('media')).toBe(true);
  expect(await engine.queues.pause('media')).toBe(false);
  const second = await engine.start(fj, '2');
  await engine.start(fo, 'o');
  await engine.settle();
  job.end('1');
  await engine.settle();
  expect([job.running(), other.running(), (await second.why()).waitReason]).toEqual([[], ['o'], 'paused']);
  await engine.clock.advance('61m');
  expect(await taskOf(second)).toBe('failed: queue_timeout');
  const third = await engine.start(fj, '3');
  await engine.queues.resume('media');
  await engine.settle();
  expect(job.running()).toEqual(['3']);
  await endAll(engine, job, other);
  expect((await third.status()).status).toBe('success');
});

test('a paused workflow still accepts runs, and its delayed ones fall due without beginning', async () => {
  const job = gate('job', { timeout: '1d' });
  const flow = flowOf('flow', job.task);
  const engine = engineWith({ use: [flow] });
  await engine.workflows.pause('flow');
  await engine.start(flow, '1');
  await engine.start(flow, '2', { delay: '1m' });
  await engine.clock.advance('5m');
  expect(job.begun).toEqual([]);
  await engine.workflows.resume('flow');
  await engine.settle();
  expect(job.begun).toEqual(['1', '2']);
  await endAll(engine, job);
});

test('a queue that a body pauses stops the chain that it is part of: the next task is not claimed', async () => {
  const begun: string[] = [];
  const flow = workflow({ name: 'flow' }, (w) => {
    const a = w.run('a', {}, async () => {
      await engine.queues.pause('default');
      begun.push('a');
    });
    w.run('b', {}, () => void begun.push('b'), { after: [a] });
  });
  const engine = engineWith({ use: [flow] });
  const run = await engine.start(flow);
  await engine.clock.advance('1m');
  expect(begun).toEqual(['a']);
  await engine.queues.resume('default');
  await engine.settle();
  expect((await run.status()).status).toBe('success');
});

test('a paused run: its deadline goes on, and passes', async () => {
  const job = gate('job', { timeout: '1d' });
  const flow = workflow({ name: 'flow', timeout: '1h' }, (w) => {
    const a = w.run(job.task, 'a');
    w.run('b', {}, () => 1, { after: [a] });
  });
  const engine = engineWith({ use: [flow] });
  const run = await engine.start(flow);
  await engine.settle();
  await run.pause();
  job.end('a');
  await engine.settle();
  expect((await run.tasks()).map(({ status }) => status)).toEqual(['success', 'queued']);
  await engine.clock.advance('61m');
  const { status, reason } = await run.status();
  expect([status, reason]).toEqual(['failed', 'deadline']);
});

test('a paused run whose retry falls due does not begin; resumed it begins at once; to resume it again is refused', async () => {
  const job = gate('job', { retry: { maxAttempts: 2, initial: '1m', jitter: 'none' } });
  const flow = flowOf('flow', job.task);
  const engine = engineWith({ use: [flow] });
  const run = await engine.start(flow, '1');
  await engine.settle();
  job.fail('1');
  await engine.settle();
  await run.pause();
  expect(await codeOf(() => run.pause())).toBe('none');
  await engine.clock.advance('1h');
  expect(job.begun).toEqual(['1']);
  await run.resume();
  await engine.settle();
  expect(job.begun).toEqual(['1', '1']);
  expect(await codeOf(() => run.resume())).toBe('RUN_NOT_PAUSED');
  await endAll(engine, job);
});

test('a paused run can be cancelled', async () => {
  const job = gate('job');
  const flow = flowOf('flow', job.task);
  const engine = engineWith({ use: [flow] });
  const run = await engine.start(flow, '1');
  await engine.settle();
  await run.pause();
  expect(await run.cancel()).toBe(true);
  await engine.settle();
  expect((await run.status()).status).toBe('cancelled');
});

test('maxQueued: the start past it is refused with a time to try again, and leaves nothing; a key that is held still gives its run', async () => {
  const job = gate('job');
  const flow = flowOf('flow', job.task);
  const engine = engineWith({ use: [flow], concurrency: 1, maxQueued: 2 });
  await engine.start(flow, '1');
  await engine.settle();
  const known = await engine.start(flow, '2', { key: 'two' });
  await engine.start(flow, '3');
  await engine.settle();
  const refused = await engine.start(flow, '4', { key: 'four' }).catch((error: unknown) => error);
  expect(isPawlError(refused, 'RUN_QUEUE_FULL') && Number(refused.details['retryAfterMs']) > 0).toBe(true);
  expect((await engine.runs.list({ key: 'four' })).runs).toEqual([]);
  const again = await engine.start(flow, '2', { key: 'two' });
  expect([again.id, again.created]).toEqual([known.id, false]);
  job.end('1');
  await engine.settle();
  expect((await engine.start(flow, '4', { key: 'four' })).created).toBe(true);
  await endAll(engine, job);
});

test('a chain of forty does not keep a run of a higher priority waiting for all of it', async () => {
  const order: string[] = [];
  const chain = workflow({ name: 'chain' }, (w) => {
    let before = w.run('t0', {}, async () => {
      await engine.start(urgent, undefined, { priority: 10 });
      order.push('t0');
    });
    for (let i = 1; i < 40; i++) before = w.run(`t${i}`, {}, () => void order.push(`t${i}`), { after: [before] });
  });
  const urgent = workflow({ name: 'urgent' }, (w) => w.run('urgent', {}, () => void order.push('urgent')));
  const engine = engineWith({ use: [chain, urgent], concurrency: 1 });
  await engine.start(chain);
  await engine.settle();
  expect(order).toHaveLength(41);
  expect(order.indexOf('urgent')).toBeLessThanOrEqual(17);
});

test('what is wrong with needs is refused when the task is defined', () => {
  const wrong: TaskOpts[] = [
    { pools: { db: 0 } },
    { pools: { db: -1 } },
    { pools: { db: 1.5 } },
    { pools: { db: Number.NaN } },
    { pools: { '': 1 } },
    { concurrency: 0 },
    { concurrency: -3 },
    { concurrency: 1.2 },
    { concurrency: { limit: 0 } },
    { concurrency: { limit: 1, onLimit: 'drop' as 'queue' } },
    { concurrency: { limit: 1, order: 'random' as 'serial' } },
    { concurrency: { limit: 1, kee: 'k' } as { limit: number } },
    { concurrency: { limit: 1, key: '' } },
    { rate: '0/s' },
    { rate: '-1/s' },
    { rate: '10/d' },
    { rate: '1e999/s' },
    { rate: '' },
    { priority: Number.NaN },
    { priority: Infinity },
    { priority: 0.5 },
    { queue: '' },
    { queue: 7 as unknown as string },
  ];
  for (const options of wrong) {
    let code = `accepted ${JSON.stringify(options)}`;
    try {
      task({ name: 'job', ...options, run: () => 1 });
    } catch (error) {
      code = isPawlError(error) ? error.code.slice(0, 6) : String(error);
    }
    expect(code).toBe('BUILD_');
  }
});

test.each([
  [{ db: -1 }],
  [{ db: 1.5 }],
  [{ db: Number.NaN }],
  [{ db: '5/x' }],
  [{ db: { units: 0.5 } }],
  [{ db: { units: 1, fair: 'all' } }],
  [{ '': 1 }],
  [{ db: null }],
  [[1]],
])('limits %j are refused by the engine', async (limits) => {
  expect(await codeOf(() => createEngine({ store: 'sqlite::memory:', use: [], limits: limits as never }))).toMatch(/^CONFIG_/);
});

test('a pool that the engine does not declare is refused, with its name', () => {
  const flow = workflow({ name: 'flow' }, (w) => w.run('a', {}, () => 1, { pools: { gpu: 1 } }));
  expect(() => createEngine({ store: 'sqlite::memory:', use: [flow], limits: { db: 1 } })).toThrow(/"flow" names the pool "gpu"/);
});

test.each([
  ['db', -1],
  ['db', 1.5],
  ['db', Number.NaN],
  ['db', '10/x'],
  ['db', ''],
  ['', 1],
  ['mail', 5],
  ['db', '5/s'],
] as const)('limits.set(%j, %j) on a pool db and a rate mail is refused, and nothing changes', async (name, value) => {
  const engine = engineWith({ use: [], limits: { db: 2, mail: '10/s' } });
  const before = await engine.limits.list();
  expect(await codeOf(() => engine.limits.set(name, value))).toMatch(/^(CONFIG|RUN|TASK)_/);
  expect(await engine.limits.list()).toEqual(before);
});

test('a run that no worker has seen yet: its roots are queued and wait for a worker, what comes behind them is pending, in the order of the graph', async () => {
  const flow = workflow({ name: 'flow' }, (w) => {
    const a = w.run('a', {}, () => 1);
    w.run('b', {}, () => 2, { after: [a] });
    w.run('c', {}, () => 3);
  });
  const engine = createEngine({ store: 'sqlite::memory:', use: [flow] });
  const run = await engine.start(flow);
  const now = ['a queued', 'b pending', 'c queued'];
  expect((await run.tasks()).map(({ task: id, status }) => `${id} ${status}`)).toEqual(now);
  const { tasks } = await run.inspect();
  expect(tasks.map(({ task: id, status }) => `${id} ${status}`)).toEqual(now);
  expect(tasks.map(({ waitReason }) => waitReason)).toEqual(['worker', undefined, 'worker']);
  await engine.work();
  await run.result();
  expect((await run.tasks()).map(({ task: id }) => id)).toEqual(['a', 'b', 'c']);
  await engine.close();
});
