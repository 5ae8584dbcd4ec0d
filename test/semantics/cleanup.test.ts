import { afterEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { task, workflow, type EngineEvent } from '../../src/index.ts';
import { testEngine } from '../../src/testing/index.ts';
import { closeAll, engineOf, fail, Naps, ok, ran, stateOf } from './kit.ts';

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

describe('a run that cleans up', () => {
  const bracket = (naps: Naps, options: { readonly timeout?: '1s' } = {}) =>
    workflow({ name: 'case', ...options }, (w) => {
      w.using('db', { setup: () => ({ id: 7 }), teardown: (db) => naps.sleep(5).then(() => void log.push(`down ${db.id}`)) }, () => {
        w.run('work', {}, () => naps.sleep(20));
      });
      return {};
    });

  test('cancel: the work is cancelled, the teardown runs, a second cancel changes nothing, also after the process died', async () => {
    const naps = new Naps();
    const one = bracket(naps);
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(1);
    expect(await run.cancel()).toBe(true);
    await naps.pass(1);
    expect(await run.status()).toMatchObject({ status: 'cancelling' });
    expect((await stateOf(run)).tasks).toEqual({ db: 'success', work: 'cancelled: person', 'db.teardown': 'running' });
    expect((await run.why()).sentence).toMatch(/^It is being cancelled \(person\), cleaning up: task "db\.teardown"/);
    expect(await run.cancel()).toBe(false);
    await kit.reboot();
    await naps.pass(30);
    expect(await stateOf(run)).toMatchObject({ run: 'cancelled', reason: 'person', tasks: { 'db.teardown': 'success' } });
    expect(log.at(-1)).toBe('down 7');
    await expect(run.result()).rejects.toMatchObject({ code: 'RUN_CANCELLED' });
  });

  test('deadline: the teardown has its own time, and the run keeps its cause when another process goes on with it', async () => {
    const naps = new Naps();
    const one = bracket(naps, { timeout: '1s' });
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(2);
    expect(await run.status()).toMatchObject({ status: 'cancelling' });
    await kit.reboot();
    await naps.pass(30);
    expect(await stateOf(run)).toMatchObject({
      run: 'failed',
      reason: 'deadline',
      tasks: { work: 'cancelled: deadline', 'db.teardown': 'success' },
    });
  });

  test('a redrive sets up again what was torn down, and does over nothing that succeeded inside', async () => {
    let broken = true;
    const one = workflow({ name: 'case' }, (w) => {
      w.using('db', { setup: say('up', 1), teardown: say('down', null) }, (db) => {
        const a = w.run('a', { db }, say('a', 1));
        w.run('b', { a }, () => (log.push('b'), broken ? fail() : 1));
      });
      return {};
    });
    const kit = engineOf(one);
    const run = await kit.start(one);
    await kit.settle();
    expect(log).toEqual(['up', 'a', 'b', 'down']);
    broken = false;
    const { tasks } = await run.redrive();
    expect(tasks.map(({ task: id, why }) => `${id}: ${why}`)).toEqual(['b: named', 'db: bracket', 'db.teardown: bracket']);
    await kit.settle();
    expect(log).toEqual(['up', 'a', 'b', 'down', 'up', 'b', 'down']);
    expect((await stateOf(run)).run).toBe('success');
  });

  test('abort: the teardown runs under every policy', async () => {
    const naps = new Naps();
    const one = workflow({ name: 'case', failurePolicy: 'abort' }, (w) => {
      w.using('db', { setup: say('up', 1), teardown: say('down', null) }, () => void w.run('work', {}, () => naps.sleep(60)));
      w.run('other', {}, () => naps.sleep(1).then(fail));
      return {};
    });
    expect(await ran(one, naps)).toMatchObject({ run: 'failed', tasks: { work: 'cancelled: fail_fast', 'db.teardown': 'success' } });
  });

  test('it cannot be paused or redriven meanwhile; skipping the teardown ends it', async () => {
    const naps = new Naps();
    const one = workflow({ name: 'case' }, (w) => {
      const down = task({
        name: 'down',
        retry: { maxAttempts: 9, initial: '1m' },
        run: (): Promise<number> => Promise.reject(new Error('busy')),
      });
      w.using('db', { setup: ok, teardown: down }, () => void w.run('work', {}, fail));
      return {};
    });
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(1);
    expect(await run.status()).toMatchObject({ status: 'finishing' });
    expect((await run.why()).sentence).toMatch(/^It failed, cleaning up: task "db\.teardown"/);
    await expect(run.pause()).rejects.toMatchObject({ code: 'RUN_NOT_OPEN' });
    await expect(run.redrive()).rejects.toMatchObject({ code: 'TASK_NOT_ENDED' });
    await run.skip('db.teardown');
    expect(await stateOf(run)).toMatchObject({ run: 'failed', tasks: { 'db.teardown': 'skipped: manual' } });
  });

  test('a paused run tears down when it is resumed', async () => {
    const naps = new Naps();
    const one = workflow({ name: 'case' }, (w) => {
      w.using('db', { setup: ok, teardown: say('down', null) }, () => void w.run('work', {}, () => naps.sleep(2)));
      return {};
    });
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(1);
    await run.pause();
    await naps.pass(10);
    expect([log, (await run.status()).status]).toEqual([[], 'paused']);
    await run.resume();
    await naps.pass(1);
    expect([log, (await run.status()).status]).toEqual([['down'], 'success']);
  });
});

describe('catch', () => {
  const value = { run: 'partial' };

  test('the handler’s output stands for the task’s, and the failure counts as a success everywhere', async () => {
    const seen: unknown[] = [];
    const one = workflow({ name: 'case' }, (w) => {
      const a = w.run('a', { x: 1 }, (): string => fail(), {
        catch: (failure) => {
          seen.push(failure);
          return 'instead';
        },
      });
      const b = w.run('b', { a }, (input) => input.a);
      const failed = w.run('c', {}, ok, { after: [a], join: 'one_failed' });
      return { b, settled: w.settle({ a }), c: w.optional(failed, 'not run') };
    });
    const kit = engineOf(one);
    const run = await kit.start(one);
    expect(await run.result()).toEqual({ b: 'instead', settled: { a: { status: 'success', value: 'instead' } }, c: 'not run' });
    expect(await stateOf(run)).toMatchObject({ ...value, tasks: { a: 'failed', 'a.catch': 'success', b: 'success', c: 'skipped' } });
    expect(seen).toEqual([
      { input: { x: 1 }, error: { code: 'error', message: expect.stringMatching('for good') as string, attempts: 1 } },
    ]);
    expect(await run.output('a')).toBe('instead');
    expect((await kit.dead.list()).letters).toEqual([]);
    expect((await run.inspect()).tasks.find((each) => each.task === 'a')).toMatchObject({ handled: true });
  });

  test('while it runs the task is retrying, in another process too; it is retried by its own contract', async () => {
    const naps = new Naps();
    const mend = task({
      name: 'mend',
      retry: { maxAttempts: 2, initial: '10s', jitter: 'none' },
      run: (_: { input: unknown; error: { code: string } }, ctx): number => {
        if (ctx.attempt === 1) throw new Error('not yet');
        return 5;
      },
    });
    const one = workflow({ name: 'case', failurePolicy: 'abort' }, (w) => ({ a: w.run('a', {}, (): number => fail(), { catch: mend }) }));
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(5);
    expect((await stateOf(run)).tasks).toMatchObject({ a: 'retrying', 'a.catch': 'retrying' });
    await kit.reboot();
    await naps.pass(30);
    expect(await run.result()).toEqual({ a: 5 });
  });

  test('where it fails too the task has failed with both errors, and is the dead letter', async () => {
    const one = workflow({ name: 'case' }, (w) => ({
      a: w.run(
        'a',
        {},
        (): number => {
          throw Object.assign(new Error('first'), { code: 'FIRST' });
        },
        {
          retry: { maxAttempts: 1 },
          catch: () => {
            throw Object.assign(new Error('second'), { code: 'SECOND' });
          },
        },
      ),
    }));
    const naps = new Naps();
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(60);
    expect(await stateOf(run)).toMatchObject({ run: 'failed', tasks: { a: 'failed', 'a.catch': 'failed' } });
    const { letters } = await kit.dead.list();
    expect(letters.map((letter) => letter.task)).toEqual(['a']);
    const letter = await kit.dead.get(letters[0]?.id ?? '');
    expect(JSON.stringify(letter)).toMatch(/FIRST.*SECOND/);
  });

  test('output that breaks the task’s schema is a failure of the handler', async () => {
    const strict = task({ name: 'strict', output: z.object({ n: z.number() }), run: (): { n: number } => fail() });
    const one = workflow({ name: 'case' }, (w) => ({ a: w.run(strict, {}, { catch: () => ({ n: 'x' }) as never }) }));
    expect(await ran(one)).toMatchObject({ run: 'failed', tasks: { strict: 'failed', 'strict.catch': 'failed: output_invalid' } });
  });

  test('a cancel ends both, a redrive begins with the task', async () => {
    const naps = new Naps();
    let broken = true;
    const one = workflow({ name: 'case' }, (w) => ({
      a: w.run('a', {}, (): number => (broken ? fail() : 2), { catch: () => naps.sleep(30).then(() => 1) }),
    }));
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(1);
    await run.cancel();
    expect(await stateOf(run)).toMatchObject({ run: 'cancelled', tasks: { a: 'cancelled: person', 'a.catch': 'cancelled: person' } });
    broken = false;
    await run.redrive();
    await naps.pass(1);
    expect(await run.result()).toEqual({ a: 2 });
    expect((await stateOf(run)).tasks).toMatchObject({ a: 'success', 'a.catch': 'skipped' });
  });
});

describe('dead letters of handlers', () => {
  test('a teardown that failed is redriven by itself, with what it gets shown', async () => {
    let broken = true;
    const one = workflow({ name: 'case' }, (w) => {
      w.using('db', { setup: say('up', { id: 7 }), teardown: (db) => (broken ? fail() : void log.push(JSON.stringify(db))) }, () => {
        w.run('work', {}, say('work', 1));
      });
      return {};
    });
    const kit = engineOf(one);
    const run = await kit.start(one);
    await kit.settle();
    expect((await run.status()).status).toBe('success');
    const { letters } = await kit.dead.list();
    expect(await kit.dead.get(letters[0]?.id ?? '')).toMatchObject({ task: 'db.teardown', input: { id: 7 } });
    broken = false;
    const { tasks } = await run.redrive();
    expect(tasks.map(({ task: id }) => id)).toEqual(['db.teardown']);
    await kit.settle();
    expect(log).toEqual(['up', 'work', '{"id":7}']);
    expect(await stateOf(run)).toMatchObject({ run: 'success', tasks: { 'db.teardown': 'success' } });
    expect((await kit.dead.list()).letters).toEqual([]);
  });

  test('a handler is not named where its task is meant', async () => {
    const one = workflow({ name: 'case' }, (w) => {
      w.using('db', { setup: ok, teardown: ok }, () => void w.run('a', {}, (): number => fail(), { catch: () => 1 }));
      return {};
    });
    const kit = engineOf(one);
    const run = await kit.start(one);
    await kit.settle();
    await expect(run.rerun('db.teardown')).rejects.toMatchObject({ code: 'TASK_UNKNOWN' });
    await expect(run.redrive({ task: 'a.catch' })).rejects.toMatchObject({ code: 'TASK_UNKNOWN' });
    await run.rerun('db');
    await kit.settle();
    expect(await stateOf(run)).toMatchObject({ run: 'partial', tasks: { a: 'failed', 'a.catch': 'success', 'db.teardown': 'success' } });
  });

  test('a bracket in a branch that is not taken, and one whose guard says no, tears nothing down', async () => {
    const one = workflow({ name: 'case' }, (w) => {
      w.when(
        0,
        (n) => n > 0,
        () => {
          w.using('db', { setup: say('up', 1), teardown: say('down', 1) }, () => void w.run('work', {}, ok));
        },
      );
      return {};
    });
    expect(await ran(one)).toMatchObject({ run: 'success', tasks: { 'db.teardown': 'skipped', work: 'skipped: condition' } });
    const guarded = workflow({ name: 'guarded', guard: () => false, failurePolicy: 'abort', retry: {} }, (w) => {
      const a = w.run('a', {}, ok, { compensate: say('undo', 1) });
      w.using('db', { setup: ok, teardown: say('down', 1), after: [a] }, () => undefined);
      return {};
    });
    expect(await ran(guarded)).toMatchObject({ run: 'skipped', tasks: { 'db.teardown': 'skipped' } });
    expect(log).toEqual([]);
  });

  test('events of a run that cleans up: its end is said once', async () => {
    const naps = new Naps();
    const seen: string[] = [];
    const one = workflow({ name: 'case', retry: { maxAttempts: 2, initial: '1s' } }, (w) => {
      w.using('db', { setup: ok, teardown: () => naps.sleep(1) }, () => void w.run('work', {}, fail));
      return {};
    });
    const kit = testEngine({ use: [one], onEvent: ({ type }) => void (type.startsWith('run.') && seen.push(type)) });
    naps.on(kit);
    await kit.start(one);
    await naps.pass(60);
    expect(seen).toEqual(['run.started', 'run.finished']);
    await kit.close();
  });
});
