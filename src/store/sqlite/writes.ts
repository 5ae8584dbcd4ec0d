import type { AttemptRecord, Changes } from '../../core/changes.ts';
import type { JournalWriter } from '../../core/journal.ts';
import type { TaskState } from '../../core/run-state.ts';
import type { KeyClaim, LogWrite, RunWrite, StartResult, StartWrite, StepWrite } from '../store.ts';
import { STATE_FORMAT } from './driver.ts';
import { changing, runCode, taskCode, whole } from './rows.ts';
import type { Statements } from './statements.ts';

/** A guard of this run's write did not hold: somebody else was first. The transaction is rolled back and done again without the run. */
export class GuardFailed extends Error {
  readonly run: number;
  constructor(run: number) {
    super(`run ${run} moved on`);
    this.run = run;
  }
}

/** Rows of tasks: first ones, and moves under the guard that fits where they were. */
export class TaskWriter {
  private readonly sql: Statements;

  constructor(sql: Statements) {
    this.sql = sql;
  }

  insert(run: number, body: number, task: TaskState): void {
    if (task.status === 'running' && task.lease !== null && task.losses === 0 && task.phase === 'body' && task.draws.length === 0) {
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
  }

  move(run: number, from: TaskState, to: TaskState): void {
    const token = from.status === 'running' ? (from.lease?.token ?? null) : null;
    const { changes } =
      token === null
        ? this.sql.moveFree.run(...changing(to), run, to.node, to.item, taskCode(from.status))
        : to.status === 'success'
          ? this.sql.succeed.run(to.output, to.finishedAt, run, to.node, to.item, token)
          : this.sql.moveHeld.run(...changing(to), run, to.node, to.item, token);
    if (changes !== 1) throw new GuardFailed(run);
  }
}

/** What the kernel decided about runs, as rows. */
export class RunWriter {
  private readonly sql: Statements;
  private readonly tasks: TaskWriter;

  constructor(sql: Statements, tasks: TaskWriter) {
    this.sql = sql;
    this.tasks = tasks;
  }

  start(write: StartWrite, now: number, journal: JournalWriter): StartResult {
    const { state, key } = write;
    if (key !== null) {
      const holder = this.holder(write.workflow, key, now);
      if (holder !== null) return holder;
    }
    const ended = write.changes.end;
    this.sql.insertRun.run(
      state.run,
      write.uid,
      write.definition,
      runCode(state.status),
      state.generation,
      state.rev,
      STATE_FORMAT,
      write.owner,
      state.rank,
      write.unclaimed ? 1 : null,
      state.acceptedAt,
      state.startAt,
      state.deadlineAt,
      ended === null ? wakeAt(state.status, state.startAt, state.deadlineAt) : null,
      ended?.finishedAt ?? null,
      ended?.reason ?? null,
      key?.value ?? null,
      write.tags.length === 0 ? null : JSON.stringify(write.tags),
      write.traceparent,
      ended?.hasOutput ? 1 : 0,
      state.input,
      ended?.output ?? null,
    );
    if (key !== null && !(key.until === 'open' && ended !== null)) this.putKey(write.workflow, key, state.run);
    journal.run(state);
    journal.runMoved('-', ended === null ? state.status : 'running', null);
    this.applyTasks(state.run, write.firstBody, write.changes, journal);
    if (ended !== null) journal.runMoved('running', ended.status, ended.reason);
    return { created: true };
  }

  private holder(workflow: string, key: KeyClaim, now: number): StartResult | null {
    const row = this.sql.readKey.get(workflow, key.value);
    if (row === undefined || row['uid'] === null) return null;
    if (row['until'] !== null && Number(row['until']) <= now) return null;
    return { created: false, uid: row['uid'] as Uint8Array, run: Number(row['run']), inputHash: String(row['inputHash']) };
  }

  private putKey(workflow: string, key: KeyClaim, run: number): void {
    const until = typeof key.until === 'number' ? key.until : null;
    this.sql.putKey.run(workflow, key.value, run, key.inputHash, until, key.until === 'open' ? 1 : 0);
  }

  change(write: RunWrite, journal: JournalWriter): void {
    const { state, changes } = write;
    journal.run(state);
    if (changes.admitted) {
      this.sql.admitRun.run(state.run);
      journal.runMoved('scheduled', 'running', null);
    }
    this.applyTasks(state.run, write.firstBody, changes, journal);
    if (write.shared) this.sql.bumpRev.run(state.run);
    if (changes.end !== null) this.endRun(state.run, changes.end, journal);
  }

  private applyTasks(run: number, firstBody: number, changes: Changes, journal: JournalWriter): void {
    for (const { from, to } of changes.tasks) {
      if (from === undefined) this.tasks.insert(run, firstBody + to.node, to);
      else this.tasks.move(run, from, to);
      journal.task(from, to);
    }
    for (const attempt of changes.attempts) this.recordAttempt(run, attempt);
    for (const map of changes.maps.values()) {
      if (map.n === null) this.sql.countMap.run(map.next, map.ok, map.failed, map.cancelled, map.skipped, run, map.node);
      else {
        const rank = changes.tasks.find((change) => change.to.node === map.node)?.to.rank ?? 0;
        this.sql.insertMap.run(run, map.node, firstBody + map.node, rank, map.n, map.next, map.ok, map.failed, map.cancelled, map.skipped);
      }
    }
    if (changes.maps.size > 0 || changes.end !== null) this.closeMaps(run, changes);
  }

  /** A map that ended with unstarted items hands out no more. */
  private closeMaps(run: number, changes: Changes): void {
    for (const { from, to } of changes.tasks) {
      if (to.item < 0 && from?.status === 'running' && from.lease === null && 'finishedAt' in to) this.sql.closeMap.run(run, to.node);
    }
  }

  private recordAttempt(run: number, a: AttemptRecord): void {
    this.sql.insertAttempt.run(
      run,
      a.node,
      a.item,
      a.attempt,
      a.generation,
      a.outcome,
      a.reason,
      a.error,
      a.worker,
      a.startedAt,
      a.endedAt,
    );
    if (a.attempt > 13) this.sql.trimAttempts.run(run, a.node, a.item, a.attempt - 10);
  }

  private endRun(run: number, end: NonNullable<Changes['end']>, journal: JournalWriter): void {
    this.sql.endRun.run(runCode(end.status), end.reason, end.output, end.hasOutput ? 1 : 0, end.finishedAt, run);
    this.sql.dropOpenKey.run(run);
    journal.runMoved(end.from, end.status, end.reason);
  }

  step(write: StepWrite): boolean {
    const { changes } = this.sql.insertStep.run(
      write.name,
      write.kind,
      write.value,
      write.run,
      write.node,
      write.item,
      write.token,
      write.generation,
    );
    return changes === 1;
  }

  log({ run, node, item, token, generation, attempt, chunk, lines }: LogWrite): boolean {
    return this.sql.insertLog.run(chunk, lines, run, node, item, token, generation, attempt).changes === 1;
  }
}

function wakeAt(status: string, startAt: number | null, deadlineAt: number | null): number | null {
  return status === 'scheduled' ? startAt : deadlineAt;
}
