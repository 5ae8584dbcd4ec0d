import { mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fill } from './filling.ts';
import { throughput } from './w1.ts';
import { CONCURRENCY, type Metrics, type Round, type Workload } from './workload.ts';

/** Does history cost anything? w1 on a store that holds many finished runs, against w1 on new ones right before and after. */
const RUNS = 10_000;

const runsOf = (size: number): number => Math.min(RUNS, size);

async function measureFill({ folder, size }: Round): Promise<Metrics> {
  await fill(folder, size);
  return { runs: runsOf(size), concurrency: CONCURRENCY, finishedRuns: size, storeMb: statSync(join(folder, 'pawl.db')).size / 1e6 };
}

async function measureNew({ folder, size }: Round, place: string): Promise<number> {
  const own = join(folder, place);
  mkdirSync(own);
  const { tasksPerSecond = NaN } = await throughput({ folder: own, size: runsOf(size) });
  return tasksPerSecond;
}

async function measureFull({ folder, size }: Round): Promise<Metrics> {
  const { tasksPerSecond = NaN } = await throughput({ folder, size: runsOf(size) });
  return { tasksPerSecond };
}

function withRatio({ newBefore = NaN, newAfter = NaN, ...m }: Metrics): Metrics {
  const emptyTasksPerSecond = (newBefore + newAfter) / 2;
  return { ...m, emptyTasksPerSecond, ratioToEmpty: (m['tasksPerSecond'] ?? NaN) / emptyTasksPerSecond };
}

export const w7: Workload = {
  title: (m) =>
    `w1 (${m['runs']?.toLocaleString('en-US')} runs) with ${m['finishedRuns']?.toLocaleString('en-US')} finished runs in the store`,
  sizes: [200_000, 1_000_000],
  // A new store before and after: what the filling leaves to the disk, and a machine that gets slower, weigh on both sides.
  parts: {
    fill: measureFill,
    newBefore: async (round) => ({ newBefore: await measureNew(round, 'before') }),
    engine: measureFull,
    newAfter: async (round) => ({ newAfter: await measureNew(round, 'after') }),
  },
  derive: (bySize) => bySize.map(withRatio),
  figures: [
    { metric: 'storeMb', label: 'the store before, MB' },
    { metric: 'emptyTasksPerSecond', label: 'tasks/s, new store' },
    { metric: 'tasksPerSecond', label: 'tasks/s' },
    { metric: 'ratioToEmpty', label: 'ratio to the new store', digits: 3, target: { text: '≥ 0.9', holds: (value) => value >= 0.9 } },
  ],
};
