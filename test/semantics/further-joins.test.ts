import { afterEach, describe, expect, test } from 'vitest';
import { NonRetryableError, workflow, type Build } from '../../src/index.ts';
import { begun, ends } from './further-kit.ts';
import { closeAll, fail, ok, quick } from './kit.ts';

afterEach(closeAll);

const refuse = { concurrency: { key: 'one', limit: 1, onLimit: 'cancel_new' } } as const;
const allowed = { allowFailure: true } as const;
const never = { when: (): boolean => false } as const;
const held = (w: Build, naps: { sleep(seconds: number): Promise<void> }) => w.run('hold', {}, () => naps.sleep(2), refuse);

/** J over one upstream per letter; C is refused by a key that another task holds. */
const over = (join: string, letters: string): Promise<string> =>
  ends((w, { naps }) => {
    const hold = held(w, naps);
    const pause = w.run('pause', {}, () => naps.sleep(1));
    const after = letters.split('').map((letter, i) => {
      const id = `u${i}`;
      if (letter === 'C') return w.run(id, {}, ok, { after: [pause], ...refuse });
      if (letter === 'F') return w.run(id, {}, fail);
      if (letter === 'K') return w.run(id, {}, ok, never);
      return w.run(id, {}, ok);
    });
    w.run('J', {}, ok, { after, join: join as 'all_success' });
    void hold;
  }).then((shown) => shown.slice(shown.indexOf('J=')));

describe('what a cancelled upstream makes of a join', () => {
  test.each([
    ['all_success', 'CS', 'J=C run=cancelled'],
    ['all_success', 'CK', 'J=C run=cancelled'],
    ['all_success', 'CF', 'J=X run=failed'],
    ['none_failed', 'CK', 'J=C run=cancelled'],
    ['none_failed', 'CF', 'J=X run=failed'],
    ['none_failed_min_one_success', 'CS', 'J=C run=cancelled'],
    ['one_success', 'C', 'J=C run=cancelled'],
    ['one_success', 'CS', 'J=S run=cancelled'],
    ['one_success', 'CF', 'J=X run=failed'],
    ['one_success', 'CK', 'J=C run=cancelled'],
    ['at_least(2)', 'CS', 'J=C run=cancelled'],
    ['at_least(2)', 'CSF', 'J=X run=failed'],
    ['at_least(2)', 'CSS', 'J=S run=cancelled'],
    ['all_done', 'C', 'J=S run=cancelled'],
    ['all_done_min_one_success', 'C', 'J=C run=cancelled'],
    ['all_done_min_one_success', 'CK', 'J=C run=cancelled'],
    ['all_done_min_one_success', 'CF', 'J=X run=failed'],
    ['all_done_min_one_success', 'CS', 'J=S run=cancelled'],
    ['one_done', 'C', 'J=K run=cancelled'],
    ['one_done', 'CF', 'J=S run=failed'],
    ['one_failed', 'C', 'J=K run=cancelled'],
    ['one_failed', 'CF', 'J=S run=failed'],
    ['all_failed', 'CF', 'J=K run=failed'],
    ['all_skipped', 'CK', 'J=K run=cancelled'],
    ['none_skipped', 'C', 'J=S run=cancelled'],
    ['none_skipped', 'CF', 'J=S run=failed'],
    ['always', 'C', 'J=S run=cancelled'],
  ])('%s over %s', async (join, letters, expected) => {
    const shown = await over(join, letters);
    expect(shown.replaceAll(/:\w+/g, '')).toBe(expected);
  });
});

