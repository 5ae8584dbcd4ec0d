/** The options that say what an attempt needs beside a free slot: checked, and brought into the form of graph.ts. */
import type { ContractData, Expr, KeyData, OnLimit, RateData } from '../graph/graph.ts';
import { nameProblem, shown, type Report } from '../graph/problems.ts';
import type { TaskOpts } from '../types/types.ts';

type Bag = Readonly<Record<string, unknown>>;
type Needs = Pick<ContractData, 'queue' | 'pools' | 'concurrency' | 'rate'>;

export const DEFAULT_QUEUE = 'default';
export const MAX_UNITS = 1_000_000;
const ON_LIMIT: readonly OnLimit[] = ['queue', 'cancel_new', 'cancel_old', 'fail'];
const KEY_OPTIONS = ['key', 'limit', 'onLimit', 'order'];
const UNITS = { s: 1_000, m: 60_000, h: 3_600_000 } as const;

/** As for the other options: what a graph says replaces what the task says, pools pool by pool. */
export function mergeNeeds(base: TaskOpts, over: TaskOpts): TaskOpts {
  const pools = isBag(base.pools) && isBag(over.pools) ? { ...base.pools, ...over.pools } : (over.pools ?? base.pools);
  const { queue = base.queue, concurrency = base.concurrency, rate = base.rate } = over;
  return {
    ...(queue === undefined ? {} : { queue }),
    ...(pools === undefined ? {} : { pools }),
    ...(concurrency === undefined ? {} : { concurrency }),
    ...(rate === undefined ? {} : { rate }),
  };
}

export function needsOf(bag: Bag, report: Report): Needs {
  const queue = queueOf(bag['queue'], report);
  const pools = poolsOf(bag['pools'], report);
  const concurrency = keyOf(bag['concurrency'], report);
  const rate = rateOf(bag['rate'], report);
  return {
    ...(queue === undefined || queue === DEFAULT_QUEUE ? {} : { queue }),
    ...(pools === undefined ? {} : { pools }),
    ...(concurrency === undefined ? {} : { concurrency }),
    ...(rate === undefined ? {} : { rate }),
  };
}

function queueOf(value: unknown, report: Report): string | undefined {
  if (value === undefined) return undefined;
  const wrong = nameProblem(value);
  if (wrong !== null) report('bad_option', ['queue'], `queue ${wrong}`);
  return wrong === null ? (value as string) : undefined;
}

function poolsOf(value: unknown, report: Report): Readonly<Record<string, number>> | undefined {
  if (value === undefined) return undefined;
  if (!isBag(value)) {
    report('bad_option', ['pools'], `pools: must be an object of units by name, { db: 1 }, not ${shown(value)}`);
    return undefined;
  }
  const pools = Object.entries(value).filter(([name, units]) => {
    const wrong = nameProblem(name);
    if (wrong !== null) report('bad_option', ['pools'], `the pool ${shown(name)}: its name ${wrong}`);
    if (!isUnits(units))
      report('bad_option', ['pools', name], `pools.${name}: must be a whole number from 1 to ${MAX_UNITS}, not ${shown(units)}`);
    return wrong === null && isUnits(units);
  });
  return pools.length === 0 ? undefined : (Object.fromEntries(pools) as Record<string, number>);
}

export const isUnits = (value: unknown): value is number =>
  Number.isSafeInteger(value) && (value as number) >= 1 && (value as number) <= MAX_UNITS;

/** `concurrency`: a number, or a key with its limit. What the key is made of, the caller has turned into an expression. */
export function keyOf(value: unknown, report: Report): KeyData | undefined {
  if (value === undefined) return undefined;
  const bag = isBag(value) ? value : { limit: value };
  for (const name of Object.keys(bag)) {
    if (!KEY_OPTIONS.includes(name))
      report('bad_option', ['concurrency', name], `concurrency.${name}: there is no such option; known are ${KEY_OPTIONS.join(', ')}`);
  }
  const { key, limit, onLimit = 'queue', order } = bag;
  if (!isUnits(limit)) {
    const where = isBag(value) ? 'concurrency.limit' : 'concurrency';
    report('bad_option', ['concurrency'], `${where}: must be a whole number from 1 to ${MAX_UNITS}, not ${shown(limit)}`);
  }
  if (!ON_LIMIT.includes(onLimit as OnLimit))
    report('bad_option', ['concurrency', 'onLimit'], `concurrency.onLimit: must be ${ON_LIMIT.join(', ')}, not ${shown(onLimit)}`);
  if (order !== undefined && order !== 'serial')
    report('bad_option', ['concurrency', 'order'], `concurrency.order: must be 'serial' where it is given, not ${shown(order)}`);
  if (order === 'serial' && onLimit !== 'queue')
    report(
      'bad_option',
      ['concurrency', 'order'],
      `concurrency.order: 'serial' is an order of what waits, so onLimit cannot be ${shown(onLimit)}`,
    );
  if (key !== undefined && (typeof key !== 'string' || key === '') && !isBag(key))
    report('bad_option', ['concurrency', 'key'], `concurrency.key: must be a text or a ref that gives one, not ${shown(key)}`);
  return {
    ...(key === undefined ? {} : { key: key as Expr }),
    limit: isUnits(limit) ? limit : 1,
    onLimit: onLimit as OnLimit,
    ...(order === 'serial' ? { serial: true as const } : {}),
  };
}

function rateOf(value: unknown, report: Report): RateData | undefined {
  if (value === undefined) return undefined;
  const rate = parseRate(value);
  if (rate !== null) return rate;
  const wrong = typeof value === 'string' && value.includes('/') ? 'is no rate' : nameProblem(value);
  if (wrong === null) return { name: value as string };
  report('bad_option', ['rate'], `rate: must be a text such as '10/s', '600/m', '100/h', or the name of a rate, not ${shown(value)}`);
  return undefined;
}

/** `'10/s'` as data; null where it is none. */
export function parseRate(value: unknown): { readonly count: number; readonly perMs: number } | null {
  const match = typeof value === 'string' ? /^([1-9]\d{0,6})\/(s|m|h)$/.exec(value) : null;
  if (match === null) return null;
  return { count: Number(match[1]), perMs: UNITS[match[2] as keyof typeof UNITS] };
}

/** The rate as a person writes it. */
export function rateText({ count, perMs }: { readonly count: number; readonly perMs: number }): string {
  const unit = Object.entries(UNITS).find(([, ms]) => ms === perMs)?.[0];
  return unit === undefined ? `${count}/${perMs}ms` : `${count}/${unit}`;
}

function isBag(value: unknown): value is Bag {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
