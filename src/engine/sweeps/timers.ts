import type { SweepContext } from './sweep.ts';

const AT_ONCE = 200;
/** What belongs to runs of other processes is left to them for so long. */
const FOREIGN_MS = 300;

/** Moves what is due: retries, queue timeouts, delayed starts, deadlines. Gives the instant at which to look again; null: nothing waits. */
export async function fireTimers({ store, committer, deliverer, isAlone }: SweepContext, now: number): Promise<number | null> {
  const due = await store.due(now, AT_ONCE);
  let again: number | null = due.nextAt;
  const later = (at: number): void => {
    again = again === null ? at : Math.min(again, at);
  };
  if (due.expired) await deliverer.expire();
  const fired: Promise<boolean>[] = [];
  for (const task of due.tasks) {
    if (!isAlone && committer.cache.get(task.run) === undefined && task.dueAt + FOREIGN_MS > now) later(task.dueAt + FOREIGN_MS);
    else fired.push(committer.event(task.run, { type: 'due', node: task.node, item: task.item }));
  }
  for (const { run, event } of due.runs) {
    fired.push(committer.event(run, event === 'deadline' ? { type: 'run_due' } : { type: event }));
  }
  const applied = await Promise.all(fired);
  if (due.tasks.length + due.runs.length >= AT_ONCE && applied.some(Boolean)) return now;
  return again;
}
