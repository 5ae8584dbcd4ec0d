import { describe, expect, test } from 'vitest';
import { isPawlError } from '../errors.ts';
import { cronProblem, nextAfterOf, type DstRule } from './cron.ts';
import { workflow } from '../define/workflow.ts';

const MINUTE = 60_000;

/** Local time of each minute of a range, as Intl tells it: nothing here knows an offset or a rule. */
const asked = new Map<string, { at: number; text: string }[]>();
function localMinutes(tz: string, from: number, to: number): { at: number; text: string }[] {
  const known = asked.get(`${tz} ${from}`);
  if (known !== undefined) return known;
  const format = new Intl.DateTimeFormat('sv-SE', { timeZone: tz, dateStyle: 'short', timeStyle: 'short' });
  const minutes = [];
  for (let at = from; at < to; at += MINUTE) minutes.push({ at, text: format.format(at) });
  asked.set(`${tz} ${from}`, minutes);
  return minutes;
}

const judged = new Map<string, boolean>();
function fits(cron: string, text: string): boolean {
  const key = `${cron}|${text}`;
  let verdict = judged.get(key);
  if (verdict === undefined) judged.set(key, (verdict = isFit(cron, text)));
  return verdict;
}

/** Whether a local minute fits, for expressions of numbers, lists, steps and stars. */
function isFit(cron: string, text: string): boolean {
  const [, year, month, day, hour, minute] = (/^(\d+)-(\d+)-(\d+) (\d+):(\d+)$/.exec(text) ?? []).map(Number);
  const weekday = new Date(Date.UTC(year ?? 0, (month ?? 1) - 1, day)).getUTCDay();
  const [minutes, hours, days, months, weekdays] = cron.split(' ');
  const has = (field: string | undefined, value: number | undefined): boolean =>
    (field ?? '*').split(',').some((part) => {
      const [range = '*', step = '1'] = part.split('/');
      const [low, high] = range === '*' ? [0, 99] : range.includes('-') ? range.split('-').map(Number) : [Number(range), Number(range)];
      return (value ?? -1) >= (low ?? 0) && (value ?? -1) <= (high ?? 0) && ((value ?? 0) - (low ?? 0)) % Number(step) === 0;
    });
  const isDay = days !== '*' && weekdays !== '*' ? has(days, day) || has(weekdays, weekday) : has(days, day) && has(weekdays, weekday);
  return has(minutes, minute) && has(hours, hour) && has(months, month) && isDay;
}

const after = (text: string): string =>
  new Date(Date.parse(`${text.replace(' ', 'T')}Z`) + MINUTE).toISOString().slice(0, 16).replace('T', ' ');

/** What the rule says, by going from minute to minute: a jump of the local time is a gap, a time that was there before is a repetition. */
function reference(cron: string, tz: string, dst: DstRule, from: number, to: number): number[] {
  const due: number[] = [];
  const seen = new Set<string>();
  let expected: string | null = null;
  for (const { at, text } of localMinutes(tz, from, to)) {
    const skipped: string[] = [];
    if (expected !== null && text > expected) for (let one = expected; one < text; one = after(one)) skipped.push(one);
    const isShifted = dst.gap === 'shift' && skipped.some((one) => fits(cron, one));
    const isRepeated = seen.has(text);
    if (isShifted || (fits(cron, text) && !(isRepeated && dst.repeat === 'first'))) due.push(at);
    seen.add(text);
    expected = after(text);
  }
  return due;
}

function found(cron: string, tz: string, dst: DstRule, from: number, to: number): number[] {
  const next = nextAfterOf({ cron, tz, ...dst }, 0);
  const due: number[] = [];
  for (let at = next(from - 1); at !== null && at < to; at = next(at)) due.push(at);
  return due;
}

