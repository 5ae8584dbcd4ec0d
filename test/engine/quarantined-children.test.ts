import { DatabaseSync } from 'node:sqlite';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { createEngine, NonRetryableError, workflow, type Engine, type Registrable } from '../../src/index.ts';
import { folder } from '../store/kit.ts';
import { silent } from './kit.ts';

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

function file(): { file: string; sql: (text: string) => void; read: (text: string) => unknown[] } {
  const { path, remove } = folder();
  undo.push(remove);
  const name = join(path, 'app.db');
  const on = <T>(work: (db: DatabaseSync) => T): T => {
    const db = new DatabaseSync(name, { timeout: 5_000 });
    try {
      return work(db);
    } finally {
      db.close();
    }
  };
  return { file: name, sql: (text) => on((db) => db.exec(text)), read: (text) => on((db) => db.prepare(text).all()) };
}

function open(at: string, ...use: Registrable[]): Engine {
  const engine = createEngine({ store: `sqlite:${at}`, use, logger: silent, drain: '100ms', sweep: '200ms' });
  undo.push(() => engine.close());
  return engine;
}

async function* ticks(): AsyncGenerator<void> {
  for (let i = 0; i < 2_000; i++) yield await new Promise<void>((resolve) => setImmediate(resolve));
}

const child = workflow({ name: 'child' }, (w) => {
  w.sleep('1h');
});
const parent = workflow({ name: 'parent' }, (w) => {
  w.run(child, undefined);
});

/** Sets the run of this workflow aside, with rows that nobody can read. */
const spoil = (name: string): string => `UPDATE tasks SET draws = 'no list', body = -abs(body), due_at = -abs(due_at)
    WHERE run = (SELECT r.id FROM runs r JOIN definitions d ON d.id = r.definition WHERE d.workflow = '${name}');
  UPDATE runs SET quarantined = 'spoilt', wake_at = NULL, owner = NULL, rev = rev + 1
    WHERE definition = (SELECT id FROM definitions WHERE workflow = '${name}')`;

async function begun(): Promise<{ at: ReturnType<typeof file>; id: string; childId: string }> {
  const at = file();
  const engine = open(at.file, child, parent);
  await engine.work({ drainOn: [] });
  const { id } = await engine.start(parent);
  for await (const _ of ticks()) if (at.read('SELECT id FROM runs').length === 2) break;
  const childId = (await engine.runs.find('@last:child')).id;
  await engine.close();
  return { at, id, childId };
}

describe('a quarantined run that is failed', () => {
  test('as a child, ends its place in the parent', async () => {
    const { at, id, childId } = await begun();
    at.sql(spoil('child'));
    const engine = open(at.file, child, parent);
    await engine.work({ drainOn: [] });
    await engine.quarantine.fail(childId);
    const run = await engine.get(id);
    await expect(run.result({ timeout: '5s' })).rejects.toMatchObject({ code: 'RUN_FAILED' });
    expect(at.read('SELECT id FROM runs WHERE recall IS NOT NULL OR quarantined IS NOT NULL')).toEqual([]);
  });

  test('as a child, by a process that died before it told the parent', async () => {
    const { at, id } = await begun();
    at.sql(spoil('child'));
    at.sql(`UPDATE runs SET status = 8, reason = 'marked_failed', quarantined = NULL, finished_at = accepted_at, recall = 2 WHERE parent IS NOT NULL;
      UPDATE tasks SET status = 9, finished_at = 1, waits = NULL, due_at = NULL WHERE draws = 'no list'`);
    const engine = open(at.file, child, parent);
    await engine.work({ drainOn: [] });
    const run = await engine.get(id);
    await expect(run.result({ timeout: '5s' })).rejects.toMatchObject({ code: 'RUN_FAILED' });
  });

  test('as a parent, lets go of its children', async () => {
    const { at, id, childId } = await begun();
    at.sql(spoil('parent'));
    const engine = open(at.file, child, parent);
    await engine.work({ drainOn: [] });
    await engine.quarantine.fail(id);
    const run = await engine.get(childId);
    await expect(run.result({ timeout: '5s' })).rejects.toMatchObject({ code: 'RUN_CANCELLED' });
  });
});

describe('a parent that compensates', () => {
  const log: string[] = [];
  let hold: (() => void) | null = null;
  const done = workflow({ name: 'child' }, (w) => {
    w.run('book', {}, () => 1, {
      compensate: () =>
        new Promise<void>((resolve) => {
          hold = () => {
            log.push('undone');
            resolve();
          };
        }),
    });
  });
  const failing = workflow({ name: 'parent' }, (w) => {
    const booked = w.run(done, undefined);
    w.run(
      'last',
      {},
      () => {
        throw new NonRetryableError('for good');
      },
      { after: [booked] },
    );
  });
  const held = async (): Promise<void> => {
    for await (const _ of ticks()) if (hold !== null) return;
  };
  const aside = (name: string): string => `UPDATE runs SET quarantined = 'spoilt', wake_at = NULL, owner = NULL, rev = rev + 1
    WHERE definition = (SELECT id FROM definitions WHERE workflow = '${name}')`;

  test('goes on when its child, set aside while it was to be undone, is released', async () => {
    const at = file();
    const first = open(at.file, done, failing);
    await first.work({ drainOn: [] });
    const { id } = await first.start(failing);
    await held();
    await first.close();
    hold = null;
    // As if the parent had asked, and nobody had begun.
    at.sql(`${aside('child')};
      UPDATE runs SET status = 6, recall = 3, completion = 1, flow = NULL, finished_at = accepted_at WHERE parent IS NOT NULL;
      DELETE FROM tasks WHERE run = 2 AND node = 1`);
    const engine = open(at.file, done, failing);
    await engine.work({ drainOn: [] });
    const run = await engine.get(id);
    await expect(run.result({ timeout: '600ms' })).rejects.toMatchObject({ code: 'RUN_TIMEOUT' });
    await engine.quarantine.retry((await engine.runs.find('@last:child')).id);
    await held();
    (hold as (() => void) | null)?.();
    await expect(run.result({ timeout: '5s' })).rejects.toMatchObject({ code: 'RUN_FAILED', details: { compensation: 'complete' } });
    expect(log.splice(0)).toEqual(['undone']);
  });

  test('hears what its child has undone while it was set aside itself', async () => {
    const at = file();
    hold = null;
    const first = open(at.file, done, failing);
    await first.work({ drainOn: [] });
    const { id } = await first.start(failing);
    await held();
    await first.close();
    at.sql(aside('parent'));
    hold = null;
    const engine = open(at.file, done, failing);
    await engine.work({ drainOn: [] });
    await held();
    (hold as (() => void) | null)?.();
    const child = await engine.runs.find('@last:child');
    await expect(child.result({ timeout: '5s' })).resolves.toBeUndefined();
    await engine.quarantine.retry(id);
    const run = await engine.get(id);
    await expect(run.result({ timeout: '5s' })).rejects.toMatchObject({ code: 'RUN_FAILED', details: { compensation: 'complete' } });
    expect(log.splice(0)).toEqual(['undone']);
  });
});
