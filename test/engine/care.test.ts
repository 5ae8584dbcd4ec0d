import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { diagnose, type Check, type Findings } from '../../src/client/doctor.ts';
import { parseRunId } from '../../src/core/ids.ts';
import { createEngine, NonRetryableError, task, workflow, type Engine, type EngineOptions, type RunDocument } from '../../src/index.ts';
import { testEngine } from '../../src/testing/index.ts';
import { fileSystemOf } from '../../src/store/sqlite/facts.ts';
import { silent } from './kit.ts';

const half = task({ name: 'half', run: ({ n }: { n: number }) => n / 2 });
const flow = workflow({ name: 'flow' }, (w) => {
  const all = w.map([2, 4, 6], half, (n) => ({ n }));
  return { sum: w.run('sum', { all }, ({ all: parts }) => parts.reduce((a, b) => a + b, 0)) };
});
const bad = workflow({ name: 'bad' }, (w) => ({
  a: w.run('a', {}, (): number => {
    throw new NonRetryableError('out of paper', { code: 'PAPER' });
  }),
}));
const waits = workflow({ name: 'waits' }, (w) => ({
  a: w.run(
    'a',
    {},
    (_: unknown, ctx) => new Promise<number>((_done, fail) => ctx.signal.addEventListener('abort', () => fail(new Error('stop')))),
  ),
}));

let dir = '';
const engines: Engine[] = [];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'pawl-care-'));
});
afterEach(async () => {
  await Promise.all(engines.splice(0).map((engine) => engine.close()));
  chmodSync(dir, 0o700);
  rmSync(dir, { recursive: true });
});

function engineAt(name: string, options: Partial<EngineOptions> = {}): Engine {
  const engine = createEngine({ store: `sqlite:${join(dir, name)}`, use: [flow, bad, waits], logger: silent, drain: '1s', ...options });
  engines.push(engine);
  return engine;
}

async function working(): Promise<Engine> {
  const engine = engineAt('app.db');
  await engine.work({ drainOn: [] });
  return engine;
}

describe('an engine that is opened to read', () => {
  test('shows what a live worker does, and refuses whatever would write', async () => {
    const live = await working();
    const over = await live.start(flow);
    await over.result();
    const open = await live.start(waits);

    const reader = engineAt('app.db', { access: 'read' });
    expect((await reader.runs.list()).runs.map((run) => run.workflow)).toEqual(['waits', 'flow']);
    expect(await (await reader.get(over.id)).result()).toEqual({ sum: 6 });
    expect(await (await reader.get(over.id)).tasks()).toEqual(await over.tasks());
    for (const refused of [
      () => reader.start(flow),
      () => reader.work(),
      () => reader.prune(),
      () => reader.importRun({}),
      async () => (await reader.get(open.id)).cancel(),
      async () => (await reader.get(over.id)).cancel(),
    ]) {
      await expect(refused()).rejects.toMatchObject({ code: 'STORE_READONLY' });
    }
    expect((await reader.startMany(flow, [{ input: undefined }]))[0]?.error).toMatchObject({ code: 'STORE_READONLY' });
    expect(await reader.prune({ dryRun: true, olderThan: '1d' })).toMatchObject({ runs: 0 });

    const watched = (await reader.get(open.id)).watch({ types: ['run.finished'] }).next();
    const ended = (await reader.get(open.id)).result();
    const both = Promise.allSettled([watched, ended]);
    await open.cancel();
    const [event, result] = await both;
    expect(event).toMatchObject({ value: { value: { type: 'run.finished', status: 'cancelled' } } });
    expect(result).toMatchObject({ reason: { code: 'RUN_CANCELLED' } });
  });

  test('stores no workflow of its own', async () => {
    await (await working()).start(flow);
    const more = workflow({ name: 'more' }, (w) => ({ a: w.run('a', {}, () => 1) }));
    const reader = engineAt('app.db', { access: 'read', use: [more] });
    expect((await reader.runs.list()).runs).toHaveLength(1);
    await expect(reader.start(more)).rejects.toMatchObject({ code: 'STORE_READONLY' });
  });

  test('creates no file, and takes no store in memory', async () => {
    await expect(engineAt('none.db', { access: 'read' }).runs.list()).rejects.toMatchObject({ code: 'STORE_UNREACHABLE' });
    expect(() => createEngine({ store: 'sqlite::memory:', use: [], access: 'read' })).toThrow('access');
    expect(() => createEngine({ store: 'sqlite:./x.db', use: [], access: 'none' as 'read' })).toThrow('access');
  });
});

