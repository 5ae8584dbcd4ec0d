/** Compensations: what succeeded in a run is undone, what succeeded last first, its child runs with the rest (semantics, section 3). */
import { isEnded, isUnderway, move } from './changes.ts';
import type { KinFacts } from './children.ts';
import type { CompiledGraph } from './compile.ts';
import { startHandler } from './ending.ts';
import { decideOutcome } from './outcome.ts';
import { endedItem } from './reset.ts';
import { COMPENSATE_ON } from './roles.ts';
import type { EndedTask, RunState, TaskState, Undoable, Undoing } from './run-state.ts';
import { isRunOver } from './states.ts';
import type { Turn } from './turn.ts';

const NO_KIN: KinFacts = { open: null, due: null, incomplete: false };
const NONE: readonly number[] = [];

/** One compensation at a time. True while one is open, or a child run has not cleaned up yet. */
export function compensates(turn: Turn): boolean {
  const { state, changes } = turn;
  const { compensated, called } = state.flow;
  if (!compensated && !isCompensated(turn)) return false;
  const own = nextOwn(turn);
  if (own === 'open' || changes.undo !== null) return true;
  if (own === null && !compensated && (called ?? 0) === 0) return false;
  const kin = called === null ? NO_KIN : turn.kin;
  if (kin === null) {
    // A paused run asks nothing of others; it goes on when it is resumed.
    changes.asksKin = state.status !== 'paused';
    return true;
  }
  if (own === null && kin.due === null && !(compensated && kin.open !== null)) return false;
  begin(turn);
  if (kin.open !== null) {
    if (!kin.open.isAsked) changes.undo = kin.open.run;
  } else if (kin.due !== null && (own === null || kin.due.completion > own.completion)) changes.undo = kin.due.run;
  else if (own !== null) undoOwn(turn, own);
  return true;
}

function undoOwn(turn: Turn, own: Undoable): void {
  const { state, graph } = turn;
  const handler = graph.nodes[own.handler];
  if (state.undo !== null) state.undo.open = own;
  state.undo?.left.pop();
  if (handler !== undefined) startHandler(turn, handler, own.item);
}

/** Whether what the run comes to is undone, and there is anything that could be. */
function isCompensated({ graph, state }: Turn): boolean {
  if ((graph.upkeep?.compensations ?? NONE).length === 0 && (state.flow.called ?? 0) === 0) return false;
  const { status } = decideOutcome(graph, state);
  return (status === 'failed' || status === 'cancelled') && (graph.upkeep?.compensateOn ?? COMPENSATE_ON).includes(status);
}

function begin({ state, changes }: Turn): void {
  if (state.flow.compensated) return;
  state.flow = { ...state.flow, compensated: true };
  changes.flow = true;
}

/** A run that was over goes on for its compensations alone. */
export function reopenCleanup(turn: Turn): void {
  const { state, changes } = turn;
  state.flow = { ...state.flow, compensated: true, reopened: true };
  changes.flow = true;
  state.resumeTo = null;
  move(turn, 'finishing');
}

/** What of the run's own succeeded last and is not undone yet. */
function nextOwn({ graph, state }: Turn): Undoable | 'open' | null {
  state.undo ??= undoing(graph, state);
  const { left, open } = state.undo;
  return open !== null && !isEnded(rowOf(state, open)) ? 'open' : (left.at(-1) ?? null);
}

const rowOf = (state: RunState, { handler, item }: Undoable): TaskState | undefined =>
  item < 0 ? state.tasks[handler] : state.served.get(handler)?.get(item);

/** Everything that succeeded here and can be undone, but for what has been. What was taken over from another run is that run's. */
function undoing(graph: CompiledGraph, state: RunState): Undoing {
  const left: Undoable[] = [];
  let open: Undoable | null = null;
  const add = (task: EndedTask | undefined, handler: number, item: number): void => {
    if (task?.status !== 'success' || task.completion === null) return;
    const one = { handler, item, completion: task.completion };
    const row = rowOf(state, one);
    if (!isUnderway(row)) left.push(one);
    else if (!isEnded(row)) open = one;
  };
  for (const handler of graph.upkeep?.compensations ?? NONE) {
    const of = graph.nodes[handler]?.serves?.of ?? -1;
    const map = state.maps.get(of);
    const task = state.tasks[of];
    if (map !== undefined) for (let item = 0; item < map.next; item++) add(endedItem(map, item), handler, item);
    else if (graph.nodes[of]?.task.kind !== 'map' && isEnded(task)) add(task, handler, -1);
  }
  left.sort((a, b) => a.completion - b.completion);
  return { left, open };
}

/** Whether something was left that could not be undone, here or in a child run. */
export const isIncomplete = ({ graph, state, kin }: Turn): boolean =>
  kin?.incomplete === true || compensationRows(graph, state).some((row) => isEnded(row) && row.status !== 'success');

export const compensationRows = (graph: CompiledGraph, state: RunState): TaskState[] =>
  (graph.upkeep?.compensations ?? NONE).flatMap((node) => [state.tasks[node] ?? [], ...(state.served.get(node)?.values() ?? [])].flat());

/** What a child run says of itself to a parent that compensates. */
export function kinFacts(children: readonly RunState[], rest: KinFacts): KinFacts {
  let { open, due, incomplete } = rest;
  for (const { run, parent, status, flow } of children) {
    if (parent === null || parent.kind === 'detached' || parent.kind === 'hooks') continue;
    if (!isRunOver[status]) open ??= { run, isAsked: !parent.recalled };
    else if (parent.completion !== null && (due === null || parent.completion > due.completion))
      due = { run, completion: parent.completion };
    if (isRunOver[status] && flow.incomplete) incomplete = true;
  }
  return { open, due, incomplete };
}
