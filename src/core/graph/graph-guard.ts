/** What a graph with a guard must keep: there is one, and no task names it, since each of them waits for it anyway. */
import { exprRefs } from './expr.ts';
import type { ShapedGraph } from './graph-shape.ts';
import { shown, type Report } from './problems.ts';

interface Link {
  readonly id: string;
  readonly key: string;
  readonly at: readonly (string | number)[];
}

/** `linksOf`: what the task at that place of `tasks` names. */
export function guardProblems({ tasks, output }: ShapedGraph, linksOf: (place: number) => readonly Link[], report: Report): void {
  const guards = tasks.filter(({ task }) => task.kind === 'guard');
  const [guard] = guards;
  if (guard === undefined) return;
  for (const { task, index } of guards.slice(1)) {
    report('bad_guard', ['tasks', index], `task ${shown(task.id)}: a workflow has one guard, and ${shown(guard.task.id)} is it`);
  }
  tasks.forEach(({ task, index }, place) => {
    for (const { id, key, at } of linksOf(place)) {
      if (id !== guard.task.id) continue;
      report(
        'bad_guard',
        ['tasks', index, ...at],
        `task ${shown(task.id)}: ${key} names the guard ${shown(id)}, for which every task waits anyway`,
      );
    }
  });
  if (output !== undefined && exprRefs(output).some(({ id }) => id === guard.task.id))
    report('bad_guard', ['output'], `the output reads the guard ${shown(guard.task.id)}, which gives nothing to read`);
}
