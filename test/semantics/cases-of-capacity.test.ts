import { expect, test } from 'vitest';
import { task, workflow } from '../../src/index.ts';
import { anyText, endAll, engineWith, flowOf, gate } from './capacity-kit.ts';

test('63: an attempt that times out frees its key before its retry, and the second attempt starts', async () => {
  const begun: string[] = [];
  const job = task({
    name: 'job',
    concurrency: 1,
    timeout: '10s',
    retry: { maxAttempts: 2, initial: '1m', jitter: 'none' },
    run: (id: string, ctx) => {
      begun.push(`${id}${ctx.attempt}`);
      return id === 'slow' && ctx.attempt === 1
        ? new Promise<string>((_, fail) => ctx.signal.addEventListener('abort', () => fail(new Error('x'))))
        : id;
    },
  });
  const flow = workflow({ name: 'flow', input: anyText }, (w, input) => w.run(job, input));
  const engine = engineWith({ use: [flow] });
  const slow = await engine.start(flow, 'slow');
  const quick = await engine.start(flow, 'quick');
  await engine.clock.advance('11s');
  expect(begun).toEqual(['slow1', 'quick1']);
  expect(await quick.result()).toBe('quick');
  await engine.clock.advance('2m');
  expect(await slow.result()).toBe('slow');
  expect(begun).toEqual(['slow1', 'quick1', 'slow2']);
});

test('121: a saturated pool delays no other, however many wait for it with a better priority', async () => {
  const one = gate('one', { pools: { pool1: 1 }, priority: 2 });
  const two = gate('two', { pools: { pool2: 1 }, priority: 1 });
  const flow = (name: string, of: typeof one, n: number) =>
    workflow({ name }, (w) => {
      w.map(
        Array.from({ length: n }, (_, i) => String(i)),
        of.task,
        (id) => id,
      );
    });
  const [flow1, flow2] = [flow('f1', one, 1_000), flow('f2', two, 100)];
  const engine = engineWith({ use: [flow1, flow2], limits: { pool1: 20, pool2: 20 }, concurrency: 64 });
  const runs = [await engine.start(flow1), await engine.start(flow2)];
  await engine.settle();
  expect(one.running()).toHaveLength(20);
  expect(two.running()).toHaveLength(20);
  one.end('0');
  await engine.settle();
  expect(one.running()).toHaveLength(20);
  for (const run of runs) await run.cancel();
});

test.each([
  ['cancel_new', 'cancelled'],
  ['fail', 'failed'],
] as const)('123: limit 1, %s: the second task is %s', async (onLimit, status) => {
  const job = gate('job', { concurrency: { key: 'k', limit: 1, onLimit } });
  const flow = flowOf('flow', job.task);
  const engine = engineWith({ use: [flow] });
  const first = await engine.start(flow, 'a');
  await engine.settle();
  const second = await engine.start(flow, 'b');
  await engine.settle();
  expect((await second.tasks())[0]).toMatchObject({ status, reason: 'key_limit', attempt: 0 });
  expect((await second.status()).status).toBe(status);
  job.end('a');
  expect(await first.result()).toBe('a');
});

test('123: limit 1, cancel_old: the first task is cancelled and the second succeeds', async () => {
  const job = gate('job', { concurrency: { key: 'k', limit: 1, onLimit: 'cancel_old' } });
  const flow = flowOf('flow', job.task);
  const engine = engineWith({ use: [flow] });
  const first = await engine.start(flow, 'a');
  await engine.settle();
  const second = await engine.start(flow, 'b');
  await engine.settle();
  expect((await first.tasks())[0]).toMatchObject({ status: 'cancelled', reason: 'key_limit' });
  expect(job.running()).toEqual(['b']);
  await endAll(engine, job);
  expect(await second.result()).toBe('b');
});

test('125: a holder that dies gives its units back, and so does one that is cancelled', async () => {
  const job = gate('job', { concurrency: { key: 'k', limit: 1 } });
  const flow = flowOf('flow', job.task);
  const engine = engineWith({ use: [flow] });
  const first = await engine.start(flow, 'a');
  await engine.start(flow, 'b');
  await engine.settle();
  expect(job.running()).toEqual(['a']);
  await engine.reboot();
  await engine.settle();
  expect(job.begun).toEqual(['a', 'a']);
  await first.cancel();
  await engine.settle();
  expect(job.begun).toEqual(['a', 'a', 'b']);
  await endAll(engine, job);
});

test('129: a task that asks a pool of 2 for 5 is failed as unsatisfiable, at once and not for ever queued', async () => {
  const job = gate('job', { pools: { db: 5 } });
  const flow = flowOf('flow', job.task);
  const engine = engineWith({ use: [flow], limits: { db: 2 } });
  const run = await engine.start(flow, 'a');
  await engine.settle();
  expect((await run.tasks())[0]).toMatchObject({ status: 'failed', reason: 'unsatisfiable', attempt: 0 });
  expect((await run.status()).status).toBe('failed');
});

test('115: limit 1, one run runs, a failed one is redriven: it is queued until the other ends', async () => {
  const job = gate('job', { retry: { maxAttempts: 1 } });
  const flow = flowOf('flow', job.task, { concurrency: 1 });
  const engine = engineWith({ use: [flow] });
  const run0 = await engine.start(flow, 'a');
  await engine.settle();
  job.fail('a');
  await engine.settle();
  const run1 = await engine.start(flow, 'b');
  await engine.settle();
  expect(job.running()).toEqual(['b']);
  await run0.redrive();
  await engine.settle();
  expect((await run0.status()).status).toBe('queued');
  expect(job.running()).toEqual(['b']);
  job.end('b');
  await engine.settle();
  expect((await run1.status()).status).toBe('success');
  expect(job.running()).toEqual(['a']);
  await endAll(engine, job);
  expect(await run0.result()).toBe('a');
});

test.each([
  ['cancel_new', 'cancelled'],
  ['fail', 'failed'],
] as const)('123: limit 1 of a workflow, %s: the second run is %s', async (onLimit, status) => {
  const job = gate('job');
  const flow = flowOf('flow', job.task, { concurrency: { limit: 1, onLimit } });
  const engine = engineWith({ use: [flow] });
  const first = await engine.start(flow, 'a');
  await engine.settle();
  const second = await engine.start(flow, 'b');
  await engine.settle();
  expect(await second.inspect()).toMatchObject({ status, reason: 'key_limit' });
  await endAll(engine, job);
  expect(await first.result()).toBe('a');
});

test('123: limit 1 of a workflow, cancel_old: the first run is cancelled and the second succeeds', async () => {
  const job = gate('job');
  const flow = flowOf('flow', job.task, { concurrency: { limit: 1, onLimit: 'cancel_old' } });
  const engine = engineWith({ use: [flow] });
  const first = await engine.start(flow, 'a');
  await engine.settle();
  const second = await engine.start(flow, 'b');
  await engine.settle();
  expect(await first.inspect()).toMatchObject({ status: 'cancelled', reason: 'key_limit' });
  await endAll(engine, job);
  expect(await second.result()).toBe('b');
});
