import { afterEach, describe, expect, test } from 'vitest';
import { isPawlError, NonRetryableError, signal, task, workflow } from '../../src/index.ts';
import type { Ctx, Task } from '../../src/core/types/types.ts';
import { testEngine, type TestEngine } from '../../src/testing/index.ts';
import { z } from 'zod';

const open: TestEngine[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((kit) => kit.close()));
});

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
const word = signal('word', z.object({ text: z.string() }));

const did: string[] = [];
afterEach(() => void did.splice(0));
const tool: Task<{ what: string }, string> = task({
  name: 'tool',
  run: ({ what }: { what: string }) => {
    did.push(what);
    if (what === 'bad') throw new NonRetryableError('bad tool', { code: 'EBAD' });
    return what.toUpperCase();
  },
});
const slow = task({ name: 'slow', run: async (_: undefined, ctx): Promise<string> => (await ctx.sleep('nap', '1d'), 'slow') });
const never = workflow({ name: 'never', guard: () => false }, (w) => ({ v: w.run('v', {}, () => 1) }));

/** What the body came to: its value, or the code of its failure. */
async function came(body: (ctx: Ctx) => Promise<unknown>): Promise<unknown> {
  const one = workflow({ name: 'case' }, (w) => ({
    out: w.run('body', {}, async (_, ctx) => JSON.stringify(await body(ctx)), { retry: { maxAttempts: 1 } }),
  }));
  const kit = testEngine({ use: [one, tool, slow, never], logger: silent });
  open.push(kit);
  const run = await kit.start(one);
  await kit.clock.advance('2d');
  const [{ status, error } = expect.fail('no task')] = await run.tasks();
  return status === 'success' ? ((JSON.parse((await run.result()).out ?? 'null') as unknown) ?? null) : error?.code;
}

const call = (ctx: Ctx, what: string): Promise<string> => ctx.run(what, tool, { what });

