import type { Duration } from '../core/duration.ts';
import type { EngineEvent, WatchOptions } from '../core/events.ts';
import type { Graph } from '../core/graph/graph.ts';
import type {
  ActOptions,
  Acts,
  ForkOptions,
  ForkReport,
  ItemName,
  MarkOptions,
  RedriveOptions,
  ResetOptions,
  ResetReport,
  RestartOptions,
} from './acts.ts';
import type { Client, RunRef } from './client.ts';
import type { Explainer } from './explain.ts';
import type { InspectOptions, RunDetail } from './inspect.ts';
import type { MoveOptions, MoveReport, Versions } from './versions.ts';
import type { RunView, TaskView } from './views.ts';
import type { Why } from '../core/why/why.ts';
import type { LogFilter, LogLine, LogPage, LogQuery } from './logs.ts';
import { ARGUMENT, OPTIONS } from './options.ts';
import { checkArgument, checkOptions, either } from '../core/options.ts';

/** A task, as far as its output's type goes. */
interface OutputOf<T> {
  readonly name: string;
  readonly _types?: { readonly output: T };
}

/** What a handle needs of its engine. */
export interface RunHost {
  client(): Promise<Client>;
  acts(): Promise<Acts>;
  explainer(): Promise<Explainer>;
  versions(): Promise<Versions>;
  /** A handle to another run. */
  handle(ref: RunRef, created: boolean): Run<unknown>;
  resultOf(ref: RunRef, options: { readonly timeout?: Duration }): Promise<unknown>;
  watchRun(ref: RunRef, options: WatchOptions): AsyncIterable<EngineEvent>;
  /** Yields when there may be something new of a run, until it is over or the signal aborts. */
  pulse(ref: RunRef, signal?: AbortSignal): AsyncIterable<void>;
}

const LINES_AT_ONCE = 500;

const OUTPUT_OF = either('a task or its id', ARGUMENT.text);

/** A handle to a run. */
export class Run<O> {
  private readonly host: RunHost;
  private readonly ref: RunRef;
  /** False where the key gave a run that existed. */
  readonly created: boolean;

  constructor(host: RunHost, ref: RunRef, created: boolean) {
    this.host = host;
    this.ref = ref;
    this.created = created;
  }

  get id(): string {
    return this.ref.id;
  }

  /**
   * Waits for the end, from any process, and gives the output. Rejects with `RUN_FAILED` or `RUN_CANCELLED` carrying the root cause, with
   * `RUN_NO_OUTPUT` where a part of the output did not succeed, with `RUN_TIMEOUT` when `timeout` has passed (the run goes on).
   */
  async result(options: { readonly timeout?: Duration } = {}): Promise<O> {
    checkOptions(options, 'result', OPTIONS.result);
    return (await this.host.resultOf(this.ref, options)) as O;
  }

  async status(): Promise<RunView> {
    const client = await this.host.client();
    return client.view(this.ref.id);
  }

  /** The run with its tasks, failed attempts and payloads. */
  async inspect(options: InspectOptions = {}): Promise<RunDetail> {
    checkOptions(options, 'inspect', OPTIONS.inspect);
    const client = await this.host.client();
    return client.inspect(this.ref.id, options);
  }

  /** Every task's state; with `items` those of maps too. */
  async tasks(options: { readonly items?: boolean } = {}): Promise<TaskView[]> {
    checkOptions(options, 'tasks', OPTIONS.inspect);
    const client = await this.host.client();
    return client.tasks(this.ref.id, options);
  }

  /** What a task gave, undefined while it has not succeeded. A task that occurs several times is asked for by its id in the graph. */
  async output<T>(of: OutputOf<T> | string): Promise<T | undefined> {
    const name: unknown = typeof of === 'object' && of !== null ? of.name : of;
    checkArgument(name, 'of', OUTPUT_OF);
    const client = await this.host.client();
    return (await client.output(this.ref, String(name))) as T | undefined;
  }

