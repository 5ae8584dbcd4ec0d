import { afterEach, describe, expect, test } from 'vitest';
import { task, workflow } from '../../src/index.ts';
import type { Build, WorkflowOpts } from '../../src/core/types/types.ts';
import { closeAll, engineOf, fail, Naps, ok, quick, ran, stateOf } from './kit.ts';

afterEach(closeAll);

const policed = (failurePolicy: NonNullable<WorkflowOpts['failurePolicy']>, build: (w: Build) => void) =>
  workflow({ name: 'case', failurePolicy }, (w) => {
    build(w);
    return {};
  });

const runningUntilAborted = (_: unknown, { signal }: { signal: AbortSignal }): Promise<string> =>
  new Promise((resolve) => signal.addEventListener('abort', () => resolve('aborted')));

describe('failure policy', () => {
  const branches = (naps: Naps) => (w: Build) => {
    const a = w.run('A', {}, ok);
    const b = w.run('B', {}, () => naps.sleep(30), { after: [a] });
    w.run('E', {}, ok, { after: [w.run('D', {}, ok, { after: [b] })] });
    w.run('C', {}, () => Promise.reject(new Error('no')), { after: [a], ...quick(4) });
  };

  test('91: policy abort: what runs is cancelled, and what waits for it', async () => {
    const naps = new Naps();
    expect(await ran(policed('abort', branches(naps)), naps)).toMatchObject({
      run: 'failed',
      tasks: { A: 'success', B: 'cancelled: fail_fast', C: 'failed', D: 'cancelled: fail_fast', E: 'cancelled: fail_fast' },
      attempts: { C: 4 },
    });
  });

  test('drain: what runs ends, nothing else starts', async () => {
    const naps = new Naps();
    expect(await ran(policed('drain', branches(naps)), naps)).toMatchObject({
      run: 'failed',
      tasks: { A: 'success', B: 'success', C: 'failed', D: 'cancelled: fail_fast', E: 'cancelled: fail_fast' },
    });
  });

  test('drain: what runs and fails after that is not tried again, also by a process that never saw the failure', async () => {
    const naps = new Naps();
    const one = policed('drain', (w) => {
      w.run('A', {}, fail);
      w.run(
        'B',
        {},
        async () => {
          await naps.sleep(10);
          throw new Error('later');
        },
        quick(3),
      );
    });
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(1);
    await kit.reboot();
    await naps.pass(60);
    expect(await stateOf(run)).toMatchObject({ run: 'failed', tasks: { A: 'failed', B: 'cancelled: fail_fast' } });
  });

  test('an allowed failure, and one within tolerate, trip no policy', async () => {
    const one = policed('abort', (w) => {
      const item = task({ name: 'item', run: (n: number) => (n === 1 ? fail() : n) });
      const a = w.run('A', {}, fail, { allowFailure: true });
      const m = w.map([1, 2, 3], item, (n) => n, { tolerate: { count: 1 } });
      w.run('B', { m }, ok, { after: [a] });
    });
    expect(await ran(one)).toMatchObject({ run: 'partial', tasks: { A: 'failed', item: 'success', B: 'success' } });
  });

  describe('a map', () => {
    const sleepy = (naps: Naps) =>
      task({
        name: 'item',
        run: async (n: number) => {
          await naps.sleep(n);
          return n === 2 ? fail() : n;
        },
      });

    test.each(['drain', 'abort'] as const)('%s: beyond what it tolerates it starts no more items, and fails', async (policy) => {
      const naps = new Naps();
      const one = policed(policy, (w) => void w.map([1, 2, 3, 4, 5], sleepy(naps), (n) => n, { concurrency: 2 }));
      const kit = naps.on(engineOf(one));
      const run = await kit.start(one);
      await naps.pass(60);
      const { tasks } = await stateOf(run);
      // At 1 s item 0 ended and item 2 began; at 2 s item 1 failed.
      expect(tasks).toEqual({
        item: 'failed: too_many_failures',
        'item[0]': 'success',
        'item[1]': 'failed',
        'item[2]': policy === 'drain' ? 'success' : 'cancelled: fail_fast',
      });
      expect((await run.status()).status).toBe('failed');
    });

    test('drain: a map that is caught up in it ends its running items, and is cancelled; a redrive starts the rest', async () => {
      const naps = new Naps();
      let broken = true;
      const item = task({ name: 'item', run: async (n: number) => naps.sleep(n).then(() => n) });
      const one = workflow({ name: 'case', failurePolicy: 'drain' }, (w) => {
        w.run('A', {}, async () => naps.sleep(1).then(() => (broken ? fail() : 1)));
        return { m: w.map([2, 3, 4, 5], item, (n) => n, { concurrency: 2 }) };
      });
      const kit = naps.on(engineOf(one));
      const run = await kit.start(one);
      await naps.pass(60);
      expect(await stateOf(run)).toMatchObject({
        run: 'failed',
        tasks: { A: 'failed', item: 'cancelled: fail_fast', 'item[0]': 'success', 'item[1]': 'success' },
      });
      broken = false;
      const { tasks } = await run.redrive();
      expect(tasks.map((each) => [each.task, each.why])).toEqual([
        ['A', 'named'],
        ['item', 'around'],
      ]);
      await naps.pass(60);
      expect(await run.result()).toEqual({ m: [2, 3, 4, 5] });
      expect((await stateOf(run)).attempts).toMatchObject({ 'item[0]': 1, 'item[3]': 1 });
    });

    test('drain: one that goes on while the failure is redriven starts its items again', async () => {
      const naps = new Naps();
      let broken = true;
      const item = task({ name: 'item', run: async (n: number) => naps.sleep(n).then(() => n) });
      const one = workflow({ name: 'case', failurePolicy: 'drain' }, (w) => {
        w.run('A', {}, async () => naps.sleep(1).then(() => (broken ? fail() : 1)));
        return { m: w.map([20, 3, 4, 5], item, (n) => n, { concurrency: 2 }) };
      });
      const kit = naps.on(engineOf(one));
      const run = await kit.start(one);
      await naps.pass(10);
      expect((await stateOf(run)).tasks).toMatchObject({ A: 'failed', item: 'running', 'item[0]': 'running', 'item[1]': 'success' });
      broken = false;
      await run.redrive();
      await naps.pass(60);
      expect(await run.result()).toEqual({ m: [20, 3, 4, 5] });
    });
  });

  test('109: policy abort, redrive of the failed task: only it and what the policy cancelled run again, and the join waits for both', async () => {
    let broken = true;
    const calls: string[] = [];
    const one = policed('abort', (w) => {
      const body = (id: string, run: (...args: never[]) => unknown) =>
        w.run(id, {}, (_, ctx) => (calls.push(id), run(_ as never, ctx as never)));
      const t1 = body('t1', ok);
      const t2 = w.run('t2', {}, () => (calls.push('t2'), broken ? fail() : 1), { after: [t1] });
      const t3 = w.run('t3', {}, (_, ctx) => (calls.push('t3'), broken ? runningUntilAborted(_, ctx) : '1'), { after: [t1] });
      w.run('join', {}, () => void calls.push('join'), { after: [t2, t3] });
    });
    const kit = engineOf(one);
    const run = await kit.start(one);
    await kit.settle();
    expect((await stateOf(run)).tasks).toEqual({ t1: 'success', t2: 'failed', t3: 'cancelled: fail_fast', join: 'upstream_failed' });
    calls.length = 0;
    broken = false;
    await run.redrive({ task: 't2' });
    await run.result();
    expect(calls.toSorted()).toEqual(['join', 't2', 't3']);
    expect(calls.at(-1)).toBe('join');
    expect((await run.status()).status).toBe('success');
  });

  test('after a redrive the policy acts on new failures only', async () => {
    const naps = new Naps();
    let broken = true;
    const one = policed('abort', (w) => {
      w.run('A', {}, fail);
      w.run('B', {}, () => (broken ? fail() : naps.sleep(5)));
    });
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(1);
    broken = false;
    await run.redrive({ task: 'B' });
    await naps.pass(10);
    expect(await stateOf(run)).toMatchObject({ run: 'failed', tasks: { A: 'failed', B: 'success' } });
  });
});

