import type { DatabaseSync } from 'node:sqlite';
import { PawlError } from '../../core/errors.ts';
import type { Batch } from '../batch.ts';
import type * as port from '../store.ts';
import { Claimer } from '../sql/claims.ts';
import type { Connection, Transaction } from '../sql/connection.ts';
import { Lanes } from '../sql/lanes.ts';
import { LimitBook } from '../sql/limits.ts';
import { Placer } from '../sql/placing.ts';
import { atOnce, type Program } from '../sql/program.ts';
import { Quarantine } from '../sql/quarantine.ts';
import { TaskWriter } from '../sql/task-writer.ts';
import { RunWriter } from '../sql/writes.ts';
import { isBusy, sqliteCode, storeError, type OpenOptions } from './driver.ts';
import { pause } from './flush.ts';
import { openFile } from './open-to-read.ts';
import { prepareStatements, SETUP, type Statements } from './statements.ts';

/** How long a write may wait for another process's transaction before it is given up as `STORE_BUSY`. */
const BUSY_LIMIT_MS = 30_000;

const READ_FIX = { fix: "Open the store without access: 'read'." };

/** A file's one connection, and what this process knows of the file by it. Every program on it runs through without a stop. */
export class SqliteSession implements Connection {
  readonly path: string;
  private readonly options: OpenOptions;
  private db: DatabaseSync | null = null;
  private sql!: Statements;
  private transaction!: Transaction;
  private dataVersion = -1;
  private epoch: number;
  private seq = 0;
  /** Tells the journal rows of this connection from all others. */
  private nonce = Math.floor(Math.random() * 2 ** 52);
  /** What the open transaction has put into the journal. */
  private written: { readonly seq: number; readonly at: number; readonly nonce: number } | null = null;
  /** The highest instant that a commit has stored, as far as this process has seen. */
  private clock = 0;
  private closed = false;
  private isImmutable = false;
  private isOpened = false;

  constructor(options: OpenOptions) {
    this.options = options;
    this.path = options.path;
    this.epoch = options.firstEpoch ?? 0;
  }

  open(): { readonly clock: number; readonly isImmutable: boolean } {
    this.closed = false;
    if (this.db === null) this.connect();
    this.readHead();
    return { clock: this.clock, isImmutable: this.isImmutable };
  }

  private connect(): void {
    // why: opened anew after a failed commit, it writes nothing but what it was asked to
    const { onFlush: _, ...again } = this.options;
    const { db, isImmutable } = openFile(this.isOpened ? again : this.options);
    this.isOpened = true;
    this.isImmutable = isImmutable;
    db.exec(SETUP.neverWait);
    // why: a connection for what people ask says how durable the commits of its process are
    if (this.options.access === 'read') db.exec(this.options.durability === 'full' ? SETUP.full : SETUP.fast);
    this.db = db;
    const sql = prepareStatements(db);
    this.sql = sql;
    const tasks = new TaskWriter(sql);
    const book = new LimitBook(sql);
    const lanes = new Lanes(sql, book, () => this.epoch);
    const writer = new RunWriter(sql, tasks, lanes);
    this.transaction = {
      sql,
      writer,
      claimer: new Claimer(sql, tasks, book),
      aside: new Quarantine(sql, writer, new Placer(sql, lanes)),
      epoch: () => this.epoch,
      seen: () => ({ seq: this.seq, clock: this.clock }),
      compare: (batch) => this.compare(batch),
      record: (now, worker, changes) => this.record(now, worker, changes),
      touched: (now, changes) => this.touched(now, changes),
      note: (now, changes) => this.note(now, changes),
    };
    this.dataVersion = -1;
  }

  close(): void {
    this.closed = true;
    this.db?.close();
    this.db = null;
  }

  head(): port.Head {
    this.reading();
    this.noticeOthers();
    return { seq: this.seq, epoch: this.epoch };
  }

  errorOf(error: unknown): unknown {
    return storeError(error, this.path);
  }

  isDriverError(error: unknown): boolean {
    return sqliteCode(error) !== null;
  }

  async ask<T>(program: (sql: Statements) => Program<T>): Promise<T> {
    return atOnce(program(this.reading()));
  }

  async read<T>(program: (sql: Statements, epoch: number) => Program<T>): Promise<T> {
    this.reading().beginRead.run();
    try {
      this.noticeOthers();
      return atOnce(program(this.sql, this.epoch));
    } finally {
      this.sql.commit.run();
    }
  }

