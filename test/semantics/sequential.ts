/**
 * A run as the text of the semantics describes it: one event at a time, every join asked anew over the states of all tasks after each of
 * them. Slow, small, and without a line of the kernel: of that it knows the form of a graph and the names of states, no more.
 */
import type { BodyTask, Graph, GraphTask, HandlerTask, MapTask } from '../../src/core/graph/graph.ts';
import type { Reason, RunStatus, TaskStatus } from '../../src/core/kernel/states.ts';
import { handlerOf, insideOf, leadsTo, onlyFor, taskOf } from './sequential-graph.ts';
import {
  beyondSkip,
  fresh,
  hasSucceeded,
  isEnded,
  labelOf,
  readsOf,
  readsOfTask,
  strongest,
  verdictOf,
  type Cell,
  type Label,
  type Letter,
  type Primary,
} from './sequential-table.ts';

export class Sequential {
  private readonly cells = new Map<string, Cell>();
  /** How many items a map has, once it has started, and how many of them were begun. */
  private readonly maps = new Map<string, { n: number; next: number }>();
  private readonly policy: 'continue' | 'drain' | 'abort';
  private ends = 0;
  /** How many events there were. */
  private events = 0;
  private cause: { readonly status: 'failed' | 'skipped'; readonly reason: Reason } | null = null;
  private cancelAsked: Reason | null = null;
  private tripped = false;
  /** Waits that began in what is being followed up. */
  private readonly begun = new Set<Cell>();
  status: RunStatus = 'running';
  reason: Reason | null = null;

  private readonly graph: Graph;

  constructor(graph: Graph) {
    this.graph = graph;
    for (const { id } of graph.tasks) this.cells.set(id, fresh());
    this.policy = graph.failurePolicy ?? 'continue';
    this.follow();
  }

  /** The state of every task and item that there is, and that of the run. */
  states(): Record<string, string> {
    const tasks = [...this.cells].map(([at, cell]) => [
      at,
      `${cell.status}${cell.handled ? ' handled' : ''}${cell.partial ? ' partial' : ''} ${cell.reason ?? ''}`,
    ]);
    const firsts = this.graph.tasks.flatMap(({ id, kind }) => (kind === 'first' ? [[`${id} winner`, `${this.cell(id).verdict}`]] : []));
    return { ...Object.fromEntries([...tasks, ...firsts]), ' run': `${this.status} ${this.reason ?? ''}` } as Record<string, string>;
  }

  /** Where a task is, and what it is asked for. */
  at(at: string): Pick<Cell, 'status' | 'phase'> | undefined {
    return this.cells.get(at);
  }

  /** The order inside one transaction: the outcome, retry or catch, joins to a fixed point, failure policy, outcome of the run. */
  apply(event: Primary): void {
    this.events++;
    this.record(event);
    this.follow();
  }

  private follow(): void {
    this.begun.clear();
    do this.settleJoins();
    while (this.enforcePolicy());
    this.tearDown();
    this.conclude();
  }

  private cell(at: string): Cell {
    const cell = this.cells.get(at);
    if (cell === undefined) throw new Error(`there is no ${at}`);
    return cell;
  }

  // ---- one event ----------------------------------------------------------------------------------------------------------------------

  private record(event: Primary): void {
    if (event.type === 'cancel') this.cancelRun(() => (this.cancelAsked = event.reason), event.reason);
    else if (event.type === 'fail') this.cancelRun(() => (this.cause = { status: 'failed', reason: event.reason }), event.reason);
    else if (event.type === 'take') this.take(event.map, event.count);
    else this.recordOf(event, this.cell(event.at), taskOf(this.graph, event.at));
  }

