/** Free places hold this key. */
const FREE = -1;

/** Places at least; always a power of two, at most half of them taken. */
const LEAST = 16;

/**
 * Values, none of them undefined, by whole numbers from 0: for what comes and goes thousands of times a second. A `Map` there keeps garbage alive: when it makes itself
 * a new table, the old one goes on pointing to it, so once one table has become old to the collector, all later ones, with everything that was
 * ever in them, live until the next full collection.
 *
 * Open addressing with linear probing; what is deleted leaves no mark, those behind it move up.
 */
export class NumberMap<V> {
  private keys = new Float64Array(LEAST).fill(FREE);
  private slots: (V | undefined)[] = slotsOf(LEAST);
  private count = 0;

  get size(): number {
    return this.count;
  }

  get(key: number): V | undefined {
    return this.slots[this.placeOf(key)];
  }

  has(key: number): boolean {
    return this.get(key) !== undefined;
  }

  set(key: number, value: V): this {
    let at = this.placeOf(key);
    if (this.keys[at] !== key) {
      if ((this.count + 1) * 2 > this.keys.length) {
        this.resize(this.keys.length * 2);
        at = this.placeOf(key);
      }
      this.count++;
      this.keys[at] = key;
    }
    this.slots[at] = value;
    return this;
  }

  delete(key: number): boolean {
    if (!this.has(key)) return false;
    const at = this.placeOf(key);
    this.count--;
    this.closeGap(at);
    if (this.keys.length > LEAST && this.count * 8 < this.keys.length) this.resize(this.keys.length / 2);
    return true;
  }

  /** By key, the smallest first; what is set or deleted meanwhile does not change it. */
  values(): V[] {
    const places: number[] = [];
    this.keys.forEach((key, at) => key !== FREE && places.push(at));
    return places.toSorted((a, b) => this.keyAt(a) - this.keyAt(b)).map((at) => this.slots[at] as V);
  }

  /** Where the key is, or the free place where it would go. */
  private placeOf(key: number): number {
    const mask = this.keys.length - 1;
    let at = key & mask;
    for (let found = this.keys[at]; found !== key && found !== FREE; found = this.keys[at]) at = (at + 1) & mask;
    return at;
  }

  private keyAt(at: number): number {
    return this.keys[at] ?? FREE;
  }

  /** Moves up those that probing would no longer find behind the gap. */
  private closeGap(from: number): void {
    const mask = this.keys.length - 1;
    let gap = from;
    for (let at = (gap + 1) & mask; this.keyAt(at) !== FREE; at = (at + 1) & mask) {
      const home = this.keyAt(at) & mask;
      if (((at - home) & mask) < ((at - gap) & mask)) continue;
      this.keys[gap] = this.keyAt(at);
      this.slots[gap] = this.slots[at];
      gap = at;
    }
    this.keys[gap] = FREE;
    this.slots[gap] = undefined;
  }

  private resize(places: number): void {
    const { keys, slots } = this;
    this.keys = new Float64Array(places).fill(FREE);
    this.slots = slotsOf(places);
    keys.forEach((key, from) => {
      if (key === FREE) return;
      const at = this.placeOf(key);
      this.keys[at] = key;
      this.slots[at] = slots[from];
    });
  }
}

const slotsOf = <V>(places: number): (V | undefined)[] => Array.from({ length: places }, () => undefined);
