import { expect, test } from 'vitest';
import { DOCUMENT_TABLES, RUN_FIELDS, TABLE_FIELDS, type Fields } from '../../src/core/documents/document-fields.ts';
import { openDatabase } from '../../src/store/sqlite/driver.ts';
import { BODY_TABLES, NODE_TABLES, RUN_TABLES } from '../../src/store/sql/tables.ts';

/** What has a column `run` and is no row of a run. */
const OTHERS = {
  audit: 'outlives the run, and goes by its age',
  keys: 'goes by its own name, with the row of the run',
  fires: 'outlives the run, and goes by its age',
  lanes: 'goes when nothing stands in it any more',
  leftovers: 'outlives the run',
  checkpoint_runs: 'of the journal, not of the run',
  checkpoint_tasks: 'of the journal, not of the run',
};

/** Columns that stay behind when a run is exported: numbers of this store, and leases. */
const LEFT: Readonly<Record<string, readonly string[]>> = {
  runs: [
    'id',
    'uid',
    'definition',
    'rev',
    'owner',
    'wake_at',
    'linked_from',
    'link',
    'stays_until',
    'parent',
    'parent_node',
    'parent_item',
    'parent_generation',
    'parent_name',
    'parent_kind',
    'tree',
    'kept',
    'recall',
    'completion',
    'imported',
  ],
  tasks: ['run', 'body', 'token', 'worker'],
  maps: ['run', 'body'],
  attempts: ['run', 'worker'],
  steps: ['run'],
  logs: ['run'],
  generations: ['run'],
  run_generations: ['run'],
  messages: ['run'],
};

const names = (query: string): string[] => {
  const db = openDatabase({ path: ':memory:', durability: 'fast', patienceMs: 0 });
  try {
    return db
      .prepare(query)
      .all()
      .map((row) => String(row['name']));
  } finally {
    db.close();
  }
};

test('every table whose rows belong to a run is pruned with it', () => {
  const tables = names(
    "SELECT name FROM sqlite_schema s WHERE type = 'table' AND EXISTS (SELECT 1 FROM pragma_table_info(s.name) c WHERE c.name = 'run')",
  );
  expect(tables.toSorted()).toEqual([...Object.keys(RUN_TABLES), ...Object.keys(OTHERS)].toSorted());
});

test('every table that names tasks of a run by their numbers is renumbered when the run moves', () => {
  const tables = names(
    "SELECT name FROM sqlite_schema s WHERE type = 'table' AND (SELECT count(*) FROM pragma_table_info(s.name) c WHERE c.name IN ('run', 'node')) = 2",
  );
  // why: a checkpoint is of the journal before the move
  expect(tables.filter((name) => name !== 'checkpoint_tasks').toSorted()).toEqual(NODE_TABLES.toSorted());
});

test('every table that says which body a row waits for is told of the move', () => {
  const tables = names(
    "SELECT name FROM sqlite_schema s WHERE type = 'table' AND (SELECT count(*) FROM pragma_table_info(s.name) c WHERE c.name IN ('run', 'body')) = 2",
  );
  // why: a task that moves goes to a lane of its new body, and a lane in which nothing stands is forgotten
  expect(tables.filter((name) => name !== 'lanes').toSorted()).toEqual(BODY_TABLES.toSorted());
});

test('every key by which rows are pruned is a key', () => {
  for (const [table, key] of Object.entries(RUN_TABLES)) {
    const primary = names(`SELECT name FROM pragma_table_info('${table}') WHERE pk > 0 ORDER BY pk`);
    expect(key.split(', '), table).toEqual(primary.filter((name) => name !== 'run'));
  }
});

test.each(['runs', ...DOCUMENT_TABLES] as const)('every column of %s is exported, or stays behind for a reason', (table) => {
  const fields: Fields = table === 'runs' ? RUN_FIELDS : TABLE_FIELDS[table];
  const columns = Object.keys(fields).map((field) => field.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`));
  expect(names(`SELECT name FROM pragma_table_info('${table}')`).toSorted()).toEqual([...columns, ...(LEFT[table] ?? [])].toSorted());
});
