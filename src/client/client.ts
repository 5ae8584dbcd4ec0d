import { canonical, decode, encode } from '../core/values/codec.ts';
import type { RunEnd } from '../core/kernel/changes.ts';
import type { CompiledGraph } from '../core/kernel/compile.ts';
import { LAST_INSTANT } from '../core/duration-text.ts';
import { tryDurationMs, durationMs, type Duration } from '../core/duration.ts';
import { PawlError } from '../core/errors.ts';
import { exprRefs } from '../core/graph/expr.ts';
import type { Graph } from '../core/graph/graph.ts';
import { shown } from '../core/graph/problems.ts';
import { newRunId, parseRunId, runIdText } from '../core/ids.ts';
import type { Obstacle } from '../core/kernel/moving.ts';
import type { EndedTask, RunState } from '../core/kernel/run-state.ts';
import { validate, type Schema } from '../core/values/schema.ts';
import { hasSucceeded } from '../core/kernel/changes.ts';
import { isRunOver, isTerminal, RUN_STATUSES, type RunStatus } from '../core/kernel/states.ts';
import type { RunEvent } from '../core/kernel/turn.ts';
import type { Workflow } from '../core/types/types.ts';
import { RunScope, settledError } from '../core/kernel/values.ts';
import type { KeyClaim, ListQuery, RunRow, Store, VersionRow } from '../store/store.ts';
import type { Act } from './acts.ts';
import { checkArgument, checkOptions } from '../core/options.ts';
import { ARGUMENT, OPTIONS } from './options.ts';
import { findRun, type FindOptions } from './find.ts';
import { withWaitReasons } from './waits.ts';
import { compensationFact, inspectRun, type InspectOptions, type RunDetail } from './inspect.ts';
import { LogReader, nodeNamed, type LogFilter, type LogPage, type LogQuery } from './logs.ts';
import { namedVersion } from './named-version.ts';
import { isCause, isListed, parkedOf, rowless, taskView, viewOf, type RunView, type TaskView } from './views.ts';

type AnyWorkflow = Workflow<never, unknown>;

export interface StartOptions {
  /** The caller's key: same workflow and key, same run. */
  readonly key?: string | { readonly value: string; readonly for?: 'kept' | 'open' | Duration; readonly onDuplicate?: 'return' | 'reject' };
  /** Starts so much later. */
  readonly delay?: Duration;
  /** Or at this instant: not both. */
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
  /** An act of a person: its result as JSON, null where the kernel refused it. */
  act(run: number, event: RunEvent, act: Act): Promise<string | null>;
  /** What an act with this request id came to, where it was done. */
  doneRequest(actor: string, requestId: string): Promise<string | null>;
  /** A run as the kernel sees it; with the ended items of its maps where asked. */
  look(
    run: number,
    items: boolean,
  ): Promise<{ readonly row: RunRow | null; readonly graph: CompiledGraph | null; readonly state: RunState | null } | null>;
  /** The schemas of a task, where this process has its code. */
  code(
    definition: number,
    node: number,
  ): { readonly input: Schema | undefined; readonly output: Schema | undefined; readonly form: Schema | undefined } | null;
  /** The registered version of a workflow, else the given definition. */
  definitionFor(workflow: string, definition: number): Promise<unknown>;
  /** Takes a run out of quarantine; false where it had to be set aside again. */
  release(run: number, act: Act): Promise<boolean>;
  /** Fails a quarantined run. */
  abandonRun(run: number, act: Act): Promise<void>;
  /** Lets a run go on under another definition, where it may. */
  move(run: number, definition: number, how: { readonly staysUntil: number | null; readonly act: Act }): Promise<Moved>;
  delay(ms: number): Promise<void>;
  /** How the run ended, null where the store must be asked for that; `'timeout'` when `ms` have passed first. */
  ended(run: number, ms: number | null): Promise<Pick<RunEnd, 'hasOutput' | 'output'> | null | 'timeout'>;
  graph(definition: number): Promise<CompiledGraph | null>;
}

/** What a move came to, as the engine says it. */
type Moved = { readonly kind: 'moved' | 'there' | 'held' | 'closed' } | { readonly kind: 'stays'; readonly obstacles: readonly Obstacle[] };

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
  readonly from: StartFrom | null;
  readonly act: Act | null;
}

