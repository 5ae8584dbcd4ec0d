import type { Changes } from '../core/changes.ts';
import type { Graph } from '../core/graph.ts';
import type { EndedTask, MapState, QueuedTask, ParentLink, RunFacts, RunningTask, RunState, TaskState } from '../core/run-state.ts';
import type { LogLevel } from '../core/log.ts';
import type { AttemptOutcome, Reason, RunStatus } from '../core/states.ts';
import type { BodyPlace, CapacityStore, LimitedTask, PausedNames } from './capacity.ts';
import type { ActWrite, AuditRow, DeadCursor, DoneRequest, PastTask } from './acts.ts';
import type { Care } from './care.ts';
import type { Mailbox } from './mailbox.ts';
import type { FireWrite, Schedules } from './schedules.ts';

/**
 * The port between the engine and a database. Each method is one transaction (or one read) and takes a batch; the kernel has decided
 * everything before, the store applies it under guards. A method that rejects has changed nothing, unless the error is
 * `STORE_UNKNOWN_OUTCOME`. Instants are milliseconds of store time.
 */
export interface Store {
  /** Retention, backups, transfer and facts: what a person or a sweep does, beside running. */
  readonly care: Care;
  /** Messages, and who waits for them. */
  readonly mailbox: Mailbox;
  readonly capacity: CapacityStore;
  /** Rules that start runs at due instants, and what became of these. */
  readonly schedules: Schedules;
  /** Opens the database, migrates it, checks that it is safe to use. Rejects with a `STORE_*` error that says what is wrong. */
  open(): Promise<StoreInfo>;
  close(): Promise<void>;
  /** Writes definitions that are new, gives the stored form of all. A stored graph under the same name and version is not changed. */
  define(definitions: readonly NewDefinition[]): Promise<StoredDefinition[]>;
  /** The stored definition, null where there is none. */
  definition(id: number): Promise<StoredDefinition | null>;
  /** The newest stored definition of this name, or its given version; null where there is none. */
  newestDefinition(workflow: string, version?: string): Promise<StoredDefinition | null>;
  /** Runs that stand for tasks of this one, by place and generation; of one place where given. */
  childrenOf(run: number, place?: { readonly node: number; readonly item: number }): Promise<RunRow[]>;
  /** Runs that ended while their parent could not be told. */
  untold(limit: number): Promise<number[]>;
  /** Reserves run ids and lease tokens that nobody else will ever get. */
  reserve(runs: number, tokens: number): Promise<Reserved>;
  /** Everything that one turn of the engine wants written, in one transaction with one flush. */
  commit(batch: Batch): Promise<CommitResult>;
  /** Runs as their rows say; those that do not exist are left out. */
  load(requests: readonly LoadRequest[]): Promise<(LoadedRun | BrokenRun)[]>;
  /** The records of a body's steps in its generation. */
  steps(task: TaskKey): Promise<StepRecord[]>;
  /** A new worker process: a row with a lease, under an id that was never used before. */
  boot(worker: WorkerFacts, leaseUntil: number): Promise<number>;
  /** Renews the lease; false where it ran out or was taken away: it is never renewed then. */
  beat(worker: number, now: number, leaseUntil: number): Promise<boolean>;
  /** Notes that a worker's main thread does not answer; its next beat after it answers again takes that back. */
  wedge(worker: number): Promise<void>;
  /** Ends a worker's row: it holds nothing any more. */
  leave(worker: number, now: number): Promise<void>;
  /** Every worker that has not ended. */
  workers(): Promise<WorkerRow[]>;
  /** Those that ended last. */
  endedWorkers(limit: number): Promise<WorkerRow[]>;
  /** Tasks that are running under a worker's leases, at most `limit`. */
  heldBy(worker: number, limit: number): Promise<HeldTask[]>;
  /**
   * Takes the leases of a worker that `proof` allows: by the lease's end, tested in this statement, or because its process is proven dead.
   * Afterwards the worker cannot renew.
   */
  fence(worker: number, proof: { readonly now: number } | { readonly dead: true }): Promise<boolean>;
  /** What is due at `now`, oldest first: retries, queue timeouts, delayed starts, deadlines; and when the next thing is. */
  due(now: number, limit: number): Promise<Due>;
  /** Running tasks, for the sweep that ends overdue attempts; ordered by key, after `after`. */
  running(after: TaskKey | null, limit: number): Promise<HeldTask[]>;
  /** Open, admitted runs after `after` with nothing that would ever wake them. */
  stuck(after: OpenCursor | null, limit: number): Promise<{ readonly runs: readonly StuckRun[]; readonly last: OpenCursor | null }>;
  /** The versions of these workflows, or of all, oldest first. */
  versions(workflows: readonly string[] | null): Promise<VersionRow[]>;
  /** Definitions that have open runs. */
  openDefinitions(): Promise<number[]>;
  /** Open runs of a definition that are not set aside, by their numbers, after `after`. */
  openRuns(definition: number, after: number, limit: number): Promise<OpenRun[]>;
  /** Since when the first of what may be claimed of a version waits; null where nothing does. */
  waitingSince(definition: Pick<StoredDefinition, 'id' | 'firstBody' | 'graph'>): Promise<number | null>;
  /** Outputs that are kept under these keys at `now`. */
  cached(keys: readonly string[], now: number): Promise<ReadonlyMap<string, string | null>>;
  /** Where a run went on under another definition, oldest first. */
  movesOf(run: number): Promise<MoveRow[]>;
  /** Sets a run aside: nothing of it is claimed any more. Outcomes that arrive for it are kept and not applied. */
  quarantine(run: number, why: string, outcomes: readonly ParkedOutcome[], now: number): Promise<void>;
  /** The last number of the journal, and whether another process may have written since the number the caller saw. */
  head(): Promise<Head>;
  /** Journal entries after `after`. `gone` where the first of them was pruned. */
  journal(after: number, limit: number): Promise<{ readonly entries: readonly JournalRow[]; readonly gone: boolean }>;
  findRun(uid: Uint8Array): Promise<RunRow | null>;
  runRow(run: number): Promise<RunRow | null>;
  runStatus(run: number): Promise<RunStatus | null>;
  listRuns(query: ListQuery): Promise<RunRow[]>;
  /** The ids of the newest runs, newest first. */
  newestIds(limit: number): Promise<Uint8Array[]>;
  /** Runs that hold this key, in one workflow or in all; none whose key was given free. */
  holdersOf(key: string, workflow: string | null): Promise<RunRow[]>;
  /** How far each map of a run that has started is. */
  mapsOf(run: number): Promise<MapCounts[]>;
  /** Every task row of a run, in graph order; with items where asked. */
  tasksOf(run: number, items: boolean): Promise<TaskState[]>;
  attemptsOf(task: TaskKey): Promise<AttemptRow[]>;
  /** Log lines of a run in the order in which they were stored; those of one attempt stand in the order in which they were written. */
  logsOf(query: LogQuery, limit: number): Promise<LogRow[]>;
  /** What tasks of a run were in earlier generations, oldest first. */
  historyOf(run: number): Promise<PastTask[]>;
  /** Dead letters, the last to die first, after `before`; of one run where given. Leftovers of a run that is gone are none. */
  deadLetters(before: DeadCursor | null, limit: number, run?: number): Promise<DeadRow[]>;
  /** Acts of people, the last first, before the act `before`; of one run where given. */
  audit(query: { readonly run?: number; readonly before?: number; readonly limit: number }): Promise<AuditRow[]>;
  /** What the act of this actor and request id came to, where it was done after `since`. */
  findRequest(actor: string, request: string, since: number): Promise<DoneRequest | null>;
  /** Runs that were set aside, oldest first. */
  quarantinedRuns(limit: number): Promise<RunRow[]>;
  /** Takes a run out of quarantine: it can be claimed and advanced again. An act that was done before changes nothing. */
  release(run: number, act: ActWrite, now: number): Promise<void>;
  /** Outcomes that arrived for a run while it was set aside, in their order. */
  parked(run: number): Promise<ParkedRow[]>;
  /** Forgets those of them up to `last`. */
  unpark(run: number, last: number): Promise<void>;
  /** Runs that are not set aside and have such outcomes. */
  strandedRuns(limit: number): Promise<number[]>;
  /** Fails a quarantined run whose state nobody can advance: what is open of it is cancelled, as `marked_failed`. */
  abandonRun(run: number, act: ActWrite, now: number): Promise<void>;
}