describe('a failure that is allowed', () => {
  test.each([
    ['all_success', 'A=F J=S run=partial'],
    ['none_failed', 'A=F J=S run=partial'],
    ['one_success', 'A=F J=S run=partial'],
    ['at_least(1)', 'A=F J=S run=partial'],
    ['all_done_min_one_success', 'A=F J=S run=partial'],
    ['one_done', 'A=F J=S run=partial'],
    ['one_failed', 'A=F J=K run=failed'],
    ['all_failed', 'A=F J=K run=failed'],
    ['none_skipped', 'A=F J=S run=partial'],
  ] as const)('counts as a success on an edge of order: %s', async (join, expected) => {
    expect(
      await ends((w) => {
        const a = w.run('A', {}, fail, allowed);
        w.run('J', {}, ok, { after: [a], join });
      }),
    ).toBe(expected);
  });

  test('on an edge that orders and reads, the read decides', async () => {
    expect(
      await ends((w) => {
        const a = w.run('A', {}, () => fail(), allowed);
        w.run('J', { a }, ok, { after: [a] });
        w.run('other', {}, ok);
      }),
    ).toBe('A=F J=X other=S run=partial');
  });

  test('a required read of it blocks under all_done and under one_failed too', async () => {
    expect(
      await ends((w) => {
        const a = w.run('A', {}, () => fail(), allowed);
        w.run('J', { a }, ok, { join: 'all_done' });
        w.run('K', { a }, ok, { join: 'one_failed' });
        w.run('other', {}, ok);
      }),
    ).toBe('A=F J=X K=X other=S run=partial');
  });

  test('what fails because it read one adds nothing to the outcome', async () => {
    expect(
      await ends((w) => {
        const a = w.run('A', {}, () => fail(), allowed);
        const b = w.run('B', { a }, ok);
        w.run('C', { b }, ok);
        w.run('D', {}, ok, { after: [a] });
      }),
    ).toBe('A=F B=X C=X D=S run=partial');
  });

  test('a timeout, a broken output and a broken predicate are allowed like an error', async () => {
    expect(
      await ends((w, { naps }) => {
        const a = w.run('A', {}, () => naps.sleep(30), { ...allowed, timeout: '1s', retry: { maxAttempts: 1 } });
        const b = w.run('B', {}, ok, { ...allowed, when: () => fail() });
        w.run('J', {}, ok, { after: [a, b] });
      }),
    ).toBe('A=F:timeout B=F:definition_error J=S run=partial');
  });
});