describe('a body that calls in an unusual way', () => {
  test.each<[string, unknown, (ctx: Ctx) => Promise<unknown>]>([
    ['the same name twice', 'STEP_DUPLICATE', async (ctx) => [await call(ctx, 'a'), await call(ctx, 'a')]],
    [
      'the same name twice in one ctx.all',
      'STEP_DUPLICATE',
      async (ctx) =>
        ctx.all([
          ['a', tool, { what: 'a' }],
          ['a', tool, { what: 'b' }],
        ]),
    ],
    ['a name that a step has', 'STEP_DUPLICATE', async (ctx) => [await ctx.step('a', () => 1), await call(ctx, 'a')]],
    ['a run inside a step', 'STEP_NESTED', async (ctx) => ctx.step('s', () => call(ctx, 'a'))],
    ['a ctx.all inside a step', 'STEP_NESTED', async (ctx) => ctx.step('s', () => ctx.all([['a', tool, { what: 'a' }]]))],
    [
      'a wait inside a step, after something else',
      'STEP_NESTED',
      async (ctx) => ctx.step('s', async () => (await Promise.resolve(), ctx.wait('w', word))),
    ],
    ['a restart inside a step', 'STEP_NESTED', async (ctx) => ctx.step('s', () => ctx.restart())],
    ['a step inside a step', 3, async (ctx) => ctx.step('s', async () => 1 + (await ctx.step('t', () => 2)))],
    ['a call after a step that has ended', 'A', async (ctx) => ctx.step('s', () => 1).then(() => call(ctx, 'a'))],
    ['a run that nobody awaits', 'STEP_NOT_AWAITED', async (ctx) => void call(ctx, 'a')],
    ['a run that nobody awaits beside one that is', 'STEP_NOT_AWAITED', async (ctx) => (void call(ctx, 'a'), call(ctx, 'b'))],
    ['a ctx.all that nobody awaits', 'STEP_NOT_AWAITED', async (ctx) => void ctx.all([['a', tool, { what: 'a' }]])],
    ['a restart that nobody awaits', 'STEP_NOT_AWAITED', async (ctx) => void ctx.restart()],
    ['a step that nobody awaits', 'STEP_NOT_AWAITED', async (ctx) => void ctx.step('s', () => 1)],
    [
      'a run that is awaited late',
      ['B', 'A'],
      async (ctx) => {
        const a = call(ctx, 'a');
        return [await call(ctx, 'b'), await a];
      },
    ],
    ['Promise.all', ['A', 'B', 'C'], async (ctx) => Promise.all([call(ctx, 'a'), call(ctx, 'b'), call(ctx, 'c')])],
    ['Promise.race', 'A', async (ctx) => Promise.race([call(ctx, 'a'), ctx.run('slow', slow)])],
    ['Promise.race with a step', 's', async (ctx) => Promise.race([call(ctx, 'a'), ctx.step('s', () => 's')])],
    ['Promise.any', 'A', async (ctx) => Promise.any([call(ctx, 'bad'), ctx.run('slow', slow), call(ctx, 'a')])],
    ['Promise.allSettled', 'STEP_SWALLOWED', async (ctx) => Promise.allSettled([call(ctx, 'a'), call(ctx, 'bad')])],
    ['a catch of everything that goes on', 'STEP_SWALLOWED', async (ctx) => call(ctx, 'a').catch(() => 'fallback')],
    ['a catch of everything that goes on with another call', 'A', async (ctx) => call(ctx, 'a').catch(() => call(ctx, 'b'))],
    [
      'a catch of everything that throws another error',
      'STEP_SWALLOWED',
      async (ctx) => call(ctx, 'a').catch(() => Promise.reject(new Error('x'))),
    ],
    [
      'a catch by the code',
      'EBAD',
      async (ctx) =>
        call(ctx, 'bad').catch((error: unknown) => {
          if (!isPawlError(error, 'RUN_FAILED')) throw error;
          return error.details['cause'];
        }),
    ],
    ['no catch at all', 'RUN_FAILED', async (ctx) => call(ctx, 'bad')],
    ['a ctx.all of nothing', [], async (ctx) => ctx.all([])],
    ['a ctx.all with an option that there is not', 'CONFIG_OPTION', async (ctx) => ctx.all([], { setle: true } as never)],
  ])('%s', async (_, expected, body) => {
    expect(await came(body)).toEqual(expected);
  });

  test('a ctx.all of which one call cannot be made makes none', async () => {
    const unknown = task({ name: 'unknown', run: () => 1 });
    expect(
      await came(async (ctx) =>
        ctx.all([
          ['a', tool, { what: 'a' }],
          ['b', unknown],
        ]),
      ),
    ).toBe('RUN_UNKNOWN_WORKFLOW');
    expect(did).toEqual([]);
  });

  test('settle gives how each of them ended', async () => {
    const body = async (ctx: Ctx) =>
      ctx.all(
        [
          ['a', tool, { what: 'a' }],
          ['b', tool, { what: 'bad' }],
          ['c', never],
        ],
        { settle: true },
      );
    expect(await came(body)).toEqual([
      { status: 'success', value: 'A' },
      { status: 'failed', error: { code: 'EBAD', message: expect.stringContaining('bad tool') as string, attempts: 0 } },
      { status: 'skipped' },
    ]);
  });

  test("the clock is the engine's", async () => {
    expect(
      await came(async (ctx) => {
        const begun = await ctx.step('begun', () => ctx.now());
        await ctx.sleep('until', new Date(begun.getTime() + 3_600_000));
        return [begun.getTime() < Date.UTC(2100, 0), ctx.now().getTime() - begun.getTime()];
      }),
    ).toEqual([true, 3_600_000]);
  });
});

