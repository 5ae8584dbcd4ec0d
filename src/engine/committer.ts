import { setTask } from '../core/changes.ts';
import { wakeOf } from '../core/run-flow.ts';
import type { PawlError } from '../core/errors.ts';
import { isPawlError } from '../core/errors.ts';
import type { RunEnd } from '../core/changes.ts';
import { startable } from '../core/maps.ts';
import { emptyRunState, type WaitingTask } from '../core/run-state.ts';
import type { KernelSettings, Outcome } from '../core/turn.ts';
import type { Logger, Redactor } from '../core/log.ts';
import { RunAtFault } from '../store/batch.ts';
import type { Batch, CommitResult, LogWrite, Store } from '../store/store.ts';
import { admitActs, movedOn, repeatedStart } from './acts.ts';
import type { Chain } from './attempt.ts';
import type { LogBook } from './attempt-log.ts';
import type { CachedRun, RunCache } from './cache.ts';
import type { Claims } from './claims.ts';
import type { StoreClock } from './clock.ts';
import { RunLoader } from './loader.ts';
import { Kin, PlanAgain } from './children.ts';
import { lookUp } from './lookups.ts';
import { admitWakes } from './mailbox.ts';
import { Numbers } from './numbers.ts';
import {
  Planner,
  type Capacity,
  type Launch,
  type Plan,
  type PlannedChild,
  type PlannedRun,
  type PlannedStart,
  type RunUnits,
} from './planner.ts';
import { keyConflict } from './key-conflict.ts';
import { queueFull } from './queue-full.ts';
import type { Moved, MoveUnit } from './moves.ts';
import type { Ports } from './ports.ts';
import type { Registry } from './registry.ts';
import { ScheduleMoved, type Act, type EventUnit, type StartUnit, type StepUnit, type Unit } from './units.ts';

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
  private readonly planner: Planner;
  private readonly kin: Kin;
  private claims: Claims | null = null;
  private settling: EventUnit[] = [];
  private others: Unit[] = [];
  private isScheduled = false;
  private isBusy = false;
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
  onGate: () => void = () => undefined;
  /** A task began to wait for messages. */
  onWait: (run: number, task: WaitingTask) => void = () => undefined;
  /** Something will be due at this instant. */
  onDue: (at: number) => void = () => undefined;

  constructor(options: CommitterOptions) {
    this.options = options;
    this.numbers = new Numbers(options.store);
    this.planner = new Planner(options.settings, this.numbers, (text) => options.ports.digest(text));
    this.loader = new RunLoader(options, () => this.claims?.capacity(0).worker ?? 0);
    this.cache = this.loader.cache;
    const { store, registry, ports } = options;
    this.kin = new Kin({ store, registry, ports, loader: this.loader, numbers: this.numbers, planner: this.planner });
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
    if (this.isBusy) return;
    const wait = this.pausedUntil - this.options.ports.monotonic();
    if (wait > 0) {
      this.isScheduled = true;
      this.options.ports.timer(wait, () => {
        this.isScheduled = false;
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
    const { plan, capacity } = await this.decide(units, now);
    const looks = this.wantsLook || capacity.free > 0 || this.claims?.lookIsOld(now) === true;
    const claim = looks ? (this.claims?.request(Math.max(0, capacity.free), this.numbers.peekToken) ?? null) : null;
    if (this.wantsLook) this.wantsLook = false;
    const logs = this.options.logs.take(plan.runs);
    if (plan.starts.length + plan.runs.length + plan.steps.length + logs.length === 0 && claim === null) return;
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
      await this.applied(plan, result, claim?.limit ?? null);
    } catch (error) {
      if (!isPawlError(error)) throw error;
      // What was written stands; what was claimed may not have been begun.
      this.options.logger.error('what was claimed could not be loaded', { code: error.code, error: error.message });
      this.onUnknown();
    }
  }

  private async decide(units: readonly Unit[], now: number): Promise<{ plan: Plan; capacity: Capacity }> {
    const withItems = new Set<number>();
    for (let left = units; ;) {
      const starts = left.filter((unit) => unit.kind === 'start');
      const capacity = this.claims?.capacity(now) ?? NO_CAPACITY;
      await this.numbers.ensure(starts.length, left.length * 4 + Math.max(0, capacity.free) * 4 + 1_000);
      const plan = await this.plan(left, starts, capacity, now);
      try {
        await this.kin.settle(plan, capacity);
        return { plan, capacity };
      } catch (error) {
        if (!(error instanceof PlanAgain)) throw error;
        left = await this.planAgain(plan, error, withItems);
      }
    }
  }

  /** Nothing that was decided stands: the run in question is brought in with its items, or set aside, and all is decided again. */
  private async planAgain(plan: Plan, { run, fault }: PlanAgain, withItems: Set<number>): Promise<Unit[]> {
    for (const { entry } of plan.runs) this.cache.drop(entry.state.run);
    const isFault = (other: number): boolean => fault !== null && other === run;
    if (fault === null) withItems.add(run);
    // why: all of them, every time: one that was brought in again without its items would ask for them again, in turns with the others
    for (const one of withItems) if (!isFault(one)) await this.loader.load([{ run: one, items: await this.loader.allMaps(one) }]);
    // why: a move loads its run without items, and would ask for them again; what was decided beside it comes first
    for (const { move } of plan.runs) if (move !== null && !isFault(move.unit.run)) this.add(move.unit);
    const start = plan.starts.find(({ write }) => isFault(write.state.run));
    const planned = plan.runs.find(({ entry }) => isFault(entry.state.run));
    const units = planned?.units ?? [];
    if (start !== undefined) start.unit.reject(fault?.error);
    else if (planned?.move != null) planned.move.unit.reject(fault?.error);
    else if (fault !== null) await this.loader.setAside(run, units, fault.error);
    return [
      ...plan.runs.flatMap((planned) => (isFault(planned.entry.state.run) ? [] : planned.units)),
      ...plan.steps,
      ...plan.starts.flatMap(({ unit, write }) => (isFault(write.state.run) ? [] : [unit])),
    ];
  }

  private async plan(units: readonly Unit[], starts: readonly StartUnit[], capacity: Capacity, now: number): Promise<Plan> {
    const plan: Plan = {
      now,
      starts: [],
      runs: [],
      steps: units.filter((unit) => unit.kind === 'step'),
      broken: [],
      needItems: [],
      lookups: [],
    };
    const byRun = new Map<number, EventUnit[]>();
    const moves = new Map<number, MoveUnit>();
    for (const unit of units) {
      if (unit.kind !== 'event') continue;
      const list = byRun.get(unit.run);
      if (list === undefined) byRun.set(unit.run, [unit]);
      else list.push(unit);
    }
    for (const unit of units) {
      if (unit.kind !== 'move') continue;
      // What happens to the run in this commit happens to it as it is now.
      if (byRun.has(unit.run) || moves.has(unit.run)) this.add(unit);
      else moves.set(unit.run, unit);
      // A move that is refused writes nothing, and so would never learn that what this process holds of the run is out of date.
      if (this.cache.get(unit.run)?.held === 0) this.cache.drop(unit.run);
    }
    const missing = [...byRun.keys(), ...moves.keys()].filter((run) => this.cache.get(run) === undefined);
    if (missing.length > 0) await this.loader.load(missing.map((run) => ({ run, items: [] })));
    for (const [run, events] of byRun) this.planRun(plan, run, events, capacity);
    for (const [run, unit] of moves) this.planRun(plan, run, [unit], capacity);
    for (const unit of starts) this.planner.start(plan, unit, capacity);
    while (plan.needItems.length + plan.lookups.length > 0) {
      for (const needed of plan.needItems.splice(0)) {
        this.cache.drop(needed.run);
        await this.loader.load([{ run: needed.run, items: await this.loader.allMaps(needed.run) }]);
        this.planRun(plan, needed.run, needed.units, capacity);
      }
      if (plan.lookups.length > 0) await this.lookUp(plan, capacity);
    }
    for (const broken of plan.broken.splice(0)) await this.loader.setAside(broken.run, broken.units, broken.error);
    return plan;
  }

  private lookUp(plan: Plan, capacity: Capacity): Promise<void> {
    const { store, ports, settings } = this.options;
    const more = (run: number, node: number): void => {
      this.add({ kind: 'event', run, event: { type: 'take', node, count: 0 }, attempt: null, act: null, done: null });
    };
    return lookUp(plan.lookups, capacity, plan.now, { store, digest: (text) => ports.digest(text), settings, more });
  }

  private planRun(plan: Plan, run: number, units: RunUnits, capacity: Capacity): void {
    const entry = this.cache.get(run);
    if (isMove(units)) {
      if (entry === undefined) units[0].resolve({ kind: 'closed' });
      else this.planner.move(plan, entry, units[0]);
      return;
    }
    const events = actsOn(units, entry);
    if (entry === undefined) {
      if (this.loader.quarantined.has(run)) plan.broken.push({ run, units: events, error: null });
      else for (const unit of events) unit.done?.(false);
      return;
    }
    if (events.length > 0) this.planner.run(plan, entry, events, capacity);
  }

  /** The run with the ended items of these maps: loaded between two commits, so that nothing written meanwhile is missed. */
  withItems(run: number, nodes: readonly number[]): Promise<CachedRun | undefined> {
    return new Promise((resolve) => {
      this.reloads.push({ run, nodes, resolve });
      this.schedule();
    });
  }

  private async reload(): Promise<void> {
    for (const { run, nodes, resolve } of this.reloads.splice(0)) {
      const held = this.cache.get(run)?.held ?? 0;
      this.cache.drop(run);
      await this.loader.load([{ run, items: nodes }]);
      const entry = this.cache.get(run);
      if (entry !== undefined) entry.held = held;
      resolve(entry);
    }
  }

  private async applied(plan: Plan, result: CommitResult, asked: number | null): Promise<void> {
    const conflicts = new Set(result.conflicts);
    const launches: [CachedRun, Launch][] = [];
    plan.runs.forEach((planned, i) => {
      if (conflicts.has(i)) this.again(planned);
      else this.settled(planned, result.epoch, launches);
    });
    plan.starts.forEach((planned, i) => this.started(planned, result, i, launches));
    plan.steps.forEach((step, i) => step.resolve(result.steps[i] === true));
    if (asked !== null) this.claims?.looked(result, asked, plan.now);
    for (const [entry, launch] of launches) this.claims?.launch(entry, launch.task, launch.chain);
    await this.takeClaimed(result, plan.now);
    this.claims?.begin();
    this.onCommit(result.seq);
  }

  /** Another process was first: what this one held of the run is void, and its events are decided again on what the store says now. */
  private again({ entry, units, move }: PlannedRun): void {
    this.cache.drop(entry.state.run);
    if (move !== null) this.add(move.unit);
    for (const unit of units) this.add(unit);
  }

  private settled({ entry, units, changes, launches, act, children, move }: PlannedRun, epoch: number, out: [CachedRun, Launch][]): void {
    const { state } = entry;
    entry.epoch = epoch;
    if (entry.owner === null) state.rev++;
    for (const { from, to } of changes.tasks) {
      if (to.status === 'queued') this.queued(to.rank, to.expiresAt);
      if (to.status === 'retrying' && to.dueAt !== null) this.onDue(to.dueAt);
      if (to.status === 'waiting') this.parked(state.run, to);
      const token = from?.status === 'running' ? from.lease?.token : undefined;
      if (token !== undefined && !(to.status === 'running' && to.lease?.token === token)) this.claims?.revoke(token, 'The task was ended.');
    }
    if (changes.moves.length > 0 || changes.reset !== null || changes.flow || move !== null) this.woken(state);
    if (changes.gate !== null || changes.moves.at(-1)?.to === 'queued') this.onGate();
    if (move !== null) {
      this.cache.put(entry);
      // Their places have other numbers now.
      for (const other of this.cache.values()) if (other.state.parent?.run === state.run) this.cache.drop(other.state.run);
      move.unit.resolve({ kind: 'moved' });
    }
    units.forEach((unit, i) => unit.done?.(!changes.refused.includes(i), act?.result));
    for (const launch of launches) out.push([entry, launch]);
    for (const child of children) this.opened(child, epoch, out);
    if (changes.recalls.length > 0) this.onDue(this.options.clock.now());
    if (changes.end !== null) {
      this.cache.drop(state.run);
      this.onRunEnd(state.run, changes.end);
    }
  }

  /** A run that was admitted, paused, resumed or reopened: what it waits for now, and what of it may be claimed. */
  private woken(state: CachedRun['state']): void {
    const wakeAt = wakeOf(state);
    if (wakeAt !== null) this.onDue(wakeAt);
    if (state.status === 'running') this.claims?.queued(state.rank);
  }

  private parked(run: number, task: WaitingTask): void {
    if (task.dueAt !== null) this.onDue(task.dueAt);
    this.onWait(run, task);
  }

  private queued(rank: number, expiresAt: number | null): void {
    this.claims?.queued(rank);
    if (expiresAt !== null) this.onDue(expiresAt);
  }

  private started(planned: PlannedStart, result: CommitResult, i: number, out: [CachedRun, Launch][]): void {
    const { unit, write } = planned;
    const outcome = result.starts[i];
    if (outcome?.created === false && 'done' in outcome) {
      repeatedStart(unit, outcome.done);
      return;
    }
    if (outcome?.created === false && 'queued' in outcome) {
      unit.reject(queueFull(outcome.queued));
      return;
    }
    if (outcome?.created === false && 'decided' in outcome) {
      unit.reject(new ScheduleMoved());
      return;
    }
    if (outcome?.created === false && 'moved' in outcome) {
      unit.reject(movedOn());
      return;
    }
    if (outcome?.created === false) {
      const conflict = keyConflict(unit, outcome.inputHash);
      if (conflict === null) unit.resolve({ uid: outcome.uid, run: outcome.run, created: false });
      else unit.reject(conflict(outcome.uid));
      return;
    }
    this.opened(planned, result.epoch, out);
    unit.resolve({ uid: write.uid, run: write.state.run, created: true });
  }

  /** A run that is there since this commit, with those that it started itself. */
  private opened({ known, write, launches, children, dueAt }: PlannedChild, epoch: number, out: [CachedRun, Launch][]): void {
    const { state, changes, uid, traceparent, owner } = write;
    const entry: CachedRun = { known, state, uid, traceparent, dueAt, epoch, owner, held: 0 };
    if (launches.length > 0 && changes.end === null) this.cache.put(entry);
    const wakeAt = wakeOf(state);
    if (wakeAt !== null) this.onDue(wakeAt);
    for (const { to } of changes.tasks) {
      if (to.status === 'queued') this.queued(to.rank, to.expiresAt);
      if (to.status === 'waiting') this.parked(write.state.run, to);
    }
    if (write.unclaimed || changes.maps.size > 0) this.claims?.queued(state.rank);
    for (const launch of launches) out.push([entry, launch]);
    for (const child of children) this.opened(child, epoch, out);
    if (changes.end !== null) this.onRunEnd(state.run, changes.end);
    if (changes.gate !== null) this.onGate();
  }

  private async takeClaimed(result: CommitResult, now: number): Promise<void> {
    const chain: Chain = { length: 1, since: now };
    for (const run of result.claimedRuns) {
      const known = this.options.registry.get(run.definition);
      if (known === undefined) continue;
      const state = emptyRunState(known.compiled, run.facts);
      for (const task of run.tasks) setTask(state, task);
      const entry: CachedRun = {
        known,
        state,
        uid: run.uid,
        traceparent: run.traceparent,
        dueAt: run.dueAt,
        epoch: result.epoch,
        owner: this.claims?.capacity(0).worker ?? null,
        held: 0,
      };
      this.cache.put(entry);
      for (const task of run.tasks) if (task.status === 'running') this.claims?.launch(entry, task, chain);
    }
    if (result.claimedTasks.length > 0) await this.takeTasks(result, chain);
    for (const { run, ...limited } of result.limited) {
      this.add({ kind: 'event', run, event: { type: 'limit', ...limited }, attempt: null, act: null, done: null });
    }
    for (const map of result.openMaps) {
      if (!this.mayTake(map)) continue;
      this.add({ kind: 'event', run: map.run, event: { type: 'take', node: map.node, count: 0 }, attempt: null, act: null, done: null });
    }
  }

  /** Whether items of the map may start; a run that this process has not looked at must be loaded to know. */
  private mayTake({ run, node }: { readonly run: number; readonly node: number }): boolean {
    const entry = this.cache.get(run);
    const map = entry?.state.maps.get(node);
    const graphNode = entry?.known.compiled.nodes[node];
    return map === undefined || graphNode === undefined || startable(graphNode, map) > 0;
  }

  private async takeTasks(result: CommitResult, chain: Chain): Promise<void> {
    const missing = new Set<number>();
    for (const { run, task } of result.claimedTasks) {
      const entry = this.cache.get(run);
      if (entry !== undefined && entry.epoch === result.epoch) {
        setTask(entry.state, task);
        if (entry.owner === null) entry.state.rev++;
      } else {
        this.cache.drop(run);
        missing.add(run);
      }
    }
    if (missing.size > 0) await this.loader.load([...missing].map((run) => ({ run, items: [] })));
    for (const { run, task } of result.claimedTasks) {
      const entry = this.cache.get(run);
      if (entry !== undefined) this.claims?.launch(entry, task, chain);
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

/** An act names tasks by their numbers in the graph that its person saw: where the run has gone on under another, it is refused, and may come again. */
function actsOn(units: readonly EventUnit[], entry: CachedRun | undefined): readonly EventUnit[] {
  const isPassed = ({ act }: EventUnit): boolean => act?.on !== undefined && entry !== undefined && act.on !== entry.known.stored.id;
  if (!units.some(isPassed)) return units;
  for (const unit of units) if (isPassed(unit)) unit.done?.(false);
  return units.filter((unit) => !isPassed(unit));
}

const isMove = (units: RunUnits): units is readonly [MoveUnit] => units[0]?.kind === 'move';

const unitsOf = ({ units, move }: PlannedRun): readonly Unit[] => (move === null ? units : [move.unit]);

/** Who waits for a start or an act is told that it failed; what a worker reports is tried again. */
function refusalOf(unit: Unit): ((error: unknown) => void) | null {
  if (unit.kind === 'start' || unit.kind === 'move') return unit.reject;
  return unit.kind === 'event' ? (unit.act?.reject ?? null) : null;
}

const NO_CAPACITY: Capacity = { worker: 0, free: 0, mayContinue: () => false, waits: () => undefined };
