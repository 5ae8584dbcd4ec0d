/** The writer in a thread of its own, a real one. What every store must do is in thread.test.ts. */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type * as threads from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { PawlError } from '../../src/core/errors.ts';
import { RunAtFault } from '../../src/store/batch.ts';
import { OWN, PARTS, type PartName, type Place } from '../../src/store/sqlite/routes.ts';
import { splitStore, type SplitOptions, type WriterChoice } from '../../src/store/sqlite/split.ts';
import { SqliteSession } from '../../src/store/sqlite/session.ts';
import { revivedError, sentError } from '../../src/store/sqlite/wire.ts';
import type { CommitResult, Store } from '../../src/store/store.ts';
import { disk, FAST_MS } from '../support/disk.ts';
import { mayStrandHere } from '../support/stranded.ts';
import { batch, changes, define, folder, newStart, queuedTask, runningTask, runWrite, started, T0 } from './kit.ts';

/** Threads that were started, the last one last; whether another can be. */
const world = vi.hoisted(() => ({ threads: [] as threads.Worker[], isRefused: false }));

vi.mock('node:worker_threads', async (original) => {
  const real = await original<typeof threads>();
  class Watched extends real.Worker {
    constructor(...args: ConstructorParameters<typeof real.Worker>) {
      if (world.isRefused) throw new Error('no more threads');
      super(...args);
      world.threads.push(this);
    }
  }
  return { ...real, Worker: Watched };
});
// The rows are made up, state by state.
mayStrandHere();

const SLOW = [5, 5, 5];

let dir: ReturnType<typeof folder>;
const stores: Store[] = [];
beforeEach(() => {
  dir = folder();
  Object.assign(world, { threads: [], isRefused: false });
  disk.flushes = [];
});
afterEach(async () => {
  vi.restoreAllMocks();
  await Promise.all(stores.splice(0).map((store) => store.close()));
  dir.remove();
});

function storeWith(writer: WriterChoice, over: Partial<SplitOptions> = {}): Store {
  const store = splitStore({ path: join(dir.path, 'app.db'), durability: 'fast', patienceMs: 5_000, writer, ...over });
  stores.push(store);
  return store;
}

async function opened(writer: WriterChoice, over: Partial<SplitOptions> = {}): Promise<Store> {
  const store = storeWith(writer, over);
  await store.open();
  return store;
}

const lastThread = (): threads.Worker => world.threads.at(-1) as threads.Worker;
/** What a call fails with; null where it does not. */
const codeOf = (call: Promise<unknown>): Promise<string | null> =>
  call.then(
    () => null,
    (error: PawlError) => error.code,
  );

const commits = (): number => {
  const db = new DatabaseSync(join(dir.path, 'app.db'), { readOnly: true });
  const n = Number(db.prepare('SELECT count(*) AS n FROM journal').get()?.['n']);
  db.close();
  return n;
};

describe('where the writer is', () => {
  test('in the main thread where the flush is fast', async () => {
    expect((await storeWith('auto').open()).writer).toEqual({ in: 'main', flushMs: FAST_MS });
    expect(world.threads).toEqual([]);
  });

  test('in a thread where the flush is slow, whatever the durability', async () => {
    disk.flushes = [...SLOW, ...SLOW];
    expect((await storeWith('auto').open()).writer).toEqual({ in: 'thread', flushMs: 5 });
    expect((await storeWith('auto', { durability: 'full' }).open()).writer).toEqual({ in: 'thread', flushMs: 5 });
    expect(world.threads).toHaveLength(2);
  });

  test('where it was asked for, without a measurement', async () => {
    disk.flushes = [...SLOW];
    expect((await storeWith('main').open()).writer).toEqual({ in: 'main', flushMs: null });
    expect((await storeWith('thread').open()).writer).toEqual({ in: 'thread', flushMs: null });
    expect(disk.flushes).toEqual(SLOW);
  });

  test('in the main thread where no other can be started, and says why', async () => {
    disk.flushes = [...SLOW];
    world.isRefused = true;
    const store = storeWith('auto');
    expect((await store.open()).writer).toEqual({ in: 'main', flushMs: 5, refused: 'no more threads' });
    await started(store, await define(store, 'single'));
    expect(await store.listRuns({ limit: 9 })).toHaveLength(1);
    await expect(storeWith('thread').open()).rejects.toThrow('no more threads');
  });

  test('a store that was closed and is opened again has its writer there again', async () => {
    for (const writer of ['main', 'thread'] as const) {
      const store = await opened(writer);
      await store.close();
      for (const call of [store.listRuns({ limit: 1 }), store.head(), store.reserve(1, 1)])
        await expect(call).rejects.toMatchObject({ code: 'STORE_CLOSED' });
      expect((await store.open()).writer.in).toBe(writer);
      expect(await store.listRuns({ limit: 1 })).toEqual([]);
    }
  });

  test('a file that cannot be opened is refused as ever', async () => {
    const store = storeWith('thread', { path: join(dir.path, 'none\0') });
    await expect(store.open()).rejects.toMatchObject({ code: 'STORE_UNREACHABLE' });
    new DatabaseSync(join(dir.path, 'other.db')).exec('CREATE TABLE other (x)');
    const path = join(dir.path, 'other.db');
    await expect(storeWith('thread', { path }).open()).rejects.toMatchObject({
      code: 'STORE_FOREIGN',
      message: expect.stringContaining(path),
    });
  });
});

