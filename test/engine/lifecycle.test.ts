import { afterEach, describe, expect, test } from 'vitest';
import { NonRetryableError, RetryAfterError, task, workflow } from '../../src/index.ts';
import { testEngine, type TestEngine, type TestEngineOptions } from '../../src/testing/index.ts';
import { silent } from './kit.ts';

const open: TestEngine[] = [];
const engineWith = (options: TestEngineOptions): TestEngine => {
  const engine = testEngine(options);
  open.push(engine);
  return engine;
};
afterEach(async () => {
  await Promise.all(open.splice(0).map((engine) => engine.close()));
});

const statuses = async (run: { tasks(o?: { items?: boolean }): Promise<readonly { task: string; status: string; item?: number }[]> }) =>
  Object.fromEntries((await run.tasks()).map((one) => [one.task, one.status]));

describe('a run', () => {
  test('gives what its last tasks made of its input', async () => {
    const double = task({ name: 'double', run: async (i: { n: number }) => ({ n: i.n * 2 }) });
    const twice = workflow({ name: 'twice' }, (w) => {
      const first = w.run(double, { n: 21 });
      return { n: w.run('again', { first }, ({ first: { n } }) => n * 2) };
    });
    const run = await engineWith({ use: [twice] }).start(twice);
    expect(await run.result()).toEqual({ n: 84 });
    expect((await run.status()).status).toBe('success');
  });

  test('without tasks succeeds at once', async () => {
    const nothing = workflow({ name: 'nothing' }, () => ({ fine: true }));
    expect(await (await engineWith({ use: [nothing] }).start(nothing)).result()).toEqual({ fine: true });
  });

  test('that fails names the task where it began', async () => {
    const bad = workflow({ name: 'bad' }, (w) => {
      const a = w.run('a', {}, (): number => {
        throw new NonRetryableError('no such thing', { code: 'GONE' });
      });
      return { b: w.run('b', { a }, ({ a: n }) => n) };
    });
    const run = await engineWith({ use: [bad] }).start(bad);
    await expect(run.result()).rejects.toMatchObject({
      code: 'RUN_FAILED',
      details: { rootCause: [{ task: 'a', error: { code: 'GONE' } }] },
    });
    expect(await statuses(run)).toEqual({ a: 'failed', b: 'upstream_failed' });
  });
});

describe('an output', () => {
  test('that is too large as a whole leaves the run its status', async () => {
    const big = workflow({ name: 'big' }, (w) => {
      const part = w.run('part', {}, () => 'x'.repeat(700_000));
      return { a: part, b: part };
    });
    const run = await engineWith({ use: [big] }).start(big);
    await expect(run.result()).rejects.toMatchObject({ code: 'RUN_NO_OUTPUT' });
    expect(await run.status()).toMatchObject({ status: 'success', reason: 'output_too_large' });
  });
});

describe('a predicate', () => {
  test('that never answers fails its task as a definition error', async () => {
    const stuck = workflow({ name: 'stuck' }, (w) => {
      w.run('a', {}, () => 1, { when: (() => new Promise(() => undefined)) as unknown as () => boolean });
      return {};
    });
    const kit = engineWith({ use: [stuck] });
    const run = await kit.start(stuck);
    await kit.clock.advance('1m');
    expect(await run.tasks()).toMatchObject([{ task: 'a', status: 'failed', reason: 'definition_error', attempt: 0 }]);
  });

  test('that says no skips its task and what reads it', async () => {
    const skip = workflow({ name: 'skip' }, (w) => {
      const a = w.run('a', { n: 2 }, ({ n }) => n, { when: ({ n }) => n > 2 });
      return { b: w.run('b', { a: w.optional(a, 0) }, ({ a: n }) => n), c: w.run('c', { d: w.settle({ a }).a }, ({ d }) => d.status) };
    });
    const kit = engineWith({ use: [skip] });
    expect(await (await kit.start(skip)).result()).toEqual({ b: 0, c: 'skipped' });
  });
});

