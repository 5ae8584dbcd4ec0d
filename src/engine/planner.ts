import { advance, advanceMore, openFork, openRun, takeMore } from '../core/kernel/advance.ts';
import { claimInPlace } from '../core/kernel/claiming.ts';
import { cacheEntries, isCached } from '../core/kernel/caching.ts';
import type { GraphNode } from '../core/kernel/compile.ts';
import { noChanges, taskAt, type Changes, type TaskChange } from '../core/kernel/changes.ts';
import { PawlError } from '../core/errors.ts';
import { enterGate, sharesKey } from '../core/kernel/gates.ts';
import { BadKey } from '../core/capacity/needs.ts';
import { LAST_INSTANT } from '../core/duration-text.ts';
import { runIdText } from '../core/ids.ts';
import { isChecked, startable } from '../core/kernel/maps.ts';
import type { ParentLink, RunFacts, RunningTask, RunState } from '../core/kernel/run-state.ts';
import { emptyRunState, NO_FLOW } from '../core/kernel/run-state.ts';
import { resetResult } from '../core/kernel/reset.ts';
import { isTerminal } from '../core/kernel/states.ts';
import { isAdmitted, type KernelSettings, type RunEvent } from '../core/kernel/turn.ts';
import { ItemsNeeded } from '../core/kernel/values.ts';
import type { ActWrite } from '../store/acts.ts';
import type { CacheWrite, MoveWrite, StartLink, StartWrite } from '../store/store.ts';
import type { Chain } from './attempt.ts';
import type { CachedRun } from './cache.ts';
import { decideMove, type MoveUnit } from './moves.ts';
import type { Lookup } from './lookups.ts';
import type { Known } from './registry.ts';
import type { Numbers } from './numbers.ts';
import type { Act, EventUnit, StartFrom, StartRequest, StartUnit, StepUnit } from './units.ts';

/** A claim made in the commit that queued the task. */
export interface Launch {
  readonly task: RunningTask;
  readonly chain: Chain;
}

/** What comes together for one run: events, or one move. */
export type RunUnits = readonly EventUnit[] | readonly [MoveUnit];

/** A run that this commit starts. */
/** The state that a run is opened with goes into the cache. */
export type Opening = StartWrite & { readonly state: RunState };

export interface PlannedChild {
  readonly known: Known;
  readonly write: Opening;
  readonly launches: Launch[];
  /** Runs that it starts itself, with it or not at all; their writes are in its own. */
  readonly children: PlannedChild[];
  readonly chain: Chain;
  readonly dueAt: number | null;
}

export interface PlannedStart extends PlannedChild {
  readonly unit: StartUnit;
}

export interface PlannedRun {
  readonly units: readonly EventUnit[];
  readonly entry: CachedRun;
  readonly changes: Changes;
  readonly launches: Launch[];
  readonly act: ActWrite | null;
  readonly chain: Chain;
  readonly children: PlannedChild[];
  /** With which others it is written or not at all. */
  group: number | null;
  /** It ends, and its parent cannot be told now. */
  untold: boolean;
  /** It goes on under another definition, which `entry` is of; null in all other commits. */
  readonly move: { readonly unit: MoveUnit; readonly write: MoveWrite } | null;
  readonly cache: readonly CacheWrite[] | null;
}

export interface Plan {
  readonly now: number;
  readonly starts: PlannedStart[];
  readonly runs: PlannedRun[];
  readonly steps: StepUnit[];
  /** Runs whose events the kernel could not take: their own data is at fault. */
  readonly broken: { readonly run: number; readonly units: readonly EventUnit[]; readonly error: unknown }[];
  /** Runs of workflows with a cache: what is kept may end tasks of them, before the rest of them is decided. */
  readonly lookups: Lookup[];
  /** Runs that need the items of these maps before they can be decided. */
  readonly needItems: { readonly run: number; readonly nodes: readonly number[]; readonly units: RunUnits }[];
}