describe('engine.backup', () => {
  test('gives a file that goes on where the store was', async () => {
    const live = await working();
    const run = await live.start(flow);
    await run.result();
    const open = await live.start(waits);
    await live.backup(join(dir, 'copy.db'));
    await expect(live.backup(join(dir, 'copy.db'))).rejects.toMatchObject({ code: 'STORE_EXISTS' });
    const restored = engineAt('copy.db');
    expect(await (await restored.get(run.id)).result()).toEqual({ sum: 6 });
    expect((await (await restored.get(open.id)).status()).status).toBe('running');
    expect(statSync(join(dir, 'copy.db')).mode & 0o777).toBe(0o600);
  });
});

describe('exportRun and importRun', () => {
  const exported = async (from: Engine, id: string): Promise<RunDocument> =>
    JSON.parse(JSON.stringify(await from.exportRun(id))) as RunDocument;

  test('carry a run to another store, to be looked at there', async () => {
    const live = await working();
    const [good, failed] = [await live.start(flow, undefined, { key: 'k', tags: ['t'] }), await live.start(bad)];
    await good.result();
    await expect(failed.result()).rejects.toMatchObject({ code: 'RUN_FAILED' });
    const other = engineAt('other.db', { use: [] });
    for (const run of [good, failed]) {
      const imported = await other.importRun(await exported(live, run.id));
      expect(imported.id).toBe(run.id);
      expect(await imported.status()).toEqual(await run.status());
      expect(await imported.tasks({ items: true })).toEqual(await run.tasks({ items: true }));
    }
    expect(await (await other.get(good.id)).result()).toEqual({ sum: 6 });
    await expect((await other.get(failed.id)).result()).rejects.toThrow('out of paper');
    await expect(other.importRun(await exported(live, good.id))).rejects.toMatchObject({ code: 'RUN_EXISTS' });
    await expect(live.exportRun('nothing')).rejects.toMatchObject({ code: 'RUN_NOT_FOUND' });
  });

  test('leave nothing behind of a document that is refused', async () => {
    const live = await working();
    const run = await live.start(flow);
    await run.result();
    const document = await exported(live, run.id);
    const other = engineAt('other.db', { use: [] });
    const newer = { ...document, run: { ...document.run, format: 99 } };
    await expect(other.importRun(newer)).rejects.toMatchObject({ code: 'RUN_DOCUMENT_INVALID' });
    expect(await (await other.runtime.open()).store.care.exportRun(parsed(run.id))).toBeNull();
    const { store } = await other.runtime.open();
    const [defined] = await store.define([
      { ...document.definition, graph: { ...document.definition.graph, output: 5 }, hash: 'another', at: 0 },
    ]);
    expect(defined?.hash, 'the version is still free').toBe('another');
  });

  test('bring an open run, which nothing runs there', async () => {
    const live = await working();
    const run = await live.start(waits);
    const other = engineAt('other.db');
    await other.work({ drainOn: [] });
    const imported = await other.importRun(await exported(live, run.id));
    expect(await imported.status()).toMatchObject({ status: 'running', quarantined: expect.stringContaining('imported') as string });
    expect((await other.doctor()).find((one) => one.name === 'quarantine')).toMatchObject({ status: 'warn' });
  });

  test('carry a run out of a store in memory', async () => {
    const engine = testEngine({ use: [flow], logger: silent });
    const run = await engine.start(flow);
    await run.result();
    const document = await (await engine.storeOf).care.exportRun(parsed(run.id));
    await engine.close();
    expect(await (await engineAt('other.db').importRun(document)).result()).toEqual({ sum: 6 });
  });

  type Change = (document: Record<string, never>) => void;
  const row = (document: Record<string, never>, table: string, at = 0): Record<string, unknown> =>
    (document as unknown as Record<string, Record<string, unknown>[]>)[table]?.[at] ?? {};
  const part = (document: Record<string, never>, name: string): Record<string, unknown> =>
    (document as unknown as Record<string, Record<string, unknown>>)[name] ?? {};
  const changes: [string, Change][] = [
    ['another version of the format', (d) => Object.assign(d, { pawl: 2 })],
    ['another kind', (d) => Object.assign(d, { kind: 'store' })],
    ['a field that nobody knows', (d) => Object.assign(d, { extra: 1 })],
    ['an id that is none', (d) => Object.assign(d, { id: '../../etc' })],
    ['a table that is missing', (d) => delete (d as Record<string, unknown>)['steps']],
    ['a table that is no list', (d) => Object.assign(d, { tasks: { length: 3 } })],
    ['a row that is no object', (d) => Object.assign(d, { tasks: [null] })],
    ['a field that is missing', (d) => delete row(d, 'tasks')['node']],
    ['a field of another type', (d) => Object.assign(row(d, 'tasks'), { node: '0' })],
    ['a number that is not whole', (d) => Object.assign(row(d, 'tasks'), { attempt: 1.5 })],
    ['a number below what is possible', (d) => Object.assign(row(d, 'tasks'), { attempt: -1 })],
    ['a word of no list', (d) => Object.assign(row(d, 'tasks'), { status: 'done' })],
    ['a payload that is no JSON', (d) => Object.assign(row(d, 'tasks', 1), { output: '{' })],
    [
      'a payload with tags that lead nowhere',
      (d) => Object.assign(row(d, 'tasks', 1), { output: '{"$tags":{"/constructor/x":"Date"},"$value":{}}' }),
    ],
    ['a text with half a character', (d) => Object.assign(part(d, 'run'), { traceparent: '\ud800' })],
    ['a node that the graph does not have', (d) => Object.assign(row(d, 'tasks', 4), { node: 7 })],
    ['an item of no map', (d) => Object.assign(row(d, 'tasks', 4), { item: 3 })],
    ['two rows of one task', (d) => Object.assign(row(d, 'tasks', 2), { item: 0 })],
    ['a task that is open in a run that is over', (d) => Object.assign(row(d, 'tasks'), { status: 'queued', finishedAt: null })],
    ['a task that ended at no time', (d) => Object.assign(row(d, 'tasks'), { finishedAt: null })],
    ['a run that is over and never ended', (d) => Object.assign(part(d, 'run'), { finishedAt: null })],
    ['a map with more items than it has', (d) => Object.assign(row(d, 'maps'), { next: 4 })],
    ['a key of a run without one', (d) => Object.assign(d, { key: { inputHash: 'h', until: null, whileOpen: 0 } })],
    ['a graph that does not fit its hash', (d) => Object.assign(part(d, 'definition'), { hash: 'f'.repeat(64) })],
    ['a graph that is none', (d) => Object.assign(part(d, 'definition'), { graph: { tasks: 1 } })],
    ['a graph of another workflow', (d) => Object.assign(part(d, 'definition'), { workflow: 'bad' })],
    ['a format of a later version', (d) => Object.assign(part(d, 'run'), { format: 99 })],
  ];

  test('refuse every document that is not whole, and say where', async () => {
    const live = await working();
    const run = await live.start(flow);
    await run.result();
    const document = await exported(live, run.id);
    const other = engineAt('other.db', { use: [] });
    for (const [what, change] of changes) {
      const edited = structuredClone(document) as unknown as Record<string, never>;
      change(edited);
      const error: unknown = await other.importRun(edited).catch((caught: unknown) => caught);
      expect(error, what).toMatchObject({ code: 'RUN_DOCUMENT_INVALID' });
    }
    for (const nothing of [null, undefined, 7, 'text', [], { pawl: 1 }]) {
      await expect(other.importRun(nothing)).rejects.toMatchObject({ code: 'RUN_DOCUMENT_INVALID' });
    }
    expect((await other.runs.list()).runs).toEqual([]);
    await other.importRun(document);
    expect((await other.runs.list()).runs).toHaveLength(1);
  });
});

