import { isEnded, mapChange, putTask, setTask } from './changes.ts';
import type { GraphNode } from './compile.ts';
import { recordAttempt } from './failure.ts';
import { judgeRun } from './guard.ts';
import { foldItem } from './maps.ts';
import type { EndedTask, RunningTask, TaskFacts, TaskState } from './run-state.ts';
import type { Reason } from './states.ts';
import { endTask, freshTask, type Turn } from './turn.ts';
import { startedOf } from './waiting.ts';

/** The one way a task or item becomes terminal. */
export function end(turn: Turn, task: EndedTask): void {
  if (turn.graph.nodes[task.node]?.cases === null) putTask(turn.state, turn.changes, task);
  else setTask(turn.state, task);
  if (task.item >= 0) {
    const map = foldItem(turn, task);
    if (map !== null) end(turn, map);
    return;
  }
  if (turn.graph.nodes[task.node]?.cases === null) turn.state.open--;
  judgeRun(turn, task);
  turn.ended.push(task);
}

/** Cancels a task and its items; a map's unstarted items never existed. */
export function cancelTask(turn: Turn, node: GraphNode, reason: Reason): void {
  const { state } = turn;
  const task = state.tasks[node.index];
  if (isEnded(task) || node.cases !== null) return;
  const map = state.maps.get(node.index);
  if (map !== undefined && map.again.length > 0) mapChange(turn.changes, node.index).again -= map.again.splice(0).length;
  for (const item of map?.open.values() ?? []) {
    if (item.status === 'running') recordCancelled(turn, item, reason);
    putTask(state, turn.changes, endTask(begunOf(item), { status: 'cancelled', reason }, turn.now));
  }
  if (task?.status === 'running' && task.lease !== null) recordCancelled(turn, task, reason);
  end(turn, endTask(task === undefined ? freshTask(state, node, turn.now) : begunOf(task), { status: 'cancelled', reason }, turn.now));
}

const begunOf = (task: TaskState): TaskFacts & { readonly startedAt?: number | null } =>
  task.status === 'waiting' ? startedOf(task) : task;

function recordCancelled(turn: Turn, task: RunningTask, reason: Reason): void {
  if (task.phase === 'body') recordAttempt(turn, task, 'cancelled', reason, null);
}
