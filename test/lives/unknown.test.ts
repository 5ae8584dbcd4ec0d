import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { PawlError } from '../../src/index.ts';
import { Life, type Became, type Plotter } from './life.ts';
import { PLOTS } from './plots.ts';
import { expectSame } from './points.ts';

const dir = mkdtempSync(join(tmpdir(), 'pawl-unknown-'));
afterAll(() => rmSync(dir, { recursive: true }));

type Fault = 'written' | 'not written' | 'not loaded';
/** What all writes of a store go through. */
interface Inside {
  readonly connection: { write(work: () => unknown): Promise<unknown> };
}

interface InsideKit {
  readonly engine: { readonly runtime: { open(): Promise<unknown> } };
}

interface InsideCommitter {
  readonly isBusy: boolean;
  readonly cache: { clear(): void };
  flush(): Promise<void>;
}

/** Fails the n-th write or load of the store, from 1; returns how many there were. */
function failAt(life: Life, fault: Fault, n: number): () => number {
  const { store } = life;
  let seen = 0;
  const isNow = (): boolean => {
    seen++;
    if (seen === n) life.isTroubled = true;
    return seen === n;
  };
  if (fault === 'not loaded') {
    const load = store.load.bind(store);
    store.load = async (...args) => (isNow() ? Promise.reject(new PawlError('STORE_IO', 'it cannot be read')) : load(...args));
    return () => seen;
  }
  const { connection } = store as unknown as Inside;
  const write = connection.write.bind(connection);
  connection.write = async (work) => {
    if (!isNow()) return write(work);
    if (fault === 'written') await write(work);
    throw new PawlError('STORE_UNKNOWN_OUTCOME', 'nobody can say whether it was written');
  };
  return () => seen;
}

/** Each commit finds nothing of what the ones before it held in memory: so whatever it needs it loads. */
async function forgetAlways(life: Life): Promise<void> {
  const { committer } = (await (life.kit as unknown as InsideKit).engine.runtime.open()) as { committer: InsideCommitter };
  const flush = committer.flush.bind(committer);
  committer.flush = () => {
    if (!committer.isBusy) committer.cache.clear();
    return flush();
  };
}

async function lived(plotter: Plotter, fault: Fault, n: number): Promise<{ became: Became; seen: number }> {
  const folder = join(mkdtempSync(join(dir, 'life-')), 'life');
  mkdirSync(folder);
  const life = await Life.begin(plotter, folder);
  if (fault === 'not loaded') await forgetAlways(life);
  const seen = failAt(life, fault, n);
  try {
    await life.live();
    return { seen: seen(), became: await life.became() };
  } finally {
    await life.close();
  }
}

/** At most so many faults of a plot, evenly spread. */
const MOST: Readonly<Record<Fault, number>> = { written: 16, 'not written': 6, 'not loaded': 10 };

describe.each<readonly [string, Fault]>([
  ['a write that happened, and of which nobody can say so, changes nothing of the end', 'written'],
  ['nor does one that did not happen', 'not written'],
  ['nor do runs that cannot be read', 'not loaded'],
])('%s', (_, fault) => {
  test.each(Object.entries(PLOTS))('%s', { timeout: 120_000 }, async (_, plotter) => {
    const { became, seen } = await lived(plotter, fault, 0);
    const step = Math.max(1, Math.ceil(seen / MOST[fault]));
    expect(seen).toBeGreaterThan(0);
    for (let n = 1; n <= seen; n += step) {
      expectSame((await lived(plotter, fault, n)).became, became, 1, `${fault}: number ${n}`);
    }
  });
});
