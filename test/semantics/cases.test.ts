import { afterEach, describe, expect, test } from 'vitest';
import { isPawlError } from '../../src/core/errors.ts';
import { backoffMs } from '../../src/core/kernel/retry.ts';
import { task, workflow } from '../../src/index.ts';
import { closeAll, engineOf, fail, flow, joined, Naps, ok, quick, ran, stateOf } from './kit.ts';

afterEach(closeAll);

/** Fails so many attempts, then gives its attempt's number. */
const failing =
  (times: number) =>
  (_: unknown, ctx: { attempt: number }): number => {
    if (ctx.attempt <= times) throw new Error(`attempt ${ctx.attempt}`);
    return ctx.attempt;
  };
function refusal(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (isPawlError(error, 'BUILD_INVALID')) return error.message;
    throw error;
  }
  return 'not refused';
}

describe('outcome of a run', () => {
  test('1: no tasks', async () => {
    expect(await ran(flow(() => undefined))).toMatchObject({ run: 'success', tasks: {} });
  });

  test('3: A→C→D; B fails alone', async () => {
    const one = flow((w) => {
      const a = w.run('A', {}, ok);
      w.run('B', {}, fail);
      w.run('D', {}, ok, { after: [w.run('C', {}, ok, { after: [a] })] });
    });
    expect(await ran(one)).toMatchObject({ run: 'failed', tasks: { A: 'success', B: 'failed', C: 'success', D: 'success' } });
  });

  test('5: three independent tasks fail', async () => {
    const one = flow((w) => ['A', 'B', 'C'].forEach((id) => w.run(id, {}, fail)));
    const run = await engineOf(one).start(one);
    await expect(run.result()).rejects.toMatchObject({ details: { rootCause: [{ task: 'A' }, { task: 'B' }, { task: 'C' }] } });
    expect(await stateOf(run)).toMatchObject({ run: 'failed', tasks: { A: 'failed', B: 'failed', C: 'failed' } });
  });

  test('7: a tolerant end does not launder a failure', async () => {
    const one = flow((w) => {
      const middle = w.run('middle', {}, fail, { after: [w.run('start', {}, ok)] });
      w.run('end', {}, ok, { after: [middle], join: 'all_done' });
    });
    expect(await ran(one)).toMatchObject({ run: 'failed', tasks: { middle: 'failed', end: 'success' } });
  });

  test('47: two allowed failures and no success', async () => {
    const one = flow((w) => {
      const a = w.run('A', {}, fail, { allowFailure: true });
      w.run('B', {}, fail, { after: [a], allowFailure: true });
    });
    expect(await ran(one)).toMatchObject({ run: 'failed', tasks: { A: 'failed', B: 'failed' } });
  });

  test.each([null, '', undefined])('139: the output %j is a success, and what follows goes on', async (value) => {
    const one = workflow({ name: 'case' }, (w) => {
      const a = w.run('A', {}, () => value);
      return { b: w.run('B', { a }, (input) => ['a' in input, input.a]) };
    });
    const run = await engineOf(one).start(one);
    expect(await run.result()).toEqual({ b: [value !== undefined, value] });
  });
});

describe('definitions', () => {
  const data = (...tasks: readonly Record<string, unknown>[]) =>
    refusal(() => workflow.fromGraph({ name: 'case', tasks: tasks.map((one) => ({ run: ok, ...one })) as never }));

  test('9: a cycle is refused, and its path is named', () => {
    expect(data({ id: 'A', after: ['B'] }, { id: 'B', after: ['A'] })).toMatch(/A → B → A/);
  });

  test('11: an unknown join is refused', () => {
    expect(data({ id: 'A' }, { id: 'J', after: ['A'], join: 'invalid' })).toMatch(/"invalid"/);
    expect(refusal(() => flow((w) => void w.run('J', {}, ok, { join: 'invalid' as never })))).toMatch(/"invalid"/);
  });

  test.each([{ ratio: -0.01 }, { ratio: 1.001 }, { ratio: 'x' }, { count: -1 }])('73: tolerate %j is refused', (tolerate) => {
    const item = task({ name: 'item', run: ok });
    expect(refusal(() => flow((w) => void w.map([1], item, () => undefined as never, { tolerate: tolerate as never })))).toMatch(
      /tolerate/,
    );
  });
});

