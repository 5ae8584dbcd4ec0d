/** The runs around a run: the one that it is a part of, and those that are parts of it. */
import type { CompiledGraph } from '../core/kernel/compile.ts';
import { runIdText } from '../core/ids.ts';
import type { LinkKind, RunState, TaskState } from '../core/kernel/run-state.ts';
import { isRunOver, type RunStatus } from '../core/kernel/states.ts';
import type { RunRow, Store } from '../store/store.ts';

export interface ChildView {
  readonly id: string;
  readonly workflow: string;
  readonly status: RunStatus;
  /** The task that it stands for, or whose body called it; of a hook its name. */
  readonly task: string;
  readonly item?: number;
  /** The record of the call of a body. */
  readonly call?: string;
  /** In place of a task, in place of one without being waited for, an item, a call of a body, a hook. */
  readonly kind: LinkKind;
}

export interface KinView {
  /** The run that this one is a part of. */
  readonly parent?: { readonly id: string; readonly workflow: string; readonly kind: LinkKind };
  /** Runs that are parts of this one, the first 1,000. */
  readonly children?: readonly ChildView[];
}

const CHILDREN = 1_000;

export async function kinOf(store: Store, row: RunRow, graph: CompiledGraph): Promise<KinView> {
  const top = row.parent === null ? null : await store.runRow(row.parent.run);
  const rows = (await store.childrenOf(row.run)).slice(0, CHILDREN);
  return {
    ...(top === null || row.parent === null ? {} : { parent: { id: runIdText(top.uid), workflow: top.workflow, kind: row.parent.kind } }),
    ...(rows.length === 0 ? {} : { children: rows.flatMap((child) => childView(child, graph)) }),
  };
}

function childView({ uid, workflow, status, parent }: RunRow, graph: CompiledGraph): ChildView[] {
  if (parent === null) return [];
  const { node, item, name, kind } = parent;
  return [
    {
      id: runIdText(uid),
      workflow,
      status,
      task: graph.nodes[node]?.id ?? name ?? '',
      ...(item < 0 ? {} : { item }),
      ...(kind === 'body' && name !== null ? { call: name } : {}),
      kind,
    },
  ];
}

/** The first run that this one waits for; null where it waits for none. */
export async function awaitedChild(store: Store, run: number, state: RunState): Promise<RunRow | null> {
  const open = [...state.tasks, ...[...state.maps.values()].flatMap((map) => [...map.open.values()])];
  const waits = (task: TaskState | undefined): boolean => task?.status === 'waiting' && task.on.some((wait) => wait.kind === 'child');
  const place = open.find(waits);
  if (place === undefined)
    return state.flow.compensated ? ((await store.childrenOf(run)).find(({ status }) => !isRunOver[status]) ?? null) : null;
  const rows = await store.childrenOf(run, { node: place.node, item: place.item });
  return rows.findLast(({ status }) => !isRunOver[status]) ?? null;
}
