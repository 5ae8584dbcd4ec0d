import { mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { install } from './installing.ts';
import { program } from './program.ts';
import { CONCURRENCY, type Metrics, type Round, type Workload } from './workload.ts';

/**
 * Does a backlog cost memory? Runs that wait for a slot, in the process that submits them and in one that finds them, with the installed
 * package. Node takes up to 128 MB for objects that die young, where it has the memory; the second variant gives it 32 MB.
 */
const OPTIONS: Readonly<Record<string, readonly string[]>> = { default: [], 'semi-space 16 MB': ['--max-semi-space-size=16'] };

async function measure({ folder, size, variant }: Round): Promise<Metrics> {
  const installed = await install(folder, new URL('./programs/backlog.ts', import.meta.url));
  const place = join(folder, 'store');
  mkdirSync(place);
  const life = async (which: string): Promise<Metrics> => {
    const command = [...(OPTIONS[variant] ?? []), installed.program, installed.entry, place, String(size), which];
    return JSON.parse((await program([process.execPath, ...command])).output) as Metrics;
  };
  const submitted = await life('submit');
  const storeMb = statSync(join(place, 'pawl.db')).size / 1e6;
  return { runs: size, concurrency: CONCURRENCY, storeMb, ...submitted, ...(await life('work')) };
}

export const w13: Workload = {
  title: (m, variant) =>
    `${m['runs']?.toLocaleString('en-US')} runs submitted while every slot is taken, and a process that finds them; memory of Node: ${variant}`,
  sizes: [1_000_000],
  variants: { metric: 'nodeMemory', values: Object.keys(OPTIONS) },
  // Node says of what strips the types of a program that it is experimental.
  nodeOptions: ['--disable-warning=ExperimentalWarning'],
  parts: { installed: measure },
  figures: [
    { metric: 'submittedPerSecond', label: 'submitted, runs/s' },
    { metric: 'storeMb', label: 'the store, MB' },
    { metric: 'emptyMb', label: 'peak memory before, MB', digits: 1 },
    {
      metric: 'submitPeakMb',
      label: 'of the process that submits, MB',
      digits: 1,
      target: { text: '≤ 150', holds: (value) => value <= 150 },
    },
    { metric: 'workPeakMb', label: 'of the one that finds them, MB', digits: 1, target: { text: '≤ 150', holds: (value) => value <= 150 } },
    { metric: 'workedTasksPerSecond', label: 'tasks/s of its first tasks' },
  ],
};
