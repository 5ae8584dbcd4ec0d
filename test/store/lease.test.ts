import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { LeaseFile } from '../../src/store/sqlite/lease.ts';
import { SqliteStore } from '../../src/store/sqlite/store.ts';
import { facts } from './kit.ts';

let folder: string;
let store: SqliteStore;
const path = (): string => join(folder, 'pawl.db');

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pawl-lease-'));
  store = new SqliteStore({ path: path(), durability: 'full', patienceMs: 1_000 });
  await store.open();
});
afterEach(async () => {
  await store.close();
  rmSync(folder, { recursive: true, force: true });
});

const leaseOf = async (id: number): Promise<number | undefined> => (await store.workers()).find((row) => row.id === id)?.leaseUntil;

test('a beat renews the lease from now on, and takes the mark of a wedged worker away', async () => {
  const lease = new LeaseFile(path());
  const worker = await store.boot(facts(), Date.now() + 10_000);
  await lease.wedge(worker);
  expect(await store.workers()).toMatchObject([{ id: worker, wedged: true }]);
  const before = Date.now();
  expect(await lease.beat(worker, 60_000)).toBe(true);
  expect(await leaseOf(worker)).toBeGreaterThanOrEqual(before + 60_000);
  expect(await store.workers()).toMatchObject([{ id: worker, wedged: false }]);
});

test('a lease that ran out or was taken is never renewed', async () => {
  const lease = new LeaseFile(path());
  const late = await store.boot(facts(), Date.now() - 1);
  const fenced = await store.boot(facts(), Date.now() + 10_000);
  await store.fence(fenced, { dead: true });
  const until = [await leaseOf(late), await leaseOf(fenced)];
  expect([await lease.beat(late, 60_000), await lease.beat(fenced, 60_000)]).toEqual([false, false]);
  expect([await leaseOf(late), await leaseOf(fenced)]).toEqual(until);
});

test('a beat waits while another connection writes', async () => {
  const lease = new LeaseFile(path());
  const worker = await store.boot(facts(), Date.now() + 10_000);
  const other = new DatabaseSync(path());
  other.exec('BEGIN IMMEDIATE');
  let isRenewed = false;
  const beat = lease.beat(worker, 60_000).then((renewed) => (isRenewed = renewed));
  await new Promise((resolve) => setImmediate(resolve));
  expect(isRenewed).toBe(false);
  other.exec('COMMIT');
  other.close();
  expect(await beat).toBe(true);
});

test('a file that is gone is not made again, and one that comes back is beaten in', async () => {
  const lease = new LeaseFile(join(folder, 'other.db'));
  await expect(lease.beat(1, 60_000)).rejects.toThrow(/unable to open/);
  expect(existsSync(join(folder, 'other.db'))).toBe(false);
  const back = new SqliteStore({ path: join(folder, 'other.db'), durability: 'full', patienceMs: 1_000 });
  await back.open();
  const worker = await back.boot(facts(), Date.now() + 10_000);
  expect(await lease.beat(worker, 60_000)).toBe(true);
  await back.close();
});
