import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createEngine, type Engine } from '../../src/index.ts';
import { silent } from '../engine/kit.ts';
import { LIBRARY, pawl, Place } from './kit.ts';

const ENTRY = `
import { signal, workflow } from '${LIBRARY}';
import { z } from 'zod';
export const paid = signal('paid', z.object({ cents: z.number() }));
export const order = workflow({ name: 'order' }, (w) => {
  const { cents } = w.wait(paid, { key: 'o-81' });
  const boss = w.approve('boss', { who: ['ops'], form: z.object({ limit: z.number() }) });
  return { cents, limit: boss.form.limit };
});
`;

let place: Place;
let engine: Engine;
let id: string;
beforeEach(async () => {
  place = new Place({ 'pawl.ts': ENTRY });
  const { order } = (await import(/* @vite-ignore */ place.file('pawl.ts'))) as { order: never };
  engine = createEngine({ store: place.store, use: [order], logger: silent });
  ({ id } = await engine.start(order, undefined));
});
afterEach(async () => {
  await engine.close();
  place.remove();
});

const said = (...argv: string[]) => pawl(place, ['--store', place.store, ...argv]);

describe('a run that waits', () => {
  test('gets a message and an answer from the command line', async () => {
    expect(await said('signal', 'paid', '--key', 'o-81', '{"cents": "x"}')).toMatchObject({
      exit: 2,
      stderr: expect.stringContaining('data.cents'),
    });
    expect(await said('signal', 'paid', '--key', 'o-81', '{"cents": 5}')).toMatchObject({
      exit: 0,
      stdout: 'sent paid to o-81: 1 took it\n',
    });
    expect(await said('signal', 'paid', '--key', 'o-82', '{"cents": 5}')).toMatchObject({
      stdout: 'kept paid for o-82: nobody took it yet\n',
    });
    expect(await said('approve', id)).toMatchObject({ exit: 2, stderr: expect.stringContaining('TASK_FORM_INVALID') });
    expect(await said('approve', id, '--form', '{}')).toMatchObject({ exit: 2, stderr: expect.stringContaining('form.limit') });
    expect(await said('approve', id, '--form', '{"limit": 9}', '--comment', 'fine')).toMatchObject({
      exit: 0,
      stdout: `approved boss of ${id}\n`,
    });
    expect(await (await engine.get(id)).result()).toEqual({ cents: 5, limit: 9 });
    expect((await said('audit', id)).stdout).toMatch(/approve/);
    expect(await said('approve', id)).toMatchObject({ exit: 4, stderr: expect.stringContaining('TASK_NOT_WAITING') });
  });

  test('is rejected, once', async () => {
    expect(await said('reject', id, '--comment', 'no')).toMatchObject({ exit: 0, stdout: `rejected boss of ${id}\n` });
    expect(await said('reject', id)).toMatchObject({ exit: 4 });
  });

  test('is shown as waiting', async () => {
    expect((await said('ls')).stdout).toMatch(/waiting/);
    expect((await said('show', id)).stdout).toMatch(/waiting/);
    expect((await said('why', id)).stdout).toMatch(/for the signal "paid" with the key "o-81"/);
  });

  test('a message without an address is refused', async () => {
    expect(await said('signal', 'paid', '{}')).toMatchObject({ exit: 2 });
    expect(await said('signal', 'nobody', '--key', 'k', '1')).toMatchObject({ exit: 3 });
  });
});
