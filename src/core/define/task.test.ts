import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { PawlError } from '../errors.ts';
import { signal } from './signal.ts';
import { isTask, task } from './task.ts';

const run = async (): Promise<number> => 1;
const refused = (make: () => unknown): PawlError => {
  try {
    make();
  } catch (error) {
    return error as PawlError;
  }
  throw new Error('nothing was thrown');
};

describe('a task', () => {
  test('has the defaults of the semantics', () => {
    expect(task({ name: 'a', run }).contract).toEqual({
      effects: 'idempotent',
      retry: { maxAttempts: 3, capped: true, initialMs: 1_000, factor: 2, maxDelayMs: 300_000, jitter: 'full', on: [] },
      timeout: { attemptMs: 600_000 },
    });
  });

  test('with effects unsafe has one attempt unless more are given', () => {
    expect(task({ name: 'a', run, effects: 'unsafe' }).contract.retry.maxAttempts).toBe(1);
    expect(task({ name: 'a', run, effects: 'unsafe', retry: { maxAttempts: 4 } }).contract.retry.maxAttempts).toBe(4);
  });

  test('keeps predicates aside, rules inherit its delays, and only a given maxAttempts caps them', () => {
    const busy = (error: unknown): boolean => error === 1;
    const on = [
      { match: busy, retries: 9 },
      { match: 'declined', action: 'fail' },
    ] as const;
    const made = task({ name: 'a', run, retry: { initial: '2s', factor: 3, on } });
    const delays = { initialMs: 2_000, factor: 3, maxDelayMs: 300_000 };
    expect(made.contract.retry).toMatchObject({
      capped: false,
      maxAttempts: 3,
      on: [
        { match: null, action: 'retry', retries: 9, ...delays },
        { match: 'declined', action: 'fail', retries: 0, ...delays },
      ],
    });
    expect(made.rules).toEqual([busy, null]);
    expect(task({ name: 'a', run, retry: { maxAttempts: 5, on } }).contract.retry.capped).toBe(true);
    expect(JSON.parse(JSON.stringify(made.contract))).toEqual(made.contract);
  });

  test('has timeouts in milliseconds; a bare one is that of an attempt', () => {
    expect(task({ name: 'a', run, timeout: '30s' }).contract.timeout).toEqual({ attemptMs: 30_000 });
    expect(task({ name: 'a', run, timeout: { queue: 5, heartbeat: '1m', total: '1d' } }).contract.timeout).toEqual({
      queueMs: 5,
      attemptMs: 600_000,
      heartbeatMs: 60_000,
      totalMs: 86_400_000,
    });
  });

  test('has the JSON Schema of what callers give and of what readers get', () => {
    const made = task({ name: 'a', input: z.object({ n: z.string().transform(Number) }), output: z.number() });
    expect(made.contract).toMatchObject({ inputSchema: { type: 'object' }, outputSchema: { type: 'number' } });
  });

  test('is a contract without a body until it is implemented', () => {
    const contract = task({ name: 'a', input: z.number(), output: z.number() });
    expect('run' in contract).toBe(false);
    const body = (n: number): number => n;
    const made = contract.implement(body);
    expect(made).toMatchObject({ kind: 'task', name: 'a', run: body, contract: contract.contract });
    expect(isTask(made)).toBe(true);
    expect(refused(() => contract.implement(5 as never))).toMatchObject({ code: 'BUILD_INVALID' });
  });

  test('is refused with all problems in one error', () => {
    const error = refused(() =>
      task({
        name: '',
        input: 5,
        run: 'no',
        effects: 'some',
        priority: 1.5,
        timeout: { attempt: 0, totl: 1 },
        retry: {
          maxAttempts: 0,
          initial: -1,
          factor: 0.5,
          jitter: 'half',
          maxElapsed: Infinity,
          on: [{ match: 'a' }, 5, { match: '', retries: -1 }],
        },
        retires: 3,
      } as never),
    );
    expect(error.code).toBe('BUILD_INVALID');
    expect((error.details['problems'] as { at: unknown[] }[]).map((problem) => problem.at.join('.'))).toEqual([
      'retires',
      'name',
      'input',
      'run',
      'effects',
      'retry.maxAttempts',
      'retry.factor',
      'retry.initial',
      'retry.maxElapsed',
      'retry.on.0.retries',
      'retry.on.1',
      'retry.on.2.match',
      'retry.on.2.retries',
      'retry.jitter',
      'priority',
      'timeout.totl',
      'timeout.attempt',
    ]);
    expect(error.message).toMatch(/has 17 problems/);
  });

  test.each([undefined, 5, '', '  ', 'a\nb', 'a\u0000', 'x'.repeat(201), '\ud800', '\u2028'])('refuses the name %j', (name) => {
    expect(refused(() => task({ name, run } as never))).toMatchObject({
      code: 'BUILD_INVALID',
      details: { problems: [{ code: 'bad_name' }] },
    });
    expect(refused(() => signal(name as never, z.number()))).toMatchObject({ code: 'BUILD_INVALID' });
  });

  test.each([null, 5, 'x', [], () => 1])('refuses %j in place of its options', (def) => {
    expect(refused(() => task(def as never))).toMatchObject({ code: 'BUILD_INVALID' });
  });
});

test('a signal is a name and a schema', () => {
  const schema = z.object({ amount: z.number() });
  expect(signal('invoice.paid', schema)).toEqual({ kind: 'signal', name: 'invoice.paid', schema });
  expect(refused(() => signal('a', 5 as never))).toMatchObject({ code: 'BUILD_INVALID' });
});
