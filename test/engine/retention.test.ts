import { afterEach, describe, expect, test } from 'vitest';
import { engineParts, openSqlite } from '../../src/compose.ts';
import { Engine } from '../../src/facade.ts';
import { NonRetryableError, task, workflow, type EngineEvent, type EngineOptions } from '../../src/index.ts';
import { VirtualTime } from '../../src/testing/virtual-time.ts';
import { silent } from './kit.ts';

const fine = workflow({ name: 'fine' }, (w) => ({ a: w.run('a', {}, () => 1) }));
const bad = workflow({ name: 'bad' }, (w) => ({
  a: w.run('a', {}, (): number => {
    throw new NonRetryableError('no');
  }),
}));
const waits = workflow({ name: 'waits' }, (w) => ({ a: w.run('a', {}, () => new Promise<number>(() => undefined)) }));
const each = task({ name: 'each', run: ({ n }: { n: number }) => n });
const list = Array.from({ length: 3_000 }, (_, n) => n);
const mapped = workflow({ name: 'mapped' }, (w) => ({ all: w.map(list, each, (n) => ({ n })) }));

const engines: Engine[] = [];
afterEach(async () => {
  await Promise.all(engines.splice(0).map((engine) => engine.runtime.crash().catch(() => undefined)));
});

/** A worker that sweeps, in memory, on a clock that can be moved and can jump. */
function worker(options: Partial<EngineOptions> = {}) {
  const time = new VirtualTime();
  let jumped = 0;
  const store = openSqlite(':memory:');
  const { settings, ...parts } = engineParts({ use: [fine, bad, waits], logger: silent, ...options });
  const engine = new Engine({
    ...parts,
    settings,
    openStore: () => store,
    heart: () => () => ({ stop: async () => undefined }),
    ports: { ...time.ports(), now: () => time.now() + jumped },
  });
  engines.push(engine);
  const turns = async (): Promise<void> => {
    for (let i = 0; i < 60; i++) await new Promise((resolve) => setImmediate(resolve));
  };
  return {
    engine,
    store,
    /** The machine's clock is set on, or was wrong: no time passes. */
    jump: (ms: number) => (jumped += ms),
    pass: async (ms: number) => {
      const until = time.now() + ms;
      await turns();
      while (time.step(until)) await turns();
    },
    turns,
  };
}

const DAY = 86_400_000;
const left = async (engine: Engine): Promise<string[]> => (await engine.runs.list()).runs.map((run) => run.workflow).toSorted();

describe('a worker', () => {
  test('deletes finished runs that are past their retention, failed ones later, open ones never', async () => {
    const { engine, jump, pass } = worker();
    await engine.work({ drainOn: [] });
    for (const flow of [fine, bad, waits]) await engine.start(flow);
    await pass(1_000);
    jump(40 * DAY);
    await pass(140_000);
    expect(await left(engine)).toEqual(['bad', 'waits']);
    jump(60 * DAY);
    await pass(140_000);
    expect(await left(engine)).toEqual(['waits']);
  });

  test('deletes nothing for a lease after its clock jumped: it may be wrong', async () => {
    const { engine, jump, pass } = worker({ lease: '10m' });
    await engine.work({ drainOn: [] });
    await engine.start(fine);
    await pass(1_000);
    jump(40 * DAY);
    await pass(300_000);
    expect(await left(engine)).toEqual(['fine']);
    await pass(600_000);
    expect(await left(engine)).toEqual([]);
  });

  test('deletes nothing where retention is off', async () => {
    const { engine, jump, pass } = worker({ retention: false });
    await engine.work({ drainOn: [] });
    await engine.start(fine);
    await pass(1_000);
    jump(4_000 * DAY);
    await pass(300_000);
    expect(await left(engine)).toEqual(['fine']);
    const events: EngineEvent[] = [];
    for await (const event of (await engine.get((await engine.runs.list()).runs[0]?.id ?? '')).watch({ after: '0:0' })) events.push(event);
    expect(events.map((event) => event.type)).toContain('run.started');
  });

  test('cuts the journal behind its retention: whoever is behind the cut is told', async () => {
    const { engine, jump, pass } = worker({ retention: { journal: '1h' } });
    await engine.work({ drainOn: [] });
    const old = await engine.start(fine);
    await pass(1_000);
    jump(2 * 3_600_000);
    await pass(30_000);
    await engine.start(fine);
    await pass(120_000);
    expect(await left(engine)).toEqual(['fine', 'fine']);
    await expect(engine.watch({ after: '1:0' }).next()).rejects.toMatchObject({ code: 'EVENTS_GONE' });
    expect((await old.status()).status).toBe('success');
  });
});

