import { hasSucceeded, isEnded } from './changes.ts';
import { cancelTask } from './ending.ts';
import { isSettled, unneeded, type Standing } from './races.ts';
import type { Turn } from './turn.ts';

/** Cancels what nobody needs any more since a first was won: it counts for nothing in the outcome. True where there was something. */
export function supersedeLosers(turn: Turn): boolean {
  const { graph, state } = turn;
  turn.freed = false;
  if (graph.races === null) return false;
  const before = turn.ended.length;
  const standing = (index: number): Standing => {
    const task = state.tasks[index];
    return hasSucceeded(task) ? 'success' : isEnded(task) ? 'ended' : 'open';
  };
  const settled = (state.settledRaces ??= new Set());
  const firsts = graph.races.firsts.filter((first) => !settled.has(first) && standing(first) === 'success');
  for (const index of [...unneeded(graph, firsts, standing)].toSorted((a, b) => a - b)) {
    const node = graph.nodes[index];
    if (node !== undefined) cancelTask(turn, node, 'superseded');
  }
  for (const first of firsts) if (isSettled(graph, first, standing)) settled.add(first);
  return turn.ended.length > before;
}
