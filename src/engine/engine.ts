import { Client, type ClientWriter, type RunQuery, type RunRef, type RunView, type StartOptions, type StartRequest, type TaskView } from '../client/client.ts';
import type { Duration } from '../core/duration.ts';
import { PawlError } from '../core/errors.ts';
import type { Graph } from '../core/graph.ts';
import type { AnyTask, Task, Workflow } from '../core/types.ts';
import type { Logger } from '../observe/log.ts';
import type { Store } from '../store/store.ts';
import type { Attempt, Progress } from './attempt.ts';
import { StoreClock } from './clock.ts';
import { Committer } from './committer.ts';
import { Ends } from './ends.ts';
import { EventReader, type EngineEvent, type WatchOptions } from './events.ts';
import { Follower } from './follower.ts';
import type { Intercept } from './dispatcher.ts';
import type { HeartFactory } from './heart.ts';
import type { Host } from './host.ts';
import type { Ports } from './ports.ts';
import { Registry, type Known, type Registrable } from './registry.ts';
import type { Started } from './units.ts';
import { Worker, type WorkerSettings } from './worker.ts';

export interface EngineSettings extends WorkerSettings {
  readonly maxLost: number;
}

export interface EngineParts {
  /** Opened at the first use. */
  readonly openStore: () => Promise<Store>;
  readonly heart: (store: Store, clock: StoreClock) => HeartFactory;
  readonly ports: Ports;
  readonly host: Host;
  readonly logger: Logger;
  readonly settings: EngineSettings;
  readonly use: readonly Registrable[];
  readonly onEvent?: ((event: EngineEvent) => void) | undefined;
  readonly onProgress?: ((progress: TaskProgress) => void) | undefined;
  /** Stands between attempts and bodies: for the testing kit. */
  readonly intercept?: Intercept | undefined;
}

/** What a body said of its own progress; not stored. */
export interface TaskProgress {
  readonly runId: string;
  readonly task: string;
  readonly item?: number;
  readonly attempt: number;
  readonly progress: Progress;
}

export interface WorkOptions {
  /** Attempts at the same time in this process. Default 20. */
  readonly concurrency?: number;
}

export type StartArgs<I> = [I] extends [void] ? [input?: undefined, options?: StartOptions] : [input: NoInfer<I>, options?: StartOptions];

interface Opened {
  readonly store: Store;
  readonly committer: Committer;
  readonly client: Client;
  readonly follower: Follower;
  readonly events: EventReader;
  readonly clock: StoreClock;
}

/** A store, a worker if asked, and the API over both. Opens its store at the first call. */
export class Engine {
  private readonly parts: EngineParts;
  private readonly registry: Registry;
  private opened: Promise<Opened> | null = null;
  private worker: Worker | null = null;
  private isClosed = false;
  private broken: unknown = null;
  private readonly closing = new AbortController();

  constructor(parts: EngineParts) {
    this.parts = parts;
    this.registry = new Registry(parts.use, (text) => parts.ports.digest(text));
  }

  private open(): Promise<Opened> {
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
    await this.registry.define(store, clock.now());
    const { maxPayload, maxLost } = settings;
    const committer = new Committer({ store, ports, clock, registry: this.registry, logger, settings: { maxPayload, maxLost } });
    const follower = new Follower(store, ports, settings.background, () => void this.worker?.look());
    committer.onCommit = (seq) => follower.committed(seq);
    committer.onBroken = (error) => void this.breakDown(error);
    const events = new EventReader(store, this.registry);
    const ends = new Ends(store, follower, ports);
    committer.onRunEnd = (run, end) => ends.ended(run, end);
    this.closing.signal.addEventListener('abort', () => ends.close());
    const client = new Client(store, this.clientWriter(store, committer, clock, ends), maxPayload);
    if (this.parts.onEvent !== undefined) void this.pump(events, follower, this.parts.onEvent);
    return { store, committer, client, follower, events, clock };
  }

  private clientWriter(store: Store, committer: Committer, clock: StoreClock, ends: Ends): ClientWriter {
    const { ports } = this.parts;
    return {
      now: () => clock.now(),
      randomBytes: (count) => ports.randomBytes(count),
      digest: (text) => ports.digest(text),
      current: (workflow) => {
        const { workflow: registered, known } = this.registry.current(workflow);
        return { workflow: registered, definition: known };
      },
      start: (request: StartRequest) =>
        new Promise<Started>((resolve, reject) => {
          if (this.broken !== null) reject(this.broken);
          else committer.add({ kind: 'start', request: { ...request, known: request.definition as Known }, resolve, reject });
        }),
      cancel: (run) => committer.event(run, { type: 'cancel', reason: 'person' }),
      ended: (run, ms) => ends.wait(run, ms),
      graph: async (definition) => (await this.registry.learn(store, definition))?.compiled ?? null,
    };
  }