  private *compare(batch: Batch): Program<{ isFenced: boolean; stale: number[] }> {
    this.noticeOthers();
    const isFenced = batch.worker !== 0 && this.sql.isFenced.get(batch.worker)?.['fenced'] === 1;
    const stale: number[] = [];
    batch.runs.forEach((write, i) => {
      if (this.isStale(write)) stale.push(i);
    });
    return { isFenced, stale };
  }

  private isStale(write: port.RunWrite): boolean {
    if (write.epoch === this.epoch) return false;
    const row = this.sql.readRev.get(write.state.run);
    return row === undefined || Number(row['rev']) !== write.state.rev;
  }

  /** Inside a transaction: has anybody else committed since the last one? */
  private noticeOthers(): void {
    const version = Number(this.sql.dataVersion.get()?.['data_version']);
    if (version === this.dataVersion) return;
    this.dataVersion = version;
    // why: heartbeats move the version too; whatever touches a run leaves a journal row
    const before = this.seq;
    this.readHead();
    if (this.seq !== before) this.epoch++;
  }

  private readHead(): void {
    const head = this.sql.journalHead.get();
    this.seq = Number(head?.['seq'] ?? 0);
    this.clock = Math.max(this.clock, Number(head?.['at'] ?? 0));
  }

  private *record(now: number, worker: number, changes: string): Program<number> {
    const at = Math.max(this.clock, now);
    const nonce = this.nonce++;
    const seq = Number(this.sql.insertJournal.run(at, worker, nonce, changes).lastInsertRowid);
    this.written = { seq, at, nonce };
    return seq;
  }

  private *touched(now: number, changes = '[]'): Program<void> {
    this.noticeOthers();
    this.epoch++;
    yield* this.record(now, 0, changes);
  }

  private *note(now: number, changes: string): Program<void> {
    this.noticeOthers();
    yield* this.record(now, 0, changes);
  }

  private reading(): Statements {
    if (this.closed) throw new PawlError('STORE_CLOSED', `${this.path}: the store is closed.`);
    if (this.db === null) this.connect();
    return this.sql;
  }

  /**
   * One write transaction. The main thread never waits for SQLite's lock: while another process holds it, a timer with jitter tries again.
   * After a commit whose outcome is unknown the file is opened anew, and the journal tells.
   */
  async write<T>(program: (transaction: Transaction) => Program<T>): Promise<T> {
    if (this.options.access === 'read') throw new PawlError('STORE_READONLY', `${this.path} was opened to read.`, READ_FIX);
    const started = performance.now();
    while (!this.begun()) {
      if (performance.now() - started > BUSY_LIMIT_MS) {
        throw new PawlError('STORE_BUSY', `${this.path}: another process has held the write lock for ${BUSY_LIMIT_MS} ms.`);
      }
      await new Promise((resolve) => setTimeout(resolve, 1 + Math.random() * 2));
    }
    // why: from BEGIN to COMMIT nothing awaits, so no other call of this process can come in between
    this.written = null;
    let result: T;
    try {
      result = atOnce(program(this.transaction));
    } catch (error) {
      this.rollback();
      throw storeError(error, this.path);
    }
    try {
      this.sql.commit.run();
    } catch (error) {
      this.resolveCommit(error);
    }
    if (this.options.flushDelayMs !== undefined) pause(this.options.flushDelayMs);
    this.noteWritten();
    return result;
  }

  private noteWritten(): void {
    const { written } = this;
    if (written === null) return;
    this.seq = written.seq;
    this.clock = Math.max(this.clock, written.at);
  }

  /** False while another process holds the lock. */
  private begun(): boolean {
    try {
      this.reading().beginWrite.run();
      return true;
    } catch (error) {
      if (isBusy(error)) return false;
      throw storeError(error, this.path);
    }
  }

  private rollback(): void {
    if (this.db?.isTransaction) this.sql.rollback.run();
  }

  /** Opens the file anew and looks whether the commit happened: returns where it did, throws the commit's error where it did not. */
  private resolveCommit(error: unknown): void {
    const { path, written } = this;
    try {
      this.db?.close();
      this.db = null;
      this.connect();
    } catch {
      throw new PawlError('STORE_UNKNOWN_OUTCOME', `${path}: a commit failed, and the file cannot be opened to see whether it happened.`, {
        cause: error,
      });
    }
    this.epoch++;
    this.readHead();
    const landed = written !== null && Number(this.sql.journalNonce.get(written.seq)?.['nonce'] ?? -1) === written.nonce;
    if (landed) return;
    const coded = storeError(error, path);
    throw coded instanceof PawlError ? coded : new PawlError('STORE_IO', `${path}: a commit failed: ${String(error)}`, { cause: error });
  }
}
