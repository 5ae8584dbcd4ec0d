import { Acts, type ActOptions } from './client/acts.ts';
import {
  DeadLetters,
  type DeadLetter,
  type DeadLetterDetail,
  type DeadQuery,
  type DeadRedriven,
  type DeadRedriveOptions,
} from './client/dead.ts';
import { Explainer, type WorkerView } from './client/explain.ts';
import { auditPage, type AuditEntry, type AuditQuery } from './client/audit.ts';
import { Approvals, type AnswerOptions, type AnswerReport, type ApprovalQuery, type OpenApproval } from './client/approvals.ts';
import { sendSignal, type SendOptions, type SendReport } from './client/signals.ts';
import { Client, type RunQuery, type RunRef, type StartOptions } from './client/client.ts';
import { diagnose, unreadable, type Check } from './client/doctor.ts';
import type { FindOptions } from './client/find.ts';
import { Versions, type MoveOptions, type RunMoved, type VersionCheck } from './client/versions.ts';
import { Capacity, pauseVerbs, servedQueues, type LimitOptions, type LimitView } from './client/capacity.ts';
import { viewOf, type RunView } from './client/views.ts';
import { unserved } from './client/waits.ts';
import { Run, type RunHost } from './client/run.ts';
import { ScheduleClient } from './client/schedules.ts';
import { scheduleVerbs } from './client/schedule-verbs.ts';
import { exportRun, importRun } from './client/transfer.ts';
import type { Duration } from './core/duration.ts';
import { isPawlError, PawlError } from './core/errors.ts';
import { ARGUMENT, OPTIONS } from './client/options.ts';
import {
  abortSignal,
  anything,
  checkArgument,
  checkOptions,
  flag,
  listOf,
  oneOf,
  wholeNumber,
  type OptionCheck,
  type Checks,
} from './core/options.ts';
import type { EngineEvent, WatchOptions } from './core/events.ts';
import type { RunDocument } from './core/documents/run-document.ts';
import type { Signal, Task, Workflow } from './core/types/types.ts';
import { EngineRuntime, type EngineParts } from './engine/engine.ts';
import type { PruneCounts, PruneOptions } from './engine/retention.ts';
import type { RegisteredDefinitions } from './engine/registry.ts';

export type { RegisteredDefinitions, RegisteredWorkflow } from './engine/registry.ts';

export interface WorkOptions {
  /** Attempts at the same time in this process. Default: the engine's `concurrency`. */
  readonly concurrency?: number;
  /** Tasks of these queues are taken on. Default `['default']`; `'all'`: of every queue. */
  readonly queues?: readonly string[] | 'all';
  /** Signals on which the engine is closed (drained) and the process then ends by the same signal. Default `['SIGTERM']`. */
  readonly drainOn?: readonly ('SIGTERM' | 'SIGINT')[];
}

export type StartArgs<I> = [I] extends [void] ? [input?: undefined, options?: StartOptions] : [input: NoInfer<I>, options?: StartOptions];

const WORK: Checks<WorkOptions> = {
  concurrency: wholeNumber,
  queues: anything,
  drainOn: listOf('SIGTERM and SIGINT', oneOf('SIGTERM', 'SIGINT')),
};
const PRUNE: Checks<PruneOptions> = { olderThan: anything, journal: anything, dryRun: flag, signal: abortSignal };
const ITEM: OptionCheck = (value) => (typeof value === 'object' && value !== null ? null : 'an object');
const ITEMS: OptionCheck = (value) => (Array.isArray(value) ? null : 'a list of objects with an input');

export type StartManyResult<O> =
  | { readonly run: Run<O>; readonly error?: undefined }
  | { readonly run?: undefined; readonly error: PawlError };

/** Runs of `startMany` that wait for their commit in each of its two lanes. */
const START_AT_ONCE = 500;

/** A store, a worker if asked, and the API over both. Opens its store at the first call. */
export class Engine implements RunHost {
  /** @internal */
  readonly runtime: EngineRuntime;
  private readonly maxPayload: number;
  private reader: Client | null = null;
  private stopSignals: () => void = () => undefined;

