import type { KinFacts } from '../core/kernel/children.ts';
import type { Graph } from '../core/graph/graph.ts';
import type { TaskState } from '../core/kernel/run-state.ts';
import type { CapacityStore } from './capacity.ts';
import type { ActWrite, AuditRow, DeadCursor, DoneRequest, PastTask, Placed } from './acts.ts';
import type { Care } from './care.ts';
import type { Mailbox } from './mailbox.ts';
import type { Outlook } from './outlook.ts';
import type { Schedules } from './schedules.ts';
import type { StepRecord, Batch, CommitResult } from './batch.ts';
import type {
  TaskKey,
  LoadRequest,
  LoadedRun,
  BrokenRun,
  RunRow,
  DeadRow,
  EndedRun,
  WorkerFacts,
  WorkerRow,
  HeldTask,
  Due,
  ParkedOutcome,
  ParkedRow,
  OpenCursor,
  VersionRow,
  OpenRun,
  MoveRow,
  StuckRun,
  Head,
  JournalRow,
  MapCounts,
  ListQuery,
  AttemptRow,
  LogQuery,
  LogRow,
} from './rows.ts';

export type * from './batch.ts';
export * from './rows.ts';

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
  /** What of the children of a run is still to be undone, but for those named here: the commit at hand changes them. */
  kinOf(of: { readonly run: number; readonly tree: number }, without: readonly number[]): Promise<KinFacts>;
  /** Runs that ended while their parent could not be told. */
  untold(limit: number): Promise<number[]>;
  /** The parent of a run that ended untold knows now. */
  told(run: number): Promise<void>;
  /** Reserves run ids and lease tokens that nobody else will ever get. */
  reserve(runs: number, tokens: number): Promise<Reserved>;
  /** Everything that one turn of the engine wants written, in one transaction with one flush. */
  commit(batch: Batch): Promise<CommitResult>;
  /** Runs as their rows say; those that do not exist are left out. */
  load(requests: readonly LoadRequest[]): Promise<(LoadedRun | BrokenRun)[]>;
  /** The records of a body's steps and calls in the order of their places: in its generation, or those of one that came after a place. */
  steps(task: TaskKey, after?: { readonly generation: number; readonly place: number }): Promise<StepRecord[]>;
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
  /** What somebody may have to see to: a worker that serves these workflows. */
  outlook(workflows: readonly string[], worker: number): Promise<Outlook>;
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
  /** Those of these runs that are over, with what they gave, or gone. */
  endsOf(runs: readonly number[]): Promise<EndedRun[]>;
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
  /** Acts of people, the last first, before the act `before`; of one run, or about one `subject` (`queue:media`), where given. */
  audit(query: { readonly run?: number; readonly subject?: string; readonly before?: number; readonly limit: number }): Promise<AuditRow[]>;
  /** What the act of this actor and request id came to, where it was done after `since`. */
  findRequest(actor: string, request: string, since: number): Promise<DoneRequest | null>;
  /** Runs that were set aside, oldest first. */
  quarantinedRuns(limit: number): Promise<RunRow[]>;
  /**
   * Takes a run out of quarantine: it can be claimed and advanced again; with it those that were imported with it, in one transaction, and
   * each of `placed` gets its lanes and its gate. An act that was done before changes nothing. Where a key that one of them held has no room
   * for it here, nothing is changed, and the key is given back; otherwise null.
   */
  release(run: number, act: ActWrite, now: number, placed?: readonly Placed[]): Promise<string | null>;
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
  readonly writer: WriterFacts;
}

export interface WriterFacts {
  /** Where commits are made: in the thread that everything else runs in, or in one of their own. */
  readonly in: 'main' | 'thread';
  /** Milliseconds that a flush took when the store was opened; null: it was not measured. */
  readonly flushMs: number | null;
  /** Why there is no thread although flushes are slow. */
  readonly refused?: string;
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
