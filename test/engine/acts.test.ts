import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, describe, expect, test } from 'vitest';
import { createEngine, NonRetryableError, task, workflow, type Engine } from '../../src/index.ts';
import { hook, sqliteError } from '../store/hooks.ts';
import { folder } from '../store/kit.ts';
import { silent } from './kit.ts';

/** Acts of people over faults of the store, crashes and several processes. */
const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).toReversed()) await step();
});

function file(): string {
  const { path, remove } = folder();
  undo.push(remove);
  return join(path, 'app.db');
}

function engineOn(path: string, use: Parameters<typeof createEngine>[0]['use']): Engine {
  const engine = createEngine({ store: `sqlite:${path}`, use, lease: '1s', sweep: '30ms', drain: '50ms', logger: silent });
  undo.push(() => engine.close());
  return engine;
}

/** Changes rows behind the engine's back; whoever follows the journal sees that something was written. */
function meddle(path: string, sql: string): void {
  const db = new DatabaseSync(path, { timeout: 5_000 });
  db.exec(`${sql}; INSERT INTO journal (at, worker, nonce, changes) SELECT coalesce(max(at), 0), 0, 0, '[]' FROM journal`);
  db.close();
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 500; i++) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error('it did not come to that');
}

/** A body that waits until it is let go; the run of it is under way then. */
function gated(name: string) {
  const gate = { open: (): void => undefined, begun: Promise.resolve(), isBroken: false };
  let begin = (): void => undefined;
  const opened = new Promise<void>((resolve) => (gate.open = resolve));
  gate.begun = new Promise<void>((resolve) => (begin = resolve));
  const flow = workflow({ name }, (w) => ({
    a: w.run(
      'a',
      {},
      async () => {
        begin();
        await opened;
        if (gate.isBroken) throw new NonRetryableError('no');
        return 1;
      },
      { retry: { maxAttempts: 1 } },
    ),
  }));
  return { flow, gate };
}

describe('an act that the store cannot take', () => {
  test('is refused with the error of the store, and is not done later', async () => {
    const { flow, gate } = gated('full');
    const engine = engineOn(file(), [flow]);
    await engine.work({ drainOn: [] });
    const run = await engine.start(flow);
    await gate.begun;
    const restore = hook({
      onRun: (sql, next) => {
        if (sql === 'BEGIN IMMEDIATE') throw sqliteError(13, 'database or disk is full');
        return next();
      },
    });
    undo.push(restore);
    await expect(run.pause()).rejects.toMatchObject({ code: 'STORE_FULL' });
    restore();
    gate.open();
    await expect(run.result({ timeout: '5s' })).resolves.toEqual({ a: 1 });
    expect((await engine.audit()).entries).toEqual([]);
  });
});

