import { PawlError } from '../../core/errors.ts';
import type * as acts from '../acts.ts';
import type { Care } from '../care.ts';
import type * as port from '../store.ts';
import { commitBatch } from './commit.ts';
import type { Connection } from './connection.ts';
import { SqlCapacity } from './limits.ts';
import { loadRun, readDefinition, readDue, readHolders, readOpenDefinitions, readWaitingSince } from './lookups.ts';
import { SqlMailbox } from './mailbox.ts';
import { changed, many, one, type Program, type Written } from './program.ts';
import { SqlReads } from './reads.ts';
import { readDead, type Row } from './rows.ts';
import { SqlSchedules } from './schedules.ts';
import type { Statements } from './statements.ts';

/** What a store of rows does, whatever its database: the database's own class opens it, and runs its programs. */
export abstract class SqlStore extends SqlReads implements port.Store {
  abstract readonly care: Care;
  readonly mailbox: SqlMailbox;
  readonly capacity: SqlCapacity;
  readonly schedules: SqlSchedules;
  protected readonly connection: Connection;

  constructor(connection: Connection) {
    super();
    this.connection = connection;
    this.capacity = new SqlCapacity(connection);
    this.schedules = new SqlSchedules(connection);
    this.mailbox = new SqlMailbox(connection);
  }

  abstract open(): Promise<port.StoreInfo>;
  abstract close(): Promise<void>;
  abstract head(): Promise<port.Head>;

  protected ask<T>(program: (sql: Statements) => Program<T>): Promise<T> {
    return this.connection.ask(program);
  }

  /** One statement, in a transaction of its own. */
  private async run(work: (sql: Statements) => Written): Promise<number> {
    return this.connection.write(({ sql }) => changed(work(sql)));
  }

  async define(definitions: readonly port.NewDefinition[]): Promise<port.StoredDefinition[]> {
    const known = await this.ask((sql) => storedOf(sql, definitions));
    if (known.every((row) => row !== undefined)) return known.map(readDefinition);
    return this.connection.write(function* ({ sql }) {
      const stored: port.StoredDefinition[] = [];
      for (const each of definitions) {
        const row = yield* one(sql.readDefinition.get(each.workflow, each.version));
        stored.push(row === undefined ? yield* insertDefinition(sql, each) : readDefinition(row));
      }
      return stored;
    });
  }

  async told(run: number): Promise<void> {
    await this.run((sql) => sql.told.run(run));
  }

  async reserve(runs: number, tokens: number): Promise<port.Reserved> {
    return this.connection.write(function* ({ sql }) {
      return { firstRun: yield* take(sql, 'next_run', runs), firstToken: yield* take(sql, 'next_token', tokens) };
    });
  }

  commit(batch: port.Batch): Promise<port.CommitResult> {
    return commitBatch(this.connection, batch);
  }

  async load(requests: readonly port.LoadRequest[]): Promise<(port.LoadedRun | port.BrokenRun)[]> {
    const { connection } = this;
    return connection.read(function* (sql, epoch) {
      const loaded: (port.LoadedRun | port.BrokenRun)[] = [];
      for (const request of requests) {
        try {
          loaded.push(...(yield* loadRun(sql, request, epoch)));
        } catch (error) {
          if (connection.isDriverError(error)) throw connection.errorOf(error);
          loaded.push({ run: request.run, broken: error instanceof Error ? error.message : String(error) });
        }
      }
      return loaded;
    });
  }

  async boot(worker: port.WorkerFacts, leaseUntil: number): Promise<number> {
    const { name, host, pid, pidStarted, bootId, pidNamespace, startedAt, slots } = worker;
    const serves = JSON.stringify(worker.serves);
    const row = await this.connection.write(({ sql }) =>
      one(sql.insertWorker.get(name, host, pid, pidStarted, bootId, pidNamespace, startedAt, leaseUntil, slots, serves)),
    );
    return Number(row?.['id']);
  }

  async beat(worker: number, now: number, leaseUntil: number): Promise<boolean> {
    return (await this.run((sql) => sql.beat.run(leaseUntil, worker, now))) === 1;
  }

  async wedge(worker: number): Promise<void> {
    await this.run((sql) => sql.wedge.run(worker));
  }

  async leave(worker: number, now: number): Promise<void> {
    await this.run((sql) => sql.leave.run(now, worker));
  }

  async fence(worker: number, proof: { readonly now: number } | { readonly dead: true }): Promise<boolean> {
    return (await this.run((sql) => ('dead' in proof ? sql.fenceDead.run(worker) : sql.fenceExpired.run(worker, proof.now)))) === 1;
  }

