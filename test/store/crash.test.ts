import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, existsSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { advance } from '../../src/core/kernel/advance.ts';
import { JournalFold } from '../../src/core/kernel/checkpoint.ts';
import { parseRunId, runIdText } from '../../src/core/ids.ts';
import { readJournal } from '../../src/core/kernel/journal.ts';
import type { RunDocument } from '../../src/core/documents/run-document.ts';
import type { Placed } from '../../src/store/acts.ts';
import { RUN_TABLES } from '../../src/store/sql/tables.ts';
import { SqliteStore } from '../../src/store/sqlite/store.ts';
import type { KillPlan } from '../chaos/kill-switch.ts';
import type { CrashTask } from './crash-child.ts';
import { batch, define, folder, runWrite, SETTINGS, started, T0, uid } from './kit.ts';

/** Real processes, killed with SIGKILL while they look after a store: what they leave must be whole, and be finished by others. */
const child = fileURLToPath(new URL('./crash-child.ts', import.meta.url));
const dir = folder();
const origin = join(dir.path, 'origin.db');
/** Tasks of each run that is over, and of the one that is open. */
const sizes = new Map<number, number>();
let open = 0;

async function use<T>(path: string, work: (store: SqliteStore) => Promise<T>): Promise<T> {
  const store = new SqliteStore({ path, durability: 'fast', patienceMs: 5_000 });
  try {
    await store.open();
    return await work(store);
  } finally {
    await store.close();
  }
}

function sql(path: string, query: string): Record<string, unknown>[] {
  const db = new DatabaseSync(path);
  try {
    return db.prepare(query).all();
  } finally {
    db.close();
  }
}

beforeAll(async () => {
  await use(origin, async (store) => {
    const chain = await define(store, 'chain');
    const held = [];
    for (let i = 0; i < 8; i++) held.push(await started(store, chain, { lease: { token: i + 1, worker: 1 } }));
    for (const one of held.slice(0, 7)) {
      const events = [{ type: 'cancel' as const, reason: 'person' as const }];
      const decided = advance(chain.graph, one.state, events, T0 + 5, SETTINGS);
      await store.commit(batch({ now: T0 + 5, runs: [runWrite(one, decided)] }));
      sizes.set(one.run, 3);
    }
    open = held[7]?.run ?? 0;
    sizes.set(open, 1);
    await started(store, chain, { at: T0 + 5_000 });
  });
  const [big = 0] = sizes.keys();
  const db = new DatabaseSync(origin);
  db.exec(`WITH RECURSIVE n(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i < 199)
    INSERT INTO tasks (run, node, item, body, status, generation, attempt, begun, losses, crashes, hand_backs, ran_ms, rank, first_queued_at, phase, started_at, finished_at, flags)
    SELECT ${big}, 1, i, 2, 5, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1, 1, 0 FROM n;
    INSERT INTO steps SELECT run, node, item, 1, 's', 'step', NULL, NULL, '1', 1 FROM tasks WHERE run = ${big};
    CREATE TABLE ballast (x BLOB);`);
  db.close();
  sizes.set(big, 203);
});
afterAll(() => dir.remove());

let trials = 0;
/** A store of its own, whose process was killed by this plan; false where it was done before. */
function killedAt(
  act: CrashTask['act'],
  kill: Pick<KillPlan, 'statement' | 'where' | 'n'>,
  from = origin,
): { path: string; wasKilled: boolean } {
  const path = join(dir.path, `trial-${++trials}.db`);
  copyFileSync(from, path);
  const plan: CrashTask = { path, act, kill: { ...kill, over: -1, delayMs: 0 } };
  const { signal, stderr } = spawnSync(process.execPath, [child, JSON.stringify(plan)], { encoding: 'utf8', timeout: 120_000 });
  expect(stderr).toBe('');
  expect(sql(path, 'PRAGMA integrity_check')).toEqual([{ integrity_check: 'ok' }]);
  return { path, wasKilled: signal === 'SIGKILL' };
}

const points: [KillPlan['statement'], 'before' | 'after', number][] = [
  ['DELETE', 'before', 1],
  ['DELETE', 'after', 2],
  ['DELETE', 'after', 5],
  ['DELETE', 'before', 12],
  ['COMMIT', 'before', 1],
  ['COMMIT', 'after', 1],
  ['COMMIT', 'before', 2],
  ['COMMIT', 'after', 4],
];

