import { messageOf, PawlError } from '../../core/errors.ts';
import type { StoreFacts } from '../care.ts';
import type { Store, StoreInfo, WriterFacts } from '../store.ts';
import type { OpenOptions } from './driver.ts';
import { SLOW_FLUSH_MS } from './flush.ts';
import { ask, routed, type Call, type PartName } from './routes.ts';
import { SqliteStore } from './store.ts';
import type { WriterThread } from './writer.ts';

/** `auto`: a thread where the flush that is measured at open is slow. */
export type WriterChoice = 'auto' | 'main' | 'thread';

export interface SplitOptions extends Omit<OpenOptions, 'access' | 'onFlush' | 'firstEpoch'> {
  readonly writer: WriterChoice;
}

/**
 * One file by two connections: one that writes, in this thread or in one of its own, and one that cannot, for what people ask. The second is
 * opened when something is asked.
 */
export function splitStore(options: SplitOptions): Store {
  const split = new Split(options);
  return { ...routed(split.call), open: () => split.open(), close: () => split.close() };
}

class Split {
  private readonly options: SplitOptions;
  private readonly main: SqliteStore;
  /** Null: it is not in a thread. */
  private thread: WriterThread | null = null;
  /** Null: nobody has asked yet. */
  private views: SqliteStore | null = null;
  private flushMs: number | null = null;
  private writer: WriterFacts | null = null;
  private isClosed = false;

  constructor(options: SplitOptions) {
    this.options = options;
    this.main = new SqliteStore(options.writer === 'auto' ? { ...options, onFlush: (ms) => (this.flushMs = ms) } : options);
  }

  async open(): Promise<StoreInfo> {
    const info = await this.opened();
    this.writer = info.writer;
    return info;
  }

  private async opened(): Promise<StoreInfo> {
    this.views = null;
    this.isClosed = false;
    if (this.thread !== null || this.options.writer === 'thread') return this.openThread();
    const info = await this.main.open();
    const { flushMs } = this;
    const writer = { ...info.writer, flushMs };
    if (this.options.writer === 'main' || flushMs === null || flushMs <= SLOW_FLUSH_MS) return { ...info, writer };
    try {
      const opened = await this.openThread();
      // why: not before the thread has the file open: the last to close it would write all of the WAL back
      await this.main.close();
      return opened;
    } catch (error) {
      // Slower, and as safe: a bundle may have left the thread's file out.
      await this.leaveThread();
      return { ...info, writer: { ...writer, refused: messageOf(error) } };
    }
  }

  private async openThread(): Promise<StoreInfo> {
    const { WriterThread: Writer } = await import('./writer.ts');
    const { writer: _, ...options } = this.options;
    this.thread ??= new Writer(options);
    return { ...(await this.thread.open()), writer: { in: 'thread', flushMs: this.flushMs } };
  }

  private async leaveThread(): Promise<void> {
    const { thread } = this;
    this.thread = null;
    await thread?.close();
  }

  async close(): Promise<void> {
    this.isClosed = true;
    await this.views?.close();
    await (this.thread ?? this.main).close();
  }

  private async view(part: PartName | null, method: string, args: readonly unknown[]): Promise<unknown> {
    this.views ??= new SqliteStore({ ...this.options, access: 'read' });
    const seen = await ask(this.views, part, method, args);
    return part === 'care' && method === 'facts' ? { ...(seen as StoreFacts), writer: this.writer } : seen;
  }

  readonly call: Call = (place, part, method, args) => {
    if (this.isClosed) return Promise.reject(new PawlError('STORE_CLOSED', `${this.options.path}: the store is closed.`));
    if (place === 'view') return this.view(part, method, args);
    return this.thread === null ? ask(this.main, part, method, args) : this.thread.call(place, part, method, args);
  };
}
