/** Branches: `switch`, the guard of a run, and how a run goes on around them. */
import { afterEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { workflow, type Run } from '../../src/index.ts';
import type { AnyRef } from '../../src/core/types/types.ts';
import { closeAll, engineOf, fail, flow, Naps, ok, ran, stateOf } from './kit.ts';

afterEach(closeAll);

const Order = z.object({ vip: z.boolean(), total: z.number() });

/** Which case an order takes, in the order of the cases. */
const orders = workflow({ name: 'orders', input: Order }, (w, order) => ({
  lane: w.switch(
    order,
    {
      vip: [(o) => o.vip, () => w.run('greet', { t: order.total }, ({ t }) => `vip ${t}`)],
      big: [(o) => o.total > 100, () => w.run('check', {}, () => 'big')],
    },
    { default: () => w.run('plain', {}, () => 'plain') },
  ),
}));

describe('switch', () => {
  test.each([
    [{ vip: false, total: 500 }, 'big', { greet: 'skipped: condition', check: 'success', plain: 'skipped: condition' }],
    [{ vip: false, total: 5 }, 'plain', { greet: 'skipped: condition', check: 'skipped: condition', plain: 'success' }],
  ])('of %j takes one case, and its value is that of the case', async (input, lane, tasks) => {
    const run = await engineOf(orders).start(orders, input);
    expect(await run.result()).toEqual({ lane });
    expect(await stateOf(run)).toMatchObject({ run: 'success', tasks });
  });

  test('37: two predicates hold: only the first branch runs', async () => {
    const run = await engineOf(orders).start(orders, { vip: true, total: 500 });
    expect(await run.result()).toEqual({ lane: 'vip 500' });
    expect(await stateOf(run)).toMatchObject({
      run: 'success',
      tasks: { switch: 'success', greet: 'success', check: 'skipped: condition', plain: 'skipped: condition' },
      attempts: { switch: 0, greet: 1, check: 0 },
    });
  });

  test('31: picks a; a→fa→join, b→join, none_failed_min_one_success', async () => {
    const one = flow((w) => {
      const made: AnyRef[] = [];
      w.switch(1, {
        a: [(v) => v === 1, () => void made.push(w.run('fa', {}, ok, { after: [w.run('a', {}, ok)] }))],
        b: [() => true, () => void made.push(w.run('b', {}, ok))],
      });
      w.run('join', {}, ok, { after: made, join: 'none_failed_min_one_success' });
    });
    expect(await ran(one)).toMatchObject({
      run: 'success',
      tasks: { a: 'success', fa: 'success', b: 'skipped: condition', join: 'success' },
    });
  });

  const none = (over: object) =>
    flow((w) => {
      const way = w.switch(
        1,
        { a: [() => false, () => w.run('a', {}, ok)], b: [() => false, () => w.run('b', {}, ok)] },
        over as { id: string },
      );
      w.run('next', { way: w.optional(way, 'none') }, ({ way }) => way);
    });

  test('where no case holds and there is no default: failed, and so is the run', async () => {
    expect(await ran(none({}))).toMatchObject({
      run: 'failed',
      tasks: { switch: 'failed: no_match', a: 'upstream_failed', b: 'upstream_failed', next: 'upstream_failed' },
    });
  });

  test("where no case holds and the default is 'skip': nothing is selected", async () => {
    const one = none({ default: 'skip' });
    const run = await engineOf(one).start(one);
    await run.result();
    expect(await stateOf(run)).toMatchObject({
      run: 'success',
      tasks: { switch: 'success', a: 'skipped: condition', b: 'skipped: condition', next: 'success' },
    });
    expect(await run.output('next')).toBe('none');
  });

  test('asks the predicates in the order in which they are written, none after the first that holds, and each about the same value', async () => {
    const asked: string[] = [];
    const one = flow((w) => {
      w.switch(
        { n: 1 },
        {
          z: [(v) => asked.push(`z${v.n++}`) < 0, () => 1],
          a: [(v) => asked.push(`a${v.n}`) > 0, () => 2],
          b: [() => asked.push('b') > 0, () => 3],
        },
      );
    });
    expect((await ran(one)).run).toBe('success');
    expect(asked).toEqual(['z1', 'a1']);
  });

  test('with a predicate that throws fails as a definition error, which is not retried', async () => {
    let asked = 0;
    const one = flow((w) => {
      w.switch(1, { a: [() => ++asked > 0 && fail(), () => w.run('a', {}, ok)] }, { default: () => 1 });
    });
    expect(await ran(one)).toMatchObject({ run: 'failed', tasks: { switch: 'failed: definition_error', a: 'upstream_failed' } });
    expect(asked).toBe(1);
  });

  test('with a predicate that takes over 10 seconds fails as a definition error, then and no later', async () => {
    const naps = new Naps();
    const one = flow((w) => {
      w.switch(1, { a: [() => naps.sleep(60) as never, () => 1] });
    });
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one);
    await naps.pass(9);
    expect((await stateOf(run)).tasks).toEqual({ switch: 'running' });
    await naps.pass(2);
    expect(await stateOf(run)).toMatchObject({ run: 'failed', tasks: { switch: 'failed: definition_error' } });
  });

  test('leaves a task that is also reached otherwise to its own join', async () => {
    const one = flow((w) => {
      let inside: AnyRef | undefined;
      const other = w.run('other', {}, ok);
      w.switch(1, { a: [() => true, () => 1], b: [() => true, () => void (inside = w.run('b', {}, ok))] });
      const after = inside === undefined ? [] : [inside, other];
      w.run('one', {}, ok, { after, join: 'one_success' });
      w.run('all', {}, ok, { after });
    });
    expect((await ran(one)).tasks).toMatchObject({ b: 'skipped: condition', one: 'success', all: 'skipped' });
  });

  test('nests, and a crash between verdict and branch chooses no second time', async () => {
    let asked = 0;
    const one = workflow({ name: 'nested' }, (w) => ({
      v: w.switch(1, {
        outer: [
          () => ++asked > 0,
          () => w.switch(2, { inner: [(v) => v === 2, () => w.run('deep', {}, () => 'deep')] }, { id: 'second', default: () => 'no' }),
        ],
      }),
    }));
    const kit = engineOf(one);
    kit.crash({ task: 'deep' });
    const run = await kit.start(one);
    expect(await run.result()).toEqual({ v: 'deep' });
    expect(asked).toBe(1);
  });

  test('may be marked with the name of a case, and with nothing else', async () => {
    const one = none({});
    const run = await engineOf(one).start(one);
    await run.result().catch(() => undefined);
    await expect(run.mark('switch', { output: 'c' })).rejects.toThrow(/"a" or "b"/);
    await run.mark('switch', { output: 'b' });
    await run.result();
    expect(await stateOf(run)).toMatchObject({
      run: 'success',
      tasks: { switch: 'success: manual', a: 'skipped: condition', b: 'success' },
    });
  });
});

