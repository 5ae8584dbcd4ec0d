import type { ScheduleRule } from '../../core/schedules/cron.ts';
import type { FireRecord, NoRunReason, SchedulePolicy } from '../../core/schedules/schedule.ts';
import { RUN_STATUSES, type RunStatus } from '../../core/kernel/states.ts';
import type * as port from '../schedules.ts';
import { BACKFILL_STATES, OWN } from '../schedules.ts';
import type { OperatorAct } from '../acts.ts';
import { recordAct } from './audit.ts';
import type { Connection } from './connection.ts';
import type { Row } from './rows.ts';
import { changed, many, one, type Program, type Written } from './program.ts';
import type { Statements } from './statements.ts';

const WAITING = 0;
const STARTED = 1;
const SKIPPED = 2;
const FIRE_STATES = ['waiting', 'started', 'skipped'] as const;

/** The part of a transaction that belongs to a schedule. */
export class FireWriter {
  private readonly sql: Statements;

  constructor(sql: Statements) {
    this.sql = sql;
  }

  /** False where the schedule moved on, or the instant has its run: then nothing was written. */
  *start(fire: port.FireWrite, now: number): Program<boolean> {
    const { write, dueAt, backfill, waited } = fire;
    const known = yield* one(this.sql.readFire.get(write.schedule, dueAt, backfill));
    if ((known?.['state'] === WAITING) !== waited || (!waited && known !== undefined)) return false;
    if (!(yield* this.write(write, now))) return false;
    if (fire.act !== undefined) recordAct(this.sql, fire.act, now);
    return true;
  }

  /** After `start`, and after the run's row is there. */
  started(
    { write, name, dueAt, backfill, waited }: port.FireWrite,
    run: { readonly run: number; readonly uid: Uint8Array },
    now: number,
  ): void {
    if (waited) this.sql.startWaiting.run(run.run, run.uid, now, write.schedule, dueAt);
    else this.sql.insertFire.run(write.schedule, dueAt, backfill, STARTED, null, null, null, null, run.run, run.uid, now);
    this.sql.scheduleRun.run(name, dueAt, run.run);
  }

  *write({ schedule, rev, state, terms, records, extend, backfill }: port.ScheduleWrite, now: number): Program<boolean> {
    const { cursorAt, nextAt, isWatched, paused, removedAt, failuresFrom } = state;
    const moved = yield* changed(
      this.sql.moveSchedule.run(
        cursorAt,
        nextAt,
        isWatched ? 1 : null,
        paused?.at ?? null,
        paused?.why ?? null,
        removedAt,
        failuresFrom,
        schedule,
        rev,
      ),
    );
    if (moved !== 1) return false;
    if (terms !== null) this.sql.setTerms.run(...termsOf(terms), schedule);
    for (const record of records) this.record(schedule, record, now);
    if (extend !== null) this.sql.extendFire.run(extend.untilAt, extend.count, now, schedule, extend.dueAt);
    if (backfill !== null) {
      const isOver = backfill.state === 'done' || backfill.state === 'cancelled';
      const position = BACKFILL_STATES.indexOf(backfill.state);
      this.sql.moveBackfill.run(backfill.cursorAt, position, backfill.started, isOver ? now : null, backfill.id);
    }
    return true;
  }

  private record(schedule: number, record: FireRecord, now: number): void {
    const { dueAt } = record;
    if (record.kind === 'dropped') this.sql.dropWaiting.run(record.reason, record.note, now, schedule, dueAt);
    else if (record.kind === 'waiting') this.sql.insertFire.run(schedule, dueAt, OWN, WAITING, null, null, null, null, null, null, now);
    else {
      const { untilAt, count, reason, note } = record;
      this.sql.insertFire.run(schedule, dueAt, record.backfill ?? OWN, SKIPPED, untilAt, count, reason, note, null, null, now);
    }
  }
}

export class SqlSchedules implements port.Schedules {
  private readonly connection: Connection;

  constructor(connection: Connection) {
    this.connection = connection;
  }

  create(schedule: port.NewSchedule, now: number, act: OperatorAct | null): Promise<boolean> {
    return this.touching(now, act, (sql) => {
      const { name, cursorAt, nextAt, isWatched, paused, removedAt, failuresFrom } = schedule;
      const state = [cursorAt, nextAt, isWatched ? 1 : null, paused?.at ?? null, paused?.why ?? null, removedAt, failuresFrom];
      return isOne(sql.insertSchedule.run(name, ...termsOf(schedule), ...state, now));
    });
  }

