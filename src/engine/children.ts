import type { Changes } from '../core/kernel/changes.ts';
import { abandonedNotice, endNotice, isAwaited, type ChildStart } from '../core/kernel/children.ts';
import { kinFacts } from '../core/kernel/compensating.ts';
import { decode, encode } from '../core/values/codec.ts';
import type { HookFacts } from '../core/kernel/hooks.ts';
import { isRefusal, planReset, REDRIVE_ALL } from '../core/kernel/reset.ts';
import { BadKey } from '../core/capacity/needs.ts';
import { newRunId, runIdText } from '../core/ids.ts';
import type { ParentLink, RunState } from '../core/kernel/run-state.ts';
import { isRunOver, type RunOutcome } from '../core/kernel/states.ts';
import type { RunEvent } from '../core/kernel/turn.ts';
import { ItemsNeeded } from '../core/kernel/values.ts';
import type { RunRow, StartWrite, Store } from '../store/store.ts';
import type { CachedRun } from './cache.ts';
import type { RunLoader } from './loader.ts';
import type { Numbers } from './numbers.ts';
import type { Capacity, Launch, Plan, PlannedChild, PlannedRun, Planner } from './planner.ts';
import type { Ports } from './ports.ts';
import type { Known, Registry } from './registry.ts';

/** A run must be brought in again, or left out, before the commit can be decided: everything is planned anew. */
export class PlanAgain extends Error {
  readonly run: number;
  /** `items`: with the ended items of its maps; `apart`: not all of it in one commit; else without the run, whose fault it is. */
  readonly why: 'items' | 'apart' | { readonly error: unknown };
  constructor(run: number, why: PlanAgain['why']) {
    super(`run ${run} is to be planned anew`);
    this.run = run;
    this.why = why;
  }
}

/** A run that this commit writes, whether it was there before or starts with it. */
interface Member {
  readonly uid: Uint8Array;
  readonly known: Known;
  readonly state: RunState;
  readonly changes: Changes;
  readonly launches: Launch[];
  readonly chain: PlannedRun['chain'];
  readonly children: PlannedChild[];
  readonly writes: StartWrite[];
  readonly traceparent: string | null;
  /** The run whose write its own is a part of; itself where it has one of its own. */
  readonly host: Member;
  readonly planned: PlannedRun | null;
  /** Children of `changes` that are seen to. */
  seen: number;
  isTold: boolean;
  /** Of hosts that are written together, the one that stands for all. */
  joined: Member | null;
}

interface Parts {
  readonly store: Store;
  readonly registry: Registry;
  readonly ports: Ports;
  readonly loader: RunLoader;
  readonly numbers: Numbers;
  readonly planner: Planner;
}

/**
 * What a commit does to one run may start others, and the end of one is an event of another: both are decided here, to a fixed point, so
 * that one transaction holds them all (docs/adr/0016). A commit without children comes here and leaves at once.
 */
export class Kin {
  private readonly parts: Parts;

  constructor(parts: Parts) {
    this.parts = parts;
  }

  /** Throws {@link PlanAgain}. */
  async settle(plan: Plan, capacity: Capacity): Promise<void> {
    const runs = plan.runs.filter(({ entry, changes }) => concerns(entry.state, changes));
    const starts = plan.starts.filter(({ write }) => concerns(write.state, write.changes));
    if (runs.length + starts.length > 0) await new Settling(this.parts, plan, capacity).run(runs, starts);
  }
}

const concerns = (state: RunState, changes: Changes): boolean =>
  changes.children.length > 0 || changes.asksKin || (state.parent !== null && (changes.end !== null || TELLS[changes.kin]));

/** What a child does to its parent's place, beside its end: whether the parent hears of it in the same commit. */
const TELLS = { none: false, recalled: false, undo: false, reopened: true, told: true, undone_again: true } as const;

