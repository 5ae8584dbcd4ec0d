/**
 * Tasks that can never run, because they ask for the success of two branches of which a run takes one (semantics, section 4). A task
 * demands a case of a decision where it was made in it, where it reads what demands it, and where its join wants the success of what does.
 */
import type { CaseKey, Graph, GraphTask } from './graph.ts';
import type { ShapedGraph } from './graph-shape.ts';
import { shown, type Problem, type Report } from './problems.ts';
import { taskExprs } from './task-exprs.ts';
import { caseName } from '../kernel/verdict.ts';

/** By decision: the case without which the task is skipped. */
type Demands = ReadonlyMap<string, CaseKey>;

interface Conflict {
  readonly decision: string;
  readonly cases: readonly [CaseKey, CaseKey];
}

const NOTHING: Demands = new Map();
/** A hostile graph may have as many demands as tasks for each task; what lies beyond is not looked at. */
const MAX_STEPS = 2_000_000;

/** With the default join it is refused. `told`: tasks of which it is known already that they read what may be skipped. */
export function exclusiveProblems({ tasks }: ShapedGraph, told: ReadonlySet<unknown>, report: Report): void {
  for (const { index, task, conflict } of conflictsOf(tasks)) {
    if (task.join === undefined && !told.has(index)) report('exclusive', ['tasks', index], messageOf(task, conflict));
  }
}

/** Where the join is written out the author may have meant it. Expects a graph that `graphProblems` finds nothing in. */
export function graphWarnings({ tasks }: Graph): Problem[] {
  return conflictsOf(tasks.map((task, index) => ({ task, index })))
    .filter(({ task }) => task.join === 'all_success')
    .map(({ index, task, conflict }) => ({ code: 'exclusive', at: ['tasks', index], message: messageOf(task, conflict) }));
}

function messageOf(task: GraphTask, { decision, cases: [a, b] }: Conflict): string {
  return (
    `task ${shown(task.id)} can never run: it waits for the success of ${caseName(a)} and of ${caseName(b)} of ${shown(decision)}, and a run ` +
    `takes one of them; give it a join that lets skips pass, such as none_failed_min_one_success`
  );
}

function conflictsOf(tasks: ShapedGraph['tasks']): { index: number; task: GraphTask; conflict: Conflict }[] {
  // Without a decision there is nothing to look for.
  if (!tasks.some(({ task }) => task.if !== undefined)) return [];
  const demands = new Demanding(tasks.map(({ task }) => task));
  return tasks.flatMap(({ task, index }) => {
    const conflict = demands.conflictOf(task);
    return conflict === null ? [] : [{ index, task, conflict }];
  });
}

class Demanding {
  private readonly byId: ReadonlyMap<string, GraphTask>;
  private readonly known = new Map<string, Demands>();
  private readonly conflicts = new Map<string, Conflict>();
  private left = MAX_STEPS;

  constructor(tasks: readonly GraphTask[]) {
    this.byId = new Map(tasks.map((task) => [task.id, task]));
  }

  conflictOf(task: GraphTask): Conflict | null {
    this.visit(task.id);
    return this.conflicts.get(task.id) ?? null;
  }

  /** What a task demands is known once that of all that it needs is. A circle, which is refused elsewhere, demands nothing. */
  private visit(root: string): void {
    const begun = new Set<string>();
    for (const walk = [root]; walk.length > 0;) {
      const id = walk.at(-1) ?? '';
      const task = this.byId.get(id);
      if (task === undefined || this.known.has(id)) {
        walk.pop();
        continue;
      }
      const open = begun.has(id) ? [] : neededBy(task).filter((each) => !this.known.has(each) && !begun.has(each));
      begun.add(id);
      if (open.length > 0) walk.push(...open);
      else this.known.set(id, this.demandsOf(task));
    }
  }

  private demandsOf(task: GraphTask): Demands {
    let mine: Demands = NOTHING;
    if (task.if) mine = this.both(task, this.known.get(task.if.when) ?? NOTHING, new Map([[task.if.when, task.if.is]]));
    for (const id of neededBy(task)) mine = this.both(task, mine, this.known.get(id) ?? NOTHING);
    // What never runs is told of once, not again for everything behind it.
    return this.conflicts.has(task.id) ? NOTHING : mine;
  }

  private both(task: GraphTask, a: Demands, b: Demands): Demands {
    if (a === b || b.size === 0) return a;
    if (a.size === 0) return b;
    const all = new Map(a);
    this.left -= a.size + b.size;
    if (this.left < 0) return NOTHING;
    for (const [decision, is] of b) {
      const other = all.get(decision);
      if (other !== undefined && other !== is) this.conflicts.set(task.id, { decision, cases: [other, is] });
      all.set(decision, is);
    }
    return all;
  }
}

/** The tasks without whose success this one does not run, and the decision it was made under. A first needs one of its parts, a branch none of all. */
function neededBy(task: GraphTask): readonly string[] {
  if (task.kind === 'branch') return [task.when];
  if (task.kind === 'first') return task.if ? [task.if.when] : [];
  const reads = taskExprs(task).flatMap((expr) => expr.reads);
  const isStrict = task.join === undefined || task.join === 'all_success';
  const needs = reads.filter(({ mode }) => mode === 'required' || (mode === 'settle' && task.join === 'all_success'));
  return [...(task.if ? [task.if.when] : []), ...(isStrict ? (task.after ?? []) : []), ...needs.map((read) => read.id)];
}
