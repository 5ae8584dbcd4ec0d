import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { engineParts, openSqlite, type EngineOptions } from '../../src/compose.ts';
import type { EngineParts } from '../../src/engine/engine.ts';
import { LAST_INSTANT } from '../../src/core/duration-text.ts';
import { timerHeart } from '../../src/engine/heart.ts';
import { Engine } from '../../src/facade.ts';
import { signal, task, workflow } from '../../src/index.ts';
import { VirtualTime } from '../../src/testing/virtual-time.ts';
import { hook } from '../store/hooks.ts';
import { folder } from '../store/kit.ts';
import { silent } from './kit.ts';

/** Processes on one file, on one virtual clock: what each costs that has nothing to do, and what wakes it. */

const undo: (() => unknown)[] = [];
let dir = '';
let time = new VirtualTime();
let dead = new Set<number>();
let pids = 0;
beforeEach(() => {
  const { path, remove } = folder();
  [dir, time, dead, pids] = [path, new VirtualTime(), new Set(), 0];
  undo.push(remove);
});
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

const go = signal('go', z.string());
const waits = workflow({ name: 'waits' }, (w) => ({ said: w.wait(go, { key: 'all', timeout: '1d' }) }));
const naps = workflow({ name: 'naps' }, (w) => ({ done: w.run('done', {}, () => 'yes', { after: [w.sleep('10m')] }) }));
const quick = workflow({ name: 'quick' }, (w) => ({ done: w.run('done', {}, () => 'yes') }));
const hangs = workflow({ name: 'hangs' }, (w) => ({
  done: w.run('done', {}, (_, ctx) => (ctx.attempt > 1 ? 'again' : new Promise<string>(() => undefined)), {
    retry: { maxAttempts: 2, initial: '1s' },
    timeout: '1m',
  }),
}));
const one = workflow({ name: 'one', concurrency: 1 }, (w) => ({ said: w.wait(go, { timeout: '1d' }) }));
const elsewhere = task({ name: 'elsewhere', queue: 'elsewhere', run: () => 1 });
const far = workflow({ name: 'far' }, (w) => ({ done: w.run(elsewhere, {}) }));
const scarce = task({ name: 'scarce', pools: { db: 1 }, run: () => 'yes' });
const needy = workflow({ name: 'needy' }, (w) => ({ done: w.run(scarce, {}) }));
const ALL = [waits, naps, quick, hangs, one, far, needy, go];

/** A process; its heart has a connection of its own, as in its thread. */
async function process(over: Partial<Omit<EngineOptions, 'store'>> = {}): Promise<Engine & { pid: number }> {
  const path = join(dir, 'app.db');
  const pid = ++pids;
  const store = await openSqlite(path, { durability: 'fast' });
  const heartStore = await openSqlite(path, { durability: 'fast' });
  await store.open();
  await heartStore.open();
  const here = { name: `test:${pid}`, host: 'test', pid, pidStarted: String(pid), bootId: 'test', pidNamespace: 'test' };
  const host: EngineParts['host'] = { facts: (now) => ({ ...here, startedAt: now }), isDead: (worker) => dead.has(worker.pid) };
  const engine = new Engine({
    ...engineParts({ use: ALL, logger: silent, limits: { db: 1 }, ...over }),
    openStore: () => Promise.resolve(store),
    heart: (_, clock) => timerHeart(heartStore, clock, time.ports()),
    ports: time.ports(),
    host,
  });
  undo.push(async () => {
    await engine.runtime.crash().catch(() => undefined);
    await store.close();
    await heartStore.close();
  });
  return Object.assign(engine, { pid });
}

async function worker(over: Partial<Omit<EngineOptions, 'store'>> = {}): Promise<Engine & { pid: number }> {
  const engine = await process(over);
  await engine.work({ drainOn: [] });
  return engine;
}

const turns = async (): Promise<void> => {
  for (let i = 0; i < 40; i++) await new Promise((resolve) => setImmediate(resolve));
};
async function pass(ms: number): Promise<void> {
  const until = time.now() + ms;
  await turns();
  while (time.step(until)) await turns();
  await turns();
}

/** Statements per second, of all processes, while so much time passes. */
async function statements(seconds: number): Promise<number> {
  let count = 0;
  const stop = hook({ onRun: (_, next) => (count++, next()) });
  await pass(seconds * 1_000);
  stop();
  return count / seconds;
}

const statusOf = async (run: { status(): Promise<{ status: string }> }): Promise<string> => (await run.status()).status;

