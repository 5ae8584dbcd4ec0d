import { decode, encode } from '../core/codec.ts';
import { PawlError } from '../core/errors.ts';
import type { Ctx, Log } from '../core/types.ts';
import type { StepRecord } from '../store/store.ts';
import type { Attempt, AttemptHost, Progress } from './attempt.ts';

/** At most so many steps in one generation of a task. */
const MAX_STEPS = 10_000;

/** What a body is given beside its input. Everything is made when it is asked for: most bodies use little of it. May be destructured. */
export class BodyContext implements Ctx {
  readonly runId: string;
  readonly attempt: number;
  declare readonly traceparent?: string;
  declare readonly dueAt?: Date;
  private readonly of: Attempt;
  private readonly host: AttemptHost;
  private kept: Steps | null = null;

  constructor(attempt: Attempt, host: AttemptHost) {
    this.runId = attempt.runId;
    this.attempt = attempt.task.attempt;
    this.of = attempt;
    this.host = host;
    if (attempt.traceparent !== null) this.traceparent = attempt.traceparent;
    if (attempt.dueAt !== null) this.dueAt = new Date(attempt.dueAt);
  }

  get task(): string {
    return this.of.id;
  }

  get signal(): AbortSignal {
    return this.of.signal;
  }

  get idempotencyKey(): string {
    const { item, effect } = this.of.task;
    // why: the effect number grows when a person edits the input or does over what succeeded, never by a retry
    return `${this.runId}:${this.of.id}${item < 0 ? '' : `:${this.of.itemKey ?? item}`}:${effect}`;
  }

  get deadline(): Date {
    return new Date(this.of.deadline());
  }

  get log(): Log {
    return this.of.log;
  }

  get step(): Ctx['step'] {
    const steps = (this.kept ??= new Steps(this.of, this.host));
    return (name, fn) => steps.step(name, fn);
  }

  get progress(): Ctx['progress'] {
    return (progress: Progress) => {
      this.of.beat();
      this.host.progressed(this.of, progress);
    };
  }

  get beat(): Ctx['beat'] {
    return () => this.of.beat();
  }
}

/** The records of one attempt's steps: addressed by name, read once recorded. */
class Steps {
  private readonly attempt: Attempt;
  private readonly host: AttemptHost;
  private readonly used = new Set<string>();
  private records: Promise<Map<string, StepRecord>> | null = null;

  constructor(attempt: Attempt, host: AttemptHost) {
    this.attempt = attempt;
    this.host = host;
  }

  async step<T>(name: string | readonly (string | number)[], fn: () => Promise<T> | T): Promise<T> {
    const key = stepKey(name);
    if (this.used.has(key))
      throw new PawlError('STEP_DUPLICATE', `The step ${JSON.stringify(name)} of ${this.where()} ran twice in one attempt.`);
    this.used.add(key);
    if (this.used.size > MAX_STEPS)
      throw new PawlError(
        'STEP_LIMIT',
        `The step ${JSON.stringify(name)} of ${this.where()} is one too many: a body may record ${MAX_STEPS}.`,
      );
    const record = (await this.recorded()).get(key);
    if (record !== undefined) {
      if (record.kind !== 'step')
        throw new PawlError(
          'STEP_CHANGED',
          `The record ${JSON.stringify(name)} of ${this.where()} was written by ctx.${record.kind}, and is now read by ctx.step.`,
        );
      return decode(record.value) as T;
    }
    const text = encode(await fn(), { maxBytes: this.host.maxPayload, root: `step ${key}` }) ?? null;
    const { generation } = this.attempt.task;
    const kept = await this.host.recordStep({
      ...this.attempt.key,
      generation,
      token: this.attempt.token,
      name: key,
      kind: 'step',
      value: text,
    });
    if (!kept)
      throw new PawlError(
        'STEP_LEASE_LOST',
        `The step ${JSON.stringify(name)} of ${this.where()} was not recorded: the task is no longer this attempt's.`,
      );
    return decode(text) as T;
  }

  private where(): string {
    const { id, runId, task } = this.attempt;
    return `${task.item < 0 ? '' : `item ${task.item} of `}task "${id}" of run ${runId}`;
  }

  /** A first attempt that was never interrupted has no records to read. */
  private recorded(): Promise<Map<string, StepRecord>> {
    const { begun, handBacks, generation } = this.attempt.task;
    const fresh = begun <= 1 && handBacks === 0 && generation === 1;
    this.records ??= fresh
      ? Promise.resolve(new Map())
      : this.host.readSteps(this.attempt.key).then((rows) => new Map(rows.map((row) => [row.name, row])));
    return this.records;
  }
}

/** One text per name: lists, and strings that a database may not hold or that look like such a text, are written as JSON. */
function stepKey(name: string | readonly (string | number)[]): string {
  const isPlain = typeof name === 'string' && name.isWellFormed() && !name.includes('\0') && !/^["[]/.test(name);
  return isPlain ? name : JSON.stringify(name);
}
