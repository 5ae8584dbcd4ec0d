import type { RunEvent } from '../core/turn.ts';
import type { KeyClaim, StepWrite } from '../store/store.ts';
import type { Attempt } from './attempt.ts';
import type { Known } from './registry.ts';

/** What wants to be written: each joins the next commit. */
export type Unit = StartUnit | EventUnit | StepUnit;

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
  /** Called after the commit: whether the kernel accepted the event. */
  readonly done: ((applied: boolean) => void) | null;
}

export interface StepUnit {
  readonly kind: 'step';
  readonly write: StepWrite;
  readonly resolve: (kept: boolean) => void;
  readonly reject: (error: unknown) => void;
}
