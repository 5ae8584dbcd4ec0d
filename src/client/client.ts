import { canonical, decode, encode } from '../core/codec.ts';
import type { RunEnd } from '../core/changes.ts';
import type { CompiledGraph } from '../core/compile.ts';
import { LAST_INSTANT } from '../core/duration-text.ts';
import { tryDurationMs, durationMs, type Duration } from '../core/duration.ts';
import { PawlError } from '../core/errors.ts';
import type { Graph } from '../core/graph.ts';
import { newRunId, parseRunId, runIdText } from '../core/ids.ts';
import type { EndedTask, TaskState } from '../core/run-state.ts';
import { validate } from '../core/schema.ts';
import { isRunOver, isTerminal, type Reason, type RunStatus, type TaskStatus } from '../core/states.ts';
import type { TaskError, Workflow } from '../core/types.ts';
import { parseError, settledError } from '../core/values.ts';
import type { KeyClaim, ListQuery, RunRow, Store } from '../store/store.ts';

type AnyWorkflow = Workflow<never, unknown>;

export interface StartOptions {
  /** The caller's key: same workflow and key, same run. */
  readonly key?: string | { readonly value: string; readonly for?: 'kept' | 'open' | Duration; readonly onDuplicate?: 'return' | 'reject' };
  /** Starts so much later. */
  readonly delay?: Duration;
  /** Or at this instant. */
  readonly startAt?: Date;
  /** Higher goes first; a unit is worth a minute of waiting. */
  readonly priority?: number;
  readonly tags?: readonly string[];
  /** W3C trace context: handed to bodies and put on every log line. */
  readonly traceparent?: string;
}

/** What the client asks of whoever commits. */
export interface ClientWriter {
  now(): number;
  /** Throws `STORE_READONLY` where nothing may be written. */
  writable(): void;
  randomBytes(count: number): Uint8Array;
  digest(text: string): string;
  /** The registered version of a workflow. */
  current(workflow: AnyWorkflow | string): { readonly workflow: AnyWorkflow; readonly definition: unknown };
  start(request: StartRequest): Promise<{ readonly uid: Uint8Array; readonly run: number; readonly created: boolean }>;
  cancel(run: number): Promise<boolean>;
  /** How the run ended, null where the store must be asked for that; `'timeout'` when `ms` have passed first. */
  ended(run: number, ms: number | null): Promise<RunEnd | null | 'timeout'>;
  graph(definition: number): Promise<CompiledGraph | null>;
}

export interface StartRequest {
  readonly definition: unknown;
  readonly uid: Uint8Array;
  readonly input: string | null;
  readonly key: KeyClaim | null;
  readonly rejectDuplicate: boolean;
  readonly tags: readonly string[];
  readonly priority: number;
  readonly startAt: number | null;
  readonly traceparent: string | null;
}

export interface RunRef {
  readonly id: string;
  readonly run: number;
}

export interface TaskView {
  readonly task: string;
  /** Index of a map's item. */
  readonly item?: number;
  readonly status: TaskStatus;
  readonly attempt: number;
  readonly reason?: Reason;
  readonly error?: TaskError;
  readonly startedAt?: Date;
  readonly finishedAt?: Date;
  readonly dueAt?: Date;
}

export interface RunView {
  readonly id: string;
  readonly workflow: string;
  readonly version: string;
  readonly status: RunStatus;
  readonly reason?: Reason;
  readonly key?: string;
  readonly tags: readonly string[];
  readonly acceptedAt: Date;
  readonly startAt?: Date;
  readonly deadlineAt?: Date;
  readonly finishedAt?: Date;
  /** Why nothing of it is claimed any more. */
  readonly quarantined?: string;
}

export interface RunQuery {
  readonly workflow?: AnyWorkflow | string;
  readonly status?: readonly RunStatus[];
  readonly tag?: string;
  /** Accepted since this instant, or so long ago. */
  readonly since?: Duration | Date;
  /** At most 500; default 50. */
  readonly limit?: number;
  readonly cursor?: string;
}

/** Start, get, list, cancel, result: what every front door uses. It reads the store, and writes through the committer. */
export class Client {
  private readonly store: Store;
  private readonly writer: ClientWriter;
  private readonly maxPayload: number;

