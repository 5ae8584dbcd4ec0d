import { FIRST_LANE } from './lanes.ts';

/** The different values of an indexed column, from one to the next by the index, whatever the number of their rows. */
const values = (column: string, rows: string, after: number, upTo = ''): string => {
  const next = (than: string | number): string => `SELECT min(${column}) FROM ${rows} AND ${column} > ${than}`;
  return `(WITH RECURSIVE found(value) AS (${next(after)} UNION ALL SELECT (${next('found.value')}) FROM found WHERE found.value IS NOT NULL${upTo})
    SELECT json_group_array(value) FROM found WHERE value IS NOT NULL)`;
};

const OURS = 'workflow IN (SELECT value FROM json_each(?1))';

/** The first row of a few indexes, in one statement: an idle process runs it at every sweep, in place of one for each thing that may be there. */
export const OUTLOOK_SQL = {
  outlook: `SELECT (SELECT seq FROM journal ORDER BY seq DESC LIMIT 1) AS seq,
    (SELECT due_at FROM tasks WHERE due_at >= 0 ORDER BY due_at LIMIT 1) AS taskDue,
    (SELECT wake_at FROM runs WHERE wake_at IS NOT NULL ORDER BY wake_at LIMIT 1) AS runDue,
    (SELECT expires_at FROM messages ORDER BY expires_at LIMIT 1) AS messageDue,
    (SELECT next_at FROM schedules WHERE next_at IS NOT NULL AND ${OURS} ORDER BY next_at LIMIT 1) AS scheduleDue,
    EXISTS (SELECT 1 FROM schedules WHERE watched = 1 AND ${OURS}) AS watched,
    (SELECT json_group_array(id) FROM workers WHERE ended_at IS NULL AND id <> ?2) AS others,
    EXISTS (SELECT 1 FROM tasks WHERE status <= 4 AND status = 2) AS running,
    EXISTS (SELECT 1 FROM gates WHERE held = 0) AS waiting,
    EXISTS (SELECT 1 FROM gates e CROSS JOIN runs r ON r.id = e.run AND r.status = 1 AND r.quarantined IS NULL WHERE e.held = 2) AS granted,
    EXISTS (SELECT 1 FROM parked p CROSS JOIN runs r ON r.id = p.run WHERE p.run > 0 AND r.quarantined IS NULL) AS stranded,
    EXISTS (SELECT 1 FROM runs r INDEXED BY runs_untold LEFT JOIN runs top ON top.id = r.parent
      WHERE r.recall = 2 AND r.quarantined IS NULL AND top.quarantined IS NULL) AS untold,
    EXISTS (SELECT 1 FROM messages) AS messages,
    ${values('definition', 'runs WHERE unclaimed = 1', -1)} AS unclaimed,
    ${values('body', 'tasks WHERE status <= 4 AND status = 1', 0, ` AND found.value <= ${FIRST_LANE}`)} AS bodies,
    ${values('body', 'maps WHERE closed IS NULL AND (next < n OR again > 0)', 0)} AS maps,
    ${values('definition', 'runs WHERE status < 6', -1)} AS open`,
} as const;