describe('a process with nothing to do', () => {
  const SECONDS = 120;

  test('runs no more than 5 statements a second, and no more for more runs that wait', async () => {
    const engine = await worker();
    await engine.start(waits);
    await pass(5_000);
    const few = await statements(SECONDS);
    expect(few).toBeLessThanOrEqual(5);
    for (let n = 0; n < 5; n++) {
      await engine.startMany(
        waits,
        Array.from({ length: 200 }, () => ({ input: undefined })),
      );
      await pass(1_000);
    }
    expect((await engine.runs.list({ limit: 1 })).runs).toHaveLength(1);
    await pass(10_000);
    // 1,001 runs are three pages of the watchdog, one in each of its looks.
    expect(await statements(SECONDS)).toBe(few);
  });

  test.each<[string, (engine: Engine) => Promise<unknown>]>([
    ['messages that nobody takes', (engine) => engine.send(go, { key: 'nobody', data: 'x' })],
    ['tasks of a queue that it does not serve', (engine) => engine.start(far)],
    ['a run that waits for the key of its workflow', async (engine) => [await engine.start(one), await engine.start(one)]],
    ['a task that waits until a time', (engine) => engine.start(naps)],
    ['a schedule that is not due', (engine) => engine.schedules.create({ name: 's', workflow: 'quick', cron: '0 0 1 1 *', tz: 'UTC' })],
    [
      'a schedule that waits for the end of a run',
      async (engine) => {
        await engine.schedules.create({ name: 's', workflow: 'waits', every: '10s', overlap: 'queue' });
        await pass(25_000);
        await engine.schedules.pause('s', { actor: 'ada' });
      },
    ],
    [
      'runs of versions that nobody has',
      async () => {
        const flows = [1, 2, 3].map((n) => workflow({ name: `old${n}` }, (w) => ({ said: w.wait(go), done: w.run('done', {}, () => n) })));
        const old = await process({ use: [...flows, go] });
        for (const flow of flows) await old.start(flow);
        await old.close();
      },
    ],
  ])('runs no more than 5 a second beside %s', async (_, prepare) => {
    const engine = await worker();
    await prepare(engine);
    await pass(20_000);
    expect(await statements(SECONDS)).toBeLessThanOrEqual(5);
  });

  test('runs no more than 5 a second beside other processes that have nothing to do', async () => {
    const engines = [await worker(), await worker(), await worker()];
    await engines[0]?.start(waits);
    await pass(20_000);
    expect((await statements(SECONDS)) / engines.length).toBeLessThanOrEqual(5);
  });

  test('writes nothing but its lease', async () => {
    const engine = await worker();
    await engine.start(waits);
    await pass(5_000);
    let writes = 0;
    const stop = hook({
      onRun: (sql, next) => {
        const result = next();
        if (/^(INSERT|UPDATE|DELETE)/.test(sql) && !sql.startsWith('UPDATE workers'))
          writes += Number((result as { changes: number }).changes);
        return result;
      },
    });
    await pass(SECONDS * 1_000);
    stop();
    expect(writes).toBe(0);
  });

  test('runs none where it is a client that waits for nothing, and only polls where it waits for a result', async () => {
    const engine = await process();
    const run = await engine.start(waits);
    await pass(5_000);
    expect(await statements(SECONDS)).toBe(0);
    const result = run.result().catch(() => undefined);
    await pass(5_000);
    expect(await statements(SECONDS)).toBeLessThanOrEqual(2.1);
    void result;
  });

  test('the control: one that has something to do runs more', async () => {
    const engine = await worker();
    await engine.start(needy);
    expect(await statements(1)).toBeGreaterThan(5);
  });
});

describe('what another process commits is seen within a second by one that has nothing to do:', () => {
  test.each<[string, (engine: Engine) => Promise<{ status(): Promise<{ status: string }> }>]>([
    ['a run', (client) => client.start(quick)],
    ['a run that starts later', (client) => client.start(quick, undefined, { delay: '500ms' })],
    ['a task that takes units', (client) => client.start(needy)],
  ])('%s', async (_, start) => {
    await worker();
    const client = await process();
    await pass(7_300);
    const run = await start(client);
    await pass(1_300);
    expect(await statusOf(run)).toBe('success');
  });

  test('a pool with more units, a queue that goes on, a key that is given up, a new schedule', async () => {
    const at = await worker();
    const client = await process();
    const by = { actor: 'ada', note: 'n' };
    await client.limits.set('db', 0, by);
    await client.workflows.pause('quick', by);
    const [units, paused] = [await client.start(needy), await client.start(quick)];
    const [first, second] = [await at.start(one), await at.start(one)];
    await pass(30_000);
    expect([await statusOf(units), await statusOf(paused), await statusOf(second)]).toEqual(['running', 'running', 'queued']);
    await client.limits.clear('db', by);
    await pass(1_000);
    expect(await statusOf(units)).toBe('success');
    await client.workflows.resume('quick', by);
    await pass(1_000);
    expect(await statusOf(paused)).toBe('success');
    await (await client.get(first.id)).cancel();
    await pass(1_000);
    expect(['running', 'waiting']).toContain(await statusOf(second));
    await client.schedules.create({ name: 'often', workflow: 'quick', every: '10s' });
    await pass(11_500);
    expect((await client.runs.list({ workflow: 'quick' })).runs).toHaveLength(2);
  });
});

