import type { OpenCursor } from '../../store/store.ts';
import type { SweepContext } from './sweep.ts';

const AT_ONCE = 500;

/**
 * Fails runs that nothing would ever wake: open and admitted, with no claimable task, lease, timer or startable item, and unchanged over
 * two passes. It should never find one; it is there because a run that hangs for ever is the worst that an engine can do.
 */
export class Watchdog {
  private suspects = new Map<number, number>();
  private seen = new Map<number, number>();
  private after: OpenCursor | null = null;

  async runOnce({ store, committer, logger }: SweepContext): Promise<number> {
    const { runs, last } = await store.stuck(this.after, AT_ONCE);
    let failed = 0;
    for (const { run, rev } of runs) {
      this.seen.set(run, rev);
      if (this.suspects.get(run) !== rev) continue;
      if (!(await committer.event(run, { type: 'fail', reason: 'stuck' }))) continue;
      failed++;
      logger.error('a run had nothing left that would wake it, and was failed as stuck', { runNumber: run });
    }
    this.after = last;
    if (last === null) {
      this.suspects = this.seen;
      this.seen = new Map();
    }
    return failed;
  }
}
