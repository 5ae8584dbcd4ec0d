import { LAST_INSTANT } from '../duration-text.ts';
import type { RetryData, RetryRuleData } from '../graph/graph.ts';

/** What jitter is derived from, so that the same attempt always waits as long. */
export interface JitterSeed {
  readonly run: number;
  readonly task: number;
  readonly item: number;
  readonly generation: number;
  readonly attempt: number;
}

interface Backoff {
  readonly initialMs: number;
  readonly factor: number;
  readonly maxDelayMs: number;
}

/** The wait before retry number `n` (from 1), in whole milliseconds: finite, at least 1, never above `maxDelayMs`, at any n. */
export function backoffMs(policy: Backoff, n: number, jitter: RetryData['jitter'], seed: JitterSeed): number {
  const cap = Math.max(1, policy.maxDelayMs);
  const grown = policy.initialMs * policy.factor ** (n - 1);
  const d = Math.max(1, Math.min(cap, Number.isFinite(grown) ? grown : cap));
  const low = jitter === 'none' ? d : jitter === 'equal' ? d / 2 : 1;
  const ms = jitter === 'none' ? d : low + (d - low) * unit(seed);
  return Math.min(cap, Math.max(1, Math.round(ms)));
}

/** A number in [0, 1) that depends on every field of the seed. */
export function unit(seed: JitterSeed): number {
  let h = 0x9e3779b9;
  for (const part of [seed.run, seed.run / 0x1_0000_0000, seed.task, seed.item, seed.generation, seed.attempt]) h = mix(h ^ (part | 0));
  return (mix(h) >>> 0) / 0x1_0000_0000;
}

function mix(x: number): number {
  let h = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/** What a failed attempt reports about itself, beside the error. Rules are matched by the worker, which has the predicates. */
export interface FailureFacts {
  /** Index into `retry.on` of the first rule that matched. */
  readonly rule?: number;
  readonly nonRetryable?: boolean;
  /** A `RetryAfterError` asks for this delay; it draws on the budget. */
  readonly retryAfterMs?: number;
  /** What the engine's `classifyError` said, where neither the error nor a rule had decided; its delay stands in `retryAfterMs`. */
  readonly classified?: 'retry' | 'fail';
}

export interface RetryState {
  /** Attempts that count against `maxAttempts` in this generation, the failed one included. */
  readonly counted: number;
  /** How often each rule was drawn on before. */
  readonly draws: readonly number[];
  /** When the task was first queued in this generation. */
  readonly firstQueuedAt: number;
  readonly totalMs: number | undefined;
}

export type RetryDecision =
  | { readonly kind: 'retry'; readonly dueAt: number; readonly draws: readonly number[] }
  | { readonly kind: 'fail'; readonly why: 'exhausted' | 'not_retryable' | 'total_timeout' };

const FAIL = (why: 'exhausted' | 'not_retryable' | 'total_timeout'): RetryDecision => ({ kind: 'fail', why });

/** Another attempt, and when, or the end (semantics, section 6). The first matching rule decides and draws on its own retries. */
export function decideRetry(policy: RetryData, facts: FailureFacts, state: RetryState, now: number, seed: JitterSeed): RetryDecision {
  if (facts.nonRetryable || facts.classified === 'fail') return FAIL('not_retryable');
  const rule = facts.rule === undefined ? undefined : policy.on[facts.rule];
  if (rule?.action === 'fail') return FAIL('not_retryable');
  const drawn = rule === undefined ? 0 : (state.draws[facts.rule ?? 0] ?? 0);
  if (rule !== undefined && drawn >= rule.retries) return FAIL('exhausted');
  if (policy.capped && state.counted >= policy.maxAttempts) return FAIL('exhausted');
  // What rules drew is theirs: it uses up nothing of the policy's own attempts.
  const own = state.counted - state.draws.reduce((sum, one) => sum + one, 0);
  if (rule === undefined && own >= policy.maxAttempts) return FAIL('exhausted');
  const n = rule === undefined ? own : drawn + 1;
  const dueAt = Math.min(LAST_INSTANT, now + (facts.retryAfterMs ?? backoffMs(rule ?? policy, n, policy.jitter, seed)));
  if (policy.maxElapsedMs !== undefined && dueAt > state.firstQueuedAt + policy.maxElapsedMs) return FAIL('exhausted');
  if (state.totalMs !== undefined && dueAt > state.firstQueuedAt + state.totalMs) return FAIL('total_timeout');
  return { kind: 'retry', dueAt, draws: rule === undefined ? state.draws : drawOn(state.draws, facts.rule ?? 0) };
}

function drawOn(draws: readonly number[], index: number): number[] {
  const next = Array.from({ length: Math.max(draws.length, index + 1) }, (_, i) => draws[i] ?? 0);
  next[index] = (next[index] ?? 0) + 1;
  return next;
}

/** Index of the first rule that an error matches; predicates answer through `holds`. A predicate that throws does not match. */
export function matchRule(
  rules: readonly RetryRuleData[],
  error: { readonly code?: string | undefined; readonly name?: string | undefined },
  holds: (index: number) => boolean,
): number | undefined {
  const index = rules.findIndex((rule, i) => (rule.match === null ? holds(i) : rule.match === error.code || rule.match === error.name));
  return index === -1 ? undefined : index;
}
