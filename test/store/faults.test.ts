import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, test, type TestContext } from 'vitest';
import { engineParts } from '../../src/compose.ts';
import { isPawlError, type PawlError } from '../../src/core/errors.ts';
import { realPorts } from '../../src/engine/ports.ts';
import { Engine } from '../../src/facade.ts';
import { createEngine, task, workflow, type Workflow } from '../../src/index.ts';
import { SCHEMA } from '../../src/store/sqlite/driver.ts';
import { SETUP } from '../../src/store/sqlite/statements.ts';
import { SqliteStore } from '../../src/store/sqlite/store.ts';
import { failCommit, hook, sqliteOf, unopenable } from './hooks.ts';
import { batch, claimOf, define, folder, newStart, started, stateOf, T0 } from './kit.ts';

const undo: (() => void | Promise<void>)[] = [];
let dir = '';
beforeEach(() => {
  const { path, remove } = folder();
  dir = path;
  undo.push(remove);
});
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

const storeAt = (path: string, patienceMs = 2_000): SqliteStore => {
  const store = new SqliteStore({ path, durability: 'full', patienceMs });
  undo.push(() => store.close());
  return store;
};
const opened = async (path = join(dir, 'app.db')): Promise<SqliteStore> => {
  const store = storeAt(path);
  await store.open();
  return store;
};

/** An error that says what is wrong and what to do. */
const coded = async (work: Promise<unknown>, ...codes: string[]): Promise<PawlError> => {
  const error: unknown = await work.then(
    () => 'nothing was thrown',
    (thrown: unknown) => thrown,
  );
  if (!isPawlError(error)) throw new Error(`not one of Pawl's errors: ${String(error)}`, { cause: error });
  expect(codes).toContain(error.code);
  expect(error.fix.length).toBeGreaterThan(20);
  return error;
};

const isRoot = process.getuid?.() === 0;

/** Takes the right to write away, also from root; skips the test where neither is possible. */
function protect(context: TestContext, path: string): void {
  if (!isRoot) {
    const { mode } = statSync(path);
    chmodSync(path, 0o500);
    undo.push(() => chmodSync(path, mode));
    return;
  }
  try {
    execFileSync('chattr', ['+i', path], { stdio: 'ignore' });
  } catch {
    context.skip('root may write everywhere here, and chattr does not work');
  }
  undo.push(() => void execFileSync('chattr', ['-i', path]));
}

/** A disk of its own; skips the test where none can be mounted. */
function smallDisk(context: TestContext, bytes: number): { path: string; fill: () => void; free: () => void } {
  const path = join(dir, 'disk');
  mkdirSync(path);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', path], { stdio: 'ignore' });
  } catch {
    context.skip('no disk can be mounted here');
  }
  undo.push(() => void execFileSync('umount', ['-l', path]));
  const ballast = join(path, 'ballast');
  return {
    path,
    fill: () => {
      try {
        writeFileSync(ballast, Buffer.alloc(bytes));
      } catch {
        // It holds all that was left, which is the point.
      }
    },
    free: () => rmSync(ballast),
  };
}