describe('reads', () => {
  test('a reader under an eager join waits for what it reads', async () => {
    const { shown, said } = await begun((w, { naps, said }) => {
      const quickOne = w.run('Q', {}, ok);
      const slow = w.run('S', {}, async () => {
        await naps.sleep(5);
        said.push('slow');
        return 7;
      });
      w.run('J', { slow }, ({ slow }) => void said.push(`J ${slow}`), { after: [quickOne], join: 'one_success' });
    });
    expect([shown, said]).toEqual(['Q=S S=S J=S run=success', ['slow', 'J 7']]);
  });

  test('a required read that failed overrides one_success, at_least and one_done', async () => {
    expect(
      await ends((w) => {
        const good = w.run('G', {}, ok);
        const bad = w.run('B', {}, () => fail());
        w.run('J1', { bad }, ok, { after: [good], join: 'one_success' });
        w.run('J2', { bad }, ok, { after: [good], join: 'at_least(1)' });
        w.run('J3', { bad }, ok, { after: [good], join: 'one_done' });
        w.run('J4', { bad }, ok, { after: [good], join: 'none_skipped' });
      }),
    ).toBe('G=S B=F J1=X J2=X J3=X J4=X run=failed');
  });

  test('a cleaner reads what succeeded, beside what failed', async () => {
    const { shown, said } = await begun((w, { said }) => {
      const opened = w.run('open', {}, () => 'h1');
      const work = w.run('work', { opened }, fail);
      w.run('clean', { opened }, ({ opened }) => void said.push(opened), { after: [work], join: 'one_failed' });
    });
    expect([shown, said]).toEqual(['open=S work=F clean=S run=failed', ['h1']]);
  });

  test('all_failed over settled reads runs, and is told why', async () => {
    const { shown, said } = await begun((w, { said }) => {
      const { a, b } = w.settle({ a: w.run('A', {}, () => fail()), b: w.run('B', {}, () => fail()) });
      w.run('J', { a, b }, ({ a, b }) => void said.push(`${a.status} ${b.status}`), { join: 'all_failed' });
    });
    expect([shown, said]).toEqual(['A=F B=F J=S run=failed', ['failed failed']]);
  });

  test('a settled edge takes part in a join that is written out, and not in the default one', async () => {
    expect(
      await ends((w) => {
        const a = w.run('A', {}, () => fail());
        const { settled } = w.settle({ settled: a });
        w.run('J', { settled }, ok);
        w.run('L', { settled }, ok, { join: 'all_success' });
        w.run('M', { settled }, ok, { join: 'none_failed' });
      }),
    ).toBe('A=F J=S L=X M=X run=failed');
  });

  test('a settled read does not save a reader whose other upstream was skipped', async () => {
    expect(
      await ends((w) => {
        const a = w.run('A', {}, () => fail());
        const k = w.run('K', {}, ok, never);
        const { settled } = w.settle({ settled: a });
        w.run('J', { settled }, ok, { after: [k] });
      }),
    ).toBe('A=F K=K J=K run=failed');
  });

  test('settled says how each of five ended', async () => {
    const { said } = await begun((w, { naps, said }) => {
      held(w, naps);
      const bad = w.run('F', {}, () => fail());
      const parts = w.settle({
        s: w.run('S', {}, () => 3),
        f: bad,
        x: w.run('X', { bad }, ok),
        k: w.run('K', {}, ok, never),
        c: w.run('C', {}, ok, { after: [w.run('pause', {}, () => naps.sleep(1))], ...refuse }),
      });
      w.run('J', parts, (v) => {
        said.push(JSON.stringify(v.s), v.f.status, v.x.status, JSON.stringify(v.k), v.c.status);
        if (v.f.status === 'failed') said.push(v.f.error.message);
      });
    });
    expect(said).toEqual(['{"status":"success","value":3}', 'failed', 'upstream_failed', '{"status":"skipped"}', 'cancelled', 'for good']);
  });

  test('an optional read lets a skip pass and nothing else', async () => {
    expect(
      await ends((w, { naps }) => {
        held(w, naps);
        const k = w.optional(w.run('K', {}, ok, never));
        const f = w.optional(w.run('F', {}, () => fail()));
        const c = w.optional(w.run('C', {}, ok, { after: [w.run('pause', {}, () => naps.sleep(1))], ...refuse }));
        w.run('J1', { k }, ok);
        w.run('J2', { f }, ok);
        w.run('J3', { c }, ok);
        w.run('J4', { f }, ok, { join: 'all_done' });
        w.run('J5', { c }, ok, { join: 'always' as 'all_done' });
      }).catch((error: Error) => error.message.includes('always')),
    ).toBe(true);
    expect(
      await ends((w) => {
        const k = w.optional(w.run('K', {}, ok, never));
        const f = w.optional(w.run('F', {}, () => fail()));
        w.run('J1', { k }, ok);
        w.run('J2', { f }, ok);
        w.run('J4', { f }, ok, { join: 'all_done' });
      }),
    ).toBe('K=K F=F J1=S J2=X J4=X run=failed');
  });

  test.each([
    ['all_success', 'S'],
    ['none_failed_min_one_success', 'S'],
    ['one_success', 'S'],
    ['all_done_min_one_success', 'S'],
    ['one_done', 'S'],
    ['none_skipped', 'S'],
    ['all_skipped', 'K'],
    ['one_failed', 'K'],
  ] as const)('a skip that is read as optional counts as a success: %s', async (join, expected) => {
    expect(
      await ends((w) => {
        const k = w.run('K', {}, ok, never);
        w.run('J', { k: w.optional(k) }, ok, { join });
      }),
    ).toBe(`K=K J=${expected} run=success`);
  });

  test('the same skip counts as one for another reader', async () => {
    expect(
      await ends((w) => {
        const k = w.run('K', {}, ok, never);
        w.run('J', { k: w.optional(k, 5) }, ok);
        w.run('L', {}, ok, { after: [k] });
        w.run('M', {}, ok, { after: [k], join: 'all_skipped' });
      }),
    ).toBe('K=K J=S L=K M=S run=success');
  });

  test('a default stands for a skip only, not for an output that is undefined', async () => {
    const { said } = await begun((w, { said }) => {
      const k = w.run('K', {}, ok, never);
      const u = w.run('U', {}, () => undefined);
      const n = w.run('N', {}, () => null);
      w.run('J', { k: w.optional(k, 5), u: w.optional(u, 6), n: w.optional(n, 7) }, (v) => void said.push(`${v.k} ${v.u} ${v.n}`));
    });
    expect(said).toEqual(['5 undefined null']);
  });

  test('a skip goes on through required reads, over any number of tasks', async () => {
    expect(
      await ends((w) => {
        const k = w.run('K', {}, ok, never);
        const a = w.run('A', {}, ok, { after: [k] });
        const b = w.run('B', { a }, ok);
        w.run('C', { b }, ok, { join: 'all_done' });
        w.run('D', {}, ok, { after: [b], join: 'all_done' });
      }),
    ).toBe('K=K A=K B=K C=K D=S run=success');
  });

  test('a predicate of what is skipped by its upstream is never asked', async () => {
    const { shown, said } = await begun((w, { said }) => {
      const k = w.run('K', {}, ok, never);
      w.run('A', {}, ok, { after: [k], when: () => said.push('asked') > 0 });
    });
    expect([shown, said]).toEqual(['K=K A=K run=success', []]);
  });

  test('the label of a reader: failed before cancelled before skipped, in any place of the input', async () => {
    expect(
      await ends((w) => {
        const k = w.run('K', {}, ok, never);
        const k2 = w.run('K2', {}, ok, { after: [k] });
        const f = w.run('F', {}, () => fail());
        w.run('J', { list: [k2, { deep: f }] }, ok, { join: 'all_done' });
        w.run('L', { f, k2 }, ok);
      }),
    ).toBe('K=K K2=K F=F J=X L=X run=failed');
  });
});

