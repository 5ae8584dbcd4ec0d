/** The options of the verbs that wait, and what they give. Types only. */
import type { Duration } from './duration.ts';
import type { Join } from './graph.ts';
import type { AnyRef, In } from './types.ts';

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
