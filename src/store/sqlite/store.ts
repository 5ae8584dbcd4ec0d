import { SqliteReads } from './reads.ts';
import type { DatabaseSync } from 'node:sqlite';
import { PawlError } from '../../core/errors.ts';
import { JournalWriter } from '../../core/kernel/journal.ts';
import type * as acts from '../acts.ts';
import { RunAtFault } from '../batch.ts';
import type * as port from '../store.ts';
import { SqliteCare } from './care.ts';
import { Claimer, NOTHING_CLAIMED } from './claims.ts';
import { SqliteMailbox } from './mailbox.ts';
import { Lanes } from './lanes.ts';
import { LimitBook, SqliteCapacity } from './limits.ts';
import { Placer } from './placing.ts';
import { Quarantine } from './quarantine.ts';
import { isBusy, SCHEMA, sqliteCode, storeError, type OpenOptions } from './driver.ts';
import { pause } from './flush.ts';
import { openFile } from './open-to-read.ts';
import { readDead, type Row } from './rows.ts';
import { loadRun, readDefinition, readDue, readHolders, readOpenDefinitions, readWaitingSince } from './lookups.ts';
import { SqliteSchedules } from './schedules.ts';
import { prepareStatements, SETUP, type Statements } from './statements.ts';
import { GuardFailed, RunWriter, TaskWriter } from './writes.ts';

/** How long a write may wait for another process's transaction before it is given up as `STORE_BUSY`. */
const BUSY_LIMIT_MS = 30_000;

const READ_FIX = { fix: "Open the store without access: 'read'." };

