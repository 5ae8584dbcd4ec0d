import { DatabaseSync } from 'node:sqlite';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { createEngine, task, workflow, type Engine, type Run } from '../../src/index.ts';
import { folder } from '../store/kit.ts';
import { silent } from './kit.ts';

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

const two = workflow({ name: 'two' }, (w) => {
  const a = w.run(task({ name: 'a', run: () => 'a' }), {});
  w.run(task({ name: 'b', run: () => 'b' }), {}, { after: [a] });
});

/** A run one of whose rows says nothing that can be read, and a worker that has met it. */
async function setAside(): Promise<{ engine: Engine; run: Run<void>; mend: () => void }> {
  const { path, remove } = folder();
  undo.push(remove);
  const file = join(path, 'app.db');
  const open = (): Engine => {
    const engine = createEngine({ store: `sqlite:${file}`, use: [two], logger: silent, drain: '100ms' });
    undo.push(() => engine.close());
    return engine;
  };
  const first = open();
  const { id } = await first.start(two, undefined, { delay: '1h' });
  await first.close();
  const sql = (text: string): void => {
    const db = new DatabaseSync(file, { timeout: 5_000 });
    db.exec(text);
    db.close();
  };
  sql(`UPDATE runs SET status = 2, wake_at = NULL;
    INSERT INTO tasks (run, node, item, body, status, generation, attempt, begun, losses, crashes, hand_backs, draws, ran_ms, rank, first_queued_at,
      phase, next, flags) SELECT r.id, 0, -1, d.first_body, 1, 1, 0, 0, 0, 0, 0, 'no list', 0, r.rank, r.accepted_at, 1, 0, 0
      FROM runs r JOIN definitions d ON d.id = r.definition;`);
  const engine = open();
  await engine.work({ drainOn: [] });
  const run = (await engine.get(id)) as Run<void>;
  for await (const _ of ticks()) if ((await engine.quarantine.list()).length > 0) break;
  return { engine, run, mend: () => sql('UPDATE tasks SET draws = NULL') };
}

async function* ticks(): AsyncGenerator<void> {
  for (let i = 0; i < 2_000; i++) yield await new Promise<void>((resolve) => setImmediate(resolve));
}

describe('a quarantined run', () => {
  test('refuses acts, goes on after its rows are mended and it is released, and the act is in the audit', async () => {
    const { engine, run, mend } = await setAside();
    expect((await engine.quarantine.list()).map((one) => one.id)).toEqual([run.id]);
    await expect(run.redrive()).rejects.toMatchObject({ code: 'RUN_QUARANTINED' });
    expect((await run.why()).sentence).toMatch(/^It was set aside because its state cannot be (advanced|read)/);
    expect(await engine.quarantine.retry(run.id, { actor: 'ann' })).toBe(false);
    mend();
    expect(await engine.quarantine.retry(run.id, { actor: 'ann' })).toBe(true);
    await run.result({ timeout: '10s' });
    expect((await run.tasks()).map((one) => one.status)).toEqual(['success', 'success']);
    expect((await engine.audit({ run: run.id })).entries[0]).toMatchObject({ actor: 'ann', action: 'release' });
    await expect(engine.quarantine.retry(run.id)).rejects.toMatchObject({ code: 'RUN_NOT_QUARANTINED' });
  });

  test('can be failed: its open tasks are cancelled, whoever waits is told', async () => {
    const { engine, run } = await setAside();
    const result = run.result({ timeout: '10s' }).catch((error: unknown) => error);
    await engine.quarantine.fail(run.id, { actor: 'ann', note: 'broken' });
    expect(await result).toMatchObject({ code: 'RUN_FAILED' });
    expect(await run.status()).toMatchObject({ status: 'failed', reason: 'marked_failed' });
    expect(await engine.quarantine.list()).toEqual([]);
    expect((await engine.audit({ run: run.id })).entries[0]).toMatchObject({ actor: 'ann', action: 'mark_failed', note: 'broken' });
  });
});
