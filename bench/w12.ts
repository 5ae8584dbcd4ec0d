import { queryStore } from '../src/compose.ts';
import type { Engine } from '../src/index.ts';
import { fill } from './filling.ts';
import { chain, submitAll } from './w1.ts';
import { CONCURRENCY, TASKS_PER_RUN, workingEngine, type Metrics, type Round, type Workload } from './workload.ts';

/** What does deleting cost? w1 while the same process prunes a history, against w1 on the same store right before and after. */
const RUNS = 60_000;
const AT_ONCE = 10_000;
/** The history is older than its retention, w1's own runs are not. */
const RETENTION = '1h';
const HISTORY_ENDED_MS = 2 * 3_600_000;

const runsOf = (size: number): number => Math.min(RUNS, size);

async function measureFill({ folder, size }: Round): Promise<Metrics> {
  await fill(folder, size, HISTORY_ENDED_MS);
  return { runs: runsOf(size), concurrency: CONCURRENCY, finishedRuns: size };
}

interface Load {
  readonly tasksPerSecond: number;
  /** Of the whole process, per task. On a machine that does other work it says more than the rate. */
  readonly cpuUs: number;
}

/** `beside` begins when the clock does, and is stopped with it. */
async function load(engine: Engine, size: number, beside: () => () => Promise<void>): Promise<Load> {
  await submitAll(engine, Math.min(1_000, size));
  const stop = beside();
  const runs = runsOf(size);
  const startMs = performance.now();
  const startCpu = process.cpuUsage();
  for (let done = 0; done < runs; done += AT_ONCE) await submitAll(engine, Math.min(AT_ONCE, runs - done));
  const seconds = (performance.now() - startMs) / 1_000;
  const cpu = process.cpuUsage(startCpu);
  await stop();
  const tasks = runs * TASKS_PER_RUN;
  return { tasksPerSecond: tasks / seconds, cpuUs: (cpu.user + cpu.system) / tasks };
}

const nothing = () => async (): Promise<void> => undefined;

async function measureAlone(name: string, { folder, size }: Round): Promise<Metrics> {
  const engine = await workingEngine(folder, [chain], { retention: false });
  const alone = await load(engine, size, nothing);
  await engine.close();
  return { [name]: alone.tasksPerSecond, [`${name}Cpu`]: alone.cpuUs };
}

/** As workers prune by themselves. */
async function measureRetention({ folder, size }: Round): Promise<Metrics> {
  // why: a worker first looks at some time within its first minute, drawn by lot; here that is its first sweep
  const { random } = Math;
  Math.random = () => 0;
  const engine = await workingEngine(folder, [chain], { retention: { finished: RETENTION, failed: RETENTION } });
  Math.random = random;
  const before = await finished(folder);
  const { tasksPerSecond, cpuUs } = await load(engine, size, nothing);
  const own = runsOf(size) + Math.min(1_000, size);
  await engine.close();
  const retentionPruned = before + own - (await finished(folder));
  return { retentionTasksPerSecond: tasksPerSecond, retentionCpu: cpuUs, retentionPruned };
}

/** As a person asks for it, without a pause until nothing is left. */
async function measureAsked({ folder, size }: Round): Promise<Metrics> {
  const engine = await workingEngine(folder, [chain], { retention: false });
  let askedPruned = NaN;
  const { tasksPerSecond, cpuUs } = await load(engine, size, () => {
    const stopping = new AbortController();
    const pruning = engine.prune({ olderThan: RETENTION, signal: stopping.signal });
    return async () => {
      stopping.abort();
      askedPruned = (await pruning).runs;
    };
  });
  await engine.close();
  return { askedTasksPerSecond: tasksPerSecond, askedCpu: cpuUs, askedPruned };
}

async function finished(folder: string): Promise<number> {
  const [row] = await queryStore(`sqlite:${folder}/pawl.db`, 'SELECT count(*) AS n FROM runs');
  return Number(row?.['n']);
}

function withRatios(all: Metrics): Metrics {
  const { before = NaN, between = NaN, after = NaN, beforeCpu = NaN, betweenCpu = NaN, afterCpu = NaN, retentionCpu, askedCpu, ...m } = all;
  return {
    ...m,
    tasksPerSecond: (before + between + after) / 3,
    retentionRatio: (m['retentionTasksPerSecond'] ?? NaN) / ((before + between) / 2),
    retentionCpuRatio: (beforeCpu + betweenCpu) / 2 / (retentionCpu ?? NaN),
    askedRatio: (m['askedTasksPerSecond'] ?? NaN) / ((between + after) / 2),
    askedCpuRatio: (betweenCpu + afterCpu) / 2 / (askedCpu ?? NaN),
  };
}

export const w12: Workload = {
  title: (m) =>
    `w1 (${m['runs']?.toLocaleString('en-US')} runs) while ${m['finishedRuns']?.toLocaleString('en-US')} finished runs are past their retention`,
  sizes: [200_000],
  parts: {
    fill: measureFill,
    before: (round) => measureAlone('before', round),
    retention: measureRetention,
    between: (round) => measureAlone('between', round),
    asked: measureAsked,
    after: (round) => measureAlone('after', round),
  },
  derive: (bySize) => bySize.map(withRatios),
  figures: [
    { metric: 'tasksPerSecond', label: 'tasks/s, nothing pruned' },
    { metric: 'retentionTasksPerSecond', label: 'tasks/s, the worker prunes' },
    { metric: 'retentionPruned', label: 'runs that it pruned meanwhile' },
    { metric: 'retentionRatio', label: 'ratio', digits: 3, target: { text: '≥ 0.9', holds: (value) => value >= 0.9 } },
    { metric: 'retentionCpuRatio', label: 'ratio of CPU per task', digits: 3 },
    { metric: 'askedTasksPerSecond', label: 'tasks/s, `prune()` runs' },
    { metric: 'askedPruned', label: 'runs that it pruned meanwhile' },
    { metric: 'askedRatio', label: 'ratio', digits: 3, target: { text: '≥ 0.9', holds: (value) => value >= 0.9 } },
    { metric: 'askedCpuRatio', label: 'ratio of CPU per task', digits: 3 },
  ],
};
