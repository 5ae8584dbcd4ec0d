/** Idempotency keys, starts in the future, deadlines and timeouts, retries by rule, the cache. */
import { expect, test } from 'vitest';
import { createEngine, isPawlError, NonRetryableError, RetryAfterError, task, workflow, type Run, type TaskOpts } from '../../src/index.ts';
import { anyText, endAll, engineWith, flowOf, gate } from './capacity-kit.ts';
import type { TestEngine, TestEngineOptions } from '../../src/testing/index.ts';

const START = Date.UTC(2030, 0, 1);
const codeOf = async (work: () => unknown): Promise<string> => {
  try {
    await work();
    return 'none';
  } catch (error) {
    return isPawlError(error) ? error.code : String(error);
  }
};
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

// --- retries -----------------------------------------------------------------------------------------------------------------------

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

interface Tried {
  readonly at: readonly number[];
  readonly end: string;
}
async function tried(
  options: TaskOpts,
  body: (attempt: number) => unknown,
  engineOptions: Partial<TestEngineOptions> = {},
): Promise<Tried> {
  const at: number[] = [];
  const now = (): number => (engine.clock.now().getTime() - START) / 1_000;
  const job = task({
    name: 'job',
    ...options,
    run: (_: undefined, ctx) => {
      at.push(now());
      return body(ctx.attempt) as number;
    },
  });
  const flow = workflow({ name: 'flow' }, (w) => w.run(job, undefined));
  const engine: TestEngine = engineWith({ use: [flow], logger: silent, ...engineOptions });
  const run = await engine.start(flow);
  await engine.clock.advance('2d');
  return { at, end: (await taskOf(run)).replace(/ after .*/, '') };
}
const none = { initial: '1s', jitter: 'none' } as const;
const fails = (make: () => unknown) => () => {
  throw make();
};
const coded = (code: string): Error => Object.assign(new Error(code), { code });

test('RetryAfterError sets the wait, also above maxDelay, and draws on the budget', async () => {
  expect(
    await tried(
      { retry: { ...none, maxAttempts: 3, maxDelay: '10s' } },
      fails(() => new RetryAfterError('1h')),
    ),
  ).toEqual({
    at: [0, 3_600, 7_200],
    end: 'failed: error',
  });
});

test('RetryAfterError with an instant that has passed retries at once, and still ends', async () => {
  const { at, end } = await tried(
    { retry: { ...none, maxAttempts: 3 } },
    fails(() => new RetryAfterError(new Date(0))),
  );
  expect([at.length, Math.max(...at) < 1, end]).toEqual([3, true, 'failed: error']);
});

test('RetryAfterError of an unsafe task is a known outcome: retried where attempts are left; any other error is not', async () => {
  const after = await tried({ effects: 'unsafe', retry: { maxAttempts: 2 } }, (attempt) => {
    if (attempt === 1) throw new RetryAfterError('1m');
    return 1;
  });
  expect(after).toEqual({ at: [0, 60], end: 'success' });
  expect(
    await tried(
      { effects: 'unsafe', retry: { maxAttempts: 5 } },
      fails(() => new Error('?')),
    ),
  ).toEqual({ at: [0], end: 'failed: outcome_unknown' });
  expect(
    (
      await tried(
        { effects: 'unsafe', retry: { maxAttempts: 5 } },
        fails(() => new NonRetryableError('known')),
      )
    ).end,
  ).toBe('failed: error');
});

test('a rule counts its own retries and its own waits; the first that matches decides', async () => {
  const errors = ['A', 'B', 'A', 'B', 'A'];
  const { at, end } = await tried(
    {
      retry: {
        jitter: 'none',
        on: [
          { match: 'A', retries: 2, initial: '10s', factor: 2 },
          { match: 'B', retries: 5, initial: '1s', factor: 3 },
          { match: 'A', retries: 99 },
        ],
      },
    },
    (attempt) => {
      throw coded(errors[attempt - 1] ?? 'A');
    },
  );
  expect([at, end]).toEqual([[0, 10, 11, 31, 34], 'failed: error']);
});

test('maxAttempts beside rules caps the sum', async () => {
  const { at } = await tried(
    { retry: { ...none, maxAttempts: 3, on: [{ match: 'A', retries: 50, initial: '1s', factor: 1 }] } },
    fails(() => coded('A')),
  );
  expect(at).toEqual([0, 1, 2]);
});

test('a rule that matches an error by its name, by a predicate; a predicate that throws matches nothing', async () => {
  class Gone extends Error {
    override readonly name = 'Gone';
  }
  expect(
    (
      await tried(
        { retry: { ...none, on: [{ match: 'Gone', action: 'fail' }] } },
        fails(() => new Gone('x')),
      )
    ).at,
  ).toEqual([0]);
  expect(
    (
      await tried(
        { retry: { ...none, on: [{ match: (e) => e instanceof Gone, action: 'fail' }] } },
        fails(() => new Gone('x')),
      )
    ).at,
  ).toEqual([0]);
  const thrown = await tried(
    {
      retry: {
        ...none,
        on: [
          {
            match: () => {
              throw new Error('bad rule');
            },
            action: 'fail',
          },
        ],
      },
    },
    fails(() => new Gone('x')),
  );
  expect(thrown.end).toBe('failed: error');
});

