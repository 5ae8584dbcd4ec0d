import { mapChange, putNeedy, putTask } from './changes.ts';
import { decode } from '../values/codec.ts';
import { LAST_INSTANT } from '../duration-text.ts';
import type { GraphNode } from './compile.ts';
import type { MapTask } from '../graph/graph.ts';
import { startChild } from './children.ts';
import { BadKey, needsAt, ranked } from '../capacity/needs.ts';
import { NumberMap } from './number-map.ts';
import type { EndedTask, MapState, QueuedTask, TaskFacts } from './run-state.ts';
import { bareFacts, endTask, isAdmitted, type Ending, type Turn } from './turn.ts';
import { isWhole, RunScope } from './values.ts';
import { isBreached, judged } from './judging.ts';
import { isStopped } from './stopped.ts';

/** A map starts, or ends at once: its list is fixed from here on; a list that is none, too long or with a key twice fails it, and no item exists. */
export function expandMap(turn: Turn, node: GraphNode, facts: TaskFacts): EndedTask | null {
  if (node.task.kind !== 'map') return null;
  const list = facts.edited === null ? node.input(new RunScope(turn.graph, turn.state)) : decode(facts.edited);
  const problem = keyProblem(turn, node) ?? listProblem(turn, node, node.task, list);
  if (problem !== null) return endTask(facts, problem, turn.now);
  const items = list as readonly unknown[];
  if (items.length === 0) {
    return endTask(
      facts,
      node.task.onEmpty === 'skip' ? { status: 'skipped', reason: 'condition' } : { status: 'success', output: '[]' },
      turn.now,
    );
  }
  turn.state.maps.set(node.index, {
    node: node.index,
    n: items.length,
    next: 0,
    ok: 0,
    failed: 0,
    cancelled: 0,
    skipped: 0,
    open: new NumberMap(),
    again: [],
    list: items,
    results: node.isRead ? [] : null,
  });
  mapChange(turn.changes, node.index).n = items.length;
  putTask(turn.state, turn.changes, { ...bareFacts(facts), status: 'running', phase: 'body', lease: null, startedAt: turn.now });
  return null;
}

/** All items are of one key: where that is none, no item could start. */
function keyProblem(turn: Turn, node: GraphNode): Ending | null {
  if (node.needs === null) return null;
  try {
    needsAt(node.needs, () => new RunScope(turn.graph, turn.state));
    return null;
  } catch (error) {
    if (!(error instanceof BadKey)) throw error;
    const text = JSON.stringify({ name: 'DefinitionError', message: error.message });
    return { status: 'failed', reason: 'definition_error', error: text, ...judged(turn, node, -1) };
  }
}

function listProblem(turn: Turn, node: GraphNode, task: MapTask, list: unknown): Ending | null {
  const fail = (reason: 'not_iterable' | 'too_many' | 'duplicate_key', message: string): Ending => ({
    status: 'failed',
    reason,
    error: JSON.stringify({ name: 'MapError', message }),
    allowed: task.allowFailure === true,
    dead: task.allowFailure !== true,
  });
  if (!Array.isArray(list)) return fail('not_iterable', `the items of ${task.id} are no list but ${list === null ? 'null' : typeof list}`);
  if (list.length > task.maxItems) return fail('too_many', `${list.length} items, maxItems is ${task.maxItems}`);
  if (node.key === null) return null;
  const seen = new Map<unknown, number>();
  for (const [i, item] of list.entries()) {
    const key = node.key(new RunScope(turn.graph, turn.state, item));
    if (typeof key !== 'string' && typeof key !== 'number')
      return fail('duplicate_key', `the key of item ${i} is neither a string nor a number`);
    const first = seen.get(String(key));
    // why: not the key itself, which is data and may be secret; what the kernel writes passes no redaction
    if (first !== undefined) return fail('duplicate_key', `items ${first} and ${i} have the same key`);
    seen.set(String(key), i);
  }
  return null;
}

/** Depth first: of a map over runs so many are open, unless it says otherwise, and the older ones go on before another starts. */
const CHILDREN_AT_ONCE = 20;
/** Child runs that one commit starts at most. */
const STARTS_AT_ONCE = 200;

/** How many more items may start now. One that waits for a retry keeps its place: else its next attempt could exceed the bound. */
export function startable(node: GraphNode, map: MapState): number {
  const bound = (node.task.kind === 'map' ? node.task.concurrency : undefined) ?? (node.child === null ? Infinity : CHILDREN_AT_ONCE);
  const limit = node.needs === null ? bound : Math.min(bound, map.open.size - map.again.length + roomAhead(map));
  return Math.max(0, Math.min(map.n - map.next + map.again.length, limit - (map.open.size - map.again.length)));
}

/** Items that wait for more than a slot are put into the queue ahead of their time: only there it is known what fits. */
const AHEAD = 100;

function roomAhead(map: MapState): number {
  let queued = 0;
  for (const item of map.open.values()) if (item.status === 'queued') queued++;
  return AHEAD - queued;
}

