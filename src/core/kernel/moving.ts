import { canonical } from '../values/codec.ts';
import { isUnderway } from './changes.ts';
import type { CompiledGraph, GraphNode } from './compile.ts';
import type { GraphTask } from '../graph/graph.ts';
import { NumberMap } from './number-map.ts';
import { isTerminal } from './states.ts';
import { servedOf, type MapState, type RunState, type TaskState } from './run-state.ts';

/**
 * Whether a run of one version may go on as a run of another (semantics, section 10): every task that left `pending` must still be there with
 * the same id, contract and upstreams. What is pending may change in any way, be added, or be gone.
 */

/** Why a task stands in the way: it is no longer there; its kind, contract or options, its upstreams, or its input are others. */
export type ObstacleWhy = 'gone' | 'kind' | 'contract' | 'upstreams' | 'input';

export interface Obstacle {
  readonly task: string;
  readonly why: ObstacleWhy;
}

export type MovePlan =
  /** Of each task that has rows, its number in the other graph. */
  | { readonly kind: 'move'; readonly nodes: ReadonlyMap<number, number> }
  | { readonly kind: 'stay'; readonly obstacles: readonly Obstacle[] };

/** One task of the older graph against its namesake in the other. */
interface Pair {
  readonly to: number | null;
  readonly isSameKind: boolean;
  readonly isSameContract: boolean;
  readonly hasSameUpstreams: boolean;
  readonly hasSameInput: boolean;
}

/** Graphs never change once they are compiled, and a deploy asks for the same two of thousands of runs. */
const compared = new WeakMap<CompiledGraph, WeakMap<CompiledGraph, readonly Pair[]>>();

function pairsOf(from: CompiledGraph, to: CompiledGraph): readonly Pair[] {
  let byTarget = compared.get(from);
  if (byTarget === undefined) compared.set(from, (byTarget = new WeakMap()));
  let pairs = byTarget.get(to);
  if (pairs === undefined) {
    pairs = from.nodes.map((node) => pairOf({ graph: from, node }, { graph: to, node: to.byId.get(node.id) }));
    byTarget.set(to, pairs);
  }
  return pairs;
}

interface At {
  readonly graph: CompiledGraph;
  readonly node: GraphNode;
}

function pairOf(from: At, to: { readonly graph: CompiledGraph; readonly node: GraphNode | undefined }): Pair {
  if (to.node === undefined) return { to: null, isSameKind: false, isSameContract: false, hasSameUpstreams: false, hasSameInput: false };
  const target: At = { graph: to.graph, node: to.node };
  return {
    to: to.node.index,
    isSameKind: from.node.task.kind === to.node.task.kind,
    isSameContract: canonical(contractPart(from.node.task)) === canonical(contractPart(to.node.task)),
    hasSameUpstreams: canonical(upstreamsOf(from)) === canonical(upstreamsOf(target)),
    hasSameInput: canonical(inputPart(from.node.task)) === canonical(inputPart(to.node.task)),
  };
}

/** How its input is put together, and which upstreams there are, is looked at by itself. */
const INPUT_FIELDS = ['input', 'items', 'each', 'key', 'until', 'show'] as const;
const ORDER_FIELDS = ['id', 'after', 'join', 'if'] as const;

function contractPart(task: GraphTask): Record<string, unknown> {
  const skipped = new Set<string>(task.kind === 'branch' ? ['id'] : [...INPUT_FIELDS, ...ORDER_FIELDS]);
  return Object.fromEntries(Object.entries(task).filter(([field]) => !skipped.has(field)));
}

function inputPart(task: GraphTask): Record<string, unknown> {
  return Object.fromEntries(Object.entries(task).filter(([field]) => (INPUT_FIELDS as readonly string[]).includes(field)));
}

function upstreamsOf({ graph, node }: At): unknown {
  const idOf = (index: number): string => graph.nodes[index]?.id ?? '';
  const edges = node.in.map((edge) => [idOf(edge.from), edge.read, edge.ordered] as const);
  return {
    edges: edges.toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)),
    // What was set up is torn down by the version that goes on.
    bracket: [idOf(node.bracket), idOf(node.teardown)],
    gate: node.gate === null ? null : [idOf(node.gate.when), node.gate.verdict],
    // Nothing starts before the guard's yes: what has begun without one has passed it by.
    guard: graph.guard === null || graph.guard === node.index ? null : idOf(graph.guard),
  };
}

export function planMove(from: CompiledGraph, to: CompiledGraph, state: RunState): MovePlan {
  const pairs = pairsOf(from, to);
  const nodes = new Map<number, number>();
  const obstacles: Obstacle[] = [];
  for (const node of from.nodes) {
    const task = state.tasks[node.index];
    const pair = pairs[node.index];
    if (task === undefined || pair === undefined) continue;
    const why = obstacleOf(pair, task);
    if (why !== null) obstacles.push({ task: node.id, why });
    else if (node.cases === null && pair.to !== null) nodes.set(node.index, pair.to);
  }
  return obstacles.length > 0 ? { kind: 'stay', obstacles } : { kind: 'move', nodes };
}

