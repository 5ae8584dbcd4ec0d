import { isEnded, mapChange, putTask, setTask, taskAt } from './changes.ts';
import type { GraphNode } from './compile.ts';
import type { ErrorRecord } from '../errors.ts';
import { recordAttempt } from './failure.ts';
import { judgeRun } from './guard.ts';
import { ALL_ITEMS, letGo, letGoOf, letGoOfCalls } from './letting-go.ts';
import { foldItem } from './maps.ts';
import { isBeyond } from './judging.ts';
import { enqueue } from './queueing.ts';
import type { EndedTask, MapState, RetryingTask, RunningTask, TaskFacts, TaskState } from './run-state.ts';
import type { Reason } from './states.ts';
import { bareFacts, endTask, expiryOf, freshTask, isAllowed, type Turn } from './turn.ts';
import { startedOf } from './waiting.ts';

/** The one way a task or item becomes terminal. A failure that has a `catch` handler is not the end yet. */
export function end(turn: Turn, ending: EndedTask): void {
  const node = turn.graph.nodes[ending.node];
  if (node === undefined) return;
  letGoOfCalls(turn, taskAt(turn.state, ending.node, ending.item));
  if (node.cases !== null) {
    setTask(turn.state, ending);
    turn.ended.push(ending);
    return;
  }
  if (node.serves !== null) {
    endHandler(turn, node, ending);
    return;
  }
  if (isCaught(turn, node, ending)) {
    handle(turn, node, ending);
    return;
  }
  const task = node.compensation >= 0 && ending.status === 'success' ? { ...ending, completion: ++turn.state.completions } : ending;
  putTask(turn.state, turn.changes, task);
  if (task.item >= 0) {
    const map = foldItem(turn, task);
    if (!isAllowed(node) && isBeyond(turn, node)) turn.hasFailed = true;
    if (map !== null) end(turn, map);
    return;
  }
  if (task.status === 'failed' && !task.allowed && !task.handled) turn.hasFailed = true;
  turn.state.open--;
  judgeRun(turn, task);
  turn.ended.push(task);
}

// ---- catch --------------------------------------------------------------------------------------------------------------------------

const isHandling = (task: TaskState | undefined): task is RetryingTask => task?.status === 'retrying' && task.dueAt === null;

function isCaught({ state }: Turn, node: GraphNode, ending: EndedTask): boolean {
  return node.catcher >= 0 && ending.status === 'failed' && ending.item < 0 && !isHandling(state.tasks[node.index]);
}

/** The task stays open while its handler runs, as a task of its own. */
function handle(turn: Turn, node: GraphNode, ending: EndedTask): void {
  const { state, changes } = turn;
  putTask(state, changes, {
    ...bareFacts(ending),
    status: 'retrying',
    dueAt: null,
    reason: ending.reason ?? 'error',
    error: ending.error,
  });
  const handler = turn.graph.nodes[node.catcher];
  if (handler !== undefined) startHandler(turn, handler);
}

/** A handler is queued like any other task; its role decides nothing but when. */
export function startHandler(turn: Turn, node: GraphNode, item = -1): void {
  const { state, changes, now } = turn;
  const before = taskAt(state, node.index, item);
  const queued = {
    ...freshTask(state, node, now),
    item,
    ...(item < 0 ? {} : { attempt: before?.attempt ?? 0, effect: before?.effect ?? 1, edited: before?.edited ?? null }),
    expiresAt: expiryOf(node, now),
  };
  if (node.needs === null) {
    putTask(state, changes, queued);
    return;
  }
  const ended = enqueue(turn, node, queued);
  if (ended !== null) endHandler(turn, node, ended);
}