  constructor(store: Store, writer: ClientWriter, maxPayload: number) {
    this.store = store;
    this.writer = writer;
    this.maxPayload = maxPayload;
  }

  async start(workflow: AnyWorkflow | string, input: unknown, options: StartOptions = {}): Promise<RunRef & { readonly created: boolean }> {
    this.writer.writable();
    const request = await this.request(workflow, input, options);
    const { uid, run, created } = await this.writer.start(request);
    return { id: runIdText(uid), run, created };
  }

  private async request(target: AnyWorkflow | string, input: unknown, options: StartOptions): Promise<StartRequest> {
    const { workflow, definition } = this.writer.current(target);
    const given = encode(input, { maxBytes: this.maxPayload, root: 'input' });
    const now = this.writer.now();
    let stored = given ?? null;
    if (workflow.input !== undefined) {
      const checked = await validate(workflow.input, input);
      if (!checked.ok) {
        const issues = checked.issues.map((issue) => `input${issue.path === '' ? '' : `.${issue.path}`}: ${issue.message}`);
        throw new PawlError('RUN_INPUT_INVALID', `The input of workflow "${workflow.name}" does not fit: ${issues.join('; ')}`, {
          details: { issues: checked.issues },
        });
      }
      stored = encode(checked.value, { maxBytes: this.maxPayload, root: 'input' }) ?? null;
    }
    const { key, rejectDuplicate } = this.key(options.key, input, now);
    return {
      definition,
      uid: newRunId(now, (count) => this.writer.randomBytes(count)),
      input: stored,
      key,
      rejectDuplicate,
      tags: checkedTags(options.tags),
      priority: checkedPriority(options.priority),
      startAt: startInstant(options, now),
      traceparent: options.traceparent ?? null,
    };
  }

  private key(key: StartOptions['key'], input: unknown, now: number): { key: KeyClaim | null; rejectDuplicate: boolean } {
    if (key === undefined) return { key: null, rejectDuplicate: false };
    const { value, for: life = 'kept', onDuplicate = 'return' } = typeof key === 'string' ? { value: key } : key;
    if (typeof value !== 'string' || value === '' || value.length > 500)
      throw new PawlError('CONFIG_OPTION', 'key: give a string of 1 to 500 characters.');
    if (encode(value, { root: 'key' }) === undefined) throw new PawlError('CONFIG_OPTION', 'key: not storable.');
    const until = life === 'kept' || life === 'open' ? life : now + durationMs(life, 'key.for');
    // The input as the caller gave it, before any schema: the same call gives the same hash.
    return {
      key: { value, until, inputHash: this.writer.digest(canonical(input)).slice(0, 32) },
      rejectDuplicate: onDuplicate === 'reject',
    };
  }

  async find(id: string): Promise<RunRow> {
    const uid = parseRunId(id);
    const row = uid === null ? null : await this.store.findRun(uid);
    if (row === null) throw new PawlError('RUN_NOT_FOUND', `There is no run ${JSON.stringify(id.slice(0, 60))}.`);
    return row;
  }

  async view(id: string): Promise<RunView> {
    return viewOf(await this.find(id));
  }

  /** The run's tasks in graph order; items of maps where asked. */
  async tasks(id: string, options: { readonly items?: boolean } = {}): Promise<TaskView[]> {
    const row = await this.find(id);
    const graph = await this.graphOf(row);
    const states = await this.store.tasksOf(row.run, options.items === true);
    const rows = states.map((state) => taskView(graph, state));
    const seen = new Set(states.map((state) => state.node));
    const pending = graph.nodes.filter((node) => node.cases === null && !seen.has(node.index));
    return [...rows, ...pending.map((node): TaskView => ({ task: node.id, status: 'pending', attempt: 0 }))];
  }

