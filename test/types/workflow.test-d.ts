// What compiles and what must not, as of now. Compiled by `npm run typecheck`; never run.
import * as v from 'valibot';
import { z } from 'zod';
import { signal } from '../../src/core/define/signal.ts';
import { task } from '../../src/core/define/task.ts';
import { workflow } from '../../src/core/define/workflow.ts';
import type { MaybeRef, Ref, RefBase, Settled, Workflow } from '../../src/core/types/types.ts';

type Eq<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const yesOf = (): boolean => true;
const yes = <_T extends true>(): void => {};
type InputOf<T> = T extends { readonly _types?: { readonly input: (input: infer I) => void } } ? I : never;
type OutputOf<T> = T extends { readonly _types?: { readonly output: infer O } } ? O : never;

// ---- an order, start to end ---------------------------------------------------------------------------------------------------------

const Line = z.object({ sku: z.string(), qty: z.number().int() });
const loadOrder = task({
  name: 'load-order',
  input: z.object({ id: z.string() }),
  run: async ({ id }) => ({ id, email: 'a@b.c', total: 120, vip: true, placed: new Date(), lines: [{ sku: 's1', qty: 2 }] }),
});
const reserve = task({
  name: 'reserve',
  input: Line.extend({ orderId: z.string() }),
  retry: { maxAttempts: 8, initial: '1s', maxDelay: '5m' },
  timeout: '30s',
  run: async ({ sku, qty }, ctx) => {
    ctx.log.info('reserving', { sku, qty });
    return { hold: `h-${sku}` };
  },
});
const charge = task({
  name: 'charge',
  input: z.object({ orderId: z.string(), cents: z.number() }),
  output: z.object({ paymentId: z.string() }),
  retry: { maxAttempts: 5, on: [{ match: 'card_declined', action: 'fail' }] },
  effects: 'idempotent',
});
charge.implement(async ({ cents }, ctx) => ({ paymentId: `${ctx.idempotencyKey}-${cents}` }));
const mail = task({ name: 'mail', run: async (m: { to: string; subject: string; body?: string }) => ({ messageId: m.to }) });
const report = task({
  name: 'report',
  run: async (r: { holds: Settled<{ hold: string }>[] }) => ({ failed: r.holds.filter((h) => h.status !== 'success').length }),
});
const paid = signal('invoice.paid', z.object({ amount: z.number() }));
yes<Eq<OutputOf<typeof paid>, { amount: number }>>();

const order = workflow({ name: 'order', input: z.object({ id: z.string() }), timeout: '14d' }, (w, input) => {
  const o = w.run(loadOrder, { id: input.id });
  const holds = w.map(o.lines, reserve, (line) => ({ orderId: o.id, sku: line.sku, qty: line.qty }), { concurrency: 20, settle: true });
  const ok = w.run('all-held', { holds }, ({ holds }) => holds.every((h) => h.status === 'success'));
  const boss = w.when(
    o,
    (v) => v.total > 100,
    () => w.run('ask', { t: o.total }, ({ t }) => ({ by: `boss of ${t}` })),
  );
  const cents = w.run('cents', { t: o.total }, (v) => v.t * 100);
  const pay = w.run(charge, { orderId: o.id, cents }, { after: [ok, boss], join: 'none_failed' });
  w.run(mail, { to: o.email, subject: 'On its way' });
  w.run(report, { holds });
  return { payment: pay.paymentId, approvedBy: w.run('by', { boss: w.optional(boss) }, (v) => v.boss?.by ?? 'auto') };
});
yes<Eq<OutputOf<typeof order>, { payment: string; approvedBy: string }>>();
yes<Eq<InputOf<typeof order>, { id: string }>>();
const nightly = workflow({ name: 'nightly' }, (w) => ({ n: w.run('count', {}, () => 1) }));
yes<Eq<typeof nightly, Workflow<void, { n: number }>>>();

// ---- mistakes that must not compile -------------------------------------------------------------------------------------------------