export interface StoreInfo {
  readonly kind: string;
  /** The highest instant that a commit has stored. */
  readonly clock: number;
  /** Version of the schema. */
  readonly schema: number;
  readonly path: string;
  /** Opened to read where reading a live file is not possible: what another process writes may not be seen. */
  readonly isImmutable: boolean;
}

export interface NewDefinition {
  readonly workflow: string;
  readonly version: string;
  readonly hash: string;
  readonly graph: Graph;
  readonly at: number;
}

export interface StoredDefinition {
  readonly id: number;
  readonly workflow: string;
  readonly version: string;
  readonly hash: string;
  readonly graph: Graph;
  /** Number of the body of node 0; node n has this plus n. Unique over all definitions. */
  readonly firstBody: number;
}

export interface Reserved {
  readonly firstRun: number;
  readonly firstToken: number;
}

export interface TaskKey {
  readonly run: number;
  readonly node: number;
  readonly item: number;
}

export interface KeyClaim {
  readonly value: string;
  readonly inputHash: string;
  /** As long as the run is kept, while it is open, or until an instant. */
  readonly until: 'kept' | 'open' | number;
}

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
  readonly state: RunState;
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
  readonly state: RunState;
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

export interface LoadRequest {
  readonly run: number;
  /** Maps whose ended items are wanted too. */
  readonly items: readonly number[];
}

