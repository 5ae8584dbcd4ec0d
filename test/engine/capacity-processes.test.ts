import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { createEngine, task, workflow, type Engine } from '../../src/index.ts';
import { LIMITS, workflows } from '../fixtures/processes/workflows.ts';
import { anyText } from '../semantics/capacity-kit.ts';

const child = fileURLToPath(new URL('../fixtures/processes/worker.ts', import.meta.url));
const children: ChildProcess[] = [];
const engines: Engine[] = [];
const folders: string[] = [];

afterEach(async () => {
  for (const one of children.splice(0)) one.kill('SIGKILL');
  await Promise.all(engines.splice(0).map((engine) => engine.close()));
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), 'pawl-capacity-'));
  folders.push(made);
  return made;
}

function engineOn(at: string, options: Omit<Parameters<typeof createEngine>[0], 'store'>): Engine {
  const engine = createEngine({ store: `sqlite:${at}/app.db`, lease: '2s', sweep: '200ms', drain: '1s', ...options });
  engines.push(engine);
  return engine;
}

const lines = (at: string): string[] => {
  try {
    return readFileSync(join(at, 'log'), 'utf8').trim().split('\n');
  } catch {
    return [];
  }
};

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
}

test('125: a holder that is killed holds nothing any more: what waits in another process starts', async () => {
  const at = folder();
  const holder = spawn(process.execPath, [child, at], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(holder);
  await once(holder.stdout as NodeJS.ReadableStream, 'data');
  const flows = workflows(at);
  const engine = engineOn(at, { use: flows.all, limits: LIMITS });
  const first = await engine.start(flows.single);
  await until(() => lines(at).some((line) => line.startsWith(`single ${holder.pid ?? 0}`)));
  await engine.work({ drainOn: [] });
  const second = await engine.start(flows.single);
  expect((await engine.limits.list())[0]).toMatchObject({ name: 'db', held: 1 });
  expect((await second.why()).waitReason).toBe('key');
  holder.kill('SIGKILL');
  expect(await Promise.all([first, second].map((run) => run.result({ timeout: '20s' })))).toEqual([
    { pid: process.pid },
    { pid: process.pid },
  ]);
  expect((await engine.limits.list())[0]).toMatchObject({ held: 0 });
});

test('125: a holder in another process that is cancelled gives way at once', async () => {
  const at = folder();
  const holder = spawn(process.execPath, [child, at], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(holder);
  await once(holder.stdout as NodeJS.ReadableStream, 'data');
  const flows = workflows(at);
  const engine = engineOn(at, { use: flows.all, limits: LIMITS });
  const first = await engine.start(flows.single);
  await until(() => lines(at).some((line) => line.startsWith('single')));
  await engine.work({ drainOn: [] });
  const second = await engine.start(flows.single);
  await first.cancel();
  expect(await second.result({ timeout: '20s' })).toMatchObject({ pid: expect.any(Number) as number });
});

test('several processes on one file together hold no more than there is, and lose nothing', { timeout: 60_000 }, async () => {
  const at = folder();
  const running = { db: 0, key: new Map<string, number>() };
  let most = 0;
  let mostOfKey = 0;
  const body = async (id: string): Promise<string> => {
    const key = id.slice(0, 1);
    most = Math.max(most, ++running.db);
    running.key.set(key, (running.key.get(key) ?? 0) + 1);
    mostOfKey = Math.max(mostOfKey, running.key.get(key) ?? 0);
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
    running.db--;
    running.key.set(key, (running.key.get(key) ?? 0) - 1);
    return id;
  };
  const job = task({ name: 'job', pools: { db: 1 }, run: body });
  const flow = workflow({ name: 'flow', input: anyText }, (w, input) => {
    const key = w.run('key', { input }, ({ input: id }) => id.slice(0, 1));
    return w.run(job, input, { concurrency: { key, limit: 2 } });
  });
  const all = [1, 2, 3].map(() => engineOn(at, { use: [flow], limits: { db: 5 }, lease: '60s' }));
  await Promise.all(all.map((engine) => engine.work({ drainOn: [] })));
  const ids = Array.from({ length: 150 }, (_, i) => `${'abcd'[i % 4] ?? ''}${i}`);
  const started = await Promise.all(all.flatMap((engine, n) => ids.filter((_, i) => i % 3 === n).map((id) => engine.start(flow, id))));
  expect((await Promise.all(started.map((run) => run.result({ timeout: '50s' })))).toSorted((a, b) => (a < b ? -1 : 1))).toEqual(
    ids.toSorted((a, b) => (a < b ? -1 : 1)),
  );
  expect(most).toBeLessThanOrEqual(5);
  expect(mostOfKey).toBeLessThanOrEqual(2);
  expect((await all[0]?.limits.list())?.[0]).toMatchObject({ held: 0 });
});

test('runs of one key are admitted one at a time, by whichever process', { timeout: 60_000 }, async () => {
  const at = folder();
  let running = 0;
  let most = 0;
  const flow = workflow({ name: 'flow', input: anyText, concurrency: { key: (id) => id, limit: 1 } }, (w, input) =>
    w.run('job', { input }, async () => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setImmediate(resolve));
      running--;
      return 1;
    }),
  );
  // What is done again because a busy machine lost its lease would run beside what it takes the place of.
  const all = [1, 2].map(() => engineOn(at, { use: [flow], lease: '60s' }));
  await Promise.all(all.map((engine) => engine.work({ drainOn: [] })));
  const runs = await Promise.all(all.flatMap((engine) => Array.from({ length: 20 }, () => engine.start(flow, 'one'))));
  expect(await Promise.all(runs.map((run) => run.result({ timeout: '50s' })))).toEqual(runs.map(() => 1));
  expect(most).toBe(1);
});

test('what one process says of a limit or a pause, the others heed', { timeout: 60_000 }, async () => {
  const at = folder();
  const begun: string[] = [];
  const flow = workflow({ name: 'flow', input: anyText }, (w, input) =>
    w.run('job', { input }, ({ input: id }) => void begun.push(id), { pools: { db: 1 } }),
  );
  const worker = engineOn(at, { use: [flow], limits: { db: 5 } });
  const operator = engineOn(at, { use: [flow], limits: { db: 5 } });
  await worker.work({ drainOn: [] });
  await operator.limits.set('db', 0);
  await operator.start(flow, 'a');
  const seen = await operator.start(flow, 'b');
  expect((await seen.why()).waitReason).toBe('pool');
  await operator.queues.pause('default');
  await operator.limits.clear('db');
  expect((await seen.why()).waitReason).toBe('paused');
  expect(begun).toEqual([]);
  await operator.queues.resume('default');
  await seen.result({ timeout: '20s' });
  expect(begun.toSorted()).toEqual(['a', 'b']);
});
