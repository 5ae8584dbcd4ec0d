import { canonical, decode, encode } from '../core/codec.ts';
import { durationMs } from '../core/duration.ts';
import { LAST_INSTANT, type Duration } from '../core/duration-text.ts';
import { PawlError } from '../core/errors.ts';
import { shown } from '../core/problems.ts';
import { isSignal } from '../core/signal.ts';
import { contractOf } from '../core/turn.ts';
import type { Signal } from '../core/types.ts';
import { keyProblem, openedOf, readRecord, type BodyWait } from '../core/waits.ts';
import type { StepRecord } from '../store/store.ts';
import type { Attempt, AttemptHost } from './attempt.ts';
import { Suspension, type Leaving } from './suspend.ts';

interface Failure {
  readonly code?: string;
  readonly message?: string;
  readonly run?: string;
  readonly rootCause?: unknown;
  /** Where it began. */
  readonly cause?: { readonly code?: string };
}

/** What a body called has failed. It stays failed for as long as the record is there: another attempt would meet the same. */
export class CallFailed extends PawlError {
  constructor(text: string) {
    const { code, message, run, rootCause, cause } = JSON.parse(text) as Failure;
    const details = { run, rootCause, cause: cause?.code ?? code };
    super(code === 'RUN_CANCELLED' ? code : 'RUN_FAILED', message ?? 'A run that the body called failed.', { details });
  }
}

/** At most so many records in one generation of a task. */
const MAX_RECORDS = 10_000;

type Name = string | readonly (string | number)[];

/** The records of one pass of a body: addressed by name, each used once in a pass, read once recorded. */
export class Records {
  private readonly attempt: Attempt;
  private readonly host: AttemptHost;
  private readonly used = new Set<string>();
  /** A run that the body called has failed in part or as a whole, and it went on: excused where the body itself succeeds (semantics, section 3). */
  isPartial = false;
  private readonly suspension: Suspension;
  private records: Promise<Map<string, StepRecord>> | null = null;

  constructor(attempt: Attempt, host: AttemptHost) {
    this.attempt = attempt;
    this.host = host;
    this.suspension = new Suspension((check) => host.turn(check), attempt);
  }

  /** What the body was told to leave for; null where it was not. */
  get leaving(): Leaving | null {
    return this.suspension.leaving;
  }

  isSuspension(error: unknown): boolean {
    return this.suspension.isSuspension(error);
  }

  step<T>(name: Name, fn: () => Promise<T> | T): Promise<T> {
    return this.suspension.during(() => this.runStep(name, fn));
  }

  private async runStep<T>(name: Name, fn: () => Promise<T> | T): Promise<T> {
    const key = this.claim(name);
    const record = await this.find(name, key, 'step', null);
    if (record !== undefined) return decode(record.value) as T;
    const text = encode(await fn(), { maxBytes: this.host.maxPayload, root: `step ${key}` }) ?? null;
    const { generation } = this.attempt.task;
    const write = { ...this.attempt.key, generation, token: this.attempt.token, name: key, kind: 'step', value: text };
    if (!(await this.host.recordStep(write)))
      throw new PawlError(
        'STEP_LEASE_LOST',
        `The step ${JSON.stringify(name)} of ${this.where()} was not recorded: the task is no longer this attempt's.`,
      );
    return decode(text) as T;
  }

  sleep(name: Name, time: Duration | Date): Promise<void> {
    return this.suspension.during(async () => {
      const now = this.host.now();
      const at = time instanceof Date ? time.getTime() : now + durationMs(time, 'ctx.sleep');
      if (Number.isNaN(at)) throw new PawlError('CONFIG_DURATION', `ctx.sleep of ${this.where()}: the Date is not valid.`);
      const args = ['sleep', time instanceof Date ? time.getTime() : durationMs(time, 'ctx.sleep'), time instanceof Date];
      const dueAt = Math.min(LAST_INSTANT, Math.max(0, at));
      await this.park(name, args, (key) => ({ kind: 'time', name: key, since: now, dueAt }));
    });
  }

  async wait<I, O>(name: Name, signal: Signal<I, O>, options: { key?: string; timeout?: Duration } = {}): Promise<O> {
    const data = await this.suspension.during(async () => {
      const { key = null, timeout } = options;
      if (!isSignal(signal)) throw new PawlError('CONFIG_OPTION', `ctx.wait of ${this.where()} takes a signal, not ${shown(signal)}.`);
      const problem = key === null ? null : keyProblem(key);
      if (problem !== null) throw new PawlError('CONFIG_OPTION', `ctx.wait of ${this.where()}: key ${problem}.`);
      const ms = timeout === undefined ? null : durationMs(timeout, 'ctx.wait: timeout');
      const now = this.host.now();
      const dueAt = ms === null ? null : Math.min(LAST_INSTANT, now + ms);
      return this.park(name, ['wait', signal.name, key, ms], (of) => {
        return { kind: 'signal', name: of, signal: signal.name, key, filtered: false, since: now, dueAt };
      });
    });
    return data as O;
  }

  /** The run of a task or workflow: what it gave. Throws how it failed. */
  run(name: Name, target: unknown, input: unknown, group: string | null = null): Promise<unknown> {
    return this.suspension.during(async () => {
      const called = await this.host.callable(target, input);
      if ('problem' in called) throw new PawlError(called.code, `ctx.run of ${this.where()}: ${called.problem}`);
      const { workflow, input: text } = called;
      const make = (key: string): BodyWait['wait'] => ({ kind: 'child', name: key, workflow, group, since: this.host.now(), dueAt: null });
      return this.park(name, ['run', workflow, text], make, text);
    });
  }

