import { tryDurationMs, type Duration } from '../core/duration.ts';
import { RetryAfterError } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import { shown } from '../core/graph/problems.ts';
import type { FailureFacts } from '../core/kernel/retry.ts';
import type { Attempt } from './attempt.ts';

/** Of which attempt an error is. */
export interface ErrorFacts {
  readonly runId: string;
  readonly workflow: string;
  /** The task's id in the graph. */
  readonly task: string;
  /** Index of a map's item. */
  readonly item?: number;
  readonly attempt: number;
}

export type ErrorVerdict = 'retry' | 'fail' | { readonly retryAfter: Duration | Date };

export type ClassifyError = (error: unknown, facts: ErrorFacts) => ErrorVerdict | undefined;

interface Failed {
  readonly attempt: Attempt;
  readonly error: unknown;
  readonly now: number;
  readonly logger: Logger;
}

/** What the function says, as the kernel takes it; one that is of no use is as if there were none. */
export function classified(classify: ClassifyError, { attempt, error, now, logger }: Failed): FailureFacts {
  let verdict: unknown;
  try {
    verdict = classify(error, factsOf(attempt));
  } catch (thrown) {
    logger.error('classifyError threw: the error is treated as without it', { ...attempt.facts, error: String(thrown) });
    return {};
  }
  if (verdict === undefined) return {};
  if (verdict === 'retry' || verdict === 'fail') return { classified: verdict };
  const after = afterOf(verdict);
  if (after !== null) return { classified: 'retry', retryAfterMs: Math.max(1, new RetryAfterError(after).delayMs(now)) };
  logger.error(`classifyError must give 'retry', 'fail', { retryAfter } or undefined, not ${shown(verdict)}`, attempt.facts);
  return {};
}

function factsOf({ runId, id, known, task }: Attempt): ErrorFacts {
  return { runId, workflow: known.stored.workflow, task: id, attempt: task.attempt, ...(task.item < 0 ? {} : { item: task.item }) };
}

function afterOf(verdict: unknown): Duration | Date | null {
  if (typeof verdict !== 'object' || verdict === null || !('retryAfter' in verdict)) return null;
  const { retryAfter } = verdict;
  if (retryAfter instanceof Date) return Number.isNaN(retryAfter.getTime()) ? null : retryAfter;
  return tryDurationMs(retryAfter) === null ? null : (retryAfter as Duration);
}
