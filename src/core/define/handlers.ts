/** What a builder makes beside a task: the handlers that serve it, and the brackets of `w.using`. */
import { settledNow, type Building, type Call } from './building.ts';
import { checkKeys, isBag } from './contract.ts';
import type { BodyTask, HandlerTask, Role } from '../graph/graph.ts';
import { shown } from '../graph/problems.ts';
import { refInfo } from './refs.ts';
import { isTask } from './task.ts';
import type { AnyTask, Body, NodeCode, RefBase } from '../types/types.ts';

type Bag = Readonly<Record<string, unknown>>;

/** The id of a handler is that of its task with this behind it; another task of that id is a duplicate. */
const HANDLER_SUFFIX: Readonly<Record<Role, string>> = { teardown: 'teardown', catch: 'catch', compensation: 'compensate' };

/** So long an attempt of a teardown may take, whatever the run's own time. */
export const TEARDOWN_GRACE = '5m';

const USING_OPTIONS = ['setup', 'teardown', 'input', 'after', 'grace', 'failRun'];

/** A task, or a function; undefined (reported) where it is neither. */
function handlerOf(value: unknown, name: string, call: Call): { readonly task?: AnyTask; readonly code: Partial<NodeCode> } | undefined {
  if (isTask(value)) {
    const { run, input, output } = value;
    return { task: value, code: { task: value, ...(run ? { run } : {}), ...(input ? { input } : {}), ...(output ? { output } : {}) } };
  }
  if (typeof value === 'function' && refInfo(value) === undefined) return { code: { run: value as Body<unknown, unknown> } };
  call.report('bad_type', `${name} must be a task or a function, not ${refInfo(value) === undefined ? shown(value) : 'a ref'}`);
  return undefined;
}

interface Handler {
  readonly role: Role;
  readonly value: unknown;
  /** Of a `catch`: what it gives must fit it, unless it is a task that has a schema of its own. */
  readonly output?: NodeCode['output'] | undefined;
  readonly grace?: unknown;
  readonly failRun?: boolean;
}

function addHandler(building: Building, served: Call, { role, value, output, grace, failRun }: Handler): void {
  const made = handlerOf(value, role === 'compensation' ? 'compensate' : role, served);
  const call = building.call(role, `${served.id}.${HANDLER_SUFFIX[role]}`, 'task');
  if (made === undefined) return;
  const { task, code } = made;
  const isTimed = role === 'teardown' && (grace !== undefined || task?.options.timeout === undefined);
  const options = isTimed ? { timeout: { attempt: (grace ?? TEARDOWN_GRACE) as never } } : {};
  const { contract, rules } = building.contract(options, served, task);
  const handler: HandlerTask = {
    id: call.id,
    kind: 'handler',
    role,
    of: served.id,
    ...(task ? { task: task.name } : {}),
    ...(failRun ? { failRun: true } : {}),
    contract,
  };
  building.addHandler(handler, { ...(role === 'catch' && output ? { output } : {}), ...code, rules }, call.site);
}

/** The handlers that stand among a task's options. */
export function addOwnHandlers(building: Building, call: Call, opts: Bag, output: NodeCode['output']): void {
  if (opts['catch'] !== undefined) addHandler(building, call, { role: 'catch', value: opts['catch'], output });
  if (opts['compensate'] !== undefined) addHandler(building, call, { role: 'compensation', value: opts['compensate'] });
}

/** A part of the graph between a setup and its teardown. */
export function using(building: Building, { id, opts: given, body }: { id: unknown; opts: unknown; body: unknown }): unknown {
  const opts: Bag = isBag(given) ? given : {};
  const call = building.call('using', id, 'setup');
  const ref = (): RefBase<unknown> => building.ref({ kind: 'task', id: call.id });
  if (!isBag(given)) call.report('bad_type', `w.using takes { setup, teardown } as its second argument, not ${shown(given)}`);
  checkKeys(opts, USING_OPTIONS, '', (code, _at, message) => call.report(code, message));
  const isBody = typeof body === 'function' && refInfo(body) === undefined;
  if (!isBody) call.report('bad_type', `w.using takes a function that makes the tasks inside as its third argument, not ${shown(body)}`);
  const { failRun, grace } = opts;
  if (failRun !== undefined && typeof failRun !== 'boolean')
    call.report('bad_type', `failRun must be true or false, not ${shown(failRun)}`);
  addSetup(building, call, opts);
  addHandler(building, call, { role: 'teardown', value: opts['teardown'], grace, failRun: failRun === true });
  if (!isBody) return ref();
  return building.bracket(call.id, () => settledNow((body as (value: unknown) => unknown)(ref()), `${call.name}: its function`));
}

function addSetup(building: Building, call: Call, opts: Bag): void {
  const made = handlerOf(opts['setup'], 'setup', call);
  const { contract, rules } = building.contract({}, call, made?.task);
  const after = building.after(opts['after'], call);
  const setup: BodyTask = {
    id: call.id,
    ...(after.length === 0 ? {} : { after }),
    kind: 'task',
    ...(made?.task ? { task: made.task.name } : {}),
    input: building.expr(opts['input'] ?? {}, 'input', call),
    contract,
  };
  building.add(setup, { ...made?.code, rules }, call.site);
}
