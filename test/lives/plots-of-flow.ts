/** Small workflows that fail, clean up, undo, race and wait. */
import { z } from 'zod';
import { NonRetryableError, signal, task, workflow } from '../../src/index.ts';
import type { Plotter } from './life.ts';

const start = { key: 'k' } as const;
const never = (): never => {
  throw new NonRetryableError('for good');
};

const caught: Plotter = ({ mark, now }) => {
  const one = workflow({ name: 'caught' }, (w) => {
    const a = w.run(
      'a',
      {},
      (): number => {
        throw new Error('again and again');
      },
      { retry: { maxAttempts: 2, initial: '1s', jitter: 'none' }, catch: (_, ctx) => (mark(ctx, 'a.catch'), 5) },
    );
    const b = w.run('b', {}, (): number => never(), {
      catch: (_, ctx) => {
        mark(ctx, 'b.catch');
        return never();
      },
      allowFailure: true,
    });
    const c = w.run(
      'c',
      {},
      () => {
        if (now() < 4) throw new Error('not yet');
        return 1;
      },
      { retry: { maxAttempts: 10, initial: '3s', factor: 1, jitter: 'none' } },
    );
    w.run('after', {}, (_, ctx) => mark(ctx, 'after'), { after: [b], join: 'all_done' });
    return { sum: w.run('sum', { a, c }, ({ a, c }, ctx) => (mark(ctx, 'sum'), a + c)) };
  });
  return { use: [one], acts: [[0, (kit) => kit.start(one, undefined, start)]], until: 90 };
};

const tornDown: Plotter = ({ mark, nap }) => {
  const build = (name: string, failurePolicy: 'continue' | 'drain' | 'abort') =>
    workflow({ name, failurePolicy }, (w) => {
      w.using(
        'outer',
        { setup: (_: unknown, ctx) => (mark(ctx, `${name}.up`), 'x'), teardown: (_, ctx) => mark(ctx, `${name}.down`) },
        (x) => {
          const a = w.run('a', { x }, (_, ctx) => mark(ctx, `${name}.a`));
          w.run('bad', { a }, async (_, ctx): Promise<number> => {
            await nap(ctx, 2);
            return never();
          });
          // Under drain an attempt that is lost after the failure is not made again: that is another end than that of an undisturbed run.
          if (failurePolicy !== 'drain')
            w.run('slow', { a }, async (_, ctx) => {
              await nap(ctx, 20);
              mark(ctx, `${name}.slow`);
            });
          w.sleep('30s', { after: [a] });
        },
      );
      return {};
    });
  const all = (['continue', 'drain', 'abort'] as const).map((policy) => build(policy, policy));
  return { use: all, acts: all.map((one) => [0, (kit) => kit.start(one, undefined, start)] as const), until: 120 };
};

const undone: Plotter = ({ mark }) => {
  const step = (name: string) => (_: unknown, ctx: Parameters<typeof mark>[0]) => (mark(ctx, name), name);
  const item = task({ name: 'item', run: (i: { n: number }, ctx) => (mark(ctx, `item-${i.n}`), i.n) });
  const child = workflow({ name: 'child' }, (w) => ({ x: w.run('x', {}, step('x'), { compensate: step('x.undo') }) }));
  const one = workflow({ name: 'saga' }, (w) => {
    const a = w.run('a', {}, step('a'), { compensate: step('a.undo') });
    const items = w.map([1, 2], item, (n) => ({ n }), { after: [a], compensate: ({ input }, ctx) => mark(ctx, `undo-${input.n}`) });
    const sub = w.run(child, undefined, { after: [items] });
    const b = w.run('b', { sub }, step('b'), { compensate: (_, ctx) => (mark(ctx, 'b.undo'), never()) });
    w.run('bad', { b }, () => never());
    return {};
  });
  return { use: [one, child], acts: [[0, (kit) => kit.start(one, undefined, start)]], until: 90 };
};

const retriedWhole: Plotter = ({ mark, now }) => {
  const child = workflow({ name: 'child' }, (w) => ({
    n: w.run('n', {}, (_, ctx) => {
      if (now() < 8) throw new NonRetryableError('not yet');
      mark(ctx, 'n');
      return 1;
    }),
  }));
  const one = workflow(
    {
      name: 'whole',
      retry: { maxAttempts: 3, initial: '10s', jitter: 'none' },
      onFinish: (told, ctx) => mark(ctx, `finish-${told.status}`),
    },
    (w) => {
      const a = w.run('a', {}, (_, ctx) => (mark(ctx, 'a'), 1));
      const n = w.run(child, undefined, { after: [a] });
      return { last: w.run('last', { n }, ({ n }, ctx) => (mark(ctx, 'last'), n.n)) };
    },
  );
  return { use: [one, child], acts: [[0, (kit) => kit.start(one, undefined, start)]], until: 90 };
};

