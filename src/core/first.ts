/** Who lost a `first`, and what of the graph only the losers need. */
import { isEnded } from './changes.ts';
import type { CompiledGraph, GraphNode } from './compile.ts';
import type { RunState } from './run-state.ts';
import { winnerOf } from './values.ts';

export interface Race {
  /** The node of the part that won. */
  readonly winner: number;
  /** What only the others need, themselves included. */
  readonly losers: readonly number[];
}

/** Null of what is no first, and of one that nothing has won. */
export function raceOf(graph: CompiledGraph, state: RunState, first: GraphNode): Race | null {
  if (first.task.kind !== 'first') return null;
  const task = state.tasks[first.index];
  if (!isEnded(task) || task.status !== 'success') return null;
  const name = winnerOf(task);
  const parts = first.task.parts.map((part) => ({ name: part.name, node: graph.byId.get(part.value.$ref)?.index ?? -1 }));
  const winner = parts.find((part) => part.name === name)?.node ?? -1;
  const lost = parts.map(({ node }) => node).filter((node) => node !== winner);
  return { winner, losers: onlyNeededBy(graph, first.index, lost) };
}

/**
 * The losers and what leads to them, as far as nothing else hangs on it: no other task, whatever its state, and not the output of the run.
 * By the graph alone, so that it can be read off a drawing.
 */
export function onlyNeededBy(graph: CompiledGraph, first: number, losers: readonly number[]): number[] {
  const found = new Set<number>();
  for (const walk = [...losers]; walk.length > 0;) {
    const at = walk.pop() ?? -1;
    if (found.has(at)) continue;
    found.add(at);
    walk.push(...upstreamsOf(graph, at));
  }
  const read = new Set(graph.outputReads.map(({ node }) => node));
  const isLoser = new Set(losers);
  const needs = (by: number, index: number): boolean => !found.has(by) && !(by === first && isLoser.has(index));
  // What leaves the set may have been all that somebody before it was needed for.
  for (let walk = [...found]; walk.length > 0;) {
    const left = walk.filter((index) => found.has(index) && (read.has(index) || consumersOf(graph, index).some((by) => needs(by, index))));
    for (const index of left) found.delete(index);
    walk = left.flatMap((index) => upstreamsOf(graph, index));
  }
  return [...found].toSorted((a, b) => a - b);
}

function upstreamsOf({ nodes }: CompiledGraph, index: number): number[] {
  const node = nodes[index];
  if (node === undefined) return [];
  return [
    ...node.in.map((edge) => edge.from),
    ...(node.gate === null ? [] : [node.gate.when]),
    ...(node.bracket < 0 ? [] : [node.bracket]),
    ...(node.cases === null ? [] : [node.cases.when]),
  ];
}

const consumersOf = ({ nodes }: CompiledGraph, index: number): number[] => [
  ...(nodes[index]?.out ?? []).map((edge) => edge.to),
  ...(nodes[index]?.watchers ?? []),
];