  private recordOf(event: Extract<Primary, { at: string }>, cell: Cell, task: GraphTask): void {
    const { at } = event;
    const was = { claim: 'queued', due: '', skip: '', message: 'waiting', answer: 'waiting' }[event.type as string] ?? 'running';
    if (was !== '' && cell.status !== was) throw new Error(`${event.type} of ${at}, which is ${cell.status}`);
    switch (event.type) {
      case 'claim':
        if (cell.phase === 'body' && !cell.goesOn) cell.begun++;
        cell.status = 'running';
        return;
      case 'verdict':
        this.verdict(at, cell, task, event.verdict);
        return;
      case 'ok':
      case 'message':
        this.end(at, 'success');
        return;
      case 'error':
        this.error(at, cell, task, event.reason, event.final);
        return;
      case 'lost':
        this.lost(at, cell, { crashed: event.crashed, unsafe: 'contract' in task && task.contract.effects === 'unsafe' });
        return;
      case 'released':
        Object.assign(cell, { status: 'queued', goesOn: true });
        return;
      case 'due':
        this.due(at, cell, task);
        return;
      case 'answer':
        if (event.approved) this.end(at, 'success');
        else if (task.kind === 'approve' && task.onReject === 'skip') this.end(at, 'skipped', 'rejected');
        else this.end(at, 'failed', 'rejected');
        return;
      case 'skip':
        this.end(at, 'skipped', 'manual');
        this.dropHandler(at, 'superseded');
        return;
    }
  }

  private verdict(at: string, cell: Cell, task: GraphTask, verdict: boolean | string | null): void {
    if (task.kind === 'when' || task.kind === 'switch') {
      cell.verdict = verdict ?? (task.kind === 'switch' && task.default === 'branch' ? 'default' : null);
      if (cell.verdict === null && task.kind === 'switch' && task.default === undefined) this.end(at, 'failed', 'no_match');
      else this.end(at, 'success');
    } else if (verdict !== true) {
      if (task.kind === 'guard') this.cause = { status: 'skipped', reason: 'condition' };
      this.end(at, 'skipped', 'condition');
    } else if (task.kind === 'guard') this.end(at, 'success');
    else if (task.kind === 'map') this.expand(task);
    else Object.assign(cell, { phase: 'body', begun: cell.begun + 1, crashes: 0 });
  }

  private error(at: string, cell: Cell, task: GraphTask, reason: Reason, final: boolean): void {
    const contract = 'contract' in task ? task.contract : null;
    if (cell.phase === 'evaluate') {
      if (task.kind === 'guard') this.cause = { status: 'failed', reason: 'definition_error' };
      this.end(at, 'failed', 'definition_error');
    } else if (contract?.effects === 'unsafe' && !final) this.end(at, 'failed', 'outcome_unknown');
    else if (!final && contract !== null && cell.begun - cell.losses < contract.retry.maxAttempts)
      Object.assign(cell, { status: 'retrying', reason });
    else this.end(at, 'failed', reason);
  }

  /** Three lost leases are the end of a body, three dead workers that of a predicate. */
  private lost(at: string, cell: Cell, { crashed, unsafe }: { readonly crashed: boolean; readonly unsafe: boolean }): void {
    if (unsafe && cell.phase === 'body') {
      this.end(at, 'failed', 'outcome_unknown');
      return;
    }
    if (crashed) cell.crashes++;
    if (cell.phase === 'body') cell.losses++;
    const spent = cell.phase === 'body' ? cell.losses : cell.crashes;
    if (spent >= 3) this.end(at, 'failed', cell.crashes >= spent ? 'crash_loop' : 'lost');
    else Object.assign(cell, { status: 'queued', goesOn: false });
  }

  private due(at: string, cell: Cell, task: GraphTask): void {
    if (cell.status === 'retrying') Object.assign(cell, { status: 'queued', reason: null, goesOn: false });
    else if (cell.status !== 'waiting') throw new Error(`a timer of ${at}, which is ${cell.status}`);
    else if (task.kind === 'sleep') this.end(at, 'success');
    else {
      const skips = 'onTimeout' in task && task.onTimeout === 'skip';
      this.end(at, skips ? 'skipped' : 'failed', task.kind === 'wait' ? 'wait_timeout' : 'approval_timeout');
    }
  }

  /** Up to so many more items, as far as there are any and the map's bound allows. */
  private take(map: string, count: number): void {
    const counts = this.maps.get(map);
    const task = taskOf(this.graph, map);
    if (counts === undefined || task.kind !== 'map') throw new Error(`${map} has not started`);
    if (this.isStopping()) return;
    const room = Math.min(count, counts.n - counts.next, (task.concurrency ?? Infinity) - this.openItems(map).length);
    for (let i = 0; i < room; i++) this.cells.set(`${map}[${counts.next++}]`, { ...fresh(), status: 'queued' });
  }