describe('opening', () => {
  test('makes file and folders that only their owner can read, the WAL files too', async () => {
    const umask = process.umask(0);
    undo.push(() => void process.umask(umask));
    const path = join(dir, 'a', 'b', 'app.db');
    const store = await opened(path);
    await store.reserve(1, 1);
    const mode = (at: string): string => (statSync(at).mode & 0o777).toString(8);
    expect([dirname(dirname(path)), dirname(path)].map(mode)).toEqual(['700', '700']);
    expect([path, `${path}-wal`, `${path}-shm`].map(mode)).toEqual(['600', '600', '600']);
  });

  test('takes an empty file as a new one', async () => {
    const path = join(dir, 'empty.db');
    writeFileSync(path, '');
    expect((await (await opened(path)).open()).schema).toBe(SCHEMA);
  });

  test('finds again what was written', async () => {
    const store = await opened();
    const { run } = await started(store, await define(store, 'single'));
    await store.close();
    expect((await (await opened()).runRow(run))?.status).toBe('running');
  });

  const refusals: [string, string[], (path: string) => void][] = [
    ['a file that is no database', ['STORE_NOT_A_DATABASE'], (path) => writeFileSync(path, 'Dear diary, '.repeat(200))],
    ['a file of a few bytes that is no database', ['STORE_NOT_A_DATABASE'], (path) => writeFileSync(path, 'hello')],
    [
      "another program's database",
      ['STORE_FOREIGN'],
      (path) => {
        const db = new DatabaseSync(path);
        db.exec('CREATE TABLE notes (text TEXT)');
        db.close();
      },
    ],
    [
      "another program's database that has a version and no tables yet",
      ['STORE_FOREIGN'],
      (path) => {
        const db = new DatabaseSync(path);
        db.exec('PRAGMA user_version = 1');
        db.close();
      },
    ],
    [
      "another program's database that has only its mark yet",
      ['STORE_FOREIGN'],
      (path) => {
        const db = new DatabaseSync(path);
        db.exec('PRAGMA application_id = 1196444487');
        db.close();
      },
    ],
    [
      "another program's database that has only a view",
      ['STORE_FOREIGN'],
      (path) => {
        const db = new DatabaseSync(path);
        db.exec('CREATE VIEW one AS SELECT 1');
        db.close();
      },
    ],
    [
      'a schema from the future',
      ['STORE_NEWER'],
      (path) => {
        const db = new DatabaseSync(path);
        db.exec(`${SETUP.markAsOurs}; ${SETUP.setSchema(SCHEMA + 1)}; CREATE TABLE later (x)`);
        db.close();
      },
    ],
    ['a folder', ['STORE_UNREACHABLE'], (path) => mkdirSync(path)],
  ];
  for (const [what, codes, make] of refusals) {
    test(`refuses ${what}, and leaves it as it is`, async () => {
      const path = join(dir, 'given');
      make(path);
      const before = statSync(path).isFile() ? await readFile(path) : null;
      const error = await coded(storeAt(path).open(), ...codes);
      expect(error.message).toContain(path);
      expect(statSync(path).isFile() ? await readFile(path) : null).toEqual(before);
      expect(existsSync(`${path}-wal`)).toBe(false);
    });
  }

  test('refuses a path below a file', async () => {
    writeFileSync(join(dir, 'file'), '');
    await coded(storeAt(join(dir, 'file', 'app.db')).open(), 'STORE_UNREACHABLE');
    await coded(storeAt(join(dir, 'file', 'deeper', 'app.db')).open(), 'STORE_UNREACHABLE');
  });

  test('refuses a name that no file can have', async () => {
    await coded(storeAt(join(dir, 'x'.repeat(300))).open(), 'STORE_UNREACHABLE');
    await coded(storeAt(join(dir, 'a\0b')).open(), 'STORE_UNREACHABLE', 'CONFIG_STORE');
  });

  test('refuses a folder that nobody can make', async () => {
    // why: not below /proc, where Node's recursive mkdir never returns
    await coded(storeAt('/sys/nowhere/app.db').open(), 'STORE_UNREACHABLE', 'STORE_READONLY');
  });

  test('refuses a folder that may not be written', async (context) => {
    const inside = join(dir, 'locked');
    mkdirSync(inside);
    protect(context, inside);
    await coded(storeAt(join(inside, 'app.db')).open(), 'STORE_READONLY', 'STORE_UNREACHABLE');
  });

  test('refuses a database file that may not be written', async (context) => {
    const path = join(dir, 'app.db');
    await (await opened(path)).close();
    protect(context, path);
    await coded(storeAt(path).open(), 'STORE_READONLY');
  });

  test('refuses a database whose folder may not be written: its WAL has no place', async (context) => {
    const inside = join(dir, 'locked');
    mkdirSync(inside);
    await (await opened(join(inside, 'app.db'))).close();
    protect(context, inside);
    await coded(storeAt(join(inside, 'app.db')).open(), 'STORE_READONLY', 'STORE_UNREACHABLE');
  });

  test('says that a file is corrupt where it was cut', async () => {
    const path = join(dir, 'app.db');
    const store = await opened(path);
    await started(store, await define(store, 'single'));
    await store.close();
    truncateSync(path, 8_192);
    const broken = storeAt(path);
    await coded(
      broken.open().then(() => broken.listRuns({ limit: 10 })),
      'STORE_CORRUPT',
    );
  });

  const versions: [string, boolean][] = [
    ['3.44.5', false],
    ['3.44.6', true],
    ['3.45.1', false],
    ['3.50.6', false],
    ['3.50.7', true],
    ['3.51.0', false],
    ['3.51.2', false],
    ['3.51.3', true],
    ['3.52.0', true],
    ['3.53.4', true],
    ['4.0.0', true],
    ['3.43.9', false],
  ];
  for (const [version, fine] of versions) {
    test(`SQLite ${version} is ${fine ? 'taken' : 'refused'}`, async () => {
      undo.push(sqliteOf(version));
      const opening = storeAt(join(dir, 'app.db')).open();
      if (fine) await expect(opening).resolves.toBeDefined();
      else expect((await coded(opening, 'STORE_LIBRARY')).message).toContain(version);
    });
  }

  test('while another process is migrating the same new file takes it as Pawl’s', async () => {
    const path = join(dir, 'app.db');
    const other = storeAt(path, 50);
    let raced = false;
    undo.push(
      hook({
        onPrepare: (sql, next) => {
          if (sql === SETUP.readObjects && !raced) {
            raced = true;
            // It may be kept out until this one is through, but must not be let in halfway.
            other.open().catch(() => undefined);
          }
          return next();
        },
      }),
    );
    await expect(storeAt(path).open()).resolves.toMatchObject({ schema: SCHEMA });
    expect(raced).toBe(true);
  });

  test('by several processes at once, of a file that none of them has seen, works in each', async () => {
    const source = pathToFileURL(resolve('src/store/sqlite/store.ts')).href;
    const script = `
      const { SqliteStore } = await import(${JSON.stringify(source)});
      const [start, dir] = [Number(process.argv[1]), process.argv[2]];
      const out = [];
      for (let i = 0; i < 12; i++) {
        while (Date.now() < start + i * 40);
        const store = new SqliteStore({ path: dir + '/race' + i + '.db', durability: 'full', patienceMs: 5000 });
        try { await store.open(); out.push((await store.reserve(1, 1)).firstRun); } catch (error) { out.push(error.code + ' ' + error.message); }
        await store.close().catch(() => {});
      }
      console.log(JSON.stringify(out));`;
    const start = Date.now() + 900;
    const all = await Promise.all([1, 2, 3].map(() => output(['--input-type=module', '-e', script, String(start), dir])));
    const results = all.map((text) => JSON.parse(text) as unknown[]);
    for (let i = 0; i < 12; i++) expect(new Set(results.map((one) => one[i])), `file ${i}`).toEqual(new Set([1, 2, 3]));
  });
});

