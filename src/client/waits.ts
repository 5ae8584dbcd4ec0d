import { compileGraph, type CompiledGraph } from '../core/kernel/compile.ts';
import type { LimitValue } from '../core/capacity/limits.ts';
import type { Need } from '../core/capacity/needs.ts';
import { DEFAULT_QUEUE } from '../core/define/needs-options.ts';
import { limitWait, type CapacityFacts } from '../core/why/why-capacity.ts';
import type { RunRow, Store } from '../store/store.ts';
import type { TaskDetail } from './inspect.ts';

const NOTHING: readonly Need[] = [];

/** Queued tasks that no live worker can run, as `workflow/task`, with the queue where it is a named one. */
export async function unserved(store: Store, now: number): Promise<readonly string[]> {
  const live = (await store.workers()).filter((worker) => !worker.fenced && worker.leaseUntil >= now);
  const served = new Set(live.flatMap((worker) => worker.serves));
  const names = new Set<string>();
  for (const { definition, node } of await store.capacity.queued()) {
    const stored = await store.definition(definition);
    if (stored === null) continue;
    const { nodes, plainRoots } = compileGraph(stored.graph);
    for (const index of node === null ? (plainRoots ?? []) : [node]) {
      const { id, queue } = nodes[index] ?? {};
      if (id === undefined || served.has(stored.firstBody + index)) continue;
      names.add(`${stored.workflow}/${id}${queue === DEFAULT_QUEUE ? '' : ` (queue ${queue})`}`);
    }
  }
  return [...names];
}

/** The tasks of a run, the queued ones with why they are not claimed. */
export async function withWaitReasons(
  store: Store,
  { row, graph, tasks, now }: { row: RunRow; graph: CompiledGraph; tasks: readonly TaskDetail[]; now: number },
): Promise<readonly TaskDetail[]> {
  if (!tasks.some((task) => task.status === 'queued')) return tasks;
  const capacity = await capacityFacts(store, row);
  const firstBody = (await store.definition(row.definition))?.firstBody ?? 0;
  const served = new Set((await store.workers()).filter((one) => !one.fenced && one.leaseUntil >= now).flatMap((one) => one.serves));
  return tasks.map((task) => {
    const node = graph.byId.get(task.task);
    if (task.status !== 'queued' || node === undefined) return task;
    const isPaused = row.status === 'paused' || capacity.isWorkflowPaused || capacity.pausedQueues.has(node.queue);
    if (isPaused) return { ...task, waitReason: 'paused' };
    const waits = served.has(firstBody + node.index) ? limitWait(capacity, capacity.needsOf(node.index, task.item ?? -1), now) : null;
    return { ...task, waitReason: waits?.reason ?? 'worker' };
  });
}

/** What is held, and what the tasks of a run ask for. */
export async function capacityFacts(store: Store, { run, workflow }: Pick<RunRow, 'run' | 'workflow'>): Promise<CapacityFacts> {
  const { limits, held, buckets, paused, needs, gate } = await store.capacity.look(run);
  const units = new Map(held.map((one) => [`${one.kind}:${one.name}`, one.units]));
  const values = new Map(limits.map((row) => [`${row.kind}:${row.name}`, row]));
  const levels = new Map(buckets.map((row) => [row.name, row]));
  const asked = new Map(needs.map((one) => [`${one.node}:${one.item}`, one.needs]));
  const valueOf = (kind: string, name: string): LimitValue | null => {
    const row = values.get(`${kind}:${name}`);
    return (kind === 'key' ? row?.operator : (row?.operator ?? row?.code)) ?? null;
  };
  const count = (value: LimitValue | null): number | null => (typeof value === 'number' ? value : null);
  return {
    pausedQueues: new Set(paused.flatMap((row) => (row.kind === 'queue' ? [row.name] : []))),
    isWorkflowPaused: paused.some((row) => row.kind === 'workflow' && row.name === workflow),
    needsOf: (node, item) => asked.get(`${node}:${item}`) ?? NOTHING,
    pool: (name) => count(valueOf('pool', name)),
    key: (name) => count(valueOf('key', name)),
    rate: (name) => {
      const value = valueOf('rate', name);
      return typeof value === 'object' ? value : null;
    },
    bucket: (name) => levels.get(name) ?? null,
    held: (kind, name) => units.get(`${kind}:${name}`) ?? 0,
    gate,
  };
}
