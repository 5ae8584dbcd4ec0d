import type { JournaledTask } from '../core/kernel/checkpoint.ts';
import type { RunDocument } from '../core/documents/run-document.ts';
import type { WriterFacts } from './store.ts';
import type { RunStatus } from '../core/kernel/states.ts';

/**
 * What a store needs besides running: retention, checkpoints of its journal, backups, runs that are carried from store to store, facts for
 * a diagnosis. What deletes or inserts much does so in transactions of a few milliseconds, one per call; the caller calls again.
 */
export interface Care {
  /**
   * Deletes finished runs with all that belongs to them, in one transaction of at most `rows` rows. A run is gone, with its key, as soon as
   * one row of it is; rows that are left over are deleted by later calls, of any process. Open and quarantined runs are never touched.
   */
  prune(request: PruneRequest): Promise<Pruned>;
  /** How many runs `prune` would delete. */
  prunable(request: PruneRequest): Promise<number>;
  /**
   * Cuts old rows off the journal, in one transaction that reads at most `rows` rows or transitions, and writes into it what they came to
   * for the runs that are open at the cut. The newest row always stays: it carries number and clock.
   */
  pruneJournal(request: JournalPruneRequest): Promise<JournalPruned>;
  /** How many journal rows are as old as this. */
  prunableJournal(before: number): Promise<number>;
  /** Deletes audit entries and request ids that are as old as this, and kept outputs past their time, at most `rows` of each in one transaction. */
  pruneActs(request: ActsPruneRequest): Promise<ActsPruned>;
  /** Where the journal was cut off last: its first row has a higher number. Zeros where it never was. */
  checkpoint(): Promise<{ readonly seq: number; readonly at: number }>;
  /** Runs that were open at the cut, by number, after `after`. */
  checkpointRuns(after: number, limit: number): Promise<CheckpointRun[]>;
  /** The tasks of such a run as they were at the cut; one that is missing was pending, or had ended in an earlier generation. */
  checkpointTasks(run: number): Promise<JournaledTask[]>;
  /**
   * Writes the store as it is at one instant to a new file, beside workers that go on. Rejects with `STORE_EXISTS` where the file, or
   * `<file>.part`, is there. The file bears its name only when it is complete, checked and synced.
   */
  backup(file: string): Promise<{ readonly bytes: number }>;
  /** One run with everything that belongs to it, the runs below it too, as they are at one instant; null where there is none. */
  exportRun(uid: Uint8Array): Promise<RunDocument | null>;
  /**
   * Adds the runs of a checked document under new numbers, in several transactions; they are there with the last one. Rejects with
   * `RUN_EXISTS`, or `CONFIG_VERSION_CHANGED` where a version is stored with another graph. An open run is imported quarantined, without its
   * lanes and its gate: `release` gives it these. What was running is parked as lost.
   */
  importRun(document: RunDocument, now: number): Promise<number>;
  facts(options: FactsOptions): Promise<StoreFacts>;
}

export interface PruneRequest {
  readonly now: number;
  /** Failed runs that ended at this instant or before; null: none. */
  readonly failedBefore: number | null;
  /** The same of all others. */
  readonly finishedBefore: number | null;
  readonly rows: number;
}

export interface Pruned {
  readonly runs: number;
  readonly rows: number;
  /** There was more to delete than the call might. */
  readonly more: boolean;
}

export interface JournalPruneRequest {
  readonly before: number;
  readonly rows: number;
}

export interface JournalPruned {
  readonly rows: number;
  readonly more: boolean;
}

export interface ActsPruneRequest {
  readonly now: number;
  /** Null: none. */
  readonly auditBefore: number | null;
  readonly requestsBefore: number;
  /** Worker processes that ended so long ago. Null: none. */
  readonly workersBefore: number | null;
  readonly rows: number;
}

export interface ActsPruned {
  /** Audit entries. */
  readonly entries: number;
  readonly more: boolean;
}

export interface CheckpointRun {
  readonly run: number;
  readonly generation: number;
  readonly status: RunStatus;
}

export interface FactsOptions {
  /** Files larger than this are not checked from end to end; null: none is. */
  readonly checkUpTo: number | null;
}

export interface StoreFacts {
  readonly kind: string;
  /** Missing where nothing is written, or where one connection is there for all. */
  readonly writer?: WriterFacts;
  /** Null for a store in memory. */
  readonly file: FileFacts | null;
  readonly library: string;
  readonly schema: number;
  readonly knownSchema: number;
  /** Every commit is on disk before it is acknowledged. */
  readonly syncsCommits: boolean;
  /** What a check of the whole file complained about; empty: nothing; null: it was not checked. */
  readonly damage: readonly string[] | null;
  /** The highest instant that a commit has stored. */
  readonly clock: number;
  readonly quarantined: number;
  /** When the task or run that has waited longest in the queue got there; null: nothing waits. A map's items wait in their map, not here. */
  readonly oldestQueuedAt: number | null;
  /** The journal's first and last row; null: it is empty. */
  readonly journal: { readonly from: number; readonly to: number; readonly fromAt: number; readonly toAt: number } | null;
}

export interface FileFacts {
  readonly path: string;
  readonly bytes: number;
  readonly walBytes: number;
  readonly mode: number;
  readonly folderMode: number;
  /** Bytes that this process may still write to the disk; null: not known. */
  readonly freeBytes: number | null;
  /** Type of the file system, where the system tells. */
  readonly fileSystem: string | null;
}
