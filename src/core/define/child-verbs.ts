/** The verbs whose tasks are runs of their own: `w.run` and `w.map` over a workflow. */
import type { Building, Call } from './building.ts';
import { settledNow } from './building.ts';
import type { ChildTask, Graph, MapTask } from '../graph/graph.ts';
import type { AnyTask, NodeCode, Workflow } from '../types/types.ts';
import { checkOptions, common, isFunction, naming, place, type Bag, type Ref } from './verbs.ts';

type AnyWorkflow = Workflow<unknown, unknown>;

const NODE_OPTIONS = ['id', 'after', 'join', 'when', 'allowFailure'];
const CHILD_OPTIONS = [...NODE_OPTIONS, 'detached', 'catch', 'compensate'];
export const MAP_GRAPH_OPTIONS = [...NODE_OPTIONS, 'concurrency', 'settle', 'maxItems', 'tolerate', 'key', 'onEmpty'];
const MAP_OPTIONS = [...MAP_GRAPH_OPTIONS, 'detached', 'compensate'];

export function isWorkflow(value: unknown): value is AnyWorkflow {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'workflow' && 'graph' in value && 'code' in value;
}

export function runChild(building: Building, child: AnyWorkflow, input: unknown, opts: Bag, options: unknown): Ref {
  const call = building.call('run', opts['id'] ?? child.name);
  checkOptions(options, CHILD_OPTIONS, call);
  const made: ChildTask = {
    ...common(building, opts, call),
    ...flags(opts, call),
    ...childFlags(opts, child),
    kind: 'child',
    workflow: child.name,
    input: building.expr(input, 'input', call),
  };
  return place(building, call, made, { ...codeOf(child), ...predicate(opts, call) }, opts);
}

export function mapChildren(
  building: Building,
  { items, child, each, opts, options }: { items: unknown; child: AnyWorkflow; each: unknown; opts: Bag; options: unknown },
  mapOptions: (opts: Bag) => Pick<MapTask, 'concurrency' | 'maxItems' | 'onEmpty' | 'settle' | 'tolerate'>,
): Ref {
  const call = building.call('map', opts['id'] ?? child.name, 'map');
  checkOptions(options, MAP_OPTIONS, call);
  if (!isFunction(each)) call.report('bad_type', `w.map takes a function of the item as its third argument, not ${naming(each)}`);
  const { key } = opts;
  if (key !== undefined && !isFunction(key)) call.report('bad_type', `key must be a function of the item, not ${naming(key)}`);
  if (!isFunction(each)) return building.ref({ kind: 'lost' });
  const ofItem = (make: (...args: unknown[]) => unknown, name: string) =>
    building.mapping(call.id, (item) => building.expr(settledNow(make(item), `${call.name}: the function of an item`), name, call));
  const made: MapTask = {
    ...common(building, opts, call),
    ...flags(opts, call),
    ...childFlags(opts, child),
    kind: 'map',
    workflow: child.name,
    items: building.expr(items, 'items', call),
    each: ofItem(each, 'the input of an item'),
    ...(isFunction(key) ? { key: ofItem(key, 'key') } : {}),
    ...mapOptions(opts),
  };
  return place(building, call, made, { ...codeOf(child), ...predicate(opts, call) }, opts);
}

const codeOf = (child: AnyWorkflow): NodeCode => ({
  workflow: child,
  rules: [],
  ...(child.input === undefined ? {} : { input: child.input }),
});

const childFlags = (opts: Bag, child: AnyWorkflow): Pick<ChildTask, 'checked' | 'detached'> => ({
  ...(child.input === undefined ? {} : { checked: true }),
  ...(opts['detached'] === undefined || opts['detached'] === false ? {} : { detached: opts['detached'] as true }),
});

export function flags(opts: Bag, call: Call): { when?: true; allowFailure?: true } {
  const { when, allowFailure } = opts;
  if (when !== undefined && !isFunction(when)) call.report('bad_type', `when must be a predicate over the input, not ${naming(when)}`);
  return {
    ...(when === undefined ? {} : { when: true }),
    ...(allowFailure === undefined || allowFailure === false ? {} : { allowFailure: allowFailure as true }),
  };
}

const predicate = (opts: Bag, _call: Call): Pick<NodeCode, 'when'> =>
  opts['when'] === undefined ? {} : { when: opts['when'] as (value: unknown) => boolean };

/** A workflow of one task, as which the task is run by itself. */
export function singleTask(task: AnyTask): AnyWorkflow {
  const name = `task:${task.name}`;
  const graph: Graph = {
    format: 1,
    workflow: name,
    tasks: [{ id: task.name, kind: 'task', task: task.name, input: { $input: [] }, contract: task.contract }],
    output: { $ref: task.name },
  };
  const code: NodeCode = {
    task,
    rules: task.rules,
    ...(task.run === undefined ? {} : { run: task.run }),
    ...(task.input === undefined ? {} : { input: task.input }),
    ...(task.output === undefined ? {} : { output: task.output }),
  };
  return { kind: 'workflow', name, graph, code: new Map([[task.name, code]]) };
}
