import { afterEach, describe, expect, test } from 'vitest';
import { task } from '../../src/index.ts';
import { begun, ends } from './further-kit.ts';
import { closeAll, fail, ok, quick } from './kit.ts';

afterEach(closeAll);

const never = { when: (): boolean => false } as const;
const allowed = { allowFailure: true } as const;

describe('using', () => {
  const lock = (said: string[], more: object = {}) => ({
    setup: () => (said.push('lock'), 'L'),
    teardown: (l: string) => void said.push(`free ${l}`),
    ...more,
  });

  test.each([
    ['all is well', ok, 'run=success'],
    ['work fails', fail, 'run=failed'],
  ])('%s: torn down once', async (_, body, expected) => {
    const { said, shown } = await begun((w, { said }) => {
      w.using('u', lock(said), (l) => w.run('work', { l }, body));
    });
    expect(said).toEqual(['lock', 'free L']);
    expect(shown).toContain(expected);
  });

  test.each(['cancel', 'markFailed'] as const)('%s while it is used: torn down before the run is over', async (act) => {
    const { said, shown } = await begun(
      (w, { naps, said }) => {
        w.using('u', lock(said), (l) => w.run('work', { l }, () => naps.sleep(50)));
      },
      { meanwhile: ({ run }) => run[act]() },
    );
    expect(said).toEqual(['lock', 'free L']);
    expect(shown).toMatch(act === 'cancel' ? /run=cancelled:person$/ : /run=failed:marked_failed$/);
  });

  test("the run's deadline: torn down after it, with its own time", async () => {
    const { said, shown } = await begun(
      (w, { naps, said }) => {
        w.using('u', lock(said, { teardown: () => naps.sleep(20).then(() => said.push('free')) }), (l) =>
          w.run('work', { l }, () => naps.sleep(50)),
        );
      },
      { timeout: '5s' },
    );
    expect(said).toEqual(['lock', 'free']);
    expect(shown).toMatch(/work=C:deadline .*run=failed:deadline$/);
  });

  test('a setup that is retried is torn down once; one that failed not at all', async () => {
    let tries = 0;
    const { said } = await begun((w, { said }) => {
      w.using(
        'u',
        lock(said, {
          setup: task({
            name: 's',
            ...quick(3),
            run: (_: Record<string, never>) => (++tries < 3 ? Promise.reject(new Error('x')) : Promise.resolve('L')),
          }),
          input: {},
        }) as never,
        (l) => w.run('work', { l }, ok),
      );
    });
    expect(said).toEqual(['free L']);
    const other = await begun((w, { said }) => {
      w.using('u', lock(said, { setup: fail }), (l) => w.run('work', { l }, ok));
    });
    expect([other.said, other.shown.endsWith('run=failed')]).toEqual([[], true]);
  });

  test('a teardown waits for what runs beside the failure', async () => {
    const { said } = await begun((w, { naps, said }) => {
      w.using('u', lock(said), (l) => {
        w.run('bad', { l }, fail);
        return w.run('slow', { l }, () => naps.sleep(9).then(() => said.push('slow')));
      });
    });
    expect(said).toEqual(['lock', 'slow', 'free L']);
  });

  test('a teardown that fails is tried again, then told; failRun makes a failure of it', async () => {
    const build = (failRun: boolean) =>
      ends((w, { said }) => {
        w.using('u', lock(said, { teardown: () => fail(), failRun }), (l) => w.run('work', { l }, ok));
      });
    expect(await build(false)).toMatch(/run=success$/);
    expect(await build(true)).toMatch(/run=failed$/);
  });

  test('a skipped setup: the work is skipped, nothing to tear down', async () => {
    const { said, shown } = await begun((w, { said }) => {
      const k = w.run('K', {}, ok, never);
      w.using('u', { ...lock(said), after: [k] }, (l) => w.run('work', { l }, ok));
    });
    expect(said).toEqual([]);
    expect(shown).toMatch(/work=K .*run=success$/);
  });

  test('who reads the work does not wait for the teardown', async () => {
    const { said } = await begun((w, { naps, said }) => {
      const v = w.using('u', lock(said, { teardown: () => naps.sleep(9).then(() => said.push('free')) }), (l) => w.run('work', { l }, ok));
      w.run('J', { v }, () => void said.push('J'));
    });
    expect(said).toEqual(['lock', 'J', 'free']);
  });

  test('redriven after the work failed: set up anew, or kept, but torn down after the second try', async () => {
    let isBroken = true;
    const { said, run, naps } = await begun((w, { said }) => {
      w.using('u', lock(said), (l) => w.run('work', { l }, () => (isBroken ? fail() : said.push('work'))));
    });
    expect(said).toEqual(['lock', 'free L']);
    isBroken = false;
    await run.redrive();
    await naps.pass(10);
    expect((await run.status()).status).toBe('success');
    expect(said.at(-1)).toBe('free L');
    expect(said.slice(2, -1)).toContain('work');
    // What was torn down is not there any more.
    expect(said.slice(2)).toEqual(['lock', 'work', 'free L']);
  });
});

