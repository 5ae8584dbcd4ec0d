import { FIRST_LANE } from './lanes.ts';

/** Lanes, what they hold, and what is said of pools, keys and rates; statements.ts prepares it with all other. */
export const LIMIT_SQL = {
  readLane: 'SELECT id FROM lanes WHERE body = ? AND run = ? AND needs = ?',
  insertLane: `INSERT INTO lanes (id, body, run, needs, key) SELECT coalesce(max(id), ${FIRST_LANE}) + 1, ?, ?, ?, ? FROM lanes RETURNING id`,
  // why: by both signs, and by each open state, so that the index serves it
  emptyLanes: `SELECT id FROM lanes l WHERE id > ?1 AND NOT EXISTS (SELECT 1 FROM tasks t INDEXED BY tasks_open
    WHERE t.status <= 4 AND t.status IN (0, 1, 2, 3, 4) AND t.body IN (l.id, -l.id)) ORDER BY id LIMIT ?2`,
  dropLane: 'DELETE FROM lanes WHERE id = ?',
  putInLane: 'UPDATE tasks SET body = ? WHERE run = ? AND node = ? AND item = ?',
  // why: from lane to lane by the index, with the first in each
  relane: 'UPDATE tasks SET body = CASE WHEN body < 0 THEN -?1 ELSE ?1 END WHERE run = ?2 AND node = ?3 AND item = ?4',
  queuedLanes: `WITH RECURSIVE queued(lane) AS (SELECT min(body) FROM tasks WHERE status <= 4 AND status = 1 AND body > ?1 UNION ALL
      SELECT (SELECT min(body) FROM tasks WHERE status <= 4 AND status = 1 AND body > queued.lane) FROM queued WHERE queued.lane IS NOT NULL)
    SELECT l.id, l.body, l.needs, l.served, t.rank, t.run, t.node, t.item, t.first_queued_at AS queuedAt FROM queued CROSS JOIN lanes l ON l.id = queued.lane
    CROSS JOIN tasks t ON (t.run, t.node, t.item) = (SELECT run, node, item FROM tasks h WHERE h.status <= 4 AND h.status = 1 AND h.body = queued.lane
      ORDER BY h.rank, h.run, h.node, h.item LIMIT 1) LIMIT ?2`,
  laneTasks: `SELECT t.run, t.node, t.item, t.rank, t.first_queued_at AS queuedAt, t.next FROM tasks t CROSS JOIN runs r ON r.id = t.run AND r.format <= ?2
    WHERE t.status <= 4 AND t.status = 1 AND t.body = ?1 ORDER BY t.rank, t.run, t.node, t.item LIMIT ?3`,
  heldLanes: `SELECT l.needs, count(*) AS n FROM tasks t CROSS JOIN lanes l ON l.id = t.body
    WHERE t.status <= 4 AND t.status = 2 AND t.body > ${FIRST_LANE} GROUP BY t.body`,
  // why: below zero stand paused runs and quarantined ones; of these what has ended is parked, and holds nothing
  heldAside: `SELECT l.needs, count(*) AS n FROM tasks t CROSS JOIN lanes l ON l.id = -t.body WHERE t.status <= 4 AND t.status = 2
    AND t.body < -${FIRST_LANE} AND NOT EXISTS (SELECT 1 FROM parked p WHERE p.run = t.run AND p.token = t.token) GROUP BY t.body`,
  serveLane: 'UPDATE lanes SET served = ? WHERE id = ?',
  // why: one by one, since a line may have been joined before its pool was fair, by tasks of several runs
  heldOneByOne: `SELECT t.body, t.run, l.needs FROM tasks t CROSS JOIN lanes l ON l.id = t.body
    WHERE t.status <= 4 AND t.status = 2 AND t.body > ${FIRST_LANE}`,
  heldAsideOneByOne: `SELECT t.body, t.run, l.needs FROM tasks t CROSS JOIN lanes l ON l.id = -t.body WHERE t.status <= 4 AND t.status = 2
    AND t.body < -${FIRST_LANE} AND NOT EXISTS (SELECT 1 FROM parked p WHERE p.run = t.run AND p.token = t.token)`,
  keyRetrying: `SELECT t.rank, t.run, t.node, t.item FROM lanes l CROSS JOIN tasks t ON t.body IN (l.id, -l.id)
    WHERE l.key = ? AND t.status <= 4 AND t.status = 3`,
  keyHolders: `SELECT t.run, t.node, t.item, t.token FROM lanes l CROSS JOIN tasks t ON t.body IN (l.id, -l.id)
    WHERE l.key = ? AND t.status <= 4 AND t.status = 2 ORDER BY t.started_at, t.run, t.node, t.item LIMIT ?`,
  needsOfRun: `SELECT t.node, t.item, l.needs FROM tasks t CROSS JOIN lanes l ON l.id = abs(t.body)
    WHERE t.run = ? AND +t.status <= 4 AND (t.body > ${FIRST_LANE} OR t.body < -${FIRST_LANE})`,
  enterGate:
    'INSERT INTO gates (run, name, need, rank, held) VALUES (?,?,?,?,0) ON CONFLICT (run, name) DO UPDATE SET held = 0, rank = excluded.rank',
  // why: it was granted, or asked for, in another store, and may not have gone on with it there
  placeInGate: `INSERT INTO gates (run, name, need, rank, held) VALUES (?1, ?2, ?3, ?4,
    CASE WHEN ?5 = 1 AND (SELECT status FROM runs WHERE id = ?1) = 1 THEN 2 ELSE ?5 END) ON CONFLICT (run, name) DO NOTHING`,
  leaveGate: 'DELETE FROM gates WHERE run = ? RETURNING name',
  nextGate: 'SELECT name FROM gates WHERE held = 0 AND name > ? ORDER BY name LIMIT 1',
  gateWaiting: `SELECT e.run, e.need FROM gates e CROSS JOIN runs r ON r.id = e.run AND r.status = 1 AND r.quarantined IS NULL
    WHERE e.held = 0 AND e.name = ? ORDER BY e.rank, e.run LIMIT ?`,
  gateHolders:
    'SELECT e.run FROM gates e CROSS JOIN runs r ON r.id = e.run AND +r.status < 6 WHERE e.held > 0 AND e.name = ? ORDER BY e.run LIMIT ?',
  anyWaiting: 'SELECT 1 AS n FROM gates WHERE held = 0 AND name = ? LIMIT 1',
  takeGate: 'UPDATE gates SET held = 2 WHERE run = ? AND name = ? AND held = 0',
  passGate: 'UPDATE gates SET held = 1 WHERE run = ? AND held = 2',
  // why: their process may have died between the grant and the admission
  gateGranted: 'SELECT e.run FROM gates e CROSS JOIN runs r ON r.id = e.run AND r.status = 1 AND r.quarantined IS NULL WHERE e.held = 2',
  gateOf: 'SELECT name, need, held FROM gates WHERE run = ?',
  // why: the last definition that begins before the body has it
  definitionOfBody: 'SELECT id, first_body AS firstBody FROM definitions WHERE first_body <= ? ORDER BY first_body DESC LIMIT 1',
  laneBody: 'SELECT body FROM lanes WHERE id = ?',
  readLimits: 'SELECT kind, name, code, operator, fair FROM limits ORDER BY kind, name',
  operatorOf: "SELECT operator FROM limits WHERE kind = 'key' AND name = ?",
  declareLimit: `INSERT INTO limits (kind, name, code, fair) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT (kind, name) DO UPDATE SET code = ?3, fair = ?4 WHERE code IS NOT ?3 OR fair IS NOT ?4`,
  setLimit: `INSERT INTO limits (kind, name, operator) VALUES (?1, ?2, ?3) ON CONFLICT (kind, name) DO UPDATE SET operator = ?3`,
  clearLimit: 'UPDATE limits SET operator = NULL WHERE kind = ? AND name = ? AND operator IS NOT NULL AND code IS NOT NULL',
  dropLimit: 'DELETE FROM limits WHERE kind = ? AND name = ? AND operator IS NOT NULL AND code IS NULL',
  readBucket: 'SELECT level, at FROM buckets WHERE name = ?',
  readBuckets: 'SELECT name, level, at FROM buckets ORDER BY name',
  putBucket: `INSERT INTO buckets (name, level, at) VALUES (?1, ?2, ?3) ON CONFLICT (name) DO UPDATE SET level = ?2, at = max(at, ?3)`,
  readPaused: 'SELECT kind, name, at FROM paused ORDER BY kind, name',
  pauseName: 'INSERT INTO paused (kind, name, at) VALUES (?, ?, ?) ON CONFLICT (kind, name) DO NOTHING',
  resumeName: 'DELETE FROM paused WHERE kind = ? AND name = ?',
} as const;
