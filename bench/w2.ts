import { workflow, type Engine } from '../src/index.ts';
import { CONCURRENCY, mustBe, percentile, sorted, workingEngine, type Metrics, type Round, type Workload } from './workload.ts';

/** Latency: one run of one task at a time on an idle engine, from `start` to its result. */
const WARM_UP_RUNS = 20;

const single = workflow({ name: 'single' }, (w) => w.run('only', { n: 0 }, async (input) => ({ n: input.n + 1 })));

async function once(engine: Engine): Promise<number> {
  const startMs = performance.now();
  const run = await engine.start(single);
  const output = await run.result();
  const tookMs = performance.now() - startMs;
  mustBe(output, { n: 1 }, 'the output of a run');
  return tookMs;
}

async function measure({ folder, size }: Round): Promise<Metrics> {
  const engine = await workingEngine(folder, [single]);
  for (let i = 0; i < WARM_UP_RUNS; i++) await once(engine);
  const times: number[] = [];
  for (let i = 0; i < size; i++) times.push(await once(engine));
  await engine.close();
  const inOrder = sorted(times);
  return {
    runs: size,
    concurrency: CONCURRENCY,
    p50Ms: percentile(inOrder, 0.5),
    p95Ms: percentile(inOrder, 0.95),
    p99Ms: percentile(inOrder, 0.99),
  };
}

export const w2: Workload = {
  title: (m) => `one run of 1 task at a time, start to result, ${m['runs']} times`,
  sizes: [300],
  parts: { engine: measure },
  figures: [
    { metric: 'p50Ms', label: 'p50, ms', digits: 2, target: { text: '≤ 1', holds: (value) => value <= 1 } },
    { metric: 'p95Ms', label: 'p95, ms', digits: 2 },
    { metric: 'p99Ms', label: 'p99, ms', digits: 2, target: { text: '≤ 5', holds: (value) => value <= 5 } },
  ],
};
