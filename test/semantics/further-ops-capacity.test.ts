import { expect, test } from 'vitest';
import { task, workflow, type TaskOpts } from '../../src/index.ts';
import { anyText, endAll, engineWith, flowOf, gate } from './capacity-kit.ts';
import type { TestEngine } from '../../src/testing/index.ts';

const statusOf = async (engine: TestEngine, id: string): Promise<string> => {
  const { status, reason } = await (await engine.get(id)).status();
  return reason === undefined ? status : `${status}: ${reason}`;
};
const taskOf = async (run: { tasks(): Promise<readonly { status: string; reason?: string }[]> }): Promise<string> => {
  const [one] = await run.tasks();
  return one?.reason === undefined ? String(one?.status) : `${one.status}: ${one.reason}`;
};
/** A gate, a workflow of it, an engine, and runs by their input. */
function one(options: TaskOpts, engineOptions: object = {}, flowOptions: object = {}) {
  const job = gate('job', options);
  const flow = flowOf('flow', job.task, flowOptions);
  const engine = engineWith({ use: [flow], ...engineOptions });
  const start = (id: string, opts: object = {}) => engine.start(flow, id, opts);
  return { job, flow, engine, start };
}

test('two pools, one of them full: the task that needs both holds neither, and others use the free one', async () => {
  const a = gate('a', { pools: { A: 1 } });
  const both = gate('both', { pools: { A: 1, B: 1 } });
  const b = gate('b', { pools: { B: 1 } });
  const [fa, fboth, fb] = [flowOf('fa', a.task), flowOf('fboth', both.task), flowOf('fb', b.task)];
  const engine = engineWith({ use: [fa, fboth, fb], limits: { A: 1, B: 1 } });
  await engine.start(fa, 'a');
  await engine.settle();
  await engine.start(fboth, 'x');
  await engine.settle();
  expect(await engine.limits.list()).toMatchObject([
    { name: 'A', held: 1 },
    { name: 'B', held: 0 },
  ]);
  a.end('a');
  await engine.settle();
  expect(both.running()).toEqual(['x']);
  await endAll(engine, a, both, b);
  expect(await engine.limits.list()).toMatchObject([{ held: 0 }, { held: 0 }]);
});

test('a large task that is the oldest in its pool is not overtaken for ever by small ones; other pools go on', async () => {
  const small = gate('small', { pools: { A: 1 } });
  const large = gate('large', { pools: { A: 3 } });
  const other = gate('other', { pools: { B: 1 } });
  const [fs, fl, fo] = [flowOf('fs', small.task), flowOf('fl', large.task), flowOf('fo', other.task)];
  const engine = engineWith({ use: [fs, fl, fo], limits: { A: 3, B: 1 } });
  for (const id of ['s1', 's2']) await engine.start(fs, id);
  await engine.settle();
  await engine.start(fl, 'L');
  for (const id of ['s3', 's4', 's5']) await engine.start(fs, id);
  await engine.start(fo, 'o');
  await engine.settle();
  expect([small.running(), other.running()]).toEqual([['s1', 's2'], ['o']]);
  small.end('s1');
  small.end('s2');
  await engine.settle();
  expect([large.running(), small.running()]).toEqual([['L'], []]);
  await endAll(engine, small, large, other);
  expect(small.begun).toEqual(['s1', 's2', 's3', 's4', 's5']);
});

test('a pool that is lowered below what is held takes nothing away, and grants nothing until there is room; raised, it grants at once', async () => {
  const { job, engine, start } = one({ pools: { db: 1 } }, { limits: { db: 3 } });
  for (const id of ['1', '2', '3', '4', '5']) await start(id);
  await engine.settle();
  await engine.limits.set('db', 1);
  job.end('1');
  await engine.settle();
  expect(job.running()).toEqual(['2', '3']);
  job.end('2');
  await engine.settle();
  expect(job.running()).toEqual(['3']);
  await engine.limits.set('db', 10);
  await engine.settle();
  expect(job.running()).toEqual(['3', '4', '5']);
  await endAll(engine, job);
});

