import { afterEach, describe, expect, test } from 'vitest';
import type { workflow } from '../../src/index.ts';
import { createEngine } from '../../src/index.ts';
import { silent } from '../engine/kit.ts';
import { LIBRARY, pawl, Place } from './kit.ts';

const places: Place[] = [];
afterEach(() => {
  for (const place of places.splice(0)) place.remove();
});

const ENTRY = (version: string, attempts: number): string => `
import { workflow } from '${LIBRARY}';
export const order = workflow({ name: 'order', version: '${version}' }, (w) => {
  const paid = w.run('pay', {}, () => { throw new Error('not yet') }, { retry: { maxAttempts: ${attempts}, initial: '1h', maxDelay: '1h', jitter: 'none' } });
  return w.run('ship', { paid }, () => 'sent');
});
`;

/** A store with one run of version 1 that waits for its next attempt, and some that nobody has claimed. */
async function deployed(many: number): Promise<Place> {
  const place = new Place({ 'pawl.ts': ENTRY('1', 3) });
  places.push(place);
  const { order } = (await import(place.file('pawl.ts'))) as { order: ReturnType<typeof workflow> };
  const engine = createEngine({ store: place.store, use: [order as never], logger: silent, durability: 'fast' });
  await engine.work();
  const first = await engine.start(order as never, undefined, { key: 'first' });
  while ((await first.tasks())[0]?.status !== 'retrying') await new Promise((resolve) => setImmediate(resolve));
  await engine.close();
  const starter = createEngine({ store: place.store, use: [order as never], logger: silent, durability: 'fast' });
  await starter.startMany(
    order,
    Array.from({ length: many }, () => ({ input: undefined as never })),
  );
  await starter.close();
  return place;
}

describe('check --store', () => {
  test('lists what would move', async () => {
    const place = await deployed(2);
    place.write('new.ts', ENTRY('2', 3));
    const { exit, stdout } = await pawl(place, ['check', 'new.ts', '--store', place.store, '--json']);
    expect(exit).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      ok: true,
      versions: [{ workflow: 'order', version: '2', groups: [{ version: '1', verdict: 'moves', runs: 3 }] }],
    });
  });

  test('exits with 6 where runs would wait, and says why', async () => {
    const place = await deployed(2);
    place.write('new.ts', ENTRY('2', 5));
    const { exit, stdout, stderr } = await pawl(place, ['check', 'new.ts', '--store', place.store]);
    expect(exit).toBe(6);
    expect(stdout).toMatch(/1 run of 1 wait: task "pay" has another contract there \(0 live workers of that version now\)/);
    expect(stdout).toMatch(/2 runs of 1 move to it/);
    expect(stderr).toMatch(/1 run would wait for a worker of its own version/);
  });

  test('finds a version that is stored with another graph', async () => {
    const place = await deployed(0);
    place.write('new.ts', ENTRY('1', 5));
    const { exit, stdout } = await pawl(place, ['check', 'new.ts', '--store', place.store, '--json']);
    expect([exit, JSON.parse(stdout)]).toMatchObject([6, { ok: false, problems: [{ code: 'CONFIG_VERSION_CHANGED' }] }]);
  });
});

describe('move', () => {
  /** The new version is in the store, without a worker. */
  async function stored(many: number, attempts = 3): Promise<Place> {
    const place = await deployed(many);
    place.write('new.ts', ENTRY('2', attempts));
    const { order } = (await import(place.file('new.ts'))) as { order: ReturnType<typeof workflow> };
    const engine = createEngine({ store: place.store, use: [order as never], logger: silent, durability: 'fast' });
    await engine.runs.list();
    await engine.close();
    return place;
  }

  test('shows what would move, moves it, and back', async () => {
    const place = await stored(1);
    expect((await pawl(place, ['move', 'wf:order', '--to', '2', '--dry-run'])).stdout).toBe('2 runs would move to 2\n');
    expect((await pawl(place, ['move', 'wf:order', '--to', '2'])).stdout).toBe('2 runs moved to 2\n');
    const back = await pawl(place, ['move', 'first', '--to', '1', '--note', 'the new one is wrong']);
    expect(back.stdout).toMatch(/^\w{26} moved from 2 to 1\n$/);
    const { stdout } = await pawl(place, ['audit', 'first', '--json']);
    expect(JSON.parse(stdout)).toMatchObject({ entries: [{ action: 'move', note: 'the new one is wrong' }, { action: 'move' }] });
  });

  test('of more than ten needs --yes', async () => {
    const place = await stored(11);
    const refused = await pawl(place, ['move', 'wf:order', '--to', '2']);
    expect([refused.exit, refused.stderr]).toMatchObject([8, expect.stringContaining('pawl move --to 2 wf:order --yes')]);
    expect((await pawl(place, ['move', 'wf:order', '--to', '2', '--yes'])).stdout).toBe('12 runs moved to 2\n');
  });

  test('moves what may move, says of the others what stands in the way, and exits with 4', async () => {
    const place = await stored(1, 9);
    const { exit, stdout } = await pawl(place, ['move', 'wf:order', '--to', '2']);
    expect(exit).toBe(4);
    expect(stdout).toMatch(/^\w{26} moved from 1 to 2\n\w{26} stays on 1: task "pay" has another contract there\n$/);
    expect((await pawl(place, ['move', 'first', '--to', '9'])).exit).toBe(3);
  });
});
