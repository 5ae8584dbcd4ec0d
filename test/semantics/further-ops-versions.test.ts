/** Deploys: what open runs do under a new version, what stays, what a person moves; forks over versions. */
import { expect, test } from 'vitest';
import { NonRetryableError, workflow, type Run, type WorkflowOpts } from '../../src/index.ts';
import { codeOf } from './further-ops-kit.ts';
import { engineWith } from './capacity-kit.ts';
import type { AnyRef, Build, Workflow } from '../../src/core/types/types.ts';

const flowOf = (version: string, build: (w: Build) => unknown, options: Partial<WorkflowOpts> = {}): Workflow<void, unknown> =>
  workflow({ name: 'flow', version, ...options }, (w) => {
    build(w);
    return {};
  });
const states = async (run: Run<unknown>): Promise<string> => {
  const tasks = await run.tasks({ items: true });
  return `${(await run.status()).version}: ${tasks.map(({ task: id, item, status }) => `${id}${item === undefined ? '' : `[${item}]`}=${status}`).join(' ')}`;
};
/** Fails once, and is tried again after ten minutes: time for a deploy. */
const later = { retry: { maxAttempts: 5, initial: '10m', maxDelay: '10m', jitter: 'none' } } as const;
const calls: string[] = [];
const say = (name: string) => () => void calls.push(name);
const down = () => {
  throw new Error('down');
};
const nap = async (_: unknown, ctx: { sleep(name: string, ms: '10m'): Promise<void> }): Promise<void> => ctx.sleep('nap', '10m');
const b = (w: Build, run: () => void, after: readonly AnyRef[]) => w.run('b', {}, run, { ...later, after });

/** Starts under one version, deploys another while b waits for its retry, lets time pass. */
async function deploy(
  from: Workflow<void, unknown>,
  to: Workflow<void, unknown>,
): Promise<{ run: Run<unknown>; kit: ReturnType<typeof engineWith> }> {
  calls.splice(0);
  const kit = engineWith({ use: [from] });
  const run = await kit.start(from);
  await kit.settle();
  await kit.reboot({ use: [to] });
  await kit.clock.advance('25m');
  return { run, kit };
}
const v1 = (options: Partial<WorkflowOpts> = {}) =>
  flowOf(
    '1',
    (w) => {
      const a = w.run('a', {}, say('a'));
      const bb = b(w, down, [a]);
      w.run('c', {}, say('c'), { after: [bb] });
    },
    options,
  );

test.each([
  [
    'a task more at the end',
    (w: Build) => w.run('d', {}, say('d'), { after: [w.run('c', {}, say('c'), { after: [b(w, say('b'), [w.run('a', {}, say('a'))])] })] }),
    '2: a=success b=success c=success d=success',
  ],
  ['one that is pending is gone', (w: Build) => b(w, say('b'), [w.run('a', {}, say('a'))]), '2: a=success b=success'],
  [
    'one that is pending became a map',
    (w: Build) =>
      w.map(['x', 'y'], (v, i) => v.run('it', { i }, say('it')), { id: 'c', after: [b(w, say('b'), [w.run('a', {}, say('a'))])] }),
    undefined,
  ],
  [
    'one that is pending stands before what is new',
    (w: Build) => {
      const bb = b(w, say('b'), [w.run('a', {}, say('a'))]);
      w.run('c', {}, say('c'), { after: [w.run('new', {}, say('new'), { after: [bb] })] });
    },
    '2: a=success b=success new=success c=success',
  ],
  [
    'a new root',
    (w: Build) => {
      const bb = b(w, say('b'), [w.run('a', {}, say('a'))]);
      w.run('c', {}, say('c'), { after: [bb, w.run('root', {}, say('root'))] });
    },
    '2: a=success b=success root=success c=success',
  ],
  [
    'the order of the tasks in the source is another',
    (w: Build) => {
      const z = w.run('z', {}, say('z'));
      const bb = b(w, say('b'), [w.run('a', {}, say('a'))]);
      w.run('c', {}, say('c'), { after: [bb, z] });
    },
    '2: z=success a=success b=success c=success',
  ],
] as const)('it moves: %s', async (_, build, expected) => {
  const { run } = await deploy(v1(), flowOf('2', build));
  expect((await run.status()).status).toBe('success');
  if (expected !== undefined) expect((await states(run)).split(' ').toSorted()).toEqual(expected.split(' ').toSorted());
  expect(calls.filter((one) => one === 'a')).toHaveLength(1);
  expect((await run.status()).version).toBe('2');
});

