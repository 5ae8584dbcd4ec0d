/** Children that nobody waits for any more: of a place that is left, and of a body that is over. */
import type { Recall } from './children.ts';
import type { TaskState } from './run-state.ts';
import type { Turn } from './turn.ts';

/** Stands for every item of a map. */
export const ALL_ITEMS = -2;

/** The children of this place are recalled. */
export function letGo(turn: Turn, { node, item, generation }: Recall): void {
  turn.changes.recalls = [...turn.changes.recalls, { node, item, generation }];
}

/** A place that is left, or a body that is over, while runs may be open for it. */
export function letGoOf(turn: Turn, task: TaskState): void {
  if (isPlaceOfChild(task) || mayHaveCalled(task)) letGo(turn, task);
}

/** A body that is over, or begins anew, waits for none of the runs that it called. */
export function letGoOfCalls(turn: Turn, task: TaskState | undefined): void {
  if (task !== undefined && mayHaveCalled(task)) letGo(turn, task);
}

const isPlaceOfChild = (task: TaskState): boolean => task.status === 'waiting' && task.on[0]?.kind === 'child';

/** Only a body that has waited has called: it waits, goes on after a wait, or is tried again, and then nobody remembers. */
function mayHaveCalled(task: TaskState): boolean {
  if (task.status === 'waiting') return task.on.some((wait) => wait.name !== null);
  if (task.status === 'running') return task.resumed === true || task.begun > 1;
  if (task.status === 'queued') return task.next === 'resume' || task.begun > 0;
  return task.status === 'retrying' && task.dueAt !== null && task.begun > 0;
}
