import type { CompiledGraph } from '../core/compile.ts';
import type { RunEnd } from '../core/changes.ts';
import { isPawlError, PawlError } from '../core/errors.ts';
import type { EngineEvent, WatchOptions } from '../core/events.ts';
import type { Logger } from '../core/log.ts';
import type { Workflow } from '../core/types.ts';
import type { Store } from '../store/store.ts';
import type { Attempt, Progress } from './attempt.ts';
import { StoreClock } from './clock.ts';
import { Committer } from './committer.ts';
import type { Intercept } from './dispatcher.ts';
import { Ends } from './ends.ts';
import { EventReader } from './events.ts';
import { Follower } from './follower.ts';
import type { HeartFactory } from './heart.ts';
import type { Host } from './host.ts';
import type { Ports } from './ports.ts';
import { asked, pruneBatches, runsToPrune, type PruneCounts, type PruneOptions } from './retention.ts';
import { Registry, type Known, type Registrable } from './registry.ts';
import type { Started, StartRequest } from './units.ts';
import { Worker, type WorkerSettings } from './worker.ts';

export interface EngineParts {
  /** Called once, at the first use. */
  readonly openStore: () => Promise<Store>;
  /** `'read'`: the store is looked at, and nothing is written to it. */
  readonly access: 'read' | 'write';
  readonly heart: (store: Store, clock: StoreClock) => HeartFactory;
  readonly ports: Ports;
  readonly host: Host;
  readonly logger: Logger;
  readonly settings: WorkerSettings;
  readonly use: readonly Registrable[];
  readonly onEvent?: ((event: EngineEvent) => void) | undefined;
  readonly onProgress?: ((progress: TaskProgress) => void) | undefined;
  /** Stands between attempts and bodies: for the testing kit. */
  readonly intercept?: Intercept | undefined;
}

/** How long to wait before a worker is booted again. */
const REBIRTH_MS = 500;

/** What a body said of its own progress; not stored. */
export interface TaskProgress {
  readonly runId: string;
  readonly task: string;
  readonly item?: number;
  readonly attempt: number;
  readonly progress: Progress;
}

interface Opened {
  readonly store: Store;
  readonly committer: Committer;
  readonly follower: Follower;
  readonly events: EventReader;
  readonly ends: Ends;
  readonly clock: StoreClock;
}

/** A store, what is registered, and at most one worker at a time: everything of a process but its API. */
export class EngineRuntime {
  readonly registry: Registry;
  private readonly parts: EngineParts;
  private opened: Promise<Opened> | null = null;
  private worker: Worker | null = null;
  private isClosed = false;
  private broken: Error | null = null;
  private readonly closing = new AbortController();

  constructor(parts: EngineParts) {
    this.parts = parts;
    this.registry = new Registry(parts.use, (text) => parts.ports.digest(text));
  }

  open(): Promise<Opened> {
    if (this.isClosed) return Promise.reject(new PawlError('STORE_CLOSED', 'The engine is closed.'));
    this.opened ??= this.openParts().catch((error: unknown) => {
      this.opened = null;
      throw error;
    });
    return this.opened;
  }

  private async openParts(): Promise<Opened> {
    const { ports, settings, logger } = this.parts;
    const store = await this.parts.openStore();
    const clock = new StoreClock(ports, settings.leaseMs);
    const info = await store.open();
    clock.raise(info.clock);
    if (info.isImmutable)
      logger.warn('the store cannot be read beside a writer: what is committed from now on is not seen', { path: info.path });
    if (this.parts.access === 'write') await this.registry.define(store, clock.now());
    const { maxPayload, maxLost } = settings;
    const committer = new Committer({ store, ports, clock, registry: this.registry, logger, settings: { maxPayload, maxLost } });
    const follower = new Follower(store, ports, settings.background, () => void this.worker?.look());
    const ends = new Ends(store, follower, ports);
    committer.onCommit = (seq) => follower.committed(seq);
    committer.onBroken = (error) => void this.breakDown(error);
    committer.onUnknown = () => void this.opened?.then((parts) => this.rebirth(parts, null));
    committer.onRunEnd = (run, end) => ends.ended(run, end);
    this.closing.signal.addEventListener('abort', () => ends.close());
    const events = new EventReader(store, this.registry);
    if (this.parts.onEvent !== undefined) void this.pump(events, follower, this.parts.onEvent);
    return { store, committer, follower, events, ends, clock };
  }