export function takeItems(turn: Turn, nodeIndex: number, count: number): boolean {
  const node = turn.graph.nodes[nodeIndex];
  const map = turn.state.maps.get(nodeIndex);
  const task = turn.state.tasks[nodeIndex];
  if (node === undefined || map === undefined || task?.status !== 'running' || !isAdmitted(turn.state) || isStopped(turn)) return false;
  const taken = Math.min(count, startable(node, map));
  if (taken <= 0) return false;
  const timeout = node.task.kind === 'map' ? node.task.contract?.timeout : undefined;
  const expiry = Math.min(timeout?.queueMs ?? Infinity, timeout?.totalMs ?? Infinity);
  const again = Math.min(taken, map.again.length);
  const needs = node.needs === null ? null : needsAt(node.needs, () => new RunScope(turn.graph, turn.state));
  for (let i = 0; i < taken; i++) {
    const item = i < again ? (map.again.shift() ?? -1) : map.next++;
    const before = map.open.get(item);
    const queued: QueuedTask = {
      node: nodeIndex,
      item,
      generation: before?.generation ?? task.generation,
      attempt: before?.attempt ?? 0,
      begun: 0,
      losses: 0,
      crashes: 0,
      handBacks: 0,
      draws: task.draws,
      ranMs: 0,
      rank: task.rank,
      firstQueuedAt: turn.now,
      effect: before?.effect ?? task.effect,
      edited: before?.edited ?? null,
      status: 'queued',
      phase: node.child === null ? 'body' : 'evaluate',
      next: 'start',
      expiresAt: expiry === Infinity ? null : Math.min(LAST_INSTANT, turn.now + expiry),
    };
    const goesOn = before?.status === 'pending' && before.goesOn === true;
    if (node.child !== null && (goesOn || !isChecked(node))) startChild(turn, node, queued, { goesOn });
    else if (needs === null) putTask(turn.state, turn.changes, queued);
    else putNeedy(turn.state, turn.changes, ranked(queued, needs), needs);
  }
  const change = mapChange(turn.changes, nodeIndex);
  change.next += taken - again;
  change.again -= again;
  return true;
}

/** Starts the child runs that stand for items, as far as there is room. Where their inputs are checked first, workers take them. */
export function startItems(turn: Turn, map: MapState): void {
  const node = turn.graph.nodes[map.node];
  if (node?.child == null || isChecked(node) || turn.state.status === 'paused') return;
  takeItems(turn, map.node, Math.min(startable(node, map), STARTS_AT_ONCE - turn.changes.children.length));
}

/** Whether a worker looks at the input of each item first. */
export const isChecked = (node: GraphNode): boolean => node.task.kind === 'map' && node.task.checked === true;

/** Counts an item's end; the map's own end where it was the last. */
export function foldItem(turn: Turn, item: EndedTask): EndedTask | null {
  const map = turn.state.maps.get(item.node);
  const task = turn.state.tasks[item.node];
  if (map === undefined || task?.status !== 'running') return null;
  if (item.partial && task.partial !== true) putTask(turn.state, turn.changes, { ...task, partial: true });
  const change = mapChange(turn.changes, item.node);
  const counter =
    item.status === 'success' ? 'ok' : item.status === 'failed' ? 'failed' : item.status === 'skipped' ? 'skipped' : 'cancelled';
  const wasBreached = isBreached(turn.graph.nodes[item.node], map);
  map[counter]++;
  change[counter]++;
  if (map.results !== null) map.results[item.item] = isPlain(item) ? item.output : item;
  if (!wasBreached && isBreached(turn.graph.nodes[item.node], map) && map.failed > 1) judgeItems(turn, map, true);
  return closeMap(turn, map);
}

/** Nothing but its output will be asked for. */
const isPlain = (item: EndedTask): boolean => item.status === 'success' && item.completion === null && !item.partial;

/** The end of a running map whose items have all ended; null while they have not. */
export function closeMap(turn: Turn, map: MapState): EndedTask | null {
  const task = turn.state.tasks[map.node];
  if (task?.status !== 'running' || map.open.size > 0 || (map.next < map.n && !isStopped(turn))) return null;
  return endTask(task, mapEnding(turn, map), turn.now);
}

/** Within `tolerate` the map succeeds, beyond it fails; with `settle` failures are results. Both bounds given: either breaches. */
function mapEnding(turn: Turn, map: MapState): Ending {
  const running = turn.state.tasks[map.node];
  const isPartial = running?.status === 'running' && running.partial === true;
  const task = turn.graph.nodes[map.node]?.task;
  if (task?.kind !== 'map') return { status: 'success' };
  const isBroken = isBreached(turn.graph.nodes[map.node], map);
  if (!isBroken && (map.next < map.n || map.cancelled > 0)) return { status: 'cancelled', reason: 'fail_fast' };
  if (map.failed === 0 || task.settle) return { status: 'success', partial: isPartial };
  if (!isBroken) {
    // What failed beyond the bound before, and was redriven, may be within it now.
    judgeItems(turn, map, false);
    return { status: 'success', partial: true };
  }
  const message = `${map.failed} of ${map.n} items failed`;
  return {
    status: 'failed',
    reason: 'too_many_failures',
    error: JSON.stringify({ name: 'MapError', message }),
    allowed: task.allowFailure === true,
  };
}

/** Beyond what the map tolerates its failed items are dead letters, within it they are none. */
function judgeItems(turn: Turn, map: MapState, dead: boolean): void {
  // What failed for good is in the child runs, not here.
  if (turn.graph.nodes[map.node]?.child != null) return;
  mapChange(turn.changes, map.node).dead = dead;
  map.results?.forEach((item, i, results) => {
    if (isWhole(item) && item.status === 'failed' && !item.allowed && item.dead !== dead) results[i] = { ...item, dead };
  });
}
