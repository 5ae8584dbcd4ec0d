import type { FailureFacts } from '../core/kernel/retry.ts';
import type { RunningTask } from '../core/kernel/run-state.ts';
import type { Outcome } from '../core/kernel/turn.ts';
import type { Ctx, Log } from '../core/types/types.ts';
import { ItemsNeeded, mapList, RunScope, taskInput } from '../core/kernel/values.ts';
import type { Logger, Redactor } from '../core/log.ts';
import { isPaused, type PausedNames } from '../store/capacity.ts';
import { RecordCache, type BodyRecords, type BodyTurn } from './record-cache.ts';
import type { ClaimRequest, CommitResult, StepWrite, Store } from '../store/store.ts';
import { Attempt, type AttemptHost, type Callable, type Chain, type Progress } from './attempt.ts';
import type { CachedRun } from './cache.ts';
import { classified, type ClassifyError } from './classify.ts';
import type { LogBook } from './attempt-log.ts';
import type { StoreClock } from './clock.ts';
import type { Claims } from './claims.ts';
import type { Committer } from './committer.ts';
import type { Capacity } from './planner.ts';
import type { Ports } from './ports.ts';
import { Slots } from './slots.ts';
import type { AnyBody, Registry } from './registry.ts';

/** So many tasks of one run in a row, or for so long, before a slot looks at the queue again (semantics, section 8). */
const MAX_CHAIN = 16;
const MAX_CHAIN_MS = 100;
const LOOK_AGE_MS = 250;

export interface DispatcherOptions {
  readonly worker: number;
  readonly concurrency: number;
  readonly store: Store;
  readonly committer: Committer;
  readonly registry: Registry;
  readonly clock: StoreClock;
  readonly ports: Ports;
  readonly logger: Logger;
  readonly redactor: Redactor;
  readonly logs: LogBook;
  readonly maxPayload: number;
  readonly graceMs: number;
  readonly onProgress: (attempt: Attempt, progress: Progress) => void;
  readonly intercept: Intercept | undefined;
  readonly classifyError: ClassifyError | undefined;
}

const NO_FACTS: FailureFacts = {};

/** Stands between an attempt and its body: for the testing kit. */
export type Intercept = (attempt: Attempt, run: () => unknown) => unknown;

/** The slots of one worker process: what it claims, what runs in it, when that is overdue. */
export class Dispatcher implements Claims, AttemptHost {
  readonly logger: Logger;
  readonly redactor: Redactor;
  readonly maxPayload: number;
  readonly graceMs: number;
  private readonly options: DispatcherOptions;
  readonly slots: Slots;
  private readonly active = new Map<number, Attempt>();
  private readonly records: RecordCache;
  private launched: [Attempt, CachedRun][] = [];
  /** What the last look left behind. */
  private leftRank: number | null = null;
  private lookedAt = -Infinity;
  /** Something was put into the queue since a look found nothing. */
  private mayHaveWork = true;
  private isDraining = false;
  /** What was paused at the last look; null where nothing was. */
  private paused: PausedNames | null = null;
  private rateAt = Infinity;
  private cancelRate = (): void => undefined;
  private deadlineAt = Infinity;
  private cancelDeadline: (() => void) | null = null;
  private emptyWaiters: (() => void)[] = [];

  constructor(options: DispatcherOptions) {
    this.options = options;
    this.slots = new Slots(options.concurrency * 2);
    this.records = new RecordCache(options.store);
    this.logger = options.logger;
    this.redactor = options.redactor;
    this.maxPayload = options.maxPayload;
    this.graceMs = options.graceMs;
  }

  get worker(): number {
    return this.options.worker;
  }

  // --- what the committer asks -------------------------------------------------------------------------------------------------------

  capacity(now: number): Capacity {
    const free = this.isDraining ? 0 : this.options.concurrency - this.active.size;
    return {
      worker: this.options.worker,
      free,
      mayContinue: (body, rank, chain) => this.mayContinue(body, rank, chain, now),
      waits: () => (this.mayHaveWork = true),
    };
  }

  private mayContinue(body: number, rank: number, chain: Chain, now: number): boolean {
    const { bodies, needy } = this.options.registry;
    if (this.isDraining || !bodies.has(body) || needy.has(body) || this.lookIsOld(now)) return false;
    if (this.paused !== null && isPaused(this.paused, this.options.registry.places.get(body))) return false;
    if (this.leftRank !== null && this.leftRank < rank) return false;
    return chain.length <= MAX_CHAIN && now - chain.since <= MAX_CHAIN_MS;
  }

