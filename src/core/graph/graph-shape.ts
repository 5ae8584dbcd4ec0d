/** The shape of graph data: which values may stand where. Of what others wrote nothing is taken for granted. */
import { checkExpr } from './expr-check.ts';
import { exprRefs } from './expr.ts';
import { HOOK_NAMES, DEFAULT_CASE, FAILURE_POLICIES, PLAIN_JOINS, ROLES, type Expr, type Graph, type GraphTask } from './graph.ts';
import { isUnits } from '../define/needs-options.ts';
import { nameProblem, shown, type Problem, type ProblemCode, type Report } from './problems.ts';
import { pathText } from '../values/path.ts';

type At = readonly (string | number)[];
type Bag = Readonly<Record<string, unknown>>;

interface Context {
  readonly report: Report;
  readonly budget: { left: number };
}

/** True where nothing was reported. */
type Check = (value: unknown, at: At, context: Context) => boolean;

export interface ShapedGraph {
  /** The ids that are there, also of tasks that are otherwise in no good shape. */
  readonly ids: ReadonlyMap<string, number>;
  /** The tasks in good shape, with their place in the graph; of several with one id the first. */
  readonly tasks: readonly { readonly index: number; readonly task: GraphTask }[];
  readonly output: Graph['output'] | undefined;
}

const MAX_TASKS = 100_000;
/** A switch asks its cases one by one, a first looks at all its parts. */
const MAX_CASES = 1_000;
/** A literal in a graph may be as large as a payload; all of them together no larger than a process can hold many times. */
const MAX_VALUES = 5_000_000;

export function shapeOf(graph: unknown, problems: Problem[]): ShapedGraph {
  const report: Report = (code, at, message) => void problems.push({ code, at, message });
  const context: Context = { report, budget: { left: MAX_VALUES } };
  if (!isBag(graph)) {
    report('bad_type', [], `the graph must be an object, not ${shown(graph)}`);
    return { ids: new Map(), tasks: [], output: undefined };
  }
  const { tasks, output, ...rest } = graph;
  checkBag(HEADER, rest, [], context);
  const isOutput = checkExpr(output, ['output'], { ...context, item: false });
  const isList = Array.isArray(tasks) && tasks.length <= MAX_TASKS;
  if (!isList) report('bad_type', ['tasks'], `tasks must be a list of at most ${MAX_TASKS} tasks, not ${shown(tasks)}`);
  const list = isList ? (tasks as readonly unknown[]) : [];
  return { ...shapedTasks(list, context), output: isOutput ? (output as Graph['output']) : undefined };
}

function shapedTasks(list: readonly unknown[], context: Context): Pick<ShapedGraph, 'ids' | 'tasks'> {
  const ids = new Map<string, number>();
  const tasks: { index: number; task: GraphTask }[] = [];
  for (let index = 0; index < list.length; index++) {
    const task: unknown = list[index];
    const isGood = checkTask(task, index, context);
    const id = isBag(task) ? task['id'] : undefined;
    if (typeof id !== 'string') continue;
    const first = ids.get(id);
    if (first !== undefined) {
      context.report('duplicate_id', ['tasks', index, 'id'], `task ${shown(id)}: tasks[${first}] and tasks[${index}] have the same id`);
      continue;
    }
    ids.set(id, index);
    if (isGood) tasks.push({ index, task: task as GraphTask });
  }
  return { ids, tasks };
}

function checkTask(task: unknown, index: number, { report, budget }: Context): boolean {
  if (!isBag(task)) return bad('bad_type', ['tasks', index], `tasks[${index}] must be an object, not ${shown(task)}`, report);
  const { id, kind } = task;
  const name = typeof id === 'string' && id !== '' ? `task ${shown(id)}` : `tasks[${index}]`;
  const inner: Report = (code, at, message) => report(code, ['tasks', index, ...at], `${name}: ${message}`);
  const fields = typeof kind === 'string' && Object.hasOwn(TASKS, kind) ? TASKS[kind as GraphTask['kind']] : undefined;
  if (fields === undefined) return bad('bad_type', ['kind'], `kind must be ${Object.keys(TASKS).join(', ')}, not ${shown(kind)}`, inner);
  return checkBag(fields, task, [], { report: inner, budget });
}

