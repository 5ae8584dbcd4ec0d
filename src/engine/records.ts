import { callSite, inParens } from '../core/define/call-site.ts';
import { canonical, decode, encode } from '../core/values/codec.ts';
import { durationMs } from '../core/duration.ts';
import { LAST_INSTANT, type Duration } from '../core/duration-text.ts';
import { PawlError } from '../core/errors.ts';
import { shown } from '../core/graph/problems.ts';
import { isSignal } from '../core/define/signal.ts';
import { contractOf } from '../core/kernel/turn.ts';
import type { Settled, Signal } from '../core/types/types.ts';
import { keyProblem, openedOf, readRecord, type BodyWait, type WaitRecord } from '../core/kernel/waits.ts';
import type { StepRecord } from '../store/store.ts';
import type { Attempt, AttemptHost } from './attempt.ts';
import { CallFailed, CallPromise } from './called.ts';
import { BodyRecords } from './record-cache.ts';
import { insideStep, stepAround } from './inside-step.ts';
import { Suspension, type Leaving } from './suspend.ts';

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
  private records: Promise<BodyRecords> | null = null;
  private loaded: BodyRecords | null = null;
  /** Calls that nobody awaits. */
  private readonly untaken = new Set<Name>();

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
    return this.taken(
      name,
      this.suspension.during(() => this.runStep(name, fn)),
    );
  }

  private async runStep<T>(name: Name, fn: () => Promise<T> | T): Promise<T> {
    const key = this.claim(name);
    const record = await this.find(name, key, 'step', null);
    if (record !== undefined) return decode(record.value) as T;
    const text = encode(await insideStep(this, key, fn), { maxBytes: this.host.maxPayload, root: `step ${key}` }) ?? null;
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
    return this.call('sleep', name, async () => {
      const now = this.host.now();
      const at = time instanceof Date ? time.getTime() : now + durationMs(time, 'ctx.sleep');
      if (Number.isNaN(at)) throw new PawlError('CONFIG_DURATION', `ctx.sleep of ${this.where()}: the Date is not valid.`);
      const args = ['sleep', time instanceof Date ? time.getTime() : durationMs(time, 'ctx.sleep'), time instanceof Date];
      const dueAt = Math.min(LAST_INSTANT, Math.max(0, at));
      await this.wakeUp(await this.prepare(name, this.claim(name), args, (key) => ({ kind: 'time', name: key, since: now, dueAt })));
    });
  }

  wait<I, O>(name: Name, signal: Signal<I, O>, options: { key?: string; timeout?: Duration } = {}): Promise<O> {
    return this.call('wait', name, async () => {
      const { key = null, timeout } = options;
      if (!isSignal(signal)) throw new PawlError('CONFIG_OPTION', `ctx.wait of ${this.where()} takes a signal, not ${shown(signal)}.`);
      const problem = key === null ? null : keyProblem(key);
      if (problem !== null) throw new PawlError('CONFIG_OPTION', `ctx.wait of ${this.where()}: key ${problem}.`);
      const ms = timeout === undefined ? null : durationMs(timeout, 'ctx.wait: timeout');
      const now = this.host.now();
      const dueAt = ms === null ? null : Math.min(LAST_INSTANT, now + ms);
      const made = await this.prepare(name, this.claim(name), ['wait', signal.name, key, ms], (of) => {
        return { kind: 'signal', name: of, signal: signal.name, key, filtered: false, since: now, dueAt };
      });
      return (await this.wakeUp(made)) as O;
    });
  }

  /** The run of a task or workflow: what it gave. Throws how it failed. */
  run(name: Name, target: unknown, input: unknown): Promise<unknown> {
    const again = this.madeBefore(name, target, input);
    const called =
      again ?? this.call('run', name, async () => this.wakeUp(await this.prepareRun(name, this.claim(name), [target, input], null)));
    return this.taken(name, called);
  }

  /** Of most calls of a long loop it is known what they came to, and that they need no rest: each pass makes all of them again. */
  private madeBefore(name: Name, target: unknown, input: unknown): Promise<unknown> | null {
    const key = recordKey(name);
    const call = this.loaded?.made(key);
    if (call === undefined || call.target !== target || !call.record.alone || this.used.has(key)) return null;
    if (call.given !== given(input) || stepAround(this) !== null || !this.suspension.answersAtOnce()) return null;
    this.used.add(key);
    return new Promise((resolve) => resolve(this.outcome(name, call.record)));
  }

  /** Nothing is called before all of it may be; it is woken once, when the last has ended. */
  all(calls: readonly unknown[], options: { readonly settle?: boolean } = {}): Promise<unknown[]> {
    const name = Array.isArray(calls) && isCall(calls[0]) ? calls[0][0] : 'ctx.all';
    return this.taken(
      name,
      this.call('all', name, () => this.callAll(calls, options)),
    );
  }

  private async callAll(calls: readonly unknown[], options: { readonly settle?: boolean }): Promise<unknown[]> {
    const list = this.callsOf(calls, options);
    const [first] = list;
    if (first === undefined) return [];
    const keys = list.map(([name]) => this.claim(name));
    const group = JSON.stringify([first[0]]);
    const made = await Promise.all(list.map(([name, ...args], i) => this.prepareRun(name, keys[i] ?? '', args, group)));
    const open = made.filter(({ known }) => known === null || known.done === null);
    const done = open.length > 0 ? null : Math.max(...made.map(({ known }) => known?.done ?? 0));
    await this.suspension.park(
      open.map(({ wait }) => wait),
      done,
      made.every(({ known }) => known?.alone === true),
    );
    return options.settle === true ? made.map((one) => this.settled(one)) : made.map(({ name, known }) => this.outcome(name, known));
  }

  private callsOf(calls: readonly unknown[], options: { readonly settle?: boolean }): CallArgs[] {
    const all = `ctx.all of ${this.where()}`;
    if (!Array.isArray(calls)) throw new PawlError('CONFIG_OPTION', `${all} takes a list of calls, not ${shown(calls)}.`);
    for (const [key, value] of Object.entries(options)) {
      if (key !== 'settle' || typeof value !== 'boolean') throw new PawlError('CONFIG_OPTION', `${all} takes settle: true, not ${key}.`);
    }
    return (calls as unknown[]).map((call) => {
      if (isCall(call)) return call;
      throw new PawlError('CONFIG_OPTION', `${all} takes calls, [name, task or workflow, input] each; not ${shown(call)}.`);
    });
  }

  restart(input: unknown): Promise<never> {
    const called = this.call('restart', 'ctx.restart', async () => {
      const text = encode(input, { maxBytes: this.host.maxPayload, root: 'input' }) ?? null;
      return this.suspension.leave({ kind: 'restart', input: text });
    });
    return this.taken('ctx.restart', called);
  }

  /** What the body ended without, though it should have waited for it; null where there is nothing. */
  get forgotten(): PawlError | null {
    const [name] = this.untaken;
    if (name === undefined) return null;
    return new PawlError('STEP_NOT_AWAITED', `${JSON.stringify(name)} of ${this.where()} was called, and nobody waited for it.`);
  }

  private taken<T>(name: Name, work: Promise<T>): Promise<T> {
    this.untaken.add(name);
    return CallPromise.of(work, () => void this.untaken.delete(name));
  }

  /** A call for which the body may leave. */
  private call<T>(kind: string, name: Name, work: () => Promise<T>): Promise<T> {
    return this.suspension.during(async () => {
      this.refuseUnsafe(`ctx.${kind}`);
      const step = stepAround(this);
      if (step === null) return work();
      const what = `ctx.${kind}(${JSON.stringify(name)}) of ${this.where()}`;
      throw new PawlError('STEP_NESTED', `${what} is called from inside the step ${JSON.stringify(step)}${inParens(callSite())}.`);
    });
  }

  private async prepareRun(name: Name, key: string, [target, input]: readonly unknown[], group: string | null): Promise<Prepared> {
    const called = await this.host.callable(target, input);
    if ('problem' in called) throw new PawlError(called.code, `ctx.run of ${this.where()}: ${called.problem}`);
    const { workflow, input: text } = called;
    const make = (of: string): BodyWait['wait'] => ({ kind: 'child', name: of, workflow, group, since: this.host.now(), dueAt: null });
    const made = await this.prepare(name, key, ['run', workflow, text], make, text);
    const { known } = made;
    const asGiven = known?.alone === true && known.done !== null ? given(input) : null;
    if (known !== null && asGiven !== null) this.loaded?.note(key, { target, given: asGiven, record: known });
    return made;
  }

  /** The call as it is to be parked, with what is on record of it. */
  private async prepare(
    name: Name,
    key: string,
    args: readonly unknown[],
    make: (key: string) => BodyWait['wait'],
    input: string | null = null,
  ): Promise<Prepared> {
    const hash = this.host.digest(canonical(args)).slice(0, 32);
    const record = await this.find(name, key, String(args[0]), hash);
    const kept = record?.kind === 'kept' ? readRecord(record) : null;
    // why: of an earlier generation only what succeeded is taken as it is; the rest goes on, or is done anew where it asks for something else
    const known = record === undefined || (kept !== null && kept.result?.[0] !== 'ok') ? null : readRecord(record);
    const fresh = make(key);
    // What was opened in an earlier pass goes on: its time began then.
    const wait = known === null ? fresh : openedOf(fresh, known);
    const goesOn = kept !== null && known === null ? { goesOn: true as const } : {};
    return { name, known, wait: { wait, hash, isNew: known === null, ...(wait.kind === 'child' ? { input, ...goesOn } : {}) } };
  }

  /** Gives what the wait came to, now or in a later pass. */
  private async wakeUp(made: Prepared): Promise<unknown> {
    const { wait, known } = made;
    await this.suspension.park([wait], known?.done ?? null, known?.alone === true);
    return this.outcome(made.name, known);
  }

  private outcome(name: Name, known: WaitRecord | null): unknown {
    const result = known?.result;
    if (result?.[0] === 'failed') {
      this.isPartial = true;
      throw new CallFailed(result[1]);
    }
    if (result?.[2] === 'partial') this.isPartial = true;
    if (result?.[0] === 'timeout') {
      throw new PawlError('SIGNAL_TIMEOUT', `No message came in time for the wait ${JSON.stringify(name)} of ${this.where()}.`);
    }
    return result?.[1] == null ? undefined : decode(result[1]);
  }

  private settled(made: Prepared): Settled<unknown> {
    const result = made.known?.result;
    if (result?.[2] === 'skipped') return { status: 'skipped' };
    if (result?.[0] !== 'failed') return { status: 'success', value: this.outcome(made.name, made.known) };
    this.isPartial = true;
    const { code, message, details } = new CallFailed(result[1]);
    const { cause } = details;
    const error = { code: typeof cause === 'string' ? cause : code, message, attempts: 0 };
    return { status: code === 'RUN_CANCELLED' ? 'cancelled' : 'failed', error };
  }

  private claim(name: Name): string {
    const key = recordKey(name);
    if (this.used.has(key))
      throw new PawlError(
        'STEP_DUPLICATE',
        `The step ${JSON.stringify(name)} of ${this.where()} ran twice in one attempt${inParens(callSite())}.`,
      );
    this.used.add(key);
    if (this.used.size > MAX_RECORDS)
      throw new PawlError(
        'STEP_LIMIT',
        `The step ${JSON.stringify(name)} of ${this.where()} is one too many: a body may record ${MAX_RECORDS}.`,
      );
    return key;
  }

  private async find(name: Name, key: string, kind: string, hash: string | null): Promise<StepRecord | undefined> {
    const record = (await this.recorded()).records.get(key);
    if (record === undefined || (record.kind === 'kept' && (kind !== 'run' || record.hash !== hash))) return undefined;
    if (record.kind === 'kept') return record;
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
  private recorded(): Promise<BodyRecords> {
    const { begun, handBacks, generation, effect, resumed } = this.attempt.task;
    const fresh = begun <= 1 && handBacks === 0 && generation === 1 && resumed !== true;
    this.records ??= fresh
      ? Promise.resolve(new BodyRecords())
      : this.host
          .readRecords({ ...this.attempt.key, definition: this.attempt.known.stored.id, generation, effect })
          .then((records) => (this.loaded = records));
    return this.records;
  }
}

/** A call, and what is on record of it. */
interface Prepared {
  readonly name: Name;
  readonly wait: BodyWait;
  readonly known: WaitRecord | null;
}

/** Null where only a schema makes of it what can be stored. */
function given(input: unknown): string | undefined | null {
  try {
    return encode(input, { root: 'input' });
  } catch {
    return null;
  }
}

type CallArgs = readonly [name: Name, target: unknown, input?: unknown];

const isCall = (call: unknown): call is CallArgs => Array.isArray(call) && call.length >= 2 && call.length <= 3;

/** One text per name: lists, and strings that a database may not hold or that look like such a text, are written as JSON. */
function recordKey(name: Name): string {
  const isPlain = typeof name === 'string' && name.isWellFormed() && !name.includes('\0') && !/^["[]/.test(name);
  return isPlain ? name : JSON.stringify(name);
}