const raced: Plotter = ({ mark, nap }) => {
  const one = workflow({ name: 'raced' }, (w) => {
    const quick = w.run('quick', {}, async (_, ctx) => {
      await nap(ctx, 2);
      mark(ctx, 'quick');
      return 1;
    });
    const slow = w.run('slow', {}, async (_, ctx) => {
      await nap(ctx, 200);
      mark(ctx, 'slow');
      return 2;
    });
    const asleep = w.run('asleep', {}, () => 3, { after: [w.sleep('1h')] });
    const won = w.first({ quick, slow, asleep });
    return { next: w.run('next', { won }, ({ won }, ctx) => (mark(ctx, 'next'), won)) };
  });
  return { use: [one], acts: [[0, (kit) => kit.start(one, undefined, start)]], until: 90 };
};

const branched: Plotter = ({ mark }) => {
  const one = workflow({ name: 'branched', guard: () => true }, (w) => {
    const list = w.run('list', {}, (_, ctx) => (mark(ctx, 'list'), ['a', 'b', 'c']));
    const all = w.map(
      list,
      (w, item) => {
        const up = w.run('up', { item }, ({ item }, ctx) => (mark(ctx, `up-${item}`), item.toUpperCase()));
        return { twice: w.run('twice', { up }, ({ up }, ctx) => (mark(ctx, `twice-${up}`), up + up)) };
      },
      { concurrency: 2 },
    );
    const many = w.when(
      { list },
      ({ list }) => list.length > 2,
      () => w.run('many', { all }, ({ all }, ctx) => (mark(ctx, 'many'), all.map((one) => one.twice).join())),
      () => w.run('few', {}, () => 'few'),
    );
    w.run('skipped', { many }, (_, ctx) => mark(ctx, 'skipped'), { when: () => false });
    return { many };
  });
  return { use: [one], acts: [[0, (kit) => kit.start(one, undefined, start)]], until: 60 };
};

const word = signal('word', z.object({ text: z.string() }));

const suspended: Plotter = ({ mark }) => {
  const loop = task({
    name: 'loop',
    run: async (n: number, ctx): Promise<string> => {
      await ctx.step('begun', () => mark(ctx, `begun-${n}`));
      await ctx.sleep('nap', '5s');
      const { text } = await ctx.wait('word', word, { key: `w${n}` });
      await ctx.step('heard', () => mark(ctx, `heard-${n}-${text}`));
      return n < 2 ? ctx.restart(n + 1) : text;
    },
  });
  const one = workflow({ name: 'suspended' }, (w) => {
    const text = w.run(loop, 1);
    return { text: w.run('after', { text }, ({ text }, ctx) => (mark(ctx, 'after'), text)) };
  });
  return {
    use: [one, word],
    acts: [
      [0, (kit) => kit.start(one, undefined, start)],
      [2, (kit) => kit.send(word, { key: 'w1', data: { text: 'early' }, dedupe: 'd1' })],
      [40, (kit) => kit.send(word, { key: 'w2', data: { text: 'late' }, dedupe: 'd2' })],
    ],
    until: 90,
  };
};

const answered: Plotter = ({ mark }) => {
  const asks = (name: string) =>
    workflow({ name }, (w) => {
      const said = w.approve('boss', { who: ['ops'], timeout: '40s', onReject: 'skip' });
      const heard = w.wait(word, { key: 'all', timeout: '1h' });
      w.run('yes', { said: w.optional(said) }, (_, ctx) => mark(ctx, `${name}.said`));
      w.run('heard', { heard }, ({ heard }, ctx) => mark(ctx, `${name}.${heard.text}`));
      return {};
    });
  const [yes, no, late] = [asks('yes'), asks('no'), asks('late')] as const;
  const id = async (kit: Parameters<typeof act>[0], one: typeof yes): Promise<string> => (await kit.start(one, undefined, start)).id;
  const act = (kit: Parameters<ReturnType<Plotter>['acts'][number][1]>[0]) => kit;
  return {
    use: [yes, no, late, word],
    acts: [
      ...[yes, no, late].map((one) => [0, (kit: Parameters<typeof act>[0]) => kit.start(one, undefined, start)] as const),
      [5, async (kit) => kit.approvals.approve(await id(kit, yes), { actor: 'ann', requestId: 'y' })],
      [10, async (kit) => kit.approvals.reject(await id(kit, no), { actor: 'ann', requestId: 'n' })],
      [20, (kit) => kit.send(word, { key: 'all', to: 'all', data: { text: 'hey' }, dedupe: 'd' })],
    ],
    until: 90,
  };
};

export const plotsOfFlow: Readonly<Record<string, Plotter>> = {
  'retries and handlers of failures': caught,
  'teardowns under each failure policy': tornDown,
  'compensations, of items and of a child too': undone,
  'a retry of the whole run': retriedWhole,
  'a race': raced,
  'branches, and a map of parts of the graph': branched,
  'a body that sleeps, waits and restarts': suspended,
  'approvals and signals': answered,
};
