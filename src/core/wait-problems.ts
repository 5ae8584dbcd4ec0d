import type { GraphTask } from './graph.ts';
import type { Report } from './problems.ts';

/** What can be wrong with a task that waits, beyond the shape of its fields. */
export function waitProblems(task: GraphTask, report: Report): void {
  if (task.kind === 'sleep' && (task.ms === undefined) === (task.until === undefined)) {
    report('bad_option', [], 'a sleep has either ms or until');
  }
}
