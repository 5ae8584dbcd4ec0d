import { afterEach, describe, expect, test } from 'vitest';
import { task, workflow, type Build } from '../../src/index.ts';
import { begun, ends, type CaseOptions } from './further-kit.ts';
import { closeAll, engineOf, fail, Naps, ok, quick } from './kit.ts';

afterEach(closeAll);

const never = { when: (): boolean => false } as const;
const fails = (...bad: readonly number[]) => task({ name: 'item', run: (n: number) => (bad.includes(n) ? fail() : n * 10) });
/** Tasks but the items. */
const withoutItems = (shown: string): string => shown.replaceAll(/\S+\[\d+\]=\S+ /g, '');

/** A map of 1…n with these failing, and a reader. */
const mapped = async (n: number, bad: readonly number[], opts: object = {}, more: CaseOptions = {}) => {
  const { shown, said } = await begun((w, { said }) => {
    const list = w.run('list', {}, () => Array.from({ length: n }, (_, i) => i + 1));
    const m = w.map(list, fails(...bad), (i) => i, { id: 'M', ...opts });
    w.run('J', { m }, ({ m }) => void said.push(JSON.stringify(m)));
  }, more);
  return [withoutItems(shown), said[0]];
};

describe('what items may fail', () => {
  test.each([
    [4, [2], { tolerate: { count: 1 } }, 'list=S M=S J=S run=partial', '[10,30,40]'],
    [4, [2, 3], { tolerate: { count: 1 } }, 'list=S M=F:too_many_failures J=X run=failed', undefined],
    [4, [2, 3], { tolerate: { ratio: 0.5 } }, 'list=S M=S J=S run=partial', '[10,40]'],
    [3, [2, 3], { tolerate: { ratio: 0.5 } }, 'list=S M=F:too_many_failures J=X run=failed', undefined],
    [4, [2, 3], { tolerate: { ratio: 1, count: 1 } }, 'list=S M=F:too_many_failures J=X run=failed', undefined],
    [4, [2, 3], { tolerate: { ratio: 0.25, count: 9 } }, 'list=S M=F:too_many_failures J=X run=failed', undefined],
    [3, [1, 2, 3], { tolerate: { ratio: 1 } }, 'list=S M=S J=S run=partial', '[]'],
    [3, [], { tolerate: { ratio: 0 } }, 'list=S M=S J=S run=success', '[10,20,30]'],
    [3, [1], { tolerate: { ratio: 0.3 } }, 'list=S M=F:too_many_failures J=X run=failed', undefined],
    [3, [1], { tolerate: {} }, 'list=S M=F:too_many_failures J=X run=failed', undefined],
    [10, [1], { tolerate: { ratio: 0.1 } }, 'list=S M=S J=S run=partial', '[20,30,40,50,60,70,80,90,100]'],
  ])('%i items, %j fail, %j', async (n, bad, opts, expected, value) => {
    expect(await mapped(n, bad, opts)).toEqual([expected, value]);
  });

  test('settled: never fails, and says of each how it ended, in the order of the input', async () => {
    const [shown, value] = await mapped(3, [1, 3], { settle: true });
    expect(shown).toBe('list=S M=S J=S run=partial');
    expect((JSON.parse(value ?? '') as { status: string }[]).map((one) => one.status)).toEqual(['failed', 'success', 'failed']);
  });

  test('all fail and it is settled: partial, since the map and its reader succeeded', async () => {
    expect((await mapped(2, [1, 2], { settle: true }))[0]).toBe('list=S M=S J=S run=partial');
  });

  test('a failed map that is allowed: order goes on, its items excuse nothing of themselves', async () => {
    expect(
      withoutItems(
        await ends((w) => {
          const m = w.map([1, 2], fails(1), (n) => n, { id: 'M', allowFailure: true });
          w.run('J', {}, ok, { after: [m] });
          w.run('L', { m }, ok);
        }),
      ),
    ).toBe('M=F:too_many_failures J=S L=X run=partial');
  });

  test.each([
    ['drain', 'M[0]=S M[1]=F M[2]=S M[3]=C:superseded'],
    ['abort', 'M[0]=S M[1]=F M[2]=C:fail_fast M[3]=C:superseded'],
    ['continue', 'M[0]=S M[1]=F M[2]=S M[3]=S'],
  ] as const)('beyond: %s', async (failurePolicy, _expected) => {
    const { shown } = await begun(
      (w, { naps }) => {
        const item = task({ name: 'item', run: (n: number) => naps.sleep(n).then(() => (n === 2 ? fail() : n)) });
        w.map([1, 2, 3, 4], item, (n) => n, { id: 'M', concurrency: 2 });
      },
      { failurePolicy },
    );
    expect(shown).toMatch(/run=failed$/);
    const items = shown.split(' ').filter((part) => part.startsWith('M['));
    expect(items.slice(0, 2)).toEqual(['M[0]=S', 'M[1]=F']);
    // 2 ends at 2 s; item 2 began at 1 s and takes till 4 s; item 3 has not begun.
    expect(items[2] ?? 'none').toMatch(failurePolicy === 'abort' ? /^M\[2\]=C/ : /^M\[2\]=S/);
    expect(items[3] ?? 'none').toMatch(failurePolicy === 'continue' ? /^M\[3\]=S/ : /^(M\[3\]=C|none)/);
  });
});

