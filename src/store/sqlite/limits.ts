import type { Rate } from '../../core/capacity/capacity.ts';
import type { Fair } from '../../core/capacity/fair.ts';
import { admit, type GateAsker } from '../../core/kernel/gates.ts';
import type { KeyNeed, Need } from '../../core/capacity/needs.ts';
import type { Declared, LimitKind, LimitName, LimitValue } from '../../core/capacity/limits.ts';
import { parseRate, rateText } from '../../core/define/needs-options.ts';
import * as port from '../capacity.ts';
import type { OperatorAct } from '../acts.ts';
import { recordAct } from './audit.ts';
import type { Connection } from './connection.ts';
import { heldUnits } from './grants.ts';
import { readNeeds } from './lanes.ts';
import { FIRST_LANE } from './statements-limits.ts';
import type { Statements } from './statements.ts';

/** What is said of limits and pauses, kept from transaction to transaction: read again when somebody may have changed it. */
export class LimitBook {
  private readonly sql: Statements;
  private epoch = -1;
  private values = new Map<string, LimitValue>();
  private operators = new Map<string, LimitValue>();
  private fairs = new Map<string, Fair>();
  paused: port.PausedNames = { queues: new Set(), workflows: new Set() };

  constructor(sql: Statements) {
    this.sql = sql;
  }

  refresh(epoch: number): void {
    if (epoch === this.epoch) return;
    this.values.clear();
    this.operators.clear();
    this.fairs.clear();
    for (const { kind, name, code, operator, fair } of readLimits(this.sql)) {
      const id = `${kind}:${name}`;
      if (fair !== undefined) this.fairs.set(name, fair);
      if (operator !== null) this.operators.set(id, operator);
      const value = operator ?? code;
      if (value !== null) this.values.set(id, value);
    }
    this.paused = port.pausedNames(this.sql.readPaused.all() as unknown as port.PausedRow[]);
    this.epoch = epoch;
  }

  pool(name: string): number | null {
    const value = this.values.get(`pool:${name}`);
    return typeof value === 'number' ? value : null;
  }

  key(name: string): number | null {
    const value = this.operators.get(`key:${name}`);
    return typeof value === 'number' ? value : null;
  }

  rate(name: string): Rate | null {
    const value = this.values.get(`rate:${name}`);
    return typeof value === 'object' ? value : null;
  }

  fair(pool: string): Fair | null {
    return this.fairs.get(pool) ?? null;
  }

  /** By which of its pools such a task has its turn: the first that is fair. */
  fairPool(needs: readonly Need[]): string | null {
    return this.fairs.size === 0 ? null : (needs.find((need) => need.kind === 'pool' && this.fairs.has(need.name))?.name ?? null);
  }

  /** Its units of some pool go in turn between runs. */
  isByRun(needs: readonly Need[]): boolean {
    return this.fairs.size > 0 && needs.some((need) => need.kind === 'pool' && this.fairs.get(need.name) === 'run');
  }

  get isAnyPaused(): boolean {
    return this.paused.queues.size + this.paused.workflows.size > 0;
  }

  isPaused(place: port.BodyPlace | undefined): boolean {
    return this.isAnyPaused && port.isPaused(this.paused, place);
  }
}

export class SqliteCapacity implements port.CapacityStore {
  private readonly connection: Connection;

  constructor(connection: Connection) {
    this.connection = connection;
  }

  async declare(limits: readonly Declared[], now: number): Promise<void> {
    const { connection } = this;
    const stored = new Map(readLimits(connection.sql()).map((row) => [`${row.kind}:${row.name}`, said(row.code, row.fair)]));
    if (limits.every(({ kind, name, value, fair }) => stored.get(`${kind}:${name}`) === said(value, fair))) return;
    await connection.write(() => {
      for (const { kind, name, value, fair } of limits) connection.sql().declareLimit.run(kind, name, valueText(value), fair ?? null);
      connection.touched(now);
    });
  }

