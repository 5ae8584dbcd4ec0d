import { tryDurationMs, type Duration } from './duration-text.ts';
import type { Redactor } from './log.ts';

/**
 * Every error that Pawl throws: a readable constant, the HTTP status and the exit code it maps to, and one line that says what to do.
 * Each has a page in docs/errors, and a test that triggers it in test/errors. Failures of user code are not errors of this kind: they are data ({@link ErrorRecord}).
 */
interface ErrorEntry {
  readonly status: number;
  readonly exit: number;
  readonly fix: string;
}

const entry = (status: number, exit: number, fix: string): ErrorEntry => ({ status, exit, fix });

export const ERRORS = {
  BUILD_INVALID: entry(400, 6, 'Mend each problem in the list; they are all of them.'),
  BUILD_REF_AS_VALUE: entry(
    400,
    6,
    'Move a test into w.when(ref, v => …, …) and a computation into w.run(name, { v: ref }, ({ v }) => …).',
  ),
  BUILD_ASYNC: entry(400, 6, 'Make the builder a plain function: it runs once, before any run, and has nothing to wait for.'),
  CONFIG_DURATION: entry(400, 2, "Give milliseconds (> 0) or a string such as '90s', '5m', '14d'."),
  CONFIG_OPTION: entry(400, 2, 'Correct the option that the message names.'),
  CONFIG_STORE: entry(400, 2, "Give 'sqlite:./app.db' (or 'sqlite::memory:' for tests)."),
  CONFIG_DUPLICATE: entry(409, 6, 'Register each name once: leave one of the two out, or rename it.'),
  CONFIG_VERSION_CHANGED: entry(
    409,
    4,
    'Raise the version: a stored definition never changes. Without an explicit version Pawl takes a hash of the graph.',
  ),
  CONFIG_LIMIT_UNKNOWN: entry(400, 6, "Declare each of them: createEngine({ limits: { db: 5, mail: '10/s' } })."),
  CONFIG_ENTRY: entry(400, 6, 'Mend the module at the place that the message names, or name another with --entry <file>.'),
  CONFIG_USAGE: entry(400, 2, 'See pawl --help, or pawl <command> --help.'),
  STORE_LIBRARY: entry(
    500,
    5,
    'Run Node 22.23, 24.21 or newer: the SQLite inside older ones has a bug that can corrupt a database in WAL mode.',
  ),
  STORE_NOT_A_DATABASE: entry(500, 5, 'Point the store at another file, or restore this one from a backup.'),
  STORE_FOREIGN: entry(500, 5, 'The file is a database of another program. Point the store at a file of its own.'),
  STORE_NEWER: entry(500, 5, 'Run the version of Pawl that wrote the file, or a newer one.'),
  STORE_OLDER: entry(500, 5, 'Run `pawl migrate`, or open the file once with write access: that migrates it.'),
  STORE_EXISTS: entry(409, 4, 'Give the name of a file that is not there. A `.part` of a backup that was interrupted may be deleted.'),
  STORE_READONLY: entry(500, 5, 'Give this process write access to the file and its folder.'),
  STORE_FULL: entry(507, 5, 'Free space on the disk; the engine goes on by itself.'),
  STORE_CORRUPT: entry(500, 5, 'Stop every process on this file and restore the last backup; do not go on with it.'),
  STORE_IO: entry(500, 5, 'Look at the disk and the system log; the engine works again after the store was opened anew.'),
  STORE_UNREACHABLE: entry(503, 5, 'Check that the path exists, is on a local disk and that its folder may be written.'),
  STORE_BUSY: entry(
    503,
    5,
    "Another process holds a write transaction on the file. Find it (it is none of Pawl's: theirs last milliseconds) and end it.",
  ),
  STORE_UNKNOWN_OUTCOME: entry(
    503,
    5,
    'Start the run again with the same key: whether or not it was stored, the same key gives the same run.',
  ),
  STORE_QUERY: entry(400, 2, 'Correct the SQL. The views run_overview and task_overview show states in words.'),
  STORE_QUERY_WRITES: entry(403, 8, 'Give one SELECT. What changes runs goes through the engine, never through SQL.'),
  STORE_CLOSED: entry(503, 5, 'Create another engine: a closed one is not opened again.'),
  RUN_NOT_FOUND: entry(404, 3, 'Check the id, and that the engine has the store that the run was started in.'),
  RUN_EXISTS: entry(409, 4, 'Look at the run that is here; to look at what the document holds, import it into another store.'),
  RUN_DOCUMENT_INVALID: entry(400, 2, 'Export the run again; a document that was edited or cut off is not imported.'),
  RUN_AMBIGUOUS: entry(409, 3, 'Give more characters of the id, or narrow a key to its workflow.'),
  RUN_UNCONFIRMED: entry(409, 8, 'Look at the runs first; then say that all of them are meant.'),
  RUN_KEY_CONFLICT: entry(409, 4, 'Use another key, or the same input. A key stands for one input.'),
  RUN_KEY_TAKEN: entry(409, 4, "Use another key, or onDuplicate: 'return' to get the run that holds it."),
  RUN_FAILED: entry(200, 1, 'Read details.rootCause: it names the tasks where the failure began.'),
  RUN_CANCELLED: entry(200, 1, 'The run was cancelled; start another one if its work is still wanted.'),
  RUN_NO_OUTPUT: entry(
    200,
    1,
    'A part of the output did not succeed. Read the tasks one by one, or return w.optional(…) or w.settle(…) of that part.',
  ),
  RUN_TIMEOUT: entry(504, 7, 'The run goes on. Ask again, or wait longer.'),
  RUN_NOT_OPEN: entry(409, 4, 'The run is over; redrive or rerun what is still wanted.'),
  RUN_NOT_PAUSED: entry(409, 4, 'Nothing: only a paused run can be resumed.'),
  RUN_NOTHING_TO_REDRIVE: entry(409, 4, 'Rerun a task that succeeded, or restart the run, if its work is wanted again.'),
  RUN_COMPENSATED: entry(409, 4, 'Restart the run: what its tasks did is being undone, or has been.'),
  RUN_QUARANTINED: entry(409, 4, 'Look at why with `pawl quarantine ls`, then let it go on with `pawl quarantine retry`.'),
  RUN_CANNOT_GO_ON: entry(409, 4, 'Do what the message names first, then `pawl quarantine retry` again; or fail the run.'),
  RUN_NOT_QUARANTINED: entry(409, 4, 'Nothing: the run is advanced like any other.'),
  RUN_REQUEST_CONFLICT: entry(409, 4, 'Give every act a request id of its own; repeat one only to learn what it came to.'),
  RUN_CANNOT_MOVE: entry(409, 4, 'Let it end with a worker of its own version, or make the tasks that the message names as they were.'),
  RUN_UNKNOWN_VERSION: entry(404, 3, 'Give a version that an engine has registered with this store.'),
  RUN_CHANGED: entry(409, 4, 'The run moved on at the same moment. Look at it again, and repeat the act if it is still wanted.'),
  RUN_QUEUE_FULL: entry(429, 8, 'Try again after details.retryAfterMs, start more workers, or raise maxQueued.'),
  RUN_INPUT_INVALID: entry(400, 2, 'Correct the input at the path that the message names.'),
  RUN_UNKNOWN_WORKFLOW: entry(404, 3, 'Register the workflow: createEngine({ use: [workflow, …] }).'),
  SCHEDULE_INVALID: entry(400, 2, 'Mend each problem in the list; they are all of them.'),
  SCHEDULE_NOT_FOUND: entry(404, 3, 'See `pawl schedule ls` for those that there are.'),
  SCHEDULE_EXISTS: entry(409, 4, 'Give the schedule another name, or delete the one that has it.'),
  SCHEDULE_DECLARED: entry(409, 4, 'Change or remove it in the code of its workflow; pausing is possible from outside.'),
  PAYLOAD_NOT_STORABLE: entry(
    400,
    2,
    'Give plain JSON data, Date, Map, Set, bigint, Uint8Array, URL or an Error; nothing else can be stored.',
  ),
  PAYLOAD_TOO_LARGE: entry(413, 2, 'Store the data elsewhere and pass a reference, or raise maxPayload.'),
  TASK_UNKNOWN: entry(404, 3, "Name a task of the run's workflow."),
  TASK_NOT_DEAD: entry(409, 4, 'Redrive what failed or was cancelled; rerun what succeeded.'),
  TASK_NOT_ENDED: entry(409, 4, 'Wait until the task has ended, or cancel the run.'),
  TASK_NOT_OPEN: entry(409, 4, 'Only a task that is pending, queued, waiting or retrying can be skipped.'),
  TASK_OUTCOME_UNKNOWN: entry(409, 8, 'Find out whether the effect happened; then redrive with acceptUnknown, or mark the task.'),
  TASK_UNSAFE_RUNNING: entry(409, 4, 'Wait until the task has ended, then repeat the act.'),
  TASK_INPUT_INVALID: entry(400, 2, 'Correct the input at the path that the message names.'),
  TASK_OUTPUT_INVALID: entry(400, 2, 'Correct the output at the path that the message names.'),
  TASK_NO_CODE: entry(
    409,
    6,
    'Ask in a process that registers the task, so that its schema can check the value; on the command line: --entry.',
  ),
  TASK_NOT_WAITING: entry(409, 4, 'Look at `pawl show <id>`: the approval may be answered, or its turn has not come.'),
  TASK_FORM_INVALID: entry(400, 2, 'Correct the field that the message names; the approval goes on waiting.'),
  SIGNAL_UNKNOWN: entry(404, 3, 'Register the signal: createEngine({ use: [signal, …] }), or a workflow that waits for it.'),
  SIGNAL_DATA_INVALID: entry(400, 2, 'Correct the data at the path that the message names; nothing was sent.'),
  SIGNAL_MAILBOX_FULL: entry(429, 4, 'Send again after details.retryAfterMs; find out why nobody takes these messages.'),
  STEP_DUPLICATE: entry(400, 1, "Give each step of a body its own name; in a loop name the turn: ctx.step(['call', i], …)."),
  STEP_CHANGED: entry(409, 1, 'The record under this name was written by another kind of call. Give the new call another name.'),
  STEP_SWALLOWED: entry(400, 1, 'Let what ctx.sleep, ctx.wait and ctx.restart throw leave the body: catch only what you expect.'),
  STEP_NESTED: entry(400, 1, 'Make the call from the body itself, and give the step what it came to.'),
  STEP_NOT_AWAITED: entry(400, 1, 'Await it, return it, or hand it to Promise.all or Promise.race.'),
  TASK_UNSAFE_WAITS: entry(400, 1, "Wait in a task of its own, before or after it (w.sleep, w.wait), or make the effects 'idempotent'."),
  SIGNAL_TIMEOUT: entry(504, 1, 'Catch it where the body has another way to go on.'),
  STEP_LIMIT: entry(400, 1, 'A body may record 10,000 steps; do more work in each.'),
  STEP_LEASE_LOST: entry(409, 1, 'Nothing: this attempt was taken over or ended. Let the error leave the body.'),
  WORKER_LEASE_LOST: entry(503, 5, 'Nothing: the process goes on under a new identity.'),
  EVENTS_GONE: entry(410, 4, 'Read the runs, then follow from the newest event.'),
  ENGINE_BROKEN: entry(
    500,
    5,
    'Restart the process; nothing that was acknowledged is lost. Report the message with the log lines before it.',
  ),
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof ERRORS;

export interface ErrorFacts {
  readonly details?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
  /** Replaces the registry's line where there is something better to say. */
  readonly fix?: string;
}

/** What every function of Pawl throws. `message` says what, where and which value; `fix` what to do. */
export class PawlError extends Error {
  readonly code: ErrorCode;
  readonly fix: string;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, facts: ErrorFacts = {}) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.name = 'PawlError';
    this.code = code;
    this.fix = facts.fix ?? ERRORS[code].fix;
    this.details = facts.details ?? {};
  }

  /** The page that explains the code, as a path inside the package. */
  get docs(): string {
    return `docs/errors/${this.code}.md`;
  }

  /** What every surface shows of it. The cause and the stack stay here: they are for whoever runs the process. */
  toJSON(): Pick<PawlError, 'code' | 'message' | 'fix' | 'docs' | 'details'> {
    const { code, message, fix, docs, details } = this;
    return { code, message, fix, docs, details };
  }
}

