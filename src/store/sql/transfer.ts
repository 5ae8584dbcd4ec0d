import {
  DOCUMENT_TABLES,
  LINK_FIELDS,
  RUN_FIELDS,
  TABLE_FIELDS,
  type DocumentTable,
  type Field,
  type Fields,
} from '../../core/documents/document-fields.ts';
import { PawlError } from '../../core/errors.ts';
import type { DocumentRow, RunDocument, RunPart } from '../../core/documents/run-document.ts';
import { isRunOver, isTerminal, type RunStatus, type TaskStatus } from '../../core/kernel/states.ts';
import type { StoredDefinition } from '../store.ts';
import type { Connection, Transaction } from './connection.ts';
import { STATE_FORMAT } from '../format.ts';
import { reopenWaits } from './mailbox.ts';
import type { Value } from './rows.ts';
import { one, type Program } from './program.ts';
import type { Statements } from './statements.ts';
import { importedFields } from './transfer-columns.ts';

/** Rows that are written before others get their turn. */
const PAGE = 500;
/** An import that takes longer has failed: what it wrote is deleted by the next prune. */
const IMPORT_MS = 3_600_000;

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** One run of a document, and what it is here. */
export interface Arriving {
  readonly part: RunPart;
  readonly run: number;
  readonly uid: Uint8Array;
  readonly definition: StoredDefinition;
}

interface Arrival extends Arriving {
  readonly isOver: boolean;
  /** Tasks that are maps under way: they hold no lease. */
  readonly maps: ReadonlySet<unknown>;
}

/** All runs of a document, each behind the one that it belongs to. */
export function partsOf(document: RunDocument): readonly RunPart[] {
  return [document, ...document.children];
}

/** What somebody ran where the run was exported: such a task gets a token here, under which its attempt is lost. */
export function heldTasks(part: RunPart): number {
  const maps = mapsOf(part);
  return part.tasks.filter((task) => isHeld(task, maps)).length;
}

const mapsOf = ({ maps }: RunPart): ReadonlySet<unknown> => new Set(maps.map((map) => map['node']));

const isHeld = ({ status, item, node }: DocumentRow, maps: ReadonlySet<unknown>): boolean =>
  status === 'running' && !(item === -1 && maps.has(node));

/**
 * Rows of a run that is not there are met by nobody: the rows of `runs` go last, all in one transaction. Until then a row in `leftovers` sees
 * to it that an import that does not end is cleared away. An open run is quarantined, and its leases stay behind, so that nothing of it runs
 * here: its attempts are parked as lost, which the kernel learns when a person lets it go on.
 */
export async function importRuns(
  connection: Connection,
  arriving: readonly Arriving[],
  { firstToken, now }: { readonly firstToken: number; readonly now: number },
): Promise<void> {
  const arrivals = arriving.map((one): Arrival => ({
    ...one,
    isOver: isRunOver[one.part.run['status'] as RunStatus],
    maps: mapsOf(one.part),
  }));
  await connection.write(function* ({ sql }) {
    yield* checkNew(sql, arrivals);
    for (const { run } of arrivals) sql.putLeftover.run(run, now + IMPORT_MS);
  });
  try {
    for (const page of pagesOf(arrivals, firstToken)) {
      await connection.write(function* ({ sql }) {
        for (const row of page) yield* insertRow(sql, row, now);
        for (const arrival of new Set(page.map((row) => row.arrival))) yield* checkUnderWay(sql, arrival.run);
      });
      await nextTurn();
    }
    await connection.write((transaction) => insertRuns(transaction, arrivals, now));
  } catch (error) {
    await connection.write(function* ({ sql }) {
      for (const { run } of arrivals) sql.putLeftover.run(run, 0);
    });
    throw error;
  }
}

export function* checkNew(sql: Statements, runs: readonly Pick<Arriving, 'part' | 'uid'>[]): Program<void> {
  for (const { part, uid } of runs) {
    if ((yield* one(sql.uidTaken.get(uid))) !== undefined)
      throw new PawlError('RUN_EXISTS', `Run ${part.id} is in this store already.`, { details: { run: part.id } });
    if (Number(part.run['format']) > STATE_FORMAT) {
      const message = `Run ${part.id} was written by a newer version of Pawl, in a format that this one does not know.`;
      throw new PawlError('RUN_DOCUMENT_INVALID', message, { fix: 'Import it with the version that exported it, or a newer one.' });
    }
  }
}

interface ArrivingRow {
  readonly arrival: Arrival;
  readonly table: DocumentTable;
  readonly row: DocumentRow;
  /** Of a task that somebody ran. */
  readonly token: number | null;
}

