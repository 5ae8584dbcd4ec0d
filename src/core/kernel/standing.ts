/** Where an open run stands in line: what its rows and its definition say of the capacity that it takes. */
import type { CompiledGraph } from './compile.ts';
import { asksForKey, enterGate } from './gates.ts';
import { needsAt, type KeyNeed, type Need } from '../capacity/needs.ts';
import type { RunState, TaskState } from './run-state.ts';
import { isRunOver } from './states.ts';
import { isAdmitted } from './turn.ts';
import { RunScope } from './values.ts';

export interface Standing {
  /** Open tasks whose claims take more than a slot. */
  readonly lanes: readonly { readonly node: number; readonly item: number; readonly needs: readonly Need[] }[];
  /** The key that the run holds, or waits for; null where it is none. */
  readonly gate: { readonly need: KeyNeed; readonly rank: number; readonly isHeld: boolean } | null;
}

/** Throws `BadKey` where a key comes to nothing, and `ItemsNeeded` where one reads a map whose items are not loaded. */
export function standingOf(graph: CompiledGraph, state: RunState): Standing {
  return { lanes: graph.hasNeeds ? lanesOf(graph, state) : [], gate: gateOf(graph, state) };
}

function lanesOf(graph: CompiledGraph, state: RunState): Standing['lanes'] {
  const open = [
    ...state.tasks,
    ...[...state.maps.values()].flatMap((map) => [...map.open.values()]),
    ...[...state.served.values()].flatMap((items) => [...items.values()]),
  ];
  const needs = new Map<number, readonly Need[]>();
  return open.flatMap((task) => {
    const node = task === undefined ? undefined : graph.nodes[task.node];
    if (task === undefined || node?.needs == null || !standsInLine(task)) return [];
    if (node.task.kind === 'map' && task.item < 0) return [];
    const own = needs.get(task.node) ?? needsAt(node.needs, () => new RunScope(graph, state));
    needs.set(task.node, own);
    return [{ node: task.node, item: task.item, needs: own }];
  });
}

/** It has been in the queue for its body: from then on to its end it has a place there. */
function standsInLine(task: TaskState): boolean {
  if (task.status === 'retrying' || task.status === 'waiting') return true;
  return (task.status === 'queued' || task.status === 'running') && task.phase === 'body';
}

function gateOf(graph: CompiledGraph, state: RunState): Standing['gate'] {
  if (!asksForKey(graph, state) || isRunOver[state.status]) return null;
  // It has not come to its gate yet.
  if ((state.status === 'paused' ? state.resumeTo : state.status) === 'scheduled') return null;
  const entered = enterGate(graph, state);
  return entered?.kind === 'enter' ? { need: entered.need, rank: entered.rank, isHeld: isAdmitted(state) } : null;
}
