import { existsSync } from 'node:fs';
import type { EngineOptions } from '../compose.ts';
import { PawlError } from '../core/errors.ts';
import type { Engine } from '../facade.ts';
import { entryFile, shownPath, storeAddress, storeFile } from './config.ts';
import { loadEntry, type Entry } from './entry.ts';
import type { Io } from './io.ts';
import { Output } from './output.ts';

export interface GlobalOptions {
  readonly store?: string;
  readonly entry?: string;
  readonly json?: boolean;
  readonly jsonl?: boolean;
  readonly color: boolean;
  readonly yes?: boolean;
}

/** What a command works with: the process, the options that all commands share, and the engine, which is closed when it is done. */
export class Cli {
  readonly io: Io;
  readonly out: Output;
  readonly options: GlobalOptions;
  private readonly closing: (() => Promise<void>)[] = [];

  constructor(io: Io, options: GlobalOptions) {
    this.io = io;
    this.options = options;
    this.out = new Output(io, { format: options.jsonl === true ? 'jsonl' : options.json === true ? 'json' : 'text', color: options.color });
  }

  get store(): string {
    return storeAddress(this.options.store, this.io);
  }

  /** Imports the entry: the argument, the option, or what is found. */
  async entry(given?: string): Promise<Entry> {
    return loadEntry(entryFile(given ?? this.options.entry, this.io), this.io.cwd);
  }

  /** An engine over the store, made where there is none. What ends soon is not worth a thread that writes. */
  async engine(options: Omit<EngineOptions, 'store'>): Promise<Engine> {
    const { createEngine } = await import('../compose.ts');
    const { textLogger } = await import('./log.ts');
    const engine = createEngine({
      logger: textLogger((text) => this.out.note(text), this.io, 'warn'),
      writer: 'main',
      ...options,
      store: this.store,
    });
    this.closing.push(() => engine.close());
    return engine;
  }

  /** An engine over a store that exists: what acts on a mistyped one must not make it. */
  async existing(): Promise<Engine> {
    this.requireStore();
    return this.engine({ use: [] });
  }

  /** As `existing`, for what only asks: nothing is written, so that it works on a file that may only be read. */
  async reader(): Promise<Engine> {
    this.requireStore();
    return this.engine({ use: [], access: 'read' });
  }

  requireStore(): void {
    const file = storeFile(this.store);
    if (file !== null && existsSync(file)) return;
    const where = file === null ? this.store : shownPath(file, this.io.cwd);
    throw new PawlError('STORE_UNREACHABLE', `There is no store at ${where}.`, {
      fix: 'Name the store with --store sqlite:<file> or PAWL_STORE, or start a run or a worker: that makes it.',
      details: { store: this.store },
    });
  }

  async close(): Promise<void> {
    for (const close of this.closing.splice(0).reverse()) await close();
  }
}
