/** Of a run's rows some keys, and the deletion of one row by its whole key: by a part of it the planner reads what is to stay. */
export const keysOf = (table: string, key: string): string => `SELECT ${key} FROM ${table} WHERE run = ? ORDER BY ${key} LIMIT ?`;
export const dropRow = (table: string, key: string): string =>
  `DELETE FROM ${table} WHERE run = ? AND ${key
    .split(', ')
    .map((column) => `${column} = ?`)
    .join(' AND ')}`;

/** In which of these tables a run has rows: a bit each, in their order. Most runs have some in one or two. */
export const tablesHeld = (tables: readonly string[]): string =>
  `SELECT ${tables.map((table, i) => `(EXISTS (SELECT 1 FROM ${table} WHERE run = ?1) << ${i})`).join(' | ')} AS held`;

/** Retention: a run leaves with its row; its other rows follow, at once or as leftovers. */
export const CARE_SQL = {
  // why: a child stays as long as the run at the top, and that as long as anything below it is open; children that stay are not in the index
  endedRuns: `SELECT id, definition, key FROM runs WHERE status = ? AND finished_at IS NOT NULL AND quarantined IS NULL AND kept IS NULL
    AND finished_at <= ? AND NOT EXISTS (SELECT 1 FROM runs below WHERE below.tree IS NOT NULL AND below.tree = runs.id AND below.status < 6)
    ORDER BY finished_at LIMIT ?`,
  countEnded: `SELECT count(*) AS n FROM runs WHERE status = ? AND finished_at IS NOT NULL AND quarantined IS NULL AND kept IS NULL
    AND finished_at <= ? AND NOT EXISTS (SELECT 1 FROM runs below WHERE below.tree IS NOT NULL AND below.tree = runs.id AND below.status < 6)`,
  keptBelow: 'SELECT id FROM runs WHERE kept = 1 AND tree = ? LIMIT ?',
  freeBelow: 'UPDATE runs SET kept = NULL WHERE id = ?',
  dropRun: 'DELETE FROM runs WHERE id = ?',
  dropKey: 'DELETE FROM keys WHERE workflow = (SELECT workflow FROM definitions WHERE id = ?) AND key = ? AND run = ?',
  nextLeftover: 'SELECT run FROM leftovers WHERE due_at <= ? ORDER BY run LIMIT 1',
  putLeftover: 'INSERT INTO leftovers (run, due_at) VALUES (?,?) ON CONFLICT (run) DO UPDATE SET due_at = excluded.due_at',
  dropLeftover: 'DELETE FROM leftovers WHERE run = ?',
  oldestJournal: 'SELECT seq, at, changes FROM journal WHERE seq > ? ORDER BY seq LIMIT ?',
  journalFrom: 'SELECT seq, at FROM journal WHERE seq >= ? ORDER BY seq LIMIT 1',
  cutJournal: 'DELETE FROM journal WHERE seq <= ?',
  oldestAudit: 'SELECT id, at FROM audit ORDER BY id LIMIT ?',
  cutAudit: 'DELETE FROM audit WHERE id <= ?',
  dropWorkers: `DELETE FROM workers WHERE id IN (SELECT id FROM workers WHERE ended_at IS NOT NULL AND ended_at <= ? ORDER BY id LIMIT ?)`,
  oldRequests: 'SELECT actor, request FROM requests WHERE at <= ? ORDER BY at LIMIT ?',
  dropRequest: 'DELETE FROM requests WHERE actor = ? AND request = ?',
  setMeta: 'UPDATE meta SET value = ? WHERE name = ?',
  readMeta: 'SELECT value FROM meta WHERE name = ?',
  putCheckpointRun: `INSERT INTO checkpoint_runs (run, generation, status) VALUES (?1, ?2, coalesce(?3, 2))
    ON CONFLICT (run) DO UPDATE SET generation = ?2, status = coalesce(?3, status)`,
  putCheckpointTask: `INSERT INTO checkpoint_tasks (run, node, item, generation, status, attempt) VALUES (?,?,?,?,?,?)
    ON CONFLICT (run, node, item) DO UPDATE SET generation = excluded.generation, status = excluded.status, attempt = excluded.attempt`,
  checkpointOver: 'SELECT run FROM checkpoint_runs WHERE status >= 6 ORDER BY run LIMIT 1',
  hasCheckpoint: 'SELECT run FROM checkpoint_runs WHERE run = ?',
  dropCheckpointRun: 'DELETE FROM checkpoint_runs WHERE run = ?',
  keysOfCheckpoint: keysOf('checkpoint_tasks', 'node, item'),
  dropCheckpointTask: dropRow('checkpoint_tasks', 'node, item'),
  checkpointRuns: 'SELECT run, generation, status FROM checkpoint_runs WHERE run > ? AND status < 6 ORDER BY run LIMIT ?',
  checkpointTasks: 'SELECT node, item, generation, status, attempt FROM checkpoint_tasks WHERE run = ? ORDER BY node, item',
} as const;
