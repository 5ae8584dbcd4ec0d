import type { OperatorAct } from '../store/acts.ts';
import type { CompiledGraph } from '../core/kernel/compile.ts';
import { messageOf, isPawlError, PawlError } from '../core/errors.ts';
import type { EngineEvent, WatchOptions } from '../core/events.ts';
import { redacted, type Logger } from '../core/log.ts';
import { shown } from '../core/graph/problems.ts';
import type { Signal, Workflow } from '../core/types/types.ts';
import { REQUEST_MS } from '../core/kernel/reset.ts';
import { isRunOver } from '../core/kernel/states.ts';
import type { RunEvent } from '../core/kernel/turn.ts';
import { pausedNames } from '../store/capacity.ts';
import { Admission } from './admission.ts';
import type { ScheduleRow } from '../store/schedules.ts';
import type { NewMessage, Sent } from '../store/mailbox.ts';
import { isBroken, type Store } from '../store/store.ts';
import type { Attempt, Progress } from './attempt.ts';
import { stateFromRows } from './cache.ts';
import { LogBook } from './attempt-log.ts';
import { StoreClock } from './clock.ts';
import { Committer } from './committer.ts';
import { Ends, type Ended } from './ends.ts';
import { boxesOf, Deliverer } from './mailbox.ts';
import { EventReader } from './events.ts';
import { Follower } from './follower.ts';
import { checkLimits } from '../core/capacity/limits.ts';
import { noteOpened } from './opening.ts';
import { pulse } from './pulse.ts';
import { asked, countPrunable, pruneBatches, type PruneCounts, type PruneOptions } from './retention.ts';
import { refuseOther } from './acts.ts';
import { importedWith, refuseFull } from './release.ts';
import { applyParked } from './sweeps/parked.ts';
import { tellParents } from './sweeps/untold.ts';
import { declareSchedules } from './declared-schedules.ts';
import { ScheduleRunner } from './schedule-runner.ts';
import { Registry, type Known } from './registry.ts';
import type { Moved } from './moves.ts';
import type { Act, Started, StartRequest } from './units.ts';
import type { EngineParts, Looked, NodeSchemas, Opened } from './parts.ts';
import { Worker } from './worker.ts';

export type { EngineParts, Looked, NodeSchemas, TaskProgress } from './parts.ts';

/** How long to wait before a worker is booted again. */
const REBIRTH_MS = 500;

/** A store, what is registered, and at most one worker at a time: everything of a process but its API. */
export class EngineRuntime {
  readonly registry: Registry;
  private readonly parts: EngineParts;
  /** Takes secrets out of what it is given. */
  private readonly logger: Logger;
  private opened: Promise<Opened> | null = null;
  private worker: Worker | null = null;
  private isClosed = false;
  private commits = 0;
  /** It drains: a lease that is lost now is given up, and no other worker begins. */
  private isClosing = false;
  private booting: Promise<void> | null = null;
  private broken: Error | null = null;
  private tellBroken: (error: Error) => void = () => undefined;
  /** Resolves when this process has stopped working because a rule of the engine or the store is broken. */
  readonly failure = new Promise<Error>((resolve) => (this.tellBroken = resolve));
  private readonly closing = new AbortController();

  constructor(parts: EngineParts) {
    this.parts = parts;
    this.logger = redacted(parts.logger, parts.redactor);
    this.registry = new Registry(parts.use, (text) => parts.ports.digest(text));
    checkLimits(this.registry.list().workflows, parts.limits);
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
    const { ports, settings, redactor, logLines, maxQueued } = this.parts;
    const { logger } = this;
    const store = await this.parts.openStore();
    const clock = new StoreClock(ports, settings.leaseMs);
    await this.prepare(store, clock);
    const { maxPayload, maxLost } = settings;
    const logs = new LogBook({
      // why: the book redacts once, for the store and the logger
      logger: this.parts.logger,
      redactor,
      lines: logLines,
      now: () => clock.now(),
      timer: (ms, fn) => ports.timer(ms, fn),
    });
    const { registry } = this;
    const committer = new Committer({
      store,
      ports,
      clock,
      registry,
      logger,
      redactor,
      logs,
      settings: { maxPayload, maxLost },
      maxQueued,
    });
    const deliverer = new Deliverer({ store, committer, registry, clock, ports, logger, redactor });
    committer.onWait = (run, task) => deliverer.began(boxesOf(run, task));
    const follower = new Follower(store, ports, settings.background, () => void this.worker?.look());
    follower.onPoll = () => this.worker?.polled();
    const ends = new Ends(store, follower, ports);
    committer.onCommit = (seq) => {
      this.commits++;
      follower.committed(seq);
    };
    const admission = new Admission(store, committer, logger);
    committer.onGate = (keys) => admission.hint(keys);
    committer.onReset = () => this.worker?.runReset();
    committer.onBroken = (error) => void this.breakDown(error);
    committer.onUnknown = () => void this.opened?.then((parts) => this.rebirth(parts, this.worker));
    committer.onRunEnd = (run, end) => {
      ends.ended(run, end);
      this.worker?.runEnded();
    };
    const runner = new ScheduleRunner({ store, committer, registry, clock, ports, logger, redactor, maxPayload });
    this.closing.signal.addEventListener('abort', () => ends.close());
    const events = new EventReader(store, this.registry);
    if (this.parts.onEvent !== undefined) void this.pump(events, follower, this.parts.onEvent);
    return { store, committer, deliverer, follower, events, ends, clock, logs, runner, admission };
  }