const RULES: readonly DstRule[] = [
  { gap: 'shift', repeat: 'first' },
  { gap: 'skip', repeat: 'both' },
  { gap: 'shift', repeat: 'both' },
  { gap: 'skip', repeat: 'first' },
];
const CRONS = ['30 2 * * *', '59 1 * * *', '0 0 * * *', '*/20 * * * *', '15,45 1-3 * * 0', '0 12 13 * 5', '5 0 1 * *'];
/** Days around every change of the clocks of these years, each zone with something of its own. */
const ZONES: readonly [string, readonly [string, string][]][] = [
  [
    'America/New_York',
    [
      ['2024-03-08', '2024-03-13'],
      ['2024-11-01', '2024-11-06'],
      ['2027-03-12', '2027-03-16'],
      ['2027-11-05', '2027-11-09'],
    ],
  ],
  [
    'America/Los_Angeles',
    [
      ['2020-03-06', '2020-03-10'],
      ['2020-10-30', '2020-11-03'],
    ],
  ],
  [
    'Europe/Oslo',
    [
      ['2025-03-28', '2025-04-01'],
      ['2025-10-24', '2025-10-28'],
      ['2026-12-30', '2027-01-03'],
    ],
  ],
  [
    'Australia/Lord_Howe',
    [
      ['2024-04-05', '2024-04-09'],
      ['2024-10-04', '2024-10-08'],
    ],
  ],
  [
    'Asia/Kathmandu',
    [
      ['1985-12-30', '1986-01-03'],
      ['2024-06-01', '2024-06-04'],
    ],
  ],
  [
    'Pacific/Apia',
    [
      ['2011-12-28', '2012-01-03'],
      ['2011-09-22', '2011-09-26'],
      ['2012-03-30', '2012-04-03'],
    ],
  ],
  [
    'America/Sao_Paulo',
    [
      ['2018-11-02', '2018-11-06'],
      ['2019-02-15', '2019-02-19'],
    ],
  ],
  [
    'Africa/Casablanca',
    [
      ['2024-03-08', '2024-03-12'],
      ['2024-04-12', '2024-04-16'],
    ],
  ],
  [
    'Antarctica/Troll',
    [
      ['2024-03-29', '2024-04-02'],
      ['2024-10-25', '2024-10-29'],
    ],
  ],
];

describe.each(ZONES)('in %s', (tz, ranges) => {
  test.each(CRONS)('%s is due when a clock on the wall says, under every rule for changed clocks', (cron) => {
    for (const [from, to] of ranges) {
      for (const dst of RULES) {
        const [start, end] = [Date.parse(`${from}T00:00Z`), Date.parse(`${to}T00:00Z`)];
        // The reference needs a day before, to know what a time repeats.
        const expected = reference(cron, tz, dst, start - 86_400_000, end).filter((at) => at >= start);
        const iso = (list: number[]): string[] => list.map((at) => new Date(at).toISOString());
        expect({ dst, due: iso(found(cron, tz, dst, start, end)) }).toEqual({ dst, due: iso(expected) });
      }
    }
  });

  test('over five years, at every time of day that a change can touch', () => {
    const [from, to] = [Date.UTC(2022, 0, 1), Date.UTC(2027, 0, 1)];
    const format = new Intl.DateTimeFormat('sv-SE', { timeZone: tz, dateStyle: 'short', timeStyle: 'short' });
    for (const cron of ['30 2 * * *', '15 1 * * *', '0 0 * * *', '45 23 * * *']) {
      const due = found(cron, tz, { gap: 'skip', repeat: 'first' }, from, to);
      expect(due.filter((at) => !fits(cron, format.format(at)))).toEqual([]);
      const days = new Set(due.map((at) => format.format(at).slice(0, 10)));
      expect(days.size).toBe(due.length);
      const shifted = found(cron, tz, { gap: 'shift', repeat: 'first' }, from, to);
      // A day or two a year have no such time; none is lost when it is shifted.
      expect(due.length).toBeGreaterThanOrEqual(5 * 365 + 1 - 11);
      expect(shifted.length).toBeGreaterThanOrEqual(5 * 365);
      expect(shifted.length - due.length).toBeLessThanOrEqual(11);
    }
  });
});

const next = (cron: string, tz: string, from: string, dst: DstRule = { gap: 'shift', repeat: 'first' }): string | null => {
  const at = nextAfterOf({ cron, tz, ...dst }, 0)(Date.parse(from));
  return at === null ? null : new Date(at).toISOString();
};

