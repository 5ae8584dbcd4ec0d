import { afterEach, describe, expect, test } from 'vitest';
import { signal, workflow } from '../../src/index.ts';
import { z } from 'zod';
import { begun, ends } from './further-kit.ts';
import { closeAll, engineOf, fail, ok, quick } from './kit.ts';

afterEach(closeAll);

const never = { when: (): boolean => false } as const;

describe('when', () => {
  test('a branch that was not chosen is skipped with all its tasks, what follows it in any place too', async () => {
    expect(
      await ends((w) => {
        const a = w.run('A', {}, () => 1);
        const boss = w.when(
          a,
          (n) => n > 1,
          () => {
            const b = w.run('B', {}, ok);
            return w.run('C', { b }, ok);
          },
        );
        w.run('J', {}, ok, { after: [boss] });
        w.run('L', { boss: w.optional(boss) }, ok);
        w.run('M', {}, ok, { after: [boss], join: 'none_failed' });
      }),
    ).toBe('A=S when=S B=K C=K J=K L=S M=S run=success');
  });

  test('a branch of constants needs no task', async () => {
    const { result } = await begun((w) => {
      const a = w.run('A', {}, () => 3);
      return {
        r: w.when(
          a,
          (n) => n > 1,
          () => ({ big: true, why: ['three'] }),
          () => ({ big: false, why: [] as string[] }),
        ),
      };
    });
    expect(result).toEqual({ r: { big: true, why: ['three'] } });
  });

  test('a branch may give what was made outside', async () => {
    const { result, shown } = await begun((w) => {
      const a = w.run('A', {}, () => 3);
      const b = w.run('B', {}, () => 'b');
      return {
        r: w.when(
          a,
          (n) => n > 5,
          () => a,
          () => b,
        ),
      };
    });
    expect([result, shown]).toEqual([{ r: 'b' }, 'A=S B=S when=S run=success']);
  });

  test('a failure in the chosen branch reaches what reads it, also as optional', async () => {
    expect(
      await ends((w) => {
        const a = w.run('A', {}, () => 3);
        const r = w.when(
          a,
          () => true,
          () => w.run('B', {}, () => fail()),
          () => w.run('C', {}, () => fail()),
        );
        w.run('J', { r }, ok);
        const half = w.when(
          a,
          () => true,
          () => w.run('D', {}, () => fail()),
          { id: 'half' },
        );
        w.run('L', { half: w.optional(half) }, ok);
        w.run('M', { s: w.settle({ half }).half }, ok);
      }),
    ).toBe('A=S when=S B=F C=K J=X half=S D=F L=X M=S run=failed');
  });

  test('settled, a branch that was not chosen is skipped', async () => {
    const { said } = await begun((w, { said }) => {
      const r = w.when(
        w.run('A', {}, ok),
        () => false,
        () => w.run('B', {}, ok),
      );
      w.run('J', { s: w.settle({ r }).r }, ({ s }) => void said.push(JSON.stringify(s)));
    });
    expect(said).toEqual(['{"status":"skipped"}']);
  });

  test('what it decides on fails: nothing of both branches runs, and nothing is asked', async () => {
    const { shown, said } = await begun((w, { said }) => {
      const a = w.run('A', {}, () => fail());
      const r = w.when(
        a,
        () => said.push('asked') > 0,
        () => w.run('B', {}, ok),
        () => w.run('C', {}, ok),
      );
      w.run('J', { r }, ok);
    });
    expect([shown, said]).toEqual(['A=F when=X B=X C=X J=X run=failed', []]);
  });

  test('what it decides on was skipped: so are both branches', async () => {
    expect(
      await ends((w) => {
        const k = w.run('K', {}, ok, never);
        const a = w.run('A', {}, ok, { after: [k] });
        w.when(
          a,
          () => true,
          () => w.run('B', {}, ok),
          () => w.run('C', {}, ok),
        );
      }),
    ).toBe('K=K A=K when=K B=K C=K run=success');
  });

  test('nested: an inner one in a branch that was not chosen is never asked', async () => {
    const { shown, said } = await begun((w, { said }) => {
      const a = w.run('A', {}, ok);
      w.when(
        a,
        () => false,
        () => {
          const b = w.run('B', {}, ok);
          return w.optional(
            w.when(
              b,
              () => said.push('inner') > 0,
              () => w.run('C', {}, ok),
              { id: 'inner' },
            ),
          );
        },
      );
    });
    expect([shown, said]).toEqual(['A=S when=S B=K inner=K C=K run=success', []]);
  });

  test('a predicate that throws fails for good; what hangs on it is upstream_failed', async () => {
    expect(
      await ends((w) => {
        const r = w.when(
          w.run('A', {}, ok),
          () => fail(),
          () => w.run('B', {}, ok),
        );
        w.run('J', { r: w.optional(r) }, ok);
      }),
    ).toBe('A=S when=F:definition_error B=X J=X run=failed');
  });

  test('a map in a branch is skipped with it; its reader gets the default', async () => {
    const { shown, said } = await begun((w, { said }) => {
      const list = w.run('list', {}, () => [1, 2]);
      const r = w.when(
        list,
        (l) => l.length > 5,
        () => w.map(list, (b, n) => b.run('item', { n }, ({ n }) => n), { id: 'M' }),
      );
      w.run('J', { r: w.optional(r, []) }, ({ r }) => void said.push(JSON.stringify(r)));
    });
    expect([shown, said]).toEqual(['list=S when=S M=K J=S run=success', ['[]']]);
  });

  test('is asked once, over retries of what follows and over a crash', async () => {
    let asked = 0;
    const { shown } = await begun(
      (w, { naps }) => {
        w.when(
          w.run('A', {}, ok),
          () => ++asked > 0,
          () =>
            w.run(
              'B',
              {},
              async (_, { attempt }) => {
                await naps.sleep(2);
                if (attempt < 3) throw new Error('again');
                return 1;
              },
              quick(3),
            ),
        );
      },
      { meanwhile: ({ kit }) => kit.reboot() },
    );
    expect(shown).toMatch(/^A=S when=S B=S\*3 run=success$/);
    expect(asked).toBe(1);
  });
});

