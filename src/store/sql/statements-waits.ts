/** SQL about messages and open waits, and of the records of bodies that wait: a part of the list in `statements.ts`. */
const OPEN_WAIT = `w.id, w.run, w.node, w.item, w.generation, w.kind, w.name, w.signal, w.key, w.filtered, w.since, r.definition
  FROM open_waits w`;
const ITS_RUN = 'CROSS JOIN runs r ON r.id = w.run';
const BY_TASK = `INDEXED BY open_waits_task ${ITS_RUN}`;

export const waitStatements = {
  // why: of a run that goes on; by its key, up to the first row that decides
  isParked: `SELECT (EXISTS (SELECT 1 FROM tasks t WHERE t.run = ?1 AND t.status = 4)
    AND NOT EXISTS (SELECT 1 FROM tasks t WHERE t.run = ?1 AND (t.status IN (1, 3) OR (t.status = 2 AND t.token IS NOT NULL)))
    AND NOT EXISTS (SELECT 1 FROM maps m WHERE m.run = ?1 AND m.closed IS NULL AND (m.next < m.n OR m.again > 0))) AS n`,
  openWait: `INSERT INTO open_waits (run, node, item, generation, kind, name, signal, key, filtered, since) VALUES (?,?,?,?,?,?,?,?,?,?)`,
  closeWaits: 'DELETE FROM open_waits WHERE run = ? AND node = ? AND item = ?',
  closeWaitsOf: 'DELETE FROM open_waits WHERE run = ?',
  dropRefusals: 'DELETE FROM refusals WHERE run = ? AND node = ? AND item = ?',
  insertMessage: 'INSERT INTO messages (signal, run, key, at, expires_at, data) VALUES (?,?,?,?,?,?) RETURNING id',
  hasMessage: 'SELECT 1 AS n FROM messages WHERE id = ?',
  countByKey: 'SELECT count(*) AS n FROM (SELECT 1 FROM messages WHERE run IS NULL AND signal = ? AND key = ? LIMIT ?)',
  countByRun: 'SELECT count(*) AS n FROM (SELECT 1 FROM messages WHERE run IS NOT NULL AND run = ? AND signal = ? LIMIT ?)',
  firstByKey: 'SELECT expires_at AS at FROM messages WHERE run IS NULL AND signal = ? AND key = ? ORDER BY id LIMIT 1',
  firstByRun: 'SELECT expires_at AS at FROM messages WHERE run IS NOT NULL AND run = ? AND signal = ? ORDER BY id LIMIT 1',
  // why: a word that stood for a message is free again after its time
  putSend: `INSERT INTO sends (signal, box, dedupe, at) VALUES (?1,?2,?3,?4) ON CONFLICT (signal, box, dedupe) DO UPDATE SET at = excluded.at
    WHERE sends.at <= ?5`,
  dropSend: 'DELETE FROM sends WHERE signal = ? AND box = ? AND dedupe = ?',
  waitingRuns: `SELECT DISTINCT run FROM open_waits WHERE signal IS NOT NULL AND signal = ? AND key = ?`,
  boxesByKey: `SELECT DISTINCT g.signal, g.key FROM messages g WHERE g.run IS NULL AND (g.signal, g.key) > (?3, ?4) AND g.expires_at > ?1
    AND EXISTS (SELECT 1 FROM open_waits w WHERE w.signal IS NOT NULL AND w.signal = g.signal AND w.key = g.key)
    ORDER BY g.signal, g.key LIMIT ?2`,
  boxesByRun: `SELECT DISTINCT g.run, g.signal FROM messages g WHERE g.run IS NOT NULL AND (g.run, g.signal) > (?3, ?4) AND g.expires_at > ?1
    AND EXISTS (SELECT 1 FROM open_waits w INDEXED BY open_waits_task WHERE w.run = g.run AND w.signal = g.signal AND (g.key IS NULL OR w.key = g.key))
    ORDER BY g.run, g.signal LIMIT ?2`,
  waitsByKey: `SELECT ${OPEN_WAIT} ${ITS_RUN} WHERE w.signal IS NOT NULL AND w.signal = ? AND w.key = ? AND (w.since, w.id) > (?, ?)
    AND r.quarantined IS NULL ORDER BY w.since, w.id LIMIT ?`,
  waitsByRun: `SELECT ${OPEN_WAIT} ${BY_TASK} WHERE w.run = ? AND w.signal = ? AND (w.since, w.id) > (?, ?)
    AND r.quarantined IS NULL ORDER BY w.since, w.id LIMIT ?`,
  messagesByKey: `SELECT id, data, at FROM messages g WHERE g.run IS NULL AND g.signal = ?1 AND g.key = ?2 AND g.expires_at > ?3
    AND NOT EXISTS (SELECT 1 FROM refusals y WHERE y.run = ?4 AND y.node = ?5 AND y.item = ?6 AND y.message = g.id) ORDER BY id LIMIT ?7`,
  messagesByRun: `SELECT id, data, at FROM messages g WHERE g.run IS NOT NULL AND g.run = ?4 AND g.signal = ?1 AND (g.key IS NULL OR g.key = ?2) AND g.expires_at > ?3
    AND NOT EXISTS (SELECT 1 FROM refusals y WHERE y.run = ?4 AND y.node = ?5 AND y.item = ?6 AND y.message = g.id) ORDER BY id LIMIT ?7`,
  refuseMessage: `INSERT OR IGNORE INTO refusals (run, node, item, message) SELECT w.run, w.node, w.item, g.id FROM open_waits w CROSS JOIN messages g
    WHERE w.id = ? AND +w.run = ? AND g.id = ?`,
  expiredMessages: 'SELECT id, signal, run, key FROM messages WHERE expires_at <= ? ORDER BY expires_at LIMIT ?',
  nextExpiry: 'SELECT expires_at AS at FROM messages ORDER BY expires_at LIMIT 1',
  dropMessage: 'DELETE FROM messages WHERE id = ?',
  forgetRefusals: 'DELETE FROM refusals WHERE message = ?',
  oldSends: 'SELECT signal, box, dedupe FROM sends WHERE at <= ? ORDER BY at LIMIT ?',
  openWaitsOf: `SELECT ${OPEN_WAIT} ${ITS_RUN} WHERE w.kind = ?1 AND w.id > ?2 ORDER BY w.id LIMIT ?3`,
  openWaitsOfRun: `SELECT ${OPEN_WAIT} ${BY_TASK} WHERE w.run = ?1 AND w.kind = ?2 AND w.id > ?3 ORDER BY w.id LIMIT ?4`,
} as const;
