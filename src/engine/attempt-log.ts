import type { Changes } from '../core/kernel/changes.ts';
import { lineData, type Logger, type LogLevel, type Redactor } from '../core/log.ts';
import type { Log } from '../core/types/types.ts';
import type { LogWrite, TaskKey } from '../store/store.ts';

/** How long a line may wait for a commit that takes it along. */
const FLUSH_MS = 500;
const MESSAGE_BYTES = 4_096;
const DATA_BYTES = 8_192;
/** Chunks of one claim; the next claim of the same attempt, after a hand-back, counts from the next multiple. */
const CHUNKS = 1_000_000;

export interface LogBookOptions {
  readonly logger: Logger;
  readonly redactor: Redactor;
  /** Lines that one attempt may keep; with 0 they only go to the logger. */
  readonly lines: number;
  now(): number;
  timer(ms: number, fn: () => void): () => void;
}

/** The claim that a log is about. */
interface LoggedAttempt {
  readonly key: TaskKey;
  readonly token: number;
  readonly task: { readonly generation: number; readonly attempt: number; readonly handBacks: number };
  readonly facts: Readonly<Record<string, unknown>>;
  readonly done: boolean;
}

/**
 * What bodies log and the store does not have yet. The lines of an attempt go into the commit that ends it; those of one that goes on for
 * longer into a commit that comes along within half a second, or one of their own. A chunk is numbered when it is first handed out and is
 * the same at every try, so that none is lost or doubled whatever becomes of a commit. An attempt that logs nothing is not in here.
 */
export class LogBook {
  private readonly options: LogBookOptions;
  /** By lease token: attempts with lines that are not stored. */
  private readonly pending = new Map<number, Chunks>();
  private isDue = false;
  private cancel: (() => void) | null = null;
  /** Lines have waited long enough: a commit must come. */
  onDue: () => void = () => undefined;

  constructor(options: LogBookOptions) {
    this.options = options;
  }

  /** The log of an attempt: its lines go to the logger, and to the store. Never throws for what it is given. */
  open(attempt: LoggedAttempt): Log {
    const { lines, redactor, logger } = this.options;
    const { facts } = attempt;
    const chunks = lines === 0 ? null : new Chunks(attempt, lines);
    const at =
      (level: LogLevel) =>
      (message: unknown, data?: unknown): void => {
        const text = redactor.text(typeof message === 'string' ? message : asText(redactor.data(message)));
        const shown = lineData(redactor, data);
        logger[level](text, { ...shown, ...facts });
        if (chunks === null || attempt.done) return;
        chunks.add(this.options.now(), level, text, shown);
        this.pending.set(attempt.token, chunks);
        this.arm();
      };
    return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
  }

  /** What goes into a commit with these changes: all lines of attempts that they end, and of every other one if they are due. */
  take(runs: readonly { readonly changes: Changes }[]): LogWrite[] {
    const writes: LogWrite[] = [];
    if (this.pending.size === 0) return writes;
    const ending = new Set<number>();
    for (const { changes } of runs) {
      for (const { from } of changes.tasks) if (from?.status === 'running' && from.lease !== null) ending.add(from.lease.token);
    }
    for (const [token, chunks] of this.pending) {
      if (!this.isDue && !ending.has(token)) continue;
      const taken = chunks.take(this.options.now(), ending.has(token));
      // A lost attempt that had dropped lines has nothing to say any more.
      if (taken.length === 0 && chunks.attempt.done) this.pending.delete(token);
      writes.push(...taken);
    }
    this.isDue = false;
    if (this.pending.size > 0) this.arm();
    return writes;
  }

  /** What became of them: what was refused, the store has already, or the attempt has lost its task. */
  stored(writes: readonly LogWrite[]): void {
    for (const write of writes) {
      const chunks = this.pending.get(write.token);
      if (chunks?.stored(write) === true) this.pending.delete(write.token);
    }
  }

  close(): void {
    this.cancel?.();
    this.pending.clear();
  }

  private arm(): void {
    this.cancel ??= this.options.timer(FLUSH_MS, () => {
      this.cancel = null;
      if (this.pending.size === 0) return;
      this.isDue = true;
      this.onDue();
    });
  }
}

