import type { Changes } from './changes.ts';
import type { ChildEvent, KinFacts } from './children.ts';
import type { CompiledGraph, GraphNode } from './compile.ts';
import { LAST_INSTANT } from '../duration-text.ts';
import type { ContractData } from '../graph/graph.ts';
import type { ResetRequest } from './reset.ts';
import type { FailureFacts } from './retry.ts';
import type { EndedTask, QueuedTask, RunState, TaskFacts } from './run-state.ts';
import type { Reason, TerminalStatus } from './states.ts';
import type { BodyWait, Wake } from './waits.ts';
import type { Verdict } from './verdict.ts';

/** How a claim ended, as its worker reports it. */
export type Outcome =
  /** `partial`: a run that the body called has failed, in part at least, and the body succeeded all the same. */
  | { readonly kind: 'ok'; readonly output: string | null; readonly partial?: true }
  /** `input`: of a child run, as its workflow's schema leaves it. */
  | { readonly kind: 'verdict'; readonly verdict: Verdict; readonly input?: string | null }
  | { readonly kind: 'error'; readonly error: string; readonly facts: FailureFacts }
  | { readonly kind: 'timeout'; readonly reason: 'timeout' | 'heartbeat_timeout' | 'total_timeout'; readonly error: string }
  /** The body returned what cannot be recorded, or its input or predicate is at fault: not retried. */
  | {
      readonly kind: 'refused';
      readonly reason: 'output_invalid' | 'output_too_large' | 'not_storable' | 'definition_error' | 'error';
      readonly error: string;
    }
  /** Handed back unfinished by a worker that drains, or claimed and never started. */
  | { readonly kind: 'released'; readonly began: boolean; readonly ranMs: number }
  /** The body waits: it left its slot. */
  | { readonly kind: 'waits'; readonly waits: readonly BodyWait[] }
  /** The body begins anew; null: with the same input. */
  | { readonly kind: 'restart'; readonly input: string | null }
  | { readonly kind: 'lost'; readonly crashed: boolean };

export type RunEvent =
  | { readonly type: 'ended'; readonly node: number; readonly item: number; readonly token: number; readonly outcome: Outcome }
  /** The instant that a retrying or waiting task, or a queued one with a timeout, waited for has come. */
  | { readonly type: 'due'; readonly node: number; readonly item: number }
  /** What a waiting task waits for has come; `name` as in the wait. */
  | { readonly type: 'wake'; readonly node: number; readonly item: number; readonly name: string | null; readonly by: Wake }
  /** Start up to `count` more items of a map. */
  | { readonly type: 'take'; readonly node: number; readonly count: number }
  /** A queued task ends with an output that was kept. */
  | { readonly type: 'cached'; readonly node: number; readonly item: number; readonly output: string | null }
  | LimitEvent
  /** A run that starts later is due. */
  | { readonly type: 'admit' }
  /** The key of the run's workflow has room for it. */
  | { readonly type: 'granted' }
  /** The key is taken, or a newer run takes it: this one ends. */
  | { readonly type: 'displaced'; readonly status: 'failed' | 'cancelled' }
  | { readonly type: 'cancel'; readonly reason: Reason }
  | { readonly type: 'fail'; readonly reason: 'deadline' | 'stuck' | 'marked_failed' }
  /** The instant that the run as a whole waited for has come: its deadline, or its own retry. */
  | { readonly type: 'run_due' }
  | { readonly type: 'pause' }
  | { readonly type: 'resume' }
  | { readonly type: 'reset'; readonly request: ResetRequest }
  | { readonly type: 'skip'; readonly node: number; readonly item: number }
  | { readonly type: 'discard'; readonly node: number; readonly item: number }
  | ChildEvent;

/** A task that a limit ends: queued, or running under this token where it makes room for a newer one. */
export interface LimitEvent {
  readonly type: 'limit';
  readonly node: number;
  readonly item: number;
  readonly token: number | null;
  readonly status: 'failed' | 'cancelled';
  readonly reason: 'unsatisfiable' | 'key_limit';
  readonly message: string;
}

export interface KernelSettings {
  readonly maxPayload: number;
  /** So many lost leases end a task in one generation. */
  readonly maxLost: number;
}

