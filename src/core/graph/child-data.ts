/** Child runs in graph data: what may be wrong with them beyond their shape, and their code. */
import { isWorkflow } from '../define/child-verbs.ts';
import type { Graph, GraphTask } from './graph.ts';
import { shown, type Problem, type Report } from './problems.ts';
import type { AnyTask, NodeCode, Workflow } from '../types/types.ts';

type Bag = Readonly<Record<string, unknown>>;
type AnyWorkflow = Workflow<unknown, unknown>;

/** The graph in which another one stands, and how that is looked at. */
interface Within {
  readonly workflow: string;
  readonly problemsOf: (graph: unknown) => readonly Problem[];
}

/** Graphs of hooks stand under their names, and call no hooks themselves. */
export function hookProblems(graph: unknown, report: Report, within: Within): void {
  const hooks = (graph as { readonly hooks?: unknown } | null)?.hooks;
  if (typeof hooks !== 'object' || hooks === null) return;
  for (const [hook, part] of Object.entries(hooks as Readonly<Record<string, Graph | undefined>>)) {
    if (part === undefined) continue;
    nestedProblems(part, hook, ['hooks', hook], report, within);
    if (part.hooks !== undefined) report('bad_option', ['hooks', hook, 'hooks'], `${hook}: a hook has no hooks`);
  }
}

function nestedProblems(graph: Graph, id: string, at: readonly string[], report: Report, within: Within): void {
  const name = `${within.workflow}/${id}`;
  if (graph.workflow !== name)
    report('bad_name', [...at, 'workflow'], `${at.join('.')}.workflow must be ${shown(name)}, not ${shown(graph.workflow)}`);
  for (const problem of within.problemsOf(graph)) report(problem.code, [...at, ...problem.at], problem.message);
}

/** What a map does per item is one thing. */
export function childProblems(task: GraphTask, report: Report, within: Within): void {
  if (task.kind !== 'map') return;
  if (task.graph !== undefined) nestedProblems(task.graph, task.id, ['graph'], report, within);
  const [first, second] = (['task', 'workflow', 'graph'] as const).filter((key) => task[key] !== undefined);
  if (first === undefined) report('bad_type', ['task'], 'it needs a task, a workflow or a graph');
  if (second !== undefined) report('bad_option', [second], `it has a ${first} already`);
  const isTask = first === 'task';
  if (isTask && task.contract === undefined) report('bad_type', ['contract'], 'contract must be an object, not undefined');
  for (const key of isTask ? (['checked', 'detached'] as const) : (['contract'] as const)) {
    if (task[key] !== undefined) report('bad_option', [key], `${key} means nothing where it has a ${first ?? 'workflow'}`);
  }
  if (first === 'graph' && task.detached) report('bad_option', ['detached'], 'a part of the graph cannot be detached');
}

/** The workflow that an entry of graph data names: the object, or the name of one in `use`. Undefined where it names none. */
export function namedWorkflow(named: unknown, use: ReadonlyMap<string, AnyWorkflow>): AnyWorkflow | undefined {
  if (isWorkflow(named)) return named;
  return typeof named === 'string' ? use.get(named) : undefined;
}

export function childEntry(
  {
    bag,
    id,
    report,
  }: { bag: Bag; id: unknown; report: (code: 'unknown_task' | 'bad_type' | 'bad_option', key: string, message: string) => void },
  kind: 'child' | 'map',
  use: ReadonlyMap<string, AnyWorkflow>,
  code: Map<string, NodeCode>,
): unknown {
  const { workflow: named, when, allowFailure, settle, detached, checked: _, ...data } = bag;
  const child = namedWorkflow(named, use);
  if (child === undefined) {
    const what =
      typeof named === 'string'
        ? `there is no workflow ${shown(named)} in use`
        : `workflow must be a workflow, or the name of one in use, not ${shown(named)}`;
    report('unknown_task', 'workflow', what);
  }
  if (when !== undefined && typeof when !== 'function')
    report('bad_type', 'when', `when must be a predicate over the input, not ${shown(when)}`);
  if (typeof id === 'string' && child !== undefined && !code.has(id)) {
    const asks = typeof when === 'function' ? { when: when as (value: unknown) => boolean } : {};
    code.set(id, { workflow: child, rules: [], ...(child.input === undefined ? {} : { input: child.input }), ...asks });
  }
  return {
    id,
    kind,
    ...(child === undefined ? { workflow: named } : { workflow: child.name }),
    ...(kind === 'child' ? { input: {} } : { maxItems: 10_000, onEmpty: 'success' }),
    ...data,
    ...(child?.input === undefined ? {} : { checked: true }),
    ...(when === undefined ? {} : { when: true }),
    ...given({ allowFailure, settle, detached }),
  };
}

const given = (options: Bag): Bag =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined && value !== false));

export const workflowsOf = (use: unknown): Map<string, AnyWorkflow> =>
  new Map((Array.isArray(use) ? (use as unknown[]) : []).filter(isWorkflow).map((each) => [each.name, each]));

export const isUsable = (each: unknown, isTask: (value: unknown) => value is AnyTask): boolean => isTask(each) || isWorkflow(each);
