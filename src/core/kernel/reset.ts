import { hasSucceeded, isEnded, isUnderway, taskAt } from './changes.ts';
import type { CompiledGraph, GraphNode } from './compile.ts';
import { consumersOf, partsOf, unneeded, type Races, type Standing } from './races.ts';
import { rootCauses } from './outcome.ts';
import type { EndedTask, MapState, RunState, TaskState } from './run-state.ts';
import type { TaskStatus } from './states.ts';
import { contractOf } from './turn.ts';
import { isWhole, ItemsNeeded } from './values.ts';

/**
 * What a redrive, a rerun or a mark resets (semantics, section 9): decided here alone, so that a preview and the change itself agree.
 * The named tasks and what depends on them go back to `pending` in a new generation of the run; a map around a named item goes on.
 */
export interface ResetRequest {
  readonly kind: 'redrive' | 'rerun' | 'mark';
  /** None, of a redrive: every dead letter and every cancelled task of the run. */
  readonly targets: readonly ResetTarget[];
  /** Tasks that stay as they are although they ran on an outcome that is redriven. */
  readonly keep: readonly number[];
  /** Go on with tasks of effects `unsafe` whose outcome is unknown. */
  readonly acceptUnknown: boolean;
  /** Leave the effect numbers, and with them the idempotency keys, as they are. */
  readonly sameKey: boolean;
}

/** Every dead letter and every cancelled task. */
export const REDRIVE_ALL: ResetRequest = { kind: 'redrive', targets: [], keep: [], acceptUnknown: false, sameKey: false };

/** So long a request id stands for its act: who repeats it gets what it came to. */
export const REQUEST_MS = 7 * 86_400_000;

export interface ResetTarget {
  readonly node: number;
  readonly item: number;
  /** The input to use instead of what the graph says, as the codec stores it. */
  readonly edited?: string | null;
  /** A child run in this place goes on by itself: the place waits for it again. */
  readonly waits?: true;
  /** Of a mark: the output. */
  readonly output?: string | null;
}

/**
 * `handler`: the `catch` handler of a task that is reset; `bracket`: a setup, and its teardown that has run, around a task that is;
 * `lost_the_race`: what a first cancelled, and what somebody needs again.
 */
export type ResetWhy = 'named' | 'fail_fast' | 'downstream' | 'ran_on_the_failure' | 'around' | 'handler' | 'bracket' | 'lost_the_race';

export interface ResetTask {
  readonly node: number;
  readonly item: number;
  readonly was: TaskStatus;
  readonly why: ResetWhy;
}

export interface ResetPlan {
  readonly kind: ResetRequest['kind'];
  /** The run's generation from then on. */
  readonly generation: number;
  readonly tasks: readonly ResetTask[];
  /** Ran on an outcome that is redriven, and are left: marked stale. */
  readonly kept: readonly { readonly node: number; readonly why: 'asked' | 'unsafe' }[];
}

export interface ResetRefusal {
  readonly code:
    | 'TASK_NOT_DEAD'
    | 'TASK_NOT_ENDED'
    | 'TASK_OUTCOME_UNKNOWN'
    | 'TASK_UNSAFE_RUNNING'
    | 'RUN_NOTHING_TO_REDRIVE'
    | 'RUN_COMPENSATED'
    | 'RUN_SKIPPED'
    | 'TASK_UNKNOWN';
  readonly node: number;
  readonly item: number;
  readonly message: string;
}

export const isRefusal = (plan: ResetPlan | ResetRefusal): plan is ResetRefusal => 'code' in plan;

class Refused extends Error {
  readonly refusal: ResetRefusal;
  constructor(refusal: ResetRefusal) {
    super(refusal.message);
    this.refusal = refusal;
  }
}

/** Throws `ItemsNeeded` where the ended items of a map decide and are not loaded. */
export function planReset(graph: CompiledGraph, state: RunState, request: ResetRequest): ResetPlan | ResetRefusal {
  try {
    return new Planning(graph, state, request).plan();
  } catch (error) {
    if (error instanceof Refused) return error.refusal;
    throw error;
  }
}

class Planning {
  private readonly graph: CompiledGraph;
  private readonly state: RunState;
  private readonly request: ResetRequest;
  private tasks: ResetTask[] = [];
  private readonly named = new Map<number, Set<number>>();
  /** Maps around named items. */
  private readonly maps = new Map<GraphNode, MapState>();
  private readonly kept = new Map<number, 'asked' | 'unsafe'>();
  private readonly seen = new Set<number>();
  private readonly walk: number[] = [];

