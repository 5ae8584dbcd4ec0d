import { afterEach, describe, expect, test } from 'vitest';
import { NonRetryableError, RetryAfterError, task, workflow, type NodeOpts, type Retry } from '../../src/index.ts';
import { begun, ends, type CaseOptions } from './further-kit.ts';
import { closeAll, fail, ok, quick, type Naps } from './kit.ts';

afterEach(closeAll);

const coded = (code: string): Error => Object.assign(new Error(code), { code });

/** One task that throws these in turn (null: it succeeds), and the seconds at which its attempts began. */
async function attempts(throws: readonly unknown[], opts: NodeOpts, more: CaseOptions = {}): Promise<[string, number[]]> {
  const at: number[] = [];
  const { shown } = await begun((w, { naps }) => {
    let began: number | undefined;
    let turn = 0;
    w.run(
      'A',
      {},
      () => {
        began ??= naps.now();
        at.push((naps.now() - began) / 1000);
        const error = throws[Math.min(turn++, throws.length - 1)];
        // oxlint-disable-next-line typescript/only-throw-error -- that anything may be thrown is the case
        if (error !== null) throw error;
      },
      opts,
    );
  }, more);
  return [shown, at];
}

const steady = (retry: Retry): NodeOpts => ({ retry: { initial: '1s', jitter: 'none', ...retry } });

describe('attempts and their delays', () => {
  const e = new Error('x');
  const a = coded('A');
  const b = coded('B');
  const rule = (match: string, retries: number, more = {}) => ({ match, retries, ...more });
  test.each([
    ['default: 3 attempts', [e], {}, 'A=F*3 run=failed', 3],
    ['factor 1', [e], steady({ maxAttempts: 4, factor: 1 }), 'A=F*4 run=failed', [0, 1, 2, 3]],
    ['factor 3 up to a most', [e], steady({ maxAttempts: 5, factor: 3, maxDelay: '4s' }), 'A=F*5 run=failed', [0, 1, 4, 8, 12]],
    ['initial above the most', [e], steady({ maxAttempts: 3, initial: '10s', maxDelay: '2s' }), 'A=F*3 run=failed', [0, 2, 4]],
    ['one attempt', [e], steady({ maxAttempts: 1 }), 'A=F run=failed', [0]],
    ['maxElapsed', [e], steady({ maxAttempts: 9, maxElapsed: '5s' }), 'A=F*3 run=failed', [0, 1, 3]],
    [
      'a rule for each of two errors, each with its own budget',
      [a, b, a, b, a, b],
      steady({ on: [rule('A', 2), rule('B', 1)] }),
      'A=F*4 run=failed',
      [0, 1, 2, 4],
    ],
    [
      'maxAttempts caps the sum of rules',
      [a, b, a, b],
      steady({ maxAttempts: 3, on: [rule('A', 5), rule('B', 5)] }),
      'A=F*3 run=failed',
      [0, 1, 2],
    ],
    ['the first rule that matches', [a], steady({ on: [rule('A', 1), rule('A', 9)] }), 'A=F*2 run=failed', [0, 1]],
    ['a rule that says fail', [e, a], steady({ maxAttempts: 9, on: [{ match: 'A', action: 'fail' }] }), 'A=F*2 run=failed', [0, 1]],
    ['a rule by name', [new TypeError('t')], steady({ on: [rule('TypeError', 1)] }), 'A=F*2 run=failed', [0, 1]],
    ['a rule by predicate', [e, a, e], steady({ on: [{ match: (x) => x === a, retries: 1 }] }), undefined, undefined],
    ['a rule has its own delay', [a], steady({ on: [rule('A', 2, { initial: '3s', factor: 1 })] }), 'A=F*3 run=failed', [0, 3, 6]],
    ['n counts within the rule', [e, a, a, null], steady({ maxAttempts: 9, on: [rule('A', 5)] }), 'A=S*4 run=success', [0, 1, 2, 4]],
    ['not retryable beats rules', [new NonRetryableError('A', { code: 'A' })], steady({ on: [rule('A', 5)] }), 'A=F run=failed', [0]],
    [
      'retry after: its delay, also above the most',
      [new RetryAfterError('7s'), null],
      steady({ maxDelay: '2s' }),
      'A=S*2 run=success',
      [0, 7],
    ],
    ['retry after draws on the budget', [new RetryAfterError('7s')], steady({ maxAttempts: 2 }), 'A=F*2 run=failed', [0, 7]],
    ['retry after nothing', [new RetryAfterError(0), null], steady({}), undefined, undefined],
    ['what is thrown need be no error', ['text', undefined, 7, null], steady({ maxAttempts: 4 }), 'A=S*4 run=success', [0, 1, 3, 7]],
  ] as [string, unknown[], NodeOpts, string | undefined, number[] | number | undefined][])('%s', async (_, throws, opts, expected, at) => {
    const [shown, began] = await attempts(throws, opts);
    expect(shown).toMatch(/run=(failed|success)$/);
    if (expected !== undefined) expect(shown).toBe(expected);
    if (typeof at === 'number') expect(began).toHaveLength(at);
    else if (at !== undefined) expect(began).toEqual(at);
  });

  test('the next attempt would begin after the total deadline: it fails now', async () => {
    const { shown, run } = await begun(
      (w) => void w.run('A', {}, () => Promise.reject(e), { ...steady({ initial: '20s', maxAttempts: 9 }), timeout: { total: '10s' } }),
      { seconds: 3 },
    );
    expect(shown).toBe('A=F:total_timeout run=failed');
    expect((await run.tasks())[0]?.error?.message).toContain('x');
  });

  test('retry after past the total deadline: it fails now', async () => {
    const [shown] = await attempts([new RetryAfterError('1h')], { timeout: { total: '10s' } }, { seconds: 2 });
    expect(shown).toBe('A=F:total_timeout run=failed');
  });

  test('delays of months are kept', async () => {
    const [shown, at] = await attempts([e, null], steady({ initial: '60d', maxDelay: '60d' }), {
      seconds: 2,
      meanwhile: ({ kit }) => kit.clock.advance('60d'),
    });
    expect([shown, at]).toEqual(['A=S*2 run=success', [0, 60 * 86_400]]);
  });
});