/** What a run begins with. */
export interface OpenRequest extends Omit<StartRequest, 'rejectDuplicate'> {
  readonly parent: ParentLink | null;
  /** Of a child: its parent's. */
  readonly rank?: number;
  /** Of a child: the keys that runs around it hold. */
  readonly held?: readonly string[];
  readonly taken: StartFrom['taken'];
}

/** What this process may take on, asked while planning. */
export interface Capacity {
  readonly worker: number;
  free: number;
  /** Whether a task of this rank may go on here without a look at the queue. */
  mayContinue(body: number, rank: number, chain: Chain): boolean;
  /** Something of this rank goes to the queue: this commit looks at it. */
  waits(rank: number): void;
}

const MINUTE_MS = 60_000;

/** Decides one commit: what the events come to, what starts, which of the tasks that become ready go on in this process. */
export class Planner {
  private readonly settings: KernelSettings;
  private readonly numbers: Numbers;
  private readonly digest: (text: string) => string;

  constructor(settings: KernelSettings, numbers: Numbers, digest: (text: string) => string) {
    this.digest = digest;
    this.settings = settings;
    this.numbers = numbers;
  }

  start(plan: Plan, unit: StartUnit, capacity: Capacity): void {
    try {
      const { request } = unit;
      const { known, from } = request;
      const begun = this.begin(plan.now, { ...request, parent: null, taken: from?.taken ?? null, act: startAct(unit) }, capacity);
      const { state, changes, looksUp } = begun;
      const finish = (): void => void plan.starts.push({ ...begun.finish(), unit });
      if (looksUp) plan.lookups.push({ known, state, changes, seen: 0, misses: 0, rounds: 0, finish, fail: unit.reject });
      else finish();
    } catch (error) {
      if (!(error instanceof BadKey)) throw error;
      const { workflow } = unit.request.known.stored;
      unit.reject(new PawlError('RUN_INPUT_INVALID', `The input of workflow "${workflow}" does not fit: ${error.message}.`));
    }
  }

  /** A run that another one starts. What is kept of its tasks is not looked up: they run. */
  open(now: number, request: OpenRequest, capacity: Capacity): PlannedChild {
    return this.begin(now, request, capacity).finish();
  }

  /** A run to accept: whether it starts later, waits for a key or to be claimed as a whole, or its roots go on here. */
  private begin(
    now: number,
    request: OpenRequest,
    capacity: Capacity,
  ): { state: RunState; changes: Changes; looksUp: boolean; finish: () => PlannedChild } {
    const { known, startAt, taken } = request;
    const isLater = startAt !== null && startAt > now;
    const hasGate = known.compiled.gate !== null;
    const asked = this.facts(now, request, isLater, hasGate);
    // why: most workflows have no key, and a state is made for every start
    const shares = hasGate && sharesKey(known.compiled, emptyRunState(known.compiled, asked), request.held ?? []);
    const isGated = hasGate && !shares;
    const facts = shares ? { ...this.facts(now, request, isLater, false, asked.run), flow: { ...NO_FLOW, shares } } : asked;
    const { firstBody, id, workflow } = known.stored;
    const roots = known.compiled.plainRoots;
    const chain: Chain = { length: 1, since: now };
    const goesOn =
      roots !== null && capacity.free >= roots.length && roots.every((root) => capacity.mayContinue(firstBody + root, facts.rank, chain));
    const unclaimed = !isLater && roots !== null && !goesOn && taken === null;
    const { state, changes } =
      unclaimed || isLater || (isGated && taken === null)
        ? { state: emptyRunState(known.compiled, facts), changes: noChanges() }
        : taken === null
          ? openRun(known.compiled, facts, now, this.settings)
          : openFork(known.compiled, facts, taken, now, this.settings);
    if (isGated) changes.gate = enterGate(known.compiled, state);
    if (shares) changes.flow = true;
    const finish = (): PlannedChild => {
      const at = { state, changes, firstBody, chain, hasNeeds: false };
      const launches = unclaimed || isLater || isGated ? [] : this.continueHere(known.compiled.nodes.length, at, capacity, now, 0);
      if (state.maps.size > 0 && !isGated) launches.push(...this.takeItems({ state, known }, changes, chain, capacity, now));
      const { uid, key, tags, traceparent, fire } = request;
      const owner = launches.length > 0 ? capacity.worker : null;
      const link = linkOf(request.from, state);
      const act = request.act === null ? null : actResult(request.act, uid, state.run, request.from);
      return {
        known,
        launches,
        chain,
        children: [],
        dueAt: fire?.dueAt ?? null,
        write: {
          uid,
          definition: id,
          firstBody,
          workflow,
          key,
          tags,
          traceparent,
          unclaimed,
          owner,
          state,
          changes,
          link,
          act,
          children: [],
          ...(fire === undefined ? {} : { fire }),
        },
      };
    };
    return { state, changes, looksUp: known.compiled.caches && !unclaimed && !isLater && !isGated, finish };
  }

