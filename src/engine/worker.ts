import { messageOf } from '../core/errors.ts';
import type { Store } from '../store/store.ts';
import type { Logger, Redactor } from '../core/log.ts';
import type { Admission } from './admission.ts';
import type { Attempt, Progress } from './attempt.ts';
import type { LogBook } from './attempt-log.ts';
import type { ClassifyError } from './classify.ts';
import type { StoreClock } from './clock.ts';
import type { Committer } from './committer.ts';
import type { Deliverer } from './mailbox.ts';
import { Dispatcher, type Intercept } from './dispatcher.ts';
import type { Heart, HeartFactory } from './heart.ts';
import type { Host } from './host.ts';
import type { Ports } from './ports.ts';
import type { Registry } from './registry.ts';
import type { RetentionMs } from './retention.ts';
import { Duties } from './sweeps/duties.ts';
import { Pruner } from './sweeps/prune.ts';
import type { SweepContext } from './sweeps/sweep.ts';
import type { ScheduleRunner } from './schedule-runner.ts';
import { ScheduleSweep } from './sweeps/schedules.ts';
import { fireTimers } from './sweeps/timers.ts';
import { Mover } from './sweeps/versions.ts';

export interface WorkerSettings {
  readonly concurrency: number;
  readonly leaseMs: number;
  readonly beatMs: number;
  readonly sweepMs: number;
  readonly graceMs: number;
  readonly drainMs: number;
  readonly maxPayload: number;
  readonly maxLost: number;
  readonly retention: RetentionMs;
  /** False where nobody else can touch the store: then nothing is done at intervals, only what is due when it is due. */
  readonly background: boolean;
}

export interface WorkerOptions {
  readonly store: Store;
  readonly committer: Committer;
  readonly admission: Admission;
  readonly deliverer: Deliverer;
  readonly registry: Registry;
  readonly clock: StoreClock;
  readonly ports: Ports;
  readonly host: Host;
  readonly heart: HeartFactory;
  readonly logger: Logger;
  readonly redactor: Redactor;
  readonly logs: LogBook;
  readonly settings: WorkerSettings;
  readonly runner: ScheduleRunner;
  readonly onProgress: (attempt: Attempt, progress: Progress) => void;
  readonly intercept: Intercept | undefined;
  readonly classifyError: ClassifyError | undefined;
}

const ANSWER_MS = 500;

/** One identity of this process as a worker: booted with a lease, ended by a drain, or abandoned when the lease is gone. */
export class Worker {
  readonly dispatcher: Dispatcher;
  private readonly options: WorkerOptions;
  private readonly heart: Heart;
  private readonly mover = new Mover();
  private readonly context: SweepContext;
  private readonly duties: Duties;
  private readonly pruner: Pruner;
  private readonly schedules: ScheduleSweep;
  private isStopped = false;
  private cancelSweep = (): void => undefined;
  private cancelTimer = (): void => undefined;
  private cancelAnswer = (): void => undefined;
  private timerAt = Infinity;

  private constructor(options: WorkerOptions, id: number, onLost: () => void) {
    const { store, committer, registry, clock, ports, logger, settings } = options;
    this.options = options;
    const { concurrency, maxPayload, graceMs, leaseMs, beatMs } = settings;
    this.dispatcher = new Dispatcher({
      worker: id,
      concurrency,
      store,
      committer,
      registry,
      clock,
      ports,
      logger,
      redactor: options.redactor,
      logs: options.logs,
      maxPayload,
      graceMs,
      onProgress: options.onProgress,
      intercept: options.intercept,
      classifyError: options.classifyError,
    });
    committer.attach(this.dispatcher);
    committer.onDue = (at) => this.expect(at);
    options.deliverer.evaluates = true;
    this.heart = options.heart({
      worker: id,
      leaseMs,
      beatMs,
      slots: this.dispatcher.slots.buffer,
      slotCount: concurrency * 2,
      kernel: { maxPayload, maxLost: settings.maxLost },
      onLost,
    });
    this.schedules = new ScheduleSweep({
      store,
      registry,
      logger,
      runner: options.runner,
      onDone: () => this.fireSoon(),
      onFull: (ms) => this.expect(options.clock.now() + ms),
    });
    this.pruner = new Pruner({ store, clock, ports, keep: settings.retention });
    this.context = this.sweepContext();
    this.duties = new Duties({
      context: this.context,
      admission: options.admission,
      dispatcher: this.dispatcher,
      mover: this.mover,
      pruner: this.pruner,
      fire: () => this.fire(),
      fireSchedules: () => this.fireSchedules(),
      expect: (at) => this.expect(at),
      onWatched: (isWatched) => (this.schedules.isWatching = isWatched),
    });
    if (settings.background) this.answer();
  }

