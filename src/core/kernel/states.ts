/**
 * States, reasons and transitions: the closed tables of the kernel. `docs/lifecycle.md`, the CHECK constraints of the stores and the
 * journal are compared with them by tests, so that a new state cannot be silently "not done" somewhere.
 */

/** In the order of the numbers that a store keeps: open states first, so that one partial index can hold just them. */
export const TASK_STATUSES = [
  'pending',
  'queued',
  'running',
  'retrying',
  'waiting',
  'success',
  'failed',
  'skipped',
  'upstream_failed',
  'cancelled',
] as const;
export type TaskStatus = (typeof TASK_STATUSES)[number];
export type TerminalStatus = 'success' | 'failed' | 'skipped' | 'upstream_failed' | 'cancelled';

export const isTerminal: Readonly<Record<TaskStatus, boolean>> = {
  pending: false,
  queued: false,
  running: false,
  retrying: false,
  waiting: false,
  success: true,
  failed: true,
  skipped: true,
  upstream_failed: true,
  cancelled: true,
};

export const RUN_STATUSES = [
  'scheduled',
  'queued',
  'running',
  'paused',
  'cancelling',
  'finishing',
  'success',
  'partial',
  'failed',
  'cancelled',
  'skipped',
] as const;
export type RunStatus = (typeof RUN_STATUSES)[number];
export type RunOutcome = 'success' | 'partial' | 'failed' | 'cancelled' | 'skipped';

export const isRunOver: Readonly<Record<RunStatus, boolean>> = {
  scheduled: false,
  queued: false,
  running: false,
  paused: false,
  cancelling: false,
  finishing: false,
  success: true,
  partial: true,
  failed: true,
  cancelled: true,
  skipped: true,
};

/** Why a task or run is where it is, beside its state. */
export const REASONS = [
  'condition',
  'no_match',
  'definition_error',
  'queue_timeout',
  'unsatisfiable',
  'output_invalid',
  'output_too_large',
  'not_storable',
  'error',
  'timeout',
  'heartbeat_timeout',
  'total_timeout',
  'wait_timeout',
  'approval_timeout',
  'rejected',
  'lost',
  'crash_loop',
  'outcome_unknown',
  'not_iterable',
  'duplicate_key',
  'too_many',
  'too_many_failures',
  'key_limit',
  'fail_fast',
  'superseded',
  'deadline',
  'parent',
  'person',
  'stuck',
  'marked_failed',
  'manual',
] as const;
export type Reason = (typeof REASONS)[number];

/** How one attempt ended; `released` is no outcome: the attempt goes on under another claim. */
export const ATTEMPT_OUTCOMES = ['ok', 'error', 'timeout', 'lost', 'cancelled'] as const;
export type AttemptOutcome = (typeof ATTEMPT_OUTCOMES)[number];

export interface Transition<S extends string> {
  readonly from: S | '-';
  readonly event: string;
  readonly to: readonly S[];
}

/** Every edge a task may take. `claim` out of `pending` is queued and claimed in one commit: a local continuation. */
export const TASK_TRANSITIONS: readonly Transition<TaskStatus>[] = [
  { from: '-', event: 'run admitted', to: ['pending', 'queued', 'running'] },
  { from: 'pending', event: 'join says run', to: ['queued'] },
  { from: 'pending', event: 'join says run, claimed in the same commit', to: ['running'] },
  { from: 'pending', event: 'map starts', to: ['running'] },
  { from: 'pending', event: 'map is empty or not valid', to: ['success', 'skipped', 'failed'] },
  { from: 'pending', event: 'a part of a first won', to: ['success'] },
  { from: 'pending', event: 'join says never', to: ['upstream_failed', 'cancelled', 'skipped'] },
  { from: 'queued', event: 'claim', to: ['running'] },
  { from: 'queued', event: 'cache hit', to: ['success'] },
  { from: 'queued', event: 'queue timeout', to: ['failed'] },
  { from: 'queued', event: 'total timeout', to: ['failed'] },
  { from: 'queued', event: 'no limit would ever let it run', to: ['failed'] },
  { from: 'queued', event: 'its key is taken', to: ['failed', 'cancelled'] },
  { from: 'pending', event: 'its key is not valid', to: ['failed'] },
  { from: 'running', event: 'makes room for a newer one of its key', to: ['cancelled'] },
  { from: 'running', event: 'verdict', to: ['running', 'queued', 'success', 'skipped', 'failed'] },
  { from: 'running', event: 'valid output', to: ['success'] },
  { from: 'running', event: 'items done', to: ['success', 'failed'] },
  { from: 'running', event: 'error or timeout', to: ['retrying', 'failed'] },
  { from: 'running', event: 'lease lost', to: ['queued', 'failed'] },
  { from: 'running', event: 'hand-back', to: ['queued', 'failed'] },
  { from: 'retrying', event: 'due', to: ['queued'] },
  { from: 'retrying', event: 'due, claimed in the same commit', to: ['running'] },
  { from: 'pending', event: 'wait begins', to: ['waiting', 'success', 'failed'] },
  { from: 'pending', event: 'child run starts', to: ['waiting'] },
  { from: 'queued', event: 'child run starts', to: ['waiting'] },
  { from: 'running', event: 'input of the child run is valid', to: ['waiting'] },
  { from: 'waiting', event: 'child run ended', to: ['success', 'failed', 'skipped', 'cancelled', 'queued'] },
  { from: 'success', event: 'redrive in the child run', to: ['waiting'] },
  { from: 'failed', event: 'redrive in the child run', to: ['waiting'] },
  { from: 'cancelled', event: 'redrive in the child run', to: ['waiting'] },
  { from: 'waiting', event: 'woken', to: ['queued', 'success', 'failed', 'skipped'] },
  { from: 'waiting', event: 'due', to: ['queued', 'success', 'failed', 'skipped'] },
  { from: 'waiting', event: 'woken or due, claimed in the same commit', to: ['running'] },
  { from: 'running', event: 'waits', to: ['waiting', 'queued'] },
  { from: 'running', event: 'begins anew', to: ['queued'] },
  { from: 'pending', event: 'cancel', to: ['cancelled'] },
  { from: 'queued', event: 'cancel', to: ['cancelled'] },
  { from: 'running', event: 'cancel', to: ['cancelled'] },
  { from: 'retrying', event: 'cancel', to: ['cancelled'] },
  { from: 'waiting', event: 'cancel', to: ['cancelled'] },
  { from: 'success', event: 'redrive or rerun', to: ['pending', 'running'] },
  { from: 'failed', event: 'redrive or rerun', to: ['pending', 'running'] },
  { from: 'skipped', event: 'redrive or rerun', to: ['pending'] },
  { from: 'upstream_failed', event: 'redrive or rerun', to: ['pending'] },
  { from: 'cancelled', event: 'redrive or rerun', to: ['pending', 'running'] },
  { from: 'queued', event: 'an upstream is redriven or rerun', to: ['pending'] },
  { from: 'running', event: 'an upstream is redriven or rerun', to: ['pending'] },
  { from: 'retrying', event: 'an upstream is redriven or rerun', to: ['pending'] },
  { from: 'waiting', event: 'an upstream is redriven or rerun', to: ['pending'] },
  { from: 'failed', event: 'mark success', to: ['success'] },
  { from: 'skipped', event: 'mark success', to: ['success'] },
  { from: 'upstream_failed', event: 'mark success', to: ['success'] },
  { from: 'cancelled', event: 'mark success', to: ['success'] },
  { from: 'success', event: 'left as it is by a redrive', to: ['success'] },
  { from: 'failed', event: 'discard', to: ['failed'] },
  { from: 'pending', event: 'skip', to: ['skipped'] },
  { from: 'queued', event: 'skip', to: ['skipped'] },
  { from: 'retrying', event: 'skip', to: ['skipped'] },
  { from: 'waiting', event: 'skip', to: ['skipped'] },
  { from: 'pending', event: 'fails, its handler is started', to: ['retrying'] },
  { from: 'queued', event: 'fails, its handler is started', to: ['retrying'] },
  { from: 'waiting', event: 'fails, its handler is started', to: ['retrying'] },
  { from: 'retrying', event: 'its handler ends', to: ['failed'] },
];

