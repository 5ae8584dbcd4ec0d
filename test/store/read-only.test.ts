import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { SqliteStore } from '../../src/store/sqlite/store.ts';
import { batch, define, folder, newStart, started, T0, type Defined } from './kit.ts';

let dir: ReturnType<typeof folder>;
let store: SqliteStore;
let single: Defined;
const opened: SqliteStore[] = [];

function storeAt(path: string, access: 'read' | 'write'): SqliteStore {
  const one = new SqliteStore({ path, durability: 'fast', patienceMs: 2_000, access });
  opened.push(one);
  return one;
}
const at = (name: string): string => join(dir.path, name);

beforeEach(async () => {
  dir = folder();
  store = storeAt(at('app.db'), 'write');
  await store.open();
  single = await define(store, 'single');
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((one) => one.close()));
  dir.remove();
});

describe('a store that is opened to read', () => {
  test('sees what a live writer commits, and writes nothing', async () => {
    const held = await started(store, single);
    const reader = storeAt(at('app.db'), 'read');
    expect(await reader.open()).toMatchObject({ clock: T0, isImmutable: false });
    expect((await reader.runRow(held.run))?.status).toBe('running');
    const head = await reader.head();
    const next = await started(store, single, { at: T0 + 1 });
    expect((await reader.head()).seq).toBeGreaterThan(head.seq);
    expect((await reader.head()).epoch).not.toBe(head.epoch);
    expect(await reader.tasksOf(next.run, true)).toHaveLength(1);
    expect((await reader.journal(0, 100)).entries).toHaveLength(2);
    expect(await reader.care.exportRun(next.write.uid)).toMatchObject({ kind: 'run' });
    const start = await newStart(store, single);
    const writes: (() => Promise<unknown>)[] = [
      () => reader.commit(batch({ starts: [start] })),
      () => reader.reserve(1, 1),
      () => reader.fence(1, { dead: true }),
      () => reader.quarantine(held.run, 'why', [], T0),
      () => reader.care.prune({ now: T0, finishedBefore: T0, failedBefore: T0, rows: 9 }),
      () => reader.care.pruneJournal({ before: T0, rows: 9 }),
      () => define(reader, 'other'),
    ];
    for (const write of writes) await expect(write()).rejects.toMatchObject({ code: 'STORE_READONLY' });
    await reader.care.backup(at('copy.db'));
    expect(existsSync(at('copy.db'))).toBe(true);
  });

  test('is not created where there is none', async () => {
    await expect(storeAt(at('none.db'), 'read').open()).rejects.toMatchObject({ code: 'STORE_UNREACHABLE' });
    expect(existsSync(at('none.db'))).toBe(false);
  });

  test.each([
    [0, 'STORE_OLDER'],
    [99, 'STORE_NEWER'],
  ])('is refused with schema %i', async (schema, code) => {
    await store.close();
    const db = new DatabaseSync(at('app.db'));
    db.exec(`PRAGMA user_version = ${schema}`);
    db.close();
    await expect(storeAt(at('app.db'), 'read').open()).rejects.toMatchObject({ code, details: { schema } });
  });

  test('is refused where it is no store', async () => {
    writeFileSync(at('text'), 'a text that is long enough to be looked at as a database, and is none'.repeat(20));
    await expect(storeAt(at('text'), 'read').open()).rejects.toMatchObject({ code: 'STORE_NOT_A_DATABASE' });
    new DatabaseSync(at('foreign.db')).exec('CREATE TABLE t (x)');
    await expect(storeAt(at('foreign.db'), 'read').open()).rejects.toMatchObject({ code: 'STORE_FOREIGN' });
  });
});

/** Opens the file in a process that may write neither it nor its folder, as whoever is not root. */
function readAsStranger(path: string): { code?: string; isImmutable?: boolean; runs?: number } {
  const source = fileURLToPath(new URL('../../src/store/sqlite/store.ts', import.meta.url));
  const code = `
    const { SqliteStore } = await import(${JSON.stringify(source)});
    if (process.getuid() === 0) process.setuid(65534);
    const store = new SqliteStore({ path: ${JSON.stringify(path)}, durability: 'full', patienceMs: 1000, access: 'read' });
    try {
      const { isImmutable } = await store.open();
      console.log(JSON.stringify({ isImmutable, runs: (await store.listRuns({ limit: 9 })).length }));
    } catch (error) {
      console.log(JSON.stringify({ code: error.code }));
    }`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', code], { encoding: 'utf8', timeout: 20_000 });
  if (stdout === '') throw new Error(stderr);
  return JSON.parse(stdout) as ReturnType<typeof readAsStranger>;
}

describe('a file in a folder that may not be written', () => {
  afterEach(() => chmodSync(dir.path, 0o700));

  test('is read as it stands where everything is in it', async () => {
    await started(store, single);
    await store.close();
    expect(readdirSync(dir.path)).toEqual(['app.db']);
    chmodSync(at('app.db'), 0o444);
    chmodSync(dir.path, 0o555);
    expect(readAsStranger(at('app.db'))).toEqual({ isImmutable: true, runs: 1 });
    expect(readdirSync(dir.path)).toEqual(['app.db']);
  });

  test('is refused where commits in its -wal would be missing', async () => {
    await started(store, single);
    // As a copy of the folder, or a crash, leaves them.
    copyFileSync(at('app.db'), at('copy.db'));
    copyFileSync(at('app.db-wal'), at('copy.db-wal'));
    chmodSync(at('copy.db'), 0o444);
    chmodSync(at('copy.db-wal'), 0o444);
    chmodSync(dir.path, 0o555);
    expect(readAsStranger(at('copy.db'))).toEqual({ code: 'STORE_READONLY' });
  });

  test('is read with its -wal where a live writer shares it', async () => {
    await started(store, single);
    for (const name of readdirSync(dir.path)) chmodSync(at(name), 0o444);
    chmodSync(dir.path, 0o555);
    expect(readAsStranger(at('app.db'))).toEqual({ isImmutable: false, runs: 1 });
  });
});
