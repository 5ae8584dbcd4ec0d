import { afterEach, describe, expect, test } from 'vitest';
import { task, type Build, type Ref } from '../../src/index.ts';
import { begun } from './further-kit.ts';
import { closeAll, fail, quick } from './kit.ts';

afterEach(closeAll);

const fails = (...bad: readonly number[]) => task({ name: 'item', run: (n: number) => (bad.includes(n) ? fail() : n * 10) });
/** Tasks but the items. */
const withoutItems = (shown: string): string => shown.replaceAll(/\S+\[\d+\]=\S+ /g, '');

describe('items on their own', () => {
  test('each has its retries, its timeout and its idempotency key', async () => {
    const keys = new Set<string>();
    const seen = new Map<number, number>();
    const { shown } = await begun((w) => {
      const item = task({
        name: 'item',
        ...quick(3),
        run: (n: number, { idempotencyKey }) => {
          keys.add(idempotencyKey);
          seen.set(n, (seen.get(n) ?? 0) + 1);
          if ((seen.get(n) ?? 0) < n) throw new Error('again');
          return n;
        },
      });
      w.map([1, 2, 3], item, (n) => n, { id: 'M' });
    });
    expect(shown).toBe('M=S M[0]=S M[1]=S*2 M[2]=S*3 run=success');
    expect(keys.size).toBe(3);
  });

  test('two dead items, one sent on: the map fails again for the other, the reader never runs', async () => {
    let bad = [2, 3];
    const { run, naps, said } = await begun((w, { said }) => {
      const item = task({ name: 'item', run: (n: number) => (bad.includes(n) ? fail() : said.push(`i${n}`)) });
      const m = w.map([1, 2, 3], item, (n) => n, { id: 'M' });
      w.run('J', { m }, () => void said.push('J'));
    });
    bad = [];
    await run.redrive({ task: 'M', item: 1 });
    await naps.pass(5);
    expect([said, (await run.status()).status]).toEqual([['i1', 'i2'], 'failed']);
    await run.redrive();
    await naps.pass(5);
    expect([said, (await run.status()).status]).toEqual([['i1', 'i2', 'i3', 'J'], 'success']);
  });

  test('in a map in a map: only the leaf that failed, and what sums it up, is done over; a fork does all of it', async () => {
    let isBroken = true;
    const { run, naps, said, shown } = await begun((w, { said }) => {
      const part = (b: Build, n: Ref<number>) => {
        const inner = b.map(
          [10, 20],
          (c, k) => c.run('leaf', { n, k }, ({ n, k }) => (isBroken && n * k === 40 ? fail() : said.push(`${n * k}`))),
          {
            id: 'in',
          },
        );
        return b.run('sum', { inner }, ({ inner }) => inner.length);
      };
      return { m: w.map([1, 2], part, { id: 'M' }) };
    });
    expect([said.splice(0).toSorted(), shown]).toEqual([['10', '20', '20'], 'M=F:too_many_failures M[0]=S M[1]=F run=failed']);
    isBroken = false;
    await run.redrive();
    await naps.pass(5);
    expect([said.splice(0), await run.result()]).toEqual([['40'], { m: [2, 2] }]);
    const fork = await run.fork('M');
    expect([await fork.run.result(), said.toSorted()]).toEqual([{ m: [2, 2] }, ['10', '20', '20', '40']]);
  });

  test('an item that is skipped by a person is left out, and settled it is told', async () => {
    const flaky = task({
      name: 'item',
      retry: { initial: '30s', jitter: 'none' },
      run: (n: number) => (n === 2 ? Promise.reject(new Error('x')) : Promise.resolve(n)),
    });
    for (const [settle, expected] of [
      [false, [1, 3]],
      [true, [{ status: 'success', value: 1 }, { status: 'skipped' }, { status: 'success', value: 3 }]],
    ] as const) {
      const { shown, result } = await begun((w) => ({ m: w.map([1, 2, 3], flaky, (n) => n, { id: 'M', settle }) }), {
        meanwhile: ({ run }) => run.skip('M', { item: 1 }),
      });
      expect([shown, result]).toEqual(['M=S M[0]=S M[1]=K:manual M[2]=S run=success', { m: expected }]);
    }
  });

  test('a task may be named like an item: its dead letter is found by its id', async () => {
    const { kit } = await begun((w) => {
      w.run('a[0]', {}, fail);
      w.map([1], fails(1), (n) => n, { id: 'M' });
    });
    const { letters } = await kit.dead.list();
    for (const { id, task, item } of letters)
      expect(await kit.dead.get(id)).toMatchObject({ task, ...(item === undefined ? {} : { item }) });
    expect(letters.map((one) => one.task).toSorted()).toEqual(['M', 'a[0]']);
  });

  test('an item beyond tolerate is sent on: the map that failed succeeds as partial', async () => {
    let bad = [1, 2];
    const { run, naps, shown } = await begun((w) => {
      const item = task({ name: 'item', run: (n: number) => (bad.includes(n) ? fail() : n) });
      const m = w.map([1, 2, 3], item, (n) => n, { id: 'M', tolerate: { count: 1 } });
      return { m };
    });
    expect(withoutItems(shown)).toBe('M=F:too_many_failures run=failed');
    bad = [2];
    await run.redrive({ task: 'M', item: 0 });
    await naps.pass(5);
    expect([(await run.status()).status, await run.result()]).toEqual(['partial', { m: [1, 3] }]);
  });

  test('an item that failed is marked as a success: its output stands in the list', async () => {
    const { run, naps } = await begun((w) => ({ m: w.map([1, 2, 3], fails(2), (n) => n, { id: 'M' }) }));
    await run.mark('M', { item: 1, output: 99 });
    await naps.pass(5);
    expect([(await run.status()).status, await run.result()]).toEqual(['success', { m: [10, 99, 30] }]);
  });

  test('the producer is done over and gives another list: items are those of the new one', async () => {
    let n = 1;
    const { run, naps, shown } = await begun((w) => {
      const list = w.run('list', {}, () => Array.from({ length: n }, (_, i) => i));
      return { m: w.map(list, fails(), (i) => i, { id: 'M' }) };
    });
    expect(shown).toBe('list=S M=S M[0]=S run=success');
    for (const [next, value] of [
      [3, [0, 10, 20]],
      [0, []],
      [2, [0, 10]],
    ] as const) {
      n = next;
      await run.rerun('list');
      await naps.pass(5);
      expect(await run.result()).toEqual({ m: value });
    }
  });

  test('cancelled in the middle, then sent on: what was done stays done', async () => {
    const { run, naps, said, shown } = await begun(
      (w, { naps, said }) => {
        const item = task({ name: 'item', run: (n: number) => naps.sleep(n).then(() => said.push(`i${n}`)) });
        return { m: w.map([1, 2, 3, 4], item, (n) => n, { id: 'M', concurrency: 1 }) };
      },
      {
        meanwhile: async ({ run, naps }) => {
          await naps.pass(2);
          await run.cancel();
        },
      },
    );
    expect(shown).toMatch(/run=cancelled/);
    const before = said.length;
    await run.redrive();
    await naps.pass(60);
    expect((await run.status()).status).toBe('success');
    expect(said.filter((one) => one === 'i1')).toHaveLength(1);
    expect(said.length).toBeGreaterThan(before);
  });
});