async function output(args: readonly string[]): Promise<string> {
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
  await once(child, 'close');
  return text;
}

/** Another process that holds the write lock until it is told to let go. */
async function lockHolder(path: string): Promise<{ child: ChildProcess; release: () => void }> {
  const script = `
    const { DatabaseSync } = require('node:sqlite');
    const db = new DatabaseSync(process.argv[1], { timeout: 5000 });
    db.exec('BEGIN IMMEDIATE; UPDATE meta SET value = value');
    process.send('held');
    process.on('message', () => { db.exec('COMMIT'); db.close(); process.disconnect(); });`;
  const child = spawn(process.execPath, ['-e', script, path], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  undo.push(() => void child.kill('SIGKILL'));
  await once(child, 'message');
  return { child, release: () => child.send('go') };
}

/** The longest that the event loop stood still until the returned function is called. */
function stillness(): () => number {
  let last = performance.now();
  let longest = 0;
  let stopped = false;
  const tick = (): void => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
    if (!stopped) setImmediate(tick);
  };
  setImmediate(tick);
  return () => {
    stopped = true;
    return longest;
  };
}

describe('another process that holds the write lock', () => {
  test('holds up writes, not the event loop, and the writes go through afterwards', async () => {
    const path = join(dir, 'app.db');
    const store = await opened(path);
    const single = await define(store, 'single');
    const { release } = await lockHolder(path);
    const longest = stillness();
    const writes = [started(store, single), started(store, single)];
    let waited = 0;
    const ended = Promise.all(writes).then((all) => all.map(({ run }) => run));
    const reads = (async () => {
      for (; waited < 40; waited++) {
        await store.head();
        await store.due(T0, 5);
        await new Promise((next) => setTimeout(next, 5));
      }
      release();
    })();
    await reads;
    const [a, b] = await ended;
    // SQLite's own wait would last two seconds.
    expect(longest()).toBeLessThan(1_500);
    expect([(await store.runRow(a ?? 0))?.status, (await store.runRow(b ?? 0))?.status]).toEqual(['running', 'running']);
  });

  test('killed in the middle of its transaction leaves nothing of it, and the lock is free', async () => {
    const path = join(dir, 'app.db');
    const store = await opened(path);
    const { child } = await lockHolder(path);
    const reserved = store.reserve(1, 1);
    child.kill('SIGKILL');
    expect((await reserved).firstRun).toBe(1);
  });

  test('closing the store while a write waits ends the wait', async () => {
    const path = join(dir, 'app.db');
    const store = await opened(path);
    await lockHolder(path);
    const reserved = store.reserve(1, 1);
    await store.close();
    await coded(reserved, 'STORE_CLOSED');
  });
});

