/** Places of child runs that are redriven, and what is held back of them while their run is paused. */
import { startChild } from './children.ts';
import { putTask } from './changes.ts';
import type { GraphNode } from './compile.ts';
import { isChecked } from './maps.ts';
import type { QueuedTask, RunState, TaskFacts, WaitingTask } from './run-state.ts';
import { isRunOver } from './states.ts';
import { isCleaningUp } from './stopping.ts';
import { bareFacts, expiryOf, type Turn } from './turn.ts';

/**
 * The place of this run was redriven: what failed or was cancelled here goes on. One that is cleaning up is redriven when that is over; one
 * that does not know yet that it was let go of is not.
 */
export function goOn({ state, changes }: Turn, generation: number, redrive: () => boolean): boolean {
  if (state.parent === null) return false;
  if (isRunOver[state.status]) {
    if (!redrive()) return false;
  } else if (isCleaningUp(state)) {
    state.flow = { ...state.flow, again: true };
    changes.flow = true;
  }
  changes.kin = 'reopened';
  state.parent = { ...state.parent, generation, recalled: false, completion: null };
  return true;
}

/** It goes on for nobody any more. */
export function forgetPlace({ state, changes }: Turn): void {
  if (!state.flow.again) return;
  state.flow = { ...state.flow, again: false };
  changes.flow = true;
}

/** Of the run that its place had nothing can go on: the place begins as one that never had a run. */
export function beginAnew(turn: Turn, node: GraphNode, task: WaitingTask): void {
  if (asksFirst(node, task.item)) {
    const expiresAt = expiryOf(node, turn.now);
    putTask(turn.state, turn.changes, { ...bareFacts(task), status: 'queued', phase: 'evaluate', next: 'start', expiresAt });
  } else if (turn.state.status === 'paused') hold(turn, node, task, {});
  else startChild(turn, node, bareFacts(task));
}

/** Before a child starts, a worker that has the code asks its predicate and checks its input. That of a map is asked for the map. */
export function asksFirst(node: GraphNode, item = -1): boolean {
  if (item >= 0) return isChecked(node);
  const { task } = node;
  return ('when' in task && task.when === true) || (task.kind === 'child' && task.checked === true);
}

/** While the run is paused its child does not start. `given`: its input, as a worker has checked it. */
export function hold(
  turn: Turn,
  node: GraphNode,
  facts: TaskFacts,
  how: { readonly given?: string | null; readonly goesOn?: boolean },
): void {
  putTask(turn.state, turn.changes, {
    ...bareFacts(facts),
    status: 'queued',
    phase: 'body',
    next: how.goesOn === true ? 'return' : 'start',
    expiresAt: expiryOf(node, turn.now),
    ...(how.given == null ? {} : { given: how.given }),
  });
}

/** Child runs that were held back while the run was paused. */
export function startHeld(turn: Turn): void {
  const { graph, state } = turn;
  for (const node of graph.nodes) {
    if (node.child === null) continue;
    const task = state.tasks[node.index];
    if (isHeld(task)) startOne(turn, node, task);
    for (const item of state.maps.get(node.index)?.open.values() ?? []) if (isHeld(item)) startOne(turn, node, item);
  }
}

const isHeld = (task: RunState['tasks'][number]): task is QueuedTask => task?.status === 'queued' && task.phase === 'body';

function startOne(turn: Turn, node: GraphNode, task: QueuedTask): void {
  if (task.next === 'return') startChild(turn, node, task, { goesOn: true });
  else if (wasChecked(node, task.item)) startChild(turn, node, task, { input: task.given ?? null });
  else startChild(turn, node, task);
}

const wasChecked = (node: GraphNode, item: number): boolean =>
  item >= 0 ? isChecked(node) : node.task.kind === 'child' && node.task.checked === true;
