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
import { FIRST_LANE, readNeeds } from './lanes.ts';
import { changed, many, one, type Program } from './program.ts';
import type { Row } from './rows.ts';
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

  *refresh(epoch: number): Program<void> {
    if (epoch === this.epoch) return;
    this.values.clear();
    this.operators.clear();
    this.fairs.clear();
    for (const { kind, name, code, operator, fair } of yield* readLimits(this.sql)) {
      const id = `${kind}:${name}`;
      if (fair !== undefined) this.fairs.set(name, fair);
      if (operator !== null) this.operators.set(id, operator);
      const value = operator ?? code;
      if (value !== null) this.values.set(id, value);
    }
    this.paused = port.pausedNames((yield* many(this.sql.readPaused.all())) as unknown as port.PausedRow[]);
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

export class SqlCapacity implements port.CapacityStore {
  private readonly connection: Connection;

  constructor(connection: Connection) {
    this.connection = connection;
  }

  async declare(limits: readonly Declared[], now: number): Promise<void> {
    const known = await this.connection.ask(readLimits);
    const stored = new Map(known.map((row) => [`${row.kind}:${row.name}`, said(row.code, row.fair)]));
    if (limits.every(({ kind, name, value, fair }) => stored.get(`${kind}:${name}`) === said(value, fair))) return;
    await this.connection.write(function* ({ sql, touched }) {
      for (const { kind, name, value, fair } of limits) sql.declareLimit.run(kind, name, valueText(value), fair ?? null);
      yield* touched(now);
    });
  }

  async list(): Promise<readonly port.LimitRow[]> {
    return this.connection.ask(readLimits);
  }

  async set({ kind, name, value }: Declared, now: number, act: OperatorAct): Promise<void> {
    await this.change(now, act, (sql) => changed(sql.setLimit.run(kind, name, valueText(value))));
  }

  async clear({ kind, name }: LimitName, now: number, act: OperatorAct): Promise<boolean> {
    return this.change(now, act, function* (sql) {
      return (yield* changed(sql.clearLimit.run(kind, name))) + (yield* changed(sql.dropLimit.run(kind, name)));
    });
  }

  async held(): Promise<readonly port.HeldUnits[]> {
    return this.connection.read(readHeld);
  }

  async pause(kind: port.PausedRow['kind'], name: string, now: number, act: OperatorAct): Promise<boolean> {
    return this.change(now, act, (sql) => changed(sql.pauseName.run(kind, name, now)));
  }

  async resume(kind: port.PausedRow['kind'], name: string, now: number, act: OperatorAct): Promise<boolean> {
    return this.change(now, act, (sql) => changed(sql.resumeName.run(kind, name)));
  }

  async paused(): Promise<readonly port.PausedRow[]> {
    return this.connection.ask(readPaused);
  }

  async admit(keys: readonly string[] | null): Promise<port.Admitted> {
    // why: usually nobody waits, and a look that finds that needs no lock
    if (!(await this.connection.ask((sql) => mayAdmit(sql, keys)))) return { granted: [], displaced: [] };
    return this.connection.write(function* ({ sql }) {
      return yield* admitRuns(sql, keys ?? (yield* waitingKeys(sql)));
    });
  }

  async tidy(limit: number): Promise<number> {
    if ((await this.connection.ask((sql) => one(sql.emptyLanes.get(0, 1)))) === undefined) return 0;
    return this.connection.write(function* ({ sql }) {
      const empty = yield* many(sql.emptyLanes.all(0, limit));
      for (const { id } of empty) sql.dropLane.run(id ?? null);
      return empty.length;
    });
  }

  async queued(): ReturnType<port.CapacityStore['queued']> {
    return this.connection.read(queuedKinds);
  }

  async look(run: number): Promise<port.CapacityLook> {
    return this.connection.read(function* (sql) {
      return {
        limits: yield* readLimits(sql),
        held: yield* readHeld(sql),
        buckets: (yield* many(sql.readBuckets.all())) as unknown as port.CapacityLook['buckets'],
        paused: yield* readPaused(sql),
        needs: (yield* many(sql.needsOfRun.all(run))).map(({ node, item, needs }) => ({
          node: Number(node),
          item: Number(item),
          needs: readNeeds(needs),
        })),
        gate: yield* readGate(sql, run),
      };
    });
  }

  /** The journal row makes every process read it again. */
  private change(now: number, act: OperatorAct, work: (sql: Statements) => Program<number>): Promise<boolean> {
    return this.connection.write(function* ({ sql, touched }) {
      if ((yield* work(sql)) === 0) return false;
      recordAct(sql, act, now);
      yield* touched(now);
      return true;
    });
  }
}

function* readPaused(sql: Statements): Program<port.PausedRow[]> {
  return (yield* many(sql.readPaused.all())) as unknown as port.PausedRow[];
}

function* mayAdmit(sql: Statements, keys: readonly string[] | null): Program<boolean> {
  if ((yield* one(sql.gateGranted.get())) !== undefined) return true;
  if (keys === null) return (yield* one(sql.nextGate.get(''))) !== undefined;
  for (const key of keys) if ((yield* one(sql.anyWaiting.get(key))) !== undefined) return true;
  return false;
}

function* readHeld(sql: Statements): Program<port.HeldUnits[]> {
  return [...(yield* heldUnits(sql))].map(([id, units]) => {
    const at = id.indexOf(':');
    return { kind: id.slice(0, at) as 'pool' | 'key', name: id.slice(at + 1), units };
  });
}

function* readGate(sql: Statements, run: number): Program<port.CapacityLook['gate']> {
  const row = yield* one(sql.gateOf.get(run));
  if (row === undefined) return null;
  const holders = (yield* many(sql.gateHolders.all(row['name'] ?? null, MAX_HOLDERS))).length;
  return { need: JSON.parse(String(row['need'])) as KeyNeed, isHeld: row['held'] !== 0, holders };
}

const MAX_KINDS = 1_000;

function* queuedKinds(sql: Statements): Program<{ definition: number; node: number | null }[]> {
  const found = new Map<string, { definition: number; node: number | null }>();
  for (
    let row = yield* one(sql.nextQueuedBody.get(0));
    row !== undefined && found.size < MAX_KINDS;
    row = yield* one(sql.nextQueuedBody.get(row['body'] ?? null))
  ) {
    const body = Number(row['body']) > FIRST_LANE ? (yield* one(sql.laneBody.get(row['body'] ?? null)))?.['body'] : row['body'];
    const of = yield* one(sql.definitionOfBody.get(body ?? null));
    if (of !== undefined) found.set(String(body), { definition: Number(of['id']), node: Number(body) - Number(of['firstBody']) });
  }
  for (let row = yield* one(sql.nextUnclaimedDefinition.get(-1)); row !== undefined && found.size < MAX_KINDS;) {
    const definition = Number(row['definition']);
    found.set(`of ${definition}`, { definition, node: null });
    row = yield* one(sql.nextUnclaimedDefinition.get(definition));
  }
  return [...found.values()];
}

/** Of one key so many waiting runs are looked at, at once. */
const MAX_WAITING = 200;
export const MAX_HOLDERS = 1_000_000;

function* waitingKeys(sql: Statements): Program<string[]> {
  const keys: string[] = [];
  for (let row = yield* one(sql.nextGate.get('')); row !== undefined; row = yield* one(sql.nextGate.get(row['name'] ?? null)))
    keys.push(String(row['name']));
  return keys;
}

/** As far as they are asked for: behind the first for which there is no room nobody is looked at. */
function* askers(waiting: readonly Row[]): Generator<GateAsker> {
  for (const { run, need } of waiting) {
    const { limit, onLimit } = JSON.parse(String(need)) as KeyNeed;
    yield { run: Number(run), limit, onLimit };
  }
}

function* admitRuns(sql: Statements, keys: readonly string[]): Program<port.Admitted> {
  const displaced: { run: number; status: 'failed' | 'cancelled' }[] = [];
  for (const name of keys) {
    const waiting = yield* many(sql.gateWaiting.all(name, MAX_WAITING));
    if (waiting.length === 0) continue;
    const holders = yield* many(sql.gateHolders.all(name, MAX_HOLDERS));
    const operator = valueOf((yield* one(sql.operatorOf.get(name)))?.['operator'] ?? null);
    const admissions = admit(askers(waiting), holders.length, typeof operator === 'number' ? operator : null);
    for (const run of admissions.granted) sql.takeGate.run(run, name);
    displaced.push(...admissions.refused);
    if (admissions.displaces) displaced.push({ run: Number(holders[0]?.['run']), status: 'cancelled' });
  }
  return { granted: (yield* many(sql.gateGranted.all())).map((row) => Number(row['run'])), displaced };
}

/** How much of a key runs at once, where an operator says it. */
export function* operatorsOfKeys(sql: Statements): Program<ReadonlyMap<string, number>> {
  const limits = yield* readLimits(sql);
  return new Map(
    limits.flatMap(({ kind, name, operator }) => (kind === 'key' && typeof operator === 'number' ? [[name, operator] as const] : [])),
  );
}

function* readLimits(sql: Statements): Program<port.LimitRow[]> {
  return (yield* many(sql.readLimits.all())).map((row) => ({
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
