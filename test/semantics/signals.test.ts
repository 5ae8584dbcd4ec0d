import { afterEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { signal, workflow } from '../../src/index.ts';
import type { Store } from '../../src/store/store.ts';
import { closeAll, engineOf, ok, stateOf } from './kit.ts';

afterEach(closeAll);

interface Inside {
  readonly engine: { readonly runtime: { open(): Promise<{ readonly store: Store }> } };
}

const paid = signal('paid', z.object({ cents: z.number() }));

const order = workflow({ name: 'order', input: z.object({ id: z.string() }) }, (w, input) => {
  const payment = w.wait(paid, { key: input.id, timeout: '10d' });
  return { cents: w.run('book', { payment }, ({ payment: { cents } }) => cents) };
});

const either = workflow({ name: 'either' }, (w) => ({
  a: w.wait(paid, { id: 'a', key: 'k' }),
  b: w.wait(paid, { id: 'b', key: 'k' }),
}));

describe('wait', () => {
  test('a message wakes the task that waits for its key, and its data is the output', async () => {
    const kit = engineOf(order);
    const run = await kit.start(order, { id: 'o-1' });
    await kit.settle();
    expect(await stateOf(run)).toMatchObject({ tasks: { wait: 'waiting' } });
    expect(await kit.send(paid, { key: 'o-2', data: { cents: 1 } })).toEqual({ woke: 0, duplicate: false });
    expect(await kit.send(paid, { key: 'o-1', data: { cents: 5 } })).toEqual({ woke: 1, duplicate: false });
    expect(await run.result()).toEqual({ cents: 5 });
  });

  test('a message that comes before the wait is kept for it', async () => {
    const kit = engineOf(order);
    await kit.send(paid, { key: 'o-1', data: { cents: 1 } });
    await kit.send(paid, { key: 'o-1', data: { cents: 2 } });
    const [first, second] = [await kit.start(order, { id: 'o-1' }), await kit.start(order, { id: 'o-1' })];
    expect([await first.result(), await second.result()]).toEqual([{ cents: 1 }, { cents: 2 }]);
  });

  test('two waits and one message: the one that began first has it, the other waits on', async () => {
    const kit = engineOf(either);
    const run = await kit.start(either);
    await kit.settle();
    expect(await kit.send(paid, { key: 'k', data: { cents: 1 } })).toMatchObject({ woke: 1 });
    expect(await stateOf(run)).toMatchObject({ tasks: { a: 'success', b: 'waiting' } });
    await kit.send(paid, { key: 'k', data: { cents: 2 } });
    expect(await run.result()).toEqual({ a: { cents: 1 }, b: { cents: 2 } });
  });

  test("a message to a run is that run's alone", async () => {
    const kit = engineOf(order);
    const [one, other] = [await kit.start(order, { id: 'o' }), await kit.start(order, { id: 'o' })];
    await kit.settle();
    expect(await kit.send(paid, { run: other.id, data: { cents: 7 } })).toMatchObject({ woke: 1 });
    expect(await other.result()).toEqual({ cents: 7 });
    expect(await stateOf(one)).toMatchObject({ tasks: { wait: 'waiting' } });
    await expect(kit.send(paid, { run: other.id, data: { cents: 7 } })).rejects.toMatchObject({ code: 'RUN_NOT_OPEN' });
  });

  test('to all: each run that waits has a copy, one that comes later has none; where none waits it is kept once', async () => {
    const kit = engineOf(order);
    const runs = [await kit.start(order, { id: 'o' }), await kit.start(order, { id: 'o' })];
    await kit.settle();
    expect(await kit.send(paid, { key: 'o', to: 'all', data: { cents: 3 } })).toMatchObject({ woke: 2 });
    for (const run of runs) expect(await run.result()).toEqual({ cents: 3 });
    const late = await kit.start(order, { id: 'o' });
    await kit.settle();
    expect(await stateOf(late)).toMatchObject({ tasks: { wait: 'waiting' } });
    await late.cancel();
    expect(await kit.send(paid, { key: 'o', to: 'all', data: { cents: 4 } })).toMatchObject({ woke: 0 });
    expect(await (await kit.start(order, { id: 'o' })).result()).toEqual({ cents: 4 });
  });

  test('the same dedupe within seven days is the same message, taken or not', async () => {
    const kit = engineOf(order);
    const send = () => kit.send(paid, { key: 'o', data: { cents: 1 }, dedupe: 'evt-1' });
    expect(await send()).toEqual({ woke: 0, duplicate: false });
    expect(await send()).toEqual({ woke: 0, duplicate: true });
    expect(await (await kit.start(order, { id: 'o' })).result()).toEqual({ cents: 1 });
    await kit.clock.advance(7 * 86_400_000 - 1);
    expect(await send()).toMatchObject({ duplicate: true });
    await kit.clock.advance(1);
    expect(await send()).toMatchObject({ duplicate: false });
  });

  test('a message that nobody takes is gone after seven days, and that is told', async () => {
    const events: string[] = [];
    const kit = engineOf(order);
    const stop = new AbortController();
    const watched = (async () => {
      for await (const event of kit.watch({ signal: stop.signal, types: ['signal.expired'] }))
        if (event.type === 'signal.expired') events.push(`${event.signal} ${event.key}`);
    })();
    await kit.send(paid, { key: 'o', data: { cents: 1 } });
    await kit.clock.advance('7d');
    await kit.settle();
    stop.abort();
    await watched;
    expect(events).toEqual(['paid o']);
    const run = await kit.start(order, { id: 'o' });
    await kit.settle();
    expect(await stateOf(run)).toMatchObject({ tasks: { wait: 'waiting' } });
  });

  test('data that breaks the schema is refused with its path, and the wait goes on', async () => {
    const kit = engineOf(order);
    const run = await kit.start(order, { id: 'o' });
    await kit.settle();
    await expect(kit.send(paid, { key: 'o', data: { cents: 'much' } as never })).rejects.toMatchObject({
      code: 'SIGNAL_DATA_INVALID',
      message: expect.stringContaining('data.cents'),
    });
    expect(await stateOf(run)).toMatchObject({ tasks: { wait: 'waiting' } });
  });

  test('a timeout fails the task and is a dead letter; a redrive waits anew', async () => {
    const kit = engineOf(order);
    const run = await kit.start(order, { id: 'o' });
    await kit.clock.advance('10d');
    expect(await stateOf(run)).toMatchObject({ run: 'failed', tasks: { wait: 'failed: wait_timeout', book: 'upstream_failed' } });
    expect(await kit.dead.count()).toBe(1);
    await run.redrive();
    await kit.clock.advance(10 * 86_400_000 - 1);
    expect(await stateOf(run)).toMatchObject({ tasks: { wait: 'waiting' } });
    await kit.send(paid, { key: 'o', data: { cents: 9 } });
    expect(await run.result()).toEqual({ cents: 9 });
    expect(await kit.dead.count()).toBe(0);
  });

  test('a timeout that skips: readers without the message go on', async () => {
    const one = workflow({ name: 'skips' }, (w) => {
      const late = w.wait(paid, { key: 'k', timeout: '1h', onTimeout: 'skip' });
      return { cents: w.run('read', { late: w.optional(late.cents, 0) }, ({ late: cents }) => cents) };
    });
    const kit = engineOf(one);
    const run = await kit.start(one);
    await kit.clock.advance('1h');
    expect(await stateOf(run)).toMatchObject({ run: 'success', tasks: { wait: 'skipped: wait_timeout' } });
    expect(await run.result()).toEqual({ cents: 0 });
  });

  test('where: asked once per message; what it refuses stays for others, and is told', async () => {
    const asked: number[] = [];
    const picky = workflow({ name: 'picky' }, (w) => ({
      big: w.wait(paid, { id: 'big', key: 'k', where: ({ cents }) => (asked.push(cents), cents > 100) }),
    }));
    const plain = workflow({ name: 'plain' }, (w) => ({ any: w.wait(paid, { key: 'k' }) }));
    const kit = engineOf(picky, plain);
    const refused: unknown[] = [];
    const run = await kit.start(picky);
    const stop = new AbortController();
    const watched = (async () => {
      for await (const event of kit.watch({ signal: stop.signal, types: ['signal.refused'] })) refused.push({ ...event });
    })();
    await kit.settle();
    expect(await kit.send(paid, { key: 'k', data: { cents: 1 } })).toMatchObject({ woke: 0 });
    expect(await kit.send(paid, { key: 'k', data: { cents: 2 } })).toMatchObject({ woke: 0 });
    expect(await (await kit.start(plain)).result()).toEqual({ any: { cents: 1 } });
    expect(await kit.send(paid, { key: 'k', data: { cents: 101 } })).toMatchObject({ woke: 1 });
    expect(await run.result()).toEqual({ big: { cents: 101 } });
    expect(asked).toEqual([1, 2, 101]);
    await kit.settle();
    stop.abort();
    await watched;
    expect(refused).toMatchObject([
      { task: 'big', signal: 'paid', runId: run.id },
      { task: 'big', signal: 'paid' },
    ]);
  });

  test('a predicate that throws fails the task as a mistake of the definition', async () => {
    const one = workflow({ name: 'throws' }, (w) => {
      w.wait(paid, {
        key: 'k',
        where: () => {
          throw new Error('where is broken');
        },
      });
    });
    const kit = engineOf(one);
    const run = await kit.start(one);
    await kit.settle();
    await kit.send(paid, { key: 'k', data: { cents: 1 } });
    expect(await stateOf(run)).toMatchObject({ run: 'failed', tasks: { wait: 'failed: definition_error' } });
  });

  test('a paused run takes its message, and goes on with it when it is resumed', async () => {
    const kit = engineOf(order);
    const run = await kit.start(order, { id: 'o' });
    await kit.settle();
    await run.pause();
    expect(await kit.send(paid, { key: 'o', data: { cents: 8 } })).toMatchObject({ woke: 1 });
    await kit.settle();
    expect(await stateOf(run)).toMatchObject({ run: 'paused', tasks: { wait: 'success', book: 'queued' } });
    await run.resume();
    expect(await run.result()).toEqual({ cents: 8 });
  });

  test('a cancelled run takes nothing any more', async () => {
    const kit = engineOf(order);
    const run = await kit.start(order, { id: 'o' });
    await kit.settle();
    await run.cancel();
    expect(await kit.send(paid, { key: 'o', data: { cents: 1 } })).toMatchObject({ woke: 0 });
    expect(await (await kit.start(order, { id: 'o' })).result()).toEqual({ cents: 1 });
  });

  test('a message that was stored and not delivered is delivered by the next process', async () => {
    const kit = engineOf(order);
    const run = await kit.start(order, { id: 'o' });
    await kit.settle();
    const { store } = await (kit as unknown as Inside).engine.runtime.open();
    await store.mailbox.send(
      { box: { signal: 'paid', key: 'o', run: null }, to: 'one', data: '{"cents":4}', dedupe: null },
      kit.clock.now().getTime(),
    );
    await kit.settle();
    expect(await stateOf(run)).toMatchObject({ tasks: { wait: 'waiting' } });
    await kit.reboot();
    expect(await run.result()).toEqual({ cents: 4 });
  });

  test('a key that is no text fails as a mistake of the definition', async () => {
    const one = workflow({ name: 'no-key' }, (w) => void w.wait(paid, { key: w.run('key', {}, () => 7) as never }));
    const kit = engineOf(one);
    const run = await kit.start(one);
    await kit.settle();
    expect(await stateOf(run)).toMatchObject({ tasks: { wait: 'failed: definition_error' } });
  });

  test.each([
    [{ timeout: 0 }, /timeout/],
    [{ timeout: 'soon' }, /timeout/],
    [{ onTimeout: 'skip' }, /without a timeout/],
    [{ timeout: '1h', onTimeout: 'explode' }, /onTimeout/],
    [{ where: 'x' }, /where must be a predicate/],
    [{ when: () => true }, /there is no such option/],
  ])('refused when it is defined: %o', (options, message) => {
    expect(() => workflow({ name: 'bad' }, (w) => void w.wait(paid, { key: 'k', ...(options as object) }))).toThrow(message);
  });
});

describe('approve', () => {
  const form = z.object({ limit: z.number() });
  const grant = workflow({ name: 'grant', input: z.object({ sum: z.number() }) }, (w, input) => {
    const answer = w.approve('manager', { who: ['ops'], show: { sum: input.sum }, form, timeout: '3d' });
    return { limit: w.run('set', { answer }, ({ answer: { by, form: given } }) => `${by}: ${given.limit}`) };
  });

  test('an answer wakes it: who gave it, the comment and the form are its output', async () => {
    const kit = engineOf(grant);
    const run = await kit.start(grant, { sum: 5 });
    await kit.settle();
    const { approvals } = await kit.approvals.list();
    expect(approvals).toMatchObject([
      { runId: run.id, task: 'manager', who: ['ops'], show: { sum: 5 }, needsForm: true, workflow: 'grant' },
    ]);
    expect(approvals[0]?.until?.getTime()).toBe(kit.clock.now().getTime() + 3 * 86_400_000);
    await kit.approvals.approve(run.id, { actor: 'ann', comment: 'fine', form: { limit: 9 } });
    expect(await run.result()).toEqual({ limit: 'ann: 9' });
    expect((await kit.approvals.list()).approvals).toEqual([]);
    expect((await kit.audit({ run: run.id })).entries).toMatchObject([{ action: 'approve', actor: 'ann', note: 'fine' }]);
  });

  test('137: an answer without a required field of its form is refused, naming the field, and it stays waiting', async () => {
    const kit = engineOf(grant);
    const run = await kit.start(grant, { sum: 5 });
    await kit.settle();
    for (const wrong of [{}, { limit: 'x' }, undefined])
      await expect(kit.approvals.approve(run.id, { form: wrong })).rejects.toMatchObject({ code: 'TASK_FORM_INVALID' });
    await expect(kit.approvals.approve(run.id, { form: {} })).rejects.toThrow(/form\.limit/);
    expect(await stateOf(run)).toMatchObject({ tasks: { manager: 'waiting' } });
  });

  test('135: 1→2 and approval→3', async () => {
    const one = workflow({ name: 'two-ways' }, (w) => {
      w.run('2', {}, ok, { after: [w.run('1', {}, ok)] });
      w.run('3', {}, ok, { after: [w.approve('approval', { who: ['ops'] })] });
    });
    const kit = engineOf(one);
    const run = await kit.start(one);
    await kit.settle();
    expect(await stateOf(run)).toMatchObject({
      run: 'running',
      tasks: { 1: 'success', 2: 'success', approval: 'waiting', 3: 'pending' },
    });
    await kit.approvals.approve(run.id);
    await kit.settle();
    expect(await stateOf(run)).toMatchObject({ run: 'success' });
  });

  test('a rejection fails, without a dead letter; a timeout too', async () => {
    const kit = engineOf(grant);
    const rejected = await kit.start(grant, { sum: 5 });
    const late = await kit.start(grant, { sum: 5 });
    await kit.settle();
    await kit.approvals.reject(rejected.id, { actor: 'bob', comment: 'too much' });
    expect(await stateOf(rejected)).toMatchObject({ run: 'failed', tasks: { manager: 'failed: rejected', set: 'upstream_failed' } });
    await expect(rejected.result()).rejects.toThrow(/Rejected by bob: too much/);
    await kit.clock.advance('3d');
    expect(await stateOf(late)).toMatchObject({ run: 'failed', tasks: { manager: 'failed: approval_timeout' } });
    expect(await kit.dead.count()).toBe(0);
  });

  test('with skip both are skipped', async () => {
    const one = workflow({ name: 'skips' }, (w) => {
      const answer = w.approve('boss', { who: ['ops'], timeout: '1d', onTimeout: 'skip', onReject: 'skip' });
      w.run('after', {}, ok, { after: [answer], join: 'none_failed' });
    });
    const kit = engineOf(one);
    const [no, late] = [await kit.start(one), await kit.start(one)];
    await kit.settle();
    await kit.approvals.reject(no.id);
    await kit.settle();
    expect(await stateOf(no)).toMatchObject({ run: 'success', tasks: { boss: 'skipped: rejected', after: 'success' } });
    await kit.clock.advance('1d');
    expect(await stateOf(late)).toMatchObject({ run: 'success', tasks: { boss: 'skipped: approval_timeout', after: 'success' } });
  });

  test('the same request is done once; a second answer is refused', async () => {
    const kit = engineOf(grant);
    const run = await kit.start(grant, { sum: 5 });
    await kit.settle();
    const answer = { actor: 'ann', requestId: 'r-1', form: { limit: 1 } };
    await kit.approvals.approve(run.id, answer);
    await kit.approvals.approve(run.id, answer);
    await expect(kit.approvals.reject(run.id)).rejects.toMatchObject({ code: 'TASK_NOT_WAITING' });
    expect((await kit.audit({ run: run.id })).entries).toHaveLength(1);
  });
});
