import { compileExpr, type Compiled, type Scope } from '../graph/expr.ts';
import type { QueuedTask } from '../kernel/run-state.ts';
import type { BodyTask, HandlerTask, KeyData, MapTask, OnLimit } from '../graph/graph.ts';

/** One thing that a claim takes beside a slot. The names of pools, keys and rates do not meet. */
export type Need = PoolNeed | KeyNeed | RateNeed;

export interface PoolNeed {
  readonly kind: 'pool';
  readonly name: string;
  readonly units: number;
}

export interface KeyNeed {
  readonly kind: 'key';
  readonly name: string;
  readonly limit: number;
  readonly onLimit: OnLimit;
  readonly serial: boolean;
}

/** Without `count` and `perMs` it is a rate that the engine declares. */
export interface RateNeed {
  readonly kind: 'rate';
  readonly name: string;
  readonly count?: number;
  readonly perMs?: number;
}

export interface CompiledKey extends Omit<KeyNeed, 'kind' | 'name'> {
  /** Null: the key is always `own`. */
  readonly key: Compiled | null;
  readonly own: string;
}

export interface CompiledNeeds {
  /** In name order. */
  readonly fixed: readonly (PoolNeed | RateNeed)[];
  readonly key: CompiledKey | null;
}

/** What the claims of a task's body take; null where they take nothing but a slot. */
export function compileNeeds(workflow: string, task: BodyTask | MapTask | HandlerTask): CompiledNeeds | null {
  const { pools, concurrency, rate } = task.contract ?? {};
  if (pools === undefined && concurrency === undefined && rate === undefined) return null;
  const own = task.task ?? `${workflow}/${task.id}`;
  const fixed: (PoolNeed | RateNeed)[] = Object.entries(pools ?? {})
    .map(([name, units]): PoolNeed => ({ kind: 'pool', name, units }))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  if (rate !== undefined) fixed.push('name' in rate ? { kind: 'rate', name: rate.name } : { kind: 'rate', name: own, ...rate });
  return { fixed, key: concurrency === undefined ? null : compileKey(concurrency, `task:${own}`) };
}

export function compileKey(data: KeyData, own: string): CompiledKey {
  const { key, limit, onLimit, serial = false } = data;
  return { key: key === undefined ? null : compileExpr(key), own, limit, onLimit, serial };
}

/** Thrown where a key comes to something that is no key. */
export class BadKey extends Error {}

/** The key as this scope has it. */
export function keyAt(key: CompiledKey, scope: () => Scope): KeyNeed {
  const { limit, onLimit, serial } = key;
  const value = key.key === null ? key.own : key.key(scope());
  const name = typeof value === 'number' || typeof value === 'bigint' ? String(value) : value;
  if (typeof name !== 'string' || name === '' || name.length > 500)
    throw new BadKey(`its concurrency key must be a text of 1 to 500 characters, not ${describe(name)}`);
  return { kind: 'key', name, limit, onLimit, serial };
}

export function needsAt(needs: CompiledNeeds, scope: () => Scope): readonly Need[] {
  return needs.key === null ? needs.fixed : [keyAt(needs.key, scope), ...needs.fixed];
}

/** Among the tasks of a serial key the order of submission is all that counts. */
export function ranked(task: QueuedTask, needs: readonly Need[]): QueuedTask {
  return needs.some((need) => need.kind === 'key' && need.serial) ? { ...task, rank: task.firstQueuedAt } : task;
}

const describe = (value: unknown): string =>
  typeof value === 'string' ? (value === '' ? 'an empty one' : `one of ${value.length}`) : value === null ? 'null' : typeof value;
