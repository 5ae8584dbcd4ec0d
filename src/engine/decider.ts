import type { CachedRun, RunCache } from './cache.ts';
import type { Claims } from './claims.ts';
import type { RunLoader } from './loader.ts';
import { type Kin, PlanAgain } from './children.ts';
import { lookUp } from './lookups.ts';
import type { Numbers } from './numbers.ts';
import type { Planner, Capacity, Plan, RunUnits } from './planner.ts';
import type { MoveUnit } from './moves.ts';
import type { EventUnit, StartUnit, Unit } from './units.ts';
import type { CommitterOptions } from './committer.ts';

/** What a decider works with: the committer's own parts. */
export interface DeciderParts {
  readonly options: Pick<CommitterOptions, 'store' | 'ports' | 'settings'>;
  readonly cache: RunCache;
  readonly loader: RunLoader;
  readonly numbers: Numbers;
  readonly planner: Planner;
  readonly kin: Kin;
  readonly claims: () => Claims | null;
  readonly add: (unit: Unit) => void;
}

/** Brings in what a commit's units are about, and has it decided: until nothing is missing, and everything between runs is settled. */
export class Decider {
  private readonly parts: DeciderParts;

  constructor(parts: DeciderParts) {
    this.parts = parts;
  }

  async decide(units: readonly Unit[], now: number): Promise<{ plan: Plan; capacity: Capacity }> {
    const withItems = new Set<number>();
    for (let left = units; ;) {
      const starts = left.filter((unit) => unit.kind === 'start');
      const capacity = this.parts.claims()?.capacity(now) ?? NO_CAPACITY;
      await this.parts.numbers.ensure(starts.length, left.length * 4 + Math.max(0, capacity.free) * 4 + 1_000);
      const plan = emptyPlan(left, now);
      try {
        await this.plan(plan, left, starts, capacity);
        await this.parts.kin.settle(plan, capacity);
        return { plan, capacity };
      } catch (error) {
        if (!(error instanceof PlanAgain)) {
          this.forget(plan, left);
          throw error;
        }
        left = await this.planAgain(plan, error, withItems);
      }
    }
  }

  /** The store could not be read in the midst of it: what the kernel changed in memory is void, and the units come again. */
  private forget(plan: Plan, units: readonly Unit[]): void {
    const { cache } = this.parts;
    for (const { entry } of plan.runs) cache.drop(entry.state.run);
    for (const unit of units) if (unit.kind === 'event' || unit.kind === 'move') cache.drop(unit.run);
  }

  /** Nothing that was decided stands: the run in question is brought in with its items, or set aside, and all is decided again. */
  private async planAgain(plan: Plan, { run, why }: PlanAgain, withItems: Set<number>): Promise<Unit[]> {
    const fault = typeof why === 'object' ? why : null;
    for (const { entry } of plan.runs) this.parts.cache.drop(entry.state.run);
    this.parts.cache.drop(run);
    const isFault = (other: number): boolean => fault !== null && other === run;
    if (why === 'items') withItems.add(run);
    const { loader, add } = this.parts;
    // why: all of them, every time: one that was brought in again without its items would ask for them again, in turns with the others
    for (const one of withItems) if (!isFault(one)) await loader.load([{ run: one, items: await loader.allMaps(one) }]);
    // why: a move loads its run without items, and would ask for them again; what was decided beside it comes first
    for (const { move } of plan.runs) if (move !== null && !isFault(move.unit.run)) add(move.unit);
    const start = plan.starts.find(({ write }) => isFault(write.state.run));
    const planned = plan.runs.find(({ entry }) => isFault(entry.state.run));
    const units = planned?.units ?? [];
    if (start !== undefined) start.unit.reject(fault?.error);
    else if (planned?.move != null) planned.move.unit.reject(fault?.error);
    else if (fault !== null) await loader.setAside(run, units, fault.error);
    const left = plan.runs.filter((one) => !isFault(one.entry.state.run) && one.units.length > 0);
    if (why === 'apart') for (const { units: later } of left.splice(Math.ceil(left.length / 2))) later.forEach(add);
    return [
      ...left.flatMap((one) => one.units),
      ...plan.steps,
      ...plan.starts.flatMap(({ unit, write }) => (isFault(write.state.run) ? [] : [unit])),
    ];
  }

