import { describe, expect, test } from 'vitest';
import { task, workflow } from '../../src/index.ts';
import { anyText, endAll, engineWith, flowOf, gate } from './capacity-kit.ts';

describe('pools', () => {
  test('no more units are held than the pool has, whatever waits', async () => {
    const job = gate('job', { pools: { db: 1 } });
    const flow = flowOf('flow', job.task);
    const engine = engineWith({ use: [flow], limits: { db: 2 } });
    const runs = await Promise.all(['a', 'b', 'c', 'd'].map((id) => engine.start(flow, id)));
    await engine.settle();
    expect(job.running()).toEqual(['a', 'b']);
    expect(await engine.limits.list()).toEqual([{ kind: 'pool', name: 'db', value: 2, code: 2, held: 2 }]);
    job.end('a');
    await engine.settle();
    expect(job.running()).toEqual(['b', 'c']);
    await endAll(engine, job);
    expect(await Promise.all(runs.map((run) => run.result()))).toEqual(['a', 'b', 'c', 'd']);
    expect(job.most()).toBe(2);
    expect(await engine.limits.list()).toEqual([{ kind: 'pool', name: 'db', value: 2, code: 2, held: 0 }]);
  });

  test('an operator wins over the code until it is cleared, and lowering takes nothing away from what runs', async () => {
    const job = gate('job', { pools: { db: 1 } });
    const flow = flowOf('flow', job.task);
    const engine = engineWith({ use: [flow], limits: { db: 1 } });
    for (const id of ['a', 'b', 'c', 'd', 'e']) await engine.start(flow, id);
    await engine.settle();
    expect(job.running()).toEqual(['a']);
    await engine.limits.set('db', 3);
    await engine.settle();
    expect(job.running()).toEqual(['a', 'b', 'c']);
    expect((await engine.limits.list())[0]).toMatchObject({ value: 3, code: 1, operator: 3, held: 3 });
    expect(await engine.limits.clear('db')).toBe(true);
    expect(await engine.limits.clear('db')).toBe(false);
    job.end('a');
    await engine.settle();
    expect(job.running()).toEqual(['b', 'c']);
    job.end('b');
    job.end('c');
    await engine.settle();
    expect(job.running()).toEqual(['d']);
    await engine.limits.set('db', 0);
    job.end('d');
    await engine.settle();
    expect(job.running()).toEqual([]);
    await engine.limits.clear('db');
    await engine.settle();
    expect(job.running()).toEqual(['e']);
    await endAll(engine, job);
  });

  test('a task takes all of its pools or none', async () => {
    const both = gate('both', { pools: { db: 1, gpu: 1 } });
    const only = gate('only', { pools: { gpu: 1 } });
    const [bothFlow, onlyFlow] = [flowOf('b', both.task), flowOf('o', only.task)];
    const engine = engineWith({ use: [bothFlow, onlyFlow], limits: { db: 1, gpu: 1 } });
    await engine.start(onlyFlow, 'x');
    await engine.settle();
    await engine.start(bothFlow, 'y');
    await engine.settle();
    expect(both.running()).toEqual([]);
    expect((await engine.limits.list()).map(({ name, held }) => [name, held])).toEqual([
      ['db', 0],
      ['gpu', 1],
    ]);
    await endAll(engine, both, only);
    expect(both.begun).toEqual(['y']);
  });

  test('a large task is not starved by a stream of small ones', async () => {
    const small = gate('small', { pools: { db: 1 } });
    const large = gate('large', { pools: { db: 3 } });
    const [smallFlow, largeFlow] = [flowOf('s', small.task), flowOf('l', large.task)];
    const engine = engineWith({ use: [smallFlow, largeFlow], limits: { db: 3 } });
    let n = 0;
    const startSmall = async (): Promise<void> => void (await engine.start(smallFlow, String(n++)));
    for (let i = 0; i < 6; i++) await startSmall();
    await engine.settle();
    await engine.start(largeFlow, 'big');
    for (let turn = 0; turn < 50 && large.begun.length === 0; turn++) {
      await startSmall();
      small.end(small.running()[0] ?? '');
      await engine.clock.advance('2s');
    }
    expect(large.begun).toEqual(['big']);
    expect(n).toBeLessThan(40);
    await endAll(engine, small, large);
  });

  test('of two pools that are never free together a task gets both in the end', async () => {
    const a = gate('a', { pools: { a: 1 } });
    const b = gate('b', { pools: { b: 1 } });
    const both = gate('both', { pools: { a: 1, b: 1 } });
    const flows = [flowOf('fa', a.task), flowOf('fb', b.task), flowOf('fboth', both.task)] as const;
    const engine = engineWith({ use: [...flows], limits: { a: 1, b: 1 } });
    for (let i = 0; i < 3; i++) {
      await engine.start(flows[0], `a${i}`);
      await engine.start(flows[1], `b${i}`);
    }
    await engine.settle();
    await engine.start(flows[2], 'both');
    for (let turn = 3; turn < 60 && both.begun.length === 0; turn++) {
      await engine.start(flows[0], `a${turn}`);
      await engine.start(flows[1], `b${turn}`);
      a.end(a.running()[0] ?? '');
      await engine.clock.advance('1s');
      b.end(b.running()[0] ?? '');
      await engine.clock.advance('1s');
    }
    expect(both.begun).toEqual(['both']);
    await endAll(engine, a, b, both);
  });

  test('items of a map take units too, and a long list does not put all of them into the queue', async () => {
    const item = gate('item', { pools: { db: 1 } });
    const flow = workflow({ name: 'flow' }, (w) =>
      w.map(
        Array.from({ length: 250 }, (_, i) => String(i)),
        item.task,
        (each) => each,
      ),
    );
    const engine = engineWith({ use: [flow], limits: { db: 3 }, concurrency: 10 });
    const run = await engine.start(flow);
    await engine.settle();
    expect(item.running()).toEqual(['0', '1', '2']);
    expect((await run.tasks({ items: true })).filter((one) => one.status === 'queued').length).toBeLessThanOrEqual(100);
    await engine.reboot();
    await endAll(engine, item);
    expect(await run.result()).toHaveLength(250);
    expect(item.most()).toBe(3);
  });

  test('a body behind a condition takes its units after the condition has said yes', async () => {
    const job = gate('job', { pools: { db: 1 } });
    const flow = workflow({ name: 'flow', input: anyText }, (w, input) => {
      w.run(job.task, input, { when: (id) => id !== 'no' });
    });
    const engine = engineWith({ use: [flow], limits: { db: 1 } });
    await engine.start(flow, 'a');
    await engine.start(flow, 'b');
    const no = await engine.start(flow, 'no');
    await engine.settle();
    expect(job.running()).toEqual(['a']);
    expect((await no.status()).status).toBe('success');
    await endAll(engine, job);
    expect(job.most()).toBe(1);
    expect(job.begun).toEqual(['a', 'b']);
  });
});