export function isPawlError(error: unknown, ...codes: readonly ErrorCode[]): error is PawlError {
  return error instanceof PawlError && (codes.length === 0 || codes.includes(error.code));
}

/** Thrown by a body: this failure is final, whatever the retry policy says. */
export class NonRetryableError extends Error {
  readonly code: string | undefined;
  constructor(message: string, options: { code?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'NonRetryableError';
    this.code = options.code;
  }
}

/** Thrown by a body: try again after this delay (milliseconds or a duration) or at this instant; it draws on the retry budget. */
export class RetryAfterError extends Error {
  readonly after: Duration | Date;
  constructor(after: Duration | Date, message = 'try again later', options: { cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'RetryAfterError';
    this.after = after;
  }

  /** Milliseconds from `now`; at least 1. A delay that is none counts as one second. */
  delayMs(now: number): number {
    if (this.after instanceof Date) return Math.max(1, this.after.getTime() - now || 1);
    return tryDurationMs(this.after) ?? 1_000;
  }
}

/** A failure of user code, as data: what is stored, shown and compared. At most 64 KiB with its causes. */
export interface ErrorRecord {
  readonly name: string;
  readonly message: string;
  readonly code?: string;
  readonly stack?: string;
  readonly cause?: ErrorRecord;
}

const LIMITS = { text: 8_192, stack: 16_384, name: 256, causes: 16, total: 60_000 };

const AS_IT_IS: Redactor = { text: (text) => text, data: (value) => value };

/** Any thrown value as a record. Never throws: getters that throw, circular causes and values that are no errors end in a record too. */
export function errorRecord(thrown: unknown, redactor: Redactor = AS_IT_IS): ErrorRecord {
  const chain: ErrorRecord[] = [];
  const seen = new Set<unknown>();
  let room = LIMITS.total;
  for (let at: unknown = thrown; chain.length < LIMITS.causes && !seen.has(at) && room > 0;) {
    seen.add(at);
    const one = oneRecord(at, room, redactor);
    chain.push(one);
    room -= one.name.length + one.message.length + (one.stack?.length ?? 0);
    const from = at;
    const cause = isObject(from) ? safely(() => from['cause']) : undefined;
    if (cause === undefined || cause === null) break;
    at = cause;
  }
  return chain.reduceRight((cause, one) => (cause === EMPTY ? one : { ...one, cause }), EMPTY);
}

const EMPTY: ErrorRecord = { name: '', message: '' };

/** Redacted before it is clipped: half a secret is one too. */
function oneRecord(thrown: unknown, room: number, redactor: Redactor): ErrorRecord {
  const described = (): string => redactor.text(`thrown: ${describe(thrown, redactor)}`);
  if (!isObject(thrown)) return { name: 'Error', message: clip(described(), LIMITS.text) };
  const text = (key: string): string | undefined => {
    const value = safely(() => thrown[key]);
    if (typeof value === 'string') return redactor.text(value);
    return typeof value === 'number' && key === 'code' && !isWebError(thrown) ? redactor.text(String(value)) : undefined;
  };
  const stack = text('stack');
  const code = text('code');
  return {
    name: clip(text('name') ?? 'Error', LIMITS.name),
    message: clip(text('message') ?? described(), Math.min(LIMITS.text, room)),
    ...(code === undefined ? {} : { code: clip(code, LIMITS.name) }),
    ...(stack === undefined ? {} : { stack: clip(stack, Math.min(LIMITS.stack, room)) }),
  };
}

/** Its number says nothing that its name does not say better: 20 is an AbortError. */
const isWebError = (thrown: object): boolean => Object.prototype.toString.call(thrown) === '[object DOMException]';

function describe(value: unknown, redactor: Redactor): string {
  if (typeof value === 'string') return value;
  if (value instanceof Error) return 'an error without a message';
  return safely(() => JSON.stringify(redactor.data(value))) ?? safely(() => String(value)) ?? typeof value;
}

/** NUL and lone surrogates cannot be stored as text everywhere; in a message they are shown, not kept. */
function clip(text: string, length: number): string {
  const short = text.length > length ? `${text.slice(0, Math.max(0, length - 1))}…` : text;
  return short.replaceAll('\0', '\u2400').toWellFormed();
}

function isObject(value: unknown): value is Record<string, unknown> {
  return (typeof value === 'object' && value !== null) || typeof value === 'function';
}

function safely<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

/** What was thrown, in words: anything may be. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
