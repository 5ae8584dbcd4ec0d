import type { PawlError } from '../core/errors.ts';
import type { Ctx, Log } from '../core/types/types.ts';
import type { Attempt, AttemptHost, Progress } from './attempt.ts';
import { Records } from './records.ts';
import type { Leaving } from './suspend.ts';

/** What a body is given beside its input. Everything is made when it is asked for: most bodies use little of it. May be destructured. */
export class BodyContext implements Ctx {
  readonly attempt: number;
  declare readonly traceparent?: string;
  declare readonly dueAt?: Date;
  private readonly of: Attempt;
  private readonly host: AttemptHost;
  private kept: Records | null = null;

  constructor(attempt: Attempt, host: AttemptHost) {
    this.attempt = attempt.task.attempt;
    this.of = attempt;
    this.host = host;
    if (attempt.traceparent !== null) this.traceparent = attempt.traceparent;
    if (attempt.dueAt !== null) this.dueAt = new Date(attempt.dueAt);
  }

  get runId(): string {
    return this.of.runId;
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

  get now(): Ctx['now'] {
    return () => new Date(this.host.now());
  }

  get log(): Log {
    return this.of.log;
  }

  get step(): Ctx['step'] {
    const { records } = this;
    return (name, fn) => records.step(name, fn);
  }

  get sleep(): Ctx['sleep'] {
    const { records } = this;
    return (name, time) => records.sleep(name, time);
  }

  get wait(): Ctx['wait'] {
    const { records } = this;
    return (name, signal, options) => records.wait(name, signal, options);
  }

  get run(): Ctx['run'] {
    const { records } = this;
    return ((name: string, target: unknown, input: unknown) => records.run(name, target, input)) as unknown as Ctx['run'];
  }

  get all(): Ctx['all'] {
    const { records } = this;
    return ((calls: readonly unknown[], options?: { settle?: boolean }) => records.all(calls, options)) as unknown as Ctx['all'];
  }

  get restart(): Ctx['restart'] {
    const { records } = this;
    return (input) => records.restart(input);
  }

  private get records(): Records {
    return (this.kept ??= new Records(this.of, this.host));
  }

  /** What the body was told to leave for; null where it was not. */
  get leaving(): Leaving | null {
    return this.kept?.leaving ?? null;
  }

  /** Whether a run that the body called has failed, in part at least. */
  get isPartial(): boolean {
    return this.kept?.isPartial === true;
  }

  /** A call that nobody awaited; null where there is none. */
  get forgotten(): PawlError | null {
    return this.kept?.forgotten ?? null;
  }

  isSuspension(error: unknown): boolean {
    return this.kept?.isSuspension(error) === true;
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