function* pagesOf(arrivals: readonly Arrival[], firstToken: number): Generator<ArrivingRow[]> {
  let page: ArrivingRow[] = [];
  let next = firstToken;
  for (const arrival of arrivals) {
    for (const table of DOCUMENT_TABLES) {
      for (const row of arrival.part[table]) {
        const token = table === 'tasks' && isHeld(row, arrival.maps) ? next++ : null;
        page.push({ arrival, table, row, token });
        if (page.length < PAGE) continue;
        yield page;
        page = [];
      }
    }
  }
  if (page.length > 0) yield page;
}

function* insertRow(sql: Statements, { arrival, table, row, token }: ArrivingRow, now: number): Program<void> {
  const { run, definition, isOver } = arrival;
  const insert = sql[`import_${table}`];
  const node = Number(row['node']);
  const body = definition.firstBody + node;
  if (table === 'tasks') {
    // why: as `hideTasks` leaves them
    const isHidden = !isOver && !isTerminal[row['status'] as TaskStatus];
    const dueAt = isHidden && row['dueAt'] !== null ? -Number(row['dueAt']) : null;
    insert.run(run, isHidden ? -body : body, token, token === null ? null : NOBODY, ...columns(table, { ...row, dueAt }));
    if (token !== null) sql.park.run(run, node, Number(row['item']), token, LOST, now);
    if (row['status'] === 'waiting') yield* reopenWaits(sql, run, node, Number(row['item']));
  } else if (table === 'maps') insert.run(run, isOver ? body : -body, ...columns(table, isOver ? { ...row, closed: 1 } : row));
  else if (table === 'attempts') insert.run(run, NOBODY, ...columns(table, row));
  else insert.run(run, ...columns(table, row));
}

/** A worker of another store has no number here. */
const NOBODY = 0;
const LOST = JSON.stringify({ kind: 'lost', crashed: false });

const columns = (table: DocumentTable, row: DocumentRow): Value[] =>
  importedFields(table).map((name) => stored((TABLE_FIELDS[table] as Fields)[name] as Field, row[name] ?? null));

function stored(field: Field, value: string | number | null): Value {
  return field.kind === 'word' && field.position && value !== null ? field.of.indexOf(String(value)) : value;
}

function* checkUnderWay(sql: Statements, run: number): Program<void> {
  if ((yield* one(sql.keepLeftover.get(run))) === undefined)
    throw new PawlError('STORE_BUSY', 'The import took so long that its rows were cleared away.', { fix: 'Import the run again.' });
}

function* insertRuns({ sql, touched }: Transaction, arrivals: readonly Arrival[], now: number): Program<void> {
  yield* checkNew(sql, arrivals);
  const numbers = new Map(arrivals.map(({ part, run }) => [part.id, run]));
  const top = arrivals[0]?.run ?? 0;
  for (const arrival of arrivals) {
    yield* checkUnderWay(sql, arrival.run);
    yield* insertRun(sql, arrival, numbers.get(String(arrival.part.link?.['parent'])) ?? null, top);
    sql.dropLeftover.run(arrival.run);
  }
  yield* touched(now);
}

/** Its parent wants it undone: it is over, and will be open again for that. */
const UNDO = 3;
const ASIDE = 'It was imported while it was open: it may still run where it was exported.';

/** `parent`: null where the run to which it belonged is not in the document. */
function* insertRun(sql: Statements, { part, run, uid, definition, isOver }: Arrival, parent: number | null, top: number): Program<void> {
  const { key, link, run: row } = part;
  // why: who is not there wants nothing of it, but may have let go of it
  const recall = link === null || (parent === null && link['recall'] !== 1) ? null : (link['recall'] ?? null);
  // why: what is to be undone would be open again at once
  const isAside = !isOver || recall === UNDO;
  const quarantined = row['quarantined'] ?? (isAside ? ASIDE : null);
  const given = { ...row, quarantined, unclaimed: row['unclaimed'] === 1 && !isOver ? 0 : null };
  const values = Object.entries(RUN_FIELDS).map(([name, field]) => stored(field, (given as DocumentRow)[name] ?? null));
  sql.importRun.run(run, uid, definition.id, 1, recall, isAside ? 1 : null, ...values);
  if (link !== null && parent !== null) {
    const place = [link['node'], link['item'], link['generation'], link['name']].map((value) => value ?? null);
    sql.linkChild.run(parent, ...place, stored(LINK_FIELDS['kind'] as Field, link['kind'] ?? null), top, run);
    if (link['completion'] != null) sql.numberChild.run(link['completion'], run);
  }
  // why: a key that somebody holds here stays theirs
  if (key !== null && (yield* one(sql.keyTaken.get(definition.workflow, String(row['key'])))) === undefined)
    sql.putKey.run(definition.workflow, String(row['key']), run, key.inputHash, key.until, isOver ? 0 : key.whileOpen);
}