test.each([
  ['what succeeded is gone', (w: Build) => b(w, say('b'), [])],
  ['what succeeded has another name', (w: Build) => b(w, say('b'), [w.run('aa', {}, say('a'))])],
  [
    'what waits for its retry has another contract',
    (w: Build) => w.run('b', {}, say('b'), { retry: { maxAttempts: 2 }, after: [w.run('a', {}, say('a'))] }),
  ],
  ['what waits for its retry has another upstream', (w: Build) => b(w, say('b'), [w.run('a', {}, say('a')), w.run('n', {}, say('n'))])],
  ['what succeeded is a map now', (w: Build) => b(w, say('b'), [w.map(['x'], (v, i) => v.run('it', { i }, say('it')), { id: 'a' })])],
  [
    'what succeeded has got a predicate',
    (w: Build) => b(w, say('b'), [w.run('a', {}, say('a'), { when: () => false }) as unknown as AnyRef]),
  ],
] as const)('it stays: %s; why names the version, and a worker of the old one lets it go on', async (_, build) => {
  const { run, kit } = await deploy(v1(), flowOf('2', build));
  expect(await states(run)).toMatch(/^1: a=success b=(retrying|queued) c=pending$/);
  expect(calls).toEqual(['a']);
  const why = await run.why();
  expect(why.sentence).toMatch(/version/);
  expect((await kit.checkVersions()).map(({ workflow: name }) => name)).toContain('flow');
  const mended = flowOf('1', (w) => {
    const bb = b(w, say('b'), [w.run('a', {}, say('a'))]);
    w.run('c', {}, say('c'), { after: [bb] });
  });
  await kit.reboot({ use: [mended] });
  await kit.clock.advance('20m');
  expect(await states(run)).toBe('1: a=success b=success c=success');
});

test('pinned: it stays though it might move, new runs are of the new version', async () => {
  const to = flowOf('2', (w) => b(w, say('b'), [w.run('a', {}, say('a'))]));
  const { run, kit } = await deploy(v1({ onDeploy: 'pin' }), to);
  expect(await states(run)).toMatch(/^1: a=success b=(retrying|queued) c=pending$/);
  const fresh = await kit.start(to);
  await kit.settle();
  expect(await states(fresh)).toBe('2: a=success b=success');
});

test('a person may move a pinned run; the same test applies', async () => {
  const to = flowOf('2', (w) => b(w, say('b'), [w.run('a', {}, say('a'))]));
  const { run, kit } = await deploy(v1({ onDeploy: 'pin' }), to);
  await run.move({ to: '2' });
  await kit.clock.advance('15m');
  expect(await states(run)).toBe('2: a=success b=success');
});

test('the same version text with another graph is refused; the same graph with another body is the same version', async () => {
  const one = v1();
  const kit = engineWith({ use: [one] });
  await kit.start(one);
  await kit.settle();
  expect(await codeOf(() => kit.reboot({ use: [flowOf('1', (w) => w.run('x', {}, say('x')))] }))).toBe('CONFIG_VERSION_CHANGED');
});

test('an unknown version, a run that is over, a version that does not fit: a move is refused, and nothing changes', async () => {
  const bad = flowOf('2', (w) => b(w, say('b'), []));
  const { run, kit } = await deploy(v1(), bad);
  const before = await states(run);
  expect([
    await codeOf(() => run.move({ to: 'nobody' })),
    await codeOf(() => run.move({ to: '2' })),
    await codeOf(() => run.move({} as never)),
  ]).toEqual(['RUN_UNKNOWN_VERSION', 'RUN_CANNOT_MOVE', 'CONFIG_OPTION']);
  expect(await states(run)).toBe(before);
  await run.cancel();
  await kit.settle();
  expect(await codeOf(() => run.move({ to: '2' }))).toBe('RUN_NOT_OPEN');
});

test('rolled back by hand it stays back, also over a restart of the new version; a third version takes it', async () => {
  const two = flowOf('2', (w) => {
    const bb = b(w, down, [w.run('a', {}, say('a'))]);
    w.run('c', {}, say('c'), { after: [bb] });
    w.run('extra', {}, say('extra'), { after: [bb] });
  });
  const { run, kit } = await deploy(v1(), two);
  expect((await run.status()).version).toBe('2');
  const preview = await run.move({ to: '1', dryRun: true });
  expect([preview.applied, (await run.status()).version]).toEqual([false, '2']);
  await run.move({ to: '1' });
  await kit.reboot();
  await kit.clock.advance('15m');
  expect((await run.status()).version).toBe('1');
  const three = flowOf('3', (w) => {
    const bb = b(w, say('b'), [w.run('a', {}, say('a'))]);
    w.run('c', {}, say('c3'), { after: [bb] });
  });
  await kit.reboot({ use: [three] });
  await kit.clock.advance('15m');
  expect([await states(run), calls]).toEqual(['3: a=success b=success c=success', ['a', 'b', 'c3']]);
});

test('a body that sleeps moves with its run, and keeps its sleep', async () => {
  const one = flowOf('1', (w) => w.run('nap', {}, nap as never));
  const two = flowOf('2', (w) => w.run('after', {}, say('after'), { after: [w.run('nap', {}, nap as never)] }));
  const kit = engineWith({ use: [one] });
  const run = await kit.start(one);
  await kit.clock.advance('5m');
  await kit.reboot({ use: [two] });
  await kit.clock.advance('4m');
  expect(await states(run)).toBe('2: nap=waiting after=pending');
  await kit.clock.advance('2m');
  expect(await states(run)).toBe('2: nap=success after=success');
});

