import type { Rate } from '../../core/capacity.ts';
import type { Declared, LimitKind, LimitName, LimitValue } from '../../core/limits.ts';
import { parseRate, rateText } from '../../core/needs-options.ts';
import * as port from '../capacity.ts';
import type { Connection } from './connection.ts';
import { heldUnits } from './grants.ts';
import { readNeeds } from './lanes.ts';
import type { Statements } from './statements.ts';

/** What is said of limits and pauses, kept from transaction to transaction: read again when somebody may have changed it. */
export class LimitBook {
  private readonly sql: Statements;
  private epoch = -1;
  private values = new Map<string, LimitValue>();
  private operators = new Map<string, LimitValue>();
  paused: port.PausedNames = { queues: new Set(), workflows: new Set() };

  constructor(sql: Statements) {
    this.sql = sql;
  }

  refresh(epoch: number): void {
    if (epoch === this.epoch) return;
    this.values.clear();
    this.operators.clear();
    for (const { kind, name, code, operator } of readLimits(this.sql)) {
      const id = `${kind}:${name}`;
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
    const stored = new Map(readLimits(connection.sql()).map((row) => [`${row.kind}:${row.name}`, row.code]));
    if (limits.every(({ kind, name, value }) => JSON.stringify(stored.get(`${kind}:${name}`)) === JSON.stringify(value))) return;
    await connection.write(() => {
      for (const { kind, name, value } of limits) connection.sql().declareLimit.run(kind, name, valueText(value));
      connection.touched(now);
    });
  }

  async list(): Promise<readonly port.LimitRow[]> {
    return readLimits(this.connection.sql());
  }

  async set({ kind, name, value }: Declared, now: number): Promise<void> {
    await this.change(now, (sql) => sql.setLimit.run(kind, name, valueText(value)).changes > 0);
  }

  async clear({ kind, name }: LimitName, now: number): Promise<boolean> {
    return this.change(now, (sql) => Number(sql.clearLimit.run(kind, name).changes) + Number(sql.dropLimit.run(kind, name).changes) > 0);
  }

  async held(): Promise<readonly port.HeldUnits[]> {
    const { connection } = this;
    return [...connection.read(() => heldUnits(connection.sql()))].map(([id, units]) => {
      const at = id.indexOf(':');
      return { kind: id.slice(0, at) as 'pool' | 'key', name: id.slice(at + 1), units };
    });
  }

  async pause(kind: port.PausedRow['kind'], name: string, now: number): Promise<boolean> {
    return this.change(now, (sql) => sql.pauseName.run(kind, name, now).changes > 0);
  }

  async resume(kind: port.PausedRow['kind'], name: string, now: number): Promise<boolean> {
    return this.change(now, (sql) => sql.resumeName.run(kind, name).changes > 0);
  }

  async paused(): Promise<readonly port.PausedRow[]> {
    return this.connection.sql().readPaused.all() as unknown as port.PausedRow[];
  }

  async needsOf(run: number): ReturnType<port.CapacityStore['needsOf']> {
    const rows = this.connection.sql().needsOfRun.all(run);
    return rows.map(({ node, item, needs }) => ({ node: Number(node), item: Number(item), needs: readNeeds(needs) }));
  }

  /** The journal row makes every process read it again. */
  private change(now: number, work: (sql: Statements) => boolean): Promise<boolean> {
    const { connection } = this;
    return connection.write(() => {
      const isChanged = work(connection.sql());
      if (isChanged) connection.touched(now);
      return isChanged;
    });
  }
}

function readLimits(sql: Statements): port.LimitRow[] {
  return sql.readLimits.all().map((row) => ({
    kind: row['kind'] as LimitKind,
    name: String(row['name']),
    code: valueOf(row['code']),
    operator: valueOf(row['operator']),
  }));
}

const valueText = (value: LimitValue): string => (typeof value === 'number' ? String(value) : rateText(value));
const valueOf = (text: unknown): LimitValue | null => (text === null ? null : (parseRate(text) ?? Number(text)));
