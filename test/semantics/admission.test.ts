import { expect, test } from 'vitest';
import { workflow } from '../../src/index.ts';
import { anyText, endAll, engineWith, flowOf, gate } from './capacity-kit.ts';
import { operatorAct } from '../store/kit.ts';

test('runs of one key wait for each other, runs of another do not', async () => {
  const job = gate('job');
  const flow = workflow({ name: 'flow', input: anyText, concurrency: { key: (id) => id, limit: 1 } }, (w, input) => w.run(job.task, input));
  const engine = engineWith({ use: [flow] });
  const runs = [await engine.start(flow, 'a'), await engine.start(flow, 'a'), await engine.start(flow, 'b')];
  await engine.settle();
  expect(job.begun).toEqual(['a', 'b']);
  expect(await Promise.all(runs.map(async (run) => (await run.status()).status))).toEqual(['running', 'queued', 'running']);
  await endAll(engine, job);
  expect(job.begun).toEqual(['a', 'b', 'a']);
});

test('who is admitted goes by rank: priority, then age', async () => {
  const job = gate('job');
  const flow = flowOf('flow', job.task, { concurrency: 1 });
  const engine = engineWith({ use: [flow] });
  await engine.start(flow, 'a');
  await engine.settle();
  await engine.start(flow, 'late');
  await engine.start(flow, 'urgent', { priority: 5 });
  await endAll(engine, job);
  expect(job.begun).toEqual(['a', 'urgent', 'late']);
});

test('the timeout of a run counts from its admission', async () => {
  const job = gate('job');
  const flow = flowOf('flow', job.task, { concurrency: 1, timeout: '10m' });
  const engine = engineWith({ use: [flow] });
  const first = await engine.start(flow, 'a');
  const second = await engine.start(flow, 'b');
  await engine.clock.advance('9m');
  expect((await second.status()).status).toBe('queued');
  await engine.clock.advance('2m');
  expect(await first.inspect()).toMatchObject({ status: 'failed', reason: 'deadline' });
  expect((await second.status()).status).toBe('running');
  await engine.clock.advance('8m');
  expect((await second.status()).status).toBe('running');
  await engine.clock.advance('2m');
  expect(await second.inspect()).toMatchObject({ status: 'failed', reason: 'deadline' });
});

test('a run that starts later enters the line when it is due', async () => {
  const job = gate('job', { timeout: '10h' });
  const flow = flowOf('flow', job.task, { concurrency: 1 });
  const engine = engineWith({ use: [flow] });
  const later = await engine.start(flow, 'later', { delay: '1h' });
  await engine.start(flow, 'now');
  await engine.settle();
  expect(job.running()).toEqual(['now']);
  await engine.clock.advance('61m');
  expect((await later.status()).status).toBe('queued');
  await endAll(engine, job);
  expect(await later.result()).toBe('later');
});

test('a queued run that is paused lets others go first, and one that is cancelled is gone at once', async () => {
  const job = gate('job');
  const flow = flowOf('flow', job.task, { concurrency: 1 });
  const engine = engineWith({ use: [flow] });
  await engine.start(flow, 'a');
  const paused = await engine.start(flow, 'paused');
  const cancelled = await engine.start(flow, 'cancelled');
  await engine.start(flow, 'b');
  await engine.settle();
  await paused.pause();
  await cancelled.cancel();
  expect((await cancelled.status()).status).toBe('cancelled');
  job.end('a');
  await engine.settle();
  expect(job.running()).toEqual(['b']);
  await paused.resume();
  expect((await paused.status()).status).toBe('queued');
  await endAll(engine, job);
  expect(job.begun).toEqual(['a', 'b', 'paused']);
});

test('an input that gives no key is refused when the run is started', async () => {
  const flow = workflow({ name: 'flow', input: anyText, concurrency: { key: (id) => id, limit: 1 } }, (w) => w.run('x', {}, () => 1));
  const engine = engineWith({ use: [flow] });
  await expect(engine.start(flow, '')).rejects.toMatchObject({ code: 'RUN_INPUT_INVALID' });
});

test('a process that dies leaves the key with its run, and what waits is admitted by the next', async () => {
  const job = gate('job');
  const flow = flowOf('flow', job.task, { concurrency: 1 });
  const engine = engineWith({ use: [flow] });
  await engine.start(flow, 'a');
  const second = await engine.start(flow, 'b');
  await engine.settle();
  await engine.reboot();
  await engine.settle();
  expect(job.running()).toEqual(['a']);
  expect((await second.status()).status).toBe('queued');
  await endAll(engine, job);
  expect(await second.result()).toBe('b');
});

test('an operator says how many of a key may run, until it is cleared', async () => {
  const job = gate('job');
  const flow = flowOf('flow', job.task, { concurrency: { key: 'k', limit: 1 } });
  const engine = engineWith({ use: [flow] });
  for (const id of ['a', 'b', 'c']) await engine.start(flow, id);
  await engine.settle();
  expect(job.running()).toEqual(['a']);
  await engine.limits.set('k', 2, { kind: 'key' });
  await engine.settle();
  expect(job.running()).toEqual(['a', 'b']);
  await engine.limits.clear('k');
  job.end('a');
  await engine.settle();
  expect(job.running()).toEqual(['b']);
  await endAll(engine, job);
});

test('a run whose key was granted by a process that died before it went on is admitted by the next', async () => {
  const job = gate('job');
  const flow = flowOf('flow', job.task, { concurrency: { key: 'k', limit: 1 } });
  const engine = engineWith({ use: [flow] });
  await engine.start(flow, 'a');
  const second = await engine.start(flow, 'b');
  await engine.settle();
  const store = await engine.storeOf;
  await store.capacity.set({ kind: 'key', name: 'k', value: 2 }, engine.clock.now().getTime(), operatorAct);
  expect((await store.capacity.admit(null)).granted).toHaveLength(1);
  expect((await second.status()).status).toBe('queued');
  await engine.reboot();
  await engine.settle();
  expect((await second.status()).status).toBe('running');
  expect(job.running().toSorted()).toEqual(['a', 'b']);
  await endAll(engine, job);
});