describe('a ctx.all that is half done', () => {
  test('goes on in another process where it was, and says what it waits for', async () => {
    const nap = task({
      name: 'nap',
      run: async ({ hours }: { hours: number }, ctx) => (did.push(`nap ${hours}`), await ctx.sleep('nap', `${hours}h`), hours),
    });
    let passes = 0;
    const one = workflow({ name: 'case' }, (w) => ({
      out: w.run('body', {}, async (_, ctx) => {
        passes++;
        return ctx.all([1, 2, 3].map((hours) => [['nap', hours], nap, { hours }] as const));
      }),
    }));
    const kit = testEngine({ use: [one, nap], logger: silent });
    open.push(kit);
    const run = await kit.start(one);
    for (const left of [3, 2, 1]) {
      await kit.settle();
      expect((await run.why()).sentence.match(/a run of "task:nap"/g)).toHaveLength(left);
      await kit.reboot();
      await kit.clock.advance('1h');
    }
    expect(await run.result()).toEqual({ out: [1, 2, 3] });
    expect(passes).toBe(2);
  });

  test('beside another wait is taken up by a later pass', async () => {
    const one = workflow({ name: 'case' }, (w) => ({
      out: w.run('body', {}, async (_, ctx) => {
        const both = ctx.all([
          ['a', tool, { what: 'a' }],
          ['slow', slow],
        ]);
        await Promise.race([both, ctx.sleep('s', '1h')]);
        return ctx.step('then', () => 'then').then(async (then) => [then, await both]);
      }),
    }));
    const kit = testEngine({ use: [one, tool, slow], logger: silent });
    open.push(kit);
    const run = await kit.start(one);
    await kit.clock.advance('1h');
    await kit.reboot();
    await kit.clock.advance('1d');
    expect(await run.result()).toEqual({ out: ['then', ['A', 'slow']] });
    expect(did).toEqual(['a']);
  });
});

describe('a race has the same winner in every pass', () => {
  const passes: string[][] = [];
  afterEach(() => void passes.splice(0));
  /** Notes in each pass who won, and then leaves twice. */
  const noted = async (ctx: Ctx, race: (won: (name: string) => <T>(value: T) => T) => Promise<unknown>): Promise<string[]> => {
    const order: string[] = [];
    passes.push(order);
    const won =
      (name: string) =>
      <T>(value: T): T => (order.push(name), value);
    await race(won);
    await ctx.sleep('one', '1h');
    await ctx.sleep('two', '1h');
    return order;
  };

  test.each<[string, string[], (ctx: Ctx, won: (name: string) => <T>(value: T) => T) => Promise<unknown>]>([
    [
      'of a call and a step',
      ['step', 'call'],
      async (ctx, won) => {
        const called = call(ctx, 'a').then(won('call'));
        await Promise.race([called, ctx.step('s', () => 's').then(won('step'))]);
        return called;
      },
    ],
    [
      'of a call and a step that is made a little later',
      ['step', 'call'],
      async (ctx, won) => {
        const called = call(ctx, 'a').then(won('call'));
        for (let i = 0; i < 20; i++) await Promise.resolve();
        await Promise.race([called, ctx.step('s', () => 's').then(won('step'))]);
        return called;
      },
    ],
    ['of two calls', ['b', 'a'], async (ctx, won) => Promise.all([ctx.run('a', slow).then(won('a')), call(ctx, 'b').then(won('b'))])],
    [
      'of a call and what follows another one',
      ['b', 'step', 'a'],
      async (ctx, won) => {
        const b = async (): Promise<void> => {
          await call(ctx, 'b').then(won('b'));
          await ctx.step('s', () => 's').then(won('step'));
        };
        return Promise.all([ctx.run('a', slow).then(won('a')), b()]);
      },
    ],
  ])('%s', async (_, expected, race) => {
    expect(await came(async (ctx) => noted(ctx, (won) => race(ctx, won)))).toEqual(expected);
    const whole = passes.filter((order) => order.length === expected.length);
    expect(whole.length).toBeGreaterThanOrEqual(3);
    for (const order of passes) expect(expected.slice(0, order.length)).toEqual(order);
  });
});
