import type { PawlError } from '../core/errors.ts';
import { isPawlError } from '../core/errors.ts';
import type { RunEnd } from '../core/kernel/changes.ts';
import type { WaitingTask } from '../core/kernel/run-state.ts';
import type { KernelSettings, Outcome } from '../core/kernel/turn.ts';
import type { Logger, Redactor } from '../core/log.ts';
import type { Placed } from '../store/acts.ts';
import { RunAtFault } from '../store/batch.ts';
import type { Batch, CommitResult, LogWrite, Store } from '../store/store.ts';
import { admitActs } from './acts.ts';
import type { LogBook } from './attempt-log.ts';
import type { CachedRun, RunCache } from './cache.ts';
import { AfterCommit } from './after-commit.ts';
import { Decider } from './decider.ts';
import type { Claims } from './claims.ts';
import type { StoreClock } from './clock.ts';
import { RunLoader } from './loader.ts';
import { placeImported } from './release.ts';
import { Kin } from './children.ts';
import { admitWakes } from './mailbox.ts';
import { Numbers } from './numbers.ts';
import { Planner, type Plan, type PlannedRun } from './planner.ts';
import type { Moved, MoveUnit } from './moves.ts';
import type { Ports } from './ports.ts';
import type { Registry } from './registry.ts';
import type { Act, EventUnit, StepUnit, Unit } from './units.ts';

/** Changes in one commit: at 500 and more the event loop's p99 reaches 11 ms (hotpath, rule 3). */
const MAX_UNITS = 200;
/** How long nothing is tried after the store could not be written. */
const PAUSE_MS = 1_000;
const SHORT_PAUSE_MS = 20;

export interface CommitterOptions {
  readonly store: Store;
  readonly ports: Ports;
  readonly clock: StoreClock;
  readonly registry: Registry;
  readonly logger: Logger;
  readonly redactor: Redactor;
  readonly logs: LogBook;
  readonly settings: KernelSettings;
  readonly maxQueued: number | null;
}

/**
 * Group commit: whatever wants to be written in one turn of the event loop goes into one transaction with one flush. Nothing is
 * acknowledged, and no body started, before its commit. A batch that fails is halved until the unit at fault stands alone.
 */
export class Committer {
  readonly cache: RunCache;
  private readonly loader: RunLoader;
  private readonly options: CommitterOptions;
  private readonly numbers: Numbers;
  private readonly decider: Decider;
  private readonly after: AfterCommit;
  private claims: Claims | null = null;
  private settling: EventUnit[] = [];
  private others: Unit[] = [];
  private isScheduled = false;
  private isBusy = false;
  /** It waits for time to pass, after the store could not be written. */
  isPausing = false;
  private isHalted = false;
  private wantsLook = false;
  private pausedUntil = 0;
  private idleWaiters: (() => void)[] = [];
  private reloads: { readonly run: number; readonly nodes: readonly number[]; readonly resolve: (entry: CachedRun | undefined) => void }[] =
    [];
  /** Called after each commit with the journal's last number, and for each run that ended in it. */
  onCommit: (seq: number) => void = () => undefined;
  onRunEnd: (run: number, end: RunEnd) => void = () => undefined;
  onBroken: (error: unknown) => void = () => undefined;
  /** This worker may hold what it does not know of, or nothing any more: it must start anew. */
  onUnknown: () => void = () => undefined;
  /** A run asked for the key of its workflow, or gave it up. */
  onGate: (keys: readonly string[] | null) => void = () => undefined;
  onReset: () => void = () => undefined;
  /** A task began to wait for messages. */
  onWait: (run: number, task: WaitingTask) => void = () => undefined;
  /** Something will be due at this instant. */
  onDue: (at: number) => void = () => undefined;

