import { waitingOn } from './children.ts';
import { reopenCleanup } from './compensating.ts';
import { isEnded, mapChange, putTask, taskAt } from './changes.ts';
import { recordAttempt } from './failure.ts';
import { asksForKey, enterGate, timeoutFrom } from './gates.ts';
import { letGoOf } from './letting-go.ts';
import { replay } from './replay.ts';
import { endedItem, type ResetPlan, type ResetRequest, type ResetTarget, type ResetWhy } from './reset.ts';
import { flowText } from './run-flow.ts';
import { NO_FLOW } from './run-state.ts';
import type { MapState, PendingTask, RunningTask, TaskFacts, TaskState } from './run-state.ts';
import { isRunOver } from './states.ts';
import { bareFacts, endTask, type Turn } from './turn.ts';
import { isWhole } from './values.ts';

/**
 * Applies a plan: a new generation of the run, in which the reset tasks are pending, and everything derived from tasks is derived anew. The
 * caller decides the pending tasks afterwards, as when a run is admitted.
 */
export function applyReset(turn: Turn, request: ResetRequest, plan: ResetPlan): void {
  const { state, changes, graph, now } = turn;
  const targets = new Map(request.targets.map((target) => [key(target.node, target.item), target]));
  if (state.flow.compensated) {
    undoAgain(turn, request, plan, targets);
    return;
  }
  const maps = new Set<number>();
  changes.reset = plan;
  const before = flowText(state);
  if (state.flow.tripped)
    for (const map of state.maps.values()) if (!isEnded(state.tasks[map.node])) mapChange(changes, map.node).reopened = true;
  state.undo = null;
  state.flow = { ...NO_FLOW, shares: state.flow.shares, called: state.flow.called, unstarted: state.flow.unstarted };
  state.generation = plan.generation;
  for (const { node, item, why } of plan.tasks) {
    const target = targets.get(key(node, item));
    if (item >= 0 || why === 'around') maps.add(node);
    if (item >= 0) resetItem(turn, request, { node, item, why }, target);
    else if (why === 'around') goOn(turn, node);
    else resetTask(turn, request, { node, why }, target);
  }
  for (const node of maps) {
    recount(turn, node);
    state.maps.get(node)?.again.sort((a, b) => a - b);
  }
  for (const { node } of plan.kept) {
    const task = state.tasks[node];
    if (isEnded(task) && !task.stale) putTask(state, changes, { ...task, stale: true });
  }
  reopen(turn);
  if (flowText(state) !== before) changes.flow = true;
  state.values.clear();
  if (graph.graph.timeoutMs !== undefined) state.deadlineAt = state.status === 'queued' ? null : timeoutFrom(graph, now);
  replay(graph, state);
}

/** Compensations that could not undo their task try again; nothing else of the run is touched. */
function undoAgain(turn: Turn, request: ResetRequest, plan: ResetPlan, targets: ReadonlyMap<string, ResetTarget>): void {
  const { state, changes } = turn;
  changes.reset = plan;
  state.undo = null;
  state.generation = plan.generation;
  for (const { node, item, why } of plan.tasks) {
    const row = taskAt(state, node, item);
    if (row !== undefined) putTask(state, changes, restarted({ turn, request, why }, row, targets.get(key(node, item))));
  }
  if (!isRunOver[state.status]) return;
  reopenCleanup(turn);
  if (state.parent !== null) changes.kin = 'undone_again';
}

const key = (node: number, item: number): string => `${node}:${item}`;

interface Doing {
  readonly turn: Turn;
  readonly request: ResetRequest;
  readonly why: ResetWhy;
}

/** In its new generation nothing has happened to the task yet; attempts go on counting over its life. */
function again({ turn, request, why }: Doing, task: TaskState, target: ResetTarget | undefined): TaskFacts {
  const { node, item, attempt, rank, effect } = task;
  // What is given by hand stands for what upstreams gave: it goes when they are done over.
  const keepsInput = why !== 'downstream' && why !== 'lost_the_race' && why !== 'ran_on_the_failure';
  const isDoneOver = task.status === 'success' || target?.edited !== undefined || (item < 0 && turn.state.maps.has(node));
  return {
    node,
    item,
    generation: turn.state.generation,
    attempt,
    begun: 0,
    losses: 0,
    crashes: 0,
    handBacks: 0,
    draws: [],
    ranMs: 0,
    rank,
    firstQueuedAt: turn.now,
    effect: effect + (isDoneOver && !request.sameKey ? 1 : 0),
    edited: target?.edited ?? (keepsInput ? task.edited : null),
  };
}

/** Where a reset leads: a mark ends the task at once, everything else begins again. */
function restarted(doing: Doing, task: TaskState, target: ResetTarget | undefined): TaskState {
  const facts = again(doing, task, target);
  if (doing.request.kind === 'mark' && target !== undefined) {
    const { state, graph, now } = doing.turn;
    const made = endTask(facts, { status: 'success', reason: 'manual', output: target.output ?? null }, now);
    // What a person says was done is undone with the rest.
    const isUndone = (graph.nodes[task.node]?.compensation ?? -1) >= 0;
    return isUndone ? { ...made, completion: ++state.completions } : made;
  }
  if (isSameWork(doing, target) && mayHaveRecords(task)) keepCalls(doing.turn, task);
  if (target?.waits === true) return waitingOn(doing.turn, facts, doing.turn.graph.nodes[task.node]?.child?.workflow ?? '');
  return { ...facts, status: 'pending', ...(goesOn(doing, task, target) ? { goesOn: true } : {}) } satisfies PendingTask;
}

