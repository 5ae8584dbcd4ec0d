import { closeSync, existsSync, openSync, readdirSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { SqliteStore } from '../../src/store/sqlite/store.ts';
import { define, folder, started, T0, type Defined } from './kit.ts';

let dir: ReturnType<typeof folder>;
let store: SqliteStore;
let single: Defined;
const opened: SqliteStore[] = [];

async function openAt(name: string, access: 'read' | 'write' = 'write'): Promise<SqliteStore> {
  const one = new SqliteStore({ path: join(dir.path, name), durability: 'fast', patienceMs: 5_000, access });
  opened.push(one);
  await one.open();
  return one;
}

beforeEach(async () => {
  dir = folder();
  store = await openAt('app.db');
  single = await define(store, 'single');
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((one) => one.close()));
  dir.remove();
});

const at = (name: string): string => join(dir.path, name);
const runsOf = async (one: SqliteStore): Promise<number> => (await one.listRuns({ limit: 10_000 })).length;

describe('a backup', () => {
  test('is a store of its own, with what was committed, readable by its owner alone', async () => {
    for (let i = 0; i < 5; i++) await started(store, single);
    const { bytes } = await store.care.backup(at('copy.db'));
    expect(statSync(at('copy.db'))).toMatchObject({ size: bytes, mode: 0o100600 });
    await started(store, single);
    expect(await runsOf(await openAt('copy.db'))).toBe(5);
    expect(readdirSync(dir.path).filter((name) => name.includes('part'))).toEqual([]);
  });

  test('is whole although others write all the time, and does not wait for them', async () => {
    const db = new DatabaseSync(at('app.db'));
    db.exec(`CREATE TABLE ballast (x TEXT); WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
      INSERT INTO ballast SELECT hex(randomblob(500)) FROM n; CREATE TABLE pairs (a INTEGER, b INTEGER); INSERT INTO pairs VALUES (0, 0)`);
    let isDone = false;
    let writes = 0;
    const writing = (async () => {
      while (!isDone) {
        // Both columns change in one commit: a copy that mixed two moments would show it.
        db.exec('UPDATE pairs SET a = a + 1; UPDATE ballast SET x = x WHERE rowid = 1');
        db.exec('BEGIN; UPDATE pairs SET b = b + 1; UPDATE ballast SET x = upper(x) WHERE rowid % 1000 = 0; COMMIT');
        writes++;
        await new Promise((resolve) => setImmediate(resolve));
      }
    })();
    await store.care.backup(at('copy.db'));
    isDone = true;
    await writing;
    db.close();
    expect(writes).toBeGreaterThan(1);
    const copy = new DatabaseSync(at('copy.db'), { readOnly: true });
    expect(copy.prepare('PRAGMA integrity_check').all()).toEqual([{ integrity_check: 'ok' }]);
    const pair = copy.prepare('SELECT a - b AS off FROM pairs').get();
    expect([0, 1]).toContain(pair?.['off']);
    copy.close();
  });

  test('never overwrites a file, nor a backup that is under way', async () => {
    writeFileSync(at('mine'), 'mine');
    await expect(store.care.backup(at('mine'))).rejects.toMatchObject({ code: 'STORE_EXISTS' });
    expect(statSync(at('mine')).size).toBe(4);
    const both = await Promise.allSettled([store.care.backup(at('copy.db')), store.care.backup(at('copy.db'))]);
    expect(both.map((one) => one.status).toSorted()).toEqual(['fulfilled', 'rejected']);
    expect(both.find((one) => one.status === 'rejected')?.reason).toMatchObject({ code: 'STORE_EXISTS' });
    await expect(store.care.backup(at('copy.db'))).rejects.toMatchObject({ code: 'STORE_EXISTS' });
  });

  test('of a damaged file is refused, and leaves nothing behind', async () => {
    const db = new DatabaseSync(at('app.db'), { readOnly: true });
    const page = Number(db.prepare("SELECT rootpage FROM sqlite_schema WHERE name = 'steps'").get()?.['rootpage']);
    db.close();
    await store.close();
    const file = openSync(at('app.db'), 'r+');
    writeSync(file, Buffer.alloc(4_096, 0xa5), 0, 4_096, (page - 1) * 4_096);
    closeSync(file);
    const damaged = await openAt('app.db', 'read');
    await expect(damaged.care.backup(at('copy.db'))).rejects.toMatchObject({ code: 'STORE_CORRUPT' });
    expect(readdirSync(dir.path).filter((name) => name.startsWith('copy'))).toEqual([]);
  });

  test('into a folder that is not there is refused', async () => {
    await expect(store.care.backup(at('none/copy.db'))).rejects.toMatchObject({ code: 'STORE_UNREACHABLE' });
    expect(existsSync(at('none'))).toBe(false);
  });

  test('of a store in memory is refused: it has no file', async () => {
    const memory = new SqliteStore({ path: ':memory:', durability: 'fast', patienceMs: 0 });
    opened.push(memory);
    await memory.open();
    await expect(memory.care.backup(at('copy.db'))).rejects.toMatchObject({ code: 'CONFIG_STORE' });
  });

  test('goes on as a store whose work of that moment is taken back', async () => {
    const held = await started(store, single, { lease: { token: 1, worker: 1 } });
    await store.care.backup(at('copy.db'));
    const copy = await openAt('copy.db');
    expect(await copy.running(null, 9)).toMatchObject([{ run: held.run, token: 1, startedAt: T0 }]);
  });
});