  async list(): Promise<readonly port.LimitRow[]> {
    return readLimits(this.connection.sql());
  }

  async set({ kind, name, value }: Declared, now: number, act: OperatorAct): Promise<void> {
    await this.change(now, act, (sql) => sql.setLimit.run(kind, name, valueText(value)).changes > 0);
  }

  async clear({ kind, name }: LimitName, now: number, act: OperatorAct): Promise<boolean> {
    return this.change(
      now,
      act,
      (sql) => Number(sql.clearLimit.run(kind, name).changes) + Number(sql.dropLimit.run(kind, name).changes) > 0,
    );
  }

  async held(): Promise<readonly port.HeldUnits[]> {
    const { connection } = this;
    return connection.read(() => readHeld(connection.sql()));
  }

  async pause(kind: port.PausedRow['kind'], name: string, now: number, act: OperatorAct): Promise<boolean> {
    return this.change(now, act, (sql) => sql.pauseName.run(kind, name, now).changes > 0);
  }

  async resume(kind: port.PausedRow['kind'], name: string, now: number, act: OperatorAct): Promise<boolean> {
    return this.change(now, act, (sql) => sql.resumeName.run(kind, name).changes > 0);
  }

  async paused(): Promise<readonly port.PausedRow[]> {
    return this.connection.sql().readPaused.all() as unknown as port.PausedRow[];
  }

  async admit(keys: readonly string[] | null): Promise<port.Admitted> {
    const { connection } = this;
    const sql = connection.sql();
    const waits = keys === null ? sql.nextGate.get('') !== undefined : keys.some((key) => sql.anyWaiting.get(key) !== undefined);
    // why: usually nobody waits, and a look that finds that needs no lock
    if (!waits && sql.gateGranted.get() === undefined) return { granted: [], displaced: [] };
    return connection.write(() => admitRuns(connection.sql(), keys ?? waitingKeys(connection.sql())));
  }

  async tidy(limit: number): Promise<number> {
    const { connection } = this;
    if (connection.sql().emptyLanes.get(0, 1) === undefined) return 0;
    return connection.write(() => {
      const empty = connection.sql().emptyLanes.all(0, limit);
      for (const { id } of empty) connection.sql().dropLane.run(id ?? null);
      return empty.length;
    });
  }

  async queued(): ReturnType<port.CapacityStore['queued']> {
    const { connection } = this;
    return connection.read(() => queuedKinds(connection.sql()));
  }

  async look(run: number): Promise<port.CapacityLook> {
    const { connection } = this;
    return connection.read(() => {
      const sql = connection.sql();
      return {
        limits: readLimits(sql),
        held: readHeld(sql),
        buckets: sql.readBuckets.all() as unknown as port.CapacityLook['buckets'],
        paused: sql.readPaused.all() as unknown as port.PausedRow[],
        needs: sql.needsOfRun
          .all(run)
          .map(({ node, item, needs }) => ({ node: Number(node), item: Number(item), needs: readNeeds(needs) })),
        gate: readGate(sql, run),
      };
    });
  }

  /** The journal row makes every process read it again. */
  private change(now: number, act: OperatorAct, work: (sql: Statements) => boolean): Promise<boolean> {
    const { connection } = this;
    return connection.write(() => {
      const isChanged = work(connection.sql());
      if (!isChanged) return false;
      recordAct(connection.sql(), act, now);
      connection.touched(now);
      return true;
    });
  }
}

function readHeld(sql: Statements): port.HeldUnits[] {
  return [...heldUnits(sql)].map(([id, units]) => {
    const at = id.indexOf(':');
    return { kind: id.slice(0, at) as 'pool' | 'key', name: id.slice(at + 1), units };
  });
}