class Settling {
  private readonly parts: Parts;
  private readonly plan: Plan;
  private readonly capacity: Capacity;
  private readonly members = new Map<number, Member>();
  private readonly queue: Member[] = [];
  private readonly definitions = new Map<string, Known | null>();
  private readonly places = new Map<string, ReadonlyMap<string | null, readonly RunRow[]>>();

  constructor(parts: Parts, plan: Plan, capacity: Capacity) {
    this.parts = parts;
    this.plan = plan;
    this.capacity = capacity;
  }

  async run(runs: readonly PlannedRun[], starts: readonly PlannedChild[]): Promise<void> {
    for (const planned of runs) this.queue.push(this.memberOf(planned));
    for (const start of starts) this.queue.push(this.fresh(start, null));
    for (let member = this.queue.pop(); member !== undefined; member = this.queue.pop()) {
      await this.startChildren(member);
      await this.tellParent(member);
      await this.seekKin(member);
    }
    this.nameGroups();
  }

  // --- who takes part ----------------------------------------------------------------------------------------------------------------

  private memberOf(planned: PlannedRun): Member {
    const { entry, changes, launches, chain, children } = planned;
    return this.member({ ...entry, changes, launches, chain, children, writes: [], planned }, null);
  }

  private fresh({ known, write, launches, chain, children }: PlannedChild, host: Member | null): Member {
    const { state, changes, uid, traceparent } = write;
    const writes = write.children as StartWrite[];
    return this.member({ uid, known, state, changes, launches, chain, children, writes, traceparent, planned: null }, host);
  }

  private member(parts: Omit<Member, 'host' | 'seen' | 'isTold' | 'joined'>, host: Member | null): Member {
    const { uid, known, state, changes, launches, chain, children, writes, traceparent, planned } = parts;
    const made = {
      uid,
      known,
      state,
      changes,
      launches,
      chain,
      children,
      writes,
      traceparent,
      planned,
      seen: 0,
      isTold: false,
      joined: null,
    };
    const member: Member = Object.assign(made, { host: undefined as unknown as Member });
    (member as { host: Member }).host = host ?? member;
    this.members.set(state.run, member);
    return member;
  }

  /** A run that the commit has not met yet; null where it is gone or set aside. */
  private async bring(run: number): Promise<Member | null> {
    const known = this.members.get(run);
    if (known !== undefined) return known;
    const planned = this.plan.runs.find(({ entry }) => entry.state.run === run);
    if (planned !== undefined) return this.memberOf(planned);
    const { loader } = this.parts;
    if (loader.cache.get(run) === undefined) await loader.load([{ run, items: [] }]);
    const entry = loader.cache.get(run);
    return entry === undefined ? null : this.memberOf(this.planned(entry, []));
  }

  private planned(entry: CachedRun, events: readonly RunEvent[]): PlannedRun {
    const units = events.map((event) => ({ kind: 'event' as const, run: entry.state.run, event, attempt: null, act: null, done: null }));
    const before = this.plan.runs.length;
    this.parts.planner.run(this.plan, entry, units, this.capacity, false);
    const planned = this.plan.runs[before];
    // why: it follows from what others did, and is derived anew where this is decided again
    units.length = 0;
    if (planned !== undefined) return planned;
    const broken = this.plan.broken.find(({ run }) => run === entry.state.run);
    throw new PlanAgain(entry.state.run, broken === undefined ? 'items' : { error: broken.error });
  }

  private join(a: Member, b: Member): void {
    const [one, other] = [topOf(a), topOf(b)];
    if (one !== other) other.joined = one;
  }

  private nameGroups(): void {
    const groups = new Map<Member, number>();
    for (const member of this.members.values()) {
      if (member.planned === null) continue;
      const top = topOf(member);
      if (!groups.has(top)) groups.set(top, groups.size);
      member.planned.group = groups.get(top) ?? null;
    }
  }

  // --- down --------------------------------------------------------------------------------------------------------------------------

