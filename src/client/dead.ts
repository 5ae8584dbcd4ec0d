import { decode } from '../core/codec.ts';
import type { CompiledGraph, GraphNode } from '../core/compile.ts';
import type { Duration } from '../core/duration.ts';
import { PawlError, type ErrorRecord } from '../core/errors.ts';
import { runIdText } from '../core/ids.ts';
import type { EndedTask } from '../core/run-state.ts';
import type { AttemptOutcome, Reason } from '../core/states.ts';
import { itemKey, mapList, parseError, taskInput } from '../core/values.ts';
import type { DeadCursor } from '../store/acts.ts';
import type { DeadRow, RunRow, Store } from '../store/store.ts';
import type { ActOptions, Acts, RedriveOptions, ResetReport } from './acts.ts';
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
  /** At most so many a second; default: as fast as they are written. */
  readonly perSecond?: number;
  /** Makes a new input for each; what it throws keeps that dead letter as it is, as an error of the result. */
  readonly edit?: (input: unknown, letter: DeadLetterDetail) => unknown;
}

/** What became of some dead letters of one run. */
export interface DeadRedriven {
  readonly runId: string;
  readonly letters: readonly DeadLetter[];
  readonly report?: ResetReport;
  /** Why they stay. */
  readonly error?: PawlError;
}

