import type { CompiledGraph } from '../core/kernel/compile.ts';
import { PawlError } from '../core/errors.ts';
import { LOG_LEVELS, type LogLevel } from '../core/log.ts';
import type { LogQuery as StoreQuery, LogRow, Store } from '../store/store.ts';

/** Which lines of a run's log. */
export interface LogFilter {
  /** A task's name, or its id in the graph. */
  readonly task?: string;
  /** Index of a map's item. */
  readonly item?: number;
  readonly attempt?: number;
  /** This urgent, or more. */
  readonly level?: LogLevel;
  /** Behind the line with this cursor. */
  readonly after?: string;
}

export interface LogQuery extends LogFilter {
  /** At most 10,000; default 1,000. */
  readonly limit?: number;
}

/** What a body wrote to `ctx.log`. */
export interface LogLine {
  readonly cursor: string;
  readonly at: Date;
  readonly level: LogLevel;
  readonly message: string;
  readonly data?: Readonly<Record<string, unknown>>;
  /** The task's id in the graph. */
  readonly task: string;
  readonly item?: number;
  readonly generation: number;
  readonly attempt: number;
}

export interface LogPage {
  readonly lines: readonly LogLine[];
  /** Where to go on; none where these were the last so far. */
  readonly next?: string;
}

const ROWS_AT_ONCE = 50;

/** Goes through the log of a run, in the order in which its lines were stored. */
export class LogReader {
  private readonly store: Store;
  private readonly graph: CompiledGraph;
  private readonly query: Omit<StoreQuery, 'after'>;
  private readonly least: number;
  /** The last line that was looked at. */
  private seq = 0;
  private index = -1;

  constructor(store: Store, run: { readonly run: number; readonly graph: CompiledGraph }, filter: LogFilter) {
    const { task, item, attempt, level = 'debug', after } = filter;
    this.store = store;
    this.graph = run.graph;
    this.least = LOG_LEVELS.indexOf(level);
    if (this.least === -1) throw new PawlError('CONFIG_OPTION', `level: give one of ${LOG_LEVELS.join(', ')}.`);
    this.query = {
      run: run.run,
      ...(task === undefined ? {} : { node: nodeOf(run.graph, task) }),
      ...(item === undefined ? {} : { item: count(item, 'item', 0) }),
      ...(attempt === undefined ? {} : { attempt: count(attempt, 'attempt', 1) }),
    };
    if (after !== undefined) [this.seq, this.index] = parseCursor(after);
  }

  /** The next lines, at most `limit`, as far as there are any; `more` where others may follow already. */
  async read(limit: number): Promise<{ readonly lines: LogLine[]; readonly more: boolean }> {
    const lines: LogLine[] = [];
    for (;;) {
      const rows = await this.store.logsOf({ ...this.query, after: this.seq - 1 }, ROWS_AT_ONCE);
      for (const row of rows) {
        for (const line of this.linesOf(row)) {
          if (line.shown !== null && lines.length === limit) return { lines, more: true };
          [this.seq, this.index] = [row.seq, line.index];
          if (line.shown !== null) lines.push(line.shown);
        }
        [this.seq, this.index] = [row.seq, row.lines.length - 1];
      }
      if (rows.length < ROWS_AT_ONCE) return { lines, more: false };
    }
  }

  private *linesOf(row: LogRow): Generator<{ readonly index: number; readonly shown: LogLine | null }> {
    const { seq, node, item, generation, attempt } = row;
    const facts = { task: this.graph.nodes[node]?.id ?? String(node), ...(item < 0 ? {} : { item }), generation, attempt };
    for (const [index, [at, level, message, data]] of row.lines.entries()) {
      if (seq === this.seq && index <= this.index) continue;
      const isShown = LOG_LEVELS.indexOf(level) >= this.least;
      const line = { cursor: `${seq}:${index}`, at: new Date(at), level, message, ...(data === undefined ? {} : { data }), ...facts };
      yield { index, shown: isShown ? line : null };
    }
  }
}

/** The node that a person means by a task's name: its id in the graph, or the first that runs a task of that name. */
export function nodeNamed(graph: CompiledGraph, name: string): CompiledGraph['nodes'][number] | undefined {
  return graph.byId.get(name) ?? graph.nodes.find((one) => 'task' in one.task && one.task.task === name);
}

function nodeOf(graph: CompiledGraph, name: string): number {
  const node = nodeNamed(graph, name);
  if (node === undefined)
    throw new PawlError('TASK_UNKNOWN', `The workflow "${graph.graph.workflow}" has no task ${JSON.stringify(name)}.`);
  return node.index;
}

function count(value: number, option: string, least: number): number {
  if (!Number.isInteger(value) || value < least) throw new PawlError('CONFIG_OPTION', `${option}: give a whole number from ${least}.`);
  return value;
}

function parseCursor(cursor: string): [number, number] {
  const match = /^(\d{1,15}):(\d{1,9})$/.exec(cursor);
  if (match === null) throw new PawlError('CONFIG_OPTION', `after: ${JSON.stringify(cursor.slice(0, 40))} is no cursor of a log line.`);
  return [Number(match[1]), Number(match[2])];
}