describe('catch', () => {
  const boom = (): never => {
    throw new Error('boom');
  };

  test('what reads the task gets what the handler gave, under every join', async () => {
    const { shown, said } = await begun((w, { said }) => {
      const a = w.run('A', {}, (): number => fail(), { catch: () => 9 });
      w.run('J', { a }, ({ a }) => void said.push(`J ${a}`));
      w.run('L', { a }, ({ a }) => void said.push(`L ${a}`), { join: 'none_failed' });
      w.run('M', {}, ok, { after: [a], join: 'one_failed' });
      w.run('N', { s: w.settle({ a }).a }, ({ s }) => void said.push(JSON.stringify(s)));
    });
    expect(shown).toContain('J=S L=S M=K N=S run=partial');
    expect(said.toSorted()).toEqual(['J 9', 'L 9', '{"status":"success","value":9}']);
  });

  test('alone in its run, a handled failure is partial', async () => {
    expect(await ends((w) => void w.run('A', {}, (): number => fail(), { catch: () => 1 }))).toContain('run=partial');
  });

  test('is asked once, after the last attempt', async () => {
    const { shown, said } = await begun((w, { said }) => {
      w.run('A', { n: 1 }, (): number => boom(), {
        ...quick(3),
        catch: ({ input, error }) => said.push(`${input.n} ${error.message} ${error.attempts}`),
      });
    });
    expect(shown).toMatch(/^A=F!\*3/);
    expect(said).toEqual(['1 boom 3']);
  });

  test('a handler that fails: the task is failed, both errors are told, and it is one dead letter', async () => {
    const { shown, kit, run } = await begun((w) => {
      const a = w.run('A', {}, (): number => boom(), {
        ...quick(1),
        catch: () => {
          throw new NonRetryableError('handler too');
        },
      });
      w.run('J', { a }, ok);
    });
    expect(shown).toMatch(/^A=F .*J=X run=failed$/);
    const detail = await kit.dead.get((await kit.dead.list()).letters[0]?.id ?? 'none');
    expect(await kit.dead.count()).toBe(1);
    expect(JSON.stringify(detail.error)).toMatch(/boom.*handler too|handler too.*boom/);
    expect((await run.status()).status).toBe('failed');
  });

  test('a handler that fails for a task that may fail: partial', async () => {
    expect(
      await ends((w) => {
        const a = w.run('A', {}, (): number => fail(), { ...allowed, catch: () => fail() });
        w.run('J', {}, ok, { after: [a] });
      }),
    ).toMatch(/^A=F .*J=S run=partial$/);
  });

  test('takes a timeout, a total timeout and a broken output', async () => {
    const { shown } = await begun((w, { naps }) => {
      const handler = { catch: (): number => 2, retry: { maxAttempts: 1 } } as const;
      const slow = async (): Promise<number> => {
        await naps.sleep(30);
        return 1;
      };
      const a = w.run('A', {}, slow, { timeout: '1s', ...handler });
      const b = w.run('B', {}, slow, { timeout: { total: '2s' }, ...handler });
      w.run('J', { a, b }, ({ a, b }) => a + b);
    });
    expect(shown).toMatch(/A=F!:timeout .*B=F!:total_timeout .*J=S run=partial/);
  });

  test('under abort, a handler that runs is let end, and the run is what failed', async () => {
    expect(
      await ends(
        (w, { naps }) => {
          const a = w.run('A', {}, (): number => fail(), {
            catch: async () => {
              await naps.sleep(5);
              return 1;
            },
          });
          w.run('B', {}, async () => {
            await naps.sleep(1);
            fail();
          });
          w.run('J', { a }, ok);
        },
        { failurePolicy: 'abort' },
      ),
    ).toMatch(/^A=F! .*B=F J=C:fail_fast run=failed$/);
  });

  test('a cancel while the handler runs cancels the task', async () => {
    expect(
      await ends((w, { naps }) => void w.run('A', {}, (): number => fail(), { catch: () => naps.sleep(50).then(() => 1) }), {
        meanwhile: ({ run }) => run.cancel(),
      }),
    ).toMatch(/^A=C:person .*run=cancelled/);
  });

  test('trips no policy while the handler has not ended, nor after it has', async () => {
    expect(
      await ends(
        (w, { naps }) => {
          w.run('A', {}, (): number => fail(), { catch: () => 1 });
          w.run('B', {}, () => naps.sleep(5));
        },
        { failurePolicy: 'abort' },
      ),
    ).toMatch(/^A=F! .*B=S run=partial$/);
  });
});

