/** Every test ends with a look for rows that do not belong together; this is what it would find. */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createEngine, signal, workflow, type Engine } from '../../src/index.ts';
import { anyText } from '../semantics/capacity-kit.ts';
import { orphans } from '../support/orphans.ts';
import { folder } from './kit.ts';

const go = signal('go', anyText);
const sub = workflow({ name: 'sub' }, (w) => w.sleep('1d', { id: 'nap' }));
const flow = workflow({ name: 'flow', concurrency: { key: 'k', limit: 1 } }, (w) => {
  w.wait(go, { id: 'message' });
  w.sleep('1d', { id: 'nap' });
  w.run(sub, undefined);
  w.run('works', {}, (_, ctx) => new Promise<void>((_, fail) => ctx.signal.addEventListener('abort', () => fail(new Error('aborted')))));
});

let db: DatabaseSync;
let engine: Engine;
let remove: () => void;
beforeEach(async () => {
  const place = folder();
  remove = place.remove;
  const path = join(place.path, 'app.db');
  engine = createEngine({ store: `sqlite:${path}`, use: [flow, sub, go], durability: 'fast', drain: '1ms' });
  await engine.work({ drainOn: [] });
  const run = await engine.start(flow);
  for await (const event of run.watch()) if (event.type === 'task.started') break;
  db = new DatabaseSync(path);
  db.exec('BEGIN IMMEDIATE');
});
afterEach(async () => {
  db.exec('ROLLBACK');
  db.close();
  await engine.close();
  remove();
});

test('a run that waits and works has none', () => {
  expect(db.prepare('SELECT count(*) AS n FROM tasks WHERE status IN (2, 4)').get()).toEqual({ n: 5 });
  expect(orphans(db)).toEqual([]);
});

test.each([
  ['UPDATE runs SET status = 6, finished_at = 1 WHERE parent IS NULL', 'is open although its run is over'],
  ['UPDATE runs SET status = 6, finished_at = 1 WHERE parent IS NULL', 'holds the key of its workflow'],
  ["UPDATE tasks SET due_at = NULL WHERE waits LIKE '%time%'", 'no timer is set'],
  ['DELETE FROM open_waits', 'nothing says so where it would be found'],
  ['UPDATE open_waits SET generation = 9', 'has an open wait, and does not wait'],
  ['UPDATE runs SET status = 6, finished_at = 1 WHERE parent IS NOT NULL', 'none that could tell it of its end'],
  ['UPDATE tasks SET worker = 999 WHERE token IS NOT NULL', 'no worker holds it'],
])('after %s it is told', (statement, told) => {
  db.exec(statement);
  expect(orphans(db).join('\n')).toContain(told);
});