export interface LoadedRun {
  readonly row: RunRow;
  readonly facts: RunFacts;
  /** Top-level tasks, and open items. */
  readonly tasks: readonly TaskState[];
  readonly maps: readonly Omit<MapState, 'open' | 'list' | 'results'>[];
  /** The ended items of the maps that were asked for; of a run whose compensation has begun those of all. */
  readonly items: readonly { readonly node: number; readonly items: readonly EndedTask[] }[];
  /** The last place in the order of completion. */
  readonly completions: number;
  readonly epoch: number;
}

/** A run whose rows cannot be decoded. */
export interface BrokenRun {
  readonly run: number;
  readonly broken: string;
}

export const isBroken = (loaded: LoadedRun | BrokenRun): loaded is BrokenRun => 'broken' in loaded;

export interface RunRow {
  readonly run: number;
  readonly uid: Uint8Array;
  readonly definition: number;
  readonly workflow: string;
  readonly version: string;
  readonly status: RunStatus;
  readonly reason: Reason | null;
  readonly owner: number | null;
  readonly unclaimed: boolean;
  readonly quarantined: string | null;
  readonly acceptedAt: number;
  readonly startAt: number | null;
  readonly deadlineAt: number | null;
  readonly finishedAt: number | null;
  readonly key: string | null;
  readonly tags: readonly string[];
  readonly traceparent: string | null;
  readonly input: string | null;
  readonly output: string | null;
  readonly hasOutput: boolean;
  readonly generation: number;
  /** The run that it was forked or restarted from. */
  readonly linkedFrom: number | null;
  readonly link: 'fork' | 'restart' | null;
  /** Its place in the run that started it. */
  readonly parent: ParentLink | null;
  /** The schedule that started it, and the instant that it was due at. */
  readonly schedule: string | null;
  readonly dueAt: number | null;
}

