import { PawlError } from '../../core/errors.ts';
import { decode } from '../../core/values/codec.ts';
import { LINK_KINDS, type EndedTask, type ParentLink, type RunFacts, type TaskFacts, type TaskState } from '../../core/kernel/run-state.ts';
import { callsOf } from '../../core/kernel/open-calls.ts';
import { readFlow } from '../../core/kernel/run-flow.ts';
import { isRunOver, RUN_STATUSES, TASK_STATUSES, type Reason, type RunStatus, type TaskStatus } from '../../core/kernel/states.ts';
import { readWaits } from '../../core/kernel/waits.ts';
import type { PastTask } from '../acts.ts';
import type { DeadRow, LogRow, MapCounts, RunRow, StoredLine, WorkerRow } from '../store.ts';

/** Rows as Node's SQLite gives them, and the kernel's states they stand for. What does not decode is a corrupt or foreign row. */
export type Value = string | number | bigint | null | Uint8Array;
export type Row = Record<string, Value>;

const TASK_CODE = Object.fromEntries(TASK_STATUSES.map((status, i) => [status, i])) as Record<TaskStatus, number>;
const RUN_CODE = Object.fromEntries(RUN_STATUSES.map((status, i) => [status, i])) as Record<RunStatus, number>;

export const taskCode = (status: TaskStatus): number => TASK_CODE[status];
export const runCode = (status: RunStatus): number => RUN_CODE[status];

const FLAG = { allowed: 1, partial: 2, dead: 4, stale: 8, cached: 16, handled: 32 };
const PHASES = ['evaluate', 'body'] as const;
const NEXTS = ['start', 'return', 'resume'] as const;
const RESUMED = NEXTS.indexOf('resume');

/** The columns that change over a task's life, in the order of `moveHeld` and `moveFree`. */
export function changing(task: TaskState): Value[] {
  const running = task.status === 'running';
  const waiting = task.status === 'waiting';
  const ended = 'finishedAt' in task;
  const lease = running ? task.lease : null;
  return [
    TASK_CODE[task.status],
    task.attempt,
    task.begun,
    task.losses,
    task.crashes,
    task.handBacks,
    task.draws.length === 0 ? null : JSON.stringify(task.draws),
    task.ranMs,
    'phase' in task ? PHASES.indexOf(task.phase) : 1,
    nextCode(task),
    lease?.token ?? null,
    lease?.worker ?? null,
    running || ended ? task.startedAt : waiting ? task.since : null,
    task.status === 'queued' ? task.expiresAt : task.status === 'retrying' || waiting ? task.dueAt : null,
    ended ? task.finishedAt : null,
    'reason' in task ? task.reason : null,
    ended ? flagsOf(task) : running && task.partial === true ? FLAG.partial : 0,
    ended ? task.completion : null,
    waiting ? JSON.stringify(task.on) : null,
    ended ? task.output : task.status === 'queued' ? (task.given ?? null) : null,
    'error' in task ? task.error : null,
  ];
}

/** Of a queued or running task how its attempt goes on; of a pending one, whether its child run does. */
function nextCode(task: TaskState): number | null {
  if (task.status === 'queued') return NEXTS.indexOf(task.next);
  if (task.status === 'running') return task.resumed === true ? RESUMED : null;
  return task.status === 'pending' && task.goesOn === true ? NEXTS.indexOf('return') : null;
}

/** All columns, in the order of `insertTask`. */
export function whole(run: number, body: number, task: TaskState): Value[] {
  const [status, attempt, begun, losses, crashes, handBacks, draws, ranMs, ...rest] = changing(task);
  const [output, error] = rest.splice(-2);
  const fixed = [run, task.node, task.item, body, status, task.generation, attempt, begun, losses, crashes, handBacks, draws, ranMs];
  return [...fixed, task.rank, task.firstQueuedAt, ...rest, task.effect, task.edited, output, error] as Value[];
}

function flagsOf(task: EndedTask): number {
  return (
    (task.allowed ? FLAG.allowed : 0) +
    (task.partial ? FLAG.partial : 0) +
    (task.dead ? FLAG.dead : 0) +
    (task.stale ? FLAG.stale : 0) +
    (task.cached ? FLAG.cached : 0) +
    (task.handled ? FLAG.handled : 0)
  );
}

