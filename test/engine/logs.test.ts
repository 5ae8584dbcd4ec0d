import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { createEngine, PawlError, task, workflow, type Ctx, type Engine, type LogLine, type Logger } from '../../src/index.ts';
import type { Batch, CommitResult } from '../../src/store/store.ts';
import { SqliteStore } from '../../src/store/sqlite/store.ts';
import { testEngine, type TestEngine, type TestEngineOptions } from '../../src/testing/index.ts';
import { hook } from '../store/hooks.ts';
import { silent } from './kit.ts';

const open: { close(): Promise<void> }[] = [];
const folders: string[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((engine) => engine.close()));
  vi.restoreAllMocks();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

function engineWith(options: TestEngineOptions): TestEngine {
  const engine = testEngine({ logger: silent, ...options });
  open.push(engine);
  return engine;
}

function file(): string {
  const folder = mkdtempSync(join(tmpdir(), 'pawl-logs-'));
  folders.push(folder);
  return join(folder, 'app.db');
}

function engineOn(path: string, use: Parameters<typeof createEngine>[0]['use']): Engine {
  const engine = createEngine({ store: `sqlite:${path}`, use, drain: '50ms', sweep: '50ms', logger: silent });
  open.push(engine);
  return engine;
}

/** A promise that a test resolves: bodies wait for it. */
function gate(): { readonly passed: Promise<void>; open(): void } {
  let go = (): void => undefined;
  const passed = new Promise<void>((resolve) => (go = resolve));
  return { passed, open: () => go() };
}

const one = (body: (ctx: Ctx) => unknown, retry?: { maxAttempts: number }) =>
  workflow({ name: 'one' }, (w) => ({
    a: w.run('a', {}, async (_, ctx) => void (await body(ctx)), retry === undefined ? {} : { retry: { ...retry, jitter: 'none' } }),
  }));

const texts = ({ lines }: { readonly lines: readonly LogLine[] }): string[] => lines.map((line) => line.message);

