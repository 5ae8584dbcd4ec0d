/** What the store gives back when it is asked. */
import type { EndedTask, MapState, ParentLink, RunFacts, TaskState } from '../core/kernel/run-state.ts';
import type { AttemptOutcome, Reason, RunStatus } from '../core/kernel/states.ts';
import type { StoredLine } from './batch.ts';

export interface TaskKey {
  readonly run: number;
  readonly node: number;
  readonly item: number;
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
  /** It came open out of another store, and has not gone on since. */
  readonly isImported: boolean;
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
  /** What became of its compensations, where any began. */
  readonly compensation: 'complete' | 'incomplete' | 'running' | null;
  /** The schedule that started it, and the instant that it was due at. */
  readonly schedule: string | null;
  readonly dueAt: number | null;
}

/** A run that is over, or gone. */
export interface EndedRun {
  readonly run: number;
  readonly hasOutput: boolean;
  readonly output: string | null;
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
  readonly runs: readonly { readonly run: number; readonly event: 'admit' | 'deadline' | 'recall' | 'undo'; readonly dueAt: number }[];
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
