import { reopenWaits } from './mailbox.ts';
import { DOCUMENT_TABLES, RUN_FIELDS, TABLE_FIELDS, type DocumentTable, type Field, type Fields } from '../../core/document-fields.ts';
import { PawlError } from '../../core/errors.ts';
import type { Graph } from '../../core/graph.ts';
import { runIdText } from '../../core/ids.ts';
import type { DocumentRow, RunDocument } from '../../core/run-document.ts';
import { isRunOver, isTerminal, type RunStatus, type TaskStatus } from '../../core/states.ts';
import type { StoredDefinition } from '../store.ts';
import type { Connection } from './connection.ts';
import { STATE_FORMAT } from './driver.ts';
import { openToRead } from './open-to-read.ts';
import type { Row, Value } from './rows.ts';
import { prepareStatements, SETUP, type Statements } from './statements.ts';

/** Rows that are read or written before others get their turn. */
const PAGE = 500;
/** An import that takes longer has failed: what it wrote is deleted by the next prune. */
const IMPORT_MS = 3_600_000;
const PATIENCE_MS = 10_000;

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** On one snapshot: of a file by a connection of its own, in pages; of a store in memory at once. */
export async function exportRun(connection: Connection, uid: Uint8Array): Promise<RunDocument | null> {
  if (connection.path === ':memory:') return connection.read(() => atOnce(reading(connection.sql(), uid)));
  const { db } = openToRead(connection.path, PATIENCE_MS);
  try {
    db.exec(SETUP.beginRead);
    const pages = reading(prepareStatements(db), uid);
    for (let step = pages.next(); ; step = pages.next()) {
      if (step.done === true) return step.value;
      await nextTurn();
    }
  } finally {
    db.close();
  }
}

function atOnce<T>(pages: Generator<undefined, T>): T {
  for (let step = pages.next(); ; step = pages.next()) if (step.done === true) return step.value;
}

/** Yields after every page. */
function* reading(sql: Statements, uid: Uint8Array): Generator<undefined, RunDocument | null> {
  const found = sql.runByUid.get(uid);
  if (found === undefined) return null;
  const run = Number(found['id']);
  const row = sql.exportRun.get(run) as Row;
  const stored = sql.definitionById.get(Number(found['definition']));
  const key = row['key'] === null ? undefined : sql.exportKey.get(String(stored?.['workflow']), row['key'] ?? null, run);
  const tables = {} as Record<DocumentTable, DocumentRow[]>;
  for (const table of DOCUMENT_TABLES) {
    const rows: DocumentRow[] = (tables[table] = []);
    for (const one of sql[`export_${table}`].iterate(run)) {
      rows.push(toDocument(TABLE_FIELDS[table], one));
      if (rows.length % PAGE === 0) yield;
    }
  }
  return {
    pawl: 1,
    kind: 'run',
    id: runIdText(uid),
    definition: {
      workflow: String(stored?.['workflow']),
      version: String(stored?.['version']),
      hash: String(stored?.['hash']),
      graph: JSON.parse(String(stored?.['graph'])) as Graph,
    },
    run: toDocument(RUN_FIELDS, row),
    key: key === undefined ? null : (key as unknown as RunDocument['key']),
    ...tables,
  };
}

function toDocument(fields: Fields, row: Row): DocumentRow {
  return Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, shown(field, row[name] ?? null)]));
}

function shown(field: Field, value: Value): string | number | null {
  if (field.kind === 'word' && field.position && value !== null) return field.of[Number(value)] ?? String(value);
  return value as string | number | null;
}

function stored(field: Field, value: string | number | null): Value {
  return field.kind === 'word' && field.position && value !== null ? field.of.indexOf(String(value)) : value;
}

const columns = (fields: Fields, row: DocumentRow): Value[] =>
  Object.entries(fields).map(([name, field]) => stored(field, row[name] ?? null));

/**
 * Rows of a run that is not there are met by nobody: the run's row goes last. Until then a row in `leftovers` sees to it that an import
 * that does not end is cleared away. An open run is quarantined, and its leases stay behind, so that nothing of it runs here. Where a person
 * releases it all the same, what was running elsewhere is not run again: nothing wakes the run, and it fails as stuck.
 */
