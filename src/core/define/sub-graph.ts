/** A map whose item is a part of the graph: `w.map(items, (w, item) => …)`. The part is a graph of its own, its runs are child runs. */
import { Building, settledNow, type Call } from './building.ts';
import { flags, MAP_GRAPH_OPTIONS } from './child-verbs.ts';
import type { Expr, Graph, MapTask } from '../graph/graph.ts';
import type { Build, NodeCode, Workflow } from '../types/types.ts';
import { bagOf, checkOptions, common, isFunction, naming, place, type Ref } from './verbs.ts';

/** What the input of an item's run has beside what it reads from outside. */
const ITEM = 'item';

type Make = (w: Build, item: unknown) => unknown;

interface Given {
  readonly items: unknown;
  readonly make: (...args: unknown[]) => unknown;
  readonly options: unknown;
}

export function mapGraph(
  building: Building,
  { items, make, options }: Given,
  parts: {
    readonly builder: (building: Building) => Build;
    readonly mapOptions: (
      opts: Readonly<Record<string, unknown>>,
    ) => Pick<MapTask, 'concurrency' | 'maxItems' | 'onEmpty' | 'settle' | 'tolerate'>;
  },
): Ref {
  const opts = bagOf(options);
  const call = building.call('map', opts['id'] ?? 'map', 'map');
  checkOptions(options, MAP_GRAPH_OPTIONS, call);
  const { key, when } = opts;
  if (key !== undefined && !isFunction(key)) call.report('bad_type', `key must be a function of the item, not ${naming(key)}`);
  const made = subWorkflow(building, call, make, parts.builder);
  const ofKey = isFunction(key)
    ? {
        key: building.mapping(call.id, (item) =>
          building.expr(settledNow(key(item), `${call.name}: the function of an item`), 'key', call),
        ),
      }
    : {};
  const task: MapTask = {
    ...common(building, opts, call),
    ...flags(opts, call),
    kind: 'map',
    graph: made.workflow.graph,
    items: building.expr(items, 'items', call),
    each: made.input,
    ...ofKey,
    ...parts.mapOptions(opts),
  };
  const asks: Partial<NodeCode> = when === undefined ? {} : { when: when as (value: unknown) => boolean };
  return place(building, call, task, { workflow: made.workflow, rules: [], ...asks });
}

/** The part as a workflow under the name of its map, and what its runs get as input. */
function subWorkflow(
  outer: Building,
  call: Call,
  make: Make,
  builder: (building: Building) => Build,
): { readonly workflow: Workflow<unknown, unknown>; readonly input: Expr } {
  const captured = new Map<string, Expr>([[ITEM, { $item: [] }]]);
  const capture = (name: string, expr: Expr): string => {
    let free = name;
    for (let n = 2; captured.has(free) && JSON.stringify(captured.get(free)) !== JSON.stringify(expr); n++) free = `${name} #${n}`;
    captured.set(free, expr);
    return free;
  };
  const inner = new Building(`${outer.workflow}/${call.id}`, { building: outer, call, capture });
  const item = (inner.ref({ kind: 'input' }) as unknown as Readonly<Record<string, unknown>>)[ITEM];
  let output: Expr;
  try {
    const value = settledNow(make(builder(inner), item), `${call.name}: the function of an item`);
    output = inner.expr(value, 'what an item gives', call);
  } finally {
    inner.close();
  }
  for (const { code, message } of inner.problems) call.report(code, message);
  const graph: Graph = { format: 1, workflow: inner.workflow, tasks: inner.tasks, output };
  return { workflow: { kind: 'workflow', name: inner.workflow, graph, code: inner.code }, input: Object.fromEntries(captured) };
}
