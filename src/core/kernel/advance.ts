import { move, noChanges, putTask, type Changes } from './changes.ts';
import type { CompiledGraph } from './compile.ts';
import { timeoutFrom } from './gates.ts';
import { takeItems } from './maps.ts';
import { isUntouched } from './moving.ts';
import { replay } from './replay.ts';
import { NumberMap } from './number-map.ts';
import { emptyRunState, type RunFacts, type RunState } from './run-state.ts';
import { supersedeLosers } from './superseding.ts';
import { endTask, freshTask, isAdmitted, type KernelSettings, type RunEvent, type Turn } from './turn.ts';
import { admitted, decideRoots, followUp, decide } from './deciding.ts';
import { apply } from './applying.ts';

/** Accepts a run: its roots are decided at once unless it starts later. */
export function openRun(
  graph: CompiledGraph,
  facts: RunFacts,
  now: number,
  settings: KernelSettings,
): { state: RunState; changes: Changes } {
  const state = emptyRunState(graph, facts);
  const changes = noChanges();
  if (state.status !== 'scheduled') {
    const turn = newTurn(graph, state, changes, now, settings);
    admitted(turn);
    decideRoots(turn);
    followUp(turn);
  }
  return { state, changes };
}

/** A run that takes over what these tasks of another one gave; their maps come with their items. */
export function openFork(
  graph: CompiledGraph,
  facts: RunFacts,
  taken: { readonly donor: RunState; readonly nodes: readonly number[] },
  now: number,
  settings: KernelSettings,
): { state: RunState; changes: Changes } {
  const state = emptyRunState(graph, facts);
  const changes = noChanges();
  const turn = newTurn(graph, state, changes, now, settings);
  for (const index of taken.nodes) takeOver(turn, taken.donor, index);
  replay(graph, state);
  admitted(turn);
  // The losers of what was won then are not begun anew.
  supersedeLosers(turn);
  for (const node of graph.nodes) decide(turn, node);
  followUp(turn);
  return { state, changes };
}

function takeOver({ graph, state, changes, now }: Turn, donor: RunState, index: number): void {
  const node = graph.nodes[index];
  const task = donor.tasks[index];
  if (node === undefined || task?.status !== 'success') return;
  const map = donor.maps.get(index);
  if (map !== undefined) state.maps.set(index, { ...map, open: new NumberMap(), again: [], results: map.results?.slice() ?? null });
  const ending = { status: task.status, output: task.output, partial: task.partial } as const;
  putTask(state, changes, { ...endTask({ ...freshTask(state, node, now), edited: task.edited }, ending, now), cached: true });
}

/**
 * Decides what the events come to, in their order: outcome, retry, joins to a fixed point, outcome of the run (semantics, section 3).
 * Changes `state` in place; on an exception, or when the changes were not committed, the state is void.
 */
export function advance(
  graph: CompiledGraph,
  state: RunState,
  events: readonly RunEvent[],
  now: number,
  settings: KernelSettings,
): Changes {
  const changes = noChanges();
  const turn = newTurn(graph, state, changes, now, settings);
  events.forEach((event, i) => {
    if (!apply(turn, event)) changes.refused.push(i);
    else followUp(turn);
  });
  return changes;
}

/**
 * What follows when a run goes on under another graph (moving.ts): `state` is of that graph, and every join in it is decided anew. A run that
 * nobody has claimed yet stays so where its roots need nothing but a free slot.
 */
export function advanceMoved(graph: CompiledGraph, state: RunState, now: number, settings: KernelSettings, hadKey = false): Changes {
  const changes = noChanges();
  const turn = newTurn(graph, state, changes, now, settings);
  turn.freed = true;
  const isNew = isUntouched(state) && isAdmitted(state);
  const waits = isUntouched(state) && (graph.plainRoots !== null || !isAdmitted(state));
  replay(graph, state);
  const isLetIn = hadKey && graph.gate === null && leaveGate(turn);
  if (waits && !isLetIn) return changes;
  // Nobody had claimed it: under a graph that calls no hook it was admitted without a trace.
  if (isNew && !isLetIn) admitted(turn);
  for (const node of graph.nodes) decide(turn, node);
  followUp(turn);
  return changes;
}

/** Its version has no key any more: it gives up the one that it holds, or waits for none. True where that lets it in. */
function leaveGate(turn: Turn): boolean {
  const { state, changes, graph, now } = turn;
  // A paused run keeps its place, and is let in by it when it is resumed.
  if (state.status === 'paused') return false;
  changes.gate = { kind: 'leave' };
  if (state.status !== 'queued') return false;
  move(turn, 'running');
  state.deadlineAt = timeoutFrom(graph, now);
  admitted(turn);
  return true;
}

/** More events, in changes that are not committed yet; true where all were taken. */
export function advanceMore(
  graph: CompiledGraph,
  state: RunState,
  changes: Changes,
  events: readonly RunEvent[],
  now: number,
  settings: KernelSettings,
): boolean {
  const turn = newTurn(graph, state, changes, now, settings);
  let taken = 0;
  for (const event of events) {
    if (!apply(turn, event)) continue;
    taken++;
    followUp(turn);
  }
  return taken === events.length;
}

/** Starts more items of a map, in changes that are not committed yet. */
export function takeMore(
  graph: CompiledGraph,
  state: RunState,
  changes: Changes,
  what: { readonly node: number; readonly count: number; readonly now: number; readonly settings: KernelSettings },
): void {
  if (what.count > 0) takeItems(newTurn(graph, state, changes, what.now, what.settings), what.node, what.count);
}

const newTurn = (graph: CompiledGraph, state: RunState, changes: Changes, now: number, settings: KernelSettings): Turn => ({
  graph,
  state,
  changes,
  now,
  settings,
  ended: [],
  racing: null,
  freed: false,
  hasFailed: false,
  followed: changes.tasks.length,
  kin: null,
});
