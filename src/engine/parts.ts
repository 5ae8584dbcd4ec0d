import type { CompiledGraph } from '../core/kernel/compile.ts';
import type { EngineEvent } from '../core/events.ts';
import { type Logger, type Redactor } from '../core/log.ts';
import type { RunState } from '../core/kernel/run-state.ts';
import type { Schema } from '../core/values/schema.ts';
import type { Admission } from './admission.ts';
import { type RunRow, type Store } from '../store/store.ts';
import type { Progress } from './attempt.ts';
import type { LogBook } from './attempt-log.ts';
import type { ClassifyError } from './classify.ts';
import type { StoreClock } from './clock.ts';
import type { Committer } from './committer.ts';
import type { Intercept } from './dispatcher.ts';
import type { Ends } from './ends.ts';
import type { Deliverer } from './mailbox.ts';
import type { EventReader } from './events.ts';
import type { Follower } from './follower.ts';
import { type Declared } from '../core/capacity/limits.ts';
import type { HeartFactory } from './heart.ts';
import type { Host } from './host.ts';
import type { Ports } from './ports.ts';
import type { ScheduleRunner } from './schedule-runner.ts';
import { type Registrable } from './registry.ts';
import { type WorkerSettings } from './worker.ts';

/** What an engine is made of; compose.ts picks it. */
export interface EngineParts {
  /** Called once, at the first use. */
  readonly openStore: () => Promise<Store>;
  /** `'read'`: the store is looked at, and nothing is written to it. */
  readonly access: 'read' | 'write';
  readonly heart: (store: Store, clock: StoreClock) => HeartFactory;
  readonly ports: Ports;
  readonly host: Host;
  readonly logger: Logger;
  readonly redactor: Redactor;
  /** Lines that the store keeps of one attempt. */
  readonly logLines: number;
  readonly settings: WorkerSettings;
  readonly use: readonly Registrable[];
  /** What the code declares. */
  readonly limits: readonly Declared[];
  /** Starts are refused while so much waits; null: never. */
  readonly maxQueued: number | null;
  /** Queues that `work()` serves; null: all of them. */
  readonly queues: ReadonlySet<string> | null;
  readonly onEvent?: ((event: EngineEvent) => void) | undefined;
  readonly onProgress?: ((progress: TaskProgress) => void) | undefined;
  /** Stands between attempts and bodies: for the testing kit. */
  readonly intercept?: Intercept | undefined;
  readonly classifyError?: ClassifyError | undefined;
}

/** What a body said of its own progress; not stored. */
export interface TaskProgress {
  readonly runId: string;
  readonly task: string;
  readonly item?: number;
  readonly attempt: number;
  readonly progress: Progress;
}

export interface NodeSchemas {
  readonly input: Schema | undefined;
  readonly output: Schema | undefined;
  /** Of an approval. */
  readonly form: Schema | undefined;
}

/** A run and its state; null where it cannot be read. */
export interface Looked {
  readonly row: RunRow | null;
  readonly graph: CompiledGraph | null;
  readonly state: RunState | null;
}

/** What there is once the store is open. */
export interface Opened {
  readonly store: Store;
  readonly committer: Committer;
  readonly deliverer: Deliverer;
  readonly follower: Follower;
  readonly events: EventReader;
  readonly ends: Ends;
  readonly clock: StoreClock;
  readonly logs: LogBook;
  readonly admission: Admission;
  readonly runner: ScheduleRunner;
}