describe('a cron expression', () => {
  test('131: 59 1 * * * in Los Angeles on 2020-11-01 is due at the first 01:59, or at both', () => {
    const day = [Date.parse('2020-11-01T07:00Z'), Date.parse('2020-11-02T08:00Z')] as const;
    const due = (repeat: 'first' | 'both') =>
      found('59 1 * * *', 'America/Los_Angeles', { gap: 'shift', repeat }, ...day).map((at) => new Date(at).toISOString());
    expect(due('first')).toEqual(['2020-11-01T08:59:00.000Z']);
    expect(due('both')).toEqual(['2020-11-01T08:59:00.000Z', '2020-11-01T09:59:00.000Z']);
  });

  test('finds a leap day, over a century that has none', () => {
    expect(next('0 0 29 2 *', 'UTC', '2024-03-01T00:00Z')).toBe('2028-02-29T00:00:00.000Z');
    expect(next('0 0 29 2 *', 'UTC', '2096-03-01T00:00Z')).toBe('2104-02-29T00:00:00.000Z');
  });

  test('knows the short names, lists, the last day and the n-th weekday', () => {
    expect(next('@daily', 'Europe/Oslo', '2030-01-01T12:00Z')).toBe('2030-01-01T23:00:00.000Z');
    expect(next('0 9 L * *', 'UTC', '2030-02-01T00:00Z')).toBe('2030-02-28T09:00:00.000Z');
    expect(next('0 9 * * MON#2', 'UTC', '2030-01-01T00:00Z')).toBe('2030-01-14T09:00:00.000Z');
  });

  test('that nobody means is refused, in words', () => {
    const refused = [
      '',
      '* * * *',
      '0 0 3 * * *',
      '61 * * * *',
      '* 24 * * *',
      '*/0 * * * *',
      'now',
      '@reboot',
      '@never',
      '? * * * *',
      'x * * * *',
      '2030-01-01T00:00:00',
      '-1 * * * *',
      '* * 0 * *',
    ];
    expect(refused.filter((cron) => cronProblem(cron) === null)).toEqual([]);
    expect(cronProblem('0 0 3 * * *')).toContain('6 fields, not 5');
    expect(cronProblem(`${'1,'.repeat(400)}1 * * * *`)).toContain('500 characters');
  });
});

describe('an interval', () => {
  test('is due whole intervals behind its anchor, and at it', () => {
    const due = nextAfterOf({ everyMs: 900_000, anchorAt: 1_000 }, 0);
    expect([0, 1_000, 1_001, 900_999, 901_000].map(due)).toEqual([1_000, 901_000, 901_000, 901_000, 1_801_000]);
    expect(due(8_640_000_000_000_000)).toBeNull();
  });
});

describe('a workflow with a schedule', () => {
  const problems = (schedule: unknown): string => {
    try {
      workflow({ name: 'w', schedule: schedule as never }, () => ({}));
    } catch (error) {
      if (isPawlError(error, 'BUILD_INVALID')) return error.message;
      throw error;
    }
    return '';
  };

  test.each([
    [{ cron: '0 0 30 2 *', tz: 'UTC' }, 'never due'],
    [{ cron: '30 2 * 3 0#2', tz: 'America/New_York', dst: { gap: 'skip' } }, 'never due'],
    [{ cron: '0 0 * * *' }, 'tz: must be a time zone'],
    [{ cron: '0 0 * * *', tz: 'Mars/Base' }, 'tz: must be a time zone'],
    [{ cron: '0 0 * * *', tz: '+01:00' }, 'tz: must be a time zone'],
    [{ cron: '0 0 0 * * *', tz: 'UTC' }, '6 fields'],
    [{ cron: 5, tz: 'UTC' }, 'must be a cron expression, not 5'],
    [{ tz: 'UTC' }, 'give cron and tz, or every'],
    [{ cron: '0 0 * * *', tz: 'UTC', every: '1h' }, 'not both'],
    [{ every: '1h', tz: 'UTC' }, 'belongs to cron'],
    [{ every: '10ms' }, 'at least a second'],
    [{ every: -1 }, 'at least a second'],
    [{ every: Number.NaN }, 'at least a second'],
    [{ every: '1h', anchor: 'yesterday' }, 'anchor: must be a Date'],
    [{ every: '1h', overlap: 'queued' }, 'overlap: must be one of allow, skip, queue, cancel_old'],
    [{ every: '1h', catchup: 'some' }, 'catchup: must be one of none, latest, all'],
    [{ every: '1h', window: 0 }, 'window: must be a duration'],
    [{ every: '1h', pauseAfter: 0 }, 'pauseAfter: must be a whole number'],
    [{ every: '1h', dst: 'skip' }, 'dst'],
    [{ cron: '0 0 * * *', tz: 'UTC', dst: { gap: 'jump' } }, 'dst.gap: must be one of shift, skip'],
    [{ every: '1h', ofen: 1 }, 'ofen: there is no such option'],
    [{ every: '1h', name: '' }, 'name must not be empty'],
    [[{ every: '1h' }, { every: '2h' }], 'two schedules are called "w"'],
    [{ every: '1h', input: { f: Symbol('x') } }, 'input'],
    ['hourly', 'must be an object'],
  ])('%j is refused when it is defined: %s', (schedule, words) => {
    expect(problems(schedule)).toContain(words);
  });

  test('has all its problems in one message', () => {
    const text = problems([{ cron: 'x', tz: 'y', overlap: 'z' }, { every: 0 }]);
    for (const words of ['schedule[0].cron', 'schedule[0].tz', 'schedule[0].overlap', 'schedule[1].every']) expect(text).toContain(words);
  });
});
