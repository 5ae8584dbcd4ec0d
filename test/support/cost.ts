/** What a piece of work costs the store, counted between the engine and SQLite: for all connections of this thread. */
import { statSync } from 'node:fs';
import { DatabaseSync, StatementSync } from 'node:sqlite';
import { GCProfiler, getHeapStatistics } from 'node:v8';

type Function = (...values: unknown[]) => unknown;

const own = (of: object, name: string): Function => Object.getOwnPropertyDescriptor(of, name)?.value as Function;

export interface Cost {
  /** Everything that SQLite was asked to run, BEGIN and COMMIT too. */
  readonly statements: number;
  /** Transactions that write. */
  readonly commits: number;
  readonly journalRows: number;
  /** Of the text of the journal's rows. */
  readonly journalBytes: number;
  /** What the write-ahead log has grown by; it must never be checkpointed meanwhile (`keepWal`). */
  readonly walBytes: number;
  /** JavaScript objects, whether they still live or not. */
  readonly allocatedBytes: number;
  /** By what they do, in order of their number: `INSERT tasks`. */
  readonly kinds: ReadonlyMap<string, number>;
}

/** `INSERT tasks`, `SELECT runs`, `COMMIT`. */
function kindOf(sql: string): string {
  const verb = /^\s*(?:--.*\n\s*)*(\w+)/.exec(sql)?.[1]?.toUpperCase() ?? '?';
  const table = /\b(?:FROM|INTO|UPDATE(?: OR \w+)?)\s+(\w+)/i.exec(sql)?.[1];
  return table === undefined ? verb : `${verb} ${table}`;
}

/** `plant` runs after each statement, with its kind: for a control. */
export async function costOf(wal: string, work: () => Promise<unknown>, plant?: (kind: string) => void): Promise<Cost> {
  const kinds = new Map<string, number>();
  const known = new Map<string, string>();
  const cost = { statements: 0, commits: 0, journalRows: 0, journalBytes: 0 };
  let isPlanting = false;
  const count = (sql: string, values: readonly unknown[]): void => {
    let kind = known.get(sql);
    if (kind === undefined) known.set(sql, (kind = kindOf(sql)));
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    cost.statements++;
    if (sql === 'BEGIN IMMEDIATE') cost.commits++;
    if (kind === 'INSERT journal') {
      cost.journalRows++;
      for (const value of values) if (typeof value === 'string') cost.journalBytes += value.length;
    }
    if (plant === undefined || isPlanting) return;
    isPlanting = true;
    plant(kind);
    isPlanting = false;
  };
  const undo: (() => void)[] = [];
  for (const name of ['run', 'get', 'all', 'iterate'] as const) {
    const before = own(StatementSync.prototype, name);
    const counted = function counted(this: StatementSync, ...values: unknown[]): unknown {
      const result = before.apply(this, values);
      // why: a BEGIN that met another connection's lock has thrown, and began nothing
      count(this.sourceSQL, values);
      return result;
    };
    Object.assign(StatementSync.prototype, { [name]: counted });
    undo.push(() => Object.assign(StatementSync.prototype, { [name]: before }));
  }
  const exec = own(DatabaseSync.prototype, 'exec');
  const counted = function counted(this: DatabaseSync, sql: string): unknown {
    count(sql, []);
    return exec.call(this, sql);
  };
  Object.assign(DatabaseSync.prototype, { exec: counted });
  undo.push(() => Object.assign(DatabaseSync.prototype, { exec }));
  const walBefore = sizeOf(wal);
  const allocated = allocations();
  try {
    await work();
  } finally {
    for (const step of undo) step();
  }
  const allocatedBytes = allocated();
  const inOrder = new Map([...kinds].toSorted(([, a], [, b]) => b - a));
  return { ...cost, walBytes: sizeOf(wal) - walBefore, allocatedBytes, kinds: inOrder };
}

const sizeOf = (file: string): number => statSync(file).size;

/** Begins to count; what it returns ends that and gives the bytes. */
function allocations(): () => number {
  const profiler = new GCProfiler();
  profiler.start();
  const first = getHeapStatistics().used_heap_size;
  return () => {
    const last = getHeapStatistics().used_heap_size;
    const { statistics } = profiler.stop();
    let [sum, after] = [0, first];
    for (const { beforeGC, afterGC } of statistics) {
      sum += beforeGC.heapStatistics.usedHeapSize - after;
      after = afterGC.heapStatistics.usedHeapSize;
    }
    return sum + last - after;
  };
}

/** Files that are opened until the returned function is called keep all of their write-ahead log, which then tells what was written. */
export function keepWal(): () => void {
  const exec = own(DatabaseSync.prototype, 'exec');
  const kept = function kept(this: DatabaseSync, sql: string): unknown {
    return exec.call(this, sql.includes('wal_autocheckpoint') ? 'PRAGMA wal_autocheckpoint = 0' : sql);
  };
  Object.assign(DatabaseSync.prototype, { exec: kept });
  return () => Object.assign(DatabaseSync.prototype, { exec });
}
