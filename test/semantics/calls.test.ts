import { afterEach, describe, expect, test } from 'vitest';
import { isPawlError, NonRetryableError, task, workflow, type Registrable, type Run } from '../../src/index.ts';
import { testEngine, type TestEngine } from '../../src/testing/index.ts';
import { Naps, stateOf } from './kit.ts';

const open: TestEngine[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((kit) => kit.close()));
});

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
const kitOf = (...use: Registrable[]): TestEngine => {
  const kit = testEngine({ use, logger: silent, concurrency: 2 });
  open.push(kit);
  return kit;
};

const double = task({ name: 'double', run: async (i: { n: number }) => i.n * 2 });
const broken = task({
  name: 'broken',
  run: async (i: { n: number }): Promise<number> => {
    throw new NonRetryableError(`no ${i.n}`);
  },
});
const sub = workflow({ name: 'sub' }, (w) => ({ v: w.run('v', {}, () => 7) }));

describe('ctx.run', () => {
  test('runs a task or a workflow, and the body goes on with what it gave', async () => {
    const one = workflow({ name: 'case' }, (w) => ({
      v: w.run('body', {}, async (_, ctx) => {
        const four = await ctx.run('first', double, { n: 2 });
        const { v } = await ctx.run('second', sub);
        return four + v;
      }),
    }));
    const kit = kitOf(one, double, sub);
    const run = await kit.start(one);
    expect(await run.result()).toEqual({ v: 11 });
    expect(await stateOf(run)).toMatchObject({ attempts: { body: 1 } });
    expect((await kit.runs.list()).runs).toHaveLength(1);
    expect((await kit.runs.list({ parts: true })).runs.map((row) => row.workflow)).toEqual(['sub', 'task:double', 'case']);
  });

  test('throws the failure, which may be caught by its code: then it is excused, and the run is partial', async () => {
    const one = workflow({ name: 'case' }, (w) => ({
      v: w.run('body', {}, async (_, ctx) => {
        try {
          return String(await ctx.run('first', broken, { n: 2 }));
        } catch (error) {
          if (!isPawlError(error, 'RUN_FAILED')) throw error;
          return error.code;
        }
      }),
    }));
    const run = await kitOf(one, broken).start(one);
    expect(await run.result()).toEqual({ v: 'RUN_FAILED' });
    expect((await run.status()).status).toBe('partial');
  });

  test('the failure says where it began, and why: also of a run inside the run', async () => {
    const deep = task({
      name: 'deep',
      run: (_: { n: number }): number => {
        throw new NonRetryableError('the disk is full', { code: 'ENOSPC', cause: new Error('of another kind') });
      },
    });
    const inner = workflow({ name: 'inner' }, (w) => ({ v: w.run(deep, { n: 1 }) }));
    const outer = workflow({ name: 'outer' }, (w) => ({ v: w.run(inner, undefined) }));
    const said = async (error: unknown): Promise<string[]> => {
      if (!isPawlError(error, 'RUN_FAILED')) throw error;
      return [error.message.replaceAll(/Run \w+/g, 'Run …'), String(error.details['cause'])];
    };
    const one = workflow({ name: 'case' }, (w) => ({
      one: w.run('one', {}, (_, ctx) => ctx.run('call', deep, { n: 2 }).then(() => ['good'], said)),
      two: w.run('two', {}, (_, ctx) => ctx.run('call', outer).then(() => ['good'], said)),
    }));
    const run = await kitOf(one, deep, outer).start(one);
    expect(await run.result()).toEqual({
      one: ['Run … of workflow "task:deep" failed: task "deep" failed: the disk is full', 'ENOSPC'],
      two: [
        'Run … of workflow "outer" failed: task "inner" failed: Run … of workflow "inner" failed: task "deep" failed: the disk is full',
        'ENOSPC',
      ],
    });
  });

  test('not caught, it fails the task, which is not tried again', async () => {
    const one = workflow({ name: 'case' }, (w) => ({ v: w.run('body', {}, (_, ctx) => ctx.run('first', broken, { n: 2 })) }));
    const kit = kitOf(one, broken);
    const naps = new Naps();
    naps.on(kit);
    const run = await kit.start(one);
    await naps.pass(60);
    expect(await stateOf(run)).toMatchObject({ run: 'failed', tasks: { body: 'failed' }, attempts: { body: 1 } });
  });

  test('what is not registered is refused', async () => {
    const one = workflow({ name: 'case' }, (w) => ({
      v: w.run('body', {}, (_, ctx) => ctx.run('first', double, { n: 2 }).catch((error: { code: string }) => error.code)),
    }));
    const run = await kitOf(one).start(one);
    expect(await run.result()).toEqual({ v: 'RUN_UNKNOWN_WORKFLOW' });
  });

  test('a slot that calls itself is free meanwhile: more bodies than slots call others', async () => {
    const caller = task({ name: 'caller', run: async (i: { n: number }, ctx) => ctx.run('inner', double, { n: i.n }) });
    const one = workflow({ name: 'case' }, (w) => ({ all: w.map([1, 2, 3, 4, 5, 6], caller, (n) => ({ n })) }));
    const run = await kitOf(one, double, caller).start(one);
    expect(await run.result()).toEqual({ all: [2, 4, 6, 8, 10, 12] });
  });

  test('a body that ends lets go of what it called', async () => {
    const naps = new Naps();
    const slow = task({ name: 'slow', run: async () => naps.sleep(100) });
    const one = workflow({ name: 'case' }, (w) => ({
      v: w.run('body', {}, async (_, ctx) => Promise.race([ctx.run('slow', slow), ctx.run('fast', double, { n: 4 })])),
    }));
    const kit = kitOf(one, slow, double);
    naps.on(kit);
    const run = await kit.start(one);
    await naps.pass(5);
    expect(await run.result()).toEqual({ v: 8 });
    const { runs } = await kit.runs.list({ workflow: 'task:slow', parts: true });
    expect(runs).toMatchObject([{ status: 'cancelled', reason: 'parent' }]);
  });

  test('a cancel reaches what a body called', async () => {
    const naps = new Naps();
    const slow = task({ name: 'slow', run: async () => naps.sleep(100) });
    const one = workflow({ name: 'case' }, (w) => ({ v: w.run('body', {}, (_, ctx) => ctx.run('slow', slow)) }));
    const kit = kitOf(one, slow);
    naps.on(kit);
    const run = await kit.start(one);
    await naps.pass(1);
    await run.cancel();
    await naps.pass(1);
    const { runs } = await kit.runs.list({ parts: true });
    expect(runs.map((row) => row.status)).toEqual(['cancelled', 'cancelled']);
  });

  test('200 calls one after the other', async () => {
    const one = workflow({ name: 'case' }, (w) => ({
      sum: w.run('agent', {}, async (_, ctx) => {
        let sum = 0;
        for (let i = 0; i < 200; i++) sum += await ctx.run(['call', i], double, { n: i });
        return sum;
      }),
    }));
    const run = await kitOf(one, double).start(one);
    expect(await run.result()).toEqual({ sum: 39_800 });
  });
});

