/** Bodies that wait: how they leave their slot, what wakes them, how they begin anew (semantics, section 5). */
import type { RecordChange } from './changes.ts';
import { noteCalled } from './calling.ts';
import type { ChildEnd, ChildStart } from './children.ts';
import type { GraphNode } from './compile.ts';
import { LAST_INSTANT } from '../duration-text.ts';
import { letGoOfCalls } from './letting-go.ts';
import { callsOf } from './open-calls.ts';
import { enqueue } from './queueing.ts';
import type { QueuedTask, RunningTask, TaskState, WaitingTask } from './run-state.ts';
import { bareFacts, contractOf, type Turn } from './turn.ts';
import { earliest, openText, resultText, type BodyWait, type ChildWait, type Wait, type WaitRecord } from './waits.ts';

/** The body left: it waits for any of these. What is over by now wakes it at once. */
export function suspended(turn: Turn, node: GraphNode, task: RunningTask, waits: readonly BodyWait[]): TaskState {
  const opened = waits
    .filter((one) => one.isNew)
    .map(({ wait, hash }): RecordChange => {
      return {
        ...placeOf(task),
        kind: 'open',
        name: wait.name,
        call: wait.kind === 'time' ? 'sleep' : wait.kind === 'child' ? 'run' : 'wait',
        hash,
        value: openText(wait),
      };
    });
  note(turn, opened);
  const on = waits.map((one) => one.wait);
  callChildren(turn, task, waits);
  const facts = { ...bareFacts(task), ranMs: task.ranMs + Math.max(0, turn.now - task.startedAt) };
  const calls = callsOf(on);
  const waiting: WaitingTask = {
    ...facts,
    status: 'waiting',
    on,
    ...(calls === null ? {} : { calls }),
    since: turn.now,
    dueAt: earliest(on, totalEndOf(node, task.firstQueuedAt)),
  };
  return on.some((wait) => isDue(wait, turn.now)) ? bodyDue(turn, node, waiting) : waiting;
}

const isDue = (wait: Wait, now: number): boolean => wait.dueAt !== null && wait.dueAt <= now;

/** The time of one or more of its waits is over. */
export function bodyDue(turn: Turn, node: GraphNode, task: WaitingTask): QueuedTask {
  const due = task.on.filter((wait) => isDue(wait, turn.now)).toSorted((a, b) => (a.dueAt ?? 0) - (b.dueAt ?? 0));
  for (const wait of due) end(turn, task, wait, wait.kind === 'time' ? ['ok', null] : ['timeout']);
  return resumption(node, task);
}

/** Runs that the body calls: those that are new start with this commit, those that were open before may have ended since. */
function callChildren(turn: Turn, { node, item, generation }: RunningTask, waits: readonly BodyWait[]): void {
  const starts = waits.flatMap(({ wait, isNew, input = null, goesOn = false }): ChildStart[] => {
    if (wait.kind !== 'child') return [];
    const { name, workflow } = wait;
    return [{ node, item, generation, name, kind: 'body', workflow, graph: null, input, refused: null, goesOn, isOpen: !isNew }];
  });
  if (starts.length === 0) return;
  turn.changes.children = [...turn.changes.children, ...starts];
  noteCalled(turn);
}

/** A run that the body called has ended. Of a group the last one wakes it: until then the task stays as it is. */
export function childCame(turn: Turn, node: GraphNode, task: WaitingTask, name: string, ended: ChildEnd): TaskState | null {
  const { calls } = task;
  const wait = calls === undefined ? task.on.find((one): one is ChildWait => one.kind === 'child' && one.name === name) : calls.find(name);
  if (wait === undefined) return null;
  const { status, output, error, run } = ended;
  const isGood = status === 'success' || status === 'partial' || status === 'skipped';
  const why = error ?? JSON.stringify({ name: 'ChildError', code: 'RUN_FAILED', message: `Run ${run} ${status}.`, run, rootCause: [] });
  end(turn, task, wait, !isGood ? ['failed', why] : status === 'success' ? ['ok', output] : ['ok', output, status]);
  if (calls !== undefined && !calls.end(wait)) return task;
  return resumption(node, task);
}

/** A message came for one of its waits. */
export function bodyWoken(turn: Turn, node: GraphNode, task: WaitingTask, wait: Wait, data: string | null): QueuedTask {
  end(turn, task, wait, ['ok', data]);
  return resumption(node, task);
}

function end(turn: Turn, task: WaitingTask, wait: Wait, result: NonNullable<WaitRecord['result']>): void {
  if (wait.name !== null) note(turn, [{ ...placeOf(task), kind: 'done', name: wait.name, value: resultText(result, wait) }]);
}

const placeOf = ({ node, item, generation }: RunningTask | WaitingTask) => ({ node, item, generation });

function note({ changes }: Turn, records: readonly RecordChange[]): void {
  if (records.length > 0) changes.records = [...changes.records, ...records];
}

/** The attempt goes on where it stopped: its body runs again, with its records. */
function resumption(node: GraphNode, task: WaitingTask): QueuedTask {
  return { ...bareFacts(task), status: 'queued', phase: 'body', next: 'resume', expiresAt: totalEndOf(node, task.firstQueuedAt) };
}

/**
 * The body begins anew: without records, with all its attempts, and as other work than before to whoever it calls. The generation stays, so
 * that a body that never ends leaves nothing behind.
 */
export function restarted(turn: Turn, node: GraphNode, task: RunningTask, input: string | null): TaskState | null {
  note(turn, [{ ...placeOf(task), kind: 'forget' }]);
  // What they come to would be taken for the ends of its new calls of the same names.
  letGoOfCalls(turn, task);
  const facts = {
    ...bareFacts(task),
    begun: 0,
    losses: 0,
    crashes: 0,
    handBacks: 0,
    draws: [],
    ranMs: 0,
    firstQueuedAt: turn.now,
    effect: task.effect + 1,
    edited: input ?? task.edited,
  };
  if (node.needs !== null) return enqueue(turn, node, facts);
  return { ...facts, status: 'queued', phase: 'body', next: 'start', expiresAt: totalEndOf(node, turn.now) };
}

export const totalEndOf = (node: GraphNode, firstQueuedAt: number): number | null => {
  const totalMs = contractOf(node)?.timeout.totalMs;
  return totalMs === undefined ? null : Math.min(LAST_INSTANT, firstQueuedAt + totalMs);
};
