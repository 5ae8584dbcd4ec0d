import { decode } from '../core/values/codec.ts';
import type { CompiledGraph, GraphNode } from '../core/kernel/compile.ts';
import type { Duration } from '../core/duration.ts';
import { isPawlError, PawlError, type ErrorRecord } from '../core/errors.ts';
import { runIdText } from '../core/ids.ts';
import type { EndedTask } from '../core/kernel/run-state.ts';
import type { AttemptOutcome, Reason } from '../core/kernel/states.ts';
import { itemKey, mapList, parseError, taskInput } from '../core/kernel/values.ts';
import type { DeadCursor } from '../store/acts.ts';
import type { DeadRow, RunRow, Store } from '../store/store.ts';
import type { ActOptions, Acts, RedriveOptions, ResetReport } from './acts.ts';
import { redriveMany } from './dead-redrive.ts';
import { checkArgument, checkOptions } from '../core/options.ts';
import { ARGUMENT, OPTIONS } from './options.ts';
import { sinceInstant, type Client, type ClientWriter } from './client.ts';

/** A task that failed for good and that a person must decide about. */
export interface DeadLetter {
  /** `<run id>/<task>`, of a map's item `<run id>/<task>[<index>]`. */
  readonly id: string;
  readonly runId: string;
  readonly workflow: string;
  readonly version: string;
  readonly task: string;
  /** Index of a map's item. */
  readonly item?: number;
  readonly reason: Reason;
  /** The error's code, else its name, else the reason. */
  readonly code: string;
  readonly message: string;
  /** Attempts of its last generation. */
  readonly attempts: number;
  readonly diedAt: Date;
  /** The command that sends it on. */
  readonly redrive: string;
}

export interface DeadAttempt {
  readonly generation: number;
  readonly attempt: number;
  readonly outcome: AttemptOutcome;
  readonly reason: Reason;
  readonly error?: ErrorRecord;
  readonly startedAt: Date;
  readonly endedAt: Date;
}

export interface DeadLetterDetail extends DeadLetter {
  /** Of a map whose items have keys. */
  readonly itemKey?: string;
  /** What the body was given; undefined too where it cannot be put together any more: then `inputError` says why. */
  readonly input: unknown;
  readonly inputError?: string;
  /** With stack and causes. */
  readonly error?: ErrorRecord;
  /** Those that failed: the first 3 and the last 10. */
  readonly history: readonly DeadAttempt[];
  readonly tags: readonly string[];
  readonly traceparent?: string;
}

export interface DeadQuery {
  readonly workflow?: string;
  /** Id in the graph. */
  readonly task?: string;
  readonly code?: string;
  readonly run?: string;
  /** Died since this instant, or so long ago. */
  readonly since?: Duration | Date;
  /** At most 500; default 50. */
  readonly limit?: number;
  readonly cursor?: string;
}

export interface DeadRedriveOptions extends ActOptions, Pick<RedriveOptions, 'acceptUnknown' | 'keep' | 'sameKey' | 'dryRun'> {
  /** At most so many dead letters in all. */
  readonly limit?: number;
  /** Only this item of a map. */
  readonly item?: number;
  /** At most so many a second, evenly; default: as fast as they are written. */
  readonly perSecond?: number;
  /** Makes a new input for each; what it throws, or undefined, keeps that dead letter as it is, as an error of the result. */
  readonly edit?: (input: unknown, letter: DeadLetterDetail) => unknown;
}

/** What became of some dead letters of one run: what was sent on together, or those that stay for one reason. */
export interface DeadRedriven {
  readonly runId: string;
  readonly letters: readonly DeadLetter[];
  readonly report?: ResetReport;
  /** Why they stay. */
  readonly error?: PawlError;
}

const PAGE = 500;
/** Each page goes through all tasks of the run. */
const PAGE_OF_RUN = 10_000;

/** Dead letters are a query over failed tasks: nothing is kept twice, and one that is redriven is none any more. */
export class DeadLetters {
  private readonly store: Store;
  private readonly client: Client;
  private readonly writer: ClientWriter;
  private readonly acts: Acts;

  constructor(store: Store, client: Client, writer: ClientWriter, acts: Acts) {
    this.store = store;
    this.client = client;
    this.writer = writer;
    this.acts = acts;
  }

  /** The last to die first. */
  async list(query: DeadQuery = {}): Promise<{ readonly letters: readonly DeadLetter[]; readonly next?: string }> {
    checkOptions(query, 'dead.list', OPTIONS.dead);
    const limit = query.limit ?? 50;
    if (!Number.isInteger(limit) || limit < 1 || limit > PAGE)
      throw new PawlError('CONFIG_OPTION', `limit: give a whole number from 1 to ${PAGE}.`);
    const letters: DeadLetter[] = [];
    let last: string | undefined;
    for await (const { letter, cursor } of this.scan(query)) {
      if (letters.length === limit) return { letters, ...(last === undefined ? {} : { next: last }) };
      letters.push(letter);
      last = cursor;
    }
    return { letters };
  }