describe('what ran below another run', () => {
  const below = workflow({ name: 'below' }, () => ({ here: 1 }));
  const of = (hold: Promise<unknown>) =>
    workflow({ name: 'top' }, (w) => {
      const all = w.map(
        Array.from({ length: 120 }, (_, i) => i),
        below,
        () => undefined,
        { id: 'all' },
      );
      w.run('hold', {}, () => hold.then(() => null), { after: [all] });
      return {};
    });
  const rowsOf = async (engine: Engine): Promise<number> => (await engine.runs.list({ parts: true, limit: 500 })).runs.length;

  test('stays as long as that, however old it is, and goes with it', async () => {
    const hold = Promise.withResolvers<null>();
    const flow = of(hold.promise);
    const { engine, jump, pass } = worker({ use: [flow, below] });
    await engine.work({ drainOn: [] });
    const top = await engine.start(flow);
    await pass(1_000);
    jump(400 * DAY);
    await pass(300_000);
    expect(await rowsOf(engine)).toBe(121);
    hold.resolve(null);
    await top.result();
    expect(await engine.prune({ olderThan: '1d', dryRun: true })).toMatchObject({ runs: 0 });
    jump(20 * DAY);
    await pass(300_000);
    expect(await rowsOf(engine)).toBe(121);
    jump(20 * DAY);
    await pass(300_000);
    expect(await rowsOf(engine)).toBe(0);
  });

  test('goes by its own age once that is gone, a few rows at a time, whoever goes on with it', async () => {
    const flow = of(Promise.resolve());
    const { engine, jump, pass, store } = worker({ use: [flow, below], retention: false });
    await engine.work({ drainOn: [] });
    await (await engine.start(flow)).result();
    await pass(1_000);
    jump(40 * DAY);
    const { care } = await store;
    const now = 100_000 * DAY;
    const ask = { now, finishedBefore: now, failedBefore: now };
    // One row each: between any two of them a process may die.
    let calls = 0;
    for (let more = true; more; calls++) ({ more } = await care.prune({ ...ask, rows: 1 }));
    expect(await rowsOf(engine)).toBe(0);
    expect(calls).toBeGreaterThan(240);
    expect(await care.prune({ ...ask, rows: 1 })).toEqual({ runs: 0, rows: 0, more: false });
  });
});

describe('engine.prune', () => {
  test('says what it would delete, and deletes it', async () => {
    const { engine, jump, pass } = worker({ retention: false });
    await engine.work({ drainOn: [] });
    for (const flow of [fine, fine, bad, waits]) await engine.start(flow);
    await pass(1_000);
    jump(2 * DAY);
    await engine.start(fine);
    await pass(1_000);
    expect(await engine.prune()).toEqual({ runs: 0, journalRows: 0 });
    const dry = await engine.prune({ olderThan: '1d', journal: '1d', dryRun: true });
    expect(dry.runs).toBe(3);
    expect(dry.journalRows).toBeGreaterThan(3);
    expect(await left(engine)).toHaveLength(5);
    expect(await engine.prune({ olderThan: '1d', journal: '1d' })).toEqual(dry);
    expect(await left(engine)).toEqual(['fine', 'waits']);
    expect(await engine.prune({ olderThan: '1d', journal: '1d' })).toEqual({ runs: 0, journalRows: 0 });
  });

  test('ends when it is asked to, between two batches', async () => {
    const { engine, jump, pass, store } = worker({ use: [mapped], retention: false });
    await engine.work({ drainOn: [] });
    await (await engine.start(mapped)).result();
    await pass(1_000);
    jump(DAY);
    expect(await engine.prune({ olderThan: '1h', signal: AbortSignal.abort() })).toEqual({ runs: 0, journalRows: 0 });
    const stop = new AbortController();
    const { care } = await store;
    const prune = care.prune.bind(care);
    care.prune = (request) => {
      stop.abort();
      return prune(request);
    };
    expect((await engine.prune({ olderThan: '1h', signal: stop.signal })).runs).toBe(1);
    care.prune = prune;
    expect((await care.prune({ now: 0, finishedBefore: null, failedBefore: null, rows: 1 })).more).toBe(true);
    expect((await engine.prune({ olderThan: '1h' })).runs).toBe(0);
    expect(await care.prune({ now: 0, finishedBefore: null, failedBefore: null, rows: 1 })).toEqual({ runs: 0, rows: 0, more: false });
  });

  test('lets other work go on between its batches', async () => {
    const { engine, jump, pass } = worker({ use: [mapped, fine], retention: false });
    await engine.work({ drainOn: [] });
    await (await engine.start(mapped)).result();
    await pass(1_000);
    jump(DAY);
    const order: string[] = [];
    const pruning = engine.prune({ olderThan: '1h' }).then(() => order.push('pruned'));
    await (await engine.start(fine)).result();
    order.push('ran');
    await pruning;
    expect(order).toEqual(['ran', 'pruned']);
  });

  test('refuses what is no duration', async () => {
    const { engine } = worker();
    await expect(engine.prune({ olderThan: '0d' })).rejects.toMatchObject({ code: 'CONFIG_DURATION' });
    expect(() => worker({ retention: { failed: 'long' as never } })).toThrow('retention.failed');
  });
});