  /** What a person or a deployment did: other processes look when they see that the journal has grown. */
  private touching(now: number, act: OperatorAct | null, work: (sql: Statements) => Program<boolean>): Promise<boolean> {
    return this.connection.write(function* ({ sql, touched }) {
      const done = yield* work(sql);
      if (done && act !== null) recordAct(sql, act, now);
      if (done) yield* touched(now);
      return done;
    });
  }

  async get(name: string): Promise<port.ScheduleRow | null> {
    const row = await this.connection.ask((sql) => one(sql.scheduleByName.get(name)));
    return row === undefined ? null : readSchedule(row);
  }

  async list(after: string, limit: number): Promise<port.ScheduleRow[]> {
    return (await this.connection.ask((sql) => many(sql.schedulesAfter.all(after, limit)))).map(readSchedule);
  }

  async due(workflows: readonly string[], now: number, limit: number): Promise<number[]> {
    return numbers(await this.connection.ask((sql) => many(sql.dueSchedules.all(now, JSON.stringify(workflows), limit))), 'id');
  }

  async watched(workflows: readonly string[], after: number, limit: number): Promise<number[]> {
    return numbers(await this.connection.ask((sql) => many(sql.watchedSchedules.all(after, JSON.stringify(workflows), limit))), 'id');
  }

  async nextAt(workflows: readonly string[], now: number): Promise<number | null> {
    const row = await this.connection.ask((sql) => one(sql.nextScheduleAt.get(now, JSON.stringify(workflows))));
    return row === undefined ? null : Number(row['at']);
  }

  async look(schedule: number): Promise<port.ScheduleLook | null> {
    return this.connection.read(function* (sql) {
      const found = yield* one(sql.scheduleById.get(schedule));
      if (found === undefined) return null;
      const row = readSchedule(found);
      const { pauseAfter } = row.policy;
      const last = yield* one(sql.lastFire.get(schedule, row.cursorAt));
      const ended = pauseAfter === null ? [] : yield* many(sql.endedFires.all(schedule, row.failuresFrom, pauseAfter));
      return {
        row,
        open: (yield* many(sql.openFires.all(row.name, schedule))).map(readOpen),
        waiting: numbers(yield* many(sql.waitingFires.all(schedule)), 'due_at'),
        ended: ended.map((each) => statusOf(each['status'])),
        lastSkip: last !== undefined && last['state'] === SKIPPED && last['note'] === null ? readSkip(last) : null,
        backfills: (yield* many(sql.openBackfills.all(schedule))).map(readBackfill),
      };
    });
  }

  async write(write: port.ScheduleWrite, now: number, act: OperatorAct | null): Promise<boolean> {
    return this.connection.write(function* ({ sql }) {
      const done = yield* new FireWriter(sql).write(write, now);
      if (done && act !== null) recordAct(sql, act, now);
      return done;
    });
  }

  remove(schedule: number, rev: number, now: number, act: OperatorAct): Promise<boolean> {
    return this.touching(now, act, function* (sql) {
      if (!(yield* isOne(sql.dropSchedule.run(schedule, rev)))) return false;
      sql.dropFires.run(schedule);
      sql.dropBackfills.run(schedule);
      return true;
    });
  }

  async fires(schedule: number, before: port.FireCursor | null, limit: number): Promise<port.FireRow[]> {
    const { dueAt, backfill } = before ?? { dueAt: Number.MAX_SAFE_INTEGER, backfill: 0 };
    return (await this.connection.ask((sql) => many(sql.firesBefore.all(schedule, dueAt, backfill, limit)))).map(readFire);
  }

  async ranIn(schedule: number, from: number, to: number): Promise<{ dueAt: number; status: RunStatus }[]> {
    const rows = await this.connection.ask((sql) => many(sql.firesIn.all(schedule, from, to)));
    return rows.map((row) => ({ dueAt: Number(row['due_at']), status: statusOf(row['status']) }));
  }

  async backfill(schedule: number, rev: number, backfill: port.NewBackfill, now: number, act: OperatorAct): Promise<number | null> {
    return this.connection.write(function* ({ sql, touched }) {
      if (!(yield* isOne(sql.watchSchedule.run(schedule, rev)))) return null;
      const { from, to, reprocess, concurrency } = backfill;
      const row = yield* one(sql.insertBackfill.get(schedule, from, to, reprocess, concurrency, from - 1, now));
      recordAct(sql, act, now);
      yield* touched(now);
      return Number(row?.['id']);
    });
  }

  async backfills(schedule: number, limit: number): Promise<port.BackfillRow[]> {
    return (await this.connection.ask((sql) => many(sql.backfillsOf.all(schedule, limit)))).map(readBackfill);
  }