describe('what a list may be', () => {
  test.each([
    ['a number', 7, 'not_iterable'],
    ['a text', 'abc', 'not_iterable'],
    ['null', null, 'not_iterable'],
    ['undefined', undefined, 'not_iterable'],
    ['an object', { 0: 'a', length: 1 }, 'not_iterable'],
    ['a set', new Set([1]), 'not_iterable'],
    ['bytes', new Uint8Array([1, 2]), 'not_iterable'],
  ])('%s: failed (not_iterable), no item, reader upstream_failed', async (_, value, reason) => {
    expect(
      await ends((w) => {
        const list = w.run('list', {}, () => value as unknown as number[]);
        const m = w.map(list, fails(), (n) => n, { id: 'M' });
        w.run('J', { m }, ok);
      }),
    ).toBe(`list=S M=F:${reason} J=X run=failed`);
  });

  test('items that are undefined, null and false are items', async () => {
    const { result } = await begun((w) => {
      const list = w.run('list', {}, () => [undefined, null, false, 0, '']);
      return { r: w.map(list, (b, v) => b.run('item', { v }, ({ v }) => String(v)), { id: 'M' }) };
    });
    expect(result).toEqual({ r: ['undefined', 'null', 'false', '0', ''] });
  });

  test('one too many for maxItems: no item exists', async () => {
    expect(
      await ends(
        (w) =>
          void w.map(
            w.run('list', {}, () => [1, 2, 3]),
            fails(),
            (n) => n,
            { id: 'M', maxItems: 2 },
          ),
      ),
    ).toBe('list=S M=F:too_many run=failed');
    expect(withoutItems(await ends((w) => void w.map([1, 2], fails(), (n) => n, { id: 'M', maxItems: 2 })))).toBe('M=S run=success');
  });

  test.each([
    ['X', 'M=X J=X run=failed'],
    ['K', 'M=K J=K run=success'],
  ])('its source ended as %s', async (letter, expected) => {
    const shown = await ends((w) => {
      const list = w.run(
        'list',
        {},
        () => [1],
        letter === 'K' ? { after: [w.run('no', {}, ok, never)] } : { after: [w.run('no', {}, fail)] },
      );
      const m = w.map(list, fails(), (n) => n, { id: 'M', settle: true });
      w.run('J', { m }, ok);
    });
    expect(shown).toContain(expected);
  });

  test('empty: success with [], or skipped where asked; its reader follows', async () => {
    const { shown, said } = await begun((w, { said }) => {
      const list = w.run('list', {}, () => [] as number[]);
      const m = w.map(list, fails(), (n) => n, { id: 'M' });
      const k = w.map(list, fails(), (n) => n, { id: 'K', onEmpty: 'skip' });
      w.run('J', { m, k: w.optional(k, [0]) }, (v) => void said.push(JSON.stringify(v)));
      w.run('L', {}, ok, { after: [k] });
      w.run('M2', {}, ok, { after: [m], join: 'one_success' });
      w.run('M3', {}, ok, { after: [m, k], join: 'none_skipped' });
    });
    expect([shown, said]).toEqual(['list=S M=S K=K J=S L=K M2=S M3=K run=success', ['{"m":[],"k":[0]}']].map((x) => x));
  });

  test('empty, and compensated: nothing to undo', async () => {
    expect(
      await ends((w) => {
        const m = w.map([] as number[], fails(), (n) => n, { id: 'M', compensate: () => undefined });
        w.run('F', {}, fail, { after: [m] });
      }),
    ).toBe('M=S F=F run=failed');
  });
});

