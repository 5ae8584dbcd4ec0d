import { afterEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { task, workflow } from '../../src/index.ts';
import { closeAll, engineOf } from './kit.ts';

let did: number[] = [];
afterEach(async () => {
  did = [];
  await closeAll();
});

const square = task({
  name: 'square',
  input: z.object({ n: z.number() }),
  effects: 'none',
  cache: { ttl: '1h' },
  retry: { maxAttempts: 1 },
  run: ({ n }) => {
    did.push(n);
    if (n < 0) throw new Error('below zero');
    return n * n;
  },
});

const input = z.object({ n: z.number() });
const flow = workflow({ name: 'flow', input }, (w, { n }) => {
  const first = w.run(square, { n });
  return { twice: w.run('twice', { first }, ({ first: value }) => value * 2) };
});
const other = workflow({ name: 'other', input }, (w, { n }) => {
  const begun = w.run('begin', {}, () => 0);
  return { it: w.run(square, { n }, { id: 'late', after: [begun] }) };
});

describe('a task with a cache', () => {
  test('ends with what an equal input gave before, in any run and workflow, without an attempt', async () => {
    const engine = engineOf(flow, other);
    expect(await (await engine.start(flow, { n: 3 })).result()).toEqual({ twice: 18 });
    const again = await engine.start(flow, { n: 3 });
    expect(await again.result()).toEqual({ twice: 18 });
    const [it] = await again.tasks();
    expect(it).toMatchObject({ task: 'square', status: 'success', attempt: 0, cached: true });
    expect(it?.startedAt).toBeUndefined();
    expect(await (await engine.start(other, { n: 3 })).result()).toEqual({ it: 9 });
    expect(await (await engine.start(other, { n: 4 })).result()).toEqual({ it: 16 });
    expect(did).toEqual([3, 4]);
  });

  test('is done again when the time is over', async () => {
    const engine = engineOf(flow);
    await (await engine.start(flow, { n: 3 })).result();
    await engine.clock.advance('59m');
    await (await engine.start(flow, { n: 3 })).result();
    await engine.clock.advance('2m');
    await (await engine.start(flow, { n: 3 })).result();
    expect(did).toEqual([3, 3]);
  });

  test('keeps nothing of a failure', async () => {
    const engine = engineOf(flow);
    for (let i = 0; i < 2; i++) await expect((await engine.start(flow, { n: -1 })).result()).rejects.toMatchObject({ code: 'RUN_FAILED' });
    expect(did).toEqual([-1, -1]);
  });

  test('is done over where a person asks for it, and kept anew', async () => {
    const engine = engineOf(flow);
    const run = await engine.start(flow, { n: 3 });
    await run.result();
    await run.rerun('square');
    await engine.settle();
    expect(did).toEqual([3, 3]);
    await (await engine.start(flow, { n: 3 })).result();
    expect(did).toEqual([3, 3]);
  });

  test('takes no slot', async () => {
    let release: (() => void) | undefined;
    const hold = workflow({ name: 'hold' }, (w) => w.run('hold', {}, () => new Promise<number>((resolve) => (release = () => resolve(1)))));
    const { testEngine } = await import('../../src/testing/index.ts');
    const engine = testEngine({ use: [flow, hold, onlySquare], concurrency: 1 });
    await (await engine.start(onlySquare, { n: 5 })).result();
    const held = await engine.start(hold);
    await engine.settle();
    // The one slot is taken: only what needs none can end.
    expect(await (await engine.start(onlySquare, { n: 5 })).result()).toEqual({ it: 25 });
    expect((await held.status()).status).toBe('running');
    release?.();
    await held.result();
    await engine.close();
  });

  test('is asked after its predicate, and skipped by its no', async () => {
    const when = workflow({ name: 'when', input }, (w, { n }) => ({
      it: w.optional(w.run(square, { n }, { when: ({ n: value }) => value !== 0 })),
    }));
    const engine = engineOf(when);
    expect(await (await engine.start(when, { n: 2 })).result()).toEqual({ it: 4 });
    const run = await engine.start(when, { n: 2 });
    expect(await run.result()).toEqual({ it: 4 });
    expect((await run.tasks())[0]).toMatchObject({ cached: true, attempt: 0 });
    expect(await (await engine.start(when, { n: 0 })).result()).toEqual({ it: undefined });
    expect(did).toEqual([2]);
  });

  test('has its items kept one by one', async () => {
    const list = workflow({ name: 'list', input: z.object({ ns: z.array(z.number()) }) }, (w, { ns }) => ({
      all: w.map(ns, square, (n) => ({ n }), { concurrency: 2 }),
    }));
    const engine = engineOf(list);
    expect(await (await engine.start(list, { ns: [1, 2, 3] })).result()).toEqual({ all: [1, 4, 9] });
    expect(await (await engine.start(list, { ns: [3, 4, 1] })).result()).toEqual({ all: [9, 16, 1] });
    expect(did).toEqual([1, 2, 3, 4]);
    const many = Array.from({ length: 300 }, (_, i) => (i % 4) + 1);
    expect(await (await engine.start(list, { ns: many })).result()).toEqual({ all: many.map((n) => n * n) });
    await engine.reboot();
    expect(await (await engine.start(list, { ns: many })).result()).toEqual({ all: many.map((n) => n * n) });
    expect(did).toEqual([1, 2, 3, 4]);
  });

  test('reads what a map gave', async () => {
    const sum = task({
      name: 'sum',
      effects: 'none',
      cache: { ttl: '1h' },
      run: ({ ns }: { ns: readonly number[] }) => {
        did.push(ns.length);
        return ns.reduce((a, b) => a + b, 0);
      },
    });
    const flows = workflow({ name: 'flows' }, (w) => ({ it: w.run(sum, { ns: w.map([1, 2], square, (n) => ({ n })) }) }));
    const engine = engineOf(flows);
    expect(await (await engine.start(flows)).result()).toEqual({ it: 5 });
    expect(await (await engine.start(flows)).result()).toEqual({ it: 5 });
    expect(did.toSorted((a, b) => a - b)).toEqual([1, 2, 2]);
  });

  test('is another one where its contract is another', async () => {
    const longer = workflow({ name: 'longer', input }, (w, { n }) => ({ it: w.run(square, { n }, { timeout: '1m' }) }));
    const engine = engineOf(flow, longer);
    await (await engine.start(flow, { n: 3 })).result();
    await (await engine.start(longer, { n: 3 })).result();
    expect(did).toEqual([3, 3]);
  });

  test('keeps the value undefined, and dates', async () => {
    const nothing = workflow({ name: 'nothing' }, (w) => {
      const opts = { effects: 'none', cache: { ttl: '1h' } } as const;
      const none = w.run('none', {}, () => void did.push(1), opts);
      const date = w.run('date', {}, () => new Date(did.push(2)), opts);
      return { none, date };
    });
    const engine = engineOf(nothing);
    const first = await (await engine.start(nothing)).result();
    expect(await (await engine.start(nothing)).result()).toEqual(first);
    expect(did.toSorted((a, b) => a - b)).toEqual([1, 2]);
  });

  test('is refused where running it again would do something, and without a time', () => {
    expect(() => task({ name: 'pay', cache: { ttl: '1h' }, run: () => 1 })).toThrow(
      /cache: only a task with effects: 'none' may be cached; of this one they are 'idempotent'/,
    );
    expect(() => task({ name: 'pay', effects: 'none', cache: { ttl: 0 }, run: () => 1 })).toThrow(/cache\.ttl: must be milliseconds/);
    expect(() => task({ name: 'pay', effects: 'none', cache: {} as never, run: () => 1 })).toThrow(/cache\.ttl: needed/);
    const { graph } = workflow({ name: 'data' }, (w) => w.run(square, { n: 1 }));
    const [one] = graph.tasks;
    const hostile = { ...one, contract: { ...(one as { contract: object }).contract, effects: 'unsafe' } };
    expect(() => workflow.fromGraph({ name: 'data', tasks: [hostile as never], use: [square as never] })).toThrow(/effects "none"/);
  });
});

const onlySquare = workflow({ name: 'only', input }, (w, { n }) => ({ it: w.run(square, { n }) }));
