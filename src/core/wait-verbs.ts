/** The verbs of a builder that make tasks which wait. */
import type { Building } from './building.ts';
import { duration } from './contract.ts';
import type { Expr, SleepTask } from './graph.ts';
import { refInfo } from './refs.ts';
import { bagOf, checkOptions, common, place, type Ref } from './verbs.ts';

const SLEEP_OPTIONS = ['id', 'after', 'join'];

export function sleep(building: Building, time: unknown, options: unknown): Ref {
  const opts = bagOf(options);
  const call = building.call('sleep', opts['id'] ?? 'sleep');
  checkOptions(options, SLEEP_OPTIONS, call);
  const made: SleepTask = { ...common(building, opts, call), kind: 'sleep', ...timeOf() };
  return place(building, call, made);

  function timeOf(): { ms: number } | { until: Expr } {
    if (refInfo(time) !== undefined) return { until: building.expr(time, 'the instant', call) };
    const ms = duration(time ?? null, ['the time'], (code, _at, message) => call.report(code, `${message}, or the ref of a Date`));
    return { ms: ms ?? 1 };
  }
}