const PAGE = 500;

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
    let n = 0;
    for await (const _ of this.scan(query)) if (++n >= most) break;
    return n;
  }

  private async *scan(query: DeadQuery): AsyncGenerator<{ letter: DeadLetter; cursor: string }> {
    const since = query.since === undefined ? -Infinity : sinceInstant(query.since, this.writer.now());
    const run = query.run === undefined ? null : await this.client.find(query.run);
    for await (const dead of this.rows(run, query.cursor === undefined ? null : parseCursor(query.cursor))) {
      const { row, task } = dead;
      if (task.finishedAt < since) {
        if (run === null) return;
        continue;
      }
      if (query.workflow !== undefined && row.workflow !== query.workflow) continue;
      const letter = letterOf(await this.graph(row), row, task);
      if (query.task !== undefined && letter.task !== query.task) continue;
      if (query.code !== undefined && letter.code !== query.code) continue;
      yield { letter, cursor: `${task.finishedAt}.${row.run}.${task.node}.${task.item}` };
    }
  }

  private async *rows(run: RunRow | null, cursor: DeadCursor | null): AsyncGenerator<DeadRow> {
    if (run !== null) {
      const isBehind = (task: EndedTask): boolean =>
        cursor === null || task.node > cursor.node || (task.node === cursor.node && task.item > cursor.item);
      for (const task of await this.store.tasksOf(run.run, true)) {
        if (task.status === 'failed' && task.dead && isBehind(task)) yield { row: run, task };
      }
      return;
    }
    for (let after = cursor; ;) {
      const page = await this.store.deadLetters(after, PAGE);
      yield* page;
      const last = page.at(-1);
      if (page.length < PAGE || last === undefined) return;
      after = { at: last.task.finishedAt, run: last.row.run, node: last.task.node, item: last.task.item };
    }
  }

  /** One dead letter by its id, with its input, its error and its attempts. Rejects with `TASK_NOT_DEAD`, `RUN_NOT_FOUND`. */
  async get(id: string): Promise<DeadLetterDetail> {
    const { runId, task, item } = parseLetterId(id);
    const row = await this.client.find(runId);
    const graph = await this.graph(row);
    const node = graph.byId.get(task);
    if (node === undefined) throw new PawlError('TASK_UNKNOWN', `The workflow "${row.workflow}" has no task ${JSON.stringify(task)}.`);
    const states = await this.store.tasksOf(row.run, item >= 0);
    const state = states.find((one) => one.node === node.index && one.item === item);
    if (state?.status !== 'failed' || !state.dead) {
      throw new PawlError('TASK_NOT_DEAD', `${id} is no dead letter: it is ${state?.status ?? 'pending'}.`, {
        details: { run: runId, task },
      });
    }
    return this.detail(row, graph, node, state);
  }

  private async detail(row: RunRow, graph: CompiledGraph, node: GraphNode, task: EndedTask): Promise<DeadLetterDetail> {
    const attempts = await this.store.attemptsOf({ run: row.run, node: node.index, item: task.item });
    const error = parseError(task.error);
    return {
      ...letterOf(graph, row, task),
      ...(await this.inputOf(row, node, task)),
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

  private async inputOf(row: RunRow, node: GraphNode, task: EndedTask): Promise<{ input: unknown; inputError?: string; itemKey?: string }> {
    try {
      if (task.edited !== null) return { input: decode(task.edited) };
      const looked = await this.writer.look(row.run, true);
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

  /**
   * Sends on what matches, run by run, the last to die first; yields what became of each run's. With a request id the whole is done once:
   * asked for again after an interruption, it goes on with what is left.
   */
  async *redrive(query: DeadQuery, options: DeadRedriveOptions = {}): AsyncGenerator<DeadRedriven> {
    const { limit = Infinity, perSecond } = options;
    if (perSecond !== undefined && !(perSecond > 0)) throw new PawlError('CONFIG_OPTION', 'perSecond: give a number above 0.');
    let left = limit;
    for await (const letters of this.byRun(query, options.item)) {
      const some = letters.slice(0, left);
      if (some.length === 0) return;
      left -= some.length;
      for (const part of options.edit === undefined ? [some] : some.map((letter) => [letter])) {
        yield await this.redriveSome(part, options);
        if (perSecond !== undefined && options.dryRun !== true) await this.writer.delay((part.length * 1_000) / perSecond);
      }
    }
  }

  /** Neighbours of one run together; what a redrive kills again meanwhile is not met again. */
  private async *byRun(query: DeadQuery, item: number | undefined): AsyncGenerator<DeadLetter[]> {
    let together: DeadLetter[] = [];
    for await (const { letter } of this.scan(query)) {
      if (item !== undefined && letter.item !== item) continue;
      if (together.length > 0 && together[0]?.runId !== letter.runId) {
        yield together;
        together = [];
      }
      together.push(letter);
    }
    if (together.length > 0) yield together;
  }

  private async redriveSome(letters: readonly DeadLetter[], options: DeadRedriveOptions): Promise<DeadRedriven> {
    const runId = letters[0]?.runId ?? '';
    try {
      const { edit, requestId, limit: _, perSecond: __, item: ___, ...rest } = options;
      const request = requestId === undefined ? {} : { requestId: `${requestId}:${letters[0]?.id ?? runId}` };
      const edited = edit === undefined ? {} : await this.editedInput(letters[0], edit);
      const report = await this.acts.redriveLetters(runId, letters, { ...rest, ...request, ...edited });
      return { runId, letters, report };
    } catch (error) {
      const coded =
        error instanceof PawlError ? error : new PawlError('TASK_INPUT_INVALID', `The edit threw: ${String(error)}`, { cause: error });
      return { runId, letters, error: coded };
    }
  }

  private async editedInput(letter: DeadLetter | undefined, edit: NonNullable<DeadRedriveOptions['edit']>): Promise<{ input?: unknown }> {
    if (letter === undefined) return {};
    const detail = await this.get(letter.id);
    return { input: await edit(detail.input, detail) };
  }

  private async graph(row: RunRow): Promise<CompiledGraph> {
    const graph = await this.writer.graph(row.definition);
    if (graph === null) throw new PawlError('STORE_CORRUPT', `The definition of run ${runIdText(row.uid)} is not in the store.`);
    return graph;
  }
}

function letterOf(graph: CompiledGraph, row: RunRow, task: EndedTask): DeadLetter {
  const runId = runIdText(row.uid);
  const name = graph.nodes[task.node]?.id ?? String(task.node);
  const error = parseError(task.error);
  const reason = task.reason ?? 'error';
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

const shellWord = (text: string): string => (/^[\w./:@-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`);

/** `<run>/<task>` or `<run>/<task>[<index>]`. */
export function parseLetterId(id: string): { readonly runId: string; readonly task: string; readonly item: number } {
  const match = /^([^/]{1,60})\/(.+?)(?:\[(\d{1,9})\])?$/s.exec(id);
  if (match === null)
    throw new PawlError(
      'CONFIG_OPTION',
      `${JSON.stringify(id.slice(0, 100))} is no id of a dead letter: give <run>/<task> or <run>/<task>[<item>].`,
    );
  return { runId: match[1] ?? '', task: match[2] ?? '', item: match[3] === undefined ? -1 : Number(match[3]) };
}

function parseCursor(cursor: string): DeadCursor {
  const match = /^(\d{1,16})\.(\d{1,16})\.(\d{1,9})\.(-?\d{1,9})$/.exec(cursor);
  if (match === null)
    throw new PawlError('CONFIG_OPTION', `cursor: ${JSON.stringify(cursor.slice(0, 40))} is none of a list of dead letters.`);
  const [at, run, node, item] = match.slice(1).map(Number);
  return { at: at ?? 0, run: run ?? 0, node: node ?? 0, item: item ?? -1 };
}
