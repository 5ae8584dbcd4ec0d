import type { Need } from './needs.ts';

/** Between what the units of a pool are handed out in turn: runs, or concurrency keys. */
export type Fair = 'run' | 'key';

export const FAIR: readonly Fair[] = ['run', 'key'];

/** Who stands first in a line. */
export interface FairWaiter {
  /** The pool by which it has its turn: the first fair one of those that it needs; null where it goes by rank alone. */
  readonly fairPool: string | null;
  readonly head: { readonly run: number };
  readonly needs: readonly Need[];
}

/** Behind all that have a turn. */
const LAST = Number.MAX_SAFE_INTEGER;

/** Who shares the turns of a pool: all tasks of a run, or of a key; tasks without a key are one. No key is the empty text. */
const sharerOf = (fair: Fair, run: number, needs: readonly Need[]): string =>
  fair === 'run' ? String(run) : (needs.find((need) => need.kind === 'key')?.name ?? '');

/** Turns at pools that are fair: who holds least of the pool is asked first, and of those that hold the same the best rank. */
export class FairTurns<T extends FairWaiter> {
  private readonly fairOf: (pool: string) => Fair | null;
  private readonly held = new Map<string, Map<string, number>>();
  /** By pool, the first to be asked last; empty: to be put in order anew. */
  private readonly orders = new Map<string, T[]>();

  constructor(fairOf: (pool: string) => Fair | null) {
    this.fairOf = fairOf;
  }

  /** A task of this run holds what it needs: since before, or from now on. */
  took(run: number, needs: readonly Need[]): void {
    for (const need of needs) {
      const fair = need.kind === 'pool' ? this.fairOf(need.name) : null;
      if (need.kind !== 'pool' || fair === null) continue;
      const units = this.held.get(need.name) ?? new Map<string, number>();
      const sharer = sharerOf(fair, run, needs);
      this.held.set(need.name, units.set(sharer, (units.get(sharer) ?? 0) + need.units));
      this.orders.clear();
    }
  }

  /** Whose turn it is at the pool; it is not named again before something is taken. `waiting`: all that wait, the best rank last. */
  next(pool: string, waiting: readonly T[]): T | undefined {
    const known = this.orders.get(pool);
    const order = known === undefined || known.length === 0 ? this.order(pool, waiting) : known;
    this.orders.set(pool, order);
    return order.pop();
  }

  private order(pool: string, waiting: readonly T[]): T[] {
    const turns: { readonly waiter: T; readonly turn: number }[] = [];
    const serial = new Map<string, number>();
    for (const waiter of waiting.toReversed()) {
      const key = waiter.needs.find((need) => need.kind === 'key' && need.serial)?.name;
      // why: of a serial key nobody overtakes an earlier one, whoever has his turn
      const turn = Math.max(this.turnOf(pool, waiter), key === undefined ? 0 : (serial.get(key) ?? 0));
      if (key !== undefined) serial.set(key, turn);
      if (waiter.fairPool === pool) turns.push({ waiter, turn });
    }
    // why: the sort is stable, so equal turns go by rank
    return turns
      .sort((a, b) => a.turn - b.turn)
      .map(({ waiter }) => waiter)
      .reverse();
  }

  private turnOf(pool: string, { fairPool, head, needs }: T): number {
    const fair = fairPool === pool ? this.fairOf(pool) : null;
    return fair === null ? LAST : (this.held.get(pool)?.get(sharerOf(fair, head.run, needs)) ?? 0);
  }
}
