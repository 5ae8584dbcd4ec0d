import { builder } from './builder.ts';
import { Building, settledNow } from './building.ts';
import { inParens } from './call-site.ts';
import { buildOrReport } from './collecting.ts';
import { definitionOf, emptyWorkflow, headerOf } from './definition.ts';
import { isBag } from './contract.ts';
import { fromGraph } from './from-graph.ts';
import type { Graph } from '../graph/graph.ts';
import { GUARD_ID } from '../kernel/guard.ts';
import { reporter, shown, type Problem, type Report } from '../graph/problems.ts';
import type { Scheduled, ScheduledPlain } from './schedule-opts.ts';
import type { Schema, SIn, SOut } from '../values/schema.ts';
import type { Build, Guard, In, KeyLimit, Out, Ref, Simplify, Tree, Workflow, WorkflowOpts } from '../types/types.ts';
import { graphProblems } from '../graph/validate.ts';

interface DefineWorkflow {
  <IS extends Schema, R>(
    def: WorkflowOpts & {
      readonly input: IS;
      readonly guard?: Guard<SOut<IS>>;
      readonly schedule?: Scheduled<SIn<IS>>;
      /** Runs at the same time, of this workflow or of one key; the key is put together from the input. */
      readonly concurrency?: number | KeyLimit<string | ((input: Ref<SOut<IS>>) => In<string>)>;
    },
    build: (w: Build, input: Ref<SOut<IS>>) => R & Tree<R>,
  ): Workflow<SIn<IS>, Simplify<Out<R>>>;
  <R>(
    def: WorkflowOpts & {
      readonly input?: undefined;
      readonly guard?: Guard<undefined>;
      readonly schedule?: ScheduledPlain;
      readonly concurrency?: number | KeyLimit;
    },
    build: (w: Build) => R & Tree<R>,
  ): Workflow<void, Simplify<Out<R>>>;
  readonly fromGraph: typeof fromGraph;
}

/**
 * A workflow from a builder, which is called once, now: what its refs are passed to becomes the edges of the graph, what it returns the
 * output of a run. `workflow.fromGraph` takes the graph as data. Throws `BUILD_INVALID` with every problem of options and graph,
 * `BUILD_REF_AS_VALUE` where the builder uses a ref as a value, `BUILD_ASYNC` where it is async.
 */
export const workflow: DefineWorkflow = Object.assign(
  ((def: unknown, build: unknown) =>
    buildOrReport(
      () => define(def, build),
      () => emptyWorkflow(def),
    )) as unknown as Omit<DefineWorkflow, 'fromGraph'> & (() => never),
  {
    fromGraph: ((def: Parameters<typeof fromGraph>[0]) =>
      buildOrReport(
        () => fromGraph(def),
        () => emptyWorkflow(def),
      )) as typeof fromGraph,
  },
);

function define(def: unknown, build: unknown): Workflow<unknown, unknown> {
  const problems: Problem[] = [];
  const report = reporter(problems);
  const building = new Building(isBag(def) && typeof def['name'] === 'string' ? def['name'] : '');
  const header = headerOf(withKey(building, def, report), [], report);
  const guard: unknown = isBag(def) ? def['guard'] : undefined;
  if (guard !== undefined) {
    if (typeof guard !== 'function') report('bad_type', ['guard'], `guard must be a predicate over the input, not ${shown(guard)}`);
    building.add({ id: GUARD_ID, kind: 'guard' }, { when: guard as (input: unknown) => boolean, rules: [] }, undefined);
  }
  const output = isBuilder(build) ? outputOf(building, build, problems) : null;
  if (!isBuilder(build)) report('bad_type', [], `the builder must be a function, not ${shown(build)}`);
  const graph: Graph = { ...header.graph, tasks: building.tasks, output };
  const found = graphProblems(graph).map((problem) => withSite(problem, building));
  return definitionOf({ header, graph, code: building.code, problems: [...problems, ...building.problems, ...found] });
}

/** The key of a workflow is a function of its input, called once, now. */
function withKey(building: Building, def: unknown, report: Report): unknown {
  const concurrency = isBag(def) ? def['concurrency'] : undefined;
  const make = isBag(concurrency) ? concurrency['key'] : undefined;
  if (!isBag(def) || !isBag(concurrency) || typeof make !== 'function') return def;
  const key: unknown = settledNow((make as (input: unknown) => unknown)(building.ref({ kind: 'input' })), 'concurrency.key');
  const at = { report: (code: Problem['code'], message: string) => report(code, ['concurrency', 'key'], `concurrency.key: ${message}`) };
  return { ...def, concurrency: { ...concurrency, key: building.expr(key, 'the key', at) } };
}

type Builder = (w: Build, input: unknown) => unknown;

function isBuilder(value: unknown): value is Builder {
  return typeof value === 'function';
}

function outputOf(building: Building, build: Builder, problems: Problem[]): Graph['output'] {
  const input = building.ref({ kind: 'input' });
  let value: unknown;
  try {
    value = build(builder(building), input);
  } finally {
    building.close();
  }
  const now = settledNow(value, `The builder of workflow "${building.workflow}"`);
  return building.expr(now, 'output', { report: (code, message) => void problems.push({ code, at: ['output'], message }) });
}

/** With the line of the call that made the task. */
function withSite(problem: Problem, building: Building): Problem {
  const [list, index] = problem.at;
  const task = list === 'tasks' && typeof index === 'number' ? building.tasks[index] : undefined;
  return task ? { ...problem, message: `${problem.message}${inParens(building.sites.get(task.id))}` } : problem;
}