describe('a run in quarantine', () => {
  test('that is released applies what arrived for it meanwhile, once, also when it is asked for again', async () => {
    const path = file();
    const { flow, gate } = gated('parked');
    const engine = engineOn(path, [flow]);
    await engine.work({ drainOn: [] });
    const run = await engine.start(flow);
    await gate.begun;
    meddle(path, `UPDATE tasks SET draws = '{'; UPDATE runs SET rev = rev + 1`);
    gate.open();
    await until(async () => (await run.status()).quarantined !== undefined);
    expect(await run.release({ requestId: 'too early' })).toBe(false);
    expect((await run.status()).quarantined).toBeDefined();
    await expect(run.release({ requestId: 'too early', note: 'another' })).resolves.toBe(false);
    meddle(path, 'UPDATE tasks SET draws = NULL');
    expect(await run.release({ requestId: 'r', actor: 'ann' })).toBe(true);
    await expect(run.result({ timeout: '5s' })).resolves.toEqual({ a: 1 });
    expect(await run.release({ requestId: 'r', actor: 'ann' })).toBe(true);
    await expect(run.release({ actor: 'ann' })).rejects.toMatchObject({ code: 'RUN_NOT_QUARANTINED' });
    expect((await engine.audit()).entries.filter((one) => one.requestId === 'r')).toHaveLength(1);
    expect((await run.tasks()).map(({ attempt, status }) => [attempt, status])).toEqual([[1, 'success']]);
  });

  test('is not said to be released while its rows cannot be read', async () => {
    const path = file();
    const { flow } = gated('unread');
    const engine = engineOn(path, [flow]);
    const run = await engine.start(flow);
    await run.pause();
    await run.skip('a').catch(() => undefined);
    const other = await engine.start(flow);
    await other.cancel();
    meddle(path, `UPDATE tasks SET draws = '{'; UPDATE runs SET quarantined = 'by hand'`);
    expect(await other.release()).toBe(false);
    expect((await other.status()).quarantined).not.toBe('by hand');
  });

  test('whose releaser died before it applied what had arrived goes on with that in any process', async () => {
    const path = file();
    const { flow, gate } = gated('orphan');
    const engine = engineOn(path, [flow]);
    await engine.work({ drainOn: [] });
    const run = await engine.start(flow);
    await gate.begun;
    meddle(path, `UPDATE tasks SET draws = '{'; UPDATE runs SET rev = rev + 1`);
    gate.open();
    await until(async () => (await run.status()).quarantined !== undefined);
    // What the releaser's only commit had written.
    meddle(path, 'UPDATE tasks SET draws = NULL, body = abs(body); UPDATE runs SET quarantined = NULL, rev = rev + 1, owner = NULL');
    await expect(run.result({ timeout: '3s' })).resolves.toEqual({ a: 1 });
  });

  test('that is failed ends for those who wait for it, and its map goes on after a redrive', async () => {
    const path = file();
    let begin = (): void => undefined;
    let go = (): void => undefined;
    const begun = new Promise<void>((resolve) => (begin = resolve));
    const opened = new Promise<void>((resolve) => (go = resolve));
    const each = task({
      name: 'each',
      run: async (x: number): Promise<number> => {
        begin();
        await opened;
        return x;
      },
    });
    const flow = workflow({ name: 'listed' }, (w) => ({ all: w.map([0, 1, 2, 3], each, (x) => x, { concurrency: 1 }) }));
    const engine = engineOn(path, [flow]);
    await engine.work({ drainOn: [] });
    const run = await engine.start(flow);
    await begun;
    meddle(path, `UPDATE tasks SET draws = '{' WHERE item >= 0; UPDATE runs SET rev = rev + 1`);
    go();
    await until(async () => (await run.status()).quarantined !== undefined);
    meddle(path, 'UPDATE tasks SET draws = NULL');
    const result = run.result({ timeout: '3s' }).catch((error: unknown) => error);
    await engine.quarantine.fail(run.id, { requestId: 'f' });
    await expect(result).resolves.toMatchObject({ code: 'RUN_FAILED' });
    await engine.quarantine.fail(run.id, { requestId: 'f' });
    expect(await run.status()).toMatchObject({ status: 'failed', reason: 'marked_failed' });
    await engine.close();
    const client = engineOn(path, [flow]);
    const again = await client.get(run.id);
    await again.redrive();
    await client.work({ drainOn: [] });
    await expect(again.result({ timeout: '5s' })).resolves.toEqual({ all: [0, 1, 2, 3] });
  });

  test('tells an act what it is, when it was set aside at the same moment', async () => {
    const path = file();
    const { flow } = gated('told');
    const engine = engineOn(path, [flow]);
    const run = await engine.start(flow);
    await run.pause();
    await run.resume();
    const cancelled = await engine.start(flow);
    await cancelled.cancel();
    meddle(path, `UPDATE tasks SET draws = '{'`);
    await expect(cancelled.redrive()).rejects.toMatchObject({ code: 'RUN_QUARANTINED' });
  });
});