describe('a commit that fails', () => {
  test('before it happened is an error, and nothing was written; the store works on', async () => {
    const store = await opened();
    const single = await define(store, 'single');
    const write = await newStart(store, single);
    const reached = failCommit('before');
    const error = await coded(store.commit(batch({ starts: [write] })), 'STORE_IO');
    expect(reached()).toBe(true);
    expect(error.message).toContain('app.db');
    expect(await store.runRow(write.state.run)).toBeNull();
    expect((await store.commit(batch({ starts: [write] }))).starts).toEqual([{ created: true }]);
  });

  test('after it happened is none: the store finds what it wrote', async () => {
    const store = await opened();
    const single = await define(store, 'single');
    const write = await newStart(store, single);
    await started(store, single, { unclaimed: true });
    const reached = failCommit('after');
    const result = await store.commit(batch({ starts: [write], claim: claimOf(5, 100, single) }));
    expect(reached()).toBe(true);
    expect(result.starts).toEqual([{ created: true }]);
    expect(result.claimedRuns).toHaveLength(1);
    expect((await store.runRow(write.state.run))?.status).toBe('running');
    expect((await store.journal(0, 100)).entries.at(-1)?.seq).toBe(result.seq);
  });

  test('after it happened, in a process that only starts runs, is not told as if nothing was accepted', async () => {
    const store = await opened();
    const write = await newStart(store, await define(store, 'single'));
    failCommitNow('after');
    const told = await store.commit(batch({ worker: 0, starts: [write] })).then(
      ({ starts }) => starts[0],
      (error: unknown) => (isPawlError(error) ? error.code : String(error)),
    );
    expect((await store.runRow(write.state.run))?.status).toBe('running');
    expect([{ created: true }, 'STORE_UNKNOWN_OUTCOME']).toContainEqual(told);
  });

  test('before it happened, with nothing but a step in it, does not pass the step off as kept', async () => {
    const store = await opened();
    const { run } = await started(store, await define(store, 'single'), { lease: { token: 5, worker: 1 } });
    const step = { run, node: 0, item: -1, generation: 1, token: 5, name: 'paid', kind: 'step', value: '1' };
    const reached = failCommit('before');
    const told = await store.commit(batch({ steps: [step] })).then(
      ({ steps }) => steps,
      (error: unknown) => (isPawlError(error) ? error.code : String(error)),
    );
    expect(reached()).toBe(true);
    const kept = (await store.steps({ run, node: 0, item: -1 })).length === 1;
    expect({ told, kept }).toEqual({ told: 'STORE_IO', kept: false });
  });

  test('after it happened, with nothing but a step in it, is told as kept or unknown', async () => {
    const store = await opened();
    const { run } = await started(store, await define(store, 'single'), { lease: { token: 5, worker: 1 } });
    const step = { run, node: 0, item: -1, generation: 1, token: 5, name: 'paid', kind: 'step', value: '1' };
    failCommitNow('after');
    const told = await store.commit(batch({ steps: [step] })).then(
      ({ steps }) => steps,
      (error: unknown) => (isPawlError(error) ? error.code : String(error)),
    );
    expect(await store.steps({ run, node: 0, item: -1 })).toHaveLength(1);
    expect([[true], 'STORE_UNKNOWN_OUTCOME']).toContainEqual(told);
  });

  test('before it happened, with nothing but the sharing of a run in it, does not pass the run off as shared', async () => {
    const store = await opened();
    const { run } = await started(store, await define(store, 'single'), { lease: { token: 5, worker: 7 } });
    const reached = failCommit('before');
    const told = await store.commit(batch({ share: [run] })).then(() => 'shared', codeOf);
    expect(reached()).toBe(true);
    expect({ told, owner: (await store.runRow(run))?.owner }).toEqual({ told: 'STORE_IO', owner: 7 });
  });

  test('in a commit with nothing else after a start is not taken for that start', async () => {
    const store = await opened();
    const single = await define(store, 'single');
    const { run } = await started(store, single, { lease: { token: 5, worker: 1 } });
    const step = { run, node: 0, item: -1, generation: 1, token: 5, name: 'a', kind: 'step', value: '1' };
    await store.commit(batch({ steps: [step] }));
    const reached = failCommit('before');
    const told = await store.commit(batch({ steps: [{ ...step, name: 'b' }], share: [run] })).then(({ steps }) => steps, codeOf);
    expect(reached()).toBe(true);
    expect({ told, kept: (await store.steps({ run, node: 0, item: -1 })).length }).toEqual({ told: 'STORE_IO', kept: 1 });
  });

  for (const other of [2, 1]) {
    test(`before it happened is not taken for done because ${other === 1 ? 'the same worker’s other thread' : 'another worker'} wrote meanwhile`, async () => {
      const store = await opened();
      const single = await define(store, 'single');
      const write = await newStart(store, single);
      const theirs = await newStart(store, single);
      const elsewhere = await opened();
      let lost: Promise<unknown> = Promise.resolve();
      const reached = failCommit('before', {
        between: () => {
          lost = elsewhere.commit(batch({ worker: other, now: T0 + 1, starts: [theirs] }));
        },
      });
      // why: the other connection gets the lock only when the first one has been closed, so its write is retried until then
      const told = await store.commit(batch({ starts: [write] })).then(
        ({ starts }) => starts[0],
        (error: unknown) => (isPawlError(error) ? error.code : String(error)),
      );
      await lost;
      expect(reached()).toBe(true);
      expect({ told, stored: (await store.runRow(write.state.run)) !== null }).toEqual({ told: 'STORE_IO', stored: false });
    });
  }

  test('before it happened is not taken for done because the same worker wrote before the file was opened anew', async () => {
    const path = join(dir, 'app.db');
    const store = await opened(path);
    const single = await define(store, 'single');
    const write = await newStart(store, single);
    let injected = false;
    const reached = failCommit('before');
    const undoPrepare = hook({
      onPrepare: (sql, next) => {
        // The file is being opened anew: the give-back of the same worker's heart comes in between.
        if (sql === SETUP.libraryVersion && !injected) {
          injected = true;
          const db = new DatabaseSync(path);
          db.exec(`INSERT INTO journal (at, worker, nonce, changes) VALUES (${T0}, 1, 1, '[]')`);
          db.close();
        }
        return next();
      },
    });
    const told = await store.commit(batch({ starts: [write] })).then(
      ({ starts }) => starts[0],
      (error: unknown) => (isPawlError(error) ? error.code : String(error)),
    );
    undoPrepare();
    expect([injected, reached()]).toEqual([true, true]);
    expect({ told, stored: (await store.runRow(write.state.run)) !== null }).toEqual({ told: 'STORE_IO', stored: false });
  });

  test('in a reservation never gives a number twice', async () => {
    const store = await opened();
    const got = new Set<number>();
    for (const when of ['before', 'after', 'before', 'after'] as const) {
      const reached = failCommit(when);
      const result = await store.reserve(10, 10).catch(() => null);
      expect(reached()).toBe(true);
      const next = result ?? (await store.reserve(10, 10));
      expect(got.has(next.firstRun)).toBe(false);
      got.add(next.firstRun);
    }
  });

  for (const [errcode, what] of [
    [7, 'no memory'],
    [15, 'a locking protocol error'],
    [9, 'an interrupt'],
    [1, 'a generic error'],
  ] as const) {
    test(`with ${what} is the store's fault, not that of a run`, async () => {
      const store = await opened();
      const write = await newStart(store, await define(store, 'single'));
      failCommitNow('before', errcode);
      await coded(store.commit(batch({ starts: [write] })), 'STORE_IO', 'STORE_UNREACHABLE', 'STORE_BUSY');
    });
  }

  test('and cannot be resolved, as the file cannot be opened, is told as unknown; the store opens it again for the next call', async () => {
    const store = await opened();
    const single = await define(store, 'single');
    const write = await newStart(store, single);
    const reached = failCommit('after');
    const stopFailing = unopenable();
    undo.push(stopFailing);
    await coded(store.commit(batch({ starts: [write] })), 'STORE_UNKNOWN_OUTCOME');
    expect(reached()).toBe(true);
    stopFailing();
    expect((await store.runRow(write.state.run))?.status).toBe('running');
    await expect(store.head()).resolves.toBeDefined();
  });
});

