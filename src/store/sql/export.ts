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
import type { Row, Value } from './rows.ts';
import { many, one, PAUSE, type Program } from './program.ts';
import type { Statements } from './statements.ts';

/** Rows that are read before others get their turn. */
const PAGE = 500;

/** The run and all below it, level by level: so each stands behind the one that it belongs to. */
export function* exportOf(sql: Statements, uid: Uint8Array): Program<RunDocument | null> {
  const found = yield* one(sql.runByUid.get(uid));
  if (found === undefined) return null;
  const top = Number(found['id']);
  const definitions = new Map<number, number>();
  const children: ChildPart[] = [];
  const runs = new Set([top]);
  for (const run of runs) {
    for (const { id } of yield* many(sql.exportBelow.all(run))) runs.add(Number(id));
    if (run === top) continue;
    yield PAUSE;
    const row = (yield* one(sql.runById.get(run))) as Row;
    const definition = Number(row['definition']);
    if (!definitions.has(definition)) definitions.set(definition, definitions.size);
    children.push({ ...(yield* readPart(sql, row)), definition: definitions.get(definition) ?? 0 });
  }
  const others: DocumentDefinition[] = [];
  for (const id of definitions.keys()) others.push(yield* definitionOf(sql, id));
  return {
    pawl: 1,
    kind: 'run',
    ...(yield* readPart(sql, found)),
    definition: yield* definitionOf(sql, Number(found['definition'])),
    definitions: others,
    children,
  };
}

function* readPart(sql: Statements, row: Row): Program<RunPart> {
  const run = Number(row['id']);
  const link = yield* linkOf(sql, run);
  const key = row['key'] === null ? undefined : yield* one(sql.exportKey.get(String(row['workflow']), row['key'] ?? null, run));
  const tables = {} as Record<DocumentTable, DocumentRow[]>;
  let read = 0;
  for (const table of DOCUMENT_TABLES) {
    const rows: DocumentRow[] = (tables[table] = []);
    const statement = sql[`export_${table}`];
    for (const row of statement.iterate?.(run) ?? (yield* many(statement.all(run)))) {
      rows.push(toDocument(TABLE_FIELDS[table], row));
      if (++read % PAGE === 0) yield PAUSE;
    }
  }
  return {
    id: runIdText(row['uid'] as Uint8Array),
    run: toDocument(RUN_FIELDS, (yield* one(sql.exportRun.get(run))) as Row),
    link,
    key: key === undefined ? null : (key as unknown as RunPart['key']),
    ...tables,
  };
}

/** Null also where the run that started it is gone. */
function* linkOf(sql: Statements, run: number): Program<DocumentRow | null> {
  const link = yield* one(sql.exportLink.get(run));
  const above = link === undefined ? undefined : yield* one(sql.runById.get(link['parent'] ?? null));
  return above === undefined ? null : toDocument(LINK_FIELDS, { ...link, parent: runIdText(above['uid'] as Uint8Array) });
}

function* definitionOf(sql: Statements, id: number): Program<DocumentDefinition> {
  const stored = yield* one(sql.definitionById.get(id));
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