  /** How many match; counts to `most` at the most. */
  async count(query: DeadQuery = {}, most = 100_000): Promise<number> {
    checkOptions(query, 'dead.count', OPTIONS.dead);
    let n = 0;
    for await (const _ of this.scan(query)) if (++n >= most) break;
    return n;
  }

  /** @internal */
  async *scan(query: DeadQuery): AsyncGenerator<{ letter: DeadLetter; cursor: string }> {
    const since = query.since === undefined ? -Infinity : sinceInstant(query.since, this.writer.now());
    const run = query.run === undefined ? null : await this.client.find(query.run);
    for await (const { row, task, broken } of this.rows(run, query.cursor === undefined ? null : parseCursor(query.cursor))) {
      if (task.finishedAt < since) return;
      if (query.workflow !== undefined && row.workflow !== query.workflow) continue;
      const letter = letterOf(await this.graphOrNull(row), row, task, broken);
      if (query.task !== undefined && letter.task !== query.task) continue;
      if (query.code !== undefined && letter.code !== query.code) continue;
      yield { letter, cursor: `${task.finishedAt}.${row.run}.${task.node}.${task.item}` };
    }
  }

  private async *rows(run: RunRow | null, cursor: DeadCursor | null): AsyncGenerator<DeadRow> {
    const size = run === null ? PAGE : PAGE_OF_RUN;
    for (let after = cursor; ;) {
      const page = await this.store.deadLetters(after, size, run?.run);
      yield* page;
      const last = page.at(-1);
      if (page.length < size || last === undefined) return;
      after = { at: last.task.finishedAt, run: last.row.run, node: last.task.node, item: last.task.item };
    }
  }

  /** One dead letter by its id, with its input, its error and its attempts. Rejects with `TASK_NOT_DEAD`, `RUN_NOT_FOUND`. */
  async get(id: string): Promise<DeadLetterDetail> {
    const { runId, ...named } = parseLetterId(id);
    const row = await this.client.find(runId);
    const graph = await this.graph(row);
    const { task, item } = letterIn(graph, named);
    const node = graph.byId.get(task);
    if (node === undefined) throw new PawlError('TASK_UNKNOWN', `The workflow "${row.workflow}" has no task ${JSON.stringify(task)}.`);
    const states = await this.store.tasksOf(row.run, item >= 0);
    const state = states.find((one) => one.node === node.index && one.item === item);
    if (state?.status !== 'failed' || !state.dead) {
      const isMap = item < 0 && node.task.kind === 'map';
      const failed = isMap ? 'items of it failed' : 'its failure was discarded or is excused';
      const why = state?.status === 'failed' ? failed : `it is ${state?.status ?? 'pending'}`;
      throw new PawlError('TASK_NOT_DEAD', `${id} is no dead letter: ${why}.`, {
        details: { run: runId, task },
      });
    }
    return this.detail({ row, graph, node, task: state, looked: this.writer.look(row.run, true) });
  }

  /** @internal Details of letters of one run, which is loaded once for all of them. Rejects with `TASK_NOT_DEAD` for one that is none any more. */
  async detailsOf(runId: string): Promise<(letter: DeadLetter) => Promise<DeadLetterDetail>> {
    const row = await this.client.find(runId);
    const graph = await this.graph(row);
    const looked = this.writer.look(row.run, true);
    const seen = await looked;
    return async (letter) => {
      const node = graph.byId.get(letter.task);
      const map = node === undefined ? undefined : seen?.state?.maps.get(node.index);
      const task = letter.item === undefined ? seen?.state?.tasks[node?.index ?? -1] : map?.results?.[letter.item];
      if (node === undefined || typeof task !== 'object' || task?.status !== 'failed' || !task.dead)
        throw new PawlError('TASK_NOT_DEAD', `${letter.id} is no dead letter any more.`, { details: { run: runId, task: letter.task } });
      return this.detail({ row, graph, node, task, looked });
    };
  }

  private async detail({ row, graph, node, task, looked }: Found): Promise<DeadLetterDetail> {
    const attempts = await this.store.attemptsOf({ run: row.run, node: node.index, item: task.item });
    const error = parseError(task.error);
    return {
      ...letterOf(graph, row, task),
      ...(await inputOf(node, task, looked)),
      ...(error === null ? {} : { error }),
      history: attempts.map(({ generation, attempt, outcome, reason, error: text, startedAt, endedAt }) => {
        const failure = parseError(text);
        const ends = { startedAt: new Date(startedAt), endedAt: new Date(endedAt) };
        return { generation, attempt, outcome, reason, ...ends, ...(failure === null ? {} : { error: failure }) };
      }),
      tags: row.tags,
      ...(row.traceparent === null ? {} : { traceparent: row.traceparent }),
    };
  }

  /**
   * Sends on what matches, the last to die first, all of a run's together; yields what became of them. With a request id the whole is done
   * once: asked for again after an interruption, it goes on with what is left of what was dead when it began, within the same limit.
   */
  redrive(query: DeadQuery, options: DeadRedriveOptions = {}): AsyncGenerator<DeadRedriven> {
    return redriveMany({ letters: this, acts: this.acts, store: this.store, writer: this.writer }, query, options);
  }

