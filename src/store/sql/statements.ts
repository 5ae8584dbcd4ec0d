import type { Statement } from './program.ts';
import { CARE_SQL, dropRow, keysOf, tablesHeld } from './statements-care.ts';
import { LIMIT_SQL } from './statements-limits.ts';
import { OUTLOOK_SQL } from './statements-outlook.ts';
import { recordStatements } from './statements-records.ts';
import { SCHEDULE_SQL } from './statements-schedules.ts';
import { transferStatements } from './statements-transfer.ts';
import { waitStatements } from './statements-waits.ts';
import { BODY_TABLES, NODE_TABLES, RUN_TABLES, type NodeTable, type RunTable } from './tables.ts';

/**
 * All SQL of a store, named after what it does to the rows, in SQLite's words. Positions of `?` follow the columns as written.
 * A partial index serves only queries that repeat its condition: hence `status <= 4` beside `status = 1`.
 */
const TASK = `run, node, item, body, status, generation, attempt, begun, losses, crashes, hand_backs, draws, ran_ms, rank, first_queued_at,
  phase, next, token, worker, started_at, due_at, finished_at, reason, flags, completion, waits, effect, edited, output, error`;

const columnsOf = (table: string, columns: string): string =>
  columns
    .split(',')
    .map((column) => `${table}.${column.trim()}`)
    .join(', ');

const RUN = `r.id, r.uid, r.definition, d.workflow, d.version, r.status, r.generation, r.rev, r.format, r.owner, r.rank, r.unclaimed,
  r.accepted_at, r.start_at, r.deadline_at, r.finished_at, r.reason, r.quarantined, r.key, r.tags, r.traceparent, r.has_output, r.input, r.output, r.resume_to, r.linked_from, r.link, r.schedule, r.due_at, r.flow,
  r.parent, r.parent_node, r.parent_item, r.parent_generation, r.parent_name, r.parent_kind, r.tree, r.recall, r.completion, r.imported
  FROM runs r JOIN definitions d ON d.id = r.definition`;

const clearing = Object.fromEntries(
  Object.entries(RUN_TABLES).flatMap(([table, key]) => [
    [`keys_${table}`, keysOf(table, key)],
    [`drop_${table}`, dropRow(table, key)],
  ]),
) as Record<`keys_${RunTable}` | `drop_${RunTable}`, string>;

const renaming = {
  ...(Object.fromEntries(
    [...NODE_TABLES, 'checkpoint_tasks'].map((table) => [`rename_${table}`, `UPDATE ${table} SET node = ?2 WHERE run = ?1 AND node = ?3`]),
  ) as Record<`rename_${NodeTable | 'checkpoint_tasks'}`, string>),
  // why: below zero is what is paused
  ...(Object.fromEntries(
    BODY_TABLES.map((table) => [
      `rebody_${table}`,
      `UPDATE ${table} SET body = CASE WHEN body < 0 THEN -(?2 + node) ELSE ?2 + node END WHERE run = ?1`,
    ]),
  ) as Record<`rebody_${(typeof BODY_TABLES)[number]}`, string>),
};

