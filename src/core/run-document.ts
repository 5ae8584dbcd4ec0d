import { readWaits } from './waits.ts';
import { canonical } from './codec.ts';
import {
  DOCUMENT_KEYS,
  DOCUMENT_TABLES,
  fieldProblem,
  RUN_FIELDS,
  TABLE_FIELDS,
  type DocumentTable,
  type Fields,
} from './document-fields.ts';
import { PawlError } from './errors.ts';
import type { Graph } from './graph.ts';
import { parseRunId } from './ids.ts';
import { isRunOver, isTerminal, type RunStatus, type TaskStatus } from './states.ts';
import { graphProblems } from './validate.ts';

export type DocumentRow = Readonly<Record<string, string | number | null>>;

/** One run with everything that belongs to it, as JSON: what `exportRun` gives and `importRun` takes. */
export interface RunDocument extends Readonly<Record<DocumentTable, readonly DocumentRow[]>> {
  readonly pawl: 1;
  readonly kind: 'run';
  readonly id: string;
  readonly definition: { readonly workflow: string; readonly version: string; readonly hash: string; readonly graph: Graph };
  readonly run: DocumentRow;
  /** What the run holds its idempotency key by. */
  readonly key: { readonly inputHash: string; readonly until: number | null; readonly whileOpen: number } | null;
}

const KEY_FIELDS: Fields = {
  inputHash: { kind: 'text', most: 256 },
  until: { kind: 'int', min: 0, max: Number.MAX_SAFE_INTEGER, nullable: true },
  whileOpen: { kind: 'int', min: 0, max: 1 },
};
const DEFINITION_FIELDS: Fields = {
  workflow: { kind: 'text', most: 65_536 },
  version: { kind: 'text', most: 65_536 },
  hash: { kind: 'text', most: 256 },
};

const MAX_ROWS = 1_000_000;
/** Of a document that is all wrong, so many problems are told. */
const SHOWN = 20;

type Bag = Readonly<Record<string, unknown>>;

/** The document, or `RUN_DOCUMENT_INVALID`: it may come from anywhere, so every field of it is looked at. `digest`: SHA-256, hex. */
export function checkRunDocument(value: unknown, digest: (text: string) => string): RunDocument {
  const check = new DocumentCheck();
  check.document(value, digest);
  if (check.problems.length === 0) return value as RunDocument;
  throw new PawlError('RUN_DOCUMENT_INVALID', `This is no document of a run: ${check.problems[0]}`, {
    details: { problems: check.problems.slice(0, SHOWN) },
  });
}

class DocumentCheck {
  readonly problems: string[] = [];

  document(value: unknown, digest: (text: string) => string): void {
    if (!isBag(value)) return this.add('', 'it is no object');
    if (value['pawl'] !== 1 || value['kind'] !== 'run') return this.add('', 'it does not begin with "pawl": 1, "kind": "run"');
    this.names('', value, ['pawl', 'kind', 'id', 'definition', 'run', 'key', ...DOCUMENT_TABLES]);
    if (typeof value['id'] !== 'string' || parseRunId(value['id']) === null) this.add('id', 'it is no id of a run');
    this.definition(value['definition'], digest);
    this.row('run', value['run'], RUN_FIELDS);
    if (value['key'] !== null) this.row('key', value['key'], KEY_FIELDS);
    for (const table of DOCUMENT_TABLES) this.rows(table, value[table]);
    // Only what is well formed can be compared.
    if (this.problems.length === 0) this.consistency(value as unknown as RunDocument);
  }

  private definition(value: unknown, digest: (text: string) => string): void {
    if (!isBag(value)) return this.add('definition', 'it is no object');
    const { graph, ...rest } = value;
    this.row('definition', rest, DEFINITION_FIELDS);
    const [problem] = graphProblems(graph);
    if (problem !== undefined) return this.add('definition.graph', problem.message);
    if (digest(canonical(graph)) !== value['hash']) this.add('definition.hash', 'it is not the hash of the graph');
    if ((graph as Graph).workflow !== value['workflow']) this.add('definition.workflow', 'the graph is of another workflow');
  }

