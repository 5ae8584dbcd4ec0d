import { afterEach, describe, expect, test } from 'vitest';
import { task, workflow, type Run, type StartOptions } from '../../src/index.ts';
import type { Task, Workflow } from '../../src/core/types/types.ts';
import { testEngine, type TestEngine } from '../../src/testing/index.ts';
import { closeAll, engineOf } from './kit.ts';

afterEach(closeAll);

/** What bodies did, in order: the task and the version that did it. */
let did: string[] = [];
afterEach(() => {
  did = [];
});

interface Opts {
  readonly retry?: { readonly maxAttempts: number };
}

const step = (
  name: string,
  version: string,
  run: () => unknown = () => name,
  options: Opts = {},
): Task<unknown, unknown, unknown, unknown> =>
  task({
    name,
    ...options,
    run: () => {
      did.push(`${name}@${version}`);
      return run();
    },
  });

const failing = (): never => {
  throw new Error('not yet');
};

const ROUNDS: Opts = { retry: { maxAttempts: 3 } };

/** a → b → c; `b` is tried again after a while. */
const chain = (version: string, b: () => unknown): Workflow<void, unknown> =>
  workflow({ name: 'chain', version }, (w) => {
    const first = w.run(step('a', version), {});
    const second = w.run(step('b', version, b, ROUNDS), { first });
    return w.run(step('c', version), { second });
  });

async function begun(flow: Workflow<void, unknown>, options: StartOptions = {}): Promise<{ engine: TestEngine; run: Run<unknown> }> {
  const engine = engineOf(flow);
  const run = await engine.start(flow, undefined, options);
  await engine.settle();
  return { engine, run };
}