  async list(query: RunQuery = {}): Promise<{ readonly runs: readonly RunView[]; readonly next?: string }> {
    const limit = Math.min(500, query.limit ?? 50);
    if (!Number.isInteger(limit) || limit < 1) throw new PawlError('CONFIG_OPTION', 'limit: give a whole number from 1 to 500.');
    const filter: ListQuery = {
      limit: limit + 1,
      ...(query.workflow === undefined ? {} : { workflow: typeof query.workflow === 'string' ? query.workflow : query.workflow.name }),
      ...(query.status === undefined ? {} : { statuses: query.status }),
      ...(query.tag === undefined ? {} : { tag: query.tag }),
      ...(query.since === undefined ? {} : { since: sinceInstant(query.since, this.writer.now()) }),
      ...(query.cursor === undefined ? {} : { before: parseListCursor(query.cursor) }),
    };
    const rows = await this.store.listRuns(filter);
    const page = rows.slice(0, limit);
    const last = page.at(-1);
    return { runs: page.map(viewOf), ...(rows.length > limit && last !== undefined ? { next: String(last.run) } : {}) };
  }

  /** The run's output. Rejects with `RUN_FAILED`, `RUN_CANCELLED`, `RUN_NO_OUTPUT`, or `RUN_TIMEOUT` while it goes on. */
  async result(ref: RunRef, options: { readonly timeout?: Duration } = {}): Promise<unknown> {
    const ms = options.timeout === undefined ? null : durationMs(options.timeout, 'timeout');
    const end = await this.writer.ended(ref.run, ms);
    if (end === 'timeout') {
      throw new PawlError('RUN_TIMEOUT', `Run ${ref.id} has not ended within ${String(options.timeout)}.`, { details: { run: ref.id } });
    }
    if (end?.hasOutput === true) return decode(end.output);
    const row = await this.store.runRow(ref.run);
    if (row === null) throw new PawlError('RUN_NOT_FOUND', `Run ${ref.id} is gone.`);
    return this.outputOf(row);
  }

  private async outputOf(row: RunRow): Promise<unknown> {
    const id = runIdText(row.uid);
    if (row.hasOutput) return decode(row.output);
    if (row.status === 'success' || row.status === 'partial') {
      throw new PawlError(
        'RUN_NO_OUTPUT',
        `Run ${id} is ${row.status}, but has no output: ${row.reason === 'output_too_large' ? 'it is larger than maxPayload' : 'a part of it did not succeed'}.`,
        {
          details: { run: id },
        },
      );
    }
    if (row.status === 'skipped') return undefined;
    const rootCause = await this.rootCause(row);
    const code = row.status === 'cancelled' ? 'RUN_CANCELLED' : 'RUN_FAILED';
    const first = rootCause[0];
    const because =
      first === undefined
        ? row.reason === null
          ? ''
          : ` (${row.reason})`
        : `: task "${first.task}" ${first.status}: ${first.error?.message ?? first.reason ?? ''}`;
    throw new PawlError(code, `Run ${id} of workflow "${row.workflow}" ${row.status}${because}`, {
      details: { run: id, ...(row.reason === null ? {} : { reason: row.reason }), rootCause },
    });
  }

  private async rootCause(row: RunRow): Promise<TaskView[]> {
    const graph = await this.graphOf(row);
    const ended = (await this.store.tasksOf(row.run, true)).filter((task) => task.status === 'failed' && !task.allowed);
    const items = ended.filter((task) => task.item >= 0).slice(0, 10);
    const tasks = ended.filter((task) => task.item < 0);
    return [...tasks, ...items].map((task) => taskView(graph, task));
  }

  /** What a task gave; undefined where it has not succeeded. */
  async output(ref: RunRef, name: string): Promise<unknown> {
    const row = await this.find(ref.id);
    const graph = await this.graphOf(row);
    const node = graph.byId.get(name) ?? graph.nodes.find((one) => 'task' in one.task && one.task.task === name);
    if (node === undefined) throw new PawlError('TASK_UNKNOWN', `The workflow "${row.workflow}" has no task ${JSON.stringify(name)}.`);
    const isMap = node.task.kind === 'map';
    const states = (await this.store.tasksOf(row.run, isMap)).filter((state) => state.node === node.index);
    const top = states.find((state) => state.item < 0);
    if (top?.status !== 'success') return undefined;
    if (!isMap) return decode(top.output);
    const settle = node.task.kind === 'map' && node.task.settle === true;
    const items = states.filter((state): state is EndedTask => state.item >= 0 && isTerminal[state.status]);
    if (settle)
      return items.map((item) =>
        item.status === 'success' ? { status: 'success', value: decode(item.output) } : { status: item.status, error: settledError(item) },
      );
    return items.filter((item) => item.status === 'success').map((item) => decode(item.output));
  }

