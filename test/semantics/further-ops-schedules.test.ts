/** Schedules: nights on which clocks are changed, ends of months, time in which nobody worked, runs that overlap, backfills. */
import { expect, test } from 'vitest';
import { workflow } from '../../src/index.ts';
import { engineWith, gate } from './capacity-kit.ts';
import type { TestEngine } from '../../src/testing/index.ts';

const ok = (schedule: object | readonly object[], name = 'flow') =>
  workflow({ name, schedule: schedule as never }, (w) => w.run('a', {}, () => 1));
const iso = (at: Date | undefined): string => (at ?? new Date(0)).toISOString().slice(0, 16);

/** The due instants between two instants. */
async function due(schedule: object, from: string, to: string): Promise<string[]> {
  const engine = engineWith({ use: [workflow({ name: 'flow' }, (w) => w.run('a', {}, () => 1))] });
  await engine.clock.to(new Date(`${from}:00Z`));
  await engine.schedules.create({ name: 'flow', workflow: 'flow', tz: 'UTC', ...schedule } as never);
  const next = await engine.schedules.next('flow', 50);
  return next.map((at) => iso(at)).filter((at) => at <= to);
}
/** Starts, by due instant, oldest first. */
const started = async (engine: TestEngine, workflow = 'flow'): Promise<string[]> =>
  (await engine.runs.list({ workflow, limit: 500 })).runs
    .map(({ dueAt, status, reason }) => `${iso(dueAt).slice(5)} ${status}${reason === undefined ? '' : `:${reason}`}`)
    .toReversed();
/** Instants without a run, oldest first. */
const skipped = async (engine: TestEngine, name = 'flow'): Promise<string[]> =>
  (await engine.schedules.history(name))
    .filter(({ state }) => state === 'skipped')
    .map(({ dueAt, count, reason }) => `${iso(dueAt).slice(5)} x${count} ${reason}`)
    .toReversed();

test.each([
  // New York, 10 March 2030: 02:00 EST -> 03:00 EDT
  [
    'a time in the gap',
    { cron: '30 2 * * *', tz: 'America/New_York' },
    '2030-03-09T00:00',
    '2030-03-12T00:00',
    ['2030-03-09T07:30', '2030-03-10T07:00', '2030-03-11T06:30'],
  ],
  [
    'a time in the gap, skipped',
    { cron: '30 2 * * *', tz: 'America/New_York', dst: { gap: 'skip' } },
    '2030-03-09T00:00',
    '2030-03-12T00:00',
    ['2030-03-09T07:30', '2030-03-11T06:30'],
  ],
  [
    'four times in the gap fall on one instant',
    { cron: '*/15 2 * * *', tz: 'America/New_York' },
    '2030-03-10T00:00',
    '2030-03-11T05:00',
    ['2030-03-10T07:00'],
  ],
  [
    'the first after the gap, once',
    { cron: '0,30 2,3 * * *', tz: 'America/New_York' },
    '2030-03-10T00:00',
    '2030-03-11T05:00',
    ['2030-03-10T07:00', '2030-03-10T07:30'],
  ],
  // New York, 3 November 2030: 02:00 EDT -> 01:00 EST
  [
    'a time that is there twice',
    { cron: '30 1 * * *', tz: 'America/New_York' },
    '2030-11-03T00:00',
    '2030-11-04T12:00',
    ['2030-11-03T05:30', '2030-11-04T06:30'],
  ],
  [
    'both of them',
    { cron: '30 1 * * *', tz: 'America/New_York', dst: { repeat: 'both' } },
    '2030-11-03T00:00',
    '2030-11-04T12:00',
    ['2030-11-03T05:30', '2030-11-03T06:30', '2030-11-04T06:30'],
  ],
  [
    'hourly, both',
    { cron: '0 * * * *', tz: 'America/New_York', dst: { repeat: 'both' } },
    '2030-11-03T04:30',
    '2030-11-03T07:30',
    ['2030-11-03T05:00', '2030-11-03T06:00', '2030-11-03T07:00'],
  ],
  // Lord Howe: half an hour, 7 April and 6 October 2030
  [
    'half an hour of gap',
    { cron: '15 2 * * *', tz: 'Australia/Lord_Howe' },
    '2030-10-05T12:00',
    '2030-10-06T18:00',
    ['2030-10-05T15:30', '2030-10-06T15:15'],
  ],
  [
    'half an hour twice',
    { cron: '45 1 * * *', tz: 'Australia/Lord_Howe', dst: { repeat: 'both' } },
    '2030-04-06T12:00',
    '2030-04-07T12:00',
    ['2030-04-06T14:45', '2030-04-06T15:15'],
  ],
  // Cairo: the gap is at midnight
  [
    'midnight that is not there',
    { cron: '0 0 * * *', tz: 'Africa/Cairo' },
    '2030-04-25T00:00',
    '2030-04-27T00:00',
    ['2030-04-25T22:00', '2030-04-26T21:00'],
  ],
  // Troll: two hours
  [
    'two hours of gap',
    { cron: '30 1 * * *', tz: 'Antarctica/Troll' },
    '2030-03-30T12:00',
    '2030-04-01T00:00',
    ['2030-03-31T01:00', '2030-03-31T23:30'],
  ],
  [
    'Berlin in autumn',
    { cron: '30 2 * * *', tz: 'Europe/Berlin' },
    '2030-10-26T12:00',
    '2030-10-28T12:00',
    ['2030-10-27T00:30', '2030-10-28T01:30'],
  ],
  ['a zone of 45 minutes', { cron: '0 12 * * *', tz: 'Asia/Kathmandu' }, '2030-01-01T00:00', '2030-01-02T00:00', ['2030-01-01T06:15']],
  [
    'an interval takes no notice of clocks',
    { every: '1h', anchor: '2030-03-10T05:30:00Z', tz: undefined },
    '2030-03-10T05:00',
    '2030-03-10T08:30',
    ['2030-03-10T05:30', '2030-03-10T06:30', '2030-03-10T07:30', '2030-03-10T08:30'],
  ],
  [
    'an interval whose anchor is ahead',
    { every: '1d', anchor: '2030-01-05T10:00:00Z', tz: undefined },
    '2030-01-02T00:00',
    '2030-01-07T00:00',
    ['2030-01-05T10:00', '2030-01-06T10:00'],
  ],
])('%s', async (_, schedule, from, to, expected) => {
  expect(await due(schedule, from, to)).toEqual(expected);
});