function endHandler(turn: Turn, node: GraphNode, ending: EndedTask): void {
  const { serves } = node;
  const task = { ...ending, allowed: false, dead: ending.status === 'failed' && serves?.role !== 'catch' };
  putTask(turn.state, turn.changes, task);
  if (serves === null) return;
  if (serves.role === 'teardown' && task.status === 'failed' && serves.failRun) turn.hasFailed = true;
  const served = turn.state.tasks[serves.of];
  if (serves.role !== 'catch' || !isHandling(served)) return;
  const of = turn.graph.nodes[serves.of];
  if (of === undefined) return;
  const handled = task.status === 'success';
  const allowed = isAllowed(of);
  end(
    turn,
    endTask(
      served,
      {
        status: 'failed',
        reason: served.reason,
        error: handled ? served.error : bothErrors(served.error, task),
        output: handled ? task.output : null,
        allowed,
        handled,
        dead: !handled && !allowed,
      },
      turn.now,
    ),
  );
}

/** What the task failed with, and behind the last of its causes what its handler failed with. */
function bothErrors(error: string | null, handler: EndedTask): string | null {
  if (handler.error === null) return error;
  const given = JSON.parse(handler.error) as ErrorRecord;
  const why: ErrorRecord = { ...given, message: `the catch handler failed too: ${given.message}` };
  return JSON.stringify(error === null ? why : withCause(JSON.parse(error) as ErrorRecord, why));
}

const withCause = (error: ErrorRecord, cause: ErrorRecord): ErrorRecord => ({
  ...error,
  cause: error.cause === undefined ? cause : withCause(error.cause, cause),
});

// ---- cancel -------------------------------------------------------------------------------------------------------------------------

/** Cancels a task, its items and its handler; a map's unstarted items never existed. */
export function cancelTask(turn: Turn, node: GraphNode, reason: Reason): void {
  const { state } = turn;
  const task = state.tasks[node.index];
  if (isEnded(task) || node.cases !== null) return;
  const map = state.maps.get(node.index);
  if (task?.status === 'waiting') letGoOf(turn, task);
  if (map !== undefined && node.child !== null) letGo(turn, { node: node.index, item: ALL_ITEMS, generation: state.generation });
  if (map !== undefined) for (const item of map.open.values()) cancelItem(turn, map, item, reason);
  if (task?.status === 'running' && task.lease !== null) recordCancelled(turn, task, reason);
  end(turn, endTask(task === undefined ? freshTask(state, node, turn.now) : begunOf(task), { status: 'cancelled', reason }, turn.now));
  cancelCatcher(turn, node, reason);
}

/** An item that is over although its map goes on, or ends with it. */
export function cancelItem(turn: Turn, map: MapState, item: TaskState, reason: Reason): void {
  const change = mapChange(turn.changes, map.node);
  const at = map.again.indexOf(item.item);
  if (at !== -1) {
    map.again.splice(at, 1);
    change.again--;
  }
  letGoOf(turn, item);
  if (item.status === 'running') recordCancelled(turn, item, reason);
  const cancelled = endTask(begunOf(item), { status: 'cancelled', reason }, turn.now);
  putTask(turn.state, turn.changes, cancelled);
  map.cancelled++;
  change.cancelled++;
  if (map.results !== null) map.results[item.item] = cancelled;
}

const begunOf = (task: TaskState): TaskFacts & { readonly startedAt?: number | null } =>
  task.status === 'waiting' ? startedOf(task) : task;

/** The handler of a task that is over all the same. */
export function cancelCatcher(turn: Turn, node: GraphNode, reason: Reason): void {
  const handler = turn.graph.nodes[node.catcher];
  const running = handler === undefined ? undefined : turn.state.tasks[handler.index];
  if (running === undefined || running.status === 'pending' || isEnded(running)) return;
  letGoOf(turn, running);
  if (running.status === 'running') recordCancelled(turn, running, reason);
  putTask(turn.state, turn.changes, endTask(running, { status: 'cancelled', reason }, turn.now));
}

/** An evaluation has no attempt, nor has a map. */
function recordCancelled(turn: Turn, task: RunningTask, reason: Reason): void {
  if (task.phase === 'body' && task.lease !== null) recordAttempt(turn, task, 'cancelled', reason, null);
}
