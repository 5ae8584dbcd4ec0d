/** Reads the store's file beside the engine, read-only: what was really committed. */
import { existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import type { Graph } from '../../src/core/graph/graph.ts';
import { runIdText } from '../../src/core/ids.ts';
import { isRunOver, isTerminal, RUN_STATUSES, TASK_STATUSES } from '../../src/core/kernel/states.ts';
import type { FinalState, Outcome, Outcomes, Snapshot, StoredRun } from './history.ts';
import { clock, taskKey } from './records.ts';

const FIRST_TERMINAL = TASK_STATUSES.findIndex((status) => isTerminal[status]);
const FIRST_OVER = RUN_STATUSES.findIndex((status) => isRunOver[status]);

type Row = Readonly<Record<string, string | number | Uint8Array | null>>;

/** Reads one file again and again; leaves out what cannot have changed. */
export class StoreReader {
  private readonly path: string;
  private readonly tasksOf = new Map<number, readonly string[]>();
  /** Every run before this one was over at the last snapshot, which has all its tasks. */
  private firstOpen = 0;

  constructor(path: string) {
    this.path = path;
  }

  /** The store after the worker with this pid was killed. */
  snapshot(killedPid: number): Snapshot {
    if (!existsSync(this.path)) return { ended: new Map(), inFlight: 0, integrity: 'ok', at: clock() };
    return this.read((db) => {
      if (count(db, "SELECT count(*) AS n FROM sqlite_schema WHERE name = 'runs'") === 0) {
        return { ended: new Map(), inFlight: 0, integrity: integrity(db), at: clock() };
      }
      const ended = this.ended(db, this.firstOpen);
      this.firstOpen = firstOpen(db);
      return { ended, inFlight: inFlight(db, killedPid), integrity: integrity(db), at: clock() };
    });
  }

  final(): FinalState {
    return this.read((db) => ({ runs: runs(db), ended: this.ended(db, 0), integrity: integrity(db) }));
  }

  private read<T>(look: (db: DatabaseSync) => T): T {
    const db = new DatabaseSync(this.path, { readOnly: true, timeout: 10_000 });
    try {
      db.exec('BEGIN');
      return look(db);
    } finally {
      db.close();
    }
  }

  private ended(db: DatabaseSync, from: number): Outcomes {
    const ended = new Map<string, Outcome>();
    const ids = new Map<number, { run: string; definition: number }>();
    for (const row of all(db, 'SELECT id, uid, definition FROM runs WHERE id >= ?', from)) {
      ids.set(Number(row['id']), { run: runIdText(row['uid'] as Uint8Array), definition: Number(row['definition']) });
    }
    const sql = 'SELECT run, node, item, status, attempt, finished_at, output FROM tasks WHERE run >= ? AND status >= ?';
    for (const row of all(db, sql, from, FIRST_TERMINAL)) {
      const at = ids.get(Number(row['run']));
      const task = this.taskName(db, at?.definition ?? -1, Number(row['node']));
      const key = taskKey({ run: at?.run ?? `run ${String(row['run'])}`, task, item: Number(row['item']) });
      const status = TASK_STATUSES[Number(row['status'])] ?? String(row['status']);
      ended.set(key, { status, attempt: Number(row['attempt']), text: `at ${String(row['finished_at'])} with ${String(row['output'])}` });
    }
    return ended;
  }

  private taskName(db: DatabaseSync, definition: number, node: number): string {
    let names = this.tasksOf.get(definition);
    if (names === undefined) {
      const [row] = all(db, 'SELECT graph FROM definitions WHERE id = ?', definition);
      names = row === undefined ? [] : (JSON.parse(String(row['graph'])) as Graph).tasks.map((task) => task.id);
      this.tasksOf.set(definition, names);
    }
    return names[node] ?? `task ${node}`;
  }
}

const all = (db: DatabaseSync, sql: string, ...values: (string | number)[]): Row[] => db.prepare(sql).all(...values) as Row[];

const count = (db: DatabaseSync, sql: string, ...values: (string | number)[]): number => Number(all(db, sql, ...values)[0]?.['n'] ?? 0);

function firstOpen(db: DatabaseSync): number {
  return count(db, 'SELECT coalesce(min(id), (SELECT coalesce(max(id), 0) + 1 FROM runs)) AS n FROM runs WHERE status < ?', FIRST_OVER);
}

/** What the worker holds still, and what another has taken back from it already. */
function inFlight(db: DatabaseSync, pid: number): number {
  const held = 'SELECT count(*) AS n FROM tasks WHERE token IS NOT NULL AND worker IN (SELECT id FROM workers WHERE pid = ?)';
  const lost = "SELECT count(*) AS n FROM attempts WHERE outcome = 'lost' AND worker IN (SELECT id FROM workers WHERE pid = ?)";
  return count(db, held, pid) + count(db, lost, pid);
}

function integrity(db: DatabaseSync): string {
  return all(db, 'PRAGMA integrity_check(5)')
    .map((row) => String(row['integrity_check']))
    .join('; ');
}

function runs(db: DatabaseSync): StoredRun[] {
  const sql = 'SELECT r.uid, r.key, r.status, d.workflow FROM runs r JOIN definitions d ON d.id = r.definition';
  return all(db, sql).map((row) => ({
    run: runIdText(row['uid'] as Uint8Array),
    workflow: String(row['workflow']),
    key: row['key'] === null ? null : String(row['key']),
    status: RUN_STATUSES[Number(row['status'])] ?? String(row['status']),
  }));
}
