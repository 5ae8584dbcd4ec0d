import type { DatabaseSync } from 'node:sqlite';
import { afterEach, describe, expect, test } from 'vitest';
import { openDatabase } from '../../src/store/sqlite/driver.ts';
import type { StatementName } from '../../src/store/sql/statements.ts';
import { prepareStatements, statementText } from '../../src/store/sqlite/statements.ts';

const open: DatabaseSync[] = [];
afterEach(() => {
  for (const db of open.splice(0)) db.close();
});

const numbers = (n: number): string => `WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < ${n})`;
const TASK_COLUMNS =
  'run, node, item, body, status, generation, attempt, begun, losses, crashes, hand_backs, ran_ms, rank, first_queued_at, phase, token, worker, started_at, due_at, finished_at, flags';

/** 20,000 finished runs of 3 tasks, one with a map of 10,000 ended items, a few open ones in every state. */
function fill(db: DatabaseSync): void {
  db.exec(`
    ${numbers(5)} INSERT INTO definitions SELECT i, 'w' || i, '1', 'h', '{}', i * 10, 0 FROM n;
    ${numbers(20_000)} INSERT INTO runs (id, uid, definition, status, generation, rev, format, rank, accepted_at, finished_at, tags)
      SELECT i, randomblob(16), 1 + i % 5, 6 + i % 5, 1, 1, 1, i, i, i, CASE i % 9 WHEN 0 THEN '["x"]' END FROM n;
    ${numbers(60_000)} INSERT INTO tasks (${TASK_COLUMNS})
      SELECT 1 + i / 3, i % 3, -1, 10 + i % 3, 5, 1, 1, 1, 0, 0, 0, 0, i, i, 1, NULL, NULL, i, NULL, i, 0 FROM n;
    ${numbers(10_000)} INSERT INTO tasks (${TASK_COLUMNS})
      SELECT 7, 1, i, 11, 5, 1, 1, 1, 0, 0, 0, 0, i, i, 1, NULL, NULL, i, NULL, i, 0 FROM n;
    ${numbers(40)} INSERT INTO runs (id, uid, definition, status, generation, rev, format, owner, rank, unclaimed, accepted_at, wake_at)
      SELECT 30000 + i, randomblob(16), 1 + i % 5, 2 - 2 * (i % 4 = 0), 1, 1, 1, CASE i % 3 WHEN 0 THEN 1 END, i, CASE i % 4 WHEN 1 THEN 1 END, i, CASE i % 2 WHEN 0 THEN i END FROM n;
    ${numbers(40)} INSERT INTO tasks (${TASK_COLUMNS})
      SELECT 30000 + i, 0, -1, 10 + i % 3, 1 + i % 3, 1, 1, 1, 0, 0, 0, 0, i, i, 1,
        CASE i % 3 WHEN 1 THEN i END, CASE i % 3 WHEN 1 THEN 1 END, i, CASE i % 3 WHEN 1 THEN NULL ELSE i END, NULL, 0 FROM n;
    ${numbers(40)} INSERT INTO maps SELECT 30000 + i, 1, 11, i, 9, i % 9, 0, 0, 0, 0, 0, CASE i % 2 WHEN 1 THEN 1 END FROM n;
    ${numbers(2_000)} INSERT INTO maps SELECT i, 1, 11, i, 9, 9, 9, 0, 0, 0, 0, 1 FROM n;
    ${numbers(5_000)} INSERT INTO keys SELECT 'w1', 'k' || i, i, 'h', NULL, i % 100 = 0 FROM n;
    ${numbers(5_000)} INSERT INTO attempts SELECT i, 0, -1, 1, 1, 'error', 'error', NULL, 1, i, i FROM n;
    ${numbers(5_000)} INSERT INTO steps SELECT i, 0, -1, 1, 's', 'step', NULL, NULL, '1', 1 FROM n;
    ${numbers(5_000)} INSERT INTO logs SELECT i / 10, 0, -1, 1, 1 + i % 10, 0, i, '[]' FROM n;
    ${numbers(5_000)} INSERT INTO open_waits (run, node, item, generation, kind, name, signal, key, filtered, since)
      SELECT i, 0, -1, 1, CASE WHEN i % 5 = 0 THEN 'approval' ELSE 'signal' END, NULL, CASE WHEN i % 5 = 0 THEN NULL ELSE 's' || i % 3 END, 'k' || i, 0, i FROM n;
    ${numbers(5_000)} INSERT INTO messages (signal, run, key, at, expires_at, data) SELECT 's' || i % 3, CASE WHEN i % 9 = 0 THEN i END, 'm' || i, i, i, '1' FROM n;
    ${numbers(500)} INSERT INTO refusals SELECT i, 0, -1, i FROM n;
    ${numbers(500)} INSERT INTO sends SELECT 's', 'k' || i, 'd', i FROM n;
    ${numbers(20_000)} INSERT INTO journal (at, worker, nonce, changes) SELECT i, 1, i, '[[1,1]]' FROM n;
    ${numbers(200)} INSERT INTO workers (name, host, pid, started_at, lease_until, slots, serves, ended_at) SELECT 'w', 'h', i, i, i, 20, '[]', CASE WHEN i > 5 THEN i END FROM n;`);
}