  private async startChildren(member: Member): Promise<void> {
    for (let start = member.changes.children[member.seen]; start !== undefined; start = member.changes.children[member.seen]) {
      member.seen++;
      if (start.isOpen === true) await this.lookAgain(member, start);
      else if (start.refused !== null) this.refuse(member, start, start.refused);
      else if (!start.goesOn) await this.start(member, start);
      else if (!(await this.goesOn(member, start))) await this.startAnew(member, start);
    }
  }

  /** A body has checked what it calls with; a place of the graph may have to be asked first. */
  private async startAnew(member: Member, start: ChildStart): Promise<void> {
    if (start.name !== null) await this.start(member, start);
    else this.say(member, { type: 'anew', ...placeOf(start) });
  }

  private async start(member: Member, start: ChildStart): Promise<void> {
    const known = await this.definition(member, start);
    if (known === null) {
      const message = `No version of the workflow "${start.workflow}" is in the store: no process has registered it.`;
      this.refuse(member, start, JSON.stringify({ name: 'PawlError', code: 'RUN_UNKNOWN_WORKFLOW', message }));
      return;
    }
    const { planner, numbers, ports } = this.parts;
    const { now } = this.plan;
    await numbers.ensure(1, 1_000);
    let child: PlannedChild;
    try {
      child = planner.open(
        now,
        {
          known,
          uid: newRunId(now, (count) => ports.randomBytes(count)),
          input: start.hook === undefined ? start.input : hookInput(member, start.hook),
          key: null,
          tags: [],
          priority: 0,
          startAt: null,
          traceparent: member.traceparent,
          from: null,
          act: null,
          parent: linkOf(member.state, start),
          rank: member.state.rank,
          held: known.compiled.gate === null || start.kind === 'detached' ? [] : await this.keysAround(member),
          taken: null,
        },
        this.capacity,
      );
    } catch (error) {
      if (!(error instanceof BadKey)) throw error;
      const message = `The input of workflow "${start.workflow}" does not fit: ${error.message}.`;
      this.refuse(member, start, JSON.stringify({ name: 'PawlError', code: 'RUN_INPUT_INVALID', message }));
      return;
    }
    member.children.push(child);
    member.writes.push(child.write);
    const made = this.fresh(child, member.host);
    if (concerns(made.state, made.changes)) this.queue.push(made);
    if (start.kind === 'detached') this.say(member, { type: 'accepted', ...placeOf(start), id: runIdText(child.write.uid) });
  }

  /** The keys that this run holds, and those around it as far up as somebody waits for the end of the one below. */
  private async keysAround({ state }: Member): Promise<string[]> {
    const { store } = this.parts;
    const keys: string[] = [];
    let parent = state.parent;
    for (let run: number | null = state.run; run !== null;) {
      const { gate } = await store.capacity.look(run);
      if (gate?.isHeld === true) keys.push(gate.need.name);
      run = parent !== null && isAwaited(parent) ? parent.run : null;
      if (run !== null) parent = this.members.get(run)?.state.parent ?? (await store.runRow(run))?.parent ?? null;
    }
    return keys;
  }

  private refuse(member: Member, start: ChildStart, error: string): void {
    this.say(member, { type: 'refused', ...placeOf(start), name: start.name, error });
  }

  /** A call of a body that was open when the body went on with something else: its run may have ended since. */
  private async lookAgain(member: Member, { node, item, name, generation }: ChildStart): Promise<void> {
    const rows = await this.callsOf(member, node, item);
    const row = rows.get(name)?.findLast(({ parent }) => parent?.generation === generation);
    if (row === undefined || !isRunOver[row.status] || this.members.has(row.run)) return;
    if (row.reason === 'marked_failed' && row.parent !== null) {
      this.say(member, abandonedNotice(row.parent, runIdText(row.uid), row.workflow));
      return;
    }
    const entry = await this.loaded(row.run);
    if (entry !== undefined) this.queue.push(this.memberOf(this.planned(entry, [{ type: 'tell' }])));
  }