describe('joins', () => {
  test('13: all_success over [ok, K]', async () => {
    expect(await joined('all_success', 'SK')).toBe('skipped, run success');
  });

  test.each([true, false])('15: all_success over a skip and a failure, the skip first: %s', async (skipFirst) => {
    const naps = new Naps();
    const one = flow((w) => {
      const late = w.run('late', {}, () => naps.sleep(1));
      const order = (first: boolean) => (first ? {} : { after: [late] });
      const k = w.run('K', {}, ok, { when: () => false, ...order(skipFirst) });
      w.run('J', {}, ok, { after: [k, w.run('F', {}, fail, order(!skipFirst))] });
    });
    expect((await ran(one, naps)).tasks).toMatchObject({ K: 'skipped: condition', F: 'failed', J: 'upstream_failed' });
  });

  const table: [string, string, string][] = [
    ['17', 'none_failed_min_one_success SK', 'success, run success'],
    ['17', 'none_failed_min_one_success KK', 'skipped, run success'],
    ['17', 'none_failed_min_one_success SKF', 'upstream_failed, run failed'],
    ['17', 'none_failed_min_one_success SKX', 'upstream_failed, run failed'],
    ['19', 'one_success KK', 'skipped, run success'],
    ['19', 'one_success KFX', 'upstream_failed, run failed'],
    ['21', 'all_failed FF', 'success, run failed'],
    ['21', 'all_failed SS', 'skipped, run success'],
    ['21', 'all_failed FK', 'skipped, run failed'],
    ['23', 'one_done SS', 'success, run success'],
    ['23', 'one_done FF', 'success, run failed'],
    ['23', 'one_done KK', 'skipped, run success'],
    ['23', 'one_done XX', 'skipped, run failed'],
    ['25', 'all_skipped KKK', 'success, run success'],
    ['25', 'all_skipped S', 'skipped, run success'],
    ['25', 'all_skipped X', 'skipped, run failed'],
    ['27', 'at_least(2) SFS', 'success, run failed'],
    ['27', 'at_least(2) SFF', 'upstream_failed, run failed'],
  ];
  test.each(table)('%s: %s', async (_, given, wanted) => {
    const [join = '', letters = ''] = given.split(' ');
    expect(await joined(join, letters)).toBe(wanted);
  });

  test.each([
    ['runs at the second success', ok, 'success'],
    ['is upstream_failed at the second failure', fail, 'upstream_failed'],
  ])('27: at_least(2) over three %s, while the third still runs', async (_, second, wanted) => {
    const naps = new Naps();
    const one = flow((w) => {
      const a = w.run('a', {}, second);
      const b = w.run('b', {}, second);
      const c = w.run('c', {}, () => naps.sleep(30));
      w.run('J', {}, ok, { after: [a, b, c], join: 'at_least(2)' });
    });
    expect((await ran(one, naps, 1)).tasks).toMatchObject({ c: 'running', J: wanted });
  });

  test('29: one_failed sees final states, not attempts', async () => {
    const one = flow((w) => void w.run('J', {}, ok, { after: [w.run('A', {}, failing(1), quick(2))], join: 'one_failed' }));
    expect(await ran(one)).toMatchObject({ run: 'success', tasks: { A: 'success', J: 'skipped' }, attempts: { A: 2 } });
  });

  test('31: a join after two branches', async () => {
    const one = flow((w) => {
      let a: unknown;
      let b: unknown;
      const chosen = w.when(
        1,
        () => true,
        () => (a = w.run('fa', {}, ok, { after: [w.run('a', {}, ok)] })) as never,
        () => (b = w.run('b', {}, ok)) as never,
      );
      w.run('join', {}, ok, { after: [a, b, chosen] as never, join: 'none_failed_min_one_success' });
    });
    expect(await ran(one)).toMatchObject({
      run: 'success',
      tasks: { a: 'success', fa: 'success', b: 'skipped: condition', join: 'success' },
    });
  });

  test('35: a skip reaches a strict join, not a tolerant one', async () => {
    const one = flow((w) => {
      const after = [w.run('t1', {}, ok, { when: () => false }), w.run('t2', {}, ok)];
      w.run('t3', {}, ok, { after });
      w.run('t4', {}, ok, { after, join: 'all_done' });
    });
    expect(await ran(one)).toMatchObject({ run: 'success', tasks: { t1: 'skipped: condition', t3: 'skipped', t4: 'success' } });
  });

  test('a task with the join always starts at once, also in a run that had to wait for a slot', async () => {
    const naps = new Naps();
    const one = flow((w) => void w.run('b', {}, ok, { after: [w.run('a', {}, () => naps.sleep(600))], join: 'always' }));
    const full = workflow({ name: 'full' }, (w) => {
      for (let i = 0; i < 20; i++) w.run(`x${i}`, {}, () => naps.sleep(30));
      return {};
    });
    const kit = naps.on(engineOf(full, one));
    await kit.start(full);
    await kit.settle();
    const run = await kit.start(one);
    await naps.pass(60);
    expect((await stateOf(run)).tasks).toEqual({ a: 'running', b: 'success' });
  });
});

