import type { TaskKey } from '../store/store.ts';

/**
 * What a worker has claimed and whether its body has begun, in memory that the heart's thread sees too: when the main thread does not
 * answer, that thread takes back what never began. One compare-and-swap decides between the two.
 */
const FREE = 0;
const CLAIMED = 1;
const BEGUN = 2;
const TAKEN_BACK = 3;

/** Token, run, node, item. */
const FIELDS = 4;

export class Slots {
  readonly buffer: SharedArrayBuffer;
  private readonly alive: Int32Array;
  private readonly states: Int32Array;
  private readonly facts: Float64Array;
  private readonly free: number[];

  constructor(size: number, buffer = new SharedArrayBuffer(8 + Math.ceil(size / 2) * 8 + size * FIELDS * 8)) {
    this.buffer = buffer;
    this.alive = new Int32Array(buffer, 0, 1);
    this.states = new Int32Array(buffer, 8, size);
    this.facts = new Float64Array(buffer, 8 + Math.ceil(size / 2) * 8, size * FIELDS);
    this.free = Array.from({ length: size }, (_, i) => size - 1 - i);
  }

  /** A slot for a claim; -1 where all are taken: then its beginning is not watched. */
  claim(token: number, key: TaskKey): number {
    const slot = this.free.pop();
    if (slot === undefined) return -1;
    this.facts.set([token, key.run, key.node, key.item], slot * FIELDS);
    Atomics.store(this.states, slot, CLAIMED);
    return slot;
  }

  /** False where the claim was taken back meanwhile: its body must not begin. */
  begin(slot: number): boolean {
    return slot < 0 || Atomics.compareExchange(this.states, slot, CLAIMED, BEGUN) === CLAIMED;
  }

  release(slot: number): void {
    if (slot < 0) return;
    Atomics.store(this.states, slot, FREE);
    this.free.push(slot);
  }

  /** The main thread says that it is there. */
  touch(): void {
    Atomics.add(this.alive, 0, 1);
  }

  /** For the heart's thread: a number that stands still while the main thread does not answer. */
  get touches(): number {
    return Atomics.load(this.alive, 0);
  }

  /** For the heart's thread: every claim whose body has not begun, taken back. */
  takeBack(): (TaskKey & { readonly token: number })[] {
    const taken: (TaskKey & { readonly token: number })[] = [];
    for (let slot = 0; slot < this.states.length; slot++) {
      if (Atomics.compareExchange(this.states, slot, CLAIMED, TAKEN_BACK) !== CLAIMED) continue;
      const [token = 0, run = 0, node = 0, item = 0] = this.facts.subarray(slot * FIELDS, (slot + 1) * FIELDS);
      taken.push({ token, run, node, item });
    }
    return taken;
  }
}