describe('switch', () => {
  const kinds = (kind: string, more: { readonly withDefault?: boolean } = {}) =>
    ends((w) => {
      const k = w.run('kind', {}, () => kind);
      const cases = {
        a: [(v: string) => v.startsWith('a'), () => w.run('A', {}, ok)],
        ab: [(v: string) => v.startsWith('ab'), () => w.run('AB', {}, ok)],
      } as const;
      const r = more.withDefault === true ? w.switch(k, cases, { default: () => w.run('D', {}, ok) }) : w.switch(k, cases);
      w.run('J', { r }, ok);
    });

  test.each([
    ['ab', false, 'kind=S switch=S A=S AB=K J=S run=success'],
    ['z', false, 'kind=S switch=F:no_match A=X AB=X J=X run=failed'],
    ['z', true, 'kind=S switch=S A=K AB=K D=S J=S run=success'],
    ['a', true, 'kind=S switch=S A=S AB=K D=K J=S run=success'],
  ])('%s, with a default: %s', async (kind, withDefault, expected) => {
    expect(await kinds(kind, { withDefault })).toBe(expected);
  });

  test('a predicate behind the one that holds is not asked, also if it would throw', async () => {
    expect(
      await ends((w) => {
        w.switch(w.run('A', {}, ok), { one: [() => true, () => w.run('B', {}, ok)], two: [() => fail(), () => w.run('C', {}, ok)] });
      }),
    ).toBe('A=S switch=S B=S C=K run=success');
  });

  test('selecting nothing: the value is read as optional', async () => {
    const { shown, result } = await begun((w) => {
      const r = w.switch(w.run('A', {}, ok), { one: [() => false, () => w.run('B', {}, ok)] }, { default: 'skip' });
      return { r: w.optional(r, 'none') };
    });
    expect([shown, result]).toEqual(['A=S switch=S B=K run=success', { r: 'none' }]);
  });

  test('a task reached through two cases runs by its own join', async () => {
    expect(
      await ends((w) => {
        const all: ReturnType<typeof w.run>[] = [];
        const make = (id: string) => () => {
          const made = w.run(id, {}, ok);
          all.push(made as never);
          return made;
        };
        w.switch(
          w.run('K', {}, () => 'two'),
          { one: [(v) => v === 'one', make('A')], two: [(v) => v === 'two', make('B')] },
        );
        w.run('J', {}, ok, { after: all, join: 'none_failed_min_one_success' });
        w.run('L', {}, ok, { after: all, join: 'one_success' });
        w.run('M', {}, ok, { after: all, join: 'all_done' });
      }),
    ).toBe('K=S switch=S A=K B=S J=S L=S M=S run=success');
  });
});

