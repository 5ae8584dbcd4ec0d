import { runIdText } from '../core/ids.ts';
import { clone, encode } from '../core/values/codec.ts';
import { errorRecord, isPawlError, NonRetryableError, PawlError, RetryAfterError } from '../core/errors.ts';
import type { TimeoutData } from '../core/graph/graph.ts';
import { matchRule, type FailureFacts } from '../core/kernel/retry.ts';
import type { RunningTask } from '../core/kernel/run-state.ts';
import { validate, type Schema, type Validated } from '../core/values/schema.ts';
import type { Ctx, Log, NodeCode } from '../core/types/types.ts';
import { CallFailed } from './called.ts';
import { contractOf, type Outcome } from '../core/kernel/turn.ts';
import type { Redactor } from '../core/log.ts';
import type { StepWrite, TaskKey } from '../store/store.ts';
import type { BodyRecords, BodyTurn } from './record-cache.ts';
import { BodyContext } from './context.ts';
import { swallowed, type Leaving } from './suspend.ts';
import type { AnyBody, Known, RunnableCode } from './registry.ts';

/** What an attempt needs of the engine that runs it. */
export interface AttemptHost {
  now(): number;
  readonly redactor: Redactor;
  readonly maxPayload: number;
  readonly graceMs: number;
  timer(ms: number, fn: () => void): () => void;
  turn(fn: () => void): void;
  digest(text: string): string;
  recordStep(step: StepWrite): Promise<boolean>;
  readRecords(of: BodyTurn): Promise<BodyRecords>;
  settle(attempt: Attempt, outcome: Outcome): void;
  /** What the engine makes of an error about which neither the error itself nor a rule of the task has decided. */
  classify(attempt: Attempt, error: unknown): FailureFacts;
  log(attempt: Attempt): Log;
  progressed(attempt: Attempt, progress: Progress): void;
  /** What `ctx.run` is to run, with its input as the codec stores it. */
  callable(target: unknown, input: unknown): Promise<Callable>;
  /** Calls a body. */
  invoke(attempt: Attempt, body: AnyBody, input: unknown, ctx: Ctx): unknown;
}

export type Callable =
  | { readonly workflow: string; readonly input: string | null }
  | { readonly problem: string; readonly code: 'RUN_UNKNOWN_WORKFLOW' | 'RUN_INPUT_INVALID' };

export type Progress = number | { readonly done: number; readonly of: number; readonly note?: string };

/** How long a slot has gone on with one run without looking at the queue. */
export interface Chain {
  readonly length: number;
  readonly since: number;
}

/** A predicate may take so long. */
const EVALUATION_MS = 10_000;

/** Mistakes of a body: another attempt would make them again. */
const FOR_GOOD = [
  'STEP_DUPLICATE',
  'STEP_CHANGED',
  'STEP_LIMIT',
  'STEP_NESTED',
  'STEP_NOT_AWAITED',
  'STEP_SWALLOWED',
  'TASK_UNSAFE_WAITS',
] as const;

type TimeoutReason = 'timeout' | 'heartbeat_timeout' | 'total_timeout';

/** One claim of a task in this process, from its commit to its settlement. */
export class Attempt {
  readonly run: number;
  readonly task: RunningTask;
  readonly known: Known;
  readonly chain: Chain;
  readonly token: number;
  private readonly uid: Uint8Array;
  /** The item's key, where the map names its items. */
  itemKey: string | null = null;
  /** Its place among the worker's slots. */
  slot = -1;
  private readonly host: AttemptHost;
  readonly traceparent: string | null;
  readonly dueAt: number | null;
  private controller: AbortController | null = null;
  private abortReason: DOMException | null = null;
  private lastBeat: number;
  private overdue: TimeoutReason | null = null;
  private isDone = false;
  private isInterrupted = false;
  private cancelGrace: (() => void) | null = null;
  private opened: Log | null = null;
  /** Set once a body has begun: before that nothing can have had an effect. */
  began = false;

  constructor(
    host: AttemptHost,
    at: { run: number; uid: Uint8Array; task: RunningTask; known: Known; chain: Chain; traceparent: string | null; dueAt: number | null },
  ) {
    this.host = host;
    this.run = at.run;
    this.uid = at.uid;
    this.task = at.task;
    this.known = at.known;
    this.chain = at.chain;
    this.traceparent = at.traceparent;
    this.dueAt = at.dueAt;
    this.token = at.task.lease?.token ?? 0;
    this.lastBeat = at.task.startedAt;
  }

