import { decode } from '../core/values/codec.ts';
import { hasSucceeded } from '../core/kernel/changes.ts';
import type { CompiledGraph, GraphNode } from '../core/kernel/compile.ts';
import type { GraphTask, Role } from '../core/graph/graph.ts';
import type { TaskState } from '../core/kernel/run-state.ts';
import type { AttemptOutcome, Reason } from '../core/kernel/states.ts';
import { parseError } from '../core/kernel/values.ts';
import type { WaitReason } from '../core/why/why-capacity.ts';
import type { AttemptRow, MapCounts, RunRow, Store } from '../store/store.ts';
import { kinOf, type KinView } from './kin.ts';
import { isListed, parkedOf, rowless, taskView, viewOf, type RunView, type TaskView } from './views.ts';

/** Of a map's items that have a row so many are given where they are asked for. */
const ITEMS = 10_000;

export type Compensation = 'running' | 'complete' | 'incomplete';

export interface InspectOptions {
  /** The items of maps too, the first 10,000 that have started. */
  readonly items?: boolean;
}

/** An attempt that did not succeed; of a task's the first 3 and the last 10 are kept. */
export interface AttemptView {
  readonly attempt: number;
  readonly outcome: AttemptOutcome;
  readonly reason: Reason;
  readonly error?: { readonly code: string; readonly message: string };
  readonly worker: number;
  readonly startedAt: Date;
  readonly endedAt: Date;
}

/** How far the items of a map are. */
export interface ItemCounts {
  readonly total: number;
  readonly started: number;
  readonly ok: number;
  readonly failed: number;
  readonly cancelled: number;
  readonly skipped: number;
}

export interface TaskDetail extends TaskView {
  readonly kind: GraphTask['kind'];
  /** Of a handler: what it does, and for which task. */
  readonly role?: Role;
  readonly of?: string;
  /** What it gave; maps give theirs by item. */
  readonly output?: unknown;
  readonly items?: ItemCounts;
  /** Of a queued task: why it is not claimed. */
  readonly waitReason?: WaitReason;
  /** Failed attempts. */
  readonly attempts: readonly AttemptView[];
}

/** A run with its tasks, in graph order, each map's items behind it, and with its payloads. */
export interface RunDetail extends RunView, KinView {
  readonly input?: unknown;
  readonly output?: unknown;
  readonly traceparent?: string;
  /** What became of its compensations, where any began. */
  readonly compensation?: Compensation;
  readonly tasks: readonly TaskDetail[];
}

export async function inspectRun(store: Store, row: RunRow, graph: CompiledGraph, options: InspectOptions): Promise<RunDetail> {
  const states = await store.tasksOf(row.run, options.items === true);
  const counts = new Map((await store.mapsOf(row.run)).map((map) => [map.node, map]));
  const byNode = Map.groupBy(states, (state) => state.node);
  const tasks: TaskDetail[] = [];
  for (const node of graph.nodes) {
    if (node.cases !== null || (!isListed(node) && !byNode.has(node.index))) continue;
    const { kind } = node.task;
    const rows = byNode.get(node.index) ?? [];
    const isRowless = isListed(node) && !rows.some((state) => state.item < 0);
    if (isRowless) tasks.push({ ...rowless(row, graph, node), kind, ...roleOf(node), attempts: [] });
    for (const state of rows.slice(0, ITEMS + 1)) tasks.push(await detail(store, { row, graph, state, node, map: counts.get(node.index) }));
  }
  return {
    ...viewOf(row, await parkedOf(store, [row])),
    ...(row.input === null ? {} : { input: decode(row.input) }),
    ...(row.hasOutput ? { output: decode(row.output) } : {}),
    ...(row.traceparent === null ? {} : { traceparent: row.traceparent }),
    ...compensationFact(row),
    ...(await kinOf(store, row, graph)),
    tasks,
  };
}

/** For a run whose compensation began. */
export const compensationFact = ({ compensation }: RunRow): { readonly compensation?: Compensation } =>
  compensation === null ? {} : { compensation };

interface Subject {
  readonly row: RunRow;
  readonly graph: CompiledGraph;
  readonly state: TaskState;
  readonly node: GraphNode;
  readonly map: MapCounts | undefined;
}

function roleOf({ task }: GraphNode): Pick<TaskDetail, 'role' | 'of'> {
  return task.kind === 'handler' ? { role: task.role, of: task.of } : {};
}

async function detail(store: Store, { row, graph, state, node: of, map }: Subject): Promise<TaskDetail> {
  const { node, item } = state;
  const { kind } = of.task;
  const isMap = kind === 'map' && item < 0;
  const hasFailed = state.begun > 1 || state.losses > 0 || state.generation > 1 || ('error' in state && state.error !== null);
  const attempts = hasFailed && !isMap ? await store.attemptsOf({ run: row.run, node, item }) : [];
  return {
    ...taskView(graph, state),
    kind,
    ...roleOf(of),
    ...(hasSucceeded(state) && !isMap ? { output: decode(state.output) } : {}),
    ...(isMap && map !== undefined ? { items: itemCounts(map) } : {}),
    attempts: attempts.map(attemptView),
  };
}

function itemCounts({ n, next, ok, failed, cancelled, skipped }: MapCounts): ItemCounts {
  return { total: n, started: next, ok, failed, cancelled, skipped };
}

function attemptView({ attempt, outcome, reason, error, worker, startedAt, endedAt }: AttemptRow): AttemptView {
  const record = parseError(error);
  return {
    attempt,
    outcome,
    reason,
    ...(record === null ? {} : { error: { code: record.code ?? record.name, message: record.message } }),
    worker,
    startedAt: new Date(startedAt),
    endedAt: new Date(endedAt),
  };
}
