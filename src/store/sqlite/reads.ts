import type { KinFacts } from '../../core/kernel/children.ts';
import type { TaskState } from '../../core/kernel/run-state.ts';
import type * as acts from '../acts.ts';
import type * as port from '../store.ts';
import { readLog, readMap, readPast, readRun, readTask, readWorker, type Row } from './rows.ts';
import type { Outlook } from '../outlook.ts';
import { readOutlook } from './outlook.ts';
import { listRuns, readDefinition, readStuck, withEndedCalls } from './lookups.ts';
import { type Statements } from './statements.ts';

/** What is asked of the store in one statement, without a transaction of its own. */
export abstract class SqliteReads {
  protected abstract reading(): Statements;

  async definition(id: number): Promise<port.StoredDefinition | null> {
    const row = this.reading().definitionById.get(id);
    return row === undefined ? null : readDefinition(row);
  }

  async newestDefinition(workflow: string, version?: string): Promise<port.StoredDefinition | null> {
    const sql = this.reading();
    const row = version === undefined ? sql.newestDefinition.get(workflow) : sql.readDefinition.get(workflow, version);
    return row === undefined ? null : readDefinition(row);
  }

  async childrenOf(run: number, place?: { readonly node: number; readonly item: number }): Promise<port.RunRow[]> {
    const { childrenOf, childrenAt } = this.reading();
    const rows = place === undefined ? childrenOf.all(run) : childrenAt.all(run, place.node, place.item);
    return (rows as Row[]).map(readRun);
  }

  async kinOf({ run, tree }: { readonly run: number; readonly tree: number }, without: readonly number[]): Promise<KinFacts> {
    const { openKin, dueKin, spoiledKin } = this.reading();
    const others = JSON.stringify(without);
    const found = dueKin.get(run, others);
    const due = found === undefined ? null : { run: Number(found['run']), completion: Number(found['completion']) };
    // Of those to be undone one may be asked already, and not have begun.
    if (found?.['recall'] === 3 && due !== null) return { open: { run: due.run, isAsked: true }, due, incomplete: false };
    const row = openKin.get(tree, run, others);
    const open = row === undefined ? null : { run: Number(row['run']), isAsked: Number(row['recall']) >= 3 };
    return { open, due, incomplete: open === null && due === null && spoiledKin.get(tree, run, others) !== undefined };
  }

  async untold(limit: number): Promise<number[]> {
    return this.reading()
      .untoldRuns.all(limit)
      .map((row) => Number(row['id']));
  }

  async steps(task: port.TaskKey, after?: { readonly generation: number; readonly place: number }): Promise<port.StepRecord[]> {
    const { generation = null, place = 0 } = after ?? {};
    return this.reading().readSteps.all(task.run, task.node, task.item, generation, place) as unknown as port.StepRecord[];
  }

  async outlook(workflows: readonly string[], worker: number): Promise<Outlook> {
    return readOutlook(this.reading().outlook.get(JSON.stringify(workflows), worker) as Row);
  }

  async workers(): Promise<port.WorkerRow[]> {
    return (this.reading().workers.all() as Row[]).map(readWorker);
  }

  async endedWorkers(limit: number): Promise<port.WorkerRow[]> {
    return (this.reading().endedWorkers.all(limit) as Row[]).map(readWorker);
  }

  async heldBy(worker: number, limit: number): Promise<port.HeldTask[]> {
    return this.reading().heldBy.all(worker, limit) as unknown as port.HeldTask[];
  }

  async running(after: port.TaskKey | null, limit: number): Promise<port.HeldTask[]> {
    const at = after ?? { run: -1, node: -1, item: -1 };
    return this.reading().runningAfter.all(at.run, at.node, at.item, limit) as unknown as port.HeldTask[];
  }

  async stuck(after: port.OpenCursor | null, limit: number): Promise<{ runs: port.StuckRun[]; last: port.OpenCursor | null }> {
    return readStuck(this.reading(), after, limit);
  }

  async versions(workflows: readonly string[] | null): Promise<port.VersionRow[]> {
    return this.reading().versions.all(workflows === null ? null : JSON.stringify(workflows)) as unknown as port.VersionRow[];
  }

  async openRuns(definition: number, after: number, limit: number): Promise<port.OpenRun[]> {
    return this.reading().openRuns.all(definition, after, limit) as unknown as port.OpenRun[];
  }

  async movesOf(run: number): Promise<port.MoveRow[]> {
    return this.reading().movesOf.all(run) as unknown as port.MoveRow[];
  }

  async findRun(uid: Uint8Array): Promise<port.RunRow | null> {
    const row = this.reading().runByUid.get(uid);
    return row === undefined ? null : readRun(row);
  }

  async runRow(run: number): Promise<port.RunRow | null> {
    const row = this.reading().runById.get(run);
    return row === undefined ? null : readRun(row);
  }

  async endsOf(runs: readonly number[]): Promise<port.EndedRun[]> {
    return this.reading()
      .endsOf.all(JSON.stringify(runs))
      .map((row) => ({ run: Number(row['run']), hasOutput: row['has_output'] === 1, output: row['output'] as string | null }));
  }

  async listRuns(query: port.ListQuery): Promise<port.RunRow[]> {
    return listRuns(this.reading(), query);
  }

  async newestIds(limit: number): Promise<Uint8Array[]> {
    return this.reading()
      .newestIds.all(limit)
      .map((row) => row['uid'] as Uint8Array);
  }

  async mapsOf(run: number): Promise<port.MapCounts[]> {
    return (this.reading().mapsOf.all(run) as Row[]).map(readMap);
  }

  async tasksOf(run: number, items: boolean): Promise<TaskState[]> {
    const statement = items ? this.reading().allTasks : this.reading().plainTasks;
    return withEndedCalls(this.reading(), run, (statement.all(run) as Row[]).map(readTask));
  }

  async attemptsOf(task: port.TaskKey): Promise<port.AttemptRow[]> {
    return this.reading().attemptsOf.all(task.run, task.node, task.item) as unknown as port.AttemptRow[];
  }

  async historyOf(run: number): Promise<acts.PastTask[]> {
    return (this.reading().historyOf.all(run) as Row[]).map(readPast);
  }

  async audit(query: {
    readonly run?: number;
    readonly subject?: string;
    readonly before?: number;
    readonly limit: number;
  }): Promise<acts.AuditRow[]> {
    const { run, subject, before = Number.MAX_SAFE_INTEGER, limit } = query;
    const { readAudit, readAuditOf, readAuditOn } = this.reading();
    const rows =
      run !== undefined
        ? readAuditOf.all(run, before, limit)
        : subject !== undefined
          ? readAuditOn.all(subject, before, limit)
          : readAudit.all(before, limit);
    return rows as unknown as acts.AuditRow[];
  }

  async findRequest(actor: string, request: string, since: number): Promise<acts.DoneRequest | null> {
    return (this.reading().readRequest.get(actor, request, since) as acts.DoneRequest | undefined) ?? null;
  }

  async quarantinedRuns(limit: number): Promise<port.RunRow[]> {
    return (this.reading().quarantinedRuns.all(limit) as Row[]).map(readRun);
  }

  async strandedRuns(limit: number): Promise<number[]> {
    return this.reading()
      .strandedRuns.all(limit)
      .map((row) => Number(row['run']));
  }

  async logsOf({ run, after, node, item, attempt }: port.LogQuery, limit: number): Promise<port.LogRow[]> {
    const rows = this.reading().logsOf.all(run, after, node ?? null, item ?? null, attempt ?? null, limit);
    return rows.map((row) => readLog(row as Row));
  }
}