test('a pool that is closed (0) lets tasks wait, says so, and goes on when it is cleared', async () => {
  const { job, engine, start } = one({ pools: { db: 2 } }, { limits: { db: 2 } });
  await engine.limits.set('db', 0);
  const run = await start('1');
  await engine.clock.advance('1h');
  expect(await taskOf(run)).toBe('queued');
  expect((await run.why()).sentence).toContain('db');
  await engine.limits.clear('db');
  await engine.settle();
  expect(job.running()).toEqual(['1']);
  await endAll(engine, job);
});

test('units are free while a task waits for its retry, and taken again for the next attempt', async () => {
  const { job, engine, start } = one({ pools: { db: 1 }, retry: { maxAttempts: 2, initial: '1m', jitter: 'none' } }, { limits: { db: 1 } });
  const first = await start('1');
  await engine.settle();
  await start('2');
  job.fail('1');
  await engine.settle();
  expect([await taskOf(first), job.running()]).toEqual(['retrying: error', ['2']]);
  await engine.clock.advance('2m');
  expect(job.running()).toEqual(['2']);
  job.end('2');
  await engine.settle();
  expect(job.running()).toEqual(['1']);
  await endAll(engine, job);
});

test('units are free while a body sleeps, and its resumption waits for them', async () => {
  const events: string[] = [];
  const sleeper = task({
    name: 'sleeper',
    pools: { db: 1 },
    run: async (id: string, ctx) => {
      events.push(`${id} begins`);
      await ctx.sleep('nap', '10m');
      events.push(`${id} goes on`);
      return id;
    },
  });
  const holder = gate('holder', { pools: { db: 1 }, timeout: '1d' });
  const [fs, fh] = [workflow({ name: 'fs', input: anyText }, (w, i) => w.run(sleeper, i)), flowOf('fh', holder.task)];
  const engine = engineWith({ use: [fs, fh], limits: { db: 1 } });
  const run = await engine.start(fs, 's');
  await engine.settle();
  await engine.start(fh, 'h');
  await engine.settle();
  expect(holder.running()).toEqual(['h']);
  await engine.clock.advance('20m');
  expect([events, await taskOf(run)]).toEqual([['s begins'], 'queued']);
  holder.end('h');
  await engine.settle();
  expect(await run.result()).toBe('s');
  expect(events).toEqual(['s begins', 's begins', 's goes on']);
  expect((await run.tasks())[0]?.attempt).toBe(1);
});

test('a cancelled holder frees its units at once; a cancelled waiter never starts', async () => {
  const { job, engine, start } = one({ pools: { db: 1 } }, { limits: { db: 1 } });
  const runs = [await start('1'), await start('2'), await start('3')];
  await engine.settle();
  await runs[1]?.cancel();
  await runs[0]?.cancel();
  await engine.settle();
  expect(job.begun).toEqual(['1', '3']);
  expect(job.running()).toEqual(['3']);
  await endAll(engine, job);
});

test('a process that dies with units in hand gives them back; the work is begun again', async () => {
  const { job, engine, start } = one({ concurrency: { key: 'k', limit: 1 } });
  await start('1');
  await start('2');
  await engine.settle();
  await engine.reboot();
  await engine.clock.advance('1m');
  expect(job.begun).toHaveLength(2);
  await endAll(engine, job);
  expect(job.begun.slice(-1)).toEqual(['2']);
});

test('queue timeout counts while the pool is full, and uses no attempt; the pool is not disturbed', async () => {
  const { job, engine, start } = one({ pools: { db: 1 }, timeout: { queue: '5m' } }, { limits: { db: 1 } });
  await start('1');
  await engine.settle();
  const late = await start('2');
  await engine.clock.advance('6m');
  expect(await taskOf(late)).toBe('failed: queue_timeout');
  expect((await late.tasks())[0]?.attempt).toBe(0);
  expect(job.running()).toEqual(['1']);
  await endAll(engine, job);
});

