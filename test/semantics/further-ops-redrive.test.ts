/** Redrive and rerun: what is reset is what the preview says, and nothing else. */
import { expect, test } from 'vitest';
import { NonRetryableError, task } from '../../src/index.ts';
import type { Build } from '../../src/core/types/types.ts';
import { broken, chainOf, codeOf, World } from './further-ops-kit.ts';

test('two dead letters, one redriven: the other stays, and what needs both stays upstream_failed', async () => {
  const world = await broken('a', 'b').start((w, world) => {
    const a = w.run('a', {}, world.body('a'));
    const b = w.run('b', {}, world.body('b'));
    w.run('afterA', {}, world.body('afterA'), { after: [a] });
    w.run('both', {}, world.body('both'), { after: [a, b] });
  });
  world.broken.clear();
  expect((await world.act((o) => world.run.redrive({ ...o, task: 'a' }))).toSorted()).toEqual(
    ['a: named', 'afterA: downstream', 'both: downstream'].toSorted(),
  );
  expect(await world.tasks()).toBe('a=success b=failed afterA=success both=upstream_failed');
  expect(await world.end()).toBe('failed: error');
  expect((await world.engine.dead.list()).letters.map(({ task: id }) => id)).toEqual(['b']);
  await world.act((o) => world.run.redrive(o));
  expect(await world.end()).toBe('success');
});

test('a second failure after a redrive is a new dead letter, of the next generation; attempts are counted on', async () => {
  const world = await broken('a').start((w, world) => chainOf(w, world, ['a', 'b']));
  for (const generation of [2, 3]) {
    const report = await world.run.redrive();
    expect(report.generation).toBe(generation);
    expect(await world.end()).toBe('failed: error');
    expect(await world.engine.dead.count()).toBe(1);
  }
  expect((await world.run.tasks())[0]?.attempt).toBe(3);
  expect(await world.tasks()).toBe('a=failed b=upstream_failed');
});

test('an optional branch that was skipped because of the failure runs after the redrive', async () => {
  const world = await broken('a').start((w, world) => {
    const a = w.run('a', {}, world.body('a'), { allowFailure: true });
    w.run('cleanup', {}, world.body('cleanup'), { after: [a], join: 'one_failed' });
    const b = w.run('b', {}, world.body('b'), { after: [a], join: 'none_failed' });
    w.run('c', {}, world.body('c'), { after: [b] });
  });
  expect(await world.end()).toBe('partial');
  world.broken.clear();
  await world.act((o) => world.run.rerun('a', o));
  expect(await world.tasks()).toBe('a=success cleanup=skipped b=success c=success');
  expect(await world.end()).toBe('success');
});

test('a reader that ran on the failure is reset, shown as such; kept it is stale', async () => {
  const build = (w: Build, world: World): void => {
    const a = w.run('a', {}, world.body('a'));
    w.run(
      'report',
      { a: w.settle({ a }).a },
      world.body('report', (input: { a: { status: string } }) => input.a.status),
    );
  };
  const world = await broken('a').start(build);
  world.broken.clear();
  expect(await world.act((o) => world.run.redrive({ ...o, task: 'a' }))).toEqual(['a: named', 'report: ran_on_the_failure']);
  expect(await world.run.output('report')).toBe('success');

  const kept = await broken('a').start(build);
  kept.broken.clear();
  const report = await kept.run.redrive({ task: 'a', keep: ['report'] });
  expect([report.tasks.map(({ task: id }) => id), report.kept]).toEqual([['a'], [{ task: 'report', why: 'asked' }]]);
  await kept.engine.settle();
  expect(await kept.run.output('report')).toBe('failed');
});

test('an unsafe reader that ran on the failure is kept without being asked', async () => {
  const world = await broken('a').start((w, world) => {
    const a = w.run('a', {}, world.body('a'), { allowFailure: true });
    w.run('pay', {}, world.body('pay'), { after: [a], effects: 'unsafe' });
  });
  world.broken.clear();
  const { tasks, kept } = await world.run.redrive({ task: 'a' });
  expect([tasks.map(({ task: id }) => id), kept]).toEqual([['a'], [{ task: 'pay', why: 'unsafe' }]]);
  expect([await world.end(), world.called()]).toEqual(['success', ['a', 'pay', 'a']]);
});

