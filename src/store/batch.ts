/** What one commit takes, and what it says. */
import type { Changes } from '../core/kernel/changes.ts';
import type { QueuedTask, RunFacts, RunningTask, RunState } from '../core/kernel/run-state.ts';
import type { LogLevel } from '../core/log.ts';
import type { BodyPlace, LimitedTask, PausedNames } from './capacity.ts';
import type { ActWrite, DoneRequest } from './acts.ts';
import type { FireWrite } from './schedules.ts';
import type { TaskKey } from './rows.ts';

export interface KeyClaim {
  readonly value: string;
  readonly inputHash: string;
  /** As long as the run is kept, while it is open, or until an instant. */
  readonly until: 'kept' | 'open' | number;
}

/** What is read of a run's state when its changes are written. */
export type WrittenRun = Readonly<
  Pick<
    RunState,
    | 'run'
    | 'generation'
    | 'rev'
    | 'status'
    | 'resumeTo'
    | 'parent'
    | 'rank'
    | 'startAt'
    | 'acceptedAt'
    | 'deadlineAt'
    | 'cause'
    | 'cancelAsked'
    | 'flow'
  >
>;

/** A run to accept. Its tasks are in `changes`; where it waits for a claim as a whole, `unclaimed`, there are none yet. */
export interface StartWrite {
  readonly uid: Uint8Array;
  readonly definition: number;
  readonly firstBody: number;
  readonly workflow: string;
  readonly key: KeyClaim | null;
  readonly tags: readonly string[];
  readonly traceparent: string | null;
  readonly unclaimed: boolean;
  /** Worker that alone holds its state; null where any other may. */
  readonly owner: number | null;
  readonly state: WrittenRun & Pick<RunState, 'input'>;
  readonly changes: Changes;
  /** The run that it was made from; of a fork, the maps whose items are taken over as they are. */
  readonly link: StartLink | null;
  readonly act: ActWrite | null;
  /** Runs that stand for tasks of this one: they start with it or not at all. */
  readonly children?: readonly StartWrite[];
  /** The due instant of a schedule that starts it. */
  readonly fire?: FireWrite;
}

export interface StartLink {
  readonly run: number;
  readonly kind: 'fork' | 'restart';
  /** Generation of the run whose outputs are taken over; null where none are. */
  readonly generation: number | null;
  /** By their numbers in the graphs of that run and of this. */
  readonly maps: readonly { readonly from: number; readonly to: number }[];
}

export type StartResult =
  | { readonly created: true }
  /** The key is held by this run. */
  | { readonly created: false; readonly uid: Uint8Array; readonly run: number; readonly inputHash: string }
  /** The run that it takes over from is in another generation now. */
  | { readonly created: false; readonly moved: number }
  /** So much waits already. */
  | { readonly created: false; readonly queued: number }
  /** The schedule that starts it moved on, or its instant has a run. */
  | { readonly created: false; readonly decided: true }
  /** The act that starts it was done before. */
  | { readonly created: false; readonly done: DoneRequest };

/** Changes of one run, decided on a state of `rev` that was last compared with the store in `epoch`. */
export interface RunWrite {
  readonly firstBody: number;
  readonly state: WrittenRun;
  readonly epoch: number;
  /** Other processes may hold the run's state: they notice by the revision. */
  readonly shared: boolean;
  readonly changes: Changes;
  /** The act of a person that changed it. One that was done before is a conflict. */
  readonly act: ActWrite | null;
  /** Runs that stand for tasks of this one: they start with this write or not at all. */
  readonly children?: readonly StartWrite[];
  /** Writes of one group are applied together or not at all: a child's end, and what it comes to in its parent. */
  readonly group?: number;
  /** It ends, and its parent cannot be told now. */
  readonly untold?: boolean;
  /** It goes on under another definition, `firstBody` and `state` are of that: all its rows are renumbered before the changes are written. */
  readonly move: MoveWrite | null;
  /** Outputs to keep; null where there are none. */
  readonly cache: readonly CacheWrite[] | null;
}

export interface CacheWrite {
  readonly key: string;
  readonly task: string;
  readonly output: string | null;
  readonly expiresAt: number;
}

export interface MoveWrite {
  readonly from: number;
  readonly to: number;
  /** Of each task that has rows, its number before and from then on. */
  readonly nodes: ReadonlyMap<number, number>;
  /** A person chose the definition: only one newer than this moves the run by itself. Null: any newer one does. */
  readonly staysUntil: number | null;
}

