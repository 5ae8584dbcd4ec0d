import { checkKeys, isBag } from './contract.ts';
import { cronProblem, nextAfterOf, type CronRule, type ScheduleRule } from '../schedules/cron.ts';
import { isDay, LAST_INSTANT, tryDurationMs, type Duration } from '../duration-text.ts';
import { encode } from '../values/codec.ts';
import { nameProblem, shown, type Report } from '../graph/problems.ts';
import { CATCHUPS, OVERLAPS, WINDOW_MS, type Catchup, type Overlap, type SchedulePolicy } from '../schedules/schedule.ts';
import { validate, type Schema } from '../values/schema.ts';
import { zoneNamed } from '../schedules/zone.ts';

interface SchedulePolicyOpts {
  /** Unique in the store. Default: the workflow's name. */
  readonly name?: string;
  /** While a run of an earlier instant is open. Default 'allow'. */
  readonly overlap?: Overlap;
  /** Instants that passed while nobody worked. Default 'latest'. */
  readonly catchup?: Catchup;
  /** What was due longer ago is not caught up. Default 1 day. */
  readonly window?: Duration;
  /** Pauses itself after so many failed runs in a row. Default: never. */
  readonly pauseAfter?: number;
}

interface CronOpts {
  /** Five fields: minute, hour, day of month, month, day of week; or @hourly, @daily, @weekly, @monthly, @yearly. */
  readonly cron: string;
  /** Zone of the IANA database, such as 'Europe/Oslo', or 'UTC'. */
  readonly tz: string;
  /** A time that does not exist, or exists twice, when clocks are changed. Default: the first instant after the gap, the first of the two. */
  readonly dst?: { readonly gap?: 'shift' | 'skip'; readonly repeat?: 'first' | 'both' };
  readonly every?: undefined;
  readonly anchor?: undefined;
}

interface IntervalOpts {
  /** At least a second. */
  readonly every: Duration;
  /** Due are this instant and those whole intervals behind it. Default: when the schedule was made; then the first is one interval later. */
  readonly anchor?: Date | string;
  readonly cron?: undefined;
  readonly tz?: undefined;
  readonly dst?: undefined;
}

/** When runs are started: by cron in a time zone, or at an interval. */
export type ScheduleTiming = (CronOpts | IntervalOpts) & SchedulePolicyOpts;

/** Of a workflow with input: a value, or a function of the due instant. */
export type ScheduleOpts<I> = ScheduleTiming & { readonly input: I | ((dueAt: Date) => I | Promise<I>) };

/** Of a workflow with input: one schedule, or several, each with a name. */
export type Scheduled<I> = ScheduleOpts<I> | readonly ScheduleOpts<I>[];
/** Of a workflow without. */
export type ScheduledPlain = ScheduleTiming | readonly ScheduleTiming[];

/** A schedule as a workflow declares it, checked. */
export interface DeclaredSchedule {
  readonly name: string;
  readonly rule: ScheduleRule;
  readonly policy: SchedulePolicy;
  /** A value, or a function of the due instant. */
  readonly input: unknown;
}

const KEYS = ['name', 'cron', 'tz', 'dst', 'every', 'anchor', 'input', 'overlap', 'catchup', 'window', 'pauseAfter'];
const LEAST_INTERVAL_MS = 1_000;
/** Where the search for a first due instant begins: what is never due after this is never due. */
const ANY_DAY = Date.UTC(2020, 0, 1);

/** The option `schedule` of a workflow. Reports what is wrong with it. */
export function declaredSchedules(
  value: unknown,
  { workflow, schema }: { workflow: string; schema: Schema | undefined },
  report: Report,
): DeclaredSchedule[] {
  if (value === undefined) return [];
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (list.length > 100) report('too_large', ['schedule'], `schedule: at most 100, not ${list.length}`);
  const seen = new Set<string>();
  return list.slice(0, 100).flatMap((one, i) => {
    const at = Array.isArray(value) ? `schedule[${i}]` : 'schedule';
    const declared = declaredSchedule(one, { at, name: workflow }, report);
    if (declared === null) return [];
    if (seen.has(declared.name)) report('duplicate_id', [at], `${at}: two schedules are called ${shown(declared.name)}: give each a name`);
    seen.add(declared.name);
    inputProblems(declared.input, schema, at, report);
    return [declared];
  });
}

/** One schedule; null where there is too little to go on. */
export function declaredSchedule(
  value: unknown,
  given: { readonly at: string; readonly name: string; readonly more?: readonly string[] },
  report: Report,
): DeclaredSchedule | null {
  const { at } = given;
  if (!isBag(value)) {
    report('bad_type', [at], `${at}: must be an object such as { cron: '0 3 * * *', tz: 'UTC' }, not ${shown(value)}`);
    return null;
  }
  checkKeys(value, [...KEYS, ...(given.more ?? [])], `${at}.`, report);
  const { name = given.name, input } = value;
  const wrong = nameProblem(name);
  if (wrong !== null) report('bad_name', [at], `${at}.name ${wrong}`);
  const rule = ruleOf(value, at, report);
  const policy = policyOf(value, at, report);
  return rule === null || typeof name !== 'string' ? null : { name, rule, policy, input };
}