describe('a commit whose flush is slow', () => {
  /** Turns of the event loop from a commit to its answer. */
  async function turnsOf(store: Store): Promise<number> {
    const start = await newStart(store, await define(store, 'single'));
    let turns = 0;
    let isOver = false;
    const turn = (): void => {
      if (isOver) return;
      turns++;
      setImmediate(turn);
    };
    setImmediate(turn);
    const { starts } = await store.commit(batch({ starts: [start] }));
    isOver = true;
    expect(starts).toEqual([{ created: true }]);
    return turns;
  }

  test('holds up the event loop from the main thread, and not from another', async () => {
    expect(await turnsOf(await opened('main', { flushDelayMs: 30 }))).toBe(0);
    expect(await turnsOf(await opened('thread', { flushDelayMs: 30 }))).toBeGreaterThan(0);
  });

  test('is not waited for by what people ask', async () => {
    const store = await opened('thread', { flushDelayMs: 100 });
    const single = await define(store, 'single');
    const order: string[] = [];
    const start = await newStart(store, single);
    const writing = store.commit(batch({ starts: [start] })).then(() => order.push('written'));
    await store.listRuns({ limit: 9 }).then(() => order.push('listed'));
    await writing;
    expect(order).toEqual(['listed', 'written']);
    expect(await store.listRuns({ limit: 9 })).toHaveLength(1);
  });

  test('is ended before the store is closed', async () => {
    const store = await opened('thread', { flushDelayMs: 50 });
    const start = await newStart(store, await define(store, 'single'));
    const writing = store.commit(batch({ starts: [start] }));
    await store.close();
    expect((await writing).starts).toEqual([{ created: true }]);
    expect(commits()).toBe(1);
    expect(lastThread().threadId).toBe(-1);
  });

  test('that another process holds up is given up when the store is closed', async () => {
    const store = await opened('thread');
    const start = await newStart(store, await define(store, 'single'));
    const other = new DatabaseSync(join(dir.path, 'app.db'));
    other.exec('BEGIN IMMEDIATE');
    const writing = store.commit(batch({ starts: [start] }));
    const failed = codeOf(writing);
    await store.close();
    expect(await failed).toBe('STORE_CLOSED');
    other.exec('ROLLBACK');
    other.close();
    expect(commits()).toBe(0);
  });
});

describe('a thread that ends by itself', () => {
  test('leaves the outcome of what it was writing unknown, and of what it was reading nothing', async () => {
    const store = await opened('thread', { flushDelayMs: 200 });
    const start = await newStart(store, await define(store, 'single'));
    const writing = codeOf(store.commit(batch({ starts: [start] })));
    const reading = codeOf(store.load([{ run: 1, items: [] }]));
    const asking = codeOf(store.listRuns({ limit: 9 }));
    await lastThread().terminate();
    expect(await Promise.all([writing, reading, asking])).toEqual(['STORE_UNKNOWN_OUTCOME', 'STORE_IO', null]);
  });

  test('is followed by another, which finds what was committed', async () => {
    const store = await opened('thread');
    const single = await define(store, 'single');
    const held = await started(store, single);
    await lastThread().terminate();
    const [row] = await store.load([{ run: held.run, items: [] }]);
    expect(row).toMatchObject({ row: { run: held.run } });
    expect(world.threads).toHaveLength(2);
    await started(store, single);
    expect(await store.listRuns({ limit: 9 })).toHaveLength(2);
  });

  test('takes with it what it knew of a state: one that another process changed meanwhile is a conflict', async () => {
    const store = await opened('thread');
    const held = await started(store, await define(store, 'single'));
    await lastThread().terminate();
    const other = await opened('main');
    await other.commit(batch({ worker: 2, share: [held.run] }));
    const moved = changes({ from: queuedTask(), to: runningTask(7) });
    // Without another head, so that the number of the first thread's last look would be that of the second's first.
    const { conflicts } = await store.commit(batch({ runs: [runWrite(held, moved)] }));
    expect(conflicts).toEqual([0]);
  });

  test('is told anew what its process serves', async () => {
    const store = await opened('thread');
    const single = await define(store, 'single');
    const { firstBody, id } = single.stored;
    const serves = { definitions: new Map([[id, { firstBody, roots: [0] }]]), bodies: new Set([firstBody]), places: new Map() };
    const claimed = async (firstToken: number): Promise<CommitResult> =>
      store.commit(batch({ claim: { limit: 1, firstToken, ...serves } }));
    for (const unclaimed of [true, true, true]) await started(store, single, { unclaimed });
    expect((await claimed(10)).claimedRuns).toHaveLength(1);
    expect((await claimed(20)).claimedRuns).toHaveLength(1);
    await lastThread().terminate();
    expect((await claimed(30)).claimedRuns).toHaveLength(1);
    // Changed in place, as the registry does.
    serves.definitions.clear();
    await started(store, single, { unclaimed: true });
    expect((await claimed(40)).claimedRuns).toEqual([]);
  });

  test('between two calls is nobody’s error', async () => {
    const store = await opened('thread');
    await lastThread().terminate();
    expect(await store.head()).toMatchObject({ seq: 0 });
    await lastThread().terminate();
    await store.close();
  });
});

