import { afterEach, describe, expect, test } from 'vitest';
import { NonRetryableError, task, workflow } from '../../src/index.ts';
import type { Ctx, Task } from '../../src/core/types/types.ts';
import { testEngine, type TestEngine } from '../../src/testing/index.ts';
import { stateOf } from './kit.ts';

const open: TestEngine[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((kit) => kit.close()));
});

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

type Tool = Task<{ what: string }, string>;
type Pass<O> = (ctx: Ctx, call: (name: string, what?: string) => Promise<string>, input: string, tool: Tool) => Promise<O>;

/** A body that calls `tool`, which notes what it did and fails for what is in `broken`. */
function bodyOf<O>(run: Pass<O>) {
  const did: string[] = [];
  const broken = new Set<string>();
  const tool = task({
    name: 'tool',
    run: ({ what }: { what: string }) => {
      if (broken.has(what)) throw new NonRetryableError(`no ${what}`);
      did.push(what);
      return what.toUpperCase();
    },
  });
  const body = task({
    name: 'body',
    retry: { maxAttempts: 1 },
    run: async (input: string, ctx): Promise<string> =>
      JSON.stringify(await run(ctx, (name, what = name) => ctx.run(name, tool, { what }), input, tool)),
  });
  const one = workflow({ name: 'case' }, (w) => ({ out: w.run(body, 'first') }));
  const kit = testEngine({ use: [one, tool], logger: silent });
  open.push(kit);
  return { did, broken, tool, one, kit };
}

const toolRuns = async (kit: TestEngine) => (await kit.runs.list({ workflow: 'task:tool', parts: true })).runs;