  constructor(options: CommitterOptions) {
    this.options = options;
    this.numbers = new Numbers(options.store);
    this.loader = new RunLoader(options, () => this.claims?.capacity(0).worker ?? 0);
    this.cache = this.loader.cache;
    const { store, registry, ports, settings } = options;
    const { loader, cache, numbers } = this;
    const planner = new Planner(settings, numbers, (text) => ports.digest(text));
    const kin = new Kin({ store, registry, ports, loader, numbers, planner });
    const claims = (): Claims | null => this.claims;
    const add = (unit: Unit): void => this.add(unit);
    this.decider = new Decider({ options, cache, loader, numbers, planner, kin, claims, add });
    this.after = new AfterCommit({
      options,
      cache,
      loader,
      claims,
      add,
      onCommit: (seq) => this.onCommit(seq),
      onRunEnd: (run, end) => this.onRunEnd(run, end),
      onGate: (keys) => this.onGate(keys),
      onReset: () => this.onReset(),
      onWait: (run, task) => this.onWait(run, task),
      onDue: (at) => this.onDue(at),
    });
    options.logs.onDue = () => this.schedule();
  }

  attach(claims: Claims | null): void {
    this.claims = claims;
  }

  add(unit: Unit): void {
    if (unit.kind === 'event' && unit.attempt !== null) this.settling.push(unit);
    else this.others.push(unit);
    this.schedule();
  }

  /** The next commit also looks at the queue. */
  look(): void {
    this.wantsLook = true;
    this.schedule();
  }

  get isIdle(): boolean {
    return !this.isBusy && !this.isScheduled && this.settling.length + this.others.length + this.reloads.length === 0;
  }

  /** Nothing is written any more, and nobody is told: what a crash leaves. For the testing kit. */
  halt(): void {
    this.isHalted = true;
  }

  /** Resolves when nothing is left to write. */
  async idle(): Promise<void> {
    while (!this.isIdle) await new Promise<void>((resolve) => this.idleWaiters.push(resolve));
  }

  private schedule(): void {
    if (this.isScheduled || this.isBusy) return;
    this.isScheduled = true;
    this.options.ports.turn(() => {
      this.isScheduled = false;
      void this.flush();
    });
  }

  private async flush(): Promise<void> {
    if (this.isBusy || this.isHalted) return;
    const wait = this.pausedUntil - this.options.ports.monotonic();
    if (wait > 0) {
      this.isScheduled = true;
      this.isPausing = true;
      this.options.ports.timer(wait, () => {
        this.isScheduled = false;
        this.isPausing = false;
        void this.flush();
      });
      return;
    }
    this.isBusy = true;
    const units = this.take();
    try {
      const admitted = await admitActs(this.options.store, units, this.options.clock.now(), (unit) => this.add(unit));
      await this.commit(await admitWakes(this.options.store, admitted));
    } catch (error) {
      if (isPawlError(error)) this.storeFailed(units, error);
      else this.giveUp(units, error);
    } finally {
      this.isBusy = false;
    }
    if (this.settling.length > 0 || this.others.length > 0 || this.reloads.length > 0 || this.wantsLook) this.schedule();
    else for (const resolve of this.idleWaiters.splice(0)) resolve();
  }

  /** Settlements first: they free slots, and what follows them goes on in the same commit. */
  private take(): Unit[] {
    const settled = this.settling.splice(0, MAX_UNITS);
    return [...settled, ...this.others.splice(0, MAX_UNITS - settled.length)];
  }

  private async commit(units: readonly Unit[]): Promise<void> {
    const { store, clock } = this.options;
    await this.reload();
    const now = clock.now();
    const { plan, capacity } = await this.decider.decide(units, now);
    const looks = this.wantsLook || capacity.free > 0 || this.claims?.lookIsOld(now) === true;
    const claim = looks ? (this.claims?.request(Math.max(0, capacity.free), this.numbers.peekToken) ?? null) : null;
    if (this.wantsLook) this.wantsLook = false;
    const logs = this.options.logs.take(plan.runs);
    if (plan.starts.length + plan.runs.length + plan.steps.length + logs.length === 0 && claim === null) return;
    if (this.isHalted) return;
    const batch: Batch = {
      now,
      worker: capacity.worker,
      starts: plan.starts.map((start) => start.write),
      runs: plan.runs.map(({ entry, changes, act, children, group, untold, move, cache }) => ({
        act,
        cache,
        move: move?.write ?? null,
        firstBody: entry.known.stored.firstBody,
        state: entry.state,
        epoch: entry.epoch,
        shared: entry.owner === null,
        changes,
        ...(children.length === 0 ? {} : { children: children.map((child) => child.write) }),
        ...(group === null ? {} : { group }),
        ...(untold ? { untold } : {}),
      })),
      steps: plan.steps.map((step) => step.write),
      logs,
      share: [],
      claim,
      ...(this.options.maxQueued === null ? {} : { maxQueued: this.options.maxQueued }),
    };
    let result: CommitResult;
    try {
      result = await store.commit(batch);
    } catch (error) {
      // why: the commit may have happened after all, and a token is never given twice
      this.numbers.skipTokens(claim?.limit ?? 0);
      await this.failed(plan, logs, error);
      return;
    }
    this.numbers.skipTokens(result.tokensUsed);
    clock.raise(result.clock);
    this.options.logs.stored(logs);
    try {
      await this.after.applied(plan, result, claim?.limit ?? null);
    } catch (error) {
      if (!isPawlError(error)) throw error;
      // What was written stands; what was claimed may not have been begun.
      this.options.logger.error('what was claimed could not be loaded', { code: error.code, error: error.message });
      this.onUnknown();
    }
  }

