/** The firsts of a graph: in what order they are decided, and what nobody needs once one is won. */
import type { CompiledGraph, GraphNode } from './compile.ts';

export interface Races {
  /** The firsts, each behind those that lead to it. */
  readonly firsts: readonly number[];
  /** Who hangs on a part, or on what leads to one: its end may leave that to nobody. */
  readonly holders: ReadonlySet<number>;
}

/** Null of a graph without a first. */
export function racesOf(nodes: readonly GraphNode[]): Races | null {
  if (nodes.every((node) => node.parts === null)) return null;
  const parts = nodes.flatMap((node) => partsOf(node));
  const holders = new Set([...leadingTo(nodes, parts)].flatMap((index) => consumersOf(nodes, index)));
  return { firsts: inOrder(nodes).filter((index) => nodes[index]?.parts != null), holders };
}

/** How a task stands, or would after a reset. */
export type Standing = 'open' | 'success' | 'ended';

/**
 * What losers of those firsts that are won need, themselves included, and nothing else does: no task that is open and stays so, and not the output of
 * the run. It shrinks from all that leads to a loser until that holds, so that neither the order of the graph nor of the firsts matters.
 */
export function unneeded(graph: CompiledGraph, firsts: readonly number[], standing: (index: number) => Standing): ReadonlySet<number> {
  const { nodes } = graph;
  const found = leadingTo(
    nodes,
    firsts.flatMap((first) => (standing(first) === 'success' ? lostOf(nodes, first, standing) : [])),
  );
  if (found.size === 0) return found;
  const read = new Set(graph.outputReads.map(({ node }) => node));
  const isNeeded = (index: number): boolean =>
    read.has(index) || consumersOf(nodes, index).some((by) => !found.has(by) && standing(by) === 'open');
  // What leaves the set may have been all that somebody before it was needed for.
  for (let walk = [...found]; walk.length > 0;) {
    const left = walk.filter((index) => found.has(index) && isNeeded(index));
    for (const index of left) found.delete(index);
    walk = left.flatMap((index) => upstreamsOf(nodes, index));
  }
  return found;
}

/** Whether all that leads to the losers of a won first has ended: then it has nothing to cancel any more. */
export const isSettled = ({ nodes }: CompiledGraph, first: number, standing: (index: number) => Standing): boolean =>
  [...leadingTo(nodes, lostOf(nodes, first, standing))].every((index) => standing(index) !== 'open');

const lostOf = (nodes: readonly GraphNode[], first: number, standing: (index: number) => Standing): number[] =>
  partsOf(nodes[first]).filter((part) => standing(part) !== 'success');

export const consumersOf = (nodes: readonly GraphNode[], index: number): number[] => [
  ...(nodes[index]?.out ?? []).map((edge) => edge.to),
  ...(nodes[index]?.watchers ?? []),
];

/** Of a first every edge is a part. */
export const partsOf = (first: GraphNode | undefined): number[] => (first?.parts == null ? [] : first.in.map((edge) => edge.from));

function upstreamsOf(nodes: readonly GraphNode[], index: number): number[] {
  const node = nodes[index];
  if (node === undefined) return [];
  return [
    ...node.in.map((edge) => edge.from),
    ...(node.gate === null ? [] : [node.gate.when]),
    ...(node.bracket < 0 ? [] : [node.bracket]),
    ...(node.cases === null ? [] : [node.cases.when]),
  ];
}

/** These and all that they wait for. */
function leadingTo(nodes: readonly GraphNode[], these: readonly number[]): Set<number> {
  const found = new Set<number>();
  for (const walk = [...these]; walk.length > 0;) {
    const at = walk.pop() ?? -1;
    if (found.has(at)) continue;
    found.add(at);
    walk.push(...upstreamsOf(nodes, at));
  }
  return found;
}

/** All nodes, each behind those that it waits for. */
function inOrder(nodes: readonly GraphNode[]): number[] {
  const before = nodes.map(() => 0);
  const consumers = nodes.map((_, index) => consumersOf(nodes, index));
  for (const to of consumers.flat()) before[to] = (before[to] ?? 0) + 1;
  const order = nodes.flatMap((_, index) => (before[index] === 0 ? [index] : []));
  for (const at of order) {
    for (const to of consumers[at] ?? []) {
      before[to] = (before[to] ?? 0) - 1;
      if (before[to] === 0) order.push(to);
    }
  }
  return order;
}