  /** What is open of the run is over, teardowns aside; a run whose end is settled is left to it. */
  private cancelRun(note: () => void, reason: Reason): void {
    if (this.status !== 'running') return;
    note();
    for (const task of this.counted()) this.cancel(task.id, reason);
  }

  // ---- ends ---------------------------------------------------------------------------------------------------------------------------

  private end(at: string, status: TaskStatus, reason: Reason | null = null): void {
    const cell = this.cell(at);
    const task = taskOf(this.graph, at);
    const handler = handlerOf(this.graph, at, 'catch');
    if (status === 'failed' && handler !== null && !cell.handling) {
      Object.assign(cell, { status: 'retrying', reason, handling: true });
      this.cell(handler.id).status = 'queued';
      return;
    }
    this.ends++;
    Object.assign(cell, { status, reason, handling: false, at: this.events });
    if (task.kind === 'handler' && task.role === 'catch') this.handlerEnded(task, status === 'success');
  }

  private handlerEnded({ of }: HandlerTask, isGood: boolean): void {
    const cell = this.cell(of);
    if (!cell.handling) return;
    this.ends++;
    Object.assign(cell, { status: 'failed', handling: false, handled: isGood, at: this.events });
  }

  private cancel(at: string, reason: Reason): void {
    const cell = this.cell(at);
    if (isEnded(cell) || taskOf(this.graph, at).kind === 'branch') return;
    for (const item of this.openItems(at)) this.end(item, 'cancelled', reason);
    cell.handling = false;
    this.end(at, 'cancelled', reason);
    this.dropHandler(at, reason);
  }

  private dropHandler(at: string, reason: Reason): void {
    const handler = handlerOf(this.graph, at, 'catch');
    const cell = handler === null ? null : this.cell(handler.id);
    if (cell !== null && cell.status !== 'pending' && !isEnded(cell)) Object.assign(cell, { status: 'cancelled', reason });
  }

  private counted(): GraphTask[] {
    return this.graph.tasks.filter(({ kind }) => kind !== 'branch' && kind !== 'handler');
  }

  private itemsOf(map: string): string[] {
    const { next = 0 } = this.maps.get(map) ?? {};
    return Array.from({ length: next }, (_, i) => `${map}[${i}]`);
  }

  private openItems(map: string): string[] {
    return this.itemsOf(map).filter((item) => !isEnded(this.cell(item)));
  }

  // ---- joins --------------------------------------------------------------------------------------------------------------------------

  /** Until nothing more follows; who has won a first is asked, and who lost it told, as soon as nothing else does. */
  private settleJoins(): void {
    for (let changed = true; changed;) {
      changed = false;
      for (const task of this.graph.tasks) {
        if (task.kind === 'map' && this.closeMap(task)) changed = true;
        if (task.kind !== 'first' && this.cell(task.id).status === 'pending' && this.decide(task)) changed = true;
      }
      if (!changed) changed = this.decideFirst() || this.supersede();
    }
  }

  /** One of the firsts, before those that it leads to. */
  private decideFirst(): boolean {
    const due = this.graph.tasks.filter(
      (task) => task.kind === 'first' && this.cell(task.id).status === 'pending' && this.decisionOf(task) !== 'wait',
    );
    const next = due.find(({ id }) => !due.some((other) => leadsTo(this.graph, other.id, id)));
    return next !== undefined && this.decide(next);
  }

  /** True where it has left `pending`. */
  private decide(task: GraphTask): boolean {
    const decision = task.kind === 'handler' ? 'wait' : this.decisionOf(task);
    if (decision === 'wait') return false;
    if (decision === 'start') this.start(task);
    else this.end(task.id, decision.as, decision.unmet ? 'condition' : null);
    return true;
  }

