import type { Store } from '../store/store.ts';
import type { Ports } from './ports.ts';

/** While something happens the journal is looked at so often, otherwise twice a second. */
const BUSY_MS = 15;
const IDLE_MS = 500;
const JITTER = 0.2;
/** So long after the last change counts as busy. */
const BUSY_FOR_MS = 1_000;

/**
 * Notices what other processes commit. A read of one number says whether anything happened; only then are waiters asked to look. Correct
 * without any notification: this is the poll that everything rests on.
 */
export class Follower {
  private readonly store: Store;
  private readonly ports: Ports;
  private readonly polls: boolean;
  private readonly onForeign: () => void;
  private readonly listeners = new Set<(foreign: boolean) => void>();
  private epoch = -1;
  private seq = -1;
  private changedAt = -Infinity;
  private alwaysOn = false;
  private isRunning = false;
  private isClosed = false;
  private cancel = (): void => undefined;
  private polledAt = -Infinity;
  /** Called with the polls of an idle process, and as often while it is busy. */
  onPoll: () => void = () => undefined;

  /** `polls` false: nobody else writes to the store. */
  constructor(store: Store, ports: Ports, polls: boolean, onForeign: () => void) {
    this.polls = polls;
    this.store = store;
    this.ports = ports;
    this.onForeign = onForeign;
  }

  /** A worker follows always, a client only while somebody waits. */
  keepOn(on: boolean): void {
    this.alwaysOn = on;
    this.start();
  }

  /** Calls back after every change, until the returned function is called; `foreign` where other processes may have made it. */
  listen(listener: (foreign: boolean) => void): () => void {
    this.listeners.add(listener);
    this.start();
    return () => this.listeners.delete(listener);
  }

  /** This process has committed. */
  committed(seq: number): void {
    if (seq === this.seq) return;
    this.seq = seq;
    this.changedAt = this.ports.monotonic();
    for (const listener of this.listeners) listener(false);
  }

  close(): void {
    this.isClosed = true;
    this.cancel();
  }

  private start(): void {
    if (!this.polls || this.isRunning || this.isClosed || !(this.alwaysOn || this.listeners.size > 0)) return;
    this.isRunning = true;
    void this.tick();
  }

  private async tick(): Promise<void> {
    if (this.isClosed || !(this.alwaysOn || this.listeners.size > 0)) {
      this.isRunning = false;
      return;
    }
    await this.look();
    const now = this.ports.monotonic();
    if (now - this.polledAt >= IDLE_MS * (1 - JITTER)) {
      this.polledAt = now;
      this.onPoll();
    }
    const busy = this.listeners.size > 0 && now - this.changedAt < BUSY_FOR_MS;
    this.cancel = this.ports.timer(busy ? BUSY_MS : IDLE_MS * (1 - JITTER + 2 * JITTER * this.ports.random()), () => void this.tick());
  }

  private async look(): Promise<void> {
    try {
      const head = await this.store.head();
      const foreign = head.epoch !== this.epoch;
      this.epoch = head.epoch;
      if (head.seq === this.seq && !foreign) return;
      this.seq = head.seq;
      this.changedAt = this.ports.monotonic();
      if (foreign) this.onForeign();
      for (const listener of this.listeners) listener(foreign);
    } catch {
      // The store answers or it does not; the next tick asks again, and whoever writes meanwhile gets the error itself.
    }
  }
}
