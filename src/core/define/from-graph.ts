import { childEntry, isUsable, workflowsOf } from '../graph/child-data.ts';
import { isWorkflow } from './child-verbs.ts';
import { membersOf } from './building.ts';
import { contractOf, isBag, mergeOpts, TASK_OPTIONS, type Contract } from './contract.ts';
import { definitionOf, headerOf } from './definition.ts';
import { hookGraphs, hookWorkflows, mapGraphEntry, placeParts, topLevel, type Level } from './from-graph-parts.ts';
import type { CaseKey, ContractData, Expr, Graph, GraphTask, HookName, Join, RefExpr, Role } from '../graph/graph.ts';
import { guardEntry } from '../kernel/guard.ts';
import { TEARDOWN_GRACE } from './handlers.ts';
import { reporter, shown, type Problem, type ProblemCode, type Report } from '../graph/problems.ts';
import type { Scheduled, ScheduledPlain } from './schedule-opts.ts';
import type { Schema, SIn, SOut } from '../values/schema.ts';
import { isTask, withSchemas } from './task.ts';
import type { AnyTask, Body, Guard, KeyLimit, NodeCode, Signal, TaskOpts, Workflow, WorkflowOpts } from '../types/types.ts';
import { approveParts, waitParts } from './from-graph-waits.ts';
import { graphProblems } from '../graph/validate.ts';

interface BaseDef {
  /** Default: the task's name. */
  readonly id?: string;
  readonly after?: readonly string[];
  readonly join?: Join;
  readonly if?: { readonly when: string; readonly is: CaseKey };
  /** Made inside the bracket of that setup, which has a teardown. */
  readonly using?: string;
}

interface BodyDef<V> extends BaseDef, Omit<TaskOpts, 'concurrency'> {
  readonly concurrency?: number | KeyLimit<Expr>;
  /** The predicate over the task's input. */
  readonly when?: (input: V) => boolean;
  readonly allowFailure?: boolean;
  /** Default: the task's, with the options that stand beside it. */
  readonly contract?: ContractData;
}

export interface TaskDef<V = never> extends BodyDef<V> {
  readonly kind?: 'task';
  /** A task, or the name of one in `use`. */
  readonly task?: AnyTask | string;
  /** The body, where there is no task. */
  readonly run?: Body<V, unknown>;
  /** Default: an empty object. */
  readonly input?: Expr;
}

export interface MapDef<V = never> extends Omit<BodyDef<V>, 'concurrency'> {
  readonly kind: 'map';
  readonly task: AnyTask | string;
  readonly items: Expr;
  readonly each: Expr;
  readonly key?: Expr;
  readonly concurrency?: number;
  readonly maxItems?: number;
  readonly onEmpty?: 'success' | 'skip';
  readonly settle?: boolean;
  readonly tolerate?: { readonly count?: number; readonly ratio?: number };
}

/** A run of another workflow in the place of a task. */
export interface ChildDef<V = never> extends BaseDef {
  readonly id?: string;
  readonly kind: 'child';
  /** A workflow, or the name of one in `use`. */
  readonly workflow: Workflow<never, unknown> | string;
  /** Default: an empty object. */
  readonly input?: Expr;
  readonly when?: (input: V) => boolean;
  readonly allowFailure?: boolean;
  readonly detached?: boolean;
}

export interface ChildMapDef<V = never> extends Omit<MapDef<V>, 'task' | 'retry' | 'timeout' | 'effects' | 'priority'> {
  readonly workflow: Workflow<never, unknown> | string;
  readonly detached?: boolean;
}

/** A map whose items are runs of a graph: their input is what `each` makes, and they read it as `$input`. */
export interface MapGraphDef<V = never> extends Omit<MapDef<V>, 'task' | 'contract' | keyof TaskOpts> {
  readonly id: string;
  readonly graph: PartDef;
}

/** A graph inside another one. */
export interface PartDef {
  readonly format?: 1;
  /** Default, and nothing else: the name of the workflow around it, and the id of the map or the name of the hook, as in 'orders/each'. */
  readonly workflow?: string;
  readonly tasks: GraphDef['tasks'];
  /** Default: undefined. */
  readonly output?: Expr;
}