function failCommitNow(when: 'before' | 'after', errcode = 10): void {
  const restore = failCommit(when, { errcode });
  undo.push(() => void restore());
}

const FASTER = 50;

/** An engine whose time runs faster, on a real file. */
function fastEngine(path: string, ...use: Workflow<never, unknown>[]): Engine {
  const engine = new Engine({
    ...engineParts({ use, concurrency: 10, lease: '60s', drain: '1s', logger: quiet }),
    openStore: async () => new SqliteStore({ path, durability: 'full', patienceMs: 2_000 }),
    heart: () => () => ({ stop: async () => undefined }),
    ports: {
      ...realPorts,
      monotonic: () => performance.now() * FASTER,
      timer: (ms, fn) => realPorts.timer(ms / FASTER, fn),
    },
  });
  undo.push(async () => void (await soon(engine.close(), 2_000)));
  return engine;
}

const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

/** A promise that must not hang. */
const soon = async <T>(promise: Promise<T>, ms = 2_500): Promise<T | 'HANGS'> => {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'HANGS'>((end) => (timer = setTimeout(() => end('HANGS'), ms)));
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
};
const codeOf = (error: unknown): string => (isPawlError(error) ? error.code : String(error));

function counted() {
  const calls: string[] = [];
  const chain = workflow({ name: 'counted' }, (w) => {
    const a = w.run('a', {}, async (_, ctx) => {
      calls.push(`a${ctx.attempt}`);
      return ctx.step('paid', () => {
        calls.push('paid');
        return 1;
      });
    });
    const b = w.run('b', { a }, ({ a: n }, ctx) => {
      calls.push(`b${ctx.attempt}`);
      return n + 1;
    });
    return {
      c: w.run('c', { b }, ({ b: n }, ctx) => {
        calls.push(`c${ctx.attempt}`);
        return n + 1;
      }),
    };
  });
  return { calls, chain };
}

