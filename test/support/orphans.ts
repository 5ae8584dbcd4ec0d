/** Rows that do not belong together, read from the database beneath: what no method of a store shows, and what would strand a task later. */
import type { DatabaseSync } from 'node:sqlite';

interface Check {
  readonly text: string;
  readonly sql: string;
}

const [WAITING, RUN_OVER] = [4, 6];
const PLACE = `t.run AS run, t.node AS node, t.item AS item`;

const CHECKS: readonly Check[] = [
  {
    text: 'is open although its run is over',
    sql: `SELECT ${PLACE} FROM tasks t JOIN runs r ON r.id = t.run WHERE t.status <= 4 AND r.status >= ${RUN_OVER}`,
  },
  {
    text: 'waits for time, and no timer is set',
    sql: `SELECT ${PLACE} FROM tasks t, json_each(t.waits) w
      WHERE t.status <= 4 AND t.status = ${WAITING} AND w.value ->> 'dueAt' IS NOT NULL AND (t.due_at IS NULL OR t.due_at > w.value ->> 'dueAt')`,
  },
  {
    text: 'waits for a message, an answer or a child, and nothing says so where it would be found',
    sql: `SELECT ${PLACE} FROM tasks t, json_each(t.waits) w
      WHERE t.status <= 4 AND t.status = ${WAITING} AND w.value ->> 'kind' IN ('signal', 'approval')
        AND NOT EXISTS (SELECT 1 FROM open_waits o WHERE o.run = t.run AND o.node = t.node AND o.item = t.item
          AND o.generation = t.generation AND o.kind = w.value ->> 'kind' AND o.name IS w.value ->> 'name')`,
  },
  {
    text: 'waits for a child run, and there is none that could tell it of its end',
    sql: `SELECT ${PLACE} FROM tasks t JOIN runs r ON r.id = t.run, json_each(t.waits) w
      WHERE t.status <= 4 AND t.status = ${WAITING} AND r.quarantined IS NULL AND w.value ->> 'kind' = 'child'
        AND NOT EXISTS (SELECT 1 FROM runs c WHERE c.parent = t.run AND c.parent_node = t.node AND c.parent_item = t.item
          AND c.parent_name IS w.value ->> 'name' AND (c.status < ${RUN_OVER} OR c.recall = 2))`,
  },
  {
    text: 'has an open wait, and does not wait',
    sql: `SELECT ${PLACE} FROM open_waits t WHERE NOT EXISTS (SELECT 1 FROM tasks o
      WHERE o.run = t.run AND o.node = t.node AND o.item = t.item AND o.status <= 4 AND o.status = ${WAITING} AND o.generation = t.generation)
      AND NOT EXISTS (SELECT 1 FROM leftovers l WHERE l.run = t.run)`,
  },
  {
    // Tests of a store alone claim in the name of workers that never booted.
    text: 'runs, and no worker holds it',
    sql: `SELECT ${PLACE} FROM tasks t WHERE t.status <= 4 AND t.status = 2 AND t.token IS NOT NULL
      AND NOT EXISTS (SELECT 1 FROM workers w WHERE w.id = t.worker) AND EXISTS (SELECT 1 FROM workers)
      -- it ran in another store: here it is known to be lost
      AND NOT EXISTS (SELECT 1 FROM parked p WHERE p.run = t.run AND p.token = t.token)`,
  },
  {
    text: 'is over, and holds the key of its workflow',
    sql: `SELECT g.run AS run, -1 AS node, -1 AS item FROM gates g WHERE g.held > 0
      AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.id = g.run AND r.status < ${RUN_OVER})`,
  },
];

/** What is wrong with the rows of this database, as text. */
export function orphans(db: DatabaseSync): string[] {
  return CHECKS.flatMap(({ text, sql }) =>
    db
      .prepare(sql)
      .all()
      .map((row) => `run ${String(row['run'])}, task ${String(row['node'])} (item ${String(row['item'])}) ${text}`),
  );
}
