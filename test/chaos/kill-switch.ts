/** Kills this process with SIGKILL at a chosen statement of its store. Loaded into workers only, before the engine opens a database. */
import { writeFileSync } from 'node:fs';
import { DatabaseSync, StatementSync } from 'node:sqlite';
import { Worker } from 'node:worker_threads';
import { clock } from './records.ts';

export const STATEMENTS = ['BEGIN', 'INSERT', 'UPDATE', 'COMMIT'] as const;
export type Statement = (typeof STATEMENTS)[number];

export interface KillPlan {
  readonly statement: Statement | 'DELETE';
  /** Before or after it runs, or from another thread within `delayMs` of its begin: inside it, inside its flush, or soon after. */
  readonly where: 'before' | 'after' | 'during';
  /** At the n-th of its kind, from 1 ... */
  readonly n: number;
  /** ... or the first behind it at which more bodies than this are running. */
  readonly over: number;
  readonly delayMs: number;
}

/** Written down by the killed itself. */
export interface KillReport extends KillPlan {
  /** Bodies begun and not ended. */
  readonly running: number;
  /** Which statement of its kind it was. */
  readonly at: number;
  readonly time: number;
}

export function armKillSwitch(plan: KillPlan, running: () => number, reportTo: string): void {
  const counter = new WriteCounter(plan.statement);
  const killer = plan.where === 'during' ? otherThread(plan.delayMs) : null;
  let isFired = false;

  const report = (): void => {
    isFired = true;
    const facts: KillReport = { ...plan, running: running(), at: counter.seen, time: clock() };
    writeFileSync(reportTo, JSON.stringify(facts));
  };
  const around = <T>(sql: string, execute: () => T): T => {
    if (!counter.counts(sql) || isFired || counter.seen < plan.n || running() <= plan.over) return execute();
    if (plan.where === 'after') {
      // why: a statement that throws, such as a BEGIN that finds the file locked, did not happen; the next one will do
      const result = execute();
      report();
      die();
      return result;
    }
    report();
    if (killer === null) die();
    else killer();
    return execute();
  };

  wrap(StatementSync.prototype, ['run', 'get', 'all'], (statement) => (statement as StatementSync).sourceSQL, around);
  wrap(DatabaseSync.prototype, ['exec'], (_, sql) => String(sql), around);
}

type Around = <T>(sql: string, execute: () => T) => T;
type Method = (this: object, ...values: unknown[]) => unknown;

/** Puts `around` around methods that execute SQL; `sqlOf` says which. */
function wrap(prototype: object, names: readonly string[], sqlOf: (self: object, first: unknown) => string, around: Around): void {
  const methods = prototype as Record<string, Method>;
  for (const name of names) {
    const original = methods[name];
    if (original === undefined) throw new Error(`node:sqlite has no ${name} to wrap`);
    methods[name] = function (...values) {
      return around(sqlOf(this, values[0]), () => original.apply(this, values));
    };
  }
}

/** Counts the statements of one kind in transactions that write. */
class WriteCounter {
  seen = 0;
  private readonly kind: KillPlan['statement'];
  private isWriting = false;

  constructor(kind: KillPlan['statement']) {
    this.kind = kind;
  }

  counts(sql: string): boolean {
    const word = sql.slice(0, sql.search(/\s|$/));
    const wasWriting = this.isWriting;
    if (word === 'BEGIN') this.isWriting = sql.startsWith('BEGIN IMMEDIATE');
    if (word === 'COMMIT' || word === 'ROLLBACK') this.isWriting = false;
    // why: a transaction that only reads ends with COMMIT too
    if (word !== this.kind || !(wasWriting || this.isWriting)) return false;
    this.seen++;
    return true;
  }
}

function die(): void {
  process.kill(process.pid, 'SIGKILL');
}

/** Waits for the call without a turn of any event loop, then for the delay, then kills. */
function otherThread(delayMs: number): () => void {
  const flag = new Int32Array(new SharedArrayBuffer(4));
  const code = `
    const { workerData: { flag, delayMs } } = require('node:worker_threads');
    Atomics.wait(flag, 0, 0);
    const end = performance.now() + delayMs;
    while (performance.now() < end);
    process.kill(process.pid, 'SIGKILL');`;
  new Worker(code, { eval: true, workerData: { flag, delayMs } }).unref();
  return () => {
    Atomics.store(flag, 0, 1);
    Atomics.notify(flag, 0);
  };
}
