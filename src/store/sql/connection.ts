import type { Batch } from '../batch.ts';
import type { Claimer } from './claims.ts';
import type { Program } from './program.ts';
import type { Quarantine } from './quarantine.ts';
import type { Statements } from './statements.ts';
import type { RunWriter } from './writes.ts';

/** The transaction that a program writes in. */
export interface Transaction {
  readonly sql: Statements;
  readonly writer: RunWriter;
  readonly claimer: Claimer;
  readonly aside: Quarantine;
  /** Which comparison of states with the database this one is; after {@link compare}. */
  readonly epoch: () => number;
  /** The last number of the journal, and the highest instant, that commits before this one have stored. */
  readonly seen: () => { readonly seq: number; readonly clock: number };
  /** Whether its worker has lost its lease, and which of its runs others have written since the states that it was decided on. */
  readonly compare: (batch: Batch) => Program<{ readonly isFenced: boolean; readonly stale: readonly number[] }>;
  /** Its row in the journal; gives the number of that. */
  readonly record: (now: number, worker: number, changes: string) => Program<number>;
  /** Leaves a journal row, without transitions by default, so that every process compares what it holds of the runs that were touched. */
  readonly touched: (now: number, changes?: string) => Program<void>;
  /** A row of the journal, for what touches no run's state. */
  readonly note: (now: number, changes: string) => Program<void>;
}

/** What the parts of a store share of its database. Each rejects with `STORE_CLOSED` where the store is closed. */
export interface Connection {
  /** One statement, or several that need no snapshot. */
  ask<T>(program: (sql: Statements) => Program<T>): Promise<T>;
  /** Several statements on one snapshot. */
  read<T>(program: (sql: Statements, epoch: number) => Program<T>): Promise<T>;
  /** One write transaction; on a database in this process nothing comes in between from its begin to its end. */
  write<T>(program: (transaction: Transaction) => Program<T>): Promise<T>;
  /** A driver's error as one of Pawl's; faults of a single change come back as they are. */
  errorOf(error: unknown): unknown;
  /** It is the driver's. */
  isDriverError(error: unknown): boolean;
}
