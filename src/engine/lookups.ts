import { advanceMore, takeMore } from '../core/kernel/advance.ts';
import { cacheQuestions, isCached, type CacheQuestion } from '../core/kernel/caching.ts';
import type { Changes } from '../core/kernel/changes.ts';
import { startable } from '../core/kernel/maps.ts';
import type { RunState } from '../core/kernel/run-state.ts';
import type { KernelSettings } from '../core/kernel/turn.ts';
import type { Store } from '../store/store.ts';
import type { Capacity } from './planner.ts';
import type { Known } from './registry.ts';

/** A run whose workflow has tasks with a cache, between what its events came to and what of it goes on here. */
export interface Lookup {
  readonly known: Known;
  readonly state: RunState;
  readonly changes: Changes;
  /** Of its changes so many were looked at. */
  seen: number;
  /** Found in no cache: they are going to take a slot. */
  misses: number;
  rounds: number;
  readonly finish: () => void;
  readonly fail: (error: unknown) => void;
}

export interface LookupOptions {
  readonly store: Store;
  readonly digest: (text: string) => string;
  readonly settings: KernelSettings;
  /** A map of which more may be kept than one commit should hold. */
  readonly more: (run: number, node: number) => void;
}

/** So many times one commit goes on with what a hit made ready. */
const ROUNDS = 20;
const QUEUED_AT_ONCE = 500;

/**
 * Ends queued tasks with what is kept of them, in the commit that queues them: they take no slot, no pool and no attempt. Here, and not at the
 * claim, since a claim would need a slot; not in the store, which decides nothing. Workflows without a cache never come here.
 */
export async function lookUp(lookups: Lookup[], capacity: Capacity, now: number, options: LookupOptions): Promise<void> {
  for (let round = lookups.splice(0); round.length > 0; round = lookups.splice(0)) {
    const asked = new Map<Lookup, readonly (CacheQuestion & { readonly key: string })[]>();
    for (const lookup of round) {
      try {
        asked.set(lookup, ask(lookup, capacity, now, options));
      } catch (error) {
        lookup.fail(error);
      }
    }
    const keys = new Set([...asked.values()].flat().map(({ key }) => key));
    const kept = keys.size === 0 ? new Map<string, string | null>() : await options.store.cached([...keys], now);
    for (const [lookup, questions] of asked) {
      try {
        if (answer(lookup, questions, kept, now, options)) lookups.push(lookup);
        else lookup.finish();
      } catch (error) {
        lookup.fail(error);
      }
    }
  }
}

function ask(
  lookup: Lookup,
  capacity: Capacity,
  now: number,
  { settings, digest, more }: LookupOptions,
): (CacheQuestion & { key: string })[] {
  const { known, state, changes } = lookup;
  for (const map of state.maps.values()) {
    const node = known.compiled.nodes[map.node];
    if (
      node === undefined ||
      !isCached(node) ||
      state.tasks[map.node]?.status !== 'running' ||
      state.status !== 'running' ||
      changes.end !== null
    )
      continue;
    // What asks for more than a slot is queued beforehand: whether it may start only a claim can say.
    const room = node.needs === null ? capacity.free - lookup.misses : QUEUED_AT_ONCE;
    const count = Math.min(room, startable(node, map));
    if (count <= 0) continue;
    if (lookup.rounds < ROUNDS) takeMore(known.compiled, state, changes, { node: map.node, count, now, settings });
    else more(state.run, map.node);
  }
  const questions = lookup.rounds < ROUNDS ? cacheQuestions(known.compiled, state, changes, lookup.seen) : [];
  lookup.rounds++;
  lookup.seen = changes.tasks.length;
  return questions.map((question) => ({ ...question, key: digest(question.text) }));
}

/** True where something was found, so that more may have become ready. */
function answer(
  lookup: Lookup,
  questions: readonly (CacheQuestion & { readonly key: string })[],
  kept: ReadonlyMap<string, string | null>,
  now: number,
  { settings }: LookupOptions,
): boolean {
  const { known, state, changes } = lookup;
  const hits = questions.filter(({ key }) => kept.has(key));
  lookup.misses += questions.length - hits.length;
  if (hits.length === 0) return false;
  const events = hits.map(({ node, item, key }) => ({ type: 'cached', node, item, output: kept.get(key) ?? null }) as const);
  advanceMore(known.compiled, state, changes, events, now, settings);
  return true;
}