  get runId(): string {
    return runIdText(this.uid);
  }

  get id(): string {
    return this.known.compiled.nodes[this.task.node]?.id ?? '';
  }

  /** Made when a body asks for it; aborted at once where the attempt was before. */
  get signal(): AbortSignal {
    if (this.controller === null) {
      this.controller = new AbortController();
      if (this.abortReason !== null) this.controller.abort(this.abortReason);
    }
    return this.controller.signal;
  }

  /** Made when a body asks for it. */
  get log(): Log {
    return (this.opened ??= this.host.log(this));
  }

  private abort(reason: DOMException): void {
    this.abortReason ??= reason;
    this.controller?.abort(reason);
  }

  /** The body says that it is alive. */
  beat(): void {
    this.lastBeat = this.host.now();
  }

  get done(): boolean {
    return this.isDone;
  }

  get key(): TaskKey {
    return { run: this.run, node: this.task.node, item: this.task.item };
  }

  get facts(): Readonly<Record<string, unknown>> {
    const { item, attempt } = this.task;
    return {
      run: this.runId,
      task: this.id,
      ...(item < 0 ? {} : { item }),
      attempt,
      ...(this.traceparent === null ? {} : { traceparent: this.traceparent }),
    };
  }

  /** The next instant at which this attempt may be overdue. */
  deadline(): number {
    const { timeout, startedAt } = this.limits();
    const attemptEnd = startedAt - this.task.ranMs + timeout.attemptMs;
    const totalEnd = timeout.totalMs === undefined ? Infinity : this.task.firstQueuedAt + timeout.totalMs;
    const beatEnd = timeout.heartbeatMs === undefined ? Infinity : this.lastBeat + timeout.heartbeatMs;
    return this.overdue === null ? Math.min(attemptEnd, totalEnd, beatEnd) : Infinity;
  }

  private limits(): { timeout: TimeoutData; startedAt: number } {
    const node = this.known.compiled.nodes[this.task.node];
    const contract = node === undefined ? null : contractOf(node);
    const timeout = this.task.phase === 'evaluate' || contract === null ? { attemptMs: EVALUATION_MS } : contract.timeout;
    return { timeout, startedAt: this.task.startedAt };
  }

  /** Ends the attempt if it is overdue: abort signal, then the grace, then `timeout`, whatever the body does. */
  checkDeadline(now: number): void {
    if (this.isDone || this.overdue !== null || this.deadline() > now) return;
    const { timeout } = this.limits();
    const total = timeout.totalMs !== undefined && this.task.firstQueuedAt + timeout.totalMs <= now;
    const beat = timeout.heartbeatMs !== undefined && this.lastBeat + timeout.heartbeatMs <= now;
    this.overdue = total ? 'total_timeout' : beat ? 'heartbeat_timeout' : 'timeout';
    this.abort(new DOMException(`The attempt was ended: ${this.overdue}.`, 'TimeoutError'));
    // A predicate has no signal to heed.
    if (this.task.phase === 'evaluate') this.finish({ kind: 'lost', crashed: false });
    if (!this.isDone) this.cancelGrace = this.host.timer(this.host.graceMs, () => this.finish({ kind: 'lost', crashed: false }));
  }

  /** The task is no longer this attempt's: cancelled, reclaimed, or the process lost its lease. Nothing is reported any more. */
  revoke(why: string): void {
    if (this.isDone) return;
    this.isDone = true;
    this.cancelGrace?.();
    this.abort(new DOMException(why, 'AbortError'));
  }

  /** The worker drains: the body gets the abort signal. */
  interrupt(): void {
    if (this.isDone) return;
    this.isInterrupted = true;
    this.abort(new DOMException('The worker is shutting down.', 'AbortError'));
  }

  /** Hands the task back unfinished. */
  release(now: number): void {
    this.finish({ kind: 'released', began: this.began, ranMs: now - this.task.startedAt });
  }

  private finish(outcome: Outcome): void {
    if (this.isDone) return;
    this.isDone = true;
    this.cancelGrace?.();
    const overdue = this.overdue;
    if (overdue === null || outcome.kind === 'released') this.host.settle(this, outcome);
    else
      this.host.settle(this, {
        kind: 'timeout',
        reason: overdue,
        error: JSON.stringify({ name: 'TimeoutError', code: overdue, message: timeoutText(overdue) }),
      });
  }

