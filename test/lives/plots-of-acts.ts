/** Small workflows that people act on, and that wait for capacity. */
import { z } from 'zod';
import { NonRetryableError, task, workflow } from '../../src/index.ts';
import type { OnLimit } from '../../src/core/graph/graph.ts';
import type { Plotter } from './life.ts';

const start = { key: 'k' } as const;

const paused: Plotter = ({ mark, nap }) => {
  const one = workflow({ name: 'paused' }, (w) => {
    const a = w.run('a', {}, async (_, ctx) => {
      await nap(ctx, 4);
      mark(ctx, 'a');
    });
    const rest = w.sleep('6s');
    w.run('b', {}, (_, ctx) => mark(ctx, 'b'), { after: [a, rest] });
    return {};
  });
  const run = (kit: Parameters<ReturnType<Plotter>['acts'][number][1]>[0]) => kit.start(one, undefined, start);
  return {
    use: [one],
    acts: [
      [0, run],
      [2, async (kit) => (await run(kit)).pause({ requestId: 'p' })],
      [20, async (kit) => (await run(kit)).resume({ requestId: 'r' })],
    ],
    until: 60,
  };
};

const mended: Plotter = ({ mark, now }) => {
  const one = workflow({ name: 'mended' }, (w) => {
    const flaky = (id: string, until: number) =>
      w.run(id, {}, (_, ctx) => {
        if (now() < until) throw new NonRetryableError('not yet');
        mark(ctx, id);
        return id;
      });
    const [a, b] = [flaky('a', 15), flaky('b', 1_000)];
    const item = task({
      name: 'item',
      run: (i: { n: number }, ctx) => {
        if (i.n === 2 && now() < 15) throw new NonRetryableError('not yet');
        mark(ctx, `item-${i.n}`);
        return i.n;
      },
    });
    const items = w.map([1, 2, 3], item, (n) => ({ n }));
    const c = w.run('c', { a, b }, ({ a, b }, ctx) => (mark(ctx, `c-${a}-${b}`), 1));
    return { last: w.run('last', { c, items }, (_, ctx) => (mark(ctx, 'last'), 1)) };
  });
  const run = (kit: Parameters<ReturnType<Plotter>['acts'][number][1]>[0]) => kit.start(one, undefined, start);
  return {
    use: [one],
    acts: [
      [0, run],
      [20, async (kit) => (await run(kit)).redrive({ task: ['a', 'item'], requestId: 'r1' })],
      [30, async (kit) => (await run(kit)).mark('b', { output: 'hand', requestId: 'm' })],
      [40, async (kit) => (await run(kit)).rerun('c', { requestId: 'r2' })],
      [50, async (kit) => (await run(kit)).fork('last', { requestId: 'f' })],
      [55, async (kit) => (await run(kit)).restart({ requestId: 's' })],
    ],
    until: 90,
  };
};

const ON_LIMIT: readonly OnLimit[] = ['queue', 'cancel_new', 'cancel_old', 'fail'];

const gated: Plotter = ({ mark }) => {
  const all = ON_LIMIT.map((onLimit) =>
    workflow({ name: onLimit, input: z.object({ n: z.number() }), concurrency: { limit: 1, onLimit } }, (w, input) => {
      const rest = w.sleep('10s', { after: [w.run('a', { n: input.n }, ({ n }, ctx) => mark(ctx, `${onLimit}.a${n}`))] });
      w.run('b', { n: input.n }, ({ n }, ctx) => mark(ctx, `${onLimit}.b${n}`), { after: [rest] });
      return {};
    }),
  );
  return {
    use: all,
    acts: [1, 2, 3].flatMap((n) => all.map((one) => [n * 2, (kit) => kit.start(one, { n }, { key: `k${n}` })] as const)),
    until: 90,
  };
};

const keyed: Plotter = ({ mark, nap }) => {
  const all = [...ON_LIMIT, 'serial' as const].map((how) => {
    const work = task({
      name: `work.${how}`,
      concurrency: { limit: 1, ...(how === 'serial' ? { order: 'serial' } : { onLimit: how }) },
      run: async (n: number, ctx) => {
        await nap(ctx, 10);
        mark(ctx, `${how}-${n}`);
        return n;
      },
    });
    return workflow({ name: how, input: z.object({ n: z.number() }) }, (w, input) => ({ n: w.run(work, input.n) }));
  });
  return {
    use: all,
    acts: [1, 2, 3].flatMap((n) => all.map((one) => [n * 2, (kit) => kit.start(one, { n }, { key: `k${n}` })] as const)),
    until: 120,
  };
};

const pooled: Plotter = ({ mark, nap }) => {
  const work = task({
    name: 'work',
    pools: { db: 1 },
    rate: 'slowly',
    run: async (n: number, ctx) => {
      await nap(ctx, 2);
      mark(ctx, `work-${n}`);
      return n;
    },
  });
  const one = workflow({ name: 'pooled' }, (w) => ({ all: w.map([1, 2, 3, 4], work, (n) => n) }));
  return {
    use: [one],
    limits: { db: 2, slowly: '1/s' },
    acts: [[0, (kit) => kit.start(one, undefined, start)]],
    until: 60,
  };
};

const scheduled: Plotter = ({ mark }) => {
  const one = workflow({ name: 'scheduled', schedule: { every: '20s' } }, (w) => {
    w.run('tick', {}, (_, ctx) => mark(ctx, `tick-${ctx.dueAt?.toISOString() ?? ''}`));
    return {};
  });
  const later = workflow({ name: 'later' }, (w) => ({ n: w.run('n', {}, (_, ctx) => (mark(ctx, 'later'), 1)) }));
  return { use: [one, later], acts: [[0, (kit) => kit.start(later, undefined, { key: 'k', delay: '7s' })]], until: 50 };
};

export const plotsOfActs: Readonly<Record<string, Plotter>> = {
  'a pause and a resume': paused,
  'redrive, mark, rerun, fork and restart': mended,
  'keys of runs, with every way beyond the limit': gated,
  'keys of tasks, with every way beyond the limit, and serial': keyed,
  'a pool and a rate': pooled,
  'schedules, and a start that is delayed': scheduled,
};
