/**
 * What a task can wait for. A task that is itself a wait (`w.sleep`, `w.wait`, `w.approve`) has one without a name; a body that waits has one
 * per call that is open, each under the name of its record.
 */
interface Named {
  /** The record of the body; null where the task itself is the wait. */
  readonly name: string | null;
  /** When it passes, or gives up. */
  readonly dueAt: number | null;
}

export type Wait = TimeWait | SignalWait | ApprovalWait | ChildWait;

export interface TimeWait extends Named {
  readonly kind: 'time';
  readonly dueAt: number;
}

export interface SignalWait extends Named {
  readonly kind: 'signal';
  readonly signal: string;
  /** Null: only the mailbox of its run. */
  readonly key: string | null;
  /** A predicate has to say yes to a message first. */
  readonly filtered: boolean;
}

export interface ApprovalWait extends Named {
  readonly kind: 'approval';
}

/** A child run stands in the place of the task, or of a call of its body. */
export interface ChildWait extends Named {
  readonly kind: 'child';
  readonly workflow: string;
}

/** What ends a wait, other than its time. */
export type Wake =
  /** A message, taken in the same commit. */
  | { readonly kind: 'signal'; readonly message: number; readonly data: string | null }
  /** `output`: the whole answer, as the codec stores it. */
  | { readonly kind: 'approval'; readonly decision: 'approved' | 'rejected'; readonly output: string; readonly comment: string | null }
  /** The predicate of the wait failed: its definition is at fault. */
  | { readonly kind: 'broken'; readonly error: string };

/** The instant at which the first of them passes. */
export function earliest(on: readonly Wait[], limit: number | null = null): number | null {
  let first = limit ?? Infinity;
  for (const wait of on) if (wait.dueAt !== null && wait.dueAt < first) first = wait.dueAt;
  return first === Infinity ? null : first;
}