  /** Open tasks become cancelled, running bodies get the abort signal. False where the run was over already, or cleans up: its end is decided. */
  async cancel(options: ActOptions = {}): Promise<boolean> {
    checkOptions(options, 'cancel', OPTIONS.act);
    return (await this.host.acts()).cancel(this.ref.id, options);
  }

  /** One sentence: what the run, or a task of it, waits for, since when, what lets it go on; or how and why it ended. */
  async why(task?: string, item?: ItemName): Promise<Why> {
    if (task !== undefined) checkArgument(task, 'task', ARGUMENT.text);
    if (item !== undefined) checkArgument(item, 'item', ARGUMENT.item);
    return (await this.host.explainer()).why(this.ref.id, task, item);
  }

  /**
   * Sends dead letters on, in the same run: they and what depends on them begin a new generation, finished work is kept. Without a task: all
   * dead letters and all cancelled tasks. Rejects with `TASK_NOT_DEAD`, `TASK_NOT_ENDED`, `TASK_OUTCOME_UNKNOWN`, `TASK_INPUT_INVALID`,
   * `RUN_NOTHING_TO_REDRIVE`, `RUN_REQUEST_CONFLICT`.
   */
  async redrive(options: RedriveOptions = {}): Promise<ResetReport> {
    checkOptions(options, 'redrive', OPTIONS.redrive);
    return (await this.host.acts()).redrive(this.ref.id, options);
  }

  /** Does a task that has ended over, and everything that depends on it, in the same run. */
  async rerun(task: string, options: ResetOptions = {}): Promise<ResetReport> {
    checkArgument(task, 'task', ARGUMENT.text);
    checkOptions(options, 'rerun', OPTIONS.reset);
    return (await this.host.acts()).rerun(this.ref.id, task, options);
  }

  /** A task that did not succeed counts as a success with this output; what depends on it goes on. */
  async mark(task: string, options: MarkOptions = {}): Promise<ResetReport> {
    checkArgument(task, 'task', ARGUMENT.text);
    checkOptions(options, 'mark', OPTIONS.mark);
    return (await this.host.acts()).mark(this.ref.id, task, options);
  }

  /** A pending, queued, waiting or retrying task ends as skipped. Rejects with `TASK_NOT_OPEN`. */
  async skip(task: string, options: ActOptions & { readonly item?: ItemName } = {}): Promise<void> {
    checkArgument(task, 'task', ARGUMENT.text);
    checkOptions(options, 'skip', OPTIONS.skip);
    await (await this.host.acts()).skip(this.ref.id, task, options);
  }

  /** A dead letter stays as it is and is no longer listed. Rejects with `TASK_NOT_DEAD`. */
  async discard(task: string, options: ActOptions & { readonly item?: ItemName; readonly note: string }): Promise<void> {
    checkArgument(task, 'task', ARGUMENT.text);
    checkOptions(options, 'discard', OPTIONS.discard);
    await (await this.host.acts()).discard(this.ref.id, task, options);
  }

  /** Nothing new of the run is claimed; what runs ends, timers and deadlines go on. Rejects with `RUN_NOT_OPEN`. */
  async pause(options: ActOptions = {}): Promise<void> {
    checkOptions(options, 'pause', OPTIONS.act);
    await (await this.host.acts()).pause(this.ref.id, options);
  }

  /** A paused run goes on. Rejects with `RUN_NOT_PAUSED`. */
  async resume(options: ActOptions = {}): Promise<void> {
    checkOptions(options, 'resume', OPTIONS.act);
    await (await this.host.acts()).resume(this.ref.id, options);
  }

  /** The run fails, with reason `marked_failed`; its open tasks are cancelled. Rejects with `RUN_NOT_OPEN`. */
  async markFailed(options: ActOptions = {}): Promise<void> {
    checkOptions(options, 'markFailed', OPTIONS.act);
    await (await this.host.acts()).markFailed(this.ref.id, options);
  }