describe('retries', () => {
  test('wait as long as the policy says, and the attempts are counted', async () => {
    const seen: [number, number][] = [];
    const flaky = workflow({ name: 'flaky' }, (w) => ({
      a: w.run(
        'a',
        {},
        (_, ctx) => {
          seen.push([ctx.attempt, kit.clock.now().getTime()]);
          if (ctx.attempt < 3) throw new Error('not yet');
          return 'done';
        },
        { retry: { maxAttempts: 3, initial: '3s', factor: 2, maxDelay: '5s', jitter: 'none' } },
      ),
    }));
    const kit = engineWith({ use: [flaky] });
    const run = await kit.start(flaky);
    await kit.clock.advance('1m');
    expect(await run.result()).toEqual({ a: 'done' });
    const [first, second, third] = seen.map(([, at]) => at);
    expect([(second ?? 0) - (first ?? 0), (third ?? 0) - (second ?? 0)]).toEqual([3_000, 5_000]);
  });

  test('end at once on a NonRetryableError, and wait as a RetryAfterError asks', async () => {
    const w1 = workflow({ name: 'w1' }, (w) => {
      w.run('never', {}, () => {
        throw new NonRetryableError('no');
      });
      w.run('later', {}, (_, ctx) => {
        if (ctx.attempt === 1) throw new RetryAfterError('1h');
        return 1;
      });
      return {};
    });
    const kit = engineWith({ use: [w1] });
    const run = await kit.start(w1);
    await kit.clock.advance('59m');
    expect((await run.tasks()).map(({ task: id, status, attempt }) => [id, status, attempt])).toEqual([
      ['never', 'failed', 1],
      ['later', 'retrying', 1],
    ]);
    await kit.clock.advance('2m');
    expect(await statuses(run)).toEqual({ never: 'failed', later: 'success' });
  });

  test('an attempt that outlives its timeout gets the abort signal and is tried again', async () => {
    const aborted: string[] = [];
    const slow = workflow({ name: 'slow' }, (w) => ({
      a: w.run(
        'a',
        {},
        (_, ctx) =>
          new Promise<string>((resolve, reject) => {
            if (ctx.attempt === 2) resolve('in time');
            ctx.signal.addEventListener('abort', () => {
              aborted.push(String(ctx.attempt));
              reject(new Error('stopped'));
            });
          }),
        { timeout: '10s', retry: { maxAttempts: 2, initial: '1s', jitter: 'none' } },
      ),
    }));
    const kit = engineWith({ use: [slow] });
    const run = await kit.start(slow);
    await kit.clock.advance('9s');
    expect(await statuses(run)).toEqual({ a: 'running' });
    await kit.clock.advance('1m');
    expect(aborted).toEqual(['1']);
    expect(await run.result()).toEqual({ a: 'in time' });
  });
});

describe('a crash', () => {
  test('after the body and before its outcome runs the body again, and nothing that had ended', async () => {
    const bodies: string[] = [];
    const chain = workflow({ name: 'chain' }, (w) => {
      const a = w.run('a', {}, (_, ctx) => void bodies.push(`a${ctx.attempt}`));
      const b = w.run('b', {}, (_, ctx) => void bodies.push(`b${ctx.attempt}`), { after: [a] });
      w.run('c', {}, (_, ctx) => void bodies.push(`c${ctx.attempt}`), { after: [b] });
      return {};
    });
    const kit = engineWith({ use: [chain] });
    kit.crash({ task: 'b' });
    const run = await kit.start(chain);
    expect(await run.result()).toEqual({});
    expect(bodies).toEqual(['a1', 'b1', 'b2', 'c1']);
  });

  test('that comes back three times ends the task, not the engine', async () => {
    const poison = workflow({ name: 'poison' }, (w) => ({ a: w.run('a', {}, () => 1) }));
    const kit = engineWith({ use: [poison] });
    for (const attempt of [1, 2, 3]) kit.crash({ task: 'a', attempt });
    const run = await kit.start(poison);
    await expect(run.result()).rejects.toMatchObject({ code: 'RUN_FAILED' });
    expect(await run.tasks()).toMatchObject([{ task: 'a', status: 'failed', reason: 'crash_loop', attempt: 3 }]);
  });

  test('of an unsafe task is never followed by another attempt', async () => {
    const unsafe = workflow({ name: 'unsafe' }, (w) => ({ a: w.run('a', {}, () => 1, { effects: 'unsafe' }) }));
    const kit = engineWith({ use: [unsafe] });
    kit.crash({ task: 'a' });
    const run = await kit.start(unsafe);
    await expect(run.result()).rejects.toMatchObject({ code: 'RUN_FAILED' });
    expect(await run.tasks()).toMatchObject([{ task: 'a', status: 'failed', reason: 'outcome_unknown', attempt: 1 }]);
  });
});