  constructor(graph: CompiledGraph, state: RunState, request: ResetRequest) {
    this.graph = graph;
    this.state = state;
    this.request = request;
  }

  plan(): ResetPlan {
    const { kind, targets } = this.request;
    if (this.state.flow.compensated) return this.planUndoing();
    this.checkRun();
    if (kind === 'redrive' && targets.length === 0) this.nameAll();
    else for (const target of targets) this.nameTarget(target);
    if (this.tasks.length === 0 && this.maps.size === 0) {
      this.refuse('RUN_NOTHING_TO_REDRIVE', -1, -1, 'it has no dead letter and no cancelled task');
    }
    for (const [node, map] of this.maps) this.around(node, map);
    if (kind !== 'rerun') this.nameFailFast();
    const begun = [...this.named.keys()];
    for (const { node, why } of this.tasks) if (why !== 'around') this.seen.add(node);
    // A map that goes on is still to be met by the walk: where its list is made anew, it begins from the start.
    for (const node of this.maps.keys()) this.seen.delete(node.index);
    for (const node of begun) this.follow(node);
    this.walkOn();
    const { races } = this.graph;
    if (races !== null) while (this.nameLosers(races)) this.walkOn();
    for (const node of this.named.keys()) this.addServing(node);
    return {
      kind,
      generation: this.state.generation + 1,
      tasks: this.tasks,
      kept: [...this.kept].map(([node, why]) => ({ node, why })),
    };
  }

  private walkOn(): void {
    for (let at = this.walk.pop(); at !== undefined; at = this.walk.pop()) this.visit(at);
  }

  /** What a first had cancelled is done over with its winner, and for whoever else needs it and begins again. */
  private nameLosers(races: Races): boolean {
    const { nodes } = this.graph;
    const before = this.tasks.length;
    const standings = nodes.map((node) => this.standing(node));
    for (const first of races.firsts) {
      // One whose winner stays is won by it again.
      if (standings[first] === 'open' && this.seen.has(first) && partsOf(nodes[first]).some((part) => standings[part] === 'success'))
        standings[first] = 'success';
    }
    const lost = unneeded(this.graph, races.firsts, (index) => standings[index] ?? 'open');
    for (const { index } of nodes) {
      const task = this.state.tasks[index];
      if (lost.has(index) || !isEnded(task) || task.reason !== 'superseded' || this.seen.has(index)) continue;
      if (consumersOf(nodes, index).some((by) => !lost.has(by) && standings[by] === 'open')) this.nameLoser(task);
    }
    return this.tasks.length > before;
  }

  private nameLoser(task: EndedTask): void {
    this.seen.add(task.node);
    this.add(task, 'lost_the_race');
    for (const by of consumersOf(this.graph.nodes, task.node)) {
      // A first that others have won does not depend on it.
      if (this.graph.nodes[by]?.parts == null || !hasSucceeded(this.state.tasks[by])) this.walk.push(by);
    }
  }

  /** How a task stands when the plan, as far as it goes, is carried out. */
  private standing({ index, cases }: GraphNode): Standing {
    const { kind, targets } = this.request;
    if (kind === 'mark' && targets.some((target) => target.node === index && target.item < 0)) return 'success';
    const task = this.state.tasks[index];
    // A branch has no row that could be reset.
    if (cases === null ? this.named.has(index) : this.seen.has(index)) return 'open';
    return !isEnded(task) ? 'open' : hasSucceeded(task) ? 'success' : 'ended';
  }

  /** What was undone is not done again: all that can be redriven of such a run is what could not be undone. */
  private planUndoing(): ResetPlan {
    const { kind, targets } = this.request;
    const rows = targets.map(({ node, item }) => {
      const isCompensation = this.graph.nodes[node]?.serves?.role === 'compensation';
      return kind === 'redrive' && isCompensation ? taskAt(this.state, node, item) : undefined;
    });
    if (rows.length === 0 || rows.includes(undefined)) {
      this.refuse('RUN_COMPENSATED', -1, -1, 'its compensation has begun; of such a run only a compensation that failed can be redriven');
    }
    for (const row of rows) {
      if (!isEnded(row)) this.refuse('TASK_NOT_ENDED', row?.node ?? -1, row?.item ?? -1, `it is ${row?.status ?? 'pending'}`);
      this.checkNamed(row);
      this.add(row, 'named');
    }
    return { kind, generation: this.state.generation + 1, tasks: this.tasks, kept: [] };
  }