export interface StepWrite extends TaskKey {
  readonly generation: number;
  readonly token: number;
  readonly name: string;
  readonly kind: string;
  readonly value: string | null;
}

/** Log lines of one attempt since its last write. A number that is there already is not written again: the outcome of a commit may be unknown. */
export interface LogWrite extends TaskKey {
  readonly generation: number;
  readonly attempt: number;
  readonly token: number;
  readonly chunk: number;
  /** A JSON array of {@link StoredLine}. */
  readonly lines: string;
}

/** When, how urgent, what, and the data with it. */
export type StoredLine = readonly [atMs: number, level: LogLevel, message: string, data?: Readonly<Record<string, unknown>>];

export interface StepRecord {
  readonly name: string;
  readonly kind: string;
  /** Of a wait: of its arguments. */
  readonly hash: string | null;
  /** Of a wait that came to its end: its place in the order in which they did. */
  readonly done: number | null;
  readonly value: string | null;
  /** Among the records of its body, in the order in which each was last written. */
  readonly place: number;
}

/** What a worker can run, and where new leases come from. */
export interface ClaimRequest {
  readonly limit: number;
  /** Definitions whose plain roots it can run: id, and the roots. */
  readonly definitions: ReadonlyMap<number, ClaimableDefinition>;
  /** Bodies it can run. */
  readonly bodies: ReadonlySet<number>;
  readonly firstToken: number;
  /** Where its bodies belong, for what is paused. */
  readonly places: ReadonlyMap<number, BodyPlace>;
}

export interface ClaimableDefinition {
  readonly firstBody: number;
  readonly roots: readonly number[];
}

/** A commit failed by what it was to write of one run, and wrote nothing. A store that cannot tell whose fault it was throws the cause itself. */
export class RunAtFault extends Error {
  readonly run: number;
  constructor(run: number, cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.run = run;
  }
}

export interface Batch {
  readonly now: number;
  readonly worker: number;
  readonly starts: readonly StartWrite[];
  readonly runs: readonly RunWrite[];
  readonly steps: readonly StepWrite[];
  /** Written before the runs, whose changes may take the leases away, and whether or not those meet a conflict. */
  readonly logs: readonly LogWrite[];
  /** Runs that the caller is going to write although it does not own them: from now on every writer bumps their revision. */
  readonly share: readonly number[];
  readonly claim: ClaimRequest | null;
  /** Past so many runs and tasks in the queue nothing is started. */
  readonly maxQueued?: number;
}

export interface ClaimedTask {
  readonly run: number;
  readonly definition: number;
  readonly task: RunningTask;
}

export interface ClaimedRun {
  readonly definition: number;
  readonly traceparent: string | null;
  readonly dueAt: number | null;
  readonly facts: RunFacts;
  readonly uid: Uint8Array;
  /** Its roots: those that got a slot are running. */
  readonly tasks: readonly (RunningTask | QueuedTask)[];
}

export interface CommitResult {
  readonly epoch: number;
  /** The highest instant that a commit has stored. */
  readonly clock: number;
  /** Last number of the journal. */
  readonly seq: number;
  readonly starts: readonly StartResult[];
  /** Positions of run writes that met another revision or token: nothing of them was written. */
  readonly conflicts: readonly number[];
  readonly steps: readonly boolean[];
  /** Keys of workflows that runs ask for, or have given up, since this commit. */
  readonly keys: readonly string[];
  /** False where the lease was another's, or the chunk was there already. */
  readonly logs: readonly boolean[];
  readonly claimedRuns: readonly ClaimedRun[];
  readonly claimedTasks: readonly ClaimedTask[];
  /** Tasks that a limit ends: of those in the queue, and of those that make room for them. */
  readonly limited: readonly LimitedTask[];
  /** When a rate lets the next queued task go; null where none waits for one. */
  readonly lookAt: number | null;
  /** What was paused at this look; null where nothing looked. */
  readonly paused: PausedNames | null;
  /** Maps of runs with items that may start. */
  readonly openMaps: readonly { readonly run: number; readonly node: number; readonly rank: number }[];
  /** The smallest rank that was left in the queue for lack of slots; null where nothing was. */
  readonly leftRank: number | null;
  readonly tokensUsed: number;
}
