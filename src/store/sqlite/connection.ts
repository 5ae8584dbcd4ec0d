import type { Statements } from './statements.ts';

/** What the parts of the store share of its one connection. */
export interface Connection {
  readonly path: string;
  /** Throws `STORE_CLOSED`. */
  readonly sql: () => Statements;
  /** Several statements on one snapshot. */
  read<T>(work: () => T): T;
  /** One write transaction; from its begin to its end nothing awaits. */
  write<T>(work: () => T): Promise<T>;
  /** Inside a write: leaves a journal row without transitions, so that every process compares what it holds of the runs that were touched. */
  touched(now: number): void;
  /** In the open transaction: a row of the journal, for what touches no run's state. */
  note(now: number, changes: string): void;
}