workflow({ name: 'neg', input: z.object({ id: z.string() }) }, (w, input) => {
  const o = w.run(loadOrder, { id: input.id });
  // @ts-expect-error -- wrong leaf type: Ref<number> where a string is wanted
  w.run(loadOrder, { id: o.total });
  // @ts-expect-error -- a missing field
  w.run(charge, { orderId: o.id });
  // @ts-expect-error -- a misspelt field
  w.run(charge, { orderId: o.id, cent: 5, cents: 1 });
  // @ts-expect-error -- no such output
  w.run(mail, { to: o.emial, subject: 's' });
  // @ts-expect-error -- arithmetic on a ref
  const x = o.total * 100;
  // @ts-expect-error -- comparing a ref with a number
  if (o.total > 100) x;
  // @ts-expect-error -- a ref as a condition
  if (o.vip) w.run('never', {}, () => 1);
  // @ts-expect-error -- a ref as a condition
  const y = o.vip ? 1 : 2;
  // @ts-expect-error -- a bad duration
  w.run(mail, { to: o.email, subject: 's' }, { timeout: '3 days' });
  // @ts-expect-error -- a misspelt option
  w.run(mail, { to: o.email, subject: 's' }, { afer: [o], id: 'mail-2' });
  // @ts-expect-error -- an unknown join
  w.run(mail, { to: o.email, subject: 's' }, { join: 'most' });
  // @ts-expect-error -- not a list
  w.map(o.total, mail, () => ({ to: 'a', subject: 's' }));
  // @ts-expect-error -- the wrong input of an item
  w.map(o.lines, reserve, (line) => ({ orderId: o.id, sku: line.qty, qty: line.qty }));
  // @ts-expect-error -- the wrong input of a child workflow
  w.run(order, { id: 1 });
  // @ts-expect-error -- an inline task must return what can be stored
  w.run('bad', {}, () => ({ f: () => 1 }));
  return { y };
});
// @ts-expect-error -- a function in an output
task({ name: 'bad', run: async (i: { a: string }) => ({ f: () => i.a }) });
// @ts-expect-error -- an implementation that does not match its contract
charge.implement(async () => ({ paymentId: 5 }));
// @ts-expect-error -- a function in a workflow's output
workflow({ name: 'f' }, () => ({ f: () => 1 }));

// ---- inference ----------------------------------------------------------------------------------------------------------------------

type Union = { kind: 'a'; a: number } | { kind: 'b'; b: string };
const load = task({
  name: 'load',
  run: async (i: { id: string }) => ({
    id: i.id,
    vip: true,
    when: new Date(),
    tags: ['a'],
    nest: { deep: { n: 1 } },
    opt: undefined as string | undefined,
    u: { kind: 'a', a: 1 } as Union,
    index: new Map([['a', 1]]),
  }),
});
const takesStr = task({ name: 'ts', run: async (_i: { s: string }) => 1 });
const takesDate = task({ name: 'td', run: async (_i: { d: Date }) => 1 });
const takesOpt = task({ name: 'to', run: async (_i: { s?: string }) => 1 });
const takesMap = task({ name: 'tm', run: async (i: { m: Map<string, number> }) => i.m });
const vb = task({ name: 'vb', input: v.object({ n: v.number() }), run: async (i) => i.n + 1 });

