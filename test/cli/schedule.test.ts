import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createEngine, type Registrable } from '../../src/index.ts';
import { silent } from '../engine/kit.ts';
import { LIBRARY, pawl, Place } from './kit.ts';

const ENTRY = `import { workflow } from '${LIBRARY}';
export const report = workflow(
  { name: 'report', schedule: { name: 'nightly', cron: '0 3 * * *', tz: 'Europe/Oslo', overlap: 'skip', pauseAfter: 3 } },
  (w) => w.run('write', {}, () => 1),
);
`;

let place: Place;
beforeEach(async () => {
  place = new Place({ 'pawl.entry.ts': ENTRY });
  await withEngine(
    async (engine) => void (await engine.schedules.create({ name: 'mine', workflow: 'report', every: '1w', anchor: '2020-01-01' })),
  );
});
afterEach(() => place.remove());

async function withEngine(work: (engine: ReturnType<typeof createEngine>) => Promise<void>): Promise<void> {
  const { report } = (await import(pathToFileURL(place.file('pawl.entry.ts')).href)) as { report: Registrable };
  const engine = createEngine({ store: place.store, use: [report], logger: silent });
  await work(engine);
  await engine.close();
}

const entry = (): string[] => ['--entry', place.file('pawl.entry.ts')];
const said = async (...argv: string[]): Promise<string> => {
  const { stdout, stderr, exit } = await pawl(place, ['schedule', ...argv]);
  return `${stdout}${stderr}exit ${exit}`;
};
const document = async (...argv: string[]): Promise<Record<string, never>> =>
  JSON.parse((await pawl(place, ['schedule', ...argv, '--json'])).stdout) as Record<string, never>;

describe('pawl schedule', () => {
  test('lists schedules, and shows one with its terms', async () => {
    expect(await said()).toMatch(
      /^NAME +WORKFLOW +RULE +OVERLAP +CATCH-UP +NEXT\nmine +report +every 7 d +allow +latest +2\S+Z\nnightly +report +0 3 \* \* \* Europe\/Oslo +skip +latest +2\S+Z\nexit 0$/,
    );
    expect(await said('show', 'nightly')).toMatch(/pauses +after 3 failures in a row\n/);
    expect(await document('ls')).toMatchObject({
      v: 1,
      schedules: [
        { name: 'mine', source: 'data' },
        { name: 'nightly', source: 'code', tz: 'Europe/Oslo' },
      ],
    });
    expect(await said('show', 'none')).toMatch(/SCHEDULE_NOT_FOUND[^]*exit 3$/);
  });

  test('says when one is due next, in its zone and in UTC', async () => {
    expect(await said('next', 'nightly', '-n', '2')).toMatch(/^(\S+ 03:00:00 \S+ {2}\S+T0[12]:00:00\.000Z\n){2}exit 0$/);
    expect((await document('next', 'mine')) as object).toMatchObject({ schedule: 'mine', paused: false, instants: { length: 5 } });
  });

  test('pauses, resumes and deletes', async () => {
    expect(await said('pause', 'nightly', '--note', 'on holiday')).toBe('paused nightly\nexit 0');
    expect(await said('show', 'nightly')).toMatch(/paused +\S+: on holiday\n/);
    expect(await said('ls')).toMatch(/nightly .* paused\n/);
    expect(await said('resume', 'nightly')).toBe('resumed nightly\nexit 0');
    expect(await said('delete', 'nightly')).toMatch(/SCHEDULE_DECLARED[^]*exit 4$/);
    expect(await said('delete', 'mine')).toBe('deleted mine\nexit 0');
    expect(await said('show', 'mine')).toMatch(/exit 3$/);
  });

  test('starts a run now, which its history tells', async () => {
    const started = await said('run', 'nightly', ...entry());
    expect(started).toMatch(/^started [0-9a-z]{26}\nexit 0$/);
    expect(await document('show', 'nightly')).toMatchObject({ history: [{ by: 'hand', state: 'started', runId: started.slice(8, 34) }] });
    expect((await pawl(place, ['show', started.slice(8, 34)])).stdout).toContain('nightly');
  });

  test('previews and begins a backfill, asks before many runs, and cancels it', async () => {
    const range = ['--from', '2026-01-01T00:00:00Z', '--to', '2026-01-10T00:00:00Z'];
    expect(await said('backfill', 'nightly', ...range, '--dry-run')).toMatch(
      /^would start 9 runs; 0 instants would be left as they are\n {2}2026-01-01T02:00:00\.000Z\n/,
    );
    const many = ['--from', '2025-01-01T00:00:00Z', '--to', '2026-01-01T00:00:00Z'];
    expect(await said('backfill', 'nightly', ...many)).toMatch(/RUN_UNCONFIRMED[^]*365 runs[^]*exit 8$/);
    expect(await said('backfill', 'nightly', ...range)).toBe('backfill 1: 9 runs\nexit 0');
    expect(await said('backfill', 'nightly')).toMatch(/^backfill 1 {2}running /);
    expect(await said('backfill', 'nightly', '--cancel', '1')).toBe('cancelling backfill 1\nexit 0');
    expect(await said('backfill', 'nightly', '--cancel', '7')).toMatch(/exit 2$/);
    expect(await said('backfill', 'nightly', '--from', '2026-01-01T00:00:00Z')).toMatch(/exit 2$/);
  });
});

test('doctor names a schedule that nobody has looked at', async () => {
  expect((await pawl(place, ['doctor'])).stdout).toMatch(/ok +schedules +none is late/);
});
