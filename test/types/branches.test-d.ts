// What branches, guards and joins make of types. Compiled by `npm run typecheck`; never run.
import { z } from 'zod';
import { task } from '../../src/core/define/task.ts';
import { workflow } from '../../src/core/define/workflow.ts';
import type { MaybeRef, Ref, Settled } from '../../src/core/types/types.ts';

type Eq<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const yes = <_T extends true>(): void => {};

const load = task({ name: 'load', run: async (i: { id: string }) => ({ id: i.id, vip: true, total: 5, placed: new Date() }) });
const takesNumber = task({ name: 'takes-number', run: async (i: { n: number }) => i.n });

workflow({ name: 'switches', input: z.object({ id: z.string() }) }, (w, input) => {
  const o = w.run(load, { id: input.id });

  // The predicates get the value, the branches give theirs: a union.
  const lane = w.switch(o, {
    vip: [(v) => v.vip, () => w.run('a', { o }, ({ o }) => o.total)],
    big: [(v) => v.total > 100 && v.placed.getTime() > 0, () => ({ note: w.run('b', {}, () => 'big') })],
  });
  yes<Eq<typeof lane, Ref<number | { note: string }>>>();

  const withDefault = w.switch(
    { n: o.total, id: input.id },
    { one: [({ n }) => n === 1, () => o.placed], two: [({ id }) => id.startsWith('x'), () => 'two'] },
    { id: 'with-default', default: () => w.run('c', {}, () => true) },
  );
  yes<Eq<typeof withDefault, Ref<Date | string | boolean>>>();

  const maybe = w.switch(o, { vip: [(v) => v.vip, () => o.id] }, { id: 'maybe', default: 'skip' });
  yes<Eq<typeof maybe, MaybeRef<string>>>();
  const read = w.optional(maybe);
  yes<Eq<typeof read, Ref<string | undefined>>>();
  w.run(load, { id: w.optional(maybe, 'none') }, { id: 'load-2', after: [maybe] });

  // The decision's own join may skip it, and with it the value.
  const joined = w.switch(o, { a: [(v) => v.vip, () => 1] }, { id: 'joined', after: [o], join: 'one_success' });
  yes<Eq<typeof joined, MaybeRef<number>>>();
  const sure = w.switch(o, { a: [(v) => v.vip, () => 1] }, { id: 'sure', after: [o], join: 'none_failed', default: () => 2 });
  yes<Eq<typeof sure, Ref<number>>>();
  const either = w.when(
    o,
    (v) => v.vip,
    () => 1,
    () => 2,
    { id: 'either', join: 'one_done' },
  );
  yes<Eq<typeof either, MaybeRef<number>>>();

  // @ts-expect-error -- what may be skipped, where a value is wanted
  w.run(load, { id: maybe });
  // @ts-expect-error -- as what is decided on
  w.switch(maybe, { a: [() => true, () => 1] }, { id: 'n1' });
  // @ts-expect-error -- as the value of a branch
  w.switch(o, { a: [(v) => v.vip, () => ({ maybe })] }, { id: 'n2' });
  // @ts-expect-error -- as the value of the default
  w.switch(o, { a: [(v) => v.vip, () => 1] }, { id: 'n3', default: () => maybe });
  // @ts-expect-error -- a property that the value has not
  w.switch(o, { a: [(v) => v.vipp, () => 1] }, { id: 'n4' });
  // @ts-expect-error -- no predicate
  w.switch(o, { a: [() => 1] }, { id: 'n5' });
  // @ts-expect-error -- no list of cases
  w.switch(o, [[(v: unknown) => v !== 1, () => 1]], { id: 'n6' });
  // @ts-expect-error -- an unknown default
  w.switch(o, { a: [(v) => v.vip, () => 1] }, { id: 'n7', default: 'none' });
  // @ts-expect-error -- a union where one of its members is wanted
  w.run(takesNumber, { n: lane });
  return { lane, withDefault, read };
});

workflow({ name: 'guarded', input: z.object({ n: z.string().transform(Number) }), guard: ({ n }) => n > 1 }, () => 1);
workflow({ name: 'guarded', guard: (input) => input === undefined }, () => 1);
// @ts-expect-error -- a guard gets the input
workflow({ name: 'guarded', input: z.object({ n: z.number() }), guard: ({ m }) => m > 1 }, () => 1);
// @ts-expect-error -- a guard says yes or no
workflow({ name: 'guarded', guard: () => 'yes' }, () => 1);

