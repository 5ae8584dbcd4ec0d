/**
 * What a task can wait for. A task that is itself a wait (`w.sleep`, `w.wait`, `w.approve`) has one without a name; a body that waits has one
 * per call that is open, each under the name of its record.
 */
interface Named {
  /** The record of the body; null where the task itself is the wait. */
  readonly name: string | null;
  /** When it passes, or gives up. */
  readonly dueAt: number | null;
  /** Since when, over all times that its body was woken by something else. */
  readonly since: number;
  /** Of a call of a body, which made no other between this one and its rest. */
  readonly alone?: true;
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
  /** Calls of one `ctx.all` wake the body once, when the last of them has ended. */
  readonly group: string | null;
}

/** What ends a wait, other than its time. */
export type Wake =
  /** A message, taken in the same commit. */
  | { readonly kind: 'signal'; readonly message: number; readonly data: string | null }
  /** `output`: the whole answer, as the codec stores it. */
  | {
      readonly kind: 'approval';
      readonly decision: 'approved' | 'rejected';
      readonly output: string;
      readonly by: string;
      readonly comment: string | null;
    }
  /** The predicate of the wait failed: its definition is at fault. */
  | { readonly kind: 'broken'; readonly error: string };

const MAX_KEY = 500;

/** What is wrong with the key of a mailbox; null where it may be one. */
export function keyProblem(key: unknown): string | null {
  if (typeof key !== 'string') return `must be a text, not ${key === null ? 'null' : typeof key}`;
  if (key === '' || key.length > MAX_KEY) return `must have 1 to ${MAX_KEY} characters, not ${key.length}`;
  return key.isWellFormed() && !key.includes('\0') ? null : 'must be whole in Unicode and without NUL';
}

/** Waits from their stored text; null where it is none: a document may come from anywhere. */
export function readWaits(text: string): readonly Wait[] | null {
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch {
    return null;
  }
  return Array.isArray(list) && list.length > 0 && list.every(isWait) ? list : null;
}

function isWait(value: unknown): value is Wait {
  if (typeof value !== 'object' || value === null) return false;
  const { name, dueAt, since, ...rest } = value as Readonly<Record<string, unknown>>;
  if ((name !== null && typeof name !== 'string') || !Number.isSafeInteger(since)) return false;
  if (dueAt !== null && !Number.isSafeInteger(dueAt)) return false;
  switch (rest['kind']) {
    case 'time':
      return dueAt !== null;
    case 'signal':
      return (
        typeof rest['signal'] === 'string' &&
        (rest['key'] === null || typeof rest['key'] === 'string') &&
        typeof rest['filtered'] === 'boolean'
      );
    case 'child':
      return typeof rest['workflow'] === 'string' && (rest['group'] === null || typeof rest['group'] === 'string');
    default:
      return rest['kind'] === 'approval';
  }
}

/** The instant at which the first of them passes. */
export function earliest(on: readonly Wait[], limit: number | null = null): number | null {
  let first = limit ?? Infinity;
  for (const wait of on) if (wait.dueAt !== null && wait.dueAt < first) first = wait.dueAt;
  return first === Infinity ? null : first;
}

/** A call of a body that is open: its wait, under the name of its record, and what tells whether it is the same call in the next pass. */
export interface BodyWait {
  readonly wait: (TimeWait | SignalWait | ChildWait) & { readonly name: string };
  readonly hash: string;
  /** It has no record yet. */
  readonly isNew: boolean;
  /** Of a run: one of an earlier generation that a redrive kept goes on, where it can. */
  readonly goesOn?: true;
  /** Of a run: what it begins with, as the codec stores it. */
  readonly input?: string | null;
}

/** How a record of a wait stands: since when it is open, or what it came to. */
export interface WaitRecord {
  readonly opened: { readonly since: number; readonly dueAt: number | null } | null;
  readonly result: readonly ['ok', string | null, ('partial' | 'skipped')?] | readonly ['timeout'] | readonly ['failed', string] | null;
  readonly done: number | null;
  /** In the pass that opened it, it was all that the body then waited for: whoever comes here again may be answered at once. */
  readonly alone: boolean;
}

export const openText = ({ since, dueAt, alone }: Wait): string => JSON.stringify({ since, dueAt, alone });
export const resultText = (result: NonNullable<WaitRecord['result']>, { alone }: Wait): string => JSON.stringify({ result, alone });

export function readRecord({ value, done }: { readonly value: string | null; readonly done: number | null }): WaitRecord {
  const {
    alone = false,
    result = null,
    ...opened
  } = JSON.parse(value ?? '{}') as {
    readonly alone?: boolean;
    readonly result?: WaitRecord['result'];
    readonly since: number;
    readonly dueAt: number | null;
  };
  return { opened: done === null ? opened : null, result, done, alone };
}

/** A wait that was opened in an earlier pass. */
export function openedOf(made: BodyWait['wait'], { opened, alone }: WaitRecord): BodyWait['wait'] {
  if (opened === null) return made;
  const { since, dueAt } = opened;
  const wait = alone ? { ...made, alone } : made;
  return wait.kind === 'time' ? { ...wait, since, dueAt: dueAt ?? since } : { ...wait, since, dueAt };
}
