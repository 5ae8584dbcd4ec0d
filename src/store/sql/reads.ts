import type { KinFacts } from '../../core/kernel/children.ts';
import type { TaskState } from '../../core/kernel/run-state.ts';
import type * as acts from '../acts.ts';
import type { Outlook } from '../outlook.ts';
import type * as port from '../store.ts';
import { listRuns, readDefinition, readStuck, withEndedCalls } from './lookups.ts';
import { readOutlook } from './outlook.ts';
import { many, one, type Later, type Program } from './program.ts';
import { readLog, readMap, readPast, readRun, readTask, readWorker, type Row } from './rows.ts';
import type { Statements } from './statements.ts';

/** What is asked of the store in one statement, or several that need no snapshot. */
export abstract class SqlReads {
  protected abstract ask<T>(program: (sql: Statements) => Program<T>): Promise<T>;

  private async row(statement: (sql: Statements) => Row | undefined | Later): Promise<Row | undefined> {
    return this.ask((sql) => one(statement(sql)));
  }

  private async rows(statement: (sql: Statements) => Row[] | Later): Promise<Row[]> {
    return this.ask((sql) => many(statement(sql)));
  }

  async definition(id: number): Promise<port.StoredDefinition | null> {
    const row = await this.row((sql) => sql.definitionById.get(id));
    return row === undefined ? null : readDefinition(row);
  }

  async newestDefinition(workflow: string, version?: string): Promise<port.StoredDefinition | null> {
    const row = await this.row((sql) =>
      version === undefined ? sql.newestDefinition.get(workflow) : sql.readDefinition.get(workflow, version),
    );
    return row === undefined ? null : readDefinition(row);
  }

  async childrenOf(run: number, place?: { readonly node: number; readonly item: number }): Promise<port.RunRow[]> {
    const rows = await this.rows((sql) =>
      place === undefined ? sql.childrenOf.all(run) : sql.childrenAt.all(run, place.node, place.item),
    );
    return rows.map(readRun);
  }

  async kinOf({ run, tree }: { readonly run: number; readonly tree: number }, without: readonly number[]): Promise<KinFacts> {
    const others = JSON.stringify(without);
    return this.ask(function* (sql) {
      const found = yield* one(sql.dueKin.get(run, others));
      const due = found === undefined ? null : { run: Number(found['run']), completion: Number(found['completion']) };
      // Of those to be undone one may be asked already, and not have begun.
      if (found?.['recall'] === 3 && due !== null) return { open: { run: due.run, isAsked: true }, due, incomplete: false };
      const row = yield* one(sql.openKin.get(tree, run, others));
      const open = row === undefined ? null : { run: Number(row['run']), isAsked: Number(row['recall']) >= 3 };
      const isSpoiled = open === null && due === null && (yield* one(sql.spoiledKin.get(tree, run, others))) !== undefined;
      return { open, due, incomplete: isSpoiled };
    });
  }

  async untold(limit: number): Promise<number[]> {
    return (await this.rows((sql) => sql.untoldRuns.all(limit))).map((row) => Number(row['id']));
  }

  async steps(task: port.TaskKey, after?: { readonly generation: number; readonly place: number }): Promise<port.StepRecord[]> {
    const { generation = null, place = 0 } = after ?? {};
    const rows = await this.rows((sql) => sql.readSteps.all(task.run, task.node, task.item, generation, place));
    return rows as unknown as port.StepRecord[];
  }

  async outlook(workflows: readonly string[], worker: number): Promise<Outlook> {
    return readOutlook((await this.row((sql) => sql.outlook.get(JSON.stringify(workflows), worker))) as Row);
  }

  async workers(): Promise<port.WorkerRow[]> {
    return (await this.rows((sql) => sql.workers.all())).map(readWorker);
  }

  async endedWorkers(limit: number): Promise<port.WorkerRow[]> {
    return (await this.rows((sql) => sql.endedWorkers.all(limit))).map(readWorker);
  }

  async heldBy(worker: number, limit: number): Promise<port.HeldTask[]> {
    return (await this.rows((sql) => sql.heldBy.all(worker, limit))) as unknown as port.HeldTask[];
  }

  async running(after: port.TaskKey | null, limit: number): Promise<port.HeldTask[]> {
    const at = after ?? { run: -1, node: -1, item: -1 };
    return (await this.rows((sql) => sql.runningAfter.all(at.run, at.node, at.item, limit))) as unknown as port.HeldTask[];
  }