test.each([
  [
    'the 31st is there in seven months',
    '0 0 31 * *',
    ['2030-01-31', '2030-03-31', '2030-05-31', '2030-07-31', '2030-08-31', '2030-10-31', '2030-12-31'],
  ],
  ['the last day of each month', '0 0 L * *', ['2030-01-31', '2030-02-28', '2030-03-31', '2030-04-30']],
  ['29 February only in leap years', '0 0 29 2 *', ['2032-02-29', '2036-02-29']],
  [
    'the day of the month or of the week',
    '0 0 13 1 FRI',
    ['2030-01-04', '2030-01-11', '2030-01-13', '2030-01-18', '2030-01-25', '2031-01-03'],
  ],
  ['Sunday is 0 and 7', '0 0 * 1 7', ['2030-01-06', '2030-01-13']],
  ['the fifth Friday', '0 0 * * FRI#5', ['2030-03-29', '2030-05-31', '2030-08-30', '2030-11-29']],
])('%s', async (_, cron, expected) => {
  const engine = engineWith({ use: [ok({ cron, tz: 'UTC' })] });
  const next = await engine.schedules.next('flow', expected.length);
  expect(next.map((at) => at.toISOString().slice(0, 10))).toEqual(expected);
});

test.each([
  '0 0 30 2 *',
  '0 0 31 4,6,9,11 *',
  '60 * * * *',
  '* 24 * * *',
  '* * 0 * *',
  '* * * 13 *',
  '* * * * 8',
  '*/0 * * * *',
  '5-1 * * * *',
  '0-99999 * * * *',
  '31 4',
  '',
  ' ',
  '* * * *',
  '@never',
  'x'.repeat(10_240),
  '* * * * * * *',
  '1,,2 * * * *',
  '-1 * * * *',
  '1.5 * * * *',
  '* * * FOO *',
  '0 0 31 2 *',
  `${'1,'.repeat(5_000)}1 * * * *`,
])('cron %j is refused when the workflow is defined, and quickly', (cron) => {
  const before = performance.now();
  expect(() => ok({ cron, tz: 'UTC' })).toThrow(/cron/);
  expect(performance.now() - before).toBeLessThan(500);
});

test.each([
  [{ cron: '0 0 * * *' }],
  [{ cron: '0 0 * * *', tz: 'Mars/Olympus' }],
  [{ cron: '0 0 * * *', tz: '' }],
  [{ cron: '0 0 * * *', tz: '+25:00' }],
  [{ every: '0s' }],
  [{ every: '10ms' }],
  [{ every: 'P1D' }],
  [{ every: '1h', tz: 'UTC' }],
  [{ every: '1h', cron: '* * * * *' }],
  [{}],
  [{ every: '1h', anchor: 'yesterday' }],
  [{ cron: '0 0 * * *', tz: 'UTC', overlap: 'wait' }],
  [{ cron: '0 0 * * *', tz: 'UTC', catchup: 'some' }],
  [{ cron: '0 0 * * *', tz: 'UTC', dst: { gap: 'both' } }],
  [{ cron: '0 0 * * *', tz: 'UTC', window: -1 }],
  [{ cron: '0 0 * * *', tz: 'UTC', pauseAfter: 0 }],
  [{ cron: '0 0 * * *', tz: 'UTC', timezone: 'UTC' }],
  [[{ cron: '0 0 * * *', tz: 'UTC' }, { every: '1h' }]],
])('the schedule %j is refused', (schedule) => {
  expect(() => ok(schedule)).toThrow(/schedule/);
});