export function readTask(row: Row): TaskState {
  const facts: TaskFacts = {
    node: number(row['node']),
    item: number(row['item']),
    generation: number(row['generation']),
    attempt: number(row['attempt']),
    begun: number(row['begun']),
    losses: number(row['losses']),
    crashes: number(row['crashes']),
    handBacks: number(row['hand_backs']),
    draws: row['draws'] === null ? [] : (json(text(row['draws']), 'draws') as number[]),
    ranMs: number(row['ran_ms']),
    rank: number(row['rank']),
    firstQueuedAt: number(row['first_queued_at']),
    effect: number(row['effect']),
    edited: row['edited'] as string | null,
  };
  const status = TASK_STATUSES[number(row['status'])];
  const phase = PHASES[number(row['phase'])] ?? 'body';
  const reason = row['reason'] as Reason | null;
  const error = row['error'] as string | null;
  switch (status) {
    case 'pending':
      return { ...facts, status, ...(row['next'] === 1 ? { goesOn: true } : {}) };
    case 'queued':
      return {
        ...facts,
        status,
        phase,
        next: NEXTS[number(row['next'])] ?? 'start',
        expiresAt: numberOrNull(row['due_at']),
        ...(row['output'] === null ? {} : { given: text(row['output']) }),
      };
    case 'running': {
      const token = numberOrNull(row['token']);
      return {
        ...facts,
        status,
        phase,
        lease: token === null ? null : { token, worker: number(row['worker']) },
        startedAt: number(row['started_at']),
        ...((number(row['flags']) & FLAG.partial) !== 0 ? { partial: true } : {}),
        ...(row['next'] === RESUMED ? { resumed: true } : {}),
      };
    }
    case 'retrying':
      return { ...facts, status, dueAt: numberOrNull(row['due_at']), reason: reason ?? 'error', error };
    case 'success':
    case 'failed':
    case 'skipped':
    case 'upstream_failed':
    case 'cancelled':
      return endedOf(facts, status, row, reason, error);
    case 'waiting': {
      const on = readWaits(text(row['waits']));
      if (on === null) throw new PawlError('STORE_CORRUPT', `The column waits holds no waits: ${text(row['waits']).slice(0, 60)}.`);
      const calls = callsOf(on);
      const rest = { since: number(row['started_at']), dueAt: numberOrNull(row['due_at']) };
      return { ...facts, status, on, ...(calls === null ? {} : { calls }), ...rest };
    }
    case undefined:
      break;
  }
  throw new PawlError(
    'STORE_CORRUPT',
    `Task ${facts.node} of run number ${String(row['run'])} has the status ${String(row['status'])}, which this version of Pawl does not write.`,
  );
}

function endedOf(facts: TaskFacts, status: EndedTask['status'], row: Row, reason: Reason | null, error: string | null): EndedTask {
  const flags = number(row['flags']);
  return {
    ...facts,
    status,
    reason,
    error,
    output: row['output'] as string | null,
    startedAt: numberOrNull(row['started_at']),
    finishedAt: number(row['finished_at']),
    allowed: (flags & FLAG.allowed) !== 0,
    partial: (flags & FLAG.partial) !== 0,
    dead: (flags & FLAG.dead) !== 0,
    stale: (flags & FLAG.stale) !== 0,
    cached: (flags & FLAG.cached) !== 0,
    handled: (flags & FLAG.handled) !== 0,
    completion: numberOrNull(row['completion']),
  };
}

export function readWorker(row: Row): WorkerRow {
  return {
    id: number(row['id']),
    name: text(row['name']),
    host: text(row['host']),
    pid: number(row['pid']),
    pidStarted: row['pidStarted'] as string | null,
    bootId: row['bootId'] as string | null,
    pidNamespace: row['pidNamespace'] as string | null,
    startedAt: number(row['startedAt']),
    leaseUntil: number(row['leaseUntil']),
    slots: number(row['slots']),
    serves: JSON.parse(text(row['serves'])) as number[],
    wedged: row['wedged'] === 1,
    fenced: row['fenced'] === 1,
    endedAt: numberOrNull(row['endedAt']),
  };
}

export function readPast(row: Row): PastTask {
  const status = TASK_STATUSES[number(row['status'])];
  if (status === undefined) throw new PawlError('STORE_CORRUPT', `A past task has the unknown status ${String(row['status'])}.`);
  return {
    node: number(row['node']),
    item: number(row['item']),
    generation: number(row['generation']),
    attempt: number(row['attempt']),
    status,
    reason: row['reason'] as Reason | null,
    startedAt: numberOrNull(row['startedAt']),
    finishedAt: numberOrNull(row['finishedAt']),
    edited: row['edited'] as string | null,
    output: row['output'] as string | null,
    error: row['error'] as string | null,
  };
}

export function readRun(row: Row): RunRow {
  return {
    run: number(row['id']),
    uid: row['uid'] as Uint8Array,
    definition: number(row['definition']),
    workflow: text(row['workflow']),
    version: text(row['version']),
    status: runStatus(row['status']),
    reason: row['reason'] as Reason | null,
    owner: numberOrNull(row['owner']),
    unclaimed: row['unclaimed'] === 1,
    quarantined: row['quarantined'] as string | null,
    isImported: row['imported'] === 1,
    acceptedAt: number(row['accepted_at']),
    startAt: numberOrNull(row['start_at']),
    deadlineAt: numberOrNull(row['deadline_at']),
    finishedAt: numberOrNull(row['finished_at']),
    key: row['key'] as string | null,
    tags: row['tags'] === null ? [] : (decode(text(row['tags'])) as string[]),
    traceparent: row['traceparent'] as string | null,
    input: row['input'] as string | null,
    output: row['output'] as string | null,
    hasOutput: row['has_output'] === 1,
    generation: number(row['generation']),
    linkedFrom: numberOrNull(row['linked_from']),
    link: row['link'] === 'fork' || row['link'] === 'restart' ? row['link'] : null,
    parent: parentOf(row),
    compensation: compensationOf(row),
    schedule: row['schedule'] as string | null,
    dueAt: numberOrNull(row['due_at']),
  };
}

