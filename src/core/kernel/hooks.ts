/** Hooks of a workflow: durable tasks of a run of their own, linked to the run that they tell of (semantics, section 3). */
import { Building } from '../define/building.ts';
import type { Turn } from './turn.ts';
import type { Graph, HookName } from '../graph/graph.ts';
import { HOOK_NAMES } from '../graph/graph.ts';
import { shown, type Report } from '../graph/problems.ts';
import { runRootCauses } from './outcome.ts';
import type { RunOutcome } from './states.ts';
import { isTask } from '../define/task.ts';
import type { AnyTask, Body, NodeCode, Workflow } from '../types/types.ts';

/** Which hooks an end calls. */
const AT_END: Readonly<Record<RunOutcome, readonly HookName[]>> = {
  success: ['onSuccess', 'onFinish'],
  partial: ['onSuccess', 'onFinish'],
  failed: ['onFailure', 'onFinish'],
  cancelled: ['onCancel', 'onFinish'],
  skipped: ['onFinish'],
};

/** What a hook gets to know of its run; the rest is filled in where the run's id is known. */
export interface HookFacts {
  readonly status: RunOutcome | 'running';
  readonly reason: string | null;
  readonly error: { readonly message: string; readonly rootCause: readonly string[] } | null;
}

/** A run begins: it is admitted, and its guard, where it has one, said yes. Not again when it is redriven, unless it never had. */
export function hookStart(turn: Turn): void {
  const { state } = turn;
  if (state.generation > 1 && !state.flow.unstarted) return;
  if (state.flow.unstarted) {
    state.flow = { ...state.flow, unstarted: false };
    turn.changes.flow = true;
  }
  if (turn.graph.graph.hooks?.onStart === undefined) return;
  call(turn, 'onStart', { status: 'running', reason: null, error: null });
}

export function hookEnd(turn: Turn): void {
  const { end } = turn.changes;
  if (turn.graph.graph.hooks === undefined || end === null) return;
  const { status, reason } = end;
  const failed = status === 'failed' || status === 'cancelled';
  const rootCause = failed ? runRootCauses(turn.graph, turn.state) : [];
  const message = `The run ${status === 'failed' ? 'failed' : 'was cancelled'}${rootCause.length === 0 ? '' : ` at ${rootCause.slice(0, 20).join(', ')}`}.`;
  for (const name of AT_END[status])
    call(turn, name, { status, reason, error: failed ? { message, rootCause: rootCause.slice(0, 100) } : null });
}

function call(turn: Turn, name: HookName, hook: HookFacts): void {
  const graph = turn.graph.graph.hooks?.[name];
  if (graph === undefined) return;
  const start = { node: -1, item: -1, generation: turn.state.generation, name, kind: 'hooks', workflow: graph.workflow, graph } as const;
  turn.changes.children = [...turn.changes.children, { ...start, input: null, refused: null, goesOn: false, hook }];
}

export interface Hooks {
  readonly graphs: NonNullable<Graph['hooks']>;
  readonly workflows: ReadonlyMap<HookName, Workflow<unknown, unknown>>;
}

/** The options `onStart` and so on of a workflow: each a task, or a function of what it is told. Null where there are none. */
export function hooksOf(name: string, bag: Readonly<Record<string, unknown>>, report: Report): Hooks | null {
  const graphs: Partial<Record<HookName, Graph>> = {};
  const workflows = new Map<HookName, Workflow<unknown, unknown>>();
  for (const hook of HOOK_NAMES) {
    const given = bag[hook];
    if (given === undefined) continue;
    if (!isTask(given) && typeof given !== 'function') {
      report('bad_type', [hook], `${hook} must be a task, or a function of what it is told about the run, not ${shown(given)}`);
      continue;
    }
    const made = hookWorkflow(`${name}/${hook}`, hook, given as AnyTask | Body<unknown, unknown>);
    graphs[hook] = made.graph;
    workflows.set(hook, made);
  }
  return workflows.size === 0 ? null : { graphs, workflows };
}

/** One task, which gets the input of the hook's run. */
function hookWorkflow(name: string, id: string, given: AnyTask | Body<unknown, unknown>): Workflow<unknown, unknown> {
  const building = new Building(name);
  const task = isTask(given) ? given : undefined;
  const { contract, rules } = building.contract({}, building.call('run', id), task);
  const code: NodeCode = {
    rules,
    ...(task === undefined ? {} : { task }),
    ...(task?.input === undefined ? {} : { input: task.input }),
    ...(task?.output === undefined ? {} : { output: task.output }),
    ...(typeof given === 'function' ? { run: given } : task?.run === undefined ? {} : { run: task.run }),
  };
  const graph: Graph = {
    format: 1,
    workflow: name,
    tasks: [{ id, kind: 'task', ...(task === undefined ? {} : { task: task.name }), input: { $input: [] }, contract }],
    output: { $undefined: true },
  };
  return { kind: 'workflow', name, graph, code: new Map([[id, code]]) };
}
