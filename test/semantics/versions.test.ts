import { afterEach, describe, expect, test } from 'vitest';
import { task, workflow, type Run, type StartOptions } from '../../src/index.ts';
import type { Task, Workflow } from '../../src/core/types.ts';
import type { TestEngine } from '../../src/testing/index.ts';
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
