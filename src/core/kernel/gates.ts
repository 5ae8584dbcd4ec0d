/** The key that a run holds from its admission to its end. */
import type { GateChange } from './changes.ts';
import type { CompiledGraph } from './compile.ts';
import { LAST_INSTANT } from '../duration-text.ts';
import { keyAt } from '../capacity/needs.ts';
import type { RunState } from './run-state.ts';
import { RunScope } from './values.ts';

/** The run asks for its key. Throws `BadKey` where its input gives none. */
export function enterGate(graph: CompiledGraph, state: RunState): GateChange | null {
  if (graph.gate === null) return null;
  const need = keyAt(graph.gate, () => new RunScope(graph, state));
  return { kind: 'enter', need, rank: need.serial ? (state.startAt ?? state.acceptedAt) : state.rank };
}

/** Whether a run has to be let in: its workflow has a key, and no run around it shares it with this one. */
export const asksForKey = (graph: CompiledGraph, { flow }: RunState): boolean => graph.gate !== null && !flow.shares;

/** A child shares the key that an ancestor holds, `held`: the ancestor waits for it, and would never give the key up. */
export function sharesKey(graph: CompiledGraph, state: RunState, held: readonly string[]): boolean {
  if (held.length === 0) return false;
  const change = enterGate(graph, state);
  return change?.kind === 'enter' && held.includes(change.need.name);
}

/** A run's timeout counts from its admission. */
export function timeoutFrom({ graph }: CompiledGraph, now: number): number | null {
  return graph.timeoutMs === undefined ? null : Math.min(LAST_INSTANT, now + graph.timeoutMs);
}

/** A run that waits for its key. */
export interface GateAsker {
  readonly run: number;
  readonly limit: number;
  readonly onLimit: 'queue' | 'cancel_new' | 'cancel_old' | 'fail';
}

export interface Admissions {
  readonly granted: readonly number[];
  readonly refused: readonly { readonly run: number; readonly status: 'failed' | 'cancelled' }[];
  /** One holder has to make room. */
  readonly displaces: boolean;
}

/** Who of those that wait for one key is admitted, in the order of their rank; `said` is what an operator says in place of their own limit. */
export function admit(waiting: Iterable<GateAsker>, held: number, said: number | null): Admissions {
  const granted: number[] = [];
  const refused: { run: number; status: 'failed' | 'cancelled' }[] = [];
  for (const { run, limit, onLimit } of waiting) {
    if (held + granted.length < (said ?? limit)) granted.push(run);
    else if (onLimit === 'fail') refused.push({ run, status: 'failed' });
    else if (onLimit === 'cancel_new') refused.push({ run, status: 'cancelled' });
    else return { granted, refused, displaces: onLimit === 'cancel_old' && held > 0 };
  }
  return { granted, refused, displaces: false };
}
