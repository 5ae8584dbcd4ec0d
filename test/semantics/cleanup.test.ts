import { afterEach, describe, expect, test } from 'vitest';
import { task, workflow, type EngineEvent } from '../../src/index.ts';
import { testEngine } from '../../src/testing/index.ts';
import { closeAll, fail, Naps, ok, ran, stateOf } from './kit.ts';

afterEach(closeAll);

let log: string[] = [];
const say =
  <T>(word: string, value: T) =>
  (): T => {
    log.push(word);
    return value;
  };
afterEach(() => {
  log = [];
});

describe('using', () => {
  test('97: the inner setup of two brackets fails: what was set up is torn down, and the work inside never runs', async () => {
    const one = workflow({ name: 'case' }, (w) => {
      w.using('outer', { setup: ok, teardown: say('outer down', null) }, () => {
        w.using('inner', { setup: fail, teardown: say('inner down', null) }, (value) => {
          w.run('work', { value }, ok);
        });
      });
      return {};
    });
    expect(await ran(one)).toMatchObject({
      run: 'failed',
      tasks: {
        outer: 'success',
        'outer.teardown': 'success',
        inner: 'failed',
        'inner.teardown': 'skipped',
        work: 'upstream_failed',
      },
    });
    expect(log).toEqual(['outer down']);
  });

  test.each([false, true])('99: work ok, the teardown fails, failRun %s', async (failRun) => {
    const events: EngineEvent[] = [];
    const one = workflow({ name: 'case' }, (w) => {
      const done = w.using('db', { setup: ok, teardown: fail, failRun }, () => w.run('work', {}, ok));
      return { done };
    });
    const engine = testEngine({ use: [one], onEvent: (event) => events.push(event) });
    const run = await engine.start(one);
    await engine.settle();
    expect(await stateOf(run)).toMatchObject({
      run: failRun ? 'failed' : 'success',
      tasks: { db: 'success', work: 'success', 'db.teardown': 'failed' },
    });
    expect(events.filter(({ type }) => type === 'alert')).toMatchObject([{ alert: 'teardown_failed', task: 'db.teardown' }]);
    if (failRun) await expect(run.result()).rejects.toMatchObject({ details: { rootCause: [{ task: 'db.teardown' }] } });
    else expect(await run.result()).toEqual({ done: 1 });
    expect((await engine.dead.list()).letters).toMatchObject([{ task: 'db.teardown' }]);
    await engine.close();
  });
});

describe('compensate', () => {
  test('what succeeded is undone in reverse order of completion, each with its input and output', async () => {
    const naps = new Naps();
    const undo = (name: string) => (value: { input: unknown; output: unknown }) => void log.push(`${name} ${JSON.stringify(value)}`);
    const item = task({ name: 'item', run: async (n: number) => naps.sleep(n).then(() => n * 10) });
    const one = workflow({ name: 'case' }, (w) => {
      const a = w.run('a', { x: 1 }, async () => naps.sleep(3).then(() => 'A'), { compensate: undo('a') });
      const b = w.run('b', { y: 2 }, async () => naps.sleep(1).then(() => 'B'), { compensate: undo('b') });
      const m = w.map([2, 5], item, (n) => n, { compensate: undo('item') });
      w.run('c', { a, b, m }, fail, { compensate: undo('c') });
      return {};
    });
    const ended = await ran(one, naps);
    expect(ended.run).toBe('failed');
    expect(log).toEqual([
      'item {"input":5,"output":50}',
      'a {"input":{"x":1},"output":"A"}',
      'item {"input":2,"output":20}',
      'b {"input":{"y":2},"output":"B"}',
    ]);
    expect(ended.tasks).toMatchObject({ 'a.compensate': 'success', 'b.compensate': 'success', 'item.compensate[1]': 'success' });
  });
});
