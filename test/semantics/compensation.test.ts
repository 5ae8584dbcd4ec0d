import { afterEach, describe, expect, test } from 'vitest';
import { task, workflow } from '../../src/index.ts';
import { closeAll, engineOf, fail, Naps, ok, ran, stateOf } from './kit.ts';

afterEach(closeAll);

let log: string[] = [];
afterEach(() => {
  log = [];
});
const undo = (name: string) => () => void log.push(name);

describe('compensation', () => {
  const saga = (naps: Naps, last: () => unknown, compensateOn?: readonly ('failed' | 'cancelled')[]) =>
    workflow({ name: 'saga', ...(compensateOn ? { compensateOn } : {}) }, (w) => {
      const a = w.run('a', {}, ok, { compensate: () => naps.sleep(1).then(undo('a')) });
      const b = w.run('b', { a }, ok, { compensate: () => naps.sleep(1).then(undo('b')) });
      const c = w.run('c', { b }, ok, { compensate: undo('c') });
      w.run('last', { c }, last);
      return {};
    });

  test('one at a time, in reverse order, also where all succeeded in one instant and the process dies in between', async () => {
    const naps = new Naps();
    const one = saga(naps, fail);
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await kit.settle();
    expect([log, (await run.status()).status]).toEqual([['c'], 'finishing']);
    expect((await run.inspect()).compensation).toBe('running');
    expect((await stateOf(run)).tasks).toEqual({
      a: 'success',
      b: 'success',
      c: 'success',
      last: 'failed',
      'b.compensate': 'running',
      'c.compensate': 'success',
    });
    await kit.reboot();
    await naps.pass(10);
    // The attempt that died with its process is made again.
    expect(log.filter((each, i) => log.indexOf(each) === i)).toEqual(['c', 'b', 'a']);
    expect((await run.status()).status).toBe('failed');
    expect((await run.inspect()).compensation).toBe('complete');
  });

  test('two that succeed in one instant without waiting for each other are undone in reverse order of their commits', async () => {
    const gates = new Map<string, () => void>();
    const gated = (id: string) => () => new Promise<number>((resolve) => void gates.set(id, () => resolve(1)));
    const one = workflow({ name: 'saga' }, (w) => {
      const all = ['x', 'y', 'z'].map((id) => w.run(id, {}, gated(id), { compensate: undo(id) }));
      w.run('last', {}, fail, { after: all });
      return {};
    });
    const kit = engineOf(one);
    const run = await kit.start(one);
    await kit.settle();
    for (const id of ['y', 'z', 'x']) {
      gates.get(id)?.();
      await kit.settle();
    }
    expect((await run.status()).status).toBe('failed');
    expect(log).toEqual(['x', 'z', 'y']);
  });

  test('a cancelled run is compensated; a success, and an outcome that is not asked for, are not', async () => {
    const naps = new Naps();
    const slow = (): Promise<void> => naps.sleep(60);
    const cancelled = saga(naps, slow);
    const kit = naps.on(engineOf(cancelled));
    const run = await kit.start(cancelled);
    await naps.pass(1);
    await run.cancel();
    await naps.pass(10);
    expect(await stateOf(run)).toMatchObject({ run: 'cancelled', reason: 'person' });
    expect(log).toEqual(['c', 'b', 'a']);
    log = [];
    expect((await ran(saga(naps, ok), naps)).run).toBe('success');
    expect((await ran(saga(naps, fail, ['cancelled']), naps)).run).toBe('failed');
    expect(log).toEqual([]);
  });

  test('one that fails is a dead letter, the rest go on, and the run has failed with an incomplete compensation', async () => {
    const naps = new Naps();
    const one = workflow({ name: 'saga' }, (w) => {
      const a = w.run('a', {}, ok, { compensate: undo('a') });
      const b = w.run('b', { a }, ok, { compensate: fail });
      w.run('last', { b }, () => naps.sleep(60));
      return {};
    });
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(1);
    await run.cancel();
    await naps.pass(5);
    expect(await stateOf(run)).toMatchObject({ run: 'failed', tasks: { 'b.compensate': 'failed', 'a.compensate': 'success' } });
    expect(log).toEqual(['a']);
    await expect(run.result()).rejects.toMatchObject({ code: 'RUN_FAILED', details: { compensation: 'incomplete' } });
    expect((await run.inspect()).compensation).toBe('incomplete');
    expect((await run.why()).sentence).toMatch(/not everything could be undone/);
    const { letters } = await kit.dead.list();
    expect(letters.map((letter) => letter.task)).toEqual(['b.compensate']);
    expect((await run.why('b.compensate')).sentence).toMatch(/it is a dead letter: redrive or discard it/);
    await run.discard('b.compensate', { note: 'undone by hand' });
    expect((await kit.dead.list()).letters).toEqual([]);
  });

  test('a run whose compensation began is not redriven, rerun or marked; a restart begins anew, a fork takes over nothing undone', async () => {
    let broken = true;
    const one = workflow({ name: 'saga' }, (w) => {
      const a = w.run('a', {}, () => void log.push('do a'), { compensate: undo('a') });
      const b = w.run('b', {}, () => void log.push('do b'));
      w.run('last', {}, () => (broken ? fail() : 1), { after: [a, b] });
      return {};
    });
    const kit = engineOf(one);
    const run = await kit.start(one);
    await kit.settle();
    for (const act of [() => run.redrive(), () => run.rerun('a'), () => run.mark('last', { output: 1 })])
      await expect(act()).rejects.toMatchObject({ code: 'RUN_COMPENSATED' });
    broken = false;
    log = [];
    const { run: fork } = await run.fork('last');
    await kit.settle();
    expect(log).toEqual(['do a']);
    expect((await fork.status()).status).toBe('success');
  });

  test('what a fork took over is not undone by it', async () => {
    let broken = false;
    const one = workflow({ name: 'saga' }, (w) => {
      const a = w.run('a', {}, ok, { compensate: undo('a') });
      const b = w.run('b', { a }, ok, { compensate: undo('b') });
      w.run('last', { b }, () => (broken ? fail() : 1));
      return {};
    });
    const kit = engineOf(one);
    const run = await kit.start(one);
    await kit.settle();
    broken = true;
    const { run: fork } = await run.fork('b');
    await kit.settle();
    expect((await fork.status()).status).toBe('failed');
    expect(log).toEqual(['b']);
  });

  test('teardowns come before it, and items of a map are undone one by one, also after the process died', async () => {
    const naps = new Naps();
    const item = task({ name: 'item', run: async (n: number) => naps.sleep(n).then(() => n) });
    const one = workflow({ name: 'saga' }, (w) => {
      w.using('db', { setup: ok, teardown: undo('down') }, () => {
        const m = w.map([3, 1, 2], item, (n) => n, { compensate: ({ output }) => naps.sleep(1).then(undo(`item ${output}`)) });
        w.run('last', { m }, fail);
      });
      return {};
    });
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(4.5);
    expect(log).toEqual(['down', 'item 3']);
    await kit.reboot();
    await naps.pass(10);
    expect(log.filter((each, i) => log.indexOf(each) === i)).toEqual(['down', 'item 3', 'item 2', 'item 1']);
    expect(await run.status()).toMatchObject({ status: 'failed' });
  });
});