/** The run that a start is made from. */
interface StartFrom {
  readonly run: number;
  readonly kind: 'fork' | 'restart';
  readonly taken: { readonly donor: RunState; readonly nodes: readonly number[]; readonly was?: ReadonlyMap<number, number> } | null;
}

export interface RunRef {
  readonly id: string;
  readonly run: number;
}

export interface RunQuery {
  readonly workflow?: AnyWorkflow | string;
  readonly status?: readonly RunStatus[];
  readonly tag?: string;
  readonly key?: string;
  /** Accepted since this instant, or so long ago. */
  readonly since?: Duration | Date;
  /** With runs that stand for a part of another one: an item of a map, a call of a body, its hooks. Default false. */
  readonly parts?: boolean;
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
    checkOptions(options, 'start', OPTIONS.start);
    this.writer.writable();
    const request = await this.request(workflow, input, options);
    const { uid, run, created } = await this.writer.start(request);
    return { id: runIdText(uid), run, created };
  }

  private async request(target: AnyWorkflow | string, input: unknown, options: StartOptions): Promise<StartRequest> {
    const { workflow, definition } = this.writer.current(target);
    const given = encode(input, { maxBytes: this.maxPayload, root: 'input' });
    const now = this.writer.now();
    const stored = workflow.input === undefined ? (given ?? null) : await this.checkedInput(workflow, input);
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
      from: null,
      act: null,
    };
  }

  /** The input as the workflow's schema leaves it, as it is stored. */
  private async checkedInput(workflow: AnyWorkflow, input: unknown): Promise<string | null> {
    const checked = workflow.input === undefined ? { ok: true as const, value: input } : await validate(workflow.input, input);
    if (!checked.ok) {
      const issues = checked.issues.map((issue) => `input${issue.path === '' ? '' : `.${issue.path}`}: ${issue.message}`);
      throw new PawlError('RUN_INPUT_INVALID', `The input of workflow "${workflow.name}" does not fit: ${issues.join('; ')}`, {
        details: { issues: checked.issues },
      });
    }
    return encode(checked.value, { maxBytes: this.maxPayload, root: 'input' }) ?? null;
  }

  /**
   * A run made from another: of the same definition where it takes over outputs, of the registered version where it begins from nothing.
   * Without another input it gets the one that was recorded, as it is.
   */
  async startFrom(
    row: RunRow,
    given: { readonly input?: unknown },
    made: { readonly definition?: number; readonly from: StartFrom; readonly act: Act; readonly priority: number },
  ): Promise<RunRef & { readonly created: boolean }> {
    const { workflow, definition, input: recorded, tags, traceparent } = row;
    const now = this.writer.now();
    const { definition: chosen = definition, ...rest } = made;
    const input = 'input' in given ? await this.checkedInput(this.writer.current(workflow).workflow, given.input) : recorded;
    const { uid, run, created } = await this.writer.start({
      definition: await this.writer.definitionFor(made.from.taken === null ? workflow : '', chosen),
      uid: newRunId(now, (count) => this.writer.randomBytes(count)),
      input,
      key: null,
      rejectDuplicate: false,
      tags,
      startAt: null,
      traceparent,
      ...rest,
    });
    return { id: runIdText(uid), run, created };
  }

  private key(key: StartOptions['key'], input: unknown, now: number): { key: KeyClaim | null; rejectDuplicate: boolean } {
    if (key === undefined) return { key: null, rejectDuplicate: false };
    if (typeof key === 'object') checkOptions(key, 'key', OPTIONS.key);
    const { value, for: life = 'kept', onDuplicate = 'return' } = typeof key === 'object' && key !== null ? key : { value: key };
    if (typeof value !== 'string' || value === '' || value.length > 500)
      throw new PawlError(
        'CONFIG_OPTION',
        `key: must be a string of 1 to 500 characters, not ${typeof value === 'string' ? `one of ${value.length}` : shown(value)}.`,
      );
    // Throws where the text cannot be stored.
    encode(value, { root: 'key' });
    const until = life === 'kept' || life === 'open' ? life : now + durationMs(life, 'key.for');
    // The input as the caller gave it, before any schema: the same call gives the same hash.
    return {
      key: { value, until, inputHash: this.writer.digest(canonical(input)).slice(0, 32) },
      rejectDuplicate: onDuplicate === 'reject',
    };
  }

  /** A version of a workflow that is in the store. */
  async version(workflow: string, version: string): Promise<VersionRow> {
    return namedVersion(workflow, version, await this.store.versions([workflow]));
  }

  async find(id: string): Promise<RunRow> {
    const uid = typeof id === 'string' ? parseRunId(id) : null;
    const row = uid === null ? null : await this.store.findRun(uid);
    if (row === null) throw new PawlError('RUN_NOT_FOUND', `There is no run ${shown(id)} in this store.`);
    return row;
  }

  async view(id: string): Promise<RunView> {
    const row = await this.find(id);
    return viewOf(row, await parkedOf(this.store, [row]));
  }

  /** The run that a person means by an id, a prefix of one, a key, or `@last`. */
  async resolve(text: string, options: FindOptions): Promise<RunRef> {
    checkArgument(text, 'run', ARGUMENT.aString);
    checkOptions(options, 'runs.find', OPTIONS.find);
    const row = await findRun(this.store, text, options);
    return { id: runIdText(row.uid), run: row.run };
  }

  async inspect(id: string, options: InspectOptions): Promise<RunDetail> {
    const row = await this.find(id);
    const graph = await this.graphOf(row);
    const detail = await inspectRun(this.store, row, graph, options);
    return { ...detail, tasks: await withWaitReasons(this.store, { row, graph, tasks: detail.tasks, now: this.writer.now() }) };
  }

  /** The run's tasks in graph order; items of maps where asked. */
  async tasks(id: string, options: { readonly items?: boolean } = {}): Promise<TaskView[]> {
    const row = await this.find(id);
    const graph = await this.graphOf(row);
    const states = await this.store.tasksOf(row.run, options.items === true);
    const byNode = Map.groupBy(states, (state) => state.node);
    return graph.nodes.flatMap((node) => {
      const rows = byNode.get(node.index)?.map((state) => taskView(graph, state));
      return rows ?? (isListed(node) ? [rowless(row, graph, node)] : []);
    });
  }

  async list(query: RunQuery = {}): Promise<{ readonly runs: readonly RunView[]; readonly next?: string }> {
    checkOptions(query, 'runs.list', OPTIONS.runs);
    const limit = Math.min(500, query.limit ?? 50);
    if (!Number.isInteger(limit) || limit < 1)
      throw new PawlError('CONFIG_OPTION', `limit: must be a whole number from 1 to 500, not ${shown(query.limit)}.`);
    const filter: ListQuery = {
      limit: limit + 1,
      ...(query.workflow === undefined ? {} : { workflow: nameOf(query.workflow) }),
      ...(query.status === undefined ? {} : { statuses: checkedStatuses(query.status) }),
      ...(query.tag === undefined ? {} : { tag: query.tag }),
      ...(query.parts === true ? { parts: true } : {}),
      ...(query.key === undefined ? {} : { key: query.key }),
      ...(query.since === undefined ? {} : { since: sinceInstant(query.since, this.writer.now()) }),
      ...(query.cursor === undefined ? {} : { before: parseListCursor(query.cursor) }),
    };
    const rows = await this.store.listRuns(filter);
    const page = rows.slice(0, limit);
    const last = page.at(-1);
    const parked = await parkedOf(this.store, page);
    return {
      runs: page.map((row) => viewOf(row, parked)),
      ...(rows.length > limit && last !== undefined ? { next: String(last.run) } : {}),
    };
  }

  /** The run's output. Rejects with `RUN_FAILED`, `RUN_CANCELLED`, `RUN_NO_OUTPUT`, or `RUN_TIMEOUT` while it goes on. */
  async result(ref: RunRef, options: { readonly timeout?: Duration } = {}): Promise<unknown> {
    const ms = options.timeout === undefined ? null : durationMs(options.timeout, 'timeout');
    const end = await this.writer.ended(ref.run, ms);
    if (end === 'timeout') {
      throw new PawlError(
        'RUN_TIMEOUT',
        `Run ${ref.id} has not ended within ${typeof options.timeout === 'number' ? `${options.timeout} ms` : String(options.timeout)}.`,
        { details: { run: ref.id } },
      );
    }
    if (end?.hasOutput === true) return decode(end.output);
    const row = await this.store.runRow(ref.run);
    if (row === null) throw new PawlError('RUN_NOT_FOUND', `Run ${ref.id} is no longer in this store.`);
    // Redriven since it ended.
    if (!isRunOver[row.status]) return this.result(ref, options);
    return this.outputOf(row);
  }

  private async outputOf(row: RunRow): Promise<unknown> {
    const id = runIdText(row.uid);
    if (row.hasOutput) return decode(row.output);
    if (row.status === 'success' || row.status === 'partial') {
      const isTooLarge = row.reason === 'output_too_large';
      const why = isTooLarge ? `it is larger than maxPayload, ${this.maxPayload} bytes` : await this.missingText(row);
      throw new PawlError('RUN_NO_OUTPUT', `Run ${id} of workflow "${row.workflow}" ended as ${row.status}, but has no output: ${why}.`, {
        details: { run: id },
        ...(isTooLarge ? { fix: 'Return less: references to what is stored elsewhere; or raise maxPayload.' } : {}),
      });
    }
    if (row.status === 'skipped') return undefined;
    // What a person failed in quarantine may have rows that cannot be read: it ends with its reason alone.
    const rootCause = row.reason === 'marked_failed' ? [] : await this.rootCause(row);
    const compensation = row.reason === 'marked_failed' ? {} : compensationFact(row);
    const code = row.status === 'cancelled' ? 'RUN_CANCELLED' : 'RUN_FAILED';
    const first = rootCause[0];
    const because =
      first === undefined
        ? row.reason === null
          ? '.'
          : ` (reason: ${row.reason}).`
        : `: task "${first.task}" ${first.status}: ${first.error?.message ?? first.reason ?? ''}`;
    throw new PawlError(
      code,
      `Run ${id} of workflow "${row.workflow}" ${row.status === 'cancelled' ? 'was cancelled' : row.status}${because}`,
      {
        details: { run: id, ...(row.reason === null ? {} : { reason: row.reason }), ...compensation, rootCause },
      },
    );
  }

  /** The parts that the output requires and that did not succeed. */
  private async missingText(row: RunRow): Promise<string> {
    const { graph, byId, nodes } = await this.graphOf(row);
    const read = new Set(exprRefs(graph.output).map(({ id, mode }) => (mode === 'required' ? byId.get(id)?.index : undefined)));
    const missing = (await this.store.tasksOf(row.run, false)).filter((task) => read.has(task.node) && !hasSucceeded(task));
    const parts = missing.map((task) => `${shown(nodes[task.node]?.id)} (${task.status})`);
    return parts.length === 0 ? 'a part that it reads did not succeed' : `it reads ${parts.join(', ')}`;
  }

  private async rootCause(row: RunRow): Promise<TaskView[]> {
    const graph = await this.graphOf(row);
    const ended = (await this.store.tasksOf(row.run, true)).filter((task) => task.status === 'failed' && isCause(graph, task));
    const items = ended.filter((task) => task.item >= 0).slice(0, 10);
    const tasks = ended.filter((task) => task.item < 0);
    return [...tasks, ...items].map((task) => taskView(graph, task));
  }

  /** What a task gave; undefined where it has not succeeded. */
  async output(ref: RunRef, name: string): Promise<unknown> {
    const row = await this.find(ref.id);
    const graph = await this.graphOf(row);
    const node = nodeNamed(graph, name);
    if (node === undefined)
      throw new PawlError(
        'TASK_UNKNOWN',
        `Workflow "${row.workflow}", version ${row.version}, of run ${ref.id} has no task ${shown(name)}.`,
      );
    const isMap = node.task.kind === 'map';
    const states = (await this.store.tasksOf(row.run, isMap)).filter((state) => state.node === node.index);
    const top = states.find((state) => state.item < 0);
    if (!hasSucceeded(top)) return undefined;
    if (node.parts !== null) return this.firstOutput(row, name);
    // A map that is marked, or was empty, has its output itself.
    if (!isMap || top.output !== null) return decode(top.output);
    const settle = node.task.kind === 'map' && node.task.settle === true;
    const items = states.filter((state): state is EndedTask => state.item >= 0 && isTerminal[state.status]);
    if (settle)
      return items.map((item) =>
        item.status === 'success' ? { status: 'success', value: decode(item.output) } : { status: item.status, error: settledError(item) },
      );
    return items.filter((item) => item.status === 'success').map((item) => decode(item.output));
  }

  /** The row names the winner; its value is where it was made, which may be a branch that has no row. */
  private async firstOutput(row: RunRow, name: string): Promise<unknown> {
    const looked = await this.writer.look(row.run, true);
    return looked?.graph == null || looked.state === null ? undefined : new RunScope(looked.graph, looked.state).output(name);
  }

  async logs(id: string, query: LogQuery = {}): Promise<LogPage> {
    const { limit = 1_000, ...filter } = query;
    if (!Number.isInteger(limit) || limit < 1 || limit > 10_000)
      throw new PawlError('CONFIG_OPTION', 'limit: give a whole number from 1 to 10,000.');
    const { lines, more } = await (await this.logReader(id, filter)).read(limit);
    const next = more ? lines.at(-1)?.cursor : undefined;
    return { lines, ...(next === undefined ? {} : { next }) };
  }

  async logReader(id: string, filter: LogFilter): Promise<LogReader> {
    const row = await this.find(id);
    return new LogReader(this.store, { run: row.run, graph: await this.graphOf(row) }, filter);
  }

  async graph(id: string): Promise<Graph> {
    return (await this.graphOf(await this.find(id))).graph;
  }

  private async graphOf(row: RunRow): Promise<CompiledGraph> {
    const graph = await this.writer.graph(row.definition);
    if (graph === null)
      throw new PawlError('STORE_CORRUPT', `The definition of run ${runIdText(row.uid)} (number ${row.definition}) is not in the store.`);
    return graph;
  }
}