describe('a guard and other waits at the door', () => {
  const guarded = (guard: (input: { n: number }) => boolean) => {
    const told: string[] = [];
    const one = workflow(
      {
        name: 'case',
        input: z.object({ n: z.number() }),
        guard,
        onStart: () => void told.push('start'),
        onFinish: ({ status }) => void told.push(`finish ${status}`),
        onFailure: ({ reason }) => void told.push(`failure ${reason}`),
      },
      (w) => {
        w.run('A', {}, () => void told.push('A'));
        return {};
      },
    );
    return { one, told };
  };

  test.each([
    [true, 'success', ['start', 'A', 'finish success']],
    [false, 'skipped', ['finish skipped']],
  ])('it says %s: run=%s', async (verdict, status, expected) => {
    const { one, told } = guarded(({ n }) => (n === 1 ? verdict : !verdict));
    const kit = engineOf(one);
    const run = await kit.start(one as never, { n: 1 });
    await kit.clock.advance('10s');
    expect((await run.status()).status).toBe(status);
    expect(told.toSorted()).toEqual([...expected].toSorted());
  });

  test('one that throws fails the run, and is told as such', async () => {
    const { one, told } = guarded(() => fail());
    const kit = engineOf(one);
    const run = await kit.start(one as never, { n: 1 });
    await kit.clock.advance('10s');
    expect(await run.status()).toMatchObject({ status: 'failed', reason: 'definition_error' });
    expect(told.toSorted()).toEqual(['failure definition_error', 'finish failed']);
  });
});