  cancelBackfill(backfill: number, now: number, act: Omit<OperatorAct, 'subject'>): Promise<boolean> {
    return this.touching(now, null, function* (sql) {
      if (!(yield* isOne(sql.cancelBackfill.run(backfill)))) return false;
      // why: a process that is about to start a run of it must notice
      const schedule = yield* one(sql.bumpSchedule.get(backfill));
      recordAct(sql, { ...act, subject: `schedule:${String(schedule?.['name'])}` }, now);
      return true;
    });
  }

  async late(before: number): Promise<{ name: string; workflow: string; nextAt: number }[]> {
    const rows = await this.connection.ask((sql) => many(sql.lateSchedules.all(before)));
    return rows as unknown as { name: string; workflow: string; nextAt: number }[];
  }

  async prune(before: number, rows: number): Promise<boolean> {
    const isOld = await this.connection.ask(function* (sql) {
      return (yield* one(sql.oldestFire.get(before))) !== undefined || (yield* one(sql.oldestBackfill.get(before))) !== undefined;
    });
    if (!isOld) return false;
    return this.connection.write(function* ({ sql }) {
      const fires = yield* changed(sql.pruneFires.run(before, rows));
      const backfills = yield* changed(sql.pruneBackfills.run(before, rows));
      return fires === rows || backfills === rows;
    });
  }
}

function* isOne(written: Written): Program<boolean> {
  return (yield* changed(written)) === 1;
}

const numbers = (rows: readonly Row[], column: string): number[] => rows.map((row) => Number(row[column]));

type Bound = string | number | null;

function termsOf({ workflow, source, rule, madeAt, policy, input, isMade }: port.ScheduleTerms): Bound[] {
  return [workflow, source === 'code' ? 1 : 0, JSON.stringify(rule), madeAt, JSON.stringify(policy), input, isMade ? 1 : 0];
}

const instantOrNull = (value: unknown): number | null => (value === null || value === undefined ? null : Number(value));
const statusOf = (value: unknown): RunStatus => RUN_STATUSES[Number(value)] ?? 'running';

function readSchedule(row: Row): port.ScheduleRow {
  const pausedAt = instantOrNull(row['paused_at']);
  return {
    id: Number(row['id']),
    name: String(row['name']),
    rev: Number(row['rev']),
    workflow: String(row['workflow']),
    source: row['declared'] === 1 ? 'code' : 'data',
    rule: JSON.parse(String(row['rule'])) as ScheduleRule,
    madeAt: Number(row['made_at']),
    policy: JSON.parse(String(row['policy'])) as SchedulePolicy,
    input: row['input'] as string | null,
    isMade: row['is_made'] === 1,
    cursorAt: Number(row['cursor_at']),
    nextAt: instantOrNull(row['next_at']),
    isWatched: row['watched'] === 1,
    paused: pausedAt === null ? null : { at: pausedAt, why: String(row['paused_why']) },
    removedAt: instantOrNull(row['removed_at']),
    failuresFrom: Number(row['failures_from']),
    createdAt: Number(row['created_at']),
  };
}

const readOpen = (row: Row): port.OpenFire => ({
  run: Number(row['run']),
  dueAt: Number(row['due_at']),
  backfill: Number(row['backfill']),
  status: statusOf(row['status']),
});

const readSkip = (row: Row): port.ScheduleLook['lastSkip'] => ({
  dueAt: Number(row['due_at']),
  count: instantOrNull(row['count']),
  reason: String(row['reason']) as NoRunReason,
});

function readFire(row: Row): port.FireRow {
  return {
    dueAt: Number(row['due_at']),
    untilAt: instantOrNull(row['until_at']),
    count: instantOrNull(row['count']),
    backfill: Number(row['backfill']),
    state: FIRE_STATES[Number(row['state'])] ?? 'skipped',
    reason: row['reason'] as NoRunReason | null,
    note: row['note'] as string | null,
    at: Number(row['at']),
    uid: row['uid'] as Uint8Array | null,
    status: row['status'] === null ? null : statusOf(row['status']),
  };
}

function readBackfill(row: Row): port.BackfillRow {
  return {
    id: Number(row['id']),
    schedule: Number(row['schedule']),
    from: Number(row['from_at']),
    to: Number(row['to_at']),
    reprocess: String(row['reprocess']) as port.BackfillRow['reprocess'],
    concurrency: Number(row['concurrency']),
    state: BACKFILL_STATES[Number(row['state'])] ?? 'cancelled',
    cursorAt: Number(row['cursor_at']),
    started: Number(row['started']),
    createdAt: Number(row['created_at']),
    finishedAt: instantOrNull(row['finished_at']),
  };
}