test('keys read from the items of a map: one at a time for each customer, customers side by side', async () => {
  const job = gate('job');
  const flow = workflow({ name: 'flow' }, (w) =>
    w.map(
      ['a1', 'a2', 'b1', 'b2', 'c1'].map((id) => ({ id, customer: `c-${id[0]}` })),
      (v, item) => v.run(job.task, item.id, { concurrency: { key: item.customer, limit: 1 } }),
    ),
  );
  const engine = engineWith({ use: [flow] });
  const run = await engine.start(flow);
  await engine.settle();
  expect(job.running().toSorted()).toEqual(['a1', 'b1', 'c1']);
  await endAll(engine, job);
  expect(await run.result()).toEqual(['a1', 'a2', 'b1', 'b2', 'c1']);
});

test('cancel_old, three in a row: the first two are cancelled (key_limit), the last succeeds, nothing is held', async () => {
  const { job, engine, start } = one({ concurrency: { key: 'k', limit: 1, onLimit: 'cancel_old' } });
  const runs = [];
  for (const id of ['1', '2', '3']) {
    runs.push(await start(id));
    await engine.settle();
  }
  await endAll(engine, job);
  expect(await Promise.all(runs.map((run) => taskOf(run)))).toEqual(['cancelled: key_limit', 'cancelled: key_limit', 'success']);
  expect(await Promise.all(runs.map((run) => statusOf(engine, run.id)))).toEqual(['cancelled', 'cancelled', 'success']);
});

test('cancel_new with limit 2: the third is cancelled, and once one has ended a fourth may start', async () => {
  const { job, engine, start } = one({ concurrency: { key: 'k', limit: 2, onLimit: 'cancel_new' } });
  for (const id of ['1', '2']) await start(id);
  await engine.settle();
  const third = await start('3');
  await engine.settle();
  job.end('1');
  await engine.settle();
  const fourth = await start('4');
  await engine.settle();
  expect([await taskOf(third), job.running()]).toEqual(['cancelled: key_limit', ['2', '4']]);
  await endAll(engine, job);
  expect(await taskOf(fourth)).toBe('success');
});

test('a task ended by its key with fail is no dead letter that a retry brought: one attempt was never used', async () => {
  const { job, engine, start } = one({ concurrency: { key: 'k', limit: 1, onLimit: 'fail' }, retry: { maxAttempts: 5, initial: '1s' } });
  await start('1');
  await engine.settle();
  const second = await start('2');
  await engine.settle();
  expect([await taskOf(second), await statusOf(engine, second.id), job.begun]).toEqual(['failed: key_limit', 'failed: error', ['1']]);
  expect((await second.tasks())[0]?.attempt).toBe(0);
  await endAll(engine, job);
});

test('serial: order of submission, whatever the priority; one that waits for its retry keeps its turn', async () => {
  const { job, engine, start } = one({
    concurrency: { key: 'k', limit: 1, order: 'serial' },
    retry: { maxAttempts: 2, initial: '1m', jitter: 'none' },
  });
  await start('1');
  await engine.settle();
  await start('2');
  await start('3', { priority: 100 });
  await engine.settle();
  job.fail('1');
  await engine.clock.advance('30s');
  expect(job.running()).toEqual([]);
  await engine.clock.advance('31s');
  expect(job.running()).toEqual(['1']);
  await endAll(engine, job);
  expect(job.begun).toEqual(['1', '1', '2', '3']);
});

test('serial: one that waits (a sleep) gives its turn up', async () => {
  const order: string[] = [];
  const job = task({
    name: 'job',
    concurrency: { key: 'k', limit: 1, order: 'serial' },
    run: async (id: string, ctx) => {
      order.push(id);
      if (id === '1') await ctx.sleep('nap', '1h');
      order.push(`${id}.`);
      return id;
    },
  });
  const flow = workflow({ name: 'flow', input: anyText }, (w, i) => w.run(job, i));
  const engine = engineWith({ use: [flow] });
  for (const id of ['1', '2']) await engine.start(flow, id);
  await engine.clock.advance('2h');
  // A body that waited is run from its beginning.
  expect(order).toEqual(['1', '2', '2.', '1', '1.']);
});