function obstacleOf(pair: Pair, task: TaskState): ObstacleWhy | null {
  if (pair.to === null) return 'gone';
  if (!pair.isSameKind) return 'kind';
  // Pending again: what it was is history, and goes with its name.
  if (!isUnderway(task)) return null;
  if (!pair.isSameContract) return 'contract';
  if (!pair.hasSameUpstreams) return 'upstreams';
  // What has ended has had its input; what is under way is still to read it.
  return pair.hasSameInput || isTerminal[task.status] ? null : 'input';
}

/** Whether a worker holds some of it, or what it did is being undone by the version that did it. */
export function isHeld(state: RunState): boolean {
  if (state.flow.compensated) return true;
  if (state.tasks.some((task) => task?.status === 'running' && task.lease !== null)) return true;
  for (const map of state.maps.values()) {
    for (const item of map.open.values()) if (item.status === 'running') return true;
  }
  return false;
}

/** Accepted, and nothing decided yet: it has no rows but its own. */
export const isUntouched = (state: RunState): boolean => state.maps.size === 0 && state.tasks.every((task) => task === undefined);

/**
 * The same run under another graph; its joins are still to be decided. The given state is left as it is: what a process holds of the run stays
 * true if the move is not written.
 */
export function movedState(to: CompiledGraph, state: RunState, nodes: ReadonlyMap<number, number>): RunState {
  const tasks: RunState['tasks'] = to.nodes.map(() => undefined);
  const maps = new Map<number, MapState>();
  for (const [before, node] of nodes) {
    const task = state.tasks[before];
    if (task !== undefined) tasks[node] = { ...task, node };
    const map = state.maps.get(before);
    if (map !== undefined) maps.set(node, movedMap(map, node));
  }
  return { ...state, tasks, maps, served: servedOf(to), tallies: to.nodes.map(() => undefined), values: new Map(), open: to.taskCount };
}

function movedMap(map: MapState, node: number): MapState {
  const open = new NumberMap<TaskState>();
  for (const task of map.open.values()) open.set(task.item, { ...task, node });
  const results = map.results?.map((item) => (typeof item === 'object' && item !== null ? { ...item, node } : item)) ?? null;
  return {
    ...map,
    node,
    open,
    again: [...map.again],
    results,
  };
}

export interface Rename {
  readonly from: number;
  readonly to: number;
}

/**
 * Renames one after the other so that none meets a number that is still taken; those that only change places go by way of numbers below
 * zero, which no task has.
 */
export function renameSteps(nodes: ReadonlyMap<number, number>): readonly Rename[] {
  const left = new Map([...nodes].filter(([from, to]) => from !== to));
  const steps: Rename[] = [];
  const last: Rename[] = [];
  while (left.size > 0) {
    const before = left.size;
    for (const [from, to] of left) {
      if (left.has(to)) continue;
      steps.push({ from, to });
      left.delete(from);
    }
    const [stuck] = left;
    if (left.size < before || stuck === undefined) continue;
    const [from, to] = stuck;
    steps.push({ from, to: -1 - from });
    last.push({ from: -1 - from, to });
    left.delete(from);
  }
  return [...steps, ...last];
}

/** What a fork under another graph takes over: the donor as a run of that graph, and the tasks, by their numbers there. */
export interface Takeover {
  readonly donor: RunState;
  readonly nodes: readonly number[];
  /** Of each of them the number that it has in the donor's own graph. */
  readonly was: ReadonlyMap<number, number>;
}

/** Of the tasks that a fork would reuse those that are the same in the other graph, and whose upstreams there are all taken over too. */
export function takeoverAcross(from: CompiledGraph, to: CompiledGraph, donor: RunState, reused: readonly number[]): Takeover {
  const pairs = pairsOf(from, to);
  const kept = new Set(reused);
  const memo = new Map<number, boolean>();
  const holds = (index: number): boolean => {
    const known = memo.get(index);
    if (known !== undefined) return known;
    const node = to.nodes[index];
    const before = node === undefined ? undefined : from.byId.get(node.id);
    const pair = before === undefined ? undefined : pairs[before.index];
    const isSame = pair !== undefined && pair.isSameKind && pair.isSameContract && pair.hasSameUpstreams && pair.hasSameInput;
    const isGiven = before !== undefined && (before.cases !== null || kept.has(before.index));
    const ups = node === undefined ? [] : [...node.in.map((edge) => edge.from), ...(node.gate === null ? [] : [node.gate.when])];
    const value = isSame && isGiven && ups.every(holds);
    memo.set(index, value);
    return value;
  };
  const nodes = to.nodes.filter((node) => node.cases === null && holds(node.index)).map((node) => node.index);
  const was = new Map(nodes.map((node) => [node, from.byId.get(to.nodes[node]?.id ?? '')?.index ?? -1]));
  return { donor: movedState(to, donor, new Map([...was].map(([now, before]) => [before, now]))), nodes, was };
}
