/** How a run as a whole is stopped, and what a person decides about one of its dead letters. */
import { setTask, taskAt } from './changes.ts';
import { cancelHandlers } from './cleanup.ts';
import { cancelTask } from './ending.ts';
import { endedItem } from './reset.ts';
import type { RunState } from './run-state.ts';
import type { Reason } from './states.ts';
import { isAdmitted, type Turn } from './turn.ts';

export const isCleaningUp = ({ status }: RunState): boolean => status === 'cancelling' || status === 'finishing';

/** Every open task and item becomes cancelled, a map's unstarted items never existed; what cleans up goes on. */
export function cancelOpen(turn: Turn, reason: Reason): void {
  // Those who call it have the flow written.
  if (turn.state.generation === 1 && !isAdmitted(turn.state)) turn.state.flow = { ...turn.state.flow, unstarted: true };
  for (const node of turn.graph.nodes) if (node.isCounted) cancelTask(turn, node, reason);
}

/** The run as a whole fails. Of one that cleans up the outcome is fixed, unless nothing would ever wake it. */
export function failRun(turn: Turn, reason: 'deadline' | 'stuck' | 'marked_failed'): boolean {
  const { state } = turn;
  if (isCleaningUp(state) && reason !== 'stuck') return false;
  state.cause ??= { status: 'failed', reason };
  turn.changes.flow = true;
  cancelOpen(turn, reason);
  if (reason === 'stuck') cancelHandlers(turn, reason);
  return true;
}

/** A person has decided that a dead letter stays as it is. */
export function discard(turn: Turn, nodeIndex: number, item: number): boolean {
  const map = turn.state.maps.get(nodeIndex);
  const isItem = item >= 0 && map !== undefined && item < map.next && !map.open.has(item);
  const task = isItem ? endedItem(map, item) : taskAt(turn.state, nodeIndex, item);
  if (task?.status !== 'failed' || !task.dead) return false;
  const discarded = { ...task, dead: false };
  turn.changes.tasks.push({ from: task, to: discarded });
  if (!isItem) setTask(turn.state, discarded);
  else if (map.results !== null) map.results[item] = discarded;
  return true;
}
