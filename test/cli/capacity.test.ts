import { afterEach, expect, test } from 'vitest';
import { createEngine, task, workflow, type PoolLimit } from '../../src/index.ts';
import { silent } from '../engine/kit.ts';
import { pawl, Place } from './kit.ts';

const places: Place[] = [];
afterEach(() => {
  for (const place of places.splice(0)) place.remove();
});

const media = workflow({ name: 'media' }, (w) => w.run(task({ name: 'cut', queue: 'media', pools: { gpu: 1 }, run: () => 1 }), undefined));

async function placeWithRun(gpu: number | PoolLimit = 2): Promise<Place> {
  const place = new Place({});
  places.push(place);
  const engine = createEngine({ store: place.store, use: [media], limits: { gpu }, durability: 'fast', logger: silent });
  await engine.start(media);
  await engine.close();
  return place;
}

test('limits are listed, set and cleared', async () => {
  const place = await placeWithRun();
  expect(JSON.parse((await pawl(place, ['limit', '--json'])).stdout)).toMatchObject({
    limits: [{ kind: 'pool', name: 'gpu', value: 2, code: 2, held: 0 }],
  });
  expect((await pawl(place, ['limit', 'set', 'gpu', '5'])).exit).toBe(0);
  expect((await pawl(place, ['limit', 'set', 'mail', '10/s'])).exit).toBe(0);
  expect((await pawl(place, ['limit', 'set', 'customer', '1', '--kind', 'key'])).exit).toBe(0);
  const { stdout } = await pawl(place, ['limit']);
  expect(
    stdout
      .split('\n')
      .slice(1, 4)
      .map((line) => line.split(/\s{2,}/).map((cell) => cell.trim())),
  ).toEqual([
    ['key', 'customer', '1', '0', 'operator'],
    ['pool', 'gpu', '5', '0', 'operator (code: 2)'],
    ['rate', 'mail', '10/s', '', 'operator'].filter(Boolean),
  ]);
  expect((await pawl(place, ['limit', 'clear', 'gpu'])).exit).toBe(0);
  expect((await pawl(place, ['limit', 'clear', 'gpu'])).exit).toBe(3);
  expect((await pawl(place, ['limit', 'set', 'gpu', 'many'])).exit).toBe(2);
  expect((await pawl(place, ['limit', 'set', 'gpu', '1', '--kind', 'pile'])).exit).toBe(2);
  expect(await pawl(place, ['limit', 'set', 'mail', '3'])).toMatchObject({ exit: 2, stderr: expect.stringContaining('is a rate') });
});

test('of a pool whose units go in turn the list says between what', async () => {
  const place = await placeWithRun({ units: 2, fair: 'run' });
  const { stdout } = await pawl(place, ['limit', 'set', 'gpu', '5']);
  expect(stdout).toContain('IN TURN BY');
  expect(stdout).toMatch(/gpu +5 +0 +operator \(code: 2\) +run$/m);
  expect(JSON.parse((await pawl(place, ['limit', '--json'])).stdout)).toMatchObject({ limits: [{ name: 'gpu', value: 5, fair: 'run' }] });
  expect((await pawl(await placeWithRun(), ['limit'])).stdout).not.toContain('IN TURN BY');
});

test('a queue and a workflow are paused and resumed, and why says so', async () => {
  const place = await placeWithRun();
  expect(await pawl(place, ['pause', 'queue:media'])).toMatchObject({ exit: 0, stdout: 'paused the queue media\n' });
  expect(await pawl(place, ['pause', 'queue:media'])).toMatchObject({ exit: 0, stdout: 'the queue media was paused already\n' });
  expect((await pawl(place, ['why', '@last'])).stdout).toContain('its queue "media" is paused');
  expect((await pawl(place, ['show', '@last'])).stdout).toContain('paused');
  expect(await pawl(place, ['resume', 'queue:media'])).toMatchObject({ exit: 0, stdout: 'resumed the queue media\n' });
  expect(await pawl(place, ['pause', 'workflow:media'])).toMatchObject({ exit: 0 });
  expect((await pawl(place, ['why', '@last'])).stdout).toContain('its workflow is paused');
  expect(await pawl(place, ['resume', 'workflow:media'])).toMatchObject({ exit: 0, stdout: 'resumed the workflow media\n' });
});

test('a task that no live worker can run is told by why and by doctor, with its queue', async () => {
  const place = await placeWithRun();
  expect((await pawl(place, ['why', '@last'])).stdout).toContain('no live worker serves the queue "media" and has the code of "cut"');
  expect((await pawl(place, ['why', '@last', '--json'])).stdout).toContain('"WORKER_NONE"');
  expect((await pawl(place, ['doctor'])).stdout).toContain('WORKER_NONE: no live worker for media/cut (queue media)');
});
