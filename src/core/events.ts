import type { Reason, RunStatus, TaskStatus } from './kernel/states.ts';

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
  | (Base & { readonly type: 'run.paused' })
  | (Base & { readonly type: 'run.resumed' })
  /** A person's redrive, rerun or mark opened another generation of a run that was over. */
  | (Base & { readonly type: 'run.reopened'; readonly generation: number })
  /** It goes on as a run of another version. */
  | (Base & { readonly type: 'run.moved'; readonly from: string; readonly to: string })
  | (TaskBase & { readonly type: 'task.started' })
  | (TaskBase & { readonly type: 'task.finished'; readonly status: TaskStatus; readonly reason?: Reason })
  | (TaskBase & { readonly type: 'task.retrying'; readonly reason?: Reason })
  /** It is parked: until an instant, a message, an answer. */
  | (TaskBase & { readonly type: 'task.waiting' })
  /** The predicate of its wait said no to a message, which stays for others. */
  | (TaskBase & { readonly type: 'signal.refused'; readonly signal: string })
  /** A message that nobody took in its time. `runId` is empty where it was addressed to no run, and so is `workflow`. */
  | (Base & { readonly type: 'signal.expired'; readonly signal: string; readonly key?: string })
  /** It is pending again: a person sent it, or something that it depends on, on. */
  | (TaskBase & { readonly type: 'task.reset'; readonly generation: number })
  /** A dead letter that stays as it is. */
  | (TaskBase & { readonly type: 'task.discarded' })
  /** Something that a person should look at, whatever becomes of the run. */
  | (TaskBase & { readonly type: 'alert'; readonly alert: TaskAlert });

/** A handler that failed for good: what was set up may still be there, what was done may not be undone. */
export type TaskAlert = 'teardown_failed' | 'compensation_failed' | 'hook_failed';

export interface WatchOptions {
  /** Only events of this run. */
  readonly runId?: string;
  readonly types?: readonly EngineEvent['type'][];
  /** A cursor: events behind it. Default: what happens from now on. */
  readonly after?: string;
  /** Ends the iteration. */
  readonly signal?: AbortSignal;
}
