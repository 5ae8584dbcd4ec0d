/**
 * What most commits are made of, as short lists: an object is copied to another thread with the names of all its properties, which for the
 * states of tasks costs more than to write them. What is in any way out of the ordinary crosses as it is.
 */
import { noChanges, type Changes, type TaskChange } from '../../core/kernel/changes.ts';
import { NO_FLOW, type EndedTask, type RunningTask, type TaskState } from '../../core/kernel/run-state.ts';
import type { ClaimedRun, ClaimedTask, CommitResult, RunWrite, StartWrite, WrittenRun } from '../batch.ts';

type Value = number | string | boolean | null;
const RUNNING = 1;
const SUCCESS = 2;

export type PackedTask = readonly Value[] | TaskState;
type PackedChange = readonly [from: PackedTask | null, to: PackedTask, needs?: TaskChange['needs']];
/** The run, its changed tasks, and its end. */
export type PackedRun = readonly [readonly Value[], readonly PackedChange[], Changes['end']];

const isPacked = (task: PackedTask): task is readonly Value[] => Array.isArray(task);

/** A first claim of a body in this generation, and what came of it. */
function isPlain(task: TaskState): boolean {
  return (
    task.losses === 0 &&
    task.crashes === 0 &&
    task.handBacks === 0 &&
    task.draws.length === 0 &&
    task.ranMs === 0 &&
    task.effect === 1 &&
    task.edited === null
  );
}

export function packedTask(task: TaskState): PackedTask {
  if (task.status === 'waiting') return withoutCalls(task);
  if (!isPlain(task)) return task;
  const { node, item, generation, attempt, begun, rank, firstQueuedAt } = task;
  if (task.status === 'running') {
    if (task.lease === null || task.phase !== 'body' || task.partial !== undefined || task.resumed !== undefined) return task;
    const { token, worker } = task.lease;
    return [RUNNING, node, item, generation, attempt, begun, rank, firstQueuedAt, token, worker, task.startedAt];
  }
  if (task.status !== 'success' || task.reason !== null || task.error !== null || task.completion !== null) return task;
  if (task.allowed || task.partial || task.dead || task.stale || task.cached || task.handled) return task;
  return [SUCCESS, node, item, generation, attempt, begun, rank, firstQueuedAt, task.output, task.startedAt, task.finishedAt];
}

/** Which calls of a body are open, its records tell. */
export function withoutCalls(task: TaskState): TaskState {
  if (task.status !== 'waiting' || task.calls === undefined) return task;
  const { calls: _, ...rest } = task;
  return rest;
}

const NO_DRAWS: readonly number[] = [];

export function unpackedTask(task: PackedTask): TaskState {
  if (!isPacked(task)) return task;
  const [kind, node, item, generation, attempt, begun, rank, firstQueuedAt, ...rest] = task as readonly number[];
  const facts = { node, item, generation, attempt, begun, rank, firstQueuedAt } as Pick<
    TaskState,
    'node' | 'item' | 'generation' | 'attempt' | 'begun' | 'rank' | 'firstQueuedAt'
  >;
  const first = { losses: 0, crashes: 0, handBacks: 0, draws: NO_DRAWS, ranMs: 0, effect: 1, edited: null };
  if (kind === RUNNING) {
    const [token = 0, worker = 0, startedAt = 0] = rest;
    return { ...facts, ...first, status: 'running', phase: 'body', lease: { token, worker }, startedAt } satisfies RunningTask;
  }
  const [output, startedAt, finishedAt] = rest as unknown as [string | null, number | null, number];
  const plain = { allowed: false, partial: false, dead: false, stale: false, cached: false, handled: false, completion: null };
  return { ...facts, ...first, ...plain, status: 'success', reason: null, error: null, output, startedAt, finishedAt } satisfies EndedTask;
}

export const isPackedRun = <T>(write: T | PackedRun): write is PackedRun => Array.isArray(write);

/** Null where it is no plain step of a plain run. */
export function packedRun(write: RunWrite): PackedRun | null {
  const { firstBody, state, epoch, shared, changes, act, move, cache, children, group, untold } = write;
  if (act !== null || move !== null || cache !== null || children !== undefined || group !== undefined || untold !== undefined) return null;
  if (!isPlainRun(state) || !arePlain(changes)) return null;
  const { run, generation, rev, status, rank, acceptedAt } = state;
  return [[firstBody, epoch, shared, run, generation, rev, status, rank, acceptedAt], changes.tasks.map(packedChange), changes.end];
}

/** As accepted, with what only some runs have. */
export type PackedStart = readonly [...PackedRun, uid: string, key: StartWrite['key'], tags: StartWrite['tags']];
export const isPackedStart = <T>(write: T | PackedStart): write is PackedStart => Array.isArray(write);

