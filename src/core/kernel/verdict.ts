import { isEnded } from './changes.ts';
import type { BranchCase, GraphNode } from './compile.ts';
import { DEFAULT_CASE, type CaseKey, type GraphTask } from '../graph/graph.ts';
import type { RunState } from './run-state.ts';

/** What a predicate, or the predicates of a switch, came to: null where no case holds. */
export type Verdict = CaseKey | null;

/** A verdict as it is recorded: the codec's text of it. */
export const verdictText = (verdict: Verdict): string => JSON.stringify(verdict);

/** As messages call a case. */
export function caseName(is: CaseKey): string {
  return typeof is === 'string' ? `case ${JSON.stringify(is)}` : is ? 'then' : 'otherwise';
}

/** The verdicts that choose among branches; null of what is no decision about other tasks. */
export function caseKeys(task: GraphTask): readonly CaseKey[] | null {
  if (task.kind === 'when') return [true, false];
  return task.kind === 'switch' ? (task.default === 'branch' ? [...task.cases, DEFAULT_CASE] : task.cases) : null;
}

/** The verdicts that may be the output of this task; null of one that is no decision. A guard that says no is skipped and has no output. */
export function verdictsOf(task: GraphTask): readonly Verdict[] | null {
  if (task.kind === 'guard') return [true];
  const keys = caseKeys(task);
  return keys !== null && task.kind === 'switch' && task.default === 'skip' ? [...keys, null] : keys;
}

/** The verdict that a decision recorded, as text. */
export function verdictOf(state: RunState, node: number): string | null {
  const task = state.tasks[node];
  return isEnded(task) ? task.output : null;
}

/** The branch that a decision chose; undefined where none belongs to its verdict. */
export function chosenCase(state: RunState, { cases }: GraphNode): BranchCase | undefined {
  return cases === null ? undefined : cases.byVerdict.get(verdictOf(state, cases.when) ?? '');
}
