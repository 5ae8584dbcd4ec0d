export { createEngine, type EngineOptions } from './compose.ts';
export type { RunQuery, RunView, StartOptions, TaskView } from './client/client.ts';
export { tryDurationMs as parseDuration, type Duration } from './core/duration.ts';
export { ERRORS, isPawlError, NonRetryableError, PawlError, RetryAfterError, type ErrorCode, type ErrorRecord } from './core/errors.ts';
export type { Effects, Expr, Graph, GraphTask, Join } from './core/graph.ts';
export type { Schema, SIn, SOut } from './core/schema.ts';
export { signal } from './core/signal.ts';
export type { Reason, RunStatus, TaskStatus } from './core/states.ts';
export { task } from './core/task.ts';
export type {
  Build,
  Ctx,
  In,
  Log,
  MapOpts,
  MaybeRef,
  NodeOpts,
  Out,
  Ref,
  Retry,
  RetryRule,
  Settled,
  Signal,
  Task,
  TaskError,
  TaskImpl,
  TaskOpts,
  Timeouts,
  Workflow,
  WorkflowOpts,
} from './core/types.ts';
export { workflow } from './core/workflow.ts';
export type { Run } from './client/run.ts';
export type { EngineEvent, WatchOptions } from './core/events.ts';
export type { Logger } from './core/log.ts';
export type { Check } from './client/doctor.ts';
export type { RunDocument } from './core/run-document.ts';
export type { PruneCounts, PruneOptions, Retention } from './engine/retention.ts';
export type { TaskProgress } from './engine/engine.ts';
export type { Engine, StartManyResult, WorkOptions } from './facade.ts';
export type { Registrable } from './engine/registry.ts';
export { jsonLogger, type LogLevel } from './observe/log.ts';