  constructor(parts: EngineParts) {
    this.runtime = new EngineRuntime(parts);
    this.maxPayload = parts.settings.maxPayload;
  }

  /** @internal */
  async client(): Promise<Client> {
    const { store } = await this.runtime.open();
    this.reader ??= new Client(store, this.runtime, this.maxPayload);
    return this.reader;
  }

  /** @internal */
  async acts(): Promise<Acts> {
    return new Acts(await this.client(), this.runtime, this.maxPayload);
  }

  /** @internal */
  async explainer(): Promise<Explainer> {
    const { store } = await this.runtime.open();
    return new Explainer(store, await this.client(), this.runtime);
  }

  /** @internal */
  async versions(): Promise<Versions> {
    const { store } = await this.runtime.open();
    return new Versions(store, { client: await this.client(), writer: this.runtime, acts: await this.acts() });
  }

  /** @internal */
  handle(ref: RunRef, created: boolean): Run<unknown> {
    return new Run<unknown>(this, ref, created);
  }

  private async letters(): Promise<DeadLetters> {
    const { store } = await this.runtime.open();
    return new DeadLetters(store, await this.client(), this.runtime, await this.acts());
  }

  /** @internal */
  async resultOf(ref: RunRef, options: { readonly timeout?: Duration }): Promise<unknown> {
    return (await this.client()).result(ref, options);
  }

  /**
   * Starts a run of a workflow, or of a task alone, which must be in `use`. Resolves when it is on durable storage; with a key that is taken, with the run that holds it (`created` false).
   * Rejects with `RUN_INPUT_INVALID`, `RUN_KEY_CONFLICT`, `RUN_KEY_TAKEN`, `PAYLOAD_*`, or a `STORE_*` error: then nothing was accepted,
   * except after `STORE_UNKNOWN_OUTCOME`: start again with the same key.
   */
  async start<I, O, B, R>(workflow: Workflow<I, O> | Task<I, O, B, R>, ...[input, options]: StartArgs<I>): Promise<Run<O>> {
    const client = await this.client();
    const started = await client.start(this.runtime.registry.startable(workflow), input, options);
    return new Run<O>(this, started, started.created);
  }

  /** Starts many runs in as few commits as possible; a result per item, in order: a run, or the error that `start` would have given. */
  async startMany<I, O>(workflow: Workflow<I, O>, items: readonly ({ readonly input: I } & StartOptions)[]): Promise<StartManyResult<O>[]> {
    checkArgument(items, 'items', ITEMS);
    const client = await this.client();
    const startOne = async (item: { readonly input: I } & StartOptions): Promise<StartManyResult<O>> => {
      try {
        checkArgument(item, 'items', ITEM);
        const { input, ...options } = item;
        const started = await client.start(workflow, input, options);
        return { run: new Run<O>(this, started, started.created) };
      } catch (error) {
        if (error instanceof PawlError) return { error };
        throw error;
      }
    };
    const results: StartManyResult<O>[] = [];
    let next = 0;
    // why: what waits for its commit takes memory, so of a million a few commits' worth wait at a time; two lanes keep the writer busy
    const lane = async (): Promise<void> => {
      while (next < items.length) {
        const from = next;
        next += START_AT_ONCE;
        const chunk = await Promise.all(items.slice(from, from + START_AT_ONCE).map(startOne));
        chunk.forEach((one, k) => (results[from + k] = one));
      }
    };
    await Promise.all([lane(), lane()]);
    return results;
  }

  /** A handle to a run by its id. Rejects with `RUN_NOT_FOUND`. */
  async get(id: string): Promise<Run<unknown>> {
    const { run } = await (await this.client()).find(id);
    return new Run<unknown>(this, { id, run }, false);
  }