export interface DeadRow {
  readonly row: RunRow;
  readonly task: EndedTask;
  /** Why its row cannot be read: then the task holds little more than what names it. */
  readonly broken?: string;
}

export interface WorkerFacts {
  readonly name: string;
  readonly host: string;
  readonly pid: number;
  /** Facts that prove a death on this host; null where they cannot be read. */
  readonly pidStarted: string | null;
  readonly bootId: string | null;
  readonly pidNamespace: string | null;
  readonly startedAt: number;
  /** Attempts at the same time. */
  readonly slots: number;
  /** Numbers of the bodies it can run. */
  readonly serves: readonly number[];
}

export interface WorkerRow extends WorkerFacts {
  readonly id: number;
  readonly leaseUntil: number;
  readonly wedged: boolean;
  /** Its leases were taken away; what it held may still be there. */
  readonly fenced: boolean;
  readonly endedAt: number | null;
}

export interface HeldTask extends TaskKey {
  readonly definition: number;
  readonly token: number;
  readonly worker: number;
  readonly startedAt: number;
  readonly ranMs: number;
}

export interface Due {
  readonly tasks: readonly (TaskKey & { readonly dueAt: number })[];
  readonly runs: readonly { readonly run: number; readonly event: 'admit' | 'deadline' | 'recall'; readonly dueAt: number }[];
  readonly nextAt: number | null;
  /** Messages whose time is over. */
  readonly expired: boolean;
}

export interface ParkedOutcome {
  readonly node: number;
  readonly item: number;
  readonly token: number;
  /** An outcome of the kernel, as JSON. */
  readonly outcome: string;
}

export interface ParkedRow extends ParkedOutcome {
  readonly id: number;
}

/** Open runs are gone through by definition and number. */
export interface OpenCursor {
  readonly definition: number;
  readonly run: number;
}

export interface VersionRow {
  readonly id: number;
  readonly workflow: string;
  readonly version: string;
}

export interface OpenRun {
  readonly run: number;
  readonly generation: number;
  /** A person moved it: only a definition newer than this one moves it by itself. */
  readonly staysUntil: number | null;
}

export interface MoveRow {
  /** The commit's number in the journal. */
  readonly seq: number;
  readonly from: number;
  readonly to: number;
}

export interface StuckRun {
  readonly run: number;
  readonly rev: number;
}

export interface Head {
  readonly seq: number;
  /** Changes whenever another process has committed. */
  readonly epoch: number;
}

export interface JournalRow {
  readonly seq: number;
  readonly at: number;
  readonly worker: number;
  readonly changes: string;
}

export interface MapCounts {
  readonly node: number;
  readonly n: number;
  readonly next: number;
  readonly ok: number;
  readonly failed: number;
  readonly cancelled: number;
  readonly skipped: number;
}

export interface ListQuery {
  readonly workflow?: string;
  readonly key?: string;
  readonly statuses?: readonly RunStatus[];
  readonly tag?: string;
  readonly since?: number;
  readonly before?: number;
  /** With runs that stand for a part of another one: an item of a map, a call of a body, its hooks. */
  readonly parts?: boolean;
  readonly limit: number;
}

export interface AttemptRow {
  readonly attempt: number;
  readonly generation: number;
  readonly outcome: AttemptOutcome;
  readonly reason: Reason;
  readonly error: string | null;
  readonly worker: number;
  readonly startedAt: number;
  readonly endedAt: number;
}

export interface LogQuery {
  readonly run: number;
  /** Behind this place in the run's log. */
  readonly after: number;
  readonly node?: number;
  readonly item?: number;
  readonly attempt?: number;
}

export interface LogRow {
  /** Place in the run's log: grows from row to row, in commit order. */
  readonly seq: number;
  readonly node: number;
  readonly item: number;
  readonly generation: number;
  readonly attempt: number;
  readonly lines: readonly StoredLine[];
}
