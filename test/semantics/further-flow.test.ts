import { afterEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { workflow, type HookInput, type WorkflowOpts } from '../../src/index.ts';
import { begun, ends } from './further-kit.ts';
import type { Naps } from './kit.ts';
import { closeAll, engineOf, fail, ok } from './kit.ts';

afterEach(closeAll);

const never = { when: (): boolean => false } as const;
const allowed = { allowFailure: true } as const;

describe('outcome', () => {
  test('a later success never launders a failure', async () => {
    expect(
      await ends((w) => {
        const a = w.run('A', {}, fail);
        w.run('B', {}, ok, { after: [a], join: 'all_done' });
      }),
    ).toBe('A=F B=S run=failed');
  });

  test('two excused failures and a skip: partial, with one success', async () => {
    expect(
      await ends((w) => {
        w.run('A', {}, fail, allowed);
        w.run('B', {}, (): number => fail(), { catch: () => 1 });
        w.run('C', {}, ok, never);
      }),
    ).toMatch(/run=partial$/);
    expect(
      await ends((w) => {
        w.run('A', {}, fail, allowed);
        w.run('C', {}, ok, never);
      }),
    ).toBe('A=F C=K run=failed');
  });

  test('a person skips what waits: success', async () => {
    expect(
      await ends(
        (w) => {
          const a = w.approve('A', { who: ['x'] });
          w.run('B', {}, ok, { after: [a] });
        },
        { meanwhile: ({ run }) => run.skip('A') },
      ),
    ).toBe('A=K:manual B=K run=success');
  });

  test('a failure before a cancel: failed; a cancel before any: cancelled', async () => {
    const build =
      (isBad: boolean) =>
      (w: Parameters<Parameters<typeof ends>[0]>[0], { naps }: { naps: Naps }) => {
        w.run('A', {}, isBad ? fail : ok);
        w.run('B', {}, () => naps.sleep(30));
      };
    expect(await ends(build(true), { meanwhile: ({ run }) => run.cancel() })).toBe('A=F B=C:person run=failed');
    expect(await ends(build(false), { meanwhile: ({ run }) => run.cancel() })).toBe('A=S B=C:person run=cancelled:person');
  });

  test('cancel of a run that is over, and of one that is cancelled, says no', async () => {
    const { run } = await begun((w) => void w.run('A', {}, ok));
    expect(await run.cancel()).toBe(false);
    const other = await begun((w, { naps }) => void w.run('A', {}, () => naps.sleep(30)), { meanwhile: ({ run }) => run.cancel() });
    expect(await other.run.cancel()).toBe(false);
    await expect(other.run.markFailed()).rejects.toMatchObject({ code: 'RUN_NOT_OPEN' });
  });
});

describe('what a run gives', () => {
  const giving = async (build: Parameters<typeof begun>[0]) => {
    const { shown, result } = await begun(build);
    return [shown.slice(shown.indexOf('run=')), result];
  };

  test('refs, parts of refs and constants, nested', async () => {
    expect(
      await giving((w) => {
        const a = w.run('A', {}, () => ({ deep: [{ n: 1 }, { n: 2 }] }));
        return { n: a.deep[1]?.n, list: [a.deep.length, 'x'], all: { a } };
      }),
    ).toEqual(['run=success', { n: 2, list: [2, 'x'], all: { a: { deep: [{ n: 1 }, { n: 2 }] } } }]);
  });

  test('a required part that did not succeed: the status stays, there is no output', async () => {
    expect(
      await giving((w) => {
        const a = w.run('A', {}, (): number => fail(), allowed);
        w.run('B', {}, ok);
        return { a };
      }),
    ).toEqual(['run=partial', 'RUN_NO_OUTPUT']);
    expect(
      await giving((w) => {
        const k = w.run('K', {}, ok, never);
        return { b: w.run('B', {}, ok, { after: [k] }) };
      }),
    ).toEqual(['run=success', 'RUN_NO_OUTPUT']);
  });

  test('optional, settled and handled parts are given', async () => {
    expect(
      await giving((w) => ({
        k: w.optional(w.run('K', {}, ok, never), 'none'),
        s: w.settle({ f: w.run('F', {}, (): number => fail(), allowed) }).f.status,
        h: w.run('H', {}, (): number => fail(), { catch: () => 5 }),
      })),
    ).toEqual(['run=partial', { k: 'none', s: 'failed', h: 5 }]);
  });

  test('a missing part of an object that is there is undefined, not a failure', async () => {
    expect(await giving((w) => ({ x: w.run('A', {}, (): { b?: number } => ({})).b }))).toEqual(['run=success', { x: undefined }]);
  });

  test('reading deeper into what is not there says so', async () => {
    const [status, result] = await giving((w) => {
      const a = w.run('A', {}, () => ({ b: null }) as unknown as { b: { c: number } });
      const r = w.run('R', { c: a.b.c }, ({ c }) => String(c));
      return { r };
    });
    expect(status).toMatch(/run=(success|failed)/);
    expect([{ r: 'undefined' }, 'RUN_FAILED']).toContainEqual(result);
  });
});

describe('failure policy', () => {
  const told = (failurePolicy: NonNullable<WorkflowOpts['failurePolicy']>) =>
    ends(
      (w, { naps }) => {
        w.run('F', {}, () => naps.sleep(2).then(fail));
        w.run('run', {}, () => naps.sleep(9));
        w.run('retry', {}, () => Promise.reject(new Error('x')), { retry: { initial: '20s', jitter: 'none' } });
        w.approve('wait', { who: ['x'], timeout: '30s' });
        w.run('pend', {}, ok, { after: [w.run('slow', {}, () => naps.sleep(5))] });
        w.run('always', {}, ok, { after: [w.run('slow2', {}, () => naps.sleep(5))], join: 'all_done' });
      },
      { failurePolicy },
    );

  test('drain: running and waiting tasks end; pending and retrying ones are cancelled, tolerant joins too', async () => {
    expect(await told('drain')).toBe(
      'F=F run=S retry=C:fail_fast wait=F:approval_timeout pend=C:fail_fast slow=S always=C:fail_fast slow2=S run=failed'.replace(
        'pend=C:fail_fast slow=S always=C:fail_fast slow2=S',
        'slow=S pend=C:fail_fast slow2=S always=C:fail_fast',
      ),
    );
  });

  test('abort: these too', async () => {
    expect(await told('abort')).toBe(
      'F=F run=C:fail_fast retry=C:fail_fast wait=C:fail_fast slow=C:fail_fast pend=C:fail_fast slow2=C:fail_fast always=C:fail_fast run=failed',
    );
  });

  test('what upstream_failed already is stays so; the label is of the first cause', async () => {
    expect(
      await ends(
        (w, { naps }) => {
          const f = w.run('F', {}, fail);
          w.run('X', {}, ok, { after: [f] });
          w.run('other', {}, () => naps.sleep(5));
        },
        { failurePolicy: 'abort' },
      ),
    ).toBe('F=F X=X other=C:fail_fast run=failed');
  });

  test('a failure that comes in while draining is a failure of its own', async () => {
    const { kit } = await begun(
      (w, { naps }) => {
        w.run('A', {}, fail);
        w.run('B', {}, () => naps.sleep(3).then(fail));
      },
      { failurePolicy: 'drain' },
    );
    expect((await kit.dead.list()).letters.map((one) => one.task).toSorted()).toEqual(['A', 'B']);
  });

  test('the failing task of a handler under abort: one_failed after the failure is cancelled, since order decides first', async () => {
    expect(
      await ends(
        (w) => {
          const a = w.run('A', {}, fail);
          w.run('clean', {}, ok, { after: [a], join: 'one_failed' });
        },
        { failurePolicy: 'abort' },
      ),
    ).toBe('A=F clean=C:fail_fast run=failed');
  });
});

describe('hooks', () => {
  const hooks = (told: string[]) => {
    const tell = (name: string) => (one: HookInput) => void told.push(`${name} ${one.status}`);
    return {
      onStart: tell('start'),
      onSuccess: tell('success'),
      onFailure: tell('failure'),
      onCancel: tell('cancel'),
      onFinish: tell('finish'),
    };
  };

  test.each([
    ['success', ok, undefined, ['finish success', 'start running', 'success success']],
    ['failed', fail, undefined, ['failure failed', 'finish failed', 'start running']],
    ['cancelled', 'nap', 'cancel', ['cancel cancelled', 'finish cancelled', 'start running']],
    ['failed', 'nap', 'markFailed', ['failure failed', 'finish failed', 'start running']],
  ] as const)('%s', async (status, body, act, expected) => {
    const told: string[] = [];
    const { shown } = await begun((w, { naps }) => void w.run('A', {}, async () => (body === 'nap' ? naps.sleep(40) : void body())), {
      ...hooks(told),
      ...(act === undefined ? {} : { meanwhile: ({ run }) => run[act]() }),
    });
    expect(shown).toContain(`run=${status}`);
    expect(told.toSorted()).toEqual(expected);
  });

  test('partial is a success for hooks', async () => {
    const told: string[] = [];
    await begun((w) => {
      w.run('A', {}, fail, allowed);
      w.run('B', {}, ok);
    }, hooks(told));
    expect(told.toSorted()).toEqual(['finish partial', 'start running', 'success partial']);
  });

  test('one that fails changes nothing; one that is slow holds nothing up', async () => {
    const { shown, result } = await begun(
      (w, { naps }) => {
        void naps;
        return { a: w.run('A', {}, ok) };
      },
      { onStart: () => new Promise(() => undefined), onSuccess: () => fail(), seconds: 5 },
    );
    expect([shown, result]).toEqual(['A=S run=success', { a: 1 }]);
  });

  test('a redriven run tells again how it ended', async () => {
    const told: string[] = [];
    let isBroken = true;
    const { run, naps } = await begun((w) => void w.run('A', {}, () => (isBroken ? fail() : 1)), hooks(told));
    isBroken = false;
    await run.redrive();
    await naps.pass(10);
    expect(told.filter((one) => !one.startsWith('start')).toSorted()).toEqual([
      'failure failed',
      'finish failed',
      'finish success',
      'success success',
    ]);
  });
});

describe('retry of the run', () => {
  const broken = (until: number, more: Partial<WorkflowOpts> = {}) => {
    let turn = 0;
    const told: string[] = [];
    return begun(
      (w, { said }) => {
        const a = w.run('A', {}, () => said.push('A'));
        w.run('B', { a }, () => {
          said.push('B');
          if (++turn < until) fail();
        });
      },
      {
        retry: { maxAttempts: 3, initial: '5s', jitter: 'none' },
        onFinish: ({ status }) => void told.push(status),
        onFailure: () => void told.push('failure'),
        ...more,
      },
    ).then((one) => ({ ...one, told }));
  };

  test('finished work is kept, hooks wait for the last', async () => {
    const { said, shown, told } = await broken(3);
    expect(said).toEqual(['A', 'B', 'B', 'B']);
    expect(shown).toMatch(/run=success$/);
    expect(told).toEqual(['success']);
  });

  test('budget used up: failed, told once', async () => {
    const { said, shown, told } = await broken(9);
    expect(said).toEqual(['A', 'B', 'B', 'B']);
    expect(shown).toMatch(/run=failed$/);
    expect(told.toSorted()).toEqual(['failed', 'failure']);
  });

  test('between two of them it is running, and a cancel is the end', async () => {
    const { run, naps, shown } = await begun((w) => void w.run('A', {}, fail), { retry: { initial: '20s', jitter: 'none' }, seconds: 5 });
    expect(shown).toBe('A=F run=running');
    expect(await run.cancel()).toBe(true);
    await naps.pass(60);
    expect((await run.status()).status).toMatch(/^(failed|cancelled)$/);
    expect((await run.tasks())[0]?.attempt).toBe(1);
  });

  test('compensation waits for the last too', async () => {
    const { said } = await begun(
      (w, { said }) => {
        const a = w.run('A', {}, () => said.push('A'), { compensate: () => void said.push('undo A') });
        w.run('B', { a }, () => (said.push('B'), fail()));
      },
      { retry: { maxAttempts: 2, initial: '5s', jitter: 'none' } },
    );
    expect(said).toEqual(['A', 'B', 'B', 'undo A']);
  });

  test('never after a deadline', async () => {
    const { said, shown } = await begun((w, { naps, said }) => void w.run('A', {}, () => (said.push('A'), naps.sleep(30))), {
      timeout: '5s',
      retry: { maxAttempts: 5, initial: '1s' },
    });
    expect([said, shown]).toEqual([['A'], 'A=C:deadline run=failed:deadline']);
  });
});

describe('start', () => {
  const one = workflow({ name: 'keyed', input: z.object({ n: z.number().default(5) }) }, (w, input) => ({
    n: w.run('A', { n: input.n }, ({ n }) => n),
  }));

  test('the same key and input is the same run; another input is a conflict; what the caller gave is compared', async () => {
    const kit = engineOf(one);
    const a = await kit.start(one, {}, { key: 'k' });
    const b = await kit.start(one, {}, { key: 'k' });
    expect([a.created, b.created, a.id === b.id]).toEqual([true, false, true]);
    await expect(kit.start(one, { n: 5 }, { key: 'k' })).rejects.toMatchObject({ code: 'RUN_KEY_CONFLICT' });
    await expect(kit.start(one, {}, { key: { value: 'k', onDuplicate: 'reject' } })).rejects.toMatchObject({ code: 'RUN_KEY_TAKEN' });
  });

  test("a key for as long as it is open is free after the run's end", async () => {
    const kit = engineOf(one);
    const key = { value: 'k', for: 'open' } as const;
    const a = await kit.start(one, { n: 1 }, { key, delay: '1s' });
    expect((await kit.start(one, { n: 1 }, { key })).id).toBe(a.id);
    await kit.clock.advance('5s');
    const b = await kit.start(one, { n: 2 }, { key });
    expect([b.created, b.id === a.id]).toEqual([true, false]);
  });

  test('a start that is delayed begins then, and can be cancelled before', async () => {
    const kit = engineOf(one);
    const a = await kit.start(one, {}, { delay: '10s' });
    const b = await kit.start(one, {}, { delay: '10s' });
    expect((await a.status()).status).toBe('scheduled');
    await b.cancel();
    await kit.clock.advance('20s');
    expect([(await a.status()).status, (await b.status()).status]).toEqual(['success', 'cancelled']);
  });
});
