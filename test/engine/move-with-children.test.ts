import { afterEach, expect, test } from 'vitest';
import { createEngine, task, workflow, type Engine } from '../../src/index.ts';
import type { Committer } from '../../src/engine/committer.ts';
import type { Registry } from '../../src/engine/registry.ts';
import type { Store } from '../../src/store/store.ts';
import { silent } from './kit.ts';

const engines: Engine[] = [];
afterEach(async () => {
  await Promise.all(engines.splice(0).map((engine) => engine.close()));
});

interface Inside {
  readonly runtime: { readonly registry: Registry; open(): Promise<{ readonly store: Store; readonly committer: Committer }> };
}

test('a run is moved in the commit in which its child ends, and then needs the items of a map', async () => {
  const gate = Promise.withResolvers<undefined>();
  let begun = false;
  const held = task({
    name: 'held',
    run: async () => {
      begun = true;
      await gate.promise;
      return 1;
    },
  });
  const child = workflow({ name: 'child' }, (w) => ({ n: w.run(held, undefined) }));
  const twice = task({ name: 'twice', run: async ({ n }: { n: number }) => n * 2 });
  const again = task({ name: 'again', run: async ({ n }: { n: number }) => n + 1 });
  const parent = workflow({ name: 'parent' }, (w) => {
    const first = w.map([1, 2, 3], twice, (n) => ({ n }));
    const of = w.run(child, undefined);
    return { all: w.map(first, again, (n) => ({ n }), { after: [of] }) };
  });
  const engine = createEngine({ store: 'sqlite::memory:', use: [parent, child], logger: silent, sweep: '1h' });
  engines.push(engine);
  await engine.work({ drainOn: [] });
  const run = await engine.start(parent);
  const isReady = async (): Promise<boolean> =>
    begun && (await run.tasks()).some((one) => one.task === 'twice' && one.status === 'success');
  for (let i = 0; i < 2_000 && !(await isReady()); i++) await new Promise<void>((resolve) => setImmediate(resolve));
  const { runtime } = engine as unknown as Inside;
  const { store, committer } = await runtime.open();
  const number = (await store.listRuns({ workflow: 'parent', limit: 1 }))[0];
  const stored = await store.newestDefinition('parent');
  if (number === undefined || stored === null) return expect.fail();
  const [next] = await store.define([{ workflow: 'parent', version: 'next', hash: 'next', graph: stored.graph, at: 1 }]);
  const to = await runtime.registry.learn(store, next?.id ?? -1);
  if (to === null) return expect.fail();
  await committer.idle();
  gate.resolve(undefined);
  const moved = await committer.move({ run: number.run, to, staysUntil: null, act: null });
  // Which of the two is first is all the same; an answer there must be.
  expect(['moved', 'held', 'closed']).toContain(moved.kind);
  expect(await run.result({ timeout: '10s' })).toEqual({ all: [3, 5, 7] });
});
