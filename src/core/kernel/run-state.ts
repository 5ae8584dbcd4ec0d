import type { CompiledGraph } from './compile.ts';
import type { NumberMap } from './number-map.ts';
import type { OpenCalls } from './open-calls.ts';
import type { Reason, RunStatus, TerminalStatus } from './states.ts';
import type { Wait } from './waits.ts';

/** What a task or item carries through all its states. `item` is -1 for the task itself. Instants are store time, in milliseconds. */
export interface TaskFacts {
  readonly node: number;
  readonly item: number;
  readonly generation: number;
  /** Number of the last attempt that began, over the task's life; 0 before the first. */
  readonly attempt: number;
  /** Attempts begun in this generation. */
  readonly begun: number;
  /** Attempts of this generation whose lease was lost; they do not count against `maxAttempts`. */
  readonly losses: number;
  /** Losses whose worker process had died. */
  readonly crashes: number;
  readonly handBacks: number;
  /** How often each rule of `retry.on` was drawn on. */
  readonly draws: readonly number[];
  /** Running time of the current attempt under earlier claims. */
  readonly ranMs: number;
  /** Smaller goes first: when its run was admitted, less a minute per unit of priority. */
  readonly rank: number;
  readonly firstQueuedAt: number;
  /** Part of the idempotency key: from 1; grows when a person edits the input or does over what succeeded. */
  readonly effect: number;
  /** The input that a person gave instead of what the graph says, as the codec stores it. */
  readonly edited: string | null;
}

/** Reset by a person; what never left `pending` has no state at all. */
export interface PendingTask extends TaskFacts {
  readonly status: 'pending';
  /** Of a task that is a run of its own: the one it had goes on where it failed. */
  readonly goesOn?: boolean;
}

/** `evaluate`: a predicate is asked for; it takes no attempt. */
export type Phase = 'evaluate' | 'body';

export interface Lease {
  readonly token: number;
  readonly worker: number;
}

export interface QueuedTask extends TaskFacts {
  readonly status: 'queued';
  readonly phase: Phase;
  /** A start begins an attempt; a return goes on with the one that was handed back, a resumption with the one that waited. */
  readonly next: 'start' | 'return' | 'resume';
  /** When its queue timeout or total timeout passes. */
  readonly expiresAt: number | null;
  /** Of a child that is held back while its run is paused: its input, as a worker has checked it. */
  readonly given?: string;
}

export interface RunningTask extends TaskFacts {
  readonly status: 'running';
  readonly phase: Phase;
  /** Null for a map: its items hold the leases. */
  readonly lease: Lease | null;
  readonly startedAt: number;
  /** Of a map over runs: one of its items ended partial. */
  readonly partial?: boolean;
  /** Its attempt goes on after a wait: there are records to read. */
  readonly resumed?: true;
}

export interface RetryingTask extends TaskFacts {
  readonly status: 'retrying';
  /** When the next attempt begins; null: handling, it has failed for good and its `catch` handler runs. */
  readonly dueAt: number | null;
  readonly reason: Reason;
  readonly error: string | null;
}

/** Parked: it holds no lease and no slot. What wakes it is one of `on`, or the instant `dueAt`, whichever is committed first. */
export interface WaitingTask extends TaskFacts {
  readonly status: 'waiting';
  /** At least one; a task that is itself a wait has just that. */
  readonly on: readonly Wait[];
  /** Of a body that waits for a group of calls: which of `on` are still open. Changed in place. */
  readonly calls?: OpenCalls;
  readonly since: number;
  /** When the first of its timers or timeouts passes. */
  readonly dueAt: number | null;
}

