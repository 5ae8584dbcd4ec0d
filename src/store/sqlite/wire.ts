/** What the main thread and the thread that writes say to each other: data that can be cloned, without functions and without what the writer does not read. */
import { ERRORS, PawlError, type ErrorCode } from '../../core/errors.ts';
import type { Changes, TaskChange } from '../../core/kernel/changes.ts';
import { OpenCalls } from '../../core/kernel/open-calls.ts';
import { NO_FLOW, type TaskState, type WaitingTask } from '../../core/kernel/run-state.ts';
import { RunAtFault, type Batch, type ClaimRequest, type RunWrite, type StartWrite, type WrittenRun } from '../batch.ts';
import { isBroken, type BrokenRun, type LoadedRun } from '../store.ts';
import type { OpenOptions } from './driver.ts';
import {
  isPackedRun,
  isPackedStart,
  packedRun,
  packedStart,
  unpackedRun,
  unpackedStart,
  withoutCalls,
  type PackedRun,
  type PackedStart,
} from './packing.ts';
import type { PartName } from './routes.ts';

/** What the thread is started with. */
export interface ThreadData {
  readonly options: OpenOptions;
}

export interface Asked {
  readonly id: number;
  readonly part: PartName | null;
  readonly method: string;
  readonly args: readonly unknown[];
}

export type Answer = { readonly id: number } & ({ readonly value: unknown } | { readonly failed: SentError });

export type SentBatch = Omit<Batch, 'claim' | 'runs' | 'starts'> & {
  readonly starts: readonly (PackedStart | SentStart)[];
  readonly runs: readonly (PackedRun | SentRunWrite)[];
  readonly claim: Pick<ClaimRequest, 'limit' | 'firstToken'> | null;
  /** What a worker serves seldom changes; null: as it was sent last. */
  readonly serves: Serves | null;
};
export type Serves = Pick<ClaimRequest, 'definitions' | 'bodies' | 'places'>;

/** Null: nothing to remember. The constant for that, which the store knows a plain run by, is another in each thread. */
type SentFlow = { readonly flow: WrittenRun['flow'] | null };
type SentState = Omit<WrittenRun, 'flow'> & SentFlow;
type SentRunWrite = Omit<RunWrite, 'state' | 'children'> & { readonly state: SentState; readonly children?: readonly SentStart[] };
type SentStart = Omit<StartWrite, 'state' | 'children'> & {
  readonly state: SentState & Pick<StartWrite['state'], 'input'>;
  readonly children?: readonly SentStart[];
};

interface SentError {
  readonly kind: 'pawl' | 'fault' | 'error' | 'value';
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  readonly code: string | number | undefined;
  readonly errcode: number | undefined;
  readonly fix: string | undefined;
  readonly details: Readonly<Record<string, unknown>> | undefined;
  readonly run: number | undefined;
  readonly cause: SentError | undefined;
}

const CAUSES = 8;

export function sentError(error: unknown, depth = 0): SentError {
  const isError = error instanceof Error;
  const of = (isError ? error : {}) as Readonly<Record<string, unknown>>;
  const kind = error instanceof PawlError ? 'pawl' : error instanceof RunAtFault ? 'fault' : isError ? 'error' : 'value';
  const code = typeof of['code'] === 'string' || typeof of['code'] === 'number' ? of['code'] : undefined;
  const hasCause = isError && error.cause !== undefined && depth < CAUSES;
  return {
    kind,
    name: isError ? error.name : '',
    message: isError ? error.message : String(error),
    stack: isError ? error.stack : undefined,
    code,
    errcode: typeof of['errcode'] === 'number' ? of['errcode'] : undefined,
    fix: error instanceof PawlError ? error.fix : undefined,
    details: error instanceof PawlError ? error.details : undefined,
    run: error instanceof RunAtFault ? error.run : undefined,
    cause: hasCause ? sentError(error.cause, depth + 1) : undefined,
  };
}

export function revivedError(sent: SentError): unknown {
  if (sent.kind === 'value') return sent.message;
  const cause = sent.cause === undefined ? undefined : revivedError(sent.cause);
  const error = made(sent, cause);
  if (sent.stack !== undefined) error.stack = sent.stack;
  return error;
}

function made(sent: SentError, cause: unknown): Error {
  const { kind, message, code, details = {}, fix, run } = sent;
  if (kind === 'pawl' && typeof code === 'string' && Object.hasOwn(ERRORS, code))
    return new PawlError(code as ErrorCode, message, { details, cause, ...(fix === undefined ? {} : { fix }) });
  if (kind === 'fault' && run !== undefined) return new RunAtFault(run, cause ?? new Error(message));
  const error = new Error(message, cause === undefined ? undefined : { cause });
  error.name = sent.name;
  return Object.assign(error, code === undefined ? {} : { code }, sent.errcode === undefined ? {} : { errcode: sent.errcode });
}

/** A batch without what the store does not read of it: compiled graphs, cached values, the inputs of runs that are there already. */
export function sentBatch({ starts, runs, claim, ...batch }: Batch, known: KnownServes): SentBatch {
  return {
    ...batch,
    starts: starts.map((write) => packedStart(write) ?? sentStart(write)),
    runs: runs.map((write) => packedRun(write) ?? sentRun(write)),
    claim: claim === null ? null : { limit: claim.limit, firstToken: claim.firstToken },
    serves: claim === null ? null : known.changed(claim),
  };
}