  /** Runs the predicate or the body over `input`; every way out is an outcome. */
  execute(input: unknown): void {
    const code = this.known.code[this.task.node];
    if (this.isDone) return;
    if (code === undefined) {
      this.release(this.host.now());
      return;
    }
    this.began = true;
    if (this.task.phase === 'evaluate') this.follow(this.evaluate(code, input));
    else if (code.input === undefined) this.runBody(code, input);
    else void this.checkInput(code, code.input, input);
  }

  /** Whatever went wrong in a check is an outcome too. */
  private follow(outcome: Promise<Outcome>): void {
    outcome.then(
      (one) => this.finish(one),
      (error: unknown) => this.finish({ kind: 'error', error: this.recordText(error), facts: {} }),
    );
  }

  /** The input could not be put together: the run's own data is at fault. */
  refuse(error: unknown): void {
    this.finish({ kind: 'refused', reason: 'definition_error', error: this.recordText(error) });
  }

  private async evaluate(code: RunnableCode, input: unknown): Promise<Outcome> {
    try {
      if (code.workflow !== undefined) return await this.childInput(code, input);
      const verdict = code.cases === undefined ? await asks(code.when, input) : await firstCase(code.cases, input);
      return { kind: 'verdict', verdict };
    } catch (error) {
      return { kind: 'refused', reason: 'definition_error', error: this.recordText(error) };
    }
  }

  /** The predicate of a child run, then its input as its workflow's schema leaves it. Of a map the items have no predicate of their own. */
  private async childInput(code: RunnableCode, given: unknown): Promise<Outcome> {
    const isItem = this.task.item >= 0;
    if (code.when !== undefined && !isItem && !(await asks(code.when, given))) return { kind: 'verdict', verdict: false };
    const isMap = this.known.compiled.nodes[this.task.node]?.task.kind === 'map' && !isItem;
    if (code.input === undefined || isMap) return { kind: 'verdict', verdict: true };
    const result = await checkedBy(code.input, given);
    if (!result.ok) return { kind: 'refused', reason: 'error', error: this.issuesText('INPUT_INVALID', 'input', result) };
    return { kind: 'verdict', verdict: true, input: encode(result.value, { maxBytes: this.host.maxPayload, root: 'input' }) ?? null };
  }

  private async checkInput(code: RunnableCode, schema: NonNullable<RunnableCode['input']>, given: unknown): Promise<void> {
    try {
      const checked = checkedBy(schema, given);
      const result = checked instanceof Promise ? await checked : checked;
      if (result.ok) this.runBody(code, result.value);
      else this.finish({ kind: 'refused', reason: 'error', error: this.issuesText('INPUT_INVALID', 'input', result) });
    } catch (error) {
      this.finish({ kind: 'error', error: this.recordText(error), facts: {} });
    }
  }

  /** why: no async function: of the promises between a body's end and its settlement each task pays for each. */
  private runBody(code: RunnableCode, input: unknown): void {
    const context = new BodyContext(this, this.host);
    let returned: unknown;
    try {
      returned = this.host.invoke(this, code.body ?? noBody, input, context);
    } catch (error) {
      queueMicrotask(() => this.conclude(() => this.threw(code, context, error)));
      return;
    }
    Promise.resolve(returned).then(
      (value) => this.conclude(() => this.returned(code, context, value)),
      (error: unknown) => this.conclude(() => this.threw(code, context, error)),
    );
  }

  private conclude(outcomeOf: () => Outcome | Promise<Outcome>): void {
    let outcome: Outcome | Promise<Outcome>;
    try {
      outcome = outcomeOf();
    } catch (error) {
      outcome = { kind: 'error', error: this.recordText(error), facts: {} };
    }
    if (outcome instanceof Promise) this.follow(outcome);
    else this.finish(outcome);
  }

  private threw(code: RunnableCode, context: BodyContext, error: unknown): Outcome {
    if (this.isCutShort(error)) return { kind: 'released', began: true, ranMs: this.host.now() - this.task.startedAt };
    if (context.leaving === null) return this.failure(code, error);
    return context.isSuspension(error) ? context.leaving : this.swallow(code, context.leaving);
  }

