import type { GraphNode } from './compile.ts';
import { LAST_INSTANT } from '../duration-text.ts';
import { decideRetry, type RetryDecision } from './retry.ts';
import type { EndedTask, QueuedTask, RetryingTask, RunningTask, TaskFacts, TaskState } from './run-state.ts';
import type { AttemptOutcome, Reason } from './states.ts';
import { judged } from './judging.ts';
import { contractOf, endTask, type Outcome, type Turn } from './turn.ts';

type Failure = Extract<Outcome, { kind: 'error' | 'timeout' | 'refused' }>;

/** An attempt that failed: recorded, and tried again where the policy has attempts and time left. */
export function afterFailure(turn: Turn, node: GraphNode, task: RunningTask, failure: Failure): RetryingTask | EndedTask {
  const isPredicate = task.phase === 'evaluate' && !(failure.kind === 'refused' && failure.reason === 'error');
  const reason: Reason = isPredicate ? 'definition_error' : failure.kind === 'error' ? 'error' : failure.reason;
  if (task.phase === 'body') recordAttempt(turn, task, failure.kind === 'timeout' ? 'timeout' : 'error', reason, failure.error);
  const decision = retryDecision(turn, node, task, failure);
  if (decision.kind === 'retry') {
    return { ...factsOf(task), draws: decision.draws, status: 'retrying', dueAt: decision.dueAt, reason, error: failure.error };
  }
  const final = isUnknown(node, task, failure) ? 'outcome_unknown' : decision.why === 'total_timeout' ? 'total_timeout' : reason;
  return endTask(task, { status: 'failed', reason: final, error: failure.error, ...judged(turn, node, task.item) }, turn.now);
}

function retryDecision(turn: Turn, node: GraphNode, task: RunningTask, failure: Failure): RetryDecision {
  const contract = contractOf(node);
  const over: RetryDecision = { kind: 'fail', why: 'not_retryable' };
  if (contract === null || task.phase === 'evaluate' || failure.kind === 'refused' || isUnknown(node, task, failure)) return over;
  if (failure.kind === 'timeout' && failure.reason === 'total_timeout') return { kind: 'fail', why: 'total_timeout' };
  const seed = { run: turn.state.run, task: task.node, item: task.item, generation: task.generation, attempt: task.attempt };
  const facts = failure.kind === 'error' ? failure.facts : {};
  const state = {
    counted: task.begun - task.losses,
    draws: task.draws,
    firstQueuedAt: task.firstQueuedAt,
    totalMs: contract.timeout.totalMs,
  };
  return decideRetry(contract.retry, facts, state, turn.now, seed);
}

/** Semantics, section 2: after an `unsafe` body began, only these ends are known: a refusal by the body itself, or a rule that says retry. */
function isUnknown(node: GraphNode, task: RunningTask, failure: Failure): boolean {
  const contract = contractOf(node);
  if (contract?.effects !== 'unsafe' || task.phase === 'evaluate') return false;
  if (failure.kind === 'timeout') return true;
  if (failure.kind === 'refused') return false;
  const { facts } = failure;
  const rule = facts.rule === undefined ? undefined : contract.retry.on[facts.rule];
  // What an engine makes of all errors says nothing of whether this body had its effect.
  const saysItself = facts.nonRetryable === true || (facts.retryAfterMs !== undefined && facts.classified === undefined);
  return !saysItself && rule?.action !== 'retry';
}

/** Hand-backs are free nine times; the tenth, and every lease that was lost, draws on `maxLost`. */
export function afterLoss(
  turn: Turn,
  node: GraphNode,
  task: RunningTask,
  outcome: Extract<Outcome, { kind: 'lost' | 'released' }>,
): TaskState {
  const began = outcome.kind === 'lost' || outcome.began;
  if (task.phase === 'body' && began && contractOf(node)?.effects === 'unsafe') {
    recordAttempt(turn, task, 'lost', 'outcome_unknown', null);
    return endTask(task, { status: 'failed', reason: 'outcome_unknown', ...judged(turn, node, task.item) }, turn.now);
  }
  if (outcome.kind === 'released') return handedBack(turn, node, task, outcome);
  return lost(turn, node, task, outcome.crashed);
}

const FREE_HAND_BACKS = 9;

function handedBack(turn: Turn, node: GraphNode, task: RunningTask, outcome: Extract<Outcome, { kind: 'released' }>): TaskState {
  const handBacks = task.handBacks + (outcome.began && task.phase === 'body' ? 1 : 0);
  if (handBacks > FREE_HAND_BACKS) return lost(turn, node, { ...task, handBacks: 0 }, false);
  return {
    ...factsOf(task),
    handBacks,
    ranMs: task.ranMs + outcome.ranMs,
    ...queued(node, task, task.resumed === true ? 'resume' : 'return'),
  };
}

function lost(turn: Turn, node: GraphNode, task: RunningTask, crashed: boolean): TaskState {
  const next = { ...task, losses: task.losses + (task.phase === 'body' ? 1 : 0), crashes: task.crashes + (crashed ? 1 : 0) };
  // An evaluation has no attempt to lose, yet a predicate that kills its worker must end too: its crashes are counted alone.
  const spent = task.phase === 'body' ? next.losses : next.crashes;
  const reason: Reason = next.crashes >= spent ? 'crash_loop' : 'lost';
  if (task.phase === 'body')
    recordAttempt(turn, task, 'lost', reason === 'crash_loop' && spent < turn.settings.maxLost ? 'lost' : reason, null);
  if (spent >= turn.settings.maxLost) return endTask(next, { status: 'failed', reason, ...judged(turn, node, task.item) }, turn.now);
  return { ...factsOf(next), ...queued(node, task, 'start') };
}

function queued(node: GraphNode, task: RunningTask, next: QueuedTask['next']): Pick<QueuedTask, 'status' | 'phase' | 'next' | 'expiresAt'> {
  const totalMs = contractOf(node)?.timeout.totalMs;
  return {
    status: 'queued',
    phase: task.phase,
    next,
    expiresAt: totalMs === undefined ? null : Math.min(LAST_INSTANT, task.firstQueuedAt + totalMs),
  };
}

function factsOf(task: RunningTask): TaskFacts {
  const { status: _, phase: __, lease: ___, startedAt: ____, resumed: _____, ...facts } = task;
  return facts;
}

export function recordAttempt(
  turn: Turn,
  task: RunningTask,
  outcome: Exclude<AttemptOutcome, 'ok'>,
  reason: Reason,
  error: string | null,
): void {
  turn.changes.attempts.push({
    node: task.node,
    item: task.item,
    generation: task.generation,
    attempt: task.attempt,
    outcome,
    reason,
    error,
    worker: task.lease?.worker ?? 0,
    startedAt: task.startedAt,
    endedAt: turn.now,
  });
}