/** The transaction that is being decided: the run, what is written so far, the tasks whose ends are still to be followed up. */
export interface Turn {
  readonly graph: CompiledGraph;
  readonly state: RunState;
  readonly changes: Changes;
  readonly now: number;
  readonly settings: KernelSettings;
  readonly ended: EndedTask[];
  /** Firsts that are asked when nothing else follows any more; null where there are none. */
  racing: Set<number> | null;
  /** Somebody has ended who may have been the last to need what lost a first. */
  freed: boolean;
  /** Something failed in it that nothing excuses. */
  hasFailed: boolean;
  /** Changes of tasks that are followed up by now: those of earlier events. */
  followed: number;
  /** What of its children is to be undone, where it has been told. */
  kin: KinFacts | null;
}

export interface Ending {
  readonly status: TerminalStatus;
  readonly reason?: Reason;
  readonly output?: string | null;
  readonly error?: string | null;
  readonly allowed?: boolean;
  readonly partial?: boolean;
  readonly dead?: boolean;
  readonly handled?: boolean;
}

/** A task's last state: its facts, and how it ended. */
export function endTask(task: TaskFacts & { readonly startedAt?: number | null }, ending: Ending, now: number): EndedTask {
  return {
    node: task.node,
    item: task.item,
    generation: task.generation,
    attempt: task.attempt,
    begun: task.begun,
    losses: task.losses,
    crashes: task.crashes,
    handBacks: task.handBacks,
    draws: task.draws,
    ranMs: task.ranMs,
    rank: task.rank,
    firstQueuedAt: task.firstQueuedAt,
    effect: task.effect,
    edited: task.edited,
    status: ending.status,
    reason: ending.reason ?? null,
    output: ending.output ?? null,
    error: ending.error ?? null,
    startedAt: task.startedAt ?? null,
    finishedAt: now,
    allowed: ending.allowed ?? false,
    partial: ending.partial ?? false,
    dead: ending.dead ?? false,
    stale: false,
    cached: false,
    handled: ending.handled ?? false,
    completion: null,
  };
}

export const contractOf = (node: GraphNode): ContractData | null => ('contract' in node.task ? (node.task.contract ?? null) : null);

export const isAllowed = (node: GraphNode): boolean => 'allowFailure' in node.task && node.task.allowFailure === true;

/** A unit of priority is worth a minute of waiting (semantics, section 8). */
const MINUTE_MS = 60_000;
const NO_DRAWS: readonly number[] = [];

/** A task that leaves `pending`: in this generation nothing has happened to it yet. */
export function freshTask(state: RunState, node: GraphNode, now: number): QueuedTask {
  const before = state.tasks[node.index];
  return {
    node: node.index,
    item: -1,
    generation: state.generation,
    attempt: before?.attempt ?? 0,
    begun: 0,
    losses: 0,
    crashes: 0,
    handBacks: 0,
    draws: NO_DRAWS,
    ranMs: 0,
    rank: state.rank - (contractOf(node)?.priority ?? 0) * MINUTE_MS,
    firstQueuedAt: now,
    effect: before?.effect ?? 1,
    edited: before?.edited ?? null,
    status: 'queued',
    phase: 'body',
    next: 'start',
    expiresAt: null,
  };
}

/** What a task carries through all its states, without its state. */
export const bareFacts = (facts: TaskFacts): TaskFacts => ({
  node: facts.node,
  item: facts.item,
  generation: facts.generation,
  attempt: facts.attempt,
  begun: facts.begun,
  losses: facts.losses,
  crashes: facts.crashes,
  handBacks: facts.handBacks,
  draws: facts.draws,
  ranMs: facts.ranMs,
  rank: facts.rank,
  firstQueuedAt: facts.firstQueuedAt,
  effect: facts.effect,
  edited: facts.edited,
});

/** When its queue timeout or total timeout passes, if it is queued now. */
export function expiryOf(node: GraphNode, now: number): number | null {
  const timeout = contractOf(node)?.timeout;
  const ms = Math.min(timeout?.queueMs ?? Infinity, timeout?.totalMs ?? Infinity);
  return ms === Infinity ? null : Math.min(LAST_INSTANT, now + ms);
}

/** Before its time nothing of a run starts, and it does not end by itself. */
export const isAdmitted = ({ status, resumeTo }: RunState): boolean => {
  const at = status === 'paused' ? resumeTo : status;
  return at !== 'scheduled' && at !== 'queued';
};
