/** What a harness saw, from which the checker judges. Instants are microseconds of `clock()`. */
import type { BodyRecord, ClientRecord } from './records.ts';

/** One worker process, from its start to its death. */
export interface Life {
  readonly name: string;
  /** Workers of one slot follow each other. */
  readonly slot: number;
  /** When it was at work; null where it died before. */
  readonly readyAt: number | null;
  /** Until then at least it was alive: its kill, or what it wrote last. */
  readonly aliveUntil: number;
  readonly bodies: readonly BodyRecord[];
}

/** How a task ended, as the store has it. */
export interface Outcome {
  /** 0 where no body ran: a map as a whole. */
  readonly attempt: number;
  readonly status: string;
  /** Instant and output. */
  readonly text: string;
}

/** By `taskKey`. */
export type Outcomes = ReadonlyMap<string, Outcome>;

/** The store as it was read after a kill. */
export interface Snapshot {
  /** After the read. */
  readonly at: number;
  /** Tasks that are terminal, of runs that were open at the snapshot before. */
  readonly ended: Outcomes;
  /** Attempts that the killed worker held; those that had returned and were not committed yet come on top of its slots. */
  readonly inFlight: number;
  /** What `PRAGMA integrity_check` says. */
  readonly integrity: string;
}

export interface StoredRun {
  readonly run: string;
  readonly workflow: string;
  readonly key: string | null;
  readonly status: string;
}

/** The store after everything has ended. */
export interface FinalState {
  readonly runs: readonly StoredRun[];
  readonly ended: Outcomes;
  readonly integrity: string;
}

export interface History {
  /** Of one worker. */
  readonly concurrency: number;
  readonly lives: readonly Life[];
  readonly client: readonly ClientRecord[];
  readonly snapshots: readonly Snapshot[];
  readonly final: FinalState;
  /** What the harness itself, or a log, complains of. */
  readonly complaints: readonly Violation[];
  /** Whether every slot's workers must have got their share. */
  readonly mustShare: boolean;
}

export interface Violation {
  readonly rule: string;
  readonly text: string;
}