/** Of a redriven task that is a run of its own only what failed in it is done over. */
function goesOn(doing: Doing, task: TaskState, target: ResetTarget | undefined): boolean {
  if (doing.turn.graph.nodes[task.node]?.child == null) return false;
  // Held back while the run is paused: what an earlier redrive has decided stands, as for one that is pending.
  if (task.status === 'queued' && task.phase === 'body' && task.next === 'return') return doing.request.kind === 'redrive';
  return isSameWork(doing, target) && isUnfinished(task);
}

const isUnfinished = ({ status }: TaskState): boolean => status === 'failed' || status === 'cancelled';

/** It is to do what it did before: nothing that it works on is another. */
const isSameWork = ({ request, why }: Doing, target: ResetTarget | undefined): boolean =>
  request.kind === 'redrive' && why !== 'downstream' && why !== 'ran_on_the_failure' && target?.edited === undefined;

/** Of a body that began: what it called stands in the records of its generation. */
const mayHaveRecords = (task: TaskState): boolean => isUnfinished(task) && task.begun > 0;

/** Runs that a redriven body called are not begun anew: what they gave is taken, and those that failed go on (docs/adr/0016). */
function keepCalls({ state, changes }: Turn, { node, item, generation }: TaskState): void {
  changes.records = [...changes.records, { node, item, generation: state.generation, kind: 'keep', from: generation }];
}

function resetTask(
  turn: Turn,
  request: ResetRequest,
  { node, why }: { node: number; why: ResetWhy },
  target: ResetTarget | undefined,
): void {
  const { state, changes } = turn;
  const task = state.tasks[node];
  if (task === undefined) return;
  recordSuperseded(turn, task);
  const next = restarted({ turn, request, why }, task, target);
  const map = state.maps.get(node);
  if (map !== undefined) clearMap(turn, map);
  putTask(state, changes, next);
}

/** An evaluation has no attempt, nor has a map. */
function recordSuperseded(turn: Turn, task: TaskState): void {
  letGoOf(turn, task);
  if (task.status === 'running' && task.lease !== null && task.phase === 'body') recordAttempt(turn, task, 'cancelled', 'superseded', null);
}

/** The map's list is made anew: its items of before are kept as history only. */
function clearMap(turn: Turn, map: MapState): void {
  const { state, changes } = turn;
  for (const item of map.open.values()) {
    recordSuperseded(turn, item);
    putTask(state, changes, endTask(item, { status: 'cancelled', reason: 'superseded' }, turn.now));
  }
  state.maps.delete(map.node);
  changes.maps.delete(map.node);
  changes.cleared = [...changes.cleared, map.node];
}

/** A map that had ended, around items that begin again. */
function goOn(turn: Turn, node: number): void {
  const task = turn.state.tasks[node];
  if (!isEnded(task)) return;
  const running: RunningTask = {
    ...bareFacts(task),
    generation: turn.state.generation,
    status: 'running',
    phase: 'body',
    lease: null,
    startedAt: turn.now,
  };
  putTask(turn.state, turn.changes, running);
  mapChange(turn.changes, node).reopened = true;
}

function resetItem(
  turn: Turn,
  request: ResetRequest,
  at: { node: number; item: number; why: ResetWhy },
  target: ResetTarget | undefined,
): void {
  const map = turn.state.maps.get(at.node);
  if (map === undefined) return;
  const before = taskAt(turn.state, at.node, at.item) ?? endedItem(map, at.item);
  const next = restarted({ turn, request, why: at.why }, before, target);
  turn.changes.tasks.push({ from: before, to: next });
  if (map.results !== null) map.results[at.item] = isEnded(next) ? next : undefined;
  if (isEnded(next)) return;
  map.open.set(at.item, next);
  if (next.status !== 'pending') return;
  map.again.push(at.item);
  mapChange(turn.changes, at.node).again++;
}

/** Counts the map's ended items once more: what a cancelled run left uncounted is counted now. */
function recount(turn: Turn, node: number): void {
  const map = turn.state.maps.get(node);
  if (map?.results == null) return;
  const now = { ok: 0, failed: 0, cancelled: 0, skipped: 0 };
  let partial = false;
  for (const item of map.results) {
    if (isWhole(item) && item.status === 'success' && item.partial) partial = true;
    const status = isWhole(item) ? item.status : item === undefined ? undefined : 'success';
    if (status === 'success') now.ok++;
    if (status === 'failed') now.failed++;
    if (status === 'cancelled') now.cancelled++;
    if (status === 'skipped') now.skipped++;
  }
  const task = turn.state.tasks[node];
  if (task?.status === 'running' && (task.partial === true) !== partial) putTask(turn.state, turn.changes, { ...task, partial });
  const change = mapChange(turn.changes, node);
  for (const counter of ['ok', 'failed', 'cancelled', 'skipped'] as const) {
    change[counter] += now[counter] - map[counter];
    map[counter] = now[counter];
  }
}

function reopen({ graph, state, changes }: Turn): void {
  if (!isRunOver[state.status]) return;
  if (state.parent !== null) {
    state.parent = { ...state.parent, recalled: false, completion: null };
    changes.kin = 'reopened';
  }
  changes.moves = [...changes.moves, { from: state.status, to: 'queued' }];
  // A run that holds a key waits for it again.
  const isGated = asksForKey(graph, state);
  if (!isGated) changes.moves = [...changes.moves, { from: 'queued', to: 'running' }];
  else changes.gate = enterGate(graph, state);
  state.status = isGated ? 'queued' : 'running';
  state.resumeTo = null;
  state.cause = null;
  state.cancelAsked = null;
}
