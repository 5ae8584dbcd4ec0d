import { setTask } from '../core/kernel/changes.ts';
import { wakeOf } from '../core/kernel/run-flow.ts';
import type { RunEnd } from '../core/kernel/changes.ts';
import { startable } from '../core/kernel/maps.ts';
import { emptyRunState, type WaitingTask } from '../core/kernel/run-state.ts';
import type { CommitResult } from '../store/store.ts';
import { movedOn, repeatedStart } from './acts.ts';
import type { Chain } from './attempt.ts';
import type { CachedRun, RunCache } from './cache.ts';
import type { Claims } from './claims.ts';
import type { RunLoader } from './loader.ts';
import type { Launch, Plan, PlannedChild, PlannedRun, PlannedStart } from './planner.ts';
import { keyConflict } from './key-conflict.ts';
import { queueFull } from './queue-full.ts';
import { ScheduleMoved, type Unit } from './units.ts';
import type { CommitterOptions } from './committer.ts';

/** What follows a commit is told to: the committer, and whoever listens to it. */
export interface AfterHost {
  readonly options: Pick<CommitterOptions, 'clock' | 'registry'>;
  readonly cache: RunCache;
  readonly loader: RunLoader;
  readonly claims: () => Claims | null;
  readonly add: (unit: Unit) => void;
  readonly onCommit: (seq: number) => void;
  readonly onRunEnd: (run: number, end: RunEnd) => void;
  /** Null: of any key. */
  readonly onGate: (keys: readonly string[] | null) => void;
  /** A run was opened anew: it may be one of an older version. */
  readonly onReset: () => void;
  readonly onWait: (run: number, task: WaitingTask) => void;
  readonly onDue: (at: number) => void;
}

/** What a commit's result means for this process: what it holds of runs, who is told, which bodies begin. */
export class AfterCommit {
  private readonly at: AfterHost;

  constructor(host: AfterHost) {
    this.at = host;
  }

  async applied(plan: Plan, result: CommitResult, asked: number | null): Promise<void> {
    const conflicts = new Set(result.conflicts);
    const launches: [CachedRun, Launch][] = [];
    plan.runs.forEach((planned, i) => {
      if (conflicts.has(i)) this.again(planned);
      else this.settled(planned, result.epoch, launches);
    });
    plan.starts.forEach((planned, i) => this.started(planned, result, i, launches));
    if (result.keys.length > 0) this.at.onGate(result.keys);
    plan.steps.forEach((step, i) => step.resolve(result.steps[i] === true));
    if (asked !== null) this.at.claims()?.looked(result, asked, plan.now);
    for (const [entry, launch] of launches) this.at.claims()?.launch(entry, launch.task, launch.chain);
    await this.takeClaimed(result, plan.now);
    this.at.claims()?.begin();
    this.at.onCommit(result.seq);
  }

  /** Another process was first: what this one held of the run is void, and its events are decided again on what the store says now. */
  private again({ entry, units, move }: PlannedRun): void {
    this.at.cache.drop(entry.state.run);
    if (move !== null) this.at.add(move.unit);
    for (const unit of units) this.at.add(unit);
  }

  private settled({ entry, units, changes, launches, act, children, move }: PlannedRun, epoch: number, out: [CachedRun, Launch][]): void {
    const { state } = entry;
    entry.epoch = epoch;
    if (entry.owner === null) state.rev++;
    for (const { from, to } of changes.tasks) {
      if (to.status === 'queued') this.queued(to.rank, to.expiresAt);
      if (to.status === 'retrying' && to.dueAt !== null) this.at.onDue(to.dueAt);
      if (to.status === 'waiting') this.parked(state.run, to);
      const token = from?.status === 'running' ? from.lease?.token : undefined;
      if (token !== undefined && !(to.status === 'running' && to.lease?.token === token))
        this.at.claims()?.revoke(token, 'The task was ended.');
    }
    if (changes.moves.length > 0 || changes.reset !== null || changes.flow || move !== null) this.woken(state);
    // A run that was resumed stands in its line again.
    if (changes.gate === null && changes.moves.at(-1)?.to === 'queued') this.at.onGate(null);
    if (changes.reset !== null) this.at.onReset();
    if (move !== null) {
      this.at.cache.put(entry);
      // Their places have other numbers now.
      for (const other of this.at.cache.values()) if (other.state.parent?.run === state.run) this.at.cache.drop(other.state.run);
      move.unit.resolve({ kind: 'moved' });
    }
    units.forEach((unit, i) => unit.done?.(!changes.refused.includes(i), act?.result));
    for (const launch of launches) out.push([entry, launch]);
    for (const child of children) this.opened(child, epoch, out);
    // why: who dies before that leaves it in the row of the child, where any process finds it
    if (changes.undo !== null)
      this.at.add({ kind: 'event', run: changes.undo, event: { type: 'undo' }, attempt: null, act: null, done: null });
    if (changes.recalls.length > 0) this.at.onDue(this.at.options.clock.now());
    if (changes.end !== null) {
      this.at.cache.drop(state.run);
      this.at.onRunEnd(state.run, changes.end);
    }
  }