workflow({ name: 'p', input: z.object({ id: z.string() }) }, (w, input) => {
  const o = w.run(load, { id: input.id });
  w.run(takesDate, { d: o.when });
  w.run(takesOpt, {});
  w.run(takesOpt, { s: o.id });
  w.run(takesStr, { s: o.tags[0]! });
  w.run(vb, { n: o.nest.deep.n });
  w.run(load, o);
  const m = w.run(takesMap, { m: o.index });
  w.run(takesMap, { m });
  w.run(takesMap, { m: new Map([['a', 1]]) });
  const kind: RefBase<'a' | 'b'> = o.u.kind;
  // @ts-expect-error -- string | undefined is not string
  w.run(takesStr, { s: o.opt });
  // @ts-expect-error -- a property of one member of the union only
  o.u.a;
  const inline = w.run('x', { o, n: [o.id, 'lit'] as const }, ({ o, n }) => {
    yes<Eq<typeof o.when, Date>>();
    yes<Eq<typeof n, [string, 'lit']>>();
    return o.u.kind === 'a' ? o.u.a : 0;
  });
  const b = w.when(
    o,
    (o) => o.vip,
    () => w.run(takesStr, { s: o.id }),
    () => ({ x: o.when }),
  );
  const parts = w.when(
    { vip: o.vip, id: input.id },
    ({ vip, id }) => vip && id !== '',
    () => 'yes',
    () => 'no',
  );
  const each = w.map(o.tags, takesStr, (s) => ({ s }), { key: (s) => s, tolerate: { ratio: 0.5 } });
  const all = w.map([o.id, 'lit'], takesStr, (s) => ({ s }), { id: 'all', settle: true });
  const { a } = w.settle({ a: w.run(vb, { n: 1 }) });
  const any = w.run('any', {}, () => JSON.parse('{}'));
  return { b, inline, kind, parts, each, all, a, any: any['whatever']?.['deep'], arr: [o.id, o.nest.deep.n] as const };
}) satisfies Workflow<
  { id: string },
  {
    b: number | { x: Date };
    inline: number;
    kind: 'a' | 'b';
    parts: string;
    each: number[];
    all: Settled<number>[];
    a: Settled<number>;
    any: unknown;
    arr: [string, number];
  }
>;

// ---- schemas that transform: callers give the input side, bodies get the output side ---------------------------------------------------

const Cents = z.string().transform((text) => Number(text));
const coerce = task({
  name: 'coerce',
  input: z.object({ at: z.string().transform((s) => new Date(s)), cents: Cents }),
  output: z.object({ n: Cents }),
});
coerce.implement(async ({ at, cents }) => ({ n: String(at.getTime() + cents) }));
// @ts-expect-error -- the body returns the schema's input side
coerce.implement(async () => ({ n: 5 }));
const coerced = workflow({ name: 'coerced', input: z.object({ since: z.string().default('now') }) }, (w, input) => {
  const c = w.run(coerce, { at: input.since, cents: '5' }, { when: ({ at, cents }) => at.getTime() > cents });
  // @ts-expect-error -- callers give the schema's input side
  w.run(coerce, { at: new Date(0), cents: 5 });
  return { n: w.optional(c.n, 0), since: input.since };
});
yes<Eq<InputOf<typeof coerced>, { since?: string | undefined }>>();
yes<Eq<OutputOf<typeof coerced>, { n: number; since: string }>>();

// ---- what may be skipped --------------------------------------------------------------------------------------------------------------