  /** The run with the ended items of these maps: loaded between two commits, so that nothing written meanwhile is missed. */
  withItems(run: number, nodes: readonly number[]): Promise<CachedRun | undefined> {
    return new Promise((resolve) => {
      this.reloads.push({ run, nodes, resolve });
      this.schedule();
    });
  }

  private async reload(): Promise<void> {
    // why: one that fails stays the first of the list, for the next commit to try
    for (let first = this.reloads[0]; first !== undefined; first = this.reloads[0]) {
      const { run, nodes, resolve } = first;
      const held = this.cache.get(run)?.held ?? 0;
      this.cache.drop(run);
      await this.loader.load([{ run, items: nodes }]);
      this.reloads.shift();
      const entry = this.cache.get(run);
      if (entry !== undefined) entry.held = held;
      resolve(entry);
    }
  }

  /** Nothing of the batch was written. What the kernel changed in memory is void. */
  private async failed(plan: Plan, logs: readonly LogWrite[], error: unknown): Promise<void> {
    for (const { entry } of plan.runs) this.cache.drop(entry.state.run);
    const units: Unit[] = [...plan.runs.flatMap(unitsOf), ...plan.steps, ...plan.starts.map((start) => start.unit)];
    if (isPawlError(error)) {
      this.storeFailed(units, error);
      return;
    }
    if (logs.length > 0) {
      // No run is set aside for what was said about it.
      this.options.logger.error('log lines could not be stored, and were dropped', { error: String(error) });
      this.options.logs.stored(logs);
      await this.commit(units);
      return;
    }
    const groups = [
      ...kinOf(plan.runs),
      ...plan.steps.map((step): readonly Unit[] => [step]),
      ...plan.starts.map(({ unit }): readonly Unit[] => [unit]),
    ];
    if (groups.length <= 1) {
      await this.atFault(plan, error);
      return;
    }
    const half = Math.ceil(groups.length / 2);
    await this.commit(groups.slice(0, half).flat());
    await this.commit(groups.slice(half).flat());
  }

  /** The store itself cannot be written: callers are told, what workers settled is kept and tried again. */
  private storeFailed(units: readonly Unit[], error: PawlError): void {
    const { logger, ports } = this.options;
    logger.error('the store could not be written', { code: error.code, error: error.message, fix: error.fix });
    for (const unit of units) {
      const refuse = refusalOf(unit);
      if (refuse !== null && error.code !== 'WORKER_LEASE_LOST') refuse(error);
      else this.add(unit);
    }
    this.pausedUntil = ports.monotonic() + (error.code === 'WORKER_LEASE_LOST' ? SHORT_PAUSE_MS : PAUSE_MS);
    if (error.code === 'STORE_CORRUPT' || error.code === 'STORE_CLOSED' || error.code === 'ENGINE_BROKEN') {
      this.giveUp([], error);
    }
    // What the lost commit claimed may be there, with nobody to run it: this identity gives everything up, another goes on.
    if (error.code === 'STORE_UNKNOWN_OUTCOME' || error.code === 'WORKER_LEASE_LOST') this.onUnknown();
  }

