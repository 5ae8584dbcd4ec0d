import { canonical } from '../values/codec.ts';
import {
  DOCUMENT_TABLES,
  fieldProblem,
  LINK_FIELDS,
  RUN_FIELDS,
  TABLE_FIELDS,
  type DocumentTable,
  type Fields,
} from './document-fields.ts';
import { PawlError } from '../errors.ts';
import type { Graph } from '../graph/graph.ts';
import { parseRunId, runIdText } from '../ids.ts';
import { checkRuns } from './run-document-states.ts';
import { graphProblems } from '../graph/validate.ts';

export type DocumentRow = Readonly<Record<string, string | number | null>>;

/** What a run is an execution of. */
export interface DocumentDefinition {
  readonly workflow: string;
  readonly version: string;
  readonly hash: string;
  readonly graph: Graph;
}

/** One run with the rows that belong to it. */
export interface RunPart extends Readonly<Record<DocumentTable, readonly DocumentRow[]>> {
  readonly id: string;
  readonly run: DocumentRow;
  /** Its place in the run that started it; null: a person or a schedule did. */
  readonly link: DocumentRow | null;
  /** What the run holds its idempotency key by. */
  readonly key: { readonly inputHash: string; readonly until: number | null; readonly whileOpen: number } | null;
}

/** A run below the one that was asked for. `definition`: its position in the document's `definitions`. */
export interface ChildPart extends RunPart {
  readonly definition: number;
}

/** One run with everything that belongs to it, the runs below it too, as JSON: what `exportRun` gives and `importRun` takes. */
export interface RunDocument extends RunPart {
  readonly pawl: 1;
  readonly kind: 'run';
  readonly definition: DocumentDefinition;
  /** Those of the runs below. */
  readonly definitions: readonly DocumentDefinition[];
  /** All runs below it, each behind the one that it belongs to. */
  readonly children: readonly ChildPart[];
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
const MAX_CHILDREN = 100_000;
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
    this.names('', value, ['pawl', 'kind', 'definitions', 'children', ...PART]);
    this.definition('definition', value['definition'], digest);
    this.part('', value);
    const definitions = this.list('definitions', value['definitions'], MAX_CHILDREN);
    for (let i = 0; i < definitions.length && this.isGoingOn; i++) this.definition(`definitions[${i}]`, definitions[i], digest);
    const children = this.list('children', value['children'], MAX_CHILDREN);
    for (let i = 0; i < children.length && this.isGoingOn; i++) this.child(`children[${i}]`, children[i], definitions.length);
    // Only what is well formed can be compared.
    if (this.problems.length === 0) checkRuns(value as unknown as RunDocument, (at, problem) => this.add(at, problem));
  }

  private get isGoingOn(): boolean {
    return this.problems.length < SHOWN;
  }

  private child(at: string, value: unknown, definitions: number): void {
    if (!isBag(value)) return this.add(at, 'it is no object');
    this.names(at, value, PART);
    const { definition } = value;
    if (!Number.isSafeInteger(definition) || Number(definition) < 0 || Number(definition) >= definitions)
      this.add(`${at}.definition`, 'it is no position in definitions');
    this.part(at, value);
  }

  private part(at: string, value: Bag): void {
    const within = (name: string): string => (at === '' ? name : `${at}.${name}`);
    if (!isRunId(value['id'])) this.add(within('id'), 'it is no id of a run');
    this.row(within('run'), value['run'], RUN_FIELDS);
    if (value['key'] !== null) this.row(within('key'), value['key'], KEY_FIELDS);
    if (value['link'] !== null) this.row(within('link'), value['link'], LINK_FIELDS);
    for (const table of DOCUMENT_TABLES) this.rows(within(table), value[table], TABLE_FIELDS[table]);
  }

  private definition(at: string, value: unknown, digest: (text: string) => string): void {
    if (!isBag(value)) return this.add(at, 'it is no object');
    const { graph, ...rest } = value;
    this.row(at, rest, DEFINITION_FIELDS);
    const [problem] = graphProblems(graph);
    if (problem !== undefined) return this.add(`${at}.graph`, problem.message);
    if (digest(canonical(graph)) !== value['hash']) this.add(`${at}.hash`, 'it is not the hash of the graph');
    if ((graph as Graph).workflow !== value['workflow']) this.add(`${at}.workflow`, 'the graph is of another workflow');
  }

  private list(at: string, value: unknown, most: number): readonly unknown[] {
    if (Array.isArray(value) && value.length <= most) return value;
    this.add(at, `it must be a list of at most ${most} of them`);
    return [];
  }

  private rows(at: string, value: unknown, fields: Fields): void {
    const rows = this.list(at, value, MAX_ROWS);
    for (let i = 0; i < rows.length && this.isGoingOn; i++) this.row(`${at}[${i}]`, rows[i], fields);
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

  private add(at: string, problem: string): void {
    if (this.isGoingOn) this.problems.push(at === '' ? problem : `${at}: ${problem}`);
  }
}

const PART = ['id', 'definition', 'run', 'link', 'key', ...DOCUMENT_TABLES];

/** As an export writes it: what stands for the same run in another way would be two. */
function isRunId(value: unknown): boolean {
  const uid = typeof value === 'string' ? parseRunId(value) : null;
  return uid !== null && runIdText(uid) === value;
}

const isBag = (value: unknown): value is Bag => typeof value === 'object' && value !== null && !Array.isArray(value);
