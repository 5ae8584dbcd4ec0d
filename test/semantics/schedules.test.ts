import { afterEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { workflow } from '../../src/index.ts';
import { testEngine, type TestEngine, type TestEngineOptions } from '../../src/testing/index.ts';

const engines: TestEngine[] = [];
afterEach(async () => {
  await Promise.all(engines.splice(0).map((engine) => engine.close()));
});

function engineOf(options: Partial<TestEngineOptions>): TestEngine {
  const engine = testEngine({ use: [], ...options });
  engines.push(engine);
  return engine;
}

/** The instants that the virtual clock begins at and that schedules here are due at. */
const at = (hour: number, minute = 0): Date => new Date(Date.UTC(2030, 0, 1, hour, minute));

const dueOf = async (engine: TestEngine): Promise<(Date | undefined)[]> =>
  (await engine.runs.list({ limit: 500 })).runs.map((run) => run.dueAt).reverse();

describe('a schedule of a workflow', () => {
  test('starts a run at each due instant, which the run knows', async () => {
    const seen: (Date | undefined)[] = [];
    const hourly = workflow({ name: 'hourly', schedule: { cron: '0 * * * *', tz: 'UTC' } }, (w) =>
      w.run('t', {}, (_, ctx) => void seen.push(ctx.dueAt)),
    );
    const engine = engineOf({ use: [hourly] });
    await engine.clock.advance('1d');
    expect(seen).toHaveLength(24);
    expect(seen[0]).toEqual(at(1));
    expect(seen.at(-1)).toEqual(at(24));
    const { runs } = await engine.runs.list();
    expect(runs[0]).toMatchObject({ workflow: 'hourly', schedule: 'hourly', dueAt: at(24), status: 'success' });
    expect(await engine.schedules.history('hourly', { limit: 2 })).toEqual([
      { dueAt: at(24), state: 'started', runId: runs[0]?.id, status: 'success' },
      { dueAt: at(23), state: 'started', runId: runs[1]?.id, status: 'success' },
    ]);
  });

  test('gives each run the input, or what a function makes of the due instant', async () => {
    const days: unknown[] = [];
    const report = workflow(
      {
        name: 'report',
        input: z.object({ day: z.string() }),
        schedule: [
          { name: 'fixed', cron: '0 6 * * *', tz: 'UTC', input: { day: 'some' } },
          { name: 'made', cron: '0 7 * * *', tz: 'UTC', input: (dueAt) => ({ day: dueAt.toISOString().slice(0, 10) }) },
        ],
      },
      (w, input) => w.run('note', { day: input.day }, ({ day }) => void days.push(day)),
    );
    const engine = engineOf({ use: [report] });
    await engine.clock.advance('1d');
    expect(days).toEqual(['some', '2030-01-01']);
  });

  test('is due at an interval from its making on, without drift', async () => {
    const often = workflow({ name: 'often', schedule: { every: '90s' } }, (w) => w.run('t', {}, () => 1));
    const engine = engineOf({ use: [often] });
    await engine.clock.advance('10m');
    expect(await dueOf(engine)).toEqual([1, 2, 3, 4, 5, 6].map((n) => new Date(at(0).getTime() + n * 90_000)));
    await engine.reboot();
    await engine.clock.advance('2m');
    expect((await dueOf(engine)).slice(6)).toEqual([7, 8].map((n) => new Date(at(0).getTime() + n * 90_000)));
  });
});

describe('a process that was away', () => {
  const hourly = (catchup: 'none' | 'latest' | 'all', window?: '2h') =>
    workflow({ name: 'hourly', schedule: { cron: '0 * * * *', tz: 'UTC', catchup, ...(window === undefined ? {} : { window }) } }, (w) =>
      w.run('t', {}, () => 1),
    );

  async function away(engine: TestEngine): Promise<void> {
    await engine.clock.advance('90m');
    await engine.reboot({ after: '4h' });
    await engine.settle();
  }

  test.each([
    ['none', [], [{ dueAt: at(2), untilAt: at(5), count: 4, state: 'skipped', reason: 'missed' }]],
    ['latest', [at(5)], [{ dueAt: at(2), untilAt: at(4), count: 3, state: 'skipped', reason: 'missed' }]],
    ['all', [at(2), at(3), at(4), at(5)], []],
  ] as const)('133: catch-up %s starts what it says, in order, and nothing again after a second restart', async (catchup, due, skipped) => {
    const engine = engineOf({ use: [hourly(catchup)] });
    await away(engine);
    expect(await dueOf(engine)).toEqual([at(1), ...due]);
    await engine.reboot();
    await engine.settle();
    expect(await dueOf(engine)).toEqual([at(1), ...due]);
    expect((await engine.schedules.history('hourly')).filter((one) => one.state === 'skipped')).toEqual(skipped);
    await engine.clock.advance('30m');
    expect(await dueOf(engine)).toEqual([at(1), ...due, at(6)]);
  });

  test('what was due before the window is not caught up', async () => {
    const engine = engineOf({ use: [hourly('all', '2h')] });
    await away(engine);
    expect(await dueOf(engine)).toEqual([at(1), at(4), at(5)]);
    expect((await engine.schedules.history('hourly')).at(-2)).toEqual({
      dueAt: at(2),
      untilAt: at(3),
      count: 2,
      state: 'skipped',
      reason: 'window',
    });
  });
});