  private async pump(events: EventReader, follower: Follower, onEvent: (event: EngineEvent) => void): Promise<void> {
    const { logger } = this.parts;
    try {
      for await (const event of events.watch(follower, { signal: this.closing.signal })) {
        try {
          onEvent(event);
        } catch (error) {
          logger.error('onEvent threw', { error: textOf(error) });
        }
      }
    } catch (error) {
      if (!this.isClosed) logger.error('events cannot be read any more', { error: textOf(error) });
    }
  }

  now(): number {
    return this.parts.ports.now();
  }

  randomBytes(count: number): Uint8Array {
    return this.parts.ports.randomBytes(count);
  }

  digest(text: string): string {
    return this.parts.ports.digest(text);
  }

  current(workflow: Workflow<never, unknown> | string): { readonly workflow: Workflow<never, unknown>; readonly definition: Known } {
    const { workflow: registered, known } = this.registry.current(workflow);
    return { workflow: registered, definition: known };
  }

  /** Throws where this engine was opened to read. */
  writable(): void {
    if (this.parts.access === 'write') return;
    throw new PawlError('STORE_READONLY', 'This engine was opened to read: it writes nothing.', {
      fix: "Create an engine without access: 'read'.",
    });
  }

  /** Deletes what is past its retention until nothing is left. */
  async prune(options: PruneOptions): Promise<PruneCounts> {
    const keep = asked(options, this.parts.settings.retention);
    if (options.dryRun !== true) this.writable();
    const { store, clock } = await this.open();
    const { ports } = this.parts;
    const now = clock.now();
    if (options.dryRun === true) {
      const runs = await store.care.prunable(runsToPrune(keep, now));
      return { runs, journalRows: keep.journalMs === null ? 0 : await store.care.prunableJournal(now - keep.journalMs) };
    }
    const isOver = (): boolean => options.signal?.aborted === true || this.closing.signal.aborted;
    const { runs, journalRows } = await pruneBatches({ care: store.care, ports, keep, now, isOver });
    return { runs, journalRows };
  }

  /** How long the journal is kept; null: for ever. */
  get journalMs(): number | null {
    return this.parts.settings.retention.journalMs;
  }

  async start(request: Omit<StartRequest, 'known'> & { readonly definition: unknown }): Promise<Started> {
    const { committer } = await this.open();
    return new Promise<Started>((resolve, reject) => {
      if (this.broken !== null) reject(this.broken);
      else committer.add({ kind: 'start', request: { ...request, known: request.definition as Known }, resolve, reject });
    });
  }

  async cancel(run: number): Promise<boolean> {
    return (await this.open()).committer.event(run, { type: 'cancel', reason: 'person' });
  }

  async ended(run: number, ms: number | null): Promise<RunEnd | null | 'timeout'> {
    return (await this.open()).ends.wait(run, ms);
  }

  async graph(definition: number): Promise<CompiledGraph | null> {
    return (await this.registry.learn((await this.open()).store, definition))?.compiled ?? null;
  }

  async *watch(options: WatchOptions = {}, until?: () => Promise<unknown>): AsyncGenerator<EngineEvent, void> {
    const { events, follower } = await this.open();
    const signal = options.signal === undefined ? this.closing.signal : AbortSignal.any([options.signal, this.closing.signal]);
    yield* events.watch(follower, { ...options, signal }, until);
  }