test('unsafe with an unknown outcome: redrive asks for acceptUnknown, and says nothing was done', async () => {
  const world = new World();
  let fails = true;
  await world.start((w) => {
    w.run(
      'pay',
      {},
      () => {
        if (fails) throw new Error('?');
        return 1;
      },
      { effects: 'unsafe' },
    );
    w.run(
      'other',
      {},
      () => {
        if (fails) throw new Error('no');
        return 1;
      },
      { retry: { maxAttempts: 1 } },
    );
  });
  expect(await world.tasks()).toBe('pay=failed(outcome_unknown) other=failed');
  fails = false;
  expect(await codeOf(() => world.run.redrive())).toBe('TASK_OUTCOME_UNKNOWN');
  expect(await world.tasks()).toBe('pay=failed(outcome_unknown) other=failed');
  await world.run.redrive({ task: 'other' });
  expect(await world.end()).toBe('failed: error');
  await world.run.redrive({ acceptUnknown: true });
  expect(await world.end()).toBe('success');
});

test('keys: a plain redrive keeps them, an edited input and a rerun of a success make new ones, sameKey does not', async () => {
  const world = new World();
  let fails = true;
  const keys: string[] = [];
  const pay = task({
    name: 'pay',
    input: {
      '~standard': {
        version: 1,
        vendor: 't',
        validate: (v: unknown) => (typeof v === 'number' ? { value: v } : { issues: [{ message: 'a number' }] }),
        types: undefined as unknown as { input: number; output: number },
      },
    },
    run: (cents, ctx) => {
      keys.push(ctx.idempotencyKey);
      if (fails) throw new NonRetryableError('no');
      return cents;
    },
  });
  await world.start((w) => w.run(pay, 5));
  await world.run.redrive();
  await world.engine.settle();
  expect(new Set(keys).size).toBe(1);
  expect(await codeOf(() => world.run.redrive({ task: 'pay', input: 'five' }))).toBe('TASK_INPUT_INVALID');
  expect(await world.tasks()).toBe('pay=failed');
  await world.run.redrive({ task: 'pay', input: 6, sameKey: true });
  await world.engine.settle();
  expect(new Set(keys).size).toBe(1);
  fails = false;
  await world.run.redrive({ task: 'pay', input: 7 });
  await world.engine.settle();
  expect([new Set(keys).size, await world.run.output('pay')]).toEqual([2, 7]);
  await world.run.rerun('pay', { sameKey: true });
  await world.engine.settle();
  expect(new Set(keys).size).toBe(2);
  await world.run.rerun('pay');
  await world.engine.settle();
  expect(new Set(keys).size).toBe(3);
});

test('a request id: the same act once, also twice at once and after the run has gone on; another act under it conflicts; another actor is another', async () => {
  const world = await broken('a').start((w, world) => chainOf(w, world, ['a', 'b']));
  const [one, two] = await Promise.all([
    world.run.redrive({ requestId: 'r1', actor: 'ann' }),
    world.run.redrive({ requestId: 'r1', actor: 'ann' }),
  ]);
  expect(one).toEqual(two);
  await world.engine.settle();
  expect(world.called()).toEqual(['a', 'a']);
  expect(await world.run.redrive({ requestId: 'r1', actor: 'ann' })).toEqual(one);
  expect(await codeOf(() => world.run.redrive({ requestId: 'r1', actor: 'ann', task: 'a' }))).toBe('RUN_REQUEST_CONFLICT');
  await world.run.redrive({ requestId: 'r1', actor: 'bob' });
  await world.engine.settle();
  expect(world.called()).toEqual(['a']);
  expect((await world.engine.audit({ run: world.run.id })).entries.map(({ actor }) => actor)).toEqual(['bob', 'ann']);
});

test('a restart and a fork under a request id give the same run', async () => {
  const world = await broken('b').start((w, world) => chainOf(w, world, ['a', 'b']));
  const [one, two] = [await world.run.restart({ requestId: 'r' }), await world.run.restart({ requestId: 'r' })];
  expect([one.id === two.id, one.id === world.run.id, one.created, two.created]).toEqual([true, false, true, false]);
  const [f1, f2] = [await world.run.fork('b', { requestId: 'f' }), await world.run.fork('b', { requestId: 'f' })];
  expect([f1.run.id === f2.run.id, f1.reused]).toEqual([true, ['a']]);
  expect(await codeOf(() => world.run.fork('a', { requestId: 'f' }))).toBe('RUN_REQUEST_CONFLICT');
});