  /** Runs that stand in a place, by the names of their calls: read once for all the calls that are open there. */
  private async callsOf({ state }: Member, node: number, item: number): Promise<ReadonlyMap<string | null, readonly RunRow[]>> {
    const place = `${state.run}:${node}:${item}`;
    let rows = this.places.get(place);
    if (rows === undefined) {
      const children = await this.parts.store.childrenOf(state.run, { node, item });
      rows = Map.groupBy(children, ({ parent }) => parent?.name ?? null);
      this.places.set(place, rows);
    }
    return rows;
  }

  private async loaded(run: number): Promise<CachedRun | undefined> {
    const { loader } = this.parts;
    if (loader.cache.get(run) === undefined) await loader.load([{ run, items: [] }]);
    return loader.cache.get(run);
  }

  private async definition(member: Member, start: ChildStart): Promise<Known | null> {
    const { store, registry } = this.parts;
    const version = start.graph === null ? undefined : member.known.stored.version;
    const key = JSON.stringify([start.workflow, version]);
    let known = this.definitions.get(key);
    if (known === undefined) {
      const stored = await store.newestDefinition(start.workflow, version);
      known = stored === null ? null : await registry.learn(store, stored.id);
      this.definitions.set(key, known);
    }
    return known;
  }

  /** Of a place that was redriven: the run it had goes on in its turn. False where there is none that can. */
  private async goesOn(member: Member, start: ChildStart): Promise<boolean> {
    const rows = await this.callsOf(member, start.node, start.item);
    const row = rows.get(start.name)?.findLast(({ parent }) => parent !== null && isAwaited({ ...parent, recalled: false }));
    const child = row === undefined ? null : await this.bring(row.run);
    if (row === undefined || child === null) return false;
    // why: what it ends as in this very commit is to be there before it is redriven
    if (child.changes.end !== null && this.isDivisible) throw new PlanAgain(row.run, 'apart');
    this.join(member, child);
    if (this.say(child, { type: 'goOn', generation: start.generation })) return true;
    if (hasGood(row, start)) return this.takesEnd(child, start.generation);
    const why = planReset(child.known.compiled, child.state, REDRIVE_ALL);
    if (!isRefusal(why) || why.code !== 'TASK_OUTCOME_UNKNOWN') return false;
    const task = child.known.compiled.nodes[why.node]?.task.id ?? '';
    const message = `Run ${runIdText(row.uid)} cannot go on by itself: of its task "${task}", ${why.message}. Redrive it there.`;
    this.refuse(member, start, JSON.stringify({ name: 'PawlError', code: why.code, message }));
    return true;
  }

  /** It was let go of and succeeded all the same: that is what its place comes to. */
  private takesEnd(child: Member, generation: number): boolean {
    const { state } = child;
    if (state.parent !== null) state.parent = { ...state.parent, generation, recalled: false };
    return this.say(child, { type: 'tell' });
  }

  /** Whether a part of what was to be decided could be decided later. */
  private get isDivisible(): boolean {
    return this.plan.runs.filter(({ units, move }) => units.length > 0 || move !== null).length > 1;
  }

  // --- up ----------------------------------------------------------------------------------------------------------------------------