const parsed = (id: string): Uint8Array => parseRunId(id) ?? new Uint8Array();

describe('engine.doctor', () => {
  const byName = (checks: readonly Check[]): Record<string, Check> => Object.fromEntries(checks.map((one) => [one.name, one]));

  test('finds nothing wrong with a store that is well', async () => {
    const live = await working();
    await (await live.start(flow)).result();
    const checks = await live.doctor();
    expect(checks.filter((one) => one.status !== 'ok' && !['disk space', 'file system'].includes(one.name))).toEqual([]);
    expect(byName(checks)).toMatchObject({
      versions: { detail: expect.stringMatching(/^Node v.*SQLite \d/) as string },
      permissions: { detail: 'file 0600, folder 0700' },
      integrity: { detail: 'the whole file was checked' },
      workers: { detail: '1 live, 0 wedged, 0 gone and not yet taken back' },
      queue: { detail: 'nothing waits' },
      journal: { detail: expect.stringContaining('kept for 7 d') as string },
    });
  });

  test('warns of files that others may read or replace, and of work that waits for a worker', async () => {
    const idle = engineAt('app.db');
    await idle.start(waits);
    chmodSync(join(dir, 'app.db'), 0o644);
    expect(byName(await idle.doctor())).toMatchObject({
      permissions: { status: 'warn' },
      queue: { status: 'warn', fix: 'Start a worker.' },
    });
    chmodSync(join(dir, 'app.db'), 0o600);
    chmodSync(dir, 0o777);
    expect(byName(await idle.doctor())['permissions']).toMatchObject({ status: 'warn', detail: 'file 0600, folder 0777' });
  });

  test('says so where the store cannot be opened', async () => {
    writeFileSync(join(dir, 'text'), 'a text that is long enough to be looked at as a database, and is none'.repeat(20));
    expect(await engineAt('text').doctor()).toEqual([
      {
        name: 'store',
        status: 'fail',
        detail: expect.stringContaining('STORE_NOT_A_DATABASE') as string,
        fix: expect.any(String) as string,
      },
    ]);
    const closed = engineAt('app.db');
    await closed.close();
    expect(await closed.doctor()).toMatchObject([{ name: 'store', status: 'fail' }]);
  });

  const well: Findings = {
    node: 'v24',
    unserved: [],
    now: 1_000_000,
    journalMs: 1_000,
    workers: [],
    facts: {
      kind: 'sqlite',
      library: '3.53',
      schema: 1,
      knownSchema: 1,
      syncsCommits: true,
      damage: [],
      clock: 1_000_000,
      quarantined: 0,
      oldestQueuedAt: null,
      journal: { from: 1, to: 5, fromAt: 999_000, toAt: 1_000_000 },
      file: { path: '/a', bytes: 1, walBytes: 1, mode: 0o600, folderMode: 0o700, freeBytes: 2 ** 40, fileSystem: 'ext4' },
    },
  };
  const live = {
    id: 1,
    name: 'w:1',
    host: 'h',
    pid: 1,
    pidStarted: null,
    bootId: null,
    pidNamespace: null,
    startedAt: 0,
    slots: 1,
    serves: [],
    endedAt: null,
    leaseUntil: 2e6,
    wedged: false,
    fenced: false,
  };
  const facts = (over: Partial<Findings['facts']>): Partial<Findings> => ({ facts: { ...well.facts, ...over } });
  const file = (over: Partial<NonNullable<Findings['facts']['file']>>): Partial<Findings> =>
    facts({ file: { ...well.facts.file, ...over } as NonNullable<Findings['facts']['file']> });

  test.each<[string, Check['status'], Partial<Findings>]>([
    ['schema', 'fail', facts({ schema: 2 })],
    ['schema', 'fail', facts({ schema: 0 })],
    ['integrity', 'fail', facts({ damage: ['page 3 is never used'] })],
    ['integrity', 'ok', facts({ damage: null })],
    ['clock', 'warn', facts({ clock: 1_100_000 })],
    ['quarantine', 'warn', facts({ quarantined: 2 })],
    ['wal', 'warn', file({ walBytes: 2 ** 30 })],
    ['disk space', 'warn', file({ freeBytes: 2 ** 29 })],
    ['disk space', 'fail', file({ freeBytes: 1 })],
    ['file system', 'fail', file({ fileSystem: 'nfs4' })],
    ['file system', 'fail', file({ fileSystem: 'fuse.sshfs' })],
    ['workers', 'warn', { workers: [{ ...live, wedged: true }] }],
    ['workers', 'warn', { workers: [{ ...live, leaseUntil: 0 }] }],
    ['workers', 'ok', { workers: [live, { ...live, fenced: true }] }],
    ['queue', 'warn', { ...facts({ oldestQueuedAt: 1 }), workers: [live] }],
    ['queue', 'ok', { ...facts({ oldestQueuedAt: 999_999 }), workers: [live] }],
    ['queue', 'warn', facts({ oldestQueuedAt: 999_999 })],
    ['journal', 'warn', { ...facts({ journal: { from: 1, to: 5, fromAt: 1, toAt: 1e9 } }), now: 1e9 }],
    ['journal', 'ok', { ...facts({ journal: { from: 5, to: 5, fromAt: 1, toAt: 1 } }), now: 1e9 }],
  ])('%s is %s', (name, status, over) => {
    expect(diagnose(well).every((one) => one.status === 'ok')).toBe(true);
    const found = byName(diagnose({ ...well, ...over }))[name];
    expect(found?.status).toBe(status);
    expect(found?.fix === undefined).toBe(status === 'ok');
  });

  test('knows on which file system a folder lies', () => {
    const mounts = [
      '22 1 8:1 / / rw - ext4 /dev/sda1 rw',
      '30 22 0:40 / /mnt rw - tmpfs none rw',
      '31 30 0:41 / /mnt/with\\040space rw,relatime shared:1 - nfs4 host:/x rw',
    ].join('\n');
    expect(fileSystemOf('/home', mounts)).toBe('ext4');
    expect(fileSystemOf('/mnt/with space/a', mounts)).toBe('nfs4');
    expect(fileSystemOf('/mnt/within', mounts)).toBe('tmpfs');
    expect(fileSystemOf('/mntx', mounts)).toBe('ext4');
    expect(fileSystemOf('/x', '')).toBeNull();
  });
});
