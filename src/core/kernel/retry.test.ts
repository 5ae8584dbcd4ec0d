import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { RetryData, RetryRuleData } from '../graph/graph.ts';
import { backoffMs, decideRetry, matchRule, unit, type FailureFacts, type JitterSeed, type RetryState } from './retry.ts';

const SEED: JitterSeed = { run: 1, task: 2, item: -1, generation: 1, attempt: 1 };
const NOW = 1_900_000_000_000;

const policyOf = (over: Partial<RetryData> = {}): RetryData => ({
  maxAttempts: 3,
  capped: true,
  initialMs: 1_000,
  factor: 2,
  maxDelayMs: 300_000,
  jitter: 'none',
  on: [],
  ...over,
});
const ruleOf = (over: Partial<RetryRuleData> = {}): RetryRuleData => ({
  match: 'RATE',
  action: 'retry',
  retries: 2,
  initialMs: 10,
  factor: 3,
  maxDelayMs: 300_000,
  ...over,
});
const stateOf = (over: Partial<RetryState> = {}): RetryState => ({
  counted: 1,
  draws: [],
  firstQueuedAt: NOW,
  totalMs: undefined,
  ...over,
});

const seeds = fc.record({
  run: fc.maxSafeNat(),
  task: fc.nat(100_000),
  item: fc.integer({ min: -1, max: 10_000 }),
  generation: fc.integer({ min: 1, max: 1_000 }),
  attempt: fc.integer({ min: 1, max: 1_000_000 }),
});
const milliseconds = fc.oneof(fc.integer({ min: 1, max: 1_000_000 }), fc.integer({ min: 1, max: 8_640_000_000_000_000 }));
const factors = fc.oneof(
  fc.integer({ min: 1, max: 10 }),
  fc.double({ min: 1, max: 10, noNaN: true }),
  fc.double({ min: 1, max: 1e308, noNaN: true }),
);
const policies = fc.record({ initialMs: milliseconds, factor: factors, maxDelayMs: milliseconds });
const attempts = fc.oneof(fc.integer({ min: 1, max: 20 }), fc.constantFrom(1_000, 1_000_000), fc.integer({ min: 1, max: 1_000_000 }));

describe('a delay', () => {
  test('is a whole number of milliseconds from 1 to maxDelay, at any attempt, whatever the factor', () => {
    fc.assert(
      fc.property(policies, attempts, fc.constantFrom('none', 'full', 'equal'), seeds, (policy, n, jitter, seed) => {
        const ms = backoffMs(policy, n, jitter, seed);
        expect(Number.isSafeInteger(ms)).toBe(true);
        expect(ms).toBeGreaterThanOrEqual(1);
        expect(ms).toBeLessThanOrEqual(policy.maxDelayMs);
      }),
      { numRuns: 2_000 },
    );
  });

  test('without jitter is initial · factor^(n−1), until maxDelay', () => {
    const policy = { initialMs: 100, factor: 3, maxDelayMs: 5_000 };
    expect([1, 2, 3, 4, 5, 6, 1_000_000].map((n) => backoffMs(policy, n, 'none', SEED))).toEqual([
      100, 300, 900, 2_700, 5_000, 5_000, 5_000,
    ]);
  });

  test('with full jitter lies in [1 ms, d], with equal in [d/2, d]', () => {
    const exact = fc.record({
      initialMs: fc.integer({ min: 1, max: 1_000_000 }),
      factor: fc.integer({ min: 1, max: 5 }),
      maxDelayMs: milliseconds,
    });
    fc.assert(
      fc.property(exact, attempts, seeds, (policy, n, seed) => {
        const d = backoffMs(policy, n, 'none', seed);
        const full = backoffMs(policy, n, 'full', seed);
        expect(full >= 1 && full <= d).toBe(true);
        const equal = backoffMs(policy, n, 'equal', seed);
        expect(equal >= d / 2 && equal <= d).toBe(true);
      }),
      { numRuns: 1_000 },
    );
  });

  test('spreads over its whole range', () => {
    const of = (jitter: 'full' | 'equal'): number[] =>
      Array.from({ length: 2_000 }, (_, i) =>
        backoffMs({ initialMs: 10_000, factor: 1, maxDelayMs: 10_000 }, 1, jitter, { ...SEED, run: i }),
      );
    const tenths = (values: readonly number[], low: number): number[] => {
      const found = Array.from({ length: 10 }, () => 0);
      for (const ms of values) {
        const at = Math.min(9, Math.floor(((ms - low) / (10_000 - low)) * 10));
        found[at] = (found[at] ?? 0) + 1;
      }
      return found;
    };
    for (const count of [...tenths(of('full'), 0), ...tenths(of('equal'), 5_000)]) expect(count).toBeGreaterThan(120);
  });

  test('is the same for the same attempt, and another for another one', () => {
    fc.assert(
      fc.property(
        seeds,
        fc.constantFrom('run', 'task', 'item', 'generation', 'attempt'),
        fc.integer({ min: 1, max: 1_000_000 }),
        (seed, field, by) => {
          expect(unit({ ...seed })).toBe(unit(seed));
          expect(unit({ ...seed, [field]: seed[field] + by })).not.toBe(unit(seed));
          expect(unit(seed) >= 0 && unit(seed) < 1).toBe(true);
        },
      ),
    );
  });

  test('depends on the upper half of a run number too', () => {
    expect(unit({ ...SEED, run: SEED.run + 2 ** 32 })).not.toBe(unit(SEED));
  });
});

