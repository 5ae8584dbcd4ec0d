/** Graphs inside of graph data: those of the items of a map, and those of hooks. Each has code of its own, and becomes a workflow of its own. */
import { isBag } from './contract.ts';
import { HOOK_NAMES, type Expr, type Graph, type HookName } from '../graph/graph.ts';
import { shown, type Report } from '../graph/problems.ts';
import type { NodeCode, Workflow } from '../types/types.ts';

type Bag = Readonly<Record<string, unknown>>;

/** What the entries of one graph bring with them: their code, and that of the graphs inside. */
export interface Level {
  /** The name of the workflow, or of the graph inside it. */
  readonly name: string;
  readonly code: Map<string, NodeCode>;
  readonly parts: Map<string, Level>;
  readonly depth: number;
  /** Entries that the graphs inside may still have, all together: one object may stand in many places, and in itself. Below 0: too many. */
  readonly budget: { left: number };
}

const MAX_ENTRIES = 100_000;
const MAX_DEPTH = 16;
const PART_KEYS = ['format', 'workflow', 'tasks', 'output'];

export const topLevel = (name: string): Level => ({ name, code: new Map(), parts: new Map(), depth: 0, budget: { left: MAX_ENTRIES } });

/** The entries of a list as graph data, within a level. */
export type Entries<L extends Level> = (list: readonly unknown[], level: L, report: Report) => readonly unknown[];

/** A graph inside as data, under the name that its place gives it. Of what is no graph the value: that is found in the data. */
export function partGraph<L extends Level>(
  given: unknown,
  at: { readonly name: string; readonly id: string; readonly outer: L; readonly report: Report },
  entries: Entries<L>,
): unknown {
  const { name, id, outer, report } = at;
  if (!isBag(given)) return given;
  if (outer.budget.left < 0) return undefined;
  if (outer.depth >= MAX_DEPTH) {
    outer.budget.left = -1;
    report('bad_option', [], `maps are nested deeper than ${MAX_DEPTH}`);
    return undefined;
  }
  for (const key of Object.keys(given)) if (!PART_KEYS.includes(key)) report('bad_option', [key], `${key} is not known here`);
  const list: unknown = given['tasks'];
  const inner: L = { ...outer, name, code: new Map(), parts: new Map(), depth: outer.depth + 1 };
  if (Array.isArray(list) && (outer.budget.left -= list.length) < 0) {
    report('bad_option', ['tasks'], `the graphs inside have over ${MAX_ENTRIES} tasks, all together`);
    return undefined;
  }
  if (!outer.parts.has(id)) outer.parts.set(id, inner);
  return {
    format: given['format'] ?? 1,
    workflow: given['workflow'] ?? name,
    tasks: Array.isArray(list) ? entries(list as readonly unknown[], inner, report) : list,
    output: given['output'] === undefined ? ({ $undefined: true } satisfies Expr) : given['output'],
  };
}

/** Gives each map over a graph its workflow, once all of them are as they stay. */
export function placeParts(graph: Graph, { code, parts }: Level): void {
  for (const task of graph.tasks) {
    const level = parts.get(task.id);
    if (level === undefined || task.kind !== 'map' || task.graph === undefined) continue;
    code.set(task.id, { rules: [], ...code.get(task.id), workflow: partWorkflow(task.graph, level) });
  }
}

export function partWorkflow(graph: Graph, level: Level): Workflow<unknown, unknown> {
  placeParts(graph, level);
  return { kind: 'workflow', name: graph.workflow, graph, code: level.code };
}

/** A map whose item is a graph. Its predicate is code; what is wrong with its data is found there. */
export function mapGraphEntry<L extends Level>(
  { bag, id, report }: { readonly bag: Bag; readonly id: unknown; readonly report: Report },
  { outer, entries }: { readonly outer: L; readonly entries: Entries<L> },
): unknown {
  const { graph, when, allowFailure, settle, ...data } = bag;
  if (when !== undefined && typeof when !== 'function')
    report('bad_type', ['when'], `when must be a predicate over the input, not ${shown(when)}`);
  const asks = typeof when === 'function' ? { when: when as (value: unknown) => boolean } : {};
  const key = typeof id === 'string' ? id : '';
  if (typeof id === 'string' && !outer.code.has(id)) outer.code.set(id, { rules: [], ...asks });
  const within: Report = (code, at, message) => report(code, ['graph', ...at], message);
  return {
    id,
    maxItems: 10_000,
    onEmpty: 'success',
    ...data,
    kind: 'map',
    graph: partGraph(graph, { name: `${outer.name}/${key}`, id: key, outer, report: within }, entries),
    ...(when === undefined ? {} : { when: true }),
    ...(allowFailure === undefined || allowFailure === false ? {} : { allowFailure }),
    ...(settle === undefined || settle === false ? {} : { settle }),
  };
}

/** `hooks` as data: a graph for each. Undefined where it is not given. */
export function hookGraphs<L extends Level>(
  bag: Bag,
  { outer, report, entries }: { readonly outer: L; readonly report: Report; readonly entries: Entries<L> },
): { readonly graphs: unknown; readonly level: L } | undefined {
  const given: unknown = bag['hooks'];
  if (given === undefined) return undefined;
  const level: L = { ...outer, code: new Map(), parts: new Map() };
  if (!isBag(given)) return { graphs: given, level };
  const graphs = Object.entries(given).map(([hook, graph]): [string, unknown] => {
    if (HOOK_NAMES.every((one) => one !== hook)) return [hook, graph];
    if (bag[hook] !== undefined) report('bad_option', ['hooks', hook], `${hook} is given twice, as an option and in hooks`);
    const within: Report = (code, at, message) => report(code, ['hooks', hook, ...at], `${hook}: ${message}`);
    return [hook, partGraph(graph, { name: `${outer.name}/${hook}`, id: hook, outer: level, report: within }, entries)];
  });
  return { graphs: Object.fromEntries(graphs), level };
}

export function hookWorkflows(graphs: Graph['hooks'], level: Level): Map<HookName, Workflow<unknown, unknown>> {
  return new Map(
    HOOK_NAMES.flatMap((hook) => {
      const [graph, code] = [graphs?.[hook], level.parts.get(hook)];
      return graph === undefined || code === undefined ? [] : [[hook, partWorkflow(graph, code)] as const];
    }),
  );
}
