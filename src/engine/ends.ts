import type { RunEnd } from '../core/kernel/changes.ts';
import { PawlError } from '../core/errors.ts';
import { readJournal } from '../core/kernel/journal.ts';
import { isRunOver } from '../core/kernel/states.ts';
import type { Store } from '../store/store.ts';
import type { Follower } from './follower.ts';
import type { Ports } from './ports.ts';

const AT_ONCE = 500;

/** What a run gave; null where the store must be asked for that. */
export type Ended = Pick<RunEnd, 'hasOutput' | 'output'> | null;
type Waiter = (end: Ended) => void;

/**
 * Who waits for which run's end. This process's own commits say it at once; other processes' are read from the journal, once for all
 * waiters, when the store has changed.
 */
export class Ends {
  private readonly store: Store;
  private readonly follower: Follower;
  private readonly ports: Ports;
  private readonly waiters = new Map<number, Set<Waiter>>();
  /** Waited for since the last look whether they are over already; whom to tell that it failed. */
  private unseen = new Map<number, (error: Error) => void>();
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
  async wait(run: number, ms: number | null): Promise<Ended | 'timeout'> {
    await this.listen();
    return new Promise<Ended | 'timeout'>((resolve, reject) => {
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
      this.lookSoon(run, refuse);
    });
  }

  /** A run ended in a commit of this process. */
  ended(run: number, end: Ended): void {
    for (const waiter of this.waiters.get(run) ?? []) waiter(end);
  }

  close(): void {
    this.refuseAll(new PawlError('STORE_CLOSED', 'The engine was closed while the end of a run was waited for; the run goes on.'));
    this.stopListening?.();
  }

  private refuseAll(error: Error): void {
    for (const reject of this.rejects) reject(error);
  }

  /** Of all that begin to be waited for together the store is asked once. */
  private lookSoon(run: number, refuse: (error: Error) => void): void {
    if (this.unseen.size === 0) queueMicrotask(() => void this.look());
    const before = this.unseen.get(run);
    this.unseen.set(run, (error) => {
      before?.(error);
      refuse(error);
    });
  }

  private async look(): Promise<void> {
    const asked = this.unseen;
    this.unseen = new Map();
    try {
      await this.ask([...asked.keys()]);
    } catch (error) {
      for (const refuse of asked.values()) refuse(error as Error);
    }
  }

  private async ask(runs: readonly number[]): Promise<void> {
    for (let i = 0; i < runs.length; i += AT_ONCE)
      for (const end of await this.store.endsOf(runs.slice(i, i + AT_ONCE))) this.ended(end.run, end);
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
        if (gone) await this.ask([...this.waiters.keys()]);
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
}
