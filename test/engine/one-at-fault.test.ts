import { afterEach, expect, test } from 'vitest';
import { z } from 'zod';
import { createEngine, signal, task, workflow, type Engine, type Registrable } from '../../src/index.ts';
import { hook, sqliteError } from '../store/hooks.ts';
import { silent } from './kit.ts';

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

function engineOf(...use: Registrable[]): Engine {
  const engine = createEngine({ store: 'sqlite::memory:', use, logger: silent, sweep: '200ms' });
  undo.push(() => engine.close());
  return engine;
}

async function turns(isDone: () => Promise<boolean> = async () => false, most = 3_000): Promise<void> {
  for (let i = 0; i < most && !(await isDone()); i++) await new Promise<void>((resolve) => setImmediate(resolve));
}

test('of children that end together one that cannot be written is set aside alone', async () => {
  const gate = Promise.withResolvers<undefined>();
  let begun = 0;
  const body = task({
    name: 'body',
    run: async ({ n }: { n: number }) => {
      begun++;
      await gate.promise;
      return n;
    },
  });
  const child = workflow({ name: 'child', input: z.object({ n: z.number() }) }, (w, input) => ({ n: w.run(body, { n: input.n }) }));
  const parent = workflow({ name: 'parent' }, (w) => ({ all: w.map([1, 2, 3, 4], child, (n) => ({ n })) }));
  const engine = engineOf(parent, child);
  await engine.work({ drainOn: [] });
  const run = await engine.start(parent);
  await turns(async () => begun === 4);
  let bad: unknown;
  const onRun = (sql: string, next: () => unknown, values: readonly unknown[]): unknown => {
    if (!sql.startsWith('UPDATE runs SET status = ?, reason')) return next();
    bad ??= values.at(-1);
    if (bad === values.at(-1)) throw sqliteError(18, 'string or blob too big');
    return next();
  };
  undo.push(hook({ onRun }));
  gate.resolve(undefined);
  await turns(async () => (await engine.quarantine.list()).length > 0);
  await turns(undefined, 200);
  expect((await engine.quarantine.list()).map((one) => one.workflow)).toEqual(['child']);
  expect(await run.status()).toMatchObject({ status: 'running' });
  const { runs } = await engine.runs.list({ status: ['success'], parts: true });
  expect(runs.filter((one) => one.workflow === 'child')).toHaveLength(3);
});

test('a message is offered to every wait of its mailbox, however many before it take nothing', async () => {
  const word = signal('word', z.number());
  const other = workflow({ name: 'other' }, (w) => ({ n: w.wait(word, { key: 'k', where: (n) => n === 7 }) }));
  const last = workflow({ name: 'last' }, (w) => ({ n: w.wait(word, { key: 'k', where: (n) => n === 8 }) }));
  const engine = engineOf(other, last);
  await engine.work({ drainOn: [] });
  for (let i = 0; i < 205; i++) await engine.start(other);
  const run = await engine.start(last);
  await turns(undefined, 300);
  await engine.send(word, { key: 'k', data: 8 });
  expect(await run.result({ timeout: '20s' })).toEqual({ n: 8 });
});
