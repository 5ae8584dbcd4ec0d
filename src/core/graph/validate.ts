/** Everything that can be wrong with a graph (semantics, section 4), found before its first run. */
import { exprRefs } from './expr.ts';
import { cyclesOf, unreached } from './graph-cycles.ts';
import type { CaseData, GraphTask } from './graph.ts';
import { exclusiveProblems } from './graph-exclusive.ts';
import { guardProblems } from './graph-guard.ts';
import { shapeOf, type ShapedGraph } from './graph-shape.ts';
import { roleProblems } from './graph-roles.ts';
import { skipProblems } from './graph-skips.ts';
import { reporter, shown, type Problem, type Report } from './problems.ts';
import { taskExprs } from './task-exprs.ts';
import { childProblems, hookProblems } from './child-data.ts';
import { waitProblems } from './wait-problems.ts';
import { caseKeys, caseName } from '../kernel/verdict.ts';

export type { Problem } from './problems.ts';

/** All problems of a graph that a builder made, a person wrote or a file held; any value may be given. Empty: `compileGraph` can take it. */
export function graphProblems(graph: unknown): Problem[] {
  return problemsWithin(graph, 0);
}

/** Maps may have graphs for items, in which there are maps again. */
const MAX_NESTING = 16;

function problemsWithin(graph: unknown, depth: number): Problem[] {
  const problems: Problem[] = [];
  try {
    const shape = shapeOf(graph, problems);
    const workflow = String((graph as { workflow?: unknown } | null)?.workflow);
    const problemsOf = (part: unknown): Problem[] =>
      depth < MAX_NESTING
        ? problemsWithin(part, depth + 1)
        : [{ code: 'bad_option', at: [], message: `maps are nested deeper than ${MAX_NESTING}` }];
    linkProblems(shape, reporter(problems), { workflow, problemsOf });
    hookProblems(graph, reporter(problems), { workflow, problemsOf });
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
  readonly at: readonly (string | number)[];
  /** It takes part in a join that is written out, or reads data. */
  readonly kind: 'after' | 'read' | 'order';
}

function linkProblems(shape: ShapedGraph, report: Report, within: Parameters<typeof childProblems>[2]): void {
  const { ids, tasks } = shape;
  const links = tasks.map(({ task }) => linksOf(task));
  tasks.forEach(({ task, index }, i) => {
    const inTask: Report = (code, at, message) => report(code, ['tasks', index, ...at], `task ${shown(task.id)}: ${message}`);
    for (const { id, key, at } of links[i] ?? []) {
      if (!ids.has(id)) inTask('unknown_id', at, `${key} names ${shown(id)}, which is no task of the graph`);
    }
    waitProblems(task, inTask);
    childProblems(task, inTask, within);
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
  guardProblems(shape, (i) => links[i] ?? [], report);
  const spoiled = new Set<unknown>();
  skipProblems(shape, (code, at, message) => {
    spoiled.add(at[1]);
    report(code, at, message);
  });
  exclusiveProblems(shape, spoiled, report);
  roleProblems(shape, report);
}

function linksOf(task: GraphTask): Link[] {
  const reads = taskExprs(task).flatMap(({ key, at, reads }) =>
    reads.map((read): Link => ({ id: read.id, key, at, kind: task.kind === 'branch' ? 'order' : 'read' })),
  );
  const order =
    task.kind === 'branch'
      ? [
          link('when', task.when),
          ...task.cases.flatMap(({ is, members }, i) => members.map((id) => link(caseName(is), id, ['cases', i, 'members']))),
        ]
      : [];
  return [
    ...(task.after ?? []).map((id): Link => ({ id, key: 'after', at: ['after'], kind: 'after' })),
    ...reads,
    ...order,
    ...(task.if ? [link('if', task.if.when)] : []),
    ...(task.using === undefined ? [] : [link('using', task.using)]),
    ...(task.kind === 'handler' ? [link('of', task.of)] : []),
  ];
}

const link = (key: string, id: string, at: Link['at'] = [key]): Link => ({ id, key, at, kind: 'order' });

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

/** What is made inside a branch, and what a branch takes for its own, must be parts of one decision, and of a case that it has. */
function branchProblems({ ids, tasks }: ShapedGraph, report: Report): void {
  const byId = new Map(tasks.map(({ task }) => [task.id, task]));
  for (const { task, index } of tasks) {
    const wrong: Wrong = (at, message, code) => report(code ?? 'bad_branch', ['tasks', index, ...at], `task ${shown(task.id)}: ${message}`);
    // Null where it is no decision; undefined where the task that is named is in no good shape itself.
    const keysOf = (id: string) => (!ids.has(id) || !byId.has(id) ? undefined : caseKeys(byId.get(id) ?? task));
    if (task.kind === 'switch') nameTwice('case', task.cases, wrong);
    if (task.kind === 'first')
      nameTwice(
        'part',
        task.parts.map((part) => part.name),
        wrong,
      );
    if (task.if) {
      const keys = keysOf(task.if.when);
      if (keys === null) wrong(['if', 'when'], `if names ${shown(task.if.when)}, which is no when or switch`);
      else if (keys?.includes(task.if.is) === false)
        wrong(['if', 'is'], `if names the case ${shown(task.if.is)}, which ${shown(task.if.when)} has not`);
    }
    if (task.kind !== 'branch') continue;
    const keys = keysOf(task.when);
    if (keys === null) wrong(['when'], `when names ${shown(task.when)}, which is no when or switch`);
    task.cases.forEach((one, i) => {
      const at = ['cases', i];
      if (keys?.includes(one.is) === false) wrong([...at, 'is'], `${caseName(one.is)} is no case of ${shown(task.when)}`);
      if (task.cases.findIndex((each) => each.is === one.is) < i) wrong([...at, 'is'], `${caseName(one.is)} is there twice`);
      caseProblems(task.when, one, byId, (rest, message, code) => wrong([...at, ...rest], message, code));
    });
  }
}

type Wrong = (at: readonly (string | number)[], message: string, code?: 'missing_member') => void;

function nameTwice(what: 'case' | 'part', names: readonly string[], wrong: Wrong): void {
  const twice = names.find((one, i) => names.indexOf(one) < i);
  if (twice !== undefined) wrong([`${what}s`], `the ${what} ${shown(twice)} is there twice`);
}

/** A result waits for its members only, so they must hold all that its value reads. */
function caseProblems(when: string, { is, value, members }: CaseData, byId: ReadonlyMap<string, GraphTask>, wrong: Wrong): void {
  const read = new Set(exprRefs(value).map((ref) => ref.id));
  for (const member of members) {
    const gate = byId.get(member)?.if;
    const isMine = !byId.has(member) || read.has(member) || (gate?.when === when && gate.is === is);
    if (!isMine)
      wrong(['members'], `${caseName(is)} has the member ${shown(member)}, which was not made in that branch and is not read by its value`);
  }
  const mine = new Set(members);
  for (const id of read) {
    if (byId.has(id) && !mine.has(id))
      wrong(['members'], `${caseName(is)} reads ${shown(id)}, which is missing in its members`, 'missing_member');
  }
}