describe('what a body logs', () => {
  test('is kept with the run, and goes to the logger with the facts of the attempt', async () => {
    const seen: unknown[] = [];
    const at =
      (level: string) =>
      (message: string, data?: object): void =>
        void seen.push([level, message, data]);
    const logger: Logger = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
    const flow = one(({ log }) => {
      log.debug('begun');
      log.info('half', { n: 1 });
      log.error('over', new Error('no'));
    });
    const kit = engineWith({ use: [flow], logger });
    const run = await kit.start(flow);
    await run.result();
    const facts = { task: 'a', generation: 1, attempt: 1, at: kit.clock.now() };
    expect((await run.logs()).lines).toEqual([
      { cursor: '1:0', level: 'debug', message: 'begun', ...facts },
      { cursor: '1:1', level: 'info', message: 'half', data: { n: 1 }, ...facts },
      {
        cursor: '1:2',
        level: 'error',
        message: 'over',
        data: { error: expect.objectContaining({ name: 'Error', message: 'no' }) as object },
        ...facts,
      },
    ]);
    expect((seen as readonly (readonly unknown[])[]).filter(([, message]) => message !== 'the store is open')).toEqual([
      ['debug', 'begun', { run: run.id, task: 'a', attempt: 1 }],
      ['info', 'half', { n: 1, run: run.id, task: 'a', attempt: 1 }],
      ['error', 'over', expect.objectContaining({ error: expect.objectContaining({ message: 'no' }) as object, run: run.id })],
    ]);
  });

  test('costs no commit of its own, and no statement where nothing is logged', async () => {
    const commits = vi.spyOn(SqliteStore.prototype, 'commit');
    const inserts: string[] = [];
    const undo = hook({ onRun: (sql, next) => (sql.includes('INTO logs') && inserts.push(sql), next()) });
    const runOnce = async (body: (ctx: Ctx) => unknown): Promise<{ commits: number; inserts: number }> => {
      const flow = one(body);
      const kit = engineWith({ use: [flow] });
      await kit.settle();
      commits.mockClear();
      inserts.length = 0;
      await (await kit.start(flow)).result();
      return { commits: commits.mock.calls.length, inserts: inserts.length };
    };
    try {
      const quiet = await runOnce(() => 1);
      expect(quiet.inserts).toBe(0);
      expect(await runOnce(({ log }) => (log.info('a'), log.info('b')))).toEqual({ commits: quiet.commits, inserts: 1 });
    } finally {
      undo();
    }
  });

  test('is bounded, and its last line says how much is missing', async () => {
    const flow = one(({ log }) => {
      for (let i = 1; i <= 10; i++) log.info(`line ${i}`);
    });
    const run = await engineWith({ use: [flow], logLines: 3 }).start(flow);
    await run.result();
    const { lines } = await run.logs();
    expect(texts({ lines })).toEqual(['line 1', 'line 2', 'line 3', '7 more lines were dropped: an attempt keeps 3']);
    expect(lines.at(-1)).toMatchObject({ level: 'warn', data: { dropped: 7 } });
  });

  test('is kept up to a thousand lines unless asked otherwise; with 0 only the logger gets it', async () => {
    const flow = one(({ log }) => {
      for (let i = 0; i < 1_001; i++) log.info('x');
    });
    const run = await engineWith({ use: [flow] }).start(flow);
    await run.result();
    expect((await run.logs({ limit: 10_000 })).lines).toHaveLength(1_001);
    expect((await run.logs({ limit: 10_000 })).lines.at(-1)?.data).toEqual({ dropped: 1 });
    const info = vi.fn();
    const none = await engineWith({ use: [flow], logLines: 0, logger: { ...silent, info } }).start(flow);
    await none.result();
    expect((await none.logs()).lines).toEqual([]);
    expect(info).toHaveBeenCalledTimes(1_001);
  });

  test('is clipped line by line', async () => {
    const flow = one(({ log }) => {
      log.info('ä'.repeat(5_000), { first: 1, long: 'ö'.repeat(20_000), list: Array.from({ length: 9_000 }, () => 1), last: 2 });
    });
    const run = await engineWith({ use: [flow] }).start(flow);
    await run.result();
    const [line] = (await run.logs()).lines;
    expect(Buffer.byteLength(line?.message ?? '')).toBeLessThanOrEqual(4_096);
    expect(Buffer.byteLength(line?.message ?? '')).toBeGreaterThan(4_000);
    expect(Buffer.byteLength(JSON.stringify(line?.data))).toBeLessThanOrEqual(8_192);
    expect(line?.data).toMatchObject({
      first: 1,
      long: expect.stringMatching(/^ö{500,}…$/) as string,
      last: 2,
      '…': '1 entries did not fit',
    });
  });

  test('may be anything: the body does not notice', async () => {
    const circle: Record<string, unknown> = { big: 2n ** 70n };
    circle['self'] = circle;
    const hostile = {
      get no(): never {
        throw new Error('no');
      },
    };
    const flow = one(({ log }) => {
      log.info('circle', circle);
      log.info('hostile', hostile);
      log.info('a \u0000 \ud800 b', { '\ud800': '\u0000' });
      log.info(Symbol('s') as unknown as string, 3 as unknown as object);
      log.info({ toString: 1 } as unknown as string, null as unknown as object);
      log.info('revoked', (() => { const { proxy, revoke } = Proxy.revocable({}, {}); revoke(); return proxy; })()); // prettier-ignore
    });
    const run = await engineWith({ use: [flow] }).start(flow);
    await run.result();
    expect((await run.logs()).lines.map(({ data }) => data)).toEqual([
      { big: String(2n ** 70n), self: '[circular]' },
      { no: '[unreadable]' },
      expect.any(Object),
      { data: 3 },
      undefined,
      { data: '[unreadable]' },
    ]);
  });

  test('can be read while the body goes on, half a second later', async () => {
    const [half, end] = [gate(), gate()];
    const flow = one(async ({ log }) => {
      log.info('one');
      await half.passed;
      log.info('two');
      await end.passed;
      log.info('three');
    });
    const kit = engineWith({ use: [flow] });
    const run = await kit.start(flow);
    await kit.settle();
    await kit.clock.advance('499ms');
    expect(texts(await run.logs())).toEqual([]);
    await kit.clock.advance('1ms');
    expect(texts(await run.logs())).toEqual(['one']);
    half.open();
    await kit.clock.advance('600ms');
    expect(texts(await run.logs())).toEqual(['one', 'two']);
    end.open();
    await run.result();
    expect(texts(await run.logs())).toEqual(['one', 'two', 'three']);
  });

  test('after the attempt is over goes to the logger only', async () => {
    const info = vi.fn();
    let late: Ctx['log'] | undefined;
    const flow = one(({ log }) => void (late = log));
    const kit = engineWith({ use: [flow], logger: { ...silent, info } });
    const run = await kit.start(flow);
    await run.result();
    late?.info('late');
    await kit.clock.advance('2s');
    expect(texts(await run.logs())).toEqual([]);
    expect(info).toHaveBeenCalledWith('late', expect.anything());
  });

  test('before a cancellation is kept', async () => {
    const flow = one(async ({ log, signal }) => {
      log.info('before');
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      log.info('after');
    });
    const kit = engineWith({ use: [flow] });
    const run = await kit.start(flow);
    await kit.settle();
    await run.cancel();
    await kit.clock.advance('2s');
    expect(texts(await run.logs())).toEqual(['before']);
  });
});

