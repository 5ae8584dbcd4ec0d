import { isOver, JournalFold, type JournaledRun } from '../../core/kernel/checkpoint.ts';
import { renameSteps } from '../../core/kernel/moving.ts';
import { readJournal } from '../../core/kernel/journal.ts';
import { isRunOver, RUN_STATUSES, type RunStatus } from '../../core/kernel/states.ts';
import type { ActsPruned, ActsPruneRequest, JournalPruned, JournalPruneRequest, Pruned, PruneRequest } from '../care.ts';
import type { Connection } from './connection.ts';
import { runCode, taskCode, type Row } from './rows.ts';
import { changed, many, one, type Program, type Statement } from './program.ts';
import type { Statements } from './statements.ts';
import { RUN_TABLES, type RunTable } from './tables.ts';

/** After so long a transaction begins no further statement: payloads may be large, and other writers wait. */
const LONGEST_MS = 5;
/** Keys that are read at once. */
const CHUNK = 50;
/** Runs that are looked up at once. */
const PAGE = 50;

const OVER = RUN_STATUSES.filter((status) => isRunOver[status]);
const TABLES = Object.keys(RUN_TABLES) as RunTable[];

/** What one transaction may still do. At least one row goes, so that every call gets on. */
class Budget {
  rows = 0;
  private readonly most: number;
  private readonly endMs = performance.now() + LONGEST_MS;

  constructor(most: number) {
    this.most = most;
  }

  get isSpent(): boolean {
    return this.rows >= this.most || performance.now() > this.endMs;
  }

  /** What was below a run that is gone goes by its own age from now on; false when the budget is spent first. */
  *frees(sql: Statements, run: number): Program<boolean> {
    for (;;) {
      const page = yield* many(sql.keptBelow.all(run, CHUNK));
      for (const { id } of page) {
        sql.freeBelow.run(id ?? null);
        this.rows++;
        if (this.isSpent) return false;
      }
      if (page.length < CHUNK) return true;
    }
  }

  /** Deletes a run's rows in one table, by key; false when the budget is spent first. */
  *clears(keys: Statement, drop: Statement, run: number): Program<boolean> {
    for (;;) {
      const page = yield* many(keys.all(run, CHUNK));
      for (const key of page) {
        drop.run(run, ...Object.values(key));
        this.rows++;
        if (this.isSpent) return false;
      }
      if (page.length < CHUNK) return true;
    }
  }
}

/**
 * A run leaves in this order. Its row goes first, with its key: from this commit on no read finds it, its key is free, and whoever holds its
 * state meets a revision that is not there. Its other rows are reached through the run alone, and its number is never given again, so they
 * may go later; until they have gone a row in `leftovers` says so. A crash leaves leftovers, and any process goes on with them. The other
 * order, the run's row last, would leave a run that has lost some of its tasks to be hidden from every read.
 */
export function prune(connection: Connection, request: PruneRequest): Promise<Pruned> {
  return connection.write(function* ({ sql, touched }) {
    const budget = new Budget(request.rows);
    if (!(yield* clearLeftovers(sql, request.now, budget))) return { runs: 0, rows: budget.rows, more: true };
    let runs = 0;
    let more = false;
    let again = false;
    for (const { status, before } of limits(request)) {
      while (!more) {
        const page = yield* many(sql.endedRuns.all(runCode(status), before, PAGE));
        for (const { id, definition, key } of page) {
          if ((more = budget.isSpent)) break;
          const hasBelow = (yield* one(sql.keptBelow.get(id ?? null, 1))) !== undefined;
          yield* dropRun(sql, { run: Number(id), definition: Number(definition), key: key as string | null }, budget);
          runs++;
          // Those below it may go now.
          again ||= hasBelow;
        }
        if (page.length < PAGE) break;
      }
    }
    if (runs > 0) yield* touched(request.now);
    return { runs, rows: budget.rows, more: more || again || (yield* one(sql.nextLeftover.get(request.now))) !== undefined };
  });
}

function* limits(request: PruneRequest): Generator<{ status: RunStatus; before: number }> {
  for (const status of OVER) {
    const before = status === 'failed' ? request.failedBefore : request.finishedBefore;
    if (before !== null) yield { status, before };
  }
}

function* dropRun(sql: Statements, ended: { run: number; definition: number; key: string | null }, budget: Budget): Program<void> {
  const { run, definition, key } = ended;
  if (key !== null) sql.dropKey.run(definition, key, run);
  sql.dropRun.run(run);
  budget.rows++;
  if (!(yield* clearRun(sql, run, budget))) sql.putLeftover.run(run, 0);
}

function* clearLeftovers(sql: Statements, now: number, budget: Budget): Program<boolean> {
  for (let row = yield* one(sql.nextLeftover.get(now)); row !== undefined; row = yield* one(sql.nextLeftover.get(now))) {
    const run = Number(row['run']);
    if (!(yield* clearRun(sql, run, budget))) return false;
    sql.dropLeftover.run(run);
  }
  return true;
}

function* clearRun(sql: Statements, run: number, budget: Budget): Program<boolean> {
  const held = Number((yield* one(sql.tablesHeld.get(run)))?.['held']);
  for (const [i, table] of TABLES.entries()) {
    if ((held & (1 << i)) !== 0 && !(yield* budget.clears(sql[`keys_${table}`], sql[`drop_${table}`], run))) return false;
  }
  return yield* budget.frees(sql, run);
}

