import { afterEach, describe, expect, test } from 'vitest';
import { NonRetryableError, task, workflow } from '../../src/index.ts';
import { closeAll, engineOf, flow, Naps, ok, quick, ran, stateOf } from './kit.ts';

afterEach(closeAll);

describe('maps', () => {
  const plus = task({ name: 'plus', run: async (i: { n: number }) => i.n + 1 });
  const bad = (numbers: readonly number[]) =>
    task({
      name: 'bad',
      run: async (i: { n: number }) => {
        if (numbers.includes(i.n)) throw new NonRetryableError('this one');
        return i.n;
      },
    });

  test('65: an empty list', async () => {
    const one = workflow({ name: 'case' }, (w) => {
      const m = w.map([] as number[], plus, (n) => ({ n }));
      return { m, sum: w.run('reduce', { m }, (input) => input.m.length) };
    });
    const run = await engineOf(one).start(one);
    expect(await run.result()).toEqual({ m: [], sum: 0 });
  });

  test('67: emit, times ten, times two, sum, times two', async () => {
    const times = (name: string, by: number) => task({ name, run: async (i: { n: number }) => i.n * by });
    const one = workflow({ name: 'case' }, (w) => {
      const tens = w.map(
        w.run('emit', {}, () => [0, 1, 2]),
        times('ten', 10),
        (n) => ({ n }),
      );
      const twice = w.map(tens, times('two', 2), (n) => ({ n }));
      const sum = w.run('sum', { twice }, (input) => input.twice.reduce((all, n) => all + n, 0));
      return { tens, twice, sum, last: w.run('last', { sum }, (input) => input.sum * 2) };
    });
    expect(await (await engineOf(one).start(one)).result()).toEqual({ tens: [0, 10, 20], twice: [0, 20, 40], sum: 60, last: 120 });
  });

  test('69: a cross product of lists', async () => {
    const pair = task({ name: 'pair', run: async (i: { x: number; y: number }) => i.x * i.y });
    const one = workflow({ name: 'case' }, (w) => {
      const pairs = w.run('pairs', {}, () => [2, 4, 8].flatMap((x) => [5, 10].map((y) => ({ x, y }))));
      return { m: w.map(pairs, pair, ({ x, y }) => ({ x, y })) };
    });
    expect(await (await engineOf(one).start(one)).result()).toEqual({ m: [10, 20, 20, 40, 40, 80] });
  });

  test('71: one failed item of five', async () => {
    const one = flow((w) => void w.run('reduce', { m: w.map([0, 1, 2, 3, 4], bad([2]), (n) => ({ n }), { id: 'm' }) }, ok));
    expect(await ran(one)).toMatchObject({
      run: 'failed',
      tasks: {
        m: 'failed: too_many_failures',
        'm[0]': 'success',
        'm[1]': 'success',
        'm[2]': 'failed',
        'm[3]': 'success',
        'm[4]': 'success',
        reduce: 'upstream_failed',
      },
    });
  });

  test.each([
    [[0, 1], 'success', 'partial'],
    [[0, 1, 2], 'failed: too_many_failures', 'failed'],
  ])('73: tolerate half of four, %j fail', async (numbers, map, run) => {
    const one = flow((w) => void w.map([0, 1, 2, 3], bad(numbers), (n) => ({ n }), { id: 'm', tolerate: { ratio: 0.5 } }));
    expect(await ran(one)).toMatchObject({ run, tasks: { m: map } });
  });

  test('75: a key twice', async () => {
    const item = task({ name: 'item', run: async (i: { k: string }) => i.k });
    const one = flow((w) => void w.map(['a', 'b', 'a'], item, (k) => ({ k }), { key: (k) => k }));
    expect(await ran(one)).toMatchObject({ run: 'failed', tasks: { item: 'failed: duplicate_key' } });
    expect(Object.keys((await ran(one)).tasks)).toEqual(['item']);
  });

  test('77: items that are no list', async () => {
    const one = flow(
      (w) =>
        void w.map(
          w.run('items', {}, () => 7 as unknown as number[]),
          plus,
          (n) => ({ n }),
        ),
    );
    const { tasks, run } = await ran(one);
    expect({ tasks, run }).toEqual({ run: 'failed', tasks: { items: 'success', plus: 'failed: not_iterable' } });
  });

  test('81: what follows a map waits for its last item', async () => {
    const naps = new Naps();
    const item = task({
      name: 'item',
      run: async (i: { n: number }) => {
        await naps.sleep(i.n);
        if (i.n < 5) throw new NonRetryableError('low');
      },
    });
    const one = flow(
      (w) => void w.run('J', {}, ok, { after: [w.map([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], item, (n) => ({ n }))], join: 'all_done' }),
    );
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(8.5);
    expect((await stateOf(run)).tasks).toMatchObject({ 'item[8]': 'success', 'item[9]': 'running', J: 'pending' });
    await naps.pass(1);
    expect((await stateOf(run)).tasks).toMatchObject({ 'item[4]': 'failed', 'item[9]': 'success', J: 'success' });
  });

  test('83: totals over a list, an empty one and one that is not there', async () => {
    const one = workflow({ name: 'case' }, (w) => {
      const total = (id: string, list: number[], there: boolean) => {
        const source = w.run(`${id}.list`, {}, () => list, { when: () => there });
        const m = w.when(
          there,
          (is) => is,
          () =>
            w.map(
              w.run(`${id}.read`, { list: w.optional(source, []) }, (input) => input.list),
              plus,
              (n) => ({ n }),
              { id: `${id}.map` },
            ),
          { id: `${id}.if` },
        );
        return w.run(`${id}.total`, { m: w.optional(m) }, (input) => input.m?.reduce((sum, n) => sum + n - 1, 0) ?? 0, {
          when: (input) => input.m !== undefined,
        });
      };
      const totals = [total('nums', [1, 2, 3], true), total('empty', [], true), total('absent', [1], false)];
      const [nums, empty, absent] = totals.map((each) => w.optional(each, 0));
      return {
        grand: w.run('grand', { nums, empty, absent } as never, (i: Record<string, number>) => Object.values(i).reduce((a, b) => a + b, 0)),
      };
    });
    const run = await engineOf(one).start(one);
    expect(await run.result()).toEqual({ grand: 6 });
    expect((await stateOf(run)).tasks).toMatchObject({
      'nums.total': 'success',
      'empty.total': 'success',
      'absent.total': 'skipped: condition',
    });
    expect((await run.status()).status).toBe('success');
  });

  test(
    'concurrency bounds the items that run at the same time, retries included, and the engine rests meanwhile',
    { timeout: 3_000 },
    async () => {
      const naps = new Naps();
      const now = new Set<number>();
      let most = 0;
      const item = task({
        name: 'item',
        ...quick(2),
        run: async (i: { n: number }, ctx) => {
          most = Math.max(most, now.add(i.n).size);
          await naps.sleep(2);
          now.delete(i.n);
          if (ctx.attempt === 1 && i.n < 2) throw new Error('again');
        },
      });
      const one = flow((w) => void w.map([0, 1, 2, 3, 4], item, (n) => ({ n }), { concurrency: 2 }));
      expect((await ran(one, naps)).run).toBe('success');
      expect(most).toBe(2);
    },
  );
});