export function packedStart(write: StartWrite): PackedStart | null {
  const { state, changes, act, link, children, fire, uid, key, tags, definition, firstBody, workflow, traceparent, unclaimed, owner } =
    write;
  if (act !== null || link !== null || fire !== undefined || (children !== undefined && children.length > 0)) return null;
  if (!isPlainRun(state) || !arePlain(changes)) return null;
  const { run, generation, rev, status, rank, acceptedAt, input } = state;
  const head = [definition, firstBody, workflow, traceparent, unclaimed, owner, run, generation, rev, status, rank, acceptedAt, input];
  return [head, changes.tasks.map(packedChange), changes.end, textOf(uid), key, tags];
}

/** why: a typed array takes its buffer along, and both are made anew: for 16 bytes that is ten times the work of a text. */
const textOf = (bytes: Uint8Array): string => String.fromCharCode(...bytes);

function bytesOf(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

const isPlainRun = (state: WrittenRun): boolean =>
  state.parent === null &&
  state.startAt === null &&
  state.deadlineAt === null &&
  state.resumeTo === null &&
  state.cause === null &&
  state.cancelAsked === null &&
  state.flow === NO_FLOW;

const packedChange = ({ from, to, needs }: TaskChange): PackedChange => {
  const states = [from === undefined ? null : packedTask(from), packedTask(to)] as const;
  return needs === undefined ? states : [...states, needs];
};

function arePlain(changes: Changes): boolean {
  const { attempts, moves, cleared, records, taken, recalls, maps } = changes;
  const listed = attempts.length + moves.length + cleared.length + records.length + taken.length + recalls.length + maps.size;
  return (
    listed === 0 &&
    changes.reset === null &&
    changes.kin === 'none' &&
    changes.completion === null &&
    changes.undo === null &&
    changes.gate === null &&
    !changes.flow
  );
}

type Status = WrittenRun['status'];
const PLAIN = { resumeTo: null, parent: null, startAt: null, deadlineAt: null, cause: null, cancelAsked: null, flow: NO_FLOW };

export function unpackedRun([head, tasks, end]: PackedRun): RunWrite {
  const [firstBody, epoch, shared, run, generation, rev, status, rank, acceptedAt] = head as [
    number,
    number,
    boolean,
    number,
    number,
    number,
    Status,
    number,
    number,
  ];
  const state = { run, generation, rev, status, rank, acceptedAt, ...PLAIN };
  return { firstBody, epoch, shared, act: null, move: null, cache: null, state, changes: unpackedChanges(tasks, end) };
}

export function unpackedStart([head, tasks, end, text, key, tags]: PackedStart): StartWrite {
  const [definition, firstBody, workflow, traceparent, unclaimed, owner, ...rest] = head as [
    number,
    number,
    string,
    string | null,
    boolean,
    number | null,
    ...Value[],
  ];
  const [run, generation, rev, status, rank, acceptedAt, input] = rest as [number, number, number, Status, number, number, string | null];
  const state = { run, generation, rev, status, rank, acceptedAt, input, ...PLAIN };
  const facts = { definition, firstBody, workflow, traceparent, unclaimed, owner, uid: bytesOf(text), key, tags };
  return { ...facts, act: null, link: null, state, changes: unpackedChanges(tasks, end) };
}

const unpackedChanges = (tasks: readonly PackedChange[], end: Changes['end']): Changes => ({
  ...noChanges(),
  tasks: tasks.map(unpackedChange),
  end,
});

function unpackedChange([from, to, needs]: PackedChange): TaskChange {
  const change = { from: from === null ? undefined : unpackedTask(from), to: unpackedTask(to) };
  return needs === undefined ? change : { ...change, needs };
}

export type PackedResult = Omit<CommitResult, 'claimedRuns' | 'claimedTasks'> & {
  readonly claimedRuns: readonly (Omit<ClaimedRun, 'tasks'> & { readonly tasks: readonly PackedTask[] })[];
  readonly claimedTasks: readonly (Omit<ClaimedTask, 'task'> & { readonly task: PackedTask })[];
};

export const packedResult = ({ claimedRuns, claimedTasks, ...result }: CommitResult): PackedResult => ({
  ...result,
  claimedRuns: claimedRuns.map((claimed) => ({ ...claimed, tasks: claimed.tasks.map(packedTask) })),
  claimedTasks: claimedTasks.map((claimed) => ({ ...claimed, task: packedTask(claimed.task) })),
});

export const unpackedResult = ({ claimedRuns, claimedTasks, ...result }: PackedResult): CommitResult => ({
  ...result,
  // why: a task is packed and unpacked as what it was
  claimedRuns: claimedRuns.map((claimed) => ({ ...claimed, tasks: claimed.tasks.map(unpackedTask) as ClaimedRun['tasks'] })),
  claimedTasks: claimedTasks.map((claimed) => ({ ...claimed, task: unpackedTask(claimed.task) as ClaimedTask['task'] })),
});
