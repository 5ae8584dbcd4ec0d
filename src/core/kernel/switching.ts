/** How decisions end: a `when` has the cases true and false, a `switch` named ones, a guard decides for the run (docs/adr/0006). */
import type { GraphNode } from './compile.ts';
import { DEFAULT_CASE } from '../graph/graph.ts';
import { judged } from './judging.ts';
import type { EndedTask, RunningTask } from './run-state.ts';
import { endTask, type Turn } from './turn.ts';
import { verdictsOf, verdictText, type Verdict } from './verdict.ts';

/** How a guard, a `when` or a `switch` ends with what its worker found. */
export function endDecision(turn: Turn, node: GraphNode, task: RunningTask, verdict: Verdict): EndedTask {
  const of = node.task;
  if (of.kind === 'guard' && verdict !== true) return endTask(task, { status: 'skipped', reason: 'condition' }, turn.now);
  const chosen = verdict === null && of.kind === 'switch' && of.default === 'branch' ? DEFAULT_CASE : verdict;
  if (verdictsOf(of)?.includes(chosen)) return endTask(task, { status: 'success', output: verdictText(chosen) }, turn.now);
  const names = of.kind === 'switch' ? ` (${of.cases.join(', ')})` : '';
  const message =
    chosen === null ? `no case of ${of.id} holds${names}, and it has no default` : `${of.id} has no case ${verdictText(chosen)}`;
  const reason = chosen === null ? 'no_match' : 'definition_error';
  const error = JSON.stringify({ name: 'SwitchError', message });
  return endTask(task, { status: 'failed', reason, error, ...judged(turn, node, -1) }, turn.now);
}
