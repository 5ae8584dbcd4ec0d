/** What the sequential model knows of events and single tasks: their states, what they read, and the table of joins (semantics, section 4). */
import type { Expr, GraphTask } from '../../src/core/graph/graph.ts';
import type { Reason, TaskStatus } from '../../src/core/kernel/states.ts';

/** What nobody but the world decides. A task is named by its id, an item by `id[3]`. */
export type Primary =
  | { readonly type: 'claim'; readonly at: string }
  | { readonly type: 'verdict'; readonly at: string; readonly verdict: boolean | string | null }
  | { readonly type: 'ok'; readonly at: string }
  /** `final`: whatever the policy says, it is not tried again. */
  | { readonly type: 'error'; readonly at: string; readonly reason: Reason; readonly final: boolean }
  | { readonly type: 'lost'; readonly at: string; readonly crashed: boolean }
  | { readonly type: 'released'; readonly at: string }
  /** A timer: of a retry, of a sleep, of a wait that gives up. */
  | { readonly type: 'due'; readonly at: string }
  | { readonly type: 'message'; readonly at: string }
  | { readonly type: 'answer'; readonly at: string; readonly approved: boolean }
  | { readonly type: 'take'; readonly map: string; readonly count: number }
  | { readonly type: 'skip'; readonly at: string }
  | { readonly type: 'cancel'; readonly reason: Reason }
  | { readonly type: 'fail'; readonly reason: 'deadline' | 'marked_failed' };

export interface Cell {
  status: TaskStatus;
  reason: Reason | null;
  phase: 'evaluate' | 'body';
  /** Attempts begun, leases lost, workers died. */
  begun: number;
  losses: number;
  crashes: number;
  /** It has failed, and its `catch` handler runs. */
  handling: boolean;
  /** Queued to go on with an attempt that had begun. */
  goesOn: boolean;
  handled: boolean;
  partial: boolean;
  /** What a decision came to; of a first the name of the part that won. */
  verdict: boolean | string | null;
  /** The event by which it ended. */
  at: number;
}

export const fresh = (): Cell => ({
  status: 'pending',
  reason: null,
  phase: 'body',
  begun: 0,
  losses: 0,
  crashes: 0,
  handling: false,
  goesOn: false,
  handled: false,
  partial: false,
  verdict: null,
  at: 0,
});

export type Letter = 'S' | 'F' | 'X' | 'K' | 'C';
export type Label = 'upstream_failed' | 'cancelled' | 'skipped';
const LABELS: readonly Label[] = ['upstream_failed', 'cancelled', 'skipped'];
export const strongest = (labels: readonly (Label | null)[]): Label | null => LABELS.find((label) => labels.includes(label)) ?? null;

export const isEnded = ({ status }: Cell): boolean => ['success', 'failed', 'skipped', 'upstream_failed', 'cancelled'].includes(status);
export const hasSucceeded = (cell: Cell): boolean => cell.status === 'success' || cell.handled;

/** As what an end stands where a success was wanted. */
export function labelOf(cell: Cell): Label | null {
  if (hasSucceeded(cell)) return null;
  return cell.status === 'failed' ? 'upstream_failed' : (cell.status as Label);
}

interface Read {
  readonly of: string;
  readonly mode: 'required' | 'optional' | 'settle';
}

/** Every read in an expression. */
export function readsOf(expr: unknown): Read[] {
  if (typeof expr !== 'object' || expr === null) return [];
  if (Array.isArray(expr)) return expr.flatMap(readsOf);
  const form = expr as { $ref?: string; $optional?: { $ref: string }; default?: Expr; $settle?: { $ref: string } };
  if (form.$ref !== undefined) return [{ of: form.$ref, mode: 'required' }];
  if (form.$optional !== undefined) return [{ of: form.$optional.$ref, mode: 'optional' }, ...readsOf(form.default)];
  if (form.$settle !== undefined) return [{ of: form.$settle.$ref, mode: 'settle' }];
  return Object.values(expr).flatMap(readsOf);
}

export function readsOfTask(task: GraphTask): Read[] {
  switch (task.kind) {
    case 'map':
      return [task.items, task.each, task.key ?? null].flatMap(readsOf);
    case 'first':
      return task.parts.flatMap(({ value }) => readsOf(value));
    case 'sleep':
      return readsOf(task.until);
    case 'wait':
      return readsOf(task.key);
    case 'approve':
      return readsOf(task.show);
    case 'task':
    case 'child':
    case 'when':
    case 'switch':
      return readsOf(task.input);
    case 'guard':
    case 'branch':
    case 'handler':
      return [];
  }
}

/** A skip is no harm. */
export function beyondSkip(cell: Cell): Label | null {
  const label = labelOf(cell);
  return label === 'skipped' ? null : label;
}

/** Semantics, section 4: the table of joins. A letter per upstream; null: it is open. */
export function verdictOf(join: string, letters: readonly (Letter | null)[]): 'run' | 'wait' | Label {
  const n = letters.length;
  const count = (of: string): number => letters.filter((letter) => letter !== null && of.includes(letter)).length;
  const isOver = !letters.includes(null);
  const [s, broken] = [count('S'), count('FX')];
  const label: Label = broken > 0 ? 'upstream_failed' : count('C') > 0 ? 'cancelled' : 'skipped';
  const atEnd = (runs: boolean, otherwise: Label): 'run' | 'wait' | Label => (isOver ? (runs ? 'run' : otherwise) : 'wait');
  const k = join === 'one_success' ? 1 : Number(/^at_least\((\d+)\)$/.exec(join)?.[1] ?? 0);
  if (k > 0) {
    if (s >= k) return 'run';
    if (s + (n - count('SFXKC')) < k && broken > 0) return 'upstream_failed';
    return isOver ? label : 'wait';
  }
  switch (join) {
    case 'all_success':
      return broken > 0 ? 'upstream_failed' : atEnd(s === n, label);
    case 'none_failed':
      return broken > 0 ? 'upstream_failed' : atEnd(count('C') === 0, 'cancelled');
    case 'none_failed_min_one_success':
      return broken > 0 ? 'upstream_failed' : atEnd(count('C') === 0 && s > 0, count('C') > 0 ? 'cancelled' : 'skipped');
    case 'all_done':
      return atEnd(true, label);
    case 'all_done_min_one_success':
      return atEnd(s > 0, label);
    case 'one_done':
      return s + count('F') > 0 ? 'run' : atEnd(false, 'skipped');
    case 'one_failed':
      return broken > 0 ? 'run' : atEnd(false, 'skipped');
    case 'all_failed':
      return broken === n ? 'run' : count('SKC') > 0 ? 'skipped' : 'wait';
    case 'all_skipped':
      return count('K') === n ? 'run' : atEnd(false, 'skipped');
    case 'none_skipped':
      return atEnd(count('K') === 0, 'skipped');
    default:
      return 'run';
  }
}
