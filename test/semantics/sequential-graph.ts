/** What the sequential model reads off a graph: who serves whom, what is inside a bracket, what only the losers of a first need. */
import type { Graph, GraphTask, HandlerTask } from '../../src/core/graph/graph.ts';
import { readsOf, readsOfTask } from './sequential-table.ts';

/** The task of this name, or of this item. */
export function taskOf(graph: Graph, at: string): GraphTask {
  const id = at.replace(/\[\d+\]$/, '');
  const task = graph.tasks.find((one) => one.id === id);
  if (task === undefined) throw new Error(`there is no ${at}`);
  return task;
}

export function handlerOf(graph: Graph, at: string, role: HandlerTask['role']): HandlerTask | null {
  return graph.tasks.find((task): task is HandlerTask => task.kind === 'handler' && task.role === role && task.of === at) ?? null;
}

/** The losers and what they wait for, less whatever anything else that is open waits for, or the output reads. */
export function onlyFor(graph: Graph, losers: readonly string[], isOpen: (id: string) => boolean): string[] {
  const found = new Set<string>();
  const add = (id: string): void => {
    if (found.has(id)) return;
    found.add(id);
    needsOf(graph, taskOf(graph, id)).forEach(add);
  };
  losers.forEach(add);
  const output = readsOf(graph.output).map(({ of }) => of);
  const isNeeded = (id: string): boolean =>
    output.includes(id) || graph.tasks.some((by) => isOpen(by.id) && !found.has(by.id) && needsOf(graph, by).includes(id));
  for (let left = [...found].find(isNeeded); left !== undefined; left = [...found].find(isNeeded)) found.delete(left);
  return graph.tasks.map(({ id }) => id).filter((id) => found.has(id));
}

/** Whether the one waits for the other, over however many between them. */
export function leadsTo(graph: Graph, from: string, to: string): boolean {
  return needsOf(graph, taskOf(graph, to)).some((id) => id === from || leadsTo(graph, from, id));
}

function needsOf(graph: Graph, task: GraphTask): string[] {
  const of =
    task.kind === 'branch' ? [task.when, ...task.cases.flatMap(({ members }) => members)] : readsOfTask(task).map((read) => read.of);
  const guard = graph.tasks.flatMap(({ id, kind }) => (kind === 'guard' && id !== task.id ? [id] : []));
  return [...of, ...(task.after ?? []), ...(task.if ? [task.if.when] : []), ...(task.using === undefined ? [] : [task.using]), ...guard];
}

export function insideOf(graph: Graph, setup: string): string[] {
  return graph.tasks.flatMap((task) => {
    if (task.using !== setup || task.kind === 'branch') return [];
    const teardown = handlerOf(graph, task.id, 'teardown');
    return [task.id, ...(teardown === null ? [] : [teardown.id]), ...insideOf(graph, task.id)];
  });
}
