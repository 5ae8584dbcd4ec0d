/**
 * One run, driven by hand: its state as a process keeps it, the rows a store would hold, and a state derived from those rows before
 * every step. All three must decide the same; what they decide is written to the rows under the guards of a store.
 */
import { expect } from 'vitest';
import { advance, openRun, takeMore } from '../../src/core/kernel/advance.ts';
import { claimInPlace, claimTask } from '../../src/core/kernel/claiming.ts';
import { isEnded, setTask, taskAt, type Changes } from '../../src/core/kernel/changes.ts';
import { compileGraph, type CompiledGraph } from '../../src/core/kernel/compile.ts';
import type { Graph } from '../../src/core/graph/graph.ts';
import { startable } from '../../src/core/kernel/maps.ts';
import { NumberMap } from '../../src/core/kernel/number-map.ts';
import { flowText, readFlow } from '../../src/core/kernel/run-flow.ts';
import { replay } from '../../src/core/kernel/replay.ts';
import {
  emptyRunState,
  type EndedTask,
  type MapState,
  type RunFacts,
  type RunningTask,
  type RunState,
  type TaskState,
} from '../../src/core/kernel/run-state.ts';
import { isTerminal, RUN_TRANSITIONS, TASK_TRANSITIONS } from '../../src/core/kernel/states.ts';
import type { KernelSettings, RunEvent } from '../../src/core/kernel/turn.ts';
import { ItemsNeeded, taskInput } from '../../src/core/kernel/values.ts';

export const SETTINGS: KernelSettings = { maxPayload: 1_048_576, maxLost: 3 };
const START = 1_900_000_000_000;

type MapRow = Pick<MapState, 'node' | 'n' | 'next' | 'ok' | 'failed' | 'cancelled' | 'skipped'>;
type Counter = 'next' | 'ok' | 'failed' | 'cancelled' | 'skipped';
const COUNTERS: readonly Counter[] = ['next', 'ok', 'failed', 'cancelled', 'skipped'];

export const factsOf = (over: Partial<RunFacts> = {}): RunFacts => ({
  run: 1,
  generation: 1,
  resumeTo: null,
  rev: 1,
  status: 'running',
  rank: START,
  startAt: null,
  acceptedAt: START,
  deadlineAt: null,
  input: null,
  cause: null,
  cancelAsked: null,
  ...over,
});

const key = (node: number, item: number): string => `${node}:${item}`;
const taskEdges = new Set(TASK_TRANSITIONS.flatMap(({ from, to }) => to.map((end) => `${from} ${end}`)));
const runEdges = new Set(RUN_TRANSITIONS.flatMap(({ from, to }) => to.map((end) => `${from} ${end}`)));

/** A text by which two states or changes can be compared: maps by their entries, nothing left out. */
export const textOf = (value: unknown): string =>
  JSON.stringify(value, (_, part: unknown) =>
    part instanceof Map ? { map: [...part].toSorted(([a], [b]) => Number(a) - Number(b)) } : part,
  );

export class World {
  readonly graph: CompiledGraph;
  readonly facts: RunFacts;
  readonly rows = new Map<string, TaskState>();
  readonly mapRows = new Map<number, MapRow>();
  readonly inputs = new Map<string, string>();
  readonly attempts: Changes['attempts'] = [];
  live: RunState;
  private carried: RunState;
  end: Changes['end'] = null;
  /** What the run's row says beside its tasks, where that was ever written. */
  private flowRow: string | null | undefined = undefined;
  now = START;
  private tokens = 0;
  /** Reports that were made once, under tokens that are no longer current. */
  readonly spent: RunEvent[] = [];

  constructor(graph: Graph, over: Partial<RunFacts> = {}) {
    this.graph = compileGraph(graph);
    this.facts = factsOf(over);
    const { state, changes } = openRun(this.graph, this.facts, this.now, SETTINGS);
    this.live = state;
    this.write(changes, '-');
    this.carried = this.derive([]);
  }

