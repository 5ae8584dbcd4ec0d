/** Plain reads of what a run may skip (semantics, section 4: MaybeRef). The types refuse them too; data and casts do not. */
import { exprRefs, type ExprRead } from './expr.ts';
import type { CaseKey, GraphTask, Join } from './graph.ts';
import type { ShapedGraph } from './graph-shape.ts';
import { shown, type Report } from './problems.ts';
import type { SureJoin } from '../types/types.ts';
import { taskExprs } from './task-exprs.ts';
import { verdictsOf } from '../kernel/verdict.ts';

/** A case of a decision: where something stands. Undefined: outside all of them. */
type Place = { readonly when: string; readonly is: CaseKey } | undefined;

const SURE_JOINS: Readonly<Record<SureJoin, true>> = { none_failed: true, all_done: true, always: true };

export function skipProblems({ tasks, output }: ShapedGraph, report: Report): void {
  const byId = new Map(tasks.map(({ task }) => [task.id, task]));
  const check = (reads: readonly ExprRead[], place: Place, at: readonly (string | number)[], reader: string): void => {
    for (const { id, mode } of reads) {
      const task = byId.get(id);
      const why = mode === 'required' && task ? whySkipped(task, place, byId) : null;
      if (why === null) continue;
      report(
        'maybe_ref',
        at,
        `${reader} reads ${shown(id)}, which may be skipped (${why}): use w.optional(ref) or w.settle({ ref }), or order by it with after`,
      );
    }
  };
  for (const { task, index } of tasks) {
    for (const { key, at, reads, is } of taskExprs(task)) {
      const place = task.kind === 'branch' && is !== undefined ? { when: task.when, is } : task.if;
      check(reads, place, ['tasks', index, ...at], `task ${shown(task.id)}: ${key}`);
    }
  }
  if (output !== undefined) check(exprRefs(output), undefined, ['output'], 'the output');
}

function whySkipped(task: GraphTask, reader: Place, byId: ReadonlyMap<string, GraphTask>): string | null {
  if (task.kind === 'branch') {
    const decision = byId.get(task.when);
    const none = decision && verdictsOf(decision)?.find((is) => !task.cases.some((one) => one.is === is));
    if (none !== undefined) return decision?.kind === 'switch' ? 'its switch may choose none of its cases' : 'a when without otherwise';
    // Where the decision is skipped, so is its result.
    if (decision?.join !== undefined && !isSure(decision.join)) return `the join ${decision.join} of ${shown(decision.id)} may skip it`;
  }
  if ('when' in task && task.when === true) return 'it has a when of its own';
  if (task.kind === 'map' && task.onEmpty === 'skip') return "a map with onEmpty 'skip'";
  if ('onTimeout' in task && task.onTimeout === 'skip') return "onTimeout 'skip'";
  if ('onReject' in task && task.onReject === 'skip') return "onReject 'skip'";
  if (task.join !== undefined && !isSure(task.join)) return `the join ${task.join} may skip it`;
  if (task.if && !isInside(task.if, reader, byId)) return `it was made in a branch of ${shown(task.if.when)}`;
  return null;
}

function isSure(join: Join): boolean {
  return Object.hasOwn(SURE_JOINS, join);
}

function isInside(side: NonNullable<Place>, reader: Place, byId: ReadonlyMap<string, GraphTask>): boolean {
  const seen = new Set<string>();
  for (let at = reader; at !== undefined && !seen.has(at.when); at = byId.get(at.when)?.if) {
    if (at.when === side.when && at.is === side.is) return true;
    seen.add(at.when);
  }
  return false;
}