describe('a run whose workflow was deployed anew', () => {
  test('goes on as a run of the new version: what is done stays done', async () => {
    const { engine, run } = await begun(chain('1', failing));
    await engine.reboot({ use: [chain('2', () => 'b')] });
    expect((await run.status()).version).toBe('2');
    await engine.clock.advance('1m');
    expect(await run.result()).toBe('c');
    expect(did).toEqual(['a@1', 'b@1', 'b@2', 'c@2']);
  });

  test('moves though its tasks have other numbers, some are gone and some are new', async () => {
    const { engine, run } = await begun(chain('1', failing));
    const next = workflow({ name: 'chain', version: '2' }, (w) => {
      const extra = w.run(step('extra', '2'), {});
      const first = w.run(step('a', '2'), {});
      const second = w.run(
        step('b', '2', () => 'b', ROUNDS),
        { first },
      );
      return { extra, d: w.run(step('d', '2'), { second, extra }) };
    });
    await engine.reboot({ use: [next] });
    await engine.clock.advance('1m');
    expect(await run.result()).toEqual({ extra: 'extra', d: 'd' });
    expect(did).toEqual(['a@1', 'b@1', 'extra@2', 'b@2', 'd@2']);
    const { tasks } = await run.inspect();
    expect(tasks.map(({ task: id, attempts }) => [id, attempts.length])).toEqual([
      ['extra', 0],
      ['a', 0],
      ['b', 1],
      ['d', 0],
    ]);
  });

  test('ends where the new version has nothing to do', async () => {
    const { engine, run } = await begun(chain('1', failing), { delay: '1h' });
    await run.pause();
    await engine.reboot({ use: [workflow({ name: 'chain', version: '2' }, () => 'nothing')] });
    await run.resume();
    await engine.clock.advance('2h');
    expect(await run.result()).toBe('nothing');
    expect(did).toEqual([]);
  });

  test('stays, and says what stands in the way, where a task that has begun is another one now', async () => {
    const { engine, run } = await begun(chain('1', failing));
    const changed = workflow({ name: 'chain', version: '2' }, (w) => {
      const first = w.run(step('a', '2'), {});
      const second = w.run(
        step('b', '2', () => 'b', { retry: { maxAttempts: 9 } }),
        { first },
      );
      return w.run(step('c', '2'), { second });
    });
    await engine.reboot({ use: [changed] });
    expect((await run.status()).version).toBe('1');
    await engine.clock.advance('1h');
    expect((await run.status()).status).toBe('running');
    expect(did).toEqual(['a@1', 'b@1']);
    const { waitReason, sentence } = await run.why();
    expect(waitReason).toBe('version');
    expect(sentence).toMatch(/waits since 1 h for a worker of version "1": .* it cannot move to "2": task "b" has another contract there/);
    await engine.reboot({ use: [chain('1', () => 'b')] });
    await engine.clock.advance('1m');
    expect(await run.result()).toBe('c');
  });

  test('stays where its version is pinned', async () => {
    const pinned = (version: string, b: () => unknown): Workflow<void, unknown> =>
      workflow({ name: 'chain', version, onDeploy: 'pin' }, (w) => {
        const first = w.run(step('a', version), {});
        return w.run(step('b', version, b, ROUNDS), { first });
      });
    const { engine, run } = await begun(pinned('1', failing));
    await engine.reboot({ use: [pinned('2', () => 'b')] });
    expect((await run.status()).version).toBe('1');
  });

  test('moves before it was claimed, before its time, and while it is paused', async () => {
    const v1 = chain('1', failing);
    const engine = engineOf(v1);
    const later = await engine.start(v1, undefined, { delay: '1h' });
    const paused = await engine.start(v1);
    await engine.settle();
    await paused.pause();
    await engine.reboot({ use: [chain('2', () => 'b')] });
    expect((await later.status()).version).toBe('2');
    expect((await paused.status()).version).toBe('2');
    await paused.resume();
    await engine.clock.advance('2h');
    expect(await later.result()).toBe('c');
    expect(await paused.result()).toBe('c');
  });

  test('keeps the items of its maps', async () => {
    const item = (version: string, ok: boolean): Task<number, number, number, number> =>
      task({
        name: 'item',
        retry: { maxAttempts: 5 },
        run: (n: number) => {
          did.push(`item${n}@${version}`);
          if (!ok && n % 2 === 1) throw new Error('odd');
          return n * 10;
        },
      });
    const over = (version: string, ok: boolean): Workflow<void, unknown> =>
      workflow({ name: 'over', version }, (w) => {
        if (version === '2') w.run(step('first', version), {});
        const list = w.run('list', {}, () => [1, 2, 3, 4]);
        return { all: w.map(list, item(version, ok), (n) => n, { key: (n) => n }) };
      });
    const { engine, run } = await begun(over('1', false));
    await engine.reboot({ use: [over('2', true)] });
    await engine.clock.advance('1m');
    expect(await run.result()).toEqual({ all: [10, 20, 30, 40] });
    expect(did.filter((one) => one.startsWith('item2') || one.startsWith('item4'))).toEqual(['item2@1', 'item4@1']);
    expect(did.filter((one) => one.endsWith('@2')).toSorted()).toEqual(['first@2', 'item1@2', 'item3@2']);
  });
});

