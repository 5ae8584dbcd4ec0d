import { Worker as Thread } from 'node:worker_threads';
import { durationMs, type Duration } from './core/duration.ts';
import { PawlError } from './core/errors.ts';
import type { EngineEvent } from './core/events.ts';
import { LOG_LEVELS, type Logger } from './core/log.ts';
import { aFunction, anything, checkOptions, listOf, text, type Checks, type OptionCheck } from './core/options.ts';
import { shown } from './core/graph/problems.ts';
import { redactor, type RedactOptions } from './core/redact.ts';
import { DEFAULT_QUEUE } from './core/define/needs-options.ts';
import { declaredLimits, type Limits } from './core/capacity/limits.ts';
import type { EngineParts, TaskProgress } from './engine/engine.ts';
import type { ClassifyError } from './engine/classify.ts';
import { timerHeart, type HeartFactory } from './engine/heart.ts';
import { realHost } from './engine/host.ts';
import { realPorts } from './engine/ports.ts';
import { retentionMs, type Retention } from './engine/retention.ts';
import type { Registrable } from './engine/registry.ts';
import { Engine } from './facade.ts';
import { jsonLogger } from './observe/log.ts';
import { ownModule } from './own-files.ts';
import type { StoreVersion } from './store/sqlite/readonly.ts';
import type { WriterChoice } from './store/sqlite/split.ts';
import type { Store } from './store/store.ts';

export interface EngineOptions {
  /** `'sqlite:./app.db'`, or `'sqlite::memory:'` for tests. The file is created with mode 0600 in a folder of mode 0700. */
  readonly store: string;
  /** Workflows, implementations of contracts, signals. */
  readonly use: readonly Registrable[];
  /** `'full'` (default): nothing acknowledged is lost by power loss; `'fast'`: by power loss only, what came since the last checkpoint. */
  readonly durability?: 'full' | 'fast';
  /**
   * `'read'`: the file is opened without creating, migrating or writing anything, also beside live workers; whatever would write rejects with
   * `STORE_READONLY`, and workflows of `use` are not stored. A file with an older schema is refused with `STORE_OLDER`. Default `'write'`.
   */
  readonly access?: 'read' | 'write';
  /**
   * Where commits are made. `'main'`: in the thread of the bodies, which costs least, and holds the event loop up for as long as the disk takes
   * to flush. `'thread'`: in one of their own. `'auto'` (default): in a thread where the disk, measured when the store is opened, takes over
   * 1 ms; where no thread can be started, in the main one, with a warning. A store in memory, or one that is only read, has no such choice.
   */
  readonly writer?: 'auto' | 'main' | 'thread';
  /** How long finished runs and the journal are kept; workers delete what is older, a little at a time. `false`: for ever. */
  readonly retention?: Retention | false;
  /**
   * What is scarce, by name: units of a pool (`db: 5`, or `db: { units: 5, fair: 'run' }`), or a rate (`mail: '10/s'`). Every pool and every named rate of a registered workflow must
   * be here. What an operator sets with `pawl limit set` wins until it is cleared.
   */
  readonly limits?: Limits;
  /**
   * Past so many runs and tasks in the store's queue a start is refused with `RUN_QUEUE_FULL`, which says when to try again. Counted at each
   * start of this process, of all that waits; redrives and what runs go on. Default: no bound.
   */
  readonly maxQueued?: number;
  /** Attempts at the same time in this process. Default 20. */
  readonly concurrency?: number;
  /** How long a silent worker's work stays its own. Default 15 s, at least 1 s; renewed every third of it. */
  readonly lease?: Duration;
  /** How often the sweeps look. Default 2 s. */
  readonly sweep?: Duration;
  /** Between the abort signal and the end of an attempt. Default 5 s. */
  readonly grace?: Duration;
  /** How long bodies may go on when the engine is closed. Default 30 s. */
  readonly drain?: Duration;
  /** Bytes of a stored payload. Default 1 MiB, at most 64 MiB. */
  readonly maxPayload?: number;
  /** So many lost leases end a task, as `lost` or `crash_loop`. Default 3. */
  readonly maxLost?: number;
  /** Default: warnings and errors as JSON lines on stderr. */
  readonly logger?: Logger;
  /** Lines of `ctx.log` that the store keeps of one attempt. Default 1,000; 0 keeps none. */
  readonly logLines?: number;
  /** What is taken out of log lines and errors, beside what Pawl knows to be secret. */
  readonly redact?: RedactOptions;
  /**
   * Decides about an error that a body threw: `'retry'` by the task's policy (as without it), `'fail'` at once, or `{ retryAfter }` another
   * attempt then, of those that the policy has. Asked last: `NonRetryableError` and `RetryAfterError` decide for themselves, then the rules of
   * the task. Undefined, a throw, or anything else: as without it. It can make no `unsafe` task run again. Must be quick and synchronous.
   */
  readonly classifyError?: ClassifyError;
  /** Called for everything that happens in the store, in commit order. */
  readonly onEvent?: (event: EngineEvent) => void;
  /** Called when a body in this process reports progress. */
  readonly onProgress?: (progress: TaskProgress) => void;
}

