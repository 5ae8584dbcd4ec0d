import { randomBytes } from 'node:crypto';
import { newRunId } from '../src/core/ids.ts';
import { STATE_FORMAT } from '../src/store/format.ts';
import { runCode } from '../src/store/sql/rows.ts';
import { openDatabase } from '../src/store/sqlite/driver.ts';
import { prepareStatements, type Statements } from '../src/store/sqlite/statements.ts';
import { median, type Metrics } from './workload.ts';

/**
 * The limit to measure an engine against: the row writes of a run, and nothing else. The file is opened by the store, so schema and
 * pragmas are its own, and the statements are those that it runs for the same rows; the values are ready before the clock starts.
 *
 * Per run: one insert, one update at the end. Per task: its insert as running, its update as succeeded by primary key and token. Each commit
 * settles what the one before has started, starts what follows, and adds one journal row of the size that an engine's would have.
 */
const BATCH = 100;
const FLUSHES = 200;

const WORKER = 1;
const OUTPUT = '{"n":1}';
const JOURNAL = `[${Array.from({ length: BATCH }, () => '[10000,1,[0,-1,2,5,1],[1,-1,0,2,1]]').join(',')}]`;

interface Slot {
  readonly run: number;
  readonly node: number;
  readonly token: number;
}

export function rawLimit(options: { folder: string; runs: number; tasks: number; warmUpRuns: number }): Metrics {
  const db = openDatabase({ path: `${options.folder}/raw.db`, durability: 'full', patienceMs: 10_000 });
  const sql = prepareStatements(db);
  const writer = new RawWriter(sql, options.tasks, options.warmUpRuns + options.runs);
  writer.write(options.warmUpRuns);
  const before = writer.rows;
  const startMs = performance.now();
  writer.write(options.runs);
  const seconds = (performance.now() - startMs) / 1_000;
  const rawRows = writer.rows - before;
  const flushMs = measureFlush(sql);
  db.close();
  return {
    rawLimitTasksPerSecond: (options.runs * options.tasks) / seconds,
    rawRowsPerSecond: rawRows / seconds,
    rawRows,
    batchSize: BATCH,
    flushMs,
  };
}

/** What a flush takes on a file of the store, alone. */
export function flushOf(folder: string): Metrics {
  const db = openDatabase({ path: `${folder}/flush.db`, durability: 'full', patienceMs: 10_000 });
  const flushMs = measureFlush(prepareStatements(db));
  db.close();
  return { flushMs };
}

/** One commit of a single small row: what the disk takes, and little else. */
function measureFlush(sql: Statements): number {
  const times = Array.from({ length: FLUSHES }, () => {
    const startMs = performance.now();
    sql.beginWrite.run();
    sql.insertJournal.run(Date.now(), WORKER, 0, '[]');
    sql.commit.run();
    return performance.now() - startMs;
  });
  return median(times);
}

class RawWriter {
  rows = 0;
  private readonly sql: Statements;
  private readonly tasks: number;
  private readonly uids: readonly Uint8Array[];
  private nextRun = 0;
  private nextToken = 1;

  constructor(sql: Statements, tasks: number, runs: number) {
    this.sql = sql;
    this.tasks = tasks;
    this.uids = Array.from({ length: runs }, () => newRunId(Date.now(), randomBytes));
  }

  write(runs: number): void {
    let left = runs;
    let slots: Slot[] = [];
    do {
      const started: Slot[] = [];
      const now = Date.now();
      this.sql.beginWrite.run();
      for (const slot of slots) {
        this.settle(slot, now);
        if (slot.node + 1 < this.tasks) started.push(this.start(slot.run, slot.node + 1, now));
        else this.endRun(slot.run, now);
      }
      for (; started.length < BATCH && left > 0; left--) started.push(this.start(this.insertRun(now), 0, now));
      this.sql.insertJournal.run(now, WORKER, 0, JOURNAL);
      this.rows++;
      this.sql.commit.run();
      slots = started;
    } while (slots.length > 0);
  }

  private insertRun(now: number): number {
    const run = this.nextRun++;
    const uid = this.uids[run] ?? null;
    this.sql.insertRun.run(
      run,
      uid,
      1,
      runCode('running'),
      1,
      1,
      STATE_FORMAT,
      WORKER,
      now,
      null,
      now,
      null,
      null,
      null,
      null,
      null,
      null,
      null,
      null,
      0,
      null,
      null,
    );
    this.rows++;
    return run;
  }

  private endRun(run: number, now: number): void {
    this.sql.endRun.run(runCode('success'), null, OUTPUT, 1, now, run);
    this.rows++;
  }

  private start(run: number, node: number, now: number): Slot {
    const token = this.nextToken++;
    this.sql.insertStarted.run(run, node, -1, node + 1, 1, 1, 1, now, now, token, WORKER, now);
    this.rows++;
    return { run, node, token };
  }

  private settle({ run, node, token }: Slot, now: number): void {
    const { changes } = this.sql.succeed.run(OUTPUT, now, run, node, -1, token);
    if (changes !== 1) throw new Error(`task ${node} of run ${run} was not settled`);
    this.rows++;
  }
}
