import type { RunningTask, TaskState } from '../../core/kernel/run-state.ts';
import { closeWaits, openWaits } from './mailbox.ts';
import { mustChange } from './program.ts';
import { changing, taskCode, whole } from './rows.ts';
import type { Statements } from './statements.ts';

/** Rows of tasks: first ones, and moves under the guard that fits where they were. */
export class TaskWriter {
  private readonly sql: Statements;

  constructor(sql: Statements) {
    this.sql = sql;
  }

  insert(run: number, body: number, task: TaskState): void {
    if (task.status === 'running' && task.lease !== null && isPlainStart(task)) {
      const { token, worker } = task.lease;
      this.sql.insertStarted.run(
        run,
        task.node,
        task.item,
        body,
        task.generation,
        task.attempt,
        task.begun,
        task.rank,
        task.firstQueuedAt,
        token,
        worker,
        task.startedAt,
      );
      return;
    }
    this.sql.insertTask.run(...whole(run, body, task));
    if (task.status === 'waiting') openWaits(this.sql, run, task);
  }

  move(run: number, body: number, from: TaskState, to: TaskState): void {
    if (from.generation !== to.generation || from.status === 'pending' || to.status === 'pending' || from.effect !== to.effect) {
      this.replace(run, body, from, to);
      return;
    }
    const token = from.status === 'running' ? (from.lease?.token ?? null) : null;
    mustChange(
      token === null
        ? this.sql.moveFree.run(...changing(to), run, to.node, to.item, taskCode(from.status))
        : to.status === 'success' && to.completion === null && !to.cached && !to.partial
          ? this.sql.succeed.run(to.output, to.finishedAt, run, to.node, to.item, token)
          : this.sql.moveHeld.run(...changing(to), run, to.node, to.item, token),
      run,
    );
    if (from.status === 'waiting') closeWaits(this.sql, run, from);
    if (to.status === 'waiting') openWaits(this.sql, run, to);
  }

  /** A task that begins again has another row; what it ended as is kept as history. */
  private replace(run: number, body: number, from: TaskState, to: TaskState): void {
    const token = from.status === 'running' ? (from.lease?.token ?? null) : null;
    if ('finishedAt' in from) this.sql.archiveTask.run(run, to.node, to.item);
    mustChange(
      token === null
        ? this.sql.removeFree.run(run, to.node, to.item, taskCode(from.status))
        : this.sql.removeHeld.run(run, to.node, to.item, token),
      run,
    );
    if (from.status === 'waiting') closeWaits(this.sql, run, from);
    this.insert(run, body, to);
  }

  /** The items of a map whose list is made anew become history. */
  clearMap(run: number, node: number): void {
    this.sql.archiveItems.run(run, node);
    this.sql.removeItems.run(run, node);
    this.sql.removeMap.run(run, node);
  }
}

/** What the short insert leaves to the columns' defaults is at its default. */
const isPlainStart = (task: RunningTask): boolean =>
  task.losses === 0 && task.phase === 'body' && task.draws.length === 0 && task.effect === 1 && task.edited === null;
