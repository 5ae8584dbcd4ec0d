/**
 * Runs in every test file. Property tests take one seed, unless `PAWL_SEED` gives another: a check is the same each time it runs, and
 * `npm run hunt` looks for more. And whenever a store is closed, no run in it may be left open without something that would wake it, no
 * task without what it waits for, and no wait without its task. What a test breaks on purpose it says by `mayStrand`.
 * No test depends on how fast the disk is: every flush counts as a fast one, so that the writer is where the hooks of a test find it.
 */
import fc from 'fast-check';
import { afterEach, expect, vi } from 'vitest';
import type * as flush from '../src/store/sqlite/flush.ts';
import { SqliteStore } from '../src/store/sqlite/store.ts';
import { disk, FAST_MS } from './support/disk.ts';
import { strandedRuns } from './support/stranded.ts';

fc.configureGlobal({ seed: Number(process.env['PAWL_SEED'] ?? 20_261_123) });

vi.mock('../src/store/sqlite/flush.ts', async (original) => {
  const real = await original<typeof flush>();
  const measuredFlush: typeof real.measuredFlush = (commit) =>
    real.measuredFlush(() => {
      commit();
      return disk.flushes.shift() ?? FAST_MS;
    });
  return { ...real, measuredFlush };
});

const found: string[] = [];
const close = Object.getOwnPropertyDescriptor(SqliteStore.prototype, 'close')?.value as (this: SqliteStore) => Promise<void>;

SqliteStore.prototype.close = async function checked(this: SqliteStore): Promise<void> {
  found.push(...(await strandedRuns(this)));
  await close.call(this);
};

afterEach(() => {
  expect(found.splice(0), 'runs that nothing would ever wake, or rows that do not belong together').toEqual([]);
});