export interface WhenDef<V = never> extends BaseDef {
  readonly id: string;
  readonly kind: 'when';
  readonly input: Expr;
  readonly test: (value: V) => boolean;
}

export interface SwitchDef<V = never> extends BaseDef {
  readonly id: string;
  readonly kind: 'switch';
  readonly input: Expr;
  /** The predicates, in the order in which they are asked. */
  readonly cases: readonly { readonly name: string; readonly test: (value: V) => boolean }[];
  /** What happens where none holds: the case `default`, or nothing. Default: it fails. */
  readonly default?: 'branch' | 'skip';
}

export interface FirstDef extends Pick<BaseDef, 'if' | 'using'> {
  readonly id: string;
  readonly kind: 'first';
  readonly parts: readonly { readonly name: string; readonly value: RefExpr }[];
}

/** The same as the option `guard`. */
export interface GuardDef<V = never> {
  readonly id: string;
  readonly kind: 'guard';
  readonly test: (input: V) => boolean;
}

interface CaseDef {
  readonly is: CaseKey;
  readonly value: Expr;
  /** Default: of the tasks whose `if` names this branch those that no other one waits for, and those that the value reads. */
  readonly members?: readonly string[];
}

export interface BranchDef extends BaseDef {
  readonly id: string;
  readonly kind: 'branch';
  readonly when: string;
  readonly cases: readonly CaseDef[];
}

/** Ends when `ms` have passed, or at the instant that `until` reads: one of the two. */
export interface SleepDef extends BaseDef {
  readonly id: string;
  readonly kind: 'sleep';
  readonly ms?: number;
  readonly until?: Expr;
}

/** A teardown gets the output of the task `of`, a catch `{ input, error }`, a compensation `{ input, output }`. */
export interface HandlerDef<V = never> extends TaskOpts {
  readonly id: string;
  readonly kind: 'handler';
  readonly role: Role;
  readonly of: string;
  readonly task?: AnyTask | string;
  /** The body, where there is no task. */
  readonly run?: Body<V, unknown>;
  /** Of a teardown: its failure fails the run. */
  readonly failRun?: boolean;
  readonly contract?: ContractData;
}

/** `signal`: the signal, or the name of one that the engine has in `use`. */
export interface WaitDef<V = never> extends BaseDef {
  readonly id: string;
  readonly kind: 'wait';
  readonly signal: Signal<never, unknown> | string;
  readonly key?: Expr;
  readonly timeoutMs?: number;
  readonly onTimeout?: 'skip';
  readonly where?: (data: V) => boolean;
  readonly allowFailure?: boolean;
}

export interface ApproveDef extends BaseDef {
  readonly id: string;
  readonly kind: 'approve';
  readonly who: readonly string[];
  readonly show?: Expr;
  readonly form?: Schema;
  readonly timeoutMs?: number;
  readonly onTimeout?: 'skip';
  readonly onReject?: 'skip';
  readonly allowFailure?: boolean;
}

export interface GraphDef extends WorkflowOpts {
  /** Runs at the same time, of this workflow or of one key; the key may read `$input`. */
  readonly concurrency?: number | KeyLimit<Expr>;
  readonly tasks: readonly (
    | HandlerDef
    | TaskDef
    | ChildDef
    | MapDef
    | ChildMapDef
    | MapGraphDef
    | WhenDef
    | SwitchDef
    | FirstDef
    | GuardDef
    | BranchDef
    | SleepDef
    | WaitDef
    | ApproveDef
  )[];
  /** Default: undefined. */
  readonly output?: Expr;
  /** Graphs of what is told about a run, as a builder emits them; they get what a hook gets as `$input`. The options `onStart` and so on are shorter. */
  readonly hooks?: Readonly<Partial<Record<HookName, PartDef>>>;
  /** Tasks that `task` may name, and workflows that `workflow` may. */
  readonly use?: readonly (AnyTask | Workflow<never, unknown>)[];
}

type Bag = Readonly<Record<string, unknown>>;

