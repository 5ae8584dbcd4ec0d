export { createEngine, type EngineOptions } from './compose.ts';
export type {
  ActOptions,
  ForkOptions,
  ItemName,
  MarkOptions,
  RedriveOptions,
  ResetOptions,
  ResetReport,
  RestartOptions,
} from './client/acts.ts';
export type { AnswerOptions, AnswerReport, ApprovalQuery, OpenApproval } from './client/approvals.ts';
export type { AuditEntry, AuditQuery } from './client/audit.ts';
export type { ActorOptions, ActSubject } from './client/operator-acts.ts';
export type { DeadAttempt, DeadLetter, DeadLetterDetail, DeadQuery, DeadRedriven, DeadRedriveOptions } from './client/dead.ts';
export type { WorkerView } from './client/explain.ts';
export type { RunQuery, StartOptions } from './client/client.ts';
export type { SendOptions, SendReport } from './client/signals.ts';
export type { BackfillOptions, BackfillPreview, BackfillView, FireView, NewScheduleOptions, ScheduleView } from './client/schedules.ts';
export type { MoveOptions, MoveReport, Obstacle, ObstacleWhy, RunGroup, RunMoved, RunVerdict, VersionCheck } from './client/versions.ts';
export type { LimitOptions, LimitView, PausedView } from './client/capacity.ts';
export type { RunView, TaskView } from './client/views.ts';
export { tryDurationMs as parseDuration, type Duration } from './core/duration.ts';
export { ERRORS, isPawlError, NonRetryableError, PawlError, RetryAfterError, type ErrorCode, type ErrorRecord } from './core/errors.ts';
export type { Effects, Expr, Graph, GraphTask, Join } from './core/graph/graph.ts';
export type { Limits, PoolLimit } from './core/capacity/limits.ts';
export type { ScheduleOpts, ScheduleTiming } from './core/define/schedule-opts.ts';
export type { Schema, SIn, SOut } from './core/values/schema.ts';
export { signal } from './core/define/signal.ts';
export type { Reason, RunStatus, TaskStatus } from './core/kernel/states.ts';
export { task } from './core/define/task.ts';
export type {
  Build,
  ChildMapOpts,
  ChildOpts,
  Ctx,
  Handler,
  Hook,
  HookInput,
  In,
  KeyLimit,
  Log,
  MapOpts,
  MaybeRef,
  NodeOpts,
  Out,
  Ref,
  Retry,
  RetryRule,
  RunRetry,
  Settled,
  Signal,
  Task,
  TaskError,
  TaskImpl,
  TaskOpts,
  Timeouts,
  Workflow,
  WorkflowOpts,
} from './core/types/types.ts';
export type { Approval, ApproveOpts, SignalOpts, WaitOpts } from './core/types/wait-types.ts';
export type { Why } from './core/why/why.ts';
export type { WaitReason } from './core/why/why-capacity.ts';
export { workflow } from './core/define/workflow.ts';
export type { FindOptions } from './client/find.ts';
export type { AttemptView, Compensation, InspectOptions, ItemCounts, RunDetail, TaskDetail } from './client/inspect.ts';
export type { LogFilter, LogLine, LogPage, LogQuery } from './client/logs.ts';
export type { Run } from './client/run.ts';
export type { EngineEvent, TaskAlert, WatchOptions } from './core/events.ts';
export type { Logger, LogLevel } from './core/log.ts';
export type { RedactOptions } from './core/redact.ts';
export type { Check } from './client/doctor.ts';
export type { RunDocument } from './core/documents/run-document.ts';
export type { PruneCounts, PruneOptions, Retention } from './engine/retention.ts';
export type { ClassifyError, ErrorFacts, ErrorVerdict } from './engine/classify.ts';
export type { TaskProgress } from './engine/engine.ts';
export type { Engine, StartManyResult, WorkOptions } from './facade.ts';
export type { Registrable } from './engine/registry.ts';
export { jsonLogger } from './observe/log.ts';