/** The lines of one claim: those that wait, and those that are in a commit whose outcome is not known yet. */
class Chunks {
  readonly attempt: LoggedAttempt;
  private readonly limit: number;
  private lines: string[] = [];
  private taken: LogWrite[] = [];
  private kept = 0;
  private dropped = 0;
  private next: number;

  constructor(attempt: LoggedAttempt, limit: number) {
    this.attempt = attempt;
    this.limit = limit;
    this.next = attempt.task.handBacks * CHUNKS;
  }

  add(at: number, level: LogLevel, message: string, data: Readonly<Record<string, unknown>> | undefined): void {
    if (this.kept >= this.limit) {
      this.dropped++;
      return;
    }
    this.kept++;
    const fitting = data === undefined ? '' : `,${fit(data)}`;
    this.lines.push(`[${at},"${level}",${JSON.stringify(clip(message, MESSAGE_BYTES))}${fitting}]`);
  }

  take(at: number, isLast: boolean): readonly LogWrite[] {
    if (isLast && this.dropped > 0) {
      const notice = `${this.dropped} more lines were dropped: an attempt keeps ${this.limit}`;
      this.lines.push(JSON.stringify([at, 'warn', notice, { dropped: this.dropped }]));
      this.dropped = 0;
    }
    if (this.lines.length > 0) {
      const { key, token, task } = this.attempt;
      const { generation, attempt } = task;
      this.taken.push({ ...key, generation, attempt, token, chunk: this.next++, lines: `[${this.lines.join(',')}]` });
      this.lines = [];
    }
    return this.taken;
  }

  /** True where nothing is left. */
  stored({ chunk }: LogWrite): boolean {
    this.taken = this.taken.filter((one) => one.chunk !== chunk);
    return this.taken.length === 0 && this.lines.length === 0;
  }
}

const asText = (value: unknown): string => (typeof value === 'string' ? value : (JSON.stringify(value) ?? 'undefined'));

/** As JSON of at most so many bytes: entry by entry, as far as there is room; a long text is clipped. */
function fit(data: Readonly<Record<string, unknown>>): string {
  const whole = JSON.stringify(data);
  if (isWithin(whole, DATA_BYTES)) return whole;
  const parts: string[] = [];
  let room = DATA_BYTES - 64;
  let left = 0;
  for (const [key, value] of Object.entries(data)) {
    const name = `${JSON.stringify(key)}:`;
    const text = JSON.stringify(value) ?? 'null';
    const spare = room - bytesOf(name) - 1;
    // why: a character of a text takes up to six bytes of JSON
    const part = isWithin(text, spare)
      ? text
      : typeof value === 'string' && spare > 64
        ? JSON.stringify(clip(value, Math.floor(spare / 6)))
        : null;
    if (part === null) left++;
    else {
      parts.push(name + part);
      room = spare - bytesOf(part);
    }
  }
  if (left > 0) parts.push(`"…":"${left} entries did not fit"`);
  return `{${parts.join(',')}}`;
}

/** Bytes of a text in UTF-8. */
function bytesOf(text: string): number {
  let bytes = 0;
  for (let i = 0; i < text.length; i++) bytes += widthAt(text, i);
  return bytes;
}

/** A surrogate counts half of the four bytes of its pair. */
function widthAt(text: string, i: number): number {
  const unit = text.charCodeAt(i);
  if (unit < 0x80) return 1;
  return unit < 0x800 || (unit >= 0xd800 && unit < 0xe000) ? 2 : 3;
}

function isWithin(text: string, bytes: number): boolean {
  return text.length * 3 <= bytes || (text.length <= bytes && bytesOf(text) <= bytes);
}

/** At most so many bytes, with a mark where something is missing. */
function clip(text: string, bytes: number): string {
  if (isWithin(text, bytes)) return text;
  let room = bytes - 3;
  let end = 0;
  while (room >= widthAt(text, end)) room -= widthAt(text, end++);
  return `${text.slice(0, end).toWellFormed()}…`;
}