  lookIsOld(now: number): boolean {
    return now - this.lookedAt > LOOK_AGE_MS;
  }

  request(free: number, firstToken: number): ClaimRequest | null {
    if (this.isDraining || !(this.mayHaveWork || this.lookIsOld(this.now()))) return null;
    const { bodies, claimable, places } = this.options.registry;
    return { limit: free, bodies, definitions: claimable, firstToken, places };
  }

  looked(result: CommitResult, asked: number, now: number): void {
    this.lookedAt = now;
    this.leftRank = result.leftRank;
    if (result.paused !== null) this.pausedNow(result.paused);
    this.expectRate(result.lookAt);
    this.mayHaveWork = result.leftRank !== null || (asked === 0 && this.mayHaveWork);
  }

  pausedNow(paused: PausedNames): void {
    this.paused = paused.queues.size + paused.workflows.size > 0 ? paused : null;
  }

  /** A rate has a token again at this instant: nobody else says so. */
  private expectRate(at: number | null): void {
    if (at === null || at >= this.rateAt) return;
    this.cancelRate();
    this.rateAt = at;
    this.cancelRate = this.options.ports.timer(Math.max(1, at - this.now()), () => {
      this.rateAt = Infinity;
      this.poll();
    });
  }

  get isBusy(): boolean {
    return this.active.size > 0;
  }

  queued(rank: number): void {
    this.mayHaveWork = true;
    this.leftRank = this.leftRank === null ? rank : Math.min(this.leftRank, rank);
    // A free slot that heard of it must not wait for the next poll.
    if (!this.isDraining && this.active.size < this.options.concurrency) this.options.committer.look();
  }

  /** Somebody else may have put something into the queue. */
  poll(): void {
    this.mayHaveWork = true;
    if (!this.isDraining) this.options.committer.look();
  }

  launch(entry: CachedRun, task: RunningTask, chain: Chain): void {
    const attempt = new Attempt(this, {
      run: entry.state.run,
      uid: entry.uid,
      task,
      known: entry.known,
      chain,
      traceparent: entry.traceparent,
      dueAt: entry.dueAt,
    });
    attempt.slot = this.slots.claim(attempt.token, attempt.key);
    this.active.set(attempt.token, attempt);
    entry.held++;
    this.watchDeadline(attempt.deadline());
    this.launched.push([attempt, entry]);
  }

  begin(): void {
    for (const [attempt, entry] of this.launched.splice(0)) {
      if (attempt.done) continue;
      if (this.slots.begin(attempt.slot)) this.beginOne(attempt, entry);
      else this.revoke(attempt.token, 'This process did not answer, and the claim was given back.');
    }
  }

  /** Attempts whose row is no longer theirs, by what other processes have written: cancelled, reclaimed, ended as overdue. */
  async checkHeld(): Promise<void> {
    const asked = [...this.active.values()];
    if (asked.length === 0) return;
    const held = await this.options.store.heldBy(this.worker, this.options.concurrency * 2 + 1_000);
    const tokens = new Set(held.map((task) => task.token));
    for (const { token } of asked) if (!tokens.has(token)) this.revoke(token, 'The task was ended by another process.');
  }

  private beginOne(attempt: Attempt, entry: CachedRun): void {
    const { node, item } = attempt.task;
    try {
      if (item >= 0) attempt.itemKey = this.itemKey(entry, node, item);
      attempt.execute(taskInput(entry.known.compiled, entry.state, node, item));
    } catch (error) {
      if (error instanceof ItemsNeeded) void this.beginWithItems(attempt, error.nodes);
      else attempt.refuse(error);
    }
  }

  private itemKey({ known, state }: CachedRun, index: number, item: number): string | null {
    const node = known.compiled.nodes[index];
    const map = state.maps.get(index);
    if (node?.key == null || map === undefined) return null;
    return String(node.key(new RunScope(known.compiled, state, mapList(known.compiled, state, node, map)[item])));
  }

  private async beginWithItems(attempt: Attempt, nodes: readonly number[]): Promise<void> {
    const needed = new Set(nodes);
    try {
      for (;;) {
        const entry = await this.options.committer.withItems(attempt.run, [...needed]);
        if (entry === undefined) return attempt.release(this.now());
        try {
          return attempt.execute(taskInput(entry.known.compiled, entry.state, attempt.task.node, attempt.task.item));
        } catch (error) {
          if (!(error instanceof ItemsNeeded)) throw error;
          for (const node of error.nodes) needed.add(node);
        }
      }
    } catch (error) {
      attempt.refuse(error);
    }
  }

