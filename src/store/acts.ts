import type { Standing } from '../core/kernel/standing.ts';
import type { Reason, TaskStatus } from '../core/kernel/states.ts';

/** An act of a person, written in the transaction of what it does. */
export interface ActWrite {
  readonly actor: string;
  readonly action: string;
  /** Of the same actor, the same act: done once. */
  readonly request: string | null;
  /** Of what was asked for: the same request id with another question is a conflict. */
  readonly hash: string;
  /** JSON. */
  readonly facts: string;
  readonly note: string | null;
  /** JSON: what a repetition gets. */
  readonly result: string;
}

/** An act of a person that is about no run, written in the transaction of what it does. */
export interface OperatorAct {
  readonly actor: string;
  readonly action: string;
  /** `queue:media`: what it is about. */
  readonly subject: string;
  /** JSON. */
  readonly facts: string;
  readonly note: string | null;
}

/** Where an imported run stands in line from now on. */
export interface Placed extends Standing {
  readonly run: number;
}

export interface DoneRequest {
  readonly hash: string;
  readonly result: string;
}

export interface AuditRow {
  readonly id: number;
  readonly at: number;
  readonly actor: string;
  readonly action: string;
  /** Null where it is about no run. */
  readonly run: number | null;
  readonly uid: Uint8Array | null;
  /** Null where it is about a run. */
  readonly subject: string | null;
  readonly request: string | null;
  readonly facts: string;
  readonly note: string | null;
}

export interface DeadCursor {
  readonly at: number;
  readonly run: number;
  readonly node: number;
  readonly item: number;
}

export interface PastTask {
  readonly node: number;
  readonly item: number;
  readonly generation: number;
  readonly attempt: number;
  readonly status: TaskStatus;
  readonly reason: Reason | null;
  readonly startedAt: number | null;
  readonly finishedAt: number | null;
  readonly edited: string | null;
  readonly output: string | null;
  readonly error: string | null;
}