  /** What cleans up is not disturbed. */
  private checkRun(): void {
    const { status } = this.state;
    if (status === 'skipped') this.refuse('RUN_SKIPPED', -1, -1, 'its guard said that there is nothing to do');
    if (status === 'cancelling' || status === 'finishing')
      this.refuse('TASK_NOT_ENDED', -1, -1, 'it is cleaning up; wait until it is over');
  }

  /** With a task goes its handler; and what its bracket has torn down is set up again, for it and not for what has succeeded inside. */
  private addServing(index: number): void {
    const node = this.graph.nodes[index];
    if (node === undefined) return;
    this.addHandler(node.catcher, 'handler');
    if (node.teardown >= 0) this.addTeardown(node.teardown);
    const setup = this.graph.nodes[node.bracket];
    if (setup === undefined || !isUnderway(this.state.tasks[setup.teardown])) return;
    const task = this.state.tasks[setup.index];
    if (task?.status === 'success' && !this.named.has(setup.index)) this.add(task, 'bracket');
    this.addServing(setup.index);
  }

  private addTeardown(index: number): void {
    const task = this.state.tasks[index];
    if (isUnderway(task) && !isEnded(task) && !this.named.has(index)) {
      this.refuse('TASK_NOT_ENDED', index, -1, 'what was set up is being torn down; wait until that is over');
    }
    this.addHandler(index, 'bracket');
  }

  private addHandler(index: number, why: ResetWhy): void {
    const task = this.state.tasks[index];
    if (isUnderway(task)) this.add(task, why);
  }

  private add(task: Exclude<TaskState, { status: 'pending' }>, why: ResetWhy): void {
    const { node, item, status } = task;
    this.checkKnown(task, why);
    let items = this.named.get(node);
    if (items === undefined) this.named.set(node, (items = new Set()));
    if (items.has(item)) return;
    items.add(item);
    this.tasks.push({ node, item, was: status, why });
  }

  /** What may have had its effect already is done again only by who accepts that; a mark says what came of it. */
  private checkKnown(task: TaskState, why: ResetWhy): void {
    const { kind, acceptUnknown } = this.request;
    if (acceptUnknown || (kind === 'mark' && why === 'named') || !isEnded(task)) return;
    const node = this.graph.nodes[task.node];
    const wasRunning = task.status === 'cancelled' && task.startedAt !== null && task.begun > 0;
    const isUnsafe = node !== undefined && contractOf(node)?.effects === 'unsafe';
    if (task.reason === 'outcome_unknown' || (isUnsafe && wasRunning)) {
      this.refuse('TASK_OUTCOME_UNKNOWN', task.node, task.item, 'its effects are unsafe, and whether the last attempt had one is unknown');
    }
  }

  // --- what is named -----------------------------------------------------------------------------------------------------------------

  /** Every dead letter and every task that was cancelled; failures that are excused or discarded stay. */
  private nameAll(): void {
    for (const node of this.graph.nodes) {
      const task = this.state.tasks[node.index];
      if (node.cases !== null || node.serves?.role === 'catch') continue;
      // What nobody needs any more stays as it is.
      if (isEnded(task) && task.reason === 'superseded') continue;
      const map = this.state.maps.get(node.index);
      if (map !== undefined) {
        const inChildren = node.child !== null && task?.status === 'failed' && !task.allowed;
        this.nameItems(node, map, (item) => item.status === 'cancelled' || item.dead || (inChildren && item.status === 'failed'));
        // A map that was cancelled goes on with the items that never started, too.
        if (task?.status === 'cancelled') this.maps.set(node, map);
      } else if (task?.status === 'cancelled' || (task?.status === 'failed' && (task.dead || (node.child !== null && !task.allowed))))
        this.add(task, 'named');
    }
  }