export interface EndedTask extends TaskFacts {
  readonly status: TerminalStatus;
  readonly reason: Reason | null;
  /** As the codec stores it; null is the value `undefined`, and a map's, which is read from its items. */
  readonly output: string | null;
  /** An `ErrorRecord` as JSON. */
  readonly error: string | null;
  readonly startedAt: number | null;
  readonly finishedAt: number;
  readonly allowed: boolean;
  readonly partial: boolean;
  /** Failed for good, and a person must decide: a dead letter. */
  readonly dead: boolean;
  /** Ran on an outcome that has been redriven since, and was left as it is. */
  readonly stale: boolean;
  /** Its output was taken over from another run. */
  readonly cached: boolean;
  /** Its `catch` handler succeeded: it counts as a success, and `output` is what the handler gave. */
  readonly handled: boolean;
  /** Of what may have to be compensated: its place in the order in which the tasks of the run succeeded. */
  readonly completion: number | null;
}

export type TaskState = PendingTask | QueuedTask | RunningTask | RetryingTask | WaitingTask | EndedTask;

/** A success that ended here is kept as its output alone: of a hundred thousand items, all of each would be most of what the process holds. */
export type ItemResult = EndedTask | EndedTask['output'];

/** A map that started. Items are rows from the moment they start; those from `next` on are a range. */
export interface MapState {
  readonly node: number;
  readonly n: number;
  next: number;
  ok: number;
  failed: number;
  cancelled: number;
  skipped: number;
  /** Items that are not terminal. */
  readonly open: NumberMap<TaskState>;
  /** Those of them that were reset and have not started again. */
  readonly again: number[];
  /** The list, decoded; resolved on first use. */
  list: readonly unknown[] | null;
  /** What ended items gave, by index, where somebody reads it; null where this process has not seen them all. */
  results: (ItemResult | undefined)[] | null;
}

/** Per node: what its upstreams' ends have come to so far. */
export interface UpstreamTally {
  success: number;
  failed: number;
  upstreamFailed: number;
  skipped: number;
  cancelled: number;
  readsOpen: number;
  /** The label that a required read forces, the strongest so far. */
  override: 'upstream_failed' | 'cancelled' | 'skipped' | null;
}

/** Why the run as a whole ends as it does, whatever its tasks say (semantics, section 3, rule 0). */
export interface RunCause {
  readonly status: 'failed' | 'cancelled' | 'skipped';
  readonly reason: Reason;
}

/** How a run belongs to the one that started it. Positions are stored: append. */
export const LINK_KINDS = ['child', 'detached', 'item', 'body', 'hooks'] as const;
export type LinkKind = (typeof LINK_KINDS)[number];

/** The place of a child run in its parent. */
export interface ParentLink {
  readonly run: number;
  readonly node: number;
  readonly item: number;
  /** Of the parent's task, for which the child stands. */
  readonly generation: number;
  /** The record of the body that started it; null where the task itself is the child. */
  readonly name: string | null;
  readonly kind: LinkKind;
  /** The run at the top. */
  readonly tree: number;
  /** The parent has let go of it: its end is nobody's news. */
  readonly recalled: boolean;
  /** Its place in the parent's order of completion, where it has done what may have to be undone; null too once that began. */
  readonly completion: number | null;
}

/** What a run has to remember beside its tasks. */
export interface RunFlow {
  /** Its failure policy is in force: something failed that nothing excuses. */
  readonly tripped: boolean;
  /** Its compensation has begun: it is over for good. */
  readonly compensated: boolean;
  /** How often it was redriven as a whole by its own retry, since a person last did. */
  readonly retries: number;
  /** When it is redriven as a whole; until then it is running. */
  readonly retryAt: number | null;
  /** A run around it holds the key that it would ask for: it asks for none. */
  readonly shares: boolean;
  /** Null: it has called no run. Else the place in its order of completion of the last one that may have to be undone; 0: of none so far. */
  readonly called: number | null;
  /** Something in it, or in a run that it called, could not be undone. */
  readonly incomplete: boolean;
  /** It was over, and is open again for its compensations alone. */
  readonly reopened: boolean;
  /** It was over before it began: it was not admitted, or its guard did not say yes. */
  readonly unstarted: boolean;
  /** Its place was redriven while it cleaned up: it is redriven when that is over. */
  readonly again: boolean;
}