describe('the attempts of a task', () => {
  test('have their lines apart, and so have the items of a map', async () => {
    const say = task({
      name: 'say',
      retry: { jitter: 'none' },
      run: ({ n }: { n: number }, { log, attempt }) => {
        log[attempt === 1 ? 'debug' : 'warn'](`item ${n} attempt ${attempt}`);
        if (n === 1 && attempt === 1) throw new Error('once');
        return n;
      },
    });
    const flow = workflow({ name: 'flow' }, (w) => ({
      all: w.map([0, 1], say, (n) => ({ n }), { id: 'all' }),
      last: w.run('last', {}, (_, { log }) => log.info('last')),
    }));
    const kit = engineWith({ use: [flow] });
    const run = await kit.start(flow);
    await kit.clock.advance('1m');
    await run.result();
    const all = await run.logs();
    expect(texts(all).toSorted()).toEqual(['item 0 attempt 1', 'item 1 attempt 1', 'item 1 attempt 2', 'last']);
    expect(all.lines.find((line) => line.message === 'item 1 attempt 2')).toMatchObject({
      task: 'all',
      item: 1,
      attempt: 2,
      generation: 1,
    });
    expect(texts(await run.logs({ task: 'all', item: 1 }))).toEqual(['item 1 attempt 1', 'item 1 attempt 2']);
    expect(texts(await run.logs({ task: 'say', item: 1, attempt: 1 }))).toEqual(['item 1 attempt 1']);
    expect(texts(await run.logs({ level: 'info' })).toSorted()).toEqual(['item 1 attempt 2', 'last']);
    expect(texts(await run.logs({ task: 'last' }))).toEqual(['last']);
  });

  test('that is handed back and goes on elsewhere has the lines of both', async () => {
    const path = file();
    const began = gate();
    let process = 0;
    const flow = one(async ({ log }) => {
      const mine = ++process;
      log.info(`in process ${mine}`);
      began.open();
      if (mine === 1) await new Promise(() => undefined);
    });
    const first = engineOn(path, [flow]);
    await first.work();
    await first.start(flow);
    await began.passed;
    await first.close();
    const second = engineOn(path, [flow]);
    const { runs } = await second.runs.list();
    await second.work();
    const run = await second.get(runs[0]?.id ?? '');
    await run.result({ timeout: '10s' });
    expect((await run.logs()).lines).toMatchObject([
      { message: 'in process 1', attempt: 1 },
      { message: 'in process 2', attempt: 1 },
    ]);
  });
});

test('of a process that dies the lines since the last half second are lost, and whoever follows goes on', async () => {
  const end = gate();
  const flow = one(async ({ log, attempt }) => {
    log.info(`attempt ${attempt}`);
    if (attempt > 1) return;
    await end.passed;
    log.info('never stored');
  });
  const kit = engineWith({ use: [flow] });
  kit.crash({ task: 'a' });
  const run = await kit.start(flow);
  await kit.settle();
  await kit.clock.advance('600ms');
  const got: string[] = [];
  const following = (async () => {
    for await (const line of run.followLogs()) got.push(line.message);
  })();
  await kit.settle();
  end.open();
  await run.result();
  await following;
  expect(got).toEqual(['attempt 1', 'attempt 2']);
  expect(texts(await run.logs())).toEqual(got);
});

