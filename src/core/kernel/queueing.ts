import { putNeedy, taskAt } from './changes.ts';
import type { GraphNode } from './compile.ts';
import { recordAttempt } from './failure.ts';
import { judged } from './judging.ts';
import { BadKey, needsAt, ranked, type Need } from '../capacity/needs.ts';
import type { EndedTask, QueuedTask, TaskFacts } from './run-state.ts';
import { endTask, expiryOf, type LimitEvent, type Turn } from './turn.ts';
import { RunScope } from './values.ts';

/** Puts a task's body into the queue with what its claims will take. A key that is none fails it: then its end is returned. */
export function enqueue(turn: Turn, node: GraphNode, facts: TaskFacts): EndedTask | null {
  if (node.needs === null) throw new RangeError(`${node.id} needs nothing`);
  let needs: readonly Need[];
  try {
    needs = needsAt(node.needs, () => new RunScope(turn.graph, turn.state));
  } catch (error) {
    if (!(error instanceof BadKey)) throw error;
    const text = JSON.stringify({ name: 'DefinitionError', message: error.message });
    return endTask(facts, { status: 'failed', reason: 'definition_error', error: text, ...judged(turn, node, facts.item) }, turn.now);
  }
  const queued: QueuedTask = { ...facts, status: 'queued', phase: 'body', next: 'start', expiresAt: expiryOf(node, facts.firstQueuedAt) };
  putNeedy(turn.state, turn.changes, ranked(queued, needs), needs);
  return null;
}

/** The end that a limit means for a task, where it is still what the limit was applied to. */
export function endByLimit(turn: Turn, { node: index, item, token, status, reason, message }: LimitEvent): EndedTask | null {
  const node = turn.graph.nodes[index];
  const task = taskAt(turn.state, index, item);
  if (node === undefined || (task?.status !== 'queued' && task?.status !== 'running')) return null;
  if (task.status === 'queued' ? token !== null : token === null || task.lease?.token !== token) return null;
  const error = JSON.stringify({ name: 'LimitError', code: reason, message });
  if (task.status === 'running') recordAttempt(turn, task, 'cancelled', reason, null);
  if (status === 'cancelled') return endTask(task, { status, reason, error }, turn.now);
  return endTask(task, { status, reason, error, ...judged(turn, node, item) }, turn.now);
}
