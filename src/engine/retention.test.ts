import { expect, test } from 'vitest';
import type { Care } from '../store/care.ts';
import { pruneBatches, retentionMs } from './retention.ts';

/** Three batches of so many milliseconds each, then nothing is left; which pauses were made. */
async function pauses(batchMs: number, isBusy?: () => boolean): Promise<number[]> {
  let at = 0;
  let left = 3;
  const made: number[] = [];
  const care = {
    prune: async () => {
      at += batchMs;
      return { runs: 1, rows: 1, more: --left > 0 };
    },
    pruneActs: async () => ({ entries: 0, more: false }),
  } as unknown as Care;
  const ports = {
    monotonic: () => at,
    turn: (fn: () => void) => fn(),
    timer: (ms: number, fn: () => void) => {
      made.push(ms);
      fn();
      return () => undefined;
    },
  };
  const keep = { ...retentionMs(false), finishedMs: 0 };
  const schedules = { prune: async () => false };
  const told = await pruneBatches({ care, schedules, ports, keep, now: 0, isOver: () => false, ...(isBusy && { isBusy }) });
  expect(told).toEqual({ runs: 3, journalRows: 0, more: false });
  return made;
}

test('pruning leaves other work most of the time: each batch is followed by a pause that is many times as long, within bounds', async () => {
  expect(await pauses(2, () => true)).toEqual([60, 60, 60]);
  expect(await pauses(40, () => true)).toEqual([200, 200, 200]);
});

test('where nothing else is to be written it makes no pause', async () => {
  expect(await pauses(2, () => false)).toEqual([]);
  expect(await pauses(2)).toEqual([]);
});
