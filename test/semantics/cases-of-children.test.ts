import { afterEach, describe, expect, test } from 'vitest';
import { NonRetryableError, workflow } from '../../src/index.ts';
import type { Build } from '../../src/core/types/types.ts';
import { closeAll, engineOf, fail, flow, Naps, ok, ran, stateOf } from './kit.ts';

afterEach(closeAll);

const sub = (name: string, build: (w: Build) => void) =>
  workflow({ name }, (w) => {
    build(w);
    return {};
  });

describe('parts of the graph per item', () => {
  test('79: a group a, b, h (one_failed) over three items, in one of which b fails', async () => {
    const one = flow((w) => {
      w.map(
        [0, 1, 2],
        (inner, item) => {
          const a = inner.run('a', { item }, (i) => i.item);
          const b = inner.run('b', { a }, (i) => {
            if (i.a === 1) throw new NonRetryableError('this one');
          });
          inner.run('h', {}, ok, { after: [b], join: 'one_failed' });
          return {};
        },
        { id: 'group' },
      );
    });
    const naps = new Naps();
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(5);
    expect(await stateOf(run)).toMatchObject({
      run: 'failed',
      tasks: { 'group[0]': 'success', 'group[1]': 'failed', 'group[2]': 'success' },
    });
    expect((await kit.runs.list()).runs).toHaveLength(1);
    const { runs } = await kit.runs.list({ workflow: 'case/group', parts: true });
    const ended = await Promise.all(runs.toReversed().map(async ({ id }) => stateOf(await kit.get(id))));
    expect(ended.map(({ tasks }) => tasks['h'])).toEqual(['skipped', 'success', 'skipped']);
  });

  test('81: ten items of which five fail; what comes after all starts when the last is over', async () => {
    const naps = new Naps();
    let began = -1;
    const one = flow((w) => {
      const m = w.map(
        Array.from({ length: 10 }, (_, i) => i),
        (inner, item) => {
          inner.run('nap', { item }, async (i) => {
            await naps.sleep(i.item);
            if (i.item < 5) throw new NonRetryableError('one of five');
          });
          return {};
        },
      );
      w.run('after', {}, () => void (began = naps.now()), { after: [m], join: 'all_done' });
    });
    const kit = naps.on(engineOf(one));
    const start = naps.now();
    const run = await kit.start(one);
    await naps.pass(30);
    expect(await stateOf(run)).toMatchObject({ run: 'failed', tasks: { map: 'failed: too_many_failures', after: 'success' } });
    expect(began - start).toBeGreaterThanOrEqual(9_000);
  });

  test('refs from outside are there inside, and maps nest', async () => {
    const one = workflow({ name: 'case' }, (w) => {
      const base = w.run('base', {}, () => ({ n: 100 }));
      const rows = w.run('rows', {}, () => [
        [1, 2],
        [3, 4],
      ]);
      const all = w.map(rows, (inner, row) => {
        const factor = inner.run('factor', { row }, (i) => i.row.length);
        return inner.map(row, (cell, item) => ({ v: cell.run('v', { item, factor, base: base.n }, (i) => i.base + i.item * i.factor) }), {
          id: 'cells',
        });
      });
      return { all };
    });
    const run = await engineOf(one).start(one);
    expect(await run.result()).toEqual({
      all: [
        [{ v: 102 }, { v: 104 }],
        [{ v: 106 }, { v: 108 }],
      ],
    });
    expect((await stateOf(run)).tasks).toMatchObject({ map: 'success' });
  });

  test('depth first: no more than the given number of items are open, in order', async () => {
    const naps = new Naps();
    const seen: string[] = [];
    const one = flow((w) => {
      w.map(
        ['x', 'y', 'z'],
        (inner, item) => {
          const a = inner.run('a', { item }, async (i) => {
            seen.push(`${i.item}a`);
            await naps.sleep(1);
          });
          inner.run('b', { item }, (i) => void seen.push(`${i.item}b`), { after: [a] });
          return {};
        },
        { concurrency: 1 },
      );
    });
    naps.on(engineOf(one));
    await ran(one, naps, 20);
    expect(seen).toEqual(['xa', 'xb', 'ya', 'yb', 'za', 'zb']);
  });
});

describe('child runs', () => {
  test('87: a map over a workflow, detached', async () => {
    const naps = new Naps();
    const child = sub('child', (w) => {
      w.run('work', {}, async () => {
        await naps.sleep(10);
        throw new NonRetryableError('late');
      });
    });
    const one = flow((w) => {
      w.map(
        Array.from({ length: 26 }, (_, i) => i),
        child,
        () => undefined,
        { id: 'each', detached: true },
      );
    });
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(1);
    expect(await stateOf(run)).toMatchObject({ run: 'success', tasks: { each: 'success' } });
    const open = await kit.runs.list({ workflow: 'child' });
    expect(open.runs.map((row) => row.status)).toEqual(Array.from({ length: 26 }, () => 'running'));
    await naps.pass(60);
    const over = await kit.runs.list({ workflow: 'child' });
    expect(new Set(over.runs.map((row) => row.status))).toEqual(new Set(['failed']));
    expect(await stateOf(run)).toMatchObject({ run: 'success' });
  });

  test('93: one branch takes its time, the other is a child that fails', async () => {
    const naps = new Naps();
    const child = sub('c', (w) => void w.run('then', {}, fail, { after: [w.run('first', {}, ok)] }));
    const one = flow((w) => {
      const a = w.run('a', {}, ok);
      const b = w.run('b', {}, () => naps.sleep(30), { after: [a] });
      const c = w.run(child, undefined, { after: [a] });
      w.run('d', {}, ok, { after: [b, c] });
    });
    expect(await ran(one, naps, 60)).toMatchObject({
      run: 'failed',
      tasks: { a: 'success', b: 'success', c: 'failed', d: 'upstream_failed' },
    });
  });

  test('117: a redrive of the parent runs the second and third task of the child only', async () => {
    let bad = true;
    const seen: string[] = [];
    const child = sub('c', (w) => {
      const first = w.run('first', {}, () => void seen.push('first'));
      const second = w.run(
        'second',
        {},
        () => {
          seen.push('second');
          if (bad) throw new NonRetryableError('for good');
        },
        { after: [first] },
      );
      w.run('third', {}, () => void seen.push('third'), { after: [second] });
    });
    const one = flow((w) => void w.run(child, undefined));
    const naps = new Naps();
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(1);
    bad = false;
    seen.length = 0;
    await run.redrive();
    await naps.pass(1);
    expect(await stateOf(run)).toMatchObject({ run: 'success' });
    expect(seen).toEqual(['second', 'third']);
  });
});
