import type { NextAfter } from '../core/schedules/cron.ts';
import { isWatched, planFires, type FirePlan, type FireRecord } from '../core/schedules/schedule.ts';
import type { Reason } from '../core/kernel/states.ts';
import { OWN, type FireWrite, type ScheduleLook, type ScheduleState, type ScheduleWrite } from '../store/schedules.ts';

/** One transaction of a schedule: with a run that begins, or without. */
export interface Step {
  readonly write: ScheduleWrite;
  readonly start: Pick<FireWrite, 'dueAt' | 'backfill' | 'waited'> | null;
}

export function stateOf({ cursorAt, nextAt, isWatched: watched, paused, removedAt, failuresFrom }: ScheduleState): ScheduleState {
  return { cursorAt, nextAt, isWatched: watched, paused, removedAt, failuresFrom };
}

/** What is to be written of one schedule, one revision after the other. */
export class StepChain {
  readonly steps: Step[] = [];
  readonly toCancel: { readonly run: number; readonly reason: Reason }[] = [];
  /** There is more to do when these are done. */
  again = false;
  private readonly look: ScheduleLook;
  private readonly next: NextAfter;
  private rev: number;
  private state: ScheduleState;
  private readonly tally: { open: number; waiting: number; backfills: number };

  constructor(look: ScheduleLook, next: NextAfter) {
    this.look = look;
    this.next = next;
    this.rev = look.row.rev;
    this.state = stateOf(look.row);
    this.tally = {
      open: look.open.filter((one) => one.backfill <= OWN).length,
      waiting: look.waiting.length,
      backfills: look.backfills.length,
    };
  }

  /** What its own rule asks for; true where there is more than could be decided at once. */
  fire(now: number): boolean {
    const { row, waiting, open } = this.look;
    if (row.paused !== null || row.removedAt !== null) return false;
    const facts = { policy: row.policy, cursorAt: row.cursorAt, open: this.tally.open, waiting };
    const { plans, more } = planFires(facts, now, this.next);
    for (const plan of plans) this.plan(plan);
    if (row.policy.overlap === 'cancel_old' && this.tally.waiting > 0)
      for (const { run, backfill } of open) if (backfill <= OWN) this.toCancel.push({ run, reason: 'superseded' });
    return more;
  }

  private plan(plan: FirePlan): void {
    const { start, cursorAt } = plan;
    for (const record of plan.records) this.tally.waiting += record.kind === 'waiting' ? 1 : record.kind === 'dropped' ? -1 : 0;
    if (start?.waited === true) this.tally.waiting--;
    if (start !== null) this.tally.open++;
    this.state = { ...this.state, cursorAt, nextAt: this.next(cursorAt) };
    const joined = start === null && this.steps.length === 0 ? this.joined(plan.records) : null;
    this.add({ records: joined === null ? plan.records : [], extend: joined }, start === null ? null : { ...start, backfill: OWN });
  }

  /** Instants that are skipped for the same reason as those before them share their record. */
  private joined(records: readonly FireRecord[]): ScheduleWrite['extend'] {
    const last = this.look.lastSkip;
    const end = records.at(-1);
    if (last === null || end === undefined) return null;
    const fits = (one: FireRecord): boolean => one.kind === 'skipped' && one.reason === last.reason && one.untilAt === null;
    if (!records.every(fits)) return null;
    return { dueAt: last.dueAt, untilAt: end.dueAt, count: last.count === null ? null : last.count + records.length };
  }

  add(
    { records = [], extend = null, backfill = null }: Partial<Pick<ScheduleWrite, 'records' | 'extend' | 'backfill'>>,
    start: Step['start'] = null,
  ): void {
    if (backfill !== null && (backfill.state === 'done' || backfill.state === 'cancelled')) this.tally.backfills--;
    const { id, policy } = this.look.row;
    this.state = { ...this.state, isWatched: isWatched(policy, this.tally) };
    this.steps.push({ start, write: { schedule: id, rev: this.rev++, state: this.state, terms: null, records, extend, backfill } });
  }

  /** Where nothing was decided, but what the row says of the future is no longer so. */
  settle(): void {
    const { row } = this.look;
    const isActive = row.paused === null && row.removedAt === null;
    const nextAt = isActive ? this.next(this.state.cursorAt) : null;
    if (nextAt === this.state.nextAt && isWatched(row.policy, this.tally) === this.state.isWatched) return;
    this.state = { ...this.state, nextAt };
    this.add({});
  }
}