  /** Queries over runs. */
  readonly runs = {
    list: async (query: RunQuery = {}): Promise<{ readonly runs: readonly RunView[]; readonly next?: string }> =>
      (await this.client()).list(query),
    /**
     * The one run that a person means: an id, the start of one (at least 2 characters, among the newest 10,000 runs), the key that a run
     * holds, `@last`, or `@last:<workflow>`. Rejects with `RUN_NOT_FOUND`, or `RUN_AMBIGUOUS` naming the candidates.
     */
    find: async (text: string, options: FindOptions = {}): Promise<Run<unknown>> =>
      new Run<unknown>(this, await (await this.client()).resolve(text, options), false),
    /** Lets every open run that matches go on as a run of another version of its workflow; yields what became of each. */
    move: (query: RunQuery, options: MoveOptions): AsyncGenerator<RunMoved> => this.moveAll(query, options),
  };

  private async *moveAll(query: RunQuery, options: MoveOptions): AsyncGenerator<RunMoved> {
    checkOptions(query, 'runs.move', OPTIONS.runs);
    checkOptions(options, 'runs.move', OPTIONS.move);
    yield* (await this.versions()).moveAll(query, options);
  }

  /**
   * What open runs of other versions would do if what is registered here were deployed. Nothing is written, and nothing need be stored yet:
   * an engine with `access: 'read'` can ask.
   */
  async checkVersions(): Promise<readonly VersionCheck[]> {
    return (await this.versions()).check(this.registered.workflows);
  }

  /** Tasks that failed for good and wait for a person's decision. */
  readonly dead = {
    /** The last to die first. */
    list: async (query: DeadQuery = {}): Promise<{ readonly letters: readonly DeadLetter[]; readonly next?: string }> =>
      (await this.letters()).list(query),
    /** How many match, counted up to 100,000. */
    count: async (query: DeadQuery = {}): Promise<number> => (await this.letters()).count(query),
    /** One, by its id, with input, error and attempts. Rejects with `TASK_NOT_DEAD`. */
    get: async (id: string): Promise<DeadLetterDetail> => (await this.letters()).get(id),
    /** Sends on what matches, run by run; yields what became of each run's. */
    redrive: (query: DeadQuery, options: DeadRedriveOptions = {}): AsyncGenerator<DeadRedriven> => this.redriveAll(query, options),
  };

  private async *redriveAll(query: DeadQuery, options: DeadRedriveOptions): AsyncGenerator<DeadRedriven> {
    yield* (await this.letters()).redrive(query, options);
  }

  /**
   * Sends a message to whoever waits for the signal with the key, or to one run. It is durable when this resolves, and kept for 7 days where
   * nobody takes it. Rejects with `SIGNAL_DATA_INVALID`, naming the path, `SIGNAL_UNKNOWN`, `SIGNAL_MAILBOX_FULL`, `RUN_NOT_OPEN`.
   */
  async send<I, O>(signal: Signal<I, O> | string, options: SendOptions<NoInfer<I>>): Promise<SendReport> {
    return sendSignal({ client: await this.client(), writer: this.runtime, maxPayload: this.maxPayload }, signal, options);
  }

  private async answers(): Promise<Approvals> {
    const { store } = await this.runtime.open();
    const { runtime: writer, maxPayload } = this;
    return new Approvals({ store, client: await this.client(), writer, acts: await this.acts(), maxPayload });
  }

  /** Tasks that wait for the answer of a person. */
  readonly approvals = {
    /** Open ones, the one that has waited longest first. */
    list: async (query: ApprovalQuery = {}): Promise<{ readonly approvals: readonly OpenApproval[]; readonly next?: string }> =>
      (await this.answers()).list(query),
    /** By the run's id; rejects with `TASK_NOT_WAITING`, `TASK_FORM_INVALID`, `TASK_NO_CODE`. */
    approve: async (runId: string, options: AnswerOptions = {}): Promise<AnswerReport> =>
      (await this.answers()).answer(runId, 'approved', options),
    reject: async (runId: string, options: AnswerOptions = {}): Promise<AnswerReport> =>
      (await this.answers()).answer(runId, 'rejected', options),
  };