describe('a process that is killed while it prunes', () => {
  test.each(points)('at %s, %s it, number %i', { timeout: 120_000 }, (statement, where, n) => {
    const { path, wasKilled } = killedAt('prune', { statement, where, n });
    expect(wasKilled).toBe(true);
    return use(path, async (store) => {
      for (const { run } of await store.listRuns({ limit: 100 })) {
        if (sizes.has(run)) expect(await store.tasksOf(run, true)).toHaveLength(sizes.get(run) ?? 0);
      }
      const request = { now: T0 + 1_000, finishedBefore: T0 + 1_000, failedBefore: T0 + 1_000, rows: 1_000 };
      while ((await store.care.prune(request)).more);
      expect((await store.listRuns({ limit: 100 })).map((row) => row.status)).toEqual(['running', 'running']);
      for (const table of Object.keys(RUN_TABLES))
        expect(sql(path, `SELECT count(*) AS n FROM ${table} WHERE run NOT IN (SELECT id FROM runs)`), table).toEqual([{ n: 0 }]);
      expect(sql(path, 'SELECT count(*) AS n FROM leftovers')).toEqual([{ n: 0 }]);
    });
  });
});

async function folded(store: SqliteStore): Promise<JournalFold> {
  const fold = new JournalFold();
  for (const { run, status, generation } of await store.care.checkpointRuns(0, 1_000)) {
    const tasks = await store.care.checkpointTasks(run);
    fold.runs.set(run, { generation, status, tasks: new Map(tasks.map((task) => [`${task.node}:${task.item}`, task])), renames: [] });
  }
  const { seq } = await store.care.checkpoint();
  for (const entry of (await store.journal(seq, 1_000)).entries) fold.add(readJournal(entry.changes));
  return fold;
}

describe('a process that is killed while it cuts the journal', () => {
  test.each([
    ['DELETE', 'before', 1],
    ['DELETE', 'after', 1],
    ['COMMIT', 'before', 1],
    ['COMMIT', 'after', 1],
    ['COMMIT', 'before', 2],
    ['UPDATE', 'after', 1],
  ] as const)('at %s, %s it, number %i', { timeout: 120_000 }, async (statement, where, n) => {
    const whole = await use(origin, folded);
    const { path, wasKilled } = killedAt('journal', { statement, where, n });
    expect(wasKilled).toBe(true);
    await use(path, async (store) => {
      expect((await folded(store)).runs.get(open)).toEqual(whole.runs.get(open));
      while ((await store.care.pruneJournal({ before: T0 + 1_000, rows: 20 })).more);
      expect((await folded(store)).runs.get(open)).toEqual(whole.runs.get(open));
      expect(await store.care.checkpointRuns(0, 100)).toMatchObject([{ run: open }]);
    });
  });
});

describe('a process that is killed while it backs up', () => {
  test('leaves a .part, never a file with the name that was asked for', async () => {
    const path = join(dir.path, 'large.db');
    copyFileSync(origin, path);
    sql(
      path,
      'WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 40) INSERT INTO ballast SELECT randomblob(1000000) FROM n',
    );
    const copy = join(dir.path, 'copy.db');
    const killed = spawn(process.execPath, [child, JSON.stringify({ path, act: { backup: copy }, kill: null })], { stdio: 'inherit' });
    const ended = once(killed, 'exit');
    while ((statSync(`${copy}.part`, { throwIfNoEntry: false })?.size ?? 0) === 0) await new Promise((resolve) => setImmediate(resolve));
    killed.kill('SIGKILL');
    expect((await ended)[1]).toBe('SIGKILL');
    expect(existsSync(copy)).toBe(false);
    await use(path, async (store) => {
      await expect(store.care.backup(copy)).rejects.toMatchObject({ code: 'STORE_EXISTS', details: { path: `${copy}.part` } });
      for (const name of readdirSync(dir.path).filter((one) => one.startsWith('copy.db.part'))) rmSync(join(dir.path, name));
      await store.care.backup(copy);
    });
    expect(sql(copy, 'SELECT count(*) AS n FROM ballast')).toEqual([{ n: 40 }]);
  });
});

