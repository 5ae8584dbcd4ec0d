import { messageOf } from '../core/errors.ts';
import type { Logger } from '../core/log.ts';
import type { Store } from '../store/store.ts';
import type { Committer } from './committer.ts';

/**
 * Lets runs in that wait for the key of their workflow. Granting the key is one transaction, what the run does with it another: whoever looks
 * next finishes what a process that died in between has begun.
 */
export class Admission {
  private readonly store: Store;
  private readonly committer: Committer;
  private readonly logger: Logger;
  private running: Promise<void> | null = null;
  private isWanted = false;
  /** The last look failed: there may be somebody to let in. */
  isBehind = false;
  /** The keys that are to be looked at; null: all. */
  private wanted: Set<string> | null = new Set();

  constructor(store: Store, committer: Committer, logger: Logger) {
    this.store = store;
    this.committer = committer;
    this.logger = logger;
  }

  get isIdle(): boolean {
    return this.running === null;
  }

  /** Somebody waits for one of these keys, or has given one up; without them: for any key. */
  hint(keys: readonly string[] | null = null): void {
    this.isWanted = true;
    if (keys === null) this.wanted = null;
    else for (const key of keys) this.wanted?.add(key);
    this.running ??= this.run();
  }

  private async run(): Promise<void> {
    try {
      while (this.isWanted) {
        this.isWanted = false;
        await this.admit();
        this.isBehind = false;
      }
    } catch (error) {
      // The next sweep tries again.
      this.isBehind = true;
      this.logger.error('runs that wait for a key could not be admitted', {
        error: messageOf(error),
      });
    } finally {
      this.running = null;
    }
  }

  private async admit(): Promise<void> {
    const keys = this.wanted === null ? null : [...this.wanted];
    this.wanted = new Set();
    const { granted, displaced } = await this.store.capacity.admit(keys);
    const applied = await Promise.all([
      ...granted.map((run) => this.committer.event(run, { type: 'granted' })),
      ...displaced.map(({ run, status }) => this.committer.event(run, { type: 'displaced', status })),
    ]);
    // What ended made room.
    if (displaced.length > 0 && applied.some(Boolean)) this.hint(keys);
  }
}