  private async tellParent(member: Member): Promise<void> {
    const { state, changes } = member;
    if (state.parent === null || !isAwaited(state.parent) || member.isTold) return;
    if (changes.end === null && !TELLS[changes.kin]) return;
    const top = await this.bring(state.parent.run);
    // Where the parent goes on under another definition in this very commit, its tasks have other numbers.
    const node = top?.planned?.move?.write.nodes.get(state.parent.node) ?? state.parent.node;
    const parent = (state.parent = { ...state.parent, node });
    if (top === null) {
      if (member.planned !== null && this.parts.loader.quarantined.has(parent.run))
        member.planned.untold = changes.kin === 'told' || changes.end !== null;
      return;
    }
    this.join(top, member);
    if (changes.kin === 'reopened') this.reopen(top, member, parent);
    if (changes.kin === 'undone_again') this.say(top, { type: 'undone_again' });
    const ended = changes.end ?? (changes.kin === 'told' ? await this.endOf(state) : null);
    if (ended === null) return;
    member.isTold = true;
    const notice = endNotice(member.known.compiled, state, ended, runIdText(member.uid));
    if (notice === null) return;
    const last = top.state.flow.called;
    this.say(top, notice);
    const { called } = top.state.flow;
    if (called === last) return;
    member.changes.completion = called;
    member.state.parent = { ...parent, completion: called };
  }

  /** What of its children is to be undone: as their rows say, and those of this commit as they are by now. */
  private async seekKin(member: Member): Promise<void> {
    const { state, changes } = member;
    if (!changes.asksKin) return;
    changes.asksKin = false;
    const here = [...this.members.values()].filter((one) => one.state.parent?.run === state.run);
    const { run, parent } = state;
    const rest = await this.parts.store.kinOf(
      { run, tree: parent?.tree ?? run },
      here.map((one) => one.state.run),
    );
    this.say(member, {
      type: 'kin',
      kin: kinFacts(
        here.map((one) => one.state),
        rest,
      ),
    });
  }

  /** Of a run that was over before: its end as it is recorded. */
  private async endOf({ run }: RunState): Promise<Parameters<typeof endNotice>[2] | null> {
    const row = await this.parts.store.runRow(run);
    if (row === null || !isRunOver[row.status]) return null;
    return { status: row.status as RunOutcome, output: row.output, hasOutput: row.hasOutput, reason: row.reason };
  }

  /** A run that was redriven by itself: its place waits for it again, in the parent's new generation. */
  private reopen(top: Member, { state }: Member, parent: ParentLink): void {
    const { node, item, generation, name } = parent;
    if (!this.say(top, { type: 'reopened', node, item, generation, name })) return;
    state.parent = { ...parent, generation: top.state.generation };
  }

  private say(member: Member, event: RunEvent): boolean {
    try {
      const taken = this.parts.planner.tell(member, [event], this.plan.now, this.capacity);
      if (concerns(member.state, member.changes)) this.queue.push(member);
      return taken;
    } catch (error) {
      const { run } = member.host.state;
      if (error instanceof ItemsNeeded) throw new PlanAgain(run, 'items');
      throw new PlanAgain(run, { error });
    }
  }
}

/** It has something to give to its place. */
/** A call that gave nothing gave `undefined`; what reads a place of the graph reads an output. */
const hasGood = ({ status, hasOutput }: RunRow, { name }: ChildStart): boolean =>
  status === 'skipped' || ((status === 'success' || status === 'partial') && (hasOutput || name !== null));

function hookInput({ uid, known, state, changes }: Member, { status, reason, error }: HookFacts): string | null {
  const { end } = changes;
  const told = {
    runId: runIdText(uid),
    workflow: known.stored.workflow,
    status,
    ...(reason === null ? {} : { reason }),
    ...(error === null ? {} : { error }),
    ...(end?.hasOutput === true ? { output: decode(end.output) } : {}),
    input: state.input === null ? undefined : decode(state.input),
  };
  return encode(told, { root: 'input' }) ?? null;
}

const placeOf = ({ node, item, generation }: ChildStart): { node: number; item: number; generation: number } => ({
  node,
  item,
  generation,
});

function linkOf({ run, parent }: RunState, { node, item, generation, name, kind }: ChildStart): ParentLink {
  return { run, node, item, generation, name, kind, tree: parent?.tree ?? run, recalled: false, completion: null };
}

function topOf(member: Member): Member {
  let top = member.host;
  while (top.joined !== null) top = top.joined;
  return top;
}
