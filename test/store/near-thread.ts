import { EventEmitter } from 'node:events';
import { answering } from '../../src/store/sqlite/answering.ts';
import { SqliteStore } from '../../src/store/sqlite/store.ts';
import type { Answer, Asked, ThreadData } from '../../src/store/sqlite/wire.ts';

/**
 * Stands for the thread that writes, in this one: what goes to and fro is cloned as between threads, and takes turns of the event loop. A
 * test that opens hundreds of stores has no time for as many threads, and hooks of this thread reach its connection.
 */
export class NearThread extends EventEmitter {
  private readonly answer: (asked: Asked) => Promise<void>;
  private isOver = false;

  constructor(_: URL, { workerData }: { readonly workerData: ThreadData }) {
    super();
    this.answer = answering(new SqliteStore(structuredClone(workerData).options), (answer) => this.reply(crossed(answer)));
  }

  postMessage(asked: Asked): void {
    const arrived = crossed(asked);
    setImmediate(() => void this.answer(arrived));
  }

  private reply(answer: Answer): void {
    setImmediate(() => {
      if (!this.isOver) this.emit('message', answer);
    });
  }

  async terminate(): Promise<void> {
    this.isOver = true;
    this.emit('exit', 1);
  }

  ref(): void {
    this.emit('ref');
  }

  unref(): void {
    this.emit('unref');
  }
}

/** A clone; throws where something would come out as less than it went in: an object of a class, whose methods do not cross. */
function crossed<T>(value: T): T {
  refuseClasses(value, new Set());
  return structuredClone(value);
}

const PLAIN = new Set<unknown>([Object.prototype, null, Array.prototype, Map.prototype, Set.prototype, Uint8Array.prototype]);

function refuseClasses(value: unknown, seen: Set<unknown>): void {
  if (typeof value !== 'object' || value === null || seen.has(value)) return;
  seen.add(value);
  const prototype: unknown = Object.getPrototypeOf(value);
  if (!PLAIN.has(prototype)) throw new Error(`an object of ${value.constructor.name} would cross to another thread`);
  if (value instanceof Uint8Array) return;
  const parts = value instanceof Map ? [...value.keys(), ...value.values()] : value instanceof Set ? [...value] : Object.values(value);
  for (const part of parts) refuseClasses(part, seen);
}
