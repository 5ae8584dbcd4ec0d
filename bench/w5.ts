import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { queryStore } from '../src/compose.ts';
import { program, type Ended, type ProgramOptions } from './program.ts';
import { CONCURRENCY, TASKS_PER_RUN, type Metrics, type Round, type Workload } from './workload.ts';

/** A crash: runs of a chain of 3, SIGKILL when half of the bodies have begun, and a new process on the same file at once. */
const LIFE = fileURLToPath(import.meta.resolve('./programs/life.ts'));

async function measure({ folder, size }: Round): Promise<Metrics> {
  const life = (which: string, options?: ProgramOptions): Promise<Ended> =>
    program([process.execPath, LIFE, folder, String(size), which], options);
  const { signal } = await life('first', { mayEndBy: 'SIGKILL' });
  if (signal !== 'SIGKILL') throw new Error('the first process was done before it was killed');
  const before = bodiesIn(folder).length;
  const { firstLineMs, output } = await life('second');
  const outputs = JSON.parse(output.slice(output.indexOf('\n'))) as readonly ({ readonly n: number } | null)[];
  const bodies = bodiesIn(folder);
  const distinct = new Set(bodies).size;
  const good = outputs.filter((value) => value?.n === TASKS_PER_RUN).length;
  return {
    runs: size,
    concurrency: CONCURRENCY,
    recoveryMs: firstLineMs,
    bodiesBeforeKill: before,
    inFlight: await lostAttempts(folder),
    repeated: bodies.length - distinct,
    // A run without its output, or a task of which no body ever began.
    lost: size - good + (size * TASKS_PER_RUN - distinct),
  };
}

/** By run and place in the chain. */
const bodiesIn = (folder: string): string[] => readFileSync(`${folder}/bodies`, 'utf8').trimEnd().split('\n');

/** Attempts that ran when the process was killed: what the second process found of them. */
async function lostAttempts(folder: string): Promise<number> {
  const [row] = await queryStore(`sqlite:${folder}/pawl.db`, "SELECT count(*) AS n FROM attempts WHERE outcome = 'lost'");
  return Number(row?.['n']);
}

export const w5: Workload = {
  title: (m) => `${m['runs']} runs of a chain of ${TASKS_PER_RUN}, killed at half, restarted at once`,
  sizes: [500],
  parts: { engine: measure },
  figures: [
    { metric: 'recoveryMs', label: 'restart to all done, ms', target: { text: '≤ 2,000', holds: (value) => value <= 2_000 } },
    { metric: 'bodiesBeforeKill', label: 'bodies that began before the kill' },
    { metric: 'inFlight', label: 'attempts in flight at the kill' },
    {
      metric: 'repeated',
      label: 'bodies run twice',
      target: { text: '≤ those in flight', holds: (value, { inFlight = NaN }) => value <= inFlight },
    },
    { metric: 'lost', label: 'lost', target: { text: '0', holds: (value) => value === 0 } },
  ],
};
