import { afterEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { signal, workflow } from '../../src/index.ts';
import { begun, ends, shownAs } from './further-kit.ts';
import { closeAll, engineOf, fail, ok } from './kit.ts';

afterEach(closeAll);

const paid = signal('paid', z.object({ cents: z.number() }));

describe('signals', () => {
  test('sent before anybody waits: taken once, the oldest first', async () => {
    const { said, shown } = await begun(
      (w, { said }) => {
        const t = w.sleep('5s');
        const a = w.wait(paid, { id: 'A', after: [t] });
        w.run('x', { a }, ({ a }) => void said.push(`A ${a.cents}`));
        const b = w.wait(paid, { id: 'B', after: [a] });
        w.run('y', { b }, ({ b }) => void said.push(`B ${b.cents}`));
      },
      {
        meanwhile: async ({ kit, run }) => {
          for (const cents of [1, 2, 3]) await kit.send(paid, { run: run.id, data: { cents } });
        },
      },
    );
    expect(said).toEqual(['A 1', 'B 2']);
    expect(shown).toMatch(/run=success$/);
  });

  test('a message that breaks its schema is refused with the path, and the wait goes on', async () => {
    const { shown } = await begun((w) => void w.wait(paid), {
      meanwhile: async ({ kit, run }) => {
        await expect(kit.send('paid', { run: run.id, data: { cents: 'x' } })).rejects.toMatchObject({
          code: 'SIGNAL_DATA_INVALID',
          message: expect.stringContaining('cents') as string,
        });
      },
    });
    expect(shown).toBe('wait=waiting run=running');
  });

  test('the same dedupe is the same message, for one mailbox', async () => {
    const { kit, run } = await begun((w) => {
      const a = w.wait(paid, { id: 'A', key: 'k' });
      w.wait(paid, { id: 'B', key: 'k', after: [a] });
    });
    const send = (key: string) => kit.send(paid, { key, data: { cents: 1 }, dedupe: 'd' });
    expect(await send('k')).toEqual({ woke: 1, duplicate: false });
    expect(await send('k')).toEqual({ woke: 0, duplicate: true });
    expect(await send('other')).toEqual({ woke: 0, duplicate: false });
    await kit.clock.advance('1m');
    expect(await shownAs(run)).toBe('A=S B=waiting run=running');
    await kit.clock.advance('8d');
    expect(await send('k')).toEqual({ woke: 1, duplicate: false });
  });

  test('a where that says no leaves the message to the next, one that throws fails its wait alone', async () => {
    const { said, shown } = await begun(
      (w, { said }) => {
        const big = w.wait(paid, { id: 'big', key: 'k', where: (m) => m.cents > 100 });
        const small = w.wait(paid, { id: 'small', key: 'k', after: [w.sleep('1s')], where: (m) => m.cents < 100 });
        w.run('x', { small, big }, ({ small, big }) => void said.push(`${small.cents} ${big.cents}`));
      },
      {
        meanwhile: async ({ kit, naps }) => {
          await kit.send(paid, { key: 'k', data: { cents: 5 } });
          await naps.pass(3);
          await kit.send(paid, { key: 'k', data: { cents: 500 } });
        },
      },
    );
    expect(said).toEqual(['5 500']);
    expect(shown).toMatch(/run=success$/);
    const broken = await begun(
      (w) => {
        w.wait(paid, { id: 'A', key: 'k', where: () => fail() });
        w.run('other', {}, ok);
      },
      { meanwhile: ({ kit }) => kit.send(paid, { key: 'k', data: { cents: 5 } }) },
    );
    expect(broken.shown).toBe('A=F:definition_error other=S run=failed');
  });

  test('to all: each waiting run gets a copy, each once', async () => {
    const one = workflow({ name: 'one' }, (w) => ({ c: w.wait(paid, { key: 'all' }).cents }));
    const kit = engineOf(one);
    const runs = [await kit.start(one), await kit.start(one), await kit.start(one)];
    await kit.settle();
    expect(await kit.send(paid, { key: 'all', data: { cents: 4 }, to: 'all' })).toEqual({ woke: 3, duplicate: false });
    expect(await Promise.all(runs.map((run) => run.result()))).toEqual([{ c: 4 }, { c: 4 }, { c: 4 }]);
  });

  test('kept for a week, not longer', async () => {
    const one = workflow({ name: 'one' }, (w) => ({ c: w.wait(paid, { key: 'k' }).cents }));
    const kit = engineOf(one);
    await kit.send(paid, { key: 'k', data: { cents: 1 } });
    await kit.clock.advance('6d');
    expect(await (await kit.start(one)).result()).toEqual({ c: 1 });
    await kit.send(paid, { key: 'k', data: { cents: 2 } });
    await kit.clock.advance('8d');
    const late = await kit.start(one);
    await kit.clock.advance('1h');
    expect(await shownAs(late)).toBe('wait=waiting run=running');
  });

  test('a message to a run that is over is refused; one that is taken by a cancelled wait is not lost', async () => {
    const { kit, run } = await begun((w) => void w.run('A', {}, ok));
    await expect(kit.send(paid, { run: run.id, data: { cents: 1 } })).rejects.toMatchObject({ code: 'RUN_NOT_OPEN' });
    const one = workflow({ name: 'one' }, (w) => ({ c: w.wait(paid, { key: 'k' }).cents }));
    const other = engineOf(one);
    const first = await other.start(one);
    await other.settle();
    await first.cancel();
    await other.send(paid, { key: 'k', data: { cents: 8 } });
    expect(await (await other.start(one)).result()).toEqual({ c: 8 });
  });

  test.each([
    ['fail', 'wait=F:wait_timeout J=X run=failed', 1],
    ['skip', 'wait=K:wait_timeout J=K run=success', 0],
  ] as const)('a timeout that comes to %s', async (onTimeout, expected, letters) => {
    const { shown, kit } = await begun((w) => {
      const a = w.wait(paid, { timeout: '5s', onTimeout });
      w.run('J', {}, ok, { after: [a] });
    });
    expect([shown, await kit.dead.count()]).toEqual([expected, letters]);
  });

  test('a run that is paused: timers go on, the wait takes nothing more, or what it took waits', async () => {
    const { shown, run, naps } = await begun(
      (w) => {
        const a = w.wait(paid, { timeout: '50s' });
        w.run('J', { a }, ok);
      },
      {
        meanwhile: async ({ kit, run }) => {
          await run.pause();
          await kit.send(paid, { run: run.id, data: { cents: 1 } });
        },
        seconds: 10,
      },
    );
    expect(shown).toMatch(/J=(pending|queued) run=paused$/);
    await run.resume();
    await naps.pass(5);
    expect(await shownAs(run)).toBe('wait=S J=S run=success');
  });
});

describe('approvals', () => {
  const form = z.object({ amount: z.number(), why: z.string().min(1) });

  test('the answer is the output: who, comment, form', async () => {
    const { result } = await begun((w) => ({ a: w.approve('boss', { who: ['ann'], form }) }), {
      meanwhile: ({ kit, run }) => kit.approvals.approve(run.id, { actor: 'ann', comment: 'fine', form: { amount: 3, why: 'y' } }),
    });
    expect(result).toEqual({ a: { decision: 'approved', by: 'ann', comment: 'fine', form: { amount: 3, why: 'y' } } });
  });

  test.each([
    [{ amount: 'x', why: 'y' }, 'amount'],
    [{ amount: 1 }, 'why'],
    [undefined, 'form'],
    [{ amount: 1, why: '' }, 'why'],
  ])('the form %j is refused by the name of the field, and it goes on waiting', async (bad, field) => {
    const { shown } = await begun((w) => void w.approve('boss', { who: ['ann'], form }), {
      meanwhile: async ({ kit, run }) => {
        await expect(kit.approvals.approve(run.id, { form: bad })).rejects.toMatchObject({
          code: 'TASK_FORM_INVALID',
          message: expect.stringContaining(field) as string,
        });
      },
    });
    expect(shown).toBe('boss=waiting run=running');
  });

  test.each([
    ['rejected', {}, 'boss=F:rejected J=X run=failed'],
    ['rejected', { onReject: 'skip' }, 'boss=K:rejected J=K run=success'],
    ['rejected', { allowFailure: true }, 'boss=F:rejected J=S run=partial'],
    ['late', {}, 'boss=F:approval_timeout J=X run=failed'],
    ['late', { onTimeout: 'skip' }, 'boss=K:approval_timeout J=K run=success'],
    ['late', { onReject: 'skip' }, 'boss=F:approval_timeout J=X run=failed'],
  ] as const)('%s, %j', async (end, opts, expected) => {
    const { shown, kit } = await begun(
      (w) => {
        const a = w.approve('boss', { who: ['x'], timeout: '20s', ...opts });
        w.run('J', {}, ok, { after: [a] });
      },
      { meanwhile: async ({ kit, run }) => end === 'rejected' && (await kit.approvals.reject(run.id)) },
    );
    // Neither is a dead letter.
    expect([shown, await kit.dead.count()]).toEqual([expected, 0]);
  });

  test('two answers: the first counts', async () => {
    const { result } = await begun((w) => ({ a: w.approve('boss', { who: ['x'] }).by }), {
      meanwhile: async ({ kit, run }) => {
        await kit.approvals.approve(run.id, { actor: 'one' });
        await expect(kit.approvals.reject(run.id, { actor: 'two' })).rejects.toMatchObject({ code: /TASK_NOT_WAITING|RUN_/ });
      },
    }).catch((error: unknown) => ({ result: error }));
    expect(result).toEqual({ a: 'one' });
  });

  test('escalation: the first of two bosses, or the clock', async () => {
    const { result, shown } = await begun(
      (w) => {
        const a = w.approve('boss', { who: ['ann'], timeout: '10s', onTimeout: 'skip' });
        const b = w.approve('chief', { who: ['bob'], after: [a], join: 'all_skipped' });
        return { by: w.run('who', { a: w.optional(a), b: w.optional(b) }, ({ a, b }) => a?.by ?? b?.by ?? 'none') };
      },
      {
        meanwhile: async ({ kit, run, naps }) => {
          await naps.pass(15);
          await kit.approvals.approve(run.id, { task: 'chief', actor: 'bob' });
        },
      },
    );
    expect([result, shown]).toEqual([{ by: 'bob' }, 'boss=K:approval_timeout chief=S who=S run=success']);
  });

  test('a rejection is sent on: asked anew', async () => {
    const { kit, run, naps } = await begun(
      (w) => {
        const a = w.approve('boss', { who: ['x'] });
        w.run('J', { a }, ok);
      },
      { meanwhile: ({ kit, run }) => kit.approvals.reject(run.id) },
    );
    await run.rerun('boss');
    await naps.pass(1);
    expect(await shownAs(run)).toBe('boss=waiting J=pending run=running');
    await kit.approvals.approve(run.id);
    await naps.pass(1);
    expect(await shownAs(run)).toBe('boss=S J=S run=success');
  });
});

describe('sleep', () => {
  test('over a crash and a time without any process it ends when it is due', async () => {
    const { shown, kit, run } = await begun((w) => void w.run('J', {}, ok, { after: [w.sleep('10s')] }), {
      seconds: 0,
      meanwhile: ({ kit }) => kit.reboot({ after: '1h' }),
    });
    await kit.settle();
    await kit.clock.advance('1s');
    expect([shown.length > 0, await shownAs(run)]).toEqual([true, 'sleep=S J=S run=success']);
  });

  test('until an instant that is over: at once; until what is no date: definition_error', async () => {
    expect(await ends((w) => void w.sleep(w.run('at', {}, () => new Date(0))))).toBe('at=S sleep=S run=success');
    expect(await ends((w) => void w.sleep(w.run('at', {}, () => 'soon' as unknown as Date)))).toBe(
      'at=S sleep=F:definition_error run=failed',
    );
    expect(await ends((w) => void w.sleep(w.run('at', {}, () => fail() as Date)))).toBe('at=F sleep=X run=failed');
  });

  test('a year', async () => {
    const { kit, run } = await begun((w) => void w.sleep('365d'), { seconds: 1 });
    await kit.clock.advance('364d');
    expect(await shownAs(run)).toBe('sleep=waiting run=running');
    await kit.clock.advance('2d');
    expect(await shownAs(run)).toBe('sleep=S run=success');
  });
});
