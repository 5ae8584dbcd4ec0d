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

/** A workflow whose runs end when they are let go, by their due instants. */
function held(schedule: object): {
  readonly workflow: ReturnType<typeof plain>;
  readonly open: Map<number, () => void>;
  readonly began: Date[];
} {
  const open = new Map<number, () => void>();
  const began: Date[] = [];
  const plain = () =>
    workflow({ name: 'held', schedule: { cron: '0 * * * *', tz: 'UTC', ...schedule } }, (w) =>
      w.run(
        't',
        {},
        (_, { dueAt, signal }) => {
          if (dueAt !== undefined) began.push(dueAt);
          return new Promise<void>((resolve, reject) => {
            open.set(dueAt?.getTime() ?? 0, resolve);
            (signal as unknown as EventTarget).addEventListener('abort', () => reject(new Error('given up')));
          });
        },
        { timeout: '30d' },
      ),
    );
  return { workflow: plain(), open, began };
}

const letGo = (open: Map<number, () => void>, hour: number): void => open.get(at(hour).getTime())?.();

describe('an instant whose predecessor still runs', () => {
  test('allow: runs beside it', async () => {
    const { workflow: flow, began } = held({});
    const engine = engineOf({ use: [flow] });
    await engine.clock.advance('3h');
    expect(began).toEqual([at(1), at(2), at(3)]);
  });

  test('skip: gives no run, and one record says so of all of them', async () => {
    const { workflow: flow, began, open } = held({ overlap: 'skip' });
    const engine = engineOf({ use: [flow] });
    await engine.clock.advance('4h');
    expect(began).toEqual([at(1)]);
    expect((await engine.schedules.history('held'))[0]).toEqual({
      dueAt: at(2),
      untilAt: at(4),
      count: 3,
      state: 'skipped',
      reason: 'overlap',
    });
    letGo(open, 1);
    await engine.clock.advance('1h');
    expect(began).toEqual([at(1), at(5)]);
  });

  test('queue: waits for its turn, the oldest first, also over a crash', async () => {
    const { workflow: flow, began, open } = held({ overlap: 'queue' });
    const engine = engineOf({ use: [flow] });
    await engine.clock.advance('3h');
    expect(began).toEqual([at(1)]);
    expect((await engine.schedules.history('held')).map((one) => one.state)).toEqual(['waiting', 'waiting', 'started']);
    letGo(open, 1);
    await engine.settle();
    expect(began).toEqual([at(1), at(2)]);
    await engine.reboot();
    await engine.settle();
    expect(began).toEqual([at(1), at(2), at(2)]);
    letGo(open, 2);
    await engine.settle();
    letGo(open, 3);
    await engine.settle();
    expect(began.at(-1)).toEqual(at(3));
    expect((await engine.runs.list()).runs.map((run) => run.status)).toEqual(['success', 'success', 'success']);
  });

  test('queue: at most 1,000 wait', async () => {
    const { workflow: flow } = held({ cron: '* * * * *', overlap: 'queue' });
    const engine = engineOf({ use: [flow] });
    await engine.clock.advance('1003m');
    const history = await engine.schedules.history('held', { limit: 1_000 });
    expect(history[0]).toEqual({ dueAt: at(0, 1002), untilAt: at(0, 1003), count: 2, state: 'skipped', reason: 'queue_full' });
    expect(history.filter((one) => one.state === 'waiting')).toHaveLength(999);
  });

  test('cancel_old: the older run is cancelled first, and of those that wait only the newest stays', async () => {
    const { workflow: flow, began } = held({ overlap: 'cancel_old' });
    const engine = engineOf({ use: [flow] });
    await engine.clock.advance('2h');
    expect(began).toEqual([at(1), at(2)]);
    const { runs } = await engine.runs.list();
    expect(runs.map((run) => [run.status, run.reason])).toEqual([
      ['running', undefined],
      ['cancelled', 'superseded'],
    ]);
  });
});