describe('steps', () => {
  test('are read from their record after a crash', async () => {
    let calls = 0;
    const steps = workflow({ name: 'steps' }, (w) => ({
      a: w.run('a', {}, async (_, ctx) => {
        const first = await ctx.step('first', () => ({ at: new Date(5), n: ++calls }));
        return { n: first.n, at: first.at };
      }),
    }));
    const kit = engineWith({ use: [steps] });
    kit.crash({ task: 'a' });
    const run = await kit.start(steps);
    expect(await run.result()).toEqual({ a: { n: 1, at: new Date(5) } });
    expect(calls).toBe(1);
  });

  test('with one name twice in an attempt fail the task at once', async () => {
    const twice = workflow({ name: 'twice' }, (w) => ({
      a: w.run('a', {}, async (_, ctx) => {
        await ctx.step('x', () => 1);
        return ctx.step('x', () => 2);
      }),
    }));
    const run = await engineWith({ use: [twice] }).start(twice);
    await expect(run.result()).rejects.toMatchObject({ details: { rootCause: [{ error: { code: 'STEP_DUPLICATE', attempts: 1 } }] } });
  });
});

describe('start', () => {
  const echo = workflow({ name: 'echo' }, (w) => ({ a: w.run('a', {}, () => 1) }));

  test('with the same key gives the same run; with another input it is refused', async () => {
    const typed = workflow({ name: 'typed', input: schemaOf<{ n: number }>() }, (w, input) => ({
      a: w.run('a', { n: input.n }, ({ n }) => n),
    }));
    const kit = engineWith({ use: [typed] });
    const first = await kit.start(typed, { n: 1 }, { key: 'k' });
    const again = await kit.start(typed, { n: 1 }, { key: 'k' });
    expect([first.created, again.created, again.id]).toEqual([true, false, first.id]);
    await expect(kit.start(typed, { n: 2 }, { key: 'k' })).rejects.toMatchObject({ code: 'RUN_KEY_CONFLICT' });
    await expect(kit.start(typed, { n: 1 }, { key: { value: 'k', onDuplicate: 'reject' } })).rejects.toMatchObject({
      code: 'RUN_KEY_TAKEN',
    });
  });

  test('later starts then', async () => {
    const kit = engineWith({ use: [echo] });
    const run = await kit.start(echo, undefined, { delay: '40d' });
    await kit.clock.advance('39d');
    expect((await run.status()).status).toBe('scheduled');
    await kit.clock.advance('2d');
    expect(await run.result()).toEqual({ a: 1 });
  });

  test('a key that lives five minutes gives a new run after them', async () => {
    const kit = engineWith({ use: [echo] });
    const ids: string[] = [];
    for (let i = 0; i < 4; i++) {
      ids.push((await kit.start(echo, undefined, { key: { value: 'x', for: '5m' } })).id);
      await kit.clock.advance('2m');
    }
    expect(new Set(ids).size).toBe(2);
    expect(ids[3]).not.toBe(ids[0]);
  });
});

describe('cancel', () => {
  test('ends open tasks, gives running bodies the abort signal and refuses their late outcome', async () => {
    let late: (() => void) | undefined;
    let aborted = false;
    const long = workflow({ name: 'long' }, (w) => {
      const a = w.run(
        'a',
        {},
        (_, ctx) =>
          new Promise<void>((resolve) => {
            late = resolve;
            ctx.signal.addEventListener('abort', () => (aborted = true));
          }),
      );
      w.run('b', {}, () => 1, { after: [a] });
      return {};
    });
    const kit = engineWith({ use: [long], logger: silent });
    const run = await kit.start(long);
    await kit.settle();
    expect(await run.cancel()).toBe(true);
    await expect(run.result()).rejects.toMatchObject({ code: 'RUN_CANCELLED' });
    late?.();
    await kit.settle();
    expect(aborted).toBe(true);
    expect(await statuses(run)).toEqual({ a: 'cancelled', b: 'cancelled' });
    expect(await run.cancel()).toBe(false);
  });

  test('a run past its timeout is failed with the reason deadline', async () => {
    const long = workflow({ name: 'long', timeout: '1h' }, (w) => ({
      a: w.run('a', {}, () => new Promise<number>(() => undefined), { timeout: '2h' }),
    }));
    const kit = engineWith({ use: [long] });
    const run = await kit.start(long);
    await kit.clock.advance('61m');
    expect(await run.status()).toMatchObject({ status: 'failed', reason: 'deadline' });
    expect(await run.tasks()).toMatchObject([{ status: 'cancelled', reason: 'deadline' }]);
  });
});

function schemaOf<T>() {
  return {
    '~standard': {
      version: 1 as const,
      vendor: 'test',
      validate: (value: unknown) => ({ value: value as T }),
      types: undefined as unknown as { input: T; output: T },
    },
  };
}