describe('attempts', () => {
  const after = (policy: RetryData, failures: readonly FailureFacts[], over: Partial<RetryState> = {}) => {
    let draws: readonly number[] = [];
    const delays: number[] = [];
    for (const [i, facts] of failures.entries()) {
      const decision = decideRetry(policy, facts, stateOf({ ...over, counted: i + 1, draws }), NOW, SEED);
      if (decision.kind === 'fail') return { attempts: i + 1, why: decision.why, delays };
      delays.push(decision.dueAt - NOW);
      draws = decision.draws;
    }
    return { attempts: failures.length, why: null, delays };
  };
  const failing = (n: number, facts: FailureFacts = {}): FailureFacts[] => Array.from({ length: n }, () => facts);

  test('end with the last of maxAttempts, which counts the first', () => {
    expect(after(policyOf(), failing(9))).toEqual({ attempts: 3, why: 'exhausted', delays: [1_000, 2_000] });
    expect(after(policyOf({ maxAttempts: 1 }), failing(9))).toEqual({ attempts: 1, why: 'exhausted', delays: [] });
  });

  test('a NonRetryableError ends at once, also where a rule or a RetryAfterError would go on', () => {
    const policy = policyOf({ on: [ruleOf()] });
    expect(after(policy, [{ nonRetryable: true, rule: 0, retryAfterMs: 5 }])).toMatchObject({ attempts: 1, why: 'not_retryable' });
  });

  test('a rule draws on its own retries, counted within it, with its own delays', () => {
    const policy = policyOf({ capped: false, on: [ruleOf({ retries: 4 })] });
    expect(after(policy, failing(9, { rule: 0 }))).toEqual({ attempts: 5, why: 'exhausted', delays: [10, 30, 90, 270] });
  });

  test('two rules have two budgets and two counts', () => {
    const policy = policyOf({ capped: false, on: [ruleOf({ retries: 2 }), ruleOf({ retries: 3, initialMs: 7 })] });
    const mixed = [{ rule: 0 }, { rule: 1 }, { rule: 0 }, { rule: 1 }, { rule: 1 }, { rule: 0 }];
    expect(after(policy, mixed)).toEqual({ attempts: 6, why: 'exhausted', delays: [10, 7, 30, 21, 63] });
  });

  test('maxAttempts, where given too, caps the sum', () => {
    const policy = policyOf({ maxAttempts: 3, capped: true, on: [ruleOf({ retries: 9 }), ruleOf({ retries: 9 })] });
    expect(after(policy, [{ rule: 0 }, { rule: 1 }, { rule: 0 }])).toMatchObject({ attempts: 3, why: 'exhausted' });
    expect(after(policy, [{ rule: 0 }, {}, { rule: 0 }])).toMatchObject({ attempts: 3, why: 'exhausted' });
  });

  test('a rule without retries, or with the action fail, ends at once', () => {
    expect(after(policyOf({ capped: false, on: [ruleOf({ retries: 0 })] }), [{ rule: 0 }])).toMatchObject({
      attempts: 1,
      why: 'exhausted',
    });
    expect(after(policyOf({ on: [ruleOf({ action: 'fail', retries: 5 })] }), [{ rule: 0 }])).toMatchObject({ why: 'not_retryable' });
  });

  test('a RetryAfterError sets the delay, beyond maxDelay too, and draws on the budget', () => {
    expect(after(policyOf(), failing(9, { retryAfterMs: 3_600_000 }))).toEqual({
      attempts: 3,
      why: 'exhausted',
      delays: [3_600_000, 3_600_000],
    });
    const ruled = policyOf({ capped: false, on: [ruleOf({ retries: 1 })] });
    expect(after(ruled, failing(9, { rule: 0, retryAfterMs: 50 }))).toEqual({ attempts: 2, why: 'exhausted', delays: [50] });
  });

  test('stop where the next one would start after maxElapsed', () => {
    const policy = policyOf({ maxAttempts: 100, factor: 1, maxElapsedMs: 5_000 });
    const at = (elapsed: number) => decideRetry(policy, {}, stateOf({ firstQueuedAt: NOW - elapsed }), NOW, SEED);
    expect(at(4_000)).toMatchObject({ kind: 'retry', dueAt: NOW + 1_000 });
    expect(at(4_001)).toEqual({ kind: 'fail', why: 'exhausted' });
  });

  test('stop with total_timeout where the next one would start after the total deadline', () => {
    const policy = policyOf({ maxAttempts: 100, factor: 1 });
    const at = (elapsed: number, facts: FailureFacts = {}) =>
      decideRetry(policy, facts, stateOf({ firstQueuedAt: NOW - elapsed, totalMs: 5_000 }), NOW, SEED);
    expect(at(4_000)).toMatchObject({ kind: 'retry' });
    expect(at(4_001)).toEqual({ kind: 'fail', why: 'total_timeout' });
    expect(at(0, { retryAfterMs: 5_001 })).toEqual({ kind: 'fail', why: 'total_timeout' });
  });

  test('the last one is exhausted, not out of time', () => {
    expect(decideRetry(policyOf(), {}, stateOf({ counted: 3, totalMs: 1 }), NOW, SEED)).toEqual({ kind: 'fail', why: 'exhausted' });
  });

  test('are never more than the budgets allow, in any sequence of failures, and no list of draws is changed in place', () => {
    const budgets = fc.record({
      maxAttempts: fc.integer({ min: 1, max: 5 }),
      rules: fc.array(fc.nat(3), { maxLength: 3 }),
      capped: fc.boolean(),
    });
    fc.assert(
      fc.property(budgets, fc.array(fc.nat(4), { minLength: 20, maxLength: 30 }), ({ maxAttempts, rules, capped }, sequence) => {
        const policy = policyOf({ maxAttempts, capped, on: rules.map((retries) => ruleOf({ retries })) });
        let draws: readonly number[] = [];
        const drawn = rules.map(() => 0);
        let counted = 0;
        for (const pick of sequence) {
          counted++;
          const rule = pick < rules.length ? pick : undefined;
          const before = JSON.stringify(draws);
          const decision = decideRetry(policy, rule === undefined ? {} : { rule }, stateOf({ counted, draws }), NOW, SEED);
          expect(JSON.stringify(draws)).toBe(before);
          if (decision.kind === 'fail') break;
          if (rule !== undefined) drawn[rule] = (drawn[rule] ?? 0) + 1;
          draws = decision.draws;
        }
        rules.forEach((retries, i) => expect(drawn[i]).toBeLessThanOrEqual(retries));
        if (capped) expect(counted).toBeLessThanOrEqual(maxAttempts);
        expect(counted).toBeLessThanOrEqual(maxAttempts + rules.reduce((sum, retries) => sum + retries, 0));
      }),
    );
  });
});

describe('a rule', () => {
  const rules = [ruleOf({ match: 'RATE' }), ruleOf({ match: null }), ruleOf({ match: 'TypeError' }), ruleOf({ match: null })];

  test('is the first that matches: by code, by name, by predicate', () => {
    expect(matchRule(rules, { code: 'RATE', name: 'TypeError' }, () => true)).toBe(0);
    expect(matchRule(rules, { code: 'X', name: 'TypeError' }, (i) => i === 3)).toBe(2);
    expect(matchRule(rules, { name: 'Error' }, (i) => i === 3)).toBe(3);
    expect(matchRule(rules, {}, () => false)).toBeUndefined();
  });

  test('by predicate is asked only for predicates, and only until one matches', () => {
    const asked: number[] = [];
    matchRule(rules, { code: 'no' }, (i) => asked.push(i) > 0);
    expect(asked).toEqual([1]);
  });
});