describe('when a workflow is defined', () => {
  const defining = (build: (w: Build) => void) => () =>
    workflow({ name: 'bad' }, (w) => {
      build(w);
      return {};
    });

  test.each(['at_least(0)', 'at_least(-1)', 'at_least(1.5)', 'at_least(2)', 'at_least', 'AT_LEAST(1)', ' all_done', ''])(
    'the join %j over one upstream is refused',
    (join) => {
      expect(defining((w) => w.run('J', {}, ok, { after: [w.run('A', {}, ok)], join: join as 'all_done' }))).toThrow(/join|at_least/i);
    },
  );

  test('reading under always is refused, ordering is not', () => {
    expect(defining((w) => w.run('J', { a: w.run('A', {}, ok) }, ok, { join: 'always' }))).toThrow(/always/);
    expect(defining((w) => w.run('J', {}, ok, { after: [w.run('A', {}, ok)], join: 'always' }))).not.toThrow();
  });

  test('what may be skipped is refused as a value, by name, wherever it stands', () => {
    const bad = defining((w) => {
      const k = w.run('K', {}, ok, never);
      w.run('J', { deep: [{ k: k as never }] }, ok);
    });
    expect(bad).toThrow(/K/);
    expect(bad).toThrow(/optional/);
  });

  test('all problems stand in one message', () => {
    const bad = defining((w) => {
      const a = w.run('A', {}, ok, { retry: { maxAttempts: 0 } });
      w.run('J', {}, ok, { after: [a], join: 'at_least(4)', timeout: -5 });
      w.map([1], (_w, n) => n, { tolerate: { ratio: 3 }, maxItems: Number.NaN });
    });
    for (const part of [/maxAttempts/, /at_least/, /timeout/, /ratio/, /maxItems/]) expect(bad).toThrow(part);
  });
});
