/** What the methods of an engine and of a run take: whatever else is given is refused, before anything is done. */
import type { WatchOptions } from '../core/events.ts';
import { LOG_LEVELS } from '../core/log.ts';
import {
  abortSignal,
  aString,
  aFunction,
  anything,
  either,
  flag,
  listOf,
  text,
  texts,
  wholeNumber,
  oneOf,
  type Checks,
} from '../core/options.ts';
import type { ActOptions, ForkOptions, ItemName, MarkOptions, RedriveOptions, ResetOptions, RestartOptions } from './acts.ts';
import type { ActorOptions } from './operator-acts.ts';
import type { BackfillOptions } from './schedules.ts';
import type { AuditQuery } from './audit.ts';
import type { LimitOptions } from './capacity.ts';
import type { RunQuery, StartOptions } from './client.ts';
import type { DeadQuery, DeadRedriveOptions } from './dead.ts';
import type { FindOptions } from './find.ts';
import type { InspectOptions } from './inspect.ts';
import type { LogFilter, LogQuery } from './logs.ts';
import type { MoveOptions } from './versions.ts';

const item = either('the index or the key of an item', wholeNumber, text);
const items = either('the index or the key of an item, or a list of them', item, listOf('items', item));

const ACT: Checks<ActOptions> = { actor: text, requestId: text, note: text };
const ACTOR: Checks<ActorOptions> = { actor: text, note: text };
const RESET: Checks<ResetOptions> = { ...ACT, dryRun: flag, sameKey: flag, acceptUnknown: flag };
const LOG_FILTER: Checks<LogFilter> = { task: text, item: wholeNumber, attempt: wholeNumber, level: oneOf(...LOG_LEVELS), after: text };

export const ARGUMENT = { aString, text, texts, item };

export const OPTIONS = {
  act: ACT,
  reset: RESET,
  redrive: { ...RESET, task: texts, item: items, input: anything, keep: listOf('tasks', text) } satisfies Checks<RedriveOptions>,
  mark: { ...ACT, item, output: anything, dryRun: flag } satisfies Checks<MarkOptions>,
  skip: { ...ACT, item } satisfies Checks<ActOptions & { item?: ItemName }>,
  discard: { ...ACT, item } satisfies Checks<ActOptions & { item?: ItemName; note: string }>,
  move: { ...ACT, to: text, dryRun: flag } satisfies Checks<MoveOptions>,
  fork: { ...ACT, input: anything, version: text } satisfies Checks<ForkOptions>,
  previewFork: { version: text } satisfies Checks<Pick<ForkOptions, 'version'>>,
  restart: { ...ACT, input: anything } satisfies Checks<RestartOptions>,
  start: {
    key: anything,
    delay: anything,
    startAt: anything,
    priority: anything,
    tags: anything,
    traceparent: text,
  } satisfies Checks<StartOptions>,
  key: { value: anything, for: anything, onDuplicate: oneOf('return', 'reject') } satisfies Checks<
    Extract<StartOptions['key'], { readonly value: string }>
  >,
  runs: {
    workflow: anything,
    status: anything,
    tag: text,
    key: text,
    since: anything,
    parts: flag,
    limit: wholeNumber,
    cursor: text,
  } satisfies Checks<RunQuery>,
  actor: ACTOR,
  limit: { ...ACTOR, kind: anything } satisfies Checks<LimitOptions>,
  schedule: { ...ACTOR, why: text },
  backfill: { ...ACTOR, from: anything, to: anything, reprocess: anything, concurrency: anything } satisfies Checks<BackfillOptions>,
  find: { workflow: text } satisfies Checks<FindOptions>,
  dead: { workflow: text, task: text, code: text, run: text, since: anything, limit: anything, cursor: text } satisfies Checks<DeadQuery>,
  deadRedrive: {
    ...RESET,
    keep: listOf('tasks', text),
    limit: anything,
    item: anything,
    perSecond: anything,
    edit: aFunction,
  } satisfies Checks<DeadRedriveOptions>,
  audit: { run: text, on: text, limit: wholeNumber, cursor: text } satisfies Checks<AuditQuery>,
  watch: { runId: text, types: listOf('types of events', text), after: text, signal: abortSignal } satisfies Checks<WatchOptions>,
  watchRun: { types: listOf('types of events', text), after: text, signal: abortSignal } satisfies Checks<Omit<WatchOptions, 'runId'>>,
  result: { timeout: anything },
  inspect: { items: flag } satisfies Checks<InspectOptions>,
  doctor: { full: flag },
  logs: { ...LOG_FILTER, limit: anything } satisfies Checks<LogQuery>,
  followLogs: { ...LOG_FILTER, signal: abortSignal } satisfies Checks<LogFilter & { signal?: AbortSignal }>,
} as const;
