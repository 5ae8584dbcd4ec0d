import { PawlError } from '../../core/errors.ts';
import { JournalWriter } from '../../core/kernel/journal.ts';
import { RunAtFault } from '../batch.ts';
import type * as port from '../store.ts';
import { NOTHING_CLAIMED } from './claims.ts';
import type { Connection, Transaction } from './connection.ts';
import { allChanged, GuardFailed, type Program } from './program.ts';

/** Everything that one turn of the engine wants written, in one transaction; without those runs of which others have written more. */
export async function commitBatch(connection: Connection, batch: port.Batch): Promise<port.CommitResult> {
  const conflicts = new Set<number>();
  for (;;) {
    try {
      return await connection.write((transaction) => apply(connection, transaction, batch, conflicts));
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

function* apply(connection: Connection, transaction: Transaction, batch: port.Batch, conflicts: Set<number>): Program<port.CommitResult> {
  const { sql, writer, claimer, compare, record, seen } = transaction;
  const journal = new JournalWriter();
  const { now, worker } = batch;
  writer.begin();
  const { isFenced, stale } = yield* compare(batch);
  // why: what a worker claims after others have taken its work back, nobody would ever take back again
  if (isFenced) throw new PawlError('WORKER_LEASE_LOST', `Worker ${worker} has lost its lease; what it held is taken back.`);
  const logs = batch.logs.map((write) => writer.log(write));
  for (const i of stale) conflicts.add(i);
  if (conflicts.size > 0) addKin(batch.runs, conflicts);
  for (const [i, write] of batch.runs.entries()) {
    if (conflicts.has(i)) continue;
    try {
      if (writer.isPlainChange(write)) writer.plainChange(write, now, journal);
      else yield* writer.change(write, now, journal);
    } catch (error) {
      if (error instanceof GuardFailed || connection.errorOf(error) instanceof PawlError) throw error;
      throw new RunAtFault(write.state.run, error);
    }
  }
  for (const run of batch.share) sql.shareRun.run(run);
  const steps = batch.steps.map((step) => writer.step(step));
  const { maxQueued } = batch;
  const isBounded = maxQueued !== undefined && batch.starts.length > 0;
  const queue = isBounded ? { bound: maxQueued, waiting: yield* writer.backlog(maxQueued) } : undefined;
  const starts: port.StartResult[] = [];
  for (const start of batch.starts) {
    starts.push(
      writer.isPlainStart(start) ? writer.plainStart(start, now, journal, queue) : yield* writer.start(start, now, journal, queue),
    );
  }
  const claimant = { worker, now, epoch: transaction.epoch() };
  const claimed = batch.claim === null ? NOTHING_CLAIMED : yield* claimer.claim(batch.claim, claimant, journal);
  const moved = batch.runs.filter(({ move }, i) => move !== null && !conflicts.has(i));
  // why: a commit whose outcome is unknown is found again by its journal row, so one that writes anything has one
  const isWritten = !journal.isEmpty || steps.length + logs.length + moved.length > 0 || batch.share.length > 0;
  const { seq: before, clock } = seen();
  const seq = isWritten ? yield* record(now, worker, journal.finish()) : before;
  for (const { state, move } of moved) if (move !== null) sql.insertMove.run(state.run, seq, move.from, move.to);
  return {
    epoch: transaction.epoch(),
    clock: Math.max(clock, now),
    seq,
    starts,
    conflicts: [...conflicts],
    steps: yield* allChanged(steps),
    logs: yield* allChanged(logs),
    keys: [...writer.keys],
    ...claimed,
  };
}

/** A write that meets another revision takes with it those that belong together with it. */
function addKin(runs: readonly port.RunWrite[], conflicts: Set<number>): void {
  const groups = new Set([...conflicts].flatMap((i) => runs[i]?.group ?? []));
  if (groups.size === 0) return;
  runs.forEach((write, i) => {
    if (write.group !== undefined && groups.has(write.group)) conflicts.add(i);
  });
}