export const SQL = {
  ...clearing,
  ...renaming,
  beginWrite: 'BEGIN IMMEDIATE',
  beginRead: 'BEGIN',
  commit: 'COMMIT',
  rollback: 'ROLLBACK',
  dataVersion: 'PRAGMA data_version',

  // starts
  insertRun: `INSERT INTO runs (id, uid, definition, status, generation, rev, format, owner, rank, unclaimed, accepted_at, start_at, deadline_at,
    wake_at, finished_at, reason, key, tags, traceparent, has_output, input, output, linked_from, link)
    VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)`,
  linkChild: `UPDATE runs SET parent = ?1, parent_node = ?2, parent_item = ?3, parent_generation = ?4, parent_name = ?5, parent_kind = ?6, tree = ?7,
    kept = (SELECT 1 FROM runs top WHERE top.id = ?7) WHERE id = ?8`,
  // why: whoever holds the state of an open child must notice that its place has another number
  renameChildren: `UPDATE runs SET parent_node = ?2, rev = rev + 1, owner = NULL WHERE parent IS NOT NULL AND parent = ?1 AND parent_node = ?3`,
  relinkChild: 'UPDATE runs SET parent_generation = ?, recall = ?, completion = ?, wake_at = ? WHERE id = ?',
  numberChild: 'UPDATE runs SET completion = ? WHERE id = ?',
  // why: due at once, as what is let go of
  askUndo: 'UPDATE runs SET recall = 3, wake_at = CASE WHEN quarantined IS NULL THEN ? END WHERE id = ?',
  // why: due at once, by a sweep of any process; a detached child (1) and hooks (4) go on
  recallPlace: `UPDATE runs SET recall = 1, wake_at = CASE WHEN quarantined IS NULL THEN ?1 END WHERE parent IS NOT NULL AND parent = ?2
    AND parent_node = ?3 AND parent_item = ?4 AND parent_generation <= ?5 AND status < 6 AND parent_kind NOT IN (1, 4)`,
  recallItems: `UPDATE runs SET recall = 1, wake_at = CASE WHEN quarantined IS NULL THEN ?1 END WHERE parent IS NOT NULL AND parent = ?2
    AND parent_node = ?3 AND parent_generation <= ?4 AND status < 6 AND parent_kind NOT IN (1, 4)`,
  recallAll: `UPDATE runs SET recall = 1, wake_at = CASE WHEN quarantined IS NULL THEN ?1 END WHERE parent IS NOT NULL AND parent = ?2
    AND status < 6 AND parent_kind NOT IN (1, 4)`,
  // why: what its parent wants undone it hears of next
  recalled: 'UPDATE runs SET recall = CASE WHEN recall = 3 THEN 3 END, wake_at = CASE WHEN recall = 3 THEN wake_at ELSE ? END WHERE id = ?',
  told: 'UPDATE runs SET recall = NULL WHERE id = ? AND recall = 2',
  leaveUntold: 'UPDATE runs SET recall = 2 WHERE id = ?',
  untoldRuns: `SELECT r.id FROM runs r INDEXED BY runs_untold LEFT JOIN runs top ON top.id = r.parent
    WHERE r.recall = 2 AND r.quarantined IS NULL AND top.quarantined IS NULL ORDER BY r.id LIMIT ?`,
  // why: by the tree, in which few are open and few have failed, however many children there are; runs of this commit are not what their rows say
  openKin: `SELECT id AS run, recall FROM runs INDEXED BY runs_tree WHERE tree = ?1 AND status < 6 AND parent = ?2 AND parent_kind NOT IN (1, 4)
    AND id NOT IN (SELECT value FROM json_each(?3)) LIMIT 1`,
  dueKin: `SELECT id AS run, completion, recall FROM runs INDEXED BY runs_undoable WHERE parent = ?1 AND completion IS NOT NULL AND status IN (6, 7)
    AND id NOT IN (SELECT value FROM json_each(?2)) ORDER BY completion DESC LIMIT 1`,
  spoiledKin: `SELECT 1 FROM runs INDEXED BY runs_tree WHERE tree = ?1 AND status = 8 AND parent = ?2 AND parent_kind NOT IN (1, 4)
    AND (completion IS NOT NULL OR json_extract(flow, '$.incomplete')) AND id NOT IN (SELECT value FROM json_each(?3)) LIMIT 1`,
  childrenOf: `SELECT ${RUN} WHERE r.parent IS NOT NULL AND r.parent = ? ORDER BY r.parent_node, r.parent_item, r.parent_generation, r.id`,
  childrenAt: `SELECT ${RUN} WHERE r.parent IS NOT NULL AND r.parent = ? AND r.parent_node = ? AND r.parent_item = ? ORDER BY r.parent_generation, r.id`,
  newestDefinition: `SELECT id, workflow, version, hash, graph, first_body AS firstBody FROM definitions WHERE workflow = ? ORDER BY id DESC LIMIT 1`,
  readKey: `SELECT k.run, k.input_hash AS inputHash, k.until, k.while_open AS whileOpen, r.uid, r.status
    FROM keys k LEFT JOIN runs r ON r.id = k.run WHERE k.workflow = ? AND k.key = ?`,
  putKey: `INSERT INTO keys (workflow, key, run, input_hash, until, while_open) VALUES (?,?,?,?,?,?)
    ON CONFLICT (workflow, key) DO UPDATE SET run = excluded.run, input_hash = excluded.input_hash, until = excluded.until, while_open = excluded.while_open`,

  // what several processes meet on
  readRev: 'SELECT rev, status, owner FROM runs WHERE id = ?',
  bumpRev: 'UPDATE runs SET rev = rev + 1 WHERE id = ?',
  shareRun: 'UPDATE runs SET owner = NULL, rev = rev + 1 WHERE id = ?',
  // why: an owner other than the claimer must notice; an own or shared run keeps its owner
  claimForeign:
    'UPDATE runs SET owner = CASE WHEN owner = ? THEN owner END, rev = rev + CASE WHEN owner = ? THEN 0 ELSE 1 END WHERE id = ? RETURNING rev, owner',

  // tasks
  insertTask: `INSERT INTO tasks (${TASK}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)`,
  // why: the usual first row of a task, with fewer values to bind
  insertStarted: `INSERT INTO tasks (run, node, item, body, status, generation, attempt, begun, losses, crashes, hand_backs, ran_ms, rank,
    first_queued_at, phase, token, worker, started_at, flags) VALUES (?,?,?,?,2,?,?,?,0,0,0,0,?,?,1,?,?,?,0)`,
  succeed: `UPDATE tasks SET status = 5, output = ?, finished_at = ?, token = NULL, worker = NULL
    WHERE run = ? AND node = ? AND item = ? AND token = ?`,
  moveHeld: `UPDATE tasks SET status = ?, attempt = ?, begun = ?, losses = ?, crashes = ?, hand_backs = ?, draws = ?, ran_ms = ?, phase = ?, next = ?,
    token = ?, worker = ?, started_at = ?, due_at = ?, finished_at = ?, reason = ?, flags = ?, completion = ?, waits = ?, output = ?, error = ?
    WHERE run = ? AND node = ? AND item = ? AND token = ?`,
  moveFree: `UPDATE tasks SET status = ?, attempt = ?, begun = ?, losses = ?, crashes = ?, hand_backs = ?, draws = ?, ran_ms = ?, phase = ?, next = ?,
    token = ?, worker = ?, started_at = ?, due_at = ?, finished_at = ?, reason = ?, flags = ?, completion = ?, waits = ?, output = ?, error = ?
    WHERE run = ? AND node = ? AND item = ? AND token IS NULL AND status = ?`,
  insertMap: 'INSERT INTO maps (run, node, body, rank, n, next, ok, failed, cancelled, skipped) VALUES (?,?,?,?,?,?,?,?,?,?)',
  countMap: `UPDATE maps SET next = next + ?, ok = ok + ?, failed = failed + ?, cancelled = cancelled + ?, skipped = skipped + ?, again = again + ?
    WHERE run = ? AND node = ?`,
  reopenMap: 'UPDATE maps SET closed = NULL WHERE run = ? AND node = ?',
  // why: 4 is the flag of a dead letter, 1 that of an allowed failure
  judgeItems: `UPDATE tasks SET flags = CASE WHEN ?3 = 1 THEN flags | 4 ELSE flags & ~4 END
    WHERE run = ?1 AND node = ?2 AND item >= 0 AND status = 6 AND (flags & 1) = 0`,
  // resets: the row of before becomes history, and another takes its place
  archiveTask: `INSERT INTO generations SELECT run, node, item, generation, attempt, status, reason, flags, started_at, finished_at, edited, output, error
    FROM tasks WHERE run = ? AND node = ? AND item = ?`,
  archiveItems: `INSERT INTO generations SELECT run, node, item, generation, attempt, status, reason, flags, started_at, finished_at, edited, output, error
    FROM tasks WHERE run = ? AND node = ? AND item >= 0 AND status >= 5`,
  removeHeld: 'DELETE FROM tasks WHERE run = ? AND node = ? AND item = ? AND token = ?',
  removeFree: 'DELETE FROM tasks WHERE run = ? AND node = ? AND item = ? AND token IS NULL AND status = ?',
  removeItems: 'DELETE FROM tasks WHERE run = ? AND node = ? AND item >= 0',
  removeMap: 'DELETE FROM maps WHERE run = ? AND node = ?',
  archiveRun: `INSERT INTO run_generations SELECT id, generation, status, reason, has_output, finished_at, output FROM runs WHERE id = ?`,
  // forks: items of maps that are taken over as they are
  copyItems: `INSERT INTO tasks (${TASK}) SELECT ?1, ?6, item, ?2 + ?6, status, 1, 0, 0, 0, 0, 0, NULL, 0, rank, first_queued_at, 1, NULL, NULL, NULL,
    NULL, NULL, ?3, reason, (flags & ~12) | 16, NULL, NULL, 1, edited, output, error FROM tasks WHERE run = ?4 AND node = ?5 AND item >= 0`,
  copyMap: `INSERT INTO maps (run, node, body, rank, n, next, ok, failed, cancelled, skipped, again, closed)
    SELECT ?1, ?5, ?2 + ?5, rank, n, next, ok, failed, cancelled, skipped, 0, 1 FROM maps WHERE run = ?3 AND node = ?4`,
  closeMaps: 'UPDATE maps SET closed = 1 WHERE run = ?',
  closeMap: 'UPDATE maps SET closed = 1 WHERE run = ? AND node = ?',
  insertAttempt: `INSERT INTO attempts (run, node, item, attempt, generation, outcome, reason, error, worker, started_at, ended_at)
    VALUES (?,?,?,?,?,?,?,?,?,?,?)`,
  // why: of a task's failures the first 3 and the last 10 are kept
  trimAttempts: `DELETE FROM attempts WHERE run = ? AND node = ? AND item = ? AND generation = ? AND attempt > 3 AND attempt <= ?`,
  ...recordStatements,
  // why: tied to the lease like a step; a chunk whose commit's outcome was unknown may be there already
  insertLog: `INSERT INTO logs (run, node, item, generation, attempt, chunk, seq, lines)
    SELECT t.run, t.node, t.item, t.generation, t.attempt, ?1, (SELECT coalesce(max(seq), 0) + 1 FROM logs WHERE run = ?3), ?2 FROM tasks t
    WHERE t.run = ?3 AND t.node = ?4 AND t.item = ?5 AND t.token = ?6 AND t.generation = ?7 AND t.attempt = ?8
    ON CONFLICT (run, node, item, generation, attempt, chunk) DO NOTHING`,
  logsOf: `SELECT seq, node, item, generation, attempt, lines FROM logs INDEXED BY logs_order
    WHERE run = ?1 AND seq > ?2 AND (?3 IS NULL OR node = ?3) AND (?4 IS NULL OR item = ?4) AND (?5 IS NULL OR attempt = ?5)
    ORDER BY seq LIMIT ?6`,

  // runs
  // why: a run that was never claimed is claimed as a whole; while it is paused (0) it is not
  moveRun: `UPDATE runs SET status = ?, generation = ?, deadline_at = ?, wake_at = CASE WHEN recall IN (1, 3) THEN wake_at ELSE ? END, resume_to = ?, finished_at = NULL, reason = NULL, output = NULL,
    has_output = 0, unclaimed = CASE WHEN unclaimed IS NOT NULL THEN ? END WHERE id = ?`,
  flowRun: 'UPDATE runs SET flow = ?, wake_at = CASE WHEN recall IN (1, 3) THEN wake_at ELSE ? END WHERE id = ?',
  // why: what has rows of tasks is not claimed as a whole any more
  breakOpen: 'UPDATE runs SET unclaimed = NULL WHERE id = ? AND unclaimed IS NOT NULL',
  // why: a body below zero is nobody's: no claim meets what is paused
  coverTasks: 'UPDATE tasks SET body = -body WHERE run = ? AND body > 0 AND status <= 4',
  uncoverTasks: 'UPDATE tasks SET body = -body WHERE run = ? AND body < 0 AND status <= 4',
  uncoverMaps: 'UPDATE maps SET body = -body WHERE run = ? AND body < 0',
  // why: of a run that nothing would wake, and nobody called, these columns alone change
  endPlain: 'UPDATE runs SET status = ?, reason = ?, output = ?, has_output = ?, finished_at = ? WHERE id = ?',
  endRun: `UPDATE runs SET status = ?, reason = ?, output = ?, has_output = ?, finished_at = ?,
    wake_at = CASE WHEN recall = 3 THEN wake_at END, recall = CASE WHEN recall = 3 THEN 3 END, unclaimed = NULL WHERE id = ?`,
  anyOpenKey: 'SELECT 1 AS n FROM keys WHERE while_open = 1 LIMIT 1',
  dropOpenKey: 'DELETE FROM keys WHERE run = ? AND while_open = 1',
  quarantine: 'UPDATE runs SET quarantined = ?, unclaimed = CASE WHEN unclaimed IS NOT NULL THEN 0 END, wake_at = NULL WHERE id = ?',
  // why: a body below zero is nobody's: no claim and no sweep meets the run's rows any more
  hideTasks: 'UPDATE tasks SET body = -abs(body), due_at = -abs(due_at) WHERE run = ? AND status <= 4',
  hideMaps: 'UPDATE maps SET body = -body WHERE run = ? AND body > 0',
  // why: what was imported with another run goes on with that one
  quarantinedRuns: `SELECT ${RUN} WHERE r.quarantined IS NOT NULL
    AND (r.imported IS NULL OR r.parent IS NULL OR NOT EXISTS (SELECT 1 FROM runs top WHERE top.id = r.parent AND top.imported = 1)) ORDER BY r.id LIMIT ?`,
  definitionOfRun: 'SELECT d.first_body AS firstBody FROM runs r JOIN definitions d ON d.id = r.definition WHERE r.id = ?',
  isAside: 'SELECT 1 AS n FROM runs WHERE id = ? AND quarantined IS NOT NULL',
  releaseRun: `UPDATE runs SET quarantined = NULL, imported = NULL, wake_at = CASE WHEN recall IN (1, 3) THEN 0 WHEN status = 0 THEN start_at WHEN status < 4 THEN
    coalesce(min(deadline_at, json_extract(flow, '$.retryAt')), deadline_at, json_extract(flow, '$.retryAt')) END,
    unclaimed = CASE WHEN unclaimed IS NOT NULL AND status <> 3 THEN 1 ELSE unclaimed END WHERE id = ? AND quarantined IS NOT NULL`,
  // why: what is paused besides stays out of the queue
  showTasks: `UPDATE tasks SET body = CASE WHEN ?2 = 3 THEN body ELSE abs(body) END, due_at = abs(due_at) WHERE run = ?1 AND status <= 4`,
  cancelRest: `UPDATE tasks SET status = 9, token = NULL, worker = NULL, next = NULL, due_at = NULL, waits = NULL, finished_at = ?, reason = 'marked_failed'
    WHERE run = ? AND status <= 4`,
  // why: no kernel sees this end, so its parent, where it still waits for the run, is told by a sweep
  abandonRun: `UPDATE runs SET status = 8, reason = 'marked_failed', quarantined = NULL, imported = NULL, unclaimed = NULL, finished_at = ?,
    recall = CASE WHEN parent_kind NOT IN (1, 4) AND recall IS NOT 1 THEN 2 END WHERE id = ? AND quarantined IS NOT NULL RETURNING generation`,
  parkedOf: 'SELECT id, node, item, token, outcome FROM parked WHERE run = ? ORDER BY id',
  // why: what was parked again while the others were applied stays
  unpark: 'DELETE FROM parked WHERE run = ? AND id <= ?',
  strandedRuns: `SELECT DISTINCT parked.run FROM parked CROSS JOIN runs r ON r.id = parked.run
    WHERE parked.run > 0 AND r.quarantined IS NULL LIMIT ?`,
  insertAudit: 'INSERT INTO audit (at, actor, action, run, uid, request, facts, note) SELECT ?,?,?,id,uid,?,?,? FROM runs WHERE id = ?',
  // why: a request id that was used is free again after its time
  putRequest: `INSERT INTO requests (actor, request, at, hash, result) VALUES (?1,?2,?3,?4,?5) ON CONFLICT (actor, request) DO UPDATE
    SET at = excluded.at, hash = excluded.hash, result = excluded.result WHERE requests.at <= ?6`,
  readRequest: 'SELECT hash, result FROM requests WHERE actor = ? AND request = ? AND at > ?',
  insertOperatorAct: 'INSERT INTO audit (at, actor, action, subject, facts, note) VALUES (?,?,?,?,?,?)',
  readAudit: 'SELECT id, at, actor, action, run, uid, subject, request, facts, note FROM audit WHERE id < ? ORDER BY id DESC LIMIT ?',
  readAuditOf:
    'SELECT id, at, actor, action, run, uid, subject, request, facts, note FROM audit WHERE run = ? AND id < ? ORDER BY id DESC LIMIT ?',
  readAuditOn:
    'SELECT id, at, actor, action, run, uid, subject, request, facts, note FROM audit WHERE subject = ? AND id < ? ORDER BY id DESC LIMIT ?',
  park: 'INSERT INTO parked (run, node, item, token, outcome, at) VALUES (?,?,?,?,?,?)',
  insertJournal: 'INSERT INTO journal (at, worker, nonce, changes) VALUES (?,?,?,?)',
  // why: a commit that failed with an unknown outcome is known again by its nonce
  journalNonce: 'SELECT nonce FROM journal WHERE seq = ?',

  // claims: what is in the queue for a body or definition, best first
  nextUnclaimedDefinition: 'SELECT definition FROM runs WHERE unclaimed = 1 AND definition > ? ORDER BY definition LIMIT 1',
  unclaimedRuns: `SELECT id, rank FROM runs WHERE unclaimed = 1 AND definition = ? AND format <= ? ORDER BY rank, id LIMIT ?`,
  // why: of a hundred runs at once the statement itself costs nothing; `+` keeps the planner from going over all that are unclaimed
  claimRuns: `UPDATE runs SET unclaimed = NULL, owner = ?, rev = rev + 1 WHERE id IN (SELECT value FROM json_each(?)) AND +unclaimed = 1
    RETURNING id, uid, status, generation, rev, rank, accepted_at, start_at, deadline_at, traceparent, due_at, input, flow,
    parent, parent_node, parent_item, parent_generation, parent_name, parent_kind, tree, recall, completion`,
  nextQueuedBody: 'SELECT body FROM tasks WHERE status <= 4 AND status = 1 AND body > ? ORDER BY body LIMIT 1',
  queuedTasks: `SELECT t.run, t.node, t.item, t.rank FROM tasks t CROSS JOIN runs r ON r.id = t.run AND r.format <= ?2 WHERE t.status <= 4 AND t.status = 1 AND t.body = ?1 ORDER BY t.rank, t.run, t.node, t.item LIMIT ?3`,
  claimable: `SELECT r.definition, r.owner FROM runs r WHERE r.id = ? AND r.quarantined IS NULL AND r.format <= ?`,
  readTask: `SELECT ${TASK} FROM tasks WHERE run = ? AND node = ? AND item = ?`,
  openMaps: `SELECT m.run, m.node, m.rank FROM maps m CROSS JOIN runs r ON r.id = m.run AND r.format <= ?2 WHERE m.body = ?1 AND m.closed IS NULL AND (m.next < m.n OR m.again > 0) ORDER BY m.rank LIMIT ?3`,
  nextMapBody: 'SELECT body FROM maps WHERE closed IS NULL AND (next < n OR again > 0) AND body > ? ORDER BY body LIMIT 1',

  // why: each part is counted no further than the bound
  countQueued: `SELECT (SELECT count(*) FROM (SELECT 1 FROM runs WHERE unclaimed = 1 LIMIT ?1))
    + (SELECT count(*) FROM (SELECT 1 FROM tasks WHERE status <= 4 AND status = 1 AND body > 0 LIMIT ?1))
    + (SELECT count(*) FROM (SELECT 1 FROM gates WHERE held = 0 LIMIT ?1)) AS n`,
  ...LIMIT_SQL,

  // reads
  runById: `SELECT ${RUN} WHERE r.id = ?`,
  runStatus: 'SELECT status FROM runs WHERE id = ?',
  endsOf: `SELECT j.value AS run, r.has_output, r.output FROM json_each(?) j LEFT JOIN runs r ON r.id = j.value WHERE r.id IS NULL OR r.status >= 6`,
  runGeneration: 'SELECT generation FROM runs WHERE id = ?',
  runByUid: `SELECT ${RUN} WHERE r.uid = ?`,
  // why: `+` keeps the order by id, and the planner from the partial index, whatever the statistics say
  listRuns: `SELECT ${RUN} WHERE r.id < ?1 AND (?2 IS NULL OR d.workflow = ?2) AND (?3 IS NULL OR +r.status IN (SELECT value FROM json_each(?3)))
    AND (?4 IS NULL OR EXISTS (SELECT 1 FROM json_each(r.tags) WHERE value = ?4)) AND (?5 IS NULL OR r.accepted_at >= ?5) AND (?7 IS NULL OR r.key = ?7)
    AND (?8 = 1 OR r.parent_kind IS NULL OR r.parent_kind < 2)
    ORDER BY r.id DESC LIMIT ?6`,
  newestIds: 'SELECT uid FROM runs ORDER BY id DESC LIMIT ?',
  // why: from workflow to workflow by the index, since a key is unique within one
  holdersOf: `WITH RECURSIVE names(name) AS (SELECT min(workflow) FROM definitions UNION ALL
      SELECT (SELECT min(workflow) FROM definitions WHERE workflow > names.name) FROM names WHERE names.name IS NOT NULL)
    SELECT k.run FROM names CROSS JOIN keys k ON k.workflow = names.name AND k.key = ?1 WHERE ?2 IS NULL OR names.name = ?2`,
  allTasks: `SELECT ${TASK} FROM tasks WHERE run = ? ORDER BY node, item`,
  plainTasks: `SELECT ${TASK} FROM tasks WHERE run = ? AND item = -1 ORDER BY node`,
  // why: from node to node by the key, so that the items between them are not read
  topTasks: `WITH RECURSIVE nodes(node) AS (SELECT min(node) FROM tasks WHERE run = ?1 UNION ALL
      SELECT (SELECT min(node) FROM tasks WHERE run = ?1 AND node > nodes.node) FROM nodes WHERE nodes.node IS NOT NULL)
    SELECT t.* FROM nodes CROSS JOIN tasks t ON t.run = ?1 AND t.node = nodes.node AND t.item = -1`,
  // why: by the key of the run this would read every ended item; without statistics the planner takes that for the better way
  // why: items that wait for more than a slot stand in lanes of their body
  laneItems: `SELECT ${columnsOf('t', TASK)} FROM lanes l CROSS JOIN tasks t INDEXED BY tasks_open
    ON t.status <= 4 AND t.status IN (0, 1, 2, 3, 4) AND t.body IN (l.id, -l.id) WHERE l.body = ?1 AND l.run IN (0, ?2) AND t.run = ?2 AND t.item >= 0`,
  openItems: `SELECT ${TASK} FROM tasks INDEXED BY tasks_open
    WHERE status <= 4 AND status IN (0, 1, 2, 3, 4) AND body = ? AND run = ? AND item >= 0`,
  endedItems: `SELECT ${TASK} FROM tasks WHERE run = ? AND node = ? AND item >= 0 AND status >= 5 ORDER BY item`,
  lastCompletion: 'SELECT max(completion) AS n FROM tasks WHERE run = ? AND completion IS NOT NULL',
  mapsOf: 'SELECT node, body, n, next, ok, failed, cancelled, skipped, again FROM maps WHERE run = ?',
  deadLetters: `SELECT ${TASK} FROM tasks WHERE (flags & 4) = 4 AND (finished_at, run, node, item) < (?, ?, ?, ?)
    -- why: left to the reader, a page of nothing but leftovers would look like the last
    AND EXISTS (SELECT 1 FROM runs WHERE runs.id = tasks.run)
    ORDER BY finished_at DESC, run DESC, node DESC, item DESC LIMIT ?`,
  deadLettersOf: `SELECT ${TASK} FROM tasks WHERE run = ? AND (flags & 4) = 4 AND (finished_at, run, node, item) < (?, ?, ?, ?)
    ORDER BY finished_at DESC, run DESC, node DESC, item DESC LIMIT ?`,
  historyOf: `SELECT node, item, generation, attempt, status, reason, started_at AS startedAt, finished_at AS finishedAt, edited, output, error
    FROM generations WHERE run = ? ORDER BY node, item, generation`,
  attemptsOf: `SELECT attempt, generation, outcome, reason, error, worker, started_at AS startedAt, ended_at AS endedAt FROM attempts
    WHERE run = ? AND node = ? AND item = ? ORDER BY generation, attempt`,
  journalAfter: 'SELECT seq, at, worker, changes FROM journal WHERE seq > ? ORDER BY seq LIMIT ?',
  journalHead: 'SELECT seq, at FROM journal ORDER BY seq DESC LIMIT 1',

  ...CARE_SQL,
  tablesHeld: tablesHeld(Object.keys(RUN_TABLES)),

  ...transferStatements(RUN_TABLES),
  // facts for a diagnosis
  countQuarantined: 'SELECT count(*) AS n FROM runs WHERE quarantined IS NOT NULL',
  oldestQueued: `SELECT first_queued_at AS at FROM tasks WHERE status <= 4 AND status = 1 AND body = ? ORDER BY rank LIMIT 1`,
  oldestUnclaimed:
    'SELECT rank, accepted_at AS at, start_at AS startAt FROM runs WHERE unclaimed = 1 AND definition = ? ORDER BY rank LIMIT 1',
  libraryVersion: 'SELECT sqlite_version() AS version',
  schemaVersion: 'PRAGMA user_version',
  synchronous: 'PRAGMA synchronous',

  prunedTo: "SELECT value FROM meta WHERE name = 'pruned_to'",

  ...waitStatements,

  // definitions and numbers
  readDefinition: 'SELECT id, workflow, version, hash, graph, first_body AS firstBody FROM definitions WHERE workflow = ? AND version = ?',
  definitionById: 'SELECT id, workflow, version, hash, graph, first_body AS firstBody FROM definitions WHERE id = ?',
  insertDefinition: `INSERT INTO definitions (workflow, version, hash, graph, first_body, created_at) VALUES (?,?,?,?,?,?) RETURNING id`,
  takeNumbers: 'UPDATE meta SET value = value + ? WHERE name = ? RETURNING value',

  // workers
  insertWorker: `INSERT INTO workers (name, host, pid, pid_started, boot_id, pid_namespace, started_at, lease_until, slots, serves) VALUES (?,?,?,?,?,?,?,?,?,?) RETURNING id`,
  beat: 'UPDATE workers SET lease_until = ?, wedged = 0 WHERE id = ? AND ended_at IS NULL AND fenced = 0 AND lease_until >= ?',
  leave: 'UPDATE workers SET ended_at = ?, fenced = 1 WHERE id = ?',
  workers: `SELECT id, name, host, pid, pid_started AS pidStarted, boot_id AS bootId, pid_namespace AS pidNamespace, started_at AS startedAt,
    lease_until AS leaseUntil, slots, serves, wedged, fenced, ended_at AS endedAt FROM workers WHERE ended_at IS NULL`,
  endedWorkers: `SELECT id, name, host, pid, pid_started AS pidStarted, boot_id AS bootId, pid_namespace AS pidNamespace, started_at AS startedAt,
    lease_until AS leaseUntil, slots, serves, wedged, fenced, ended_at AS endedAt FROM workers WHERE ended_at IS NOT NULL ORDER BY id DESC LIMIT ?`,
  isFenced: 'SELECT fenced FROM workers WHERE id = ?',
  fenceExpired: 'UPDATE workers SET fenced = 1 WHERE id = ? AND ended_at IS NULL AND (fenced = 1 OR lease_until < ?)',
  fenceDead: 'UPDATE workers SET fenced = 1 WHERE id = ? AND ended_at IS NULL',
  wedge: 'UPDATE workers SET wedged = 1 WHERE id = ? AND ended_at IS NULL',
  heldBy: `SELECT t.run, t.node, t.item, t.token, t.worker, t.started_at AS startedAt, t.ran_ms AS ranMs, r.definition FROM tasks t
    JOIN runs r ON r.id = t.run WHERE t.status <= 4 AND t.status = 2 AND t.worker = ? AND r.quarantined IS NULL LIMIT ?`,
  runningAfter: `SELECT t.run, t.node, t.item, t.token, t.worker, t.started_at AS startedAt, t.ran_ms AS ranMs, r.definition FROM tasks t INDEXED BY tasks_open
    JOIN runs r ON r.id = t.run WHERE t.status <= 4 AND t.status = 2 AND t.token IS NOT NULL AND (t.run, t.node, t.item) > (?, ?, ?) AND r.quarantined IS NULL
    ORDER BY t.run, t.node, t.item LIMIT ?`,

  ...SCHEDULE_SQL,
  ...OUTLOOK_SQL,
  // versions
  moveDefinition: 'UPDATE runs SET definition = ?, stays_until = ? WHERE id = ?',
  insertMove: 'INSERT INTO moves (run, seq, from_definition, to_definition) VALUES (?,?,?,?)',
  movesOf: 'SELECT seq, from_definition AS "from", to_definition AS "to" FROM moves WHERE run = ? ORDER BY seq',
  versions: `SELECT id, workflow, version FROM definitions WHERE ?1 IS NULL OR workflow IN (SELECT value FROM json_each(?1)) ORDER BY id`,
  nextOpenDefinition: 'SELECT definition FROM runs WHERE status < 6 AND definition > ? ORDER BY definition LIMIT 1',
  openRuns: `SELECT id AS run, generation, stays_until AS staysUntil FROM runs INDEXED BY runs_open
    WHERE status < 6 AND definition = ? AND id > ? AND quarantined IS NULL ORDER BY id LIMIT ?`,

  // cache
  readCache: 'SELECT output FROM cache WHERE key = ? AND expires_at > ?',
  putCache: `INSERT INTO cache (key, task, output, expires_at) VALUES (?,?,?,?)
    ON CONFLICT (key) DO UPDATE SET task = excluded.task, output = excluded.output, expires_at = excluded.expires_at`,
  expiredCache: 'SELECT key FROM cache WHERE expires_at <= ? ORDER BY expires_at LIMIT ?',
  dropCache: 'DELETE FROM cache WHERE key = ?',

  // timers
  // why: below zero lies what waits for a decision about its quarantined run
  dueTasks: 'SELECT run, node, item, due_at AS dueAt FROM tasks WHERE due_at >= 0 AND due_at <= ? ORDER BY due_at LIMIT ?',
  dueRuns: 'SELECT id AS run, status, recall, wake_at AS dueAt FROM runs WHERE wake_at <= ? ORDER BY wake_at LIMIT ?',
  nextTaskDue: 'SELECT due_at AS at FROM tasks WHERE due_at > ? ORDER BY due_at LIMIT 1',
  nextRunDue: 'SELECT wake_at AS at FROM runs WHERE wake_at > ? ORDER BY wake_at LIMIT 1',
  // why: driven by the index of open runs, a few probes by key each; the sweep pages through them. Of a map whose items are open its counters
  // tell, so that the items that have ended are not read; what then looks as if nothing woke it is looked at row by row
  stuckRuns: `SELECT r.id AS run, r.definition, r.rev, (r.unclaimed IS NULL AND r.quarantined IS NULL AND CASE
      WHEN r.status = 1 THEN NOT EXISTS (SELECT 1 FROM gates e WHERE e.run = r.id)
      ELSE r.status IN (2, 4, 5) AND json_extract(r.flow, '$.retryAt') IS NULL AND NOT EXISTS (SELECT 1 FROM maps m WHERE m.run = r.id
        AND (m.closed IS NULL AND (m.next < m.n OR m.again > 0) OR m.next > m.ok + m.failed + m.cancelled + m.skipped + m.again))
      AND NOT EXISTS (SELECT 1 FROM runs c WHERE c.parent = r.id AND c.parent IS NOT NULL AND c.parent_kind NOT IN (1, 4) AND (c.status < 6 OR c.recall = 3))
      AND NOT EXISTS (WITH RECURSIVE nodes(node) AS (SELECT min(node) FROM tasks WHERE run = r.id UNION ALL
        SELECT (SELECT min(node) FROM tasks WHERE run = r.id AND node > nodes.node) FROM nodes WHERE nodes.node IS NOT NULL)
        SELECT 1 FROM nodes CROSS JOIN tasks t ON t.run = r.id AND t.node = nodes.node AND t.item = -1
        WHERE t.token IS NOT NULL OR t.status IN (1, 3, 4))
       AND NOT EXISTS (SELECT 1 FROM runs c WHERE c.parent = r.id AND c.parent IS NOT NULL AND c.parent_kind NOT IN (1, 4)
         AND (c.status < 6 OR c.recall = 3)) END) AS stuck
    FROM runs r INDEXED BY runs_open WHERE r.status < 6 AND (r.definition, r.id) > (?, ?) ORDER BY r.definition, r.id LIMIT ?`,
  anyLive: 'SELECT 1 AS n FROM tasks WHERE run = ? AND (token IS NOT NULL OR status IN (1, 3, 4)) LIMIT 1',
} as const;

export type StatementName = keyof typeof SQL;
/** Prepared by a database, under the same names. */
export type Statements = Readonly<Record<StatementName, Statement>>;
