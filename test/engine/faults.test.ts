import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { createEngine, workflow, type Engine, type EngineEvent } from '../../src/index.ts';
import { silent } from './kit.ts';

const engines: Engine[] = [];
const folders: string[] = [];

afterEach(async () => {
  await Promise.all(engines.splice(0).map((engine) => engine.close()));
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

function file(): string {
  const folder = mkdtempSync(join(tmpdir(), 'pawl-faults-'));
  folders.push(folder);
  return join(folder, 'app.db');
}

function engineOn(path: string, use: Parameters<typeof createEngine>[0]['use'], onEvent?: (event: EngineEvent) => void): Engine {
  const options = { store: `sqlite:${path}`, use, lease: '1s', sweep: '50ms', logger: silent } as const;
  const engine = createEngine(onEvent === undefined ? options : { ...options, onEvent });
  engines.push(engine);
  return engine;
}

/** Changes rows behind the engine's back, as nobody should. */
function meddle(path: string, sql: string): void {
  const db = new DatabaseSync(path, { timeout: 5_000 });
  db.exec(`${sql}; INSERT INTO journal (at, worker, nonce, changes) SELECT coalesce(max(at), 0), 0, 0, '[]' FROM journal`);
  db.close();
}

const slow = workflow({ name: 'slow' }, (w) => ({
  a: w.run(
    'a',
    {},
    (_, ctx) => {
      if (ctx.attempt === 1) throw new Error('once');
      return 1;
    },
    { retry: { initial: '300ms', jitter: 'none' } },
  ),
}));
const quick = workflow({ name: 'quick' }, (w) => ({ a: w.run('a', {}, () => 1) }));

describe('an engine that may not open its store', () => {
  test('closes it again', async () => {
    const path = file();
    const one = workflow({ name: 'versioned', version: '1' }, (w) => ({ a: w.run('a', {}, () => 1) }));
    const two = workflow({ name: 'versioned', version: '1' }, (w) => ({ b: w.run('b', {}, () => 1) }));
    await engineOn(path, [one]).runs.list();
    const close = vi.spyOn(DatabaseSync.prototype, 'close');
    try {
      const other = engineOn(path, [two]);
      await expect(other.runs.list()).rejects.toMatchObject({ code: 'CONFIG_VERSION_CHANGED' });
      expect(close).toHaveBeenCalledTimes(1);
      await expect(other.runs.list()).rejects.toMatchObject({ code: 'CONFIG_VERSION_CHANGED' });
      expect(close).toHaveBeenCalledTimes(2);
    } finally {
      close.mockRestore();
    }
  });
});

describe('a run whose rows cannot be decoded', () => {
  test('is set aside, and the others go on', async () => {
    const path = file();
    const engine = engineOn(path, [slow, quick]);
    await engine.work();
    const bad = await engine.start(slow);
    await retrying(engine, bad.id);
    meddle(path, `UPDATE tasks SET draws = 'no json'; UPDATE runs SET rev = rev + 1`);
    await until(async () => (await bad.status()).quarantined !== undefined);
    expect(await (await engine.start(quick)).result({ timeout: '5s' })).toEqual({ a: 1 });
    expect((await bad.status()).status).toBe('running');
  });

  test('is met by a claim of another process, which goes on with the rest', async () => {
    const path = file();
    const client = engineOn(path, [slow, quick]);
    const bad = await client.start(slow);
    const fine = await client.start(quick);
    const worker = engineOn(path, [slow, quick]);
    await worker.work();
    await fine.result({ timeout: '5s' });
    await retrying(worker, bad.id);
    await worker.close();
    meddle(path, `UPDATE tasks SET status = 1, next = 0, due_at = NULL, draws = '{' WHERE status = 3`);
    const other = engineOn(path, [slow, quick]);
    await other.work();
    expect(await (await other.start(quick)).result({ timeout: '5s' })).toEqual({ a: 1 });
    await until(async () => (await bad.status()).quarantined !== undefined);
  });
});

describe('a run that nothing would wake', () => {
  test('is failed as stuck by the watchdog', async () => {
    const path = file();
    const engine = engineOn(path, [slow]);
    await engine.work();
    const run = await engine.start(slow);
    await retrying(engine, run.id);
    meddle(path, `DELETE FROM tasks; UPDATE runs SET rev = rev + 1, owner = NULL`);
    await expect(run.result({ timeout: '20s' })).rejects.toMatchObject({ code: 'RUN_FAILED', details: { reason: 'stuck' } });
  });

  test('so is one that waits for a key in no line', async () => {
    const path = file();
    const alone = workflow({ name: 'alone', concurrency: 1 }, (w) => ({ n: w.run('nap', {}, (_, ctx) => ctx.sleep('nap', '1h')) }));
    const engine = engineOn(path, [alone]);
    await engine.work();
    await engine.start(alone);
    const [waits, lost] = [await engine.start(alone), await engine.start(alone)];
    expect([(await waits.status()).status, (await lost.status()).status]).toEqual(['queued', 'queued']);
    meddle(path, 'DELETE FROM gates WHERE run = (SELECT max(run) FROM gates)');
    await expect(lost.result({ timeout: '20s' })).rejects.toMatchObject({ code: 'RUN_FAILED', details: { reason: 'stuck' } });
    expect((await waits.status()).status).toBe('queued');
  });
});

describe('a worker whose work was taken back', () => {
  test('claims nothing under its old identity, and goes on under a new one', async () => {
    const path = file();
    const engine = engineOn(path, [quick]);
    await engine.work();
    meddle(path, `UPDATE workers SET fenced = 1, ended_at = started_at`);
    expect(await (await engine.start(quick)).result({ timeout: '10s' })).toEqual({ a: 1 });
    const db = new DatabaseSync(path, { readOnly: true });
    expect(db.prepare('SELECT count(*) AS n FROM tasks WHERE status = 2').get()).toEqual({ n: 0 });
    expect(db.prepare('SELECT count(*) AS n FROM workers').get()).toEqual({ n: 2 });
    db.close();
  });
});

async function retrying(engine: Engine, id: string): Promise<void> {
  await until(async () => (await (await engine.get(id)).tasks())[0]?.status === 'retrying');
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setImmediate(resolve));
}
