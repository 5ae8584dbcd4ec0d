import { statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync, type SQLInputValue } from 'node:sqlite';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createEngine, task, workflow, type Engine, type Workflow } from '../../src/index.ts';
import { SqliteStore } from '../../src/store/sqlite/store.ts';
import { hook } from './hooks.ts';
import { anything, batch, define, folder, newStart } from './kit.ts';

/** Bound values: 167 bytes at 1,000 items, 170 at 100,000. */
const MOST_BYTES_PER_ITEM = 220;

const undo: (() => unknown)[] = [];
let dir = '';
beforeEach(() => {
  const { path, remove } = folder();
  dir = path;
  undo.push(remove);
});
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

function engineAt(concurrency: number, ...use: Workflow<never, unknown>[]): Engine {
  const engine = createEngine({ store: `sqlite:${join(dir, 'app.db')}`, use, concurrency, durability: 'fast', sweep: '1h', lease: '1h' });
  undo.push(() => engine.close());
  return engine;
}

const weight = (value: SQLInputValue): number =>
  value === null ? 1 : typeof value === 'string' ? value.length : typeof value === 'object' ? value.byteLength : 8;

interface Written {
  bytes: number;
  largest: number;
}

/** What goes to the database until `stop`: bytes of values bound by writes. */
function written(): Written & { stop: () => void } {
  const seen = { bytes: 0, largest: 0 };
  const writes = new Map<string, boolean>();
  const stop = hook({
    onRun: (sql, next, values) => {
      let isWrite = writes.get(sql);
      if (isWrite === undefined) writes.set(sql, (isWrite = /^(INSERT|UPDATE|DELETE)/.test(sql)));
      if (isWrite) {
        const bytes = values.reduce<number>((sum, value) => sum + weight(value), 0);
        seen.bytes += bytes;
        seen.largest = Math.max(seen.largest, bytes);
      }
      return next();
    },
  });
  undo.push(stop);
  return Object.assign(seen, { stop });
}

const item = task({ name: 'item', run: ({ n }: { n: number }) => n });
const flow = workflow({ name: 'flow', input: anything<{ list: number[] }>() }, (w, input) => {
  const all = w.map(input.list, item, (n) => ({ n }), { id: 'all', maxItems: 200_000 });
  // Nobody hands the list on: what is measured is the items.
  return { count: w.run('count', {}, () => 1, { after: [all] }) };
});

test('what is written per item of a map does not grow with the number of items', async () => {
  const engine = engineAt(200, flow);
  await engine.work();
  const perItem: number[] = [];
  for (const n of [1_000, 100_000]) {
    const run = await engine.start(flow, { list: Array.from({ length: n }, (_, i) => i % 100) });
    const seen = written();
    expect(await run.result({ timeout: '20s' })).toEqual({ count: 1 });
    seen.stop();
    perItem.push(seen.bytes / n);
    // No row carries the state of the others.
    expect(seen.largest).toBeLessThan(30_000);
  }
  const [small = 0, large = 0] = perItem;
  expect(large / small).toBeLessThan(1.2);
  expect(small).toBeLessThan(MOST_BYTES_PER_ITEM);
});

test('what reaches the file per item of a map does not grow either', async () => {
  const off = Object.getOwnPropertyDescriptor(DatabaseSync.prototype, 'exec')?.value as (sql: string) => void;
  DatabaseSync.prototype.exec = function exec(this: DatabaseSync, sql: string): void {
    off.call(this, sql.includes('wal_autocheckpoint') ? 'PRAGMA wal_autocheckpoint = 0' : sql);
  };
  undo.push(() => (DatabaseSync.prototype.exec = off));
  const engine = engineAt(200, flow);
  await engine.work();
  const wal = (): number => statSync(join(dir, 'app.db-wal')).size;
  const perItem: number[] = [];
  for (const n of [2_000, 20_000]) {
    const run = await engine.start(flow, { list: Array.from({ length: n }, (_, i) => i) });
    const before = wal();
    await run.result({ timeout: '8s' });
    perItem.push((wal() - before) / n);
  }
  const [small = 0, large = 0] = perItem;
  expect(large / small).toBeLessThan(1.5);
});

test('a run with 100,000 ended items is loaded as fast as one with none', async () => {
  const path = join(dir, 'app.db');
  const store = new SqliteStore({ path, durability: 'fast', patienceMs: 1_000 });
  undo.push(() => store.close());
  await store.open();
  const mapped = await define(store, 'mapped');
  const [big, small] = [
    await newStart(store, mapped, { input: '{"list":[1,2]}' }),
    await newStart(store, mapped, { input: '{"list":[1,2]}' }),
  ];
  await store.commit(batch({ starts: [big, small] }));
  const db = new DatabaseSync(path);
  db.exec(`WITH RECURSIVE n(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i < 99999)
    INSERT INTO tasks (run, node, item, body, status, generation, attempt, begun, losses, crashes, hand_backs, ran_ms, rank, first_queued_at, phase, started_at, finished_at, flags)
    SELECT ${big.state.run}, 0, i, ${mapped.stored.firstBody}, 5, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1, 1, 0 FROM n`);
  db.close();
  const time = async (run: number): Promise<number> => {
    let best = Infinity;
    for (let i = 0; i < 5; i++) {
      const before = performance.now();
      await store.load([{ run, items: [] }]);
      best = Math.min(best, performance.now() - before);
    }
    return best;
  };
  expect(await time(small.state.run)).toBeLessThan(3);
  expect(await time(big.state.run)).toBeLessThan(3);
});
