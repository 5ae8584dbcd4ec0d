/** A contract's options: checked, and brought into the form of graph.ts. */
import { tryDurationMs } from '../duration.ts';
import type { ContractData, Effects, RetryData, RetryRuleData, RunRetryData, TimeoutData } from '../graph/graph.ts';
import { mergeNeeds, needsOf } from './needs-options.ts';
import { shown, type Report } from '../graph/problems.ts';
import type { RulePredicate, TaskOpts } from '../types/types.ts';

export interface Contract {
  readonly contract: ContractData;
  readonly rules: readonly RulePredicate[];
}

type Bag = Readonly<Record<string, unknown>>;
type Backoff = Pick<RetryRuleData, 'initialMs' | 'factor' | 'maxDelayMs'>;

export const TASK_OPTIONS = ['retry', 'timeout', 'effects', 'priority', 'queue', 'pools', 'concurrency', 'rate', 'cache'] as const;
const RETRY_OPTIONS = ['maxAttempts', 'initial', 'factor', 'maxDelay', 'jitter', 'maxElapsed', 'on'];
const RUN_RETRY_OPTIONS = ['maxAttempts', 'initial', 'factor', 'maxDelay', 'jitter'];
const RULE_OPTIONS = ['match', 'retries', 'initial', 'factor', 'maxDelay', 'action'];
const TIMEOUT_OPTIONS = ['queue', 'attempt', 'heartbeat', 'total'];
const EFFECTS: readonly Effects[] = ['none', 'idempotent', 'unsafe'];
const JITTERS: readonly RetryData['jitter'][] = ['none', 'full', 'equal'];

export const DEFAULTS = { maxAttempts: 3, initialMs: 1_000, factor: 2, maxDelayMs: 300_000, attemptMs: 600_000 };
const MAX_PRIORITY = 1_000_000;

/** Options of a graph's task over those of its contract: `retry` and `timeout` field by field, a list of rules as a whole. */
export function mergeOpts(base: TaskOpts, over: TaskOpts): TaskOpts {
  const retry = isBag(base.retry) && isBag(over.retry) ? { ...base.retry, ...over.retry } : (over.retry ?? base.retry);
  const below = isBag(base.timeout) || base.timeout === undefined ? base.timeout : { attempt: base.timeout };
  const above = isBag(over.timeout) || over.timeout === undefined ? over.timeout : { attempt: over.timeout };
  const timeout = isBag(below) && isBag(above) ? { ...below, ...above } : (above ?? below);
  const effects = over.effects ?? base.effects;
  const priority = over.priority ?? base.priority;
  const cache = over.cache ?? base.cache;
  return {
    ...mergeNeeds(base, over),
    ...(retry === undefined ? {} : { retry }),
    ...(timeout === undefined ? {} : { timeout }),
    ...(effects === undefined ? {} : { effects }),
    ...(priority === undefined ? {} : { priority }),
    ...(cache === undefined ? {} : { cache }),
  };
}

/** The options as data; whatever is wrong with them is reported, and a default stands in. */
export function contractOf(options: TaskOpts, report: Report): Contract {
  const bag = options as Bag;
  const effects = oneOf(bag['effects'], EFFECTS, 'effects', report) ?? 'idempotent';
  const { retry, rules } = retryOf(bag['retry'], effects, report);
  const priority = bag['priority'];
  const isPriority = Number.isSafeInteger(priority) && Math.abs(priority as number) <= MAX_PRIORITY;
  if (priority !== undefined && !isPriority) {
    report(
      'bad_option',
      ['priority'],
      `priority: must be a whole number between -${MAX_PRIORITY} and ${MAX_PRIORITY}, not ${shown(priority)}`,
    );
  }
  const timeout = timeoutOf(bag['timeout'], report);
  const cache = cacheOf(bag['cache'], effects, report);
  return {
    contract: { effects, retry, timeout, ...(isPriority ? { priority: priority as number } : {}), ...cache, ...needsOf(bag, report) },
    rules,
  };
}