describe('conditions', () => {
  test('33: two predicates over one value, both false', async () => {
    const one = flow((w) => {
      const value = w.run('value', {}, () => 2);
      for (const id of ['a', 'b']) w.run(id, { value }, ok, { when: (input) => input.value > 5 });
    });
    expect(await ran(one)).toMatchObject({
      run: 'success',
      tasks: { a: 'skipped: condition', b: 'skipped: condition' },
      attempts: { a: 0 },
    });
  });

  test('41: an optional read of a task that did not run gives undefined', async () => {
    const one = workflow({ name: 'case' }, (w) => {
      const b = w.run('B', {}, ok, { after: [w.run('A', {}, ok)], join: 'one_failed' });
      return { c: w.run('C', { b: w.optional(b) }, (input) => String(input.b)) };
    });
    const run = await engineOf(one).start(one);
    expect(await run.result()).toEqual({ c: 'undefined' });
    expect((await stateOf(run)).tasks).toEqual({ A: 'success', B: 'skipped', C: 'success' });
  });

  test('43: a predicate over an output', async () => {
    const one = flow((w) => {
      const start = w.run('start', {}, () => 2);
      const x = w.run('X', { start }, ok, { when: (input) => input.start <= 1 });
      w.run('Y', {}, ok, { after: [x] });
    });
    expect(await ran(one)).toMatchObject({ run: 'success', tasks: { X: 'skipped: condition', Y: 'skipped' } });
  });
});