describe('the engine, when a commit fails', () => {
  for (const when of ['before', 'after'] as const) {
    for (const skip of [0, 1, 2, 3, 4, 5]) {
      test(`${when} it happened, after ${skip} that did not, neither loses nor repeats anything`, async () => {
        const { calls, chain } = counted();
        const engine = fastEngine(join(dir, 'app.db'), chain);
        await engine.work();
        const reached = failCommit(when, { skip });
        let start = await soon(engine.start(chain, undefined, { key: 'k' }).catch(codeOf));
        if (typeof start === 'string' && start !== 'HANGS') start = await soon(engine.start(chain, undefined, { key: 'k' }).catch(codeOf));
        if (typeof start === 'string') throw new Error(`start: ${start}`);
        const result = await soon(start.result().catch(codeOf));
        reached();
        expect(result).toEqual({ c: 3 });
        expect(calls).toEqual(['a1', 'paid', 'b1', 'c1']);
        expect((await engine.runs.list()).runs).toHaveLength(1);
      });
    }
  }

  for (const skip of [0, 1, 2, 3]) {
    test(`after it happened, after ${skip} that did not, and the file cannot be opened for a moment, still ends its run`, async () => {
      const { calls, chain } = counted();
      const engine = fastEngine(join(dir, 'app.db'), chain);
      await engine.work();
      await engine.start(chain).then((run) => run.result());
      calls.length = 0;
      const reached = failCommit('after', { skip });
      const stopFailing = unopenable();
      undo.push(stopFailing);
      setTimeout(stopFailing, 30);
      let start = await soon(engine.start(chain, undefined, { key: 'k' }).catch(codeOf), 2_000);
      while (typeof start === 'string' && start.startsWith('STORE_'))
        start = await soon(engine.start(chain, undefined, { key: 'k' }).catch(codeOf), 2_000);
      if (typeof start === 'string') throw new Error(`start: ${start}`);
      const result = await soon(start.result().catch(codeOf), 8_000);
      expect(reached()).toBe(true);
      expect(result).toEqual({ c: 3 });
      expect(calls.filter((one) => one === 'paid')).toHaveLength(1);
    });
  }

  test('with an error of the machine, sets no run aside', async () => {
    const { chain } = counted();
    const engine = fastEngine(join(dir, 'app.db'), chain);
    await engine.work();
    await (await engine.start(chain)).result();
    const run = await engine.start(chain);
    const reached = failCommit('before', { errcode: 7 });
    const result = await soon(run.result().catch(codeOf), 2_000);
    expect(reached()).toBe(true);
    expect((await run.status()).quarantined).toBeUndefined();
    expect(result).toEqual({ c: 3 });
  });
});

