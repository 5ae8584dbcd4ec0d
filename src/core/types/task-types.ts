/** Types of tasks: their options, what their bodies get, how they end. */
import type { CallCtx } from './call-types.ts';
import type { Duration } from '../duration.ts';
import type { ContractData, Effects, OnLimit } from '../graph/graph.ts';
import type { Schema } from '../values/schema.ts';
import type { WaitCtx } from './wait-types.ts';
import type { StorableFn } from './ref-types.ts';

// ---- tasks --------------------------------------------------------------------------------------------------------------------------

export interface RetryRule {
  /** An error's code or name, or a predicate, asked in the worker at each failure. */
  readonly match: string | ((error: unknown) => boolean);
  /** Needed unless `action` is 'fail'. */
  readonly retries?: number;
  readonly initial?: Duration;
  readonly factor?: number;
  readonly maxDelay?: Duration;
  readonly action?: 'retry' | 'fail';
}

export interface Retry {
  /** Counts the first attempt. Default 3; 1 for effects 'unsafe'. */
  readonly maxAttempts?: number;
  readonly initial?: Duration;
  readonly factor?: number;
  readonly maxDelay?: Duration;
  readonly jitter?: 'none' | 'full' | 'equal';
  readonly maxElapsed?: Duration;
  /** The first rule that matches decides, on its own `retries`; `maxAttempts`, where given too, caps the sum. */
  readonly on?: readonly RetryRule[];
}

export interface Timeouts {
  readonly queue?: Duration;
  /** Of one attempt. Default 10 minutes. */
  readonly attempt?: Duration;
  /** The longest time between two calls of `ctx.beat` or `ctx.progress`. */
  readonly heartbeat?: Duration;
  readonly total?: Duration;
}

/** The contract's options. A bare `timeout` is that of an attempt. */
export interface TaskOpts {
  readonly retry?: Retry;
  readonly timeout?: Duration | Timeouts;
  /** What running the body again means. Default 'idempotent'. */
  readonly effects?: Effects;
  /** Higher goes first: one unit is worth a minute of waiting. Default 0. */
  readonly priority?: number;
  /** Only workers that serve it run the task. Default 'default'. */
  readonly queue?: string;
  /** Units of pools that an attempt holds while it runs; each pool is declared by the engine's `limits`. */
  readonly pools?: Readonly<Record<string, number>>;
  /** Attempts of this task at the same time, over all processes; or of everything with the same key. */
  readonly concurrency?: number | KeyLimit;
  /** Starts per second, minute or hour, as a token bucket that holds so many: '10/s'. Or the name of a rate in the engine's `limits`. */
  readonly rate?: string;
  /**
   * Outputs are kept for `ttl`, over all runs: a task with the same contract and an equal input ends at once with what was kept, without an
   * attempt. Needs `effects: 'none'`. A redrive or rerun by a person reads nothing from the cache.
   */
  readonly cache?: { readonly ttl: Duration };
}

/** How much of one key may run at the same time, in all processes together. */
export interface KeyLimit<K = string> {
  /** The same key anywhere is the same one. Default: the task's, or the workflow's, own. */
  readonly key?: K;
  readonly limit: number;
  /**
   * What happens beyond the limit: 'queue' (default) waits; 'cancel_new' and 'fail' end what comes, as `key_limit`; 'cancel_old' cancels what
   * has run longest.
   */
  readonly onLimit?: OnLimit;
  /** 'serial': strictly in the order in which they were queued, whatever their priority; one that waits for a retry keeps its turn. */
  readonly order?: 'serial';
}

export interface Log {
  debug(message: string, data?: object): void;
  info(message: string, data?: object): void;
  warn(message: string, data?: object): void;
  error(message: string, data?: object): void;
}

/** What a body knows about its attempt, and what it may ask of the engine. */
export interface Ctx extends WaitCtx, CallCtx {
  readonly runId: string;
  /** The task's id in the graph. */
  readonly task: string;
  readonly attempt: number;
  readonly signal: AbortSignal;
  /** The same in every attempt, resumption and plain redrive of this task: hand it to the API you call. */
  readonly idempotencyKey: string;
  /** When this attempt, or the task as a whole, is over. */
  readonly deadline: Date;
  /**
   * The engine's clock: under `testEngine` the virtual one. It has moved on in a later pass or attempt; an instant that is to stay is taken in
   * a step.
   */
  now(): Date;
  readonly log: Log;
  readonly traceparent?: string;
  /** Of a run that a schedule started: the instant at which it was due, whenever it began. */
  readonly dueAt?: Date;
  /** Runs `fn` once under this name and records what it returns; later attempts read the record. In a loop name the turn: `['call', i]`. */
  step<T>(name: string | readonly (string | number)[], fn: (() => Promise<T> | T) & StorableFn<T>): Promise<T>;
  progress(done: number | { readonly done: number; readonly of: number; readonly note?: string }): void;
  beat(): void;
}

/** I: what callers give, B: what the body gets (after the input's schema), R: what the body returns, O: what readers get. */
export interface Task<I, O, B = I, R = O> {
  readonly kind: 'task';
  readonly name: string;
  readonly contract: ContractData;
  /** The predicates of `retry.on`, one place per rule. */
  readonly rules: readonly RulePredicate[];
  readonly options: TaskOpts;
  readonly input?: Schema;
  readonly output?: Schema;
  /** The body: another process, or a test, may give another one. */
  implement(run: Body<B, R>): TaskImpl<I, O, B, R>;
  readonly _types?: { readonly input: (input: I) => void; readonly output: O };
}

export interface TaskImpl<I, O, B = I, R = O> extends Task<I, O, B, R> {
  readonly run: Body<B, R>;
}

export type Body<B, R> = (input: B, ctx: Ctx) => Promise<R> | R;

export type RulePredicate = ((error: unknown) => boolean) | null;

export type AnyTask = Task<any, any, any, any> & { readonly run?: Body<any, any> };

// ---- signals ------------------------------------------------------------------------------------------------------------------------

/** A named message and its schema. */
export interface Signal<I, O = I> {
  readonly kind: 'signal';
  readonly name: string;
  readonly schema: Schema;
  readonly _types?: { readonly input: (input: I) => void; readonly output: O };
}

// ---- workflows ----------------------------------------------------------------------------------------------------------------------

export interface TaskError {
  readonly code: string;
  readonly message: string;
  readonly attempts: number;
}

export type Settled<T> =
  | { status: 'success'; value: T }
  | { status: 'failed' | 'upstream_failed' | 'cancelled'; error: TaskError }
  | { status: 'skipped' };