describe('keys', () => {
  test('without a key of its own a limit is that of the task, over all runs and workflows', async () => {
    const job = gate('job', { concurrency: 2 });
    const [one, two] = [flowOf('one', job.task), flowOf('two', job.task)];
    const engine = engineWith({ use: [one, two] });
    await engine.start(one, 'a');
    await engine.start(two, 'b');
    await engine.start(one, 'c');
    await engine.settle();
    expect(job.running()).toEqual(['a', 'b']);
    await endAll(engine, job);
  });

  test('a key read from refs limits per value, and a full one delays no other', async () => {
    const job = gate('job');
    const flow = workflow({ name: 'flow', input: anyText }, (w, input) => {
      const customer = w.run('customer', { input }, ({ input: id }) => id.slice(0, 1));
      w.run(job.task, input, { concurrency: { key: customer, limit: 1 } });
    });
    const engine = engineWith({ use: [flow] });
    for (const id of ['a1', 'a2', 'a3', 'b1', 'c1']) await engine.start(flow, id);
    await engine.settle();
    expect(job.running().toSorted()).toEqual(['a1', 'b1', 'c1']);
    job.end('a1');
    await engine.settle();
    expect(job.running().toSorted()).toEqual(['a2', 'b1', 'c1']);
    await endAll(engine, job);
  });

  test('a key that is no text fails the task, with the reason', async () => {
    const job = gate('job');
    const flow = workflow({ name: 'flow' }, (w) => {
      const customer = w.run('customer', {}, () => ({}) as { id: string });
      w.run(job.task, 'x', { concurrency: { key: customer.id, limit: 1 } });
    });
    const engine = engineWith({ use: [flow] });
    const run = await engine.start(flow);
    await engine.settle();
    expect((await run.tasks()).at(-1)).toMatchObject({ status: 'failed', reason: 'definition_error' });
  });

  test('serial: in order of submission whatever the priority, and one that waits for its retry keeps its turn', async () => {
    const job = gate('job', {
      concurrency: { key: 'line', limit: 1, order: 'serial' },
      retry: { maxAttempts: 2, initial: '1m', jitter: 'none' },
    });
    const flow = flowOf('flow', job.task);
    const engine = engineWith({ use: [flow] });
    await engine.start(flow, 'a');
    await engine.settle();
    await engine.start(flow, 'b');
    await engine.start(flow, 'c', { priority: 100 });
    job.fail('a');
    await engine.settle();
    expect(job.running()).toEqual([]);
    await engine.clock.advance('1m');
    expect(job.running()).toEqual(['a']);
    await endAll(engine, job);
    expect(job.begun).toEqual(['a', 'a', 'b', 'c']);
  });
});