describe('a result', () => {
  test('of a run that was redriven before this process heard of its end is that of the end to come', async () => {
    const path = file();
    const { flow, gate } = gated('again');
    gate.isBroken = true;
    const worker = engineOn(path, [flow]);
    await worker.work({ drainOn: [] });
    const waiter = engineOn(path, [flow]);
    const run = await worker.start(flow);
    await gate.begun;
    const result = (await waiter.get(run.id)).result({ timeout: '5s' }).catch((error: unknown) => error);
    await waiter.runs.list();
    gate.open();
    await until(async () => (await run.status()).status === 'failed');
    gate.isBroken = false;
    await run.redrive();
    // Heard in time the first end is a true answer too; that the run, which goes on, has failed or no output is none.
    const told = await result;
    expect(told instanceof Error ? told.message : told).toEqual(
      told instanceof Error ? expect.stringContaining('task "a" failed') : { a: 1 },
    );
    await expect(run.result({ timeout: '5s' })).resolves.toEqual({ a: 1 });
  });
});

describe('dead letters', () => {
  test('that cannot be read are listed as that, and hide no others', async () => {
    const path = file();
    const { flow, gate } = gated('unread');
    gate.isBroken = true;
    gate.open();
    const engine = engineOn(path, [flow]);
    await engine.work({ drainOn: [] });
    const ids: string[] = [];
    for (let i = 0; i < 4; i++) {
      const run = await engine.start(flow);
      await run.result({ timeout: '5s' }).catch(() => undefined);
      ids.push(run.id);
    }
    meddle(path, `UPDATE tasks SET draws = '{' WHERE run = (SELECT min(run) FROM tasks)`);
    meddle(path, `UPDATE tasks SET error = 'no JSON' WHERE run = (SELECT max(run) FROM tasks)`);
    const { letters } = await engine.dead.list();
    expect(letters.map(({ runId, task: name, code }) => [runId, name, code])).toEqual([
      [ids[3], 'a', 'STORE_CORRUPT'],
      [ids[2], 'a', 'NonRetryableError'],
      [ids[1], 'a', 'NonRetryableError'],
      [ids[0], 'a', 'STORE_CORRUPT'],
    ]);
    expect((await engine.dead.list({ run: ids[0] ?? '' })).letters).toMatchObject([
      { code: 'STORE_CORRUPT', message: 'The column draws holds no JSON: {.' },
    ]);
    expect((await engine.dead.list({ code: 'STORE_CORRUPT' })).letters).toHaveLength(2);
    gate.isBroken = false;
    const told: unknown[] = [];
    for await (const { runId, report, error } of engine.dead.redrive({})) told.push([runId, report?.applied ?? error?.code]);
    expect(told).toEqual([
      [ids[3], true],
      [ids[2], true],
      [ids[1], true],
      [ids[0], 'RUN_QUARANTINED'],
    ]);
  });
});

describe('one request id', () => {
  test('in two processes at once is one act', async () => {
    const path = file();
    const { flow, gate } = gated('race');
    gate.isBroken = true;
    gate.open();
    const [one, two] = [engineOn(path, [flow]), engineOn(path, [flow])];
    await one.work({ drainOn: [] });
    const run = await one.start(flow);
    await run.result({ timeout: '5s' }).catch(() => undefined);
    const there = await two.get(run.id);
    for (let round = 0; round < 5; round++) {
      const options = { requestId: `r${round}`, actor: 'ann' };
      const [a, b] = await Promise.all([run.redrive(options), there.redrive(options)]);
      expect(a).toEqual(b);
      await until(async () => (await run.status()).status === 'failed');
    }
    expect((await run.tasks())[0]?.attempt).toBe(6);
    expect((await one.audit()).entries).toHaveLength(5);
  });

  test('is one fork', async () => {
    const path = file();
    const { flow, gate } = gated('forks');
    gate.open();
    const [one, two] = [engineOn(path, [flow]), engineOn(path, [flow])];
    const run = await one.start(flow);
    const there = await two.get(run.id);
    const options = { requestId: 'f', actor: 'ann' };
    const [a, b] = await Promise.all([run.fork('a', options), there.fork('a', options)]);
    expect(a.run.id).toBe(b.run.id);
    expect(a.run.created).not.toBe(b.run.created);
    expect((await one.runs.list()).runs).toHaveLength(2);
  });
});
