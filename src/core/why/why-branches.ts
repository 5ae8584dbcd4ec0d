import { isEnded } from '../kernel/changes.ts';
import type { CompiledGraph, GraphNode } from '../kernel/compile.ts';
import type { EndedTask, RunState } from '../kernel/run-state.ts';

/** What a task that was skipped was skipped by, as the end of a sentence. */
export function skippedBy(graph: CompiledGraph, state: RunState, node: GraphNode, task: EndedTask): string {
  if (task.reason === 'manual') return 'a person skipped it';
  if (task.reason === 'wait_timeout') return 'no message came in time';
  if (task.reason === 'approval_timeout') return 'nobody answered in time';
  if (task.reason === 'rejected') return 'a person said no';
  if (task.reason !== 'condition') return 'what it depends on was skipped';
  const guard = graph.guard === null ? undefined : state.tasks[graph.guard];
  if (guard?.status === 'skipped') return 'the guard of the run said no';
  const decision = node.gate === null ? undefined : graph.nodes[node.gate.when];
  const decided = decision === undefined ? undefined : state.tasks[decision.index];
  if (decision === undefined || !isEnded(decided) || decided.output === node.gate?.verdict) return 'its condition said no';
  return `"${decision.id}" chose another branch`;
}

/** The decisions that are still to be made before this task is looked at. */
export function openDecisions({ guard }: CompiledGraph, state: RunState, { index, gate }: GraphNode): number[] {
  const needed = [...(guard === null || guard === index ? [] : [guard]), ...(gate === null ? [] : [gate.when])];
  return needed.filter((one) => !isEnded(state.tasks[one]));
}
