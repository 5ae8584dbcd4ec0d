import { hasSucceeded, isEnded } from './changes.ts';
import type { CompiledGraph, GraphNode } from './compile.ts';
import { carriesFailure, memberLabel } from './joining.ts';
import type { EndedTask, RunState, TaskState } from './run-state.ts';
import type { Reason, RunOutcome } from './states.ts';
import { isBeyond } from './judging.ts';
import { isAllowed } from './turn.ts';
import { chosenCase } from './verdict.ts';

/** The outcome of a run whose tasks are all terminal (semantics, section 3): a pure function of their states, never of their order. */
export function decideOutcome(graph: CompiledGraph, state: RunState): { status: RunOutcome; reason: Reason | null } {
  if (state.cause !== null) return state.cause;
  let success = 0;
  let failed = false;
  let cancelled = state.cancelAsked !== null;
  let excused = false;
  for (const node of graph.nodes) {
    const task = state.tasks[node.index];
    if (!isEnded(task)) continue;
    if (node.serves?.failRun === true && task.status === 'failed') failed = true;
    if (!node.isCounted || node.index === graph.guard) continue;
    const map = state.maps.get(node.index);
    if (hasSucceeded(task)) success++;
    if ((task.status === 'failed' && !isExcused(task)) || hidesFailure(state, node, task)) failed = true;
    if (task.status === 'cancelled' && task.reason !== 'superseded') cancelled = true;
    if (task.partial || (task.status === 'failed' && isExcused(task))) excused = true;
    // Of a map that succeeded, the failed items were tolerated or settled.
    if (task.status === 'success' && map !== undefined && map.failed > 0) excused = true;
    if (map !== undefined) success += map.ok;
  }
  if (failed) return { status: 'failed', reason: 'error' };
  if (cancelled) return { status: 'cancelled', reason: state.cancelAsked };
  if (excused) return { status: success > 0 ? 'partial' : 'failed', reason: null };
  return { status: 'success', reason: null };
}

/** A map that was cancelled when more of its items had failed than it tolerates: these are failures that nothing excuses. */
const hidesFailure = (state: RunState, node: GraphNode, task: EndedTask): boolean =>
  task.status === 'cancelled' && task.reason !== 'superseded' && !isAllowed(node) && isBeyond({ state }, node);

const isExcused = (task: EndedTask): boolean => task.allowed || task.handled;

/**
 * Ids of the failed or cancelled tasks from which a failure reached this one over any path; of a task that failed itself, just it.
 * Independent of order: derived from the states alone.
 */
export function rootCauses(graph: CompiledGraph, state: RunState, nodeIndex: number): string[] {
  const found = new Set<string>();
  const seen = new Set<number>();
  const walk = [nodeIndex];
  for (let at = walk.pop(); at !== undefined; at = walk.pop()) {
    const node = graph.nodes[at];
    const task = state.tasks[at];
    if (node === undefined || seen.has(at) || !isEnded(task)) continue;
    seen.add(at);
    if ((task.status === 'failed' && !task.handled) || task.status === 'cancelled')
      for (const cause of causesAt(node.id, task)) found.add(cause);
    else if (task.status === 'upstream_failed') walk.push(...failedUpstreams(graph, state, node));
  }
  return [...found].toSorted();
}

/** The upstreams over which a failure came. */
function failedUpstreams(graph: CompiledGraph, state: RunState, node: GraphNode): number[] {
  const carries = (index: number, holds: (task: EndedTask) => boolean): boolean => {
    const task = state.tasks[index];
    return isEnded(task) && holds(task);
  };
  const broken = (task: EndedTask): boolean => (task.status === 'failed' && !task.handled) || task.status === 'upstream_failed';
  if (graph.guard !== null && carries(graph.guard, broken)) return [graph.guard];
  const gate = [...(node.gate === null ? [] : [node.gate.when]), ...(node.bracket < 0 ? [] : [node.bracket])].filter((one) =>
    carries(one, broken),
  );
  if (node.cases === null)
    return [...gate, ...node.in.filter((edge) => carries(edge.from, (task) => carriesFailure(edge, task))).map((edge) => edge.from)];
  if (carries(node.cases.when, broken)) return [node.cases.when];
  return (chosenCase(state, node)?.members ?? [])
    .filter(({ node: at, mode }) => carries(at, (task) => memberLabel(task, mode) === 'upstream_failed'))
    .map((member) => member.node);
}

/** The tasks where a failed run's failure began. */
export function runRootCauses(graph: CompiledGraph, state: RunState): string[] {
  return failedNodes(graph, state).flatMap((node) => causesAt(node.id, state.tasks[node.index]));
}

/** The first task of the graph that made the run a failed one; null where none did. */
export function firstFailed(graph: CompiledGraph, state: RunState): { readonly id: string; readonly task: EndedTask } | null {
  const [node] = failedNodes(graph, state);
  const task = node === undefined ? undefined : state.tasks[node.index];
  return node === undefined || !isEnded(task) ? null : { id: node.id, task };
}

const failedNodes = (graph: CompiledGraph, state: RunState): GraphNode[] =>
  graph.nodes.filter((node) => {
    const task = state.tasks[node.index];
    if ((!node.isCounted && node.serves?.failRun !== true) || !isEnded(task)) return false;
    return (task.status === 'failed' && !isExcused(task)) || hidesFailure(state, node, task);
  });

/** A task that failed, or where that was a run of its own the tasks in it. */
function causesAt(id: string, task: TaskState | undefined): string[] {
  const inner = isEnded(task) ? causesInChild(task) : [];
  return inner.length === 0 ? [id] : inner.map((cause) => `${id}/${cause}`);
}

/** Tasks that a child's failure began at, as its parent sees them. */
function causesInChild(task: EndedTask): readonly string[] {
  if (task.error === null || !task.error.includes('"rootCause"')) return [];
  const { rootCause } = JSON.parse(task.error) as { rootCause?: unknown };
  return Array.isArray(rootCause) ? rootCause.map(String) : [];
}
