import type { Duration } from '../core/duration.ts';
import type { EngineEvent, WatchOptions } from '../core/events.ts';
import type { Graph } from '../core/graph.ts';
import type { InspectOptions, RunDetail } from './inspect.ts';
import type { Client, RunRef } from './client.ts';
import type { RunView, TaskView } from './views.ts';

/** A task, as far as its output's type goes. */
interface OutputOf<T> {
  readonly name: string;
  readonly _types?: { readonly output: T };
}

/** What a handle needs of its engine. */
export interface RunHost {
  client(): Promise<Client>;
  resultOf(ref: RunRef, options: { readonly timeout?: Duration }): Promise<unknown>;
  watchRun(ref: RunRef, options: WatchOptions): AsyncIterable<EngineEvent>;
}

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
    return (await this.host.resultOf(this.ref, options)) as O;
  }

  async status(): Promise<RunView> {
    const client = await this.host.client();
    return client.view(this.ref.id);
  }

  /** The run with its tasks, failed attempts and payloads. */
  async inspect(options: InspectOptions = {}): Promise<RunDetail> {
    const client = await this.host.client();
    return client.inspect(this.ref.id, options);
  }

  /** Every task's state; with `items` those of maps too. */
  async tasks(options: { readonly items?: boolean } = {}): Promise<TaskView[]> {
    const client = await this.host.client();
    return client.tasks(this.ref.id, options);
  }

  /** What a task gave, undefined while it has not succeeded. A task that occurs several times is asked for by its id in the graph. */
  async output<T>(of: OutputOf<T> | string): Promise<T | undefined> {
    const client = await this.host.client();
    return (await client.output(this.ref, typeof of === 'string' ? of : of.name)) as T | undefined;
  }

  /** Open tasks become cancelled, running bodies get the abort signal. False where the run was over already. */
  async cancel(): Promise<boolean> {
    const client = await this.host.client();
    return client.cancel(this.ref.id);
  }

  async graph(): Promise<Graph> {
    const client = await this.host.client();
    return client.graph(this.ref.id);
  }

  /** What happens to this run, until it has ended. */
  async *watch(options: Omit<WatchOptions, 'runId'> = {}): AsyncGenerator<EngineEvent, void> {
    for await (const event of this.host.watchRun(this.ref, options)) {
      yield event;
      if (event.type === 'run.finished') return;
    }
  }
}
