import type { Acts } from '../client/acts.ts';
import type { AnswerOptions, AnswerReport, ApprovalQuery } from '../client/approvals.ts';
import type { AuditQuery } from '../client/audit.ts';
import type { Client, RunQuery, RunRef } from '../client/client.ts';
import type { DeadLetterDetail, DeadQuery, DeadRedriven, DeadRedriveOptions } from '../client/dead.ts';
import type { Explainer } from '../client/explain.ts';
import type { FindOptions } from '../client/find.ts';
import type { MoveOptions, RunMoved, Versions } from '../client/versions.ts';
import type { RunView } from '../client/views.ts';
import type { SendOptions, SendReport } from '../client/signals.ts';
import { Run, type RunHost } from '../client/run.ts';
import { engineParts, openSqlite, PARTS, type EngineOptions, type StoreOption } from '../compose.ts';
import { durationMs, type Duration } from '../core/duration.ts';
import { LAST_INSTANT } from '../core/duration-text.ts';
import { isPawlError } from '../core/errors.ts';
import type { EngineEvent, WatchOptions } from '../core/events.ts';
import { checkOptions } from '../core/options.ts';
import type { Ctx, Signal, Task, Workflow } from '../core/types/types.ts';
import type { EngineParts } from '../engine/engine.ts';
import { Engine, type StartArgs } from '../facade.ts';
import { scheduleVerbs } from '../client/schedule-verbs.ts';
import type { ScheduleClient } from '../client/schedules.ts';
import type { Ports } from '../engine/ports.ts';
import { jsonLogger } from '../observe/log.ts';
import type { Store } from '../store/store.ts';
import { VirtualTime } from './virtual-time.ts';

/** A task's body as the engine calls it. */
type AnyBody = (input: unknown, ctx: Ctx) => unknown;

export type TestEngineOptions = Omit<EngineOptions, StoreOption>;

/** The calls that a stub has seen. */
export interface Stub<I> {
  readonly calls: readonly { readonly input: I; readonly attempt: number }[];
}

export interface CrashPoint {
  /** The task's id in the graph. */
  readonly task: string;
  /** Default: the first attempt. */
  readonly attempt?: number;
}

/** Turns of the event loop without anything happening that count as rest. */
const QUIET_TURNS = 25;

/** An engine in memory on a virtual clock: time passes only through `clock`. */
export function testEngine(options: TestEngineOptions): TestEngine {
  checkOptions(options, 'testEngine', PARTS);
  return new TestEngine(options);
}

export class TestEngine implements RunHost {
  private options: TestEngineOptions;
  private readonly time = new VirtualTime();
  private readonly store: Promise<Store> = openSqlite(':memory:');
  private readonly stubs = new Map<string, AnyBody>();
  private readonly crashes: { readonly task: string; readonly attempt: number }[] = [];
  private readonly deadPids = new Set<number>();
  private boots = 0;
  private engine: Engine;
  private starting: Promise<void> | null = null;
  private activity = 0;
  private rebooting: Promise<void> | null = null;
  private isClosed = false;

  constructor(options: TestEngineOptions) {
    this.options = options;
    this.engine = this.boot();
  }

  private boot(): Engine {
    const pid = ++this.boots;
    this.starting = null;
    const { onEvent } = this.options;
    const { settings, ...parts } = engineParts(this.options);
    const engine = new Engine({
      ...parts,
      queues: null,
      openStore: () => this.store,
      heart: (store) => (options) => this.heart(store, options.worker),
      ports: this.ports(),
      host: this.host(pid),
      logger: this.options.logger ?? jsonLogger((line) => process.stderr.write(line), 'error'),
      settings: { ...settings, background: false },
      onEvent: (event) => {
        this.activity++;
        onEvent?.(event);
      },
      intercept: (attempt, run) => this.intercept(attempt, run),
    });
    for (const [name, body] of this.stubs) engine.runtime.registry.implement(name, body);
    return engine;
  }

  /** A turn that the engine asks for is no rest: a body that reads a hundred records of waits takes a hundred. */
  private ports(): Ports {
    const ports = this.time.ports();
    const turn: Ports['turn'] = (fn) => {
      this.activity++;
      ports.turn(fn);
    };
    return { ...ports, turn };
  }

  /** Every boot is a process of its own; a crashed one is proven dead. */
  private host(pid: number): EngineParts['host'] {
    const here = { name: `test:${pid}`, host: 'test', pid, pidStarted: String(pid), bootId: 'test', pidNamespace: 'test' };
    return { facts: (now) => ({ ...here, startedAt: now }), isDead: (worker) => this.deadPids.has(worker.pid) };
  }

  /** One beat that lasts: until it crashes, which the host proves, this process lives, however far the clock is moved. */
  private heart(store: Store, worker: number): ReturnType<ReturnType<EngineParts['heart']>> {
    const beat = store.beat(worker, this.time.now(), LAST_INSTANT);
    return { stop: async () => void (await beat) };
  }

  private async ready(): Promise<Engine> {
    await this.rebooting;
    const { engine } = this;
    this.starting ??= engine.work({ drainOn: [] });
    await this.starting;
    return engine;
  }