function cacheOf(value: unknown, effects: Effects, report: Report): Pick<ContractData, 'cache'> {
  if (value === undefined) return {};
  const bag = bagOf(value, 'cache', report);
  checkKeys(bag, ['ttl'], 'cache.', under(report, 'cache'));
  const ttlMs = duration(bag['ttl'], ['cache', 'ttl'], report);
  if (isBag(value) && bag['ttl'] === undefined) report('bad_option', ['cache', 'ttl'], 'cache.ttl: needed: how long an output is kept');
  if (effects !== 'none') {
    report('bad_option', ['cache'], `cache: only a task with effects: 'none' may be cached; of this one they are '${effects}'`);
  }
  return ttlMs === undefined ? {} : { cache: { ttlMs } };
}

/** Reports keys that no option has. */
export function checkKeys(bag: object, known: readonly string[], where: string, report: Report): void {
  for (const key of Object.keys(bag)) {
    if (known.includes(key)) continue;
    report('bad_option', [key], `${where}${key}: there is no such option; known are ${known.join(', ')}`);
  }
}

function retryOf(value: unknown, effects: Effects, report: Report): { retry: RetryData; rules: RulePredicate[] } {
  const bag = bagOf(value, 'retry', report);
  checkKeys(bag, RETRY_OPTIONS, 'retry.', under(report, 'retry'));
  const given = wholeNumber(bag['maxAttempts'], 1, ['retry', 'maxAttempts'], report);
  const backoff = backoffOf(
    bag,
    ['retry'],
    { initialMs: DEFAULTS.initialMs, factor: DEFAULTS.factor, maxDelayMs: DEFAULTS.maxDelayMs },
    report,
  );
  const maxElapsedMs = duration(bag['maxElapsed'], ['retry', 'maxElapsed'], report);
  const { on, rules } = rulesOf(bag['on'], backoff, report);
  const retry: RetryData = {
    maxAttempts: given ?? (effects === 'unsafe' ? 1 : DEFAULTS.maxAttempts),
    capped: given !== undefined || on.length === 0,
    ...backoff,
    jitter: oneOf(bag['jitter'], JITTERS, 'retry.jitter', report) ?? 'full',
    ...(maxElapsedMs === undefined ? {} : { maxElapsedMs }),
    on,
  };
  return { retry, rules };
}

/** The retry of a run as a whole: rules over errors have no place in it. */
export function runRetryOf(value: unknown, report: Report): RunRetryData | undefined {
  if (value === undefined) return undefined;
  if (isBag(value)) checkKeys(value, RUN_RETRY_OPTIONS, 'retry.', under(report, 'retry'));
  const plain = isBag(value)
    ? Object.fromEntries(RUN_RETRY_OPTIONS.flatMap((key) => (value[key] === undefined ? [] : [[key, value[key]]])))
    : value;
  const { maxAttempts, initialMs, factor, maxDelayMs, jitter } = retryOf(plain, 'idempotent', report).retry;
  return { maxAttempts, initialMs, factor, maxDelayMs, jitter };
}

function backoffOf(bag: Bag, path: readonly (string | number)[], defaults: Backoff, report: Report): Backoff {
  const { factor } = bag;
  const isFactor = typeof factor === 'number' && Number.isFinite(factor) && factor >= 1;
  if (factor !== undefined && !isFactor) {
    report('bad_option', [...path, 'factor'], `${dotted(path)}.factor: must be a number from 1 on, not ${shown(factor)}`);
  }
  const initialMs = duration(bag['initial'], [...path, 'initial'], report) ?? defaults.initialMs;
  const maxDelayMs = duration(bag['maxDelay'], [...path, 'maxDelay'], report);
  // Every wait would be cut to a length that stands nowhere.
  if (maxDelayMs === undefined && bag['maxDelay'] === undefined && bag['initial'] !== undefined && initialMs > defaults.maxDelayMs) {
    const most = `maxDelay, which is ${defaults.maxDelayMs} ms where it is not given: give it too`;
    report('bad_option', [...path, 'initial'], `${dotted(path)}.initial: ${shown(bag['initial'])} is above ${most}`);
  }
  return { initialMs, factor: isFactor ? factor : defaults.factor, maxDelayMs: maxDelayMs ?? defaults.maxDelayMs };
}