  private nameTarget(target: ResetTarget): void {
    const { node: index, item } = target;
    const node = this.graph.nodes[index];
    if (node === undefined || node.cases !== null) return this.refuse('TASK_UNKNOWN', index, item, 'there is no such task');
    if (node.serves !== null && (node.serves.role !== 'teardown' || this.request.kind === 'rerun')) {
      return this.refuse('TASK_UNKNOWN', index, item, 'it is a handler, which runs with the task that it serves; name that task');
    }
    if (item >= 0) return this.nameItem(node, item, target);
    const task = this.state.tasks[index];
    const map = this.state.maps.get(index);
    if (this.request.kind === 'redrive' && map !== undefined && task?.status !== 'success') {
      const before = this.tasks.length;
      this.nameItems(node, map, (one) => one.status === 'cancelled' || one.status === 'failed');
      if (task?.status === 'cancelled') this.maps.set(node, map);
      else if (this.tasks.length === before) this.refuse('TASK_NOT_DEAD', index, item, 'none of its items has failed');
      return;
    }
    if (!isEnded(task)) return this.refuse('TASK_NOT_ENDED', index, item, `it is ${task?.status ?? 'pending'}`);
    if (target.waits !== true) this.checkNamed(task);
    this.add(task, 'named');
  }

  private nameItem(node: GraphNode, item: number, target: ResetTarget): void {
    const map = this.state.maps.get(node.index);
    if (map === undefined || item >= map.n) return this.refuse('TASK_UNKNOWN', node.index, item, 'the map has no such item');
    if (map.open.has(item) || item >= map.next) return this.refuse('TASK_NOT_ENDED', node.index, item, 'the item has not ended');
    const task = endedItem(map, item);
    if (target.waits !== true) this.checkNamed(task);
    this.checkList(node);
    this.add(task, 'named');
    this.maps.set(node, map);
  }

  private checkNamed(task: EndedTask): void {
    const { kind } = this.request;
    const isRedrivable = task.status === 'failed' || task.status === 'cancelled';
    if (kind === 'redrive' && !isRedrivable) {
      const causes = task.status === 'upstream_failed' ? rootCauses(this.graph, this.state, task.node) : [];
      const because = causes.length === 0 ? '' : `; it began at ${causes.join(', ')}: redrive that`;
      this.refuse('TASK_NOT_DEAD', task.node, task.item, `it is ${task.status}${because}`);
    }
    if (kind === 'mark' && task.status === 'success') this.refuse('TASK_NOT_DEAD', task.node, task.item, 'it has succeeded');
    if (kind === 'rerun' && task.item >= 0) this.refuse('TASK_UNKNOWN', task.node, task.item, 'a rerun names a task, not an item');
  }

  private nameItems(node: GraphNode, map: MapState, wanted: (item: EndedTask) => boolean): void {
    const before = this.tasks.length;
    for (let i = 0; i < map.next; i++) {
      if (map.open.has(i)) continue;
      const item = endedItem(map, i);
      if (wanted(item)) this.add(item, 'named');
    }
    if (this.tasks.length === before) return;
    this.checkList(node);
    this.maps.set(node, map);
  }

  /** The items of a map that was left as it is came of a list that may be another by now. */
  private checkList(node: GraphNode): void {
    const task = this.state.tasks[node.index];
    if (!isEnded(task) || !task.stale) return;
    this.refuse('TASK_NOT_DEAD', node.index, -1, 'it ran on a list that has been made anew since; rerun it');
  }

  /** The map of a named item: it goes on, also with what was cancelled or never started in it. */
  private around(node: GraphNode, map: MapState): void {
    const task = this.state.tasks[node.index];
    if (!isEnded(task)) return;
    this.add(task, 'around');
    for (let i = 0; i < map.next; i++) {
      const item = map.open.has(i) ? null : endedItem(map, i);
      if (item?.status === 'cancelled') this.add(item, 'around');
    }
  }

  /** What the failure policy cancelled because of the failures. */
  private nameFailFast(): void {
    for (const node of this.graph.nodes) {
      const task = this.state.tasks[node.index];
      const map = this.state.maps.get(node.index);
      if (!node.isCounted) continue;
      if (map !== undefined && task?.status === 'running' && this.state.flow.tripped) this.nameStopped(map);
      if (this.named.has(node.index) || task?.status !== 'cancelled' || task.reason !== 'fail_fast') continue;
      if (map === undefined) this.add(task, 'fail_fast');
      else {
        this.checkList(node);
        this.maps.set(node, map);
        this.around(node, map);
      }
    }
  }

  /** The items of a map that goes on, but was to start no more. */
  private nameStopped(map: MapState): void {
    for (let i = 0; map.cancelled > 0 && i < map.next; i++) {
      const item = map.open.has(i) ? null : endedItem(map, i);
      if (item?.status === 'cancelled' && item.reason === 'fail_fast') this.add(item, 'fail_fast');
    }
  }

