import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { queryStore } from '../src/compose.ts';
import { install } from './installing.ts';
import { program } from './program.ts';
import { chain, submitAll } from './w1.ts';
import { CONCURRENCY, median, TASKS_PER_RUN, workingEngine, type Metrics, type Round, type Workload } from './workload.ts';

/** What it weighs: memory and cold start of the installed package, what installing brings, and what a finished run leaves in the file. */
const COLD_STARTS = 5;

interface Report {
  readonly peakRssMb: number;
}

async function measureInstalled({ folder, size }: Round): Promise<Metrics> {
  const { packages, installedMb, ...installed } = await install(folder, new URL('./programs/installed.ts', import.meta.url));
  let next = 0;
  const runs = async (count: number): Promise<Report & { firstLineMs: number }> => {
    const place = join(folder, `store-${next++}`);
    mkdirSync(place);
    const { firstLineMs, output } = await program([process.execPath, installed.program, installed.entry, place, String(count)]);
    return { firstLineMs, ...(JSON.parse(output.slice(output.indexOf('\n'))) as Report) };
  };
  // The first start reads the package from the disk; who starts a program again and again does not.
  await runs(1);
  const coldStarts: number[] = [];
  for (let i = 0; i < Math.min(COLD_STARTS, size); i++) coldStarts.push((await runs(1)).firstLineMs);
  const { peakRssMb } = await runs(size);
  return { runs: size, concurrency: CONCURRENCY, peakRssMb, coldStartMs: median(coldStarts), packages, installedMb };
}

/** The rows of finished runs alone: the journal is cut, and what the file held before its first run is taken off. */
async function measureBytes({ folder, size }: Round): Promise<Metrics> {
  const engine = await workingEngine(folder, [chain]);
  const empty = await bytesUsed(folder);
  await submitAll(engine, size);
  // Its retention is over as soon as a millisecond has passed.
  await new Promise((resolve) => setTimeout(resolve, 5));
  await engine.prune({ journal: '1ms' });
  await engine.close();
  return { bytesPerRun: ((await bytesUsed(folder)) - empty) / size };
}

/** Pages that hold something: those that pruning has freed are used again. */
async function bytesUsed(folder: string): Promise<number> {
  const query = 'SELECT page_size * (page_count - freelist_count) AS n FROM pragma_page_size, pragma_page_count, pragma_freelist_count';
  const [row] = await queryStore(`sqlite:${folder}/pawl.db`, query);
  return Number(row?.['n']);
}

export const w6: Workload = {
  title: (m) => `what ${m['runs']?.toLocaleString('en-US')} runs of a chain of ${TASKS_PER_RUN} weigh, and the package`,
  sizes: [10_000],
  // Node says of what strips the types of a program that it is experimental.
  nodeOptions: ['--disable-warning=ExperimentalWarning'],
  parts: { installed: measureInstalled, bytes: measureBytes },
  figures: [
    { metric: 'peakRssMb', label: 'peak memory of the process, MB', digits: 1, target: { text: '≤ 100', holds: (value) => value <= 100 } },
    { metric: 'bytesPerRun', label: 'bytes per finished run', target: { text: '≤ 900', holds: (value) => value <= 900 } },
    {
      metric: 'coldStartMs',
      label: 'cold start to first finished run, ms',
      target: { text: '≤ 150', holds: (value) => value <= 150 },
    },
    { metric: 'packages', label: 'packages that installing brings', target: { text: '≤ 25', holds: (value) => value <= 25 } },
    { metric: 'installedMb', label: 'installed, MB', digits: 2, target: { text: '≤ 15', holds: (value) => value <= 15 } },
  ],
};
