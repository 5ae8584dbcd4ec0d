/** Idempotency keys, starts in the future, deadlines and timeouts, retries by rule, the cache. */
import { expect, test } from 'vitest';
import { z } from 'zod';
import { createEngine, isPawlError, task, workflow, type Run } from '../../src/index.ts';
import { codeOf } from './further-ops-kit.ts';
import { anyText, endAll, engineWith, flowOf, gate } from './capacity-kit.ts';

const START = Date.UTC(2030, 0, 1);
const echo = workflow(
  {
    name: 'echo',
    input: { ...anyText, '~standard': { ...anyText['~standard'], types: undefined as unknown as { input: object; output: object } } },
  },
  (w, i) => w.run('echo', { i }, () => 1),
);
const endOf = async (run: Run<unknown>): Promise<string> => {
  const { status, reason } = await run.status();
  return reason === undefined ? status : `${status}: ${reason}`;
};
const taskOf = async (run: Run<unknown>): Promise<string> => {
  const [one] = await run.tasks();
  return `${one?.status}${one?.reason === undefined ? '' : `: ${one.reason}`} after ${one?.attempt}`;
};

// --- keys --------------------------------------------------------------------------------------------------------------------------

test('the input is compared as JSON: the order of keys makes no other input, another value does, and the place is named', async () => {
  const engine = engineWith({ use: [echo] });
  const first = await engine.start(echo, { a: 1, b: { c: 2, d: 3 } }, { key: 'k' });
  const same = await engine.start(echo, { b: { d: 3, c: 2 }, a: 1 }, { key: 'k' });
  expect([same.id, same.created]).toEqual([first.id, false]);
  const error = await engine.start(echo, { a: 1, b: { c: 2, d: 4 } }, { key: 'k' }).catch((thrown: unknown) => thrown);
  expect(isPawlError(error, 'RUN_KEY_CONFLICT') && error.message).toContain(first.id);
});

test('a key belongs to its workflow: another workflow has another run under it', async () => {
  const other = workflow({ name: 'other' }, (w) => w.run('a', {}, () => 1));
  const engine = engineWith({ use: [echo, other] });
  const one = await engine.start(echo, {}, { key: 'k' });
  const two = await engine.start(other, undefined, { key: 'k' });
  expect([one.created, two.created]).toEqual([true, true]);
});

test('twenty starts with one key at once: one run', async () => {
  const engine = engineWith({ use: [echo] });
  const runs = await Promise.all(Array.from({ length: 20 }, () => engine.start(echo, { n: 1 }, { key: 'k' })));
  expect(new Set(runs.map(({ id }) => id)).size).toBe(1);
  expect(runs.filter(({ created }) => created)).toHaveLength(1);
});

test('of starts at once with one key and different inputs one wins, the others conflict', async () => {
  const engine = engineWith({ use: [echo] });
  const codes = await Promise.all([1, 2, 3].map((n) => codeOf(() => engine.start(echo, { n }, { key: 'k' }))));
  expect(codes.toSorted()).toEqual(['RUN_KEY_CONFLICT', 'RUN_KEY_CONFLICT', 'none']);
});

test("for: 'open' frees the key at the end, of whatever kind it is; the next input may be another", async () => {
  const job = gate('job', { retry: { maxAttempts: 1 } });
  const flow = flowOf('flow', job.task);
  const engine = engineWith({ use: [flow] });
  const key = { value: 'k', for: 'open' } as const;
  const first = await engine.start(flow, '1', { key });
  await engine.settle();
  expect((await engine.start(flow, '1', { key })).id).toBe(first.id);
  expect(await codeOf(() => engine.start(flow, '2', { key }))).toBe('RUN_KEY_CONFLICT');
  job.fail('1');
  await engine.settle();
  const second = await engine.start(flow, '2', { key });
  expect([second.created, second.id === first.id]).toEqual([true, false]);
  await engine.settle();
  await second.cancel();
  await engine.settle();
  expect((await engine.start(flow, '3', { key })).created).toBe(true);
  await endAll(engine, job);
});

test("for: 'open' of a run that is redriven after another took the key: both go on, and the key is the newer run's", async () => {
  const job = gate('job', { retry: { maxAttempts: 1 } });
  const flow = flowOf('flow', job.task);
  const engine = engineWith({ use: [flow] });
  const key = { value: 'k', for: 'open' } as const;
  const first = await engine.start(flow, '1', { key });
  await engine.settle();
  job.fail('1');
  await engine.settle();
  const second = await engine.start(flow, '2', { key });
  await engine.settle();
  await first.redrive();
  await engine.settle();
  expect(job.running().toSorted()).toEqual(['1', '2']);
  expect((await engine.start(flow, '2', { key })).id).toBe(second.id);
  await endAll(engine, job);
  expect((await engine.start(flow, '3', { key })).created).toBe(true);
  await endAll(engine, job);
});

