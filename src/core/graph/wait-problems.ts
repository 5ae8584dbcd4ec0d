import type { GraphTask } from './graph.ts';
import type { Report } from './problems.ts';

/** What can be wrong with a task that waits, beyond the shape of its fields. */
export function waitProblems(task: GraphTask, report: Report): void {
  if (task.kind === 'sleep' && (task.ms === undefined) === (task.until === undefined)) {
    report('bad_option', [], 'a sleep has either ms or until');
  }
  if (task.kind === 'approve' && (task.who.length === 0 || new Set(task.who).size < task.who.length)) {
    report('bad_option', ['who'], 'who must name those who may answer, each once');
  }
  if ((task.kind === 'wait' || task.kind === 'approve') && task.onTimeout !== undefined && task.timeoutMs === undefined) {
    report('bad_option', ['onTimeout'], 'onTimeout says what a timeout comes to; without a timeout it would do nothing');
  }
  if (task.kind === 'approve' && task.formSchema !== undefined && task.form === undefined) {
    report('bad_option', ['formSchema'], 'formSchema is that of a form, and there is none');
  }
}