// ---- checks of one value ------------------------------------------------------------------------------------------------------------

const name: Check = (value, at, { report }) => {
  const wrong = nameProblem(value);
  return wrong === null || bad('bad_name', at, `${pathText('', at)} ${wrong}`, report);
};
const text: Check = is((value) => typeof value === 'string' && value !== '', 'a text');
const flag: Check = is((value) => typeof value === 'boolean', 'true or false');
const onlyTrue: Check = is((value) => value === true, 'true where it is given');
const any: Check = () => true;
const expr: Check = (value, at, context) => checkExpr(value, at, { ...context, item: false });
const ref: Check = (value, at, context) =>
  expr(value, at, context) &&
  ((isBag(value) && Object.hasOwn(value, '$ref')) || bad('bad_expr', at, `${pathText('', at)} must be { $ref: … }`, context.report));
const itemExpr: Check = (value, at, context) => checkExpr(value, at, { ...context, item: true });

function is(test: (value: unknown) => boolean, what: string, code: ProblemCode = 'bad_type'): Check {
  return (value, at, { report }) => test(value) || bad(code, at, `${pathText('', at)} must be ${what}, not ${shown(value)}`, report);
}

function whole(min: number): Check {
  return is((value) => Number.isSafeInteger(value) && (value as number) >= min, `a whole number from ${min} on`, 'bad_option');
}

function number(min: number, max: number): Check {
  const range = max === Infinity ? `from ${min} on` : `from ${min} to ${max}`;
  return is(
    (value) => typeof value === 'number' && Number.isFinite(value) && value >= min && value <= max,
    `a number ${range}`,
    'bad_option',
  );
}

function oneOf(...known: readonly (string | number)[]): Check {
  return is(
    (value) => known.includes(value as string),
    known.map((each) => (typeof each === 'string' ? `'${each}'` : each)).join(' or '),
    'bad_option',
  );
}

function listOf(check: Check): Check {
  return (value, at, context) => {
    if (!Array.isArray(value)) return bad('bad_type', at, `${pathText('', at)} must be a list, not ${shown(value)}`, context.report);
    let isGood = true;
    for (let i = 0; i < value.length && --context.budget.left > 0; i++) isGood = check(value[i], [...at, i], context) && isGood;
    return isGood;
  };
}

interface Fields {
  readonly needed: Readonly<Record<string, Check>>;
  readonly also: Readonly<Record<string, Check>>;
}

function bag(needed: Fields['needed'], also: Fields['also'] = {}): Check {
  return (value, at, context) => {
    if (!isBag(value)) return bad('bad_type', at, `${pathText('', at)} must be an object, not ${shown(value)}`, context.report);
    return checkBag({ needed, also }, value, at, context);
  };
}

function checkBag({ needed, also }: Fields, value: Bag, at: At, context: Context): boolean {
  let isGood = true;
  for (const [key, check] of Object.entries(needed)) isGood = check(ownOf(value, key), [...at, key], context) && isGood;
  for (const key of Object.keys(value)) {
    if (Object.hasOwn(needed, key)) continue;
    const check = Object.hasOwn(also, key) ? also[key] : undefined;
    if (check === undefined) isGood = bad('bad_option', [...at, key], `${pathText('', [...at, key])} is not known here`, context.report);
    else if (value[key] !== undefined) isGood = check(value[key], [...at, key], context) && isGood;
  }
  return isGood;
}

function ownOf(value: Bag, key: string): unknown {
  return Object.hasOwn(value, key) ? value[key] : undefined;
}