  private facts(
    now: number,
    { known, startAt, priority, rank, input, parent }: OpenRequest,
    isLater: boolean,
    isGated: boolean,
    run = this.numbers.run(),
  ): RunFacts {
    const timeoutMs = known.compiled.graph.timeoutMs;
    const begins = isLater && startAt !== null ? startAt : now;
    return {
      run,
      generation: 1,
      rev: 1,
      status: isLater ? 'scheduled' : isGated ? 'queued' : 'running',
      resumeTo: null,
      parent,
      rank: rank ?? begins - priority * MINUTE_MS,
      startAt: isLater ? startAt : null,
      acceptedAt: now,
      deadlineAt: timeoutMs === undefined || isGated ? null : Math.min(LAST_INSTANT, begins + timeoutMs),
      input,
      cause: null,
      cancelAsked: null,
    };
  }

  /** What the ends of other runs in the same commit say to this one; whether it took them. */
  tell(
    { known, state, changes, launches, chain }: { known: Known; state: RunState; changes: Changes; launches: Launch[]; chain: Chain },
    events: readonly RunEvent[],
    now: number,
    capacity: Capacity,
  ): boolean {
    const before = changes.tasks.length;
    const taken = advanceMore(known.compiled, state, changes, events, now, this.settings);
    const at = { state, changes, firstBody: known.stored.firstBody, chain, hasNeeds: known.compiled.hasNeeds };
    launches.push(...this.continueHere(known.compiled.nodes.length, at, capacity, now, before));
    if (state.maps.size > 0) launches.push(...this.takeItems({ state, known }, changes, chain, capacity, now));
    return taken;
  }

  /** All events of one run that came together, in their order. */
  run(plan: Plan, entry: CachedRun, units: readonly EventUnit[], capacity: Capacity, looksUp = true): void {
    const { state, known } = entry;
    const { now } = plan;
    try {
      const changes = advance(
        known.compiled,
        state,
        units.map((unit) => unit.event),
        now,
        this.settings,
      );
      if (!known.compiled.caches || !looksUp) {
        this.goOn(plan, { entry, units, changes, cache: null }, capacity);
        return;
      }
      this.lookUp(plan, { entry, units, changes, cache: this.kept(known, state, changes, now) }, capacity);
    } catch (error) {
      this.failed(plan, entry, units, error);
    }
  }

  /** Before it goes on, what is kept of its tasks may end them. */
  private lookUp(plan: Plan, planned: Pick<PlannedRun, 'entry' | 'units' | 'changes' | 'cache'>, capacity: Capacity): void {
    const { entry, units, changes } = planned;
    const { known, state } = entry;
    const finish = (): void => this.guarded(plan, entry, units, () => this.goOn(plan, planned, capacity));
    const fail = (error: unknown): void => this.failed(plan, entry, units, error);
    plan.lookups.push({ known, state, changes, seen: 0, misses: 0, rounds: 0, finish, fail });
  }