function nameOf(workflow: AnyWorkflow | string): string {
  const name: unknown = typeof workflow === 'object' && workflow !== null ? workflow.name : workflow;
  if (typeof name === 'string') return name;
  throw new PawlError('CONFIG_OPTION', `workflow: must be a workflow or its name, not ${shown(workflow)}.`);
}

function checkedTags(tags: readonly string[] = []): readonly string[] {
  if (!Array.isArray(tags) || tags.length > 50) {
    const given = Array.isArray(tags) ? `one of ${tags.length}` : shown(tags);
    throw new PawlError('CONFIG_OPTION', `tags: must be a list of at most 50 strings, not ${given}.`);
  }
  const wrong = tags.findIndex((tag) => typeof tag !== 'string' || tag === '' || tag.length > 200);
  if (wrong >= 0)
    throw new PawlError('CONFIG_OPTION', `tags[${wrong}]: must be a string of 1 to 200 characters, not ${shown(tags[wrong])}.`);
  return tags;
}

function checkedStatuses(statuses: readonly RunStatus[]): readonly RunStatus[] {
  const wrong = Array.isArray(statuses) ? statuses.find((status) => !RUN_STATUSES.includes(status)) : statuses;
  if (wrong === undefined) return statuses;
  throw new PawlError('CONFIG_OPTION', `status: must be a list of ${RUN_STATUSES.join(', ')}, not ${shown(wrong)}.`);
}

