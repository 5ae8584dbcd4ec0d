import { createEngine, type Engine, type EngineOptions, type Registrable } from '../src/index.ts';

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

/** An engine that works, on a file with default durability (`synchronous=FULL`). */
export async function workingEngine(
  folder: string,
  use: readonly Registrable[],
  options: Pick<EngineOptions, 'retention'> = {},
): Promise<Engine> {
  const engine = createEngine({ store: `sqlite:${folder}/pawl.db`, use, concurrency: CONCURRENCY, durability: 'full', ...options });
  await engine.work();
  return engine;
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