  /** True where this cancelled it; false where it was over already. */
  async cancel(id: string): Promise<boolean> {
    this.writer.writable();
    const row = await this.find(id);
    return isRunOver[row.status] ? false : this.writer.cancel(row.run);
  }

  async graph(id: string): Promise<Graph> {
    return (await this.graphOf(await this.find(id))).graph;
  }

  private async graphOf(row: RunRow): Promise<CompiledGraph> {
    const graph = await this.writer.graph(row.definition);
    if (graph === null) throw new PawlError('STORE_CORRUPT', `The definition of run ${runIdText(row.uid)} is not in the store.`);
    return graph;
  }
}

export function viewOf(row: RunRow): RunView {
  return {
    id: runIdText(row.uid),
    workflow: row.workflow,
    version: row.version,
    status: row.status,
    ...(row.reason === null ? {} : { reason: row.reason }),
    ...(row.key === null ? {} : { key: row.key }),
    tags: row.tags,
    acceptedAt: new Date(row.acceptedAt),
    ...(row.startAt === null ? {} : { startAt: new Date(row.startAt) }),
    ...(row.deadlineAt === null ? {} : { deadlineAt: new Date(row.deadlineAt) }),
    ...(row.finishedAt === null ? {} : { finishedAt: new Date(row.finishedAt) }),
    ...(row.quarantined === null ? {} : { quarantined: row.quarantined }),
  };
}

function taskView(graph: CompiledGraph, state: TaskState): TaskView {
  const error = 'error' in state ? parseError(state.error) : null;
  const startedAt = 'startedAt' in state ? state.startedAt : null;
  return {
    task: graph.nodes[state.node]?.id ?? String(state.node),
    ...(state.item < 0 ? {} : { item: state.item }),
    status: state.status,
    attempt: state.attempt,
    ...('reason' in state && state.reason !== null ? { reason: state.reason } : {}),
    ...(error === null ? {} : { error: { code: error.code ?? error.name, message: error.message, attempts: state.begun } }),
    ...(startedAt === null ? {} : { startedAt: new Date(startedAt) }),
    ...('finishedAt' in state ? { finishedAt: new Date(state.finishedAt) } : {}),
    ...(state.status === 'retrying' ? { dueAt: new Date(state.dueAt) } : {}),
  };
}

function checkedTags(tags: readonly string[] = []): readonly string[] {
  const fine = Array.isArray(tags) && tags.length <= 50 && tags.every((tag) => typeof tag === 'string' && tag !== '' && tag.length <= 200);
  if (!fine) throw new PawlError('CONFIG_OPTION', 'tags: give at most 50 strings of 1 to 200 characters.');
  return tags;
}

function checkedPriority(priority = 0): number {
  if (!Number.isInteger(priority) || Math.abs(priority) > 1_000_000)
    throw new PawlError('CONFIG_OPTION', 'priority: give a whole number between -1,000,000 and 1,000,000.');
  return priority;
}

function startInstant(options: StartOptions, now: number): number | null {
  if (options.startAt === undefined && options.delay === undefined) return null;
  const at = options.startAt === undefined ? now + durationMs(options.delay ?? 0, 'delay') : options.startAt.getTime();
  if (Number.isNaN(at)) throw new PawlError('CONFIG_OPTION', 'startAt: not a valid Date.');
  if (at > LAST_INSTANT) throw new PawlError('CONFIG_OPTION', 'delay: ends after the last instant that a Date can hold.');
  return at;
}

function sinceInstant(since: Duration | Date, now: number): number {
  if (since instanceof Date) return since.getTime();
  const ms = tryDurationMs(since);
  if (ms === null) throw new PawlError('CONFIG_OPTION', "since: give a Date or a duration such as '2h'.");
  return now - ms;
}

function parseListCursor(cursor: string): number {
  if (!/^\d{1,15}$/.test(cursor)) throw new PawlError('CONFIG_OPTION', 'cursor: not one that a list gave.');
  return Number(cursor);
}