describe('timeouts', () => {
  const slow =
    (naps: Naps, seconds: number, maxSeconds = seconds) =>
    (_: unknown, { attempt }: { attempt: number }) =>
      naps.sleep(attempt === 1 ? seconds : maxSeconds);

  test.each([
    ['one attempt too slow, the next fast enough', 5, 1, { timeout: '2s', ...quick(2) }, 'A=S*2 run=success'],
    ['each attempt has the whole time', 2, 2, { timeout: '3s', ...quick(2) }, 'A=S run=success'],
    ['every attempt too slow', 5, 5, { timeout: '2s', ...quick(3) }, 'A=F:timeout*3 run=failed'],
    ['total over two attempts', 5, 5, { timeout: { attempt: '4s', total: '6s' }, ...quick(9) }, 'A=F:total_timeout*2 run=failed'],
    ['total shorter than an attempt', 5, 5, { timeout: { attempt: '4s', total: '2s' }, ...quick(9) }, 'A=F:total_timeout run=failed'],
    ['no beat', 9, 9, { timeout: { heartbeat: '2s' }, ...quick(2) }, 'A=F:heartbeat_timeout*2 run=failed'],
  ] as const)('%s', async (_, first, later, opts, expected) => {
    expect(await ends((w, { naps }) => void w.run('A', {}, slow(naps, first, later), opts))).toBe(expected);
  });

  test('beats keep it alive, and do not lengthen the attempt', async () => {
    const beating = (beats: number) => async (naps: Naps, beat: () => void) => {
      for (let i = 0; i < beats; i++) {
        await naps.sleep(1);
        beat();
      }
    };
    const opts = { timeout: { heartbeat: '2s', attempt: '6s' }, ...quick(1) } as const;
    expect(await ends((w, { naps }) => void w.run('A', {}, (_, c) => beating(4)(naps, () => c.beat()), opts))).toBe('A=S run=success');
    expect(await ends((w, { naps }) => void w.run('A', {}, (_, c) => beating(9)(naps, () => c.progress(1)), opts))).toBe(
      'A=F:timeout run=failed',
    );
  });

  test('a body that returns after its timeout changes nothing', async () => {
    const { shown, said } = await begun((w, { naps, said }) => {
      const a = w.run('A', {}, () => naps.sleep(5).then(() => said.push('late')), { timeout: '1s', ...quick(1) });
      w.run('J', { a }, ok);
    });
    expect([shown, said]).toEqual(['A=F:timeout J=X run=failed', ['late']]);
  });

  test("the run's timeout counts from its start, its cancelled tasks name the deadline, and the run has failed", async () => {
    expect(
      await ends(
        (w, { naps }) => {
          const a = w.run('A', {}, () => naps.sleep(50));
          w.run('B', { a }, ok);
          w.run('R', {}, () => Promise.reject(new Error('x')), steady({ initial: '40s', maxAttempts: 3 }));
          w.sleep('1h');
          w.run('D', {}, ok);
        },
        { timeout: '10s' },
      ),
    ).toBe('A=C:deadline B=C:deadline R=C:deadline sleep=C:deadline D=S run=failed:deadline');
  });

  test('a sleeping body: the attempt timeout counts running time only, the total counts all', async () => {
    const body = (naps: Naps) => async (_: unknown, ctx: { sleep(name: string, time: '20s'): Promise<void> }) => {
      await ctx.sleep('long', '20s');
      await naps.sleep(1);
    };
    expect(await ends((w, { naps }) => void w.run('A', {}, body(naps), { timeout: '3s', ...quick(1) }))).toBe('A=S run=success');
    expect(await ends((w, { naps }) => void w.run('A', {}, body(naps), { timeout: { total: '15s' }, ...quick(1) }))).toBe(
      'A=F:total_timeout run=failed',
    );
  });

  test('queue: what is not claimed in time fails without an attempt', async () => {
    expect(
      await ends((w, { naps }) => {
        const one = { concurrency: { key: 'k', limit: 1 } } as const;
        const a = w.run('A', {}, () => naps.sleep(30), one);
        w.run('B', {}, ok, { ...one, after: [w.sleep('1s')], timeout: { queue: '5s' } });
        void a;
      }),
    ).toMatch(/^A=S sleep=S B=F:queue_timeout run=failed$/);
  });

  test('queue: it is the time before the first attempt, a retry waits for its turn', async () => {
    expect(
      await ends((w, { naps }) => {
        const one = { concurrency: { key: 'k', limit: 1 } } as const;
        const b = w.run('B', {}, () => Promise.reject(new Error('x')), {
          ...one,
          ...steady({ initial: '3s', maxAttempts: 2 }),
          timeout: { queue: '5s' },
        });
        w.run('A', {}, () => naps.sleep(30), { ...one, after: [w.sleep('1s')] });
        void b;
      }),
    ).toBe('B=F*2 sleep=S A=S run=failed');
  });

  test.each([0, -1, Number.NaN, Infinity, '0s', '-5s', '5', 'soon', '1.5x', '', null])(
    'a duration of %j is refused when it is defined',
    (bad) => {
      const defining = (opts: object) => () => workflow({ name: 'bad' }, (w) => void w.run('A', {}, ok, opts as NodeOpts));
      const time = bad as '1s';
      for (const opts of [
        { timeout: time },
        { timeout: { total: time } },
        { timeout: { queue: time } },
        { retry: { initial: time } },
        { retry: { maxElapsed: time } },
      ])
        expect(defining(opts), JSON.stringify(opts)).toThrow(/problem/);
      expect(() => workflow({ name: 'bad', timeout: time }, () => ({}))).toThrow(/problem|duration|must be/);
      expect(() => workflow({ name: 'bad' }, (w) => void w.sleep(time))).toThrow(/problem|duration|must be/);
      expect(() => workflow({ name: 'bad' }, (w) => void w.approve('a', { who: ['x'], timeout: time }))).toThrow(
        /problem|duration|must be/,
      );
    },
  );
});

