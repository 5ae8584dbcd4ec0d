/** SQL of the records of bodies, their steps and calls: a part of the list in `statements.ts`. */
const NEXT = (run: string, node: string, item: string, generation: string): string =>
  `coalesce((SELECT place FROM steps WHERE run = ${run} AND node = ${node} AND item = ${item} AND generation = ${generation} ORDER BY place DESC LIMIT 1), 0) + 1`;
/** What an earlier generation left under the name gives way to what this one does. */
const OR_KEPT =
  "ON CONFLICT (run, node, item, generation, name) DO UPDATE SET kind = excluded.kind, hash = excluded.hash, done = NULL, value = excluded.value, place = excluded.place WHERE steps.kind = 'kept'";

export const recordStatements = {
  // why: the insert is tied to the lease in one statement
  insertStep: `INSERT INTO steps (run, node, item, generation, name, kind, value, place)
    SELECT t.run, t.node, t.item, t.generation, ?1, ?2, ?3, ${NEXT('?4', '?5', '?6', '?8')} FROM tasks t
    WHERE t.run = ?4 AND t.node = ?5 AND t.item = ?6 AND t.token = ?7 AND t.generation = ?8 ${OR_KEPT}`,
  openRecord: `INSERT INTO steps (run, node, item, generation, name, kind, hash, value, place)
    VALUES (?1,?2,?3,?4,?5,?6,?7,?8,${NEXT('?1', '?2', '?3', '?4')}) ${OR_KEPT}`,
  endRecord: `UPDATE steps SET value = ?1, (done, place) = (SELECT n, n FROM (SELECT ${NEXT('?2', '?3', '?4', '?5')} AS n))
    WHERE run = ?2 AND node = ?3 AND item = ?4 AND generation = ?5 AND name = ?6 AND done IS NULL`,
  forgetRecords: 'DELETE FROM steps WHERE run = ? AND node = ? AND item = ? AND generation = ?',
  keepRecords: `INSERT INTO steps (run, node, item, generation, name, kind, hash, done, value, place)
    SELECT run, node, item, ?4, name, 'kept', hash, done, value, place FROM steps
    WHERE run = ?1 AND node = ?2 AND item = ?3 AND generation = ?5 AND kind IN ('run', 'kept')`,
  readSteps: `SELECT name, kind, hash, done, value, place FROM steps s WHERE run = ?1 AND node = ?2 AND item = ?3
    AND generation = coalesce(?4, (SELECT generation FROM tasks WHERE run = ?1 AND node = ?2 AND item = ?3)) AND place > ?5 ORDER BY place`,
  endedCalls: `SELECT name FROM steps WHERE run = ? AND node = ? AND item = ? AND generation = ? AND kind = 'run' AND done IS NOT NULL`,
} as const;