interface Context extends Level {
  readonly use: ReadonlyMap<string, AnyTask>;
  readonly workflows: ReadonlyMap<string, Workflow<unknown, unknown>>;
}

interface Entry {
  readonly bag: Bag;
  readonly id: unknown;
  readonly report: (code: ProblemCode, key: string, message: string) => void;
}

/** A workflow from a graph as data: the form that a builder emits, with tasks and functions in place of their names. Throws `BUILD_INVALID`. */
export function fromGraph<IS extends Schema>(
  def: GraphDef & { readonly input: IS; readonly guard?: Guard<SOut<IS>>; readonly schedule?: Scheduled<SIn<IS>> },
): Workflow<SIn<IS>, unknown>;
export function fromGraph(
  def: GraphDef & { readonly input?: undefined; readonly guard?: Guard<undefined>; readonly schedule?: ScheduledPlain },
): Workflow<void, unknown>;
export function fromGraph(def: unknown): Workflow<unknown, unknown> {
  const problems: Problem[] = [];
  const report = reporter(problems);
  const header = headerOf(def, ['tasks', 'output', 'use', 'hooks'], report);
  const bag: Bag = isBag(def) ? def : {};
  const context: Context = { ...topLevel(header.name), use: usable(bag['use'], report), workflows: workflowsOf(bag['use']) };
  const given: unknown = bag['tasks'];
  // Behind the others: they keep the places that the author gave them.
  const entries = Array.isArray(given) ? [...(given as readonly unknown[]), ...guardEntry(bag['guard'])] : given;
  const tasks = Array.isArray(entries) ? entriesOf(entries as readonly unknown[], context, report) : entries;
  const hooks = hookGraphs(bag, { outer: context, report, entries: entriesOf });
  const graph = {
    ...header.graph,
    ...(hooks === undefined ? {} : { hooks: isBag(hooks.graphs) ? { ...header.graph.hooks, ...hooks.graphs } : hooks.graphs }),
    tasks,
    output: bag['output'] === undefined ? { $undefined: true } : bag['output'],
  } as unknown as Graph;
  if (context.budget.left < 0) return definitionOf({ header, graph, code: context.code, problems });
  // Members that were left out are found through the expressions, so only in a graph whose expressions are good.
  problems.push(...graphProblems(graph).filter((problem) => problem.code !== 'missing_member'));
  const complete = problems.length === 0 ? withMembers(graph) : graph;
  if (problems.length === 0) problems.push(...graphProblems(complete));
  if (problems.length > 0) return definitionOf({ header, graph: complete, code: context.code, problems });
  placeParts(complete, context);
  const told =
    hooks === undefined ? header : { ...header, hooks: new Map([...(header.hooks ?? []), ...hookWorkflows(complete.hooks, hooks.level)]) };
  return definitionOf({ header: told, graph: complete, code: context.code, problems });
}

function entriesOf(list: readonly unknown[], context: Context, report: Report): readonly unknown[] {
  const tasks = list.map((entry, i) => taskOf(entry, i, context, report));
  for (const task of tasks) giveOutput(task, context.code);
  return tasks;
}

/** What a `catch` gives must fit the task that it serves, unless it is a task that has a schema of its own. */
function giveOutput(task: unknown, code: Map<string, NodeCode>): void {
  if (!isBag(task) || task['role'] !== 'catch' || typeof task['id'] !== 'string') return;
  const own = code.get(task['id']);
  const output = code.get(String(task['of']))?.output;
  if (own !== undefined && own.output === undefined && output !== undefined) code.set(task['id'], { ...own, output });
}

function usable(use: unknown, report: Report): Map<string, AnyTask> {
  const list: readonly unknown[] = Array.isArray(use) ? use : [];
  if (use !== undefined && !Array.isArray(use)) report('bad_type', ['use'], `use must be a list of tasks and workflows, not ${shown(use)}`);
  list.forEach((each, i) => {
    if (!isUsable(each, isTask)) report('unknown_task', ['use', i], `use[${i}] must be a task or a workflow, not ${shown(each)}`);
  });
  return new Map(list.filter(isTask).map((each) => [each.name, each]));
}

