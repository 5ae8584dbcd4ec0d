/** Retries by policy, rule and classification; the cache. */
import { expect, test } from 'vitest';
import { NonRetryableError, RetryAfterError, task, workflow, type Run, type TaskOpts } from '../../src/index.ts';
import { anyText, engineWith } from './capacity-kit.ts';
import type { TestEngine, TestEngineOptions } from '../../src/testing/index.ts';

const START = Date.UTC(2030, 0, 1);
const endOf = async (run: Run<unknown>): Promise<string> => {
  const { status, reason } = await run.status();
  return reason === undefined ? status : `${status}: ${reason}`;
};
const taskOf = async (run: Run<unknown>): Promise<string> => {
  const [one] = await run.tasks();
  return `${one?.status}${one?.reason === undefined ? '' : `: ${one.reason}`} after ${one?.attempt}`;
};

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
