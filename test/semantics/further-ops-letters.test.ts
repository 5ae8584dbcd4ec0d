/** Marks, skips, compensated runs, children, hooks, and what is in dead letters. */
import { expect, test } from 'vitest';
import { NonRetryableError, task, workflow, type TaskOpts } from '../../src/index.ts';
import { broken, chainOf, codeOf, World } from './further-ops-kit.ts';

test('mark: the output must fit, what depends on it goes on with it, the dead letter is none any more', async () => {
  const world = new World();
  const number = {
    '~standard': {
      version: 1 as const,
      vendor: 't',
      validate: (v: unknown) => (typeof v === 'number' ? { value: v } : { issues: [{ message: 'a number' }] }),
      types: undefined as unknown as { input: number; output: number },
    },
  };
  const a = task({
    name: 'a',
    output: number,
    run: (_: undefined): number => {
      throw new NonRetryableError('no');
    },
  });
  await world.start((w) => {
    const got = w.run(a, undefined);
    w.run('double', { got }, ({ got }) => got * 2);
  });
  expect(await codeOf(() => world.run.mark('a', { output: 'x' }))).toMatch(/^TASK_/);
  expect(await world.tasks()).toBe('a=failed double=upstream_failed');
  await world.act((o) => world.run.mark('a', { ...o, output: 21 }));
  expect([await world.run.output('double'), await world.end(), await world.engine.dead.count()]).toEqual([42, 'success', 0]);
});

test('a skip by hand counts for nothing, and what needs the task is skipped', async () => {
  const world = new World();
  let end = (): void => undefined;
  await world.start((w) => {
    const slow = w.run('slow', {}, () => new Promise<number>((resolve) => (end = () => resolve(1))));
    const b = w.run('b', {}, world.body('b'), { after: [slow] });
    w.run('c', {}, world.body('c'), { after: [b] });
    w.run('d', {}, world.body('d'), { after: [b], join: 'all_done' });
  });
  await world.run.skip('b');
  end();
  expect([await world.end(), await world.tasks()]).toEqual(['success', 'slow=success b=skipped(manual) c=skipped d=success']);
});

test('a run that was marked as failed goes on by a redrive alone', async () => {
  const world = new World();
  let end = (): void => undefined;
  await world.start((w) => {
    const slow = w.run('slow', {}, () => new Promise<number>((resolve) => (end = () => resolve(1))));
    w.run('final', {}, world.body('final'), { after: [slow], join: 'all_done' });
  });
  await world.run.markFailed({ note: 'hopeless' });
  expect([await world.end(), await world.tasks()]).toEqual([
    'failed: marked_failed',
    'slow=cancelled(marked_failed) final=cancelled(marked_failed)',
  ]);
  end();
  await world.engine.clock.advance('1h');
  expect(await world.end()).toBe('failed: marked_failed');
  await world.run.redrive();
  await world.engine.settle();
  end();
  expect([await world.end(), world.called()]).toEqual(['success', ['final']]);
});

test('a compensated run is left as it is; it can be restarted', async () => {
  const world = await broken('b').start((w, world) => {
    const a = w.run('a', {}, world.body('a'), { compensate: () => void world.calls.push('undo a') });
    w.run('b', {}, world.body('b'), { after: [a] });
  });
  expect(world.called()).toEqual(['a', 'b', 'undo a']);
  for (const act of [() => world.run.redrive(), () => world.run.rerun('a'), () => world.run.mark('b', { output: 1 })])
    expect(await codeOf(act)).toBe('RUN_COMPENSATED');
  world.broken.clear();
  const again = await world.run.restart();
  await world.engine.settle();
  expect([(await again.status()).status, world.called()]).toEqual(['success', ['a', 'b']]);
});

test('a child that failed: redriving the parent does over what failed in it, and the child keeps its id', async () => {
  const world = broken('y');
  const child = workflow({ name: 'child' }, (w) => {
    chainOf(w, world, ['x', 'y', 'z']);
    return {};
  });
  await world.start(
    (w) => {
      const c = w.run(child, undefined);
      w.run('after', {}, world.body('after'), { after: [c] });
    },
    {},
    [child],
  );
  const [before] = (await world.engine.runs.list({ workflow: 'child' })).runs;
  world.broken.clear();
  world.called();
  await world.run.redrive();
  expect(await world.end()).toBe('success');
  expect(world.called()).toEqual(['y', 'z', 'after']);
  const children = (await world.engine.runs.list({ workflow: 'child' })).runs;
  expect(children.map(({ id, status }) => [id, status])).toEqual([[before?.id, 'success']]);
});

test('redriving the child itself: the parent that failed by it goes on with it', async () => {
  const world = broken('y');
  const child = workflow({ name: 'child' }, (w) => {
    chainOf(w, world, ['x', 'y']);
    return {};
  });
  await world.start((w) => w.run(child, undefined), {}, [child]);
  const [made] = (await world.engine.runs.list({ workflow: 'child' })).runs;
  world.broken.clear();
  await (await world.engine.get(String(made?.id))).redrive();
  await world.engine.settle();
  expect((await (await world.engine.get(String(made?.id))).status()).status).toBe('success');
  expect([await world.end(), await world.tasks()]).toEqual(['success', 'child=success']);
});

test('hooks tell of each end: after the redrive onSuccess, once each', async () => {
  const told: string[] = [];
  const world = await broken('a').start((w, world) => chainOf(w, world, ['a']), {
    onFailure: () => void told.push('failure'),
    onSuccess: () => void told.push('success'),
    onFinish: () => void told.push('finish'),
  });
  world.broken.clear();
  await world.run.redrive();
  await world.engine.settle();
  expect(told.toSorted()).toEqual(['failure', 'finish', 'finish', 'success']);
});

