import type { OperatorAct } from './acts.ts';
import type { Declared, LimitName, LimitValue } from '../core/capacity/limits.ts';
import type { Bucket } from '../core/capacity/capacity.ts';
import type { Fair } from '../core/capacity/fair.ts';
import type { KeyNeed, Need } from '../core/capacity/needs.ts';
import type { TaskKey } from './store.ts';

export interface LimitRow extends LimitName {
  /** What the code declares; null where none does. */
  readonly code: LimitValue | null;
  /** What an operator says instead, until it is cleared. */
  readonly operator: LimitValue | null;
  /** Of a pool, as the code declares it: between what its units are handed out in turn. */
  readonly fair?: Fair;
}

/** Where a body belongs. */
export interface BodyPlace {
  readonly queue: string;
  readonly workflow: string;
}

export interface PausedNames {
  readonly queues: ReadonlySet<string>;
  readonly workflows: ReadonlySet<string>;
}

export const isPaused = (paused: PausedNames, place: BodyPlace | undefined): boolean =>
  place !== undefined && (paused.queues.has(place.queue) || paused.workflows.has(place.workflow));

export interface PausedRow {
  readonly kind: 'queue' | 'workflow';
  readonly name: string;
  readonly at: number;
}

export function pausedNames(rows: readonly PausedRow[]): PausedNames {
  const of = (kind: PausedRow['kind']): Set<string> => new Set(rows.flatMap((row) => (row.kind === kind ? [row.name] : [])));
  return { queues: of('queue'), workflows: of('workflow') };
}

/** A task that cannot run for its limits: what becomes of it, the kernel says. With a token: it runs, and makes room. */
export interface LimitedTask extends TaskKey {
  readonly token: number | null;
  readonly status: 'failed' | 'cancelled';
  readonly reason: 'unsatisfiable' | 'key_limit';
  readonly message: string;
}

/** Units that running tasks hold now: counted, not kept. */
export interface CapacityLook {
  readonly limits: readonly LimitRow[];
  readonly held: readonly HeldUnits[];
  readonly buckets: readonly (Bucket & { readonly name: string })[];
  readonly paused: readonly PausedRow[];
  /** Of open tasks of the run what their claims take. */
  readonly needs: readonly (Pick<TaskKey, 'node' | 'item'> & { readonly needs: readonly Need[] })[];
  /** The key of the run's workflow, whether the run holds it, and how many runs do. */
  readonly gate: { readonly need: KeyNeed; readonly isHeld: boolean; readonly holders: number } | null;
}

export interface Admitted {
  readonly granted: readonly number[];
  readonly displaced: readonly { readonly run: number; readonly status: 'failed' | 'cancelled' }[];
}

export interface HeldUnits {
  readonly kind: 'pool' | 'key';
  readonly name: string;
  readonly units: number;
}

/** What there is of limits, and who waits. Each method is one transaction; an act is written with what it changes, and only then. */
export interface CapacityStore {
  /** What an engine's code declares; what it does not name stays as it is. */
  declare(limits: readonly Declared[], now: number): Promise<void>;
  list(): Promise<readonly LimitRow[]>;
  set(limit: Declared, now: number, act: OperatorAct): Promise<void>;
  /** False where no operator had set it. */
  clear(limit: LimitName, now: number, act: OperatorAct): Promise<boolean>;
  held(): Promise<readonly HeldUnits[]>;
  /** False where it was paused already. */
  pause(kind: PausedRow['kind'], name: string, now: number, act: OperatorAct): Promise<boolean>;
  resume(kind: PausedRow['kind'], name: string, now: number, act: OperatorAct): Promise<boolean>;
  paused(): Promise<readonly PausedRow[]>;
  /**
   * Admits runs that wait for the key of their workflow, by the kernel's rule. What it says is to be done then: the runs that are granted go
   * on, the others end. Until that is committed, the next call says it again. `keys`: only these are looked at; null: all.
   */
  admit(keys: readonly string[] | null): Promise<Admitted>;
  /** Forgets up to `limit` groups of tasks with the same needs in which no open task is left; how many. */
  tidy(limit: number): Promise<number>;
  /** What tasks are in the queue, of at most 1,000 kinds; without a node: runs that wait as a whole. */
  queued(): Promise<readonly { readonly definition: number; readonly node: number | null }[]>;
  /** Everything that a run may wait for, at one instant. */
  look(run: number): Promise<CapacityLook>;
}
