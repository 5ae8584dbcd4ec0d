import { afterEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { task, workflow } from '../../src/index.ts';
import { begun, ends, shownAs } from './further-kit.ts';
import { closeAll, engineOf, fail, Naps, ok, quick } from './kit.ts';

afterEach(closeAll);

const never = { when: (): boolean => false } as const;

describe('redrive', () => {
  test('two dead letters, one named: the other stays, and what needs both waits for it', async () => {
    const isBroken = { a: true, b: true };
    const { run, naps } = await begun((w) => {
      const a = w.run('A', {}, () => (isBroken.a ? fail() : 1));
      const b = w.run('B', {}, () => (isBroken.b ? fail() : 1));
      w.run('J', { a, b }, ok);
      w.run('L', { a }, ok);
    });
    isBroken.a = false;
    const report = await run.redrive({ task: 'A' });
    expect(report.tasks.map((one) => one.task).toSorted()).toEqual(['A', 'J', 'L']);
    await naps.pass(5);
    expect(await shownAs(run)).toBe('A=S*2 B=F J=X L=S run=failed');
    isBroken.b = false;
    await run.redrive();
    await naps.pass(5);
    expect(await shownAs(run)).toBe('A=S*2 B=S*2 J=S L=S run=success');
  });

  test('it fails again: the same letter, one more attempt', async () => {
    const { run, naps, kit } = await begun((w) => void w.run('A', {}, fail));
    await run.redrive();
    await naps.pass(5);
    expect(await shownAs(run)).toBe('A=F*2 run=failed');
    expect(await kit.dead.count()).toBe(1);
  });

  test('while the rest of the run is open', async () => {
    let isBroken = true;
    const { shown } = await begun(
      (w, { naps }) => {
        const a = w.run('A', {}, () => (isBroken ? fail() : 1));
        const b = w.run('B', {}, () => naps.sleep(10));
        w.run('J', { a, b }, ok);
      },
      {
        meanwhile: async ({ run }) => {
          isBroken = false;
          await run.redrive();
        },
      },
    );
    expect(shown).toBe('A=S*2 B=S J=S run=success');
  });

  test.each([
    ['A is no dead letter', { task: 'A' }, 'TASK_NOT_DEAD'],
    ['no such task', { task: 'Q' }, 'TASK_UNKNOWN'],
    ['another input that does not fit', { task: 'F', input: { n: 'x' } }, 'TASK_INPUT_INVALID'],
    ['an item of what is no map', { task: 'F', item: 0 }, /./],
    ['nothing named', { task: [] }, /./],
  ])('%s', async (_, options, code) => {
    const { run } = await begun((w) => {
      const a = w.run('A', {}, ok);
      w.run(task({ name: 'F', input: z.object({ n: z.number() }), run: () => fail() }), { n: a as never });
    });
    await expect(run.redrive(options)).rejects.toMatchObject({
      code: typeof code === 'string' ? code : (expect.stringMatching(code) as string),
    });
  });

  test('what ran on the failure is done over, kept where asked, and named in the preview', async () => {
    let isBroken = true;
    const { run, naps, said } = await begun((w, { said }) => {
      const a = w.run('A', {}, () => (isBroken ? fail() : 1));
      w.run('J', { s: w.settle({ a }).a }, ({ s }) => void said.push(`J ${s.status}`));
      w.run('K', {}, () => void said.push('K'), { after: [a], join: 'all_done' });
      w.run('other', {}, () => void said.push('other'));
    });
    isBroken = false;
    const preview = await run.redrive({ dryRun: true });
    expect(preview.tasks.map((one) => one.task).toSorted()).toEqual(['A', 'J', 'K']);
    await run.redrive({ keep: ['K'] });
    await naps.pass(5);
    expect(said.toSorted()).toEqual(['J failed', 'J success', 'K', 'other']);
  });

  test('one_failed ran on the failure; after the redrive it is skipped', async () => {
    let isBroken = true;
    const { run, naps } = await begun((w) => {
      const a = w.run('A', {}, () => (isBroken ? fail() : 1));
      w.run('alarm', {}, ok, { after: [a], join: 'one_failed' });
    });
    isBroken = false;
    await run.redrive();
    await naps.pass(5);
    expect(await shownAs(run)).toBe('A=S*2 alarm=K run=success');
  });

  test('the same request is done once, another act under it is refused', async () => {
    const { run, naps } = await begun((w) => {
      w.run('A', {}, fail);
      w.run('B', {}, fail);
    });
    const options = { requestId: 'r1', actor: 'ann' };
    await run.redrive({ ...options, task: 'A' });
    await naps.pass(5);
    await run.redrive({ ...options, task: 'A' });
    await naps.pass(5);
    expect(await shownAs(run)).toBe('A=F*2 B=F run=failed');
    await expect(run.redrive({ ...options, task: 'B' })).rejects.toMatchObject({ code: 'RUN_REQUEST_CONFLICT' });
  });

  test('a switch that found no match: it is asked anew, and a branch runs', async () => {
    let kind = 'z';
    const { run, naps } = await begun((w) => {
      const k = w.run('K', {}, ok);
      const r = w.switch(k, { a: [() => kind === 'a', () => w.run('A', {}, ok)], b: [() => kind === 'b', () => w.run('B', {}, ok)] });
      w.run('J', { r }, ok);
    });
    kind = 'b';
    await run.redrive();
    await naps.pass(5);
    expect(await shownAs(run)).toBe('K=S switch=S A=K B=S J=S run=success');
  });

  test('through a branch: what was decided stays decided', async () => {
    let [asked, isBroken] = [0, true];
    const { run, naps } = await begun((w) => {
      const a = w.run('A', {}, ok);
      const r = w.when(
        a,
        () => ++asked > 0,
        () => w.run('B', {}, () => (isBroken ? fail() : 1)),
        () => w.run('C', {}, ok),
      );
      w.run('J', { r }, ok);
    });
    isBroken = false;
    await run.redrive();
    await naps.pass(5);
    expect([await shownAs(run), asked]).toEqual(['A=S when=S B=S*2 C=K J=S run=success', 1]);
  });
});

describe('rerun', () => {
  test('another decision: the other branch runs, the first is skipped', async () => {
    let n = 1;
    const { run, naps, shown } = await begun((w) => {
      const a = w.run('A', {}, () => n);
      const r = w.when(
        a,
        (v) => v > 1,
        () => w.run('B', {}, ok),
        () => w.run('C', {}, ok),
      );
      w.run('J', { r }, ok);
    });
    expect(shown).toBe('A=S when=S B=K C=S J=S run=success');
    n = 2;
    await run.rerun('A');
    await naps.pass(5);
    expect((await shownAs(run)).replaceAll(/\*\d/g, '')).toBe('A=S when=S B=S C=K J=S run=success');
  });

  test('what fails the second time fails the run, its old output is gone for readers', async () => {
    let isBroken = false;
    const { run, naps } = await begun((w) => {
      const a = w.run('A', {}, () => (isBroken ? fail() : 1));
      return { b: w.run('B', { a }, ok) };
    });
    isBroken = true;
    await run.rerun('A');
    await naps.pass(5);
    expect(await shownAs(run)).toBe('A=F*2 B=X*1 run=failed'.replace('*1', ''));
    await expect(run.result()).rejects.toMatchObject({ code: 'RUN_FAILED' });
    expect(await run.output('B')).toBeUndefined();
  });

  test('of a task that is open is refused; of one in an open run is not', async () => {
    const { shown } = await begun(
      (w, { naps }) => {
        const a = w.run('A', {}, ok);
        w.run('B', { a }, ok);
        w.run('C', {}, () => naps.sleep(20));
      },
      {
        meanwhile: async ({ run }) => {
          await expect(run.rerun('C')).rejects.toMatchObject({ code: 'TASK_NOT_ENDED' });
          await run.rerun('A');
        },
      },
    );
    expect(shown).toBe('A=S*2 B=S*2 C=S run=success');
  });
});

describe('mark and skip', () => {
  test('marked as a success: what was upstream_failed runs with the output', async () => {
    const { run, naps, said, kit } = await begun((w, { said }) => {
      const a = w.run('A', {}, (): number => fail());
      w.run('B', { a }, ({ a }) => void said.push(`B ${a}`));
    });
    await run.mark('A', { output: 7, note: 'by hand' });
    await naps.pass(5);
    expect([await shownAs(run), said, await kit.dead.count()]).toEqual(['A=S:manual B=S run=success', ['B 7'], 0]);
    await expect(run.mark('B', { output: 1 })).rejects.toMatchObject({ code: expect.stringContaining('TASK_') as string });
  });

  test('an output that breaks the schema is refused', async () => {
    const a = task({ name: 'A', input: z.object({}), output: z.object({ n: z.number() }), run: () => fail() });
    const { run } = await begun((w) => void w.run(a, {}));
    await expect(run.mark('A', { output: { n: 'x' } })).rejects.toMatchObject({ code: expect.stringContaining('INVALID') as string });
  });

  test('what was skipped by its condition is marked: its skipped readers run', async () => {
    const { run, naps } = await begun((w) => {
      const k = w.run('K', {}, ok, never);
      w.run('B', {}, ok, { after: [k] });
    });
    await run.mark('K', { output: 1 });
    await naps.pass(5);
    expect(await shownAs(run)).toBe('K=S:manual B=S run=success');
  });

  test('skipped between two attempts: it is superseded, what hangs on it is skipped', async () => {
    expect(
      await ends(
        (w) => {
          const a = w.run('A', {}, () => Promise.reject(new Error('x')), { retry: { initial: '30s', jitter: 'none' } });
          w.run('B', { a }, ok);
          w.run('C', { a: w.optional(a as never, 3) }, ok);
        },
        { meanwhile: ({ run }) => run.skip('A') },
      ),
    ).toBe('A=K:manual B=K C=S run=success');
  });

  test('what runs cannot be skipped; what is over neither', async () => {
    await begun(
      (w, { naps }) => {
        w.run('A', {}, () => naps.sleep(20));
        w.run('B', {}, ok);
      },
      {
        meanwhile: async ({ run }) => {
          for (const one of ['A', 'B']) await expect(run.skip(one)).rejects.toMatchObject({ code: 'TASK_NOT_OPEN' });
        },
      },
    );
    expect.assertions(2);
  });
});

describe('fork and restart', () => {
  test('a fork takes over what does not depend on the task, and links', async () => {
    const { run, said, naps } = await begun((w, { said }) => {
      const a = w.run('A', {}, () => said.push('A'));
      const b = w.run('B', { a }, () => said.push('B'));
      w.run('C', {}, () => said.push('C'));
      return { d: w.run('D', { b }, () => said.push('D')) };
    });
    const { run: fork } = await run.fork('B');
    await naps.pass(5);
    expect(said.toSorted()).toEqual(['A', 'B', 'B', 'C', 'D', 'D']);
    expect((await fork.status()).status).toBe('success');
    expect(fork.id).not.toBe(run.id);
  });

  test('of a run that failed: what was upstream_failed runs there; the first stays failed', async () => {
    let isBroken = true;
    const { run, naps } = await begun((w) => {
      const a = w.run('A', {}, ok);
      const b = w.run('B', { a }, () => (isBroken ? fail() : 1));
      w.run('C', { b }, ok);
    });
    isBroken = false;
    const { run: fork } = await run.fork('B');
    await naps.pass(5);
    expect([(await run.status()).status, (await fork.status()).status]).toEqual(['failed', 'success']);
  });

  test('a restart runs everything again, with another input where one is given', async () => {
    const naps = new Naps();
    const one = workflow({ name: 'one', input: z.object({ n: z.number() }) }, (w, input) => ({
      n: w.run('A', { n: input.n }, ({ n }) => n * 2),
    }));
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one, { n: 2 }, { key: 'k' });
    expect(await run.result()).toEqual({ n: 4 });
    expect(await (await run.restart()).result()).toEqual({ n: 4 });
    expect(await (await run.restart({ input: { n: 5 } })).result()).toEqual({ n: 10 });
    await expect(run.restart({ input: { n: 'x' } })).rejects.toMatchObject({ code: expect.stringContaining('INPUT') as string });
  });
});