describe('a schedule that an operator works on', () => {
  const daily = workflow({ name: 'daily' }, (w) => w.run('t', {}, () => 1));
  const rule = { workflow: daily, cron: '0 * * * *', tz: 'UTC' } as const;

  test('is made, looked at, triggered and deleted as data', async () => {
    const engine = engineOf({ use: [daily] });
    const made = await engine.schedules.create({ ...rule, name: 'mine', overlap: 'skip', pauseAfter: 3 });
    expect(made).toMatchObject({
      name: 'mine',
      workflow: 'daily',
      source: 'data',
      cron: '0 * * * *',
      overlap: 'skip',
      catchup: 'latest',
      nextAt: at(1),
      pauseAfter: 3,
    });
    expect(await engine.schedules.next('mine', 2)).toEqual([at(1), at(2)]);
    const run = await engine.schedules.trigger('mine');
    expect(await run.result()).toBe(1);
    await engine.clock.advance('1h');
    expect((await engine.schedules.history('mine')).map(({ dueAt, by }) => [dueAt, by])).toEqual([
      [at(1), undefined],
      [at(0), 'hand'],
    ]);
    await engine.schedules.delete('mine');
    expect(await engine.schedules.list()).toEqual([]);
    await engine.clock.advance('2h');
    expect(await dueOf(engine)).toEqual([at(0), at(1)]);
  });

  test('starts nothing while it is paused, also after a restart, and what passed has a reason', async () => {
    const engine = engineOf({ use: [daily] });
    await engine.schedules.create({ ...rule, name: 'mine', catchup: 'all' });
    await engine.schedules.pause('mine', { why: 'the source is down' });
    await engine.clock.advance('2h');
    await engine.reboot({ after: '1h' });
    await engine.settle();
    expect(await dueOf(engine)).toEqual([]);
    expect(await engine.schedules.get('mine')).toMatchObject({ paused: { at: at(0), why: 'the source is down' } });
    await engine.schedules.resume('mine');
    await engine.clock.advance('1h');
    expect(await dueOf(engine)).toEqual([at(4)]);
    expect((await engine.schedules.history('mine')).at(-1)).toEqual({
      dueAt: at(1),
      untilAt: at(3),
      count: 3,
      state: 'skipped',
      reason: 'paused',
    });
  });

  test('pauses itself after as many failures in a row as it is told, at once, and counts anew when it is resumed', async () => {
    const results = [false, true, false, false, false, false];
    const flaky = workflow({ name: 'flaky', schedule: { cron: '0 * * * *', tz: 'UTC', pauseAfter: 2 } }, (w) =>
      w.run(
        't',
        {},
        () => {
          if (results.shift() !== true) throw new Error('no');
          return 1;
        },
        { retry: { maxAttempts: 1 } },
      ),
    );
    const engine = engineOf({ use: [flaky] });
    await engine.clock.advance('3h');
    expect((await engine.schedules.get('flaky')).paused).toBeUndefined();
    await engine.clock.advance('1h');
    expect(await engine.schedules.get('flaky')).toMatchObject({ paused: { at: at(4), why: '2 runs failed in a row' } });
    await engine.clock.advance('2h');
    expect(await dueOf(engine)).toHaveLength(4);
    await engine.schedules.resume('flaky');
    await engine.clock.advance('1h');
    expect((await engine.schedules.get('flaky')).paused).toBeUndefined();
    await engine.clock.advance('1h');
    expect((await engine.schedules.get('flaky')).paused).toBeDefined();
  });

  test('whose input no longer fits gives no run, says why, and does not stop the others', async () => {
    const strict = workflow(
      { name: 'strict', input: z.object({ n: z.number() }), schedule: { every: '1h', input: () => ({ n: 'x' }) as never } },
      (w, { n }) => w.run('t', { n }, () => 1),
    );
    const silent = { debug() {}, info() {}, warn() {}, error() {} };
    const engine = engineOf({ use: [strict, daily], logger: silent });
    await engine.schedules.create({ ...rule, name: 'mine' });
    await engine.clock.advance('1h');
    expect(await dueOf(engine)).toEqual([at(1)]);
    expect(await engine.schedules.history('strict')).toMatchObject([
      { dueAt: at(1), state: 'skipped', reason: 'input_invalid', note: expect.stringMatching(/input\.n/) as string },
    ]);
  });

  test('whose input is never ready does not hold up the others', async () => {
    const hanging = workflow(
      { name: 'hanging', input: z.object({}), schedule: { every: '1h', input: () => new Promise<never>(() => undefined) } },
      (w) => w.run('t', {}, () => 1),
    );
    const silent = { debug() {}, info() {}, warn() {}, error() {} };
    const engine = engineOf({ use: [hanging, daily], logger: silent });
    await engine.schedules.create({ ...rule, name: 'mine' });
    await engine.clock.advance('1h');
    expect(await dueOf(engine)).toEqual([at(1)]);
    await engine.clock.advance('10s');
    expect(await engine.schedules.history('hanging')).toMatchObject([
      { reason: 'input_invalid', note: expect.stringContaining('10000 ms') as string },
    ]);
  });
});

