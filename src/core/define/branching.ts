/** The verbs `when` and `switch`, a decision, the branches that hang on it, and their result (docs/adr/0006); and `first`. */
import { membersOf, settledNow, type Building, type Call } from './building.ts';
import { isBag } from './contract.ts';
import {
  DEFAULT_CASE,
  type CaseData,
  type CaseKey,
  type DecisionTask,
  type FirstTask,
  type RefExpr,
  type SwitchTask,
} from '../graph/graph.ts';
import { refInfo } from './refs.ts';
import type { NodeCode } from '../types/types.ts';
import { bagOf, checkOptions, common, isFunction, naming, type Ref } from './verbs.ts';

const WHEN_OPTIONS = ['id', 'after', 'join'];
const SWITCH_OPTIONS = [...WHEN_OPTIONS, 'default'];

type Predicate = NonNullable<NodeCode['when']>;
type Make = () => unknown;

export function when(building: Building, on: unknown, test: unknown, [yes, third, fourth]: readonly unknown[]): Ref {
  const no = isFunction(third) ? third : undefined;
  const options = fourth ?? (no ? undefined : third);
  const opts = bagOf(options);
  const call = building.call('when', opts['id'] ?? 'when', 'when');
  checkOptions(options, WHEN_OPTIONS, call);
  if (!isFunction(test)) call.report('bad_type', `w.when takes a predicate as its second argument, not ${naming(test)}`);
  if (!isFunction(yes)) call.report('bad_type', `w.when takes a function that makes the branch as its third argument, not ${naming(yes)}`);
  const input = building.expr(on, 'the value it decides on', call);
  building.add({ ...common(building, opts, call), kind: 'when', input }, { when: test as Predicate, rules: [] }, call.site);
  return result(building, call, 'when', [[true, isFunction(yes) ? yes : () => null], ...(no ? [[false, no] as const] : [])]);
}

export function switchOf(building: Building, on: unknown, given: unknown, options: unknown): Ref {
  const opts = bagOf(options);
  const call = building.call('switch', opts['id'] ?? 'switch', 'switch');
  checkOptions(options, SWITCH_OPTIONS, call);
  const input = building.expr(on, 'the value it decides on', call);
  const cases = casesOf(given, call);
  const otherwise = defaultOf(opts['default'], call);
  if (cases.length === 0) return building.ref({ kind: 'lost' });
  const made: SwitchTask = {
    ...common(building, opts, call),
    kind: 'switch',
    input,
    cases: cases.map(({ name }) => name),
    ...(otherwise === undefined ? {} : { default: otherwise === 'skip' ? 'skip' : 'branch' }),
  };
  building.add(made, { cases: cases.map(({ name, test }) => ({ name, test })), rules: [] }, call.site);
  const branches = cases.map(({ name, make }) => [name, make] as const);
  return result(building, call, 'switch', isFunction(otherwise) ? [...branches, [DEFAULT_CASE, otherwise]] : branches);
}

export function first(building: Building, given: unknown, options: unknown): Ref {
  const call = building.call('first', bagOf(options)['id'] ?? 'first', 'first');
  checkOptions(options, ['id'], call);
  if (!isBag(given) || Object.keys(given).length === 0) {
    const what = isBag(given) ? 'an empty one' : naming(given);
    call.report('bad_type', `w.first takes an object of refs, { name: ref, … }, not ${what}`);
    return building.ref({ kind: 'lost' });
  }
  const parts = Object.entries(given).map(([name, part]): FirstTask['parts'][number] => {
    const kind = refInfo(part)?.source.kind;
    if (kind !== 'task' && kind !== 'lost')
      call.report('bad_type', `${JSON.stringify(name)} must be the ref of a task, or of a part of its output, not ${naming(part)}`);
    return { name, value: building.expr(part, `part ${name}`, call) as RefExpr };
  });
  // A part that was refused has no expression that could be one.
  const good = parts.filter(({ value }) => value !== null && typeof value === 'object' && '$ref' in value);
  if (good.length < parts.length) return building.ref({ kind: 'lost' });
  building.add({ id: call.id, kind: 'first', parts }, undefined, call.site);
  return building.ref({ kind: 'task', id: call.id });
}

function casesOf(given: unknown, call: Call): { name: string; test: Predicate; make: Make }[] {
  if (!isBag(given) || Object.keys(given).length === 0) {
    const what = isBag(given) ? 'an empty one' : naming(given);
    call.report('bad_type', `w.switch takes its cases as an object, { name: [predicate, () => branch], … }, not ${what}`);
    return [];
  }
  return Object.entries(given).map(([name, one]) => {
    const [test, make]: readonly unknown[] = Array.isArray(one) ? one : [];
    const isPair = Array.isArray(one) && one.length === 2 && isFunction(test) && isFunction(make);
    if (!isPair) call.report('bad_type', `the case ${JSON.stringify(name)} must be [predicate, () => branch], not ${naming(one)}`);
    // Such keys of an object come before all others, in the order of numbers: not in the order in which they were written.
    if (/^(0|[1-9]\d*)$/.test(name))
      call.report('bad_name', `the case ${JSON.stringify(name)} must not be a number: JavaScript would put it before the others`);
    return { name, test: test as Predicate, make: isPair ? make : () => null };
  });
}

function defaultOf(given: unknown, call: Call): Make | 'skip' | undefined {
  if (given === undefined || given === 'skip' || isFunction(given)) return given;
  call.report('bad_type', `default must be a function that makes a branch, or 'skip', not ${naming(given)}`);
  return 'skip';
}

/** Makes the branches, and the task that stands for their result. */
function result(building: Building, call: Call, verb: DecisionTask['kind'], branches: readonly (readonly [CaseKey, Make])[]): Ref {
  const cases = branches.map(([is, make]): CaseData => {
    const { value, made } = building.branch(call.id, is, () =>
      building.expr(settledNow(make(), `${call.name}: a branch`), "the branch's value", call),
    );
    return { is, value, members: membersOf(made, value, building.tasks) };
  });
  const { id } = building.call(verb, `${call.id}.result`, verb);
  building.add({ id, kind: 'branch', when: call.id, cases }, undefined, call.site);
  return building.ref({ kind: 'task', id });
}