describe('first', () => {
  const go = signal('go', z.object({}));

  test('work against the clock: the sleep wins, the work is cancelled and counts for nothing', async () => {
    const { shown, result } = await begun((w, { naps }) => {
      const work = w.run('work', {}, () => naps.sleep(50).then(() => 'done'));
      return { r: w.first({ work, late: w.sleep('10s') }).winner };
    });
    expect([shown, result]).toEqual(['work=C:superseded sleep=S first=S run=success', { r: 'late' }]);
  });

  test('work against the clock: the work wins, the sleep goes', async () => {
    const { shown, result } = await begun((w, { naps }) => {
      const work = w.run('work', {}, () => naps.sleep(5).then(() => 'done'));
      return { r: w.first({ work, late: w.sleep('10s') }) };
    });
    expect([shown, result]).toEqual(['work=S sleep=C:superseded first=S run=success', { r: { winner: 'work', value: 'done' } }]);
  });

  test.each([
    ['FF', 'X', 'failed'],
    ['FK', 'X', 'failed'],
    ['KK', 'K', 'success'],
    ['KS', 'S', 'success'],
    ['FS', 'S', 'failed'],
  ])('over %s: %s, run %s', async (letters, expected, status) => {
    const shown = await ends((w, { naps }) => {
      const part = (letter: string | undefined, id: string) => {
        if (letter === 'F') return w.run(id, {}, () => fail());
        if (letter === 'K') return w.run(id, {}, ok, { after: [w.run(`${id}.no`, {}, ok, never)] });
        return w.run(id, {}, () => naps.sleep(2).then(ok));
      };
      w.run('J', { r: w.first({ a: part(letters[0], 'A'), b: part(letters[1], 'B') }) }, ok);
    });
    expect(shown).toMatch(new RegExp(`first=${expected} J=${expected} run=${status}$`));
  });

  test('a loser between two attempts, one that waits and one that is queued go too', async () => {
    const shown = await ends((w, { naps }) => {
      const retrying = w.run('R', {}, () => Promise.reject(new Error('x')), { retry: { maxAttempts: 9, initial: '20s', jitter: 'none' } });
      const chain = w.run('Z', { slow: w.run('Y', {}, () => naps.sleep(30)) }, ok);
      const fast = w.run('A', {}, () => naps.sleep(1).then(ok));
      w.first({ retrying, chain, fast, asked: w.wait(go), boss: w.approve('boss', { who: ['x'] }) });
    });
    expect(shown).toBe('R=C:superseded Y=C:superseded Z=C:superseded A=S wait=C:superseded boss=C:superseded first=S run=success');
  });

  test('what a loser shares with the rest of the graph goes on', async () => {
    expect(
      await ends((w, { naps }) => {
        const shared = w.run('shared', {}, () => naps.sleep(5).then(ok));
        const slow = w.run('slow', { shared }, ok);
        const fast = w.run('fast', {}, ok);
        w.first({ slow, fast });
        w.run('J', { shared }, ok);
      }),
    ).toBe('shared=S slow=C:superseded fast=S first=S J=S run=success');
  });

  test('one of ones', async () => {
    const { shown, result } = await begun((w, { naps }) => {
      const a = w.run('A', {}, () => naps.sleep(3).then(() => 'a'));
      const b = w.run('B', {}, () => naps.sleep(1).then(() => 'b'));
      const c = w.run('C', {}, () => naps.sleep(2).then(() => 'c'));
      const inner = w.first({ a, b }, { id: 'inner' });
      return { r: w.first({ inner, c }, { id: 'outer' }) };
    });
    expect(shown).toBe('A=C:superseded B=S C=C:superseded inner=S outer=S run=success');
    expect(result).toEqual({ r: { winner: 'inner', value: { winner: 'b', value: 'b' } } });
  });

  test('two that end in one instant: one winner, and the other is its loser', async () => {
    const { shown, result } = await begun((w) => {
      const a = w.run('A', {}, () => 'a');
      const b = w.run('B', {}, () => 'b');
      return { r: w.first({ a, b }).winner };
    });
    expect(shown).toMatch(/^A=(S B=(S|C:superseded)|C:superseded B=S) first=S run=success$/);
    expect(['a', 'b']).toContain((result as { r: string }).r);
  });

  test('the loser set something up: it is torn down', async () => {
    const { shown, said } = await begun((w, { naps, said }) => {
      const slow = w.using('lock', { setup: () => 'held', teardown: (h: string) => void said.push(`free ${h}`) }, (lock) =>
        w.run('slow', { lock }, () => naps.sleep(30).then(ok)),
      );
      const fast = w.run('fast', {}, () => naps.sleep(1).then(ok));
      w.first({ slow, fast });
    });
    expect(said).toEqual(['free held']);
    expect(shown).toMatch(/slow=C:superseded .*run=success$/);
  });

  test('a winner whose failure was handled wins', async () => {
    const { shown } = await begun((w, { naps }) => {
      const a = w.run('A', {}, (): number => fail(), { catch: () => 4 });
      const b = w.run('B', {}, () => naps.sleep(9).then(ok));
      w.run('J', { r: w.first({ a, b }) }, ok);
    });
    expect(shown).toMatch(/^A=F! .*B=C:superseded first=S J=S run=partial$/);
  });

  test('in each item of a map: losers of one item only', async () => {
    const { shown, result } = await begun((w, { naps }) => ({
      r: w.map(
        [1, 5],
        (b, n) => b.first({ work: b.run('work', { n }, ({ n }) => naps.sleep(n).then(() => n)), late: b.sleep('3s') }).winner,
        {
          id: 'M',
        },
      ),
    }));
    expect(shown).toMatch(/run=success$/);
    expect(result).toEqual({ r: ['work', 'late'] });
  });

  test('a part that was skipped by a person leaves the rest in the race', async () => {
    expect(
      await ends(
        (w, { naps }) => {
          const a = w.approve('A', { who: ['x'] });
          const b = w.run('B', {}, () => naps.sleep(2).then(ok));
          w.first({ a, b });
        },
        { meanwhile: ({ run }) => run.skip('A') },
      ),
    ).toBe('A=K:manual B=S first=S run=success');
  });

  test('the winner is done over: what lost comes back into the race', async () => {
    expect(
      await ends(
        (w, { naps }) => {
          const a = w.run('A', {}, () => naps.sleep(1).then(ok));
          const b = w.run('B', {}, () => naps.sleep(5).then(ok));
          w.run('J', { r: w.first({ a, b }) }, ok);
        },
        {
          meanwhile: async ({ run, naps }) => {
            await naps.pass(10);
            await run.rerun('A');
          },
        },
      ),
    ).toMatch(/^A=S\*2 B=C:superseded\S* first=S J=S\*2 run=success$/);
  });
});