export async function importRun(
  connection: Connection,
  target: { readonly run: number; readonly definition: StoredDefinition; readonly uid: Uint8Array; readonly now: number },
  document: RunDocument,
): Promise<void> {
  const { run, now } = target;
  await connection.write(() => {
    checkNew(connection.sql(), target.uid, document);
    connection.sql().putLeftover.run(run, now + IMPORT_MS);
  });
  try {
    for (const table of DOCUMENT_TABLES) {
      const rows = document[table];
      for (let from = 0; from < rows.length; from += PAGE) {
        await connection.write(() => insertRows(connection.sql(), { table, rows: rows.slice(from, from + PAGE), document, ...target }));
        await nextTurn();
      }
    }
    await connection.write(() => insertRun(connection, document, target));
  } catch (error) {
    await connection.write(() => connection.sql().putLeftover.run(run, 0));
    throw error;
  }
}

export function checkNew(sql: Statements, uid: Uint8Array, { id, run }: RunDocument): void {
  if (sql.uidTaken.get(uid) !== undefined)
    throw new PawlError('RUN_EXISTS', `Run ${id} is in this store already.`, { details: { run: id } });
  if (Number(run['format']) > STATE_FORMAT) {
    throw new PawlError(
      'RUN_DOCUMENT_INVALID',
      `Run ${id} was written by a newer version of Pawl, in a format that this one does not know.`,
      {
        fix: 'Import it with the version that exported it, or a newer one.',
      },
    );
  }
}

const isOver = (document: RunDocument): boolean => isRunOver[document.run['status'] as RunStatus];

interface Page {
  readonly table: DocumentTable;
  readonly rows: readonly DocumentRow[];
  readonly document: RunDocument;
  readonly run: number;
  readonly definition: StoredDefinition;
}

function insertRows(sql: Statements, { table, rows, document, run, definition }: Page): void {
  checkUnderWay(sql, run);
  const insert = sql[`import_${table}`];
  const over = isOver(document);
  for (const row of rows) {
    const body = definition.firstBody + Number(row['node']);
    if (table === 'tasks') {
      // why: as `hideTasks` leaves them
      const isHidden = !over && !isTerminal[row['status'] as TaskStatus];
      const dueAt = isHidden && row['dueAt'] !== null ? -Number(row['dueAt']) : null;
      insert.run(run, isHidden ? -body : body, ...columns(TABLE_FIELDS.tasks, { ...row, dueAt }));
      if (row['status'] === 'waiting') reopenWaits(sql, run, Number(row['node']), Number(row['item']));
    } else if (table === 'maps') insert.run(run, over ? body : -body, ...columns(TABLE_FIELDS.maps, over ? { ...row, closed: 1 } : row));
    else if (table === 'attempts') insert.run(run, 0, ...columns(TABLE_FIELDS.attempts, row));
    else insert.run(run, ...columns(TABLE_FIELDS[table], row));
  }
}

function checkUnderWay(sql: Statements, run: number): void {
  if (sql.keepLeftover.get(run) === undefined)
    throw new PawlError('STORE_BUSY', 'The import took so long that its rows were cleared away.', { fix: 'Import the run again.' });
}

function insertRun(
  connection: Connection,
  document: RunDocument,
  {
    run,
    definition,
    uid,
    now,
  }: { readonly run: number; readonly definition: StoredDefinition; readonly uid: Uint8Array; readonly now: number },
): void {
  const sql = connection.sql();
  checkUnderWay(sql, run);
  checkNew(sql, uid, document);
  const over = isOver(document);
  const quarantined = document.run['quarantined'] ?? (over ? null : 'It was imported while it was open: it runs where it was exported.');
  sql.importRun.run(run, uid, definition.id, 1, ...columns(RUN_FIELDS, { ...document.run, quarantined }));
  const { key, run: row } = document;
  // why: a key that somebody holds here stays theirs, and an open run would hold its key for ever
  if (key !== null && over && sql.keyTaken.get(definition.workflow, String(row['key'])) === undefined)
    sql.putKey.run(definition.workflow, String(row['key']), run, key.inputHash, key.until, 0);
  sql.dropLeftover.run(run);
  connection.touched(now);
}