workflow({ name: 'maybe', input: z.object({ id: z.string() }) }, (w, input) => {
  const o = w.run(load, { id: input.id });
  const ask = w.when(
    o,
    (o) => o.vip,
    () => ({ note: w.run('ask', {}, () => 'hello'), list: o.tags }),
  );
  yes<Eq<typeof ask, MaybeRef<{ note: string; list: string[] }>>>();
  yes<Eq<typeof ask.note, MaybeRef<string>>>();
  yes<Eq<(typeof ask.list)[0], MaybeRef<string>>>();

  const own = w.run(takesStr, { s: 'a' }, { id: 'own', when: ({ s }) => s !== '' });
  const inlineOwn = w.run('inline-own', { o }, ({ o }) => o.id, { when: ({ o }) => o.vip });
  const one = w.run(takesStr, { s: 'a' }, { id: 'one', after: [ask], join: 'one_success' });
  const two = w.run(takesStr, { s: 'a' }, { id: 'two', after: [o, ask], join: 'at_least(2)' });
  const empty = w.map(o.tags, takesStr, (s) => ({ s }), { onEmpty: 'skip', settle: true });
  yes<Eq<typeof own, MaybeRef<number>>>();
  yes<Eq<typeof inlineOwn, MaybeRef<string>>>();
  yes<Eq<typeof one, MaybeRef<number>>>();
  yes<Eq<typeof two, MaybeRef<number>>>();
  yes<Eq<typeof empty, MaybeRef<Settled<number>[]>>>();

  const sure = w.run(takesStr, { s: 'a' }, { id: 'sure', after: [ask], join: 'none_failed' });
  const done = w.run(takesStr, { s: 'a' }, { id: 'done', after: [ask, own], join: 'all_done', allowFailure: true });
  const after = w.run(takesStr, { s: 'a' }, { id: 'after', after: [ask] });
  const either = w.when(
    o,
    (o) => o.vip,
    () => 1,
    () => 2,
    { id: 'either' },
  );
  const full = w.map(o.tags, takesStr, (s) => ({ s }), { onEmpty: 'success', id: 'full' });
  yes<Eq<typeof sure, Ref<number>>>();
  yes<Eq<typeof done, Ref<number>>>();
  yes<Eq<typeof after, Ref<number>>>();
  yes<Eq<typeof either, Ref<number>>>();
  yes<Eq<typeof full, Ref<number[]>>>();

  const read = w.optional(ask);
  const note = w.optional(ask.note, 'none');
  const list = w.optional(ask.list, []);
  yes<Eq<typeof read, Ref<{ note: string; list: string[] } | undefined>>>();
  w.run(takesStr, { s: note }, { id: 'with-note' });
  w.run(takesOpt, { s: w.optional(ask.note, o.id) });
  w.map(list, takesStr, (s) => ({ s }), { id: 'list' });
  const { how } = w.settle({ how: ask.note });
  yes<Eq<typeof how, Ref<Settled<string>>>>();
  const status: RefBase<'success' | 'failed' | 'upstream_failed' | 'cancelled' | 'skipped'> = how.status;

  // @ts-expect-error -- a task's input
  w.run(takesStr, { s: ask.note });
  // @ts-expect-error -- an optional field of a task's input
  w.run(takesOpt, { s: ask.note });
  // @ts-expect-error -- the whole input of a task
  w.run(takesOpt, ask);
  // @ts-expect-error -- a part of an inline task
  w.run('bad-1', { o, ask }, () => 1);
  // @ts-expect-error -- deep in a part of an inline task
  w.run('bad-2', { o, deep: [{ n: own }] }, () => 1);
  // @ts-expect-error -- the whole input of an inline task
  w.run('bad-3', own, () => 1);
  // @ts-expect-error -- the items of a map
  w.map(ask.list, takesStr, (s) => ({ s }));
  // @ts-expect-error -- one of the items of a map
  w.map([o.id, ask.note], takesStr, (s) => ({ s }));
  // @ts-expect-error -- the input of an item
  w.map(o.tags, takesStr, () => ({ s: ask.note }));
  // @ts-expect-error -- what a `when` decides on
  w.when(ask, yesOf, yesOf);
  // @ts-expect-error -- the value of a branch
  w.when(o, yesOf, () => ({ own }));
  // @ts-expect-error -- the value of the other branch
  w.when(o, yesOf, yesOf, () => own);
  // @ts-expect-error -- a default
  w.optional(ask.note, inlineOwn);
  // @ts-expect-error -- one of two refs may be skipped
  w.run('bad-4', { x: o.id === o.id ? o : ask }, () => 1);
  // @ts-expect-error -- arithmetic
  own * 2;
  // @ts-expect-error -- a condition
  if (own) w.run('never', {}, () => 1);
  return { note, status };
});
// @ts-expect-error -- a workflow's value
workflow({ name: 'out-1' }, (w) => w.run(takesStr, { s: 'a' }, { when: () => false }));
// @ts-expect-error -- a part of a workflow's value
workflow({ name: 'out-2' }, (w) => ({ a: { b: w.run(takesStr, { s: 'a' }, { when: () => false }) } }));

// ---- outputs --------------------------------------------------------------------------------------------------------------------------