test('a time of a key counts from acceptance, whether the run is over or not', async () => {
  const job = gate('job', { timeout: '1d' });
  const flow = flowOf('flow', job.task);
  const engine = engineWith({ use: [flow] });
  const key = { value: 'k', for: '10m' } as const;
  const first = await engine.start(flow, '1', { key });
  await engine.clock.advance('9m');
  expect((await engine.start(flow, '1', { key })).id).toBe(first.id);
  await engine.clock.advance('1m');
  const second = await engine.start(flow, '2', { key });
  expect([second.created, await endOf(first)]).toEqual([true, 'running']);
  await engine.clock.advance('1m');
  await endAll(engine, job);
  expect((await engine.start(flow, '2', { key })).id).toBe(second.id);
});

test("onDuplicate: 'reject' names the run, also where the input is the same", async () => {
  const engine = engineWith({ use: [echo] });
  const first = await engine.start(echo, {}, { key: 'k' });
  const error = await engine.start(echo, {}, { key: { value: 'k', onDuplicate: 'reject' } }).catch((thrown: unknown) => thrown);
  expect(isPawlError(error, 'RUN_KEY_TAKEN') && error.message).toContain(first.id);
});

test.each([
  [''],
  ['x'.repeat(5_000)],
  ['a\0b'],
  [{ value: 'k', for: 'never' }],
  [{ value: 'k', for: '-5m' }],
  [{ value: 'k', for: 0 }],
  [{ value: 'k', fro: 'open' }],
  [{ value: 'k', onDuplicate: 'ignore' }],
  [{}],
  [7],
  [{ value: '\ud800' }],
])('the key %j is refused, and nothing is started', async (key) => {
  const engine = engineWith({ use: [echo] });
  expect(await codeOf(() => engine.start(echo, {}, { key: key as never }))).toMatch(/^(CONFIG|RUN|PAYLOAD)_/);
  expect((await engine.runs.list()).runs).toEqual([]);
});

test('startMany: of thousands the results stand in the order of the items, the refused ones among them', async () => {
  const numbers = workflow({ name: 'numbers', input: z.object({ n: z.number().max(1_500) }) }, (w, input) => ({ n: input.n }));
  const engine = createEngine({ store: 'sqlite::memory:', use: [numbers] });
  await engine.work();
  const items = Array.from({ length: 1_700 }, (_, i) => ({ input: { n: (i * 7) % 1_700 } }));
  const results = await engine.startMany(numbers, items);
  expect(results.map(({ error }) => error?.code ?? 'ok')).toEqual(items.map(({ input }) => (input.n > 1_500 ? 'RUN_INPUT_INVALID' : 'ok')));
  const at = [0, 499, 500, 999, 1_000, 1_699].filter((i) => (items[i]?.input.n ?? 0) <= 1_500);
  for (const i of at) expect(await results[i]?.run?.result()).toEqual({ n: items[i]?.input.n });
  await engine.close();
});

test('startMany: each item its own result; a key twice among them gives one run, or a conflict', async () => {
  const engine = createEngine({ store: 'sqlite::memory:', use: [echo] });
  const items = [
    { input: { n: 1 }, key: 'k' },
    { input: { n: 1 }, key: 'k' },
    { input: { n: 2 }, key: 'k' },
    { input: { n: 3 }, delay: -1 },
    { input: { n: 4 } },
  ];
  const results = await engine.startMany(echo, items);
  expect(results.map(({ run, error }) => error?.code ?? run?.created)).toEqual([true, false, 'RUN_KEY_CONFLICT', 'CONFIG_DURATION', true]);
  expect(results[1]?.run?.id).toBe(results[0]?.run?.id);
  await engine.close();
});

// --- times -------------------------------------------------------------------------------------------------------------------------

test('a start in 60 days waits so long, over a crash, and its timeout counts from then', async () => {
  const job = gate('job', { timeout: '30d' });
  const flow = flowOf('flow', job.task, { timeout: '1d' });
  const engine = engineWith({ use: [flow] });
  const run = await engine.start(flow, '1', { delay: '60d' });
  await engine.clock.advance('30d');
  await engine.reboot();
  await engine.clock.advance('30d');
  expect(await endOf(run)).toBe('running');
  await engine.clock.advance('25h');
  expect(await endOf(run)).toBe('failed: deadline');
});

test('startAt in the past begins now; both delay and startAt, or no instant, are refused', async () => {
  const engine = engineWith({ use: [echo] });
  const run = await engine.start(echo, {}, { startAt: new Date(START - 86_400_000) });
  await engine.settle();
  expect(await endOf(run)).toBe('success');
  for (const options of [
    { delay: '1h', startAt: new Date(START) },
    { startAt: new Date(Number.NaN) },
    { delay: -1 },
    { delay: 'soon' },
    { startAt: '2030-01-01' },
  ])
    expect(await codeOf(() => engine.start(echo, {}, options as never))).toMatch(/^(CONFIG|RUN)_/);
});

