import { afterEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { NonRetryableError, task, workflow, type EngineEvent, type HookInput } from '../../src/index.ts';
import { testEngine } from '../../src/testing/index.ts';
import { closeAll, engineOf, fail, Naps, ok, stateOf } from './kit.ts';

afterEach(closeAll);

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

/** Hooks that note what they are told. */
function noted() {
  const told: string[] = [];
  const inputs: HookInput[] = [];
  const note = (name: string) => (input: HookInput) => {
    told.push(`${name} ${input.status}`);
    inputs.push(input);
  };
  const hooks = {
    onStart: note('onStart'),
    onSuccess: note('onSuccess'),
    onFailure: note('onFailure'),
    onCancel: note('onCancel'),
    onFinish: note('onFinish'),
  };
  return { told, inputs, hooks };
}

describe('hooks', () => {
  test('39: a guard that says no: no onStart, the run is skipped', async () => {
    const { told, hooks } = noted();
    const one = workflow({ name: 'case', guard: () => false, ...hooks }, (w) => ({ a: w.run('a', {}, ok) }));
    const naps = new Naps();
    const run = await naps.on(engineOf(one)).start(one);
    await naps.pass(1);
    expect(await stateOf(run)).toMatchObject({ run: 'skipped' });
    expect(told).toEqual(['onFinish skipped']);
  });

  test('a guard that says yes: onStart comes after it', async () => {
    const { told, hooks } = noted();
    const one = workflow({ name: 'case', guard: () => told.push('guard') > 0, ...hooks }, (w) => ({ a: w.run('a', {}, ok) }));
    const naps = new Naps();
    await naps.on(engineOf(one)).start(one);
    await naps.pass(1);
    expect(told.slice(0, 2)).toEqual(['guard', 'onStart running']);
    expect(told.slice(2).toSorted()).toEqual(['onFinish success', 'onSuccess success']);
  });

  test('61: a deadline of a second over a task of ten, with onFailure and onFinish', async () => {
    const { told, hooks, inputs } = noted();
    const naps = new Naps();
    const { onFailure, onFinish } = hooks;
    const one = workflow({ name: 'case', timeout: '1s', onFailure, onFinish }, (w) => ({ a: w.run('a', {}, () => naps.sleep(10)) }));
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(20);
    expect(await stateOf(run)).toMatchObject({ run: 'failed', reason: 'deadline', tasks: { a: 'cancelled: deadline' } });
    expect(told.toSorted()).toEqual(['onFailure failed', 'onFinish failed']);
    expect(inputs[0]).toMatchObject({ runId: run.id, workflow: 'case', reason: 'deadline' });
    const { runs } = await kit.runs.list({ parts: true });
    expect(runs.map((row) => [row.workflow, row.status])).toEqual(
      expect.arrayContaining([
        ['case/onFailure', 'success'],
        ['case/onFinish', 'success'],
      ]),
    );
  });

  test('101: a task fails, onFailure is called once', async () => {
    const { told, hooks, inputs } = noted();
    const one = workflow({ name: 'case', onFailure: hooks.onFailure }, (w) => ({ a: w.run('a', {}, fail) }));
    const naps = new Naps();
    const run = await naps.on(engineOf(one)).start(one);
    await naps.pass(5);
    expect(await stateOf(run)).toMatchObject({ run: 'failed', tasks: { a: 'failed' } });
    expect(told).toEqual(['onFailure failed']);
    expect(inputs[0]?.error?.rootCause).toEqual(['a']);
  });

  test('103: all is well, onFailure never runs', async () => {
    const { told, hooks } = noted();
    const one = workflow({ name: 'case', onFailure: hooks.onFailure }, (w) => ({ a: w.run('a', {}, ok) }));
    const naps = new Naps();
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(5);
    expect(await stateOf(run)).toMatchObject({ run: 'success' });
    expect(told).toEqual([]);
    expect((await kit.runs.list({ parts: true })).runs).toHaveLength(1);
  });

  test('a hook is retried; one that fails for good raises an alert and changes nothing', async () => {
    const events: EngineEvent[] = [];
    let calls = 0;
    const tell = task({
      name: 'tell',
      retry: { maxAttempts: 2, initial: '1s', jitter: 'none' },
      run: async (told: HookInput): Promise<void> => {
        calls++;
        throw new Error(`nobody listens to ${told.status}`);
      },
    });
    const one = workflow({ name: 'case', onSuccess: tell }, (w) => ({ a: w.run('a', {}, ok) }));
    const kit = testEngine({ use: [one], logger: silent, onEvent: (event) => void events.push(event) });
    const run = await kit.start(one);
    expect(await run.result()).toEqual({ a: 1 });
    await kit.clock.advance('10s');
    expect(calls).toBe(2);
    expect(events.filter((event) => event.type === 'alert')).toMatchObject([{ alert: 'hook_failed', runId: run.id, task: 'onSuccess' }]);
    expect(await stateOf(run)).toMatchObject({ run: 'success' });
    await kit.close();
  });

  test('a cancel of the run leaves its hooks, and a redrive calls them again at the end', async () => {
    const { told, hooks } = noted();
    const naps = new Naps();
    let bad = true;
    const one = workflow({ name: 'case', ...hooks }, (w) => ({
      a: w.run('a', {}, async () => {
        await naps.sleep(5);
        if (bad) throw new NonRetryableError('not yet');
        return 1;
      }),
    }));
    const run = await naps.on(engineOf(one)).start(one);
    await naps.pass(1);
    await run.cancel();
    await naps.pass(10);
    expect(told.toSorted()).toEqual(['onCancel cancelled', 'onFinish cancelled', 'onStart running']);
    told.length = 0;
    bad = false;
    await run.redrive();
    await naps.pass(10);
    expect(told.toSorted()).toEqual(['onFinish success', 'onSuccess success']);
  });

  test('onStart is called by the redrive of a run that was cancelled before it was admitted', async () => {
    const { told, hooks } = noted();
    const naps = new Naps();
    const one = workflow({ name: 'case', input: z.number(), concurrency: 1, onStart: hooks.onStart }, (w) => ({
      a: w.run('a', {}, () => naps.sleep(20)),
    }));
    const kit = naps.on(engineOf(one));
    const first = await kit.start(one, 1);
    const waits = await kit.start(one, 2);
    const later = await kit.start(one, 3, { delay: '1h' });
    await naps.pass(1);
    await waits.cancel();
    await later.cancel();
    await naps.pass(1);
    expect(told).toEqual(['onStart running']);
    await waits.redrive();
    await kit.reboot();
    await naps.pass(1);
    expect(told).toEqual(['onStart running']);
    await first.cancel();
    await naps.pass(25);
    expect((await waits.status()).status).toBe('success');
    expect(told).toHaveLength(2);
    for (let i = 0; i < 2; i++) {
      await later.redrive();
      await naps.pass(1);
      await later.cancel();
    }
    await later.redrive();
    await naps.pass(30);
    expect((await later.status()).status).toBe('success');
    expect(told).toHaveLength(3);
  });

  test('onStart is called by the redrive of a run without a key that was cancelled before its time', async () => {
    const { told, hooks } = noted();
    const naps = new Naps();
    const one = workflow({ name: 'case', onStart: hooks.onStart }, (w) => ({ a: w.run('a', {}, () => told.push('a')) }));
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one, undefined, { delay: '1h' });
    await run.cancel();
    await run.redrive();
    await naps.pass(1);
    expect(told.toSorted()).toEqual(['a', 'onStart running']);
  });

  test('onStart is called once the guard says yes, also where it threw or the run was cancelled before', async () => {
    for (const how of ['throws', 'cancelled'] as const) {
      const { told, hooks } = noted();
      const naps = new Naps();
      let answer: () => boolean = fail;
      const one = workflow({ name: 'case', guard: () => answer(), onStart: hooks.onStart }, (w) => ({ a: w.run('a', {}, ok) }));
      const kit = naps.on(engineOf(one));
      const run = how === 'cancelled' ? await kit.start(one, undefined, { delay: '1h' }) : await kit.start(one);
      if (how === 'cancelled') await run.cancel();
      await naps.pass(1);
      expect(told).toEqual([]);
      answer = () => true;
      await run.redrive();
      await naps.pass(2);
      expect([how, told]).toEqual([how, ['onStart running']]);
      await run.rerun('guard');
      await naps.pass(2);
      expect([how, told]).toEqual([how, ['onStart running']]);
    }
  });

  test('onStart is called for a run that nobody had claimed when it moved to the version that has it', async () => {
    const { told, hooks } = noted();
    const naps = new Naps();
    const make = (version: string, more: object) =>
      workflow({ name: 'case', version, ...more }, (w) => ({ a: w.run('a', {}, () => void told.push('a')) }));
    const first = make('1', {});
    const kit = naps.on(engineOf(first));
    await kit.workflows.pause('case');
    const run = await kit.start(first);
    await naps.pass(1);
    await kit.reboot({ use: [make('2', { onStart: hooks.onStart })] });
    await kit.workflows.resume('case');
    await naps.pass(5);
    expect(told.toSorted()).toEqual(['a', 'onStart running']);
    expect(await run.status()).toMatchObject({ status: 'success', version: '2' });
  });

  test('what is no hook is refused', () => {
    expect(() => workflow({ name: 'case', onFinish: 5 as never }, () => ({}))).toThrow(/onFinish must be a task/);
  });
});
