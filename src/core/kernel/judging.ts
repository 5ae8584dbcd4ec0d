import type { GraphNode } from './compile.ts';
import type { MapState } from './run-state.ts';
import { isAllowed, type Turn } from './turn.ts';

/** More failures than the map tolerates: it will fail, whatever its other items do. */
export function isBreached(node: GraphNode | undefined, map: MapState): boolean {
  const task = node?.task;
  if (task?.kind !== 'map' || task.settle === true) return false;
  const { count, ratio } = task.tolerate ?? {};
  return map.failed > (count ?? (ratio === undefined ? 0 : Infinity)) || (ratio !== undefined && map.failed / map.n > ratio);
}

/** What a failure for good is: allowed, excused by its map, or a dead letter (semantics, sections 1 and 3). */
export function judged(turn: Turn, node: GraphNode, item: number): { readonly allowed: boolean; readonly dead: boolean } {
  const allowed = isAllowed(node);
  if (item < 0) return { allowed, dead: !allowed };
  const map = turn.state.maps.get(node.index);
  return { allowed, dead: !allowed && map !== undefined && isBreached(node, { ...map, failed: map.failed + 1 }) };
}

/** Whether more items of this map have failed than it tolerates. */
export function isBeyond({ state }: Pick<Turn, 'state'>, node: GraphNode): boolean {
  const map = state.maps.get(node.index);
  return map !== undefined && isBreached(node, map);
}
