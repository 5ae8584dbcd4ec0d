import type { Rate } from './capacity.ts';
import { PawlError } from '../errors.ts';
import { FAIR, type Fair } from './fair.ts';
import type { Graph } from '../graph/graph.ts';
import { MAX_UNITS, parseRate } from '../define/needs-options.ts';
import { nameProblem, shown } from '../graph/problems.ts';

export type LimitKind = 'pool' | 'key' | 'rate';
/** Units of a pool, how much of a key at the same time, or a rate. */
export type LimitValue = number | Rate;

export interface LimitName {
  readonly kind: LimitKind;
  readonly name: string;
}

export interface Declared extends LimitName {
  readonly value: LimitValue;
  /** Of a pool: between what its units are handed out in turn. */
  readonly fair?: Fair;
}

/** A pool of which more is said than how many units it has. */
export interface PoolLimit {
  /** How many units there are: a whole number from 0 to 1,000,000. */
  readonly units: number;
  /**
   * `'run'`: units go in turn to the runs that want some, who holds least first, then who has waited longest, so that a run with many tasks does not keep the others waiting.
   * `'key'`: likewise between the concurrency keys of the tasks; tasks without a key count as one. Default: by priority and age alone.
   */
  readonly fair?: Fair;
}

/** By name: units of a pool, or a rate such as '10/s'. */
export type Limits = Readonly<Record<string, number | string | PoolLimit>>;

/** The engine's option as rows. */
export function declaredLimits(limits: Limits | undefined): readonly Declared[] {
  if (limits === undefined) return [];
  if (typeof limits !== 'object' || limits === null || Array.isArray(limits))
    throw new PawlError('CONFIG_OPTION', `limits: must be an object, { db: 5, mail: '10/s' }, not ${shown(limits)}.`);
  return Object.entries(limits).map(([name, value]) =>
    typeof value === 'object' && value !== null ? poolOf(name, value, `limits.${name}`) : limitOf(name, value, 'pool', `limits.${name}`),
  );
}

function poolOf(name: string, value: object, where: string): Declared {
  const wrong: string[] = [];
  const { units, fair, ...rest } = value as Readonly<Record<string, unknown>>;
  const problem = nameProblem(name);
  if (problem !== null) wrong.push(`${where}: the name ${problem}`);
  if (!isAmount(units)) wrong.push(`${where}.units: must be a whole number from 0 to ${MAX_UNITS}, not ${shown(units)}`);
  if (fair !== undefined && !FAIR.includes(fair as Fair))
    wrong.push(`${where}.fair: must be ${FAIR.map((one) => `'${one}'`).join(' or ')} where it is given, not ${shown(fair)}`);
  for (const option of Object.keys(rest)) wrong.push(`${where}.${option}: there is no such option; known are units, fair`);
  if (wrong.length > 0) throw new PawlError('CONFIG_OPTION', `${wrong.join('; ')}.`);
  return { kind: 'pool', name, value: units as number, ...(fair === undefined ? {} : { fair: fair as Fair }) };
}

const isAmount = (value: unknown): value is number =>
  Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= MAX_UNITS;

/** A number is units of a pool or how much of a key, a text a rate. */
export function limitOf(name: string, value: unknown, kind: 'pool' | 'key', where: string): Declared {
  const wrong = nameProblem(name);
  if (wrong !== null) throw new PawlError('CONFIG_OPTION', `${where}: the name ${wrong}.`);
  const rate = parseRate(value);
  if (rate !== null) return { kind: 'rate', name, value: rate };
  if (isAmount(value)) return { kind, name, value };
  throw new PawlError(
    'CONFIG_OPTION',
    `${where}: must be a whole number from 0 to ${MAX_UNITS}, or a rate such as '10/s', not ${shown(value)}.`,
  );
}

/** Refuses workflows that name a pool or a rate which is not declared: their tasks would wait for ever. */
export function checkLimits(workflows: readonly { readonly name: string; readonly graph: Graph }[], limits: readonly Declared[]): void {
  const known = new Set(limits.map(({ kind, name }) => `${kind}:${name}`));
  const missing = workflows.flatMap(({ name, graph }) =>
    graph.tasks.flatMap((task) => {
      if (!('contract' in task)) return [];
      const { pools = {}, rate } = task.contract;
      const named = [
        ...Object.keys(pools).map((pool) => ['pool', pool]),
        ...(rate !== undefined && 'name' in rate ? [['rate', rate.name]] : []),
      ];
      return named.flatMap(([kind, limit]) =>
        known.has(`${kind}:${limit}`) ? [] : [`task ${shown(task.id)} of workflow ${shown(name)} names the ${kind} ${shown(limit)}`],
      );
    }),
  );
  if (missing.length === 0) return;
  throw new PawlError('CONFIG_LIMIT_UNKNOWN', `The engine's limits do not declare what its workflows name:\n  ${missing.join('\n  ')}`);
}