function readGate(sql: Statements, run: number): port.CapacityLook['gate'] {
  const row = sql.gateOf.get(run);
  if (row === undefined) return null;
  const holders = sql.gateHolders.all(row['name'] ?? null, MAX_HOLDERS).length;
  return { need: JSON.parse(String(row['need'])) as KeyNeed, isHeld: row['held'] !== 0, holders };
}

const MAX_KINDS = 1_000;

function queuedKinds(sql: Statements): { definition: number; node: number | null }[] {
  const found = new Map<string, { definition: number; node: number | null }>();
  for (
    let row = sql.nextQueuedBody.get(0);
    row !== undefined && found.size < MAX_KINDS;
    row = sql.nextQueuedBody.get(row['body'] ?? null)
  ) {
    const body = Number(row['body']) > FIRST_LANE ? sql.laneBody.get(row['body'] ?? null)?.['body'] : row['body'];
    const of = sql.definitionOfBody.get(body ?? null);
    if (of !== undefined) found.set(String(body), { definition: Number(of['id']), node: Number(body) - Number(of['firstBody']) });
  }
  for (let row = sql.nextUnclaimedDefinition.get(-1); row !== undefined && found.size < MAX_KINDS;) {
    const definition = Number(row['definition']);
    found.set(`of ${definition}`, { definition, node: null });
    row = sql.nextUnclaimedDefinition.get(definition);
  }
  return [...found.values()];
}

/** Of one key so many waiting runs are looked at, at once. */
const MAX_WAITING = 200;
export const MAX_HOLDERS = 1_000_000;

function* waitingKeys(sql: Statements): Generator<string> {
  for (let row = sql.nextGate.get(''); row !== undefined; row = sql.nextGate.get(row['name'] ?? null)) yield String(row['name']);
}

/** As far as they are asked for: behind the first for which there is no room nobody is looked at. */
function* askers(sql: Statements, key: string): Generator<GateAsker> {
  for (const { run, need } of sql.gateWaiting.iterate(key, MAX_WAITING)) {
    const { limit, onLimit } = JSON.parse(String(need)) as KeyNeed;
    yield { run: Number(run), limit, onLimit };
  }
}

function admitRuns(sql: Statements, keys: Iterable<string>): port.Admitted {
  const displaced: { run: number; status: 'failed' | 'cancelled' }[] = [];
  for (const name of keys) {
    if (sql.anyWaiting.get(name) === undefined) continue;
    const holders = sql.gateHolders.all(name, MAX_HOLDERS);
    const operator = valueOf(sql.operatorOf.get(name)?.['operator'] ?? null);
    const admissions = admit(askers(sql, name), holders.length, typeof operator === 'number' ? operator : null);
    for (const run of admissions.granted) sql.takeGate.run(run, name);
    displaced.push(...admissions.refused);
    if (admissions.displaces) displaced.push({ run: Number(holders[0]?.['run']), status: 'cancelled' });
  }
  return { granted: sql.gateGranted.all().map((row) => Number(row['run'])), displaced };
}

/** How much of a key runs at once, where an operator says it. */
export const operatorsOfKeys = (sql: Statements): ReadonlyMap<string, number> =>
  new Map(
    readLimits(sql).flatMap(({ kind, name, operator }) =>
      kind === 'key' && typeof operator === 'number' ? [[name, operator] as const] : [],
    ),
  );

function readLimits(sql: Statements): port.LimitRow[] {
  return sql.readLimits.all().map((row) => ({
    kind: row['kind'] as LimitKind,
    name: String(row['name']),
    code: valueOf(row['code']),
    operator: valueOf(row['operator']),
    ...(row['fair'] === null ? {} : { fair: row['fair'] as Fair }),
  }));
}

const said = (value: LimitValue | null, fair: Fair | undefined): string => JSON.stringify([value, fair ?? null]);
const valueText = (value: LimitValue): string => (typeof value === 'number' ? String(value) : rateText(value));
const valueOf = (text: unknown): LimitValue | null => (text === null ? null : (parseRate(text) ?? Number(text)));
