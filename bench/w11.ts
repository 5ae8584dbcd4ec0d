import { readFileSync } from 'node:fs';
import { workflowOf } from '../examples/wfcommons/graph.ts';
import { parseInstance, type Instance } from '../examples/wfcommons/wfformat.ts';
import { flushOf } from './raw.ts';
import { throughput } from './w1.ts';
import { CONCURRENCY, median, workingEngine, type Metrics, type Round, type Workload } from './workload.ts';

/** Graphs of real workflows, empty bodies: one run at a time, against what its longest path and its number of tasks would take. */
const WARM_UP_RUNS = 20;
/** For w1's rate: so many runs of it for each run here, up to as many as w1 has. */
const W1_RUNS_EACH = 500;
const W1_RUNS = 10_000;

const DATA = new URL('../examples/wfcommons/data/', import.meta.url);
const files = ['1000genome-chameleon-2ch-100k-001', 'blast-chameleon-small-001', 'helloworld-forkjoin-10-chameleon', 'rnaseq-dirt02-001'];

async function w1Rate({ folder, size }: Round): Promise<Metrics> {
  const { tasksPerSecond = NaN } = await throughput({ folder, size: Math.min(W1_RUNS, size * W1_RUNS_EACH) });
  return { w1TasksPerSecond: tasksPerSecond };
}

async function measure({ folder, size, variant }: Round): Promise<Metrics> {
  const instance = parseInstance(readFileSync(new URL(`${variant}.json`, DATA), 'utf8'));
  const dag = workflowOf(variant, instance, () => undefined);
  const engine = await workingEngine(folder, [dag]);
  const once = async (): Promise<number> => {
    const startMs = performance.now();
    const run = await engine.start(dag);
    // Nothing is returned by the last task: that the run succeeded is all there is to see.
    await run.result();
    return performance.now() - startMs;
  };
  for (let i = 0; i < WARM_UP_RUNS; i++) await once();
  const times: number[] = [];
  for (let i = 0; i < size; i++) times.push(await once());
  await engine.close();
  const [tasks, makespanMs] = [instance.tasks.length, median(times)];
  return {
    runs: size,
    concurrency: CONCURRENCY,
    tasks,
    levels: levelsOf(instance),
    makespanMs,
    tasksPerSecond: (tasks / makespanMs) * 1_000,
  };
}

/** Tasks on the longest path. */
function levelsOf({ tasks }: Instance): number {
  const parents = new Map(tasks.map((task) => [task.id, task.parents]));
  const levels = new Map<string, number>();
  const levelOf = (id: string): number => {
    const known = levels.get(id);
    if (known !== undefined) return known;
    const level = 1 + Math.max(0, ...(parents.get(id) ?? []).map(levelOf));
    levels.set(id, level);
    return level;
  };
  return Math.max(...tasks.map(({ id }) => levelOf(id)));
}

function withBound(m: Metrics): Metrics {
  const { tasks = NaN, levels = NaN, flushMs = NaN, w1TasksPerSecond = NaN, makespanMs = NaN } = m;
  const boundMs = Math.max(levels * flushMs, (tasks / w1TasksPerSecond) * 1_000);
  return { ...m, boundMs, ratioToBound: makespanMs / boundMs };
}

export const w11: Workload = {
  title: (m, file) => `${file}: ${m['tasks']} tasks on ${m['levels']} levels, ${m['runs']} runs one at a time`,
  sizes: [50],
  variants: { metric: 'file', values: files },
  before: { flush: ({ folder }) => flushOf(folder), w1: w1Rate },
  parts: { engine: measure },
  derive: (bySize) => bySize.map(withBound),
  figures: [
    { metric: 'makespanMs', label: 'makespan, ms', digits: 2 },
    { metric: 'tasksPerSecond', label: 'tasks/s' },
    { metric: 'w1TasksPerSecond', label: 'tasks/s of w1' },
    { metric: 'flushMs', label: 'flush, ms', digits: 3 },
    { metric: 'boundMs', label: 'bound of the longest path, ms', digits: 2 },
    { metric: 'ratioToBound', label: 'makespan / bound', digits: 2, target: { text: '≤ 2', holds: (value) => value <= 2 } },
  ],
};
