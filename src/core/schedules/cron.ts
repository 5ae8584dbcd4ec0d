import { Cron } from 'croner';
import { LAST_INSTANT } from '../duration-text.ts';
import { zoneNamed, type Zone } from './zone.ts';

/** What a zone's changes of the clocks do to a time of day: one that does not exist that day, and one that exists twice. */
export interface DstRule {
  /** `'shift'`: the first instant after the gap. */
  readonly gap: 'shift' | 'skip';
  readonly repeat: 'first' | 'both';
}

export interface CronRule extends DstRule {
  readonly cron: string;
  readonly tz: string;
}

export interface IntervalRule {
  readonly everyMs: number;
  /** Due are this instant and those that lie whole intervals behind it. Null: when the schedule was made. */
  readonly anchorAt: number | null;
}

/** When a schedule is due, as data. */
export type ScheduleRule = CronRule | IntervalRule;

/** The first due instant after an instant; null where there is none any more. */
export type NextAfter = (at: number) => number | null;

/** What recurs at all does so within this time: a 29 February on a given weekday across 2100 takes 40 years. */
const HORIZON_MS = 60 * 366 * 86_400_000;

/** Due instants of a rule. `madeAt` is what an interval without an anchor counts from. Throws where the rule is none. */
export function nextAfterOf(rule: ScheduleRule, madeAt: number): NextAfter {
  if ('everyMs' in rule) return intervalNext(rule.everyMs, rule.anchorAt ?? madeAt);
  const zone = zoneNamed(rule.tz);
  const problem = cronProblem(rule.cron);
  if (zone === null || problem !== null) throw new RangeError(problem ?? `there is no time zone ${rule.tz}`);
  const times = localTimes(rule.cron);
  return (at) => cronNext(times, zone, rule, at);
}

function intervalNext(everyMs: number, anchorAt: number): NextAfter {
  return (at) => {
    const next = at < anchorAt ? anchorAt : anchorAt + (Math.floor((at - anchorAt) / everyMs) + 1) * everyMs;
    return next > LAST_INSTANT ? null : next;
  };
}

const NICKNAME = /^@(yearly|annually|monthly|weekly|daily|midnight|hourly)$/i;

/** What is wrong with a cron expression; null for a good one. Says nothing of whether it is ever due. */
export function cronProblem(cron: string): string | null {
  const fields = cron.trim().split(/\s+/);
  if (cron.length > 500) return 'it is longer than 500 characters';
  if (!NICKNAME.test(cron.trim())) {
    if (fields.length !== 5)
      return `it has ${cron.trim() === '' ? 0 : fields.length} field${fields.length === 1 && cron.trim() !== '' ? '' : 's'}, not 5 (minute, hour, day of month, month, day of week)`;
    // why: the library reads `?` as the moment at which it is asked
    if (cron.includes('?')) return 'it has a ?: write *';
  }
  try {
    pattern(cron);
    return null;
  } catch (error) {
    return error instanceof Error ? error.message.replace(/^CronPattern: /, '') : 'it cannot be read';
  }
}

const pattern = (cron: string): Cron => new Cron(cron.trim(), { utcOffset: 0, mode: '5-part', paused: true });

/** Finds the first time of day after another that fits, by the calendar alone: as if no clock were ever changed. */
type LocalTimes = (after: number) => number | null;

function localTimes(cron: string): LocalTimes {
  const times = pattern(cron);
  return (after) => (Math.abs(after) > LAST_INSTANT ? null : (times.nextRun(new Date(after))?.getTime() ?? null));
}

/**
 * Local times are found by the calendar and carried to UTC stretch by stretch, so that this page, and no default of a library, says what
 * a change of the clocks does. A stretch begins with what a gap before it has shifted; what it repeats of the stretch before is left out
 * unless both are wanted.
 */
function cronNext(times: LocalTimes, zone: Zone, dst: DstRule, at: number): number | null {
  const end = Math.min(LAST_INSTANT, at + HORIZON_MS);
  for (let from = at + 1; from <= end;) {
    const { before, here, until } = zone.around(from);
    const ahead = here.offsetMs - before.offsetMs;
    if (from === here.from && ahead > 0 && dst.gap === 'shift' && isDueIn(times, here.from + before.offsetMs, here.from + here.offsetMs))
      return from;
    // Local time that the stretch before has already had.
    const repeated = ahead < 0 && dst.repeat === 'first' ? here.from + before.offsetMs : -Infinity;
    const local = times(Math.max(from + here.offsetMs, repeated) - 1);
    if (local === null) return null;
    const due = local - here.offsetMs;
    if (due < until) return due > end ? null : due;
    from = until;
  }
  return null;
}

function isDueIn(times: LocalTimes, from: number, to: number): boolean {
  const local = times(from - 1);
  return local !== null && local < to;
}
