import type { RunEnd } from '../core/changes.ts';
import { PawlError } from '../core/errors.ts';
import { readJournal } from '../core/journal.ts';
import { isRunOver } from '../core/states.ts';
import type { Store } from '../store/store.ts';
import type { Follower } from './follower.ts';
import type { Ports } from './ports.ts';

const AT_ONCE = 500;

type Waiter = (end: RunEnd | null) => void;

/**
 * Who waits for which run's end. This process's own commits say it at once; other processes' are read from the journal, once for all
 * waiters, when the store has changed.
 */
export class Ends {
  private readonly store: Store;
  private readonly follower: Follower;
  private readonly ports: Ports;
  private readonly waiters = new Map<number, Set<Waiter>>();
  private readonly rejects = new Set<(error: Error) => void>();
  private stopListening: (() => void) | null = null;
  private seen = 0;
  private isReading = false;

  constructor(store: Store, follower: Follower, ports: Ports) {
    this.store = store;
    this.follower = follower;
    this.ports = ports;
  }

  /** How the run ended, null where the store must be asked for that; `'timeout'` when `ms` have passed first. A run that is gone has ended. */
  async wait(run: number, ms: number | null): Promise<RunEnd | null | 'timeout'> {
    await this.listen();
    return new Promise<RunEnd | null | 'timeout'>((resolve, reject) => {
      const cancel = ms === null ? () => undefined : this.ports.timer(ms, () => finish(() => resolve('timeout')));
      const waiter: Waiter = (end) => finish(() => resolve(end));
      const finish = (act: () => void): void => {
        cancel();
        this.rejects.delete(refuse);
        this.remove(run, waiter);
        act();
      };
      const refuse = (error: Error): void => finish(() => reject(error));
      this.rejects.add(refuse);
      this.add(run, waiter);
      // After the registration: an end between a look and a registration would be missed.
      this.isOver(run).then((over) => over && waiter(null), refuse);
    });
  }

  /** A run ended in a commit of this process. */
  ended(run: number, end: RunEnd | null): void {
    for (const waiter of this.waiters.get(run) ?? []) waiter(end);
  }

  close(): void {
    this.refuseAll(new PawlError('STORE_CLOSED', 'The engine was closed while the end of a run was waited for; the run goes on.'));
    this.stopListening?.();
  }

  private refuseAll(error: Error): void {
    for (const reject of this.rejects) reject(error);
  }

  private async isOver(run: number): Promise<boolean> {
    const status = await this.store.runStatus(run);
    return status === null || isRunOver[status];
  }

  private add(run: number, waiter: Waiter): void {
    const set = this.waiters.get(run);
    if (set === undefined) this.waiters.set(run, new Set([waiter]));
    else set.add(waiter);
  }

  private remove(run: number, waiter: Waiter): void {
    const set = this.waiters.get(run);
    set?.delete(waiter);
    if (set?.size === 0) this.waiters.delete(run);
    if (this.waiters.size > 0) return;
    this.stopListening?.();
    this.stopListening = null;
  }

  private async listen(): Promise<void> {
    if (this.stopListening !== null) return;
    this.stopListening = this.follower.listen((foreign) => {
      if (foreign) this.read().catch((error: Error) => this.refuseAll(error));
    });
    this.seen = (await this.store.head()).seq;
  }

  private async read(): Promise<void> {
    if (this.isReading) return;
    this.isReading = true;
    try {
      for (;;) {
        const { entries, gone } = await this.store.journal(this.seen, AT_ONCE);
        if (gone) await this.askAll();
        for (const { seq, changes } of entries) {
          this.seen = seq;
          for (const one of readJournal(changes)) if (one.kind === 'run' && isRunOver[one.to]) this.ended(one.run, null);
        }
        if (entries.length < AT_ONCE) return;
      }
    } finally {
      this.isReading = false;
    }
  }

  private async askAll(): Promise<void> {
    for (const run of this.waiters.keys()) if (await this.isOver(run)) this.ended(run, null);
  }
}