/** One SQLite file (or `:memory:`), one connection, used by one process; other processes may have the same file open. */
export class SqliteStore extends SqliteReads implements port.Store {
  readonly care: SqliteCare;
  readonly mailbox: SqliteMailbox;
  readonly capacity: SqliteCapacity;
  readonly schedules: SqliteSchedules;
  private readonly options: OpenOptions;
  private db: DatabaseSync | null = null;
  private sql!: Statements;
  private writer!: RunWriter;
  private aside!: Quarantine;
  private claimer!: Claimer;
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
    super();
    this.options = options;
    this.epoch = options.firstEpoch ?? 0;
    const connection = {
      path: options.path,
      sql: () => this.reading(),
      read: <T>(work: () => T): T => this.read(work),
      write: <T>(work: () => T): Promise<T> => this.write(work),
      touched: (now: number) => this.touched(now),
      note: (now: number, changes: string) => this.note(now, changes),
    };
    this.care = new SqliteCare(connection, this);
    this.capacity = new SqliteCapacity(connection);
    this.schedules = new SqliteSchedules(connection);
    this.mailbox = new SqliteMailbox(connection);
  }

  async open(): Promise<port.StoreInfo> {
    this.closed = false;
    if (this.db === null) this.connect();
    this.readHead();
    const { clock, isImmutable } = this;
    return { kind: 'sqlite', clock, schema: SCHEMA, path: this.options.path, isImmutable, writer: { in: 'main', flushMs: null } };
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
    this.sql = prepareStatements(db);
    const tasks = new TaskWriter(this.sql);
    const book = new LimitBook(this.sql);
    const lanes = new Lanes(this.sql, book, () => this.epoch);
    this.writer = new RunWriter(this.sql, tasks, lanes);
    this.aside = new Quarantine(this.sql, this.writer, new Placer(this.sql, lanes));
    this.claimer = new Claimer(this.sql, tasks, book);
    this.dataVersion = -1;
  }

  async close(): Promise<void> {
    this.closed = true;
    this.db?.close();
    this.db = null;
  }

  async define(definitions: readonly port.NewDefinition[]): Promise<port.StoredDefinition[]> {
    const { readDefinition: stored } = this.reading();
    const known = definitions.map((one) => stored.get(one.workflow, one.version));
    if (known.every((row) => row !== undefined)) return known.map((row) => readDefinition(row as Row));
    return this.write(() =>
      definitions.map((one) => {
        const row = this.sql.readDefinition.get(one.workflow, one.version);
        if (row !== undefined) return readDefinition(row);
        const firstBody = this.take('next_body', one.graph.tasks.length);
        const { id } = this.sql.insertDefinition.get(one.workflow, one.version, one.hash, JSON.stringify(one.graph), firstBody, one.at) as {
          id: number;
        };
        return { ...one, id, firstBody };
      }),
    );
  }

  async told(run: number): Promise<void> {
    await this.write(() => this.sql.told.run(run));
  }

  async reserve(runs: number, tokens: number): Promise<port.Reserved> {
    return this.write(() => ({ firstRun: this.take('next_run', runs), firstToken: this.take('next_token', tokens) }));
  }

  /** First of `n` numbers that are taken for good, whether they are used or not. */
  private take(name: string, n: number): number {
    const row = this.sql.takeNumbers.get(n, name);
    return Number(row?.['value']) - n;
  }

  async commit(batch: port.Batch): Promise<port.CommitResult> {
    const conflicts = new Set<number>();
    for (;;) {
      try {
        return await this.write(() => this.apply(batch, conflicts));
      } catch (error) {
        // A guard that failed has rolled back the whole transaction: the others are written without that run.
        if (!(error instanceof GuardFailed)) throw error;
        const at = batch.runs.findIndex((write, i) => write.state.run === error.run && !conflicts.has(i));
        if (at === -1)
          throw new PawlError('ENGINE_BROKEN', `A guard failed for run number ${error.run}, which the batch does not write.`, {
            cause: error,
          });
        conflicts.add(at);
        addKin(batch.runs, conflicts);
      }
    }
  }

  private apply(batch: port.Batch, conflicts: Set<number>): port.CommitResult {
    this.noticeOthers();
    const journal = new JournalWriter();
    const { now, worker } = batch;
    this.writer.begin();
    // why: what a worker claims after others have taken its work back, nobody would ever take back again
    if (worker !== 0 && this.sql.isFenced.get(worker)?.['fenced'] === 1) {
      throw new PawlError('WORKER_LEASE_LOST', `Worker ${worker} has lost its lease; what it held is taken back.`);
    }
    const logs = batch.logs.map((write) => this.writer.log(write));
    batch.runs.forEach((write, i) => {
      if (!conflicts.has(i) && this.isStale(write)) conflicts.add(i);
    });
    if (conflicts.size > 0) addKin(batch.runs, conflicts);
    batch.runs.forEach((write, i) => {
      if (!conflicts.has(i)) this.change(write, now, journal);
    });
    for (const run of batch.share) this.sql.shareRun.run(run);
    const steps = batch.steps.map((step) => this.writer.step(step));
    const { maxQueued } = batch;
    const isBounded = maxQueued !== undefined && batch.starts.length > 0;
    const queue = isBounded ? { bound: maxQueued, waiting: this.writer.backlog(maxQueued) } : undefined;
    const starts = batch.starts.map((start) => this.writer.start(start, now, journal, queue));
    const claimed = batch.claim === null ? NOTHING_CLAIMED : this.claimer.claim(batch.claim, { worker, now, epoch: this.epoch }, journal);
    // why: a commit whose outcome is unknown is found again by its journal row, so one that writes anything has one
    if (!journal.isEmpty || steps.length + logs.length > 0 || batch.share.length > 0) this.record(now, worker, journal.finish());
    batch.runs.forEach(({ state, move }, i) => {
      if (move !== null && !conflicts.has(i)) this.sql.insertMove.run(state.run, this.written?.seq ?? 0, move.from, move.to);
    });
    return {
      epoch: this.epoch,
      clock: Math.max(this.clock, now),
      seq: this.written?.seq ?? this.seq,
      starts,
      conflicts: [...conflicts],
      steps,
      logs,
      keys: [...this.writer.keys],
      ...claimed,
    };
  }

  private change(write: port.RunWrite, now: number, journal: JournalWriter): void {
    try {
      this.writer.change(write, now, journal);
    } catch (error) {
      if (error instanceof GuardFailed || storeError(error, this.options.path) instanceof PawlError) throw error;
      throw new RunAtFault(write.state.run, error);
    }
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

  /** The journal row of the transaction that is open. */
  private record(now: number, worker: number, changes: string): void {
    const at = Math.max(this.clock, now);
    const nonce = this.nonce++;
    const seq = Number(this.sql.insertJournal.run(at, worker, nonce, changes).lastInsertRowid);
    this.written = { seq, at, nonce };
  }

  /** The runs that this transaction touches may be cached here and elsewhere: each process compares its states before it relies on them. */
  private touched(now: number, changes = '[]'): void {
    this.noticeOthers();
    this.epoch++;
    this.record(now, 0, changes);
  }

  /** A row of the journal for what touches no run's state. */
  private note(now: number, changes: string): void {
    this.noticeOthers();
    this.record(now, 0, changes);
  }

  private isStale(write: port.RunWrite): boolean {
    if (write.epoch === this.epoch) return false;
    const row = this.sql.readRev.get(write.state.run);
    return row === undefined || Number(row['rev']) !== write.state.rev;
  }

  async load(requests: readonly port.LoadRequest[]): Promise<(port.LoadedRun | port.BrokenRun)[]> {
    return this.read(() =>
      requests.flatMap((request): (port.LoadedRun | port.BrokenRun)[] => {
        try {
          return loadRun(this.sql, request, this.epoch);
        } catch (error) {
          if (sqliteCode(error) !== null) throw storeError(error, this.options.path);
          return [{ run: request.run, broken: error instanceof Error ? error.message : String(error) }];
        }
      }),
    );
  }

  async boot(worker: port.WorkerFacts, leaseUntil: number): Promise<number> {
    return this.write(() => {
      const { name, host, pid, pidStarted, bootId, pidNamespace, startedAt, slots } = worker;
      const serves = JSON.stringify(worker.serves);
      const row = this.sql.insertWorker.get(name, host, pid, pidStarted, bootId, pidNamespace, startedAt, leaseUntil, slots, serves);
      return Number(row?.['id']);
    });
  }

  async beat(worker: number, now: number, leaseUntil: number): Promise<boolean> {
    return this.write(() => this.sql.beat.run(leaseUntil, worker, now).changes === 1);
  }

  async wedge(worker: number): Promise<void> {
    await this.write(() => this.sql.wedge.run(worker));
  }

  async leave(worker: number, now: number): Promise<void> {
    await this.write(() => this.sql.leave.run(now, worker));
  }

  async fence(worker: number, proof: { readonly now: number } | { readonly dead: true }): Promise<boolean> {
    return this.write(() => {
      const { changes } = 'dead' in proof ? this.sql.fenceDead.run(worker) : this.sql.fenceExpired.run(worker, proof.now);
      return changes === 1;
    });
  }

  async due(now: number, limit: number): Promise<port.Due> {
    return this.read(() => readDue(this.sql, now, limit));
  }

  async openDefinitions(): Promise<number[]> {
    return this.read(() => readOpenDefinitions(this.sql));
  }

  async waitingSince(definition: Pick<port.StoredDefinition, 'id' | 'firstBody' | 'graph'>): Promise<number | null> {
    return this.read(() => readWaitingSince(this.sql, definition));
  }

  async cached(keys: readonly string[], now: number): Promise<ReadonlyMap<string, string | null>> {
    return this.read(() => {
      const found = new Map<string, string | null>();
      for (const key of keys) {
        const row = this.sql.readCache.get(key, now);
        if (row !== undefined) found.set(key, row['output'] as string | null);
      }
      return found;
    });
  }

  async quarantine(run: number, why: string, outcomes: readonly port.ParkedOutcome[], now: number): Promise<void> {
    await this.write(() => this.recordIf(this.aside.setAside(run, why, outcomes, now), now));
  }

  async head(): Promise<port.Head> {
    this.reading();
    this.noticeOthers();
    return { seq: this.seq, epoch: this.epoch };
  }

  async journal(after: number, limit: number): Promise<{ entries: port.JournalRow[]; gone: boolean }> {
    const entries = this.reading().journalAfter.all(after, limit) as unknown as port.JournalRow[];
    // why: last, so that rows which another process cuts in between are missed by nobody
    const pruned = Number(this.sql.prunedTo.get()?.['value'] ?? 0);
    return { entries, gone: Math.max(0, after) < pruned };
  }

  async holdersOf(key: string, workflow: string | null): Promise<port.RunRow[]> {
    return this.read(() => readHolders(this.sql, key, workflow));
  }

  async deadLetters(before: acts.DeadCursor | null, limit: number, only?: number): Promise<port.DeadRow[]> {
    const { at, run, node, item } = before ?? { at: Number.MAX_SAFE_INTEGER, run: 0, node: 0, item: 0 };
    return this.read(() => {
      const { deadLetters, deadLettersOf, runById } = this.sql;
      const rows = only === undefined ? deadLetters.all(at, run, node, item, limit) : deadLettersOf.all(only, at, run, node, item, limit);
      return readDead(rows, (id) => runById.get(id));
    });
  }

  async release(run: number, act: acts.ActWrite, now: number, placed: readonly acts.Placed[] = []): Promise<string | null> {
    return this.write(() => {
      const full = this.aside.fullKey(placed);
      if (full === null) this.recordIf(this.aside.release(run, act, now, placed), now);
      return full;
    });
  }

  async abandonRun(run: number, act: acts.ActWrite, now: number): Promise<void> {
    await this.write(() => this.recordIf(this.aside.abandon(run, act, now), now));
  }

  private recordIf(changes: string | null, now: number): void {
    if (changes !== null) this.touched(now, changes);
  }

  async parked(run: number): Promise<port.ParkedRow[]> {
    this.reading();
    return this.aside.parked(run);
  }

  async unpark(run: number, last: number): Promise<void> {
    await this.write(() => this.sql.unpark.run(run, last));
  }

  protected reading(): Statements {
    if (this.closed) throw new PawlError('STORE_CLOSED', `${this.options.path}: the store is closed.`);
    if (this.db === null) this.connect();
    return this.sql;
  }

  /** Several statements on one snapshot. */
  private read<T>(work: () => T): T {
    this.reading().beginRead.run();
    try {
      this.noticeOthers();
      return work();
    } finally {
      this.sql.commit.run();
    }
  }

  /**
   * One write transaction. The main thread never waits for SQLite's lock: while another process holds it, a timer with jitter tries again.
   * After a commit whose outcome is unknown the file is opened anew, and the journal tells.
   */
  private async write<T>(work: () => T): Promise<T> {
    if (this.options.access === 'read') throw new PawlError('STORE_READONLY', `${this.options.path} was opened to read.`, READ_FIX);
    const started = performance.now();
    while (!this.begun()) {
      if (performance.now() - started > BUSY_LIMIT_MS) {
        throw new PawlError('STORE_BUSY', `${this.options.path}: another process has held the write lock for ${BUSY_LIMIT_MS} ms.`);
      }
      await new Promise((resolve) => setTimeout(resolve, 1 + Math.random() * 2));
    }
    // why: from BEGIN to COMMIT nothing awaits, so no other call of this process can come in between
    this.written = null;
    let result: T;
    try {
      result = work();
    } catch (error) {
      this.rollback();
      throw storeError(error, this.options.path);
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
      throw storeError(error, this.options.path);
    }
  }

  private rollback(): void {
    if (this.db?.isTransaction) this.sql.rollback.run();
  }

  /** Opens the file anew and looks whether the commit happened: returns where it did, throws the commit's error where it did not. */
  private resolveCommit(error: unknown): void {
    const { path } = this.options;
    const { written } = this;
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

/** A write that meets another revision takes with it those that belong together with it. */
function addKin(runs: readonly port.RunWrite[], conflicts: Set<number>): void {
  const groups = new Set([...conflicts].flatMap((i) => runs[i]?.group ?? []));
  if (groups.size === 0) return;
  runs.forEach((write, i) => {
    if (write.group !== undefined && groups.has(write.group)) conflicts.add(i);
  });
}
