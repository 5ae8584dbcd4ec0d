/** Keys of workflows where they meet the rest: redrives, maps, versions, children. */
import { afterEach, describe, expect, test } from 'vitest';
import { NonRetryableError, task, workflow } from '../../src/index.ts';
import type { Build, Workflow } from '../../src/core/types/types.ts';
import { closeAll, engineOf, fail, Naps, stateOf } from './kit.ts';

afterEach(closeAll);

const sub = (name: string, build: (w: Build) => void, options: object = {}): Workflow<void, unknown> =>
  workflow({ name, ...options }, (w) => {
    build(w);
    return {};
  }) as Workflow<void, unknown>;

const numbers = {
  '~standard': {
    version: 1 as const,
    vendor: 'test',
    validate: (value: unknown) => ({ value: value as number }),
    types: undefined as unknown as { input: number; output: number },
  },
};

describe('a gate', () => {
  test('a redriven run that waits at its gate starts no items', async () => {
    const naps = new Naps();
    let bad = true;
    let ran = 0;
    const one = workflow({ name: 'case', input: numbers, concurrency: { key: 'k', limit: 1 } }, (w, n) => {
      w.map(
        [0, 1, 2],
        task({
          name: 'each',
          run: async (i: { i: number; n: number }) => {
            ran++;
            if (i.n === 2) await naps.sleep(100);
            if (bad && i.i === 1) throw new NonRetryableError('no');
          },
        }),
        (i) => ({ i, n }),
      );
      return {};
    });
    const kit = naps.on(engineOf(one));
    const first = await kit.start(one, 1);
    await naps.pass(1);
    expect((await stateOf(first)).run).toBe('failed');
    const second = await kit.start(one, 2);
    await naps.pass(1);
    expect((await stateOf(second)).run).toBe('running');
    bad = false;
    const before = ran;
    await first.redrive();
    await naps.pass(5);
    expect((await stateOf(first)).run).toBe('queued');
    expect(ran).toBe(before);
    await naps.pass(200);
    expect((await stateOf(first)).run).toBe('success');
    expect(ran).toBe(before + 1);
  });

  test('a redriven run that waits at its gate starts no children of a map', async () => {
    const naps = new Naps();
    let bad = true;
    let ran = 0;
    const one = workflow({ name: 'case', input: numbers, concurrency: { key: 'k', limit: 1 } }, (w, n) => {
      w.map([0, 1, 2], (inner, i) => {
        inner.run('each', { i, n }, async (input) => {
          ran++;
          if (input.n === 2) await naps.sleep(100);
          if (bad && input.i === 1) throw new NonRetryableError('no');
        });
        return {};
      });
      return {};
    });
    const kit = naps.on(engineOf(one));
    const first = await kit.start(one, 1);
    await naps.pass(1);
    expect((await stateOf(first)).run).toBe('failed');
    const second = await kit.start(one, 2);
    await naps.pass(1);
    expect((await stateOf(second)).run).toBe('running');
    bad = false;
    const before = ran;
    await first.redrive();
    await naps.pass(5);
    expect((await stateOf(first)).run).toBe('queued');
    expect(ran).toBe(before);
    await naps.pass(200);
    expect((await stateOf(first)).run).toBe('success');
    expect(ran).toBe(before + 1);
  });

  const versioned = (version: string, options: object) =>
    workflow({ name: 'case', version, input: numbers, ...options }, (w, n) => w.run('x', { n }, async (i) => i.n));

  test('a run that was accepted for later without a key is admitted by a version that has one', async () => {
    const naps = new Naps();
    const before = versioned('1', {});
    const kit = naps.on(engineOf(before));
    const run = await kit.start(before, 1, { startAt: new Date(kit.clock.now().getTime() + 60_000) });
    await naps.pass(1);
    await kit.reboot({ use: [versioned('2', { concurrency: { key: 'k', limit: 1 } })] });
    await naps.pass(120);
    expect(await stateOf(run)).toMatchObject({ run: 'success' });
    expect((await run.status()).version).toBe('2');
  });

  test('a run that holds a key gives it up although its version at the end has none', async () => {
    const naps = new Naps();
    const of = (version: string, options: object) =>
      workflow({ name: 'case', version, ...options }, (w) => {
        w.sleep('1m');
        return {};
      });
    const gated = { concurrency: { key: 'k', limit: 1 } };
    const [one, three] = [of('1', gated), of('3', gated)];
    const kit = naps.on(engineOf(one));
    const first = await kit.start(one);
    await naps.pass(1);
    await kit.reboot({ use: [of('2', {})] });
    await naps.pass(120);
    expect(await stateOf(first)).toMatchObject({ run: 'success' });
    expect((await first.status()).version).toBe('2');
    await kit.reboot({ use: [three] });
    const second = await kit.start(three);
    await naps.pass(120);
    expect((await stateOf(second)).run).toBe('success');
  });

  test('a run that waits for its key is let in by a version that has none', async () => {
    const naps = new Naps();
    const of = (version: string, options: object) => sub('case', (w) => void w.sleep('20s'), { version, ...options });
    const before = of('1', { concurrency: 1 });
    const kit = naps.on(engineOf(before));
    await kit.start(before);
    const run = await kit.start(before);
    await naps.pass(1);
    expect((await stateOf(run)).run).toBe('queued');
    await kit.reboot({ use: [of('2', {})] });
    await naps.pass(60);
    expect((await stateOf(run)).run).toBe('success');
  });

  test('a redriven map waits for the key of its run over a pause and the death of its process', async () => {
    const naps = new Naps();
    let bad = true;
    let ran = 0;
    const key = { concurrency: { key: 'k', limit: 1 } };
    const each = task({ name: 'each', run: (i: number) => (ran++, bad && i === 1 ? fail() : i) });
    const one = sub('case', (w) => void w.map([0, 1, 2], each, (i) => i), key);
    const other = sub('other', (w) => void w.sleep('20s'), key);
    const kit = naps.on(engineOf(one, other));
    const run = await kit.start(one);
    await naps.pass(1);
    await kit.start(other);
    await naps.pass(1);
    [bad, ran] = [false, 0];
    await run.redrive();
    await kit.reboot();
    await run.pause();
    await naps.pass(1);
    await run.resume();
    await naps.pass(3);
    expect(ran).toBe(0);
    await naps.pass(40);
    expect((await stateOf(run)).run).toBe('success');
    expect(ran).toBe(1);
  });

  test('a child that shares a key ends although its parent waits for that key again', async () => {
    const naps = new Naps();
    let bad = true;
    const key = { concurrency: { key: 'k', limit: 1 } };
    const inner = sub('inner', (w) => void w.run('x', {}, () => (bad ? fail() : 3)), key);
    const one = sub('case', (w) => void w.run(inner, undefined), key);
    const other = sub('other', (w) => void w.sleep('20s'), key);
    const kit = naps.on(engineOf(one, other));
    const run = await kit.start(one);
    await naps.pass(5);
    bad = false;
    await kit.start(other);
    const { runs } = await kit.runs.list({ workflow: 'inner', parts: true });
    await (await kit.get(runs[0]?.id ?? '')).redrive();
    await naps.pass(5);
    expect(await stateOf(run)).toMatchObject({ run: 'queued', tasks: { inner: 'success' } });
    await naps.pass(60);
    expect((await stateOf(run)).run).toBe('success');
  });

  test('a child shares the key that its ancestor holds', async () => {
    const naps = new Naps();
    const key = { concurrency: { key: 'k', limit: 1 } };
    const inner = workflow({ name: 'inner', ...key }, (w) => ({ v: w.run('x', {}, () => 3) }));
    const middle = workflow({ name: 'middle' }, (w) => ({ v: w.run(inner, undefined) }));
    const one = workflow({ name: 'case', ...key }, (w) => ({ v: w.run(middle, undefined) }));
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(5);
    expect((await stateOf(run)).run).toBe('success');
    const other = await kit.start(one);
    await naps.pass(5);
    expect((await stateOf(other)).run).toBe('success');
  });

  test('a child that is redriven, by another process, shares it again', async () => {
    const naps = new Naps();
    let bad = true;
    const key = { concurrency: { key: 'k', limit: 1 } };
    const inner = workflow({ name: 'inner', ...key }, (w) => ({ v: w.run('x', {}, () => (bad ? fail() : 3)) }));
    const one = workflow({ name: 'case', ...key }, (w) => ({ v: w.run(inner, undefined) }));
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(5);
    expect((await stateOf(run)).run).toBe('failed');
    bad = false;
    await kit.reboot();
    await run.redrive();
    await naps.pass(5);
    expect((await stateOf(run)).run).toBe('success');
    const other = await kit.start(one);
    await naps.pass(5);
    expect((await stateOf(other)).run).toBe('success');
  });
});

