/** The guard of a run: it is asked before any task may start, and counts for nothing in the outcome. */
import { hookStart } from './hooks.ts';
import type { EndedTask } from './run-state.ts';
import type { Turn } from './turn.ts';

/** The id of the task that the option `guard` makes. */
export const GUARD_ID = 'guard';

/** The option as an entry of graph data; none where it is not given. */
export const guardEntry = (test: unknown): { id: string; kind: 'guard'; test: unknown }[] =>
  test === undefined ? [] : [{ id: GUARD_ID, kind: 'guard', test }];

/** A guard that said no, or that failed, decides the outcome of the run as a whole (semantics, section 3, rule 0). */
export function judgeRun(turn: Turn, task: EndedTask): void {
  const { graph, state } = turn;
  if (task.node !== graph.guard) return;
  if (task.status === 'success') {
    hookStart(turn);
    return;
  }
  if ((task.status === 'skipped' || task.status === 'failed') && state.cause === null)
    state.cause = { status: task.status, reason: task.reason ?? 'definition_error' };
  if (state.generation > 1 || graph.graph.hooks?.onStart === undefined) return;
  state.flow = { ...state.flow, unstarted: true };
  turn.changes.flow = true;
}
