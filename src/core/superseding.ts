import { hasSucceeded, isEnded } from './changes.ts';
import { cancelTask } from './ending.ts';
import { unneeded } from './races.ts';
import type { Turn } from './turn.ts';

/** Cancels what nobody needs any more since a first was won: it counts for nothing in the outcome. True where there was something. */
export function supersedeLosers(turn: Turn): boolean {
  const { graph, state } = turn;
  turn.freed = false;
  if (graph.races === null) return false;
  const before = turn.ended.length;
  const standing = (index: number) => {
    const task = state.tasks[index];
    return hasSucceeded(task) ? 'success' : isEnded(task) ? 'ended' : 'open';
  };
  for (const index of [...unneeded(graph, graph.races, standing)].toSorted((a, b) => a - b)) {
    const node = graph.nodes[index];
    if (node !== undefined) cancelTask(turn, node, 'superseded');
  }
  return turn.ended.length > before;
}