/** The entry as graph data. What is wrong with its data is found there; what is wrong with its code is reported here. */
function taskOf(value: unknown, index: number, context: Context, report: Report): unknown {
  if (!isBag(value)) return value;
  const named = value['task'];
  const kind = value['kind'] ?? 'task';
  const of = value['workflow'];
  const id = value['id'] ?? (isTask(named) ? named.name : isWorkflow(of) ? of.name : (named ?? of));
  const name = typeof id === 'string' ? `task ${shown(id)}` : `tasks[${index}]`;
  const entry: Entry = { bag: value, id, report: (code, key, message) => report(code, ['tasks', index, key], `${name}: ${message}`) };
  if (kind === 'when' || kind === 'guard') return whenOf(entry, context);
  if (kind === 'switch') return switchOf(entry, context);
  if (kind === 'wait' || kind === 'approve') {
    const wrong = (key: string, message: string): void => entry.report('bad_type', key, message);
    const { data, code } = kind === 'wait' ? waitParts(value, wrong) : approveParts(value, wrong);
    if (typeof id === 'string' && !context.code.has(id)) context.code.set(id, code);
    return data;
  }
  if (kind === 'branch') return { ...value, cases: Array.isArray(value['cases']) ? value['cases'].map(caseOf) : value['cases'] };
  if (kind === 'map' && value['graph'] !== undefined) {
    const within: Report = (code, at, message) => report(code, ['tasks', index, ...at], `${name}: ${message}`);
    return mapGraphEntry({ bag: value, id, report: within }, { outer: context, entries: entriesOf });
  }
  if (kind === 'child' || (kind === 'map' && value['workflow'] !== undefined))
    return childEntry(entry, kind, context.workflows, context.code);
  return kind === 'task' || kind === 'map' || kind === 'handler' ? bodyOf(entry, kind, context) : value;
}

function whenOf({ bag, id, report }: Entry, { code }: Context): unknown {
  const { test, ...data } = bag;
  if (typeof test !== 'function') report('bad_type', 'test', `test must be a predicate, not ${shown(test)}`);
  else if (typeof id === 'string') code.set(id, { when: test as (value: unknown) => boolean, rules: [] });
  return data;
}

function switchOf({ bag, id, report }: Entry, { code }: Context): unknown {
  const given: readonly unknown[] = Array.isArray(bag['cases']) ? bag['cases'] : [];
  const cases = given.map((one, i) => {
    const { name, test } = isBag(one) ? one : {};
    if (typeof test !== 'function') report('bad_type', 'cases', `cases[${i}].test must be a predicate, not ${shown(test)}`);
    return { name: name as string, test: test as (value: unknown) => boolean };
  });
  if (typeof id === 'string') code.set(id, { cases, rules: [] });
  return { ...bag, cases: Array.isArray(bag['cases']) ? cases.map(({ name }) => name) : bag['cases'] };
}

function caseOf(value: unknown): unknown {
  return isBag(value) && value['members'] === undefined ? { ...value, members: [] } : value;
}

function bodyOf(entry: Entry, kind: 'task' | 'map' | 'handler', context: Context): unknown {
  const { bag, id, report } = entry;
  const {
    run,
    task: named,
    when,
    allowFailure,
    settle,
    failRun,
    contract: _contract,
    retry: _retry,
    timeout: _timeout,
    effects: _effects,
    priority: _priority,
    queue: _queue,
    pools: _pools,
    rate: _rate,
    concurrency,
    ...data
  } = bag;
  const task = resolve(entry, kind, context);
  const body = task?.run ?? run;
  if (task === undefined && named === undefined && typeof run !== 'function')
    report('bad_type', 'run', `it needs a task, or run: a function, not ${shown(run)}`);
  if (task !== undefined && run !== undefined) report('bad_type', 'run', 'it has a task, which brings its own body; leave out run');
  if (when !== undefined && typeof when !== 'function')
    report('bad_type', 'when', `when must be a predicate over the input, not ${shown(when)}`);
  const { contract, rules } = contractOfEntry(entry, kind, task);
  if (typeof id === 'string' && !context.code.has(id)) context.code.set(id, codeOf({ task, body, when, rules }));
  return {
    id,
    kind,
    ...(task ? { task: task.name } : typeof named === 'string' ? { task: named } : {}),
    ...(kind === 'task' ? { input: {} } : kind === 'map' ? { maxItems: 10_000, onEmpty: 'success' } : {}),
    ...data,
    // Of a map it is the bound of its items, of a task a part of its contract.
    ...(kind === 'map' && concurrency !== undefined ? { concurrency } : {}),
    ...(when === undefined ? {} : { when: true }),
    ...(allowFailure === undefined || allowFailure === false ? {} : { allowFailure }),
    ...(settle === undefined || settle === false ? {} : { settle }),
    ...(failRun === undefined || failRun === false ? {} : { failRun }),
    contract,
  };
}