test('a key that another process gave up, and then died, is seen within a second', async () => {
  const at = await worker();
  const [first, second] = [await at.start(one), await at.start(one)];
  await pass(10_300);
  const client = await process();
  const { store } = await client.runtime.open();
  store.capacity.admit = () => Promise.resolve({ granted: [], displaced: [] });
  await (await client.get(first.id)).cancel();
  await pass(700);
  expect(['running', 'waiting']).toContain(await statusOf(second));
});

describe('what no commit tells a process that has nothing to do:', () => {
  test('a timer is due, on time', async () => {
    const at = await worker();
    const run = await at.start(naps);
    await pass(599_900);
    expect(await statusOf(run)).not.toBe('success');
    // Others leave it to the process that holds the run for 300 ms.
    await pass(500);
    expect(await statusOf(run)).toBe('success');
  });

  test('the timer of a process that died is due', async () => {
    const first = await worker();
    const run = await first.start(naps);
    await pass(5_000);
    const second = await worker();
    await pass(5_000);
    dead.add(first.pid);
    await first.runtime.crash();
    await pass(590_500);
    expect(await statusOf(await second.get(run.id))).toBe('success');
  });

  test('a process on this host dies: its work is taken back with the next poll, whenever the next sweep is', async () => {
    const first = await worker({ sweep: '1h', lease: '1h' });
    const run = await first.start(hangs);
    await pass(1_000);
    const second = await worker({ sweep: '1h', lease: '1h' });
    await pass(5_000);
    dead.add(first.pid);
    await first.runtime.crash();
    await pass(700);
    expect(await statusOf(await second.get(run.id))).toBe('success');
  });

  test('a process elsewhere dies: its work is taken back a sweep after the end of its lease', async () => {
    const first = await worker();
    const run = await first.start(hangs);
    await pass(1_000);
    const second = await worker();
    const same = await second.get(run.id);
    await pass(30_000);
    await first.runtime.crash();
    await pass(9_000);
    expect(await statusOf(same)).toBe('running');
    await pass(15_000 - 9_000 + 2_500);
    expect(await statusOf(same)).toBe('success');
  });

  test('an attempt that its own process does not end is past its timeout', async () => {
    const first = await worker();
    const run = await first.start(hangs);
    await pass(1_000);
    await worker();
    const { dispatcher } = (first.runtime as unknown as { worker: { dispatcher: { cancelDeadline: (() => void) | null } } }).worker;
    expect(dispatcher.cancelDeadline).not.toBeNull();
    dispatcher.cancelDeadline?.();
    await pass(60_000 + 5_000 + 1_000 + 2_500 + 1_500);
    expect(await statusOf(run)).toBe('success');
  });

  test('a key was granted, and who granted it died before the run went on', async () => {
    const at = await worker();
    const [first, second] = [await at.start(one), await at.start(one)];
    await pass(10_000);
    const { store } = await at.runtime.open();
    const admit = store.capacity.admit.bind(store.capacity);
    let lost = 0;
    // The answer of the transaction gets lost, and no row of the journal tells of it.
    store.capacity.admit = async (keys) => {
      const admitted = await admit(keys);
      return lost++ === 0 ? { granted: [], displaced: [] } : admitted;
    };
    await first.cancel();
    await pass(2_500);
    expect(lost).toBeGreaterThan(0);
    expect(['running', 'waiting']).toContain(await statusOf(second));
  });

  test('a message was stored, and who stored it died before it was delivered', async () => {
    const at = await worker();
    const run = await at.start(waits);
    await pass(30_000);
    const client = await process();
    const { store } = await client.runtime.open();
    await store.mailbox.send({ box: { signal: 'go', key: 'all', run: null }, to: 'one', data: '"x"', dedupe: null }, time.now());
    await pass(2_500);
    expect(await statusOf(run)).toBe('success');
  });

  test('what could not be let in is tried again by the next sweep', async () => {
    const at = await worker();
    const [first, second] = [await at.start(one), await at.start(one)];
    await pass(10_000);
    const { store } = await at.runtime.open();
    const admit = store.capacity.admit.bind(store.capacity);
    let failures = 2;
    store.capacity.admit = (keys) => (failures-- > 0 ? Promise.reject(new Error('no')) : admit(keys));
    await first.cancel();
    await pass(100);
    expect(await statusOf(second)).toBe('queued');
    await pass(5_000);
    expect(['running', 'waiting']).toContain(await statusOf(second));
  });

  test('a wake-up is missed: a full sweep finds what the journal does not tell', async () => {
    const at = await worker();
    const run = await at.start(waits);
    await at.send(go, { key: 'nobody', data: 'x' });
    await pass(20_500);
    const db = new DatabaseSync(join(dir, 'app.db'));
    db.prepare("INSERT INTO messages (signal, run, key, at, expires_at, data) VALUES ('go', NULL, 'all', ?, ?, '\"x\"')").run(
      time.now(),
      LAST_INSTANT,
    );
    db.close();
    await pass(7_000);
    expect(await statusOf(run)).not.toBe('success');
    await pass(3_500);
    expect(await statusOf(run)).toBe('success');
  });
});