  async due(now: number, limit: number): Promise<port.Due> {
    return this.connection.read((sql) => readDue(sql, now, limit));
  }

  async openDefinitions(): Promise<number[]> {
    return this.connection.read(readOpenDefinitions);
  }

  async waitingSince(definition: Pick<port.StoredDefinition, 'id' | 'firstBody' | 'graph'>): Promise<number | null> {
    return this.connection.read((sql) => readWaitingSince(sql, definition));
  }

  async cached(keys: readonly string[], now: number): Promise<ReadonlyMap<string, string | null>> {
    return this.connection.read(function* (sql) {
      const found = new Map<string, string | null>();
      for (const key of keys) {
        const row = yield* one(sql.readCache.get(key, now));
        if (row !== undefined) found.set(key, row['output'] as string | null);
      }
      return found;
    });
  }

  async quarantine(run: number, why: string, outcomes: readonly port.ParkedOutcome[], now: number): Promise<void> {
    await this.connection.write(function* ({ aside, touched }) {
      aside.setAside(run, why, outcomes, now);
      yield* touched(now);
    });
  }

  async journal(after: number, limit: number): Promise<{ entries: port.JournalRow[]; gone: boolean }> {
    return this.ask(function* (sql) {
      const entries = (yield* many(sql.journalAfter.all(after, limit))) as unknown as port.JournalRow[];
      // why: last, so that rows which another process cuts in between are missed by nobody
      const pruned = Number((yield* one(sql.prunedTo.get()))?.['value'] ?? 0);
      return { entries, gone: Math.max(0, after) < pruned };
    });
  }

  async holdersOf(key: string, workflow: string | null): Promise<port.RunRow[]> {
    return this.connection.read((sql) => readHolders(sql, key, workflow));
  }

  async deadLetters(before: acts.DeadCursor | null, limit: number, only?: number): Promise<port.DeadRow[]> {
    const { at, run, node, item } = before ?? { at: Number.MAX_SAFE_INTEGER, run: 0, node: 0, item: 0 };
    return this.connection.read(function* ({ deadLetters, deadLettersOf, runById }) {
      const rows = yield* many(
        only === undefined ? deadLetters.all(at, run, node, item, limit) : deadLettersOf.all(only, at, run, node, item, limit),
      );
      const runs = new Map<unknown, Row | undefined>();
      for (const { run: id } of rows) if (!runs.has(id)) runs.set(id, yield* one(runById.get(id ?? null)));
      return readDead(rows, (id) => runs.get(id));
    });
  }

  async release(run: number, act: acts.ActWrite, now: number, placed: readonly acts.Placed[] = []): Promise<string | null> {
    return this.connection.write(function* ({ aside, touched }) {
      const full = yield* aside.fullKey(placed);
      if (full === null && (yield* aside.release(run, act, now, placed))) yield* touched(now);
      return full;
    });
  }

  async abandonRun(run: number, act: acts.ActWrite, now: number): Promise<void> {
    await this.connection.write(function* ({ aside, touched }) {
      const changes = yield* aside.abandon(run, act, now);
      if (changes !== null) yield* touched(now, changes);
    });
  }

  async parked(run: number): Promise<port.ParkedRow[]> {
    return (await this.ask((sql) => many(sql.parkedOf.all(run)))) as unknown as port.ParkedRow[];
  }

  async unpark(run: number, last: number): Promise<void> {
    await this.run((sql) => sql.unpark.run(run, last));
  }
}

function* storedOf(sql: Statements, definitions: readonly port.NewDefinition[]): Program<(Row | undefined)[]> {
  const rows: (Row | undefined)[] = [];
  for (const { workflow, version } of definitions) rows.push(yield* one(sql.readDefinition.get(workflow, version)));
  return rows;
}

function* insertDefinition(sql: Statements, definition: port.NewDefinition): Program<port.StoredDefinition> {
  const { workflow, version, hash, graph, at } = definition;
  const firstBody = yield* take(sql, 'next_body', graph.tasks.length);
  const row = yield* one(sql.insertDefinition.get(workflow, version, hash, JSON.stringify(graph), firstBody, at));
  return { ...definition, id: Number(row?.['id']), firstBody };
}

/** First of `n` numbers that are taken for good, whether they are used or not. */
function* take(sql: Statements, name: string, n: number): Program<number> {
  const row = yield* one(sql.takeNumbers.get(n, name));
  if (row === undefined) throw new PawlError('STORE_CORRUPT', `The store has lost its counter ${name}.`);
  return Number(row['value']) - n;
}
