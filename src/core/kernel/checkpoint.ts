import type { MoveTransition, Transition } from './journal.ts';
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
  /** Other numbers that tasks were given on the way: what was known of the run before is renamed by them, one after the other. */
  readonly renames: ReadonlyMap<number, number>[];
}

/**
 * What a stretch of the journal comes to: the last state of each run and task that it mentions. Stretches that follow each other may be
 * folded one by one: the later state is the one that counts.
 */
export class JournalFold {
  readonly runs = new Map<number, JournaledRun>();

  add(transitions: readonly Transition[]): void {
    for (const transition of transitions) {
      const { run: id, generation } = transition;
      let run = this.runs.get(id);
      if (run === undefined) this.runs.set(id, (run = { generation, status: null, tasks: new Map(), renames: [] }));
      run.generation = generation;
      if (transition.kind === 'run') run.status = transition.to;
      else if (transition.kind === 'move') rename(run, transition);
      else {
        const { node, item, to, attempt } = transition;
        run.tasks.set(`${node}:${item}`, { node, item, generation, status: to, attempt });
      }
    }
  }
}

function rename(run: JournaledRun, { nodes }: MoveTransition): void {
  if (nodes.size === 0) return;
  const before = [...run.tasks.values()];
  run.tasks.clear();
  for (const task of before) {
    const node = nodes.get(task.node) ?? task.node;
    run.tasks.set(`${node}:${task.item}`, { ...task, node });
  }
  run.renames.push(nodes);
}

export const isOver = (run: JournaledRun): boolean => run.status !== null && isRunOver[run.status];
