import { views } from './views.ts';

/**
 * Numbers of states are positions in TASK_STATUSES and RUN_STATUSES of the kernel. Instants are milliseconds. Payloads are JSON.
 * A test compares the CHECK constraints with the kernel's tables.
 */
export const initial = `
CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO meta (name, value) VALUES ('next_run', 1), ('next_token', 1), ('next_body', 1), ('pruned_to', 0), ('pruned_at', 0);

CREATE TABLE definitions (
  id INTEGER PRIMARY KEY,
  workflow TEXT NOT NULL,
  version TEXT NOT NULL,
  hash TEXT NOT NULL,
  graph TEXT NOT NULL CHECK (json_valid(graph)),
  first_body INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  UNIQUE (workflow, version)
) STRICT;

-- the newest version of a workflow
CREATE INDEX definitions_newest ON definitions (workflow, id);

CREATE TABLE runs (
  id INTEGER PRIMARY KEY,
  uid BLOB NOT NULL UNIQUE CHECK (length(uid) = 16),
  definition INTEGER NOT NULL,
  status INTEGER NOT NULL CHECK (status BETWEEN 0 AND 10),
  generation INTEGER NOT NULL,
  rev INTEGER NOT NULL,
  format INTEGER NOT NULL,
  owner INTEGER,
  rank INTEGER NOT NULL,
  unclaimed INTEGER,
  accepted_at INTEGER NOT NULL,
  start_at INTEGER,
  deadline_at INTEGER,
  wake_at INTEGER,
  resume_to INTEGER,
  linked_from INTEGER,
  link TEXT,
  -- its place in the run that started it, and the run at the top
  parent INTEGER,
  parent_node INTEGER,
  parent_item INTEGER,
  parent_generation INTEGER,
  parent_name TEXT,
  parent_kind INTEGER,
  tree INTEGER,
  -- while the run at the top is there, this one stays too
  kept INTEGER CHECK (kept = 1),
  -- 1: its parent waits for it no more, it is to be cancelled; 2: it ended, and its parent does not know; 3: its parent wants it undone;
  -- 4: its parent waits until it has cleaned up
  recall INTEGER,
  -- its place in its parent's order of completion, where it has done what may have to be undone
  completion INTEGER,
  -- a person chose its definition: only one newer than this moves it by itself
  stays_until INTEGER,
  finished_at INTEGER,
  reason TEXT,
  -- what it remembers beside its tasks: cause, cancel, policy, compensation, its own retry
  flow TEXT CHECK (json_valid(flow)),
  quarantined TEXT,
  -- 1: it was open when it was imported, and has not gone on since; its tasks have no lanes and its key no gate yet
  imported INTEGER,
  key TEXT,
  tags TEXT,
  traceparent TEXT,
  schedule TEXT,
  due_at INTEGER,
  has_output INTEGER NOT NULL DEFAULT 0,
  input TEXT,
  output TEXT
) STRICT;
CREATE INDEX runs_parent ON runs (parent, parent_node, parent_item, parent_generation) WHERE parent IS NOT NULL;
CREATE INDEX runs_tree ON runs (tree, status) WHERE tree IS NOT NULL;
CREATE INDEX runs_undoable ON runs (parent, completion) WHERE completion IS NOT NULL;
CREATE INDEX runs_untold ON runs (id) WHERE recall = 2;
-- with the format, so that a look at the queue reads no row
CREATE INDEX runs_unclaimed ON runs (definition, rank, id, format) WHERE unclaimed = 1;
CREATE INDEX runs_open ON runs (definition) WHERE status < 6;
CREATE INDEX runs_wake ON runs (wake_at) WHERE wake_at IS NOT NULL;
CREATE INDEX runs_kept ON runs (tree) WHERE kept = 1;
CREATE INDEX runs_ended ON runs (status, finished_at) WHERE finished_at IS NOT NULL AND quarantined IS NULL AND kept IS NULL;
CREATE INDEX runs_quarantined ON runs (id) WHERE quarantined IS NOT NULL;
CREATE INDEX runs_scheduled ON runs (schedule) WHERE schedule IS NOT NULL AND status < 6 AND quarantined IS NULL;
-- runs that have rows and are no runs: pruned in part, or imported in part; from this instant on the rows may be deleted
CREATE TABLE leftovers (run INTEGER PRIMARY KEY, due_at INTEGER NOT NULL) STRICT;

-- where a run went on under another definition: journal rows before name its tasks by their numbers there
CREATE TABLE moves (
  run INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  from_definition INTEGER NOT NULL,
  to_definition INTEGER NOT NULL,
  PRIMARY KEY (run, seq)
) STRICT, WITHOUT ROWID;

-- outputs that any run may take over: the key is a hash of task, contract and input
CREATE TABLE cache (
  key TEXT PRIMARY KEY,
  task TEXT NOT NULL,
  output TEXT,
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX cache_expires ON cache (expires_at);

CREATE TABLE keys (
  workflow TEXT NOT NULL,
  key TEXT NOT NULL,
  run INTEGER NOT NULL,
  input_hash TEXT NOT NULL,
  until INTEGER,
  while_open INTEGER NOT NULL,
  PRIMARY KEY (workflow, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX keys_while_open ON keys (run) WHERE while_open = 1;

CREATE TABLE tasks (
  run INTEGER NOT NULL,
  node INTEGER NOT NULL,
  item INTEGER NOT NULL,
  body INTEGER NOT NULL,
  status INTEGER NOT NULL CHECK (status BETWEEN 0 AND 9),
  generation INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  begun INTEGER NOT NULL,
  losses INTEGER NOT NULL,
  crashes INTEGER NOT NULL,
  hand_backs INTEGER NOT NULL,
  draws TEXT,
  ran_ms INTEGER NOT NULL,
  rank INTEGER NOT NULL,
  first_queued_at INTEGER NOT NULL,
  phase INTEGER NOT NULL,
  next INTEGER,
  token INTEGER,
  worker INTEGER,
  started_at INTEGER,
  due_at INTEGER,
  finished_at INTEGER,
  reason TEXT,
  flags INTEGER NOT NULL,
  completion INTEGER,
  -- what a waiting task waits for
  waits TEXT,
  effect INTEGER NOT NULL DEFAULT 1,
  edited TEXT,
  output TEXT,
  error TEXT,
  PRIMARY KEY (run, node, item),
  CHECK ((status = 2 AND token IS NOT NULL) = (worker IS NOT NULL)),
  CHECK ((status >= 5) = (finished_at IS NOT NULL)),
  CHECK ((status = 4) = (waits IS NOT NULL))
) STRICT, WITHOUT ROWID;
-- why: queued first by body and rank is what a claim reads; running and retrying ride along so that the sweeps need no index of their own
CREATE INDEX tasks_open ON tasks (status, body, rank) WHERE status <= 4;
CREATE INDEX tasks_due ON tasks (due_at) WHERE due_at IS NOT NULL;
-- dead letters, by when they died
CREATE INDEX tasks_dead ON tasks (finished_at, run, node, item) WHERE (flags & 4) = 4;

-- in which order what may have to be undone succeeded
CREATE INDEX tasks_completed ON tasks (run, completion) WHERE completion IS NOT NULL;

-- what reset tasks were in their earlier generations
CREATE TABLE generations (
  run INTEGER NOT NULL,
  node INTEGER NOT NULL,
  item INTEGER NOT NULL,
  generation INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  status INTEGER NOT NULL,
  reason TEXT,
  flags INTEGER NOT NULL,
  started_at INTEGER,
  finished_at INTEGER,
  edited TEXT,
  output TEXT,
  error TEXT,
  PRIMARY KEY (run, node, item, generation)
) STRICT, WITHOUT ROWID;

CREATE TABLE run_generations (
  run INTEGER NOT NULL,
  generation INTEGER NOT NULL,
  status INTEGER NOT NULL,
  reason TEXT,
  has_output INTEGER NOT NULL,
  finished_at INTEGER NOT NULL,
  output TEXT,
  PRIMARY KEY (run, generation)
) STRICT, WITHOUT ROWID;

CREATE TABLE maps (
  run INTEGER NOT NULL,
  node INTEGER NOT NULL,
  body INTEGER NOT NULL,
  rank INTEGER NOT NULL,
  n INTEGER NOT NULL,
  next INTEGER NOT NULL,
  ok INTEGER NOT NULL,
  failed INTEGER NOT NULL,
  cancelled INTEGER NOT NULL,
  skipped INTEGER NOT NULL,
  again INTEGER NOT NULL DEFAULT 0,
  closed INTEGER,
  PRIMARY KEY (run, node)
) STRICT, WITHOUT ROWID;
CREATE INDEX maps_open ON maps (body, rank) WHERE closed IS NULL AND (next < n OR again > 0);

CREATE TABLE attempts (
  run INTEGER NOT NULL,
  node INTEGER NOT NULL,
  item INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  generation INTEGER NOT NULL,
  outcome TEXT NOT NULL,
  reason TEXT NOT NULL,
  error TEXT,
  worker INTEGER NOT NULL,
  started_at INTEGER NOT NULL,
  ended_at INTEGER NOT NULL,
  PRIMARY KEY (run, node, item, generation, attempt)
) STRICT, WITHOUT ROWID;

CREATE TABLE steps (
  run INTEGER NOT NULL,
  node INTEGER NOT NULL,
  item INTEGER NOT NULL,
  generation INTEGER NOT NULL,
  name TEXT NOT NULL,
  kind TEXT NOT NULL,
  -- of a wait: its arguments, and its place in the order in which waits came to their end
  hash TEXT,
  done INTEGER,
  value TEXT,
  -- among the records of one body, in the order in which each was last written: who has read some reads only what came after
  place INTEGER NOT NULL,
  PRIMARY KEY (run, node, item, generation, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX steps_order ON steps (run, node, item, generation, place);

-- a row for each time that an attempt's lines were written; the order of a run is that of the commits, whatever the clocks of its workers say
CREATE TABLE logs (
  run INTEGER NOT NULL,
  node INTEGER NOT NULL,
  item INTEGER NOT NULL,
  generation INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  chunk INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  lines TEXT NOT NULL CHECK (json_valid(lines)),
  PRIMARY KEY (run, node, item, generation, attempt, chunk)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX logs_order ON logs (run, seq);

-- outcomes that arrived for a quarantined run: kept, not applied
CREATE TABLE parked (
  id INTEGER PRIMARY KEY,
  run INTEGER NOT NULL,
  node INTEGER NOT NULL,
  item INTEGER NOT NULL,
  token INTEGER NOT NULL,
  outcome TEXT NOT NULL,
  at INTEGER NOT NULL
) STRICT;

CREATE INDEX parked_run ON parked (run, id);

-- what waiting tasks wait for, other than time and runs: a row for each such entry of their column \`waits\`
CREATE TABLE open_waits (
  id INTEGER PRIMARY KEY,
  run INTEGER NOT NULL,
  node INTEGER NOT NULL,
  item INTEGER NOT NULL,
  generation INTEGER NOT NULL,
  kind TEXT NOT NULL,
  name TEXT,
  signal TEXT,
  key TEXT,
  filtered INTEGER NOT NULL,
  since INTEGER NOT NULL
) STRICT;
CREATE INDEX open_waits_task ON open_waits (run, node, item);
CREATE INDEX open_waits_box ON open_waits (signal, key, since, id) WHERE signal IS NOT NULL;
CREATE INDEX open_waits_kind ON open_waits (kind, id);

-- messages that nobody has taken yet; an id is never given twice
CREATE TABLE messages (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  signal TEXT NOT NULL,
  -- the run that it is addressed to; else it is for whoever waits with the key
  run INTEGER,
  key TEXT,
  at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  data TEXT
) STRICT;
CREATE INDEX messages_key ON messages (signal, key, id) WHERE run IS NULL;
CREATE INDEX messages_run ON messages (run, signal, id) WHERE run IS NOT NULL;
CREATE INDEX messages_expiry ON messages (expires_at);

-- messages that were accepted under a word that stands for them, whether or not they are still there
CREATE TABLE sends (
  signal TEXT NOT NULL,
  box TEXT NOT NULL,
  dedupe TEXT NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (signal, box, dedupe)
) STRICT, WITHOUT ROWID;
CREATE INDEX sends_at ON sends (at);

-- messages to which the predicate of a wait said no
CREATE TABLE refusals (
  run INTEGER NOT NULL,
  node INTEGER NOT NULL,
  item INTEGER NOT NULL,
  message INTEGER NOT NULL,
  PRIMARY KEY (run, node, item, message)
) STRICT, WITHOUT ROWID;
CREATE INDEX refusals_message ON refusals (message);

CREATE TABLE workers (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL,
  host TEXT NOT NULL,
  pid INTEGER NOT NULL,
  pid_started TEXT,
  boot_id TEXT,
  pid_namespace TEXT,
  started_at INTEGER NOT NULL,
  lease_until INTEGER NOT NULL,
  slots INTEGER NOT NULL,
  serves TEXT NOT NULL CHECK (json_valid(serves)),
  wedged INTEGER NOT NULL DEFAULT 0,
  fenced INTEGER NOT NULL DEFAULT 0,
  ended_at INTEGER
) STRICT;
CREATE INDEX workers_live ON workers (id) WHERE ended_at IS NULL;

-- pools (units), keys (how many at the same time) and rates ('10/s'): what the code declares, and what an operator says instead
CREATE TABLE limits (
  kind TEXT NOT NULL CHECK (kind IN ('pool', 'key', 'rate')),
  name TEXT NOT NULL,
  code TEXT,
  operator TEXT,
  -- of a pool: between what its units are handed out in turn
  fair TEXT CHECK (fair IN ('run', 'key')),
  PRIMARY KEY (kind, name),
  CHECK (code IS NOT NULL OR operator IS NOT NULL)
) STRICT, WITHOUT ROWID;
-- tasks of one body whose claims take the same units stand in one lane: its number is in their column body. What is held is counted over running rows.
CREATE TABLE lanes (
  id INTEGER PRIMARY KEY,
  body INTEGER NOT NULL,
  -- 0: tasks of all runs; otherwise the run whose tasks have their turn at a pool
  run INTEGER NOT NULL,
  needs TEXT NOT NULL CHECK (json_valid(needs)),
  key TEXT,
  -- when a task of it was claimed last, in milliseconds and parts of one; of pools that are fair alone
  served REAL NOT NULL DEFAULT 0,
  UNIQUE (body, run, needs)
) STRICT;
CREATE INDEX lanes_key ON lanes (key) WHERE key IS NOT NULL;
-- what is left of a rate's tokens
CREATE TABLE buckets (name TEXT PRIMARY KEY, level REAL NOT NULL, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
-- queues and workflows of which nothing new is claimed
CREATE TABLE paused (
  kind TEXT NOT NULL CHECK (kind IN ('queue', 'workflow')),
  name TEXT NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;

-- runs that wait for the key of their workflow, or hold it: from acceptance to end. What is held is counted over runs that are open.
CREATE TABLE gates (
  run INTEGER NOT NULL,
  name TEXT NOT NULL,
  need TEXT NOT NULL CHECK (json_valid(need)),
  rank INTEGER NOT NULL,
  -- 0: it waits; 2: the key is its own, and it has not gone on with it yet; 1: it has
  held INTEGER NOT NULL CHECK (held IN (0, 1, 2)),
  PRIMARY KEY (run, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX gates_waiting ON gates (name, rank, run) WHERE held = 0;
CREATE INDEX gates_held ON gates (name, run) WHERE held > 0;
CREATE INDEX gates_granted ON gates (run) WHERE held = 2;

-- acts of people
CREATE TABLE audit (
  id INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  actor TEXT NOT NULL,
  action TEXT NOT NULL,
  run INTEGER,
  -- outlives the run
  uid BLOB,
  -- of what is about no run: queue:media
  subject TEXT,
  request TEXT,
  facts TEXT NOT NULL CHECK (json_valid(facts)),
  note TEXT,
  CHECK ((run IS NULL) = (uid IS NULL)),
  CHECK ((run IS NULL) = (subject IS NOT NULL))
) STRICT;
CREATE INDEX audit_run ON audit (run, id) WHERE run IS NOT NULL;
CREATE INDEX audit_subject ON audit (subject, id) WHERE subject IS NOT NULL;

-- the same actor and request id: the same act, done once
CREATE TABLE requests (
  actor TEXT NOT NULL,
  request TEXT NOT NULL,
  at INTEGER NOT NULL,
  hash TEXT NOT NULL,
  result TEXT NOT NULL,
  PRIMARY KEY (actor, request)
) STRICT, WITHOUT ROWID;
CREATE INDEX requests_at ON requests (at);

CREATE TABLE schedules (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE,
  rev INTEGER NOT NULL DEFAULT 1,
  workflow TEXT NOT NULL,
  declared INTEGER NOT NULL,
  rule TEXT NOT NULL CHECK (json_valid(rule)),
  made_at INTEGER NOT NULL,
  policy TEXT NOT NULL CHECK (json_valid(policy)),
  input TEXT,
  is_made INTEGER NOT NULL,
  cursor_at INTEGER NOT NULL,
  next_at INTEGER,
  watched INTEGER,
  paused_at INTEGER,
  paused_why TEXT,
  removed_at INTEGER,
  failures_from INTEGER NOT NULL,
  created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX schedules_next ON schedules (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX schedules_watched ON schedules (id) WHERE watched = 1;

-- what became of the due instants of a schedule: one row each, or one for many that have no run
CREATE TABLE fires (
  schedule INTEGER NOT NULL,
  due_at INTEGER NOT NULL,
  -- 0: the schedule's own, -1: asked for by a person, else a backfill's number
  backfill INTEGER NOT NULL,
  state INTEGER NOT NULL CHECK (state BETWEEN 0 AND 2),
  until_at INTEGER,
  count INTEGER,
  reason TEXT,
  note TEXT,
  run INTEGER,
  uid BLOB,
  at INTEGER NOT NULL,
  PRIMARY KEY (schedule, due_at, backfill),
  CHECK ((state = 1) = (run IS NOT NULL)),
  CHECK ((state = 2) = (reason IS NOT NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX fires_run ON fires (run) WHERE run IS NOT NULL;
CREATE INDEX fires_waiting ON fires (schedule, due_at) WHERE state = 0;
CREATE INDEX fires_at ON fires (at) WHERE state > 0;

CREATE TABLE backfills (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  schedule INTEGER NOT NULL,
  from_at INTEGER NOT NULL,
  to_at INTEGER NOT NULL,
  reprocess TEXT NOT NULL,
  concurrency INTEGER NOT NULL,
  state INTEGER NOT NULL DEFAULT 0,
  cursor_at INTEGER NOT NULL,
  started INTEGER NOT NULL DEFAULT 0,
  created_at INTEGER NOT NULL,
  finished_at INTEGER
) STRICT;
CREATE INDEX backfills_open ON backfills (schedule) WHERE state < 2;
CREATE INDEX backfills_of ON backfills (schedule, id);
CREATE INDEX backfills_ended ON backfills (finished_at) WHERE finished_at IS NOT NULL;

CREATE TABLE journal (
  seq INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  worker INTEGER NOT NULL,
  nonce INTEGER NOT NULL DEFAULT 0,
  changes TEXT NOT NULL
) STRICT;

-- what the rows that were cut off the journal came to, for the runs that were open at the cut; one that is over waits for its deletion
CREATE TABLE checkpoint_runs (run INTEGER PRIMARY KEY, generation INTEGER NOT NULL, status INTEGER NOT NULL) STRICT;
CREATE INDEX checkpoint_over ON checkpoint_runs (run) WHERE status >= 6;
CREATE TABLE checkpoint_tasks (
  run INTEGER NOT NULL,
  node INTEGER NOT NULL,
  item INTEGER NOT NULL,
  generation INTEGER NOT NULL,
  status INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  PRIMARY KEY (run, node, item)
) STRICT, WITHOUT ROWID;

${views}`;