describe('the guard of a run', () => {
  const guarded = (guard: (input: { go: boolean }) => boolean) =>
    workflow({ name: 'guarded', input: z.object({ go: z.boolean() }), guard }, (w) => {
      const a = w.run('a', {}, ok);
      w.run('b', {}, ok, { after: [a], join: 'all_done' });
      w.run('c', {}, ok, { join: 'always' });
      return { a };
    });
  const go = guarded((input) => input.go);

  test('39: that says no: the run is skipped, and nothing of it runs', async () => {
    const run = await engineOf(go).start(go, { go: false });
    await run.result().catch(() => undefined);
    const all = 'skipped: condition';
    expect(await stateOf(run)).toEqual({
      run: 'skipped',
      reason: 'condition',
      tasks: { guard: all, a: all, b: all, c: all },
      attempts: { guard: 0, a: 0, b: 0, c: 0 },
    });
  });

  test('that says yes: the run goes on, and the guard counts for nothing in its outcome', async () => {
    const allowed = workflow({ name: 'allowed', guard: () => true }, (w) => void w.run('a', {}, fail, { allowFailure: true }));
    const kit = engineOf(go, allowed);
    const run = await kit.start(go, { go: true });
    expect(await run.result()).toEqual({ a: 1 });
    const other = await kit.start(allowed);
    await other.result().catch(() => undefined);
    expect(await stateOf(other)).toMatchObject({ run: 'failed', tasks: { guard: 'success', a: 'failed' } });
  });

  test('that throws: the run has failed; a redrive asks it again', async () => {
    let broken = true;
    const one = guarded(() => !broken || fail());
    const run = await engineOf(one).start(one, { go: true });
    await run.result().catch(() => undefined);
    expect(await stateOf(run)).toMatchObject({
      run: 'failed',
      reason: 'definition_error',
      tasks: { guard: 'failed: definition_error', a: 'upstream_failed', b: 'upstream_failed', c: 'upstream_failed' },
    });
    broken = false;
    await run.redrive();
    expect(await run.result()).toEqual({ a: 1 });
  });

  test('is asked at admission of a run that starts later, and again by a restart; by a fork where the input is another', async () => {
    const asked: boolean[] = [];
    const one = guarded((input) => asked.push(input.go) > 0 && input.go);
    const kit = engineOf(one);
    const run = await kit.start(one, { go: true }, { delay: '1h' });
    await kit.settle();
    expect(asked).toEqual([]);
    await kit.clock.advance('1h');
    expect(await run.result()).toEqual({ a: 1 });
    await (await run.restart({ input: { go: false } })).result().catch(() => undefined);
    expect(asked).toEqual([true, false]);
    const same = (await run.fork('b')).run as Run<unknown>;
    await same.result();
    expect(asked).toEqual([true, false]);
    const other = (await run.fork('b', { input: { go: false } })).run as Run<unknown>;
    await other.result().catch(() => undefined);
    expect(asked).toEqual([true, false, false]);
    expect(await stateOf(other)).toMatchObject({ run: 'skipped', tasks: { guard: 'skipped: condition', b: 'skipped: condition' } });
  });

  test('is asked again where its process dies over it, and so is a switch', async () => {
    const asked: string[] = [];
    const dies = (who: string): boolean => {
      asked.push(who);
      return asked.filter((one) => one === who).length > 1 || (new Promise(() => undefined) as never);
    };
    const one = workflow({ name: 'dies', guard: () => dies('guard') }, (w) => ({
      way: w.switch(1, { a: [() => false, () => 'a'], b: [() => dies('b'), () => w.run('b', {}, () => 'b')] }),
    }));
    const kit = engineOf(one);
    const run = await kit.start(one);
    for (const who of ['guard', 'b']) {
      while (!asked.includes(who)) await kit.settle();
      await kit.reboot();
    }
    expect(await run.result()).toEqual({ way: 'b' });
    expect(asked).toEqual(['guard', 'guard', 'b', 'b']);
  });

  test('cannot be skipped by an operator, and ends with the run that is cancelled meanwhile', async () => {
    const naps = new Naps();
    const one = guarded(() => naps.sleep(5) as never);
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one, { go: true });
    await naps.pass(1);
    await expect(run.skip('guard')).rejects.toMatchObject({ code: 'TASK_NOT_OPEN' });
    await run.cancel();
    expect(await stateOf(run)).toMatchObject({ run: 'cancelled', tasks: { guard: 'cancelled: person', a: 'cancelled: person' } });
  });

  test('says no of a paused run: the run ends', async () => {
    const naps = new Naps();
    const one = guarded((input) => naps.sleep(5).then(() => !input.go) as never);
    const kit = naps.on(engineOf(one));
    const run = await kit.start(one, { go: true });
    await naps.pass(1);
    await run.pause();
    await naps.pass(10);
    expect((await stateOf(run)).run).toBe('skipped');
  });
});

