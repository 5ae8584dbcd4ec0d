import { JournalWriter } from '../../core/kernel/journal.ts';
import { RUN_STATUSES } from '../../core/kernel/states.ts';
import type { ActWrite, Placed } from '../acts.ts';
import type { ParkedOutcome } from '../store.ts';
import type { Placer } from './placing.ts';
import { one, type Program } from './program.ts';
import { runCode } from './rows.ts';
import type { Statements } from './statements.ts';
import type { RunWriter } from './writes.ts';

/** Runs that were set aside, inside a write transaction. */
export class Quarantine {
  private readonly sql: Statements;
  private readonly writer: RunWriter;
  private readonly placer: Placer;

  constructor(sql: Statements, writer: RunWriter, placer: Placer) {
    this.sql = sql;
    this.writer = writer;
    this.placer = placer;
  }

  setAside(run: number, why: string, outcomes: readonly ParkedOutcome[], now: number): void {
    for (const { node, item, token, outcome } of outcomes) this.sql.park.run(run, node, item, token, outcome, now);
    this.sql.quarantine.run(why, run);
    this.sql.hideTasks.run(run);
    this.sql.hideMaps.run(run);
    this.sql.shareRun.run(run);
  }

  *fullKey(placed: readonly Placed[]): Program<string | null> {
    const aside: Placed[] = [];
    // why: what somebody else has released meanwhile holds its key already
    for (const each of placed) if ((yield* one(this.sql.isAside.get(each.run))) !== undefined) aside.push(each);
    return yield* this.placer.fullKey(aside);
  }

  /** False where nothing was written. */
  *release(run: number, act: ActWrite, now: number, placed: readonly Placed[]): Program<boolean> {
    if ((yield* this.writer.doneBefore(act, now)) !== null || (yield* one(this.sql.isAside.get(run))) === undefined) return false;
    for (const each of placed) {
      if ((yield* one(this.sql.isAside.get(each.run))) === undefined) continue;
      const { firstBody } = (yield* one(this.sql.definitionOfRun.get(each.run))) ?? {};
      yield* this.placer.place(each, (node) => Number(firstBody) + node);
      if (each.run !== run) yield* this.show(each.run);
    }
    yield* this.show(run);
    this.writer.act(run, act, now);
    return true;
  }

  private *show(run: number): Program<void> {
    const status = Number((yield* one(this.sql.runStatus.get(run)))?.['status'] ?? 0);
    this.sql.releaseRun.run(run);
    this.sql.showTasks.run(run, status);
    if (status !== runCode('paused')) this.sql.uncoverMaps.run(run);
    this.sql.shareRun.run(run);
  }

  /** What is to be put into the journal; null where nothing was written. */
  *abandon(run: number, act: ActWrite, now: number): Program<string | null> {
    const from = RUN_STATUSES[Number((yield* one(this.sql.runStatus.get(run)))?.['status'])];
    if ((yield* this.writer.doneBefore(act, now)) !== null) return null;
    const row = yield* one(this.sql.abandonRun.get(now, run));
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
}