describe('pause', () => {
  test('what runs ends, nothing new starts; deadlines go on', async () => {
    const build = (w: Parameters<Parameters<typeof ends>[0]>[0], { naps }: { naps: Naps }) => {
      const a = w.run('A', {}, () => naps.sleep(3));
      w.run('B', { a }, ok);
      w.sleep('5s');
    };
    const { shown, run, naps } = await begun(build, { meanwhile: ({ run }) => run.pause(), seconds: 20 });
    expect(shown).toMatch(/^A=S B=(pending|queued) sleep=\S+ run=paused$/);
    await run.resume();
    await naps.pass(2);
    expect(await shownAs(run)).toBe('A=S B=S sleep=S run=success');
    expect(await ends(build, { timeout: '10s', meanwhile: ({ run }) => run.pause() })).toMatch(/run=failed:deadline$/);
  });

  test('a paused run can be cancelled, and what retries waits until it is resumed', async () => {
    expect(
      await ends((w, { naps }) => void w.run('B', { a: w.run('A', {}, () => naps.sleep(3)) }, ok), {
        meanwhile: async ({ run }) => {
          await run.pause();
          await run.cancel();
        },
      }),
    ).toMatch(/^A=C:person B=C:person run=cancelled:person$/);
    const { shown, run, naps } = await begun((w) => void w.run('A', {}, () => Promise.reject(new Error('x')), quick(2)), {
      meanwhile: ({ run }) => run.pause(),
      seconds: 20,
    });
    expect(shown).toMatch(/^A=(retrying|queued) run=paused$/);
    await run.resume();
    await naps.pass(5);
    expect(await shownAs(run)).toBe('A=F*2 run=failed');
  });
});