  private decisionOf(task: GraphTask): 'wait' | 'start' | { readonly as: Label | 'success'; readonly unmet?: boolean } {
    const guard = this.graph.tasks.find(({ kind }) => kind === 'guard');
    if (guard !== undefined && guard !== task) {
      const cell = this.cell(guard.id);
      if (!isEnded(cell)) return 'wait';
      const label = labelOf(cell);
      if (label !== null) return { as: label, unmet: label === 'skipped' };
    }
    if (task.kind === 'branch') return this.branch(task);
    if (task.if !== undefined) {
      const gate = this.cell(task.if.when);
      if (!isEnded(gate)) return 'wait';
      const label = labelOf(gate);
      if (label !== null) return { as: label };
      if (gate.verdict !== task.if.is) return { as: 'skipped', unmet: true };
    }
    if (task.using !== undefined) {
      const setup = this.cell(task.using);
      if (!isEnded(setup)) return 'wait';
      const label = labelOf(setup);
      if (label !== null) return { as: label };
    }
    return task.kind === 'first' ? this.first(task) : this.join(task);
  }

  /** The chosen side: all of its tasks, each as the side's value reads it. */
  private branch(task: Extract<GraphTask, { kind: 'branch' }>): ReturnType<Sequential['decisionOf']> {
    const decided = this.cell(task.when);
    if (!isEnded(decided)) return 'wait';
    const label = labelOf(decided);
    if (label !== null) return { as: label };
    const side = task.cases.find(({ is }) => is === decided.verdict);
    if (side === undefined) return { as: 'skipped', unmet: true };
    const reads = readsOf(side.value);
    const ids = [...new Set([...side.members, ...reads.map(({ of }) => of)])];
    const labels = ids.map((id): Label | null => {
      const cell = this.cell(id);
      const modes = reads.filter(({ of }) => of === id).map(({ mode }) => mode);
      if (!isEnded(cell) || (modes.length > 0 && modes.every((mode) => mode === 'settle'))) return null;
      if (modes.length === 0 && this.isAllowed(id))
        return labelOf(cell) === 'upstream_failed' && cell.status === 'failed' ? null : beyondSkip(cell);
      return modes.includes('required') ? labelOf(cell) : beyondSkip(cell);
    });
    if (labels.includes('upstream_failed')) return { as: 'upstream_failed' };
    if (ids.some((id) => !isEnded(this.cell(id)))) return 'wait';
    return { as: strongest(labels) ?? 'success' };
  }

  /** Won by the part that succeeded first, and of those that did by one event by the first that is written; lost when none can any more. */
  private first(task: Extract<GraphTask, { kind: 'first' }>): ReturnType<Sequential['decisionOf']> {
    const parts = task.parts.map(({ name, value }) => ({ name, cell: this.cell(value.$ref) }));
    const [winner] = parts.filter(({ cell }) => hasSucceeded(cell)).toSorted((a, b) => a.cell.at - b.cell.at);
    if (winner !== undefined) {
      this.cell(task.id).verdict = winner.name;
      return { as: 'success' };
    }
    if (parts.some(({ cell }) => !isEnded(cell))) return 'wait';
    return { as: strongest(parts.map(({ cell }) => labelOf(cell))) ?? 'skipped' };
  }

  private join(task: GraphTask): ReturnType<Sequential['decisionOf']> {
    const reads = readsOfTask(task);
    const ids = [...new Set([...(task.after ?? []), ...reads.map(({ of }) => of)])];
    if (ids.length === 0) return 'start';
    const letters: (Letter | null)[] = [];
    const forced: (Label | null)[] = [];
    for (const id of ids) {
      const cell = this.cell(id);
      const modes = reads.filter(({ of }) => of === id).map(({ mode }) => mode);
      const isOrder = task.after?.includes(id) === true;
      const wants = modes.includes('required') ? 'required' : modes.includes('optional') ? 'optional' : null;
      if (isEnded(cell) && wants !== null) forced.push(wants === 'required' ? labelOf(cell) : beyondSkip(cell));
      if (task.join === undefined && !isOrder && wants === null) continue;
      letters.push(isEnded(cell) ? this.letterOf(id, cell, { isOrder, wants }) : null);
    }
    const verdict = verdictOf(task.join ?? 'all_success', letters);
    if (verdict === 'upstream_failed' || forced.includes('upstream_failed')) return { as: 'upstream_failed' };
    if (verdict === 'wait' || reads.some(({ of }) => !isEnded(this.cell(of)))) return 'wait';
    const label = strongest([...forced, verdict === 'run' ? null : verdict]);
    return label === null ? 'start' : { as: label };
  }