describe('a person', () => {
  const stuck = (version: string, b: () => unknown, retry = ROUNDS): Workflow<void, unknown> =>
    workflow({ name: 'chain', version }, (w) => {
      const first = w.run(step('a', version), {});
      return w.run(step('b', version, b, retry), { first });
    });

  test('moves a run back, and no version that is there by then takes it again', async () => {
    const { engine, run } = await begun(stuck('1', failing));
    await engine.reboot({ use: [stuck('2', failing)] });
    expect((await run.status()).version).toBe('2');
    expect(await run.move({ to: '1', dryRun: true })).toEqual({ applied: false, from: '2', to: '1', obstacles: [], held: false });
    expect(await run.move({ to: '1', actor: 'ann', requestId: 'r1' })).toMatchObject({ applied: true, from: '2', to: '1' });
    await engine.reboot();
    expect((await run.status()).version).toBe('1');
    // The same act once more is the same act.
    await run.move({ to: '1', actor: 'ann', requestId: 'r1' });
    await engine.reboot({ use: [stuck('3', () => 'b')] });
    expect((await run.status()).version).toBe('3');
    const { entries } = await engine.audit({ run: run.id });
    expect(entries.map(({ actor, action, facts }) => [actor, action, facts])).toEqual([['ann', 'move', { to: '1' }]]);
  });

  test('is told what stands in the way, and which versions there are', async () => {
    const { engine, run } = await begun(stuck('1', failing));
    await engine.reboot({ use: [stuck('2', failing, { retry: { maxAttempts: 7 } })] });
    await expect(run.move({ to: '2' })).rejects.toMatchObject({
      code: 'RUN_CANNOT_MOVE',
      details: { from: '1', to: '2', obstacles: [{ task: 'b', why: 'contract' }] },
    });
    await expect(run.move({ to: '9' })).rejects.toMatchObject({ code: 'RUN_UNKNOWN_VERSION', details: { versions: ['1', '2'] } });
    await run.cancel();
    await expect(run.move({ to: '2' })).rejects.toMatchObject({ code: 'RUN_NOT_OPEN' });
  });

  test('moves many by a query, and hears of each', async () => {
    const flow = stuck('1', failing);
    const engine = engineOf(flow);
    const [one, two] = [await engine.start(flow, undefined, { tags: ['x'] }), await engine.start(flow)];
    await engine.settle();
    await engine.reboot({ use: [stuck('2', failing)] });
    const done = [];
    for await (const moved of engine.runs.move({ tag: 'x' }, { to: '1' })) done.push(moved);
    expect(done).toEqual([{ id: one.id, applied: true, from: '2', to: '1', obstacles: [], held: false }]);
    expect((await two.status()).version).toBe('2');
  });

  test('moves a run that is pinned', async () => {
    const pinned = (version: string): Workflow<void, unknown> =>
      workflow({ name: 'chain', version, onDeploy: 'pin' }, (w) =>
        w.run(step('a', version, version === '1' ? failing : () => 'a', ROUNDS), {}),
      );
    const { engine, run } = await begun(pinned('1'));
    await engine.reboot({ use: [pinned('2')] });
    await run.move({ to: '2' });
    await engine.clock.advance('1m');
    expect(await run.result()).toBe('a');
  });

  test('acts on the task that was meant, though the run has another version by the time the act is done', async () => {
    const pinned = workflow({ name: 'chain', version: '1', onDeploy: 'pin' }, (w) => {
      const hold = w.run(step('hold', '1', failing, ROUNDS), {});
      const first = w.run(step('a', '1'), {});
      return { hold, b: w.run(step('b', '1', failing, ROUNDS), { first }) };
    });
    const { engine, run } = await begun(pinned);
    const shifted = workflow({ name: 'chain', version: '2' }, (w) => {
      const extra = w.run(step('extra', '2', failing, ROUNDS), {});
      w.run(step('hold', '2', failing, ROUNDS), {});
      const first = w.run(step('a', '2'), {});
      return { extra: w.optional(extra), b: w.optional(w.run(step('b', '2', failing, ROUNDS), { first })) };
    });
    await engine.reboot({ use: [shifted] });
    // What is skipped is named by its number in the graph that the act looked at.
    await Promise.all([run.skip('b'), run.move({ to: '2' })]);
    await engine.settle();
    const states = Object.fromEntries((await run.tasks()).map((one) => [one.task, one.status]));
    expect(states).toEqual({ extra: 'retrying', hold: 'retrying', a: 'success', b: 'skipped' });
  });

  test('what happened before a move is told by the names of its time', async () => {
    const { engine, run } = await begun(stuck('1', failing));
    const events: string[] = [];
    const shifted = workflow({ name: 'chain', version: '2' }, (w) => {
      const extra = w.run(step('extra', '2'), {});
      const first = w.run(step('a', '2'), {});
      return {
        extra,
        b: w.run(
          step('b', '2', () => 'b', ROUNDS),
          { first },
        ),
      };
    });
    await engine.reboot({ use: [shifted] });
    await engine.clock.advance('1m');
    for await (const event of run.watch({ after: '1:0' })) {
      events.push(
        'task' in event ? `${event.type} ${event.task}` : event.type === 'run.moved' ? `moved ${event.from} ${event.to}` : event.type,
      );
    }
    expect(events).toEqual([
      'task.started a',
      'task.finished a',
      'task.started b',
      'task.retrying b',
      'moved 1 2',
      'task.started extra',
      'task.finished extra',
      'task.started b',
      'task.finished b',
      'run.finished',
    ]);
  });
});