describe('effects: unsafe', () => {
  const unsafe = { effects: 'unsafe' } as const;
  test.each([
    ['a plain error', [new Error('x')], {}, 'A=F:outcome_unknown run=failed'],
    ['a plain error, with attempts', [new Error('x')], { retry: { maxAttempts: 5 } }, 'A=F:outcome_unknown run=failed'],
    ['not retryable: the outcome is known', [new NonRetryableError('x')], {}, 'A=F run=failed'],
    ['retry after, one attempt', [new RetryAfterError('1s')], {}, 'A=F run=failed'],
    ['retry after, two attempts', [new RetryAfterError('1s'), null], { retry: { maxAttempts: 2 } }, 'A=S*2 run=success'],
    [
      'a rule with action retry',
      [coded('BUSY'), null],
      { retry: { on: [{ match: 'BUSY', retries: 2, action: 'retry', initial: '1s' }] } },
      'A=S*2 run=success',
    ],
    [
      'an error that no rule names',
      [coded('LOST'), null],
      { retry: { on: [{ match: 'BUSY', retries: 2 }] } },
      'A=F:outcome_unknown run=failed',
    ],
  ] as [string, unknown[], NodeOpts, string][])('%s', async (_, throws, opts, expected) => {
    expect((await attempts(throws, { ...unsafe, ...opts }))[0]).toBe(expected);
  });

  test('a timeout leaves it unknown; sending it on asks for a word', async () => {
    const { shown, run, naps } = await begun(
      (w, { naps }) =>
        void w.run('A', {}, (_, { attempt }) => naps.sleep(attempt === 1 ? 30 : 0), {
          ...unsafe,
          timeout: '2s',
          retry: { maxAttempts: 3 },
        }),
    );
    expect(shown).toBe('A=F:outcome_unknown run=failed');
    await expect(run.redrive()).rejects.toMatchObject({ code: 'TASK_OUTCOME_UNKNOWN' });
    await run.redrive({ acceptUnknown: true });
    await naps.pass(5);
    expect((await run.status()).status).toBe('success');
  });

  test('its process dies: unknown, and never begun again', async () => {
    let bodies = 0;
    const { shown } = await begun(
      (w, { naps }) => void w.run('A', {}, () => (bodies++, naps.sleep(9)), { ...unsafe, retry: { maxAttempts: 4 } }),
      { meanwhile: ({ kit }) => kit.reboot() },
    );
    expect([shown, bodies]).toEqual(['A=F:outcome_unknown run=failed', 1]);
  });

  test('what ran on a failure and is unsafe stays as it is', async () => {
    let charged = 0;
    const { run, naps } = await begun((w) => {
      const a = w.run('A', {}, fail);
      w.run('charge', {}, () => ++charged, { ...unsafe, after: [a], join: 'all_done' });
    });
    const report = await run.redrive({ dryRun: true });
    expect(report.kept).toEqual([{ task: 'charge', why: 'unsafe' }]);
    await run.redrive();
    await naps.pass(5);
    expect(charged).toBe(1);
  });
});

