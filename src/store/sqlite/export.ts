import {
  DOCUMENT_TABLES,
  LINK_FIELDS,
  RUN_FIELDS,
  TABLE_FIELDS,
  type DocumentTable,
  type Field,
  type Fields,
} from '../../core/documents/document-fields.ts';
import type { Graph } from '../../core/graph/graph.ts';
import { runIdText } from '../../core/ids.ts';
import type { ChildPart, DocumentDefinition, DocumentRow, RunDocument, RunPart } from '../../core/documents/run-document.ts';
import type { Connection } from './connection.ts';
import { openToRead } from './open-to-read.ts';
import type { Row, Value } from './rows.ts';
import { prepareStatements, SETUP, type Statements } from './statements.ts';

/** Rows that are read before others get their turn. */
const PAGE = 500;
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

/** The run and all below it, level by level: so each stands behind the one that it belongs to. Yields now and then. */
function* reading(sql: Statements, uid: Uint8Array): Generator<undefined, RunDocument | null> {
  const found = sql.runByUid.get(uid);
  if (found === undefined) return null;
  const top = Number(found['id']);
  const definitions = new Map<number, number>();
  const children: ChildPart[] = [];
  const runs = new Set([top]);
  for (const run of runs) {
    for (const { id } of sql.exportBelow.all(run)) runs.add(Number(id));
    if (run === top) continue;
    yield;
    const row = sql.runById.get(run) as Row;
    const definition = Number(row['definition']);
    if (!definitions.has(definition)) definitions.set(definition, definitions.size);
    children.push({ ...(yield* readPart(sql, row)), definition: definitions.get(definition) ?? 0 });
  }
  return {
    pawl: 1,
    kind: 'run',
    ...(yield* readPart(sql, found)),
    definition: definitionOf(sql, Number(found['definition'])),
    definitions: [...definitions.keys()].map((id) => definitionOf(sql, id)),
    children,
  };
}

function* readPart(sql: Statements, row: Row): Generator<undefined, RunPart> {
  const run = Number(row['id']);
  const link = linkOf(sql, run);
  const key = row['key'] === null ? undefined : sql.exportKey.get(String(row['workflow']), row['key'] ?? null, run);
  const tables = {} as Record<DocumentTable, DocumentRow[]>;
  let read = 0;
  for (const table of DOCUMENT_TABLES) {
    const rows: DocumentRow[] = (tables[table] = []);
    for (const one of sql[`export_${table}`].iterate(run)) {
      rows.push(toDocument(TABLE_FIELDS[table], one));
      if (++read % PAGE === 0) yield;
    }
  }
  return {
    id: runIdText(row['uid'] as Uint8Array),
    run: toDocument(RUN_FIELDS, sql.exportRun.get(run) as Row),
    link,
    key: key === undefined ? null : (key as unknown as RunPart['key']),
    ...tables,
  };
}

/** Null also where the run that started it is gone. */
function linkOf(sql: Statements, run: number): DocumentRow | null {
  const link = sql.exportLink.get(run);
  const above = link === undefined ? undefined : sql.runById.get(link['parent'] ?? null);
  return above === undefined ? null : toDocument(LINK_FIELDS, { ...link, parent: runIdText(above['uid'] as Uint8Array) });
}

function definitionOf(sql: Statements, id: number): DocumentDefinition {
  const stored = sql.definitionById.get(id);
  return {
    workflow: String(stored?.['workflow']),
    version: String(stored?.['version']),
    hash: String(stored?.['hash']),
    graph: JSON.parse(String(stored?.['graph'])) as Graph,
  };
}

function toDocument(fields: Fields, row: Row): DocumentRow {
  return Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, shown(field, row[name] ?? null)]));
}

function shown(field: Field, value: Value): string | number | null {
  if (field.kind === 'word' && field.position && value !== null) return field.of[Number(value)] ?? String(value);
  return value as string | number | null;
}
