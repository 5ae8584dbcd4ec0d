import { afterEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { signal, task, workflow } from '../../src/index.ts';
import { closeAll, engineOf, fail, flow, ok, stateOf } from './kit.ts';

afterEach(closeAll);

const nap = flow((w) => {
  const rest = w.sleep('30d');
  w.run('after', {}, ok, { after: [rest] });
});

describe('sleep', () => {
  test('thirty days pass to the millisecond, without a worker', async () => {
    const kit = engineOf(nap);
    const run = await kit.start(nap);
    await kit.clock.advance(30 * 86_400_000 - 1);
    expect(await stateOf(run)).toMatchObject({ tasks: { sleep: 'waiting', after: 'pending' } });
    await kit.clock.advance(1);
    expect(await stateOf(run)).toMatchObject({ run: 'success', tasks: { sleep: 'success', after: 'success' } });
  });

  test('a process that dies leaves the sleep to the next one', async () => {
    const kit = engineOf(nap);
    const run = await kit.start(nap);
    await kit.clock.advance('29d');
    await kit.reboot();
    await kit.clock.advance(86_400_000 - 1);
    expect(await stateOf(run)).toMatchObject({ tasks: { sleep: 'waiting' } });
    await kit.clock.advance(1);
    expect(await stateOf(run)).toMatchObject({ run: 'success' });
  });

  test('until an instant that a task gives; at once where it is over', async () => {
    const when = task({ name: 'when-to', run: (at: number) => new Date(at) });
    const one = workflow({ name: 'until' }, (w) => {
      const later = w.sleep(w.run(when, Date.UTC(2999, 0), { id: 'later-at' }), { id: 'later' });
      const over = w.sleep(w.run(when, 0, { id: 'over-at' }), { id: 'over' });
      return { later, over };
    });
    const kit = engineOf(one);
    const run = await kit.start(one);
    await kit.clock.to(new Date(Date.UTC(2999, 0) - 1));
    expect(await stateOf(run)).toMatchObject({ tasks: { later: 'waiting', over: 'success' } });
    await kit.clock.advance(1);
    expect(await run.result()).toEqual({ later: undefined, over: undefined });
  });

  test('until what is no date fails as a mistake of the definition', async () => {
    const broken = task({ name: 'broken', run: (_: number) => 'soon' });
    const one = workflow({ name: 'never' }, (w) => w.sleep(w.run(broken, 1) as never));
    const kit = engineOf(one);
    const run = await kit.start(one);
    await kit.settle();
    expect(await stateOf(run)).toMatchObject({ run: 'failed', tasks: { sleep: 'failed: definition_error' } });
  });

  test('cancel, skip and pause reach a task that waits', async () => {
    const kit = engineOf(nap);
    const cancelled = await kit.start(nap);
    await cancelled.cancel();
    expect(await stateOf(cancelled)).toMatchObject({ run: 'cancelled', tasks: { sleep: 'cancelled: person' } });
    const skipped = await kit.start(nap);
    await skipped.skip('sleep');
    expect(await stateOf(skipped)).toMatchObject({ tasks: { sleep: 'skipped: manual' } });
    const paused = await kit.start(nap);
    await kit.settle();
    await paused.pause();
    await kit.clock.advance('31d');
    expect(await stateOf(paused)).toMatchObject({ run: 'paused', tasks: { sleep: 'success', after: 'queued' } });
    await paused.resume();
    await kit.settle();
    expect(await stateOf(paused)).toMatchObject({ run: 'success' });
  });

  test('a redrive of a sleep that was cancelled sleeps anew', async () => {
    const kit = engineOf(nap);
    const run = await kit.start(nap);
    await kit.clock.advance('10d');
    await run.cancel();
    await run.redrive();
    await kit.clock.advance(30 * 86_400_000 - 1);
    expect(await stateOf(run)).toMatchObject({ tasks: { sleep: 'waiting' } });
    await kit.clock.advance(1);
    expect(await stateOf(run)).toMatchObject({ run: 'success' });
  });

  test('why says until when', async () => {
    const kit = engineOf(nap);
    const run = await kit.start(nap);
    await kit.clock.advance('10d');
    expect((await run.why()).sentence).toBe('Task "sleep": it waits since 10 days for time to pass: it goes on in 20 days.');
  });

  test.each([0, -1, Number.NaN, Infinity, '0s', 'soon', null, {}])('a sleep of %s is refused when it is defined', (time) => {
    expect(() => flow((w) => void w.sleep(time as never))).toThrow(/the time: must be milliseconds/);
  });

  test('the same from data, with the same checks', async () => {
    const one = workflow.fromGraph({ name: 'data', tasks: [{ id: 'nap', kind: 'sleep', ms: 1_000 }] });
    const kit = engineOf(one);
    const run = await kit.start(one);
    await kit.clock.advance('1s');
    expect(await stateOf(run)).toMatchObject({ run: 'success' });
    for (const wrong of [{}, { ms: 0 }, { ms: 1, until: { $input: [] } }, { ms: 1, signal: 'x' }])
      expect(() => workflow.fromGraph({ name: 'bad', tasks: [{ id: 'nap', kind: 'sleep', ...wrong }] })).toThrow(/nap/);
  });
});

describe('among other tasks', () => {
  const word = signal('word', z.object({ text: z.string() }));

  test('a race of a message and time has one winner, and the loser waits no more', async () => {
    const race = workflow({ name: 'race' }, (w) => {
      const message = w.wait(word, { key: 'k' });
      const late = w.sleep('1d');
      return { first: w.first({ message, late }) };
    });
    const kit = engineOf(race);
    const [heard, silent] = [await kit.start(race), await kit.start(race)];
    await kit.settle();
    await kit.send(word, { key: 'k', data: { text: 'hi' } });
    expect(await heard.result()).toEqual({ first: { winner: 'message', value: { text: 'hi' } } });
    await kit.clock.advance('1d');
    expect(await silent.result()).toEqual({ first: { winner: 'late', value: undefined } });
    expect(await kit.send(word, { key: 'k', data: { text: 'for nobody' } })).toMatchObject({ woke: 0 });
  });

  test.each([
    ['abort', 'cancelled: fail_fast'],
    ['drain', 'success'],
    ['continue', 'success'],
  ] as const)('failure policy %s', async (failurePolicy, status) => {
    const one = workflow({ name: 'policy', failurePolicy }, (w) => {
      w.sleep('1d');
      w.run('bad', {}, fail, { retry: { maxAttempts: 1 } });
    });
    const kit = engineOf(one);
    const run = await kit.start(one);
    await kit.clock.advance('1d');
    expect(await stateOf(run)).toMatchObject({ run: 'failed', tasks: { sleep: status } });
  });

  test('a message of a key is taken by the run of that key alone, also through branches that are not chosen', async () => {
    const one = workflow({ name: 'branches', input: z.object({ big: z.boolean() }) }, (w, input) => {
      const answer = w.when(
        input.big,
        (big) => big,
        () => w.approve('boss', { who: ['ops'] }),
      );
      return { done: w.run('done', { answer: w.optional(answer) }, ({ answer: given }) => given?.by ?? 'nobody') };
    });
    const kit = engineOf(one);
    expect(await (await kit.start(one, { big: false })).result()).toEqual({ done: 'nobody' });
    const big = await kit.start(one, { big: true });
    await kit.settle();
    await kit.approvals.approve(big.id, { actor: 'ann' });
    expect(await big.result()).toEqual({ done: 'ann' });
  });

  test('the same graph from data', async () => {
    const form = z.object({ ok: z.boolean() });
    const one = workflow.fromGraph({
      name: 'data',
      tasks: [
        {
          id: 'hear',
          kind: 'wait',
          signal: word,
          key: 'k',
          timeoutMs: 1_000,
          onTimeout: 'skip',
          where: ({ text }: { text: string }) => text !== '',
        },
        { id: 'ask', kind: 'approve', who: ['ops'], form, after: ['hear'], join: 'none_failed' },
      ],
    });
    const kit = engineOf(one);
    const run = await kit.start(one);
    await kit.settle();
    await kit.send(word, { key: 'k', data: { text: 'hi' } });
    await kit.approvals.approve(run.id, { form: { ok: true } });
    expect(await stateOf(run)).toMatchObject({ run: 'success', tasks: { hear: 'success', ask: 'success' } });
    const refused: readonly [object, RegExp][] = [
      [{ kind: 'wait' }, /signal must be a signal/],
      [{ kind: 'wait', signal: word, where: true }, /where must be a predicate/],
      [{ kind: 'wait', signal: word, timeoutMs: -1 }, /timeoutMs/],
      [{ kind: 'wait', signal: word, onTimeout: 'skip' }, /without a timeout/],
      [{ kind: 'approve' }, /who/],
      [{ kind: 'approve', who: [] }, /who must name/],
      [{ kind: 'approve', who: ['a', 'a'] }, /each once/],
      [{ kind: 'approve', who: ['a'], form: true }, /form must be a schema/],
      [{ kind: 'approve', who: ['a'], onReject: 'fail' }, /onReject/],
    ];
    for (const [wrong, message] of refused)
      expect(() => workflow.fromGraph({ name: 'bad', tasks: [{ id: 'x', ...wrong }] })).toThrow(message);
  });
});
