import { isEnded, mapChange } from './changes.ts';
import type { GraphNode } from './compile.ts';
import { cancelItem, cancelTask, end } from './ending.ts';
import { closeMap } from './maps.ts';
import { isBeyond } from './judging.ts';
import type { MapState, TaskState } from './run-state.ts';
import type { Turn } from './turn.ts';

/**
 * The failure policy on what is still open (semantics, section 3). Once something has failed that nothing excuses it stays in force, so
 * that what would be tried again after that is not, until a person sends the run on.
 */
export function enforcePolicy(turn: Turn): void {
  const { state, changes, graph } = turn;
  const policy = graph.upkeep?.policy ?? 'continue';
  if (policy === 'continue') return;
  if (turn.hasFailed && !state.flow.tripped) {
    state.flow = { ...state.flow, tripped: true };
    changes.flow = true;
  }
  if (!state.flow.tripped) return;
  for (const node of graph.nodes) {
    const task = state.tasks[node.index];
    if (!node.isCounted || isEnded(task)) continue;
    const map = state.maps.get(node.index);
    if (task?.status === 'running' && map !== undefined) stopMap(turn, node, map, policy === 'abort');
    else if (!isSpared(task, policy === 'abort')) cancelTask(turn, node, 'fail_fast');
  }
}

/** A `catch` handler is never cancelled by policy; under drain an attempt that has begun ends. */
function isSpared(task: TaskState | undefined, aborts: boolean): boolean {
  if (task === undefined || task.status === 'pending') return false;
  if (task.status === 'retrying') return task.dueAt === null;
  return !aborts && !(task.status === 'queued' && task.next === 'start');
}

/** No new item starts. A map that fails by itself fails; one that is only caught up in it is cancelled. */
function stopMap(turn: Turn, node: GraphNode, map: MapState, aborts: boolean): void {
  if (aborts && !isBeyond(turn, node)) {
    cancelTask(turn, node, 'fail_fast');
    return;
  }
  for (const item of map.open.values()) if (!isSpared(item, aborts)) cancelItem(turn, map, item, 'fail_fast');
  mapChange(turn.changes, node.index).stopped = true;
  const ended = closeMap(turn, map);
  if (ended !== null) end(turn, ended);
}
