import type { DatabaseSync } from 'node:sqlite';
import { SETUP } from './statements.ts';

/** Above this the writer is better off in a thread of its own: a commit would hold up the event loop for as long. */
export const SLOW_FLUSH_MS = 1;

/** Odd, so that a median is one of them; a busy machine makes one of them slow, seldom most. */
const SAMPLES = 5;

/**
 * Milliseconds that a durable commit of one row takes. `commit` makes one and says how long it took. A first one that is fast says enough; of
 * a slow one the median of several decides, and they end as soon as most are of one kind.
 */
export function measuredFlush(commit: () => number): number {
  const taken = [commit()];
  const most = (slow: boolean): boolean => taken.filter((ms) => ms > SLOW_FLUSH_MS === slow).length > SAMPLES / 2;
  if ((taken[0] ?? 0) <= SLOW_FLUSH_MS) return taken[0] ?? 0;
  while (!most(true) && !most(false)) taken.push(commit());
  return taken.toSorted((a, b) => a - b)[Math.floor(taken.length / 2)] ?? 0;
}

/** Writes one row durably, and says how long its commit took. */
export function timedCommit(db: DatabaseSync, delayMs: number | undefined): number {
  db.exec(SETUP.writeOne);
  const started = performance.now();
  db.exec(SETUP.end);
  if (delayMs !== undefined) pause(delayMs);
  return performance.now() - started;
}

/** Holds this thread up, as a slow disk does. */
export function pause(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