test('a scheduled run that is cancelled never begins; one that is paused and resumed after its time begins then', async () => {
  const job = gate('job');
  const flow = flowOf('flow', job.task);
  const engine = engineWith({ use: [flow] });
  const [one, two] = [await engine.start(flow, '1', { delay: '1h' }), await engine.start(flow, '2', { delay: '1h' })];
  await one.cancel();
  await two.pause();
  await engine.clock.advance('2h');
  expect([await endOf(one), await endOf(two), job.begun]).toEqual(['cancelled: person', 'paused', []]);
  await two.resume();
  await engine.clock.advance('1s');
  expect(job.begun).toEqual(['2']);
  await endAll(engine, job);
});

test('a deadline while a task waits for its retry, and while one sleeps: cancelled (deadline), the run failed', async () => {
  const flow = workflow({ name: 'flow', timeout: '1h' }, (w) => {
    w.run(
      'retries',
      {},
      () => {
        throw new Error('no');
      },
      { retry: { maxAttempts: 9, initial: '50m', maxDelay: '50m', jitter: 'none' } },
    );
    w.run('sleeps', {}, async (_, ctx) => ctx.sleep('nap', '5h'));
  });
  const engine = engineWith({ use: [flow] });
  const run = await engine.start(flow);
  await engine.clock.advance('3h');
  expect((await run.tasks()).map(({ task: id, status, reason, attempt }) => `${id} ${status} ${reason} ${attempt}`)).toEqual([
    'retries cancelled deadline 2',
    'sleeps cancelled deadline 1',
  ]);
  expect(await endOf(run)).toBe('failed: deadline');
});

test('after a redrive the time of the run and of its tasks begins afresh', async () => {
  const job = gate('job', { timeout: { attempt: '1d', total: '2h' } });
  const flow = flowOf('flow', job.task, { timeout: '1h' });
  const engine = engineWith({ use: [flow] });
  const run = await engine.start(flow, '1');
  await engine.clock.advance('61m');
  expect(await endOf(run)).toBe('failed: deadline');
  await run.redrive();
  await engine.clock.advance('59m');
  expect(job.running()).toEqual(['1']);
  await endAll(engine, job);
  expect(await endOf(run)).toBe('success');
});

test('where the next attempt would begin after the total time the task fails now', async () => {
  const flow = workflow({ name: 'flow' }, (w) =>
    w.run(
      'a',
      {},
      () => {
        throw new Error('no');
      },
      { timeout: { total: '10m' }, retry: { maxAttempts: 9, initial: '4m', factor: 2, maxDelay: '1h', jitter: 'none' } },
    ),
  );
  const engine = engineWith({ use: [flow] });
  const run = await engine.start(flow);
  await engine.clock.advance('5m');
  expect(await taskOf(run)).toBe('failed: total_timeout after 2');
});

test('time in which a body sleeps is no time of the attempt, but of the total', async () => {
  const flow = workflow({ name: 'flow' }, (w) => {
    const sleeps = async (_: object, ctx: { sleep(name: string, ms: string): Promise<void> }) => {
      await ctx.sleep('nap', '20m');
      return 1;
    };
    w.run('attempt', {}, sleeps as never, { timeout: { attempt: '10m' } });
    w.run('total', {}, sleeps as never, { timeout: { total: '10m' }, allowFailure: true });
  });
  const engine = engineWith({ use: [flow] });
  const run = await engine.start(flow);
  await engine.clock.advance('1h');
  expect((await run.tasks()).map(({ status, reason }) => [status, reason])).toEqual([
    ['success', undefined],
    ['failed', 'total_timeout'],
  ]);
});

test('a body that does not beat is ended and retried; one that beats goes on past its heartbeat', async () => {
  const beats: (() => void)[] = [];
  const job = task({
    name: 'job',
    timeout: { heartbeat: '1m', attempt: '1h' },
    retry: { maxAttempts: 2, initial: '1s', jitter: 'none' },
    run: (_: undefined, ctx) => {
      beats[ctx.attempt] = () => ctx.beat();
      return new Promise<never>((_r, fail) => ctx.signal.addEventListener('abort', () => fail(new Error('aborted'))));
    },
  });
  const flow = workflow({ name: 'flow' }, (w) => w.run(job, undefined));
  const engine = engineWith({ use: [flow] });
  const run = await engine.start(flow);
  await engine.clock.advance('50s');
  beats[1]?.();
  await engine.clock.advance('50s');
  expect(await taskOf(run)).toBe('running after 1');
  await engine.clock.advance('20s');
  expect(await taskOf(run)).toBe('running after 2');
  await engine.clock.advance('2m');
  expect(await taskOf(run)).toBe('failed: heartbeat_timeout after 2');
});