// @ts-expect-error -- a promise inside an output
task({ name: 'bp', run: async (_i: {}) => ({ p: Promise.resolve(1) }) });
class Model {
  id = 'x';
  save(): void {}
}
// @ts-expect-error -- a class with methods
task({ name: 'bc', run: async (_i: {}) => new Model() });
task({ name: 'ok-any', run: async (_i: {}) => JSON.parse('{}') });
task({ name: 'ok-void', run: async (_i: {}) => {} });
task({
  name: 'ok-rich',
  run: async (_i: {}) => ({
    m: new Map([['a', 1]]),
    d: new Date(),
    b: 5n,
    u: new Uint8Array(2),
    l: new URL('http://a'),
    e: new Error('a'),
  }),
});
task({ name: 'ok-fetch', run: async (_i: {}, ctx) => (await fetch('http://a', { signal: ctx.signal })).status });
task({
  name: 'steps',
  run: async (_i: {}, ctx) => {
    // @ts-expect-error -- a step's value is recorded
    await ctx.step('bad', () => () => 1);
    return ctx.step(['call', 1], async () => new Date());
  },
});

// ---- what happens after a failure ---------------------------------------------------------------------------------------------------

const openDb = task({ name: 'open', input: z.object({ url: z.string() }), run: ({ url }) => ({ handle: url.length }) });
const closeDb = task({ name: 'close', run: (db: { handle: number }) => db.handle });
const refund = task({
  name: 'refund',
  run: (done: { input: { orderId: string }; output: { paymentId: string } }) => done.output.paymentId,
});
const instead = task({ name: 'instead', run: (failure: { error: { code: string } }) => ({ paymentId: failure.error.code }) });

workflow({ name: 'flow', failurePolicy: 'drain', compensateOn: ['failed'], retry: { maxAttempts: 2, initial: '1m' } }, (w) => {
  const inside = w.using('db', { setup: openDb, input: { url: 'x' }, teardown: closeDb, grace: '1m', failRun: true }, (db) => {
    yes<Eq<typeof db, Ref<{ handle: number }>>>();
    return { used: w.run('use', { handle: db.handle }, (v) => v.handle * 2) };
  });
  yes<Eq<typeof inside, { used: Ref<number> }>>();
  w.using('file', { setup: ({ at }) => `${at}.txt`, input: { at: 1 }, teardown: (name) => name.length }, (name) => {
    yes<Eq<typeof name, Ref<string>>>();
  });
  const pay = w.run(charge, { orderId: 'o', cents: 1 }, { compensate: refund, catch: instead });
  yes<Eq<typeof pay, Ref<{ paymentId: string }>>>();
  w.run('inline', { a: 1 }, (v) => v.a, {
    catch: ({ input, error }) => {
      yes<Eq<typeof error.attempts, number>>();
      return input.a;
    },
    compensate: ({ input, output }) => {
      yes<Eq<typeof input.a, 1>>();
      yes<Eq<typeof output, 1>>();
    },
  });
  w.map([1, 2], task({ name: 'n', run: (n: number) => String(n) }), (n) => n, {
    compensate: ({ input, output }) => {
      yes<Eq<typeof input, number>>();
      yes<Eq<typeof output, string>>();
    },
  });
  // @ts-expect-error -- what a handler gives must fit the task's output
  w.run('wrong', {}, () => 1, { catch: () => 'one' });
  // @ts-expect-error -- the teardown takes something else than the setup gives
  w.using('bad', { setup: () => 1, teardown: closeDb }, () => undefined);
  // @ts-expect-error -- a bracket has a teardown
  w.using('half', { setup: () => 1 }, () => undefined);
  // @ts-expect-error -- items are not caught one by one
  w.map([1], task({ name: 'm', run: (n: number) => n }), (n) => n, { catch: () => [1] });
  return {};
});
// @ts-expect-error -- there is no such policy
workflow({ name: 'p', failurePolicy: 'stop' }, () => ({}));
// @ts-expect-error -- rules over errors have no place in the retry of a run
workflow({ name: 'r', retry: { on: [] } }, () => ({}));