/** Every edge a run may take. */
export const RUN_TRANSITIONS: readonly Transition<RunStatus>[] = [
  { from: '-', event: 'accepted', to: ['scheduled', 'queued', 'running'] },
  { from: 'scheduled', event: 'due', to: ['running', 'queued'] },
  { from: 'queued', event: 'cancel', to: ['cancelled'] },
  { from: 'queued', event: 'stuck or marked failed', to: ['failed'] },
  { from: 'queued', event: 'its key is taken', to: ['failed', 'cancelled'] },
  { from: 'running', event: 'makes room for a newer one of its key', to: ['cancelled'] },
  { from: 'queued', event: 'pause', to: ['paused'] },
  { from: 'scheduled', event: 'cancel', to: ['cancelled'] },
  { from: 'scheduled', event: 'deadline or marked failed', to: ['failed'] },
  { from: 'running', event: 'last task ended', to: ['success', 'partial', 'failed', 'cancelled'] },
  { from: 'running', event: 'guard says no or fails', to: ['skipped', 'failed'] },
  { from: 'running', event: 'cancel', to: ['cancelled'] },
  { from: 'running', event: 'deadline, stuck or marked failed', to: ['failed'] },
  { from: 'scheduled', event: 'pause', to: ['paused'] },
  { from: 'running', event: 'pause', to: ['paused'] },
  { from: 'paused', event: 'resume', to: ['scheduled', 'queued', 'running'] },
  { from: 'paused', event: 'last task ended', to: ['success', 'partial', 'failed', 'cancelled'] },
  { from: 'paused', event: 'guard says no or fails', to: ['skipped', 'failed'] },
  { from: 'paused', event: 'cancel', to: ['cancelled'] },
  { from: 'paused', event: 'deadline or marked failed', to: ['failed'] },
  { from: 'success', event: 'redrive, rerun or mark', to: ['queued'] },
  { from: 'partial', event: 'redrive, rerun or mark', to: ['queued'] },
  { from: 'failed', event: 'redrive, rerun or mark', to: ['queued'] },
  { from: 'cancelled', event: 'redrive, rerun or mark', to: ['queued'] },
  { from: 'queued', event: 'admitted', to: ['running'] },
  { from: 'running', event: 'outcome fixed, cleans up', to: ['finishing'] },
  { from: 'running', event: 'cancel, deadline or marked failed, cleans up', to: ['cancelling'] },
  { from: 'paused', event: 'cancel, deadline or marked failed, cleans up', to: ['cancelling'] },
  { from: 'finishing', event: 'cleaned up', to: ['success', 'partial', 'failed', 'cancelled'] },
  { from: 'cancelling', event: 'cleaned up', to: ['failed', 'cancelled'] },
  { from: 'finishing', event: 'waits for its own retry', to: ['running'] },
  { from: 'success', event: 'its parent compensates', to: ['finishing'] },
  { from: 'partial', event: 'its parent compensates', to: ['finishing'] },
  { from: 'failed', event: 'redrive of a compensation', to: ['finishing'] },
  { from: 'cancelling', event: 'cleaned up, its place was redriven', to: ['running'] },
];
