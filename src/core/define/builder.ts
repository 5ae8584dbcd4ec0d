/** The verbs of a builder: each checks its arguments, adds its tasks to the building and returns a ref. Types are those of `Build`. */
import { first, switchOf, when } from './branching.ts';
import { settledNow, type Building, type Call } from './building.ts';
import { isBag, TASK_OPTIONS } from './contract.ts';
import type { BodyTask, Expr, MapTask } from '../graph/graph.ts';
import { using } from './handlers.ts';
import { refInfo } from './refs.ts';
import { isWorkflow, mapChildren, runChild } from './child-verbs.ts';
import { mapGraph } from './sub-graph.ts';
import { isTask } from './task.ts';
import { approve, sleep, wait } from './wait-verbs.ts';
import type { Body, Build, NodeCode } from '../types/types.ts';
import { bagOf, checkOptions, common, isFunction, naming, place, reporting, type Bag, type Ref } from './verbs.ts';

const MAP_NODE_OPTIONS = ['id', 'after', 'join', 'when', 'allowFailure', 'compensate', ...TASK_OPTIONS];
const NODE_OPTIONS = [...MAP_NODE_OPTIONS, 'catch'];
const MAP_OPTIONS = [...MAP_NODE_OPTIONS, 'concurrency', 'settle', 'maxItems', 'tolerate', 'key', 'onEmpty'];
const MAX_ITEMS = 10_000;

export function builder(building: Building): Build {
  const verbs: Record<keyof Build, (...args: never[]) => unknown> = {
    run: (what: unknown, input: unknown, third: unknown, fourth: unknown) =>
      typeof what === 'string' ? runInline(building, { id: what, input, run: third, opts: fourth }) : runTask(building, what, input, third),
    map: (items: unknown, task: unknown, each: unknown, opts: unknown) => map(building, { items, task, each, opts }),
    when: (on: unknown, test: unknown, ...rest: readonly unknown[]) => when(building, on, test, rest),
    sleep: (time: unknown, opts: unknown) => sleep(building, time, opts),
    wait: (signal: unknown, opts: unknown) => wait(building, signal, opts),
    approve: (id: unknown, opts: unknown) => approve(building, id, opts),
    switch: (on: unknown, cases: unknown, opts: unknown) => switchOf(building, on, cases, opts),
    first: (parts: unknown, opts: unknown) => first(building, parts, opts),
    settle: (parts: unknown) => settle(building, parts),
    using: (id: unknown, opts: unknown, body: unknown) => using(building, { id, opts, body }),
    optional: (...args: [ref: unknown, otherwise?: unknown]) => optional(building, args),
  };
  return verbs as unknown as Build;
}

function runTask(building: Building, task: unknown, input: unknown, options: unknown): Ref {
  const opts = bagOf(options);
  if (isWorkflow(task)) return runChild(building, task, input, opts, options);
  const call = building.call('run', opts['id'] ?? (isTask(task) ? task.name : 'task'));
  checkOptions(options, NODE_OPTIONS, call);
  if (!isTask(task)) {
    call.report('unknown_task', `w.run takes a task or a workflow, or an id, an input and a function; not ${naming(task)}`);
    return building.ref({ kind: 'lost' });
  }
  const { contract, rules } = building.contract(opts, call, task);
  const made: BodyTask = {
    ...common(building, opts, call),
    ...own(opts),
    kind: 'task',
    task: task.name,
    input: building.expr(input, 'input', call),
    contract,
  };
  return place(building, call, made, { task, rules, ...bodyOf(task), ...predicate(opts, call) }, opts);
}

function runInline(
  building: Building,
  { id, input, run, opts: options }: { id: string; input: unknown; run: unknown; opts: unknown },
): Ref {
  const opts = bagOf(options);
  const call = building.call('run', opts['id'] ?? id);
  checkOptions(options, NODE_OPTIONS, call);
  if (!isFunction(run)) call.report('bad_type', `w.run with an id takes an input and a function, not ${naming(run)}`);
  const { contract, rules } = building.contract(opts, call);
  const made: BodyTask = {
    ...common(building, opts, call),
    ...own(opts),
    kind: 'task',
    input: building.expr(input, 'input', call),
    contract,
  };
  return place(building, call, made, { run: run as Body<unknown, unknown>, rules, ...predicate(opts, call) }, opts);
}

