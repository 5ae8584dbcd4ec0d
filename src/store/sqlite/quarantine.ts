import { JournalWriter } from '../../core/kernel/journal.ts';
import { RUN_STATUSES } from '../../core/kernel/states.ts';
import type { ActWrite, Placed } from '../acts.ts';
import type { ParkedOutcome, ParkedRow } from '../store.ts';
import type { Placer } from './placing.ts';
import { runCode } from './rows.ts';
import type { Statements } from './statements.ts';
import type { RunWriter } from './writes.ts';

/** Runs that were set aside, inside a write transaction. What is to be put into the journal is given back; null where nothing was written. */
export class Quarantine {
  private readonly sql: Statements;
  private readonly writer: RunWriter;
  private readonly placer: Placer;

  constructor(sql: Statements, writer: RunWriter, placer: Placer) {
    this.sql = sql;
    this.writer = writer;
    this.placer = placer;
  }

  setAside(run: number, why: string, outcomes: readonly ParkedOutcome[], now: number): string {
    for (const { node, item, token, outcome } of outcomes) this.sql.park.run(run, node, item, token, outcome, now);
    this.sql.quarantine.run(why, run);
    this.sql.hideTasks.run(run);
    this.sql.hideMaps.run(run);
    this.sql.shareRun.run(run);
    return '[]';
  }

  fullKey(placed: readonly Placed[]): string | null {
    // why: what somebody else has released meanwhile holds its key already
    return this.placer.fullKey(placed.filter(({ run }) => this.sql.isAside.get(run) !== undefined));
  }

  release(run: number, act: ActWrite, now: number, placed: readonly Placed[]): string | null {
    if (this.writer.doneBefore(act, now) !== null || this.sql.isAside.get(run) === undefined) return null;
    for (const one of placed) {
      if (this.sql.isAside.get(one.run) === undefined) continue;
      const { firstBody } = this.sql.definitionOfRun.get(one.run) ?? {};
      this.placer.place(one, (node) => Number(firstBody) + node);
      if (one.run !== run) this.show(one.run);
    }
    this.show(run);
    this.writer.act(run, act, now);
    return '[]';
  }

  private show(run: number): void {
    const status = Number(this.sql.runStatus.get(run)?.['status'] ?? 0);
    this.sql.releaseRun.run(run);
    this.sql.showTasks.run(run, status);
    if (status !== runCode('paused')) this.sql.uncoverMaps.run(run);
    this.sql.shareRun.run(run);
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
