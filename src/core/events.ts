import type { Reason, RunStatus, TaskStatus } from './states.ts';

interface Base {
  /** Where this event stands in the journal; `watch({ after })` goes on behind it. */
  readonly cursor: string;
  readonly at: Date;
  readonly runId: string;
  readonly workflow: string;
}

interface TaskBase extends Base {
  readonly task: string;
  /** Index of a map's item. */
  readonly item?: number;
  readonly attempt: number;
}

/** What the engine says happened. */
export type EngineEvent =
  | (Base & { readonly type: 'run.started' })
  | (Base & { readonly type: 'run.finished'; readonly status: RunStatus; readonly reason?: Reason })
  | (TaskBase & { readonly type: 'task.started' })
  | (TaskBase & { readonly type: 'task.finished'; readonly status: TaskStatus; readonly reason?: Reason })
  | (TaskBase & { readonly type: 'task.retrying'; readonly reason?: Reason });

export interface WatchOptions {
  /** Only events of this run. */
  readonly runId?: string;
  readonly types?: readonly EngineEvent['type'][];
  /** A cursor: events behind it. Default: what happens from now on. */
  readonly after?: string;
  /** Ends the iteration. */
  readonly signal?: AbortSignal;
}