describe('a schedule that a workflow declares', () => {
  const flow = (schedule?: object) =>
    workflow({ name: 'flow', ...(schedule === undefined ? {} : { schedule: schedule as never }) }, (w) => w.run('t', {}, () => 1));

  test('has the new rule from now on when it is changed', async () => {
    const engine = engineOf({ use: [flow({ cron: '0 * * * *', tz: 'UTC', catchup: 'all' })] });
    await engine.clock.advance('90m');
    await engine.reboot({ after: '1h', use: [flow({ cron: '15 * * * *', tz: 'UTC', catchup: 'all' })] });
    await engine.clock.advance('1h');
    expect(await dueOf(engine)).toEqual([at(1), at(3, 15)]);
    expect((await engine.schedules.history('flow'))[1]).toMatchObject({ dueAt: at(2), state: 'skipped', reason: 'changed' });
  });

  test('stays paused over a deployment, also with another rule', async () => {
    const engine = engineOf({ use: [flow({ cron: '0 * * * *', tz: 'UTC' })] });
    await engine.schedules.pause('flow');
    await engine.reboot({ use: [flow({ cron: '30 * * * *', tz: 'UTC' })] });
    await engine.clock.advance('2h');
    expect(await dueOf(engine)).toEqual([]);
    expect(await engine.schedules.get('flow')).toMatchObject({ cron: '30 * * * *', paused: {} });
    await engine.schedules.resume('flow');
    await engine.clock.advance('1h');
    expect(await dueOf(engine)).toEqual([at(2, 30)]);
  });

  test('is kept and marked when it is no longer declared, and comes back with its declaration', async () => {
    const rule = { cron: '0 * * * *', tz: 'UTC', catchup: 'all' };
    const engine = engineOf({ use: [flow(rule)] });
    await engine.clock.advance('1h');
    await engine.reboot({ use: [flow()] });
    await engine.clock.advance('2h');
    expect(await engine.schedules.get('flow')).toMatchObject({ removedAt: at(1) });
    expect(await engine.schedules.next('flow')).toEqual([]);
    await engine.reboot({ use: [flow(rule)] });
    await engine.clock.advance('1h');
    expect(await dueOf(engine)).toEqual([at(1), at(4)]);
    expect((await engine.schedules.get('flow')).removedAt).toBeUndefined();
  });

  test('is the same schedule, and version, when nothing changed', async () => {
    const engine = engineOf({ use: [flow({ every: '1h' })] });
    await engine.reboot({ after: '30m' });
    await engine.clock.advance('1h');
    expect(await dueOf(engine)).toEqual([at(1)]);
    expect(flow({ every: '1h' }).graph).toEqual(flow().graph);
  });
});