function resolve({ bag, report }: Entry, kind: 'task' | 'map' | 'handler', { use }: Context): AnyTask | undefined {
  const named = bag['task'];
  if (isTask(named)) return named;
  if (named === undefined && kind !== 'map') return undefined;
  const task = typeof named === 'string' ? use.get(named) : undefined;
  if (task) return task;
  report(
    'unknown_task',
    'task',
    typeof named === 'string'
      ? `there is no task ${shown(named)} in use`
      : `task must be a task, or the name of one in use, not ${shown(named)}`,
  );
  return undefined;
}

function contractOfEntry(
  { bag, report }: Entry,
  kind: 'task' | 'map' | 'handler',
  task: AnyTask | undefined,
): { readonly contract: unknown; readonly rules: Contract['rules'] } {
  const known = TASK_OPTIONS.filter((key) => kind !== 'map' || key !== 'concurrency');
  const given = Object.fromEntries(known.flatMap((key) => (bag[key] === undefined ? [] : [[key, bag[key]]])));
  const isBare = bag['role'] === 'teardown' && bag['contract'] === undefined && (given['timeout'] ?? task?.options.timeout) === undefined;
  const options: TaskOpts = isBare ? { ...given, timeout: TEARDOWN_GRACE } : given;
  const changes = Object.keys(options).length > 0;
  if (bag['contract'] !== undefined) {
    if (changes)
      report(
        'bad_option',
        'contract',
        `it has a contract, so ${Object.keys(options).join(', ')} beside it would change nothing; leave out one of the two`,
      );
    return { contract: bag['contract'], rules: task?.rules ?? [] };
  }
  if (task && !changes) return { contract: task.contract, rules: task.rules };
  const made = contractOf(mergeOpts(task?.options ?? {}, options), (code, at, message) => report(code, String(at[0] ?? ''), message));
  return task ? { ...made, contract: withSchemas(made.contract, task) } : made;
}

function codeOf({
  task,
  body,
  when,
  rules,
}: {
  task: AnyTask | undefined;
  body: unknown;
  when: unknown;
  rules: Contract['rules'];
}): NodeCode {
  return {
    ...(task ? { task } : {}),
    ...(typeof body === 'function' ? { run: body as Body<unknown, unknown> } : {}),
    ...(task?.input ? { input: task.input } : {}),
    ...(task?.output ? { output: task.output } : {}),
    ...(typeof when === 'function' ? { when: when as (value: unknown) => boolean } : {}),
    rules,
  };
}

function withMembers(graph: Graph): Graph {
  const madeIn = (when: string, is: CaseKey): string[] =>
    graph.tasks.filter((task) => task.if?.when === when && task.if.is === is).map((task) => task.id);
  const complete = (task: GraphTask): GraphTask => {
    if (task.kind === 'map' && task.graph !== undefined) return { ...task, graph: withMembers(task.graph) };
    if (task.kind !== 'branch') return task;
    const cases = task.cases.map((one) =>
      one.members.length > 0 ? one : { ...one, members: membersOf(madeIn(task.when, one.is), one.value, graph.tasks) },
    );
    return { ...task, cases };
  };
  const hooks = Object.entries(graph.hooks ?? {}).map(([hook, part]) => [hook, withMembers(part)] as const);
  return { ...graph, ...(hooks.length === 0 ? {} : { hooks: Object.fromEntries(hooks) }), tasks: graph.tasks.map(complete) };
}