// ---- races ---------------------------------------------------------------------------------------------------------------------------

workflow({ name: 'races' }, (w) => {
  const n = w.run('n', {}, () => 1);
  const o = w.run(load, { id: 'a' });
  const maybe = w.run('maybe', {}, () => 1, { when: () => true });
  const won = w.first({ n, placed: o.placed });
  yes<Eq<typeof won, Ref<{ winner: 'n'; value: number } | { winner: 'placed'; value: Date }>>>();
  w.run('x', { won }, ({ won }) => (won.winner === 'n' ? won.value.toFixed() : won.value.toISOString()));
  w.run(takesNumber, { n: w.first({ n }, { id: 'alone' }).value });
  // @ts-expect-error -- what may be skipped is no part
  w.first({ n, maybe }, { id: 'n1' });
  // @ts-expect-error -- a part is a ref
  w.first({ n, five: 5 }, { id: 'n2' });
  // @ts-expect-error -- an unknown option
  w.first({ n }, { id: 'n3', after: [o] });
  return won;
});

// ---- after joins and reads -----------------------------------------------------------------------------------------------------------

workflow({ name: 'joins' }, (w) => {
  const a = w.run('a', {}, () => 1);
  const b = w.run('b', {}, () => 'b', { when: () => true });
  const over = { after: [a, b] } as const;
  yes<Eq<typeof b, MaybeRef<string>>>();

  const plain = w.run('plain', {}, () => 1, over);
  const none = w.run('none', {}, () => 1, { ...over, join: 'none_failed' });
  const done = w.run('done', {}, () => 1, { ...over, join: 'all_done' });
  const always = w.run('always', {}, () => 1, { ...over, join: 'always' });
  yes<Eq<[typeof plain, typeof none, typeof done, typeof always], [Ref<number>, Ref<number>, Ref<number>, Ref<number>]>>();

  const j1 = w.run('j1', {}, () => 1, { ...over, join: 'none_failed_min_one_success' });
  const j2 = w.run('j2', {}, () => 1, { ...over, join: 'one_success' });
  const j3 = w.run('j3', {}, () => 1, { ...over, join: 'at_least(2)' });
  const j4 = w.run('j4', {}, () => 1, { ...over, join: 'all_done_min_one_success' });
  const j5 = w.run('j5', {}, () => 1, { ...over, join: 'one_done' });
  const j6 = w.run('j6', {}, () => 1, { ...over, join: 'one_failed' });
  const j7 = w.run('j7', {}, () => 1, { ...over, join: 'all_failed' });
  const j8 = w.run('j8', {}, () => 1, { ...over, join: 'all_skipped' });
  const j9 = w.run('j9', {}, () => 1, { ...over, join: 'none_skipped' });
  yes<Eq<[typeof j1, typeof j2, typeof j3], [MaybeRef<number>, MaybeRef<number>, MaybeRef<number>]>>();
  yes<Eq<[typeof j4, typeof j5, typeof j6], [MaybeRef<number>, MaybeRef<number>, MaybeRef<number>]>>();
  yes<Eq<[typeof j7, typeof j8, typeof j9], [MaybeRef<number>, MaybeRef<number>, MaybeRef<number>]>>();

  const settled = w.settle({ a, b, j1 });
  yes<Eq<typeof settled.a, Ref<Settled<number>>>>();
  yes<Eq<typeof settled.b, Ref<Settled<string>>>>();
  w.run('reads', { settled: settled.b, maybe: w.optional(b), sure: w.optional(b, 5), after: w.optional(j1, null) }, (v) => {
    yes<Eq<typeof v.maybe, string | undefined>>();
    yes<Eq<typeof v.sure, string | 5>>();
    yes<Eq<typeof v.after, number | null>>();
    return v.settled.status === 'success' ? v.settled.value.length : v.settled.status === 'skipped' ? 0 : v.settled.error.attempts;
  });
  // @ts-expect-error -- a plain read of what its join may skip
  w.run('bad', { j1 }, () => 1);
  return { plain, done, always, none };
});
// @ts-expect-error -- as the run's output
workflow({ name: 'joins' }, (w) => w.run('j', {}, () => 1, { join: 'one_done' }));