describe('a full disk', () => {
  const slow = () => {
    let release = (): void => undefined;
    const gate = new Promise<void>((open) => (release = open));
    let bodies = 0;
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
    const flow = workflow({ name: 'slow' }, (w) => {
      const a = w.run('a', {}, async () => {
        bodies++;
        begin();
        await gate;
        return 'x'.repeat(1_000);
      });
      return { b: w.run('b', { a }, ({ a: text }) => text.length) };
    });
    return { flow, begun, release: () => release(), bodies: () => bodies };
  };

  test('refuses starts with STORE_FULL, keeps what was accepted, and the engine goes on when there is space', async (context) => {
    const disk = smallDisk(context, 1_500_000);
    const { flow, begun, release, bodies } = slow();
    const engine = createEngine({ store: `sqlite:${join(disk.path, 'app.db')}`, use: [flow], drain: '1s', logger: quiet });
    undo.push(async () => void (await soon(engine.close(), 2_000)));
    await engine.work();
    const run = await engine.start(flow, undefined, { key: 'first' });
    await begun;
    disk.fill();
    const accepted: string[] = [];
    let refused = '';
    for (let i = 0; i < 200 && refused === ''; i++) {
      const start = await soon(
        engine.start(flow, undefined, { key: `k${i}`, tags: ['x'.repeat(100)], startAt: new Date(4e12) }).catch(codeOf),
      );
      if (typeof start === 'string') refused = start;
      else accepted.push(start.id);
    }
    expect(['STORE_FULL', 'STORE_UNKNOWN_OUTCOME']).toContain(refused);
    release();
    await new Promise((next) => setTimeout(next, 50));
    disk.free();
    expect(await soon(run.result().catch(codeOf))).toEqual({ b: 1_000 });
    expect(bodies()).toBe(1);
    const ids = (await engine.runs.list({ limit: 500 })).runs.map(({ id }) => id);
    expect(ids).toEqual(expect.arrayContaining([run.id, ...accepted]));
    expect(await soon(engine.start(flow, undefined, { key: 'later' }).then((one) => one.result(), codeOf))).toEqual({ b: 1_000 });
  });

  test('before the first start is told to whoever starts, and the engine goes on when there is space', async (context) => {
    const disk = smallDisk(context, 600_000);
    const { flow, release } = slow();
    release();
    const engine = createEngine({ store: `sqlite:${join(disk.path, 'app.db')}`, use: [flow], drain: '1s', logger: quiet });
    undo.push(async () => void (await soon(engine.close(), 2_000)));
    await engine.work();
    disk.fill();
    const start = await soon(engine.start(flow, undefined, { key: 'k' }).catch(codeOf), 3_000);
    disk.free();
    expect(['STORE_FULL', 'STORE_UNKNOWN_OUTCOME']).toContain(start);
    expect(
      await soon(
        engine.start(flow, undefined, { key: 'k' }).then((one) => one.result(), codeOf),
        3_000,
      ),
    ).toEqual({ b: 1_000 });
  });

  test('at opening is STORE_FULL', async (context) => {
    const disk = smallDisk(context, 100_000);
    disk.fill();
    await coded(storeAt(join(disk.path, 'app.db')).open(), 'STORE_FULL');
  });
});

