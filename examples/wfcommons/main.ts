/**
 * Runs the DAG of a file.
 *
 *   node examples/wfcommons/main.ts                                  the files under data/
 *   node examples/wfcommons/main.ts instance.json --fail blastall_ID000002
 */
import { readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createEngine, NonRetryableError } from '../../src/index.ts';
import { workflowOf } from './graph.ts';
import { parseInstance } from './wfformat.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { fail: { type: 'string', multiple: true, default: [] }, store: { type: 'string', default: 'sqlite::memory:' } },
});
const data = fileURLToPath(new URL('./data/', import.meta.url));
const files =
  positionals.length > 0
    ? positionals
    : readdirSync(data)
        .filter((name) => name.endsWith('.json'))
        .map((name) => data + name);
const fails = new Set(values.fail);

for (const file of files) {
  const instance = parseInstance(readFileSync(file, 'utf8'));
  const dag = workflowOf(basename(file, '.json'), instance, (id) => {
    if (fails.has(id)) throw new NonRetryableError(`${id} was told to fail`);
  });
  const engine = createEngine({ store: values.store, use: [dag], concurrency: 16 });
  await engine.work();
  const beganAt = performance.now();
  const run = await engine.start(dag);
  await run.result().catch(() => undefined);
  const tookMs = Math.round(performance.now() - beganAt);
  const { status } = await run.status();
  const counts = Map.groupBy(await run.tasks(), (task) => task.status);
  const shares = [...counts].map(([state, tasks]) => `${tasks.length} ${state}`).join(', ');
  process.stdout.write(`${basename(file)}: ${instance.tasks.length} tasks, ${status} in ${tookMs} ms (${shares})\n`);
  await engine.close();
}