describe('a fork under another version', () => {
  const flow = (version: string): Workflow<void, unknown> =>
    workflow({ name: 'forked', version, onDeploy: 'pin' }, (w) => {
      if (version === '2') w.run(step('new', version), {});
      const a = w.run(step('a', version), {});
      const b = w.run(
        step('b', version, () => 'b', version === '2' ? { retry: { maxAttempts: 5 } } : {}),
        { a },
      );
      const items = w.map([1, 2], step('item', version), (n) => n);
      return { c: w.run(step('c', version), { b, items }), d: w.run(step('d', version), { a, items }) };
    });

  test('takes over what is the same there, and does the rest anew', async () => {
    const { engine, run } = await begun(flow('1'));
    await run.result();
    await engine.reboot({ use: [flow('2')] });
    did = [];
    expect((await run.previewFork('d', { version: '2' })).reused).toEqual(['a', 'item']);
    const { run: forked, reused } = await run.fork('d', { version: '2', requestId: 'f1' });
    expect(reused).toEqual(['a', 'item']);
    expect(await forked.result()).toEqual({ c: 'c', d: 'd' });
    expect((await forked.status()).version).toBe('2');
    expect(did.toSorted()).toEqual(['b@2', 'c@2', 'd@2', 'new@2']);
    expect((await forked.tasks({ items: true })).filter(({ task: id }) => id === 'item').map(({ status }) => status)).toEqual([
      'success',
      'success',
      'success',
    ]);
    // The same act once more is the same act.
    expect((await run.fork('d', { version: '2', requestId: 'f1' })).run.id).toBe(forked.id);
    // A task that only the other version has may be named too.
    expect((await run.previewFork('new', { version: '2' })).reused).toEqual(['a', 'item', 'd']);
    await expect(run.fork('d', { version: '9' })).rejects.toMatchObject({ code: 'RUN_UNKNOWN_VERSION' });
    await expect(run.fork('nowhere', { version: '2' })).rejects.toMatchObject({ code: 'TASK_UNKNOWN' });
  });
});

test('a version that runs wait for, and that no live worker has, is named after a minute', async () => {
  const said: [string, unknown][] = [];
  const logger = {
    debug: () => undefined,
    info: () => undefined,
    error: () => undefined,
    warn: (text: string, facts?: object) => void said.push([text, facts]),
  };
  const fits = chain('1', failing);
  const engine = testEngine({ use: [fits], logger });
  const run = await engine.start(fits);
  await engine.settle();
  await engine.reboot({ use: [workflow({ name: 'chain', version: '2' }, (w) => w.run(step('other', '2'), {}))] });
  await engine.clock.advance('30s');
  await engine.reboot();
  expect(said).toEqual([]);
  await engine.clock.advance('1m');
  await engine.reboot();
  expect(said).toEqual([
    [expect.stringContaining('no live worker has version "1" of workflow "chain"'), expect.objectContaining({ version: '1' })],
  ]);
  expect((await run.status()).version).toBe('1');
  await engine.close();
});

describe('a check before a deploy', () => {
  test('groups open runs by what they would do and why', async () => {
    const flow = chain('1', failing);
    const { engine, run } = await begun(flow);
    const later = await engine.start(flow, undefined, { delay: '1h' });
    const changed = workflow({ name: 'chain', version: '2' }, (w) => w.run(step('a', '2'), {}));
    const check = async (...use: Workflow<void, unknown>[]) => {
      const versions = await engine.versions();
      return versions.check(use.map(({ name, version = '', graph }) => ({ name, version, graph })));
    };
    expect(await check(changed)).toEqual([
      {
        workflow: 'chain',
        version: '2',
        changed: false,
        groups: [
          { version: '1', verdict: 'waits', obstacles: [{ task: 'b', why: 'gone' }], runs: 1, examples: [run.id], workers: 1 },
          { version: '1', verdict: 'moves', obstacles: [], runs: 1, examples: [later.id], workers: 1 },
        ],
      },
    ]);
    expect((await check(workflow({ name: 'chain', version: '1' }, () => 0)))[0]).toMatchObject({ changed: true, groups: [] });
  });
});