describe('no line is lost or doubled', () => {
  type Commit = (batch: Batch) => Promise<CommitResult>;
  /** Does something else, once, in place of the first commit that has lines. */
  function insteadOnce(act: (batch: Batch, commit: Commit) => Promise<CommitResult>): () => boolean {
    const original = Reflect.get<SqliteStore, 'commit'>(SqliteStore.prototype, 'commit');
    let done = false;
    vi.spyOn(SqliteStore.prototype, 'commit').mockImplementation(function commit(this: SqliteStore, batch) {
      const real: Commit = (given) => original.call(this, given);
      if (done || batch.logs.length === 0) return real(batch);
      done = true;
      return act(batch, real);
    });
    return () => done;
  }
  // A store that fails makes the engine wait: on a virtual clock nothing would go on.
  const startOn = async (flow: ReturnType<typeof one>) => {
    const engine = engineOn(file(), [flow]);
    await engine.work();
    return engine.start(flow);
  };
  const lost = (): never => {
    throw new PawlError('STORE_IO', 'injected');
  };

  test.each<[string, (batch: Batch, commit: Commit) => Promise<CommitResult>]>([
    [
      'the run met a conflict, and is decided again',
      async (batch, commit) => ({ ...(await commit({ ...batch, runs: [] })), conflicts: [0] }),
    ],
    ['the commit failed', async () => lost()],
    ['the commit of the lines failed after it had happened', async (batch, commit) => (await commit({ ...batch, runs: [] }), lost())],
  ])('when %s', async (_, act) => {
    const wasHit = insteadOnce(act);
    const flow = one(({ log }) => {
      log.info('one');
      log.info('two');
    });
    const run = await startOn(flow);
    await run.result();
    expect(wasHit()).toBe(true);
    expect(texts(await run.logs())).toEqual(['one', 'two']);
  });

  test('when a flush failed, and the body logged on', async () => {
    const wasHit = insteadOnce(async () => lost());
    const end = gate();
    const flow = one(async ({ log }) => {
      log.info('one');
      await end.passed;
      log.info('two');
    });
    const run = await startOn(flow);
    for await (const line of run.followLogs()) {
      expect(wasHit()).toBe(true);
      expect(line.message).toBe('one');
      break;
    }
    end.open();
    await run.result();
    expect(texts(await run.logs())).toEqual(['one', 'two']);
  });

  test('but lines that cannot be written at all do not keep their run', async () => {
    const wasHit = insteadOnce(async () => {
      throw new Error('injected');
    });
    const flow = one(({ log }) => log.info('lost'));
    const run = await engineWith({ use: [flow] }).start(flow);
    await run.result();
    expect(wasHit()).toBe(true);
    expect(await run.status()).toMatchObject({ status: 'success' });
    expect(texts(await run.logs())).toEqual([]);
  });
});

describe('a log is read', () => {
  const many = one(({ log }) => {
    for (let i = 0; i < 25; i++) log[i % 2 === 0 ? 'info' : 'debug'](String(i));
  });

  test('page by page', async () => {
    const run = await engineWith({ use: [many] }).start(many);
    await run.result();
    const pages: string[][] = [];
    for (let next: string | undefined = ''; next !== undefined;) {
      const page: Awaited<ReturnType<typeof run.logs>> = await run.logs({ limit: 10, ...(next === '' ? {} : { after: next }) });
      pages.push(texts(page));
      ({ next } = page);
    }
    expect(pages.map((page) => page.length)).toEqual([10, 10, 5]);
    expect(pages.flat()).toEqual(Array.from({ length: 25 }, (_, i) => String(i)));
    expect(texts(await run.logs({ level: 'info', limit: 2, after: '1:19' }))).toEqual(['20', '22']);
  });

  test.each([
    [{ task: 'nobody' }, 'TASK_UNKNOWN'],
    [{ level: 'loud' as 'info' }, 'CONFIG_OPTION'],
    [{ limit: 0 }, 'CONFIG_OPTION'],
    [{ item: -1 }, 'CONFIG_OPTION'],
    [{ attempt: 0 }, 'CONFIG_OPTION'],
    [{ after: 'x' }, 'CONFIG_OPTION'],
  ])('not with %j', async (query, code) => {
    const run = await engineWith({ use: [many] }).start(many);
    await expect(run.logs(query)).rejects.toMatchObject({ code });
  });

  test('while the run goes on in another process, until it is over', async () => {
    const path = file();
    const [seen, end] = [gate(), gate()];
    const flow = one(async ({ log }) => {
      log.info('one');
      log.debug('not asked for');
      await end.passed;
      log.info('two');
    });
    const worker = engineOn(path, [flow]);
    await worker.work();
    const run = await engineOn(path, [flow]).start(flow);
    const got: string[] = [];
    const following = (async () => {
      for await (const line of run.followLogs({ level: 'info' })) {
        got.push(line.message);
        seen.open();
      }
    })();
    await seen.passed;
    expect(got).toEqual(['one']);
    end.open();
    await following;
    expect(got).toEqual(['one', 'two']);
  });

  test('until the signal aborts', async () => {
    const flow = one(async ({ log, signal }) => {
      log.info('one');
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
    });
    const kit = engineWith({ use: [flow] });
    const run = await kit.start(flow);
    await kit.clock.advance('1s');
    const stop = new AbortController();
    const got: string[] = [];
    for await (const line of run.followLogs({ signal: stop.signal })) {
      got.push(line.message);
      stop.abort();
    }
    expect(got).toEqual(['one']);
    await run.cancel();
  });
});