/** An engine over a store. Nothing is opened before the first call; nothing is worked on before `work()`. */
export function createEngine(options: EngineOptions): Engine {
  return engineOver(options, openSqlite);
}

/** `open` opens the store: a benchmark measures it, or makes its disk slow. */
export function engineOver(options: EngineOptions, open: typeof openSqlite): Engine {
  checkOptions(options, 'createEngine', { ...PARTS, ...STORE } satisfies Checks<EngineOptions>);
  const path = storePath(options.store);
  const durability = options.durability ?? 'full';
  if (durability !== 'full' && durability !== 'fast')
    throw new PawlError('CONFIG_OPTION', `durability: must be 'full' or 'fast', not ${shown(durability)}.`);
  const access = options.access ?? 'write';
  if (access !== 'read' && access !== 'write')
    throw new PawlError('CONFIG_OPTION', `access: must be 'read' or 'write', not ${shown(access)}.`);
  if (access === 'read' && path === ':memory:') throw new PawlError('CONFIG_OPTION', 'access: a store in memory has nothing to read.');
  const writer = writerOf(options, path);
  return new Engine({
    openStore: () => open(path, { durability, access, writer }),
    heart: (store, clock) => (path === ':memory:' ? timerHeart(store, clock, realPorts) : threadHeart(path)),
    ...engineParts(options),
    access,
  });
}

interface SqliteChoices extends Pick<EngineOptions, 'durability' | 'access'> {
  /** Default, and null: everything by one connection in this thread. */
  readonly writer?: WriterChoice | null;
  /** For tests and benchmarks: each commit takes so many milliseconds longer. */
  readonly flushDelayMs?: number;
}

export async function openSqlite(path: string, choices: SqliteChoices = {}): Promise<Store> {
  const { durability = 'full', access = 'write', writer = null, ...others } = choices;
  const options = { path, durability, patienceMs: 10_000, ...others };
  if (writer === null) {
    const { SqliteStore } = await import('./store/sqlite/store.ts');
    return new SqliteStore({ ...options, access });
  }
  const { splitStore } = await import('./store/sqlite/split.ts');
  return splitStore({ ...options, writer });
}

/** Null: a store of one connection. */
function writerOf({ writer = 'auto', access = 'write' }: EngineOptions, path: string): WriterChoice | null {
  if (!['auto', 'main', 'thread'].includes(writer))
    throw new PawlError('CONFIG_OPTION', `writer: must be 'auto', 'main' or 'thread', not ${shown(writer)}.`);
  const isSingle = path === ':memory:' || access === 'read';
  if (isSingle && writer === 'thread')
    throw new PawlError(
      'CONFIG_OPTION',
      path === ':memory:' ? 'writer: a store in memory is only in the main thread.' : "writer: with access: 'read' nothing is written.",
    );
  return isSingle ? null : writer;
}

export type { StoreVersion } from './store/sqlite/readonly.ts';
export type { Registrable } from './engine/registry.ts';

/** What stands at a store's address, found out without changing it. */
export async function storeVersion(store: string): Promise<StoreVersion> {
  const reading = await import('./store/sqlite/readonly.ts');
  return reading.storeVersion(storePath(store));
}

/** The rows of one query that a person wrote, on a connection that cannot write. */
export async function queryStore(store: string, sql: string): Promise<Iterable<Readonly<Record<string, unknown>>>> {
  const reading = await import('./store/sqlite/readonly.ts');
  return reading.queryRows(storePath(store), sql);
}

