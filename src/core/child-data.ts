/** Child runs in graph data: what may be wrong with them beyond their shape, and their code. */
import { isWorkflow } from './child-verbs.ts';
import type { GraphTask } from './graph.ts';
import { shown, type Problem, type Report } from './problems.ts';
import type { AnyTask, NodeCode, Workflow } from './types.ts';

type Bag = Readonly<Record<string, unknown>>;
type AnyWorkflow = Workflow<unknown, unknown>;

/** What a map does per item is one thing. */
export function childProblems(
  task: GraphTask,
  report: Report,
  within: { readonly workflow: string; readonly problemsOf: (graph: unknown) => readonly Problem[] },
): void {
  if (task.kind !== 'map') return;
  if (task.graph !== undefined) {
    const name = `${within.workflow}/${task.id}`;
    if (task.graph.workflow !== name)
      report('bad_name', ['graph', 'workflow'], `graph.workflow must be ${shown(name)}, not ${shown(task.graph.workflow)}`);
    for (const { code, at, message } of within.problemsOf(task.graph)) report(code, ['graph', ...at], message);
  }
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