describe('keys', () => {
  const keyed = (keys: readonly unknown[]) =>
    ends((w) => {
      const list = w.run('list', {}, () => keys.map((k) => ({ k: k as string })));
      w.map(list, (b, one) => b.run('item', { one }, ok), { id: 'M', key: (one) => one.k });
    }).then(withoutItems);

  test.each([
    [['a', 'b', 'a'], 'list=S M=F:duplicate_key run=failed'],
    [[1, 2, 1], 'list=S M=F:duplicate_key run=failed'],
    [['a', 'A', 'á', 'á'.normalize('NFD')], 'list=S M=S run=success'],
    [['__proto__', 'constructor', 'toString'], 'list=S M=S run=success'],
  ])('%j', async (keys, expected) => {
    expect(await keyed(keys)).toBe(expected);
  });

  test.each([[[null]], [[undefined]], [[{}]], [[true]]])('%j is no key: no item exists', async (keys) => {
    expect(await keyed(keys)).toMatch(/^list=S M=F:\w+ run=failed$/);
  });

  test('an act names an item by its key', async () => {
    let isBroken = true;
    const { kit, run, naps } = await begun((w) => {
      const list = w.run('list', {}, () => [{ k: 'x' }, { k: 'y' }]);
      const item = task({ name: 'item', run: (one: { k: string }) => (one.k === 'y' && isBroken ? fail() : one.k) });
      const m = w.map(list, item, (one) => one, { id: 'M', key: (one) => one.k });
      return { r: m };
    });
    isBroken = false;
    expect((await run.redrive({ task: 'M', item: 'y' })).count).toBe(2);
    await naps.pass(5);
    expect(await run.result()).toEqual({ r: ['x', 'y'] });
    await expect(run.redrive({ task: 'M', item: 'z' })).rejects.toMatchObject({ code: expect.stringMatching(/TASK_|RUN_/) as string });
    void kit;
  });
});

