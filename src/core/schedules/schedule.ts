import type { NextAfter } from './cron.ts';

/**
 * Which due instants of a schedule give a run (semantics, section 11). Pure: from what the rows say to what is to be written. An instant is
 * decided once: the schedule's cursor moves with what was decided, and every write carries the revision that was read.
 */

export const OVERLAPS = ['allow', 'skip', 'queue', 'cancel_old'] as const;
export const CATCHUPS = ['none', 'latest', 'all'] as const;
export const REPROCESS = ['none', 'failed', 'all'] as const;
export type Overlap = (typeof OVERLAPS)[number];
export type Catchup = (typeof CATCHUPS)[number];
export type Reprocess = (typeof REPROCESS)[number];

/** Why a due instant has no run. */
export const NO_RUN_REASONS = ['overlap', 'queue_full', 'superseded', 'missed', 'window', 'paused', 'changed', 'input_invalid'] as const;
export type NoRunReason = (typeof NO_RUN_REASONS)[number];

/** More instants than this do not wait for their turn. */
export const MAX_WAITING = 1_000;
/** So late an instant is still on time, whatever the catch-up: the process was busy, or another took over. */
export const ON_TIME_MS = 10_000;
export const WINDOW_MS = 86_400_000;

/** Instants of one record that are counted; more are not. */
const MAX_COUNT = 1_000;
/** Instants that are decided at a time. */
const AT_ONCE = 100;

export interface SchedulePolicy {
  readonly overlap: Overlap;
  readonly catchup: Catchup;
  /** What was due longer ago is not caught up. */
  readonly windowMs: number;
  /** So many failed runs in a row pause it; null: none do. */
  readonly pauseAfter: number | null;
}

/** What one transaction makes of a schedule. */
export interface FirePlan {
  readonly records: readonly FireRecord[];
  /** The instant whose run begins in the same transaction. */
  readonly start: { readonly dueAt: number; readonly waited: boolean } | null;
  /** Everything up to this instant is decided. */
  readonly cursorAt: number;
}

export type FireRecord =
  | { readonly kind: 'waiting'; readonly dueAt: number }
  /** An instant, or all that are due up to `untilAt`, without a run. Null: too many to count. */
  | {
      readonly kind: 'skipped';
      readonly dueAt: number;
      readonly untilAt: number | null;
      readonly count: number | null;
      readonly reason: NoRunReason;
      readonly note: string | null;
      /** Number of the backfill that skips it; default: none does. */
      readonly backfill?: number;
    }
  /** One that waited gives no run after all. */
  | { readonly kind: 'dropped'; readonly dueAt: number; readonly reason: NoRunReason; readonly note: string | null };

export interface FireFacts {
  readonly policy: SchedulePolicy;
  readonly cursorAt: number;
  /** Its runs that are not over, backfills aside. */
  readonly open: number;
  /** Instants that wait for these to end, the oldest first. */
  readonly waiting: readonly number[];
}

export function skipped(dueAt: number, reason: NoRunReason, note: string | null = null): FireRecord {
  return { kind: 'skipped', dueAt, untilAt: null, count: 1, reason, note };
}

/** What is to be done now, in order: each plan is one transaction. Empty where nothing is due. `more`: ask again when these are done. */
export function planFires(facts: FireFacts, now: number, next: NextAfter): { readonly plans: readonly FirePlan[]; readonly more: boolean } {
  const due = dueInstants(facts, now, next);
  const plans: FirePlan[] = [];
  let { open } = facts;
  const waiting = [...facts.waiting];
  let records: FireRecord[] = due.passed === null ? [] : [due.passed];
  const begin = (dueAt: number, waited: boolean, cursorAt: number): void => {
    plans.push({ records, start: { dueAt, waited }, cursorAt });
    records = [];
    open++;
  };
  const first = waiting[0];
  if (first !== undefined && open === 0) {
    waiting.shift();
    begin(first, true, due.passed === null ? facts.cursorAt : due.from);
  }
  let cursorAt = due.from;
  for (const at of due.fire) {
    cursorAt = at;
    const does = overlapping(facts.policy.overlap, open, waiting.length);
    if (does === 'start') begin(at, false, at);
    else if (does === 'wait') {
      waiting.push(at);
      records.push({ kind: 'waiting', dueAt: at });
    } else if (does === 'replace') {
      for (const old of waiting.splice(0)) records.push({ kind: 'dropped', dueAt: old, reason: 'superseded', note: null });
      waiting.push(at);
      records.push({ kind: 'waiting', dueAt: at });
    } else records.push(skipped(at, does));
  }
  if (records.length > 0) plans.push({ records, start: null, cursorAt });
  return { plans, more: due.more };
}

