/** A store with a long history: copies of a run that an engine made, written by the statements that an import uses. */
import { randomBytes } from 'node:crypto';
import { newRunId } from '../src/core/ids.ts';
import { openDatabase } from '../src/store/sqlite/driver.ts';
import { runCode } from '../src/store/sql/rows.ts';
import { prepareStatements, type Statements } from '../src/store/sqlite/statements.ts';
import { submitAll, chain } from './w1.ts';
import { workingEngine } from './workload.ts';

const RUNS_PER_COMMIT = 5_000;
/** How far apart the copies ended. */
const STEP_MS = 10;

type Row = Readonly<Record<string, null | number | bigint | string | Uint8Array>>;

interface Original {
  readonly definition: number;
  readonly firstBody: number;
  readonly run: Row;
  readonly tasks: readonly Row[];
}

/** The last copy ended so long ago. With nothing said none is old enough to be pruned. */
export async function fill(folder: string, runs: number, agoMs = 0): Promise<void> {
  const engine = await workingEngine(folder, [chain]);
  await submitAll(engine, 1);
  await engine.close();
  // why: no flush at each commit, but one when the file is closed
  const db = openDatabase({ path: `${folder}/pawl.db`, durability: 'fast', patienceMs: 10_000 });
  const sql = prepareStatements(db);
  const original = read(sql);
  const firstAt = Date.now() - agoMs - runs * STEP_MS;
  const first = Number(sql.takeNumbers.get(runs, 'next_run')?.['value']) - runs;
  for (let done = 0; done < runs;) {
    sql.beginWrite.run();
    for (const end = Math.min(runs, done + RUNS_PER_COMMIT); done < end; done++)
      copy(sql, original, first + done, firstAt + done * STEP_MS);
    sql.commit.run();
  }
  db.close();
}

/** The columns of an export stand in the order in which an import takes them. */
function read(sql: Statements): Original {
  const definition = sql.newestDefinition.get(chain.name);
  const ended = sql.endedRuns.get(runCode('success'), Date.now(), 1);
  const run = Number(ended?.['id']);
  return {
    definition: Number(definition?.['id']),
    firstBody: Number(definition?.['firstBody']),
    run: sql.exportRun.get(run) as Row,
    tasks: sql.export_tasks.all(run),
  };
}

function copy(sql: Statements, { definition, firstBody, run, tasks }: Original, number: number, at: number): void {
  const uid = newRunId(at, randomBytes);
  sql.importRun.run(number, uid, definition, 1, null, null, ...Object.values({ ...run, rank: at, acceptedAt: at, finishedAt: at }));
  for (const task of tasks) {
    const moved = { ...task, rank: at, firstQueuedAt: at, startedAt: at, finishedAt: at };
    sql.import_tasks.run(number, firstBody + Number(task['node']), null, null, ...Object.values(moved));
  }
}
