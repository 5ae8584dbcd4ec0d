import { mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { vi } from 'vitest';
import { openSqlite } from '../../src/compose.ts';
import { workflow } from '../../src/index.ts';
import { SCHEMA } from '../../src/store/sqlite/driver.ts';
import { SETUP, statementText } from '../../src/store/sqlite/statements.ts';
import type { Store } from '../../src/store/store.ts';
import { failCommit, hook, sqliteError, sqliteOf, unopenable } from '../store/hooks.ts';
import { batch, claimOf, define, facts, started, T0 } from '../store/kit.ts';
import { trigger, type Place } from './kit.ts';

/** STORE_, WORKER_, ENGINE_: what is wrong with the file, or with who writes it. Faults of a disk are given by SQLite's own errors. */
const order = workflow({ name: 'order' }, (w) => ({ n: w.run('n', {}, () => 1) }));
const inFile = /\/app\.db\b/;

const start = (place: Place): Promise<unknown> => place.engine([order]).start(order);

async function storeAt(place: Place): Promise<Store> {
  const store = await openSqlite(place.path);
  place.undo(() => store.close());
  await store.open();
  return store;
}

/** Starts one run, then another under a fault. */
async function startUnder(place: Place, fault: () => () => unknown): Promise<unknown> {
  const engine = place.engine([order]);
  await engine.start(order);
  place.undo(fault());
  return engine.start(order);
}

const failing = (errcode: number, message: string) => (): (() => void) =>
  hook({
    onRun: (sql, next) => {
      if (sql === statementText('beginWrite')) throw sqliteError(errcode, message);
      return next();
    },
  });

trigger('STORE_LIBRARY', [/SQLite 3\.51\.2/, new RegExp(process.version)], (place) => {
  place.undo(sqliteOf('3.51.2'));
  return start(place);
});

trigger('STORE_NOT_A_DATABASE', [inFile], (place) => {
  writeFileSync(place.path, 'Dear diary, '.repeat(200));
  return start(place);
});

trigger('STORE_FOREIGN', [inFile], (place) => {
  place.sqlite('CREATE TABLE notes (text TEXT)').close();
  return start(place);
});

trigger('STORE_NEWER', [inFile, new RegExp(`schema ${SCHEMA + 1}.*schema ${SCHEMA}`)], (place) => {
  place.sqlite(`${SETUP.markAsOurs}; ${SETUP.setSchema(SCHEMA + 1)}; CREATE TABLE later (x)`).close();
  return start(place);
});

const older = (schema: number): RegExp => new RegExp(`schema ${schema};.*schema ${SCHEMA}`);
trigger('STORE_OLDER', [inFile, older(SCHEMA - 1)], (place) => {
  place.sqlite(`${SETUP.markAsOurs}; ${SETUP.setSchema(SCHEMA - 1)}; CREATE TABLE earlier (x)`).close();
  return place.engine([order], { access: 'read' }).runs.list();
});
trigger('STORE_OLDER', [inFile, older(0)], (place) => {
  writeFileSync(place.path, '');
  return place.engine([order], { access: 'read' }).runs.list();
});

const monday = (place: Place): string => join(dirname(place.path), 'monday.db');
trigger('STORE_EXISTS', [/\/monday\.db is there/], async (place) => {
  const engine = place.engine([order]);
  await engine.backup(monday(place));
  await engine.backup(monday(place));
});
trigger('STORE_EXISTS', [/\/monday\.db\.part is there/], (place) => {
  writeFileSync(`${monday(place)}.part`, '');
  return place.engine([order]).backup(monday(place));
});

trigger('STORE_UNREACHABLE', [inFile], (place) => {
  mkdirSync(place.path);
  return start(place);
});

trigger('STORE_CORRUPT', [inFile], async (place) => {
  const engine = place.engine([order]);
  await engine.start(order);
  await engine.close();
  truncateSync(place.path, 8_192);
  await start(place);
});

trigger('STORE_READONLY', [inFile, /readonly/], (place) => startUnder(place, failing(8, 'attempt to write a readonly database')));
trigger('STORE_FULL', [inFile, /full/], (place) => startUnder(place, failing(13, 'database or disk is full')));
trigger('STORE_IO', [inFile, /disk I\/O error/], (place) => startUnder(place, failing(10, 'disk I/O error')));

trigger('STORE_BUSY', [inFile, /30000 ms/], (place) =>
  startUnder(place, () => {
    const other = new DatabaseSync(place.path);
    other.exec('BEGIN IMMEDIATE');
    const real = performance.now.bind(performance);
    let aheadMs = 0;
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => real() + (aheadMs += 10_000));
    return () => {
      clock.mockRestore();
      other.close();
    };
  }),
);

trigger('STORE_UNKNOWN_OUTCOME', [inFile, /a commit failed/], (place) =>
  startUnder(place, () => {
    const reached = failCommit('after');
    const open = unopenable();
    return () => {
      open();
      reached();
    };
  }),
);

trigger('STORE_CLOSED', [/engine is closed/], async (place) => {
  const engine = place.engine([order]);
  await engine.start(order);
  await engine.close();
  await engine.start(order);
});
trigger('STORE_CLOSED', [/a run was waited for/], async (place) => {
  const engine = place.engine([order]);
  const result = (await engine.start(order)).result().catch((error: unknown) => error);
  await engine.runs.list();
  await engine.close();
  return result;
});

trigger('WORKER_LEASE_LOST', [/Worker \d+/], async (place) => {
  const store = await storeAt(place);
  const worker = await store.boot(facts(), T0 + 15_000);
  await store.fence(worker, { dead: true });
  await store.commit(batch({ worker }));
});

trigger('ENGINE_BROKEN', [/run number 1\b/], async (place) => {
  const store = await storeAt(place);
  const chain = await define(store, 'chain');
  await started(store, chain);
  const { firstToken } = await store.reserve(1, 1);
  place.undo(hook({ onRun: (sql, next) => (sql === statementText('moveFree') ? { changes: 0 } : next()) }));
  await store.commit(batch({ claim: claimOf(1, firstToken, chain) }));
});