/** What an instant comes to beside those that are open and those that wait. */
function overlapping(overlap: Overlap, open: number, waiting: number): 'start' | 'wait' | 'replace' | 'overlap' | 'queue_full' {
  if (overlap === 'allow' || open + waiting === 0) return 'start';
  if (overlap === 'skip') return 'overlap';
  if (overlap === 'cancel_old') return 'replace';
  return waiting < MAX_WAITING ? 'wait' : 'queue_full';
}

interface DueInstants {
  /** Those that come too late, as one record. */
  readonly passed: FireRecord | null;
  /** The cursor behind them. */
  readonly from: number;
  readonly fire: readonly number[];
  readonly more: boolean;
}

function dueInstants({ policy, cursorAt }: FireFacts, now: number, next: NextAfter): DueInstants {
  const first = next(cursorAt);
  if (first === null || first > now) return { passed: null, from: cursorAt, fire: [], more: false };
  const { from, reason } = keptFrom(policy, cursorAt, now, next);
  const passed = first < from ? stretch(first, from - 1, reason, next) : null;
  const fire: number[] = [];
  let at = first < from ? next(from - 1) : first;
  while (at !== null && at <= now && fire.length < AT_ONCE) {
    fire.push(at);
    at = next(at);
  }
  return { passed, from: passed === null ? cursorAt : from - 1, fire, more: at !== null && at <= now };
}

/** Instants before `from` are not caught up. */
function keptFrom(
  { catchup, windowMs }: SchedulePolicy,
  cursorAt: number,
  now: number,
  next: NextAfter,
): { readonly from: number; readonly reason: NoRunReason } {
  const onTime = now - ON_TIME_MS;
  const window = Math.min(now - windowMs, onTime);
  if (catchup === 'none') return { from: onTime, reason: 'missed' };
  if (catchup === 'all') return { from: window, reason: 'window' };
  const latest = lastDue(next, cursorAt, now);
  if (latest < window) return { from: onTime, reason: 'window' };
  return { from: Math.min(onTime, latest), reason: 'missed' };
}

/** The last instant that is due after `after` and not after `now`; there is one. By halving: there may be very many. */
export function lastDue(next: NextAfter, after: number, now: number): number {
  let [low, high] = [after, now];
  // next(low) is due, next(high) is not.
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    const due = next(middle);
    if (due !== null && due <= now) low = middle;
    else high = middle;
  }
  return next(low) ?? now;
}

/** All instants from one on up to another, as one record. */
export function stretch(first: number, until: number, reason: NoRunReason, next: NextAfter): FireRecord {
  let count = 0;
  let last = first;
  for (let at: number | null = first; at !== null && at <= until; at = next(at)) {
    last = at;
    if (++count > MAX_COUNT) {
      const end = lastDue(next, last, until);
      return { kind: 'skipped', dueAt: first, untilAt: end, count: null, reason, note: null };
    }
  }
  return { kind: 'skipped', dueAt: first, untilAt: count === 1 ? null : last, count, reason, note: null };
}

/** Whether a backfill does an instant over: by how its last run ended, null where it has none; one that is open counts as none that failed. */
export function isReprocessed(reprocess: Reprocess, last: 'none' | 'open' | 'ok' | 'failed'): boolean {
  if (last === 'none') return true;
  return reprocess === 'all' ? last !== 'open' : reprocess === 'failed' && last === 'failed';
}

/** Whether the schedule has to be looked at when a run of it ends. */
export function isWatched(
  policy: SchedulePolicy,
  facts: { readonly open: number; readonly waiting: number; readonly backfills: number },
): boolean {
  return facts.waiting > 0 || facts.backfills > 0 || (policy.pauseAfter !== null && facts.open > 0);
}
