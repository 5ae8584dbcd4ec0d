import type { WaitRecord } from '../core/kernel/waits.ts';
import type { StepRecord, Store, TaskKey } from '../store/store.ts';

/** So many characters of records are held for bodies that wait. */
const MOST = 16_777_216;

/** The turn of a body whose records these are: a redrive opens another generation, a restart another effect. */
export interface BodyTurn extends TaskKey {
  /** Where the run moved to another one, its tasks have other numbers. */
  readonly definition: number;
  readonly generation: number;
  readonly effect: number;
}

/** A call that has ended, as it was made: who makes it again gets what it came to, and nothing is checked again. */
export interface EndedCall {
  readonly target: unknown;
  /** The input as the body gave it, as the codec stores it. */
  readonly given: string | undefined;
  readonly record: WaitRecord;
}

/** The records of one body as this process knows them. */
export class BodyRecords {
  readonly records = new Map<string, StepRecord>();
  /** By the names of their records. */
  private readonly ended = new Map<string, EndedCall>();
  /** Up to here they are all there. */
  place = 0;
  size = 0;
  /** What of it counts for the whole of the cache. */
  counted = 0;

  add(record: StepRecord): void {
    this.size += sizeOf(record) - sizeOf(this.records.get(record.name));
    this.records.set(record.name, record);
    this.place = Math.max(this.place, record.place);
  }

  note(name: string, call: EndedCall): void {
    this.size += call.given?.length ?? 0;
    this.ended.set(name, call);
  }

  made(name: string): EndedCall | undefined {
    return this.ended.get(name);
  }
}

/**
 * Records of bodies, between their passes in this process. A record that is written again gets a later place, so a pass reads what came after
 * the one before: a body that makes n calls, one after the other, reads n rows instead of n²/2. The least used goes first.
 */
export class RecordCache {
  private readonly store: Store;
  private readonly entries = new Map<string, BodyRecords>();
  private size = 0;

  constructor(store: Store) {
    this.store = store;
  }

  async read(of: BodyTurn): Promise<BodyRecords> {
    const key = `${of.definition}:${of.run}:${of.node}:${of.item}:${of.generation}:${of.effect}`;
    const entry = this.entries.get(key) ?? new BodyRecords();
    const fresh = await this.store.steps(of, { generation: of.generation, place: entry.place });
    for (const record of fresh) entry.add(record);
    this.drop(key);
    if (entry.size <= MOST) this.keep(key, entry);
    return entry;
  }

  private keep(key: string, entry: BodyRecords): void {
    this.entries.set(key, entry);
    entry.counted = entry.size;
    this.size += entry.counted;
    for (const oldest of this.entries.keys()) {
      if (this.size <= MOST) return;
      this.drop(oldest);
    }
  }

  private drop(key: string): void {
    this.size -= this.entries.get(key)?.counted ?? 0;
    this.entries.delete(key);
  }
}

const sizeOf = (record: StepRecord | undefined): number =>
  record === undefined ? 0 : 200 + record.name.length + (record.value?.length ?? 0);
