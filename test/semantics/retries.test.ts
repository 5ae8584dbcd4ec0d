import { afterEach, describe, expect, test } from 'vitest';
import { NonRetryableError, RetryAfterError, task, workflow, type ClassifyError, type Retry } from '../../src/index.ts';
import { testEngine, type TestEngine } from '../../src/testing/index.ts';
import { silent } from '../engine/kit.ts';

const open: TestEngine[] = [];
afterEach(async () => {
  for (const engine of open.splice(0)) await engine.close();
});

class Busy extends Error {
  override readonly name = 'Busy';
}

interface Case {
  readonly throws: () => Error;
  readonly classify?: ClassifyError;
  readonly retry?: Retry;
  readonly effects?: 'unsafe';
}

/** The seconds at which attempts began, and how the task ended. */
async function attempts({ throws, classify, retry = {}, effects }: Case): Promise<{ at: number[]; reason: string | undefined }> {
  const at: number[] = [];
  const begin = Date.UTC(2030, 0, 1);
  const flow = workflow({ name: 'flow' }, (w) => {
    w.run(
      'it',
      {},
      (): never => {
        at.push((engine.clock.now().getTime() - begin) / 1_000);
        throw throws();
      },
      { retry: { jitter: 'none', ...retry }, ...(effects === undefined ? {} : { effects }) },
    );
  });
  const engine: TestEngine = testEngine({ use: [flow], logger: silent, ...(classify === undefined ? {} : { classifyError: classify }) });
  open.push(engine);
  const run = await engine.start(flow);
  await engine.clock.advance('1h');
  const [it] = await run.tasks();
  return { at, reason: it?.reason };
}

describe('classifyError', () => {
  test('says of errors of all tasks what becomes of them', async () => {
    const classify: ClassifyError = (error) =>
      error instanceof Busy ? { retryAfter: '10s' } : error instanceof TypeError ? 'fail' : undefined;
    expect((await attempts({ throws: () => new Busy(), classify })).at).toEqual([0, 10, 20]);
    expect((await attempts({ throws: () => new TypeError('x'), classify })).at).toEqual([0]);
    expect((await attempts({ throws: () => new Error('x'), classify })).at).toEqual([0, 1, 3]);
    expect((await attempts({ throws: () => new Error('x'), classify: () => 'retry' })).at).toEqual([0, 1, 3]);
    expect(
      (await attempts({ throws: () => new Error('x'), classify: () => ({ retryAfter: new Date(Date.UTC(2030, 0, 1, 0, 0, 7)) }) })).at[1],
    ).toBe(7);
  });

  test('is asked last: the error itself decides, then the rules of the task', async () => {
    const asked: unknown[] = [];
    const classify: ClassifyError = (error) => {
      asked.push(error);
      return 'retry';
    };
    expect((await attempts({ throws: () => new NonRetryableError('no'), classify })).at).toEqual([0]);
    expect((await attempts({ throws: () => new RetryAfterError('20s'), classify: () => 'fail' })).at).toEqual([0, 20, 40]);
    const on = [{ match: 'Busy', retries: 1, initial: '5s' }] as const;
    expect((await attempts({ throws: () => new Busy(), classify: () => 'fail', retry: { on } })).at).toEqual([0, 5]);
    expect((await attempts({ throws: () => new NonRetryableError('no'), retry: { on: [{ match: () => true, retries: 9 }] } })).at).toEqual([
      0,
    ]);
    expect(asked).toEqual([]);
  });

  test('is told which attempt it is', async () => {
    const seen: unknown[] = [];
    await attempts({ throws: () => new Error('x'), classify: (_, facts) => void seen.push(facts), retry: { maxAttempts: 2 } });
    expect(seen).toEqual(
      [1, 2].map((attempt) => ({ runId: expect.stringMatching(/^\w{26}$/) as string, workflow: 'flow', task: 'it', attempt })),
    );
  });

  test('that throws or says nonsense is as if it were not there', async () => {
    for (const classify of [
      () => ({ retryAfter: 'soon' }),
      () => 'never',
      () => Promise.resolve('fail'),
      () => {
        throw new Error('oh');
      },
    ] as unknown[])
      expect((await attempts({ throws: () => new Error('x'), classify: classify as ClassifyError })).at).toEqual([0, 1, 3]);
  });

  test('makes no unsafe task run again, whose outcome nobody knows', async () => {
    const asked = { throws: () => new Error('x'), retry: { maxAttempts: 3 }, effects: 'unsafe' } as const;
    for (const classify of ['retry', { retryAfter: '1s' }, 'fail'] as const) {
      expect(await attempts({ ...asked, classify: () => classify })).toEqual({ at: [0], reason: 'outcome_unknown' });
    }
    // What it says itself is known.
    expect((await attempts({ ...asked, throws: () => new RetryAfterError('1s') })).at).toEqual([0, 1, 2]);
  });
});

describe('retries', () => {
  test('a first wait above the default of maxDelay is refused, and stands where maxDelay is given', async () => {
    const make = (retry: Retry) => task({ name: 'it', retry, run: () => 1 });
    expect(() => make({ initial: '10m' })).toThrow(/retry\.initial: "10m" is above maxDelay, which is 300000 ms where it is not given/);
    expect(() => make({ on: [{ match: 'X', retries: 1, initial: '10m' }] })).toThrow(/retry\.on\[0\]\.initial: "10m" is above maxDelay/);
    expect((await attempts({ throws: () => new Error('x'), retry: { initial: '10m', maxDelay: '10m', maxAttempts: 2 } })).at).toEqual([
      0, 600,
    ]);
    // Given, it caps.
    expect((await attempts({ throws: () => new Error('x'), retry: { initial: '10s', maxDelay: '5s', maxAttempts: 2 } })).at).toEqual([
      0, 5,
    ]);
  });

  test('end where the next would begin after maxElapsed', async () => {
    expect(
      (await attempts({ throws: () => new Error('x'), retry: { maxAttempts: 9, initial: '10s', factor: 1, maxElapsed: '25s' } })).at,
    ).toEqual([0, 10, 20]);
  });

  test('of a rule are its own, and maxAttempts caps the sum where it is given', async () => {
    const on = [{ match: 'Busy', retries: 4, initial: '1s', factor: 1 }] as const;
    expect((await attempts({ throws: () => new Busy(), retry: { on } })).at).toEqual([0, 1, 2, 3, 4]);
    expect((await attempts({ throws: () => new Busy(), retry: { on, maxAttempts: 3 } })).at).toEqual([0, 1, 2]);
  });
});