describe('rates', () => {
  test('never more starts than the bucket holds and the rate adds, and every task has its turn', async () => {
    const starts: number[] = [];
    const engine = engineWith({ use: [], limits: {} });
    const call = task({ name: 'call', rate: '10/s', run: () => starts.push(limited.clock.now().getTime()) });
    const flow = workflow({ name: 'flow' }, (w) => {
      w.map(
        Array.from({ length: 60 }, (_, i) => i),
        call,
        (i) => i,
      );
    });
    const limited = engineWith({ use: [flow] });
    const run = await limited.start(flow);
    await limited.clock.advance('10s');
    expect((await run.status()).status).toBe('success');
    expect(starts).toHaveLength(60);
    for (const from of starts) {
      const within = starts.filter((at) => at >= from && at < from + 1_000).length;
      expect(within).toBeLessThanOrEqual(20);
    }
    expect((starts.at(-1) ?? 0) - (starts[0] ?? 0)).toBe(5_000);
    await engine.settle();
  });

  test('tasks may share a rate that the engine declares, and an operator may change it', async () => {
    let calls = 0;
    const a = task({ name: 'a', rate: 'mail', run: () => calls++ });
    const b = task({ name: 'b', rate: 'mail', run: () => calls++ });
    const flow = workflow({ name: 'flow' }, (w) => {
      w.run(a, undefined);
      w.run(b, undefined);
    });
    const engine = engineWith({ use: [flow], limits: { mail: '1/m' } });
    const run = await engine.start(flow);
    await engine.settle();
    expect(calls).toBe(1);
    await engine.clock.advance('59s');
    expect(calls).toBe(1);
    await engine.clock.advance('1s');
    expect(calls).toBe(2);
    await run.result();
    await engine.limits.set('mail', '1/s');
    await engine.start(flow);
    await engine.clock.advance('2s');
    expect(calls).toBe(4);
  });
});

describe('queues', () => {
  test('of a paused queue or workflow nothing new is claimed; what runs goes on', async () => {
    const media = gate('media', { queue: 'media' });
    const other = gate('other');
    const [mediaFlow, otherFlow] = [flowOf('m', media.task), flowOf('o', other.task)];
    const engine = engineWith({ use: [mediaFlow, otherFlow] });
    await engine.start(mediaFlow, 'a');
    await engine.settle();
    expect(await engine.queues.pause('media')).toBe(true);
    expect(await engine.queues.pause('media')).toBe(false);
    expect(await engine.workflows.pause('o')).toBe(true);
    await engine.start(mediaFlow, 'b');
    await engine.start(otherFlow, 'c');
    media.end('a');
    await engine.settle();
    expect([...media.running(), ...other.running()]).toEqual([]);
    expect((await engine.queues.list()).map((row) => row.name)).toEqual(['media']);
    await engine.queues.resume('media');
    await engine.settle();
    expect(media.running()).toEqual(['b']);
    await engine.workflows.resume('o');
    await engine.settle();
    expect(other.running()).toEqual(['c']);
    await endAll(engine, media, other);
  });

  test('a pause of a queue stops a chain of tasks, and tasks with units as well', async () => {
    const first = gate('first');
    const second = gate('second', { pools: { db: 1 } });
    const flow = workflow({ name: 'flow', input: anyText }, (w, input) => {
      const a = w.run(first.task, input);
      const b = w.run('between', { a }, ({ a: id }) => id);
      w.run(second.task, b);
    });
    const engine = engineWith({ use: [flow], limits: { db: 1 } });
    const run = await engine.start(flow, 'a');
    await engine.settle();
    await engine.queues.pause('default');
    first.end('a');
    await engine.settle();
    expect((await run.tasks()).map((one) => one.status)).toEqual(['success', 'queued', 'pending']);
    await engine.queues.resume('default');
    await engine.settle();
    expect(second.running()).toEqual(['a']);
    await endAll(engine, second);
  });
});