test('abort: only what the policy cancelled and what failed is done over; what succeeded before is kept', async () => {
  const world = broken('bad');
  let end = (): void => undefined;
  await world.start(
    (w) => {
      const first = w.run('first', {}, world.body('first'));
      w.run('slow', {}, () => (world.calls.push('slow'), new Promise<number>((resolve) => (end = () => resolve(1)))), { after: [first] });
      w.run('bad', {}, world.body('bad'), { after: [first] });
      w.run('own', {}, world.body('own'), { when: () => false });
    },
    { failurePolicy: 'abort' },
  );
  expect(await world.tasks()).toBe('first=success slow=cancelled(fail_fast) bad=failed own=skipped(condition)');
  world.broken.clear();
  const reset = await world.act((o) => world.run.redrive({ ...o, task: 'bad' }));
  expect(reset.map((one) => one.replace(/:.*/, '')).toSorted()).toEqual(['bad', 'slow']);
  end();
  expect(await world.end()).toBe('success');
});

test('twenty redrives of one run at once: the body runs as often as there was a dead letter', async () => {
  const world = await broken('a').start((w, world) => chainOf(w, world, ['a']));
  world.broken.clear();
  world.called();
  const codes = await Promise.all(Array.from({ length: 20 }, () => codeOf(() => world.run.redrive())));
  await world.engine.settle();
  expect(codes.filter((code) => code === 'none')).toHaveLength(1);
  expect([world.called(), await world.end()]).toEqual([['a'], 'success']);
});

const options: TaskOpts = { retry: { maxAttempts: 20, initial: '1s', factor: 1, jitter: 'none' } };
test('a dead letter after 20 attempts: input, error with its causes, the first 3 and the last 10, and the command that redrives it', async () => {
  const world = new World();
  const order = { id: 'o-81', at: new Date(0) };
  await world.start((w) =>
    w.run(
      'charge',
      { order },
      () => {
        throw Object.assign(new Error('outer', { cause: new Error('inner', { cause: 'root' }) }), { code: 'DECLINED' });
      },
      options,
    ),
  );
  await world.engine.clock.advance('1m');
  const [letter] = (await world.engine.dead.list({ code: 'DECLINED', task: 'charge', workflow: 'flow', since: '1h' })).letters;
  const detail = await world.engine.dead.get(String(letter?.id));
  expect(detail).toMatchObject({
    id: `${world.run.id}/charge`,
    workflow: 'flow',
    task: 'charge',
    reason: 'error',
    code: 'DECLINED',
    message: 'outer',
    attempts: 20,
    input: { order },
  });
  expect(detail.history.map(({ attempt }) => attempt)).toEqual([1, 2, 3, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]);
  expect(JSON.stringify(detail.error)).toMatch(/outer.*inner.*root/s);
  expect(detail.error?.stack).toContain('further-ops-letters');
  expect(detail.redrive).toContain(world.run.id);
});

test('who is no dead letter: allowed, handled, within what is tolerated, of a map with settle, cancelled, upstream_failed', async () => {
  const world = new World();
  const item = task({
    name: 'item',
    run: (n: number): number => {
      if (n === 1) throw new NonRetryableError('no');
      return n;
    },
  });
  await world.start((w) => {
    w.run('allowed', {}, fails, { allowFailure: true });
    w.run('handled', {}, fails, { catch: () => 1 });
    w.map([0, 1, 2], item, (n) => n, { id: 'tolerated', tolerate: { count: 1 } });
    w.map([0, 1, 2], item, (n) => n, { id: 'settled', settle: true });
    const bad = w.run('bad', {}, fails);
    w.run('after', {}, () => 1, { after: [bad] });
  });
  expect((await world.engine.dead.list()).letters.map(({ id }) => id.split('/')[1])).toEqual(['bad']);
});
const fails = (): number => {
  throw new NonRetryableError('for good');
};

test('discarded: no longer listed, still failed; a redrive of the whole run leaves it, and its name is refused', async () => {
  const world = await broken('a').start((w, world) => chainOf(w, world, ['a', 'b']));
  await world.run.discard('a', { note: 'refunded' });
  expect([await world.engine.dead.count(), await world.tasks()]).toEqual([0, 'a=failed b=upstream_failed']);
  expect(await codeOf(() => world.run.discard('a', { note: 'again' }))).toBe('TASK_NOT_DEAD');
  expect((await world.engine.audit({ run: world.run.id })).entries).toMatchObject([{ note: 'refunded' }]);
});

test('many dead letters: a preview, a limit, an edit that leaves some, and no more than so many a second', async () => {
  const world = new World();
  let mended = false;
  const seen: number[] = [];
  const item = task({
    name: 'item',
    run: (n: number) => {
      if (!mended) throw new NonRetryableError('no', { code: 'DOWN' });
      seen.push(n);
      return n;
    },
  });
  await world.start((w) => w.map([0, 1, 2, 3, 4, 5], item, (n) => n));
  mended = true;
  const all = async (options: object): Promise<number> => {
    let count = 0;
    for await (const { letters, error } of world.engine.dead.redrive({ code: 'DOWN' }, options))
      if (error === undefined) count += letters.length;
    await world.engine.settle();
    return count;
  };
  expect([await all({ dryRun: true }), seen]).toEqual([6, []]);
  expect(await all({ limit: 2 })).toBe(2);
  expect(seen).toHaveLength(2);
  expect(await all({ edit: (input: unknown) => (Number(input) % 2 === 0 ? undefined : Number(input) + 100) })).toBeLessThanOrEqual(4);
  expect(seen.every((n) => n >= 100 || n < 6)).toBe(true);
  expect(await world.engine.dead.count()).toBe(6 - seen.length);
});
