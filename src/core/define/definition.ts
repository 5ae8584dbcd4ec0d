import { checkKeys, duration, isBag, runRetryOf } from './contract.ts';
import { HOOK_NAMES, type FailurePolicy, type Graph, type HookName } from '../graph/graph.ts';
import { hooksOf } from '../kernel/hooks.ts';
import { keyOf } from './needs-options.ts';
import { invalid, nameProblem, shown, type Problem, type Report } from '../graph/problems.ts';
import { declaredSchedules, type DeclaredSchedule } from './schedule-opts.ts';
import { isSchema, jsonSchemaOf, type Schema } from '../values/schema.ts';
import type { NodeCode, Workflow } from '../types/types.ts';

/** What stands beside the tasks of a workflow. */
export interface Header {
  readonly name: string;
  readonly version?: string;
  readonly input?: Schema;
  readonly schedules?: readonly DeclaredSchedule[];
  readonly hooks?: ReadonlyMap<HookName, Workflow<unknown, unknown>>;
  readonly graph: Omit<Graph, 'tasks' | 'output'>;
}

/** Options of a workflow, however its graph is given. */
const WORKFLOW_OPTIONS = [
  'name',
  'version',
  'input',
  'timeout',
  'guard',
  'onDeploy',
  'schedule',
  'concurrency',
  'failurePolicy',
  'compensateOn',
  'retry',
  ...HOOK_NAMES,
];

/** Reports what is wrong with it. `also`: what this form of a definition has beside the options of all. */
export function headerOf(def: unknown, also: readonly string[], report: Report): Header {
  if (!isBag(def)) report('bad_type', [], `it must be given as an object, not ${shown(def)}`);
  const bag = isBag(def) ? def : {};
  checkKeys(bag, [...WORKFLOW_OPTIONS, ...also], '', report);
  const { name, version, input } = bag;
  checkName('name', name, report);
  if (version !== undefined) checkName('version', version, report);
  if (input !== undefined && !isSchema(input)) {
    report('bad_type', ['input'], `input must be a Standard Schema (zod, valibot, arktype), not ${shown(input)}`);
  }
  const concurrency = keyOf(bag['concurrency'], report);
  const timeoutMs = duration(bag['timeout'], ['timeout'], report);
  const retry = runRetryOf(bag['retry'], report);
  const onDeploy = bag['onDeploy'];
  if (onDeploy !== undefined && onDeploy !== 'move' && onDeploy !== 'pin')
    report('bad_option', ['onDeploy'], `onDeploy: must be 'move' or 'pin', not ${shown(onDeploy)}`);
  const inputSchema = isSchema(input) ? jsonSchemaOf(input, 'input') : undefined;
  const text = typeof name === 'string' ? name : '';
  const schedules = declaredSchedules(bag['schedule'], { workflow: text, schema: isSchema(input) ? input : undefined }, report);
  const hooks = hooksOf(text, bag, report);
  return {
    ...(hooks === null ? {} : { hooks: hooks.workflows }),
    name: text,
    ...(typeof version === 'string' ? { version } : {}),
    ...(isSchema(input) ? { input } : {}),
    ...(schedules.length === 0 ? {} : { schedules }),
    graph: {
      format: 1,
      workflow: text,
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
      ...(onDeploy === 'pin' ? { onDeploy } : {}),
      ...(concurrency === undefined ? {} : { concurrency }),
      ...(inputSchema === undefined ? {} : { inputSchema }),
      // As given: what is wrong with them is found in the finished graph.
      ...(bag['failurePolicy'] === undefined ? {} : { failurePolicy: bag['failurePolicy'] as FailurePolicy }),
      ...(bag['compensateOn'] === undefined ? {} : { compensateOn: bag['compensateOn'] as ('failed' | 'cancelled')[] }),
      ...(retry === undefined ? {} : { retry }),
      ...(hooks === null ? {} : { hooks: hooks.graphs }),
    },
  };
}

function checkName(key: string, value: unknown, report: Report): void {
  const wrong = nameProblem(value);
  if (wrong !== null) report('bad_name', [key], `${key} ${wrong}`);
}

/** The workflow, or one error with all problems. */
export function definitionOf({
  header,
  graph,
  code,
  problems,
}: {
  readonly header: Header;
  readonly graph: Graph;
  readonly code: ReadonlyMap<string, NodeCode>;
  readonly problems: readonly Problem[];
}): Workflow<unknown, unknown> {
  // The name was looked at above, and is called `workflow` in the graph.
  const all = problems.filter((problem) => problem.at[0] !== 'workflow');
  if (all.length > 0) throw invalid(header.name === '' ? 'A workflow' : `Workflow ${shown(header.name)}`, all);
  const { name, version, input, schedules, hooks } = header;
  return {
    kind: 'workflow',
    name,
    ...(version === undefined ? {} : { version }),
    ...(input === undefined ? {} : { input }),
    ...(schedules === undefined ? {} : { schedules }),
    ...(hooks === undefined ? {} : { hooks }),
    graph,
    code,
  };
}

/** What stands for a workflow that cannot be built, while the others of a module are looked at. */
export function emptyWorkflow(def: unknown): Workflow<unknown, unknown> {
  const name = isBag(def) && typeof def['name'] === 'string' ? def['name'] : '';
  return { kind: 'workflow', name, graph: { format: 1, workflow: name, tasks: [], output: { $undefined: true } }, code: new Map() };
}
