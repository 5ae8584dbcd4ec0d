import type { Store } from '../../store/store.ts';
import type { StoreClock } from '../clock.ts';
import type { Ports } from '../ports.ts';
import { pruneBatches, type RetentionMs } from '../retention.ts';

/** Looks so often, give or take a fifth; at every sweep while there is more than one look may delete. */
const EVERY_MS = 60_000;
/** Batches of one look: some hundredths of the time between two sweeps. */
const BATCHES = 8;

/**
 * Deletes what is past its retention, a little at a time. Any number of processes may do so at once: each batch is a transaction that deletes
 * what is there.
 */
export class Pruner {
  private readonly store: Store;
  private readonly clock: StoreClock;
  private readonly ports: Ports;
  private readonly keep: RetentionMs;
  private nextMs: number;
  private isStopped = false;
  private look: Promise<unknown> = Promise.resolve();

  constructor({ store, clock, ports, keep }: { store: Store; clock: StoreClock; ports: Ports; keep: RetentionMs }) {
    this.store = store;
    this.clock = clock;
    this.ports = ports;
    this.keep = keep;
    // Processes that start together look at different times.
    this.nextMs = ports.monotonic() + EVERY_MS * ports.random();
  }

  async runOnce(now: number): Promise<void> {
    const at = this.ports.monotonic();
    // A clock that jumped may have jumped years ahead: what it would delete is gone for good.
    if (this.isStopped || at < this.nextMs || !this.clock.isTrusted) return;
    this.nextMs = at + EVERY_MS * (0.8 + 0.4 * this.ports.random());
    const look = this.prune(now);
    this.look = look.catch(() => undefined);
    if (await look) this.nextMs = at;
  }

  /** True where there is more. */
  private async prune(now: number): Promise<boolean> {
    let batches = 0;
    const { more } = await pruneBatches({
      care: this.store.care,
      schedules: this.store.schedules,
      ports: this.ports,
      keep: this.keep,
      now,
      isOver: () => this.isStopped || batches++ >= BATCHES,
    });
    return more;
  }

  /** Resolves when nothing of it is under way any more. */
  async stop(): Promise<void> {
    this.isStopped = true;
    await this.look;
  }
}
