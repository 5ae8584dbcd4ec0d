/** Everything that can be wrong with a graph (semantics, section 4), found before its first run. */
import { exprRefs } from './expr.ts';
import { cyclesOf, unreached } from './graph-cycles.ts';
import type { BranchTask, GraphTask } from './graph.ts';
import { shapeOf, type ShapedGraph } from './graph-shape.ts';
import { skipProblems } from './graph-skips.ts';
import { reporter, shown, type Problem, type Report } from './problems.ts';
import { taskExprs } from './task-exprs.ts';
import { childProblems } from './child-data.ts';
import { waitProblems } from './wait-problems.ts';

export type { Problem } from './problems.ts';

/** All problems of a graph that a builder made, a person wrote or a file held; any value may be given. Empty: `compileGraph` can take it. */
export function graphProblems(graph: unknown): Problem[] {
  const problems: Problem[] = [];
  try {
    const shape = shapeOf(graph, problems);
    linkProblems(shape, reporter(problems));
  } catch (error) {
    // A getter or a proxy that throws: data does not.
    const why = error instanceof Error ? error.message : 'something threw';
    problems.push({ code: 'bad_type', at: [], message: `the graph cannot be read: ${why}` });
  }
  return problems;
}

/** One task that another one waits for, and the key under which it is named. */
interface Link {
  readonly id: string;
  readonly key: string;
  /** It takes part in a join that is written out, or reads data. */
  readonly kind: 'after' | 'read' | 'order';
}

function linkProblems(shape: ShapedGraph, report: Report): void {
  const { ids, tasks } = shape;
  const links = tasks.map(({ task }) => linksOf(task));
  tasks.forEach(({ task, index }, i) => {
    const inTask: Report = (code, at, message) => report(code, ['tasks', index, ...at], `task ${shown(task.id)}: ${message}`);
    for (const { id, key } of links[i] ?? []) {
      if (!ids.has(id)) inTask('unknown_id', [key], `${key} names ${shown(id)}, which is no task of the graph`);
    }
    waitProblems(task, inTask);
    childProblems(task, inTask);
    joinProblems(
      task,
      (links[i] ?? []).filter((link) => link.kind !== 'order' && ids.has(link.id)),
      inTask,
    );
  });
  for (const read of shape.output === undefined ? [] : exprRefs(shape.output)) {
    if (!ids.has(read.id)) report('unknown_id', ['output'], `the output reads ${shown(read.id)}, which is no task of the graph`);
  }
  orderProblems(shape, links, report);
  branchProblems(shape, report);
  skipProblems(shape, report);
}

function linksOf(task: GraphTask): Link[] {
  const reads = taskExprs(task).flatMap(({ key, reads }) =>
    reads.map((read): Link => ({ id: read.id, key, kind: task.kind === 'branch' ? 'order' : 'read' })),
  );
  const order =
    task.kind === 'branch'
      ? [
          link('when', task.when),
          ...task.then.members.map((id) => link('then', id)),
          ...(task.otherwise?.members ?? []).map((id) => link('otherwise', id)),
        ]
      : [];
  return [
    ...(task.after ?? []).map((id): Link => ({ id, key: 'after', kind: 'after' })),
    ...reads,
    ...order,
    ...(task.if ? [link('if', task.if.when)] : []),
  ];
}

const link = (key: string, id: string): Link => ({ id, key, kind: 'order' });

function joinProblems(task: GraphTask, upstreams: readonly Link[], report: Report): void {
  const { join } = task;
  if (join === undefined) return;
  const k = /^at_least\((-?\d+)\)$/.exec(join)?.[1];
  const n = new Set(upstreams.map((upstream) => upstream.id)).size;
  if (k !== undefined && (Number(k) < 1 || Number(k) > n)) {
    report('bad_at_least', ['join'], `${join} with ${n} upstream${n === 1 ? '' : 's'}: k must be from 1 to ${n}`);
  }
  if (join !== 'always') return;
  const read = upstreams.find((upstream) => upstream.kind === 'read');
  if (read) report('always_reads', ['join'], `with the join always it starts at once, so it cannot read ${shown(read.id)} (${read.key})`);
}

function orderProblems({ ids, tasks }: ShapedGraph, links: readonly (readonly Link[])[], report: Report): void {
  const place = new Map(tasks.map(({ index }, i) => [index, i]));
  const upstreams = links.map((each) => [...new Set(each.map(({ id }) => place.get(ids.get(id) ?? -1)).filter((i) => i !== undefined))]);
  const nameOf = (i: number): string => tasks[i]?.task.id ?? '';
  const cycles = cyclesOf(upstreams);
  for (const cycle of cycles) {
    const names = cycle.path.map(nameOf);
    const path = names.length > 24 ? [...names.slice(0, 20), `… ${names.length - 22} more …`, ...names.slice(-2)] : names;
    report('cycle', ['tasks', tasks[cycle.path[0] ?? 0]?.index ?? 0], `a cycle: ${path.join(' → ')}`);
  }
  const inCycle = new Set(cycles.flatMap((cycle) => cycle.nodes));
  for (const i of unreached(upstreams)) {
    if (!inCycle.has(i))
      report('unreachable', ['tasks', tasks[i]?.index ?? 0], `task ${shown(nameOf(i))}: no root leads to it, it only hangs on a cycle`);
  }
}

/** What is made inside a branch, and what a branch takes for its own, must be parts of one `when`. */
function branchProblems({ ids, tasks }: ShapedGraph, report: Report): void {
  const byId = new Map(tasks.map(({ task }) => [task.id, task]));
  for (const { task, index } of tasks) {
    const wrong: Wrong = (at, message, code) => report(code ?? 'bad_branch', ['tasks', index, ...at], `task ${shown(task.id)}: ${message}`);
    const isWhen = (id: string): boolean => !ids.has(id) || !byId.has(id) || byId.get(id)?.kind === 'when';
    if (task.if && !isWhen(task.if.when)) wrong(['if', 'when'], `if names ${shown(task.if.when)}, which is no when`);
    if (task.kind !== 'branch') continue;
    if (!isWhen(task.when)) wrong(['when'], `when names ${shown(task.when)}, which is no when`);
    caseProblems(task, 'then', byId, wrong);
    caseProblems(task, 'otherwise', byId, wrong);
  }
}

type Wrong = (at: readonly (string | number)[], message: string, code?: 'missing_member') => void;

/** A result waits for its members only, so they must hold all that its value reads. */
function caseProblems(task: BranchTask, key: 'then' | 'otherwise', byId: ReadonlyMap<string, GraphTask>, wrong: Wrong): void {
  const side = task[key];
  if (side === undefined) return;
  const read = new Set(exprRefs(side.value).map((ref) => ref.id));
  for (const member of side.members) {
    const gate = byId.get(member)?.if;
    const isMine = !byId.has(member) || read.has(member) || (gate?.when === task.when && gate.is === (key === 'then'));
    if (!isMine)
      wrong([key, 'members'], `${key} has the member ${shown(member)}, which was not made in that branch and is not read by its value`);
  }
  for (const id of read) {
    if (byId.has(id) && !side.members.includes(id))
      wrong([key, 'members'], `${key} reads ${shown(id)}, which is missing in its members`, 'missing_member');
  }
}