  /**
   * The run goes on as a run of another version of its workflow, newer or older, where every task that has begun is the same there; no version
   * that is in the store by now takes it back by itself. Rejects with `RUN_CANNOT_MOVE`, `RUN_UNKNOWN_VERSION`, `RUN_NOT_OPEN`.
   */
  async move(options: MoveOptions): Promise<MoveReport> {
    checkOptions(options, 'move', OPTIONS.move);
    return (await this.host.versions()).move(this.ref.id, options);
  }

  /** A new run that takes over the outputs of what succeeded and does not depend on `from`; everything else is done anew, with `version` also what differs there. */
  async fork(
    from: string | readonly string[],
    options: ForkOptions = {},
  ): Promise<{ readonly run: Run<O>; readonly reused: readonly string[] }> {
    checkArgument(from, 'from', ARGUMENT.texts);
    checkOptions(options, 'fork', OPTIONS.fork);
    const { reused, created, ...ref } = await (await this.host.acts()).fork(this.ref.id, from, options);
    return { run: this.host.handle(ref, created) as Run<O>, reused };
  }

  /** What a fork would take over. */
  async previewFork(from: string | readonly string[], options: Pick<ForkOptions, 'version'> = {}): Promise<Pick<ForkReport, 'reused'>> {
    checkArgument(from, 'from', ARGUMENT.texts);
    checkOptions(options, 'previewFork', OPTIONS.previewFork);
    const { reused } = await (await this.host.acts()).fork(this.ref.id, from, { ...options, dryRun: true });
    return { reused };
  }

  /** A new run from nothing, with the same input or another, linked to this one. */
  async restart(options: RestartOptions = {}): Promise<Run<O>> {
    checkOptions(options, 'restart', OPTIONS.restart);
    const { created, ...ref } = await (await this.host.acts()).restart(this.ref.id, options);
    return this.host.handle(ref, created) as Run<O>;
  }

  /**
   * Takes the run out of quarantine, one that was imported with those below it; false where it had to be set aside again. Rejects with
   * `RUN_CANNOT_GO_ON` where the key that an imported run held has no room for it here.
   */
  async release(options: ActOptions = {}): Promise<boolean> {
    checkOptions(options, 'release', OPTIONS.act);
    return (await this.host.acts()).release(this.ref.id, options);
  }

  async graph(): Promise<Graph> {
    const client = await this.host.client();
    return client.graph(this.ref.id);
  }

  /** What happens to this run, until it has ended. */
  async *watch(options: Omit<WatchOptions, 'runId'> = {}): AsyncGenerator<EngineEvent, void> {
    checkOptions(options, 'watch', OPTIONS.watchRun);
    for await (const event of this.host.watchRun(this.ref, options)) {
      yield event;
      if (event.type === 'run.finished') return;
    }
  }

  /** What the bodies of this run wrote to `ctx.log`, as far as it is stored: of an attempt that is running, all but the last half second. */
  async logs(query: LogQuery = {}): Promise<LogPage> {
    checkOptions(query, 'logs', OPTIONS.logs);
    const client = await this.host.client();
    return client.logs(this.ref.id, query);
  }

  /** The lines there are, and those that come, from any process; until the run is over or the signal aborts. */
  async *followLogs(options: LogFilter & { readonly signal?: AbortSignal } = {}): AsyncGenerator<LogLine, void> {
    checkOptions(options, 'followLogs', OPTIONS.followLogs);
    const { signal, ...filter } = options;
    const reader = await (await this.host.client()).logReader(this.ref.id, filter);
    for await (const _ of this.host.pulse(this.ref, signal)) {
      for (let more = true; more;) {
        const page = await reader.read(LINES_AT_ONCE);
        yield* page.lines;
        ({ more } = page);
      }
    }
  }
}