  async all(calls: readonly unknown[]): Promise<unknown[]> {
    if (!Array.isArray(calls))
      throw new PawlError('CONFIG_OPTION', `ctx.all of ${this.where()} takes a list of calls, not ${shown(calls)}.`);
    const list = (calls as unknown[]).map((call) => {
      if (!isCall(call))
        throw new PawlError(
          'CONFIG_OPTION',
          `ctx.all of ${this.where()} takes calls, [name, task or workflow, input] each; not ${shown(call)}.`,
        );
      return call;
    });
    const group = JSON.stringify(list.slice(0, 1).map(([name]) => name));
    const ended = await Promise.allSettled(list.map(async ([name, target, input]) => this.run(name, target, input, group)));
    const failures = ended.flatMap((one): unknown[] => (one.status === 'rejected' ? [one.reason] : []));
    if (failures.length > 0) throw failures.find((reason) => this.isSuspension(reason)) ?? failures[0];
    return ended.map((one) => (one.status === 'fulfilled' ? one.value : undefined));
  }

  restart(input: unknown): Promise<never> {
    return this.suspension.during(async () => {
      this.refuseUnsafe('ctx.restart');
      const text = encode(input, { maxBytes: this.host.maxPayload, root: 'input' }) ?? null;
      return this.suspension.leave({ kind: 'restart', input: text });
    });
  }

  /** Gives what the wait came to, now or in a later pass. */
  private async park(
    name: Name,
    args: readonly unknown[],
    make: (key: string) => BodyWait['wait'],
    input: string | null = null,
  ): Promise<unknown> {
    const kind = String(args[0]);
    this.refuseUnsafe(`ctx.${kind}`);
    const key = this.claim(name);
    const hash = this.host.digest(canonical(args)).slice(0, 32);
    const record = await this.find(name, key, kind, hash);
    const known = record === undefined ? null : readRecord(record);
    const fresh = make(key);
    // What was opened in an earlier pass goes on: its time began then.
    const wait = known?.opened == null ? fresh : openedOf(fresh, known.opened);
    await this.suspension.park({ wait, hash, isNew: known === null, ...(wait.kind === 'child' ? { input } : {}) }, known?.done ?? null);
    if (known?.result?.[0] === 'failed') {
      this.isPartial = true;
      throw new CallFailed(known.result[1]);
    }
    if (known?.result?.[2] === 'partial') this.isPartial = true;
    if (known?.result?.[0] === 'timeout') {
      throw new PawlError('SIGNAL_TIMEOUT', `No message came in time for the wait ${JSON.stringify(name)} of ${this.where()}.`);
    }
    return known?.result?.[1] == null ? undefined : decode(known.result[1]);
  }

  private claim(name: Name): string {
    const key = recordKey(name);
    if (this.used.has(key))
      throw new PawlError('STEP_DUPLICATE', `The step ${JSON.stringify(name)} of ${this.where()} ran twice in one attempt.`);
    this.used.add(key);
    if (this.used.size > MAX_RECORDS)
      throw new PawlError(
        'STEP_LIMIT',
        `The step ${JSON.stringify(name)} of ${this.where()} is one too many: a body may record ${MAX_RECORDS}.`,
      );
    return key;
  }

  private async find(name: Name, key: string, kind: string, hash: string | null): Promise<StepRecord | undefined> {
    const record = (await this.recorded()).get(key);
    if (record === undefined) return undefined;
    const now = `ctx.${kind}`;
    if (record.kind !== kind)
      throw new PawlError(
        'STEP_CHANGED',
        `The record ${JSON.stringify(name)} of ${this.where()} was written by ctx.${record.kind}, and is now read by ${now}.`,
      );
    if (record.hash !== hash)
      throw new PawlError(
        'STEP_CHANGED',
        `The record ${JSON.stringify(name)} of ${this.where()} was written by ${now} with other arguments.`,
        {
          fix: 'Give the same arguments in every pass: what depends on the time or on chance is made in a step.',
        },
      );
    return record;
  }

  private refuseUnsafe(call: string): void {
    const { known, task } = this.attempt;
    const node = known.compiled.nodes[task.node];
    if (node === undefined || contractOf(node)?.effects !== 'unsafe') return;
    throw new PawlError('TASK_UNSAFE_WAITS', `${call} of ${this.where()}: a body whose effects are unsafe may not wait.`);
  }

  private where(): string {
    const { id, runId, task } = this.attempt;
    return `${task.item < 0 ? '' : `item ${task.item} of `}task "${id}" of run ${runId}`;
  }

  /** A first attempt that was never interrupted has no records to read. */
  private recorded(): Promise<Map<string, StepRecord>> {
    const { begun, handBacks, generation, resumed } = this.attempt.task;
    const fresh = begun <= 1 && handBacks === 0 && generation === 1 && resumed !== true;
    this.records ??= fresh
      ? Promise.resolve(new Map())
      : this.host.readSteps(this.attempt.key).then((rows) => new Map(rows.map((row) => [row.name, row])));
    return this.records;
  }
}

type CallArgs = readonly [name: Name, target: unknown, input?: unknown];

const isCall = (call: unknown): call is CallArgs => Array.isArray(call) && call.length >= 2 && call.length <= 3;

/** One text per name: lists, and strings that a database may not hold or that look like such a text, are written as JSON. */
function recordKey(name: Name): string {
  const isPlain = typeof name === 'string' && name.isWellFormed() && !name.includes('\0') && !/^["[]/.test(name);
  return isPlain ? name : JSON.stringify(name);
}