  async stuck(after: port.OpenCursor | null, limit: number): Promise<{ runs: port.StuckRun[]; last: port.OpenCursor | null }> {
    return this.ask((sql) => readStuck(sql, after, limit));
  }

  async versions(workflows: readonly string[] | null): Promise<port.VersionRow[]> {
    const rows = await this.rows((sql) => sql.versions.all(workflows === null ? null : JSON.stringify(workflows)));
    return rows as unknown as port.VersionRow[];
  }

  async openRuns(definition: number, after: number, limit: number): Promise<port.OpenRun[]> {
    return (await this.rows((sql) => sql.openRuns.all(definition, after, limit))) as unknown as port.OpenRun[];
  }

  async movesOf(run: number): Promise<port.MoveRow[]> {
    return (await this.rows((sql) => sql.movesOf.all(run))) as unknown as port.MoveRow[];
  }

  async findRun(uid: Uint8Array): Promise<port.RunRow | null> {
    const row = await this.row((sql) => sql.runByUid.get(uid));
    return row === undefined ? null : readRun(row);
  }

  async runRow(run: number): Promise<port.RunRow | null> {
    const row = await this.row((sql) => sql.runById.get(run));
    return row === undefined ? null : readRun(row);
  }

  async endsOf(runs: readonly number[]): Promise<port.EndedRun[]> {
    const rows = await this.rows((sql) => sql.endsOf.all(JSON.stringify(runs)));
    return rows.map((row) => ({ run: Number(row['run']), hasOutput: row['has_output'] === 1, output: row['output'] as string | null }));
  }

  async listRuns(query: port.ListQuery): Promise<port.RunRow[]> {
    return this.ask((sql) => listRuns(sql, query));
  }

  async newestIds(limit: number): Promise<Uint8Array[]> {
    return (await this.rows((sql) => sql.newestIds.all(limit))).map((row) => row['uid'] as Uint8Array);
  }

  async mapsOf(run: number): Promise<port.MapCounts[]> {
    return (await this.rows((sql) => sql.mapsOf.all(run))).map(readMap);
  }

  async tasksOf(run: number, items: boolean): Promise<TaskState[]> {
    return this.ask(function* (sql) {
      const rows = yield* many(items ? sql.allTasks.all(run) : sql.plainTasks.all(run));
      return yield* withEndedCalls(sql, run, rows.map(readTask));
    });
  }

  async attemptsOf(task: port.TaskKey): Promise<port.AttemptRow[]> {
    return (await this.rows((sql) => sql.attemptsOf.all(task.run, task.node, task.item))) as unknown as port.AttemptRow[];
  }

  async historyOf(run: number): Promise<acts.PastTask[]> {
    return (await this.rows((sql) => sql.historyOf.all(run))).map(readPast);
  }

  async audit(query: {
    readonly run?: number;
    readonly subject?: string;
    readonly before?: number;
    readonly limit: number;
  }): Promise<acts.AuditRow[]> {
    const { run, subject, before = Number.MAX_SAFE_INTEGER, limit } = query;
    const rows = await this.rows((sql) =>
      run !== undefined
        ? sql.readAuditOf.all(run, before, limit)
        : subject !== undefined
          ? sql.readAuditOn.all(subject, before, limit)
          : sql.readAudit.all(before, limit),
    );
    return rows as unknown as acts.AuditRow[];
  }

  async findRequest(actor: string, request: string, since: number): Promise<acts.DoneRequest | null> {
    const row = await this.row((sql) => sql.readRequest.get(actor, request, since));
    return (row as unknown as acts.DoneRequest | undefined) ?? null;
  }

  async quarantinedRuns(limit: number): Promise<port.RunRow[]> {
    return (await this.rows((sql) => sql.quarantinedRuns.all(limit))).map(readRun);
  }

  async strandedRuns(limit: number): Promise<number[]> {
    return (await this.rows((sql) => sql.strandedRuns.all(limit))).map((row) => Number(row['run']));
  }

  async logsOf({ run, after, node, item, attempt }: port.LogQuery, limit: number): Promise<port.LogRow[]> {
    const rows = await this.rows((sql) => sql.logsOf.all(run, after, node ?? null, item ?? null, attempt ?? null, limit));
    return rows.map(readLog);
  }
}