test('a map in the middle of its items moves, and its ended items are not done again', async () => {
  calls.splice(0);
  const map = (w: Build, run: (n: number) => number): AnyRef =>
    w.map([0, 1, 2], (v, n) => v.run('it', { n }, ({ n }) => run(n), later), { id: 'm' });
  const one = flowOf('1', (w) =>
    map(w, (n) => {
      calls.push(`it${n}`);
      if (n === 1) throw new Error('down');
      return n;
    }),
  );
  const two = flowOf('2', (w) => w.run('after', {}, say('after'), { after: [map(w, (n) => (calls.push(`it${n}`), n))] }));
  const kit = engineWith({ use: [one] });
  const run = await kit.start(one);
  await kit.settle();
  await kit.reboot({ use: [two] });
  await kit.clock.advance('15m');
  expect((await run.status()).status).toBe('success');
  expect(calls).toEqual(['it0', 'it1', 'it2', 'it1', 'after']);
});

test('a finished run stays of its version; redriven it goes on as the newest', async () => {
  calls.splice(0);
  const one = flowOf('1', (w) =>
    w.run(
      'b',
      {},
      (): void => {
        throw new NonRetryableError('no');
      },
      { after: [w.run('a', {}, say('a'))] },
    ),
  );
  const two = flowOf('2', (w) => w.run('c', {}, say('c'), { after: [w.run('b', {}, say('b'), { after: [w.run('a', {}, say('a'))] })] }));
  const kit = engineWith({ use: [one] });
  const run = await kit.start(one);
  await kit.settle();
  await kit.reboot({ use: [two] });
  await kit.clock.advance('5m');
  expect(await states(run)).toBe('1: a=success b=failed');
  await run.redrive();
  await kit.clock.advance('5m');
  expect([await states(run), calls]).toEqual(['2: a=success b=success c=success', ['a', 'b', 'c']]);
});

test('a scheduled and a queued run move at once; a paused one when it is resumed or before, never loses its place', async () => {
  const one = flowOf('1', (w) => w.run('a', {}, say('a')));
  const two = flowOf('2', (w) => w.run('z', {}, say('z')));
  calls.splice(0);
  const kit = engineWith({ use: [one] });
  const [scheduled, paused] = [await kit.start(one, undefined, { delay: '1h' }), await kit.start(one, undefined, { delay: '1h' })];
  await paused.pause();
  await kit.reboot({ use: [two] });
  await kit.clock.advance('2h');
  await paused.resume();
  await kit.clock.advance('1m');
  expect([await states(scheduled), await states(paused), calls]).toEqual(['2: z=success', '2: z=success', ['z', 'z']]);
});

test('checkVersions says what a deploy would do before it is done, and what it says is so', async () => {
  const one = v1();
  const kit = engineWith({ use: [one] });
  const runs = [await kit.start(one), await kit.start(one)];
  await kit.settle();
  const fits = flowOf('2', (w) => b(w, say('b'), [w.run('a', {}, say('a'))]));
  await kit.reboot({ use: [fits] });
  const [check] = await kit.checkVersions();
  const before = (await runs[0]?.status())?.version;
  expect([before === '1' || before === '2', check?.workflow ?? 'flow']).toEqual([true, 'flow']);
  await kit.clock.advance('15m');
  for (const run of runs) expect(await states(run)).toBe('2: a=success b=success');
});

test('a fork over versions takes over what is the same, and does anew what differs', async () => {
  calls.splice(0);
  const one = flowOf('1', (w) => {
    const a = w.run('a', {}, say('a'));
    const m = w.run('m', {}, say('m'), { after: [a] });
    w.run('c', {}, say('c'), { after: [m] });
  });
  const two = flowOf('2', (w) => {
    const a = w.run('a', {}, say('a'));
    const m = w.run('m', {}, say('m2'), { after: [a], priority: 3 });
    w.run('c', {}, say('c'), { after: [m] });
  });
  const kit = engineWith({ use: [one] });
  const run = await kit.start(one);
  await kit.settle();
  await kit.reboot({ use: [two] });
  await kit.start(two);
  await kit.settle();
  calls.splice(0);
  const { reused } = await run.previewFork('c', { version: '2' });
  const fork = await run.fork('c', { version: '2' });
  await kit.settle();
  expect([reused, fork.reused, calls]).toEqual([['a'], ['a'], ['m2', 'c']]);
  expect(await codeOf(() => run.fork('c', { version: '9' }))).toBe('RUN_UNKNOWN_VERSION');
  expect(await codeOf(() => run.fork('nobody'))).toBe('TASK_UNKNOWN');
});
