/** The moves of tasks that wait: how a wait begins, what its time and what a wake-up come to (semantics, sections 2 and 5). */
import { decode } from './codec.ts';
import type { GraphNode } from './compile.ts';
import { LAST_INSTANT } from './duration-text.ts';
import type { SleepTask } from './graph.ts';
import { judged } from './judging.ts';
import type { EndedTask, QueuedTask, TaskFacts, TaskState, WaitingTask } from './run-state.ts';
import { bareFacts, contractOf, endTask, type Turn } from './turn.ts';
import { RunScope } from './values.ts';
import { earliest, type Wait, type Wake } from './waits.ts';

/** A task that is itself a wait leaves `pending`: it waits at once, or ends where there is nothing to wait for. Null: it is no wait. */
export function beginWait(turn: Turn, node: GraphNode, facts: TaskFacts): TaskState | null {
  if (node.task.kind !== 'sleep') return null;
  return beginSleep(turn, node, node.task, facts);
}

function beginSleep(turn: Turn, node: GraphNode, task: SleepTask, facts: TaskFacts): TaskState {
  const dueAt = task.ms === undefined ? instantOf(inputOf(turn, node, facts)) : Math.min(LAST_INSTANT, turn.now + task.ms);
  if (dueAt === null) return refused(turn, node, facts, 'it sleeps until what is no Date that is valid');
  if (dueAt <= turn.now) return endTask(facts, { status: 'success' }, turn.now);
  return waitFor(turn, facts, [{ kind: 'time', name: null, dueAt }]);
}

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
  return endTask(startedOf(task), { status: 'success' }, turn.now);
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
    return endTask(
      startedOf(task),
      { status: 'failed', reason: 'definition_error', error: by.error, ...judged(turn, node, task.item) },
      turn.now,
    );
  }
  if (by.kind !== wait.kind) return null;
  if (wait.name !== null) return resumption(node, task);
  return endTask(startedOf(task), { status: 'success', output: by.kind === 'signal' ? by.data : by.output }, turn.now);
}

/** A wait counts as the time in which the task ran. */
export const startedOf = (task: WaitingTask): TaskFacts & { readonly startedAt: number } => ({ ...task, startedAt: task.since });

/** The attempt goes on where it stopped: its body runs again, with its records. */
export function resumption(node: GraphNode, task: WaitingTask): QueuedTask {
  return { ...bareFacts(task), status: 'queued', phase: 'body', next: 'resume', expiresAt: totalEndOf(node, task.firstQueuedAt) };
}

export const totalEndOf = (node: GraphNode, firstQueuedAt: number): number | null => {
  const totalMs = contractOf(node)?.timeout.totalMs;
  return totalMs === undefined ? null : Math.min(LAST_INSTANT, firstQueuedAt + totalMs);
};