describe('what a run stores', () => {
  test('that cannot be read back is refused when it is written', async () => {
    const far = new Date(8.64e15);
    const limited = workflow({ name: 'limited', timeout: '99000000d' }, (w) => ({ a: w.run('a', {}, () => 1) }));
    const engine = fastEngine(join(dir, 'app.db'), limited);
    await engine.start(limited, undefined, { startAt: far }).catch(() => null);
    await engine.work();
    expect(await soon(engine.runs.list().then(() => 'listed', codeOf))).toBe('listed');
  });

  test('a task’s name of a step with odd characters is kept apart from others', async () => {
    const names = ['a\0b', 'a\0c', 'a\uD800', 'a\uD801', '☃', ' '];
    const odd = workflow({ name: 'odd' }, (w) => ({
      a: w.run(
        'a',
        {},
        async (_, ctx) => {
          for (const [i, name] of names.entries()) await ctx.step(name, () => i);
          if (ctx.attempt === 1) throw new Error('again');
          return Promise.all(names.map((name) => ctx.step(`again ${names.indexOf(name)}`, () => names.indexOf(name))));
        },
        { retry: { maxAttempts: 2, initial: 1 } },
      ),
    }));
    const engine = fastEngine(join(dir, 'app.db'), odd);
    await engine.work();
    const run = await engine.start(odd);
    expect(await soon(run.result().catch(codeOf))).toEqual({ a: [0, 1, 2, 3, 4, 5] });
  });
});

// Two workers of one file, one of which is busy with a run while the other sweeps.
test('a run that two processes take turns with is neither lost nor done twice', async () => {
  const path = join(dir, 'app.db');
  const done = new Map<string, number>();
  const work = task({
    name: 'work',
    run: async (i: { n: number }, ctx) => {
      const key = `${ctx.runId} ${ctx.task} ${i.n}`;
      done.set(key, (done.get(key) ?? 0) + 1);
      await new Promise((next) => setImmediate(next));
      return i.n;
    },
  });
  const fan = workflow({ name: 'fan' }, (w) => {
    const first = w.run('first', {}, () => Array.from({ length: 30 }, (_, i) => i));
    const all = w.map(first, work, (n) => ({ n }), { id: 'all' });
    return { sum: w.run('sum', { all }, ({ all: ns }) => ns.reduce((a, b) => a + b, 0)) };
  });
  const engines = [1, 2].map(() => fastEngine(path, fan));
  const [one, two] = engines;
  if (one === undefined || two === undefined) throw new Error('no engines');
  await Promise.all(engines.map((engine) => engine.work()));
  const runs = await Promise.all(Array.from({ length: 12 }, (_, i) => (i % 2 === 0 ? one : two).start(fan)));
  const results = await Promise.all(runs.map((run) => soon(run.result().catch(codeOf), 15_000)));
  expect(results).toEqual(runs.map(() => ({ sum: 435 })));
  expect([...done.values()].filter((times) => times > 1)).toEqual([]);
  expect(await stateOf(await opened(path), 1)).toBeDefined();
});

test('items of a map are not starved by tasks that came into the queue after it', async () => {
  const order: string[] = [];
  const item = task({ name: 'item', run: ({ n }: { n: number }) => order.push(`item ${n}`) });
  const map = workflow({ name: 'map' }, (w) => {
    const first = w.run('first', {}, () => [0, 1, 2, 3, 4]);
    w.map(first, item, (n) => ({ n }), { id: 'all' });
    return {};
  });
  const plain = workflow({ name: 'plain' }, (w) => {
    w.run('plain', {}, () => void order.push('plain'));
    return {};
  });
  const engine = fastEngine(join(dir, 'app.db'), map, plain);
  const runs: { result(): Promise<unknown> }[] = [];
  runs.push(await engine.start(map));
  for (let i = 0; i < 40; i++) runs.push(await engine.start(plain));
  await engine.work({ concurrency: 2 });
  for (const run of runs) expect(await soon(run.result())).toEqual({});
  const lastItem = order.findLastIndex((one) => one.startsWith('item'));
  expect(order.filter((one) => one.startsWith('item'))).toHaveLength(5);
  expect(lastItem).toBeLessThan(15);
});

test('a run that begins with a map begins at once, also when the queue was empty before', async () => {
  const item = task({ name: 'item', run: ({ n }: { n: number }) => n });
  const map = workflow({ name: 'map' }, (w) => ({ all: w.map([1, 2, 3], item, (n) => ({ n })) }));
  const engine = fastEngine(join(dir, 'app.db'), map);
  await engine.work();
  for (let i = 0; i < 5; i++) {
    const run = await engine.start(map);
    expect(await soon(run.result().catch(codeOf), 1_500)).toEqual({ all: [1, 2, 3] });
  }
});
