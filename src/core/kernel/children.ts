import { noteCalled } from './calling.ts';
import { isEnded, putTask, taskAt, type RunEnd } from './changes.ts';
import { encode } from '../values/codec.ts';
import type { CompiledGraph, GraphNode } from './compile.ts';
import { isPawlError, type ErrorRecord } from '../errors.ts';
import type { Graph } from '../graph/graph.ts';
import type { HookFacts } from './hooks.ts';
import { judged } from './judging.ts';
import { firstFailed, runRootCauses } from './outcome.ts';
import type { EndedTask, LinkKind, ParentLink, RunState, TaskFacts, WaitingTask, TaskState } from './run-state.ts';
import { REASONS, type Reason, type RunOutcome } from './states.ts';
import { bareFacts, endTask, isAllowed, type Turn } from './turn.ts';
import { parseError, settledError, taskInput } from './values.ts';
import { childCame } from './suspending.ts';
import { startedOf } from './waiting.ts';

/** A child run to start in the commit that makes its place wait for it (docs/adr/0016). */
export interface ChildStart {
  readonly node: number;
  readonly item: number;
  readonly generation: number;
  readonly name: string | null;
  readonly kind: LinkKind;
  readonly workflow: string;
  /** Of a part of the parent's own definition, its graph. */
  readonly graph: Graph | null;
  readonly input: string | null;
  /** Why it cannot start, an `ErrorRecord` as JSON. */
  readonly refused: string | null;
  /** The place was redriven: the child that it had goes on, where it can. */
  readonly goesOn: boolean;
  /** Of a hook: what it is told; its input is put together where the run's id is known. */
  readonly hook?: HookFacts;
  /** Of a call of a body: it started before, and may have ended while the body did not wait for it. */
  readonly isOpen?: boolean;
}

/** Children of one place, or of all items of a map, up to a generation: their parent does not wait for them any more. */
export interface Recall {
  readonly node: number;
  readonly item: number;
  readonly generation: number;
}

/** How a child ended, as its parent gets to know it. */
export interface ChildEnd {
  readonly run: string;
  readonly status: RunOutcome;
  /** Of one that was cancelled: by whom, or what. */
  readonly cancelled: Reason | null;
  readonly output: string | null;
  readonly hasOutput: boolean;
  /** An `ErrorRecord` as JSON. */
  readonly error: string | null;
  /** It succeeded, and something in it may have to be undone. */
  readonly undoable: boolean;
}

/** What of a run's children is still to be undone. */
export interface KinFacts {
  /** One that is open: let go of and cleaning up, or undoing what it did. `isAsked`: it tells its parent when that is over. */
  readonly open: { readonly run: number; readonly isAsked: boolean } | null;
  /** Of those that succeeded, the one that did so last. */
  readonly due: { readonly run: number; readonly completion: number } | null;
  /** One of them could not undo all that it did. */
  readonly incomplete: boolean;
}

interface Place {
  readonly node: number;
  readonly item: number;
  readonly generation: number;
}

export type ChildEvent =
  /** `name`: of a call of the task's body. */
  | (Place & { readonly type: 'child'; readonly name: string | null; readonly end: ChildEnd })
  /** A detached child is stored: that is all its place waits for. */
  | (Place & { readonly type: 'accepted'; readonly id: string })
  /** It could not start. */
  | (Place & { readonly type: 'refused'; readonly name: string | null; readonly error: string })
  /** No run that this place had can go on: it begins anew. */
  | (Place & { readonly type: 'anew' })
  /** To the child: its place was redriven, in this generation of it. */
  | { readonly type: 'goOn'; readonly generation: number }
  /** The child of this place was redriven: it is to be waited for again. `name`: of a call of the task's body. */
  | (Place & { readonly type: 'reopened'; readonly name: string | null })
  /** The parent waits for this run no more. */
  | { readonly type: 'recall' }
  /** It is over, and its parent could not be told then. */
  | { readonly type: 'tell' }
  /** The parent, which compensates, wants it undone; of a child that is open, that it says when it has cleaned up. */
  | { readonly type: 'undo' }
  /** What of the children is to be undone, as the run asked. */
  | { readonly type: 'kin'; readonly kin: KinFacts }
  /** A compensation of a child was redriven: what came of the run's own is to be decided again. */
  | { readonly type: 'undone_again' };

