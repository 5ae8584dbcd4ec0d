import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { skipped } from '../../src/core/schedules/schedule.ts';
import { BY_HAND, OWN, type FireWrite, type NewSchedule, type ScheduleRow, type ScheduleWrite } from '../../src/store/schedules.ts';
import type { Store } from '../../src/store/store.ts';
import type { Place } from './conformance.ts';
import { batch, claimOf, define, newStart, operatorAct, started, T0, type Defined } from './kit.ts';

const MINUTE = 60_000;
const due = (n: number): number => T0 + n * MINUTE;

const newSchedule = (over: Partial<NewSchedule> = {}): NewSchedule => ({
  name: 'one',
  workflow: 'single',
  source: 'data',
  rule: { everyMs: MINUTE, anchorAt: null },
  madeAt: T0,
  policy: { overlap: 'allow', catchup: 'latest', windowMs: 86_400_000, pauseAfter: null },
  input: null,
  isMade: false,
  cursorAt: T0,
  nextAt: due(1),
  isWatched: false,
  paused: null,
  removedAt: null,
  failuresFrom: T0,
  ...over,
});

/** What every store must do for schedules. */
export function schedulesConformance(kind: string, newPlace: () => Promise<Place>): void {
  describe(`schedules on ${kind}:`, () => {
    let place: Place;
    let store: Store;
    let single: Defined;
    beforeEach(async () => {
      place = await newPlace();
      store = await place.connect();
      single = await define(store, 'single');
    });
    afterEach(() => place.remove());

    async function made(over: Partial<NewSchedule> = {}): Promise<ScheduleRow> {
      expect(await store.schedules.create(newSchedule(over), T0, null)).toBe(true);
      return rowOf(over.name);
    }

    async function rowOf(name = 'one'): Promise<ScheduleRow> {
      const row = await store.schedules.get(name);
      if (row === null) throw new Error('no schedule');
      return row;
    }

    const writeOf = (row: ScheduleRow, over: Partial<ScheduleWrite> & { to?: Partial<ScheduleRow> } = {}): ScheduleWrite => {
      const { to, ...rest } = over;
      const { cursorAt, nextAt, isWatched, paused, removedAt, failuresFrom } = { ...row, ...to };
      const state = { cursorAt, nextAt, isWatched, paused, removedAt, failuresFrom };
      return { schedule: row.id, rev: row.rev, state, terms: null, records: [], extend: null, backfill: null, ...rest };
    };

    const fireOf = (row: ScheduleRow, n: number, over: Partial<FireWrite> = {}): FireWrite => ({
      write: writeOf(row, { to: { cursorAt: due(n), nextAt: due(n + 1) } }),
      name: row.name,
      dueAt: due(n),
      backfill: OWN,
      waited: false,
      ...over,
    });

    const startWith = async (...fires: FireWrite[]) => {
      const starts = await Promise.all(fires.map((fire) => newStart(store, single, { fire })));
      return { starts, results: (await store.commit(batch({ starts }))).starts };
    };

    test('a name is there once, and what was written is read back', async () => {
      const row = await made({
        rule: { cron: '0 * * * *', tz: 'UTC', gap: 'shift', repeat: 'both' },
        input: '{"a":1}',
        isMade: true,
        source: 'code',
      });
      expect(row).toMatchObject({
        ...newSchedule(),
        rule: { cron: '0 * * * *', tz: 'UTC', gap: 'shift', repeat: 'both' },
        input: '{"a":1}',
        isMade: true,
        source: 'code',
        rev: 1,
      });
      expect(await store.schedules.create(newSchedule(), T0, null)).toBe(false);
      expect(await store.schedules.get('two')).toBeNull();
      await made({ name: 'two' });
      expect((await store.schedules.list('', 10)).map(({ name }) => name)).toEqual(['one', 'two']);
      expect((await store.schedules.list('one', 10)).map(({ name }) => name)).toEqual(['two']);
    });

    test('a write under another revision changes nothing', async () => {
      const row = await made();
      expect(await store.schedules.write(writeOf(row, { to: { paused: { at: T0, why: 'so' }, nextAt: null } }), T0, null)).toBe(true);
      expect(await rowOf()).toMatchObject({ rev: 2, paused: { at: T0, why: 'so' }, nextAt: null });
      expect(await store.schedules.write(writeOf(row, { records: [skipped(due(1), 'missed')] }), T0, null)).toBe(false);
      expect(await store.schedules.fires(row.id, null, 10)).toEqual([]);
      const { terms } = { terms: { ...newSchedule({ rule: { everyMs: 5_000, anchorAt: 3 } }), madeAt: 9 } };
      expect(await store.schedules.write(writeOf(await rowOf(), { terms }), T0, null)).toBe(true);
      expect(await rowOf()).toMatchObject({ rev: 3, rule: { everyMs: 5_000, anchorAt: 3 }, madeAt: 9 });
    });

    test('the start of a run moves its schedule in the same transaction, or is not written', async () => {
      const row = await made();
      const { starts, results } = await startWith(fireOf(row, 1));
      expect(results).toEqual([{ created: true }]);
      expect(await rowOf()).toMatchObject({ rev: 2, cursorAt: due(1), nextAt: due(2) });
      expect(await store.findRun(starts[0]?.uid ?? new Uint8Array(16))).toMatchObject({ schedule: 'one', dueAt: due(1) });
      expect(await store.schedules.fires(row.id, null, 10)).toMatchObject([
        { dueAt: due(1), state: 'started', backfill: 0, uid: starts[0]?.uid, status: 'running' },
      ]);
      const late = await startWith(fireOf(row, 1));
      expect(late.results).toEqual([{ created: false, decided: true }]);
      expect(await store.findRun(late.starts[0]?.uid ?? new Uint8Array(16))).toBeNull();
      expect(await rowOf()).toMatchObject({ rev: 2 });
    });

    test('an instant that has its run is refused, whatever the revision; by hand and by a backfill it is another', async () => {
      const row = await made();
      await startWith(fireOf(row, 1));
      expect((await startWith(fireOf(await rowOf(), 1))).results).toEqual([{ created: false, decided: true }]);
      expect((await startWith(fireOf(await rowOf(), 1, { backfill: BY_HAND }))).results).toEqual([{ created: true }]);
      expect((await startWith(fireOf(await rowOf(), 1, { backfill: 4 }))).results).toEqual([{ created: true }]);
      expect((await store.schedules.fires(row.id, null, 10)).map(({ backfill }) => backfill)).toEqual([4, 0, -1]);
    });

    test('runs of one schedule in one commit follow each other by its revisions', async () => {
      const row = await made();
      const second = { ...row, rev: row.rev + 1 };
      const { results } = await startWith(fireOf(row, 1), fireOf(second, 2), fireOf(second, 3));
      expect(results).toEqual([{ created: true }, { created: true }, { created: false, decided: true }]);
      expect(await rowOf()).toMatchObject({ rev: 3, cursorAt: due(2) });
    });

    test('what waits is started once, or dropped, and nothing else is', async () => {
      const row = await made();
      await store.schedules.write(writeOf(row, { records: [1, 2].map((n) => ({ kind: 'waiting' as const, dueAt: due(n) })) }), T0, null);
      expect((await store.schedules.look(row.id))?.waiting).toEqual([due(1), due(2)]);
      expect((await startWith(fireOf(await rowOf(), 3, { waited: true }))).results).toEqual([{ created: false, decided: true }]);
      expect((await startWith(fireOf(await rowOf(), 1))).results).toEqual([{ created: false, decided: true }]);
      expect((await startWith(fireOf(await rowOf(), 1, { waited: true }))).results).toEqual([{ created: true }]);
      expect((await startWith(fireOf(await rowOf(), 1, { waited: true }))).results).toEqual([{ created: false, decided: true }]);
      await store.schedules.write(
        writeOf(await rowOf(), { records: [{ kind: 'dropped', dueAt: due(2), reason: 'superseded', note: 'n' }] }),
        T0,
        null,
      );
      expect((await store.schedules.fires(row.id, null, 10)).map(({ state, reason, note }) => [state, reason, note])).toEqual([
        ['skipped', 'superseded', 'n'],
        ['started', null, null],
      ]);
    });

    test('records of instants without a run are extended and read back, the last first', async () => {
      const row = await made();
      const range = { kind: 'skipped' as const, dueAt: due(1), untilAt: due(3), count: 3, reason: 'missed' as const, note: null };
      await store.schedules.write(writeOf(row, { to: { cursorAt: due(4) }, records: [range, skipped(due(4), 'overlap')] }), T0, null);
      expect((await store.schedules.look(row.id))?.lastSkip).toEqual({ dueAt: due(4), count: 1, reason: 'overlap' });
      await store.schedules.write(writeOf(await rowOf(), { extend: { dueAt: due(4), untilAt: due(6), count: 3 } }), T0, null);
      expect(await store.schedules.fires(row.id, null, 1)).toMatchObject([{ dueAt: due(4), untilAt: due(6), count: 3, reason: 'overlap' }]);
      expect(await store.schedules.fires(row.id, { dueAt: due(4), backfill: 0 }, 5)).toMatchObject([
        { dueAt: due(1), untilAt: due(3), count: 3, state: 'skipped' },
      ]);
    });

    test('says what is due and watched of some workflows, and when the next is', async () => {
      const row = await made();
      const later = await made({ name: 'two', workflow: 'chain', nextAt: due(5), isWatched: true });
      await made({ name: 'paused', nextAt: null, paused: { at: T0, why: 'x' } });
      const { schedules } = store;
      expect(await schedules.due(['single', 'chain'], due(1), 10)).toEqual([row.id]);
      expect(await schedules.due(['chain'], due(1), 10)).toEqual([]);
      expect(await schedules.due(['single', 'chain'], due(9), 10)).toEqual([row.id, later.id]);
      expect(await schedules.due(['single', 'chain'], due(9), 1)).toEqual([row.id]);
      expect(await schedules.watched(['single', 'chain'], 0, 10)).toEqual([later.id]);
      expect(await schedules.watched(['single'], 0, 10)).toEqual([]);
      expect(await schedules.nextAt(['single', 'chain'], due(1))).toBe(due(5));
      expect(await schedules.nextAt(['single'], due(1))).toBeNull();
      expect((await schedules.late(due(2))).map(({ name }) => name)).toEqual(['one']);
    });

    test('knows the open runs of a schedule, and how the last of its own ended', async () => {
      const row = await made({ policy: { ...newSchedule().policy, pauseAfter: 2 } });
      await startWith(fireOf(row, 1));
      await startWith(fireOf(await rowOf(), 2));
      await startWith(fireOf(await rowOf(), 2, { backfill: BY_HAND }));
      await started(store, single);
      const open = (await store.schedules.look(row.id))?.open ?? [];
      expect(open.map(({ dueAt, backfill, status }) => [dueAt, backfill, status])).toEqual([
        [due(1), 0, 'running'],
        [due(2), 0, 'running'],
        [due(2), -1, 'running'],
      ]);
      await store.quarantine(open[0]?.run ?? 0, 'broken', [], T0);
      expect((await store.schedules.look(row.id))?.open).toHaveLength(2);
      expect((await store.schedules.look(row.id))?.ended).toEqual([]);
    });

    test('a backfill is begun under the revision, moves with its runs, and ends once', async () => {
      const row = await made();
      const range = { from: due(1), to: due(3), reprocess: 'failed', concurrency: 2 } as const;
      expect(await store.schedules.backfill(row.id, row.rev + 1, range, T0, operatorAct)).toBeNull();
      const id = (await store.schedules.backfill(row.id, row.rev, range, T0, operatorAct)) ?? 0;
      expect(await rowOf()).toMatchObject({ rev: 2, isWatched: true });
      expect(await store.schedules.backfills(row.id, 5)).toMatchObject([
        { id, ...range, state: 'running', started: 0, cursorAt: due(1) - 1, finishedAt: null },
      ]);
      const current = await rowOf();
      const write = writeOf(current, { backfill: { id, cursorAt: due(1), state: 'running', started: 1 } });
      await startWith(fireOf(current, 1, { backfill: id, write }));
      expect((await store.schedules.look(row.id))?.backfills).toMatchObject([{ cursorAt: due(1), started: 1 }]);
      expect(await store.schedules.ranIn(row.id, due(0), due(9))).toEqual([{ dueAt: due(1), status: 'running' }]);
      expect(await store.schedules.cancelBackfill(id, T0, operatorAct)).toBe(true);
      expect(await store.schedules.cancelBackfill(id, T0, operatorAct)).toBe(false);
      const after = await rowOf();
      expect(after.rev).toBe(4);
      await store.schedules.write(writeOf(after, { backfill: { id, cursorAt: due(1), state: 'cancelled', started: 0 } }), T0 + 5, null);
      expect(await store.schedules.backfills(row.id, 5)).toMatchObject([{ state: 'cancelled', finishedAt: T0 + 5 }]);
      expect((await store.schedules.look(row.id))?.backfills).toEqual([]);
      expect((await store.audit({ limit: 9 })).map(({ subject }) => subject)).toEqual(['schedule:one', operatorAct.subject]);
    });

    test('goes with its records, and leaves its runs', async () => {
      const row = await made();
      const { starts } = await startWith(fireOf(row, 1));
      expect(await store.schedules.remove(row.id, row.rev, T0, operatorAct)).toBe(false);
      expect(await store.schedules.remove(row.id, row.rev + 1, T0, operatorAct)).toBe(true);
      expect(await store.schedules.get('one')).toBeNull();
      expect(await store.schedules.look(row.id)).toBeNull();
      expect(await store.schedules.fires(row.id, null, 5)).toEqual([]);
      expect(await store.findRun(starts[0]?.uid ?? new Uint8Array(16))).toMatchObject({ schedule: 'one' });
    });

    test('old records are pruned a few at a time, those of open runs and of waiting instants are not', async () => {
      const row = await made();
      await startWith(fireOf(row, 1));
      const records = [2, 3, 4].map((n) => skipped(due(n), 'missed'));
      await store.schedules.write(writeOf(await rowOf(), { records: [...records, { kind: 'waiting', dueAt: due(5) }] }), T0, null);
      expect(await store.schedules.prune(T0 - 1, 2)).toBe(false);
      expect(await store.schedules.prune(T0, 2)).toBe(true);
      expect(await store.schedules.prune(T0, 2)).toBe(false);
      expect((await store.schedules.fires(row.id, null, 10)).map(({ dueAt }) => dueAt)).toEqual([due(5), due(1)]);
    });

    test('a claimed run tells when it was due', async () => {
      const row = await made();
      const start = await newStart(store, single, { fire: fireOf(row, 1), unclaimed: true });
      await store.commit(batch({ starts: [start] }));
      const { claimedRuns } = await store.commit(batch({ worker: 1, claim: claimOf(5, 900, single) }));
      expect(claimedRuns.map(({ dueAt }) => dueAt)).toEqual([due(1)]);
    });
  });
}