test('a task can be started by itself', async () => {
  const kit = kitOf(double);
  const run = await kit.start(double, { n: 21 });
  expect(await run.result()).toBe(42);
  expect((await kit.runs.list()).runs).toMatchObject([{ workflow: 'task:double', status: 'success' }]);
});

describe('a dead letter in a run that a body called', () => {
  /** A body that has ended, since the task that it called failed. */
  const failed = async () => {
    let isBroken = true;
    let passes = 0;
    const tool = task({
      name: 'tool',
      run: (_: { n: number }): number => {
        if (isBroken) throw new NonRetryableError('no');
        return 7;
      },
    });
    const one = workflow({ name: 'case' }, (w) => ({
      v: w.run('body', {}, (_, ctx) => {
        passes++;
        return ctx.run('call', tool, { n: 1 });
      }),
    }));
    const kit = kitOf(one, tool);
    const run = await kit.start(one);
    await kit.settle();
    const { letters } = await kit.dead.list();
    expect(letters.map((letter) => letter.task).toSorted()).toEqual(['body', 'tool']);
    isBroken = false;
    return { kit, run, called: await kit.get(letters.find((letter) => letter.task === 'tool')?.runId ?? ''), passes: () => passes };
  };

  test.each([
    ['redriven', 7, async (called: Run<unknown>) => called.redrive()],
    ['marked', 8, async (called: Run<unknown>) => called.mark('tool', { output: 8 })],
  ])('that is %s by itself leaves the body as it ended; a redrive of that takes what it gave', async (_, given, act) => {
    const { kit, run, called, passes } = await failed();
    await act(called);
    await kit.settle();
    expect((await called.status()).status).toBe('success');
    expect(await stateOf(run)).toMatchObject({ run: 'failed', tasks: { body: 'failed' } });
    expect(passes()).toBe(2);
    await run.redrive();
    expect(await run.result()).toEqual({ v: given });
    expect((await kit.runs.list({ workflow: 'task:tool', parts: true })).runs).toHaveLength(1);
  });

  test('that is redriven while the body goes on without it changes nothing there', async () => {
    const naps = new Naps();
    const one = workflow({ name: 'case' }, (w) => ({
      v: w.run('body', {}, async (_, ctx) => {
        const said = await ctx.run('call', broken, { n: 1 }).catch((error: unknown) => {
          if (!isPawlError(error, 'RUN_FAILED')) throw error;
          return 'failed';
        });
        await ctx.sleep('nap', '1h');
        return said;
      }),
    }));
    const kit = naps.on(kitOf(one, broken));
    const run = await kit.start(one);
    await kit.settle();
    const [letter] = (await kit.dead.list()).letters;
    await (await kit.get(letter?.runId ?? '')).mark('broken', { output: 1 });
    await naps.pass(3_600);
    expect(await run.result()).toEqual({ v: 'failed' });
  });
});

describe('ctx.all', () => {
  test('many at once, their results in order; the body is woken once', async () => {
    let passes = 0;
    const one = workflow({ name: 'case' }, (w) => ({
      all: w.run('body', {}, async (_, ctx) => {
        passes++;
        return ctx.all(Array.from({ length: 50 }, (_, n) => [['call', n], double, { n }] as const));
      }),
    }));
    const run = await kitOf(one, double).start(one);
    expect(await run.result()).toEqual({ all: Array.from({ length: 50 }, (_, n) => n * 2) });
    expect(passes).toBe(2);
  });

  test('the first failure, once all have ended', async () => {
    const one = workflow({ name: 'case' }, (w) => ({
      v: w.run('body', {}, async (_, ctx) =>
        ctx
          .all([
            ['a', double, { n: 1 }],
            ['b', broken, { n: 2 }],
            ['c', double, { n: 3 }],
          ])
          .then(() => 'good')
          .catch((error: unknown) => {
            if (!isPawlError(error, 'RUN_FAILED')) throw error;
            return error.code;
          }),
      ),
    }));
    const kit = kitOf(one, double, broken);
    const run = await kit.start(one);
    expect(await run.result()).toEqual({ v: 'RUN_FAILED' });
    const { runs } = await kit.runs.list({ parts: true });
    expect(runs.map((row) => row.status).toSorted()).toEqual(['failed', 'partial', 'success', 'success']);
  });
});
