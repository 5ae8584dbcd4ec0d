/** A program of somebody who has installed the package: `first-run.ts <entry> <folder> <runs>`. A line when the runs are over, and then its peak memory. */
import type * as pawl from '../../src/index.ts';

const [entry = '', folder = '', runs = ''] = process.argv.slice(2);
const { createEngine, task, workflow } = (await import(entry)) as typeof pawl;

const step = task({ name: 'step', run: async (input: { readonly n: number }) => ({ n: input.n + 1 }) });
const chain = workflow({ name: 'chain-of-3' }, (w) => {
  const a = w.run(step, { n: 0 }, { id: 'a' });
  const b = w.run(step, a, { id: 'b' });
  return w.run(step, b, { id: 'c' });
});

const engine = createEngine({ store: `sqlite:${folder}/pawl.db`, use: [chain], concurrency: 100, durability: 'full' });
await engine.work();
const items = Array.from({ length: Number(runs) }, () => ({ input: undefined }));
const started = await engine.startMany(chain, items);
await Promise.all(
  started.map(({ run, error }) => {
    if (run === undefined) throw error;
    return run.result();
  }),
);
process.stdout.write('over\n');
process.stdout.write(JSON.stringify({ peakRssMb: (process.resourceUsage().maxRSS * 1_024) / 1e6 }));
await engine.close();