describe('the redrive of a body that called', () => {
  test('takes what has succeeded, and the call that failed goes on in itself', async () => {
    const { did, broken, one, kit } = bodyOf(async (_, call) => [await call('a'), await call('b'), await call('c')]);
    broken.add('b');
    const run = await kit.start(one);
    await kit.settle();
    expect(await stateOf(run)).toMatchObject({ run: 'failed' });
    broken.clear();
    await run.redrive();
    expect(await run.result()).toEqual({ out: '["A","B","C"]' });
    expect(did).toEqual(['a', 'b', 'c']);
    expect(await toolRuns(kit)).toHaveLength(3);
    expect((await kit.dead.list()).letters).toEqual([]);
  });

  test('117: a run of 3 tasks of which the second failed does only the second and the third again', async () => {
    const did: string[] = [];
    let isBroken = true;
    const child = workflow({ name: 'child' }, (w) => {
      const first = w.run('first', {}, () => void did.push('first'));
      const second = w.run('second', {}, () => (isBroken ? Promise.reject(new NonRetryableError('no')) : void did.push('second')), {
        after: [first],
      });
      w.run('third', {}, () => void did.push('third'), { after: [second] });
      return {};
    });
    const parent = workflow({ name: 'parent' }, (w) => ({
      out: w.run('body', {}, async (_, ctx) => (await ctx.run('child', child), 'done')),
    }));
    const kit = testEngine({ use: [parent, child], logger: silent });
    open.push(kit);
    const run = await kit.start(parent);
    await kit.settle();
    isBroken = false;
    await run.redrive();
    expect(await run.result()).toEqual({ out: 'done' });
    expect(did).toEqual(['first', 'second', 'third']);
  });

  test('of a ctx.all does the failed ones again, and goes on over a crash between', async () => {
    const { did, broken, one, kit } = bodyOf(async (ctx, _, __, tool) =>
      ctx.all(['a', 'b', 'c', 'd'].map((what) => [what, tool, { what }] as const)),
    );
    for (const what of ['b', 'd']) broken.add(what);
    const run = await kit.start(one);
    await kit.settle();
    broken.delete('b');
    await run.redrive();
    await kit.settle();
    expect(await stateOf(run)).toMatchObject({ run: 'failed' });
    await kit.reboot();
    broken.clear();
    await run.redrive();
    await kit.reboot();
    expect(await run.result()).toEqual({ out: '["A","B","C","D"]' });
    expect(did.toSorted()).toEqual(['a', 'b', 'c', 'd']);
    expect(await toolRuns(kit)).toHaveLength(4);
  });

  test('calls anew what asks for something else by now', async () => {
    let what = 'wrong';
    const { did, broken, one, kit } = bodyOf(async (_, call) => [await call('a'), await call('b', what)]);
    broken.add('wrong');
    const run = await kit.start(one);
    await kit.settle();
    what = 'right';
    await run.redrive();
    expect(await run.result()).toEqual({ out: '["A","RIGHT"]' });
    expect(did).toEqual(['a', 'right']);
    expect((await toolRuns(kit)).map(({ status }) => status)).toEqual(['success', 'failed', 'success']);
  });

  test('may do something else under a name that it called by', async () => {
    let isFixed = false;
    const { did, broken, one, kit } = bodyOf(async (ctx, call) => {
      if (isFixed) return [await ctx.step('a', () => 'step'), await ctx.sleep('b', '1h')];
      return [await call('a'), await call('b')];
    });
    broken.add('b');
    const run = await kit.start(one);
    await kit.settle();
    isFixed = true;
    await run.redrive();
    await kit.clock.advance('1h');
    await kit.reboot();
    expect(await run.result()).toMatchObject({ out: '["step",null]' });
    expect(did).toEqual(['a']);
  });

  test('does its steps again: they are records of its generation', async () => {
    let steps = 0;
    const { broken, one, kit } = bodyOf(async (ctx, call) => [await ctx.step('s', () => ++steps), await call('a')]);
    broken.add('a');
    const run = await kit.start(one);
    await kit.settle();
    broken.clear();
    await run.redrive();
    expect(await run.result()).toEqual({ out: '[2,"A"]' });
  });

  test.each([
    ['another input', async (run: { redrive: (options: object) => Promise<unknown> }) => run.redrive({ task: 'body', input: 'second' })],
    ['a rerun', async (run: { rerun: (task: string) => Promise<unknown> }) => run.rerun('body')],
  ])('with %s calls everything anew', async (_, act) => {
    const { did, broken, one, kit } = bodyOf(async (__, call, input) => [input, await call('a'), await call('b')]);
    broken.add('b');
    const run = await kit.start(one);
    await kit.settle();
    broken.clear();
    await act(run);
    expect(JSON.parse((await run.result()).out)).toEqual([expect.any(String), 'A', 'B']);
    expect(did).toEqual(['a', 'a', 'b']);
  });

  test('takes nothing of an earlier turn of its loop', async () => {
    const { did, broken, one, kit } = bodyOf(async (ctx, call, input) => {
      const got = await call('a', 'same');
      if (input === 'first') return ctx.restart('second');
      return [got, await call('b')];
    });
    const run = await kit.start(one);
    broken.add('b');
    await kit.settle();
    broken.clear();
    await run.redrive();
    expect(await run.result()).toEqual({ out: '["SAME","B"]' });
    expect(did).toEqual(['same', 'same', 'b']);
  });

  test('waits for a call that was redriven by itself and has not ended', async () => {
    let isBroken = true;
    const child = workflow({ name: 'child' }, (w) => {
      const nap = w.run('nap', {}, async (_, ctx) => (isBroken ? Promise.reject(new NonRetryableError('no')) : ctx.sleep('nap', '1h')));
      return { nap };
    });
    const parent = workflow({ name: 'parent' }, (w) => ({
      out: w.run('body', {}, async (_, ctx) => (await ctx.run('child', child), 'done')),
    }));
    const kit = testEngine({ use: [parent, child], logger: silent });
    open.push(kit);
    const run = await kit.start(parent);
    await kit.settle();
    isBroken = false;
    const [called] = (await kit.runs.list({ workflow: 'child', parts: true })).runs;
    await (await kit.get(called?.id ?? '')).redrive();
    await kit.settle();
    await run.redrive();
    await kit.settle();
    await kit.reboot();
    await kit.clock.advance('1h');
    expect(await run.result()).toEqual({ out: 'done' });
    expect((await kit.runs.list({ workflow: 'child', parts: true })).runs).toHaveLength(1);
  });

  test('by a retry of the run as a whole too', async () => {
    const did: string[] = [];
    let tries = 0;
    const good = task({ name: 'good', run: (): number => did.push('good') });
    const bad = task({
      name: 'bad',
      retry: { maxAttempts: 1 },
      run: () => (tries++ === 0 ? Promise.reject<number>(new Error('once')) : did.push('bad')),
    });
    const parent = workflow({ name: 'parent', retry: { maxAttempts: 2, initial: '1s', jitter: 'none' } }, (w) => ({
      out: w.run('body', {}, async (_, ctx) => {
        await ctx.run('good', good);
        await ctx.run('bad', bad);
        return 'done';
      }),
    }));
    const kit = testEngine({ use: [parent, good, bad], logger: silent });
    open.push(kit);
    const run = await kit.start(parent);
    await kit.clock.advance('1m');
    expect(await run.result()).toEqual({ out: 'done' });
    expect(did).toEqual(['good', 'bad']);
  });
});
