import { isEnded } from './changes.ts';
import type { CompiledGraph } from './compile.ts';
import { decideNode, tally } from './joining.ts';
import type { EndedTask, RunState } from './run-state.ts';
import { endTask, freshTask } from './turn.ts';

/**
 * Derives what is not in the rows of a state's tasks, anew where it was there before: the tallies of joins, the branches (which have no rows), the count of open tasks.
 * Decides nothing that is not already in the rows.
 */
export function replay(graph: CompiledGraph, state: RunState): void {
  const ended: EndedTask[] = [];
  state.open = graph.taskCount;
  state.settledRaces = null;
  state.completions = Math.max(state.completions, state.flow.called ?? 0);
  state.tallies = graph.nodes.map(() => undefined);
  for (const node of graph.nodes) if (node.cases !== null) state.tasks[node.index] = undefined;
  for (const node of graph.nodes) {
    const task = state.tasks[node.index];
    if (!isEnded(task)) continue;
    if (node.isCounted) state.open--;
    state.completions = Math.max(state.completions, task.completion ?? 0);
    ended.push(task);
  }
  for (let task = ended.pop(); task !== undefined; task = ended.pop()) {
    const node = graph.nodes[task.node];
    if (node === undefined) continue;
    for (const edge of node.out) tally(graph, state, edge, task);
    for (const index of [...node.out.map((edge) => edge.to), ...node.watchers]) {
      const branch = graph.nodes[index];
      if (branch === undefined || branch.cases === null || state.tasks[index] !== undefined) continue;
      const decision = decideNode(graph, state, branch);
      if (decision.kind !== 'end') continue;
      const done = endTask(
        freshTask(state, branch, task.finishedAt),
        { status: decision.as, ...(decision.unmet ? { reason: 'condition' as const } : {}) },
        task.finishedAt,
      );
      state.tasks[index] = done;
      ended.push(done);
    }
  }
}