  /** An identity with a lease; nothing happens under it before it begins. */
  static async boot(options: WorkerOptions, onLost: () => void): Promise<Worker> {
    const { store, clock, host, settings } = options;
    const now = clock.now();
    const facts = { ...host.facts(now), slots: settings.concurrency, serves: [...options.registry.bodies] };
    const id = await store.boot(facts, now + settings.leaseMs);
    return new Worker(options, id, onLost);
  }

  /** Looks at what is due, then for work. Its lease may be lost meanwhile. */
  async begin(): Promise<void> {
    await this.sweep();
    if (!this.isStopped) this.dispatcher.poll();
  }

  get concurrency(): number {
    return this.options.settings.concurrency;
  }

  get id(): number {
    return this.dispatcher.worker;
  }

  private sweepContext(): SweepContext {
    const { store, committer, deliverer, clock, registry, host, logger, settings } = this.options;
    return {
      store,
      committer,
      deliverer,
      clock,
      registry,
      host,
      logger,
      worker: this.id,
      graceMs: settings.graceMs,
      isAlone: !settings.background,
    };
  }

  /** Again after the sweep interval, give or take a fifth. */
  private async sweep(): Promise<void> {
    const { ports, settings, logger } = this.options;
    try {
      await this.duties.sweep();
    } catch (error) {
      // The sweep comes again; what it found undone stays undone until then.
      logger.error('a sweep failed', { error: messageOf(error) });
    }
    if (!this.isStopped && settings.background)
      this.cancelSweep = ports.timer(settings.sweepMs * (0.8 + 0.4 * ports.random()), () => void this.sweep());
  }

  /** Another process has written: there may be work, something to time, or an attempt that is no longer this worker's. */
  async look(): Promise<void> {
    if (this.isStopped) return;
    try {
      await this.duties.heard();
    } catch (error) {
      this.options.logger.error('a look at the store failed', { error: messageOf(error) });
    }
  }

  /** The store was looked at, and there may have been nothing new. */
  polled(): void {
    if (!this.isStopped) this.duties.polled();
  }

  /** Tells the heart's thread that the main thread is there. */
  private answer(): void {
    this.dispatcher.slots.touch();
    this.cancelAnswer = this.options.ports.timer(ANSWER_MS, () => this.answer());
  }

  private async fire(): Promise<void> {
    const next = await fireTimers(this.context, this.options.clock.now());
    if (next !== null) this.expect(next);
    await this.fireSchedules();
  }

  private async fireSchedules(): Promise<void> {
    const due = await this.schedules.runOnce(this.options.clock.now());
    if (due !== null) this.expect(due);
  }

  /** A run has ended: a schedule may wait for that. */
  runEnded(): void {
    if (this.schedules.isWatching) this.fireSoon();
  }

  /** A run was opened anew: where it is one of an older version it goes on as one of the newest. */
  runReset(): void {
    if (this.isStopped) return;
    this.mover
      .runOnce(this.context)
      .catch((error: unknown) => this.options.logger.error('runs could not be moved to a newer version', { error: messageOf(error) }));
  }

  /** A schedule was made or changed, or has something more to do. */
  fireSoon(): void {
    if (!this.isStopped)
      this.fire().catch((error: unknown) => this.options.logger.error('timers could not be fired', { error: String(error) }));
  }

  private expect(at: number): void {
    if (this.isStopped || at >= this.timerAt) return;
    this.cancelTimer();
    this.timerAt = at;
    const wait = Math.max(1, at - this.options.clock.now());
    this.cancelTimer = this.options.ports.timer(wait, () => {
      this.timerAt = Infinity;
      this.fireSoon();
    });
  }

  /** Drains, then gives up the identity. */
  async stop(): Promise<void> {
    const { committer, store, clock, settings } = this.options;
    this.halt();
    await this.dispatcher.drain(settings.drainMs);
    committer.attach(null);
    await this.pruner.stop();
    await this.heart.stop();
    await store.leave(this.id, clock.now());
  }

  /** The lease is gone: bodies are aborted, nothing is reported, nothing more is written under this identity. */
  async abandon(why: string): Promise<void> {
    this.halt();
    this.options.committer.attach(null);
    this.options.committer.cache.clear();
    this.dispatcher.abandon(why);
    // A batch that is under way needs no lease: it is not waited for.
    void this.pruner.stop();
    await this.heart.stop();
  }

  private halt(): void {
    this.isStopped = true;
    this.schedules.stop();
    this.cancelSweep();
    this.cancelTimer();
    this.cancelAnswer();
  }
}