export const NO_FLOW: RunFlow = {
  tripped: false,
  compensated: false,
  retries: 0,
  retryAt: null,
  shares: false,
  called: null,
  incomplete: false,
  reopened: false,
  unstarted: false,
  again: false,
};

/** A task or item and the handler that undoes it. */
export interface Undoable {
  readonly handler: number;
  readonly item: number;
  readonly completion: number;
}

export interface Undoing {
  readonly left: Undoable[];
  /** The one that is being undone. */
  open: Undoable | null;
}

/**
 * A run as the kernel sees it: derived from its rows when a process first touches it, changed in place by `advance`, never written as such.
 * After a commit that failed it must be dropped and derived anew.
 */
export interface RunState {
  readonly run: number;
  generation: number;
  /** Bumped by every write that another process's cache must notice. */
  rev: number;
  status: RunStatus;
  /** What a paused run goes back to. */
  resumeTo: 'scheduled' | 'queued' | 'running' | null;
  parent: ParentLink | null;
  readonly rank: number;
  readonly startAt: number | null;
  readonly acceptedAt: number;
  deadlineAt: number | null;
  readonly input: string | null;
  cause: RunCause | null;
  /** Why it is being cancelled. */
  cancelAsked: Reason | null;
  /** By node; undefined while pending. Branches have an `EndedTask` here once decided, and no row. */
  readonly tasks: (TaskState | undefined)[];
  tallies: (UpstreamTally | undefined)[];
  readonly maps: Map<number, MapState>;
  /** Decoded values, by node; never given away. */
  readonly values: Map<number, unknown>;
  inputValue: { readonly value: unknown } | null;
  flow: RunFlow;
  /** Items of handlers, by node: the compensations of a map's items. */
  readonly served: ReadonlyMap<number, Map<number, TaskState>>;
  /** The last place given out in the order of completion. */
  completions: number;
  /** What of the run's own is still to be undone, what succeeded last at the end; null where this process has not looked yet. */
  undo: Undoing | null;
  /** Tasks that are not terminal. */
  open: number;
  /** Firsts that have nothing to cancel any more, as far as somebody has looked; null: nobody has. */
  settledRaces: Set<number> | null;
}

export interface RunFacts {
  readonly run: number;
  readonly generation: number;
  readonly rev: number;
  readonly status: RunStatus;
  readonly resumeTo: 'scheduled' | 'queued' | 'running' | null;
  readonly parent?: ParentLink | null;
  readonly rank: number;
  readonly startAt: number | null;
  readonly acceptedAt: number;
  readonly deadlineAt: number | null;
  readonly input: string | null;
  readonly cause: RunCause | null;
  readonly cancelAsked: Reason | null;
  readonly flow?: RunFlow;
}

export function emptyRunState(graph: CompiledGraph, facts: RunFacts): RunState {
  return {
    ...facts,
    parent: facts.parent ?? null,
    tasks: graph.nodes.map(() => undefined),
    tallies: graph.nodes.map(() => undefined),
    maps: graph.hasMaps ? new Map() : NO_MAPS,
    values: new Map(),
    inputValue: null,
    flow: facts.flow ?? NO_FLOW,
    served: servedOf(graph),
    completions: 0,
    undo: null,
    open: graph.taskCount,
    settledRaces: null,
  };
}

/** Never written to: a graph without maps has none. */
const NO_MAPS: RunState['maps'] = new Map();
const NONE_SERVED: RunState['served'] = new Map();

export function servedOf(graph: CompiledGraph): RunState['served'] {
  const ofMaps = (graph.upkeep?.compensations ?? []).filter(
    (node) => graph.nodes[graph.nodes[node]?.serves?.of ?? -1]?.task.kind === 'map',
  );
  return ofMaps.length === 0 ? NONE_SERVED : new Map(ofMaps.map((node) => [node, new Map<number, TaskState>()]));
}
