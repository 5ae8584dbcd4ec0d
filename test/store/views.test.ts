import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { RUN_STATUSES, TASK_STATUSES } from '../../src/core/kernel/states.ts';
import { createEngine, NonRetryableError, task, workflow, type Engine } from '../../src/index.ts';
import { anything, folder } from './kit.ts';

const rich = {
  text: 'a "quoted" ☃ \n',
  date: new Date(0),
  map: new Map([[1, new Set(['x'])]]),
  big: 2n ** 80n,
  bytes: new Uint8Array([1, 2]),
  none: undefined,
  minusZero: -0,
};

const item = task({
  name: 'item',
  run: ({ n }: { n: number }) => {
    if (n === 1) throw new NonRetryableError('one is "bad"');
    return { n, rich };
  },
});

const flow = workflow({ name: 'flow', version: 'v"1', input: anything<{ list: number[] }>() }, (w, input) => {
  const first = w.run('first', {}, () => rich);
  const chosen = w.when(
    { first },
    () => false,
    () => w.run('never', {}, () => 1),
    () => w.run('chosen', {}, () => undefined),
  );
  const all = w.map(input.list, item, (n) => ({ n }), { id: 'all', settle: true });
  const failing = w.run(
    'failing',
    {},
    (): number => {
      throw new NonRetryableError('no');
    },
    { allowFailure: true },
  );
  w.run('behind', { failing }, ({ failing: n }) => n);
  w.run('retried', {}, () => Promise.reject(new Error('later')), { retry: { maxAttempts: 2, initial: '1h', maxDelay: '1h' } });
  return { first, all, chosen };
});

let engine: Engine;
let db: DatabaseSync;
let remove: () => void;
beforeEach(async () => {
  const place = folder();
  remove = place.remove;
  const path = join(place.path, 'app.db');
  engine = createEngine({ store: `sqlite:${path}`, use: [flow], durability: 'fast' });
  await engine.work();
  const run = await engine.start(flow, { list: [0, 1, 2] }, { tags: ['a', 'b "c"'], key: 'k' });
  for await (const event of run.watch()) if (event.type === 'task.retrying') break;
  await engine.start(flow, { list: [] }, { startAt: new Date(4e12) });
  // What has no wait of its own ends within a few turns.
  db = new DatabaseSync(path, { readOnly: true });
  for (let open = 1; open > 0;) {
    await new Promise((next) => setImmediate(next));
    open = Number(db.prepare("SELECT count(*) AS n FROM task_overview WHERE status IN ('queued', 'running')").get()?.['n']);
  }
});
afterEach(async () => {
  db.close();
  await engine.close();
  remove();
});

describe('run_overview', () => {
  test('names the workflow, the version and the status', () => {
    const rows = db.prepare('SELECT workflow, version, status, key, tags FROM run_overview ORDER BY run').all();
    expect(rows.map((row) => ({ ...row }))).toEqual([
      { workflow: 'flow', version: 'v"1', status: 'running', key: 'k', tags: '["a","b \\"c\\""]' },
      { workflow: 'flow', version: 'v"1', status: 'scheduled', key: null, tags: null },
    ]);
  });

  test('gives the id that the engine gives', async () => {
    const ids = (await engine.runs.list()).runs.map(({ id }) => id);
    const rows = db.prepare('SELECT id FROM run_overview ORDER BY run DESC').all();
    expect(rows.map((row) => row['id'])).toEqual(ids);
  });
});

describe('task_overview', () => {
  test('names each task as the workflow does, and its status', () => {
    const rows = db.prepare('SELECT task, item, status, reason FROM task_overview WHERE run = 1 ORDER BY task, item').all();
    expect(rows.map((row) => [row['task'], row['item'], row['status'], row['reason']].join(' '))).toEqual([
      'all  success ',
      'all 0 success ',
      'all 1 failed error',
      'all 2 success ',
      'behind  upstream_failed ',
      'chosen  success ',
      'failing  failed error',
      'first  success ',
      'never  skipped condition',
      'retried  retrying error',
      'when  success ',
    ]);
  });
});

test('every number that a row can hold has its kernel’s name', () => {
  const memory = new DatabaseSync(':memory:');
  const shown = (view: string, alias: string, first: number, count: number): string[] => {
    const sql = String(db.prepare("SELECT sql FROM sqlite_schema WHERE type = 'view' AND name = ?").get(view)?.['sql']);
    const choice = /CASE \w\.status[\s\S]*?END/.exec(sql)?.[0] ?? '';
    return Array.from({ length: count }, (_, i) =>
      String(memory.prepare(`SELECT ${choice.replaceAll(`${alias}.status`, '?')} AS name`).get(i + first)?.['name']),
    );
  };
  expect(shown('run_overview', 'r', 0, RUN_STATUSES.length)).toEqual([...RUN_STATUSES]);
  expect(shown('task_overview', 't', 1, TASK_STATUSES.length - 1)).toEqual(TASK_STATUSES.slice(1));
  memory.close();
});

test('the rows take no status beyond the kernel’s', () => {
  const bounds = db
    .prepare("SELECT name, sql FROM sqlite_schema WHERE name IN ('runs', 'tasks')")
    .all()
    .map((row) => [row['name'], /status BETWEEN (\d+) AND (\d+)/.exec(String(row['sql']))?.slice(1).map(Number)]);
  expect(Object.fromEntries(bounds)).toEqual({ runs: [0, RUN_STATUSES.length - 1], tasks: [0, TASK_STATUSES.length - 1] });
});

test('every payload is valid JSON', () => {
  const columns: [string, string[]][] = [
    ['run_overview', ['input', 'output', 'tags']],
    ['task_overview', ['output', 'error']],
    ['tasks', ['draws']],
    ['attempts', ['error']],
    ['steps', ['value']],
    ['journal', ['changes']],
    ['definitions', ['graph']],
  ];
  for (const [table, names] of columns) {
    for (const name of names) {
      const { bad, present } =
        db.prepare(`SELECT sum(NOT json_valid(${name})) AS bad, count(${name}) AS present FROM ${table}`).get() ?? {};
      expect([table, name, Number(bad ?? 0)]).toEqual([table, name, 0]);
      if (['input', 'changes', 'graph'].includes(name)) expect(Number(present)).toBeGreaterThan(0);
    }
  }
});