/** Puts a child run in the place of a task or item. `input`: as a worker has checked it. */
export function startChild(
  turn: Turn,
  node: GraphNode,
  facts: TaskFacts,
  how: { readonly input?: string | null; readonly goesOn?: boolean } = {},
): void {
  const { child } = node;
  if (child === null) return;
  putTask(turn.state, turn.changes, waitingOn(turn, facts, child.workflow));
  if (child.kind !== 'detached') noteCalled(turn);
  const { item, generation } = facts;
  const place = { node: node.index, item, generation, name: null, goesOn: how.goesOn === true };
  const input = how.input === undefined ? inputOf(turn, node, facts) : { input: how.input, refused: null };
  turn.changes.children = [...turn.changes.children, { ...child, ...place, ...input }];
}

/** The place of a child run, while the child is open. */
export const waitingOn = (turn: Turn, facts: TaskFacts, workflow: string): WaitingTask => ({
  ...bareFacts(facts),
  status: 'waiting',
  on: [{ kind: 'child', name: null, dueAt: null, since: turn.now, workflow, group: null }],
  since: turn.now,
  dueAt: null,
});

function inputOf(turn: Turn, node: GraphNode, { item, edited }: TaskFacts): Pick<ChildStart, 'input' | 'refused'> {
  if (edited !== null) return { input: edited, refused: null };
  try {
    const value = taskInput(turn.graph, turn.state, node.index, item);
    return { input: encode(value, { maxBytes: turn.settings.maxPayload, root: 'input' }) ?? null, refused: null };
  } catch (error) {
    if (!isPawlError(error, 'PAYLOAD_TOO_LARGE', 'PAYLOAD_NOT_STORABLE')) throw error;
    return { input: null, refused: JSON.stringify({ name: 'PawlError', code: error.code, message: error.message }) };
  }
}

/** The end that a child's end gives to its place; null where nobody waits there for it. */
export function childEnded(turn: Turn, event: Extract<ChildEvent, { type: 'child' | 'accepted' | 'refused' }>): TaskState | null {
  const task = taskAt(turn.state, event.node, event.item);
  const node = turn.graph.nodes[event.node];
  if (node === undefined || task?.status !== 'waiting' || task.generation !== event.generation) return null;
  if (event.type !== 'accepted' && event.name !== null) {
    const refused = { run: '', status: 'failed', cancelled: null, output: null, hasOutput: false, undoable: false } as const;
    return childCame(turn, node, task, event.name, event.type === 'refused' ? { ...refused, error: event.error } : event.end);
  }
  if (event.type === 'accepted') return endTask(startedOf(task), { status: 'success', output: JSON.stringify(event.id) }, turn.now);
  if (event.type === 'refused')
    return endTask(startedOf(task), { status: 'failed', reason: 'error', error: event.error, ...judged(turn, node, event.item) }, turn.now);
  const { status, output, hasOutput, error, run } = event.end;
  switch (status) {
    case 'success':
    case 'partial':
      if (!hasOutput && node.isRead) return endTask(startedOf(task), withoutOutput(turn, node, event.item, run), turn.now);
      return endTask(startedOf(task), { status: 'success', output, partial: status === 'partial' }, turn.now);
    case 'skipped':
      return endTask(startedOf(task), { status: 'skipped', reason: 'condition' }, turn.now);
    case 'cancelled':
      return endTask(startedOf(task), { status: 'cancelled', reason: event.end.cancelled ?? 'person', error }, turn.now);
    case 'failed':
      // Its dead letters are in the child: this place is none of its own.
      return endTask(startedOf(task), { status: 'failed', reason: 'error', error, allowed: isAllowed(node) }, turn.now);
  }
}

function withoutOutput(turn: Turn, node: GraphNode, item: number, run: string) {
  const message = `Run ${run} succeeded, but a part that its output requires did not.`;
  const error = JSON.stringify({ name: 'PawlError', code: 'RUN_NO_OUTPUT', message });
  return { status: 'failed', reason: 'error', error, ...judged(turn, node, item) } as const;
}