function sentStart({ children, state, changes, ...write }: StartWrite): SentStart {
  const sent = { ...write, state: { ...sentState(state), input: state.input }, changes: sentChanges(changes) };
  return children === undefined ? sent : { ...sent, children: children.map(sentStart) };
}

function sentRun({ children, state, changes, ...write }: RunWrite): SentRunWrite {
  const sent = { ...write, state: sentState(state), changes: sentChanges(changes) };
  return children === undefined ? sent : { ...sent, children: children.map(sentStart) };
}

const sentState = (state: WrittenRun): SentState => ({
  run: state.run,
  generation: state.generation,
  rev: state.rev,
  status: state.status,
  resumeTo: state.resumeTo,
  parent: state.parent,
  rank: state.rank,
  startAt: state.startAt,
  acceptedAt: state.acceptedAt,
  deadlineAt: state.deadlineAt,
  cause: state.cause,
  cancelAsked: state.cancelAsked,
  flow: state.flow === NO_FLOW ? null : state.flow,
});

const NONE: readonly never[] = [];

/** Child runs are written as starts, not as what the kernel asked for; refusals are the engine's. */
const sentChanges = (changes: Changes): Changes => ({ ...changes, tasks: changes.tasks.map(sentTask), children: NONE, refused: [] });

function sentTask({ from, to, needs }: TaskChange): TaskChange {
  const sent = { from: from === undefined ? undefined : withoutCalls(from), to: withoutCalls(to) };
  return needs === undefined ? sent : { ...sent, needs };
}

/** The batch as the thread gives it to its store. */
export function receivedBatch({ serves: _, starts, runs, claim, ...batch }: SentBatch, serves: Serves | null): Batch {
  return {
    ...batch,
    starts: starts.map((write) => (isPackedStart(write) ? unpackedStart(write) : receivedStart(write))),
    runs: runs.map((write) => (isPackedRun(write) ? unpackedRun(write) : receivedRun(write))),
    claim: claim === null || serves === null ? null : { ...claim, ...serves },
  };
}

const withFlow = <T extends SentFlow>(state: T): Omit<T, 'flow'> & Pick<WrittenRun, 'flow'> => ({ ...state, flow: state.flow ?? NO_FLOW });

function receivedStart({ children, state, ...write }: SentStart): StartWrite {
  const received = { ...write, state: withFlow(state) };
  return children === undefined ? received : { ...received, children: children.map(receivedStart) };
}

function receivedRun({ children, state, ...write }: SentRunWrite): RunWrite {
  const received = { ...write, state: withFlow(state) };
  return children === undefined ? received : { ...received, children: children.map(receivedStart) };
}

/** A waiting body with the names of those of its calls that have ended, in place of what counts the open ones. */
type SentTask = TaskState | (Omit<WaitingTask, 'calls'> & { readonly endedCalls: readonly string[] });
export type SentRun = BrokenRun | (Omit<LoadedRun, 'tasks'> & { readonly tasks: readonly SentTask[] });

export const sentLoaded = (runs: readonly (LoadedRun | BrokenRun)[]): SentRun[] =>
  runs.map((run) => (isBroken(run) ? run : { ...run, tasks: run.tasks.map(sentLoadedTask) }));

function sentLoadedTask(task: TaskState): SentTask {
  if (task.status !== 'waiting' || task.calls === undefined) return task;
  const { calls, ...rest } = task;
  const names = task.on.flatMap((wait) => (wait.kind === 'child' && wait.name !== null ? [wait.name] : []));
  return { ...rest, endedCalls: names.filter((name) => calls.find(name) === undefined) };
}

export const receivedLoaded = (runs: readonly SentRun[]): (LoadedRun | BrokenRun)[] =>
  runs.map((run) => ('broken' in run ? run : { ...run, tasks: run.tasks.map(receivedTask) }));

function receivedTask(task: SentTask): TaskState {
  if (!('endedCalls' in task)) return task;
  const { endedCalls, ...rest } = task;
  const calls = new OpenCalls(rest.on);
  for (const name of endedCalls) {
    const call = calls.find(name);
    if (call !== undefined) calls.end(call);
  }
  return { ...rest, calls };
}

/** What the thread was told of the bodies that this process can run. */
export class KnownServes {
  private last: Serves | null = null;

  /** Null where nothing has changed since the last call. */
  changed({ definitions, bodies, places }: Serves): Serves | null {
    const { last } = this;
    if (last !== null && sameKeys(last.bodies, bodies) && sameEntries(last.definitions, definitions) && sameEntries(last.places, places))
      return null;
    // why: the registry changes its own in place
    this.last = { definitions: new Map(definitions), bodies: new Set(bodies), places: new Map(places) };
    return this.last;
  }
}

function sameKeys(a: ReadonlySet<number>, b: ReadonlySet<number>): boolean {
  if (a.size !== b.size) return false;
  for (const one of b) if (!a.has(one)) return false;
  return true;
}

function sameEntries<T>(a: ReadonlyMap<number, T>, b: ReadonlyMap<number, T>): boolean {
  if (a.size !== b.size) return false;
  for (const [key, value] of b) if (a.get(key) !== value) return false;
  return true;
}
