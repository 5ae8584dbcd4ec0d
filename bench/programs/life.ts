/**
 * A process of w5: `node life.ts <folder> <runs> first|second`. The first submits all runs, begins to work and dies by SIGKILL when half of the
 * bodies have begun, whatever it is doing then; the second goes on with the same file until all runs are over.
 */
import { openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { createEngine, task, workflow } from '../../src/index.ts';
import { CONCURRENCY, TASKS_PER_RUN } from '../workload.ts';

const [folder = '', runs = '', which = ''] = process.argv.slice(2);

/** A line per body that began, also of a process that was killed right after: the kernel has it. */
const bodies = openSync(`${folder}/bodies`, 'a');
const begun = new Int32Array(new SharedArrayBuffer(4));

const step = task({
  name: 'step',
  run: async (input: { readonly n: number }, ctx) => {
    writeSync(bodies, `${ctx.runId} ${input.n}\n`);
    Atomics.add(begun, 0, 1);
    Atomics.notify(begun, 0);
    return { n: input.n + 1 };
  },
});

const chain = workflow({ name: 'chain' }, (w) => {
  let last = w.run(step, { n: 0 }, { id: 't0' });
  for (let i = 1; i < TASKS_PER_RUN; i++) last = w.run(step, last, { id: `t${i}` });
  return last;
});

/** A thread, so that the kill does not wait for the main thread to come to a good place. */
function killAt(bodiesBegun: number): void {
  const code = `
    const { workerData: { begun, at } } = require('node:worker_threads');
    for (let n = 0; n < at; n = Atomics.load(begun, 0)) Atomics.wait(begun, 0, n);
    process.kill(process.pid, 'SIGKILL');`;
  new Worker(code, { eval: true, workerData: { begun, at: bodiesBegun } }).unref();
}

const engine = createEngine({ store: `sqlite:${folder}/pawl.db`, use: [chain], concurrency: CONCURRENCY, durability: 'full' });
if (which === 'first') await submit();
else await goOn();

async function submit(): Promise<void> {
  const started = await engine.startMany(
    chain,
    Array.from({ length: Number(runs) }, () => ({ input: undefined })),
  );
  const ids = started.map(({ run, error }) => {
    if (run === undefined) throw error;
    return run.id;
  });
  writeFileSync(`${folder}/ids.json`, JSON.stringify(ids));
  killAt(Math.ceil((Number(runs) * TASKS_PER_RUN) / 2));
  await engine.work();
}

/** Prints a line when the last run is over, and then which outputs there are. */
async function goOn(): Promise<void> {
  await engine.work();
  const ids = JSON.parse(readFileSync(`${folder}/ids.json`, 'utf8')) as string[];
  const outputs = await Promise.all(ids.map(async (id) => (await engine.get(id)).result().catch(() => null)));
  process.stdout.write('over\n');
  process.stdout.write(JSON.stringify(outputs));
  await engine.close();
}
