/** Small workflows whose runs start other runs. */
import { z } from 'zod';
import { NonRetryableError, task, workflow } from '../../src/index.ts';
import type { Plotter } from './life.ts';

const number = z.object({ n: z.number() });

const parent: Plotter = ({ mark }) => {
  const child = workflow({ name: 'child', input: number }, (w, input) => {
    const a = w.run('a', { n: input.n }, ({ n }, ctx) => (mark(ctx, 'a'), n + 1));
    return { b: w.run('b', { a }, ({ a }, ctx) => (mark(ctx, 'b'), a * 10)) };
  });
  const one = workflow({ name: 'parent' }, (w) => {
    const first = w.run('first', {}, (_, ctx) => (mark(ctx, 'first'), 1));
    const got = w.run(child, { n: first });
    return { last: w.run('last', { got }, ({ got }, ctx) => (mark(ctx, 'last'), got.b)) };
  });
  return { use: [one, child], acts: [[0, (kit) => kit.start(one, undefined, { key: 'k' })]], until: 60 };
};

/** Three levels, the deepest fails at one of three. */
const mapped: Plotter = ({ mark }) => {
  const leaf = workflow({ name: 'leaf', input: number }, (w, input) => ({
    n: w.run('leaf', { n: input.n }, ({ n }, ctx) => {
      mark(ctx, 'leaf');
      if (n === 2) throw new NonRetryableError('two');
      return n;
    }),
  }));
  const middle = workflow({ name: 'middle', input: number }, (w, input) => {
    const got = w.run(leaf, { n: input.n });
    return { n: w.run('middle', { got }, ({ got }, ctx) => (mark(ctx, 'middle'), got.n * 2)) };
  });
  const one = workflow({ name: 'mapped' }, (w) => {
    const all = w.map([1, 2, 3], middle, (n) => ({ n }), { tolerate: { count: 1 }, concurrency: 2 });
    return { sum: w.run('sum', { all }, ({ all }, ctx) => (mark(ctx, 'sum'), all.reduce((sum, { n }) => sum + n, 0))) };
  });
  return { use: [one, middle, leaf], acts: [[0, (kit) => kit.start(one, undefined, { key: 'k' })]], until: 60 };
};

const called: Plotter = ({ mark }) => {
  const double = task({ name: 'double', run: (i: { n: number }, ctx) => (mark(ctx, `double-${i.n}`), i.n * 2) });
  const sub = workflow({ name: 'sub' }, (w) => ({ v: w.run('v', {}, (_, ctx) => (mark(ctx, 'v'), 7)) }));
  const one = workflow({ name: 'called' }, (w) => ({
    sum: w.run('body', {}, async (_, ctx) => {
      const begun = await ctx.step('begun', () => (mark(ctx, 'begun'), 1));
      const four = await ctx.run('four', double, { n: 2 });
      const { v } = await ctx.run('seven', sub);
      const all = await ctx.all([1, 5, 6].map((n) => [['each', n], double, { n }] as const));
      return ctx.step('done', () => (mark(ctx, 'done'), begun + four + v + all.reduce((a, b) => a + b, 0)));
    }),
  }));
  return { use: [one, double, sub], acts: [[0, (kit) => kit.start(one, undefined, { key: 'k' })]], until: 60 };
};

const detached: Plotter = ({ mark, nap }) => {
  const child = workflow({ name: 'child' }, (w) => ({
    n: w.run('slow', {}, async (_, ctx) => {
      await nap(ctx, 3);
      mark(ctx, 'slow');
      return 1;
    }),
  }));
  const one = workflow({ name: 'detached' }, (w) => {
    const started = w.run(child, undefined, { detached: true });
    w.run('next', { started }, (_, ctx) => mark(ctx, 'next'));
    return {};
  });
  return { use: [one, child], acts: [[0, (kit) => kit.start(one, undefined, { key: 'k' })]], until: 60 };
};

const hooks: Plotter = ({ mark }) => {
  const note = (name: string) =>
    task({
      name,
      run: (told: { status: string }, ctx): string => {
        mark(ctx, `${name}-${told.status}`);
        return name;
      },
    });
  const build = (name: string, body: () => number) =>
    workflow(
      {
        name,
        onStart: note(`${name}.start`),
        onSuccess: note(`${name}.good`),
        onFailure: note(`${name}.bad`),
        onFinish: note(`${name}.end`),
      },
      (w) => ({
        n: w.run('work', {}, (_, ctx) => (mark(ctx, name), body())),
      }),
    );
  const good = build('good', () => 1);
  const bad = build('bad', () => {
    throw new NonRetryableError('bad');
  });
  return {
    use: [good, bad],
    acts: [
      [0, (kit) => kit.start(good, undefined, { key: 'k' })],
      [0, (kit) => kit.start(bad, undefined, { key: 'k' })],
    ],
    until: 60,
  };
};

/** A cancel and a deadline flow down to children that are at work, wait, and have children. */
const flowsDown: Plotter = ({ mark, nap }) => {
  const inner = workflow({ name: 'inner' }, (w) => ({
    n: w.using('db', { setup: (_: unknown, ctx) => (mark(ctx, 'up'), 1), teardown: (_, ctx) => mark(ctx, 'down') }, () =>
      w.run('long', {}, async (_, ctx) => {
        await nap(ctx, 1_000);
        return 1;
      }),
    ),
  }));
  const middle = workflow({ name: 'middle' }, (w) => {
    const got = w.run(inner, undefined);
    w.sleep('1h');
    return { got };
  });
  const asked = workflow({ name: 'asked' }, (w) => ({ got: w.run(middle, undefined) }));
  const late = workflow({ name: 'late', timeout: '10s' }, (w) => ({ got: w.run(middle, undefined) }));
  return {
    use: [asked, late, middle, inner],
    acts: [
      [0, (kit) => kit.start(asked, undefined, { key: 'k' })],
      [0, (kit) => kit.start(late, undefined, { key: 'k' })],
      [5, async (kit) => (await kit.start(asked, undefined, { key: 'k' })).cancel({ requestId: 'c' })],
    ],
    until: 60,
  };
};

const redrivenChild: Plotter = ({ mark, now }) => {
  const child = workflow({ name: 'child' }, (w) => {
    const a = w.run('a', {}, (_, ctx) => (mark(ctx, 'a'), 1));
    return {
      b: w.run('b', { a }, ({ a }, ctx) => {
        if (now() < 5) throw new NonRetryableError('not yet');
        mark(ctx, 'b');
        return a + 1;
      }),
    };
  });
  const one = workflow({ name: 'parent' }, (w) => {
    const all = w.map([1, 2], child, () => undefined);
    return { last: w.run('last', { all }, ({ all }, ctx) => (mark(ctx, 'last'), all.length)) };
  });
  return {
    use: [one, child],
    acts: [
      [0, (kit) => kit.start(one, undefined, { key: 'k' })],
      [10, async (kit) => (await kit.start(one, undefined, { key: 'k' })).redrive({ requestId: 'r' })],
    ],
    until: 60,
  };
};

export const plotsOfChildren: Readonly<Record<string, Plotter>> = {
  'a child run': parent,
  'a map over workflows that have children, one of which fails': mapped,
  'a body that calls tasks and workflows': called,
  'a detached child': detached,
  hooks,
  'a cancel and a deadline that flow down': flowsDown,
  'a redrive that goes down to children': redrivenChild,
};
