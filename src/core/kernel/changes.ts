import type { ChildStart, Recall } from './children.ts';
import type { KeyNeed, Need } from '../capacity/needs.ts';
import type { ResetPlan } from './reset.ts';
import type { EndedTask, PendingTask, QueuedTask, RunState, TaskState } from './run-state.ts';
import type { AttemptOutcome, Reason, RunOutcome, RunStatus } from './states.ts';

/** One task or item in its new state. `from` undefined: it never left pending and has no row yet. A claim in the same commit replaces `to`. */
export interface TaskChange {
  readonly from: TaskState | undefined;
  to: TaskState;
  /** What claims of its body take from now on, beside a slot. */
  readonly needs?: readonly Need[];
}

/** An attempt that did not succeed. */
export interface AttemptRecord {
  readonly node: number;
  readonly item: number;
  readonly generation: number;
  readonly attempt: number;
  readonly outcome: AttemptOutcome;
  readonly reason: Reason;
  readonly error: string | null;
  readonly worker: number;
  readonly startedAt: number;
  readonly endedAt: number;
}

/** What becomes of the records of a body, beside the steps that its attempts write. */
export type RecordChange = { readonly node: number; readonly item: number; readonly generation: number } & (
  | { readonly kind: 'open'; readonly name: string; readonly call: 'sleep' | 'wait' | 'run'; readonly hash: string; readonly value: string }
  | { readonly kind: 'done'; readonly name: string; readonly value: string }
  /** All of them: the body begins anew. */
  | { readonly kind: 'forget' }
  /** Those of its calls in generation `from` are kept for this one: the body was redriven. */
  | { readonly kind: 'keep'; readonly from: number }
);

/** What to add to a map's counters; `n` is set where the map starts with this change. */
export interface MapChange {
  readonly node: number;
  n: number | null;
  next: number;
  ok: number;
  failed: number;
  cancelled: number;
  skipped: number;
  /** Items that are pending again. */
  again: number;
  /** It had ended, and goes on. */
  reopened: boolean;
  /** Whether its failed items are dead letters, where that has changed: beyond what it tolerates they are. */
  dead: boolean | null;
  /** No item of it starts any more, although some never did. */
  stopped: boolean;
}

export type GateChange = { readonly kind: 'enter'; readonly need: KeyNeed; readonly rank: number } | { readonly kind: 'leave' };

export interface RunMove {
  readonly from: RunStatus;
  readonly to: RunStatus;
}

export interface RunEnd {
  readonly from: RunStatus;
  readonly status: RunOutcome;
  readonly reason: Reason | null;
  readonly output: string | null;
  /** Whether there is an output: success and partial runs may lack one (`RUN_NO_OUTPUT`). */
  readonly hasOutput: boolean;
  readonly finishedAt: number;
}

/** All that one commit does to one run, in order. */
export interface Changes {
  readonly tasks: TaskChange[];
  readonly attempts: AttemptRecord[];
  maps: Map<number, MapChange>;
  /** Where the run went before its end, if it ended: admitted, paused, resumed, reopened. */
  moves: readonly RunMove[];
  /** Maps whose items are history: the list is made anew. */
  cleared: readonly number[];
  records: readonly RecordChange[];
  /** Messages that tasks take with these changes. */
  taken: readonly number[];
  /** A person's redrive, rerun or mark. */
  reset: ResetPlan | null;
  end: RunEnd | null;
  /** Child runs that start, or go on, in the same commit. */
  children: readonly ChildStart[];
  /** Children that the run waits for no more: they are cancelled. */
  recalls: readonly Recall[];
  /** As a child: what it does to its parent's place, beside its end. */
  kin: 'none' | 'reopened' | 'recalled' | 'told' | 'undo' | 'undone_again';
  /** As a child: its place in its parent's order of completion, as the parent gave it. */
  completion: number | null;
  /** What of its children is to be undone must be known before the run is decided any further: a `kin` event says it. */
  asksKin: boolean;
  /** The child that is to undo what it did. */
  undo: number | null;
  /** The run asks for the key of its workflow, or gives it up. */
  gate: GateChange | null;
  /** What the run remembers beside its tasks has changed: cause, cancel, `flow`. */
  flow: boolean;
  /** Positions of the events that were refused: a late report, or one about a task that moved on. They changed nothing. */
  readonly refused: number[];
}

/** Never written to: most commits touch no map, and each makes a `Changes`. */
const NO_MAPS = new Map<number, MapChange>();
const NO_MOVES: readonly RunMove[] = [];
const NO_RECORDS: readonly RecordChange[] = [];
const NO_NODES: readonly number[] = [];
const NO_CHILDREN: readonly ChildStart[] = [];
const NO_RECALLS: readonly Recall[] = [];

export const noChanges = (): Changes => ({
  tasks: [],
  attempts: [],
  maps: NO_MAPS,
  moves: NO_MOVES,
  cleared: NO_NODES,
  records: NO_RECORDS,
  taken: NO_NODES,
  reset: null,
  end: null,
  children: NO_CHILDREN,
  recalls: NO_RECALLS,
  kin: 'none',
  completion: null,
  asksKin: false,
  undo: null,
  gate: null,
  flow: false,
  refused: [],
});

export function mapChange(changes: Changes, node: number): MapChange {
  let change = changes.maps.get(node);
  if (change === undefined) {
    change = { node, n: null, next: 0, ok: 0, failed: 0, cancelled: 0, skipped: 0, again: 0, reopened: false, dead: null, stopped: false };
    if (changes.maps === NO_MAPS) changes.maps = new Map();
    changes.maps.set(node, change);
  }
  return change;
}

/** Where the run goes, short of its end. */
export function move({ state, changes }: { readonly state: RunState; readonly changes: Changes }, to: RunStatus): void {
  changes.moves = [...changes.moves, { from: state.status, to }];
  state.status = to;
}

/** The state of a task or item, in the run and in what is to be written. */
export function putTask(state: RunState, changes: Changes, to: TaskState): void {
  changes.tasks.push({ from: taskAt(state, to.node, to.item), to });
  setTask(state, to);
}

/** A task that goes to the queue, where it waits for more than a slot. */
export function putNeedy(state: RunState, changes: Changes, to: QueuedTask, needs: readonly Need[]): void {
  changes.tasks.push({ from: taskAt(state, to.node, to.item), to, needs });
  setTask(state, to);
}

export function taskAt(state: RunState, node: number, item: number): TaskState | undefined {
  return item < 0 ? state.tasks[node] : (state.maps.get(node)?.open.get(item) ?? state.served.get(node)?.get(item));
}

export function setTask(state: RunState, to: TaskState): void {
  if (to.item < 0) {
    state.tasks[to.node] = to;
    return;
  }
  const map = state.maps.get(to.node);
  if (map === undefined) {
    state.served.get(to.node)?.set(to.item, to);
    return;
  }
  if (isEnded(to)) map.open.delete(to.item);
  else map.open.set(to.item, to);
}

export function isEnded(task: TaskState | undefined): task is EndedTask {
  return (
    isUnderway(task) && task.status !== 'queued' && task.status !== 'running' && task.status !== 'retrying' && task.status !== 'waiting'
  );
}

/** A success, or a failure that counts as one because a handler took it. */
export function hasSucceeded(task: TaskState | undefined): task is EndedTask {
  return isEnded(task) && (task.status === 'success' || task.handled);
}

/** Whether it has left pending. */
export function isUnderway(task: TaskState | undefined): task is Exclude<TaskState, PendingTask> {
  return task !== undefined && task.status !== 'pending';
}
