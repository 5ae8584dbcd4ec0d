/** Guards and races beside what cleans up: handlers, brackets, compensations, the failure policy, the run's own retry. */
import { afterEach, describe, expect, test } from 'vitest';
import { workflow } from '../../src/index.ts';
import { closeAll, engineOf, fail, Naps, ok, ran, stateOf } from './kit.ts';

afterEach(closeAll);

const superseded = 'cancelled: superseded';

describe('a guard', () => {
  const full = (guard: () => boolean, log: string[]) =>
    workflow(
      { name: 'full', guard, failurePolicy: 'abort', compensateOn: ['failed', 'cancelled'], retry: { maxAttempts: 3, initial: '1s' } },
      (w) => {
        w.using('db', { setup: () => void log.push('setup'), teardown: () => void log.push('teardown') }, () => w.run('work', {}, ok));
        w.run('caught', {}, (): void => fail(), { catch: () => void log.push('caught') });
        w.run('undone', {}, ok, { compensate: () => void log.push('undone') });
      },
    );

  test('that says no keeps handlers and brackets from running', async () => {
    const log: string[] = [];
    const { run, reason, tasks } = await ran(full(() => false, log));
    expect([run, reason]).toEqual(['skipped', 'condition']);
    expect(tasks).toMatchObject({
      guard: 'skipped: condition',
      db: 'skipped: condition',
      work: 'skipped: condition',
      caught: 'skipped: condition',
    });
    expect(log).toEqual([]);
  });

  test('that throws fails the run once and for all: no retry, no handler', async () => {
    const log: string[] = [];
    let asked = 0;
    const { run, reason, tasks } = await ran(full(() => ++asked > 0 && fail(), log));
    expect([run, reason, asked]).toEqual(['failed', 'definition_error', 1]);
    expect(tasks).toMatchObject({ guard: 'failed: definition_error', db: 'upstream_failed', undone: 'upstream_failed' });
    expect(log).toEqual([]);
  });
});

describe('a first', () => {
  test('of which a part was caught gives what its handler gave', async () => {
    const one = workflow({ name: 'caught' }, (w) => {
      const a = w.run('a', {}, (): string => fail(), { catch: () => 'by hand' });
      return w.first({ a });
    });
    const run = await engineOf(one).start(one);
    expect(await run.result()).toEqual({ winner: 'a', value: 'by hand' });
  });

  test('cancels the handler of a loser with it', async () => {
    const naps = new Naps();
    const one = workflow({ name: 'handling' }, (w) => {
      const a = w.run('a', {}, () => naps.sleep(3));
      const b = w.run('b', {}, (): void => fail(), { catch: () => naps.sleep(60) });
      w.first({ a, b });
    });
    const { run, tasks } = await ran(one, naps, 10);
    expect(run).toBe('success');
    expect(tasks).toMatchObject({ a: 'success', b: superseded, first: 'success' });
    expect(Object.values(tasks).filter((status) => status === 'running')).toEqual([]);
  });

  test('tears down what was set up for a loser, and sets nothing up for one that lost before', async () => {
    const naps = new Naps();
    const log: string[] = [];
    const one = workflow({ name: 'brackets' }, (w) => {
      const a = w.run('a', {}, () => naps.sleep(3));
      const b = w.using('up', { setup: () => log.push('up'), teardown: () => void log.push('down') }, () =>
        w.run('b', {}, () => naps.sleep(60)),
      );
      const late = w.run('late', {}, () => naps.sleep(30));
      const c = w.using('never', { input: { late }, setup: () => log.push('never'), teardown: () => void log.push('never down') }, () =>
        w.run('c', {}, ok),
      );
      w.first({ a, b, c });
    });
    const { run, tasks } = await ran(one, naps, 100);
    expect(log).toEqual(['up', 'down']);
    expect(run).toBe('success');
    expect(tasks).toMatchObject({
      b: superseded,
      up: 'success',
      'up.teardown': 'success',
      late: superseded,
      never: superseded,
      c: superseded,
    });
  });

  test('leaves nothing of a loser to be undone; the winner is', async () => {
    const naps = new Naps();
    const log: string[] = [];
    const one = workflow({ name: 'undo', compensateOn: ['failed'] }, (w) => {
      const part = (id: string, seconds: number) => w.run(id, {}, () => naps.sleep(seconds), { compensate: () => void log.push(id) });
      const won = w.first({ a: part('a', 1), b: part('b', 9) });
      w.run('boom', { won }, fail);
    });
    const { run } = await ran(one, naps, 60);
    expect([run, log]).toEqual(['failed', ['a']]);
  });

  test('goes down with its parts under the policy abort', async () => {
    const naps = new Naps();
    const one = workflow({ name: 'abort', failurePolicy: 'abort' }, (w) => {
      w.first({ a: w.run('a', {}, (): number => fail()), b: w.run('b', {}, () => naps.sleep(9).then(() => 1)) });
    });
    expect(await ran(one, naps)).toMatchObject({
      run: 'failed',
      tasks: { a: 'failed', b: 'cancelled: fail_fast', first: 'cancelled: fail_fast' },
    });
  });

  test('under the retry of a run is run again where it was lost by all, and left where it was won', async () => {
    const naps = new Naps();
    let tries = 0;
    const one = workflow({ name: 'again', retry: { maxAttempts: 3, initial: '1s', jitter: 'none' } }, (w) => {
      const won = w.first({ a: w.run('a', {}, () => naps.sleep(1)), b: w.run('b', {}, () => naps.sleep(9)) });
      w.run('next', { won }, () => (++tries < 3 ? fail() : 1));
    });
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(30);
    expect(await stateOf(run)).toMatchObject({ run: 'success', tasks: { b: superseded, next: 'success' }, attempts: { a: 1, b: 1 } });
  });
});
