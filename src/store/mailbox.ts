import type { TaskKey } from './store.ts';

/**
 * Messages, and the open waits that they are for. A message is stored by the transaction that accepts it; that which takes it is a commit of
 * the run whose task takes it, so that it is taken once. Each method is one transaction or one read.
 */
export interface Mailbox {
  /** Stores a message, unless its `dedupe` names one of the last 7 days, or the mailbox is full. */
  send(message: NewMessage, now: number): Promise<Sent>;
  /**
   * Mailboxes that hold a message which some open wait could take, up to `limit` of either kind, after these in their order: for the sweep
   * that finds what a crash left.
   */
  fitting(now: number, limit: number, after: FittingCursor): Promise<Fitting>;
  /** Waits that a message in this mailbox could be for, the one that began first first, after this one; none of runs that are set aside. */
  waits(box: Box, limit: number, after?: OpenWait): Promise<OpenWait[]>;
  /** Messages that this wait could take and has not refused, oldest first. */
  messages(wait: OpenWait, now: number, limit: number): Promise<Message[]>;
  /** Those of these messages that are still there. */
  present(messages: readonly number[]): Promise<ReadonlySet<number>>;
  /** Records that a wait's predicate said no to a message: it is not asked again. Nothing where the task no longer waits. */
  refuse(wait: OpenWait, message: number, now: number): Promise<void>;
  /** Deletes messages whose time is over, and records of `dedupe` that are older than 7 days; true where there is more. */
  expire(now: number, limit: number): Promise<boolean>;
  /** Of these runs those in which something waits, and nothing else is under way: what is open of them is waiting or pending. */
  parked(runs: readonly number[]): Promise<ReadonlySet<number>>;
  /** Open waits of this kind, the one that began first first, after a place in that order; of one run where given. */
  openWaits(query: OpenWaitQuery): Promise<OpenWait[]>;
}

/** A mailbox: a signal and a key, or a signal and the run that it is addressed to. */
export type Box =
  | { readonly signal: string; readonly key: string; readonly run: null }
  | { readonly signal: string; readonly key: null; readonly run: number };

/** The last mailbox of either kind that was looked at; null: none. */
export interface FittingCursor {
  readonly key: { readonly signal: string; readonly key: string } | null;
  readonly run: { readonly run: number; readonly signal: string } | null;
}

export interface Fitting {
  readonly boxes: readonly Box[];
  /** Where to go on; of a kind that came to its end, from its beginning. */
  readonly next: FittingCursor;
}

export interface NewMessage {
  readonly box: Box;
  /** `all`: a copy for each run that waits at this moment. */
  readonly to: 'one' | 'all';
  readonly data: string | null;
  readonly dedupe: string | null;
}

export type Sent =
  | { readonly kind: 'kept'; readonly messages: readonly number[]; readonly boxes: readonly Box[] }
  | { readonly kind: 'duplicate' }
  /** So full; the oldest of its messages goes at this instant at the latest. */
  | { readonly kind: 'full'; readonly freeAt: number };

export interface Message {
  readonly id: number;
  readonly data: string | null;
  readonly at: number;
}

export interface OpenWait extends TaskKey {
  readonly id: number;
  readonly kind: 'signal' | 'approval';
  /** The record of a body; null where the task itself is the wait. */
  readonly name: string | null;
  readonly signal: string | null;
  readonly key: string | null;
  readonly filtered: boolean;
  readonly since: number;
  readonly generation: number;
  readonly definition: number;
}

export interface OpenWaitQuery {
  readonly kind: 'signal' | 'approval';
  readonly run?: number;
  readonly after?: number;
  readonly limit: number;
}

/** At most so many messages in one mailbox. */
export const MAILBOX_SIZE = 10_000;
/** So long a message is kept where nobody takes it, and `dedupe` stands for it. */
export const MESSAGE_MS = 7 * 86_400_000;