  /** What of the run goes on in this process. */
  private goOn(
    plan: Plan,
    { entry, units, changes, cache }: Pick<PlannedRun, 'entry' | 'units' | 'changes' | 'cache'>,
    capacity: Capacity,
  ): void {
    const { state, known } = entry;
    const chain = nextChain(units, plan.now);
    const at = { state, changes, firstBody: known.stored.firstBody, chain, hasNeeds: known.compiled.hasNeeds };
    const launches = this.continueHere(known.compiled.nodes.length, at, capacity, plan.now, 0);
    if (state.maps.size > 0) launches.push(...this.takeItems(entry, changes, chain, capacity, plan.now));
    plan.runs.push({
      units,
      entry,
      changes,
      launches,
      act: actOf(units, changes),
      move: null,
      cache,
      chain,
      children: [],
      group: null,
      untold: false,
    });
  }

  private guarded(plan: Plan, entry: CachedRun, units: readonly EventUnit[], work: () => void): void {
    try {
      work();
    } catch (error) {
      this.failed(plan, entry, units, error);
    }
  }

  private failed(plan: Plan, { state }: CachedRun, units: readonly EventUnit[], error: unknown): void {
    if (error instanceof ItemsNeeded) plan.needItems.push({ run: state.run, nodes: error.nodes, units });
    else plan.broken.push({ run: state.run, units, error });
  }

  private kept({ compiled }: Known, state: RunState, changes: Changes, now: number): CacheWrite[] | null {
    const entries = cacheEntries(compiled, state, changes);
    if (entries.length === 0) return null;
    return entries.map(({ task, text, output, ttlMs }) => ({
      key: this.digest(text),
      task,
      output,
      expiresAt: Math.min(LAST_INSTANT, now + ttlMs),
    }));
  }

  /** A run that is to go on under another definition. One that cannot be moved is no broken run: it stays what it is. */
  move(plan: Plan, entry: CachedRun, unit: MoveUnit): void {
    try {
      const decided = decideMove(entry, unit, plan.now, this.settings);
      if ('kind' in decided) unit.resolve(decided);
      else plan.runs.push(decided);
    } catch (error) {
      if (error instanceof ItemsNeeded) plan.needItems.push({ run: unit.run, nodes: error.nodes, units: [unit] });
      else unit.reject(error);
    }
  }

  private continueHere(
    nodes: number,
    at: { state: RunState; changes: Changes; firstBody: number; chain: Chain; hasNeeds: boolean },
    capacity: Capacity,
    now: number,
    first: number,
  ): Launch[] {
    const launches: Launch[] = [];
    if (nodes === 0) return launches;
    if (at.hasNeeds && at.changes.moves.length > 0) capacity.waits(at.state.rank);
    for (let i = first; i < at.changes.tasks.length; i++) {
      const change = at.changes.tasks[i];
      if (change === undefined) continue;
      // What it held is free in this transaction: whoever waited for it can have it in the same one.
      if (at.hasNeeds && makesRoom(change)) capacity.waits(change.to.rank);
      // Later in the same commit it may have moved on: a loser of a first is cancelled as soon as it is queued.
      if (taskAt(at.state, change.to.node, change.to.item) !== change.to) continue;
      if (change.to.status === 'running' && change.to.phase === 'body' && change.from?.status === 'running') {
        // The verdict was yes: the body starts under the claim, and in the slot, that evaluated.
        capacity.free--;
        launches.push({ task: change.to, chain: at.chain });
      }
      if (change.to.status !== 'queued') continue;
      // A task that this process just lost or handed back goes through the queue.
      const goesOn =
        at.state.status !== 'paused' &&
        change.from?.status !== 'running' &&
        capacity.mayContinue(at.firstBody + change.to.node, change.to.rank, at.chain);
      if (capacity.free <= 0 || !goesOn) {
        capacity.waits(change.to.rank);
        continue;
      }
      capacity.free--;
      launches.push({
        task: claimInPlace(at.state, change, { token: this.numbers.token(), worker: capacity.worker }, now),
        chain: at.chain,
      });
    }
    return launches;
  }