  /** Rules that start runs at due instants: those that workflows declare, and those that are made here. */
  readonly schedules = scheduleVerbs(this);

  /** @internal */
  async scheduleClient(): Promise<ScheduleClient> {
    const { store } = await this.runtime.open();
    return new ScheduleClient(store, this.runtime, this.maxPayload);
  }

  /** Runs that were set aside because their state cannot be advanced. */
  readonly quarantine = {
    list: async (): Promise<readonly RunView[]> => (await (await this.runtime.open()).store.quarantinedRuns(500)).map((row) => viewOf(row)),
    /** Lets a run go on, as `run.release()`; false where it had to be set aside again. */
    retry: async (id: string, options: ActOptions = {}): Promise<boolean> => {
      checkOptions(options, 'quarantine.retry', OPTIONS.act);
      return (await this.acts()).release(id, options);
    },
    /** Fails a run: its open tasks are cancelled; of one that was imported those below it fail too. */
    fail: async (id: string, options: ActOptions = {}): Promise<void> => {
      checkOptions(options, 'quarantine.fail', OPTIONS.act);
      return (await this.acts()).abandon(id, options);
    },
  };

  private async capacity(): Promise<Capacity> {
    return new Capacity((await this.runtime.open()).store, this.runtime);
  }

  /** Pools, keys and rates: what the code declares, what an operator says instead, what is held. */
  readonly limits = {
    list: async (): Promise<readonly LimitView[]> => (await this.capacity()).list(),
    /** A number is units of a pool (or, with `kind: 'key'`, how much of a key runs at once), a text such as '10/s' a rate. Wins until cleared. */
    set: async (name: string, value: number | string, options: LimitOptions = {}): Promise<void> => {
      checkOptions(options, 'limits.set', OPTIONS.limit);
      await (await this.capacity()).set(name, value, options);
    },
    /** Back to what the code says. False where no operator had set it. */
    clear: async (name: string, options: LimitOptions = {}): Promise<boolean> => {
      checkOptions(options, 'limits.clear', OPTIONS.limit);
      return (await this.capacity()).clear(name, options);
    },
  };

  /** Queues: while one is paused nothing new of it is claimed; what runs goes on to its end. */
  readonly queues = pauseVerbs('queue', () => this.capacity());

  /** Workflows as a whole: while one is paused nothing new of its runs is claimed; runs of it are still accepted. */
  readonly workflows = pauseVerbs('workflow', () => this.capacity());

  /** Acts of people, the last first. */
  async audit(query: AuditQuery = {}): Promise<{ readonly entries: readonly AuditEntry[]; readonly next?: string }> {
    checkOptions(query, 'audit', OPTIONS.audit);
    const run = query.run === undefined ? undefined : (await (await this.client()).find(query.run)).run;
    return auditPage((await this.runtime.open()).store, run, query);
  }

  /** Worker processes: those that live, and those that ended last. */
  async workers(): Promise<readonly WorkerView[]> {
    return (await this.explainer()).workers();
  }

  /** What happens, in commit order, from now on or behind a cursor, until the signal aborts or the engine is closed. */
  watch(options: WatchOptions = {}): AsyncGenerator<EngineEvent, void> {
    checkOptions(options, 'watch', OPTIONS.watch);
    return this.runtime.watch(options);
  }

  /** @internal */
  watchRun(ref: RunRef, options: WatchOptions): AsyncGenerator<EngineEvent, void> {
    return this.runtime.watch({ ...options, runId: ref.id }, () => this.runtime.ended(ref.run, null));
  }

  /** @internal */
  pulse(ref: RunRef, signal?: AbortSignal): AsyncGenerator<void, void> {
    return this.runtime.pulse(ref.run, signal);
  }

  /** What is registered with this engine. */
  get registered(): RegisteredDefinitions {
    return this.runtime.registry.list();
  }