describe('the place of a run that was cancelled', () => {
  const busy = (naps: Naps, of: { readonly run?: object; readonly task?: object }) =>
    sub('busy', (w) => void w.run('body', {}, () => naps.sleep(30), of.task ?? {}), of.run ?? {});

  test.each([
    ['the key of its workflow was taken', { run: { concurrency: { limit: 1, onLimit: 'cancel_new' } } }, [1, 'key_limit']],
    ['a newer run took the key of its workflow', { run: { concurrency: { limit: 1, onLimit: 'cancel_old' } } }, [0, 'key_limit']],
    ['the key of a task in it was taken', { task: { concurrency: { key: 'k', limit: 1, onLimit: 'cancel_new' } } }, [1, 'key_limit']],
    ['a person cancelled it', {}, [0, 'person']],
  ] as const)('says why, as far up as somebody waits: %s', async (_, of, [which, reason]) => {
    const naps = new Naps();
    const child = busy(naps, of);
    const middle = sub('middle', (w) => void w.run(child, undefined));
    const top = sub('top', (w) => void w.run(middle, undefined));
    const kit = naps.on(engineOf(child, middle, top));
    const runs = [await kit.start(top)];
    await naps.pass(1);
    runs.push(await kit.start(top));
    await naps.pass(1);
    if (reason === 'person') {
      const { runs: all } = await kit.runs.list({ workflow: 'busy', parts: true });
      await (await kit.get(all.at(-1)?.id ?? '')).cancel();
      await naps.pass(1);
    }
    expect(await stateOf(runs[which] ?? expect.fail())).toMatchObject({ run: 'cancelled', tasks: { middle: `cancelled: ${reason}` } });
    const { runs: middles } = await kit.runs.list({ workflow: 'middle', parts: true });
    const states = await Promise.all(middles.map(async ({ id }) => stateOf(await kit.get(id))));
    expect(states.map(({ tasks }) => tasks['busy']).filter((state) => state !== 'waiting')).toEqual([`cancelled: ${reason}`]);
  });
});
