import type { RunState } from '../core/kernel/run-state.ts';
import type { RunEvent } from '../core/kernel/turn.ts';
import type { FireWrite } from '../store/schedules.ts';
import type { KeyClaim, StepWrite } from '../store/store.ts';
import type { Attempt } from './attempt.ts';
import type { MoveUnit } from './moves.ts';
import type { Known } from './registry.ts';

/** What wants to be written: each joins the next commit. */
export type Unit = StartUnit | EventUnit | StepUnit | MoveUnit;

export interface StartRequest {
  readonly known: Known;
  readonly uid: Uint8Array;
  readonly input: string | null;
  readonly key: KeyClaim | null;
  readonly rejectDuplicate: boolean;
  readonly tags: readonly string[];
  readonly priority: number;
  readonly startAt: number | null;
  readonly traceparent: string | null;
  /** Made from another run. */
  readonly from: StartFrom | null;
  readonly act: Act | null;
  /** The due instant of a schedule that starts it. */
  readonly fire?: FireWrite;
}

/** The schedule was written by another process: what is to be done is decided again. Expected, so it leaves the engine nowhere. */
export class ScheduleMoved extends Error {}

export interface StartFrom {
  readonly run: number;
  readonly kind: 'fork' | 'restart';
  /** Of a fork: the run as it stands, its maps with their items, and the tasks that are taken over. */
  readonly taken: { readonly donor: RunState; readonly nodes: readonly number[]; readonly was?: ReadonlyMap<number, number> } | null;
}

/** An act of a person: who, what, and what makes it the same act when it is asked for again. */
export interface Act {
  readonly actor: string;
  readonly action: string;
  readonly request: string | null;
  readonly hash: string;
  /** JSON, for the audit. */
  readonly facts: string;
  readonly note: string | null;
  /** The definition by whose numbers it names tasks, where it names any. */
  readonly on?: number;
}

export interface Started {
  readonly uid: Uint8Array;
  readonly run: number;
  readonly created: boolean;
}

export interface StartUnit {
  readonly kind: 'start';
  readonly request: StartRequest;
  readonly resolve: (started: Started) => void;
  readonly reject: (error: unknown) => void;
}

export interface EventUnit {
  readonly kind: 'event';
  readonly run: number;
  readonly event: RunEvent;
  /** The attempt that settles with it. */
  readonly attempt: Attempt | null;
  readonly act: (Act & { readonly reject: (error: unknown) => void }) | null;
  /** Called after the commit: whether the kernel accepted the event; of an act, its result as JSON. */
  readonly done: ((applied: boolean, result?: string) => void) | null;
}

export interface StepUnit {
  readonly kind: 'step';
  readonly write: StepWrite;
  readonly resolve: (kept: boolean) => void;
  readonly reject: (error: unknown) => void;
}
