/** The options of the verbs that wait, and what they give. Types only. */
import type { Duration } from '../duration.ts';
import type { Join } from '../graph/graph.ts';
import type { Schema, SOut } from '../values/schema.ts';
import type { Tree, AnyRef, In, RefBase, Result, Signal } from './types.ts';

/** Of tasks that wait. */
export interface WaitOpts<J extends Join = Join> {
  /** Default: the verb. */
  readonly id?: string;
  readonly after?: readonly AnyRef[];
  readonly join?: J;
}

/** What a timeout or a rejection comes to: a failure, or a skip; then the output may be missing. */
export type Missed = 'fail' | 'skip';

/** O: the message. M is inferred: whether the task may be skipped. */
export interface SignalOpts<O = never, J extends Join = Join, M extends Missed = Missed> extends WaitOpts<J> {
  /** Takes messages that were sent to this key. Without it only those that were sent to the run. */
  readonly key?: In<string>;
  /** Fails with `wait_timeout` after so long. Default: none. */
  readonly timeout?: Duration;
  /** Default 'fail'. */
  readonly onTimeout?: M;
  /** Asked once per message, by a worker: false leaves it for others. */
  readonly where?: (data: O) => boolean;
  readonly allowFailure?: boolean;
}

export interface ApproveOpts<J extends Join = Join, M extends Missed = Missed, N extends Missed = Missed> extends Omit<WaitOpts<J>, 'id'> {
  /** Who may answer: shown and recorded. */
  readonly who: readonly string[];
  /** What they are shown. */
  readonly show?: unknown;
  /** Fails with `approval_timeout` after so long. Default: none. */
  readonly timeout?: Duration;
  /** Default 'fail'. */
  readonly onTimeout?: M;
  /** Default 'fail'. */
  readonly onReject?: N;
  readonly allowFailure?: boolean;
}

/** The answer to an approval. */
export interface Approval<F = undefined> {
  readonly decision: 'approved';
  /** Who answered. */
  readonly by: string;
  readonly comment?: string;
  /** What they filled in. */
  readonly form: F;
}

export type Skips<M> = 'skip' extends M ? boolean : never;

/** The verbs of a builder that make tasks which wait. */
export interface WaitVerbs {
  /**
   * Time that passes, of any length, without a worker: `time` long, or until the instant that a ref gives (at once where that is over).
   * Never ends early; fails with `definition_error` where the ref gives no valid Date.
   */
  sleep<J extends Join = never>(time: Duration | RefBase<Date>, opts?: WaitOpts<J>): Result<void, J, never>;
  /**
   * Waits for a message, without a worker; the output is its data. It takes the oldest that is there, else the next. A timeout fails it
   * (`wait_timeout`, a dead letter) or skips it.
   */
  wait<I, O, J extends Join = never, M extends Missed = never>(
    signal: Signal<I, O>,
    opts?: SignalOpts<NoInfer<O>, J, M>,
  ): Result<O, J, [M] extends [never] ? never : Skips<M>>;
  /**
   * Waits for the answer of a person, without a worker. A rejection fails it (`rejected`), as does a timeout (`approval_timeout`); neither is
   * a dead letter. With 'skip' it is skipped instead.
   */
  approve<S extends Schema = never, J extends Join = never, M extends Missed = never, N extends Missed = never, const H = unknown>(
    id: string,
    opts: ApproveOpts<J, M, N> & { readonly form?: S; readonly show?: H & Tree<H> },
  ): Result<Approval<[S] extends [never] ? undefined : SOut<S>>, J, [M | N] extends [never] ? never : Skips<M | N>>;
}

/** What a body may wait for. */
export interface WaitCtx {
  /**
   * Time that passes without a slot: so long, or until an instant. The body leaves (its call is rejected with an error that must leave the
   * body too) and runs again from the top when it is over, with its records. Give the same arguments in every pass.
   */
  sleep(name: string | readonly (string | number)[], time: Duration | Date): Promise<void>;
  /** The next message of a signal to the key, or without one to the run; waits as `sleep` does. Rejects with `SIGNAL_TIMEOUT`. */
  wait<I, O>(
    name: string | readonly (string | number)[],
    signal: Signal<I, O>,
    options?: { readonly key?: string; readonly timeout?: Duration },
  ): Promise<O>;
  /** Begins anew with another input (default: the same), without records and with all its attempts: for bodies that never end. */
  restart(input?: unknown): Promise<never>;
}
