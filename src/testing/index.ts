import { durationMs, type Duration } from '../core/duration.ts';
import { engineSettings, type EngineOptions } from '../compose.ts';
import type { RunQuery, RunRef, RunView } from '../client/client.ts';
import { isPawlError } from '../core/errors.ts';
import type { Ctx, Task, Workflow } from '../core/types.ts';
import type { Attempt } from '../engine/attempt.ts';
import { Engine, Run, type RunHost, type StartArgs } from '../engine/engine.ts';
import type { EngineEvent, WatchOptions } from '../engine/events.ts';
import type { Host } from '../engine/host.ts';
import type { AnyBody } from '../engine/registry.ts';
import { jsonLogger } from '../observe/log.ts';
import { SqliteStore } from '../store/sqlite/store.ts';
import { VirtualTime } from './virtual-time.ts';

export type TestEngineOptions = Omit<EngineOptions, 'store' | 'durability'>;

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
  return new TestEngine(options);
}

export class TestEngine implements RunHost {
  private readonly options: TestEngineOptions;
  private readonly time = new VirtualTime();
  private readonly store = new SqliteStore({ path: ':memory:', durability: 'full', patienceMs: 0 });
  private readonly stubs = new Map<string, AnyBody>();
  private readonly crashes: { readonly task: string; readonly attempt: number }[] = [];
  private readonly dead = new Set<number>();
  private boots = 0;
  private engine: Engine;
  private starting: Promise<void> | null = null;
  private activity = 0;

  constructor(options: TestEngineOptions) {
    this.options = options;
    this.engine = this.boot();
  }

  private boot(): Engine {
    const pid = ++this.boots;
    this.starting = null;
    const { onEvent, onProgress } = this.options;
    const engine = new Engine({
      openStore: async () => this.store,
      heart: () => () => ({ stop: async () => undefined }),
      ports: this.time.ports(),
      host: this.host(pid),
      logger: this.options.logger ?? jsonLogger((line) => process.stderr.write(line), 'error'),
      settings: { ...engineSettings(this.options), background: false },
      use: this.options.use,
      onEvent: (event) => {
        this.activity++;
        onEvent?.(event);
      },
      onProgress,
      intercept: (attempt, run) => this.intercept(attempt, run),
    });
    for (const [name, body] of this.stubs) engine.registryOf.implement(name, body);
    return engine;
  }

  /** Every boot is a process of its own; a crashed one is proven dead. */
  private host(pid: number): Host {
    const here = { name: `test:${pid}`, host: 'test', pid, pidStarted: String(pid), bootId: 'test', pidNamespace: 'test' };
    return { facts: (now) => ({ ...here, startedAt: now }), isDead: (worker) => this.dead.has(worker.pid) };
  }

  private async ready(): Promise<Engine> {
    const { engine } = this;
    this.starting ??= engine.work();
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
      if (this.activity !== seen || engine !== this.engine || !(await engine.idle().catch(() => false))) {
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
    this.engine.registryOf.implement(task.name, body);
    return { calls };
  }

  /** The process dies when this attempt's body has done its work, before the outcome is recorded; another one starts at once. */
  crash(when: CrashPoint): void {
    this.crashes.push({ task: when.task, attempt: when.attempt ?? 1 });
  }

  private intercept(attempt: Attempt, run: () => unknown): unknown {
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

  /** Kills the process at once and starts another on the same store. */
  async reboot(): Promise<void> {
    const crashed = this.engine;
    this.dead.add(this.boots);
    this.time.clear();
    await crashed.crash();
    this.engine = this.boot();
    await this.ready();
  }

  async start<I, O>(workflow: Workflow<I, O>, ...[input, options]: StartArgs<I>): Promise<Run<O>> {
    const engine = await this.ready();
    const { client } = await engine.clientOf();
    const started = await client.start(workflow as Workflow<never, unknown>, input, options);
    this.activity++;
    return new Run<O>(this, started, started.created);
  }

  async get(id: string): Promise<Run<unknown>> {
    const { client } = await (await this.ready()).clientOf();
    return new Run<unknown>(this, { id, run: (await client.find(id)).run }, false);
  }

  readonly runs = {
    list: async (query: RunQuery = {}): Promise<{ readonly runs: readonly RunView[]; readonly next?: string }> => (await this.ready()).runs.list(query),
  };

  async *watch(options: WatchOptions = {}): AsyncGenerator<EngineEvent, void> {
    yield* (await this.ready()).watch(options);
  }

  /** @internal Handles ask through this. */
  async clientOf(): ReturnType<Engine['clientOf']> {
    return (await this.ready()).clientOf();
  }

  /** @internal A wait goes on over a crash. */
  async resultOf(ref: RunRef, options: { readonly timeout?: Duration }): Promise<unknown> {
    const engine = await this.ready();
    try {
      return await engine.resultOf(ref, options);
    } catch (error) {
      if (!isPawlError(error, 'STORE_CLOSED') || engine === this.engine) throw error;
      return this.resultOf(ref, options);
    }
  }

  /** @internal The store beneath, for checks that look at rows. */
  get storeOf(): SqliteStore {
    return this.store;
  }

  async close(): Promise<void> {
    this.time.clear();
    const closing = this.engine.close();
    // Draining waits for virtual timers of bodies that ignore the abort signal.
    for (let turn = 0; turn < QUIET_TURNS; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
    while (this.time.step(this.time.now() + 86_400_000)) await new Promise<void>((resolve) => setImmediate(resolve));
    await closing;
  }
}