function compensationOf(row: Row): RunRow['compensation'] {
  const { compensated, incomplete } = readFlow(row['flow'] as string | null).flow;
  if (!compensated) return null;
  return !isRunOver[runStatus(row['status'])] ? 'running' : incomplete ? 'incomplete' : 'complete';
}

/** Dead letters: one whose row, or whose run's, cannot be read is still one. What names it is numbers, which can. */
export function readDead(rows: readonly Row[], runOf: (id: Value) => Row | undefined): DeadRow[] {
  return rows.flatMap((row): DeadRow[] => {
    const of = runOf(row['run'] ?? null);
    if (of === undefined) return [];
    try {
      return [{ row: readRun(of), task: readTask(row) as EndedTask }];
    } catch (error) {
      const run = readRun({
        ...of,
        status: runCode('failed'),
        tags: null,
        workflow: String(of['workflow']),
        version: String(of['version']),
      });
      const task = readTask({ ...row, status: taskCode('failed'), draws: null, error: null });
      return [{ row: run, task: task as EndedTask, broken: error instanceof Error ? error.message : String(error) }];
    }
  });
}

export function readMap(row: Row): MapCounts {
  return {
    node: number(row['node']),
    n: number(row['n']),
    next: number(row['next']),
    ok: number(row['ok']),
    failed: number(row['failed']),
    cancelled: number(row['cancelled']),
    skipped: number(row['skipped']),
  };
}

/** What the kernel needs to know of a run; `id` stands under `idColumn`. */
export function readFacts(row: Row, run: number): RunFacts {
  return {
    run,
    generation: number(row['generation']),
    rev: number(row['rev']),
    status: runStatus(row['status']),
    resumeTo: resumeTo(row['resume_to']),
    parent: parentOf(row),
    rank: number(row['rank']),
    startAt: numberOrNull(row['start_at']),
    acceptedAt: number(row['accepted_at']),
    deadlineAt: numberOrNull(row['deadline_at']),
    input: row['input'] as string | null,
    ...readFlow(row['flow'] as string | null),
  };
}

function parentOf(row: Row): ParentLink | null {
  const run = row['parent'];
  if (run === null || run === undefined) return null;
  const kind = LINK_KINDS[number(row['parent_kind'])];
  if (kind === undefined)
    throw new PawlError(
      'STORE_CORRUPT',
      `A run hangs on another one by ${String(row['parent_kind'])}, which this version of Pawl does not write.`,
    );
  return {
    run: Number(run),
    node: number(row['parent_node']),
    item: number(row['parent_item']),
    generation: number(row['parent_generation']),
    name: row['parent_name'] as string | null,
    kind,
    tree: number(row['tree']),
    recalled: row['recall'] === 1,
    completion: numberOrNull(row['completion']),
  };
}

function resumeTo(value: Value | undefined): RunFacts['resumeTo'] {
  if (value === null || value === undefined) return null;
  const status = runStatus(value);
  return status === 'scheduled' || status === 'queued' ? status : 'running';
}

export function readLog(row: Row): LogRow {
  return {
    seq: number(row['seq']),
    node: number(row['node']),
    item: number(row['item']),
    generation: number(row['generation']),
    attempt: number(row['attempt']),
    lines: JSON.parse(text(row['lines'])) as StoredLine[],
  };
}

function runStatus(value: Value | undefined): RunStatus {
  const status = RUN_STATUSES[number(value)];
  if (status === undefined)
    throw new PawlError('STORE_CORRUPT', `A run has the status ${String(value)}, which this version of Pawl does not write.`);
  return status;
}

function number(value: Value | undefined): number {
  return value === null || value === undefined ? 0 : Number(value);
}

function json(value: string, column: string): unknown {
  try {
    return JSON.parse(value) as unknown;
  } catch (error) {
    throw new PawlError('STORE_CORRUPT', `The column ${column} holds no JSON: ${value.slice(0, 60)}.`, { cause: error });
  }
}

function numberOrNull(value: Value | undefined): number | null {
  return value === null || value === undefined ? null : Number(value);
}

function text(value: Value | undefined): string {
  if (typeof value !== 'string')
    throw new PawlError('STORE_CORRUPT', `A column of text holds ${value === null ? 'NULL' : `a ${typeof value}`}.`);
  return value;
}
