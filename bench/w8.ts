import { task, workflow, type Ref, type Workflow } from '../src/index.ts';
import { flushOf } from './raw.ts';
import { CONCURRENCY, median, mustBe, workingEngine, type Metrics, type Round, type Workload } from './workload.ts';

/**
 * Task Bench's measure: bodies that are busy for a given time, in a graph of `width` tasks a level; efficiency is the time in bodies over all time.
 * METG(50 %) is the shortest body at which it is still a half.
 */
const WIDTH = 64;
/** A duration is measured so often, and the median counts. */
const RUNS_PER_DURATION = 3;
const WARM_UP_RUNS = 3;
const FIRST_US = 256;
const LONGEST_US = 65_536;
const HALF = 0.5;

type Out = { readonly n: number };
/** How a level reads the one before. */
type Level = (before: readonly Ref<Out>[], width: number) => readonly (readonly Ref<Out>[])[];

const each = (width: number, reads: (i: number) => readonly Ref<Out>[]): (readonly Ref<Out>[])[] =>
  Array.from({ length: width }, (_, i) => reads(i));

interface Pattern {
  readonly width: number;
  /** Tasks of two levels: of a fan they differ. */
  readonly tasksPerTwoLevels: number;
  readonly level: Level;
}

const chain: Level = (before, width) => each(width, (i) => before.slice(i, i + 1));
const stencil: Level = (before, width) => each(width, (i) => before.slice(Math.max(0, i - 1), i + 2));
/** From one to all and from all to one, in turn. */
const fan: Level = (before, width) => (before.length === 1 ? each(width, () => before) : [before]);

const patterns: Readonly<Record<string, Pattern>> = {
  chain: { width: WIDTH, tasksPerTwoLevels: 2 * WIDTH, level: chain },
  stencil: { width: WIDTH, tasksPerTwoLevels: 2 * WIDTH, level: stencil },
  fan: { width: WIDTH, tasksPerTwoLevels: WIDTH + 1, level: fan },
  single: { width: 1, tasksPerTwoLevels: 2, level: chain },
};

interface Bench {
  readonly flow: Workflow<void, unknown>;
  readonly tasks: number;
  readonly levels: number;
}

/** How long the bodies of the next run are busy. */
const plan = { us: 0 };

function benchOf({ width, tasksPerTwoLevels, level }: Pattern, size: number): Bench {
  const levels = Math.max(1, Math.round((2 * size) / tasksPerTwoLevels));
  const point = task({
    name: 'point',
    run: async ({ from }: { readonly from: readonly Out[] }) => {
      const endMs = performance.now() + plan.us / 1_000;
      while (performance.now() < endMs);
      return { n: Math.max(0, ...from.map(({ n }) => n)) + 1 };
    },
  });
  let tasks = 0;
  const flow = workflow({ name: 'task-bench' }, (w) => {
    let last: readonly Ref<Out>[] = [];
    for (let at = 0; at < levels; at++) {
      const reads = at === 0 ? each(width, () => []) : level(last, width);
      last = reads.map((from) => w.run(point, { from }, { id: `t${tasks++}` }));
    }
    return last;
  });
  return { flow, tasks, levels };
}

async function measure({ folder, size, variant }: Round): Promise<Metrics> {
  const pattern = patterns[variant];
  if (pattern === undefined) throw new Error(`there is no pattern ${variant}`);
  const { flow, tasks, levels } = benchOf(pattern, size);
  const engine = await workingEngine(folder, [flow]);
  const once = async (us: number): Promise<number> => {
    plan.us = us;
    const startMs = performance.now();
    const output = (await (await engine.start(flow)).result()) as readonly Out[];
    const tookUs = (performance.now() - startMs) * 1_000;
    mustBe(
      output.map(({ n }) => n),
      output.map(() => levels),
      'the output of the graph',
    );
    return (tasks * us) / tookUs;
  };
  for (let i = 0; i < WARM_UP_RUNS; i++) await once(0);
  const metgUs = await shortest(async (us) => {
    const efficiencies: number[] = [];
    for (let i = 0; i < RUNS_PER_DURATION; i++) efficiencies.push(await once(us));
    return median(efficiencies);
  });
  await engine.close();
  return { width: pattern.width, levels, tasks, concurrency: CONCURRENCY, metgUs };
}

/** Between the two durations, one twice the other, where the efficiency crosses a half: on the straight line between them. */
async function shortest(efficiencyAt: (us: number) => Promise<number>): Promise<number> {
  let [us, efficiency] = [FIRST_US, await efficiencyAt(FIRST_US)];
  const isEnough = efficiency >= HALF;
  const factor = isEnough ? 1 / 2 : 2;
  for (;;) {
    const next = us * factor;
    if (next > LONGEST_US) throw new Error(`with bodies of ${us} µs the efficiency is ${efficiency}`);
    const of = await efficiencyAt(next);
    if (of >= HALF !== isEnough) return us + ((HALF - efficiency) / (of - efficiency)) * (next - us);
    [us, efficiency] = [next, of];
  }
}

export const w8: Workload = {
  title: (m, pattern) => `METG(50 %): ${pattern}, width ${m['width']}, ${m['tasks']?.toLocaleString('en-US')} tasks`,
  sizes: [1_280],
  variants: { metric: 'pattern', values: Object.keys(patterns) },
  before: { flush: ({ folder }) => flushOf(folder) },
  parts: { engine: measure },
  derive: (bySize) => bySize.map((m) => ({ ...m, metgToFlush: (m['metgUs'] ?? NaN) / 1_000 / (m['flushMs'] ?? NaN) })),
  figures: [
    {
      metric: 'metgUs',
      label: 'shortest body at half efficiency, µs',
      digits: 1,
      target: {
        text: '≤ 100; single: ≤ 2 flushes',
        holds: (value, { metgToFlush = NaN }, pattern) => (pattern === 'single' ? metgToFlush <= 2 : value <= 100),
      },
    },
    { metric: 'flushMs', label: 'flush, ms', digits: 3 },
    { metric: 'metgToFlush', label: 'the shortest body / flush', digits: 2 },
  ],
};
