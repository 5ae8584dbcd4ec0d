/** What becomes of a start by a schedule, and of one by a run, while the queue is full: nothing is dropped silently. */
import { describe, expect, test } from 'vitest';
import { workflow } from '../../src/index.ts';
import type { TestEngine } from '../../src/testing/index.ts';
import { engineWith, flowOf, gate } from './capacity-kit.ts';

/** The due instants: every five minutes. */
const at = (n: number): Date => new Date(Date.UTC(2030, 0, 1, 0, 5 * n));

/** Room for one in the queue; 'a' runs, 'b' takes the room, and a schedule is due every five minutes. */
async function full(schedule: object): Promise<{ engine: TestEngine; letGo: () => Promise<void>; warnings: string[] }> {
  const job = gate('job', { concurrency: 1, timeout: '1d' });
  const blocker = flowOf('blocker', job.task);
  const often = workflow({ name: 'often', schedule: { cron: '*/5 * * * *', tz: 'UTC', ...schedule } }, (w) => w.run('t', {}, () => 1));
  const warnings: string[] = [];
  const quiet = (): void => undefined;
  const logger = { debug: quiet, info: quiet, error: quiet, warn: (message: string) => void warnings.push(message) };
  const engine = engineWith({ use: [blocker, often], maxQueued: 1, logger });
  await engine.start(blocker, 'a');
  await engine.settle();
  await engine.start(blocker, 'b');
  const letGo = async (): Promise<void> => {
    job.end('a');
    await engine.settle();
    job.end('b');
    await engine.settle();
    await engine.clock.advance('40s');
  };
  return { engine, letGo, warnings };
}

const dueOf = async (engine: TestEngine): Promise<(Date | undefined)[]> =>
  (await engine.runs.list({ workflow: 'often' })).runs.map((run) => run.dueAt).toReversed();

describe('while the queue is full', () => {
  test.each([
    ['none', [], [{ dueAt: at(1), untilAt: at(3), count: 3, state: 'skipped', reason: 'missed' }]],
    ['latest', [at(3)], [{ dueAt: at(1), untilAt: at(2), count: 2, state: 'skipped', reason: 'missed' }]],
    ['all', [at(1), at(2), at(3)], []],
  ] as const)('a schedule waits for room, and what its catch-up %s leaves out has a reason', async (catchup, due, skipped) => {
    const { engine, letGo, warnings } = await full({ catchup });
    await engine.clock.advance('15m');
    await engine.clock.advance('2m');
    const open = await engine.schedules.history('often');
    expect(await dueOf(engine)).toEqual([]);
    expect(open.filter(({ state }) => state !== 'skipped')).toEqual([]);
    expect(warnings.filter((message) => message.includes('queue is full'))).toHaveLength(1);
    await letGo();
    expect(await dueOf(engine)).toEqual(due);
    expect((await engine.schedules.history('often')).filter(({ state }) => state === 'skipped')).toEqual(skipped);
    await engine.clock.advance('5m');
    expect((await dueOf(engine)).at(-1)).toEqual(at(4));
  });

  test('a backfill goes on when there is room', async () => {
    const { engine, letGo } = await full({ catchup: 'none' });
    await engine.schedules.backfill('often', { from: new Date(at(0).getTime() - 600_000), to: at(0), concurrency: 2 });
    await engine.clock.advance('1m');
    expect(await dueOf(engine)).toEqual([]);
    await letGo();
    await engine.clock.advance('1m');
    expect(await dueOf(engine)).toEqual([-2, -1, 0].map(at));
  });

  test('a person who triggers a schedule is told', async () => {
    const { engine } = await full({});
    await expect(engine.schedules.trigger('often')).rejects.toMatchObject({ code: 'RUN_QUEUE_FULL', details: { retryAfterMs: 1_000 } });
    expect(await engine.schedules.history('often')).toEqual([]);
  });

  test('runs go on with children, items and hooks: those are no submissions, and are counted', async () => {
    const job = gate('job', { concurrency: 1 });
    const child = flowOf('child', job.task);
    const told: string[] = [];
    const parent = workflow({ name: 'parent', onFinish: () => void told.push('finish') }, (w) => {
      const one = w.run(child, 'one');
      const rest = w.map(['two', 'three'], child, (id) => id, { id: 'rest' });
      return { one, rest };
    });
    const engine = engineWith({ use: [child, parent], maxQueued: 1 });
    const run = await engine.start(parent);
    await engine.settle();
    await expect(engine.start(parent)).rejects.toMatchObject({ code: 'RUN_QUEUE_FULL' });
    for (const id of ['one', 'two', 'three']) {
      job.end(id);
      await engine.settle();
    }
    expect(await run.result()).toEqual({ one: 'one', rest: ['two', 'three'] });
    expect(told).toEqual(['finish']);
    await engine.start(parent);
  });
});