/** Everything of an engine but its store: the testing kit replaces some. */
export function engineParts(options: Omit<EngineOptions, StoreOption>): Omit<EngineParts, 'openStore' | 'heart'> {
  if (typeof options.retention === 'object') checkOptions(options.retention, 'retention', RETENTION);
  if (options.redact !== undefined) checkOptions(options.redact, 'redact', REDACT);
  return {
    access: 'write',
    ports: realPorts,
    host: realHost,
    logger: options.logger ?? jsonLogger((line) => process.stderr.write(line), 'warn'),
    redactor: redactor(options.redact),
    logLines: count(options.logLines ?? 1_000, 'logLines', 100_000, 0),
    settings: engineSettings(options),
    use: options.use,
    limits: declaredLimits(options.limits),
    queues: new Set([DEFAULT_QUEUE]),
    maxQueued: options.maxQueued === undefined ? null : count(options.maxQueued, 'maxQueued', 10_000_000),
    onEvent: options.onEvent,
    onProgress: options.onProgress,
    classifyError: options.classifyError,
  };
}

function engineSettings(options: Omit<EngineOptions, 'store' | 'use'>): EngineParts['settings'] {
  const leaseMs = durationMs(options.lease ?? '15s', 'lease');
  if (leaseMs < 1_000) throw new PawlError('CONFIG_OPTION', `lease: must be at least 1 s, not ${shown(options.lease)}.`);
  return {
    concurrency: count(options.concurrency ?? 20, 'concurrency', 100_000),
    leaseMs,
    beatMs: leaseMs / 3,
    sweepMs: durationMs(options.sweep ?? '2s', 'sweep'),
    graceMs: durationMs(options.grace ?? '5s', 'grace'),
    drainMs: durationMs(options.drain ?? '30s', 'drain'),
    maxPayload: count(options.maxPayload ?? 1_048_576, 'maxPayload', 67_108_864),
    retention: retentionMs(options.retention),
    background: true,
    maxLost: count(options.maxLost ?? 3, 'maxLost', 1_000),
  };
}

const logger: OptionCheck = (value) =>
  typeof value === 'object' &&
  value !== null &&
  LOG_LEVELS.every((level) => typeof (value as Readonly<Record<string, unknown>>)[level] === 'function')
    ? null
    : `an object with ${LOG_LEVELS.join(', ')}`;
const strings = listOf('strings', text);

/** What an engine on a store of its own takes beside. */
export type StoreOption = 'store' | 'durability' | 'access' | 'writer';
const STORE: Checks<Pick<EngineOptions, StoreOption>> = { store: anything, durability: anything, access: anything, writer: anything };

/** What `testEngine` takes too. */
export const PARTS: Checks<Omit<EngineOptions, StoreOption>> = {
  use: (value) => (Array.isArray(value) ? null : 'a list of workflows, tasks with bodies and signals'),
  retention: (value) =>
    value === false || (typeof value === 'object' && value !== null && !Array.isArray(value)) ? null : 'an object, or false',
  concurrency: anything,
  lease: anything,
  limits: anything,
  maxQueued: anything,
  sweep: anything,
  grace: anything,
  drain: anything,
  maxPayload: anything,
  maxLost: anything,
  logger,
  logLines: anything,
  redact: anything,
  onEvent: aFunction,
  onProgress: aFunction,
  classifyError: aFunction,
};
const RETENTION: Checks<Retention> = { finished: anything, failed: anything, journal: anything, audit: anything };
const REDACT: Checks<RedactOptions> = { keys: strings, values: strings };

function count(value: number, option: string, most: number, least = 1): number {
  if (!Number.isInteger(value) || value < least || value > most)
    throw new PawlError('CONFIG_OPTION', `${option}: must be a whole number from ${least} to ${most}, not ${shown(value)}.`);
  return value;
}

function storePath(store: string): string {
  const match = typeof store === 'string' ? /^sqlite:(.+)$/s.exec(store) : null;
  const path = match?.[1];
  if (path === undefined) throw new PawlError('CONFIG_STORE', `store: ${shown(store)} is not a store that Pawl knows.`);
  return path;
}

/** A heart that user code cannot block: a thread with a connection of its own. */
function threadHeart(path: string): HeartFactory {
  return ({ onLost, ...data }) => {
    const thread = new Thread(ownModule('heart-thread'), { workerData: { path, bootedAt: Date.now(), ...data } });
    let isStopped = false;
    thread.on('message', () => {
      if (!isStopped) onLost();
    });
    // A heart that broke is a lost lease: without it nobody would renew.
    thread.on('error', () => {
      if (!isStopped) onLost();
    });
    return {
      stop: async () => {
        isStopped = true;
        await thread.terminate();
      },
    };
  };
}
