import type { CompiledGraph, GraphNode } from '../core/kernel/compile.ts';
import { runIdText } from '../core/ids.ts';
import type { EndedTask, TaskState } from '../core/kernel/run-state.ts';
import { isRunOver, type Reason, type RunStatus, type TaskStatus } from '../core/kernel/states.ts';
import type { TaskError } from '../core/types/types.ts';
import { parseError } from '../core/kernel/values.ts';
import type { RunRow, Store } from '../store/store.ts';

export interface TaskView {
  readonly task: string;
  /** Index of a map's item. */
  readonly item?: number;
  readonly status: TaskStatus;
  readonly attempt: number;
  readonly reason?: Reason;
  readonly error?: TaskError;
  readonly startedAt?: Date;
  readonly finishedAt?: Date;
  readonly dueAt?: Date;
  /** Its `catch` handler took the failure: it counts as a success. */
  readonly handled?: true;
  /** Its output was taken over: from the cache, or from the run that this one was forked from. */
  readonly cached?: true;
}

export interface RunView {
  readonly id: string;
  readonly workflow: string;
  readonly version: string;
  readonly status: RunStatus;
  /** It is running, and what is open of it waits or is pending. */
  readonly waiting?: true;
  readonly reason?: Reason;
  readonly key?: string;
  readonly tags: readonly string[];
  readonly acceptedAt: Date;
  readonly startAt?: Date;
  readonly deadlineAt?: Date;
  readonly finishedAt?: Date;
  /** The schedule that started it, and the instant at which it was due. */
  readonly schedule?: string;
  readonly dueAt?: Date;
  /** Why nothing of it is claimed any more. */
  readonly quarantined?: string;
}

const NONE: ReadonlySet<number> = new Set();

/** Of these runs those that are shown as waiting. */
export async function parkedOf(store: Store, rows: readonly RunRow[]): Promise<ReadonlySet<number>> {
  const running = rows.filter((row) => row.status === 'running' && !row.unclaimed).map((row) => row.run);
  return running.length === 0 ? NONE : store.mailbox.parked(running);
}

export function viewOf(row: RunRow, parked: ReadonlySet<number> = NONE): RunView {
  return {
    id: runIdText(row.uid),
    workflow: row.workflow,
    version: row.version,
    status: row.status,
    ...(parked.has(row.run) ? { waiting: true } : {}),
    ...(row.reason === null ? {} : { reason: row.reason }),
    ...(row.key === null ? {} : { key: row.key }),
    tags: row.tags,
    acceptedAt: new Date(row.acceptedAt),
    ...(row.startAt === null ? {} : { startAt: new Date(row.startAt) }),
    ...(row.deadlineAt === null ? {} : { deadlineAt: new Date(row.deadlineAt) }),
    ...(row.finishedAt === null ? {} : { finishedAt: new Date(row.finishedAt) }),
    ...(row.schedule === null ? {} : { schedule: row.schedule }),
    ...(row.dueAt === null ? {} : { dueAt: new Date(row.dueAt) }),
    ...(row.quarantined === null ? {} : { quarantined: row.quarantined }),
  };
}

export function taskView(graph: CompiledGraph, state: TaskState): TaskView {
  const error = 'error' in state ? parseError(state.error) : null;
  const startedAt = 'startedAt' in state ? state.startedAt : state.status === 'waiting' ? state.since : null;
  return {
    task: graph.nodes[state.node]?.id ?? String(state.node),
    ...(state.item < 0 ? {} : { item: state.item }),
    status: state.status,
    attempt: state.attempt,
    ...('reason' in state && state.reason !== null ? { reason: state.reason } : {}),
    ...(error === null ? {} : { error: { code: error.code ?? error.name, message: error.message, attempts: state.begun } }),
    ...(startedAt === null ? {} : { startedAt: new Date(startedAt) }),
    ...('finishedAt' in state ? { finishedAt: new Date(state.finishedAt) } : {}),
    ...('handled' in state && state.handled ? { handled: true as const } : {}),
    ...('cached' in state && state.cached ? { cached: true as const } : {}),
    ...((state.status === 'retrying' || state.status === 'waiting') && state.dueAt !== null ? { dueAt: new Date(state.dueAt) } : {}),
  };
}

/**
 * A task without a row. Of a run that nobody has claimed yet the roots are in the queue all the same; of one that was failed in quarantine, what
 * never began is cancelled with it.
 */
export function rowless(row: RunRow, { plainRoots }: CompiledGraph, { id, index }: GraphNode): TaskView {
  if (isRunOver[row.status]) return { task: id, attempt: 0, status: 'cancelled', reason: 'marked_failed' };
  const isQueued = row.unclaimed && row.status === 'running' && plainRoots?.includes(index) === true;
  return { task: id, attempt: 0, status: isQueued ? 'queued' : 'pending' };
}

/** Every task has its line; a handler only from the moment it is sure to have one: a teardown from the start, others once they begin. */
export const isListed = (node: GraphNode): boolean => node.isCounted || node.serves?.role === 'teardown';

/** Whether a task that failed is what the run failed with. */
export function isCause(graph: CompiledGraph, task: EndedTask): boolean {
  const node = graph.nodes[task.node];
  return !task.allowed && !task.handled && (node?.isCounted === true || node?.serves?.failRun === true);
}