  private rows(table: DocumentTable, value: unknown): void {
    if (!Array.isArray(value) || value.length > MAX_ROWS) return this.add(table, `it must be a list of at most ${MAX_ROWS} rows`);
    for (let i = 0; i < value.length && this.problems.length < SHOWN; i++) this.row(`${table}[${i}]`, value[i], TABLE_FIELDS[table]);
  }

  private row(at: string, value: unknown, fields: Fields): void {
    if (!isBag(value)) return this.add(at, 'it is no object');
    this.names(at, value, Object.keys(fields));
    for (const [name, field] of Object.entries(fields)) {
      const problem = Object.hasOwn(value, name) ? fieldProblem(field, value[name]) : 'it is missing';
      if (problem !== null) this.add(`${at}.${name}`, problem);
    }
  }

  private names(at: string, value: Bag, known: readonly string[]): void {
    const unknown = Object.keys(value).find((name) => !known.includes(name));
    if (unknown !== undefined) this.add(at, `${JSON.stringify(unknown.slice(0, 60))} is no field of it`);
  }

  /** What a kernel relies on when it reads the rows. */
  private consistency(document: RunDocument): void {
    const { definition, run, key, tasks, maps } = document;
    const isOver = isRunOver[run['status'] as RunStatus];
    if (isOver !== (run['finishedAt'] !== null)) this.add('run.finishedAt', 'it must be there when the run is over, and only then');
    if (key !== null && run['key'] === null) this.add('key', 'the run has none');
    const sizes = new Map(maps.map((map) => [map['node'], Number(map['n'])]));
    const places = new Set<string>();
    for (const [i, task] of tasks.entries()) {
      const at = `tasks[${i}]`;
      const hasEnded = isTerminal[task['status'] as TaskStatus];
      if (hasEnded !== (task['finishedAt'] !== null)) this.add(at, 'finishedAt must be there when the task has ended, and only then');
      const waits = task['waits'] ?? null;
      if ((task['status'] === 'waiting') !== (waits !== null && readWaits(String(waits)) !== null))
        this.add(`${at}.waits`, 'it must say what a waiting task waits for, and only then');
      if (isOver && !hasEnded) this.add(at, 'it is open, and the run is over');
      if (Number(task['item']) >= (sizes.get(task['node'] ?? null) ?? 0)) this.add(at, 'it is an item of no map');
      places.add(placeOf(task));
    }
    for (const [i, map] of maps.entries()) {
      const ended = Number(map['ok']) + Number(map['failed']) + Number(map['cancelled']) + Number(map['skipped']);
      if (Number(map['next']) > Number(map['n']) || ended > Number(map['n']))
        this.add(`maps[${i}]`, 'its counters are more than its items');
      if (!places.has(`${map['node']}:-1`)) this.add(`maps[${i}]`, 'it has no task');
    }
    const nodes = definition.graph.tasks.length;
    for (const table of DOCUMENT_TABLES) {
      const rows = document[table];
      if (rows.some((row) => Number(row['node'] ?? 0) >= nodes)) this.add(table, 'one of them is of no task of the graph');
      this.duplicates(table, rows, DOCUMENT_KEYS[table]);
    }
  }

  private duplicates(table: string, rows: readonly DocumentRow[], key: readonly string[]): void {
    const seen = new Set(rows.map((row) => JSON.stringify(key.map((name) => row[name]))));
    if (seen.size < rows.length) this.add(table, 'two of them are the same');
  }

  private add(at: string, problem: string): void {
    if (this.problems.length < SHOWN) this.problems.push(at === '' ? problem : `${at}: ${problem}`);
  }
}

const placeOf = (row: DocumentRow): string => `${row['node']}:${row['item']}`;

const isBag = (value: unknown): value is Bag => typeof value === 'object' && value !== null && !Array.isArray(value);
