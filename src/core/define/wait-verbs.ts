/** The verbs of a builder that make tasks which wait. */
import type { Building, Call } from './building.ts';
import { duration } from './contract.ts';
import type { ApproveTask, Expr, SleepTask, WaitTask } from '../graph/graph.ts';
import { refInfo } from './refs.ts';
import { isSchema, jsonSchemaOf } from '../values/schema.ts';
import { isSignal } from './signal.ts';
import { bagOf, checkOptions, common, isFunction, naming, place, type Bag, type Ref } from './verbs.ts';

const SLEEP_OPTIONS = ['id', 'after', 'join'];
const TIMED_OPTIONS = ['after', 'join', 'timeout', 'onTimeout', 'allowFailure'];
const WAIT_OPTIONS = [...TIMED_OPTIONS, 'id', 'key', 'where'];
const APPROVE_OPTIONS = [...TIMED_OPTIONS, 'who', 'show', 'form', 'onReject'];

export function sleep(building: Building, time: unknown, options: unknown): Ref {
  const opts = bagOf(options);
  const call = building.call('sleep', opts['id'] ?? 'sleep');
  checkOptions(options, SLEEP_OPTIONS, call);
  const made: SleepTask = { ...common(building, opts, call), kind: 'sleep', ...timeOf(building, time, call) };
  return place(building, call, made);
}

function timeOf(building: Building, time: unknown, call: Call): { ms: number } | { until: Expr } {
  if (refInfo(time) !== undefined) return { until: building.expr(time, 'the instant', call) };
  const ms = duration(time ?? null, ['the time'], (code, _at, message) => call.report(code, `${message}, or the ref of a Date`));
  return { ms: ms ?? 1 };
}

export function wait(building: Building, signal: unknown, options: unknown): Ref {
  const opts = bagOf(options);
  const call = building.call('wait', opts['id'] ?? 'wait');
  checkOptions(options, WAIT_OPTIONS, call);
  const { key, where } = opts;
  if (!isSignal(signal)) call.report('bad_type', `w.wait takes a signal, not ${naming(signal)}`);
  if (where !== undefined && !isFunction(where)) call.report('bad_type', `where must be a predicate over a message, not ${naming(where)}`);
  if (!isSignal(signal)) return building.ref({ kind: 'lost' });
  const dataSchema = jsonSchemaOf(signal.schema, 'input');
  const made: WaitTask = {
    ...common(building, opts, call),
    kind: 'wait',
    signal: signal.name,
    ...(key === undefined ? {} : { key: building.expr(key, 'key', call) }),
    ...timed(opts, call),
    ...(where === undefined ? {} : { where: true }),
    ...(dataSchema === undefined ? {} : { dataSchema }),
  };
  const test = where === undefined ? {} : { when: where as (data: unknown) => boolean };
  return place(building, call, made, { signal, output: signal.schema, ...test, rules: [] });
}

export function approve(building: Building, id: unknown, options: unknown): Ref {
  const opts = bagOf(options);
  const call = building.call('approve', id);
  if (options === undefined) call.report('bad_type', 'options are needed: { who: [...] } at least');
  checkOptions(options, APPROVE_OPTIONS, call);
  const { who, show, form, onReject } = opts;
  if (form !== undefined && !isSchema(form)) call.report('bad_type', `form must be a schema, not ${naming(form)}`);
  const formSchema = isSchema(form) ? jsonSchemaOf(form, 'input') : undefined;
  const made: ApproveTask = {
    ...common(building, opts, call),
    kind: 'approve',
    who: Array.isArray(who) ? [...(who as string[])] : (who as never),
    ...(show === undefined ? {} : { show: building.expr(show, 'show', call) }),
    ...timed(opts, call),
    ...missed('onReject', onReject),
    ...(form === undefined ? {} : { form: true }),
    ...(formSchema === undefined ? {} : { formSchema }),
  };
  return place(building, call, made, { ...(isSchema(form) ? { form } : {}), rules: [] });
}

function timed(opts: Bag, call: Call): Pick<WaitTask, 'timeoutMs' | 'onTimeout' | 'allowFailure'> {
  const { timeout, onTimeout, allowFailure } = opts;
  const timeoutMs = duration(timeout, ['timeout'], (code, _at, message) => call.report(code, message));
  return {
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    ...missed('onTimeout', onTimeout),
    ...(allowFailure === undefined || allowFailure === false ? {} : { allowFailure: allowFailure as true }),
  };
}

/** As given: what is wrong with it is found in the finished graph. 'fail' is what stands without it. */
const missed = <K extends string>(name: K, value: unknown): { readonly [_ in K]?: 'skip' } =>
  (value === undefined || value === 'fail' ? {} : { [name]: value }) as { readonly [_ in K]?: 'skip' };
