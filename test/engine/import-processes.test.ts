import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { z } from 'zod';
import { createEngine, task, workflow, type Engine } from '../../src/index.ts';
import { folder } from '../store/kit.ts';
import { silent } from './kit.ts';

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

let running = 0;
let most = 0;
const job = task({
  name: 'job',
  input: z.string(),
  pools: { db: 1 },
  run: async (id) => {
    most = Math.max(most, ++running);
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    running--;
    return id;
  },
});
const child = workflow({ name: 'child', input: z.string(), concurrency: { key: 'account', limit: 1 } }, (w, input) => w.run(job, input));
const parent = workflow({ name: 'parent' }, (w) => {
  const slept = w.sleep('50ms');
  return { all: w.map(['a', 'b', 'c'], child, (id) => id, { after: [slept] }), one: w.run(job, 'd') };
});

function engineOn(file: string): Engine {
  const engine = createEngine({
    store: `sqlite:${file}`,
    use: [parent, child],
    limits: { db: 1 },
    logger: silent,
    sweep: '100ms',
    drain: '1s',
  });
  undo.push(() => engine.close());
  return engine;
}

function files(): { readonly from: string; readonly to: string } {
  const { path, remove } = folder();
  undo.push(remove);
  return { from: join(path, 'from.db'), to: join(path, 'to.db') };
}

test('two processes that release one imported tree at the same instant release it once, and both go on with it', async () => {
  const { from, to } = files();
  const source = engineOn(from);
  const { id } = await source.start(parent);
  const document: unknown = JSON.parse(JSON.stringify(await source.exportRun(id)));
  await source.close();
  const [one, other] = [engineOn(to), engineOn(to)];
  await Promise.all([one.work({ drainOn: [] }), other.work({ drainOn: [] })]);
  await one.importRun(document);
  await expect(other.importRun(document)).rejects.toMatchObject({ code: 'RUN_EXISTS' });
  const released = await Promise.allSettled([one, other].map((engine) => engine.quarantine.retry(id)));
  expect(released.some(({ status }) => status === 'fulfilled')).toBe(true);
  const run = await other.get(id);
  expect(await run.result({ timeout: '20s' })).toEqual({ all: ['a', 'b', 'c'], one: 'd' });
  expect((await one.audit({ run: id })).entries).toHaveLength(1);
  expect(most).toBe(1);
});

test('what ran while it was exported runs again where it was released, beside what is there', async () => {
  const { from, to } = files();
  const source = engineOn(from);
  await source.work({ drainOn: [] });
  const run = await source.start(parent);
  const { done } = await (async () => {
    for (;;) {
      const tasks = await run.tasks();
      if (tasks.some(({ status }) => status === 'success' || status === 'waiting')) return { done: tasks };
      await new Promise((resolve) => setImmediate(resolve));
    }
  })();
  expect(done.length).toBeGreaterThan(0);
  const document: unknown = JSON.parse(JSON.stringify(await source.exportRun(run.id)));
  await source.close();
  most = 0;
  const target = engineOn(to);
  await target.work({ drainOn: [] });
  const here = await target.start(parent);
  const copy = await target.importRun(document);
  expect(await copy.release()).toBe(true);
  const results = await Promise.all([here, copy].map((each) => each.result({ timeout: '20s' })));
  expect(results).toEqual(Array(2).fill({ all: ['a', 'b', 'c'], one: 'd' }));
  expect(most).toBe(1);
});