  /** Writes what the code declares, before anything relies on it. */
  private async define(store: Store, now: number): Promise<void> {
    await this.registry.define(store, now);
    await declareSchedules(store.schedules, this.registry.all, now);
  }

  /** A schedule was made or changed here: this process need not wait for its next sweep. */
  schedulesChanged(): void {
    this.worker?.fireSoon();
  }

  /** A run of a schedule, now; null where the schedule moved on meanwhile. */
  async trigger(row: ScheduleRow, act: OperatorAct): Promise<Started | null> {
    this.writable();
    const { runner } = await this.open();
    if (this.broken !== null) throw this.broken;
    return runner.trigger(row, act);
  }

  /** A store that cannot be used as it must be is closed: the next call opens it anew. */
  private async prepare(store: Store, clock: StoreClock): Promise<void> {
    try {
      const info = await store.open();
      clock.raise(info.clock);
      noteOpened(this.logger, info);
      if (this.parts.access !== 'write') return;
      await this.define(store, clock.now());
      await store.capacity.declare(this.parts.limits, clock.now());
    } catch (error) {
      await store.close().catch((failure: unknown) => this.logger.warn('the store could not be closed', { error: messageOf(failure) }));
      throw error;
    }
  }

  private async pump(events: EventReader, follower: Follower, onEvent: (event: EngineEvent) => void): Promise<void> {
    const { logger } = this;
    try {
      for await (const event of events.watch(follower, { signal: this.closing.signal })) {
        try {
          onEvent(event);
        } catch (error) {
          logger.error('onEvent threw', { error: messageOf(error) });
        }
      }
    } catch (error) {
      if (!this.isClosed) logger.error('events cannot be read any more', { error: messageOf(error) });
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
    const { store, clock, committer } = await this.open();
    const { care, schedules } = store;
    if (options.dryRun === true) return countPrunable(care, keep, clock.now());
    const isOver = (): boolean => options.signal?.aborted === true || this.closing.signal.aborted;
    let seen = this.commits;
    const isBusy = (): boolean => seen !== (seen = this.commits) || !committer.isIdle;
    const { runs, journalRows } = await pruneBatches({ care, schedules, ports: this.parts.ports, keep, now: clock.now(), isOver, isBusy });
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

  /** An act of a person on a run: its result as JSON, null where the kernel refused it. */
  async act(run: number, event: RunEvent, act: Act): Promise<string | null> {
    this.writable();
    const { committer } = await this.open();
    if (this.broken !== null) throw this.broken;
    return committer.act(run, event, act);
  }

  /** A run as the kernel sees it, for a preview or an answer; with the ended items of all its maps where asked. */
  async look(run: number, items: boolean): Promise<Looked | null> {
    const { store } = await this.open();
    let [loaded] = await store.load([{ run, items: [] }]);
    if (items && loaded !== undefined && !isBroken(loaded) && loaded.maps.length > 0) {
      [loaded] = await store.load([{ run, items: loaded.maps.map((map) => map.node) }]);
    }
    if (loaded === undefined) return null;
    if (isBroken(loaded)) return { row: await store.runRow(run), graph: null, state: null };
    const known = await this.registry.learn(store, loaded.row.definition);
    if (known === null) return { row: loaded.row, graph: null, state: null };
    return { row: loaded.row, graph: known.compiled, state: stateFromRows(known.compiled, loaded) };
  }

  /** The schemas of a task's contract, where this process has its code. */
  code(definition: number, node: number): NodeSchemas | null {
    const code = this.registry.get(definition)?.code[node];
    return code === undefined ? null : { input: code.input, output: code.output, form: code.form };
  }

  /** A definition to start runs of: the registered version of the workflow, else the one that is given. */
  async definitionFor(workflow: string, definition: number): Promise<unknown> {
    // A workflow without a name is never registered: then it is the given definition.
    return this.registry.find(workflow) ?? (await this.registry.learn((await this.open()).store, definition));
  }

  /** Fails a quarantined run: as any other where its state can be advanced after all, else without asking the kernel. */
  async abandonRun(run: number, act: Act): Promise<void> {
    this.writable();
    const { store, committer, clock, follower, ends } = await this.open();
    await refuseOther(store, act, clock.now());
    const row = await store.runRow(run);
    // why: from below, so that a crash leaves nothing set aside whose whole is gone
    const parts =
      row?.isImported === true
        ? (await importedWith(store, row)).filter((one) => one.run !== run && !isRunOver[one.status]).toReversed()
        : [];
    for (const part of parts) await store.abandonRun(part.run, { ...act, request: null, result: '{}' }, clock.now());
    await store.abandonRun(run, { ...act, result: '{}' }, clock.now());
    for (const one of [run, ...parts.map((part) => part.run)]) {
      committer.cache.drop(one);
      committer.released(one);
      ends.ended(one, null);
    }
    follower.committed((await store.head()).seq);
    await tellParents({ store, committer });
    await this.worker?.look();
  }

  /** Stores a message, and delivers it as far as this process can. */
  async send(message: NewMessage): Promise<Sent & { readonly woke: number }> {
    this.writable();
    const { deliverer } = await this.open();
    if (this.broken !== null) throw this.broken;
    return deliverer.send(message);
  }

  /** The signal that is registered under a name, or by a workflow that waits for it. */
  signal(name: string): Signal<never, unknown> | undefined {
    return this.registry.signal(name);
  }

  /** Lets a run go on under another definition, where it may. */
  async move(run: number, definition: number, how: { readonly staysUntil: number | null; readonly act: Act }): Promise<Moved> {
    this.writable();
    const { store, committer } = await this.open();
    const to = await this.registry.learn(store, definition);
    if (to === null) throw new PawlError('STORE_CORRUPT', `The definition number ${definition} is not in the store.`);
    if (this.broken !== null) throw this.broken;
    return committer.move({ run, to, ...how });
  }

  async doneRequest(actor: string, requestId: string): Promise<string | null> {
    const { store, clock } = await this.open();
    return (await store.findRequest(actor, requestId, clock.now() - REQUEST_MS))?.result ?? null;
  }

  delay(ms: number): Promise<void> {
    return new Promise((resolve) => void this.parts.ports.timer(ms, resolve));
  }

  /**
   * Takes a run out of quarantine, one that was imported with those below it, and applies what arrived for it meanwhile; false where it had to
   * be set aside again. Throws `RUN_CANNOT_GO_ON`.
   */
  async release(run: number, act: Act): Promise<boolean> {
    this.writable();
    const { store, committer, clock } = await this.open();
    await refuseOther(store, act, clock.now());
    const placed = await committer.placed(run);
    if (placed === null) return false;
    refuseFull(await store.runRow(run), await store.release(run, { ...act, result: '{}' }, clock.now(), placed));
    for (const one of new Set([run, ...placed.map((other) => other.run)])) {
      committer.released(one);
      if (one === run) await committer.withItems(run, []);
      await applyParked({ store, committer }, one);
    }
    await tellParents({ store, committer });
    await this.worker?.look();
    const row = await store.runRow(run);
    return row?.quarantined === null;
  }

  async ended(run: number, ms: number | null): Promise<Ended | 'timeout'> {
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

  /** Yields when there may be something new of a run, until it is over. */
  async *pulse(run: number, given?: AbortSignal): AsyncGenerator<void, void> {
    const { follower } = await this.open();
    const signal = given === undefined ? this.closing.signal : AbortSignal.any([given, this.closing.signal]);
    yield* pulse(follower, signal, () => this.ended(run, null));
  }

  /** What an operator said of limits or pauses: what waited for it may go on. */
  async heardOf(): Promise<void> {
    const { store, follower, admission } = await this.open();
    const rows = await store.capacity.paused();
    // why: by the time the caller hears of the pause nothing of it may go on here
    this.worker?.dispatcher.pausedNow(pausedNames(rows));
    follower.committed((await store.head()).seq);
    admission.hint();
    await this.worker?.look();
  }

  async work(concurrency = this.parts.settings.concurrency, queues = this.parts.queues): Promise<void> {
    this.writable();
    if (this.booting !== null) return this.booting;
    if (this.worker !== null) return;
    if (!Number.isInteger(concurrency) || concurrency < 1 || concurrency > 100_000) {
      throw new PawlError('CONFIG_OPTION', `concurrency: must be a whole number from 1 to 100000, not ${shown(concurrency)}.`);
    }
    const boot = async (): Promise<void> => {
      const opened = await this.open();
      this.registry.serve(queues);
      await this.bootWorker(opened, concurrency);
      opened.follower.keepOn(true);
    };
    this.booting = boot().finally(() => (this.booting = null));
    await this.booting;
  }

  private async bootWorker(opened: Opened, concurrency: number): Promise<void> {
    const { ports, host, redactor, settings, intercept, classifyError } = this.parts;
    const { store, committer, deliverer, clock, logs, runner, admission } = opened;
    const options = {
      admission,
      store,
      committer,
      deliverer,
      registry: this.registry,
      clock,
      ports,
      host,
      heart: this.parts.heart(store, clock),
      logger: this.logger,
      redactor,
      logs,
      runner,
      settings: { ...settings, concurrency },
      onProgress: (attempt: Attempt, progress: Progress) => this.progressed(attempt, progress),
      intercept,
      classifyError,
    };
    const worker = await Worker.boot(options, () => void this.rebirth(opened, worker));
    if (this.isClosing || this.isClosed) {
      await worker.abandon('The engine was closed.');
      return;
    }
    this.worker = worker;
    // why: from here on a lease that is lost finds the worker that lost it, also while it looks for the first time at what is due
    await worker.begin();
  }

  /** The lease ran out, perhaps because this process stood still: its work may already be somebody else's. A new identity goes on. */
  private async rebirth(opened: Opened, lost: Worker | null): Promise<void> {
    if (lost === null || this.worker !== lost || this.isClosed) return;
    const { concurrency, id } = lost;
    this.logger.warn('the lease was lost: attempts are aborted, the worker starts anew', { worker: id });
    this.worker = null;
    await lost.abandon('The worker lost its lease.');
    await this.revive(opened, concurrency, id);
  }

  /** Boots the next worker; tried again while the store does not let it. */
  private async revive(opened: Opened, concurrency: number, lost: number): Promise<void> {
    if (this.isClosing || this.isClosed || this.worker !== null) return;
    try {
      // Nothing of the old identity is running any more: its work need not wait for its lease to end.
      await opened.store.fence(lost, { dead: true });
      await this.bootWorker(opened, concurrency);
    } catch (error) {
      if (!isPawlError(error)) return this.breakDown(error);
      this.parts.ports.timer(REBIRTH_MS, () => void this.revive(opened, concurrency, lost));
    }
  }

  /** A rule of the engine or the store is broken: this process stops working rather than guess. */
  private async breakDown(error: unknown): Promise<void> {
    if (this.broken !== null || this.isClosed) return;
    this.broken = error instanceof Error ? error : new PawlError('ENGINE_BROKEN', String(error));
    this.logger.error('the engine stopped', { error: this.broken.stack ?? this.broken.message });
    await this.worker?.abandon('The engine stopped.');
    this.worker = null;
    this.tellBroken(this.broken);
  }

  private progressed(attempt: Attempt, progress: Progress): void {
    const { item, attempt: number } = attempt.task;
    this.parts.onProgress?.({ runId: attempt.runId, task: attempt.id, attempt: number, progress, ...(item < 0 ? {} : { item }) });
  }

  /** Stops claiming, gives bodies the abort signal and the drain time, hands back what is unfinished, closes the store. */
  async close(): Promise<void> {
    if (this.isClosed) return;
    this.isClosing = true;
    const opened = this.opened === null ? null : await this.opened.catch(() => null);
    await this.booting?.catch(() => undefined);
    await this.worker?.stop();
    this.worker = null;
    this.isClosed = true;
    this.closing.abort();
    if (opened === null) return;
    opened.follower.close();
    opened.deliverer.close();
    await opened.committer.idle();
    opened.logs.close();
    await opened.store.close();
  }

  /** Drops everything at once, as a crash would: bodies are abandoned, nothing more is written. For the testing kit. */
  async crash(): Promise<void> {
    const opened = await this.open();
    this.isClosed = true;
    this.closing.abort();
    opened.committer.halt();
    for (const part of [opened.follower, opened.deliverer, opened.logs]) part.close();
    await this.worker?.abandon('The process crashed.');
    this.worker = null;
  }

  /** Nothing happens before time passes. For the testing kit. */
  async isIdle(): Promise<boolean> {
    const { committer, deliverer, admission } = await this.open();
    // why: what is delivered or admitted waits for the committer, while that waits for time
    return committer.isPausing || (committer.isIdle && deliverer.isIdle && admission.isIdle);
  }
}
