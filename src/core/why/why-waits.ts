import { openOn } from '../kernel/open-calls.ts';
import type { WaitingTask } from '../kernel/run-state.ts';
import type { Wait } from '../kernel/waits.ts';
import { spanText } from './words.ts';

/** What a waiting task waits for, as one sentence. `who` may answer, where it is an approval. */
export function waitSentence(task: WaitingTask, now: number, who: readonly string[]): string {
  const on = openOn(task);
  const things = on.slice(0, 3).map((wait) => waitText(wait, now, who));
  const more = on.length > 3 ? ` or ${on.length - 3} more` : '';
  return `It waits since ${spanText(now - task.since)} ${things.join(', or ')}${more}.`;
}

function waitText(wait: Wait, now: number, who: readonly string[]): string {
  const left = wait.dueAt === null ? '' : wait.dueAt <= now ? 'now' : `in ${spanText(wait.dueAt - now)}`;
  switch (wait.kind) {
    case 'time':
      return `for time to pass: it goes on ${left}`;
    case 'signal': {
      const where = wait.key === null ? ' to its run' : ` with the key ${JSON.stringify(wait.key.slice(0, 80))}`;
      return `for the signal "${wait.signal}"${where}${left === '' ? '' : `, and gives up ${left}`}`;
    }
    case 'child':
      return `for a run of "${wait.workflow}"`;
    case 'approval':
      return `for an answer of ${whoText(who)}${left === '' ? '' : `, and gives up ${left}`}`;
  }
}

function whoText(who: readonly string[]): string {
  const names = who.slice(0, 3).map((name) => JSON.stringify(name.slice(0, 80)));
  return names.length === 0 ? 'a person' : `${names.join(' or ')}${who.length > 3 ? ` or ${who.length - 3} more` : ''}`;
}