describe('retry of a run', () => {
  const flaky = (times: number, options: { readonly timeout?: '5s' } = {}) => {
    let left = times;
    return workflow({ name: 'flaky', retry: { maxAttempts: 3, initial: '10s', factor: 2, jitter: 'none' }, ...options }, (w) => {
      const a = w.run('a', {}, () => void log.push('a'));
      return { b: w.run('b', {}, () => (log.push('b'), left-- > 0 ? fail() : 'done'), { after: [a] }) };
    });
  };

  test('a run that would fail is redriven as a whole after the delay; finished work is kept; it is running until then', async () => {
    const naps = new Naps();
    const one = flaky(2);
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(5);
    expect((await run.status()).status).toBe('running');
    expect((await run.why()).sentence).toMatch(/redriven as a whole in 5 s/);
    await kit.reboot();
    await naps.pass(10);
    expect(log).toEqual(['a', 'b', 'b']);
    await naps.pass(30);
    expect(log).toEqual(['a', 'b', 'b', 'b']);
    expect(await run.result()).toEqual({ b: 'done' });
  });

  test('the budget ends, and a person’s redrive gives it anew', async () => {
    const naps = new Naps();
    const one = flaky(5);
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(100);
    expect(log.filter((each) => each === 'b')).toHaveLength(3);
    expect((await run.status()).status).toBe('failed');
    await run.redrive();
    await naps.pass(100);
    expect(log.filter((each) => each === 'b')).toHaveLength(6);
    expect(await run.result()).toEqual({ b: 'done' });
  });

  test.each(['cancel', 'markFailed'] as const)('never after a %s, also while it waits for its time', async (act) => {
    const naps = new Naps();
    const one = flaky(1);
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(1);
    await run[act]();
    await naps.pass(60);
    expect((await run.status()).status).toBe('failed');
    expect(log).toEqual(['a', 'b']);
  });

  test('never after the deadline', async () => {
    const naps = new Naps();
    const one = flaky(1, { timeout: '5s' });
    expect(await ran(one, naps)).toMatchObject({ run: 'failed', reason: 'deadline' });
    expect(log).toEqual(['a', 'b']);
  });

  test('a teardown runs before each retry, a compensation only after the last', async () => {
    const naps = new Naps();
    const one = workflow({ name: 'flaky', retry: { maxAttempts: 2, initial: '10s', jitter: 'none' } }, (w) => {
      const a = w.run('a', {}, ok, { compensate: undo('undo a') });
      w.using('db', { setup: () => void log.push('up'), teardown: undo('down'), after: [a] }, () => void w.run('b', {}, fail));
      return {};
    });
    const ended = await ran(one, naps);
    expect(ended.run).toBe('failed');
    expect(log).toEqual(['up', 'down', 'up', 'down', 'undo a']);
  });
});

test('a map that is cancelled in the middle: the items that had succeeded are undone', async () => {
  const naps = new Naps();
  const item = task({ name: 'item', run: async (n: number) => naps.sleep(n).then(() => n) });
  const one = workflow({ name: 'saga' }, (w) => {
    w.map([1, 2, 30, 40], item, (n) => n, { concurrency: 3, compensate: ({ output }) => void log.push(`item ${output}`) });
    return {};
  });
  const kit = naps.on(engineOf(one));
  const run = await kit.start(one);
  await naps.pass(5);
  await kit.reboot();
  await run.cancel();
  await naps.pass(5);
  expect((await run.status()).status).toBe('cancelled');
  expect(log).toEqual(['item 2', 'item 1']);
});
