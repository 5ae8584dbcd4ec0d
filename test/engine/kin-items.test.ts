import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { z } from 'zod';
import { createEngine, signal, task, workflow, type Engine } from '../../src/index.ts';
import { folder } from '../store/kit.ts';
import { silent } from './kit.ts';

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

test('several parents of one commit that need the items of their maps again all go on', async () => {
  const word = signal('word', z.number());
  const child = workflow({ name: 'child' }, (w) => ({ n: w.wait(word, { key: 'k' }) }));
  const twice = task({ name: 'twice', run: async ({ n }: { n: number }) => n * 2 });
  const again = task({ name: 'again', run: async ({ n }: { n: number }) => n + 1 });
  const parent = workflow({ name: 'parent' }, (w) => {
    const first = w.map([1, 2, 3], twice, (n) => ({ n }));
    const of = w.run(child, undefined);
    return { all: w.map(first, again, (n) => ({ n }), { after: [of] }) };
  });
  const { path, remove } = folder();
  undo.push(remove);
  const open = (): Engine => {
    const engine = createEngine({
      store: `sqlite:${join(path, 'app.db')}`,
      use: [parent, child],
      logger: silent,
      drain: '100ms',
      sweep: '200ms',
    });
    undo.push(() => engine.close());
    return engine;
  };
  const first = open();
  await first.work({ drainOn: [] });
  const ids = (await Promise.all(Array.from({ length: 16 }, () => first.start(parent)))).map((run) => run.id);
  const isReady = async (): Promise<boolean> => {
    const runs = await Promise.all(ids.map((id) => first.get(id)));
    const tasks = await Promise.all(runs.map((run) => run?.tasks() ?? []));
    return tasks.every((of) => of.some((one) => one.task === 'twice' && one.status === 'success'));
  };
  for (let i = 0; i < 2_000 && !(await isReady()); i++) await new Promise<void>((resolve) => setImmediate(resolve));
  await first.close();
  const second = open();
  await second.work({ drainOn: [] });
  await second.send(word, { key: 'k', data: 1, to: 'all' });
  for (const id of ids) expect(await (await second.get(id)).result({ timeout: '10s' })).toEqual({ all: [3, 5, 7] });
});
