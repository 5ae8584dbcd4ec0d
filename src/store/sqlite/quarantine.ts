import { JournalWriter } from '../../core/journal.ts';
import { RUN_STATUSES } from '../../core/states.ts';
import type { ActWrite } from '../acts.ts';
import type { ParkedOutcome, ParkedRow } from '../store.ts';
import { runCode } from './rows.ts';
import type { Statements } from './statements.ts';
import type { RunWriter } from './writes.ts';

/** Runs that were set aside, inside a write transaction. What is to be put into the journal is given back; null where nothing was written. */
export class Quarantine {
  private readonly sql: Statements;
  private readonly writer: RunWriter;

  constructor(sql: Statements, writer: RunWriter) {
    this.sql = sql;
    this.writer = writer;
  }

  setAside(run: number, why: string, outcomes: readonly ParkedOutcome[], now: number): string {
    for (const { node, item, token, outcome } of outcomes) this.sql.park.run(run, node, item, token, outcome, now);
    this.sql.quarantine.run(why, run);
    this.sql.hideTasks.run(run);
    this.sql.hideMaps.run(run);
    this.sql.shareRun.run(run);
    return '[]';
  }

  release(run: number, act: ActWrite, now: number): string | null {
    const status = Number(this.sql.runStatus.get(run)?.['status'] ?? 0);
    if (this.writer.doneBefore(act, now) !== null || this.sql.releaseRun.run(run).changes !== 1) return null;
    this.sql.showTasks.run(run, status);
    if (status !== runCode('paused')) this.sql.uncoverMaps.run(run);
    this.sql.shareRun.run(run);
    this.writer.act(run, act, now);
    return '[]';
  }

  abandon(run: number, act: ActWrite, now: number): string | null {
    const from = RUN_STATUSES[Number(this.sql.runStatus.get(run)?.['status'])];
    if (this.writer.doneBefore(act, now) !== null) return null;
    const row = this.sql.abandonRun.get(now, run);
    if (row === undefined || from === undefined) return null;
    this.sql.cancelRest.run(now, run);
    this.sql.closeWaitsOf.run(run);
    this.sql.recallAll.run(now, run);
    this.sql.closeMaps.run(run);
    // why: a redrive goes on with them
    this.sql.uncoverMaps.run(run);
    this.sql.dropOpenKey.run(run);
    this.sql.unpark.run(run, Number.MAX_SAFE_INTEGER);
    this.sql.shareRun.run(run);
    this.writer.act(run, act, now);
    const journal = new JournalWriter();
    journal.run({ run, generation: Number(row['generation']) });
    journal.runMoved(from, 'failed', 'marked_failed');
    return journal.finish();
  }

  parked(run: number): ParkedRow[] {
    return this.sql.parkedOf.all(run) as unknown as ParkedRow[];
  }
}
