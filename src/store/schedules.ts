import type { OperatorAct } from './acts.ts';
import type { ScheduleRule } from '../core/schedules/cron.ts';
import type { FireRecord, NoRunReason, Reprocess, SchedulePolicy } from '../core/schedules/schedule.ts';
import type { RunStatus } from '../core/kernel/states.ts';

/**
 * Schedules as rows. A schedule has a revision: whoever writes gives the one that was read, and a write that meets another changes nothing
 * and says so. Thus each due instant is decided once, by any process (docs/adr/0017).
 */
export interface Schedules {
  /** False where the name is taken. */
  create(schedule: NewSchedule, now: number, act: OperatorAct | null): Promise<boolean>;
  get(name: string): Promise<ScheduleRow | null>;
  /** By name, after a name. */
  list(after: string, limit: number): Promise<ScheduleRow[]>;
  /** Those of these workflows with something due at `now`, the longest due first. */
  due(workflows: readonly string[], now: number, limit: number): Promise<number[]>;
  /** Those of these workflows that wait for a run to end; by number, after `after`. */
  watched(workflows: readonly string[], after: number, limit: number): Promise<number[]>;
  /** When the next of them is due, after `now`; null: never. */
  nextAt(workflows: readonly string[], now: number): Promise<number | null>;
  /** A schedule with all that decides what becomes of its instants, as it is at one moment; null where it is gone. */
  look(schedule: number): Promise<ScheduleLook | null>;
  /** Writes what was decided; false where the revision is another. */
  write(write: ScheduleWrite, now: number, act: OperatorAct | null): Promise<boolean>;
  /** Deletes it with its records; runs stay. False where the revision is another. */
  remove(schedule: number, rev: number, now: number, act: OperatorAct): Promise<boolean>;
  /** Its records, the last instant first, before one of them. */
  fires(schedule: number, before: FireCursor | null, limit: number): Promise<FireRow[]>;
  /** How the last run of each instant in this range ended; those without one are left out. */
  ranIn(schedule: number, from: number, to: number): Promise<{ readonly dueAt: number; readonly status: RunStatus }[]>;
  /** Begins a backfill; its number, null where the schedule's revision is another. */
  backfill(schedule: number, rev: number, backfill: NewBackfill, now: number, act: OperatorAct): Promise<number | null>;
  /** Those of a schedule, the last first. */
  backfills(schedule: number, limit: number): Promise<BackfillRow[]>;
  /** Asks for the end of a backfill; false where it is over. */
  cancelBackfill(backfill: number, now: number, act: Omit<OperatorAct, 'subject'>): Promise<boolean>;
  /** How many schedules wait for a process that has their workflow: due before `before`, and not paused. */
  late(before: number): Promise<{ readonly name: string; readonly workflow: string; readonly nextAt: number }[]>;
  /** Deletes records of instants that were decided before, and backfills that ended before; at most `rows`. True where there is more. */
  prune(before: number, rows: number): Promise<boolean>;
}

export interface ScheduleTerms {
  readonly workflow: string;
  /** Declared by a workflow, or made at run time. */
  readonly source: 'code' | 'data';
  readonly rule: ScheduleRule;
  /** What an interval without an anchor counts from. */
  readonly madeAt: number;
  readonly policy: SchedulePolicy;
  /** As the codec stores it; null is the value `undefined`. Of one whose input a function makes: null. */
  readonly input: string | null;
  /** A function of the workflow's code makes the input. */
  readonly isMade: boolean;
}

export interface ScheduleState {
  /** Every instant up to this one is decided. */
  readonly cursorAt: number;
  /** Null: nothing is due any more, or not while it is as it is. */
  readonly nextAt: number | null;
  /** It is to be looked at when a run of it ends. */
  readonly isWatched: boolean;
  readonly paused: { readonly at: number; readonly why: string } | null;
  /** When its workflow no longer declared it. */
  readonly removedAt: number | null;
  /** Failures of runs that were due before do not count. */
  readonly failuresFrom: number;
}

export interface NewSchedule extends ScheduleTerms, ScheduleState {
  readonly name: string;
}

export interface ScheduleRow extends NewSchedule {
  readonly id: number;
  readonly rev: number;
  readonly createdAt: number;
}

export interface ScheduleLook {
  readonly row: ScheduleRow;
  /** Its runs that are not over and not set aside; at most 2,000. */
  readonly open: readonly OpenFire[];
  /** Instants that wait, the oldest first. */
  readonly waiting: readonly number[];
  /** How the last runs of its own instants ended, the last first; as many as its `pauseAfter`. */
  readonly ended: readonly RunStatus[];
  /** The last record, where it is of instants without a run that later ones of the same kind may join. */
  readonly lastSkip: { readonly dueAt: number; readonly count: number | null; readonly reason: NoRunReason } | null;
  /** Those that are not over. */
  readonly backfills: readonly BackfillRow[];
}

export interface OpenFire {
  readonly run: number;
  readonly dueAt: number;
  readonly backfill: number;
  readonly status: RunStatus;
}

/** Of an instant: the schedule's own, one that a person asked for, or a backfill's number. */
export const OWN = 0;
export const BY_HAND = -1;

export interface ScheduleWrite {
  readonly schedule: number;
  readonly rev: number;
  readonly state: ScheduleState;
  /** Where they change. */
  readonly terms: ScheduleTerms | null;
  readonly records: readonly FireRecord[];
  /** Further instants without a run join this record. */
  readonly extend: { readonly dueAt: number; readonly untilAt: number; readonly count: number | null } | null;
  readonly backfill: { readonly id: number; readonly cursorAt: number; readonly state: BackfillState; readonly started: number } | null;
}

/** A schedule's instant that a run begins with: written in the transaction that starts the run. */
export interface FireWrite {
  readonly write: ScheduleWrite;
  readonly name: string;
  readonly dueAt: number;
  readonly backfill: number;
  /** Its record says that it waited. */
  readonly waited: boolean;
  /** Of a person who asked for the run. */
  readonly act?: OperatorAct;
}

export interface FireCursor {
  readonly dueAt: number;
  readonly backfill: number;
}

export interface FireRow {
  readonly dueAt: number;
  readonly untilAt: number | null;
  readonly count: number | null;
  readonly backfill: number;
  readonly state: 'waiting' | 'started' | 'skipped';
  readonly reason: NoRunReason | null;
  readonly note: string | null;
  readonly at: number;
  readonly uid: Uint8Array | null;
  /** Null where there is no run, or it was pruned. */
  readonly status: RunStatus | null;
}

/** Positions are stored: append only. */
export const BACKFILL_STATES = ['running', 'cancelling', 'done', 'cancelled'] as const;
export type BackfillState = (typeof BACKFILL_STATES)[number];

export interface NewBackfill {
  readonly from: number;
  readonly to: number;
  readonly reprocess: Reprocess;
  readonly concurrency: number;
}

export interface BackfillRow extends NewBackfill {
  readonly id: number;
  readonly schedule: number;
  readonly state: BackfillState;
  /** Every instant up to this one is decided. */
  readonly cursorAt: number;
  readonly started: number;
  readonly createdAt: number;
  readonly finishedAt: number | null;
}