describe('retries and timeouts', () => {
  test('45: fails three times, maxAttempts 4', async () => {
    const one = flow((w) => void w.run('A', {}, failing(3), quick(4)));
    expect(await ran(one)).toMatchObject({ run: 'success', attempts: { A: 4 } });
  });

  test('51: NonRetryableError with maxAttempts 5', async () => {
    const one = flow((w) => void w.run('A', {}, fail, quick(5)));
    expect(await ran(one)).toMatchObject({ run: 'failed', tasks: { A: 'failed' }, attempts: { A: 1 } });
  });

  test('53: waits of 3 and 5 seconds', async () => {
    const naps = new Naps();
    const at: number[] = [];
    const body = (): never => {
      at.push(naps.now());
      throw new Error('again');
    };
    const one = flow(
      (w) => void w.run('A', {}, body, { retry: { maxAttempts: 3, initial: '3s', factor: 2, maxDelay: '5s', jitter: 'none' } }),
    );
    expect((await ran(one, naps)).attempts).toEqual({ A: 3 });
    expect(at.map((each) => each - (at[0] ?? 0))).toEqual([0, 3_000, 8_000]);
  });

  test('55: jitter keeps its bounds', () => {
    const policy = { initialMs: 2_000, factor: 2, maxDelayMs: 300_000 };
    const delays = (n: number, jitter: 'full' | 'equal' | 'none', maxDelayMs = 300_000) =>
      Array.from({ length: 500 }, (_, run) =>
        backoffMs({ ...policy, maxDelayMs }, n, jitter, { run, task: 0, item: -1, generation: 1, attempt: 1 }),
      );
    const bounds = (list: readonly number[], low: number, high: number) => Math.min(...list) >= low && Math.max(...list) <= high;
    expect(bounds(delays(1, 'full'), 1, 2_000)).toBe(true);
    expect(bounds(delays(1, 'equal'), 1_000, 2_000)).toBe(true);
    expect(bounds(delays(1, 'none'), 2_000, 2_000)).toBe(true);
    expect(bounds(delays(3, 'equal', 3_000), 1_500, 3_000)).toBe(true);
  });

  test('57: a matching rule with no retries', async () => {
    const body = (): never => {
      throw Object.assign(new Error('no'), { code: 'NO' });
    };
    const one = flow((w) => void w.run('A', {}, body, { retry: { on: [{ match: 'NO', retries: 0 }] } }));
    expect(await ran(one)).toMatchObject({ tasks: { A: 'failed' }, attempts: { A: 1 } });
  });

  test.each([1, 2])('59: an attempt timeout with %i attempts', async (maxAttempts) => {
    const naps = new Naps();
    const one = flow((w) => void w.run('A', {}, () => naps.sleep(5), { timeout: '1s', ...quick(maxAttempts) }));
    expect(await ran(one, naps)).toMatchObject({ run: 'failed', tasks: { A: 'failed: timeout' }, attempts: { A: maxAttempts } });
  });

  test('61: a deadline of the run', async () => {
    const naps = new Naps();
    const one = workflow({ name: 'case', timeout: '1s' }, (w) => ({ a: w.run('A', {}, () => naps.sleep(10)) }));
    expect(await ran(one, naps)).toMatchObject({ run: 'failed', reason: 'deadline', tasks: { A: 'cancelled: deadline' } });
  });

  test('89: a failing side path leaves the other alone', async () => {
    const naps = new Naps();
    const one = flow((w) => {
      const a = w.run('A', {}, ok);
      const b = w.run('B', {}, () => naps.sleep(30), { after: [a] });
      w.run('E', {}, ok, { after: [w.run('D', {}, ok, { after: [b] })] });
      w.run('C', {}, failing(9), { after: [a], ...quick(4) });
    });
    expect(await ran(one, naps)).toMatchObject({
      run: 'failed',
      tasks: { A: 'success', B: 'success', C: 'failed', D: 'success', E: 'success' },
      attempts: { C: 4 },
    });
  });

  test('95: two paths, one fails, the join waits for both', async () => {
    const naps = new Naps();
    const one = flow((w) => {
      const t1 = w.run('t1', {}, fail);
      const t2 = w.run('t2', {}, () => naps.sleep(5));
      w.run('join', {}, ok, { after: [t1, t2] });
    });
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(1);
    expect(await stateOf(run)).toMatchObject({ run: 'running', tasks: { join: 'upstream_failed' } });
    await naps.pass(10);
    expect(await stateOf(run)).toMatchObject({ run: 'failed', tasks: { t1: 'failed', t2: 'success', join: 'upstream_failed' } });
  });
});

describe('cancel and keys', () => {
  test('a run that was to start later is cancelled at once', async () => {
    const one = flow((w) => void w.run('A', {}, ok));
    const run = await engineOf(one).start(one, undefined, { delay: '1h' });
    expect(await run.cancel()).toBe(true);
    expect(await stateOf(run)).toMatchObject({ run: 'cancelled', tasks: { A: 'cancelled: person' } });
  });

  test('127: a key for five minutes', async () => {
    const one = flow((w) => void w.run('A', {}, ok));
    const kit = engineOf(one);
    const ids: string[] = [];
    for (let minute = 0; minute <= 6; minute += 2) {
      ids.push((await kit.start(one, undefined, { key: { value: 'k', for: '5m' } })).id);
      await kit.clock.advance('2m');
    }
    const [first, , , fourth] = ids;
    expect(ids).toEqual([first, first, first, fourth]);
    expect(fourth).not.toBe(first);
  });
});