test('serial: one that fails for good, or is cancelled while it waits, does not block those behind it', async () => {
  const { job, engine, start } = one({ concurrency: { key: 'k', limit: 1, order: 'serial' }, retry: { maxAttempts: 1 } });
  const runs = [await start('1'), await start('2'), await start('3')];
  await engine.settle();
  await runs[1]?.cancel();
  job.fail('1');
  await engine.settle();
  expect(job.running()).toEqual(['3']);
  await endAll(engine, job);
});

test('serial: one that waits for its retry and is cancelled gives the turn to the next', async () => {
  const { job, engine, start } = one({
    concurrency: { key: 'k', limit: 1, order: 'serial' },
    retry: { maxAttempts: 2, initial: '5m', maxDelay: '5m', jitter: 'none' },
  });
  const first = await start('1');
  await start('2');
  await engine.settle();
  job.fail('1');
  await engine.settle();
  await first.cancel();
  await engine.settle();
  expect(job.running()).toEqual(['2']);
  await endAll(engine, job);
});

const keyed = (options: object) => ({ concurrency: { key: 'runs', limit: 1, ...options } });

test('a key of a workflow: the second run is queued, its timeout does not count, and it starts when the first was cancelled', async () => {
  const { job, engine, start } = one({}, {}, { ...keyed({}), timeout: '30m' });
  const first = await start('1', {});
  const second = await start('2');
  await engine.settle();
  expect(await statusOf(engine, second.id)).toBe('queued');
  await engine.clock.advance('29m');
  await first.cancel();
  await engine.clock.advance('20m');
  expect([job.running(), await statusOf(engine, second.id)]).toEqual([['2'], 'running']);
  await engine.clock.advance('20m');
  expect(await statusOf(engine, second.id)).toBe('failed: deadline');
});

test('a queued run that is cancelled never starts, and the third goes next', async () => {
  const { job, engine, start } = one({}, {}, keyed({}));
  const runs = [await start('1'), await start('2'), await start('3')];
  await engine.settle();
  await runs[1]?.cancel();
  job.end('1');
  await engine.settle();
  expect(job.begun).toEqual(['1', '3']);
  expect(await statusOf(engine, String(runs[1]?.id))).toBe('cancelled: person');
  await endAll(engine, job);
});

test.each([
  ['cancel_new', ['success', 'cancelled: key_limit']],
  ['fail', ['success', 'failed: key_limit']],
  ['cancel_old', ['cancelled: key_limit', 'success']],
] as const)('a key of a workflow with %s: %j', async (onLimit, ends) => {
  const { job, engine, start } = one({}, {}, keyed({ onLimit }));
  const runs = [await start('1'), await start('2')];
  await engine.settle();
  await endAll(engine, job);
  expect(await Promise.all(runs.map((run) => statusOf(engine, run.id)))).toEqual(ends);
  const third = await start('3');
  await engine.settle();
  await endAll(engine, job);
  expect(await statusOf(engine, third.id)).toBe('success');
});

test('cancel_old of a workflow while the first has a teardown to run: the new one starts when the old one has ended', async () => {
  const job = gate('job');
  const down = gate('down');
  const flow = workflow({ name: 'flow', input: anyText, ...keyed({ onLimit: 'cancel_old' }) }, (w, input) =>
    w.using('env', { setup: () => 'env', teardown: down.task }, () => w.run(job.task, input)),
  );
  const engine = engineWith({ use: [flow] });
  const first = await engine.start(flow, '1');
  await engine.settle();
  const second = await engine.start(flow, '2');
  await engine.settle();
  expect([down.running(), job.running(), await statusOf(engine, first.id)]).toEqual([['env'], [], 'cancelling']);
  down.end('env');
  await engine.settle();
  expect([job.running(), await statusOf(engine, first.id)]).toEqual([['2'], 'cancelled: key_limit']);
  await endAll(engine, job, down);
  expect(await statusOf(engine, second.id)).toBe('success');
});