test('an act of a request id is kept for 7 days', async () => {
  const world = await broken('a').start((w, world) => chainOf(w, world, ['a']));
  await world.run.redrive({ requestId: 'r' });
  await world.engine.clock.advance('6d');
  world.called();
  await world.run.redrive({ requestId: 'r' });
  await world.engine.settle();
  expect(world.called()).toEqual([]);
  await world.engine.clock.advance('2d');
  await world.run.redrive({ requestId: 'r' });
  await world.engine.settle();
  expect(world.called()).toEqual(['a']);
});

test('of a map only the failed items are done over, and what reads it sees all', async () => {
  const world = new World();
  let bad = [1, 3];
  const calls: number[] = [];
  const item = task({
    name: 'item',
    run: (n: number) => {
      calls.push(n);
      if (bad.includes(n)) throw new NonRetryableError('no');
      return n * 10;
    },
  });
  await world.start((w) => {
    const all = w.map([0, 1, 2, 3], item, (n) => n);
    w.run('sum', { all }, ({ all }) => all.reduce((a, b) => a + b, 0));
  });
  expect(await world.tasks()).toBe(
    'item=failed(too_many_failures) item[0]=success item[1]=failed item[2]=success item[3]=failed sum=upstream_failed',
  );
  expect(await world.engine.dead.count()).toBe(2);
  bad = [3];
  calls.splice(0);
  await world.act((o) => world.run.redrive({ ...o, task: 'item', item: 1 }));
  expect([calls, await world.end()]).toEqual([[1], 'failed: error']);
  bad = [];
  await world.act((o) => world.run.redrive(o));
  expect([calls, await world.run.output('sum'), await world.end()]).toEqual([[1, 3], 60, 'success']);
});

test('a map that drain stopped early: redriven, its unstarted items run too', async () => {
  const world = new World();
  let isBad = true;
  const calls: number[] = [];
  const item = task({
    name: 'item',
    run: (n: number) => {
      calls.push(n);
      if (isBad && n === 0) throw new NonRetryableError('no');
      return n;
    },
  });
  await world.start((w) => w.map([0, 1, 2, 3, 4], item, (n) => n, { concurrency: 1 }), { failurePolicy: 'drain' });
  isBad = false;
  expect(await world.end()).toBe('failed: error');
  await world.act((o) => world.run.redrive(o));
  expect(await world.end()).toBe('success');
  expect(calls.toSorted((a, b) => a - b)).toEqual([0, 0, 1, 2, 3, 4]);
});

test('an edited input of one item of a map goes into that item alone', async () => {
  const world = new World();
  const calls: number[] = [];
  const item = task({
    name: 'item',
    run: (n: number) => {
      calls.push(n);
      if (n === 1) throw new NonRetryableError('no');
      return n;
    },
  });
  await world.start((w) => w.map([0, 1, 2], item, (n) => n, { id: 'm' }));
  expect(await codeOf(() => world.run.redrive({ task: 'm', input: 7 }))).not.toBe('none');
  await world.run.redrive({ task: 'm', item: 1, input: 7 });
  expect(await world.end()).toBe('success');
  expect([calls, await world.run.output('m')]).toEqual([
    [0, 1, 2, 7],
    [0, 7, 2],
  ]);
});

test('redrive of an open run: what runs goes on undisturbed', async () => {
  const world = broken('a');
  let end = (): void => undefined;
  await world.start((w) => {
    const a = w.run('a', {}, world.body('a'));
    const slow = w.run('slow', {}, () => (world.calls.push('slow'), new Promise<number>((resolve) => (end = () => resolve(1)))));
    w.run('both', {}, world.body('both'), { after: [a, slow] });
  });
  world.broken.clear();
  await world.act((o) => world.run.redrive({ ...o, task: 'a' }));
  expect(await world.tasks()).toBe('a=success slow=running both=pending');
  end();
  expect(await world.end()).toBe('success');
  expect(world.called().filter((one) => one === 'slow')).toEqual([]);
});