describe('a backfill', () => {
  const numbers: Date[] = [];
  const failing = new Set<number>();
  const flow = workflow({ name: 'flow', schedule: { cron: '0 * * * *', tz: 'UTC', catchup: 'none' } }, (w) =>
    w.run(
      't',
      {},
      (_, { dueAt }) => {
        if (dueAt !== undefined && failing.has(dueAt.getTime())) throw new Error('no');
        numbers.push(dueAt ?? new Date(0));
        return 1;
      },
      { retry: { maxAttempts: 1 } },
    ),
  );
  afterEach(() => {
    numbers.length = 0;
    failing.clear();
  });

  /** Ran at 1 and 2 (which failed), was away at 3, 4 and 5. */
  async function engineWithHoles(): Promise<TestEngine> {
    const engine = engineOf({ use: [flow] });
    failing.add(at(2).getTime());
    await engine.clock.advance('150m');
    await engine.reboot({ after: '3h' });
    failing.clear();
    numbers.length = 0;
    return engine;
  }

  test.each([
    ['none', [3, 4, 5]],
    ['failed', [2, 3, 4, 5]],
    ['all', [1, 2, 3, 4, 5]],
  ] as const)('reprocess %s does what it says, and the preview says the same', async (reprocess, hours) => {
    const engine = await engineWithHoles();
    const range = { from: at(1), to: at(5), reprocess };
    const due = hours.map((hour) => at(hour));
    expect(await engine.schedules.backfill.preview('flow', range)).toEqual({
      count: due.length,
      skipped: 5 - due.length,
      more: false,
      instants: due,
    });
    expect(numbers).toEqual([]);
    await engine.schedules.backfill('flow', range);
    await engine.settle();
    expect(numbers).toEqual(due);
    expect(await engine.schedules.backfill.list('flow')).toMatchObject([{ state: 'done', started: due.length }]);
    expect((await engine.runs.list()).runs[0]).toMatchObject({ schedule: 'flow', dueAt: at(5) });
  });

  test('runs so many at once as it is told, goes on after a crash, and leaves the schedule alone', async () => {
    const { workflow: heldFlow, began, open } = held({ overlap: 'skip', catchup: 'none' });
    const engine = engineOf({ use: [heldFlow] });
    await engine.settle();
    await engine.reboot({ after: '330m' });
    await engine.schedules.backfill('held', { from: at(1), to: at(5), concurrency: 2 });
    await engine.settle();
    expect(began).toEqual([at(1), at(2)]);
    letGo(open, 1);
    await engine.settle();
    expect(began.slice(2)).toEqual([at(3)]);
    await engine.reboot();
    await engine.clock.advance('30m');
    expect(began.slice(3)).toEqual([at(2), at(3), at(6)]);
    for (const hour of [2, 3, 4, 5]) {
      letGo(open, hour);
      await engine.settle();
    }
    expect(began.slice(6)).toEqual([at(4), at(5)]);
    expect(await engine.schedules.backfill.list('held')).toMatchObject([{ state: 'done', started: 5 }]);
  });

  test('is cancelled as a whole', async () => {
    const { workflow: heldFlow, began } = held({ catchup: 'none' });
    const engine = engineOf({ use: [heldFlow] });
    await engine.settle();
    await engine.reboot({ after: '330m' });
    const { id } = await engine.schedules.backfill('held', { from: at(1), to: at(5), concurrency: 3 });
    await engine.settle();
    expect(await engine.schedules.backfill.cancel(id)).toBe(true);
    await engine.settle();
    expect(began).toEqual([at(1), at(2), at(3)]);
    expect((await engine.runs.list()).runs.map((run) => run.status)).toEqual(['cancelled', 'cancelled', 'cancelled']);
    expect(await engine.schedules.backfill.list('held')).toMatchObject([{ state: 'cancelled', started: 3 }]);
    expect(await engine.schedules.backfill.cancel(id)).toBe(false);
  });

  test('of a range that makes no sense is refused', async () => {
    const engine = engineOf({ use: [flow] });
    const begin = (range: object) => engine.schedules.backfill('flow', range as never);
    await expect(begin({ from: at(2), to: at(1) })).rejects.toThrow(/to: must not be before from/);
    await expect(begin({ from: 'soon', to: at(0) })).rejects.toThrow(/from: /);
    await expect(begin({ from: at(0), to: at(1) })).rejects.toThrow(/future/);
    await expect(begin({ from: at(0), to: at(0), concurrency: 0 })).rejects.toThrow(/concurrency/);
    await expect(begin({ from: at(0), to: at(0), reprocess: 'some' })).rejects.toThrow(/reprocess/);
  });
});
