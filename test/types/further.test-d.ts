// What compiles and what must not, of bodies that always throw, using, options kept in constants, and refs that may be skipped.
import { z } from 'zod';
import { signal, task, workflow, type NodeOpts, type TaskImpl } from '../../src/index.ts';
import type { MaybeRef, Ref } from '../../src/core/types/types.ts';

type Eq<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const yes = <_T extends true>(): void => {};
const isYes = (): boolean => true;
const N = z.object({ n: z.number() });

// ---- bodies that always throw -------------------------------------------------------------------------------------------------------

const boom = (): never => {
  throw new Error('no');
};
const throws = task({ name: 'throws', run: () => boom() });
yes<Eq<typeof throws extends TaskImpl<unknown, infer O> ? O : 'none', never>>();
task({
  name: 'async',
  run: async (_: number) => {
    throw new Error('no');
  },
});
task({ name: 'schema', input: N, run: () => boom() });
task({
  name: 'schema-async',
  input: N,
  run: async ({ n }) => {
    throw new Error(`no ${n}`);
  },
});
task({ name: 'both', input: N, output: z.string(), run: () => boom() });
// @ts-expect-error -- what cannot be stored still is no output
task({ name: 'fn', run: () => () => 1 });
// @ts-expect-error -- nor is a promise in it
task({ name: 'promise', input: N, run: () => ({ deep: Promise.resolve(1) }) });
// @ts-expect-error -- nor what the output's schema does not take
task({ name: 'wrong', input: N, output: z.string(), run: () => 1 });

const kept: NodeOpts = { retry: { maxAttempts: 1 } };
workflow({ name: 'throwing' }, (w) => {
  const a = w.run('a', {}, boom, { catch: () => 1 });
  w.run('b', {}, boom, kept);
  w.run('c', {}, () => 1, kept);
  w.run('d', {}, () => 1, { retry: { maxAttempts: 2 }, timeout: '1s' } as const);
  w.run('e', {}, (): number => boom(), { catch: ({ error }) => error.attempts });
  // @ts-expect-error -- a handler gives what the task gives
  w.run('f', {}, (): number => boom(), { catch: () => 'text' });
  return { a };
});

// ---- using --------------------------------------------------------------------------------------------------------------------------

workflow({ name: 'brackets' }, (w) => {
  const read = (l: Ref<number>, id: string) => w.run(id, { l }, ({ l }) => l + 1);
  w.using('u1', { setup: () => 1, teardown: (n) => void n.toFixed() }, (l) => read(l, 'x1'));
  w.using('u2', { input: { n: 1 }, setup: ({ n }) => n, teardown: (n) => void n.toFixed() }, (l) => read(l, 'x2'));
  w.using('u3', { input: { n: 1 }, setup: ({ n }) => n, teardown: (n: number) => void n }, (l) => read(l, 'x3'));
  w.using('u4', { input: {}, setup: (_, ctx) => [1, ctx.runId] as const, teardown: async ([n, id]) => void [n, id] }, (l) =>
    read(l[0], 'x4'),
  );
  w.map([1], (b, n) =>
    b.using('u5', { input: { n }, setup: ({ n }) => n, teardown: (n: number) => void n }, (l) => b.run('x5', { l }, ({ l }) => l + 1)),
  );
  // @ts-expect-error -- the teardown takes something else than the setup gives
  w.using('u6', { setup: () => 'a', teardown: (n: number) => void n }, (l) => w.run('x6', { l }, ({ l }) => l));
});

// ---- tuples -------------------------------------------------------------------------------------------------------------------------

workflow({ name: 'tuples' }, (w) => {
  const pair = w.run('pair', {}, () => ['a', 1] as const satisfies readonly unknown[]);
  yes<Eq<(typeof pair)[0], Ref<'a'>>>();
  const sum = w.run('sum', { n: pair[1], m: pair.length }, ({ n, m }) => n + m);
  // @ts-expect-error -- there is no third
  w.run('none', { none: pair[2] }, () => 1);
  return { sum, pair };
});

// ---- what may be skipped ------------------------------------------------------------------------------------------------------------

const item = task({ name: 'item', input: N, run: ({ n }) => n });
workflow({ name: 'maybe', input: z.object({ list: z.array(N) }) }, (w, { list }) => {
  const maybe = w.map(list, item, (one) => one, { onEmpty: 'skip' });
  yes<Eq<typeof maybe, MaybeRef<number[]>>>();
  const text = w.run('text', {}, () => 'k', { when: isYes });
  // @ts-expect-error -- in a list in a list
  w.run('a', [[maybe]], () => 1);
  // @ts-expect-error -- as the list of a map
  w.map(maybe, item, (n) => ({ n }), { id: 'b' });
  // @ts-expect-error -- as the input of an item
  w.map([1], item, () => ({ n: maybe[0] }), { id: 'c' });
  // @ts-expect-error -- as the key of an item
  w.map(list, item, (one) => one, { id: 'd', key: () => text });
  // @ts-expect-error -- as what is decided on
  w.when(maybe, isYes, () => 1);
  // @ts-expect-error -- as what is decided between
  w.switch(maybe, { one: [isYes, () => 1] });
  // @ts-expect-error -- as what a branch gives
  w.when(list, isYes, () => ({ maybe }), { id: 'e' });
  // @ts-expect-error -- as a part of a race
  w.first({ maybe });
  // @ts-expect-error -- as the key of a wait
  w.wait(signal('s', z.string()), { key: text });
  // @ts-expect-error -- as what people are shown
  w.approve('f', { who: ['x'], show: { maybe } });
  // @ts-expect-error -- as the key of a limit
  w.run('g', {}, () => 1, { concurrency: { key: text, limit: 1 } });
  // @ts-expect-error -- as the instant of a sleep
  w.sleep(w.run('at', {}, () => new Date(), { when: isYes }));
  // @ts-expect-error -- as the input of a setup
  w.using('h', { setup: item, input: { n: maybe[0] }, teardown: () => 1 }, () => 1);

  w.approve('i', { who: ['x'], show: { list, maybe: w.optional(maybe), deep: [{ list }] } });
  w.map(w.optional(maybe, []), item, (n) => ({ n }), { id: 'j' });
  w.run('k', { t: w.optional(text, 0), s: w.settle({ text }).text }, (v) => {
    yes<Eq<typeof v.t, string | 0>>();
    if (v.s.status === 'success') v.s.value.toUpperCase();
    else if (v.s.status !== 'skipped') v.s.error.code.toUpperCase();
    return 1;
  });
  w.run('l', {}, () => 1, { after: [maybe, text, list] });
});