  /**
   * Deletes finished runs and journal rows that are older than the options say, or else than `retention`, in batches between which other work
   * goes on. Open and quarantined runs stay. Resolves with what was deleted; with `dryRun`, with what would be.
   */
  async prune(options: PruneOptions = {}): Promise<PruneCounts> {
    checkOptions(options, 'prune', PRUNE);
    return this.runtime.prune(options);
  }

  /**
   * Writes the store as it is at one instant to a new file (mode 0600), beside workers that go on; it is checked and synced before it gets its
   * name. Rejects with `STORE_EXISTS` where the file or `<file>.part` is there. A backup is opened like any store.
   */
  async backup(file: string): Promise<{ readonly bytes: number }> {
    checkArgument(file, 'file', ARGUMENT.text);
    return (await this.runtime.open()).store.care.backup(file);
  }

  /** One run with everything that belongs to it, payloads and all runs below it too, as a JSON document. Rejects with `RUN_NOT_FOUND`. */
  async exportRun(id: string): Promise<RunDocument> {
    checkArgument(id, 'id', ARGUMENT.text);
    return exportRun((await this.runtime.open()).store, id);
  }

  /**
   * Adds a run that another store exported, and those below it, under their ids. What was open is quarantined: it goes on after
   * `run.release()`, all together. A key that is held in this store stays with its holder. Rejects with `RUN_DOCUMENT_INVALID`, `RUN_EXISTS`, or
   * `CONFIG_VERSION_CHANGED` where a workflow's version is stored with another graph.
   */
  async importRun(document: unknown): Promise<Run<unknown>> {
    this.runtime.writable();
    const { store } = await this.runtime.open();
    const now = this.runtime.now();
    return new Run<unknown>(this, await importRun(store, document, { now, digest: (text) => this.runtime.digest(text) }), true);
  }

  /**
   * What is to be said of the store, its file and its workers. Files over 1 GiB are checked from end to end only with `full`. A store that
   * cannot be opened or read is a finding, not an error.
   */
  async doctor(options: { readonly full?: boolean } = {}): Promise<readonly Check[]> {
    checkOptions(options, 'doctor', OPTIONS.doctor);
    try {
      return await this.examine(options.full === true);
    } catch (error) {
      if (isPawlError(error) && error.code.startsWith('STORE_')) return [unreadable(error)];
      throw error;
    }
  }

  private async examine(full: boolean): Promise<readonly Check[]> {
    const { store } = await this.runtime.open();
    const facts = await store.care.facts({ checkUpTo: full ? Infinity : 2 ** 30 });
    const { journalMs } = this.runtime;
    const now = this.runtime.now();
    const late = await store.schedules.late(Math.max(facts.clock, now) - SCHEDULE_LATE_MS);
    const [workers, waiting] = [await store.workers(), await unserved(store, now)];
    return diagnose({ facts, workers, unserved: waiting, late, now, node: process.version, journalMs });
  }

  /** This process takes on work until it is closed. Resolves when it is ready to. */
  async work(options: WorkOptions = {}): Promise<void> {
    checkOptions(options, 'work', WORK);
    await this.runtime.work(options.concurrency, servedQueues(options.queues));
    this.stopSignals();
    this.stopSignals = drainOn(options.drainOn ?? ['SIGTERM'], () => this.close());
  }

  /** Stops claiming, gives bodies the abort signal and the drain time, hands back what is unfinished, closes the store. */
  async close(): Promise<void> {
    this.stopSignals();
    await this.runtime.close();
  }
}

/** So long after its instant a schedule should have been looked at. */
const SCHEDULE_LATE_MS = 60_000;

/** After the drain the signal does what it would have done; a second one during the drain does so at once. */
function drainOn(signals: readonly ('SIGTERM' | 'SIGINT')[], close: () => Promise<void>): () => void {
  const handlers = signals.map((name) => {
    const handler = (): void => {
      process.removeListener(name, handler);
      const end = (): void => {
        if (process.listenerCount(name) === 0) process.kill(process.pid, name);
      };
      close().then(end, end);
    };
    process.on(name, handler);
    return () => process.removeListener(name, handler);
  });
  return () => handlers.forEach((remove) => remove());
}
