/** Engines whose writer is in a thread of its own. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type * as threads from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { z } from 'zod';
import { createEngine, signal, task, workflow, type Engine, type EngineOptions, type Logger } from '../../src/index.ts';
import { chain } from '../fixtures/writer/flows.ts';
import { disk } from '../support/disk.ts';
import { silent } from './kit.ts';

const world = vi.hoisted(() => ({ writers: [] as threads.Worker[] }));
vi.mock('node:worker_threads', async (original) => {
  const real = await original<typeof threads>();
  class Watched extends real.Worker {
    constructor(...args: ConstructorParameters<typeof real.Worker>) {
      super(...args);
      if (String(args[0]).includes('writer-thread')) world.writers.push(this);
    }
  }
  return { ...real, Worker: Watched };
});

let folder: string;
const engines: Engine[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pawl-writer-'));
  world.writers = [];
});
afterEach(async () => {
  await Promise.all(engines.splice(0).map((engine) => engine.close()));
  rmSync(folder, { recursive: true });
});

function engineWith(options: Partial<EngineOptions> = {}): Engine {
  const engine = createEngine({
    store: `sqlite:${folder}/app.db`,
    use: [chain],
    writer: 'thread',
    durability: 'fast',
    logger: silent,
    drain: '1s',
    ...options,
  });
  engines.push(engine);
  return engine;
}

const fixture = (name: string): string => fileURLToPath(new URL(`../fixtures/writer/${name}.ts`, import.meta.url));

describe('an engine whose writer is in a thread', () => {
  test('does what any engine does', async () => {
    const go = signal('go', z.object({ by: z.string() }));
    let fails = 1;
    const shaky = task({
      name: 'shaky',
      retry: { maxAttempts: 1 },
      run: (input: { readonly n: number }) => {
        if (input.n === 2 && fails-- > 0) throw new Error('not yet');
        return input.n * 10;
      },
    });
    const noted = task({
      name: 'noted',
      run: async (input: { readonly n: number }, ctx) => {
        ctx.log.info('noted', { n: input.n });
        return ctx.step('double', () => input.n * 2);
      },
    });
    const all = workflow({ name: 'all' }, (w) => {
      const doubled = w.run(noted, { n: 1 });
      const list = w.run('list', { doubled }, ({ doubled: n }) => [n - 1, n, n + 1]);
      const items = w.map(list, shaky, (n) => ({ n }));
      const told = w.wait(go, { key: 'k', after: [items] });
      return { items, by: told.by };
    });
    const engine = engineWith({ use: [all, chain, go] });
    await engine.work();
    const run = await engine.start(all, undefined, { key: 'k', tags: ['t'] });
    expect((await engine.start(all, undefined, { key: 'k' })).created).toBe(false);
    await expect(run.result({ timeout: '20s' })).rejects.toMatchObject({ code: 'RUN_FAILED' });
    expect((await engine.dead.list()).letters).toMatchObject([{ task: 'shaky', item: 1 }]);
    await run.redrive();
    await engine.send(go, { key: 'k', data: { by: 'ada' } });
    expect(await run.result({ timeout: '20s' })).toEqual({ items: [10, 20, 30], by: 'ada' });
    expect((await engine.runs.list({ tag: 't' })).runs).toMatchObject([{ id: run.id, status: 'success' }]);
    expect((await run.logs()).lines).toMatchObject([{ message: 'noted', data: { n: 1 } }]);
    const later = await engine.start(chain, undefined, { delay: '1h' });
    await later.cancel();
    await expect(later.result()).rejects.toMatchObject({ code: 'RUN_CANCELLED' });
    const checks = await engine.doctor();
    expect(checks.filter((check) => check.status !== 'ok')).toEqual([]);
    expect(checks.find((check) => check.name === 'writer')?.detail).toBe('in a thread of its own');
  });

  test('hands back what it cannot finish when it is closed, and another goes on', async () => {
    const begun: number[] = [];
    const slow = task({
      name: 'slow',
      run: (_: object, ctx) => (begun.push(ctx.attempt) === 1 ? new Promise<string>(() => undefined) : 'done'),
    });
    const flow = workflow({ name: 'flow' }, (w) => w.run(slow, {}));
    const first = engineWith({ use: [flow], drain: '1ms', grace: '1ms' });
    await first.work();
    const { id } = await first.start(flow);
    await vi.waitUntil(() => begun.length === 1);
    await first.close();
    const second = engineWith({ use: [flow] });
    await second.work();
    expect(await (await second.get(id)).result({ timeout: '20s' })).toBe('done');
    expect(begun).toEqual([1, 1]);
  });

  test('goes on under a new identity where its thread ends in the middle', async () => {
    const errors: string[] = [];
    const logger: Logger = { ...silent, error: (_, data) => errors.push(String(data?.['code'])) };
    const engine = engineWith({ logger, concurrency: 5 });
    await engine.work();
    const started = await engine.startMany(
      chain,
      Array.from({ length: 60 }, (_, i) => ({ input: undefined, key: `run ${i}` })),
    );
    let finished = 0;
    const ends = started.map(async ({ run }) => {
      const output = await run?.result({ timeout: '30s' });
      // The others are in all states, and a commit is under way.
      if (++finished === 10) void world.writers.at(-1)?.terminate();
      return output;
    });
    expect(await Promise.all(ends)).toEqual(started.map(() => ({ n: 3 })));
    expect(world.writers).toHaveLength(2);
    // What was under way when it ended: mostly a commit.
    const own = ['STORE_UNKNOWN_OUTCOME', 'STORE_IO', 'WORKER_LEASE_LOST'];
    expect(errors.filter((code) => !own.includes(code))).toEqual([]);
  });
});

describe('a process whose writer is in a thread', () => {
  test('that is killed while the thread has a commit in hand loses nothing that was acknowledged', { timeout: 120_000 }, async () => {
    for (const [commit, turns] of [
      [1, 0],
      [2, 3],
      [3, 40],
      [6, 0],
      [9, 1],
      [14, 10],
    ] as const) {
      const child = spawn(process.execPath, [fixture('die'), folder, String(commit), String(turns)], {
        stdio: ['ignore', 'ignore', 'inherit'],
      });
      expect(await once(child, 'exit')).toEqual([null, 'SIGKILL']);
      const acknowledged = existsSync(`${folder}/acknowledged`) ? readFileSync(`${folder}/acknowledged`, 'utf8').trim().split('\n') : [];
      const engine = engineWith();
      await engine.work();
      for (const id of acknowledged.filter((one) => one !== ''))
        expect(await (await engine.get(id)).result({ timeout: '20s' })).toEqual({ n: 3 });
      const checks = await engine.doctor();
      expect(checks.filter((check) => check.status === 'fail')).toEqual([]);
      await engine.close();
    }
    expect(readFileSync(`${folder}/acknowledged`, 'utf8').trim().split('\n').length).toBeGreaterThan(3);
  });

  test('ends by itself once nothing is asked of it, although nobody closed the engine', async () => {
    const child = spawn(process.execPath, [fixture('client'), folder], { stdio: ['ignore', 'pipe', 'inherit'] });
    const said = once(child.stdout, 'data') as Promise<[Buffer]>;
    expect(await once(child, 'exit')).toEqual([0, null]);
    const [id] = await said;
    expect((await (await engineWith().get(id.toString())).inspect()).status).toBe('running');
  });
});

describe('which thread writes', () => {
  test('is said at debug, and by the doctor', async () => {
    const lines: unknown[] = [];
    const logger: Logger = { ...silent, debug: (message, data) => lines.push([message, data?.['writer'], data?.['flushMs']]) };
    disk.flushes = [7, 8, 7];
    const slow = engineWith({ writer: 'auto', logger });
    await slow.start(chain);
    const fast = engineWith({ writer: 'auto', logger });
    await fast.start(chain);
    expect(lines).toEqual([
      ['the store is open', 'thread', 7],
      ['the store is open', 'main', 0.1],
    ]);
    const details = await Promise.all(
      [slow, fast].map(async (engine) => (await engine.doctor()).find((check) => check.name === 'writer')?.detail),
    );
    expect(details).toEqual(['in a thread of its own; a flush took 7.0 ms', 'in the main thread; a flush took 0.1 ms']);
  });
});
