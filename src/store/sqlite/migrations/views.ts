import { runIdText } from './run-id-text.ts';

/** What a person reads by SQL: states in words. Part of migration 001. */
export const views = `CREATE VIEW run_overview AS
  SELECT ${runIdText} AS id, r.id AS run, d.workflow, d.version,
    CASE r.status WHEN 0 THEN 'scheduled' WHEN 1 THEN 'queued' WHEN 2 THEN 'running' WHEN 3 THEN 'paused' WHEN 4 THEN 'cancelling'
      WHEN 5 THEN 'finishing' WHEN 6 THEN 'success' WHEN 7 THEN 'partial' WHEN 8 THEN 'failed' WHEN 9 THEN 'cancelled' ELSE 'skipped' END AS status,
    r.reason, r.key, r.tags, r.accepted_at, r.finished_at, r.input, r.output
  FROM runs r JOIN definitions d ON d.id = r.definition;

CREATE VIEW task_overview AS
  SELECT t.run, json_extract(d.graph, '$.tasks[' || t.node || '].id') AS task, nullif(t.item, -1) AS item,
    CASE t.status WHEN 0 THEN 'pending' WHEN 1 THEN 'queued' WHEN 2 THEN 'running' WHEN 3 THEN 'retrying' WHEN 4 THEN 'waiting' WHEN 5 THEN 'success'
      WHEN 6 THEN 'failed' WHEN 7 THEN 'skipped' WHEN 8 THEN 'upstream_failed' ELSE 'cancelled' END AS status,
    t.attempt, t.reason, t.worker, t.started_at, t.due_at, t.finished_at, t.output, t.error
  FROM tasks t JOIN runs r ON r.id = t.run JOIN definitions d ON d.id = r.definition;
`;
