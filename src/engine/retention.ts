import type { Duration } from '../core/duration.ts';
import { durationMs } from '../core/duration.ts';
import { REQUEST_MS } from '../core/kernel/reset.ts';
import type { Care, PruneRequest } from '../store/care.ts';
import type { Schedules } from '../store/schedules.ts';
import type { Ports } from './ports.ts';

/** How long finished work is kept. */
export interface Retention {
  /** Runs that ended as success, partial, skipped or cancelled. Default 30 days. */
  readonly finished?: Duration;
  /** Runs that failed. Default 90 days. */
  readonly failed?: Duration;
  /** What happened, for `watch`. Default 7 days. */
  readonly journal?: Duration;
  /** Acts of people. Default 400 days. */
  readonly audit?: Duration;
}

/** Null: kept for ever. */
export interface RetentionMs {
  readonly finishedMs: number | null;
  readonly failedMs: number | null;
  readonly journalMs: number | null;
  readonly auditMs: number | null;
}

export interface PruneOptions {
  /** Finished runs, failed ones too, that ended so long ago. Default: the engine's `retention`. */
  readonly olderThan?: Duration;
  /** Journal rows so old. Default: the engine's `retention`. */
  readonly journal?: Duration;
  /** Counts what would be deleted, and deletes nothing. */
  readonly dryRun?: boolean;
  /** Ends the pruning after the batch that is under way: the rest stays for the next time. */
  readonly signal?: AbortSignal;
}

export interface PruneCounts {
  readonly runs: number;
  readonly journalRows: number;
}

/** Rows of one transaction: a few milliseconds, so that no claim and no commit waits long behind it. */
export const BATCH_ROWS = 500;
/**
 * Beside other work a batch is followed by a pause of so many times its own duration, or it would take half of what the store can do. After each
 * batch the runs in hand are looked up once more, which costs about as much again: measured at 15, w1 lost a sixth.
 */
const PAUSE_FACTOR = 30;
const LONGEST_PAUSE_MS = 200;

export function retentionMs(retention: Retention | false = {}): RetentionMs {
  if (retention === false) return { finishedMs: null, failedMs: null, journalMs: null, auditMs: null };
  const { finished = '30d', failed = '90d', journal = '7d', audit = '400d' } = retention;
  return {
    finishedMs: durationMs(finished, 'retention.finished'),
    failedMs: durationMs(failed, 'retention.failed'),
    journalMs: durationMs(journal, 'retention.journal'),
    auditMs: durationMs(audit, 'retention.audit'),
  };
}

/** What a person asked for, over what the engine is set to. */
export function asked(options: PruneOptions, set: RetentionMs): RetentionMs {
  const olderMs = options.olderThan === undefined ? null : durationMs(options.olderThan, 'olderThan');
  return {
    finishedMs: olderMs ?? set.finishedMs,
    failedMs: olderMs ?? set.failedMs,
    journalMs: options.journal === undefined ? set.journalMs : durationMs(options.journal, 'journal'),
    auditMs: set.auditMs,
  };
}

function runsToPrune({ finishedMs, failedMs }: RetentionMs, now: number): PruneRequest {
  return {
    now,
    finishedBefore: finishedMs === null ? null : now - finishedMs,
    failedBefore: failedMs === null ? null : now - failedMs,
    rows: BATCH_ROWS,
  };
}

/** What pruning would delete. */
export async function countPrunable(care: Care, keep: RetentionMs, now: number): Promise<PruneCounts> {
  const runs = await care.prunable(runsToPrune(keep, now));
  return { runs, journalRows: keep.journalMs === null ? 0 : await care.prunableJournal(now - keep.journalMs) };
}

export interface Pruning {
  readonly care: Care;
  readonly schedules: Pick<Schedules, 'prune'>;
  readonly ports: Pick<Ports, 'turn' | 'timer' | 'monotonic'>;
  readonly keep: RetentionMs;
  readonly now: number;
  /** Asked between batches. */
  readonly isOver: () => boolean;
  /** Whether this process has written other things since the batch before, or is about to; asked after each batch: then the next one waits. Default: it never does. */
  readonly isBusy?: () => boolean;
}

/** Batch after batch, each in a turn of the event loop of its own; `more` where it was stopped before the end. */
export async function pruneBatches({
  care,
  schedules,
  ports,
  keep,
  now,
  isOver,
  isBusy = () => false,
}: Pruning): Promise<PruneCounts & { readonly more: boolean }> {
  const request = runsToPrune(keep, now);
  const batch = async <T>(work: () => Promise<T>): Promise<T> => {
    const startMs = ports.monotonic();
    const result = await work();
    const pauseMs = isBusy() ? Math.min(LONGEST_PAUSE_MS, (ports.monotonic() - startMs) * PAUSE_FACTOR) : 0;
    await new Promise<void>((resolve) => void (pauseMs > 0 ? ports.timer(pauseMs, resolve) : ports.turn(resolve)));
    return result;
  };
  let [runs, journalRows] = [0, 0];
  let more = true;
  while (more && !isOver()) {
    const pruned = await batch(() => care.prune(request));
    runs += pruned.runs;
    ({ more } = pruned);
  }
  let moreActs = true;
  while (moreActs && !isOver()) {
    // The journal names workers by their numbers: they stay as long as it does.
    const workersBefore = keep.journalMs === null ? null : now - keep.journalMs;
    const auditBefore = keep.auditMs === null ? null : now - keep.auditMs;
    const acts = { now, auditBefore, requestsBefore: now - REQUEST_MS, workersBefore, rows: BATCH_ROWS };
    ({ more: moreActs } = await batch(() => care.pruneActs(acts)));
  }
  // why: a record tells of a run as long as any of them may be there
  const firesMs = keep.finishedMs === null || keep.failedMs === null ? null : Math.max(keep.finishedMs, keep.failedMs);
  let moreFires = firesMs !== null;
  while (firesMs !== null && moreFires && !isOver()) {
    moreFires = await batch(() => schedules.prune(now - firesMs, BATCH_ROWS));
  }
  const moreOthers = moreActs || moreFires;
  if (keep.journalMs === null) return { runs, journalRows, more: more || moreOthers };
  let moreJournal = true;
  while (moreJournal && !isOver()) {
    const request = { before: now - keep.journalMs, rows: BATCH_ROWS };
    const pruned = await batch(() => care.pruneJournal(request));
    journalRows += pruned.rows;
    moreJournal = pruned.more;
  }
  return { runs, journalRows, more: more || moreOthers || moreJournal };
}
