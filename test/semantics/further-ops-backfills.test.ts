/** Backfills of schedules. */
import { expect, test } from 'vitest';
import { workflow } from '../../src/index.ts';
import type { TestEngine } from '../../src/testing/index.ts';
import { engineWith, gate } from './capacity-kit.ts';
import { codeOf } from './further-ops-kit.ts';

const iso = (at: Date | undefined): string => (at ?? new Date(0)).toISOString().slice(0, 16);
const daily = () => workflow({ name: 'flow', schedule: { cron: '0 0 * * *', tz: 'UTC' } }, (w) => w.run('a', {}, () => 1));

// --- backfill ----------------------------------------------------------------------------------------------------------------------

const january = { from: '2029-01-01', to: '2029-01-10' } as const;
const listed = async (engine: TestEngine): Promise<string[]> =>
  (await engine.runs.list({ limit: 500 })).runs.map(({ dueAt, status }) => `${iso(dueAt).slice(5, 10)} ${status}`).toSorted();

test('a backfill starts what its preview says, so many at a time, and none twice when it is asked for again', async () => {
  const job = gate('job', { timeout: '1d' });
  const flow = workflow({ name: 'flow', schedule: { cron: '0 0 * * *', tz: 'UTC' } }, (w) =>
    w.run(
      job.task,
      w.run('id', {}, (_, ctx) => iso(ctx.dueAt)),
    ),
  );
  const engine = engineWith({ use: [flow] });
  const preview = await engine.schedules.backfill.preview('flow', january);
  expect([preview.count, preview.instants.map((at) => iso(at)).at(-1)]).toEqual([10, '2029-01-10T00:00']);
  expect((await engine.runs.list()).runs).toEqual([]);
  await engine.schedules.backfill('flow', { ...january, concurrency: 3 });
  await engine.settle();
  expect(job.running()).toHaveLength(3);
  await endGates(engine, job);
  expect([job.begun.length, job.most()]).toEqual([10, 3]);
  expect((await engine.schedules.backfill.preview('flow', january)).count).toBe(0);
});

async function endGates(engine: TestEngine, job: ReturnType<typeof gate>): Promise<void> {
  for (await engine.settle(); job.running().length > 0; await engine.settle()) for (const id of job.running()) job.end(id);
}

test('reprocess failed: only instants whose last run failed; none: none of these; all: all', async () => {
  let isDown = true;
  const flow = workflow({ name: 'flow', schedule: { cron: '0 0 * * *', tz: 'UTC' } }, (w) =>
    w.run(
      'a',
      {},
      (_, ctx): number => {
        if (isDown && ctx.dueAt?.getUTCDate() === 5) throw new Error('no');
        return 1;
      },
      { retry: { maxAttempts: 1 } },
    ),
  );
  const engine = engineWith({ use: [flow] });
  await engine.schedules.backfill('flow', january);
  await engine.settle();
  const counts = await Promise.all(
    (['none', 'failed', 'all'] as const).map(
      async (reprocess) => (await engine.schedules.backfill.preview('flow', { ...january, reprocess })).count,
    ),
  );
  expect(counts).toEqual([0, 1, 10]);
  isDown = false;
  await engine.schedules.backfill('flow', { ...january, reprocess: 'failed' });
  await engine.settle();
  expect((await listed(engine)).filter((one) => one.startsWith('01-05'))).toEqual(['01-05 failed', '01-05 success']);
});

test('cancelling a backfill cancels what of it is open, and starts no more; done twice it says so', async () => {
  const job = gate('job', { timeout: '1d' });
  const flow = workflow({ name: 'flow', schedule: { cron: '0 0 * * *', tz: 'UTC' } }, (w) => w.run(job.task, 'x'));
  const engine = engineWith({ use: [flow] });
  const { id } = await engine.schedules.backfill('flow', { ...january, concurrency: 2 });
  await engine.settle();
  expect(await engine.schedules.backfill.cancel(id)).toBe(true);
  await engine.clock.advance('1m');
  expect(await listed(engine)).toEqual(['01-01 cancelled', '01-02 cancelled']);
  expect(await engine.schedules.backfill.cancel(id)).toBe(false);
});

test('a crash in the middle of a backfill: each instant has one run', async () => {
  const job = gate('job', { timeout: '1d' });
  const flow = workflow({ name: 'flow', schedule: { cron: '0 0 * * *', tz: 'UTC' } }, (w) =>
    w.run(
      job.task,
      w.run('id', {}, (_, ctx) => iso(ctx.dueAt)),
    ),
  );
  const engine = engineWith({ use: [flow] });
  await engine.schedules.backfill('flow', { ...january, concurrency: 2 });
  await engine.settle();
  await engine.reboot();
  await endGates(engine, job);
  await engine.reboot();
  await endGates(engine, job);
  expect((await listed(engine)).filter((one) => one.endsWith('success'))).toHaveLength(10);
  expect(await listed(engine)).toHaveLength(10);
});

test.each([
  [{ from: '2029-02-01', to: '2029-01-01' }],
  [{ from: '2029-01-01', to: '2040-01-01' }],
  [{ from: 'x', to: '2029-01-01' }],
  [{ from: '2029-02-30', to: '2029-03-03' }],
  [{ from: '2029-01-01', to: '2029-06-31T10:00:00Z' }],
  [{ from: '2029-01-01' }],
  [{ ...january, concurrency: 0 }],
  [{ ...january, concurrency: 1.5 }],
  [{ ...january, reprocess: 'some' }],
  [{ ...january, limit: 3 }],
])('the backfill %j is refused', async (options) => {
  const engine = engineWith({ use: [daily()] });
  expect(await codeOf(() => engine.schedules.backfill('flow', options as never))).toMatch(/^(CONFIG|SCHEDULE)_/);
  expect(await codeOf(() => engine.schedules.backfill('nobody', january))).toBe('SCHEDULE_NOT_FOUND');
  expect(await engine.schedules.backfill.list('flow')).toEqual([]);
});
