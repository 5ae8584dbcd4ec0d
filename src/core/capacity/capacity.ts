/** Who gets units of pools, keys and rates: a pure rule over candidates that are asked in the order of their rank (semantics, section 8). */
import type { KeyNeed, Need, PoolNeed, RateNeed } from './needs.ts';

/** So long a candidate that does not fit lets others of its pool go first, unless it is the oldest. */
const PATIENCE_MS = 30_000;
/** A level is a fraction that was added up: what is a token but for rounding is a token. */
const ROUNDING = 1e-6;

export interface Rate {
  readonly count: number;
  readonly perMs: number;
}

/** Tokens of a rate that were left at an instant. */
export interface Bucket {
  readonly level: number;
  readonly at: number;
}

export interface Place {
  readonly rank: number;
  readonly run: number;
  readonly node: number;
  readonly item: number;
}

/** A queued task that asks. Its rank has its priority in it, a minute per unit. */
export interface Asker extends Place {
  readonly queuedAt: number;
  /** A resumption or a return takes no token of a rate. */
  readonly begins: boolean;
  readonly needs: readonly Need[];
}

/** What is known of the limits before the first candidate is asked. */
export interface Holdings {
  /** Units of a pool; null where nobody declares it. */
  pool(name: string): number | null;
  /** What an operator says of a key in place of its own limit. */
  key(name: string): number | null;
  /** A declared rate, or an operator's in place of the task's own. */
  rate(name: string): Rate | null;
  bucket(name: string): Bucket | null;
  held(kind: 'pool' | 'key', name: string): number;
  /** Of a serial key the tasks that wait for a retry: they keep their turn. */
  retrying(key: string): readonly Place[];
  /** When the candidate that has waited longest for this pool was queued. */
  oldest(pool: string): number;
}

export type Answer =
  | { readonly kind: 'fits' }
  /** `until` where time alone lets it fit. */
  | { readonly kind: 'waits'; readonly need: Need; readonly until: number | null }
  /** It asks for more than there will ever be. */
  | { readonly kind: 'never'; readonly need: PoolNeed; readonly capacity: number }
  /** Its key is taken, and its contract says what happens then. */
  | { readonly kind: 'over'; readonly need: KeyNeed };

/** One acquisition: candidates are asked one after the other, best rank first, and get all that they need or nothing. */
export class CapacityPass {
  private readonly now: number;
  private readonly holdings: Holdings;
  private readonly taken = new Map<string, number>();
  private readonly reserved = new Map<string, number>();
  private readonly heldBack = new Set<string>();
  private readonly levels = new Map<string, number>();

  constructor(now: number, holdings: Holdings) {
    this.now = now;
    this.holdings = holdings;
  }

  /** With `take` false it gets nothing even where it fits: there is no slot for it. */
  ask(asker: Asker, take: boolean): Answer {
    const missing = asker.needs.filter((need) => !this.fits(asker, need));
    const never = asker.needs.find((need) => this.isNever(need));
    if (never?.kind === 'pool') return { kind: 'never', need: never, capacity: this.holdings.pool(never.name) ?? 0 };
    const over = missing.find((need) => need.kind === 'key' && need.onLimit !== 'queue');
    if (over?.kind === 'key') return { kind: 'over', need: over };
    if (missing[0] === undefined && take) for (const need of asker.needs) this.take(asker, need);
    if (missing[0] !== undefined || !take) this.passedOver(asker, missing);
    return missing[0] === undefined ? { kind: 'fits' } : { kind: 'waits', need: missing[0], until: this.until(missing) };
  }

  /** It is not claimed here: of its serial key it keeps its turn all the same. */
  keepsTurn(asker: Asker): void {
    for (const need of asker.needs) if (need.kind === 'key' && need.serial) this.heldBack.add(idOf(need));
  }

  /** Rates of which tokens were taken, with what is left. */
  spent(): { readonly name: string; readonly level: number }[] {
    return [...this.levels].map(([name, level]) => ({ name, level }));
  }

  private isNever(need: Need): boolean {
    const capacity = need.kind === 'pool' ? this.holdings.pool(need.name) : null;
    // A pool that an operator closed with 0 opens again: what waits for it is not failed.
    return need.kind === 'pool' && capacity !== null && capacity > 0 && need.units > capacity;
  }

  private fits(asker: Asker, need: Need): boolean {
    if (need.kind === 'rate') return !asker.begins || this.level(need) >= 1 - ROUNDING;
    const id = idOf(need);
    if (this.heldBack.has(id)) return false;
    const used = this.holdings.held(need.kind, need.name) + (this.taken.get(id) ?? 0);
    if (need.kind === 'pool') return used + (this.reserved.get(id) ?? 0) + need.units <= (this.holdings.pool(need.name) ?? 0);
    const turns = need.serial ? this.holdings.retrying(need.name).filter((place) => isBefore(place, asker)).length : 0;
    return used + turns + 1 <= (this.holdings.key(need.name) ?? need.limit);
  }

  private take(asker: Asker, need: Need): void {
    if (need.kind === 'rate') {
      if (asker.begins) this.levels.set(need.name, Math.max(0, this.level(need) - 1));
      return;
    }
    const id = idOf(need);
    this.taken.set(id, (this.taken.get(id) ?? 0) + (need.kind === 'pool' ? need.units : 1));
  }

  /** One that waits holds back later ones: of its serial key always, of a pool that lacks units for it once its patience is over. */
  private passedOver(asker: Asker, missing: readonly Need[]): void {
    const waited = this.now - asker.queuedAt >= PATIENCE_MS;
    this.keepsTurn(asker);
    for (const need of missing) {
      if (need.kind === 'pool' && (waited || asker.queuedAt <= this.holdings.oldest(need.name))) this.heldBack.add(idOf(need));
    }
    // Of several pools one may be free whenever the other is taken: the first that has waited keeps its units of the free ones.
    if (!waited || missing.length === 0 || missing.some((need) => need.kind !== 'pool')) return;
    for (const need of asker.needs) {
      if (need.kind === 'pool' && !missing.includes(need) && !this.reserved.has(idOf(need))) this.reserved.set(idOf(need), need.units);
    }
  }

  private rateOf(need: RateNeed): Rate | null {
    const own = need.count === undefined || need.perMs === undefined ? null : { count: need.count, perMs: need.perMs };
    return this.holdings.rate(need.name) ?? own;
  }

  private level(need: RateNeed): number {
    const before = this.levels.get(need.name);
    if (before !== undefined) return before;
    const rate = this.rateOf(need);
    const bucket = this.holdings.bucket(need.name);
    if (rate === null) return 0;
    return bucket === null ? rate.count : levelAt(bucket, rate, this.now);
  }

  private until(missing: readonly Need[]): number | null {
    const waits = missing.map((need) => {
      const rate = need.kind === 'rate' ? this.rateOf(need) : null;
      return rate === null || need.kind !== 'rate'
        ? null
        : this.now + Math.max(1, Math.ceil(((1 - this.level(need)) * rate.perMs) / rate.count));
    });
    return waits.some((at) => at === null) ? null : Math.max(...(waits as number[]));
  }
}

/** A bucket fills with its rate up to its count. A clock that went back adds nothing. */
export function levelAt(bucket: Bucket, rate: Rate, now: number): number {
  return Math.min(rate.count, bucket.level + (Math.max(0, now - bucket.at) * rate.count) / rate.perMs);
}

const idOf = (need: PoolNeed | KeyNeed): string => `${need.kind}:${need.name}`;

export const isBefore = (a: Place, b: Place): boolean => (a.rank - b.rank || a.run - b.run || a.node - b.node || a.item - b.item) < 0;