  readonly clock = {
    now: (): Date => new Date(this.time.now()),
    /** Lets time pass: everything that falls due happens in its order, and what follows from it. */
    advance: async (by: Duration): Promise<void> => this.moveTo(this.time.now() + durationMs(by, 'advance')),
    to: async (instant: Date): Promise<void> => this.moveTo(instant.getTime()),
  };

  private async moveTo(limit: number): Promise<void> {
    await this.settle();
    while (this.time.step(limit)) await this.settle();
    await this.settle();
  }

  /** Resolves when nothing more happens without time passing. Bodies that wait for real timers or sockets are not waited for. */
  async settle(): Promise<void> {
    await this.ready();
    for (let quiet = 0, seen = this.activity; quiet < QUIET_TURNS; quiet++) {
      await new Promise<void>((resolve) => setImmediate(resolve));
      const { engine } = this;
      await this.ready();
      if (this.activity !== seen || engine !== this.engine || !(await engine.runtime.isIdle().catch(() => false))) {
        seen = this.activity;
        quiet = 0;
      }
    }
  }

  /** Replaces the body of a task. */
  stub<I, O, B, R>(task: Task<I, O, B, R>, fn: (input: B, ctx: Ctx) => Promise<R> | R): Stub<B> {
    const calls: { input: B; attempt: number }[] = [];
    const body: AnyBody = (input, ctx) => {
      calls.push({ input: structuredClone(input) as B, attempt: ctx.attempt });
      return fn(input as B, ctx);
    };
    this.stubs.set(task.name, body);
    this.engine.runtime.registry.implement(task.name, body);
    return { calls };
  }

  /** The process dies when this attempt's body has done its work, before the outcome is recorded; another one starts at once. */
  crash(when: CrashPoint): void {
    this.crashes.push({ task: when.task, attempt: when.attempt ?? 1 });
  }

  private intercept(attempt: { readonly id: string; readonly task: { readonly attempt: number } }, run: () => unknown): unknown {
    this.activity++;
    const at = this.crashes.findIndex((one) => one.task === attempt.id && one.attempt === attempt.task.attempt);
    if (at === -1) return run();
    this.crashes.splice(at, 1);
    return this.dieAfter(run);
  }

  private async dieAfter(run: () => unknown): Promise<never> {
    await Promise.resolve(run()).catch(() => undefined);
    await this.reboot();
    return new Promise<never>(() => undefined);
  }

  /**
   * Kills the process at once and starts another on the same store: with other workflows where they are given, as a deploy does; after a time
   * in which nobody works where one is given.
   */
  async reboot({ after, ...options }: Pick<Partial<TestEngineOptions>, 'use'> & { readonly after?: Duration } = {}): Promise<void> {
    this.options = { ...this.options, ...options };
    this.rebooting = this.dieAndBoot(this.engine, after === undefined ? 0 : durationMs(after, 'after'));
    await this.rebooting;
    await this.ready();
  }

  private async dieAndBoot(crashed: Engine, downMs: number): Promise<void> {
    this.deadPids.add(this.boots);
    this.time.clear();
    await crashed.runtime.crash();
    this.time.step(this.time.now() + downMs);
    this.engine = this.boot();
  }

  async start<I, O, B, R>(workflow: Workflow<I, O> | Task<I, O, B, R>, ...[input, options]: StartArgs<I>): Promise<Run<O>> {
    const started = await (await this.client()).start(this.engine.runtime.registry.startable(workflow), input, options);
    this.activity++;
    return new Run<O>(this, started, started.created);
  }

  async get(id: string): Promise<Run<unknown>> {
    const { run } = await (await this.client()).find(id);
    return new Run<unknown>(this, { id, run }, false);
  }

  /** Sends a message, as `engine.send`. */
  async send<I, O>(signal: Signal<I, O> | string, options: SendOptions<NoInfer<I>>): Promise<SendReport> {
    this.activity++;
    return (await this.ready()).send(signal, options);
  }

  /** Tasks that wait for the answer of a person, as `engine.approvals`. */
  readonly approvals = {
    list: async (query: ApprovalQuery = {}): ReturnType<Engine['approvals']['list']> => (await this.ready()).approvals.list(query),
    approve: async (runId: string, options: AnswerOptions = {}): Promise<AnswerReport> =>
      (await this.ready()).approvals.approve(runId, options),
    reject: async (runId: string, options: AnswerOptions = {}): Promise<AnswerReport> =>
      (await this.ready()).approvals.reject(runId, options),
  };

  /** Dead letters, as `engine.dead`. */
  readonly dead = {
    list: async (query: DeadQuery = {}): ReturnType<Engine['dead']['list']> => (await this.ready()).dead.list(query),
    count: async (query: DeadQuery = {}): Promise<number> => (await this.ready()).dead.count(query),
    get: async (id: string): Promise<DeadLetterDetail> => (await this.ready()).dead.get(id),
    redrive: (query: DeadQuery, options: DeadRedriveOptions = {}): AsyncGenerator<DeadRedriven> => this.redriveAll(query, options),
  };