describe('subgraphs and nesting', () => {
  test('results stand in the order of the input, whatever ends first', async () => {
    const { result } = await begun((w, { naps }) => ({
      r: w.map([5, 1, 3], (b, n) => b.run('item', { n }, ({ n }) => naps.sleep(n).then(() => n)), { id: 'M' }),
    }));
    expect(result).toEqual({ r: [5, 1, 3] });
  });

  test('nested: lists of lists, inner ones of different lengths and empty', async () => {
    const { result, shown } = await begun((w) => {
      const rows = w.run('rows', {}, () => [[1, 2], [], [3]]);
      return { r: w.map(rows, (b, row) => b.map(row, (c, n) => c.run('cell', { n }, ({ n }) => n * 2), { id: 'cells' }), { id: 'M' }) };
    });
    expect(result).toEqual({ r: [[2, 4], [], [6]] });
    expect(shown).toMatch(/run=success$/);
  });

  test('a failure in an inner map fails that item alone', async () => {
    const { result, shown } = await begun((w) => {
      const rows = w.run('rows', {}, () => [
        [1, 2],
        [3, 4],
      ]);
      const item = fails(3);
      return { r: w.map(rows, (b, row) => b.map(row, item, (n) => n, { id: 'cells' }), { id: 'M', tolerate: { count: 1 } }) };
    });
    expect(result).toEqual({ r: [[10, 20]] });
    expect(withoutItems(shown)).toBe('rows=S M=S run=partial');
  });

  test('a join inside sees its own item', async () => {
    const { shown, said } = await begun((w, { said }) => {
      w.map(
        [1, 2, 3],
        (b, n) => {
          const a = b.run('a', { n }, ({ n }) => (n === 2 ? fail() : n));
          b.run('clean', { n }, ({ n }) => void said.push(`clean ${n}`), { after: [a], join: 'one_failed' });
          return b.run('b', { a }, ({ a }) => void said.push(`b ${a}`));
        },
        { id: 'M', settle: true },
      );
    });
    expect(said.toSorted()).toEqual(['b 1', 'b 3', 'clean 2']);
    expect(shown).toMatch(/run=partial$/);
  });

  test('depth first: a second item starts when the first is through, not level by level', async () => {
    const { said } = await begun((w, { naps, said }) => {
      w.map(
        [1, 2, 3],
        (b, n) => {
          const a = b.run('a', { n }, ({ n }) => naps.sleep(1).then(() => said.push(`a${n}`)));
          return b.run('b', { n, a }, ({ n }) => naps.sleep(1).then(() => said.push(`b${n}`)));
        },
        { id: 'M', concurrency: 1 },
      );
    });
    expect(said).toEqual(['a1', 'b1', 'a2', 'b2', 'a3', 'b3']);
  });

  test('an item whose value was skipped is left out, settled it is told', async () => {
    const { result, shown } = await begun((w) => {
      const part = (b: Build, n: unknown) => {
        const v = b.run('a', { n }, ({ n }) => Number(n));
        const odd = b.when(
          v,
          (x) => x % 2 === 1,
          () => b.run('b', { v }, ({ v }) => v),
        );
        return { odd: b.optional(odd, -1) };
      };
      return { r: w.map([1, 2, 3], part, { id: 'M' }), s: w.map([1, 2], part, { id: 'S', settle: true }) };
    });
    expect(result).toEqual({
      r: [{ odd: 1 }, { odd: -1 }, { odd: 3 }],
      s: [
        { status: 'success', value: { odd: 1 } },
        { status: 'success', value: { odd: -1 } },
      ],
    });
    expect(shown).toMatch(/run=success$/);
  });

  test('an item whose required part was skipped: what becomes of it is told, never a silent null', async () => {
    const { result } = await begun((w) => {
      const part = (b: Build, n: unknown) => {
        const k = b.run('k', { n }, ({ n }) => Number(n), { when: ({ n }) => n !== 2 });
        const a = b.run('a', {}, ok, { after: [k] });
        return { a };
      };
      return { s: w.map([1, 2], part, { id: 'S', settle: true }) };
    });
    expect(JSON.stringify(result)).not.toContain('null');
  });

  test('refs from outside may be used in an item; one that fails keeps every item from being', async () => {
    const { result } = await begun((w) => {
      const base = w.run('base', {}, () => 100);
      return { r: w.map([1, 2], (b, n) => b.run('item', { n, base }, ({ n, base }) => n + base), { id: 'M' }) };
    });
    expect(result).toEqual({ r: [101, 102] });
    expect(
      await ends((w) => {
        const base = w.run('base', {}, () => fail());
        w.map([1, 2], (b, n) => b.run('item', { n, base }, ok), { id: 'M' });
      }),
    ).toMatch(/^base=F M=X run=failed$/);
  });

  test('using in each item: setups and teardowns of each, also of the one that fails', async () => {
    const { said, shown } = await begun((w, { said }) => {
      w.map(
        [1, 2],
        (b, n) =>
          b.using('lock', { input: { n }, setup: ({ n }) => n, teardown: (n: number) => void said.push(`free ${n}`) }, (lock) =>
            b.run('work', { lock }, ({ lock }) => (lock === 2 ? fail() : said.push(`work ${lock}`))),
          ),
        { id: 'M', settle: true },
      );
    });
    expect(said.toSorted()).toEqual(['free 1', 'free 2', 'work 1']);
    expect(shown).toMatch(/run=partial$/);
  });

  test('a map of waits: every item waits without a slot, and each is answered alone', async () => {
    const { kit, run, naps, said } = await begun(
      (w, { said }) => {
        const list = w.map([1, 2, 3], (b, n) => b.run('after', { at: b.sleep('5s'), n }, ({ n }) => said.push(`n${n}`)), { id: 'M' });
        w.run('J', { list }, ok);
      },
      { seconds: 0 },
    );
    expect((await run.status()).waiting).toBe(true);
    await naps.pass(10);
    expect(said).toHaveLength(3);
    expect((await run.status()).status).toBe('success');
    void kit;
  });

  test('a map of child workflows: one that is partial makes the map partial', async () => {
    const child = workflow({ name: 'child', input: undefined as never }, (w) => {
      const a = w.run('a', {}, fail, { allowFailure: true });
      w.run('b', {}, ok, { after: [a] });
      return { v: 1 };
    });
    const parent = workflow({ name: 'parent' }, (w) => ({ r: w.map([1, 2], child as never, () => ({}), { id: 'M' }) }));
    const naps = new Naps();
    const kit = naps.on(engineOf(parent, child));
    const run = await kit.start(parent);
    await naps.pass(10);
    expect((await run.status()).status).toBe('partial');
    expect(await run.result()).toEqual({ r: [{ v: 1 }, { v: 1 }] });
  });
});

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

  test('an item is skipped by a person: it is superseded, and counts for nothing', async () => {
    const { run, naps } = await begun((w) => {
      const m = w.map([1, 2], (b, n) => b.run('item', { n, boss: b.approve('boss', { who: ['x'] }) }, ({ n }) => n), { id: 'M' });
      return { m };
    });
    const { tasks } = await run.inspect({ items: true });
    expect(tasks.length).toBeGreaterThan(0);
    expect((await run.status()).waiting).toBe(true);
    void naps;
  });
});