function isBag(value: unknown): value is Bag {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function bad(code: ProblemCode, at: At, message: string, report: Report): false {
  report(code, at, message);
  return false;
}

// ---- the tables ---------------------------------------------------------------------------------------------------------------------

const join: Check = (value, at, { report }) => {
  if (typeof value === 'string' && (PLAIN_JOINS.some((each) => each === value) || /^at_least\(-?\d{1,9}\)$/.test(value))) return true;
  return bad('unknown_join', at, `there is no join ${shown(value)}; known are ${PLAIN_JOINS.join(', ')} and at_least(k)`, report);
};

const ms = whole(1);

const backoff = { initialMs: ms, factor: number(1, Infinity), maxDelayMs: ms };

const units = is((value) => isUnits(value), 'a whole number of units, from 1 to 1000000', 'bad_option');

const pools: Check = (value, at, context) => {
  if (!isBag(value)) return bad('bad_type', at, `${pathText('', at)} must be an object, not ${shown(value)}`, context.report);
  let isGood = true;
  for (const key of Object.keys(value)) {
    isGood = name(key, [...at, key], context) && isGood;
    isGood = units(value[key], [...at, key], context) && isGood;
  }
  return isGood;
};

/** What a key is made of, where it may read what. */
const keyLimit =
  (key: Check): Check =>
  (value, at, context) => {
    const isGood = bag({ limit: units, onLimit: oneOf('queue', 'cancel_new', 'cancel_old', 'fail') }, { key, serial: onlyTrue })(
      value,
      at,
      context,
    );
    if (!isGood || !isBag(value) || value['serial'] !== true || value['onLimit'] === 'queue') return isGood;
    return bad('bad_option', at, `${pathText('', at)}: serial is an order of what waits, so onLimit must be 'queue'`, context.report);
  };

/** Before a run is admitted there is its input, and nothing else. */
const inputExpr: Check = (value, at, context) => {
  if (!expr(value, at, context)) return false;
  const read = exprRefs(value as Expr)[0];
  return (
    read === undefined || bad('bad_option', at, `${pathText('', at)} reads ${shown(read.id)}; it can read the input only`, context.report)
  );
};

const rate: Check = (value, at, context) =>
  isBag(value) && 'name' in value ? bag({ name })(value, at, context) : bag({ count: whole(1), perMs: ms })(value, at, context);

const contractShape = (key: Check): Check =>
  bag(
    {
      effects: oneOf('none', 'idempotent', 'unsafe'),
      retry: bag(
        {
          ...backoff,
          maxAttempts: whole(1),
          capped: flag,
          jitter: oneOf('none', 'full', 'equal'),
          on: listOf(
            bag({
              ...backoff,
              match: is((value) => value === null || (typeof value === 'string' && value !== ''), 'a text or null'),
              action: oneOf('retry', 'fail'),
              retries: whole(0),
            }),
          ),
        },
        { maxElapsedMs: ms },
      ),
      timeout: bag({ attemptMs: ms }, { queueMs: ms, heartbeatMs: ms, totalMs: ms }),
    },
    {
      priority: is(Number.isSafeInteger, 'a whole number', 'bad_option'),
      queue: name,
      pools,
      concurrency: keyLimit(key),
      rate,
      cache: bag({ ttlMs: ms }),
      inputSchema: any,
      outputSchema: any,
    },
  );

const contractWith = (key: Check): Check => {
  const shape = contractShape(key);
  return (value, at, context) => {
    if (!shape(value, at, context)) return false;
    const { cache, effects } = value as Bag;
    if (cache === undefined || effects === 'none') return true;
    return bad('bad_option', [...at, 'cache'], `only a task with the effects "none" may be cached, not ${shown(effects)}`, context.report);
  };
};

const contract = contractWith(expr);
/** Of a map every item has the same key. */
const mapContract = contractWith(text);

const ofCase: Check = (value, at, context) => typeof value === 'boolean' || name(value, at, context);
const ownCase: Check = (value, at, context) =>
  name(value, at, context) &&
  (value !== DEFAULT_CASE ||
    bad('bad_name', at, `${pathText('', at)} must not be ${shown(value)}: that is the case where none holds`, context.report));
const someOf = (check: Check): Check => {
  const list = listOf(check);
  return (value, at, context) =>
    Array.isArray(value) && (value.length === 0 || value.length > MAX_CASES)
      ? bad('bad_option', at, `${pathText('', at)} must have from 1 to ${MAX_CASES} entries, not ${value.length}`, context.report)
      : list(value, at, context);
};
const branchCase = bag({ is: ofCase, value: expr, members: listOf(text) });

const base = { id: name, kind: any };
const alsoBase = { after: listOf(text), join, if: bag({ when: text, is: ofCase }), using: text };

/** Checked as a graph of its own, where links are checked. */
const subGraph: Check = is(isBag, 'a graph');

const outcomes: Check = (value, at, context) => {
  const isGood = listOf(oneOf('failed', 'cancelled'))(value, at, context);
  if (!isGood || !Array.isArray(value) || (value.length > 0 && new Set(value).size === value.length)) return isGood;
  return bad('bad_option', at, `${pathText('', at)} must name 'failed', 'cancelled', or each of them once`, context.report);
};
const timed = { timeoutMs: ms, onTimeout: oneOf('skip'), allowFailure: onlyTrue };

const HEADER: Fields = {
  needed: { format: oneOf(1), workflow: name },
  also: {
    timeoutMs: ms,
    onDeploy: oneOf('pin'),
    concurrency: keyLimit(inputExpr),
    inputSchema: any,
    failurePolicy: oneOf(...FAILURE_POLICIES),
    compensateOn: outcomes,
    retry: bag({ ...backoff, maxAttempts: whole(1), jitter: oneOf('none', 'full', 'equal') }),
    hooks: bag({}, Object.fromEntries(HOOK_NAMES.map((hook) => [hook, subGraph]))),
  },
};

const TASKS: Readonly<Record<GraphTask['kind'], Fields>> = {
  task: {
    needed: { ...base, input: expr, contract },
    also: { ...alsoBase, task: name, when: onlyTrue, allowFailure: onlyTrue },
  },
  map: {
    needed: { ...base, items: expr, each: itemExpr, maxItems: whole(1), onEmpty: oneOf('success', 'skip') },
    also: {
      ...alsoBase,
      task: name,
      contract: mapContract,
      workflow: name,
      graph: subGraph,
      checked: onlyTrue,
      detached: onlyTrue,
      key: itemExpr,
      when: onlyTrue,
      allowFailure: onlyTrue,
      concurrency: whole(1),
      settle: onlyTrue,
      tolerate: bag({}, { count: whole(0), ratio: number(0, 1) }),
    },
  },
  child: {
    needed: { ...base, workflow: name, input: expr },
    also: { ...alsoBase, checked: onlyTrue, when: onlyTrue, allowFailure: onlyTrue, detached: onlyTrue },
  },
  when: { needed: { ...base, input: expr }, also: alsoBase },
  handler: { needed: { ...base, role: oneOf(...ROLES), of: text, contract }, also: { task: name, failRun: onlyTrue } },
  wait: {
    needed: { ...base, signal: name },
    also: { ...alsoBase, ...timed, key: expr, where: onlyTrue, dataSchema: any },
  },
  approve: {
    needed: { ...base, who: listOf(text) },
    also: { ...alsoBase, ...timed, show: expr, onReject: oneOf('skip'), form: onlyTrue, formSchema: any },
  },
  sleep: { needed: base, also: { ...alsoBase, ms, until: expr } },
  switch: { needed: { ...base, input: expr, cases: someOf(ownCase) }, also: { ...alsoBase, default: oneOf('branch', 'skip') } },
  first: { needed: { ...base, parts: someOf(bag({ name, value: ref })) }, also: { if: alsoBase.if, using: alsoBase.using } },
  guard: { needed: base, also: {} },
  branch: { needed: { ...base, when: text, cases: someOf(branchCase) }, also: alsoBase },
};