describe('compensation', () => {
  const saga = (said: string[]) => ({
    step: (name: string) => ({ compensate: ({ output }: { output: unknown }) => void said.push(`undo ${name} ${String(output)}`) }),
  });

  test('in reverse order of completion, not of definition', async () => {
    const { said, shown } = await begun((w, { naps, said }) => {
      const { step } = saga(said);
      const a = w.run('A', {}, () => naps.sleep(3).then(() => 'a'), step('A'));
      const b = w.run('B', {}, () => naps.sleep(1).then(() => 'b'), step('B'));
      const c = w.run('C', {}, () => naps.sleep(2).then(() => 'c'), step('C'));
      w.run('F', { a, b, c }, fail);
    });
    expect(said).toEqual(['undo A a', 'undo C c', 'undo B b']);
    expect(shown).toMatch(/run=failed$/);
  });

  test('what failed, was skipped, or never ran has nothing to undo', async () => {
    const { said } = await begun((w, { said }) => {
      const { step } = saga(said);
      const a = w.run('A', {}, () => 'a', step('A'));
      w.run('K', {}, ok, { ...never, ...step('K') });
      const f = w.run('F', { a }, fail, step('F'));
      w.run('Z', { f }, ok, step('Z'));
    });
    expect(said).toEqual(['undo A a']);
  });

  test.each([
    [['failed'], 'failed', 1],
    [['cancelled'], 'failed', 0],
    [['failed'], 'cancelled', 0],
    [['cancelled'], 'cancelled', 1],
    [undefined, 'cancelled', 1],
  ] as const)('compensateOn %j, run %s: %i', async (compensateOn, end, times) => {
    const { said, shown } = await begun(
      (w, { naps, said }) => {
        const a = w.run('A', {}, () => 'a', saga(said).step('A'));
        w.run('B', { a }, end === 'failed' ? fail : () => naps.sleep(50));
      },
      { ...(compensateOn === undefined ? {} : { compensateOn }), ...(end === 'failed' ? {} : { meanwhile: ({ run }) => run.cancel() }) },
    );
    expect(said).toHaveLength(times);
    expect(shown).toContain(`run=${end}`);
  });

  test('a partial and a successful run undo nothing', async () => {
    const { said } = await begun((w, { said }) => {
      const a = w.run('A', {}, () => 'a', saga(said).step('A'));
      w.run('F', { a }, fail, allowed);
    });
    expect(said).toEqual([]);
  });

  test('one that fails: the rest go on, the run is failed as incomplete, the letter is kept', async () => {
    const { said, run, kit } = await begun((w, { said }) => {
      const { step } = saga(said);
      const a = w.run('A', {}, () => 'a', step('A'));
      const b = w.run('B', { a }, () => 'b', { compensate: () => fail() });
      const c = w.run('C', { b }, () => 'c', step('C'));
      w.run('F', { c }, fail);
    });
    expect(said).toEqual(['undo C c', 'undo A a']);
    expect(await run.inspect()).toMatchObject({ status: 'failed', compensation: 'incomplete' });
    expect(await kit.dead.count()).toBe(2);
  });

  test('cancelled, and one compensation fails: the run is failed', async () => {
    const { run } = await begun(
      (w, { naps }) => {
        const a = w.run('A', {}, () => 'a', { compensate: () => fail() });
        w.run('B', { a }, () => naps.sleep(50));
      },
      { meanwhile: ({ run }) => run.cancel() },
    );
    expect(await run.inspect()).toMatchObject({ status: 'failed', compensation: 'incomplete' });
  });

  test('is retried, one at a time, and outlives a crash', async () => {
    let tries = 0;
    const { said, shown } = await begun(
      (w, { naps, said }) => {
        const undo = (name: string) =>
          task({
            name: `undo-${name}`,
            ...quick(3),
            run: async (_: { input: unknown; output: unknown }) => {
              said.push(`begin ${name}`);
              await naps.sleep(2);
              if (name === 'B' && ++tries < 2) throw new Error('again');
              said.push(`end ${name}`);
            },
          });
        const a = w.run('A', {}, () => 'a', { compensate: undo('A') });
        const b = w.run('B', { a }, () => 'b', { compensate: undo('B') });
        w.run('F', { b }, fail);
      },
      {
        meanwhile: async ({ kit, naps }) => {
          await naps.pass(1);
          await kit.reboot();
        },
      },
    );
    expect(said.filter((one) => one.startsWith('end'))).toEqual(['end B', 'end A']);
    expect(said.indexOf('begin A')).toBeGreaterThan(said.indexOf('end B'));
    expect(shown).toMatch(/run=failed$/);
  });

  test('items of a map, a handled failure and a setup: what had an output is undone; teardowns come first', async () => {
    const { said } = await begun((w, { said }) => {
      const item = task({ name: 'item', run: (n: number) => n * 10 });
      const m = w.map([1, 2], item, (n) => n, {
        id: 'M',
        concurrency: 1,
        compensate: ({ input, output }) => void said.push(`undo ${input} ${output}`),
      });
      w.using('u', { setup: () => 'L', teardown: () => void said.push('free') }, (l) => w.run('F', { l, m }, fail));
    });
    expect(said).toEqual(['free', 'undo 2 20', 'undo 1 10']);
  });

  test('a run that has been undone takes no redrive, rerun or mark', async () => {
    const { run } = await begun((w) => {
      const a = w.run('A', {}, ok, { compensate: () => undefined });
      w.run('F', { a }, fail);
    });
    for (const act of [() => run.redrive(), () => run.rerun('A'), () => run.mark('F', { output: 1 })])
      await expect(act()).rejects.toMatchObject({ code: 'RUN_COMPENSATED' });
  });
});