test('a child shares the key that its parent holds: no run waits for itself', async () => {
  const inner = workflow({ name: 'inner', concurrency: { key: 'tenant', limit: 1 } }, (w) => w.run('in', {}, () => 'inner'));
  const outer = workflow({ name: 'outer', concurrency: { key: 'tenant', limit: 1 } }, (w) => w.run(inner, undefined));
  const engine = engineWith({ use: [outer, inner] });
  const runs = [await engine.start(outer), await engine.start(outer)];
  await engine.clock.advance('1m');
  expect(await Promise.all(runs.map((run) => run.result()))).toEqual(['inner', 'inner']);
});

test('a paused run with the key keeps it; resumed and ended, the next starts', async () => {
  const { job, engine, start } = one({}, {}, keyed({}));
  const first = await start('1');
  const second = await start('2');
  await engine.settle();
  await first.pause();
  job.end('1');
  await engine.settle();
  expect(await statusOf(engine, second.id)).toBe('running');
  await endAll(engine, job);
});

test('a delayed run takes the key when it is due, not before', async () => {
  const { job, engine, start } = one({ timeout: '1d' }, {}, keyed({}));
  const later = await start('later', { delay: '1h' });
  await start('now');
  await engine.settle();
  expect(job.running()).toEqual(['now']);
  await engine.clock.advance('2h');
  expect(await statusOf(engine, later.id)).toBe('queued');
  job.end('now');
  await engine.settle();
  expect(job.running()).toEqual(['later']);
  await endAll(engine, job);
});

test('of queued runs the higher priority is admitted first', async () => {
  const { job, engine, start } = one({}, {}, keyed({}));
  await start('1');
  await engine.settle();
  await start('low');
  await start('high', { priority: 5 });
  await endAll(engine, job);
  expect(job.begun).toEqual(['1', 'high', 'low']);
});

test.each(['cancel', 'pause'] as const)('a large task that holds small ones back lets them go when its run is asked to %s', async (act) => {
  const small = gate('small', { pools: { A: 1 } });
  const large = gate('large', { pools: { A: 2 } });
  const [fs, fl] = [flowOf('fs', small.task), flowOf('fl', large.task)];
  const engine = engineWith({ use: [fs, fl], limits: { A: 2 } });
  await engine.start(fs, 's1');
  await engine.settle();
  const big = await engine.start(fl, 'L');
  await engine.settle();
  await engine.start(fs, 's2');
  await engine.settle();
  expect(small.running()).toEqual(['s1']);
  await big[act]();
  await engine.settle();
  expect(small.running()).toEqual(['s1', 's2']);
  await endAll(engine, small);
});

test('a large task that is skipped by hand, or whose queue timeout passes, lets the small ones go', async () => {
  const small = gate('small', { pools: { A: 1 }, timeout: '1d' });
  const large = gate('large', { pools: { A: 2 }, timeout: { queue: '1m' } });
  const [fs, fl] = [flowOf('fs', small.task), flowOf('fl', large.task)];
  const engine = engineWith({ use: [fs, fl], limits: { A: 2 } });
  await engine.start(fs, 's1');
  await engine.settle();
  const first = await engine.start(fl, 'L1');
  await engine.start(fs, 's2');
  await engine.settle();
  await first.skip('large');
  await engine.settle();
  expect(small.running()).toEqual(['s1', 's2']);
  small.end('s2');
  await engine.start(fl, 'L2');
  await engine.start(fs, 's3');
  await engine.settle();
  expect(small.running()).toEqual(['s1']);
  await engine.clock.advance('61s');
  expect(small.running()).toEqual(['s1', 's3']);
  await endAll(engine, small);
});