  /** Items that need more than a slot wait in the queue: there it is known what fits. */
  private queueItems(
    known: CachedRun['known'],
    state: RunState,
    changes: Changes,
    { node, count, now }: { node: GraphNode; count: number; now: number },
  ): void {
    takeMore(known.compiled, state, changes, { node: node.index, count, now, settings: this.settings });
  }

  private takeItems(entry: Pick<CachedRun, 'state' | 'known'>, changes: Changes, chain: Chain, capacity: Capacity, now: number): Launch[] {
    const { state, known } = entry;
    const launches: Launch[] = [];
    for (const map of state.maps.values()) {
      const node = known.compiled.nodes[map.node];
      const task = state.tasks[map.node];
      // Of a map with a cache items were taken with the look into it.
      if (node === undefined || isCached(node) || task?.status !== 'running' || state.status === 'paused' || !isAdmitted(state)) continue;
      if (node.child !== null && !isChecked(node)) {
        // The kernel starts them, so many in a commit.
        if (startable(node, map) > 0) capacity.waits(task.rank);
        continue;
      }
      if (node.needs !== null) {
        this.queueItems(known, state, changes, { node, count: startable(node, map), now });
        capacity.waits(task.rank);
        continue;
      }
      // why: once a slot is free somebody must look, though nothing of this run ends then
      if (capacity.free <= 0 || !capacity.mayContinue(known.stored.firstBody + map.node, task.rank, chain)) {
        if (startable(node, map) > 0) capacity.waits(task.rank);
        continue;
      }
      const before = changes.tasks.length;
      takeMore(known.compiled, state, changes, {
        node: map.node,
        count: Math.min(capacity.free, startable(node, map)),
        now,
        settings: this.settings,
      });
      for (const change of changes.tasks.slice(before)) {
        if (change.to.status !== 'queued') continue;
        capacity.free--;
        launches.push({ task: claimInPlace(state, change, { token: this.numbers.token(), worker: capacity.worker }, now), chain });
      }
    }
    return launches;
  }
}

/** The act among the events, with its result; one that was refused is not recorded. */
function actOf(units: readonly EventUnit[], changes: Changes): ActWrite | null {
  const at = units.findIndex((unit) => unit.act !== null);
  const act = units[at]?.act;
  if (act == null || changes.refused.includes(at)) return null;
  const { reject: _, ...facts } = act;
  return { ...facts, result: JSON.stringify(changes.reset === null ? {} : resetResult(changes.reset)) };
}

function linkOf(from: StartFrom | null, state: RunState): StartLink | null {
  if (from === null) return null;
  const { run, kind, taken } = from;
  const maps = taken?.nodes.filter((node) => state.maps.has(node)) ?? [];
  return { run, kind, generation: taken?.donor.generation ?? null, maps: maps.map((to) => ({ from: taken?.was?.get(to) ?? to, to })) };
}

const startAct = ({ request: { act, uid } }: StartUnit): Act | null =>
  act === null ? null : { ...act, facts: JSON.stringify({ ...(JSON.parse(act.facts) as object), made: runIdText(uid) }) };

const actResult = (act: Act, uid: Uint8Array, run: number, from: StartFrom | null): ActWrite => ({
  ...act,
  result: JSON.stringify({ run, uid: Buffer.from(uid).toString('hex'), ...(from?.taken == null ? {} : { reused: from.taken.nodes }) }),
});

/** The slot's chain goes on where an attempt of this process just ended; otherwise a new one begins. */
function nextChain(units: readonly EventUnit[], now: number): Chain {
  const attempt = units.find((unit) => unit.attempt !== null)?.attempt;
  return attempt == null ? { length: 1, since: now } : { length: attempt.chain.length + 1, since: attempt.chain.since };
}

/** Holds no more units, or no longer holds others back: a large task in its pool, or one whose turn with a serial key it was. */
const makesRoom = ({ from, to }: TaskChange): boolean =>
  from?.status === 'running'
    ? to.status !== 'running'
    : (from?.status === 'queued' || from?.status === 'retrying') && isTerminal[to.status];