function checkedPriority(priority = 0): number {
  if (!Number.isInteger(priority) || Math.abs(priority) > 1_000_000)
    throw new PawlError('CONFIG_OPTION', `priority: must be a whole number between -1000000 and 1000000, not ${shown(priority)}.`);
  return priority;
}

function startInstant(options: StartOptions, now: number): number | null {
  if (options.startAt === undefined) return delayedInstant(options.delay, now);
  if (options.delay !== undefined) throw new PawlError('CONFIG_OPTION', 'delay, startAt: give one of them, not both.');
  const at = options.startAt instanceof Date ? options.startAt.getTime() : Number.NaN;
  if (Number.isFinite(at)) return at;
  const given = options.startAt instanceof Date ? 'an invalid one' : shown(options.startAt);
  throw new PawlError('CONFIG_OPTION', `startAt: must be a valid Date, not ${given}.`);
}

function delayedInstant(delay: Duration | undefined, now: number): number | null {
  if (delay === undefined) return null;
  const at = now + durationMs(delay, 'delay');
  if (at > LAST_INSTANT)
    throw new PawlError('CONFIG_OPTION', `delay: ${shown(delay)} from now is after the last instant that a Date can hold.`);
  return at;
}

export function sinceInstant(since: Duration | Date, now: number): number {
  if (since instanceof Date && !Number.isNaN(since.getTime())) return since.getTime();
  const ms = tryDurationMs(since);
  if (ms === null) throw new PawlError('CONFIG_OPTION', `since: must be a Date or a duration such as '2h', not ${shown(since)}.`);
  return now - ms;
}

function parseListCursor(cursor: string): number {
  if (!/^\d{1,15}$/.test(cursor)) throw new PawlError('CONFIG_OPTION', `cursor: ${shown(cursor)} is not one that a list gave as next.`);
  return Number(cursor);
}