const RUN = 'runs INTEGER PRIMARY KEY';
const TASK = 'tasks PRIMARY KEY (run, node, item)';
const SCHEDULE = 'schedules INTEGER PRIMARY KEY';
const NAME_OF_SCHEDULE = 'schedules sqlite_autoindex_schedules_1 (name)';
const LAST_RECORD = 'steps steps_order (run, node, item, generation)';
const FIRE = 'fires PRIMARY KEY (schedule, due_at, backfill)';
/** What each statement is meant to read by; `[]`: it reads nothing. */
const INTENDED: Readonly<Record<StatementName, readonly string[] | 'no plan'>> = {
  beginWrite: 'no plan',
  beginRead: 'no plan',
  commit: 'no plan',
  rollback: 'no plan',
  dataVersion: 'no plan',
  insertRun: [],
  linkChild: [RUN, 'top INTEGER PRIMARY KEY'],
  renameChildren: ['runs runs_parent (parent, parent_node)'],
  relinkChild: [RUN],
  recalled: [RUN],
  numberChild: [RUN],
  askUndo: [RUN],
  openKin: ['runs runs_tree (tree, status)'],
  dueKin: ['runs runs_undoable (parent, completion)'],
  spoiledKin: ['runs runs_tree (tree, status)'],
  recallPlace: ['runs runs_parent (parent, parent_node, parent_item, parent_generation)'],
  recallItems: ['runs runs_parent (parent, parent_node)'],
  recallAll: ['runs runs_parent (parent)'],
  told: [RUN],
  leaveUntold: [RUN],
  untoldRuns: ['runs SCAN runs_untold', 'top INTEGER PRIMARY KEY'],
  childrenOf: ['runs runs_parent (parent)', 'definitions INTEGER PRIMARY KEY'],
  childrenAt: ['runs runs_parent (parent, parent_node, parent_item)', 'definitions INTEGER PRIMARY KEY'],
  newestDefinition: ['definitions definitions_newest (workflow)'],
  readKey: ['keys PRIMARY KEY (workflow, key)', RUN],
  putKey: [],
  readRev: [RUN],
  bumpRev: [RUN],
  shareRun: [RUN],
  claimForeign: [RUN],
  insertTask: [],
  insertStarted: [],
  succeed: [TASK],
  moveHeld: [TASK],
  moveFree: [TASK],
  insertMap: [],
  countMap: ['maps PRIMARY KEY (run, node)'],
  closeMap: ['maps PRIMARY KEY (run, node)'],
  reopenMap: ['maps PRIMARY KEY (run, node)'],
  judgeItems: [TASK],
  archiveTask: [TASK],
  archiveItems: [TASK],
  removeHeld: [TASK],
  removeFree: [TASK],
  removeItems: [TASK],
  removeMap: ['maps PRIMARY KEY (run, node)'],
  archiveRun: [RUN],
  copyItems: [TASK],
  copyMap: ['maps PRIMARY KEY (run, node)'],
  insertAttempt: [],
  trimAttempts: ['attempts PRIMARY KEY (run, node, item, generation, attempt, attempt)'],
  insertStep: [TASK, LAST_RECORD],
  insertLog: [TASK, 'logs logs_order (run)'],
  // By the key it would have to sort; a filter reads past the entries of others in the index.
  logsOf: ['logs logs_order (run, seq)'],
  readSteps: ['steps steps_order (run, node, item, generation, place)', TASK],
  endedCalls: ['steps PRIMARY KEY (run, node, item, generation)'],
  keepRecords: ['steps PRIMARY KEY (run, node, item, generation)'],
  moveRun: [RUN],
  flowRun: [RUN],
  coverTasks: ['tasks PRIMARY KEY (run)|tasks tasks_open (status)'],
  uncoverTasks: ['tasks PRIMARY KEY (run)|tasks tasks_open (status)'],
  uncoverMaps: ['maps PRIMARY KEY (run)'],
  endRun: [RUN],
  anyOpenKey: ['keys SCAN keys_while_open'],
  dropOpenKey: ['keys keys_while_open (run)'],
  quarantine: [RUN],
  quarantinedRuns: ['runs SCAN runs_quarantined', 'definitions INTEGER PRIMARY KEY', 'top INTEGER PRIMARY KEY'],
  releaseRun: [RUN],
  showTasks: ['tasks PRIMARY KEY (run)|tasks tasks_open (status)'],
  cancelRest: ['tasks PRIMARY KEY (run)|tasks tasks_open (status)'],
  abandonRun: [RUN],
  closeMaps: ['maps PRIMARY KEY (run)'],
  parkedOf: ['parked parked_run (run)'],
  unpark: ['parked parked_run (run, id)'],
  strandedRuns: ['parked parked_run (run)', RUN],
  insertAudit: [RUN],
  putRequest: [],
  readRequest: ['requests PRIMARY KEY (actor, request)'],
  readAudit: ['audit INTEGER PRIMARY KEY'],
  readAuditOf: ['audit audit_run (run, id)'],
  readAuditOn: ['audit audit_subject (subject, id)'],
  insertOperatorAct: [],
  deadLetters: ['tasks tasks_dead ((finished_at,run,node,item)', 'runs INTEGER PRIMARY KEY'],
  // The rows of one run, put in order: no index of its own for what is asked rarely.
  deadLettersOf: ['tasks PRIMARY KEY (run)|tasks tasks_dead ((finished_at,run,node,item)'],
  historyOf: ['generations PRIMARY KEY (run)'],
  // Rare, and both ways end: what is open of all runs, or all of this run.
  hideTasks: ['tasks PRIMARY KEY (run)|tasks tasks_open (status)'],
  hideMaps: ['maps PRIMARY KEY (run)'],
  park: [],
  insertJournal: [],
  nextUnclaimedDefinition: ['runs runs_unclaimed (definition)'],
  unclaimedRuns: ['runs runs_unclaimed (definition)'],
  endPlain: [RUN],
  claimRuns: [RUN],
  nextQueuedBody: ['tasks tasks_open (status, body)'],
  queuedTasks: ['tasks tasks_open (status, body)', RUN],
  claimable: [RUN],
  readTask: [TASK],
  openMaps: ['maps maps_open (body)', RUN],
  nextMapBody: ['maps maps_open (body)'],
  runById: [RUN, 'definitions INTEGER PRIMARY KEY'],
  endsOf: [RUN],
  runStatus: [RUN],
  runGeneration: [RUN],
  breakOpen: [RUN],
  runByUid: ['runs sqlite_autoindex_runs_1 (uid)', 'definitions INTEGER PRIMARY KEY'],
  listRuns: [RUN, 'definitions INTEGER PRIMARY KEY'],
  // From the end of the table, as far as the limit goes
  newestIds: ['runs SCAN'],
  holdersOf: [
    'definitions definitions_newest ()|definitions SCAN definitions_newest',
    'names SCAN',
    'names SCAN',
    'definitions definitions_newest (workflow)',
    'keys PRIMARY KEY (workflow, key)',
  ],
  // The recursion goes through its own rows, of the table it seeks by key
  topTasks: ['nodes SCAN', 'nodes SCAN', 'tasks PRIMARY KEY (run)', 'tasks PRIMARY KEY (run, node)', TASK],
  allTasks: ['tasks PRIMARY KEY (run)'],
  plainTasks: ['tasks PRIMARY KEY (run)'],
  // By the primary key it would read every ended item of the run, at every load.
  laneItems: ['lanes sqlite_autoindex_lanes_1 (body, run)', 'tasks tasks_open (status, body)'],
  countQueued: ['CONSTANT SCAN', 'runs SCAN runs_unclaimed', 'tasks tasks_open (status, body)', 'gates SCAN gates_waiting'],
  readLane: ['lanes sqlite_autoindex_lanes_1 (body, run, needs)'],
  insertLane: ['lanes  ()'],
  emptyLanes: ['lanes INTEGER PRIMARY KEY', 'tasks tasks_open (status, body)'],
  dropLane: ['lanes INTEGER PRIMARY KEY'],
  putInLane: [TASK],
  relane: [TASK],
  queuedLanes: [
    'tasks tasks_open (status, body)',
    'queued SCAN',
    'tasks tasks_open (status, body)',
    'queued SCAN',
    'lanes INTEGER PRIMARY KEY',
    'tasks PRIMARY KEY (run, node, item)',
    'tasks tasks_open (status, body)',
  ],
  laneTasks: ['tasks tasks_open (status, body)', RUN],
  heldLanes: ['tasks tasks_open (status, body)', 'lanes INTEGER PRIMARY KEY'],
  heldAside: ['tasks tasks_open (status, body)', 'lanes INTEGER PRIMARY KEY', 'parked parked_run (run)'],
  serveLane: ['lanes INTEGER PRIMARY KEY'],
  heldOneByOne: ['tasks tasks_open (status, body)', 'lanes INTEGER PRIMARY KEY'],
  heldAsideOneByOne: ['tasks tasks_open (status, body)', 'lanes INTEGER PRIMARY KEY', 'parked parked_run (run)'],
  keyRetrying: ['lanes lanes_key (key)', 'tasks tasks_open (status, body)'],
  keyHolders: ['lanes lanes_key (key)', 'tasks tasks_open (status, body)'],
  needsOfRun: ['tasks PRIMARY KEY (run)', 'lanes INTEGER PRIMARY KEY'],
  enterGate: [],
  leaveGate: ['gates PRIMARY KEY (run)'],
  nextGate: ['gates gates_waiting (name)'],
  gateWaiting: ['gates gates_waiting (name)', RUN],
  gateHolders: ['gates gates_held (name)', RUN],
  takeGate: ['gates PRIMARY KEY (run, name)'],
  gateGranted: ['gates SCAN gates_granted', RUN],
  anyWaiting: ['gates gates_waiting (name)'],
  passGate: ['gates PRIMARY KEY (run)|gates gates_granted (run)'],
  operatorOf: ['limits PRIMARY KEY (kind, name)'],
  gateOf: ['gates PRIMARY KEY (run)'],
  keys_gates: ['gates PRIMARY KEY (run)'],
  drop_gates: ['gates PRIMARY KEY (run, name)'],
  definitionOfBody: ['definitions SCAN'],
  laneBody: ['lanes INTEGER PRIMARY KEY'],
  readLimits: ['limits SCAN'],
  declareLimit: [],
  setLimit: [],
  clearLimit: ['limits PRIMARY KEY (kind, name)'],
  dropLimit: ['limits PRIMARY KEY (kind, name)'],
  readBucket: ['buckets PRIMARY KEY (name)'],
  readBuckets: ['buckets SCAN'],
  putBucket: [],
  readPaused: ['paused SCAN'],
  pauseName: [],
  resumeName: ['paused PRIMARY KEY (kind, name)'],
  openItems: ['tasks tasks_open (status, body)'],
  endedItems: [TASK],
  lastCompletion: ['tasks tasks_completed (run, completion)'],
  mapsOf: ['maps PRIMARY KEY (run)'],
  attemptsOf: ['attempts PRIMARY KEY (run, node, item)'],
  journalAfter: ['journal INTEGER PRIMARY KEY'],
  // One row from the end of the table
  journalHead: ['journal SCAN'],
  isFenced: ['workers INTEGER PRIMARY KEY'],
  journalNonce: ['journal INTEGER PRIMARY KEY'],
  prunedTo: ['meta PRIMARY KEY (name)'],
  keys_tasks: ['tasks PRIMARY KEY (run)'],
  keys_maps: ['maps PRIMARY KEY (run)'],
  keys_attempts: ['attempts PRIMARY KEY (run)'],
  keys_steps: ['steps PRIMARY KEY (run)'],
  keys_parked: ['parked parked_run (run)'],
  drop_tasks: [TASK],
  drop_maps: ['maps PRIMARY KEY (run, node)'],
  drop_attempts: ['attempts PRIMARY KEY (run, node, item, generation, attempt)'],
  keys_logs: ['logs PRIMARY KEY (run)'],
  drop_logs: ['logs PRIMARY KEY (run, node, item, generation, attempt, chunk)|logs logs_order (run)'],
  keys_generations: ['generations PRIMARY KEY (run)'],
  drop_generations: ['generations PRIMARY KEY (run, node, item, generation)'],
  keys_run_generations: ['run_generations PRIMARY KEY (run)'],
  drop_run_generations: ['run_generations PRIMARY KEY (run, generation)'],
  oldestAudit: ['audit SCAN'],
  cutAudit: ['audit INTEGER PRIMARY KEY'],
  dropWorkers: ['workers INTEGER PRIMARY KEY', 'workers SCAN'],
  oldRequests: ['requests requests_at (at)'],
  dropRequest: ['requests PRIMARY KEY (actor, request)'],
  export_logs: ['logs PRIMARY KEY (run)'],
  export_generations: ['generations PRIMARY KEY (run)'],
  export_run_generations: ['run_generations PRIMARY KEY (run)'],
  import_logs: [],
  import_generations: [],
  import_run_generations: [],
  drop_steps: ['steps PRIMARY KEY (run, node, item, generation, name)'],
  drop_parked: ['parked INTEGER PRIMARY KEY|parked parked_run (run, rowid)'],
  endedRuns: ['runs runs_ended (status, finished_at, finished_at)', 'below runs_tree (tree, status)'],
  countEnded: ['runs runs_ended (status, finished_at, finished_at)', 'below runs_tree (tree, status)'],
  tablesHeld: [
    'CONSTANT SCAN',
    'tasks PRIMARY KEY (run)',
    'maps PRIMARY KEY (run)',
    'attempts PRIMARY KEY (run)',
    'steps PRIMARY KEY (run)|steps steps_order (run)',
    'logs PRIMARY KEY (run)|logs logs_order (run)',
    'generations PRIMARY KEY (run)',
    'run_generations PRIMARY KEY (run)',
    'parked parked_run (run)',
    'gates PRIMARY KEY (run)',
    'open_waits open_waits_task (run)',
    'messages messages_run (run)',
    'refusals PRIMARY KEY (run)',
    'moves PRIMARY KEY (run)',
  ],
  keptBelow: ['runs runs_kept (tree)'],
  freeBelow: [RUN],
  dropRun: [RUN],
  dropKey: ['keys PRIMARY KEY (workflow, key)', 'definitions INTEGER PRIMARY KEY'],
  nextLeftover: ['leftovers SCAN'],
  putLeftover: [],
  dropLeftover: ['leftovers INTEGER PRIMARY KEY'],
  keepLeftover: ['leftovers INTEGER PRIMARY KEY'],
  oldestJournal: ['journal INTEGER PRIMARY KEY'],
  journalFrom: ['journal INTEGER PRIMARY KEY'],
  cutJournal: ['journal INTEGER PRIMARY KEY'],
  setMeta: ['meta PRIMARY KEY (name)'],
  readMeta: ['meta PRIMARY KEY (name)'],
  putCheckpointRun: [],
  putCheckpointTask: [],
  checkpointOver: ['checkpoint_runs SCAN checkpoint_over'],
  hasCheckpoint: ['checkpoint_runs INTEGER PRIMARY KEY'],
  dropCheckpointRun: ['checkpoint_runs INTEGER PRIMARY KEY'],
  keysOfCheckpoint: ['checkpoint_tasks PRIMARY KEY (run)'],
  dropCheckpointTask: ['checkpoint_tasks PRIMARY KEY (run, node, item)'],
  checkpointRuns: ['checkpoint_runs INTEGER PRIMARY KEY'],
  checkpointTasks: ['checkpoint_tasks PRIMARY KEY (run)'],
  uidTaken: ['runs sqlite_autoindex_runs_1 (uid)'],
  keyTaken: ['keys PRIMARY KEY (workflow, key)'],
  exportKey: ['keys PRIMARY KEY (workflow, key)'],
  exportRun: [RUN],
  export_tasks: ['tasks PRIMARY KEY (run)'],
  export_maps: ['maps PRIMARY KEY (run)'],
  export_attempts: ['attempts PRIMARY KEY (run)'],
  export_steps: ['steps PRIMARY KEY (run)'],
  export_messages: ['messages messages_run (run)'],
  exportBelow: ['runs runs_parent (parent)'],
  exportLink: [RUN],
  importRun: [],
  import_messages: [],
  definitionOfRun: [RUN, 'definitions INTEGER PRIMARY KEY'],
  isAside: [RUN],
  placeInGate: [RUN],
  import_tasks: [],
  import_maps: [],
  import_attempts: [],
  import_steps: [],
  countQuarantined: ['runs SCAN runs_quarantined'],
  oldestQueued: ['tasks tasks_open (status, body)'],
  oldestUnclaimed: ['runs runs_unclaimed (definition)'],
  libraryVersion: 'no plan',
  schemaVersion: 'no plan',
  synchronous: 'no plan',
  readDefinition: ['definitions sqlite_autoindex_definitions_1 (workflow, version)'],
  definitionById: ['definitions INTEGER PRIMARY KEY'],
  insertDefinition: [],
  takeNumbers: ['meta PRIMARY KEY (name)'],
  insertWorker: [],
  beat: ['workers INTEGER PRIMARY KEY'],
  leave: ['workers INTEGER PRIMARY KEY'],
  workers: ['workers SCAN workers_live'],
  endedWorkers: ['workers SCAN'],
  fenceExpired: ['workers INTEGER PRIMARY KEY'],
  fenceDead: ['workers INTEGER PRIMARY KEY'],
  wedge: ['workers INTEGER PRIMARY KEY'],
  heldBy: ['tasks tasks_open (status)', RUN],
  runningAfter: ['tasks tasks_open (status)', RUN],
  readCache: ['cache PRIMARY KEY (key)'],
  putCache: [],
  expiredCache: ['cache cache_expires (expires_at)'],
  dropCache: ['cache PRIMARY KEY (key)'],
  moveDefinition: [RUN],
  insertMove: [],
  movesOf: ['moves PRIMARY KEY (run)'],
  versions: ['definitions SCAN'],
  nextOpenDefinition: ['runs runs_open (definition)'],
  openRuns: ['runs runs_open (definition, rowid)'],
  keys_moves: ['moves PRIMARY KEY (run)'],
  drop_moves: ['moves PRIMARY KEY (run, seq)'],
  rename_tasks: ['tasks PRIMARY KEY (run, node)'],
  rename_maps: ['maps PRIMARY KEY (run, node)'],
  rename_attempts: ['attempts PRIMARY KEY (run, node)'],
  rename_steps: ['steps PRIMARY KEY (run, node)'],
  rename_logs: ['logs PRIMARY KEY (run, node)'],
  rename_generations: ['generations PRIMARY KEY (run, node)'],
  rename_parked: ['parked parked_run (run)'],
  rename_open_waits: ['open_waits open_waits_task (run, node)'],
  rename_refusals: ['refusals PRIMARY KEY (run, node)'],
  rename_checkpoint_tasks: ['checkpoint_tasks PRIMARY KEY (run, node)'],
  rebody_tasks: ['tasks PRIMARY KEY (run)'],
  rebody_maps: ['maps PRIMARY KEY (run)'],
  dueTasks: ['tasks tasks_due (due_at, due_at)'],
  dueRuns: ['runs runs_wake (wake_at)'],
  nextTaskDue: ['tasks tasks_due (due_at)'],
  nextRunDue: ['runs runs_wake (wake_at)'],
  openRecord: [LAST_RECORD],
  endRecord: ['steps PRIMARY KEY (run, node, item, generation, name)', 'CONSTANT SCAN', LAST_RECORD],
  forgetRecords: ['steps PRIMARY KEY (run, node, item, generation)'],
  isParked: ['CONSTANT SCAN', 'tasks PRIMARY KEY (run)', 'tasks PRIMARY KEY (run)', 'maps PRIMARY KEY (run)'],
  openWait: [],
  closeWaits: ['open_waits open_waits_task (run, node, item)'],
  closeWaitsOf: ['open_waits open_waits_task (run)'],
  dropRefusals: ['refusals PRIMARY KEY (run, node, item)'],
  insertMessage: [],
  hasMessage: ['messages INTEGER PRIMARY KEY'],
  countByKey: ['messages messages_key (signal, key)'],
  countByRun: ['messages messages_run (run, signal)'],
  firstByKey: ['messages messages_key (signal, key)'],
  firstByRun: ['messages messages_run (run, signal)'],
  putSend: [],
  dropSend: ['sends PRIMARY KEY (signal, box, dedupe)'],
  waitingRuns: ['open_waits open_waits_box (signal, key)'],
  boxesByKey: ['messages messages_key ((signal,key)', 'open_waits open_waits_box (signal, key)'],
  boxesByRun: ['messages messages_run ((run,signal)', 'open_waits open_waits_task (run)'],
  waitsByKey: ['open_waits open_waits_box (signal, key, since)', RUN],
  waitsByRun: ['open_waits open_waits_task (run)', RUN],
  messagesByKey: [
    'messages messages_key (signal, key)',
    'refusals PRIMARY KEY (run, node, item, message)|refusals refusals_message (message, run, node, item)',
  ],
  messagesByRun: [
    'messages messages_run (run, signal)',
    'refusals PRIMARY KEY (run, node, item, message)|refusals refusals_message (message, run, node, item)',
  ],
  refuseMessage: ['open_waits INTEGER PRIMARY KEY', 'messages INTEGER PRIMARY KEY'],
  expiredMessages: ['messages messages_expiry (expires_at)'],
  nextExpiry: ['messages SCAN messages_expiry'],
  dropMessage: ['messages INTEGER PRIMARY KEY'],
  forgetRefusals: ['refusals refusals_message (message)'],
  oldSends: ['sends sends_at (at)'],
  openWaitsOf: ['open_waits open_waits_kind (kind, id)', RUN],
  openWaitsOfRun: ['open_waits open_waits_task (run)', RUN],
  keys_open_waits: ['open_waits open_waits_task (run)'],
  drop_open_waits: ['open_waits INTEGER PRIMARY KEY'],
  keys_messages: ['messages messages_run (run)'],
  drop_messages: ['messages INTEGER PRIMARY KEY'],
  keys_refusals: ['refusals PRIMARY KEY (run)'],
  drop_refusals: ['refusals PRIMARY KEY (run, node, item, message)|refusals refusals_message (message, run, node, item)'],
  insertSchedule: [],
  scheduleByName: [NAME_OF_SCHEDULE],
  scheduleById: [SCHEDULE],
  schedulesAfter: [NAME_OF_SCHEDULE],
  dueSchedules: ['schedules schedules_next (next_at, next_at)'],
  // The first row of each index, or one row for each value in it
  outlook: [
    'CONSTANT SCAN',
    'journal SCAN',
    'tasks tasks_due (due_at)',
    'runs runs_wake (wake_at)',
    'messages SCAN messages_expiry',
    'schedules schedules_next (next_at)',
    'schedules SCAN schedules_watched',
    'workers SCAN workers_live',
    'tasks tasks_open (status)',
    'gates SCAN gates_waiting',
    'gates SCAN gates_granted',
    RUN,
    'parked parked_run (run)',
    RUN,
    'runs SCAN runs_untold',
    'top INTEGER PRIMARY KEY',
    'messages SCAN messages_expiry',
    'runs runs_unclaimed (definition)',
    'found SCAN',
    'runs runs_unclaimed (definition)',
    'found SCAN',
    'tasks tasks_open (status, body)',
    'found SCAN',
    'tasks tasks_open (status, body)',
    'found SCAN',
    'maps maps_open (body)',
    'found SCAN',
    'maps maps_open (body)',
    'found SCAN',
    'runs runs_open (definition)',
    'found SCAN',
    'runs runs_open (definition)',
    'found SCAN',
  ],
  watchedSchedules: ['schedules schedules_watched (id)'],
  nextScheduleAt: ['schedules schedules_next (next_at)'],
  lateSchedules: ['schedules schedules_next (next_at, next_at)'],
  moveSchedule: [SCHEDULE],
  setTerms: [SCHEDULE],
  watchSchedule: [SCHEDULE],
  bumpSchedule: [SCHEDULE, 'backfills INTEGER PRIMARY KEY'],
  dropSchedule: [SCHEDULE],
  dropFires: ['fires PRIMARY KEY (schedule)'],
  dropBackfills: ['backfills backfills_of (schedule)'],
  readFire: [FIRE],
  insertFire: [],
  startWaiting: [FIRE],
  dropWaiting: [FIRE],
  extendFire: [FIRE],
  scheduleRun: [RUN],
  lastFire: ['fires PRIMARY KEY (schedule, due_at)'],
  openFires: ['runs runs_scheduled (schedule)', 'fires fires_run (run, schedule)'],
  waitingFires: ['fires fires_waiting (schedule)'],
  endedFires: ['fires PRIMARY KEY (schedule, due_at)', RUN],
  firesBefore: ['fires PRIMARY KEY (schedule, (due_at,backfill)', RUN],
  firesIn: ['fires PRIMARY KEY (schedule, due_at, due_at)', RUN],
  insertBackfill: [],
  openBackfills: ['backfills backfills_open (schedule)'],
  backfillsOf: ['backfills backfills_of (schedule)'],
  moveBackfill: ['backfills INTEGER PRIMARY KEY'],
  cancelBackfill: ['backfills INTEGER PRIMARY KEY'],
  oldestFire: ['fires fires_at (at)'],
  oldestBackfill: ['backfills backfills_ended (finished_at)'],
  pruneFires: [FIRE, 'fires fires_at (at)', RUN],
  pruneBackfills: ['backfills INTEGER PRIMARY KEY', 'backfills backfills_ended (finished_at)'],
  // Of a map the row of its task alone, and its counters: none of its items.
  stuckRuns: [
    'runs runs_open (definition)',
    'gates PRIMARY KEY (run)',
    'maps PRIMARY KEY (run)',
    'c runs_parent (parent)',
    'tasks PRIMARY KEY (run)',
    'nodes SCAN',
    'tasks PRIMARY KEY (run, node)',
    'nodes SCAN',
    'tasks PRIMARY KEY (run, node, item)',
    'c runs_parent (parent)',
  ],
  anyLive: ['tasks PRIMARY KEY (run)'],
};
/** Sorts what it found: everything else comes out of its index in order. */
const MAY_SORT: readonly StatementName[] = [
  'runningAfter',
  'deadLettersOf',
  'keyHolders',
  'definitionOfBody',
  'waitingRuns',
  'waitsByRun',
  'openWaitsOfRun',
  'keys_open_waits',
  'keys_messages',
];