function map(
  building: Building,
  { items, task, each, opts: options }: { items: unknown; task: unknown; each: unknown; opts: unknown },
): Ref {
  const opts = bagOf(options);
  if (isFunction(task)) return mapGraph(building, { items, make: task, options: each }, { builder, mapOptions });
  if (isWorkflow(task)) return mapChildren(building, { items, child: task, each, opts, options }, mapOptions);
  const call = building.call('map', opts['id'] ?? (isTask(task) ? task.name : 'map'), 'map');
  checkOptions(options, MAP_OPTIONS, call);
  if (!isTask(task))
    call.report(
      'unknown_task',
      `w.map takes a task, a workflow or a function that makes a part of the graph as its second argument, not ${naming(task)}`,
    );
  if (!isFunction(each)) call.report('bad_type', `w.map takes a function of the item as its third argument, not ${naming(each)}`);
  const { key } = opts;
  if (key !== undefined && !isFunction(key)) call.report('bad_type', `key must be a function of the item, not ${naming(key)}`);
  if (!isTask(task) || !isFunction(each)) return building.ref({ kind: 'lost' });
  // The bound of the map is no limit of its task.
  const { concurrency: _bound, ...limits } = opts;
  const { contract, rules } = building.contract(limits, call, task);
  const ofItem = (make: (...args: unknown[]) => unknown, name: string) =>
    building.mapping(call.id, (item) => building.expr(settledNow(make(item), `${call.name}: the function of an item`), name, call));
  const made: MapTask = {
    ...common(building, opts, call),
    ...own(opts),
    kind: 'map',
    task: task.name,
    items: building.expr(items, 'items', call),
    each: ofItem(each, 'the input of an item'),
    ...(isFunction(key) ? { key: ofItem(key, 'key') } : {}),
    ...mapOptions(opts),
    contract,
  };
  return place(building, call, made, { task, rules, ...bodyOf(task), ...predicate(opts, call) }, opts);
}

/** As given: what is wrong with them is found in the finished graph. */
function mapOptions(opts: Bag): Pick<MapTask, 'concurrency' | 'maxItems' | 'onEmpty' | 'settle' | 'tolerate'> {
  return {
    ...(opts['concurrency'] === undefined ? {} : { concurrency: opts['concurrency'] as number }),
    maxItems: (opts['maxItems'] as number | undefined) ?? MAX_ITEMS,
    onEmpty: (opts['onEmpty'] as MapTask['onEmpty'] | undefined) ?? 'success',
    ...(opts['settle'] === undefined || opts['settle'] === false ? {} : { settle: opts['settle'] as true }),
    ...(opts['tolerate'] === undefined
      ? {}
      : { tolerate: isBag(opts['tolerate']) ? { ...opts['tolerate'] } : (opts['tolerate'] as never) }),
  };
}

function settle(building: Building, parts: unknown): Readonly<Record<string, Ref>> {
  const report = reporting(building, 'settle');
  if (!isBag(parts)) report('bad_type', `takes an object of refs, { name: ref, … }, not ${naming(parts)}`);
  const settled = Object.entries(bagOf(parts)).map(([name, part]): [string, Ref] => {
    const info = refInfo(part);
    if (info?.source.kind === 'task') return [name, makeOf(building, part, 'settle')];
    if (info?.source.kind !== 'lost')
      report('bad_type', `${name} must be the ref of a task, or of a part of its output, not ${naming(part)}`);
    return [name, building.ref({ kind: 'lost' })];
  });
  return Object.fromEntries(settled);
}

function optional(building: Building, args: [ref: unknown, otherwise?: unknown]): Ref {
  const report = reporting(building, 'optional');
  const source = refInfo(args[0])?.source;
  if (source === undefined) {
    report('bad_type', `takes a ref, not ${naming(args[0])}`);
    return building.ref({ kind: 'lost' });
  }
  // What is always there can be read optionally too: nothing is to be done.
  if (source.kind !== 'task') return args[0] as Ref;
  // An explicit undefined is no default: the same as none.
  const otherwise = args[1] === undefined ? undefined : building.expr(args[1], 'the default', { report });
  return makeOf(building, args[0], 'optional', otherwise);
}

/** The ref again, read in another way. Its owner stays: a foreign one is found where it is used. */
function makeOf(building: Building, ref: unknown, kind: 'optional' | 'settle', otherwise?: Expr): Ref {
  const info = refInfo(ref);
  if (info?.source.kind !== 'task') return building.ref({ kind: 'lost' });
  const source = { kind, id: info.source.id, path: info.path, ...(otherwise === undefined ? {} : { otherwise }) };
  return building.around(info.owner)?.ref(source) ?? (ref as Ref);
}

function own(opts: Bag): { when?: true; allowFailure?: true } {
  const allowFailure = opts['allowFailure'];
  return {
    ...(opts['when'] === undefined ? {} : { when: true }),
    ...(allowFailure === undefined || allowFailure === false ? {} : { allowFailure: allowFailure as true }),
  };
}

function bodyOf(task: {
  run?: NodeCode['run'];
  input?: NodeCode['input'];
  output?: NodeCode['output'];
}): Pick<NodeCode, 'run' | 'input' | 'output'> {
  return {
    ...(task.run ? { run: task.run } : {}),
    ...(task.input ? { input: task.input } : {}),
    ...(task.output ? { output: task.output } : {}),
  };
}

function predicate(opts: Bag, call: Call): Pick<NodeCode, 'when'> {
  const test = opts['when'];
  if (test === undefined) return {};
  if (!isFunction(test)) call.report('bad_type', `when must be a predicate over the input, not ${naming(test)}`);
  return { when: test as (value: unknown) => boolean };
}
