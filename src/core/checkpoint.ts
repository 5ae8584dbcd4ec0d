import type { RunTransition, TaskTransition } from './journal.ts';
import { isRunOver, type RunStatus, type TaskStatus } from './states.ts';

/** A task or item as the journal tells of it. */
export interface JournaledTask {
  readonly node: number;
  readonly item: number;
  readonly generation: number;
  readonly status: TaskStatus;
  readonly attempt: number;
}

/** A run as the journal tells of it. A task that is not in `tasks` has not moved. */
export interface JournaledRun {
  generation: number;
  /** Null where only tasks moved. */
  status: RunStatus | null;
  readonly tasks: Map<string, JournaledTask>;
}

/**
 * What a stretch of the journal comes to: the last state of each run and task that it mentions. Stretches that follow each other may be
 * folded one by one: the later state is the one that counts.
 */
export class JournalFold {
  readonly runs = new Map<number, JournaledRun>();

  add(transitions: readonly (TaskTransition | RunTransition)[]): void {
    for (const transition of transitions) {
      const { run: id, generation } = transition;
      let run = this.runs.get(id);
      if (run === undefined) this.runs.set(id, (run = { generation, status: null, tasks: new Map() }));
      run.generation = generation;
      if (transition.kind === 'run') run.status = transition.to;
      else {
        const { node, item, to, attempt } = transition;
        run.tasks.set(`${node}:${item}`, { node, item, generation, status: to, attempt });
      }
    }
  }
}

export const isOver = (run: JournaledRun): boolean => run.status !== null && isRunOver[run.status];