test('a body that throws no error but a value: undefined, null, a string, an object', async () => {
  for (const value of [undefined, null, 'text', { code: 'X' }, 7n, Symbol('s')])
    expect(
      await tried(
        { retry: { maxAttempts: 1 } },
        fails(() => value),
      ),
    ).toEqual({ at: [0], end: 'failed: error' });
});

test('maxElapsed ends the retries that would begin later', async () => {
  const { at, end } = await tried(
    { retry: { maxAttempts: 99, initial: '10s', factor: 1, jitter: 'none', maxElapsed: '35s' } },
    fails(() => new Error('no')),
  );
  expect([at, end]).toEqual([[0, 10, 20, 30], 'failed: error']);
});

test.each([
  ['fail', 'fail', [0]],
  ['retry', 'retry', [0, 1, 3]],
  ['retryAfter', { retryAfter: '1m' }, [0, 60, 120]],
  ['nonsense', 'maybe', [0, 1, 3]],
  ['a bad time', { retryAfter: -5 }, [0, 1, 3]],
] as const)('classifyError says %s', async (_, verdict, at) => {
  expect(
    (
      await tried(
        { retry: none },
        fails(() => new Error('no')),
        { classifyError: () => verdict as never },
      )
    ).at,
  ).toEqual(at);
});

test('classifyError is asked last: not after NonRetryableError, nor where a rule decides; it makes no unsafe task run again', async () => {
  const asked: unknown[] = [];
  const classifyError = (error: unknown) => (asked.push(error), 'retry' as const);
  await tried(
    { retry: none },
    fails(() => new NonRetryableError('no')),
    { classifyError },
  );
  await tried(
    { retry: { ...none, on: [{ match: 'A', action: 'fail' }] } },
    fails(() => coded('A')),
    { classifyError },
  );
  expect(asked).toEqual([]);
  expect(
    await tried(
      { effects: 'unsafe', retry: { maxAttempts: 4 } },
      fails(() => new Error('?')),
      { classifyError },
    ),
  ).toEqual({ at: [0], end: 'failed: outcome_unknown' });
});

test('waits stay finite and below their bound at any attempt number', async () => {
  const { at, end } = await tried(
    { retry: { maxAttempts: 400, initial: '1ms', factor: 1e9, maxDelay: '1s', jitter: 'full' } },
    fails(() => new Error('no')),
  );
  expect([at.length, end]).toEqual([400, 'failed: error']);
  expect(at.slice(1).every((one, i) => one - (at[i] ?? 0) > 0 && one - (at[i] ?? 0) <= 1)).toBe(true);
});

// --- cache -------------------------------------------------------------------------------------------------------------------------

function cached(extra: TaskOpts = {}, fail: () => boolean = () => false) {
  const asked: string[] = [];
  const job = task({
    name: 'job',
    effects: 'none',
    cache: { ttl: '1h' },
    retry: { maxAttempts: 1 },
    ...extra,
    run: (id: string) => {
      asked.push(id);
      if (fail()) throw new Error('no');
      return `${id}!`;
    },
  });
  const flow = workflow({ name: 'flow', input: anyText }, (w, i) => w.run(job, i));
  return { asked, flow };
}

test('a hit is a success without an attempt, another input is none, and what is past its time is asked again', async () => {
  const { asked, flow } = cached();
  const engine = engineWith({ use: [flow] });
  for (const id of ['a', 'a', 'b']) await (await engine.start(flow, id)).result();
  expect(asked).toEqual(['a', 'b']);
  await engine.clock.advance('59m');
  expect(await (await engine.start(flow, 'a')).result()).toBe('a!');
  await engine.clock.advance('1m');
  await (await engine.start(flow, 'a')).result();
  expect(asked).toEqual(['a', 'b', 'a']);
});

test('a failure is not kept; a rerun by a person reads nothing from the cache, and what it gives is kept', async () => {
  let isDown = true;
  const { asked, flow } = cached({}, () => isDown);
  const engine = engineWith({ use: [flow] });
  const run = await engine.start(flow, 'a');
  await engine.settle();
  expect(await taskOf(run)).toBe('failed: error after 1');
  isDown = false;
  await run.redrive();
  expect(await run.result()).toBe('a!');
  await run.rerun('job');
  await engine.settle();
  await (await engine.start(flow, 'a')).result();
  expect(asked).toEqual(['a', 'a', 'a']);
});

test('a hit needs no unit of a full pool', async () => {
  const { flow } = cached({ pools: { db: 1 } });
  const engine = engineWith({ use: [flow], limits: { db: 1 } });
  await (await engine.start(flow, 'a')).result();
  await engine.limits.set('db', 0);
  const [hit, miss] = [await engine.start(flow, 'a'), await engine.start(flow, 'b')];
  await engine.settle();
  expect([await endOf(hit), await endOf(miss)]).toEqual(['success', 'running']);
});

test('a cache of a task with effects is refused', () => {
  for (const effects of [undefined, 'idempotent', 'unsafe'] as const)
    expect(() => task({ name: 'job', ...(effects === undefined ? {} : { effects }), cache: { ttl: '1h' }, run: () => 1 })).toThrow(
      /effects/,
    );
  for (const ttl of [0, -1, 'soon', Number.NaN])
    expect(() => task({ name: 'job', effects: 'none', cache: { ttl: ttl as never }, run: () => 1 })).toThrow(/ttl/);
});
