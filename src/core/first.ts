/** What becomes of the losers of a `first`. */
import { isEnded } from './changes.ts';
import type { CompiledGraph, GraphNode } from './compile.ts';
import { cancelTask } from './ending.ts';
import type { Turn } from './turn.ts';
import { winnerOf } from './values.ts';

/** Cancels what only the losers needed, where a first has been won: it counts for nothing in the outcome. */
export function supersedeLosers(turn: Turn, first: GraphNode): void {
  const { graph, state } = turn;
  const task = state.tasks[first.index];
  if (first.task.kind !== 'first' || !isEnded(task) || task.status !== 'success') return;
  const winner = winnerOf(task);
  const refOf = (name: string): string | undefined =>
    first.task.kind === 'first' ? first.task.parts.find((part) => part.name === name)?.value.$ref : undefined;
  const won = graph.byId.get(refOf(winner) ?? '')?.index;
  const losers = first.task.parts.flatMap(({ value }) => graph.byId.get(value.$ref)?.index ?? []).filter((index) => index !== won);
  for (const index of onlyNeededBy(graph, first.index, losers)) {
    const node = graph.nodes[index];
    if (node !== undefined) cancelTask(turn, node, 'superseded');
  }
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
