/** The SQL of schedules; statements.ts prepares it with all other. */
export const SCHEDULE_SQL = {
  insertSchedule: `INSERT INTO schedules (name, workflow, declared, rule, made_at, policy, input, is_made, cursor_at, next_at, watched, paused_at,
    paused_why, removed_at, failures_from, created_at) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT (name) DO NOTHING`,
  scheduleByName: 'SELECT * FROM schedules WHERE name = ?',
  scheduleById: 'SELECT * FROM schedules WHERE id = ?',
  schedulesAfter: 'SELECT * FROM schedules WHERE name > ? ORDER BY name LIMIT ?',
  dueSchedules: `SELECT id FROM schedules WHERE next_at IS NOT NULL AND next_at <= ?1 AND workflow IN (SELECT value FROM json_each(?2))
    ORDER BY next_at LIMIT ?3`,
  watchedSchedules: `SELECT id FROM schedules WHERE watched = 1 AND id > ?1 AND workflow IN (SELECT value FROM json_each(?2)) ORDER BY id LIMIT ?3`,
  nextScheduleAt: `SELECT next_at AS at FROM schedules WHERE next_at IS NOT NULL AND next_at > ?1
    AND workflow IN (SELECT value FROM json_each(?2)) ORDER BY next_at LIMIT 1`,
  lateSchedules:
    'SELECT name, workflow, next_at AS nextAt FROM schedules WHERE next_at IS NOT NULL AND next_at < ? ORDER BY next_at LIMIT 100',
  moveSchedule: `UPDATE schedules SET cursor_at = ?, next_at = ?, watched = ?, paused_at = ?, paused_why = ?, removed_at = ?, failures_from = ?,
    rev = rev + 1 WHERE id = ? AND rev = ?`,
  setTerms: 'UPDATE schedules SET workflow = ?, declared = ?, rule = ?, made_at = ?, policy = ?, input = ?, is_made = ? WHERE id = ?',
  watchSchedule: 'UPDATE schedules SET watched = 1, rev = rev + 1 WHERE id = ? AND rev = ?',
  bumpSchedule: 'UPDATE schedules SET watched = 1, rev = rev + 1 WHERE id = (SELECT schedule FROM backfills WHERE id = ?) RETURNING name',
  dropSchedule: 'DELETE FROM schedules WHERE id = ? AND rev = ?',
  dropFires: 'DELETE FROM fires WHERE schedule = ?',
  dropBackfills: 'DELETE FROM backfills WHERE schedule = ?',
  readFire: 'SELECT state FROM fires WHERE schedule = ? AND due_at = ? AND backfill = ?',
  insertFire:
    'INSERT INTO fires (schedule, due_at, backfill, state, until_at, count, reason, note, run, uid, at) VALUES (?,?,?,?,?,?,?,?,?,?,?)',
  startWaiting: 'UPDATE fires SET state = 1, run = ?, uid = ?, at = ? WHERE schedule = ? AND due_at = ? AND backfill = 0 AND state = 0',
  dropWaiting: 'UPDATE fires SET state = 2, reason = ?, note = ?, at = ? WHERE schedule = ? AND due_at = ? AND backfill = 0 AND state = 0',
  extendFire: `UPDATE fires SET until_at = ?, count = ?, at = ? WHERE schedule = ? AND due_at = ? AND backfill = 0 AND state = 2`,
  scheduleRun: 'UPDATE runs SET schedule = ?, due_at = ? WHERE id = ?',
  lastFire: `SELECT due_at, state, count, reason, note FROM fires WHERE schedule = ? AND due_at <= ? AND backfill = 0 ORDER BY due_at DESC LIMIT 1`,
  openFires: `SELECT r.id AS run, r.status, f.due_at, f.backfill FROM runs r INDEXED BY runs_scheduled CROSS JOIN fires f ON f.run = r.id
    WHERE r.schedule = ?1 AND r.schedule IS NOT NULL AND r.status < 6 AND r.quarantined IS NULL AND f.schedule = ?2 LIMIT 2000`,
  waitingFires: 'SELECT due_at FROM fires WHERE schedule = ? AND state = 0 ORDER BY due_at',
  endedFires: `SELECT r.status FROM fires f CROSS JOIN runs r ON r.id = f.run
    WHERE f.schedule = ? AND f.due_at > ? AND f.backfill = 0 AND f.state = 1 AND r.status >= 6 ORDER BY f.due_at DESC LIMIT ?`,
  firesBefore: `SELECT f.due_at, f.until_at, f.count, f.backfill, f.state, f.reason, f.note, f.at, f.uid, r.status FROM fires f
    LEFT JOIN runs r ON r.id = f.run WHERE f.schedule = ? AND (f.due_at, f.backfill) < (?, ?) ORDER BY f.due_at DESC, f.backfill DESC LIMIT ?`,
  // why: of several runs of one instant the last that was started
  firesIn: `SELECT f.due_at, r.status, max(f.run) FROM fires f CROSS JOIN runs r ON r.id = f.run
    WHERE f.schedule = ? AND f.due_at >= ? AND f.due_at <= ? AND f.state = 1 GROUP BY f.due_at`,
  insertBackfill: `INSERT INTO backfills (schedule, from_at, to_at, reprocess, concurrency, cursor_at, created_at) VALUES (?,?,?,?,?,?,?)
    RETURNING id`,
  openBackfills: 'SELECT * FROM backfills WHERE schedule = ? AND state < 2 ORDER BY id',
  backfillsOf: 'SELECT * FROM backfills WHERE schedule = ? ORDER BY id DESC LIMIT ?',
  moveBackfill: 'UPDATE backfills SET cursor_at = ?, state = ?, started = started + ?, finished_at = ? WHERE id = ?',
  cancelBackfill: 'UPDATE backfills SET state = 1 WHERE id = ? AND state = 0',
  oldestFire: 'SELECT 1 AS n FROM fires WHERE state > 0 AND at <= ? LIMIT 1',
  oldestBackfill: 'SELECT 1 AS n FROM backfills WHERE finished_at <= ? LIMIT 1',
  pruneFires: `DELETE FROM fires WHERE (schedule, due_at, backfill) IN
    (SELECT schedule, due_at, backfill FROM fires WHERE state > 0 AND at <= ?
      AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.id = fires.run AND r.status < 6) ORDER BY at LIMIT ?)`,
  pruneBackfills: 'DELETE FROM backfills WHERE id IN (SELECT id FROM backfills WHERE finished_at <= ? ORDER BY finished_at LIMIT ?)',
} as const;
