import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { createEngine, task, workflow, type Engine, type Registrable } from '../../src/index.ts';

const engines: Engine[] = [];
const folders: string[] = [];
afterEach(async () => {
  await Promise.all(engines.splice(0).map((engine) => engine.close()));
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

function at(path: string, ...use: Registrable[]): Engine {
  const engine = createEngine({ store: `sqlite:${path}`, use, logger: silent, lease: '3s', sweep: '100ms' });
  engines.push(engine);
  return engine;
}

function file(): string {
  const folder = mkdtempSync(join(tmpdir(), 'pawl-children-'));
  folders.push(folder);
  return join(folder, 'app.db');
}

const contract = task({ name: 'work', input: z.object({ n: z.number() }), output: z.number() });
const child = workflow({ name: 'child', input: z.object({ n: z.number() }) }, (w, input) => ({ n: w.run(contract, { n: input.n }) }));

describe('two engines on one file, one with the code of the parent and one with that of the child', () => {
  test('each ends what it has the code for, and the parent goes on', async () => {
    const path = file();
    const after = task({ name: 'after', run: async (i: { all: readonly { n: number }[] }) => i.all.reduce((sum, { n }) => sum + n, 0) });
    const parent = workflow({ name: 'parent' }, (w) => {
      const all = w.map([1, 2, 3, 4, 5, 6], child, (n) => ({ n }));
      return { sum: w.run(after, { all }) };
    });
    const mine = at(path, parent);
    const theirs = at(
      path,
      child,
      contract.implement(async ({ n }) => n * 10),
    );
    await Promise.all([mine.work(), theirs.work()]);
    const runs = await Promise.all(Array.from({ length: 5 }, async () => mine.start(parent)));
    expect(await Promise.all(runs.map((run) => run.result({ timeout: '20s' })))).toEqual(runs.map(() => ({ sum: 210 })));
  }, 30_000);

  test('a cancel by one reaches the children that the other runs', async () => {
    const path = file();
    const begun = Promise.withResolvers<undefined>();
    const aborted = Promise.withResolvers<undefined>();
    const parent = workflow({ name: 'parent' }, (w) => ({ v: w.run(child, { n: 1 }) }));
    const mine = at(path, parent);
    const theirs = at(
      path,
      child,
      contract.implement(async (_, ctx) => {
        begun.resolve(undefined);
        await new Promise((resolve) => (ctx.signal as unknown as EventTarget).addEventListener('abort', resolve));
        aborted.resolve(undefined);
        return 0;
      }),
    );
    await Promise.all([mine.work(), theirs.work()]);
    const run = await mine.start(parent);
    await begun.promise;
    await run.cancel();
    await aborted.promise;
    const sub = await mine.runs.find('@last:child');
    await expect(sub.result({ timeout: '20s' })).rejects.toMatchObject({ code: 'RUN_CANCELLED' });
  }, 30_000);
});

test('a child stays as long as the run at the top, and goes with it', async () => {
  const path = file();
  const sub = workflow({ name: 'sub' }, (w) => ({ v: w.run('v', {}, () => 1) }));
  const held = Promise.withResolvers<undefined>();
  const top = workflow({ name: 'top' }, (w) => {
    w.run(sub, undefined);
    w.run('held', {}, async () => held.promise);
    return {};
  });
  const engine = at(path, top);
  await engine.work();
  const run = await engine.start(top);
  for (;;) {
    const { runs } = await engine.runs.list({ workflow: 'sub' });
    if (runs[0]?.status === 'success') break;
    await new Promise((resolve) => setImmediate(resolve));
  }
  for (const until = Date.now() + 5; Date.now() < until;) await new Promise((resolve) => setImmediate(resolve));
  expect((await engine.prune({ olderThan: 1 })).runs).toBe(0);
  held.resolve(undefined);
  await run.result();
  for (const until = Date.now() + 5; Date.now() < until;) await new Promise((resolve) => setImmediate(resolve));
  expect((await engine.prune({ olderThan: 1 })).runs).toBe(2);
}, 30_000);
