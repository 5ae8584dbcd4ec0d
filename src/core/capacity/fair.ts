import type { Need } from './needs.ts';

/** Between what the units of a pool are handed out in turn: runs, or concurrency keys. */
export type Fair = 'run' | 'key';

export const FAIR: readonly Fair[] = ['run', 'key'];

/** Who stands first in a line. */
export interface FairWaiter {
  /** The pool by which it has its turn: the first fair one of those that it needs; null where it goes by rank alone. */
  readonly fairPool: string | null;
  readonly head: { readonly run: number; readonly rank: number; readonly queuedAt: number };
  readonly needs: readonly Need[];
  /** When somebody of this line last got what he needs, by `took`; 0: never. */
  readonly served: number;
}

/** Least is first. */
interface Turn {
  readonly held: number;
  /** Since when it waits: since it was queued, or its run or key last got something. Priority is in it as in a rank. */
  readonly since: number;
}

/** Behind all that have a turn. */
const LAST: Turn = { held: Number.MAX_SAFE_INTEGER, since: Number.MAX_SAFE_INTEGER };
/** What is taken at one instant has an order too: a part of a millisecond that a number holds exactly. */
const STEP = 1 / 1024;

/** Who shares the turns of a pool: all tasks of a run, or of a key; tasks without a key are one. No key is the empty text. */
const sharerOf = (fair: Fair, run: number, needs: readonly Need[]): string =>
  fair === 'run' ? String(run) : (needs.find((need) => need.kind === 'key')?.name ?? '');

const compare = (a: Turn, b: Turn): number => a.held - b.held || a.since - b.since;

/** Turns at pools that are fair: who holds least of the pool is asked first, and of those that hold the same who has waited longest. */
export class FairTurns<T extends FairWaiter> {
  private readonly fairOf: (pool: string) => Fair | null;
  private readonly units = new Map<string, Map<string, number>>();
  private readonly served = new Map<string, Map<string, number>>();
  /** By pool, the first to be asked last; empty: to be put in order anew. */
  private readonly orders = new Map<string, T[]>();
  private last: number;

  constructor(fairOf: (pool: string) => Fair | null, waiting: readonly T[], now: number) {
    this.fairOf = fairOf;
    this.last = waiting.reduce((last, { served }) => Math.max(last, served), now);
    for (const { head, needs, served } of waiting) {
      for (const { name, sharer } of this.shares(head.run, needs)) {
        const known = this.of(this.served, name);
        known.set(sharer, Math.max(known.get(sharer) ?? 0, served));
      }
    }
  }

  /** A task of this run holds what it needs. */
  holds(run: number, needs: readonly Need[]): void {
    for (const { name, sharer, units } of this.shares(run, needs)) {
      const held = this.of(this.units, name);
      held.set(sharer, (held.get(sharer) ?? 0) + units);
    }
  }

  /** It gets what it needs now; when that was, to be kept with its line: later than all that was taken before. */
  took(run: number, needs: readonly Need[]): number {
    this.holds(run, needs);
    this.last += STEP;
    for (const { name, sharer } of this.shares(run, needs)) this.of(this.served, name).set(sharer, this.last);
    this.orders.clear();
    return this.last;
  }

  /** Whose turn it is at the pool; it is not named again before something is taken. `waiting`: all that wait, the best rank last. */
  next(pool: string, waiting: readonly T[]): T | undefined {
    const known = this.orders.get(pool);
    const order = known === undefined || known.length === 0 ? this.order(pool, waiting) : known;
    this.orders.set(pool, order);
    return order.pop();
  }

  private order(pool: string, waiting: readonly T[]): T[] {
    const turns: { readonly waiter: T; readonly turn: Turn }[] = [];
    const serial = new Map<string, Turn>();
    for (const waiter of waiting.toReversed()) {
      const key = waiter.needs.find((need) => need.kind === 'key' && need.serial)?.name;
      const own = this.turnOf(pool, waiter);
      const earlier = key === undefined ? undefined : serial.get(key);
      // why: of a serial key nobody overtakes an earlier one, whoever has his turn
      const turn = earlier !== undefined && compare(earlier, own) > 0 ? earlier : own;
      if (key !== undefined) serial.set(key, turn);
      if (waiter.fairPool === pool) turns.push({ waiter, turn });
    }
    // why: the sort is stable, so equal turns go by rank
    return turns
      .sort((a, b) => compare(a.turn, b.turn))
      .map(({ waiter }) => waiter)
      .reverse();
  }

  private turnOf(pool: string, { fairPool, head, needs }: T): Turn {
    const fair = fairPool === pool ? this.fairOf(pool) : null;
    if (fair === null) return LAST;
    const sharer = sharerOf(fair, head.run, needs);
    const served = this.of(this.served, pool).get(sharer) ?? 0;
    return { held: this.of(this.units, pool).get(sharer) ?? 0, since: Math.max(head.rank, served - head.queuedAt + head.rank) };
  }

  private shares(run: number, needs: readonly Need[]): { readonly name: string; readonly sharer: string; readonly units: number }[] {
    return needs.flatMap((need) => {
      const fair = need.kind === 'pool' ? this.fairOf(need.name) : null;
      return need.kind !== 'pool' || fair === null ? [] : [{ name: need.name, sharer: sharerOf(fair, run, needs), units: need.units }];
    });
  }

  private of(numbers: Map<string, Map<string, number>>, pool: string): Map<string, number> {
    const known = numbers.get(pool) ?? new Map<string, number>();
    numbers.set(pool, known);
    return known;
  }
}
