import { advanceMoved } from '../core/kernel/advance.ts';
import { isHeld, movedState, planMove, type Obstacle } from '../core/kernel/moving.ts';
import { isRunOver } from '../core/kernel/states.ts';
import type { KernelSettings } from '../core/kernel/turn.ts';
import type { ActWrite } from '../store/acts.ts';
import type { CachedRun } from './cache.ts';
import type { PlannedRun } from './planner.ts';
import type { Known } from './registry.ts';
import type { Act } from './units.ts';

/** A run that is to go on under another definition. */
export interface MoveUnit {
  readonly kind: 'move';
  readonly run: number;
  readonly to: Known;
  /** A person chose the definition: only one newer than this moves the run by itself. */
  readonly staysUntil: number | null;
  /** Of a person; null where the newest version takes its runs over by itself. */
  readonly act: Act | null;
  readonly resolve: (moved: Moved) => void;
  readonly reject: (error: unknown) => void;
}

export type Moved =
  | { readonly kind: 'moved' }
  /** It is of that definition already. */
  | { readonly kind: 'there' }
  | { readonly kind: 'stays'; readonly obstacles: readonly Obstacle[] }
  /** A worker holds some of it: it may move when that has ended. */
  | { readonly kind: 'held' }
  /** Over, set aside, or no longer in the store. */
  | { readonly kind: 'closed' };

/** What one move comes to; the state that the process holds is left as it is until the move is committed. */
export function decideMove(
  entry: CachedRun,
  unit: MoveUnit,
  now: number,
  settings: KernelSettings,
): PlannedRun | Exclude<Moved, { kind: 'moved' }> {
  const { known: from, state } = entry;
  const { to, staysUntil, act } = unit;
  if (isRunOver[state.status]) return { kind: 'closed' };
  // A person who names the version that it has says that it shall stay.
  if (from.stored.id === to.stored.id && act === null) return { kind: 'there' };
  if (isHeld(state)) return { kind: 'held' };
  const plan = planMove(from.compiled, to.compiled, state);
  if (plan.kind === 'stay') return { kind: 'stays', obstacles: plan.obstacles };
  const next = movedState(to.compiled, state, plan.nodes);
  const changes = advanceMoved(to.compiled, next, now, settings, from.compiled.gate !== null);
  return {
    units: [],
    entry: { ...entry, known: to, state: next },
    changes,
    launches: [],
    act: act === null ? null : actWrite(act),
    chain: { length: 1, since: now },
    children: [],
    group: null,
    untold: false,
    move: { unit, write: { from: from.stored.id, to: to.stored.id, nodes: plan.nodes, staysUntil } },
    cache: null,
  };
}

const actWrite = (act: Act): ActWrite => ({ ...act, result: JSON.stringify({ kind: 'moved' } satisfies Moved) });