/** What can be known of an input before a run begins: a schema that answers only later is asked then. */
function inputProblems(input: unknown, schema: Schema | undefined, at: string, report: Report): void {
  if (typeof input === 'function') return;
  try {
    encode(input, { root: `${at}.input` });
    const checked = schema === undefined ? null : validate(schema, input);
    if (checked === null || !('ok' in checked) || checked.ok) return;
    for (const issue of checked.issues)
      report(
        'bad_option',
        [at],
        `${at}.input: does not fit the workflow's input: ${issue.path === '' ? '' : `${issue.path}: `}${issue.message}`,
      );
  } catch (error) {
    report('not_storable', [at], `${at}.input: ${error instanceof Error ? error.message : 'it cannot be checked'}`);
  }
}

type Bag = Readonly<Record<string, unknown>>;

function ruleOf(value: Bag, at: string, report: Report): ScheduleRule | null {
  const { cron, every } = value;
  if ((cron === undefined) === (every === undefined)) {
    report('bad_option', [at], `${at}: give cron and tz, or every: ${cron === undefined ? 'neither is there' : 'not both'}`);
    return null;
  }
  const others = cron === undefined ? ['tz', 'dst'] : ['anchor'];
  for (const key of others) {
    if (value[key] !== undefined)
      report('bad_option', [at], `${at}.${key}: belongs to ${cron === undefined ? 'cron, not to every' : 'every, not to cron'}`);
  }
  return cron === undefined ? intervalOf(value, at, report) : cronOf(value, at, report);
}

function intervalOf({ every, anchor }: Bag, at: string, report: Report): ScheduleRule | null {
  const everyMs = tryDurationMs(every);
  if (everyMs === null || everyMs < LEAST_INTERVAL_MS) {
    report('bad_option', [at], `${at}.every: must be a duration of at least a second, not ${shown(every)}`);
    return null;
  }
  if (anchor === undefined) return { everyMs, anchorAt: null };
  const anchorAt = instantOf(anchor);
  if (anchorAt === null) {
    report('bad_option', [at], `${at}.anchor: must be a Date or an instant such as '2030-01-01T00:00:00Z', not ${shown(anchor)}`);
    return null;
  }
  return { everyMs, anchorAt };
}

/** Milliseconds of a Date or an ISO text; null for what is none. */
export function instantOf(value: unknown): number | null {
  const isText =
    typeof value === 'string' && isDay(value.slice(0, 10)) && /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d))?$/.test(value);
  const at = value instanceof Date ? value.getTime() : isText ? Date.parse(value) : Number.NaN;
  return Number.isFinite(at) && Math.abs(at) <= LAST_INSTANT ? at : null;
}

function cronOf(value: Bag, at: string, report: Report): CronRule | null {
  const { cron, tz } = value;
  const dst = dstOf(value['dst'], at, report);
  if (typeof cron !== 'string') {
    report('bad_option', [at], `${at}.cron: must be a cron expression, not ${shown(cron)}`);
    return null;
  }
  const wrong = cronProblem(cron);
  if (wrong !== null) report('bad_option', [at], `${at}.cron: ${shown(cron)} is no cron expression: ${wrong}`);
  const isZone = typeof tz === 'string' && zoneNamed(tz) !== null;
  if (!isZone) report('bad_option', [at], `${at}.tz: must be a time zone such as 'Europe/Oslo' or 'UTC', not ${shown(tz)}`);
  if (wrong !== null || !isZone || dst === null) return null;
  const rule: CronRule = { cron: cron.trim(), tz, ...dst };
  if (nextAfterOf(rule, 0)(ANY_DAY) === null) {
    report('bad_option', [at], `${at}.cron: ${shown(cron)} in ${tz} is never due`);
    return null;
  }
  return rule;
}

function dstOf(value: unknown, at: string, report: Report): Pick<CronRule, 'gap' | 'repeat'> | null {
  if (value === undefined) return { gap: 'shift', repeat: 'first' };
  if (!isBag(value)) {
    report('bad_type', [at], `${at}.dst: must be an object such as { gap: 'skip' }, not ${shown(value)}`);
    return null;
  }
  checkKeys(value, ['gap', 'repeat'], `${at}.dst.`, report);
  const gap = oneOf(value['gap'] ?? 'shift', ['shift', 'skip'], `${at}.dst.gap`, report);
  const repeat = oneOf(value['repeat'] ?? 'first', ['first', 'both'], `${at}.dst.repeat`, report);
  return gap === null || repeat === null ? null : { gap, repeat };
}

function policyOf(value: Bag, at: string, report: Report): SchedulePolicy {
  const { window = WINDOW_MS, pauseAfter } = value;
  const windowMs = tryDurationMs(window);
  if (windowMs === null) report('bad_option', [at], `${at}.window: must be a duration such as '1d', not ${shown(window)}`);
  const isCount = typeof pauseAfter === 'number' && Number.isInteger(pauseAfter) && pauseAfter >= 1 && pauseAfter <= 1_000;
  if (pauseAfter !== undefined && !isCount)
    report('bad_option', [at], `${at}.pauseAfter: must be a whole number from 1 to 1000, not ${shown(pauseAfter)}`);
  return {
    overlap: oneOf(value['overlap'] ?? 'allow', OVERLAPS, `${at}.overlap`, report) ?? 'allow',
    catchup: oneOf(value['catchup'] ?? 'latest', CATCHUPS, `${at}.catchup`, report) ?? 'latest',
    windowMs: windowMs ?? WINDOW_MS,
    pauseAfter: isCount ? pauseAfter : null,
  };
}

function oneOf<T extends string>(value: unknown, words: readonly T[], at: string, report: Report): T | null {
  const word = words.find((one) => one === value);
  if (word === undefined) report('bad_option', [at], `${at}: must be one of ${words.join(', ')}, not ${shown(value)}`);
  return word ?? null;
}