  /** A state from the rows, as a process gets it that never saw this run; with the ended items of these maps. */
  derive(items: readonly number[]): RunState {
    const status = this.end?.status ?? this.live.status;
    const state = emptyRunState(this.graph, { ...this.facts, status, ...(this.flowRow === undefined ? {} : readFlow(this.flowRow)) });
    for (const map of this.mapRows.values()) {
      const isKept = this.graph.nodes[map.node]?.isRead === true && map.next === 0;
      state.maps.set(map.node, { ...map, open: new NumberMap(), again: [], list: null, results: isKept ? [] : null });
    }
    for (const node of items) {
      const map = state.maps.get(node);
      if (map === undefined) continue;
      map.results = [];
      for (const row of this.rows.values()) if (row.node === node && row.item >= 0 && isEnded(row)) map.results[row.item] = row;
    }
    for (const row of this.rows.values()) if (row.item < 0 || !isEnded(row)) setTask(state, row);
    replay(this.graph, state);
    return state;
  }

  /** Goes on, from here, with a state that was just derived. */
  forget(): void {
    this.carried = this.derive([]);
  }

  /** Decides these events in every state, writes what came of them. `goOn`: which queued tasks are claimed in the same commit. */
  apply(
    events: readonly RunEvent[],
    goOn: (node: number) => boolean = () => false,
    take: readonly { node: number; count: number }[] = [],
  ): Changes {
    const before = this.live.status;
    const decide = (state: RunState): Changes => {
      const changes = advance(this.graph, state, events, this.now, SETTINGS);
      for (const { node, count } of take) takeMore(this.graph, state, changes, { node, count, now: this.now, settings: SETTINGS });
      return changes;
    };
    const all = [...this.mapRows.keys()];
    const fresh = this.derive([]);
    const freshText = textOf(this.decideWith(fresh, all, decide).changes);
    const other = this.decideWith(this.carried, all, decide);
    this.carried = other.state;
    const mine = this.decideWith(this.live, all, decide);
    this.live = mine.state;
    const { changes } = mine;
    expect(freshText).toBe(textOf(changes));
    expect(textOf(other.changes)).toBe(textOf(changes));
    const claimed: RunningTask[] = [];
    for (const change of changes.tasks) {
      if (taskAt(this.live, change.to.node, change.to.item) !== change.to) continue;
      if (change.to.status !== 'queued' || change.from?.status === 'running' || !goOn(change.to.node)) continue;
      const running = claimInPlace(this.live, change, this.lease(), this.now);
      setTask(this.carried, running);
      claimed.push(running);
    }
    this.write(changes, before);
    for (const task of claimed) this.see(task);
    return changes;
  }

  /** A state that has not seen the items it needs is dropped and derived with them, once. */
  private decideWith<T>(state: RunState, maps: readonly number[], decide: (state: RunState) => T): { state: RunState; changes: T } {
    try {
      return { state, changes: decide(state) };
    } catch (error) {
      if (!(error instanceof ItemsNeeded)) throw error;
      const again = this.derive(maps);
      return { state: again, changes: decide(again) };
    }
  }

  private lease(): { token: number; worker: number } {
    return { token: ++this.tokens, worker: 1 };
  }

  claim(queued: TaskState): RunningTask {
    if (queued.status !== 'queued') throw new Error(`claim of a ${queued.status} task`);
    const running = claimTask(queued, this.lease(), this.now);
    this.put(queued, running);
    setTask(this.live, running);
    setTask(this.carried, running);
    this.see(running);
    return running;
  }

  /** What the body gets, by every state the same. */
  private see(task: RunningTask): void {
    const read = (state: RunState): string | undefined => JSON.stringify(taskInput(this.graph, state, task.node, task.item));
    const all = [...this.mapRows.keys()];
    const input = this.decideWith(this.live, all, read).changes;
    expect(this.decideWith(this.derive([]), all, read).changes).toBe(input);
    const at = `${key(task.node, task.item)} ${task.phase}`;
    const before = this.inputs.get(at);
    if (before === undefined) this.inputs.set(at, input ?? 'undefined');
    else expect(input ?? 'undefined').toBe(before);
  }

