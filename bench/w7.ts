import { mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fill } from './filling.ts';
import { throughput } from './w1.ts';
import { CONCURRENCY, type Metrics, type Round, type Workload } from './workload.ts';

/** Does history cost anything? w1 on a store that holds many finished runs, against w1 on a new one right before. */
const RUNS = 10_000;

const runsOf = (size: number): number => Math.min(RUNS, size);

async function measureFill({ folder, size }: Round): Promise<Metrics> {
  await fill(folder, size);
  return { runs: runsOf(size), concurrency: CONCURRENCY, finishedRuns: size, storeMb: statSync(join(folder, 'pawl.db')).size / 1e6 };
}

async function measureEmpty({ folder, size }: Round): Promise<Metrics> {
  const empty = join(folder, 'empty');
  mkdirSync(empty);
  const { tasksPerSecond = NaN } = await throughput({ folder: empty, size: runsOf(size) });
  return { emptyTasksPerSecond: tasksPerSecond };
}

async function measureFull({ folder, size }: Round): Promise<Metrics> {
  const { tasksPerSecond = NaN } = await throughput({ folder, size: runsOf(size) });
  return { tasksPerSecond };
}

export const w7: Workload = {
  title: (m) =>
    `w1 (${m['runs']?.toLocaleString('en-US')} runs) with ${m['finishedRuns']?.toLocaleString('en-US')} finished runs in the store`,
  sizes: [200_000, 1_000_000],
  parts: { fill: measureFill, empty: measureEmpty, engine: measureFull },
  derive: (bySize) => bySize.map((m) => ({ ...m, ratioToEmpty: (m['tasksPerSecond'] ?? NaN) / (m['emptyTasksPerSecond'] ?? NaN) })),
  figures: [
    { metric: 'storeMb', label: 'the store before, MB' },
    { metric: 'emptyTasksPerSecond', label: 'tasks/s, new store' },
    { metric: 'tasksPerSecond', label: 'tasks/s' },
    { metric: 'ratioToEmpty', label: 'ratio to the new store', digits: 3, target: { text: '≥ 0.9', holds: (value) => value >= 0.9 } },
  ],
};