describe('a bounded queue', () => {
  test('refuses what comes past it, says when to come again, and takes it when there is room', async () => {
    const job = gate('job', { concurrency: 1 });
    const flow = flowOf('flow', job.task);
    const engine = engineWith({ use: [flow], maxQueued: 2 });
    await engine.start(flow, 'a');
    await engine.settle();
    await engine.start(flow, 'b');
    const kept = await engine.start(flow, 'c', { key: 'c' });
    await expect(engine.start(flow, 'd')).rejects.toMatchObject({ code: 'RUN_QUEUE_FULL', details: { maxQueued: 2, retryAfterMs: 1_000 } });
    expect((await engine.start(flow, 'c', { key: 'c' })).id).toBe(kept.id);
    job.end('a');
    await engine.settle();
    await engine.start(flow, 'e');
    await endAll(engine, job);
    expect(job.begun).toEqual(['a', 'b', 'c', 'e']);
  });

  test('bounds the starts of one commit too', async () => {
    const job = gate('job', { concurrency: 1 });
    const flow = flowOf('flow', job.task);
    const engine = engineWith({ use: [flow], maxQueued: 3 });
    const results = await Promise.allSettled(Array.from({ length: 10 }, (_, i) => engine.start(flow, String(i))));
    expect(results.filter((one) => one.status === 'fulfilled')).toHaveLength(3);
    await endAll(engine, job);
  });
});

describe('what a queued task waits for', () => {
  test('is said from what is held now: pool, key, rate, pause, worker', async () => {
    const job = gate('job', { pools: { db: 2 } });
    const keyed = gate('keyed', { concurrency: { key: 'k', limit: 1 } });
    const slow = task({ name: 'slow', rate: '1/m', run: () => 1 });
    const plain = gate('plain', { queue: 'media' });
    const slowFlow = workflow({ name: 'slow' }, (w) => w.run(slow, undefined));
    const [jobFlow, keyFlow, plainFlow] = [flowOf('j', job.task), flowOf('k', keyed.task), flowOf('p', plain.task)];
    const held = flowOf('held', plain.task, { concurrency: 1 });
    const engine = engineWith({ use: [jobFlow, keyFlow, slowFlow, plainFlow, held], limits: { db: 3 } });
    for (const flow of [jobFlow, keyFlow, held]) await engine.start(flow, 'first');
    await engine.start(slowFlow);
    await engine.settle();
    const second = [
      await engine.start(jobFlow, 'x'),
      await engine.start(keyFlow, 'x'),
      await engine.start(slowFlow),
      await engine.start(held, 'x'),
    ];
    await engine.queues.pause('media');
    second.push(await engine.start(plainFlow, 'x'));
    await engine.clock.advance('15s');
    const told = await Promise.all(second.map((run) => run.why()));
    expect(told.map((why) => [why.waitReason, why.sentence])).toEqual([
      ['pool', 'Task "job": it waits since 15 s for 2 units of the pool "db": 2 of 3 are held.'],
      ['key', 'Task "keyed": it waits since 15 s for the key "k": 1 of 1 are running.'],
      ['rate', 'Task "slow": it waits since 15 s for the rate "slow" (1/m), which has a token in 45 s.'],
      ['key', 'It waits for its turn: 1 of 1 runs of its workflow are admitted; it goes on when one of them ends.'],
      ['paused', 'It is queued, and its queue "media" is paused; it goes on after "pawl resume queue:media".'],
    ]);
    const inspected = await Promise.all(second.slice(0, 3).map(async (run) => (await run.inspect()).tasks[0]?.waitReason));
    expect(inspected).toEqual(['pool', 'key', 'rate']);
    await engine.queues.resume('media');
    for (const run of second) await run.cancel();
    await endAll(engine, job, keyed, plain);
  });
});

test('a compensation takes its units like any task', async () => {
  const undo = gate('undo', { pools: { db: 1 } });
  const holder = flowOf('holder', undo.task);
  const flow = workflow({ name: 'flow', input: anyText }, (w, input) => {
    const a = w.run('a', { input }, ({ input: id }) => id, {
      compensate: task({ name: 'mend', pools: { db: 1 }, run: (_: unknown) => 'undone' }),
    });
    w.run(
      'b',
      { a },
      (): string => {
        throw new Error('no');
      },
      { retry: { maxAttempts: 1 } },
    );
  });
  const engine = engineWith({ use: [holder, flow], limits: { db: 1 } });
  await engine.start(holder, 'h');
  await engine.settle();
  const run = await engine.start(flow, 'x');
  await engine.settle();
  expect((await run.status()).status).toBe('finishing');
  expect((await run.tasks()).find((one) => one.task === 'a.compensate')).toMatchObject({ status: 'queued' });
  await endAll(engine, undo);
  expect((await run.status()).status).toBe('failed');
});
