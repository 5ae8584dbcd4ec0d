import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Engine, Registrable } from '../src/index.ts';
import type { Batch, CommitResult } from '../src/store/store.ts';
import { engineOver, openSqlite, type EngineOptions } from '../src/compose.ts';

/** What a workload measured: numbers under the names of the JSON output. Units stand at the end of the name. */
export type Metrics = Readonly<Record<string, number>>;

/** One measurement in a process of its own. `folder` is empty at the first part of a repetition, shared by all its parts, and then removed. */
export interface Round {
  readonly folder: string;
  readonly size: number;
  /** Which of the workload's variants, or an empty text. */
  readonly variant: string;
}

export type Part = (round: Round) => Metrics | Promise<Metrics>;

/** One line of the table. */
export interface Figure {
  readonly metric: string;
  readonly label: string;
  /** Digits behind the point. */
  readonly digits?: number;
  /** It is measured only where that was asked for, and else left out. */
  readonly ifMeasured?: true;
  readonly target?: { readonly text: string; readonly holds: (value: number, metrics: Metrics, variant: string) => boolean };
}

export interface Workload {
  readonly title: (metrics: Metrics, variant: string) => string;
  /** How much of it: runs, tasks or items; each size is a result of its own. */
  readonly sizes: readonly number[];
  /** What differs otherwise, and the name of that among the metrics; each is a result of its own. */
  readonly variants?: { readonly metric: string; readonly values: readonly string[] };
  /** Measured once per repetition, before its parts and at its first size: what they are compared with. */
  readonly before?: Readonly<Record<string, Part>>;
  /** What one repetition consists of, in this order, each in a fresh process. */
  readonly parts: Readonly<Record<string, Part>>;
  /** Options of Node for these processes. */
  readonly nodeOptions?: readonly string[];
  /** What follows from one repetition: its metrics by size, in the order of the sizes. */
  readonly derive?: (bySize: readonly Metrics[], variant: string) => readonly Metrics[];
  readonly figures: readonly Figure[];
}

/** Slots of the engine under test: performance.md, "Workloads". */
export const CONCURRENCY = 100;

/** Of the short runs of w1, w5, w6 and w7. */
export const TASKS_PER_RUN = 3;

/** Of the store under test, what was asked for on the command line. */
export interface Asked {
  /** Default: as an engine chooses. */
  readonly writer?: NonNullable<EngineOptions['writer']>;
  /** Each commit takes so many milliseconds longer. */
  readonly flushMs?: number;
}

let asked: Asked = {};
/** How long each commit kept the event loop, in milliseconds. */
let blocksMs: number[] = [];

export function ask(what: Asked): void {
  asked = what;
}

/** An engine that works, on a new file with default durability (`synchronous=FULL`). */
export async function workingEngine(
  folder: string,
  use: readonly Registrable[],
  more: Pick<EngineOptions, 'retention'> = {},
): Promise<Engine> {
  const { writer = 'auto', flushMs } = asked;
  const options: EngineOptions = { store: `sqlite:${folder}/pawl.db`, use, concurrency: CONCURRENCY, durability: 'full', writer, ...more };
  const engine = engineOver(options, async (path, choices) => {
    const store = await openSqlite(path, { ...choices, ...(flushMs !== undefined && { flushDelayMs: flushMs }) });
    if (!measuresLoop()) return store;
    const commit = (batch: Batch): Promise<CommitResult> => {
      const started = performance.now();
      const committing = store.commit(batch);
      blocksMs.push(performance.now() - started);
      return committing;
    };
    return { ...store, commit };
  });
  await engine.work();
  return engine;
}

/** Only where somebody asks about the writer: a timer every millisecond is not free. */
const measuresLoop = (): boolean => asked.writer !== undefined || asked.flushMs !== undefined;

/** Measures from now on for how long the event loop stands still. */
export function watchLoop(): () => Metrics {
  if (!measuresLoop()) return () => ({});
  blocksMs = [];
  const resolution = 1;
  const delay = monitorEventLoopDelay({ resolution });
  delay.enable();
  return () => {
    delay.disable();
    // why: what it counts is from one tick of its timer to the next
    const late = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e6 - resolution);
    return {
      loopP99Ms: late(delay.percentile(99)),
      loopMaxMs: late(delay.max),
      commitP99Ms: percentile(sorted(blocksMs), 0.99),
      commits: blocksMs.length,
    };
  };
}

/** A benchmark that computed something else measured something else. */
export function mustBe(actual: unknown, expected: unknown, what: string): void {
  if (JSON.stringify(actual) !== JSON.stringify(expected))
    throw new Error(`${what}: ${JSON.stringify(actual)} instead of ${JSON.stringify(expected)}`);
}

export function sorted(values: readonly number[]): number[] {
  return values.toSorted((a, b) => a - b);
}

/** Of an even count the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const inOrder = sorted(values);
  const half = inOrder.length / 2;
  return ((inOrder[Math.ceil(half) - 1] ?? NaN) + (inOrder[Math.floor(half)] ?? NaN)) / 2;
}

/** The most that this process ever had resident. */
export const peakMb = (): number => (process.resourceUsage().maxRSS * 1_024) / 1e6;

/** The smallest value that is not below `share` of all (nearest rank). */
export function percentile(inOrder: readonly number[], share: number): number {
  return inOrder[Math.max(0, Math.ceil(inOrder.length * share) - 1)] ?? NaN;
}

/** The mean distance of the first `window` instants, and of the last, in microseconds. Where there are fewer instants: of all. */
export function edges(instants: readonly number[], window: number): { perTaskFirstUs: number; perTaskLastUs: number } {
  const steps = Math.min(window, instants.length - 1);
  const between = (from: number): number => (((instants[from + steps] ?? NaN) - (instants[from] ?? NaN)) / steps) * 1_000;
  return { perTaskFirstUs: between(0), perTaskLastUs: between(instants.length - 1 - steps) };
}