const ALIASES: Readonly<Record<string, string>> = {
  e: 'gates',
  r: 'runs',
  t: 'tasks',
  m: 'maps',
  d: 'definitions',
  k: 'keys',
  s: 'steps',
  l: 'lanes',
  h: 'tasks',
  p: 'parked',
  f: 'fires',
  w: 'open_waits',
  g: 'messages',
  y: 'refusals',
};

/** `SEARCH t USING COVERING INDEX tasks_open (status=? AND body>?)` as `tasks tasks_open (status, body)`. */
function access(line: string): string | null {
  const match =
    /^(SEARCH|SCAN) (\w+)(?: EXISTS)?(?: USING (?:COVERING )?(?:INDEX )?(INTEGER PRIMARY KEY|PRIMARY KEY|\w+)(?: \(([^)]*)\))?)?/.exec(
      line,
    );
  if (match === null || line.includes('VIRTUAL TABLE')) return null;
  const [, how, name = '', index = '', columns] = match;
  const table = ALIASES[name] ?? name;
  if (how === 'SCAN') return `${table} SCAN ${index}`.trim();
  if (index === 'INTEGER PRIMARY KEY') return `${table} ${index}`;
  return `${table} ${index} (${(columns ?? '')
    .split(' AND ')
    .map((one) => one.replace(/[<>=].*/, ''))
    .join(', ')})`;
}

