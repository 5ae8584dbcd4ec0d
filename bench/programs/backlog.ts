/**
 * A process of w13: `backlog.ts <entry> <folder> <runs> submit|work`. The first fills its slots and then submits all runs, which wait; the
 * second goes on with the same file, until so many bodies have ended. They print what they measured, as JSON.
 */
import type * as pawl from '../../src/index.ts';

const CONCURRENCY = 100;
const PER_CALL = 1_000;
const MOST_BODIES = 30_000;

const [entry = '', folder = '', runs = '', which = ''] = process.argv.slice(2);
const { createEngine, task, workflow } = (await import(entry)) as typeof pawl;

const peakMb = (): number => (process.resourceUsage().maxRSS * 1_024) / 1e6;

let bodies = 0;
let enough = Infinity;
let onEnough = (): void => undefined;

const step = task({
  name: 'step',
  run: async (input: { readonly n: number }) => {
    if (++bodies === enough) onEnough();
    return { n: input.n + 1 };
  },
});
const chain = workflow({ name: 'chain-of-3' }, (w) => {
  const a = w.run(step, { n: 0 }, { id: 'a' });
  const b = w.run(step, a, { id: 'b' });
  return w.run(step, b, { id: 'c' });
});

/** Takes a slot until the engine is closed. */
const held = task({
  name: 'held',
  run: (_: undefined, ctx) => new Promise<void>((resolve) => ctx.signal.addEventListener('abort', () => resolve())),
});
const holder = workflow({ name: 'holder' }, (w) => w.run(held, undefined));

const engine = createEngine({ store: `sqlite:${folder}/pawl.db`, use: [chain, holder], concurrency: CONCURRENCY, durability: 'full' });
const measured = which === 'submit' ? await submit(Number(runs)) : await work(Number(runs));
await engine.close();
process.stdout.write(JSON.stringify(measured));

async function submit(count: number): Promise<Record<string, number>> {
  await engine.work();
  for (let i = 0; i < CONCURRENCY; i++) await engine.start(holder);
  const emptyMb = peakMb();
  const startMs = performance.now();
  const items = Array.from({ length: PER_CALL }, () => ({ input: undefined }));
  for (let done = 0; done < count; done += PER_CALL)
    for (const { error } of await engine.startMany(chain, items.slice(0, count - done))) if (error !== undefined) throw error;
  const seconds = (performance.now() - startMs) / 1_000;
  if (bodies > 0) throw new Error('bodies ran while every slot was taken');
  return { submittedPerSecond: count / seconds, emptyMb, submitPeakMb: peakMb() };
}

async function work(count: number): Promise<Record<string, number>> {
  enough = Math.min(MOST_BODIES, count * 3);
  const over = new Promise<void>((resolve) => {
    onEnough = resolve;
  });
  const startMs = performance.now();
  await engine.work();
  await over;
  const seconds = (performance.now() - startMs) / 1_000;
  return { workedTasksPerSecond: enough / seconds, workPeakMb: peakMb() };
}