describe('why', () => {
  test('says which decision a task waits for, which branch was chosen, and that the guard said no', async () => {
    const naps = new Naps();
    const one = workflow({ name: 'why', guard: (input) => naps.sleep(2).then(() => input === undefined) as never }, (w) => {
      w.switch(1, {
        a: [() => naps.sleep(2).then(() => true) as never, () => void w.run('a', {}, () => naps.sleep(5))],
        b: [() => true, () => void w.run('b', {}, ok)],
      });
      w.first({ slow: w.run('slow', {}, () => naps.sleep(20)), quick: w.run('quick', {}, () => naps.sleep(10)) });
    });
    const no = workflow({ name: 'no', guard: () => false }, (w) => void w.run('a', {}, ok));
    const kit = naps.on(engineOf(one, no));
    const run = await kit.start(one);
    const why = async (task?: string) => (await run.why(task)).sentence;
    await naps.pass(1);
    expect(await why('slow')).toBe('It waits until "guard" has ended.');
    expect(await why()).toMatch(/^Task "guard": its condition is evaluated since 1 s/);
    await naps.pass(2);
    expect(await why('b')).toBe('It waits until "switch" has ended.');
    expect(await why('first')).toBe('It waits until one of "slow" and "quick" has succeeded.');
    await naps.pass(3);
    expect(await why('b')).toMatch(/^It was skipped .*: "switch" chose another branch\.$/);
    await naps.pass(20);
    expect(await why('slow')).toMatch(/^It was cancelled .* \(superseded\)\.$/);
    const skipped = await kit.start(no);
    await skipped.result();
    expect((await skipped.why()).sentence).toMatch(/^It was skipped.*: its guard said no, and nothing of it ran\.$/);
    expect((await skipped.why('a')).sentence).toMatch(/the guard of the run said no\.$/);
  });
});