test('what is not there to be redriven, rerun, marked or discarded is refused by name, and nothing changes', async () => {
  const world = await broken('b').start((w, world) => {
    chainOf(w, world, ['a', 'b', 'c']);
    w.run('held', {}, (): Promise<number> => new Promise(() => undefined), { timeout: '1d' });
  });
  const before = await world.tasks();
  const { run } = world;
  const codes = {
    unknown: await codeOf(() => run.redrive({ task: 'nobody' })),
    succeeded: await codeOf(() => run.redrive({ task: 'a' })),
    upstreamFailed: await codeOf(() => run.redrive({ task: 'c' })),
    running: await codeOf(() => run.rerun('held')),
    markSuccess: await codeOf(() => run.mark('a', { output: 1 })),
    markRunning: await codeOf(() => run.mark('held', { output: 1 })),
    skipRunning: await codeOf(() => run.skip('held')),
    skipEnded: await codeOf(() => run.skip('a')),
    noteless: await codeOf(() => run.discard('b', { note: '' })),
    noNote: await codeOf(() => run.discard('b', {} as never)),
    discardSuccess: await codeOf(() => run.discard('a', { note: 'x' })),
    item: await codeOf(() => run.redrive({ task: 'b', item: 0 })),
    itemless: await codeOf(() => run.redrive({ item: 0 })),
    keep: await codeOf(() => run.redrive({ keep: ['nobody'] })),
    option: await codeOf(() => run.redrive({ tasks: ['b'] } as never)),
    none: await codeOf(() => run.redrive({ task: [] })),
  };
  expect(codes).toEqual({
    unknown: 'TASK_UNKNOWN',
    succeeded: 'TASK_NOT_DEAD',
    upstreamFailed: 'TASK_NOT_DEAD',
    running: 'TASK_NOT_ENDED',
    markSuccess: 'TASK_NOT_DEAD',
    markRunning: 'TASK_NOT_ENDED',
    skipRunning: 'TASK_NOT_OPEN',
    skipEnded: 'TASK_NOT_OPEN',
    noteless: 'CONFIG_OPTION',
    noNote: 'CONFIG_OPTION',
    discardSuccess: 'TASK_NOT_DEAD',
    item: 'TASK_UNKNOWN',
    itemless: 'CONFIG_OPTION',
    keep: 'TASK_UNKNOWN',
    option: 'CONFIG_OPTION',
    none: 'CONFIG_OPTION',
  });
  expect(await world.tasks()).toBe(before);
  await run.cancel();
});

test('a run in which nothing died has nothing to redrive; a cancelled one goes on where it was cancelled', async () => {
  const world = await new World().start((w, world) => chainOf(w, world, ['a', 'b']));
  expect(await codeOf(() => world.run.redrive())).toBe('RUN_NOTHING_TO_REDRIVE');
  const cancelled = new World();
  let end = (): void => undefined;
  await cancelled.start((w) => {
    const a = w.run('a', {}, cancelled.body('a'));
    const slow = w.run('slow', {}, () => new Promise<number>((resolve) => (end = () => resolve(1))), { after: [a] });
    w.run('c', {}, cancelled.body('c'), { after: [slow] });
  });
  await cancelled.run.cancel();
  expect(await cancelled.end()).toBe('cancelled: person');
  await cancelled.act((o) => cancelled.run.redrive(o));
  end();
  expect([await cancelled.end(), cancelled.called()]).toEqual(['success', ['c']]);
});

test('a rerun of a success: it and all that depends on it, skipped ones too; nothing beside it', async () => {
  const world = new World();
  let n = 1;
  await world.start((w) => {
    const a = w.run('a', {}, () => n);
    const big = w.run('big', { a }, world.body('big'), { when: ({ a }: { a: number }) => a > 1 });
    w.run('after', {}, world.body('after'), { after: [big] });
    w.run('beside', {}, world.body('beside'));
  });
  expect(await world.tasks()).toBe('a=success big=skipped(condition) after=skipped beside=success');
  n = 2;
  await world.act((o) => world.run.rerun('a', o));
  expect(await world.tasks()).toBe('a=success big=success after=success beside=success');
  expect(world.called()).toEqual(['big', 'after']);
});

test('a producer rerun with fewer items: the map has as many as the list now', async () => {
  const world = new World();
  let list = [1, 2, 3, 4, 5, 6];
  const item = task({ name: 'item', run: (n: number) => n });
  await world.start((w) => {
    const made = w.run('make', {}, () => list);
    w.run('count', { all: w.map(made, item, (n) => n) }, ({ all }) => all.length);
  });
  list = [1];
  await world.run.rerun('make');
  await world.engine.settle();
  expect([await world.run.output('count'), await world.tasks()]).toEqual([1, 'make=success item=success item[0]=success count=success']);
  list = [];
  await world.run.rerun('make');
  await world.engine.settle();
  expect([await world.run.output('count'), await world.tasks()]).toEqual([0, 'make=success item=success count=success']);
});