  private letterOf(id: string, cell: Cell, edge: { readonly isOrder: boolean; readonly wants: 'required' | 'optional' | null }): Letter {
    if (hasSucceeded(cell)) return 'S';
    if (cell.status === 'failed' && this.isAllowed(id) && edge.isOrder && edge.wants === null) return 'S';
    if (cell.status === 'skipped' && edge.wants === 'optional') return 'S';
    return cell.status === 'failed' ? 'F' : cell.status === 'upstream_failed' ? 'X' : cell.status === 'skipped' ? 'K' : 'C';
  }

  private isAllowed(id: string): boolean {
    const task = taskOf(this.graph, id);
    return 'allowFailure' in task && task.allowFailure === true;
  }

  private start(task: GraphTask): void {
    const cell = this.cell(task.id);
    const isAsked =
      task.kind === 'when' || task.kind === 'switch' || task.kind === 'guard' || ('when' in task && (task as BodyTask).when === true);
    if (isAsked) Object.assign(cell, { status: 'queued', phase: 'evaluate' });
    else if (task.kind === 'map') this.expand(task);
    else if (task.kind === 'sleep' || task.kind === 'wait' || task.kind === 'approve') {
      cell.status = 'waiting';
      this.begun.add(cell);
    } else cell.status = 'queued';
  }

  // ---- maps ---------------------------------------------------------------------------------------------------------------------------

  /** Over literal lists only. */
  private expand(map: MapTask): void {
    const list = map.items;
    if (!Array.isArray(list)) this.end(map.id, 'failed', 'not_iterable');
    else if (list.length > map.maxItems) this.end(map.id, 'failed', 'too_many');
    else if (list.length === 0 && map.onEmpty === 'skip') this.end(map.id, 'skipped', 'condition');
    else if (list.length === 0) this.end(map.id, 'success');
    else {
      Object.assign(this.cell(map.id), { status: 'running', phase: 'body' });
      this.maps.set(map.id, { n: list.length, next: 0 });
    }
  }

  /** Too many of its items have failed: it will fail, whatever the others do. */
  private isBeyond(map: MapTask): boolean {
    const failed = this.itemsOf(map.id).filter((item) => this.cell(item).status === 'failed').length;
    const { n = 1 } = this.maps.get(map.id) ?? {};
    if (map.settle === true) return false;
    const { count, ratio } = map.tolerate ?? { count: 0 };
    return (count !== undefined && failed > count) || (ratio !== undefined && failed / n > ratio);
  }

  private closeMap(map: MapTask): boolean {
    const counts = this.maps.get(map.id);
    const cell = this.cell(map.id);
    if (counts === undefined || cell.status !== 'running' || this.openItems(map.id).length > 0) return false;
    if (counts.next < counts.n && !this.isStopping()) return false;
    const ends = this.itemsOf(map.id).map((item) => this.cell(item).status);
    if (this.isBeyond(map)) this.end(map.id, 'failed', 'too_many_failures');
    else if (counts.next < counts.n || ends.includes('cancelled')) this.end(map.id, 'cancelled', 'fail_fast');
    else {
      cell.partial = ends.includes('failed') && map.settle !== true;
      this.end(map.id, 'success');
    }
    return true;
  }

  // ---- failure policy -----------------------------------------------------------------------------------------------------------------

  private isStopping(): boolean {
    return this.tripped && this.policy !== 'continue';
  }

  /** A failure that nothing excuses. */
  private isBroken(task: GraphTask): boolean {
    const cell = this.cell(task.id);
    if (task.kind === 'handler') return task.failRun === true && cell.status === 'failed';
    if (task.kind === 'branch' || this.isAllowed(task.id) || cell.reason === 'superseded') return false;
    return (cell.status === 'failed' && !cell.handled) || (task.kind === 'map' && this.isBeyond(task));
  }