test.each([
  ['none', [], ['01-01T02:00 x4 missed']],
  ['latest', ['01-01T05:00 success'], ['01-01T02:00 x3 missed']],
  ['all', ['01-01T02:00 success', '01-01T03:00 success', '01-01T04:00 success', '01-01T05:00 success'], []],
] as const)('hourly, nobody works from 01:30 to 05:30, catchup %s; a second crash starts nothing twice', async (catchup, runs, without) => {
  const engine = engineWith({ use: [ok({ cron: '0 * * * *', tz: 'UTC', catchup })] });
  await engine.clock.advance('90m');
  await engine.reboot({ after: '4h' });
  await engine.settle();
  await engine.reboot();
  await engine.clock.advance('10m');
  expect(await started(engine)).toEqual(['01-01T01:00 success', ...runs]);
  expect(await skipped(engine)).toEqual(without);
});

test('what was due before the window is not caught up, and says so', async () => {
  const engine = engineWith({ use: [ok({ cron: '0 * * * *', tz: 'UTC', catchup: 'all', window: '2h' })] });
  await engine.settle();
  await engine.reboot({ after: '6h' });
  await engine.settle();
  expect((await started(engine)).map((one) => one.slice(0, 11))).toEqual(['01-01T04:00', '01-01T05:00', '01-01T06:00']);
  expect(await skipped(engine)).toEqual(['01-01T01:00 x3 window']);
});

/** A workflow every hour whose one task goes on until it is ended, by the hour at which it was due. */
function hourly(schedule: object) {
  const job = gate('job', { timeout: '30d', retry: { maxAttempts: 1 } });
  const flow = workflow({ name: 'flow', schedule: { cron: '0 * * * *', tz: 'UTC', ...schedule } }, (w) =>
    w.run(
      job.task,
      w.run('id', {}, (_, ctx) => iso(ctx.dueAt).slice(11, 13)),
    ),
  );
  return { job, flow, engine: engineWith({ use: [flow] }) };
}

test.each([
  ['allow', ['01', '02', '03'], ['01-01T01:00 running', '01-01T02:00 running', '01-01T03:00 running'], []],
  ['skip', ['01'], ['01-01T01:00 running'], ['01-01T02:00 x2 overlap']],
  ['queue', ['01'], ['01-01T01:00 running'], []],
  ['cancel_old', ['03'], ['01-01T01:00 cancelled:superseded', '01-01T02:00 cancelled:superseded', '01-01T03:00 running'], []],
] as const)('a run takes three hours, overlap %s', async (overlap, running, runs, without) => {
  const { job, engine } = hourly({ overlap });
  await engine.clock.advance('3h');
  expect(job.running()).toEqual(running);
  expect(await started(engine)).toEqual(runs);
  expect(await skipped(engine)).toEqual(without);
});

test('overlap queue: one after the other in the order of their instants, each knows its own', async () => {
  const { job, engine } = hourly({ overlap: 'queue' });
  await engine.clock.advance('3h');
  for (const id of ['01', '02', '03']) {
    job.end(id);
    await engine.settle();
  }
  expect(job.begun).toEqual(['01', '02', '03']);
  expect((await started(engine)).every((one) => one.endsWith('success'))).toBe(true);
});

test('overlap skip: a run that is paused, or waits, is open too; when it was cancelled the next instant has a run', async () => {
  const { engine } = hourly({ overlap: 'skip' });
  await engine.clock.advance('1h');
  const [first] = (await engine.runs.list()).runs;
  const run = await engine.get(String(first?.id));
  await run.pause();
  await engine.clock.advance('1h');
  expect(await skipped(engine)).toEqual(['01-01T02:00 x1 overlap']);
  await run.cancel();
  await engine.clock.advance('1h');
  expect(await started(engine)).toEqual(['01-01T01:00 cancelled:person', '01-01T03:00 running']);
});

test('a run by hand is one of the schedule, for the instants behind it; one by start is not', async () => {
  const { job, flow, engine } = hourly({ overlap: 'skip' });
  const byHand = await engine.schedules.trigger('flow');
  await engine.clock.advance('1h');
  expect(await skipped(engine)).toEqual(['01-01T01:00 x1 overlap']);
  expect((await engine.schedules.history('flow')).map(({ by, state }) => [by, state])).toContainEqual(['hand', 'started']);
  await byHand.cancel();
  await engine.start(flow);
  await engine.clock.advance('1h');
  expect([job.running().length, (await started(engine)).at(-1)]).toEqual([2, '01-01T02:00 running']);
});