  /** A run that was admitted, paused, resumed or reopened: what it waits for now, and what of it may be claimed. */
  private woken(state: CachedRun['state']): void {
    const wakeAt = wakeOf(state);
    if (wakeAt !== null) this.at.onDue(wakeAt);
    if (state.status === 'running') this.at.claims()?.queued(state.rank);
  }

  private parked(run: number, task: WaitingTask): void {
    if (task.dueAt !== null) this.at.onDue(task.dueAt);
    this.at.onWait(run, task);
  }

  private queued(rank: number, expiresAt: number | null): void {
    this.at.claims()?.queued(rank);
    if (expiresAt !== null) this.at.onDue(expiresAt);
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
    if (launches.length > 0 && changes.end === null) this.at.cache.put(entry);
    const wakeAt = wakeOf(state);
    if (wakeAt !== null) this.at.onDue(wakeAt);
    for (const { to } of changes.tasks) {
      if (to.status === 'queued') this.queued(to.rank, to.expiresAt);
      if (to.status === 'waiting') this.parked(write.state.run, to);
    }
    if (write.unclaimed || changes.maps.size > 0) this.at.claims()?.queued(state.rank);
    for (const launch of launches) out.push([entry, launch]);
    for (const child of children) this.opened(child, epoch, out);
    if (changes.end !== null) this.at.onRunEnd(state.run, changes.end);
  }

  private async takeClaimed(result: CommitResult, now: number): Promise<void> {
    const chain: Chain = { length: 1, since: now };
    for (const run of result.claimedRuns) {
      const known = this.at.options.registry.get(run.definition);
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
        owner: this.at.claims()?.capacity(0).worker ?? null,
        held: 0,
      };
      this.at.cache.put(entry);
      for (const task of run.tasks) if (task.status === 'running') this.at.claims()?.launch(entry, task, chain);
    }
    if (result.claimedTasks.length > 0) await this.takeTasks(result, chain);
    for (const { run, ...limited } of result.limited) {
      this.at.add({ kind: 'event', run, event: { type: 'limit', ...limited }, attempt: null, act: null, done: null });
    }
    for (const map of result.openMaps) {
      if (!this.mayTake(map)) continue;
      this.at.add({ kind: 'event', run: map.run, event: { type: 'take', node: map.node, count: 0 }, attempt: null, act: null, done: null });
    }
  }

  /** Whether items of the map may start; a run that this process has not looked at must be loaded to know. */
  private mayTake({ run, node }: { readonly run: number; readonly node: number }): boolean {
    const entry = this.at.cache.get(run);
    const map = entry?.state.maps.get(node);
    const graphNode = entry?.known.compiled.nodes[node];
    return map === undefined || graphNode === undefined || startable(graphNode, map) > 0;
  }

  private async takeTasks(result: CommitResult, chain: Chain): Promise<void> {
    const missing = new Set<number>();
    for (const { run, task } of result.claimedTasks) {
      const entry = this.at.cache.get(run);
      if (entry !== undefined && entry.epoch === result.epoch) {
        setTask(entry.state, task);
        if (entry.owner === null) entry.state.rev++;
      } else {
        this.at.cache.drop(run);
        missing.add(run);
      }
    }
    if (missing.size > 0) await this.at.loader.load([...missing].map((run) => ({ run, items: [] })));
    for (const { run, task } of result.claimedTasks) {
      const entry = this.at.cache.get(run);
      if (entry !== undefined) this.at.claims()?.launch(entry, task, chain);
    }
  }
}
