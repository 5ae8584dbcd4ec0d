import { afterEach, describe, expect, test } from 'vitest';
import { task, workflow } from '../../src/index.ts';
import { closeAll, engineOf, fail, Naps, ok, stateOf } from './kit.ts';

afterEach(closeAll);

let log: string[] = [];
afterEach(() => {
  log = [];
});
const undo = (name: string) => () => void log.push(name);

/** Two steps, each of which is undone. */
const trip = workflow({ name: 'trip' }, (w) => {
  const hotel = w.run('hotel', {}, ok, { compensate: undo('hotel') });
  w.run('flight', { hotel }, ok, { compensate: undo('flight') });
  return {};
});

describe('a child run that succeeded is undone with the run that called it', () => {
  test('a workflow as a task: in reverse order with the tasks around it', async () => {
    const one = workflow({ name: 'order' }, (w) => {
      const a = w.run('a', {}, ok, { compensate: undo('a') });
      const sub = w.run('trip', trip, {}, { after: [a] });
      const b = w.run('b', {}, ok, { after: [sub], compensate: undo('b') });
      w.run('last', {}, fail, { after: [b] });
      return {};
    });
    const kit = engineOf(one);
    const run = await kit.start(one);
    await kit.settle();
    expect(log).toEqual(['b', 'flight', 'hotel', 'a']);
    expect(await stateOf(run)).toMatchObject({ run: 'failed' });
    const detail = await run.inspect();
    expect(detail.compensation).toBe('complete');
    const [child] = detail.children ?? [];
    const undone = await kit.run(child?.run ?? '')?.then((each) => each?.inspect());
    expect(undone).toMatchObject({ status: 'success', compensation: 'complete' });
  });

  test('a parent that has nothing of its own to undo', async () => {
    const one = workflow({ name: 'order' }, (w) => {
      const sub = w.run('trip', trip, {});
      w.run('last', {}, fail, { after: [sub] });
      return {};
    });
    const kit = engineOf(one);
    const run = await kit.start(one);
    await kit.settle();
    expect(log).toEqual(['flight', 'hotel']);
    expect((await run.inspect()).compensation).toBe('complete');
  });

  test('calls of a body, in the order in which they ended, between the tasks beside it', async () => {
    const gates = new Map<string, () => void>();
    const gated = (id: string) => () => new Promise<number>((resolve) => void gates.set(id, () => resolve(1)));
    const book = task({ name: 'book', run: (_: string) => 1 });
    const booking = (id: string) => workflow({ name: id }, (w) => ({ done: w.run('do', {}, () => ok(), { compensate: undo(id) }) }));
    const [x, y] = [booking('x'), booking('y')];
    const one = workflow({ name: 'order' }, (w) => {
      const body = w.run('body', {}, async (_, ctx) => {
        await ctx.run('x', x, {});
        await ctx.step('pause', gated('pause'));
        await ctx.run('y', y, {});
        return ctx.run('book', book, 'b');
      });
      const beside = w.run('beside', {}, gated('beside'), { compensate: undo('beside') });
      w.run('last', {}, fail, { after: [body, beside] });
      return {};
    });
    const kit = engineOf(one, x, y);
    const run = await kit.start(one);
    await kit.settle();
    gates.get('beside')?.();
    await kit.settle();
    gates.get('pause')?.();
    await kit.settle();
    expect((await run.status()).status).toBe('failed');
    expect(log).toEqual(['y', 'beside', 'x']);
  });
});