  revoke(token: number, why: string): void {
    const attempt = this.active.get(token);
    if (attempt === undefined) return;
    attempt.revoke(why);
    this.forget(attempt);
  }

  // --- what attempts ask -------------------------------------------------------------------------------------------------------------

  now(): number {
    return this.options.clock.now();
  }

  timer(ms: number, fn: () => void): () => void {
    return this.options.ports.timer(ms, fn);
  }

  turn(fn: () => void): void {
    this.options.ports.turn(fn);
  }

  digest(text: string): string {
    return this.options.ports.digest(text);
  }

  recordStep(step: StepWrite): Promise<boolean> {
    return this.options.committer.step(step);
  }

  readRecords(of: BodyTurn): Promise<BodyRecords> {
    return this.records.read(of);
  }

  log(attempt: Attempt): Log {
    return this.options.logs.open(attempt);
  }

  progressed(attempt: Attempt, progress: Progress): void {
    this.options.onProgress(attempt, progress);
  }

  callable(target: unknown, input: unknown): Promise<Callable> {
    return this.options.registry.callable(target, input, this.maxPayload);
  }

  invoke(attempt: Attempt, body: AnyBody, input: unknown, ctx: Ctx): unknown {
    const { intercept } = this.options;
    return intercept === undefined ? body(input, ctx) : intercept(attempt, () => body(input, ctx));
  }

  settle(attempt: Attempt, outcome: Outcome): void {
    const isHeld = this.active.has(attempt.token);
    this.forget(attempt);
    if (!isHeld) return;
    const { node, item } = attempt.task;
    this.options.committer.add({
      kind: 'event',
      run: attempt.run,
      event: { type: 'ended', node, item, token: attempt.token, outcome },
      attempt,
      act: null,
      done: (applied) => {
        if (!applied) this.logger.warn("a late report was refused: the task is no longer this attempt's", attempt.facts);
      },
    });
  }

  classify(attempt: Attempt, error: unknown): FailureFacts {
    const { classifyError } = this.options;
    return classifyError === undefined ? NO_FACTS : classified(classifyError, { attempt, error, now: this.now(), logger: this.logger });
  }

  private forget(attempt: Attempt): void {
    if (!this.active.delete(attempt.token)) return;
    this.slots.release(attempt.slot);
    const entry = this.options.committer.cache.get(attempt.run);
    if (entry !== undefined && entry.held > 0) entry.held--;
    if (this.active.size === 0) for (const resolve of this.emptyWaiters.splice(0)) resolve();
  }

  // --- deadlines ---------------------------------------------------------------------------------------------------------------------

  /** One timer for the earliest deadline of all attempts: most attempts end long before theirs. */
  private watchDeadline(at: number): void {
    if (at >= this.deadlineAt) return;
    this.cancelDeadline?.();
    this.deadlineAt = at;
    this.cancelDeadline = this.options.ports.timer(at - this.now(), () => this.checkDeadlines());
  }

  private checkDeadlines(): void {
    const now = this.now();
    this.deadlineAt = Infinity;
    let next = Infinity;
    for (const attempt of this.active.values()) {
      attempt.checkDeadline(now);
      next = Math.min(next, attempt.deadline());
    }
    if (next < Infinity) this.watchDeadline(Math.max(next, now + 1));
  }

  // --- the end -----------------------------------------------------------------------------------------------------------------------

  /** No new claims; bodies get the abort signal and the drain time; what is unfinished then is handed back. */
  async drain(drainMs: number): Promise<void> {
    this.isDraining = true;
    for (const attempt of this.active.values()) attempt.interrupt();
    if (this.active.size > 0) {
      await new Promise<void>((resolve) => {
        const cancel = this.options.ports.timer(drainMs, resolve);
        this.emptyWaiters.push(() => {
          cancel();
          resolve();
        });
      });
    }
    for (const attempt of this.active.values()) attempt.release(this.now());
    await this.options.committer.idle();
    this.cancelRate();
    this.cancelDeadline?.();
  }

  /** The lease is gone: nothing may be reported any more. */
  abandon(why: string): void {
    this.isDraining = true;
    for (const attempt of this.active.values()) this.revoke(attempt.token, why);
    this.cancelRate();
    this.cancelDeadline?.();
  }
}