  async work(concurrency = this.parts.settings.concurrency): Promise<void> {
    this.writable();
    if (this.worker !== null) return;
    if (!Number.isInteger(concurrency) || concurrency < 1 || concurrency > 100_000) {
      throw new PawlError('CONFIG_OPTION', 'concurrency: give a whole number from 1 to 100,000.');
    }
    const opened = await this.open();
    this.worker = await this.bootWorker(opened, concurrency);
    opened.follower.keepOn(true);
  }

  private async bootWorker(opened: Opened, concurrency: number): Promise<Worker> {
    const { ports, host, logger, settings, intercept } = this.parts;
    const { store, committer, clock } = opened;
    const options = {
      store,
      committer,
      registry: this.registry,
      clock,
      ports,
      host,
      heart: this.parts.heart(store, clock),
      logger,
      settings: { ...settings, concurrency },
      onProgress: (attempt: Attempt, progress: Progress) => this.progressed(attempt, progress),
      intercept,
    };
    return Worker.boot(options, () => void this.rebirth(opened, concurrency));
  }

  /** The lease ran out, perhaps because this process stood still: its work may already be somebody else's. A new identity goes on. */
  private async rebirth(opened: Opened, size: number | null): Promise<void> {
    const lost = this.worker;
    if (lost === null || this.isClosed) return;
    const concurrency = size ?? lost.concurrency;
    this.parts.logger.warn('the lease was lost: attempts are aborted, the worker starts anew', { worker: lost.id });
    this.worker = null;
    await lost.abandon('The worker lost its lease.');
    await this.revive(opened, concurrency, lost.id);
  }

  /** Boots the next worker; tried again while the store does not let it. */
  private async revive(opened: Opened, concurrency: number, lost: number): Promise<void> {
    if (this.isClosed || this.worker !== null) return;
    try {
      // Nothing of the old identity is running any more: its work need not wait for its lease to end.
      await opened.store.fence(lost, { dead: true });
      const worker = await this.bootWorker(opened, concurrency);
      if (this.isClosed) await worker.abandon('The engine was closed.');
      else this.worker = worker;
    } catch (error) {
      if (!isPawlError(error)) return this.breakDown(error);
      this.parts.ports.timer(REBIRTH_MS, () => void this.revive(opened, concurrency, lost));
    }
  }

  /** A rule of the engine or the store is broken: this process stops working rather than guess. */
  private async breakDown(error: unknown): Promise<void> {
    if (this.broken !== null || this.isClosed) return;
    this.broken = error instanceof Error ? error : new PawlError('ENGINE_BROKEN', String(error));
    this.parts.logger.error('the engine stopped', { error: this.broken.stack ?? this.broken.message });
    await this.worker?.abandon('The engine stopped.');
    this.worker = null;
  }

  private progressed(attempt: Attempt, progress: Progress): void {
    const { item, attempt: number } = attempt.task;
    this.parts.onProgress?.({ runId: attempt.runId, task: attempt.id, attempt: number, progress, ...(item < 0 ? {} : { item }) });
  }

  /** Stops claiming, gives bodies the abort signal and the drain time, hands back what is unfinished, closes the store. */
  async close(): Promise<void> {
    if (this.isClosed) return;
    const opened = this.opened === null ? null : await this.opened.catch(() => null);
    await this.worker?.stop();
    this.worker = null;
    this.isClosed = true;
    this.closing.abort();
    if (opened === null) return;
    opened.follower.close();
    await opened.committer.idle();
    await opened.store.close();
  }

  /** Drops everything at once, as a crash would: bodies are abandoned, nothing more is written. For the testing kit. */
  async crash(): Promise<void> {
    const opened = await this.open();
    this.isClosed = true;
    this.closing.abort();
    opened.follower.close();
    await this.worker?.abandon('The process crashed.');
    this.worker = null;
  }

  /** Nothing is left to write. For the testing kit. */
  async isIdle(): Promise<boolean> {
    return (await this.open()).committer.isIdle;
  }
}

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