  private write(changes: Changes, before: RunState['status'] | '-'): void {
    for (const { from, to } of changes.tasks) this.put(from, to);
    for (const { node, n, ...counts } of changes.maps.values()) {
      if (n !== null) this.mapRows.set(node, { node, n, next: 0, ok: 0, failed: 0, cancelled: 0, skipped: 0 });
      const row = this.mapRows.get(node);
      if (row === undefined) throw new Error(`no map row ${node}`);
      for (const counter of COUNTERS) row[counter] += counts[counter];
    }
    this.attempts.push(...changes.attempts);
    if (changes.flow) this.flowRow = flowText(this.live);
    if (before === '-') this.edge(runEdges, '-', changes.end === null ? this.live.status : 'running');
    for (const move of changes.moves) this.edge(runEdges, move.from, move.to);
    if (changes.end !== null) {
      expect(this.end).toBeNull();
      this.edge(runEdges, changes.end.from, changes.end.status);
      this.end = changes.end;
    }
    this.check();
  }

  /** One row, under the guard of a store: it must be as the kernel thought it was. */
  private put(from: TaskState | undefined, to: TaskState): void {
    const at = key(to.node, to.item);
    expect(textOf(this.rows.get(at))).toBe(textOf(from));
    if (from !== undefined) expect(isTerminal[from.status]).toBe(false);
    this.edge(taskEdges, from?.status ?? (taskEdges.has(`- ${to.status}`) ? '-' : 'pending'), to.status);
    this.rows.set(at, to);
  }

  private edge(edges: ReadonlySet<string>, from: string, to: string): void {
    expect(edges.has(`${from} ${to}`) ? '' : `${from} to ${to} is in no table`).toBe('');
  }

  /** What must hold after every commit. */
  private check(): void {
    let open = 0;
    for (const node of this.graph.nodes) if (node.isCounted && !isEnded(this.rows.get(key(node.index, -1)))) open++;
    expect(this.live.open).toBe(open);
    for (const map of this.live.maps.values()) {
      const task = this.graph.nodes[map.node]?.task;
      const limit = (task?.kind === 'map' ? task.concurrency : undefined) ?? Infinity;
      const busy = [...map.open.values()].filter(({ status }) => status === 'queued' || status === 'running').length;
      expect(busy <= limit ? '' : `${busy} items of ${task?.id} may run, concurrency is ${limit}`).toBe('');
    }
    if (this.end !== null) expect(open).toBe(0);
  }

  ended(): EndedTask[] {
    return [...this.rows.values()].filter((row) => isEnded(row));
  }

  /** Rows in this state, in a fixed order. */
  in<S extends 'queued' | 'running' | 'retrying'>(status: S): Extract<TaskState, { status: S }>[] {
    return [...this.rows.values()].filter((row): row is Extract<TaskState, { status: S }> => row.status === status);
  }

  /** Maps that could start more items now. */
  openMaps(): number[] {
    return [...this.live.maps.values()].flatMap((map) => {
      const node = this.graph.nodes[map.node];
      return node !== undefined && this.live.tasks[map.node]?.status === 'running' && startable(node, map) > 0 ? [map.node] : [];
    });
  }

  /** How every task and item ended; branches too, which have no row. */
  final(): Record<string, string> {
    const tasks = this.graph.nodes.flatMap((node): [string, TaskState | undefined][] => [
      [key(node.index, -1), this.live.tasks[node.index]],
    ]);
    const items = [...this.rows.values()].filter((row) => row.item >= 0).map((row): [string, TaskState] => [key(row.node, row.item), row]);
    return Object.fromEntries([...tasks, ...items].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([at, task]) => [at, endText(task)]));
  }
}

function endText(task: TaskState | undefined): string {
  if (!isEnded(task)) return task?.status ?? 'pending';
  const { status, reason, output, error, allowed, partial }: EndedTask = task;
  return JSON.stringify({ status, reason, output, error, allowed, partial });
}

/** Small, fast and the same everywhere. */
export function randomFrom(seed: number): (below: number) => number {
  let a = seed | 0;
  return (below) => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}