  private returned(code: RunnableCode, context: BodyContext, value: unknown): Outcome | Promise<Outcome> {
    if (context.leaving !== null) return this.swallow(code, context.leaving);
    const { forgotten } = context;
    return forgotten === null ? this.output(code, value, context.isPartial) : this.failure(code, forgotten);
  }

  /** It heeded the abort signal of a worker that drains: it is unfinished, and has not failed. */
  private isCutShort(error: unknown): boolean {
    return this.isInterrupted && this.overdue === null && errorRecord(error).name === 'AbortError';
  }

  private output(code: RunnableCode, returned: unknown, isPartial: boolean): Outcome | Promise<Outcome> {
    if (code.output === undefined) return this.stored(returned, isPartial);
    const checked = checkedBy(code.output, returned);
    return checked instanceof Promise ? checked.then((result) => this.valid(result, isPartial)) : this.valid(checked, isPartial);
  }

  private valid(result: Validated, isPartial: boolean): Outcome {
    if (result.ok) return this.stored(result.value, isPartial);
    return { kind: 'refused', reason: 'output_invalid', error: this.issuesText('OUTPUT_INVALID', 'output', result) };
  }

  private stored(value: unknown, isPartial: boolean): Outcome {
    try {
      const output = encode(value, { maxBytes: this.host.maxPayload, root: 'output' }) ?? null;
      return isPartial ? { kind: 'ok', output, partial: true } : { kind: 'ok', output };
    } catch (error) {
      const reason = isPawlError(error, 'PAYLOAD_TOO_LARGE') ? 'output_too_large' : 'not_storable';
      return { kind: 'refused', reason, error: this.recordText(error) };
    }
  }

  /** The body was told to leave and did something else: what it did after that rests on nothing. */
  private swallow(code: RunnableCode, leaving: Leaving): Outcome {
    return this.failure(code, swallowed(leaving, `task "${this.id}" of run ${this.runId}`));
  }

  private failure(code: RunnableCode, error: unknown): Outcome {
    const record = errorRecord(error);
    const node = this.known.compiled.nodes[this.task.node];
    const rules = node === undefined ? [] : (contractOf(node)?.retry.on ?? []);
    const rule = matchRule(rules, record, (i) => holds(code.rules[i], error));
    const facts: FailureFacts = {
      ...(rule === undefined ? {} : { rule }),
      ...(error instanceof NonRetryableError || error instanceof CallFailed || isPawlError(error, ...FOR_GOOD)
        ? { nonRetryable: true }
        : {}),
      ...(error instanceof RetryAfterError ? { retryAfterMs: Math.max(1, error.delayMs(this.host.now())) } : {}),
    };
    const decided = rule !== undefined || facts.nonRetryable === true || facts.retryAfterMs !== undefined;
    return { kind: 'error', error: this.recordText(error), facts: decided ? facts : this.host.classify(this, error) };
  }

  private recordText(error: unknown): string {
    return JSON.stringify(errorRecord(error, this.host.redactor));
  }

  private issuesText(code: string, what: string, result: Extract<Validated, { ok: false }>): string {
    const text = result.issues.map((issue) => `${what}${issue.path === '' ? '' : `.${issue.path}`}: ${issue.message}`).join('; ');
    return this.recordText({ name: 'ValidationError', code, message: text });
  }
}

async function asks(predicate: NodeCode['when'], input: unknown): Promise<boolean> {
  return Boolean(await (predicate as ((value: unknown) => unknown) | undefined)?.(input));
}

/** Each predicate gets the value as it was: none sees what another one did to it. */
async function firstCase(cases: NonNullable<NodeCode['cases']>, input: unknown): Promise<string | null> {
  for (const { name, test } of cases) if (await asks(test, clone(input))) return name;
  return null;
}

const noBody: AnyBody = () => {
  throw new PawlError('ENGINE_BROKEN', 'A task was claimed by a process that has no body for it.');
};

function checkedBy(schema: Schema, value: unknown): Validated | Promise<Validated> {
  return validate(schema, value);
}

function holds(predicate: ((error: unknown) => boolean) | null | undefined, error: unknown): boolean {
  try {
    return predicate?.(error) === true;
  } catch {
    return false;
  }
}

function timeoutText(reason: TimeoutReason): string {
  if (reason === 'heartbeat_timeout') return 'The body was silent for longer than its heartbeat timeout.';
  return reason === 'total_timeout' ? 'The total timeout of the task has passed.' : 'The attempt took longer than its timeout.';
}
