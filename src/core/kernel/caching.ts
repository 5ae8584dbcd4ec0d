import { taskAt, type Changes } from './changes.ts';
import { canonical, decode } from '../values/codec.ts';
import type { CompiledGraph, GraphNode } from './compile.ts';
import type { RunState, TaskState } from './run-state.ts';
import { contractOf } from './turn.ts';
import { taskInput } from './values.ts';

/** Outputs of tasks with `cache` are kept by task, contract and input, over all runs; a task that is queued ends with what is kept. */

const texts = new WeakMap<GraphNode, string>();

/** What an output is kept under, beside the input. An inline body has no name of its own: it is that of its workflow alone. */
function contractText(graph: CompiledGraph, node: GraphNode): string {
  let text = texts.get(node);
  if (text === undefined) {
    const { task } = node;
    const name = 'task' in task && task.task !== undefined ? [task.task] : [graph.graph.workflow, node.id];
    texts.set(node, (text = canonical([name, contractOf(node)])));
  }
  return text;
}

export const isCached = (node: GraphNode): boolean =>
  contractOf(node)?.cache !== undefined && (node.task.kind === 'task' || node.task.kind === 'map');

/** The text whose digest is the key. Throws what putting the input together throws. */
export function cacheText(graph: CompiledGraph, state: RunState, node: GraphNode, task: TaskState): string {
  const input = task.edited === null ? taskInput(graph, state, task.node, task.item) : decode(task.edited);
  return canonical([contractText(graph, node), input]);
}

export interface CacheQuestion {
  readonly node: number;
  readonly item: number;
  readonly text: string;
}

/**
 * Which of the changes from `from` on put a task before its body, as it stands now. In a generation that a person opened nothing is read from
 * the cache: whoever sends a task on, or does it over, wants it done.
 */
export function cacheQuestions(graph: CompiledGraph, state: RunState, changes: Changes, from: number): CacheQuestion[] {
  const questions: CacheQuestion[] = [];
  for (const { from: before, to } of changes.tasks.slice(from)) {
    const node = graph.nodes[to.node];
    if (node === undefined || !isCached(node) || to.generation > 1 || taskAt(state, to.node, to.item) !== to) continue;
    if (node.task.kind === 'map' && to.item < 0) continue;
    const isQueued = to.status === 'queued' && to.phase === 'body' && to.next === 'start';
    const isAllowed = to.status === 'running' && to.phase === 'body' && before?.status === 'running' && before.phase === 'evaluate';
    if (isQueued || isAllowed) questions.push({ node: to.node, item: to.item, text: cacheText(graph, state, node, to) });
  }
  return questions;
}

export interface CacheEntry {
  readonly task: string;
  readonly text: string;
  readonly output: string | null;
  readonly ttlMs: number;
}

/** What bodies gave in these changes, to be kept. */
export function cacheEntries(graph: CompiledGraph, state: RunState, changes: Changes): CacheEntry[] {
  const entries: CacheEntry[] = [];
  for (const { from, to } of changes.tasks) {
    const node = graph.nodes[to.node];
    if (node === undefined || !isCached(node) || to.status !== 'success' || to.cached || from?.status !== 'running' || from.lease === null)
      continue;
    entries.push({ task: node.id, text: cacheText(graph, state, node, to), output: to.output, ttlMs: contractOf(node)?.cache?.ttlMs ?? 0 });
  }
  return entries;
}