  // --- what depends on it ------------------------------------------------------------------------------------------------------------

  private follow(index: number): void {
    const node = this.graph.nodes[index];
    if (node === undefined) return;
    for (const edge of node.out) this.walk.push(edge.to);
    this.walk.push(...node.watchers);
  }

  private visit(index: number): void {
    const node = this.graph.nodes[index];
    if (node === undefined || this.seen.has(index)) return;
    this.seen.add(index);
    const task = this.state.tasks[index];
    if (node.cases !== null) return this.follow(index);
    this.forgetItems(node);
    if (!isUnderway(task)) return;
    if (this.stays(node, task)) return;
    const ran = hasSucceeded(task) || task.status === 'running' || task.status === 'retrying' || task.status === 'waiting';
    this.add(task, ran && this.request.kind !== 'rerun' ? 'ran_on_the_failure' : 'downstream');
    this.follow(index);
  }

  /** The named items of a map that is reset itself are history with it. */
  private forgetItems(node: GraphNode): void {
    if (!this.maps.delete(node)) return;
    this.named.delete(node.index);
    this.tasks = this.tasks.filter((one) => one.node !== node.index);
  }

  private stays(node: GraphNode, task: Exclude<TaskState, { status: 'pending' }>): boolean {
    const isUnsafe = contractOf(node)?.effects === 'unsafe';
    if (task.status === 'running' && isUnsafe) {
      this.refuse('TASK_UNSAFE_RUNNING', node.index, -1, 'its effects are unsafe and it is running on the outcome that would change');
    }
    if (this.request.kind === 'rerun') return false;
    if (task.status === 'success') {
      // What a person said stands until they say otherwise: it came of no outcome.
      if (task.reason === 'manual') return true;
      const why = this.request.keep.includes(node.index) ? 'asked' : isUnsafe ? 'unsafe' : null;
      if (why !== null) this.kept.set(node.index, why);
      return why !== null;
    }
    return (task.status === 'failed' && !task.handled) || (task.status === 'skipped' && task.reason === 'manual');
  }

  private refuse(code: ResetRefusal['code'], node: number, item: number, why: string): never {
    throw new Refused({ code, node, item, message: why });
  }
}

/** What became of an item; where this process has not seen it, or kept no more than its output, the items must be loaded. */
export function endedItem(map: MapState, item: number): EndedTask {
  const ended = map.results?.[item];
  if (!isWhole(ended)) throw new ItemsNeeded(map.node);
  return ended;
}

/**
 * What a fork takes over: the tasks that succeeded and depend neither on those it begins from nor on anything that did not succeed.
 * Everything else of the new run is done anew.
 */
export function reusedByFork(graph: CompiledGraph, donor: RunState, from: readonly number[]): number[] {
  const anew = new Set<number>();
  const walk = [...from];
  for (const node of graph.nodes) {
    // What was undone is no longer there to be taken over.
    const isUndone = isUnderway(donor.tasks[node.compensation]) || (donor.served.get(node.compensation)?.size ?? 0) > 0;
    const task = donor.tasks[node.index];
    // The losers of a first stay out, as long as the first does.
    const isOut = isEnded(task) && (task.status === 'success' || (task.status === 'cancelled' && task.reason === 'superseded'));
    if (node.isCounted && (!isOut || isUndone)) walk.push(node.index);
  }
  for (let at = walk.pop(); at !== undefined; at = walk.pop()) {
    const node = graph.nodes[at];
    if (node === undefined || anew.has(at)) continue;
    anew.add(at);
    // What was set up for it is set up again.
    if (node.bracket >= 0) walk.push(node.bracket);
    for (const edge of node.out) walk.push(edge.to);
    walk.push(...node.watchers);
  }
  return graph.nodes
    .filter((node) => node.isCounted && !anew.has(node.index) && donor.tasks[node.index]?.status === 'success')
    .map((node) => node.index);
}

/** What is kept of a plan as the result of the act: of a map of thousands, not every item. */
export interface ResetResult {
  readonly generation: number;
  /** How many tasks and items were reset. */
  readonly count: number;
  /** The first of them. */
  readonly tasks: readonly ResetTask[];
  readonly kept: ResetPlan['kept'];
}

const TASKS_KEPT = 1_000;

export const resetResult = ({ generation, tasks, kept }: ResetPlan): ResetResult => ({
  generation,
  count: tasks.length,
  tasks: tasks.slice(0, TASKS_KEPT),
  kept,
});