  private async *redriveAll(query: DeadQuery, options: DeadRedriveOptions): AsyncGenerator<DeadRedriven> {
    for await (const one of (await this.ready()).dead.redrive(query, options)) {
      this.activity++;
      yield one;
    }
  }

  /** Schedules, as `engine.schedules`. */
  readonly schedules = scheduleVerbs(this);

  /** @internal */
  async scheduleClient(): Promise<ScheduleClient> {
    const client = await (await this.ready()).scheduleClient();
    this.activity++;
    return client;
  }

  /** Acts of people, as `engine.audit`. */
  async audit(query: AuditQuery = {}): ReturnType<Engine['audit']> {
    return (await this.ready()).audit(query);
  }

  /** As `engine.limits`. */
  readonly limits = {
    list: async (): ReturnType<Engine['limits']['list']> => (await this.ready()).limits.list(),
    set: async (...args: Parameters<Engine['limits']['set']>): Promise<void> => (await this.acting()).limits.set(...args),
    clear: async (...args: Parameters<Engine['limits']['clear']>): Promise<boolean> => (await this.acting()).limits.clear(...args),
  };

  /** As `engine.queues`. */
  readonly queues = {
    list: async (): ReturnType<Engine['queues']['list']> => (await this.ready()).queues.list(),
    pause: async (...args: Parameters<Engine['queues']['pause']>): Promise<boolean> => (await this.acting()).queues.pause(...args),
    resume: async (...args: Parameters<Engine['queues']['resume']>): Promise<boolean> => (await this.acting()).queues.resume(...args),
  };

  /** As `engine.workflows`. */
  readonly workflows = {
    list: async (): ReturnType<Engine['workflows']['list']> => (await this.ready()).workflows.list(),
    pause: async (...args: Parameters<Engine['workflows']['pause']>): Promise<boolean> => (await this.acting()).workflows.pause(...args),
    resume: async (...args: Parameters<Engine['workflows']['resume']>): Promise<boolean> => (await this.acting()).workflows.resume(...args),
  };

  private async acting(): Promise<Engine> {
    const engine = await this.ready();
    this.activity++;
    return engine;
  }

  readonly runs = {
    list: async (query: RunQuery = {}): Promise<{ readonly runs: readonly RunView[]; readonly next?: string }> =>
      (await this.ready()).runs.list(query),
    find: async (text: string, options: FindOptions = {}): Promise<Run<unknown>> =>
      this.handle(await (await this.client()).resolve(text, options), false),
    move: (query: RunQuery, options: MoveOptions): AsyncGenerator<RunMoved> => this.moveAll(query, options),
  };

  private async *moveAll(query: RunQuery, options: MoveOptions): AsyncGenerator<RunMoved> {
    yield* (await this.versions()).moveAll(query, options);
  }

  async checkVersions(): ReturnType<Engine['checkVersions']> {
    return (await this.ready()).checkVersions();
  }

  async *watch(options: WatchOptions = {}): AsyncGenerator<EngineEvent, void> {
    yield* (await this.ready()).watch(options);
  }

  /** @internal */
  async *watchRun(ref: RunRef, options: WatchOptions): AsyncGenerator<EngineEvent, void> {
    yield* (await this.ready()).watchRun(ref, options);
  }

  /** @internal Goes on over a crash. */
  async *pulse(ref: RunRef, signal?: AbortSignal): AsyncGenerator<void, void> {
    for (let engine: Engine | null = null; engine !== this.engine && !this.isClosed;) {
      engine = await this.ready();
      yield* engine.pulse(ref, signal);
      // It may have ended by the crash, before the next process is there.
      await this.rebooting;
    }
  }

  /** @internal */
  async client(): Promise<Client> {
    return (await this.ready()).client();
  }

  /** @internal */
  async acts(): Promise<Acts> {
    const acts = await (await this.ready()).acts();
    this.activity++;
    return acts;
  }

  /** @internal */
  async explainer(): Promise<Explainer> {
    return (await this.ready()).explainer();
  }

  /** @internal */
  async versions(): Promise<Versions> {
    const versions = await (await this.ready()).versions();
    this.activity++;
    return versions;
  }

  /** @internal */
  handle(ref: RunRef, created: boolean): Run<unknown> {
    this.activity++;
    return new Run<unknown>(this, ref, created);
  }

  /** @internal A wait goes on over a crash. */
  async resultOf(ref: RunRef, options: { readonly timeout?: Duration }): Promise<unknown> {
    const engine = await this.ready();
    try {
      return await engine.resultOf(ref, options);
    } catch (error) {
      if (!isPawlError(error, 'STORE_CLOSED') || this.isClosed) throw error;
      return this.resultOf(ref, options);
    }
  }

  /** @internal The store beneath, for checks that look at rows. */
  get storeOf(): Promise<Store> {
    return this.store;
  }

  async close(): Promise<void> {
    this.isClosed = true;
    this.time.clear();
    const closing = this.engine.close();
    // Draining waits for virtual timers of bodies that ignore the abort signal.
    for (let turn = 0; turn < QUIET_TURNS; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
    while (this.time.step(this.time.now() + 86_400_000)) await new Promise<void>((resolve) => setImmediate(resolve));
    await closing;
  }
}