export function* prunable(sql: Statements, request: PruneRequest): Program<number> {
  let runs = 0;
  for (const { status, before } of limits(request)) runs += Number((yield* one(sql.countEnded.get(runCode(status), before)))?.['n']);
  return runs;
}

/** Cuts the journal from its old end. What is cut is folded into the checkpoint in the same transaction (docs/adr/0009). */
export function pruneJournal(connection: Connection, { before, rows }: JournalPruneRequest): Promise<JournalPruned> {
  return connection.write(function* ({ sql }) {
    const budget = new Budget(rows);
    if (!(yield* clearOver(sql, budget))) return { rows: 0, more: true };
    const newest = Number((yield* one(sql.journalHead.get()))?.['seq'] ?? 0);
    const fold = new JournalFold();
    const cut = { seq: yield* meta(sql, 'pruned_to'), at: yield* meta(sql, 'pruned_at') };
    let count = 0;
    let more = false;
    // why: a few at a time, since a row may hold thousands of transitions
    for (let page: Row[] = yield* many(sql.oldestJournal.all(cut.seq, CHUNK)), at = 0; ; at++) {
      if (at === CHUNK) [page, at] = [yield* many(sql.oldestJournal.all(cut.seq, CHUNK)), 0];
      const row = page[at];
      if (row === undefined || count === rows || Number(row['at']) > before || Number(row['seq']) >= newest) break;
      if ((more = count > 0 && budget.isSpent)) break;
      const transitions = readJournal(String(row['changes']));
      fold.add(transitions);
      budget.rows += 1 + transitions.length;
      count++;
      [cut.seq, cut.at] = [Number(row['seq']), Number(row['at'])];
    }
    if (count === 0) return { rows: 0, more: false };
    for (const [run, told] of fold.runs) yield* keep(sql, run, told);
    sql.cutJournal.run(cut.seq);
    sql.setMeta.run(cut.seq, 'pruned_to');
    sql.setMeta.run(cut.at, 'pruned_at');
    return { rows: count, more: more || count === rows || (yield* one(sql.checkpointOver.get())) !== undefined };
  });
}

/** Only runs that are open at the cut need their states: of one that is over, a replay needs to know no more than that. */
function* keep(sql: Statements, run: number, told: JournaledRun): Program<void> {
  if (isOver(told)) {
    if ((yield* one(sql.hasCheckpoint.get(run))) !== undefined)
      sql.putCheckpointRun.run(run, told.generation, runCode(told.status ?? 'success'));
    return;
  }
  for (const nodes of told.renames) for (const { from, to } of renameSteps(nodes)) sql.rename_checkpoint_tasks.run(run, to, from);
  sql.putCheckpointRun.run(run, told.generation, told.status === null ? null : runCode(told.status));
  for (const task of told.tasks.values())
    sql.putCheckpointTask.run(run, task.node, task.item, task.generation, taskCode(task.status), task.attempt);
}

function* clearOver(sql: Statements, budget: Budget): Program<boolean> {
  for (let row = yield* one(sql.checkpointOver.get()); row !== undefined; row = yield* one(sql.checkpointOver.get())) {
    const run = Number(row['run']);
    if (!(yield* budget.clears(sql.keysOfCheckpoint, sql.dropCheckpointTask, run))) return false;
    sql.dropCheckpointRun.run(run);
    budget.rows++;
    if (budget.isSpent) return (yield* one(sql.checkpointOver.get())) === undefined;
  }
  return true;
}

export async function pruneActs(
  connection: Connection,
  { now, auditBefore, requestsBefore, workersBefore, rows }: ActsPruneRequest,
): Promise<ActsPruned> {
  return connection.write(function* ({ sql }) {
    const expired = yield* many(sql.expiredCache.all(now, rows));
    for (const { key } of expired) sql.dropCache.run(String(key));
    const requests = yield* many(sql.oldRequests.all(requestsBefore, rows));
    for (const { actor, request } of requests) sql.dropRequest.run(String(actor), String(request));
    const workers = workersBefore === null ? 0 : yield* changed(sql.dropWorkers.run(workersBefore, rows));
    const isFull = requests.length === rows || workers === rows || expired.length === rows;
    if (auditBefore === null) return { entries: 0, more: isFull };
    // why: from the oldest on, up to the first that is young enough; without an index over the instant
    const page = yield* many(sql.oldestAudit.all(rows));
    const kept = page.findIndex((row) => Number(row['at']) > auditBefore);
    const old = kept === -1 ? page : page.slice(0, kept);
    const last = old.at(-1);
    if (last !== undefined) sql.cutAudit.run(Number(last['id']));
    return { entries: old.length, more: old.length === rows || isFull };
  });
}

/** `at` never falls along the journal, so the first row that is too young is found by halving. */
export function* prunableJournal(sql: Statements, before: number): Program<number> {
  const from = yield* meta(sql, 'pruned_to');
  let low = from;
  let high = Number((yield* one(sql.journalHead.get()))?.['seq'] ?? 0) - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    const row = yield* one(sql.journalFrom.get(middle));
    if (row !== undefined && Number(row['at']) <= before) low = middle;
    else high = middle - 1;
  }
  return Math.max(0, low - from);
}

export function* meta(sql: Statements, name: string): Program<number> {
  return Number((yield* one(sql.readMeta.get(name)))?.['value'] ?? 0);
}