  /** True where something was cancelled. */
  private enforcePolicy(): boolean {
    if (this.graph.tasks.some((task) => this.isBroken(task))) this.tripped = true;
    if (!this.isStopping()) return false;
    const before = this.ends;
    for (const task of this.counted()) {
      const cell = this.cell(task.id);
      if (isEnded(cell)) continue;
      const isMap = task.kind === 'map' && this.maps.has(task.id);
      if (isMap && !(this.policy === 'abort' && !this.isBeyond(task))) {
        for (const item of this.openItems(task.id)) if (!this.isSpared(this.cell(item))) this.end(item, 'cancelled', 'fail_fast');
        this.closeMap(task);
      } else if (isMap || !this.isSpared(cell)) this.cancel(task.id, 'fail_fast');
    }
    return this.ends > before;
  }

  private isSpared(cell: Cell): boolean {
    if (cell.handling) return true;
    if (this.policy === 'abort' || this.begun.has(cell)) return false;
    return cell.status === 'running' || cell.status === 'waiting' || (cell.status === 'queued' && cell.goesOn);
  }

  // ---- firsts -------------------------------------------------------------------------------------------------------------------------

  /** What only losers need is cancelled. True where something was. */
  private supersede(): boolean {
    const before = this.ends;
    const losers = this.graph.tasks.flatMap((task) => {
      if (task.kind !== 'first' || this.cell(task.id).status !== 'success') return [];
      return task.parts.map(({ value }) => value.$ref).filter((id) => !hasSucceeded(this.cell(id)));
    });
    for (const id of onlyFor(this.graph, losers, (by) => !isEnded(this.cell(by)))) this.cancel(id, 'superseded');
    return this.ends > before;
  }

  // ---- the end ------------------------------------------------------------------------------------------------------------------------

  /** A teardown runs when its setup has succeeded and all inside its bracket is over. */
  private tearDown(): void {
    for (let changed = true; changed;) {
      changed = false;
      for (const task of this.graph.tasks) {
        if (task.kind !== 'handler' || task.role !== 'teardown' || this.cell(task.id).status !== 'pending') continue;
        const setup = this.cell(task.of);
        if (!isEnded(setup)) continue;
        if (!hasSucceeded(setup)) this.end(task.id, 'skipped');
        else if (insideOf(this.graph, task.of).every((id) => isEnded(this.cell(id)))) this.cell(task.id).status = 'queued';
        else continue;
        changed = true;
      }
    }
  }

  private conclude(): void {
    if (this.counted().some(({ id }) => !isEnded(this.cell(id)))) return;
    const isOpen = this.graph.tasks.some(
      ({ id, kind }) => kind === 'handler' && this.cell(id).status !== 'pending' && !isEnded(this.cell(id)),
    );
    if (isOpen) this.status = this.cause === null && this.cancelAsked === null ? 'finishing' : 'cancelling';
    else [this.status, this.reason] = this.outcome();
  }

  /** Rules (0) to (4). */
  private outcome(): [RunStatus, Reason | null] {
    if (this.cause !== null) return [this.cause.status, this.cause.reason];
    const counted = this.counted().filter(({ kind }) => kind !== 'guard');
    const cells = counted.map(({ id }) => this.cell(id));
    if (this.graph.tasks.some((task) => this.isBroken(task))) return ['failed', 'error'];
    if (this.cancelAsked !== null || cells.some(({ status, reason }) => status === 'cancelled' && reason !== 'superseded'))
      return ['cancelled', this.cancelAsked];
    const items = counted.flatMap(({ id }) => this.itemsOf(id)).map((at) => this.cell(at));
    const hasExcused = cells.some(({ status, partial }) => status === 'failed' || partial) || this.hasSettledFailures(counted);
    if (!hasExcused) return ['success', null];
    return [[...cells, ...items].some(hasSucceeded) ? 'partial' : 'failed', null];
  }

  /** Failed items of a map that succeeded all the same. */
  private hasSettledFailures(tasks: readonly GraphTask[]): boolean {
    return tasks.some(
      ({ id }) => this.cell(id).status === 'success' && this.itemsOf(id).some((item) => this.cell(item).status === 'failed'),
    );
  }
}