describe('a process that is killed while it takes in a run and those below it', () => {
  const file = join(dir.path, 'run.json');
  const empty = join(dir.path, 'empty.db');
  const full = join(dir.path, 'full.db');
  const CHILDREN = 3;
  const gate = { need: { kind: 'key', name: 'k', limit: 9, onLimit: 'queue', serial: false }, rank: T0, isHeld: true } as const;
  const lanes = [{ node: 0, item: -1, needs: [{ kind: 'pool', name: 'p', units: 1 }] }] as const;
  let document: RunDocument;
  let placed: Placed[];

  beforeAll(async () => {
    document = await use(origin, async (store) => {
      const row = await store.runRow(open);
      const {
        definition,
        pawl: _,
        kind: __,
        definitions: ___,
        children: ____,
        ...part
      } = (await store.care.exportRun(row?.uid ?? new Uint8Array())) as RunDocument;
      const link = { parent: part.id, node: 0, item: -1, generation: 1, name: null, kind: 'child', recall: null, completion: null };
      const children = Array.from({ length: CHILDREN }, () => ({ ...part, id: runIdText(uid()), link, definition: 0 }));
      return { ...part, pawl: 1, kind: 'run', definition, definitions: [definition], children };
    });
    writeFileSync(file, JSON.stringify(document));
    await use(empty, async () => undefined);
    copyFileSync(empty, full);
    placed = await use(full, async (store) => {
      await store.care.importRun(document, T0);
      return (await store.listRuns({ limit: 9, parts: true })).toReversed().map(({ run }) => ({ run, lanes, gate }));
    });
  });

  test.each([
    ['INSERT', 'after', 3],
    ['INSERT', 'before', 9],
    ['COMMIT', 'before', 1],
    ['COMMIT', 'after', 2],
    ['COMMIT', 'after', 3],
    ['COMMIT', 'before', 4],
    ['COMMIT', 'before', 5],
    ['COMMIT', 'after', 5],
  ] as const)('an import, at %s, %s it, number %i', (statement, where, n) => {
    const { path, wasKilled } = killedAt({ take: file }, { statement, where, n }, empty);
    expect(wasKilled).toBe(true);
    return use(path, async (store) => {
      const runs = await store.listRuns({ limit: 99, parts: true });
      expect([0, CHILDREN + 1]).toContain(runs.length);
      const later = { now: T0 + 7_200_000, finishedBefore: null, failedBefore: null, rows: 1_000 };
      while ((await store.care.prune(later)).more);
      if (runs.length === 0) await store.care.importRun(document, T0);
      expect(await store.listRuns({ limit: 99, parts: true })).toHaveLength(CHILDREN + 1);
      for (const table of Object.keys(RUN_TABLES))
        expect(sql(path, `SELECT count(*) AS n FROM ${table} WHERE run NOT IN (SELECT id FROM runs)`), table).toEqual([{ n: 0 }]);
      expect(sql(path, 'SELECT count(*) AS n FROM leftovers')).toEqual([{ n: 0 }]);
      const again = await store.care.exportRun(parseRunId(document.id) ?? new Uint8Array());
      const withoutWhy = (value: unknown): string => JSON.stringify(value, (key, inner: unknown) => (key === 'quarantined' ? null : inner));
      expect(JSON.parse(withoutWhy(again))).toEqual(JSON.parse(withoutWhy(document)));
    });
  });

  test.each([
    ['UPDATE', 'after', 1],
    ['UPDATE', 'before', 6],
    ['INSERT', 'after', 2],
    ['COMMIT', 'before', 1],
    ['COMMIT', 'after', 1],
  ] as const)('a release, at %s, %s it, number %i', (statement, where, n) => {
    const { path, wasKilled } = killedAt({ release: placed }, { statement, where, n }, full);
    expect(wasKilled).toBe(true);
    const isDone = statement === 'COMMIT' && where === 'after';
    expect(sql(path, 'SELECT count(*) AS n FROM runs WHERE imported = 1')).toEqual([{ n: isDone ? 0 : CHILDREN + 1 }]);
    expect(sql(path, 'SELECT count(*) AS n FROM runs WHERE quarantined IS NULL')).toEqual([{ n: isDone ? CHILDREN + 1 : 0 }]);
    expect(sql(path, 'SELECT count(*) AS n FROM gates')).toEqual([{ n: isDone ? CHILDREN + 1 : 0 }]);
    return use(path, async (store) => {
      // What follows a release is done by whoever looks next.
      expect(await store.strandedRuns(9)).toHaveLength(isDone ? CHILDREN + 1 : 0);
    });
  });
});