const states: [string, (db: DatabaseSync) => void][] = [
  ['an empty store', () => undefined],
  ['an empty store that was analysed', (db) => db.exec('ANALYZE')],
  ['a store of 20,000 finished runs', fill],
  ['a store of 20,000 finished runs that was analysed', (db) => (fill(db), db.exec('ANALYZE'))],
  ['a store that was analysed when it was empty, and filled since', (db) => (db.exec('ANALYZE'), fill(db))],
];

describe('every statement reads by the index that is meant for it', () => {
  for (const [what, prepare] of states) {
    test(`on ${what}`, () => {
      const db = openDatabase({ path: ':memory:', durability: 'fast', patienceMs: 0 });
      open.push(db);
      prepare(db);
      const actual: Partial<Record<string, readonly string[] | 'no plan'>> = {};
      const expected: typeof actual = {};
      const sorts: string[] = [];
      for (const name of Object.keys(prepareStatements(db)) as StatementName[]) {
        const intended = INTENDED[name];
        if (intended === 'no plan') continue;
        const lines = db
          .prepare(`EXPLAIN QUERY PLAN ${statementText(name)}`)
          .all()
          .map((row) => String(row['detail']));
        const found = lines.map(access).filter((one) => one !== null);
        if (lines.some((line) => line.includes('TEMP B-TREE')) && !MAY_SORT.includes(name)) sorts.push(name);
        actual[name] = found;
        // The order of a join's tables is the planner's, and an alternative counts as met.
        expected[name] =
          intended.length === found.length && intended.every((one) => one.split('|').some((way) => found.includes(way))) ? found : intended;
      }
      expect(actual).toEqual(expected);
      expect(sorts).toEqual([]);
    });
  }
});

test('the statements and what they are meant to read by are the same list', () => {
  const db = openDatabase({ path: ':memory:', durability: 'fast', patienceMs: 0 });
  open.push(db);
  expect(Object.keys(prepareStatements(db)).sort()).toEqual(Object.keys(INTENDED).sort());
});