function rulesOf(value: unknown, backoff: Backoff, report: Report): { on: RetryRuleData[]; rules: RulePredicate[] } {
  if (value === undefined) return { on: [], rules: [] };
  if (!Array.isArray(value)) {
    report('bad_option', ['retry', 'on'], `retry.on: must be a list of rules, not ${shown(value)}`);
    return { on: [], rules: [] };
  }
  const on = (value as unknown[]).map((rule, i) => ruleOf(rule, ['retry', 'on', i], backoff, report));
  const rules = (value as unknown[]).map((rule) =>
    isBag(rule) && typeof rule['match'] === 'function' ? (rule['match'] as RulePredicate) : null,
  );
  return { on, rules };
}

function ruleOf(value: unknown, path: readonly (string | number)[], backoff: Backoff, report: Report): RetryRuleData {
  const where = dotted(path);
  if (!isBag(value)) report('bad_option', path, `${where}: must be an object, not ${shown(value)}`);
  const bag: Bag = isBag(value) ? value : {};
  checkKeys(bag, RULE_OPTIONS, `${where}.`, under(report, ...path));
  const { match } = bag;
  if (isBag(value) && typeof match !== 'function' && (typeof match !== 'string' || match === '')) {
    report('bad_option', [...path, 'match'], `${where}.match: must be an error's code or name, or a predicate, not ${shown(match)}`);
  }
  const action = oneOf(bag['action'], ['retry', 'fail'] as const, `${where}.action`, report) ?? 'retry';
  const retries = wholeNumber(bag['retries'], 0, [...path, 'retries'], report);
  if (isBag(value) && action === 'retry' && bag['retries'] === undefined) {
    report('bad_option', [...path, 'retries'], `${where}.retries: needed, unless action is 'fail'`);
  }
  return {
    match: typeof match === 'string' ? match : null,
    action,
    retries: action === 'fail' ? 0 : (retries ?? 0),
    ...backoffOf(bag, path, backoff, report),
  };
}

function timeoutOf(value: unknown, report: Report): TimeoutData {
  if (!isBag(value)) return { attemptMs: duration(value, ['timeout'], report) ?? DEFAULTS.attemptMs };
  checkKeys(value, TIMEOUT_OPTIONS, 'timeout.', under(report, 'timeout'));
  const read = (key: string): number | undefined => duration(value[key], ['timeout', key], report);
  const [queueMs, attemptMs, heartbeatMs, totalMs] = [read('queue'), read('attempt'), read('heartbeat'), read('total')];
  return {
    ...(queueMs === undefined ? {} : { queueMs }),
    attemptMs: attemptMs ?? DEFAULTS.attemptMs,
    ...(heartbeatMs === undefined ? {} : { heartbeatMs }),
    ...(totalMs === undefined ? {} : { totalMs }),
  };
}

/** Undefined where it is not given, or no duration (then it is reported). */
export function duration(value: unknown, path: readonly (string | number)[], report: Report): number | undefined {
  if (value === undefined) return undefined;
  const ms = tryDurationMs(value);
  if (ms === null)
    report('bad_option', path, `${dotted(path)}: must be milliseconds (> 0) or a string such as '90s', '5m', '14d', not ${shown(value)}`);
  return ms ?? undefined;
}

function wholeNumber(value: unknown, min: number, path: readonly (string | number)[], report: Report): number | undefined {
  if (value === undefined) return undefined;
  if (Number.isSafeInteger(value) && (value as number) >= min) return value as number;
  report('bad_option', path, `${dotted(path)}: must be a whole number from ${min} on, not ${shown(value)}`);
  return undefined;
}

function oneOf<T extends string>(value: unknown, known: readonly T[], where: string, report: Report): T | undefined {
  if (value === undefined || known.includes(value as T)) return value as T | undefined;
  report('bad_option', where.split('.'), `${where}: must be ${known.map((each) => `'${each}'`).join(' or ')}, not ${shown(value)}`);
  return undefined;
}

function bagOf(value: unknown, name: string, report: Report): Bag {
  if (value !== undefined && !isBag(value)) report('bad_option', [name], `${name}: must be an object, not ${shown(value)}`);
  return isBag(value) ? value : {};
}

export function isBag(value: unknown): value is Bag {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function under(report: Report, ...root: readonly (string | number)[]): Report {
  return (code, path, message) => report(code, [...root, ...path], message);
}

function dotted(path: readonly (string | number)[]): string {
  return path
    .map((step) => (typeof step === 'number' ? `[${step}]` : `.${step}`))
    .join('')
    .replace(/^\./, '');
}