  private async pump(events: EventReader, follower: Follower, onEvent: (event: EngineEvent) => void): Promise<void> {
    try {
      for await (const event of events.watch(follower, { signal: this.closing.signal })) {
        try {
          onEvent(event);
        } catch (error) {
          this.parts.logger.error('onEvent threw', { error: error instanceof Error ? error.message : String(error) });
        }
      }
    } catch (error) {
      if (!this.isClosed) this.parts.logger.error('events cannot be read any more', { error: error instanceof Error ? error.message : String(error) });
    }
  }

  /** A rule of the engine or the store is broken: this process stops working rather than guess. */
  private async breakDown(error: unknown): Promise<void> {
    if (this.broken !== null || this.isClosed) return;
    this.broken = error;
    this.parts.logger.error('the engine stopped', { error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
    await this.worker?.abandon('The engine stopped.');
    this.worker = null;
  }

  /**
   * Starts a run. Resolves when it is on durable storage; with a key that is taken, with the run that holds it (`created` false).
   * Rejects with `RUN_INPUT_INVALID`, `RUN_KEY_CONFLICT`, `RUN_KEY_TAKEN`, `PAYLOAD_*`, or a `STORE_*` error: then nothing was accepted,
   * except after `STORE_UNKNOWN_OUTCOME`: start again with the same key.
   */
  async start<I, O>(workflow: Workflow<I, O>, ...[input, options]: StartArgs<I>): Promise<Run<O>> {
    const opened = await this.open();
    const started = await opened.client.start(workflow as Workflow<never, unknown>, input, options);
    return new Run<O>(this, started, started.created);
  }

  /** Starts many runs in as few commits as possible; a result per item, in order: a run, or the error that `start` would have given. */
  async startMany<I, O>(workflow: Workflow<I, O>, items: readonly ({ readonly input: I } & StartOptions)[]): Promise<StartManyResult<O>[]> {
    const { client } = await this.open();
    return Promise.all(
      items.map(async ({ input, ...options }): Promise<StartManyResult<O>> => {
        try {
          const started = await client.start(workflow as Workflow<never, unknown>, input, options);
          return { run: new Run<O>(this, started, started.created) };
        } catch (error) {
          if (error instanceof PawlError) return { error };
          throw error;
        }
      }),
    );
  }

  /** A handle to a run by its id. Rejects with `RUN_NOT_FOUND`. */
  async get(id: string): Promise<Run<unknown>> {
    const { client } = await this.open();
    const row = await client.find(id);
    return new Run<unknown>(this, { id, run: row.run }, false);
  }

  /** Queries over runs. */
  readonly runs = {
    list: async (query: RunQuery = {}): Promise<{ readonly runs: readonly RunView[]; readonly next?: string }> => (await this.open()).client.list(query),
  };

  /** What happens, in commit order, from now on or behind a cursor, until the signal aborts or the engine is closed. */
  async *watch(options: WatchOptions = {}): AsyncGenerator<EngineEvent, void> {
    const { events, follower } = await this.open();
    const signal = options.signal === undefined ? this.closing.signal : AbortSignal.any([options.signal, this.closing.signal]);
    yield* events.watch(follower, { ...options, signal });
  }

  /** What is registered with this engine. */
  get registered(): ReturnType<Registry['list']> {
    return this.registry.list();
  }

  /** This process takes on work until it is closed. Resolves when it is ready to. */
  async work(options: WorkOptions = {}): Promise<void> {
    if (this.worker !== null) return;
    const { concurrency = this.parts.settings.concurrency } = options;
    if (!Number.isInteger(concurrency) || concurrency < 1 || concurrency > 100_000) {
      throw new PawlError('CONFIG_OPTION', 'concurrency: give a whole number from 1 to 100,000.');
    }
    const opened = await this.open();
    this.worker = await this.bootWorker(opened, concurrency);
    opened.follower.keepOn(true);
  }

  private async bootWorker(opened: Opened, concurrency: number): Promise<Worker> {
    const { ports, host, logger, settings } = this.parts;
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
      intercept: this.parts.intercept,
    };
    return Worker.boot(options, () => void this.rebirth(opened, concurrency));
  }

  /** The lease ran out, perhaps because this process stood still: its work may already be somebody else's. A new identity goes on. */
  private async rebirth(opened: Opened, concurrency: number): Promise<void> {
    const lost = this.worker;
    if (lost === null || this.isClosed) return;
    this.parts.logger.warn('the lease was lost: attempts are aborted, the worker starts anew', { worker: lost.id });
    this.worker = null;
    try {
      await lost.abandon('The worker lost its lease.');
      if (!this.isClosed) this.worker = await this.bootWorker(opened, concurrency);
    } catch (error) {
      await this.breakDown(error);
    }
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

  /** Drops everything at once, as a crash would: bodies are abandoned, nothing more is written. For tests. */
  async crash(): Promise<Store> {
    const opened = await this.open();
    this.isClosed = true;
    this.closing.abort();
    opened.follower.close();
    await this.worker?.abandon('The process crashed.');
    this.worker = null;
    return opened.store;
  }

  /** @internal Handles ask their engine through this. */
  async clientOf(): Promise<{ readonly client: Client }> {
    return this.open();
  }

  /** @internal */
  async resultOf(ref: RunRef, options: { readonly timeout?: Duration }): Promise<unknown> {
    const { client } = await this.open();
    return client.result(ref, options);
  }

  /** @internal For the testing kit: nothing is left to write. */
  async idle(): Promise<boolean> {
    const { committer } = await this.open();
    return committer.isIdle;
  }

  /** @internal For the testing kit. */
  get registryOf(): Registry {
    return this.registry;
  }
}

export type StartManyResult<O> = { readonly run: Run<O>; readonly error?: undefined } | { readonly run?: undefined; readonly error: PawlError };

/** What a handle needs of its engine. */
export interface RunHost {
  clientOf(): Promise<{ readonly client: Client }>;
  resultOf(ref: RunRef, options: { readonly timeout?: Duration }): Promise<unknown>;
  watch(options?: WatchOptions): AsyncIterable<EngineEvent>;
}

/** A handle to a run. */
export class Run<O> {
  private readonly host: RunHost;
  private readonly ref: RunRef;
  /** False where the key gave a run that existed. */
  readonly created: boolean;

  constructor(host: RunHost, ref: RunRef, created: boolean) {
    this.host = host;
    this.ref = ref;
    this.created = created;
  }

  get id(): string {
    return this.ref.id;
  }

  /**
   * Waits for the end, from any process, and gives the output. Rejects with `RUN_FAILED` or `RUN_CANCELLED` carrying the root cause, with
   * `RUN_NO_OUTPUT` where a part of the output did not succeed, with `RUN_TIMEOUT` when `timeout` has passed (the run goes on).
   */
  async result(options: { readonly timeout?: Duration } = {}): Promise<O> {
    return (await this.host.resultOf(this.ref, options)) as O;
  }

  async status(): Promise<RunView> {
    const { client } = await this.host.clientOf();
    return client.view(this.ref.id);
  }

  /** Every task's state; with `items` those of maps too. */
  async tasks(options: { readonly items?: boolean } = {}): Promise<TaskView[]> {
    const { client } = await this.host.clientOf();
    return client.tasks(this.ref.id, options);
  }

  /** What a task gave, undefined while it has not succeeded. A task that occurs several times is asked for by its id in the graph. */
  async output<T>(of: Task<never, T, never, never> | string): Promise<T | undefined> {
    const { client } = await this.host.clientOf();
    return (await client.output(this.ref, of as AnyTask | string)) as T | undefined;
  }

  /** Open tasks become cancelled, running bodies get the abort signal. False where the run was over already. */
  async cancel(): Promise<boolean> {
    const { client } = await this.host.clientOf();
    return client.cancel(this.ref.id);
  }

  async graph(): Promise<Graph> {
    const { client } = await this.host.clientOf();
    return client.graph(this.ref.id);
  }

  /** What happens to this run, until it has ended. */
  async *watch(options: Omit<WatchOptions, 'runId'> = {}): AsyncGenerator<EngineEvent, void> {
    for await (const event of this.host.watch({ ...options, runId: this.ref.id })) {
      yield event;
      if (event.type === 'run.finished') return;
    }
  }
}
