import { queryStore } from '../src/compose.ts';
import { signal, workflow } from '../src/index.ts';
import { z } from 'zod';
import { statements } from './programs/counting.ts';
import { CONCURRENCY, workingEngine, type Metrics, type Round, type Workload } from './workload.ts';

/** What a process costs that has nothing to do: runs that wait for a message, with a timeout far away. */
const IDLE_MS = 30_000;
const SETTLE_MS = 5_000;
/** Fewer runs, as in a test, are watched for a shorter time. */
const MS_PER_RUN = 3;

const go = signal('go', z.object({ n: z.number() }));
const waits = workflow({ name: 'waits' }, (w) => w.wait(go, { timeout: '1d' }));

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function measure({ folder, size }: Round): Promise<Metrics> {
  const engine = await workingEngine(folder, [waits, go]);
  const started = await engine.startMany(
    waits,
    Array.from({ length: size }, () => ({ input: undefined })),
  );
  for (const { error } of started) if (error !== undefined) throw error;
  while ((await waiting(folder)) < size) await pause(20);
  await pause(Math.min(SETTLE_MS, size * MS_PER_RUN));

  const before = { ms: performance.now(), statements: statements(), cpu: process.cpuUsage() };
  await pause(Math.min(IDLE_MS, size * MS_PER_RUN));
  const cpu = process.cpuUsage(before.cpu);
  const seconds = (performance.now() - before.ms) / 1_000;
  const ran = statements() - before.statements;
  if ((await waiting(folder)) !== size) throw new Error('not all runs wait any more');
  await engine.close();
  return {
    runs: size,
    concurrency: CONCURRENCY,
    seconds,
    statementsPerSecond: ran / seconds,
    cpuPercent: ((cpu.user + cpu.system) / 1e6 / seconds) * 100,
  };
}

async function waiting(folder: string): Promise<number> {
  const [row] = await queryStore(`sqlite:${folder}/pawl.db`, 'SELECT count(*) AS n FROM open_waits');
  return Number(row?.['n']);
}

export const w10: Workload = {
  title: (m) => `${m['runs']?.toLocaleString('en-US')} waiting runs and nothing to do, for ${m['seconds']?.toFixed()} s`,
  sizes: [10_000],
  nodeOptions: ['--import', new URL('./programs/counting.ts', import.meta.url).href],
  parts: { engine: measure },
  figures: [
    {
      metric: 'statementsPerSecond',
      label: 'statements/s of the process',
      digits: 1,
      target: { text: '≤ 5', holds: (value) => value <= 5 },
    },
    { metric: 'cpuPercent', label: 'CPU, % of one core', digits: 2, target: { text: '≤ 1', holds: (value) => value <= 1 } },
  ],
};
