import { decode } from '../values/codec.ts';
import { LINK_KINDS } from '../kernel/run-state.ts';
import { ATTEMPT_OUTCOMES, REASONS, RUN_STATUSES, TASK_STATUSES } from '../kernel/states.ts';

/**
 * One run as a document: which fields its parts have, and what may stand in each. The names are those of the store's columns, written
 * together (`finishedAt` is `finished_at`), so that a new column or table that belongs to a run is a line here.
 */
export type Field = (
  | { readonly kind: 'int'; readonly min: number; readonly max: number }
  | { readonly kind: 'text'; readonly most: number }
  /** A payload as the codec writes it. */
  | { readonly kind: 'payload' }
  /** One of a closed list; a store keeps the word, or its position where `position` says so. */
  | { readonly kind: 'word'; readonly of: readonly string[]; readonly position: boolean }
) & { readonly nullable?: true };

export type Fields = Readonly<Record<string, Field>>;

/** The largest payload that any engine may be set to take. */
const MAX_PAYLOAD = 67_108_864;
const MAX_ERROR = 131_072;
const MAX_INT = Number.MAX_SAFE_INTEGER;

const count: Field = { kind: 'int', min: 0, max: MAX_INT };
const instant: Field = { kind: 'int', min: 0, max: MAX_INT };
const rank: Field = { kind: 'int', min: -MAX_INT, max: MAX_INT };
const node: Field = { kind: 'int', min: 0, max: 1_000_000 };
const item: Field = { kind: 'int', min: -1, max: 1_000_000_000 };
const payload: Field = { kind: 'payload' };
const error: Field = { kind: 'text', most: MAX_ERROR, nullable: true };
const flags: Field = { kind: 'int', min: 0, max: 255 };
const reason: Field = { kind: 'word', of: REASONS, position: false };
const orNull = (field: Field): Field => ({ ...field, nullable: true });
const text = (most: number): Field => ({ kind: 'text', most });

export const RUN_FIELDS: Fields = {
  status: { kind: 'word', of: RUN_STATUSES, position: true },
  generation: count,
  format: count,
  rank,
  acceptedAt: instant,
  startAt: orNull(instant),
  deadlineAt: orNull(instant),
  finishedAt: orNull(instant),
  resumeTo: { kind: 'word', of: RUN_STATUSES, position: true, nullable: true },
  /** 1: nobody has claimed it yet, and it has no tasks. */
  unclaimed: { kind: 'int', min: 0, max: 1 },
  reason: orNull(reason),
  flow: orNull({ kind: 'payload' }),
  quarantined: orNull(text(MAX_ERROR)),
  key: orNull(text(65_536)),
  tags: orNull(payload),
  traceparent: orNull(text(65_536)),
  schedule: orNull(text(200)),
  dueAt: orNull(instant),
  hasOutput: { kind: 'int', min: 0, max: 1 },
  input: orNull(payload),
  output: orNull(payload),
};

/** The place of a run in the one that started it, named by its id. */
export const LINK_FIELDS: Fields = {
  parent: text(64),
  /** -1: of hooks, which stand for no task. */
  node: item,
  item,
  generation: count,
  name: orNull(text(65_536)),
  kind: { kind: 'word', of: LINK_KINDS, position: true },
  recall: { kind: 'int', min: 1, max: 4, nullable: true },
  completion: orNull(count),
};