  private async graphOrNull(row: RunRow): Promise<CompiledGraph | null> {
    try {
      return await this.writer.graph(row.definition);
    } catch (error) {
      if (!isPawlError(error, 'STORE_CORRUPT')) throw error;
      return null;
    }
  }

  private async graph(row: RunRow): Promise<CompiledGraph> {
    const graph = await this.writer.graph(row.definition);
    if (graph === null) throw new PawlError('STORE_CORRUPT', `The definition of run ${runIdText(row.uid)} is not in the store.`);
    return graph;
  }
}

interface Found {
  readonly row: RunRow;
  readonly graph: CompiledGraph;
  readonly node: GraphNode;
  readonly task: EndedTask;
  readonly looked: ReturnType<ClientWriter['look']>;
}

async function inputOf(
  node: GraphNode,
  task: EndedTask,
  looking: Found['looked'],
): Promise<{ input: unknown; inputError?: string; itemKey?: string }> {
  try {
    if (task.edited !== null) return { input: decode(task.edited) };
    const looked = await looking;
    if (looked?.graph == null || looked.state === null) return { input: undefined, inputError: 'the state of its run cannot be read' };
    const { graph, state } = looked;
    const input = taskInput(graph, state, node.index, task.item);
    const map = state.maps.get(node.index);
    if (map === undefined || task.item < 0 || node.key === null) return { input };
    return { input, itemKey: itemKey(graph, state, node, mapList(graph, state, node, map)[task.item], task.item) };
  } catch (error) {
    return { input: undefined, inputError: error instanceof Error ? error.message : String(error) };
  }
}

/** One that cannot be read is listed all the same, as `STORE_CORRUPT`: it must not hide the others. */
function letterOf(graph: CompiledGraph | null, row: RunRow, task: EndedTask, broken?: string): DeadLetter {
  const runId = runIdText(row.uid);
  const name = graph?.nodes[task.node]?.id ?? String(task.node);
  const reason = task.reason ?? 'error';
  const read = readableError(task.error);
  const unreadable = broken ?? (graph === null ? 'the definition of its run is not in the store' : read.unreadable);
  const error = unreadable === undefined ? read.error : { name: 'PawlError', code: 'STORE_CORRUPT', message: unreadable };
  return {
    id: `${runId}/${name}${task.item < 0 ? '' : `[${task.item}]`}`,
    runId,
    workflow: row.workflow,
    version: row.version,
    task: name,
    ...(task.item < 0 ? {} : { item: task.item }),
    reason,
    code: error?.code ?? (reason === 'error' ? (error?.name ?? reason) : reason),
    message: error?.message ?? reason.replaceAll('_', ' '),
    attempts: task.begun,
    diedAt: new Date(task.finishedAt),
    redrive: `pawl redrive ${runId} --task ${shellWord(name)}${task.item < 0 ? '' : ` --item ${task.item}`}`,
  };
}

function readableError(text: string | null): { readonly error: ErrorRecord | null; readonly unreadable?: string } {
  try {
    return { error: parseError(text) };
  } catch {
    return { error: null, unreadable: 'its error cannot be read' };
  }
}

const shellWord = (text: string): string => (/^[\w./:@-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`);

/** `<run>/<task>` or `<run>/<task>[<index>]`. */
export function parseLetterId(id: string): { readonly runId: string; readonly task: string; readonly item: number } {
  checkArgument(id, 'id', ARGUMENT.text);
  const match = /^([^/]{1,60})\/(.+?)(?:\[(\d{1,9})\])?$/s.exec(id);
  if (match === null)
    throw new PawlError(
      'CONFIG_OPTION',
      `${JSON.stringify(id.slice(0, 100))} is no id of a dead letter: give <run>/<task> or <run>/<task>[<item>].`,
    );
  return { runId: match[1] ?? '', task: match[2] ?? '', item: match[3] === undefined ? -1 : Number(match[3]) };
}

/** A task's id may end like the name of an item. */
function letterIn(
  graph: CompiledGraph,
  named: { readonly task: string; readonly item: number },
): { readonly task: string; readonly item: number } {
  const whole = `${named.task}[${named.item}]`;
  const isItem = named.item < 0 || !graph.byId.has(whole) || graph.byId.get(named.task)?.task.kind === 'map';
  return isItem ? named : { task: whole, item: -1 };
}

function parseCursor(cursor: string): DeadCursor {
  const match = /^(\d{1,16})\.(\d{1,16})\.(\d{1,9})\.(-?\d{1,9})$/.exec(cursor);
  if (match === null)
    throw new PawlError('CONFIG_OPTION', `cursor: ${JSON.stringify(cursor.slice(0, 40))} is none of a list of dead letters.`);
  const [at, run, node, item] = match.slice(1).map(Number);
  return { at: at ?? 0, run: run ?? 0, node: node ?? 0, item: item ?? -1 };
}