test('pauseAfter: after so many failures in a row it pauses and says why; a success between counts anew; resumed it goes on', async () => {
  let fails = (hour: string): boolean => hour !== '02';
  const flow = workflow({ name: 'flow', schedule: { cron: '0 * * * *', tz: 'UTC', pauseAfter: 2 } }, (w) =>
    w.run(
      'a',
      {},
      (_, ctx): number => {
        if (fails(iso(ctx.dueAt).slice(11, 13))) throw new Error('no');
        return 1;
      },
      { retry: { maxAttempts: 1 } },
    ),
  );
  const engine = engineWith({ use: [flow] });
  await engine.clock.advance('6h');
  expect((await started(engine)).map((one) => one.slice(6, 8))).toEqual(['01', '02', '03', '04']);
  expect((await engine.schedules.get('flow')).paused?.why).toMatch(/2/);
  fails = () => false;
  await engine.schedules.resume('flow');
  await engine.clock.advance('2h');
  expect((await started(engine)).slice(-2)).toEqual(['01-01T07:00 success', '01-01T08:00 success']);
});

test('a paused schedule: instants that pass are not caught up, also over a crash, and have their reason', async () => {
  const engine = engineWith({ use: [ok({ cron: '0 * * * *', tz: 'UTC', catchup: 'all' })] });
  await engine.settle();
  await engine.schedules.pause('flow', { why: 'holidays' });
  await engine.clock.advance('150m');
  await engine.reboot();
  await engine.clock.advance('1h');
  await engine.schedules.resume('flow');
  await engine.clock.advance('1h');
  expect(await started(engine)).toEqual(['01-01T04:00 success']);
  expect(await skipped(engine)).toEqual(['01-01T01:00 x3 paused']);
});

test('a changed rule holds from the deploy on: the old instants are not caught up by the new rule', async () => {
  const engine = engineWith({ use: [ok({ cron: '0 * * * *', tz: 'UTC' })] });
  await engine.clock.advance('90m');
  await engine.reboot({ use: [ok({ cron: '15 * * * *', tz: 'UTC' })] });
  await engine.clock.advance('2h');
  expect((await started(engine)).map((one) => one.slice(6, 11))).toEqual(['01:00', '02:15', '03:15']);
});

test('a schedule that the code declares no more is never due, and comes back with its declaration', async () => {
  const engine = engineWith({ use: [ok({ cron: '0 * * * *', tz: 'UTC' })] });
  await engine.clock.advance('1h');
  await engine.reboot({ use: [workflow({ name: 'flow' }, (w) => w.run('a', {}, () => 1))] });
  await engine.clock.advance('3h');
  expect((await engine.schedules.get('flow')).removedAt).toBeInstanceOf(Date);
  await engine.reboot({ use: [ok({ cron: '0 * * * *', tz: 'UTC' })] });
  await engine.clock.advance('1h');
  expect((await started(engine)).map((one) => one.slice(6, 11))).toEqual(['01:00', '05:00']);
});

test('an input that cannot be made leaves a record, and the next instant has its run', async () => {
  const flow = workflow(
    {
      name: 'flow',
      input: {
        '~standard': {
          version: 1 as const,
          vendor: 'test',
          validate: (value: unknown) => ({ value: value as number }),
          types: undefined as unknown as { input: number; output: number },
        },
      },
      schedule: {
        cron: '0 * * * *',
        tz: 'UTC',
        input: (dueAt: Date) => {
          if (dueAt.getUTCHours() === 1) throw new Error('no day');
          return dueAt.getUTCHours();
        },
      },
    },
    (w, input) => w.run('a', { input }, ({ input }) => input),
  );
  const engine = engineWith({
    use: [flow],
    logger: { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined },
  });
  await engine.clock.advance('2h');
  expect(await started(engine)).toEqual(['01-01T02:00 success']);
  expect(await skipped(engine)).toEqual(['01-01T01:00 x1 input_invalid']);
});

test('due instants of 40 days at once, all, are at most one run each', async () => {
  const engine = engineWith({ use: [ok({ cron: '0 */6 * * *', tz: 'UTC', catchup: 'all', window: '60d' })] });
  await engine.settle();
  await engine.reboot({ after: '40d' });
  await engine.settle();
  const runs = (await engine.runs.list({ limit: 500 })).runs.map(({ dueAt }) => iso(dueAt));
  expect([runs.length, new Set(runs).size]).toEqual([160, 160]);
});
