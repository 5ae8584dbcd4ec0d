import { Worker as Thread } from 'node:worker_threads';
import { PawlError } from '../../core/errors.ts';
import { ownModule } from '../../own-files.ts';
import type { Batch } from '../batch.ts';
import type { StoreInfo } from '../store.ts';
import type { OpenOptions } from './driver.ts';
import { unpackedResult, type PackedResult } from './packing.ts';
import type { PartName, Place } from './routes.ts';
import { KnownServes, receivedLoaded, revivedError, sentBatch, type Answer, type Asked, type SentRun, type ThreadData } from './wire.ts';

interface Waiting {
  readonly place: Place;
  readonly method: string;
  /** What came back, as the port gives it. */
  readonly received: (value: unknown) => unknown;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

const RECEIVED: Readonly<Record<string, (value: unknown) => unknown>> = {
  load: (value) => receivedLoaded(value as SentRun[]),
  commit: (value) => unpackedResult(value as PackedResult),
};
const asItIs = (value: unknown): unknown => value;

/** So far apart that no epoch of one thread is one of the next: a state that was compared under one of them is compared anew. */
const EPOCHS = 2 ** 40;

/**
 * The main thread's end of the thread that writes. It does not keep the process alive, what is asked of it does. One that ended by itself is
 * followed by another at the next call; what the old one was about to write may have happened.
 */
export class WriterThread {
  private readonly options: OpenOptions;
  private thread: Thread | null = null;
  private known = new KnownServes();
  private readonly waiting = new Map<number, Waiting>();
  private asked = 0;
  private threads = 0;
  private isClosed = false;
  private idle: (() => void) | null = null;

  constructor(options: OpenOptions) {
    this.options = options;
  }

  async open(): Promise<StoreInfo> {
    this.isClosed = false;
    return (await this.call('near', null, 'open', [])) as StoreInfo;
  }

  /** What is under way ends first, or is given up by the store as closed. */
  async close(): Promise<void> {
    if (this.isClosed) return;
    if (this.thread === null) {
      this.isClosed = true;
      return;
    }
    const closed = this.call('near', null, 'close', []);
    this.isClosed = true;
    await closed;
    if (this.waiting.size > 0) await new Promise<void>((resolve) => (this.idle = resolve));
    await this.thread?.terminate();
  }

  call(place: Place, part: PartName | null, method: string, args: readonly unknown[]): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.isClosed) throw new PawlError('STORE_CLOSED', `${this.options.path}: the store is closed.`);
      const thread = this.running();
      const id = ++this.asked;
      this.send(thread, { id, part, method, args });
      if (this.waiting.size === 0) thread.ref();
      this.waiting.set(id, { place, method, received: part === null ? (RECEIVED[method] ?? asItIs) : asItIs, resolve, reject });
    });
  }

  private send(thread: Thread, { args, ...asked }: Asked): void {
    const isCommit = asked.part === null && asked.method === 'commit';
    try {
      thread.postMessage({ ...asked, args: isCommit ? [sentBatch(args[0] as Batch, this.known)] : args } satisfies Asked);
    } catch (error) {
      // why: what could not be sent may have been the first to say what this process serves
      this.known = new KnownServes();
      throw error;
    }
  }

  private running(): Thread {
    if (this.thread !== null) return this.thread;
    const workerData: ThreadData = { options: { ...this.options, firstEpoch: ++this.threads * EPOCHS } };
    const thread = new Thread(ownModule('store/sqlite/writer-thread'), { workerData });
    let cause: unknown;
    thread.on('message', (answer: Answer) => this.answered(answer));
    thread.on('error', (error) => (cause = error));
    thread.on('exit', (code) => this.ended(thread, cause ?? new Error(`it ended with code ${code}`)));
    thread.unref();
    this.known = new KnownServes();
    this.thread = thread;
    return thread;
  }

  private answered(answer: Answer): void {
    const waiting = this.waiting.get(answer.id);
    if (waiting === undefined) return;
    this.waiting.delete(answer.id);
    if (this.waiting.size === 0) {
      this.thread?.unref();
      this.idle?.();
    }
    if ('failed' in answer) waiting.reject(revivedError(answer.failed));
    else waiting.resolve(waiting.received(answer.value));
  }

  private ended(thread: Thread, cause: unknown): void {
    if (this.thread === thread) this.thread = null;
    const { path } = this.options;
    const left = [...this.waiting.values()];
    this.waiting.clear();
    this.idle?.();
    for (const { place, method, reject } of left) {
      const message = `${path}: the thread that writes ended during \`${method}\``;
      reject(
        place === 'write'
          ? new PawlError('STORE_UNKNOWN_OUTCOME', `${message}, which may have happened.`, { cause })
          : new PawlError('STORE_IO', `${message}, which changed nothing.`, { cause }),
      );
    }
  }
}