describe('redrive and mark', () => {
  test('111: a run failed at its deadline before the list of its map was there is redriven whole', async () => {
    const naps = new Naps();
    let slow = true;
    const item = task({ name: 'item', run: (n: number) => n * 10 });
    const one = workflow({ name: 'case', timeout: '1s' }, (w) => {
      const source = w.run('source', {}, async () => {
        if (slow) await naps.sleep(10);
        return [1, 2];
      });
      return { m: w.map(source, item, (n) => n) };
    });
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(5);
    expect(await stateOf(run)).toMatchObject({
      run: 'failed',
      reason: 'deadline',
      tasks: { source: 'cancelled: deadline', item: 'cancelled: deadline' },
    });
    slow = false;
    await run.redrive();
    await naps.pass(1);
    expect(await run.result()).toEqual({ m: [10, 20] });
  });

  test('113: only the cause is redriven, what it had held up follows by itself', async () => {
    let broken = true;
    const one = policed('continue', (w) => {
      const a = w.run('A', {}, () => (broken ? fail() : 1));
      w.run('B', {}, ok, { after: [a] });
    });
    const run = await engineOf(one).start(one);
    await expect(run.result()).rejects.toMatchObject({ code: 'RUN_FAILED' });
    expect((await stateOf(run)).tasks).toEqual({ A: 'failed', B: 'upstream_failed' });
    broken = false;
    await run.redrive({ task: 'A' });
    await run.result();
    expect((await stateOf(run)).tasks).toEqual({ A: 'success', B: 'success' });
  });

  test('119: a run that a person marks as failed stays so, whatever still runs', async () => {
    const naps = new Naps();
    const one = policed('continue', (w) => {
      const three = ['a', 'b', 'c'].map((id) => w.run(id, {}, () => naps.sleep(5)));
      w.run('final', {}, ok, { after: three, join: 'all_done' });
    });
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(1);
    await run.markFailed();
    await naps.pass(60);
    expect(await stateOf(run)).toMatchObject({
      run: 'failed',
      reason: 'marked_failed',
      tasks: {
        a: 'cancelled: marked_failed',
        b: 'cancelled: marked_failed',
        c: 'cancelled: marked_failed',
        final: 'cancelled: marked_failed',
      },
    });
    await run.redrive();
    await naps.pass(60);
    expect(await run.status()).toMatchObject({ status: 'success' });
  });

  test('85: a producer that is rerun and gives a longer list: the map is made anew', async () => {
    let n = 1;
    const item = task({ name: 'item', run: (i: number) => i });
    const one = workflow({ name: 'case' }, (w) => {
      const producer = w.run('producer', {}, () => Array.from({ length: n }, (_, i) => i));
      return { m: w.map(producer, item, (i) => i) };
    });
    const run = await engineOf(one).start(one);
    expect(await run.result()).toEqual({ m: [0] });
    n = 6;
    await run.rerun('producer');
    expect(await run.result()).toEqual({ m: [0, 1, 2, 3, 4, 5] });
    expect(await stateOf(run)).toMatchObject({ tasks: { item: 'success', 'item[0]': 'success', 'item[5]': 'success' } });
  });
});
