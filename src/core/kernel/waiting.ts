/** The moves of tasks that wait: how a wait begins, what its time and what a wake-up come to (semantics, sections 2 and 5). */
import { decode } from '../values/codec.ts';
import type { GraphNode } from './compile.ts';
import { LAST_INSTANT } from '../duration-text.ts';
import type { SleepTask, WaitTask } from '../graph/graph.ts';
import { judged } from './judging.ts';
import type { EndedTask, TaskFacts, TaskState, WaitingTask } from './run-state.ts';
import type { Reason } from './states.ts';
import { bodyDue, bodyWoken, totalEndOf } from './suspending.ts';
import { bareFacts, endTask, type Turn } from './turn.ts';
import { RunScope } from './values.ts';
import { earliest, keyProblem, type Wait, type Wake } from './waits.ts';

/** A task that is itself a wait leaves `pending`: it waits at once, or ends where there is nothing to wait for. Null: it is no wait. */
export function beginWait(turn: Turn, node: GraphNode, facts: TaskFacts): TaskState | null {
  const { task } = node;
  if (task.kind === 'sleep') return beginSleep(turn, node, task, facts);
  if (task.kind === 'wait') return beginSignal(turn, node, task, facts);
  if (task.kind !== 'approve') return null;
  return waitFor(turn, facts, [{ kind: 'approval', name: null, dueAt: limitOf(turn, task.timeoutMs), since: turn.now }]);
}

function beginSleep(turn: Turn, node: GraphNode, task: SleepTask, facts: TaskFacts): TaskState {
  const dueAt = task.ms === undefined ? instantOf(inputOf(turn, node, facts)) : Math.min(LAST_INSTANT, turn.now + task.ms);
  if (dueAt === null) return refused(turn, node, facts, 'it sleeps until what is no Date that is valid');
  if (dueAt <= turn.now) return endTask(facts, { status: 'success' }, turn.now);
  return waitFor(turn, facts, [{ kind: 'time', name: null, dueAt, since: turn.now }]);
}

function beginSignal(turn: Turn, node: GraphNode, task: WaitTask, facts: TaskFacts): TaskState {
  const key = task.key === undefined ? null : inputOf(turn, node, facts);
  const problem = key === null ? null : keyProblem(key);
  if (task.key !== undefined && key === null) return refused(turn, node, facts, 'the key of its mailbox is null');
  if (problem !== null) return refused(turn, node, facts, `the key of its mailbox ${problem}`);
  const { signal, where, timeoutMs } = task;
  const dueAt = limitOf(turn, timeoutMs);
  const wait = { kind: 'signal', name: null, signal, key: key as string | null, filtered: where === true, dueAt, since: turn.now } as const;
  return waitFor(turn, facts, [wait]);
}

const limitOf = ({ now }: Turn, ms: number | undefined): number | null => (ms === undefined ? null : Math.min(LAST_INSTANT, now + ms));

/** What the task's expression gives, or what a person gave in its place. */
function inputOf({ graph, state }: Turn, node: GraphNode, facts: TaskFacts): unknown {
  return facts.edited === null ? node.input(new RunScope(graph, state)) : decode(facts.edited);
}

function instantOf(value: unknown): number | null {
  const at = value instanceof Date ? value.getTime() : Number.NaN;
  return Number.isNaN(at) ? null : at;
}

function refused(turn: Turn, node: GraphNode, facts: TaskFacts, message: string): EndedTask {
  const error = JSON.stringify({ name: 'WaitError', message });
  return endTask(facts, { status: 'failed', reason: 'definition_error', error, ...judged(turn, node, facts.item) }, turn.now);
}

function waitFor(turn: Turn, facts: TaskFacts, on: readonly Wait[], limit: number | null = null): WaitingTask {
  return { ...bareFacts(facts), status: 'waiting', on, since: turn.now, dueAt: earliest(on, limit) };
}

/** The instant that a waiting task waited for has come; null where it has not. */
export function afterDue(turn: Turn, node: GraphNode, task: WaitingTask): TaskState | null {
  if (task.dueAt === null || task.dueAt > turn.now) return null;
  const total = totalEndOf(node, task.firstQueuedAt);
  if (total !== null && total <= turn.now) {
    return endTask(startedOf(task), { status: 'failed', reason: 'total_timeout', ...judged(turn, node, task.item) }, turn.now);
  }
  if (task.on[0]?.name != null) return bodyDue(turn, node, task);
  return timedOut(turn, node, task);
}

/** The time of a task that is itself a wait is over. Nobody has to decide about an approval that came too late: it is no dead letter. */
function timedOut(turn: Turn, node: GraphNode, task: WaitingTask): EndedTask {
  const kind = task.on[0]?.kind;
  if (kind === 'time' || kind === undefined) return endTask(startedOf(task), { status: 'success' }, turn.now);
  const reason = kind === 'signal' ? 'wait_timeout' : 'approval_timeout';
  if ('onTimeout' in node.task && node.task.onTimeout === 'skip') return endTask(startedOf(task), { status: 'skipped', reason }, turn.now);
  const message = kind === 'signal' ? 'No message came in time.' : 'Nobody answered in time.';
  return failed(turn, node, task, { reason, message, isDead: kind === 'signal' });
}

function failed(
  turn: Turn,
  node: GraphNode,
  task: WaitingTask,
  how: { readonly reason: Reason; readonly message: string; readonly isDead: boolean },
): EndedTask {
  const { allowed, dead } = judged(turn, node, task.item);
  const error = JSON.stringify({ name: 'WaitError', code: how.reason, message: how.message });
  return endTask(startedOf(task), { status: 'failed', reason: how.reason, error, allowed, dead: dead && how.isDead }, turn.now);
}

/** What a task waited for has come; null where it waits for nothing of that name and kind. */
export function afterWake(
  turn: Turn,
  node: GraphNode,
  task: WaitingTask,
  { name, by }: { readonly name: string | null; readonly by: Wake },
): TaskState | null {
  const wait = task.on.find((one) => one.name === name);
  if (wait === undefined) return null;
  if (by.kind === 'broken') {
    const ending = { status: 'failed', reason: 'definition_error', error: by.error, ...judged(turn, node, task.item) } as const;
    return endTask(startedOf(task), ending, turn.now);
  }
  if (by.kind !== wait.kind) return null;
  if (by.kind === 'signal') turn.changes.taken = [...turn.changes.taken, by.message];
  if (wait.name !== null) return by.kind === 'signal' ? bodyWoken(turn, node, task, wait, by.data) : null;
  if (by.kind === 'approval') return answered(turn, node, task, by);
  return endTask(startedOf(task), { status: 'success', output: by.data }, turn.now);
}

function answered(turn: Turn, node: GraphNode, task: WaitingTask, answer: Extract<Wake, { kind: 'approval' }>): EndedTask {
  if (answer.decision === 'approved') return endTask(startedOf(task), { status: 'success', output: answer.output }, turn.now);
  if ('onReject' in node.task && node.task.onReject === 'skip') {
    return endTask(startedOf(task), { status: 'skipped', reason: 'rejected' }, turn.now);
  }
  const message = `Rejected by ${answer.by}${answer.comment === null ? '.' : `: ${answer.comment}`}`;
  return failed(turn, node, task, { reason: 'rejected', message, isDead: false });
}

/** A wait counts as the time in which the task ran. */
export const startedOf = (task: WaitingTask): TaskFacts & { readonly startedAt: number } => ({ ...task, startedAt: task.since });
