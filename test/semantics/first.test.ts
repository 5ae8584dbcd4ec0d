/** `w.first`: who wins, what becomes of the others, and how a run goes on after it. */
import { afterEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { signal, task, workflow } from '../../src/index.ts';
import type { AnyRef, Build, RefBase } from '../../src/core/types/types.ts';
import { closeAll, engineOf, fail, Naps, ok, ran, stateOf } from './kit.ts';

afterEach(closeAll);

const superseded = 'cancelled: superseded';

/** A race of tasks that take so many seconds; a negative number fails after as many. */
const race = (
  naps: Naps,
  parts: Readonly<Record<string, number>>,
  more?: (w: Build, made: Readonly<Record<string, RefBase<string>>>) => void,
) =>
  workflow({ name: 'race' }, (w) => {
    const made = Object.fromEntries(
      Object.entries(parts).map(([id, seconds]) => [
        id,
        w.run(id, {}, async () => {
          await naps.sleep(Math.abs(seconds));
          return seconds < 0 ? fail() : id.toUpperCase();
        }),
      ]),
    );
    more?.(w, made);
    return { first: w.first(made) };
  });

const nap = (naps: Naps) => task({ name: 'nap', run: (i: { s: number }) => naps.sleep(i.s).then(() => i.s) });

describe('first', () => {
  test('gives the winner and its value; the losers are cancelled at once, their bodies see it, and nothing counts for the outcome', async () => {
    const naps = new Naps();
    let aborted: unknown;
    const one = workflow({ name: 'race' }, (w) => {
      const quick = w.run('quick', {}, () => naps.sleep(2).then(() => ({ n: 5 })));
      const slow = w.run('slow', {}, async (_, { signal }) => {
        await naps.sleep(20);
        aborted = signal.aborted;
        return 'too late';
      });
      const won = w.first({ quick: quick.n, slow });
      return { won, next: w.run('next', { won }, ({ won }) => `${won.winner} ${won.value}`) };
    });
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(3);
    expect(await run.result()).toEqual({ won: { winner: 'quick', value: 5 }, next: 'quick 5' });
    expect(await run.output('first')).toEqual({ winner: 'quick', value: 5 });
    await naps.pass(60);
    expect(aborted).toBe(true);
    expect(await stateOf(run)).toMatchObject({
      run: 'success',
      tasks: { quick: 'success', slow: superseded, first: 'success', next: 'success' },
      attempts: { slow: 1, first: 0 },
    });
  });

  test('goes on waiting where one part fails, and the failure counts', async () => {
    const naps = new Naps();
    const { run, tasks } = await ran(race(naps, { a: -1, b: 3 }), naps);
    expect([run, tasks]).toEqual(['failed', { a: 'failed', b: 'success', first: 'success' }]);
  });

  test.each([
    ['continue', 60, 'upstream_failed', 'failed: wait_timeout'],
    ['abort', 2, 'cancelled: fail_fast', 'cancelled: fail_fast'],
  ] as const)('over work that failed and a wait ends with the wait, under %s after %i s', async (failurePolicy, seconds, first, wait) => {
    const naps = new Naps();
    const one = workflow({ name: 'waits', failurePolicy }, (w) => {
      const work = w.run('work', {}, () => naps.sleep(1).then(fail));
      w.first({ work, wait: w.wait(signal('go', z.string()), { id: 'wait', timeout: '1m' }) });
    });
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(seconds - 1);
    if (failurePolicy === 'continue') expect((await stateOf(run)).tasks).toMatchObject({ work: 'failed', wait: 'waiting' });
    await naps.pass(2);
    expect(await stateOf(run)).toMatchObject({ run: 'failed', tasks: { work: 'failed', wait, first } });
  });

  const parts: Readonly<Record<string, (w: Build, id: string) => RefBase<unknown>>> = {
    F: (w, id) => w.run(id, {}, fail),
    X: (w, id) => w.run(id, {}, ok, { after: [w.run(`${id}.cause`, {}, fail)] }),
    K: (w, id) => w.run(id, {}, ok, { after: [w.run(`${id}.cause`, {}, ok, { when: () => false })] }),
  };
  test.each([
    ['F', 'upstream_failed'],
    ['KF', 'upstream_failed'],
    ['XK', 'upstream_failed'],
    ['KK', 'skipped'],
  ])('over %s, where no part can succeed any more, is %s', async (letters, wanted) => {
    const one = workflow({ name: 'none' }, (w) => {
      w.first(Object.fromEntries(letters.split('').map((letter, i) => [`p${i}`, parts[letter]?.(w, `p${i}`) ?? expect.fail()])));
    });
    expect((await ran(one)).tasks['first']).toBe(wanted);
  });

  test('is cancelled with its run, and no part is then superseded', async () => {
    const naps = new Naps();
    const one = race(naps, { a: 30, b: 40 });
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(1);
    await run.cancel();
    expect((await stateOf(run)).tasks).toEqual({ a: 'cancelled: person', b: 'cancelled: person', first: 'cancelled: person' });
  });
});

describe('what is cancelled with a loser', () => {
  test('is what leads to it and to nothing else, also where that waits, is queued, or is a branch', async () => {
    const naps = new Naps();
    const one = workflow({ name: 'closure' }, (w) => {
      const a = w.run('a', {}, () => naps.sleep(2));
      const root = w.run('root', {}, () => naps.sleep(30));
      const shared = w.run('shared', {}, () => naps.sleep(5));
      const kept = w.run('kept', {}, () => naps.sleep(6));
      const side = w.run('side', { kept }, () => 'side');
      const b = w.run('b', { root, shared }, ok);
      const decided = w.when(
        { kept },
        () => true,
        () => w.run('yes', {}, ok),
        () => w.run('no', {}, ok),
      );
      w.run('other', { shared }, () => 'other');
      return { won: w.first({ a, b, decided }), side };
    });
    const { run, tasks } = await ran(one, naps);
    expect(run).toBe('success');
    expect(tasks).toEqual({
      a: 'success',
      root: superseded,
      shared: 'success',
      kept: 'success',
      side: 'success',
      b: superseded,
      when: superseded,
      yes: superseded,
      no: superseded,
      other: 'success',
      first: 'success',
    });
  });

  test('is not a part that somebody else reads, nor one that the run gives as its output', async () => {
    const naps = new Naps();
    const one = race(naps, { a: 1, b: 5, c: 9 }, (w, { b }) => void w.run('reader', { b: b as AnyRef as RefBase<string> }, ({ b }) => b));
    expect((await ran(one, naps)).tasks).toEqual({ a: 'success', b: 'success', c: superseded, reader: 'success', first: 'success' });
    const two = workflow({ name: 'two' }, (w) => {
      const [a, b] = [1, 4].map((n) => w.run(`s${n}`, {}, () => naps.sleep(n))) as [RefBase<void>, RefBase<void>];
      w.first({ a, b });
      return { b };
    });
    expect((await ran(two, naps)).tasks).toEqual({ s1: 'success', s4: 'success', first: 'success' });
  });

  test('is a part that a skipped task reads: a wait for a message then keeps no run open', async () => {
    const naps = new Naps();
    const go = signal('go', z.string());
    const one = workflow({ name: 'read' }, (w) => {
      const said = w.wait(go, { id: 'said' });
      const late = w.run('late', {}, () => naps.sleep(3).then(() => 1));
      w.when(
        late,
        () => false,
        () => w.run('told', { said }, ok),
      );
      return w.first({ said, quick: w.run('quick', {}, () => naps.sleep(1)) }).winner;
    });
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(2);
    expect((await stateOf(run)).tasks).toMatchObject({ quick: 'success', first: 'success', said: 'waiting' });
    await naps.pass(3);
    expect(await run.result()).toBe('quick');
    expect((await stateOf(run)).tasks).toEqual({
      said: superseded,
      late: 'success',
      when: 'success',
      told: 'skipped: condition',
      quick: 'success',
      first: 'success',
    });
  });

  test('is what a failed reader held, also where another process sees it end', async () => {
    const naps = new Naps();
    const one = workflow({ name: 'held' }, (w) => {
      const root = w.run('root', {}, () => naps.sleep(50));
      const slow = w.run('slow', { root }, ok);
      const bad = w.run('bad', {}, () => naps.sleep(4).then(fail));
      w.run('reader', { bad, slow }, ok);
      return w.first({ slow, quick: w.run('quick', {}, () => naps.sleep(1)) }).winner;
    });
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(2);
    await kit.reboot();
    await naps.pass(20);
    expect(await stateOf(run)).toMatchObject({
      run: 'failed',
      tasks: { quick: 'success', bad: 'failed', reader: 'upstream_failed', root: superseded, slow: superseded },
    });
  });

  test('is a part of two firsts, once both are won', async () => {
    const naps = new Naps();
    const one = workflow({ name: 'two' }, (w) => {
      const part = (id: string, seconds: number) => w.run(id, {}, () => naps.sleep(seconds).then(() => id));
      const shared = part('shared', 20);
      const a = w.first({ shared, a: part('a', 1) }, { id: 'first-a' });
      const b = w.first({ shared, b: part('b', 5) }, { id: 'first-b' });
      return { a: a.winner, b: b.winner };
    });
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(3);
    expect((await stateOf(run)).tasks).toMatchObject({ 'first-a': 'success', shared: 'running' });
    await naps.pass(3);
    expect(await run.result()).toEqual({ a: 'a', b: 'b' });
    expect((await stateOf(run)).tasks).toMatchObject({ shared: superseded });
  });

  test('is a map with its items, of which none starts any more', async () => {
    const naps = new Naps();
    const one = workflow({ name: 'maps' }, (w) => {
      const a = w.run('a', {}, () => naps.sleep(3));
      const m = w.map([2, 30, 40, 50], nap(naps), (s) => ({ s }), { concurrency: 2 });
      return { won: w.first({ a, m }).winner };
    });
    const { run, tasks } = await ran(one, naps);
    expect(run).toBe('success');
    expect(tasks).toEqual({
      a: 'success',
      nap: superseded,
      'nap[0]': 'success',
      'nap[1]': superseded,
      'nap[2]': superseded,
      first: 'success',
    });
  });
});

describe('after a first', () => {
  test('a redrive of the run leaves the losers alone', async () => {
    const naps = new Naps();
    let broken = true;
    const one = workflow({ name: 'later' }, (w) => {
      const a = w.run('a', {}, () => naps.sleep(1));
      const b = w.run('b', {}, () => naps.sleep(9));
      const won = w.first({ a, b });
      w.run('next', { won }, () => (broken ? fail() : 1));
    });
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(5);
    expect(await stateOf(run)).toMatchObject({ run: 'failed', tasks: { b: superseded, next: 'failed' } });
    broken = false;
    await run.redrive();
    await naps.pass(5);
    expect(await stateOf(run)).toMatchObject({ run: 'success', tasks: { a: 'success', b: superseded, first: 'success', next: 'success' } });
  });

  test('a rerun of the winner decides it anew: all parts race again', async () => {
    const naps = new Naps();
    let wait = 1;
    const one = workflow({ name: 'again' }, (w) => {
      const go = w.run('go', {}, ok);
      const a = w.run('a', { go }, () => naps.sleep(wait).then(() => 'a'));
      const b = w.run('b', { go }, () => naps.sleep(5).then(() => 'b'));
      return w.first({ a, b });
    });
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(10);
    expect(await run.result()).toEqual({ winner: 'a', value: 'a' });
    wait = 50;
    await run.rerun('go');
    await naps.pass(20);
    expect(await run.result()).toEqual({ winner: 'b', value: 'b' });
    expect((await stateOf(run)).tasks).toEqual({ go: 'success', a: superseded, b: 'success', first: 'success' });
  });

  test('a rerun of the winner alone lets the losers race again too, with what led to them', async () => {
    const naps = new Naps();
    let wait = 1;
    const one = workflow({ name: 'again' }, (w) => {
      const a = w.run('a', {}, () => naps.sleep(wait).then(() => 'a'));
      const b = w.run('b', { root: w.run('root', {}, () => naps.sleep(2)) }, () => naps.sleep(2).then(() => 'b'));
      return w.first({ a, b });
    });
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(10);
    expect((await stateOf(run)).tasks).toEqual({ a: 'success', root: superseded, b: superseded, first: 'success' });
    wait = 50;
    const { tasks } = await run.rerun('a', { dryRun: true });
    expect(tasks.map(({ task, why }) => `${task} ${why}`).toSorted()).toEqual([
      'a named',
      'b lost_the_race',
      'first downstream',
      'root lost_the_race',
    ]);
    await run.rerun('a');
    await naps.pass(20);
    expect(await run.result()).toEqual({ winner: 'b', value: 'b' });
    expect((await stateOf(run)).tasks).toEqual({ a: superseded, root: 'success', b: 'success', first: 'success' });
  });

  test.each(['redrive', 'rerun'] as const)('a %s of who reads a loser does the loser over, and no first', async (how) => {
    const naps = new Naps();
    let broken = true;
    const one = workflow({ name: 'needed' }, (w) => {
      const root = w.run('root', {}, () => naps.sleep(9));
      const slow = w.run('slow', { root }, () => 'slow');
      const key = w.run('key', {}, () => naps.sleep(2).then(() => (broken ? fail() : 'key')));
      w.run('reader', { key, slow }, ({ key, slow }) => `${key} ${slow}`);
      const won = w.first({ slow, quick: w.run('quick', {}, () => naps.sleep(1)) });
      return w.run('after', { winner: won.winner }, ({ winner }) => winner);
    });
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(5);
    expect(await stateOf(run)).toMatchObject({ run: 'failed', tasks: { root: superseded, slow: superseded, reader: 'upstream_failed' } });
    broken = false;
    const act = (dryRun: boolean) => (how === 'redrive' ? run.redrive({ dryRun }) : run.rerun('key', { dryRun }));
    const { tasks } = await act(true);
    expect(tasks.map(({ task, why }) => `${task} ${why}`).toSorted()).toEqual([
      'key named',
      'reader downstream',
      'root lost_the_race',
      'slow lost_the_race',
    ]);
    await act(false);
    await naps.pass(30);
    expect(await run.output('reader')).toBe('key slow');
    expect(await stateOf(run)).toMatchObject({ run: 'success', tasks: { slow: 'success', first: 'success' }, attempts: { after: 1 } });
    expect(await run.result()).toBe('quick');
  });

  test('a fork from who reads a loser runs the loser', async () => {
    const naps = new Naps();
    let off = true;
    const one = workflow({ name: 'forked' }, (w) => {
      const slow = w.run('slow', {}, () => naps.sleep(9).then(() => 'slow'));
      const asked = w.run('asked', {}, () => (off ? fail() : 1), { allowFailure: true });
      w.run('reader', { slow, asked }, ({ slow }) => slow);
      return w.first({ slow, quick: w.run('quick', {}, () => naps.sleep(1)) }).winner;
    });
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(5);
    expect(await stateOf(run)).toMatchObject({ run: 'partial', tasks: { slow: superseded, reader: 'upstream_failed' } });
    off = false;
    const { run: made, reused } = await run.fork('reader');
    await naps.pass(30);
    expect(reused).toEqual(['quick', 'first']);
    expect(await made.output('reader')).toBe('slow');
    expect(await stateOf(made)).toMatchObject({ run: 'success', tasks: { slow: 'success' } });
  });

  test('a rerun of a loser alone gives the same winner, and the loser does not run', async () => {
    const naps = new Naps();
    const one = race(naps, { a: 1, b: 9 });
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(3);
    await run.rerun('b');
    await naps.pass(30);
    expect(await stateOf(run)).toMatchObject({
      run: 'success',
      tasks: { a: 'success', b: superseded, first: 'success' },
      attempts: { b: 1 },
    });
  });

  test('a fork takes over the winner, and begins no loser', async () => {
    const naps = new Naps();
    const one = workflow({ name: 'forked' }, (w) => {
      const a = w.run('a', {}, () => naps.sleep(1).then(() => 'a'));
      const b = w.run('b', {}, () => naps.sleep(9));
      return w.run('next', { won: w.first({ a, b }) }, ({ won }) => won.winner);
    });
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(3);
    const { run: made, reused } = await run.fork('next');
    await naps.pass(3);
    expect(await made.result()).toBe('a');
    expect(reused).toEqual(['a', 'first']);
    expect(await stateOf(made)).toMatchObject({
      run: 'success',
      tasks: { a: 'success', b: superseded, next: 'success' },
      attempts: { b: 0 },
    });
  });

  test('a crash goes on with the recorded winner', async () => {
    const naps = new Naps();
    const one = workflow({ name: 'crash' }, (w) => {
      const a = w.run('a', {}, () => naps.sleep(1).then(() => 'a'));
      const b = w.run('b', {}, () => naps.sleep(9));
      return w.run('next', { won: w.first({ a, b }) }, ({ won }) => won);
    });
    const kit = naps.on(engineOf(one));
    kit.crash({ task: 'next' });
    const run = await kit.start(one);
    await naps.pass(30);
    expect(await run.result()).toEqual({ winner: 'a', value: 'a' });
    expect((await stateOf(run)).tasks).toMatchObject({ a: 'success', b: superseded, first: 'success' });
  });

  test('a redrive of a part that had failed before another won supersedes it: nobody needs it any more', async () => {
    const naps = new Naps();
    const one = race(naps, { a: -1, b: 3 });
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(5);
    expect((await stateOf(run)).run).toBe('failed');
    await run.redrive();
    await naps.pass(5);
    expect(await stateOf(run)).toMatchObject({
      run: 'success',
      tasks: { a: superseded, b: 'success', first: 'success' },
      attempts: { a: 1 },
    });
    expect(await run.result()).toEqual({ first: { winner: 'b', value: 'B' } });
  });

  test('a map that wins gives its list, in a process that never saw its items, too', async () => {
    const naps = new Naps();
    const one = workflow({ name: 'maps' }, (w) => {
      const m = w.map([1, 2, 3], nap(naps), (s) => ({ s }));
      const won = w.first({ m, slow: w.run('slow', {}, () => naps.sleep(60)) });
      const go = w.run('go', { won }, () => naps.sleep(2));
      return w.run('next', { won }, ({ won }) => won, { after: [go] });
    });
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(4);
    await kit.reboot();
    await naps.pass(30);
    expect(await run.result()).toEqual({ winner: 'm', value: [1, 2, 3] });
    expect(await run.output('first')).toEqual({ winner: 'm', value: [1, 2, 3] });
  });

  test('a process that dies during the race leaves it open: another one ends it', async () => {
    const naps = new Naps();
    const one = race(naps, { a: 3, b: 9, c: -1 });
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(2);
    await kit.reboot();
    await naps.pass(30);
    expect((await stateOf(run)).tasks).toEqual({ a: 'success', b: superseded, c: 'failed', first: 'success' });
  });

  test('cannot be marked itself; a part that is marked wins', async () => {
    const naps = new Naps();
    const one = race(naps, { a: -1, b: -2 });
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(5);
    await expect(run.mark('first', { output: 1 })).rejects.toMatchObject({ code: 'TASK_OUTPUT_INVALID' });
    await run.mark('b', { output: 'by hand' });
    await naps.pass(5);
    expect(await run.output('first')).toEqual({ winner: 'b', value: 'by hand' });
  });
});