describe('what does not fit through', () => {
  test('is refused without harm to what comes after', async () => {
    const store = await opened('thread');
    const single = await define(store, 'single');
    const start = await newStart(store, single);
    const bad = { ...start, tags: [() => 1] as unknown as string[] };
    await expect(store.commit(batch({ starts: [bad] }))).rejects.toThrow('could not be cloned');
    expect((await store.commit(batch({ starts: [start] }))).starts).toEqual([{ created: true }]);
  });
});

describe('an error of the thread', () => {
  const through = (error: unknown): unknown => revivedError(structuredClone(sentError(error)));

  test('of Pawl keeps its code, message, fix, details and causes', () => {
    const cause = Object.assign(new Error('disk I/O error'), { code: 'ERR_SQLITE_ERROR', errcode: 778 });
    const error = new PawlError('STORE_IO', 'a.db: disk I/O error', { cause, details: { path: 'a.db' }, fix: 'look' });
    const got = through(error) as PawlError;
    expect(got).toBeInstanceOf(PawlError);
    expect(got).toMatchObject({ code: 'STORE_IO', message: error.message, fix: 'look', details: { path: 'a.db' }, stack: error.stack });
    expect(got.cause).toMatchObject({ message: cause.message, code: cause.code, errcode: cause.errcode });
  });

  test('of one run keeps the run and the cause', () => {
    const got = through(new RunAtFault(7, new TypeError('no'))) as RunAtFault;
    expect(got).toBeInstanceOf(RunAtFault);
    expect(got).toMatchObject({ run: 7, message: 'no', cause: { name: 'TypeError', message: 'no' } });
  });

  test('of any other kind is an error still, and a circle of causes ends', () => {
    expect(through(new RangeError('far'))).toMatchObject({ name: 'RangeError', message: 'far' });
    expect(through('thrown')).toBe('thrown');
    const circle = new Error('a');
    circle.cause = circle;
    expect(through(circle)).toBeInstanceOf(Error);
  });

  test('comes out of a real one as of the main thread', async () => {
    const store = await opened('thread');
    const start = await newStart(store, await define(store, 'single'));
    const db = new DatabaseSync(join(dir.path, 'app.db'));
    db.exec("CREATE TRIGGER full BEFORE INSERT ON runs BEGIN SELECT RAISE(ABORT, 'no room'); END");
    db.close();
    const main = await opened('main');
    const failures = await Promise.all(
      [store, main].map((one) =>
        one.commit(batch({ starts: [start] })).then(null, ({ name, message, errcode }) => ({ name, message, errcode })),
      ),
    );
    expect(failures[0]).toEqual({ name: 'Error', message: 'no room', errcode: 1811 });
    expect(failures[1]).toEqual(failures[0]);
  });
});

describe('two connections', () => {
  const places = (wanted: (place: Place) => boolean): [PartName | null, string][] => [
    ...Object.entries(OWN).flatMap(([name, place]): [null, string][] => (wanted(place) ? [[null, name]] : [])),
    ...Object.entries(PARTS).flatMap(([part, routes]) =>
      Object.entries(routes).flatMap(([name, place]): [PartName, string][] => (wanted(place) ? [[part as PartName, name]] : [])),
    ),
  ];

  test('what people ask never touches the one that writes, all else does nothing with the other', async () => {
    const store = await opened('main');
    const asked: string[] = [];
    vi.spyOn(SqliteSession.prototype as unknown as { reading: () => unknown }, 'reading').mockImplementation(function look(this: unknown) {
      asked.push((this as { options: { access?: string } }).options.access ?? 'write');
      throw new Error('seen');
    });
    const call = async (part: PartName | null, name: string): Promise<void> => {
      const on = (part === null ? store : store[part]) as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
      await on[name]?.(T0, 1, 1).then(null, () => undefined);
    };
    const views = places((place) => place === 'view').filter(([, name]) => name !== 'backup' && name !== 'exportRun');
    for (const [part, name] of views) await call(part, name);
    expect(new Set(asked)).toEqual(new Set(['read']));
    expect(asked.length).toBeGreaterThanOrEqual(views.length);
    asked.splice(0);
    for (const [part, name] of places((place) => place !== 'view')) await call(part, name);
    expect(new Set(asked)).toEqual(new Set(['write']));
  });

  test('the one that reads is not opened before somebody asks', async () => {
    const open = vi.spyOn(SqliteSession.prototype as unknown as { connect: () => void }, 'connect');
    const store = await opened('main');
    const before = open.mock.calls.length;
    await store.reserve(1, 1);
    expect(open.mock.calls.length).toBe(before);
    await store.listRuns({ limit: 1 });
    expect(open.mock.calls.length).toBe(before + 1);
  });
});
