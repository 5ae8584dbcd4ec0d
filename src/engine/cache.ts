import { setTask } from '../core/kernel/changes.ts';
import type { CompiledGraph } from '../core/kernel/compile.ts';
import { NumberMap } from '../core/kernel/number-map.ts';
import { replay } from '../core/kernel/replay.ts';
import { emptyRunState, type RunState } from '../core/kernel/run-state.ts';
import type { LoadedRun } from '../store/store.ts';
import type { Known } from './registry.ts';

/** A run that this process has looked at: its state, and when that was last compared with the store. */
export interface CachedRun {
  readonly known: Known;
  readonly state: RunState;
  readonly uid: Uint8Array;
  readonly traceparent: string | null;
  /** The instant at which its schedule was due. */
  readonly dueAt: number | null;
  epoch: number;
  /** Null: others may hold its state too, so every write bumps the revision. */
  owner: number | null;
  /** Attempts of it that run in this process. */
  held: number;
}

/** Kept beyond the runs that hold a slot, so that a retry or a join does not have to load. */
const IDLE_KEPT = 1_000;

/** Run states by run. Those with attempts here stay; the others leave in the order of their last use. */
export class RunCache {
  private readonly runs = new Map<number, CachedRun>();

  get(run: number): CachedRun | undefined {
    return this.runs.get(run);
  }

  put(entry: CachedRun): void {
    this.runs.set(entry.state.run, entry);
    if (this.runs.size > IDLE_KEPT * 2) this.trim();
  }

  drop(run: number): void {
    this.runs.delete(run);
  }

  clear(): void {
    this.runs.clear();
  }

  values(): IterableIterator<CachedRun> {
    return this.runs.values();
  }

  private trim(): void {
    let idle = 0;
    for (const entry of this.runs.values()) if (entry.held === 0) idle++;
    for (const [run, entry] of this.runs) {
      if (idle <= IDLE_KEPT) return;
      if (entry.held > 0) continue;
      this.runs.delete(run);
      idle--;
    }
  }
}

/** A run's state from its rows. */
export function stateFromRows(graph: CompiledGraph, loaded: LoadedRun): RunState {
  const state = emptyRunState(graph, loaded.facts);
  state.completions = loaded.completions;
  for (const map of loaded.maps) {
    const isRead = graph.nodes[map.node]?.isRead === true;
    const complete = map.next === 0;
    state.maps.set(map.node, { ...map, open: new NumberMap(), list: null, results: isRead && complete ? [] : null });
  }
  for (const { node, items } of loaded.items) {
    const map = state.maps.get(node);
    if (map === undefined) continue;
    map.results = [];
    for (const item of items) map.results[item.item] = item;
  }
  for (const task of loaded.tasks) setTask(state, task);
  replay(graph, state);
  return state;
}
