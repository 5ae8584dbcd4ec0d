import { describe, expect, test } from 'vitest';
import { nextAfterOf } from './cron.ts';
import {
  CATCHUPS,
  isReprocessed,
  lastDue,
  MAX_WAITING,
  OVERLAPS,
  planFires,
  stretch,
  type FireFacts,
  type SchedulePolicy,
} from './schedule.ts';

const EVERY = 60_000;
const next = nextAfterOf({ everyMs: EVERY, anchorAt: 0 }, 0);
const policy = (over: Partial<SchedulePolicy> = {}): SchedulePolicy => ({
  overlap: 'allow',
  catchup: 'all',
  windowMs: 3_600_000,
  pauseAfter: null,
  ...over,
});

function dice(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

describe('what becomes of due instants', () => {
  test.each(OVERLAPS.flatMap((overlap) => CATCHUPS.map((catchup) => [overlap, catchup] as const)))(
    'overlap %s, catch-up %s: each has one fate, in order, whatever the times of the looks',
    (overlap, catchup) => {
      const roll = dice(overlap.length * 31 + catchup.length);
      for (let life = 0; life < 60; life++) {
        let [cursorAt, now] = [0, 0];
        const open = new Set<number>();
        let waiting: number[] = [];
        const fates = new Map<number, string>();
        const give = (at: number, fate: string): void => {
          expect(fates.get(at) ?? 'none', `${at} becomes ${fate}`).toBe(fate === 'started late' || fate === 'dropped' ? 'waiting' : 'none');
          fates.set(at, fate);
        };
        for (let look = 0; look < 30; look++) {
          now += roll(8) === 0 ? roll(4 * 3_600_000) : roll(2 * EVERY);
          for (const one of open) if (roll(3) === 0) open.delete(one);
          for (let more = true; more;) {
            const facts: FireFacts = { policy: policy({ overlap, catchup }), cursorAt, open: open.size, waiting };
            const planned = planFires(facts, now, next);
            more = planned.more;
            for (const { records, start, cursorAt: to } of planned.plans) {
              for (const record of records) {
                if (record.kind === 'waiting') give(record.dueAt, 'waiting');
                else if (record.kind === 'dropped') give(record.dueAt, 'dropped');
                else
                  for (let at: number | null = record.dueAt; at !== null && at <= (record.untilAt ?? record.dueAt); at = next(at))
                    give(at, 'skipped');
              }
              if (start !== null) {
                give(start.dueAt, start.waited ? 'started late' : 'started');
                if (overlap !== 'allow') expect(open.size).toBe(0);
                open.add(start.dueAt);
              }
              expect(to).toBeGreaterThanOrEqual(cursorAt);
              cursorAt = to;
            }
            waiting = [...fates].filter(([, fate]) => fate === 'waiting').map(([at]) => at);
            expect(waiting.length).toBeLessThanOrEqual(overlap === 'cancel_old' ? 1 : MAX_WAITING);
          }
          const due: number[] = [];
          for (let at = next(0); at !== null && at <= now; at = next(at)) due.push(at);
          expect([...fates.keys()].toSorted((a, b) => a - b)).toEqual(due);
        }
      }
    },
  );

  test('a crowd of instants is decided a hundred at a time', () => {
    const facts = { policy: policy({ windowMs: 86_400_000 }), cursorAt: 0, open: 0, waiting: [] };
    const { plans, more } = planFires(facts, 1_000 * EVERY, next);
    expect([plans.length, more, plans.at(-1)?.cursorAt]).toEqual([100, true, 100 * EVERY]);
  });

  test('a year that passed without anybody is one record, found without going through it', () => {
    const asked = { count: 0 };
    const counted = (at: number): number | null => {
      asked.count++;
      return next(at);
    };
    const year = 365 * 86_400_000;
    const { plans } = planFires({ policy: policy({ catchup: 'latest' }), cursorAt: 0, open: 0, waiting: [] }, year + 30_000, counted);
    expect(plans).toEqual([
      {
        records: [{ kind: 'skipped', dueAt: EVERY, untilAt: year - EVERY, count: null, reason: 'missed', note: null }],
        start: { dueAt: year, waited: false },
        cursorAt: year,
      },
    ]);
    expect(asked.count).toBeLessThan(1_200);
  });

  test('the last of many is found by halving', () => {
    expect(lastDue(next, 0, 10 * EVERY)).toBe(10 * EVERY);
    expect(lastDue(next, 0, 10 * EVERY + 59_999)).toBe(10 * EVERY);
    expect(lastDue(next, 0, EVERY)).toBe(EVERY);
    expect(stretch(EVERY, EVERY + 1, 'missed', next)).toMatchObject({ dueAt: EVERY, untilAt: null, count: 1 });
  });

  test('one that is a little late is on time, also without catch-up', () => {
    const facts = { policy: policy({ catchup: 'none' }), cursorAt: 0, open: 0, waiting: [] };
    expect(planFires(facts, EVERY + 10_000, next).plans).toMatchObject([{ start: { dueAt: EVERY } }]);
    expect(planFires(facts, EVERY + 10_001, next).plans).toMatchObject([{ records: [{ reason: 'missed' }], start: null }]);
  });
});

test('a backfill does over what it is asked to', () => {
  const verdicts = (['none', 'failed', 'all'] as const).map((reprocess) =>
    (['none', 'open', 'ok', 'failed'] as const).map((last) => isReprocessed(reprocess, last)),
  );
  expect(verdicts).toEqual([
    [true, false, false, false],
    [true, false, false, true],
    [true, false, true, true],
  ]);
});
