import { afterEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { signal, task, workflow } from '../../src/index.ts';
import type { Ctx } from '../../src/core/types/types.ts';
import { closeAll, engineOf, stateOf } from './kit.ts';

afterEach(closeAll);

const word = signal('word', z.object({ text: z.string() }));

/** A workflow of one task with this body. */
const of = <O>(run: (input: undefined, ctx: Ctx) => Promise<O>, opts: object = {}) => {
  const one = task({ name: 'body', run: run as (input: undefined, ctx: Ctx) => Promise<string>, retry: { maxAttempts: 1 }, ...opts });
  return workflow({ name: 'one' }, (w) => ({ out: w.run(one, undefined) }));
};

describe('a body that sleeps', () => {
  test('leaves its slot, and goes on where it stopped with its records', async () => {
    const passes: string[] = [];
    const flow = of(async (_, ctx) => {
      const got = await ctx.step('before', () => (passes.push('step'), 'x'));
      await ctx.sleep('night', '30d');
      passes.push(`woken in attempt ${ctx.attempt}`);
      return got;
    });
    const kit = engineOf(flow);
    const run = await kit.start(flow);
    await kit.clock.advance(30 * 86_400_000 - 1);
    expect(await stateOf(run)).toMatchObject({ tasks: { body: 'waiting' } });
    await kit.clock.advance(1);
    expect(await run.result()).toEqual({ out: 'x' });
    expect(passes).toEqual(['step', 'woken in attempt 1']);
  });

  test('a crash while it sleeps, and one after it woke: the sleep is not done again', async () => {
    const flow = of(async (_, ctx) => {
      await ctx.sleep('a', '10d');
      await ctx.sleep('b', '10d');
      return String(ctx.attempt);
    });
    const kit = engineOf(flow);
    const run = await kit.start(flow);
    await kit.clock.advance('5d');
    await kit.reboot();
    await kit.clock.advance('5d');
    await kit.reboot();
    await kit.clock.advance('10d');
    expect(await run.result()).toEqual({ out: '1' });
  });

  test('sixty times goes on at once each time: reading its records is no rest', async () => {
    const flow = of(async (_, ctx) => {
      for (let i = 0; i < 60; i++) await ctx.sleep(['nap', i], '1h');
    });
    const kit = engineOf(flow);
    const run = await kit.start(flow);
    await kit.clock.advance('60h');
    expect(await stateOf(run)).toMatchObject({ run: 'success', attempts: { body: 1 } });
  });

  test('until an instant; one that is over takes no time', async () => {
    const flow = of(async (_, ctx) => {
      await ctx.sleep('past', new Date(0));
      await ctx.sleep('future', new Date(Date.UTC(2031, 0)));
      return 'awake';
    });
    const kit = engineOf(flow);
    const run = await kit.start(flow);
    await kit.clock.to(new Date(Date.UTC(2031, 0) - 1));
    expect(await stateOf(run)).toMatchObject({ tasks: { body: 'waiting' } });
    await kit.clock.advance(1);
    expect(await run.result()).toEqual({ out: 'awake' });
  });

  test('only its running time counts for its timeout', async () => {
    const flow = of(async (_, ctx) => (await ctx.sleep('long', '3d'), 'done'), { timeout: '1m' });
    const kit = engineOf(flow);
    const run = await kit.start(flow);
    await kit.clock.advance('3d');
    expect(await run.result()).toEqual({ out: 'done' });
  });

  test('its total timeout reaches it while it waits', async () => {
    const flow = of(async (_, ctx) => (await ctx.sleep('long', '3d'), 'done'), { timeout: { total: '1d' } });
    const kit = engineOf(flow);
    const run = await kit.start(flow);
    await kit.clock.advance('1d');
    expect(await stateOf(run)).toMatchObject({ run: 'failed', tasks: { body: 'failed: total_timeout' } });
  });
});

describe('a body that waits', () => {
  test('gets the data of the message, also of one that came before', async () => {
    const flow = of(async (_, ctx) => {
      const a = await ctx.wait('first', word, { key: 'k' });
      const b = await ctx.wait('second', word, { key: 'k' });
      return a.text + b.text;
    });
    const kit = engineOf(flow);
    await kit.send(word, { key: 'k', data: { text: 'a' } });
    const run = await kit.start(flow);
    await kit.settle();
    expect(await kit.send(word, { key: 'k', data: { text: 'b' } })).toMatchObject({ woke: 1 });
    expect(await run.result()).toEqual({ out: 'ab' });
  });

  test('gives up with SIGNAL_TIMEOUT, which it may catch', async () => {
    const flow = of(async (_, ctx) => {
      try {
        return (await ctx.wait('w', word, { timeout: '1h' })).text;
      } catch (error) {
        if ((error as { code?: string }).code !== 'SIGNAL_TIMEOUT') throw error;
        return 'late';
      }
    });
    const kit = engineOf(flow);
    const run = await kit.start(flow);
    await kit.clock.advance('1h');
    expect(await run.result()).toEqual({ out: 'late' });
  });

  test('for several things at once: any of them wakes it, all of them end it', async () => {
    const flow = of(async (_, ctx) => {
      const [, message] = await Promise.all([ctx.sleep('s', '1d'), ctx.wait('w', word, { key: 'k' })]);
      return message.text;
    });
    const kit = engineOf(flow);
    const run = await kit.start(flow);
    await kit.settle();
    await kit.send(word, { key: 'k', data: { text: 'hi' } });
    await kit.settle();
    expect(await stateOf(run)).toMatchObject({ tasks: { body: 'waiting' } });
    await kit.clock.advance('1d');
    expect(await run.result()).toEqual({ out: 'hi' });
  });

  test('a race has the same winner in every later pass', async () => {
    const winners: string[] = [];
    const flow = of(async (_, ctx) => {
      const winner = await Promise.race([
        ctx.sleep('s', '2d').then(() => 'time'),
        ctx.wait('w', word, { key: 'k' }).then(({ text }) => text),
      ]);
      winners.push(winner);
      await ctx.sleep('later', '9d');
      return winner;
    });
    const kit = engineOf(flow);
    const run = await kit.start(flow);
    await kit.settle();
    await kit.send(word, { key: 'k', data: { text: 'message' } });
    await kit.clock.advance('30d');
    expect(await run.result()).toEqual({ out: 'message' });
    expect(new Set(winners)).toEqual(new Set(['message']));
    expect(winners.length).toBeGreaterThan(2);
  });

  test('a step that is under way is awaited before the body leaves', async () => {
    const done: string[] = [];
    const flow = of(async (_, ctx) => {
      const slow = ctx.step('slow', async () => {
        for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
        done.push('slow');
        return 's';
      });
      const [text] = await Promise.all([slow, ctx.sleep('n', '1d')]);
      return text;
    });
    const kit = engineOf(flow);
    const run = await kit.start(flow);
    await kit.clock.advance('1d');
    expect(await run.result()).toEqual({ out: 's' });
    expect(done).toEqual(['slow']);
  });

  test('a race that a step wins needs no wait', async () => {
    const flow = of(async (_, ctx) => Promise.race([ctx.step('fast', () => 'step'), ctx.sleep('n', '1d').then(() => 'time')]));
    const kit = engineOf(flow);
    expect(await (await kit.start(flow)).result()).toEqual({ out: 'step' });
  });

  test('cleanup in finally runs in every pass', async () => {
    let closed = 0;
    const flow = of(async (_, ctx) => {
      try {
        await ctx.sleep('n', '1d');
        return 'x';
      } finally {
        closed++;
      }
    });
    const kit = engineOf(flow);
    const run = await kit.start(flow);
    await kit.clock.advance('1d');
    await run.result();
    expect(closed).toBe(2);
  });

  test('items of a map wait each for their own', async () => {
    const each = task({ name: 'each', run: async (id: string, ctx) => (await ctx.wait('w', word, { key: id })).text });
    const flow = workflow({ name: 'many' }, (w) => ({ all: w.map(['a', 'b', 'c'], each, (id) => id) }));
    const kit = engineOf(flow);
    const run = await kit.start(flow);
    await kit.settle();
    for (const id of ['c', 'a', 'b']) await kit.send(word, { key: id, data: { text: id.toUpperCase() } });
    expect(await run.result()).toEqual({ all: ['A', 'B', 'C'] });
  });

  test('a redrive of a body that failed after its wait waits anew', async () => {
    const flow = of(async (_, ctx) => {
      const { text } = await ctx.wait('w', word, { key: 'k' });
      if (text === 'bad') throw new Error('bad word');
      return text;
    });
    const kit = engineOf(flow);
    const run = await kit.start(flow);
    await kit.send(word, { key: 'k', data: { text: 'bad' } });
    await kit.settle();
    expect(await stateOf(run)).toMatchObject({ tasks: { body: 'failed' } });
    await run.redrive();
    await kit.settle();
    await kit.send(word, { key: 'k', data: { text: 'good' } });
    expect(await run.result()).toEqual({ out: 'good' });
  });
});

describe('mistakes of a body fail loudly', () => {
  const failure = async (run: (input: undefined, ctx: Ctx) => Promise<unknown>, opts: object = {}, during?: string) => {
    const flow = of(run, opts);
    const kit = engineOf(flow);
    const started = await kit.start(flow);
    await kit.settle();
    if (during !== undefined) await kit.clock.advance(during as '1d');
    const [{ error } = { error: undefined }] = await started.tasks();
    return error?.code;
  };

  test('a suspension that is swallowed', async () => {
    expect(await failure(async (_, ctx) => ctx.sleep('a', '1d').catch(() => 'went on'))).toBe('STEP_SWALLOWED');
    expect(
      await failure(async (_, ctx) => {
        try {
          await ctx.sleep('a', '1d');
        } catch (cause) {
          throw new Error('wrapped', { cause });
        }
      }),
    ).toBe('STEP_SWALLOWED');
    expect(await failure(async (_, ctx) => Promise.allSettled([ctx.sleep('a', '1d'), ctx.sleep('b', '1d')]))).toBe('STEP_SWALLOWED');
    expect(await failure(async (_, ctx) => ctx.restart().catch(() => 'went on'))).toBe('STEP_SWALLOWED');
  });

  test('other arguments, or another kind of call, under the name of a record', async () => {
    let passes = 0;
    expect(await failure(async (_, ctx) => ctx.sleep('a', 86_400_000 + passes++), {}, '2d')).toBe('STEP_CHANGED');
    let kinds = 0;
    expect(await failure(async (_, ctx) => (kinds++ === 0 ? ctx.sleep('a', '1d') : ctx.step('a', () => 'x')), {}, '2d')).toBe(
      'STEP_CHANGED',
    );
  });

  test('a name used twice', async () => {
    expect(await failure(async (_, ctx) => Promise.all([ctx.sleep('a', '1d'), ctx.sleep('a', '1d')]))).toBe('STEP_DUPLICATE');
    expect(await failure(async (_, ctx) => Promise.all([ctx.sleep(['a', 1], '1d'), ctx.sleep(['a', 2], '1d')]))).toBeUndefined();
  });

  test.each(['sleep', 'wait', 'restart'] as const)('an unsafe body that calls ctx.%s', async (call) => {
    const body = async (_: undefined, ctx: Ctx): Promise<unknown> =>
      call === 'sleep' ? ctx.sleep('a', '1d') : call === 'wait' ? ctx.wait('a', word) : ctx.restart();
    expect(await failure(body, { effects: 'unsafe' })).toBe('TASK_UNSAFE_WAITS');
  });

  test('a promise that nobody awaits does not end the process', async () => {
    const flow = of(async (_, ctx) => {
      void ctx.sleep('forgotten', '1h');
      await ctx.sleep('awaited', '1d');
      return 'fine';
    });
    const kit = engineOf(flow);
    const run = await kit.start(flow);
    await kit.clock.advance('1d');
    expect(await run.result()).toEqual({ out: 'fine' });
  });
});

describe('restart', () => {
  test('begins anew with another input and an empty record, as other work', async () => {
    const seen: unknown[] = [];
    const loop = task({
      name: 'loop',
      run: async (n: number, ctx): Promise<number> => {
        seen.push([n, await ctx.step('turn', () => n * 10), ctx.idempotencyKey.split(':').at(-1)]);
        await ctx.sleep('pause', '1d');
        return n < 3 ? ctx.restart(n + 1) : n;
      },
    });
    const flow = workflow({ name: 'loops' }, (w) => ({ out: w.run(loop, 1) }));
    const kit = engineOf(flow);
    const run = await kit.start(flow);
    await kit.clock.advance('1d');
    await kit.reboot();
    await kit.clock.advance('2d');
    expect(await run.result()).toEqual({ out: 3 });
    const turns = [1, 2, 3].map((n) => [n, n * 10, String(n)]);
    expect(seen).toEqual(turns.flatMap((turn) => [turn, turn]));
  });

  test('three hundred turns leave no records behind', async () => {
    const loop = task({
      name: 'loop',
      run: async (n: number, ctx): Promise<number> => {
        await ctx.step('turn', () => n);
        return n < 300 ? ctx.restart(n + 1) : n;
      },
    });
    const flow = workflow({ name: 'loops' }, (w) => ({ out: w.run(loop, 1) }));
    const kit = engineOf(flow);
    expect(await (await kit.start(flow)).result()).toEqual({ out: 300 });
  });
});