  /** Something that cannot be is the case: this process stops. Callers are told; what attempts reported is lost with their leases. */
  private giveUp(units: readonly Unit[], error: unknown): void {
    for (const unit of [...units, ...this.others.splice(0)]) {
      if (unit.kind === 'step') unit.reject(error);
      else refusalOf(unit)?.(error);
    }
    this.settling = [];
    this.onBroken(error);
  }

  private async atFault(plan: Plan, failure: unknown): Promise<void> {
    const error = failure instanceof RunAtFault ? failure.cause : failure;
    this.options.logger.error('a change could not be written', {
      error: error instanceof Error ? (error.stack ?? error.message) : String(error),
    });
    const one = failure instanceof RunAtFault ? plan.runs.find(({ entry }) => entry.state.run === failure.run) : undefined;
    if (one !== undefined && plan.runs.length > 1) {
      // Of runs that are written together one is at fault: without it the others are decided again.
      await this.leaveOut(one, error);
      await this.commit(plan.runs.flatMap((planned) => (planned === one ? [] : unitsOf(planned))));
      return;
    }
    for (const { unit } of plan.starts) unit.reject(error);
    for (const step of plan.steps) step.reject(error);
    for (const planned of plan.runs) await this.leaveOut(planned, error);
  }

  private async leaveOut({ entry, units, move }: PlannedRun, error: unknown): Promise<void> {
    if (move === null) await this.loader.setAside(entry.state.run, units, error);
    else move.unit.reject(error);
  }

  /** Lets a run go on under another definition, where it may. */
  move(unit: Omit<MoveUnit, 'kind' | 'resolve' | 'reject'>): Promise<Moved> {
    return new Promise((resolve, reject) => this.add({ kind: 'move', ...unit, resolve, reject }));
  }

  /** Queues an event, resolves with whether the kernel took it. */
  event(run: number, event: EventUnit['event']): Promise<boolean> {
    return new Promise((resolve) => this.add({ kind: 'event', run, event, attempt: null, act: null, done: resolve }));
  }

  /** An act of a person: resolves with its result as JSON, null where the kernel refused it. Rejects with `RUN_REQUEST_CONFLICT`. */
  act(run: number, event: EventUnit['event'], act: Act): Promise<string | null> {
    return new Promise((resolve, reject) => {
      const done = (applied: boolean, result?: string): void => resolve(applied ? (result ?? '{}') : null);
      this.add({ kind: 'event', run, event, attempt: null, act: { ...act, reject }, done });
    });
  }

  /** Where imported runs stand in line that go on with this one; null where the run cannot be read. */
  async placed(run: number): Promise<readonly Placed[] | null> {
    return placeImported({ ...this.options, loader: this.loader }, run);
  }

  /** A run that was taken out of quarantine is no longer turned away. */
  released(run: number): void {
    this.loader.quarantined.delete(run);
  }

  outcome(run: number, at: { node: number; item: number; token: number }, outcome: Outcome): Promise<boolean> {
    return this.event(run, { type: 'ended', node: at.node, item: at.item, token: at.token, outcome });
  }

  step(write: StepUnit['write']): Promise<boolean> {
    return new Promise((resolve, reject) => this.add({ kind: 'step', write, resolve, reject }));
  }
}

/** What came for runs that are written together or not at all stays together. */
function kinOf(runs: readonly PlannedRun[]): (readonly Unit[])[] {
  const groups = new Map<number, Unit[]>();
  const alone: (readonly Unit[])[] = [];
  for (const planned of runs) {
    const { group } = planned;
    const units = unitsOf(planned);
    if (group === null) alone.push(units);
    else groups.set(group, [...(groups.get(group) ?? []), ...units]);
  }
  return [...alone, ...[...groups.values()].filter((units) => units.length > 0)];
}

const unitsOf = ({ units, move }: PlannedRun): readonly Unit[] => (move === null ? units : [move.unit]);

/** Who waits for a start or an act is told that it failed; what a worker reports is tried again. */
function refusalOf(unit: Unit): ((error: unknown) => void) | null {
  if (unit.kind === 'start' || unit.kind === 'move') return unit.reject;
  return unit.kind === 'event' ? (unit.act?.reject ?? null) : null;
}
