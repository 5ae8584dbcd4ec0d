import { isEnded, isUnderway, mapChange } from './changes.ts';
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
  const begun = takeBack(turn);
  for (const node of graph.nodes) {
    const task = state.tasks[node.index];
    if (!node.isCounted || isEnded(task)) continue;
    const map = state.maps.get(node.index);
    if (task?.status === 'running' && map !== undefined) stopMap(turn, node, map, { aborts: policy === 'abort', begun });
    else if (!isSpared(task, policy === 'abort', begun)) cancelTask(turn, node, 'fail_fast');
  }
}

/**
 * Waits that began in the joins behind the failure: the policy meets them as it meets what was queued there, and the runs that they would have
 * waited for do not start.
 */
function takeBack({ changes, followed }: Turn): ReadonlySet<TaskState> {
  const begun = new Set<TaskState>();
  for (const { from, to } of changes.tasks.slice(followed)) if (to.status === 'waiting' && !isUnderway(from)) begun.add(to);
  const isBack = new Set([...begun].map(({ node, item }) => `${node}:${item}`));
  if (isBack.size > 0) changes.children = changes.children.filter(({ node, item }) => !isBack.has(`${node}:${item}`));
  return begun;
}

/** A `catch` handler is never cancelled by policy; under drain an attempt that has begun ends. */
function isSpared(task: TaskState | undefined, aborts: boolean, begun: ReadonlySet<TaskState>): boolean {
  if (task === undefined || begun.has(task) || task.status === 'pending') return false;
  if (task.status === 'retrying') return task.dueAt === null;
  return !aborts && !(task.status === 'queued' && task.next === 'start');
}

/** No new item starts. A map that fails by itself fails; one that is only caught up in it is cancelled. */
function stopMap(
  turn: Turn,
  node: GraphNode,
  map: MapState,
  { aborts, begun }: { readonly aborts: boolean; readonly begun: ReadonlySet<TaskState> },
): void {
  if (aborts && !isBeyond(turn, node)) {
    cancelTask(turn, node, 'fail_fast');
    return;
  }
  for (const item of map.open.values()) if (!isSpared(item, aborts, begun)) cancelItem(turn, map, item, 'fail_fast');
  mapChange(turn.changes, node.index).stopped = true;
  const ended = closeMap(turn, map);
  if (ended !== null) end(turn, ended);
}