/** The tables of a run that a document takes along. Leases and workers stay behind: they mean nothing elsewhere. */
export const TABLE_FIELDS = {
  tasks: {
    node,
    item,
    status: { kind: 'word', of: TASK_STATUSES, position: true },
    generation: count,
    attempt: count,
    begun: count,
    losses: count,
    crashes: count,
    handBacks: count,
    draws: orNull(payload),
    ranMs: count,
    rank,
    firstQueuedAt: instant,
    phase: { kind: 'int', min: 0, max: 1 },
    next: { kind: 'int', min: 0, max: 2, nullable: true },
    startedAt: orNull(instant),
    dueAt: orNull(instant),
    finishedAt: orNull(instant),
    reason: orNull(reason),
    flags,
    completion: orNull(count),
    waits: orNull(text(MAX_ERROR)),
    effect: count,
    edited: orNull(payload),
    output: orNull(payload),
    error,
  },
  maps: {
    node,
    rank,
    n: count,
    next: count,
    ok: count,
    failed: count,
    cancelled: count,
    skipped: count,
    again: count,
    closed: { kind: 'int', min: 1, max: 1, nullable: true },
  },
  attempts: {
    node,
    item,
    attempt: count,
    generation: count,
    outcome: { kind: 'word', of: ATTEMPT_OUTCOMES, position: false },
    reason,
    error,
    startedAt: instant,
    endedAt: instant,
  },
  logs: { node, item, generation: count, attempt: count, chunk: count, seq: count, lines: payload },
  generations: {
    node,
    item,
    generation: count,
    attempt: count,
    status: { kind: 'word', of: TASK_STATUSES, position: true },
    reason: orNull(reason),
    flags,
    startedAt: orNull(instant),
    finishedAt: orNull(instant),
    edited: orNull(payload),
    output: orNull(payload),
    error,
  },
  run_generations: {
    generation: count,
    status: { kind: 'word', of: RUN_STATUSES, position: true },
    reason: orNull(reason),
    hasOutput: { kind: 'int', min: 0, max: 1 },
    finishedAt: instant,
    output: orNull(payload),
  },
  steps: {
    node,
    item,
    generation: count,
    name: text(65_536),
    kind: text(256),
    hash: orNull(text(256)),
    done: orNull(count),
    value: orNull(payload),
    place: count,
  },
  /** In its own mailboxes; `id` says in which order they came, and is given anew elsewhere. */
  messages: { id: count, signal: text(65_536), key: orNull(text(500)), at: instant, expiresAt: instant, data: orNull(payload) },
} as const satisfies Record<string, Fields>;

export type DocumentTable = keyof typeof TABLE_FIELDS;
/** What tells the rows of one run apart. */
export const DOCUMENT_KEYS: Readonly<Record<DocumentTable, readonly string[]>> = {
  tasks: ['node', 'item'],
  maps: ['node'],
  attempts: ['node', 'item', 'generation', 'attempt'],
  steps: ['node', 'item', 'generation', 'name'],
  logs: ['node', 'item', 'generation', 'attempt', 'chunk'],
  generations: ['node', 'item', 'generation'],
  run_generations: ['generation'],
  messages: ['id'],
};
export const DOCUMENT_TABLES = Object.keys(TABLE_FIELDS) as DocumentTable[];

/** Null where the value may stand in the field, otherwise what is wrong with it. */
export function fieldProblem(field: Field, value: unknown): string | null {
  if (value === null) return field.nullable === true ? null : 'it may not be null';
  switch (field.kind) {
    case 'int':
      return Number.isSafeInteger(value) && Number(value) >= field.min && Number(value) <= field.max
        ? null
        : `it must be a whole number from ${field.min} to ${field.max}`;
    case 'word':
      return typeof value === 'string' && field.of.includes(value) ? null : 'it is no word of its list';
    case 'text':
      return isText(value, field.most) ? null : `it must be a text of at most ${field.most} characters, whole in Unicode and without NUL`;
    case 'payload':
      if (!isText(value, MAX_PAYLOAD)) return `it must be a text of at most ${MAX_PAYLOAD} characters`;
      return isReadable(value) ? null : 'it is no payload that can be read';
  }
}

const isText = (value: unknown, most: number): value is string =>
  typeof value === 'string' && value.length <= most && value.isWellFormed() && !value.includes('\0');

function isReadable(value: string): boolean {
  try {
    decode(value);
    return true;
  } catch {
    return false;
  }
}
