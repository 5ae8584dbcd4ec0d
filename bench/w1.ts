import { task, workflow, type Engine } from '../src/index.ts';
import { rawLimit } from './raw.ts';
import { CONCURRENCY, mustBe, TASKS_PER_RUN, watchLoop, workingEngine, type Metrics, type Round, type Workload } from './workload.ts';

/** Throughput: runs of a chain of 3, all submitted up front, against the raw limit of the store right before. */
const WARM_UP_RUNS = 1_000;

const step = task({ name: 'step', run: async (input: { readonly n: number }) => ({ n: input.n + 1 }) });

export const chain = workflow({ name: 'chain-of-3' }, (w) => {
  const a = w.run(step, { n: 0 }, { id: 'a' });
  const b = w.run(step, a, { id: 'b' });
  return w.run(step, b, { id: 'c' });
});

export async function submitAll(engine: Engine, count: number): Promise<void> {
  const started = await engine.startMany(
    chain,
    Array.from({ length: count }, () => ({ input: undefined })),
  );
  const outputs = await Promise.all(
    started.map(({ run, error }) => {
      if (run === undefined) throw error;
      return run.result();
    }),
  );
  for (const output of outputs) mustBe(output, { n: TASKS_PER_RUN }, 'the output of a run');
}

export async function throughput({ folder, size }: Pick<Round, 'folder' | 'size'>): Promise<Metrics> {
  const engine = await workingEngine(folder, [chain]);
  await submitAll(engine, Math.min(size, WARM_UP_RUNS));
  const stop = watchLoop();
  const startMs = performance.now();
  await submitAll(engine, size);
  const seconds = (performance.now() - startMs) / 1_000;
  const loop = stop();
  await engine.close();
  return { ...loop, runs: size, concurrency: CONCURRENCY, runsPerSecond: size / seconds, tasksPerSecond: (size * TASKS_PER_RUN) / seconds };
}

export const w1: Workload = {
  title: (m) =>
    `${m['runs']?.toLocaleString('en-US')} runs of a chain of ${TASKS_PER_RUN}, submitted up front, concurrency ${m['concurrency']}`,
  sizes: [10_000],
  parts: {
    raw: async ({ folder, size }) => rawLimit({ folder, runs: size, tasks: TASKS_PER_RUN, warmUpRuns: Math.min(size, WARM_UP_RUNS) }),
    engine: throughput,
  },
  derive: (bySize) => bySize.map((m) => ({ ...m, ratioToRaw: (m['tasksPerSecond'] ?? NaN) / (m['rawLimitTasksPerSecond'] ?? NaN) })),
  figures: [
    { metric: 'runsPerSecond', label: 'runs/s' },
    { metric: 'tasksPerSecond', label: 'tasks/s' },
    { metric: 'rawLimitTasksPerSecond', label: 'raw limit, tasks/s' },
    { metric: 'rawRowsPerSecond', label: 'raw limit, rows/s' },
    { metric: 'rawRows', label: 'raw limit: rows written' },
    { metric: 'batchSize', label: 'raw limit: tasks per commit' },
    { metric: 'flushMs', label: 'flush, ms', digits: 3 },
    { metric: 'loopP99Ms', label: 'event loop late, ms, p99', digits: 1, ifMeasured: true },
    { metric: 'loopMaxMs', label: 'event loop late, ms, at most', digits: 1, ifMeasured: true },
    {
      metric: 'commitP99Ms',
      label: 'a commit keeps the loop, ms, p99',
      digits: 1,
      ifMeasured: true,
      target: { text: '≤ 10', holds: (value) => value <= 10 },
    },
    { metric: 'commits', label: 'commits', ifMeasured: true },
    { metric: 'ratioToRaw', label: 'engine / raw limit', digits: 3, target: { text: '≥ 0.5', holds: (value) => value >= 0.5 } },
  ],
};