  private async plan(plan: Plan, units: readonly Unit[], starts: readonly StartUnit[], capacity: Capacity): Promise<void> {
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
      if (byRun.has(unit.run) || moves.has(unit.run)) this.parts.add(unit);
      else moves.set(unit.run, unit);
      // A move that is refused writes nothing, and so would never learn that what this process holds of the run is out of date.
      if (this.parts.cache.get(unit.run)?.held === 0) this.parts.cache.drop(unit.run);
    }
    const missing = [...byRun.keys(), ...moves.keys()].filter((run) => this.parts.cache.get(run) === undefined);
    if (missing.length > 0) await this.parts.loader.load(missing.map((run) => ({ run, items: [] })));
    for (const [run, events] of byRun) this.planRun(plan, run, events, capacity);
    for (const [run, unit] of moves) this.planRun(plan, run, [unit], capacity);
    for (const unit of starts) this.parts.planner.start(plan, unit, capacity);
    while (plan.needItems.length + plan.lookups.length > 0) {
      for (const needed of plan.needItems.splice(0)) {
        this.parts.cache.drop(needed.run);
        await this.parts.loader.load([{ run: needed.run, items: await this.parts.loader.allMaps(needed.run) }]);
        this.planRun(plan, needed.run, needed.units, capacity);
      }
      if (plan.lookups.length > 0) await this.lookUp(plan, capacity);
    }
    for (const broken of plan.broken.splice(0)) await this.parts.loader.setAside(broken.run, broken.units, broken.error);
  }

  private lookUp(plan: Plan, capacity: Capacity): Promise<void> {
    const { store, ports, settings } = this.parts.options;
    const more = (run: number, node: number): void => {
      this.parts.add({ kind: 'event', run, event: { type: 'take', node, count: 0 }, attempt: null, act: null, done: null });
    };
    return lookUp(plan.lookups, capacity, plan.now, { store, digest: (text) => ports.digest(text), settings, more });
  }

  private planRun(plan: Plan, run: number, units: RunUnits, capacity: Capacity): void {
    const entry = this.parts.cache.get(run);
    if (isMove(units)) {
      if (entry === undefined) units[0].resolve({ kind: 'closed' });
      else this.parts.planner.move(plan, entry, units[0]);
      return;
    }
    const events = actsOn(units, entry);
    if (entry === undefined) {
      if (this.parts.loader.quarantined.has(run)) plan.broken.push({ run, units: events, error: null });
      else for (const unit of events) unit.done?.(false);
      return;
    }
    if (events.length > 0) this.parts.planner.run(plan, entry, events, capacity);
  }
}

/** An act names tasks by their numbers in the graph that its person saw: where the run has gone on under another, it is refused, and may come again. */
function actsOn(units: readonly EventUnit[], entry: CachedRun | undefined): readonly EventUnit[] {
  const isPassed = ({ act }: EventUnit): boolean => act?.on !== undefined && entry !== undefined && act.on !== entry.known.stored.id;
  if (!units.some(isPassed)) return units;
  for (const unit of units) if (isPassed(unit)) unit.done?.(false);
  return units.filter((unit) => !isPassed(unit));
}

const emptyPlan = (units: readonly Unit[], now: number): Plan => ({
  now,
  starts: [],
  runs: [],
  steps: units.filter((unit) => unit.kind === 'step'),
  broken: [],
  needItems: [],
  lookups: [],
});

const isMove = (units: RunUnits): units is readonly [MoveUnit] => units[0]?.kind === 'move';

const NO_CAPACITY: Capacity = { worker: 0, free: 0, mayContinue: () => false, waits: () => undefined };