type Ended = Pick<RunEnd, 'status' | 'output' | 'hasOutput'> & { readonly reason: string | null };

/** What a run that ended says to the run that waits for it. */
export function endNotice(graph: CompiledGraph, state: RunState, ended: Ended, run: string): ChildEvent | null {
  const { parent } = state;
  if (parent === null || !isAwaited(parent)) return null;
  const { status, output, hasOutput, reason } = ended;
  const { node, item, generation, name } = parent;
  // What its place was redriven for can not be done here any more: it has been undone.
  if (state.flow.again && state.flow.compensated) return { type: 'anew', node, item, generation };
  const error = status === 'failed' || status === 'cancelled' ? failureOf(graph, state, run, status, reason) : null;
  const cancelled = status === 'cancelled' ? cancelledBy(graph, state, reason) : null;
  return {
    type: 'child',
    node,
    item,
    generation,
    name,
    end: { run, status, cancelled, output, hasOutput, error, undoable: isUndoable(state, status) },
  };
}

/** Why a run was cancelled: nobody asked for it where tasks of it were. A place that is superseded would count for nothing in its run. */
function cancelledBy(graph: CompiledGraph, state: RunState, reason: string | null): Reason | null {
  const tasks = graph.nodes.map((node) => state.tasks[node.index]).filter((task) => isEnded(task) && task.status === 'cancelled');
  const all = [reason, ...tasks.map((task) => (isEnded(task) ? task.reason : null))];
  return REASONS.find((one) => one === all.find((why) => why !== null && why !== 'superseded')) ?? null;
}

const isUndoable = ({ flow, completions }: RunState, status: RunOutcome): boolean =>
  (status === 'success' || status === 'partial') && !flow.compensated && completions > 0;

/** What is said of a run that was failed while nobody could read it, by what its row says. */
export function abandonedNotice({ node, item, generation, name }: ParentLink, run: string, workflow: string): ChildEvent {
  const message = `Run ${run} of workflow "${workflow}" failed: marked_failed`;
  const error = JSON.stringify({ name: 'ChildError', code: 'RUN_FAILED', message, run, rootCause: [] });
  return {
    type: 'child',
    node,
    item,
    generation,
    name,
    end: { run, status: 'failed', cancelled: null, output: null, hasOutput: false, error, undoable: false },
  };
}

/** Whether the parent waits for its end. */
export const isAwaited = ({ kind, recalled }: ParentLink): boolean => !recalled && kind !== 'detached' && kind !== 'hooks';

/** Names the task where it began and says what went wrong there: a body decides by it, and a person reads it without opening the child. */
function failureOf(graph: CompiledGraph, state: RunState, run: string, status: 'failed' | 'cancelled', reason: string | null): string {
  const first = firstFailed(graph, state);
  const began = first === null ? null : beganBy(first.task);
  const why = first === null || began === null ? (reason ?? status) : `task "${first.id}" ${first.task.status}: ${began.message}`;
  return JSON.stringify({
    name: CHILD_ERROR,
    code: status === 'failed' ? 'RUN_FAILED' : 'RUN_CANCELLED',
    message: `Run ${run} of workflow "${graph.graph.workflow}" ${status === 'failed' ? 'failed' : 'was cancelled'}: ${why}`.slice(
      0,
      MAX_TEXT,
    ),
    ...(began === null ? {} : { cause: began.cause }),
    run,
    rootCause: runRootCauses(graph, state).slice(0, 100),
  });
}

const MAX_TEXT = 8_192;
const CHILD_ERROR = 'ChildError';

/** Of a task that was itself a run, the cause is where it began in there. */
function beganBy(task: EndedTask): { readonly message: string; readonly cause: ErrorRecord } {
  const { code, message } = settledError(task);
  const error = parseError(task.error);
  const inner = error?.name === CHILD_ERROR ? error.cause : undefined;
  return { message, cause: inner ?? { name: error?.name ?? 'Error', code, message: message.slice(0, MAX_TEXT) } };
}