const heard = signal('heard', z.object({ at: z.date(), text: z.string() }));
workflow({ name: 'waits' }, (w) => {
  const sure = w.wait(heard, { key: 'k', timeout: '1d', where: ({ text }) => text !== '' });
  yes<Eq<typeof sure, Ref<{ at: Date; text: string }>>>();
  w.sleep(sure.at);
  w.sleep('30d', { after: [sure] });
  const answer = w.approve('boss', { who: ['ops'], form: z.object({ limit: z.number() }) });
  w.run('limit', { limit: answer.form.limit }, ({ limit }) => limit + 1);
  const maybe = w.wait(heard, { id: 'maybe', key: 'k', timeout: '1d', onTimeout: 'skip' });
  w.run('read', { text: w.optional(maybe.text) }, ({ text }) => text ?? 'none');
  // @ts-expect-error -- it may be skipped
  w.run('unread', { text: maybe.text }, ({ text }) => text);
  const perhaps = w.approve('perhaps', { who: ['ops'], onReject: 'skip' });
  // @ts-expect-error -- it may be skipped
  w.run('by', { by: perhaps.by }, ({ by }) => by);
  // @ts-expect-error -- no instant
  w.sleep(sure.text);
  // @ts-expect-error -- who is needed
  w.approve('nobody', {});
  return {};
});
task({
  name: 'waiter',
  run: async (n: number, ctx) => {
    await ctx.sleep('s', '1d');
    const got = await ctx.wait(['w', n], heard, { key: 'k' });
    yes<Eq<typeof got, { at: Date; text: string }>>();
    return n > 3 ? got.text : ctx.restart(n + 1);
  },
});

// ---- calls from a body --------------------------------------------------------------------------------------------------------------

const half = task({ name: 'half', input: z.object({ n: z.number(), exact: z.boolean().default(true) }), run: ({ n }) => n / 2 });
const seven = workflow({ name: 'seven' }, (w) => ({ v: w.run('v', {}, () => 7) }));
task({
  name: 'caller',
  run: async (given: number[], ctx) => {
    const got = await ctx.all([
      ['a', half, { n: 2 }],
      [['b', 1], seven],
    ]);
    yes<Eq<typeof got, [number, { v: number }]>>();
    const halves = await ctx.all(given.map((n, i) => [['c', i], half, { n }] as const));
    yes<Eq<typeof halves, number[]>>();
    const settled = await ctx.all(
      [
        ['s', half, { n: 2 }],
        ['t', seven],
      ],
      { settle: true },
    );
    yes<Eq<typeof settled, [Settled<number>, Settled<{ v: number }>]>>();
    // @ts-expect-error -- a field of another type, with an option
    await ctx.all([['u', half, { n: '2' }]], { settle: true });
    yes<Eq<ReturnType<typeof ctx.now>, Date>>();
    // @ts-expect-error -- a field of another type
    await ctx.all([['d', half, { n: '2' }]]);
    // @ts-expect-error -- no input
    await ctx.all([['e', half]]);
    // @ts-expect-error -- a field of another type, in a list that was made
    await ctx.all(given.map((n, i) => [['f', i], half, { n: String(n) }] as const));
    // @ts-expect-error -- no name
    await ctx.all([[half, { n: 2 }]]);
    // @ts-expect-error -- a field of another type
    await ctx.run('g', half, { n: '2' });
    // @ts-expect-error -- no input
    await ctx.run('h', half);
    return halves.length;
  },
});

// ---- bodies that give nothing, or never end well ------------------------------------------------------------------------------------

const throws = (): never => {
  throw new Error('no');
};
const neverEnds = task({ name: 'never-ends', run: async () => throws() });
const throwing = task({ name: 'throwing', input: z.string(), run: () => throws() });
const nothing = task({ name: 'nothing', run: (_: string) => undefined });
const isNull = task({ name: 'null', run: (_: string) => null });
yes<Eq<OutputOf<typeof neverEnds>, never>>();
yes<Eq<OutputOf<typeof throwing>, never>>();
yes<Eq<OutputOf<typeof nothing>, undefined>>();
yes<Eq<OutputOf<typeof isNull>, null>>();