describe('idempotency keys', () => {
  const keysOf = async (
    act: (run: Parameters<NonNullable<CaseOptions['meanwhile']>>[0]['run']) => Promise<unknown>,
    throwsAtFirst: boolean,
  ) => {
    const keys: string[] = [];
    let isBroken = throwsAtFirst;
    const { run, naps } = await begun((w) => {
      const body = task({
        name: 'A',
        ...quick(2),
        input: undefined as never,
        run: (_: { n: number }, ctx) => {
          keys.push(ctx.idempotencyKey);
          if (isBroken) throw new Error('x');
          return 1;
        },
      });
      w.run(body as never, { n: 1 } as never);
    });
    isBroken = false;
    await act(run);
    await naps.pass(10);
    return [keys.length, new Set(keys).size];
  };

  test.each([
    ['retries and a plain redrive', true, {}, [3, 1]],
    ['a redrive with another input', true, { input: { n: 2 } }, [3, 2]],
    ['a redrive with another input, the same key asked for', true, { input: { n: 2 }, sameKey: true }, [3, 1]],
  ])('%s', async (_, broken, opts, expected) => {
    expect(await keysOf((run) => run.redrive({ task: 'A', ...opts }), broken)).toEqual(expected);
  });

  test('a rerun of a success is another effect, unless the same key is asked for', async () => {
    expect(await keysOf((run) => run.rerun('A'), false)).toEqual([2, 2]);
    expect(await keysOf((run) => run.rerun('A', { sameKey: true }), false)).toEqual([2, 1]);
  });
});

describe('outputs', () => {
  test.each([
    ['null', () => null, 'null'],
    ['an empty text', () => '', '""'],
    ['nothing', () => undefined, 'undefined'],
    ['0', () => 0, '0'],
    ['false', () => false, 'false'],
    ['an empty list', () => [], '[]'],
  ])('%s succeeds, and is what is read', async (_, body, expected) => {
    const { shown, said } = await begun((w, { said }) => {
      const a = w.run('A', {}, body as () => unknown);
      w.run('J', { a }, ({ a }) => void said.push(String(JSON.stringify(a))));
    });
    expect([shown, said]).toEqual(['A=S J=S run=success', [expected]]);
  });

  test.each([
    ['a function', () => ({ deep: [() => 1] })],
    ['a symbol', () => ({ deep: Symbol('x') })],
    ['a promise inside', () => ({ deep: Promise.resolve(1) })],
    [
      'a ring',
      () => {
        const ring: Record<string, unknown> = {};
        ring['self'] = ring;
        return ring;
      },
    ],
    ['a NaN', () => ({ n: Number.NaN })],
    [
      'a class with methods',
      () =>
        new (class Some {
          #x = 1;
          get() {
            return this.#x;
          }
        })(),
    ],
  ])('%s is not storable, and not tried again', async (_, body) => {
    const shown = await ends((w) => void w.run('A', {}, body as () => unknown));
    expect(shown).toMatch(/^A=(F:not_storable run=failed)$/);
  });

  test('too large: told so, not tried again', async () => {
    expect(await ends((w) => void w.run('A', {}, () => 'x'.repeat(1_100_000)))).toBe('A=F:output_too_large run=failed');
  });

  test('dates, maps, sets, bigints and bytes come as what they were', async () => {
    const value = { d: new Date(5), m: new Map([['a', new Set([1n])]]), b: new Uint8Array([1, 2]), u: new URL('https://a.b/c') };
    const { said, result } = await begun((w, { said }) => {
      const a = w.run('A', {}, () => value);
      w.run('J', { a }, ({ a }) => void said.push(`${a.d instanceof Date} ${a.m.get('a')?.has(1n)} ${a.b[1]} ${a.u.host}`));
      return { a };
    });
    expect(said).toEqual(['true true 2 a.b']);
    expect(result).toEqual({ a: value });
  });
});
