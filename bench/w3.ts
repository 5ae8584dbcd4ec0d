import { task, workflow, type Workflow } from '../src/index.ts';
import { CONCURRENCY, edges, mustBe, workingEngine, type Metrics, type Round, type Workload } from './workload.ts';

/** Does a task cost more the later it stands in its run? One chain; each body notes when it ran. */
const WINDOW = 100;

function chainOf(tasks: number, ran: number[]): Workflow<void, { n: number }> {
  const step = task({
    name: 'step',
    run: async (input: { readonly n: number }) => {
      ran.push(performance.now());
      return { n: input.n + 1 };
    },
  });
  return workflow({ name: 'long-chain' }, (w) => {
    let last = w.run(step, { n: 0 }, { id: 't0' });
    for (let i = 1; i < tasks; i++) last = w.run(step, last, { id: `t${i}` });
    return last;
  });
}

async function measure({ folder, size }: Round): Promise<Metrics> {
  const ran: number[] = [];
  const defineMs = performance.now();
  const chain = chainOf(size, ran);
  const engine = await workingEngine(folder, [chain]);
  const readyMs = performance.now() - defineMs;
  // The first tasks of a cold process are the slow ones, which would hide a cost that grows: the run that counts is the second.
  await (await engine.start(chain)).result();
  ran.length = 0;
  const startMs = performance.now();
  const output = await (await engine.start(chain)).result();
  const totalMs = performance.now() - startMs;
  mustBe(output, { n: size }, 'the output of the chain');
  await engine.close();
  return { tasks: size, concurrency: CONCURRENCY, readyMs, totalMs, perTaskUs: (totalMs / size) * 1_000, ...edges(ran, WINDOW) };
}

export const w3: Workload = {
  title: (m) => `one chain of ${m['tasks']?.toLocaleString('en-US')} tasks`,
  sizes: [1_000, 10_000],
  parts: { engine: measure },
  derive: (bySize) => {
    const shortest = bySize[0]?.['perTaskUs'] ?? NaN;
    return bySize.map((m) => ({
      ...m,
      lastToFirst: (m['perTaskLastUs'] ?? NaN) / (m['perTaskFirstUs'] ?? NaN),
      growth: (m['perTaskUs'] ?? NaN) / shortest,
    }));
  },
  figures: [
    { metric: 'readyMs', label: 'defined, stored, open, ms', digits: 1 },
    { metric: 'totalMs', label: 'total, ms', digits: 1 },
    { metric: 'perTaskUs', label: 'per task, µs', digits: 1 },
    { metric: 'perTaskFirstUs', label: `per task, first ${WINDOW}, µs`, digits: 1 },
    { metric: 'perTaskLastUs', label: `per task, last ${WINDOW}, µs`, digits: 1 },
    // performance.md says "flat"; within a tenth is what this noise can tell.
    { metric: 'lastToFirst', label: 'last / first', digits: 2, target: { text: 'flat (≤ 1.1)', holds: (value) => value <= 1.1 } },
    { metric: 'growth', label: 'per task, against the shortest', digits: 2, target: { text: '≤ 1.3', holds: (value) => value <= 1.3 } },
  ],
};
