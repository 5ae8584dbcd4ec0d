import type { GraphNode } from './compile.ts';
import { cancelTask } from './ending.ts';
import { raceOf } from './first.ts';
import type { Turn } from './turn.ts';

/** Cancels what only the losers needed, where a first has been won: it counts for nothing in the outcome. */
export function supersedeLosers(turn: Turn, first: GraphNode): void {
  for (const index of raceOf(turn.graph, turn.state, first)?.losers ?? []) {
    const node = turn.graph.nodes[index];
    if (node !== undefined) cancelTask(turn, node, 'superseded');
  }
}
