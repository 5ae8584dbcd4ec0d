import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { queryStore } from '../../src/compose.ts';
import { createEngine, task, workflow, type Engine, type Workflow } from '../../src/index.ts';
import { costOf, keepWal, type Cost } from '../support/cost.ts';

/**
 * What the workloads of `bench/` cost the store, per task. No time is measured: the clock stands, so slots look at the queue for reasons of
 * their work alone, and the same work costs the same each time. Less is welcome, and then the bound comes down; more needs a reason.
 */
interface Most {
  /** Per task, BEGIN and COMMIT too. */
  readonly statements: number;
  /** Per task. */
  readonly commits: number;
  /** Of the journal, per task. */
  readonly journalBytes: number;
  /** Of the write-ahead log, per task: pages, so most where a commit has few changes. */
  readonly walBytes: number;
  /** Per task. Counted 5 % more or less from time to time, and what is compiled late allocates less: hence a half more than counted. */
  readonly allocatedKb: number;
}

/** 200 runs at once; one run after the other; a chain; a map. */
const MOST: Readonly<Record<string, Most>> = {
  w1: { statements: 2.76, commits: 0.012, journalBytes: 45.1, walBytes: 780, allocatedKb: 25 },
  w2: { statements: 17.1, commits: 2.01, journalBytes: 64, walBytes: 52_000, allocatedKb: 98 },
  w3: { statements: 7.7, commits: 1.02, journalBytes: 37, walBytes: 14_400, allocatedKb: 41 },
  w4: { statements: 2.1, commits: 0.014, journalBytes: 28, walBytes: 605, allocatedKb: 10 },
};

/** Of the file, per finished run of 3 tasks whose journal is past its retention. */
const MOST_BYTES_PER_RUN = 400;

const step = task({ name: 'step', run: async (input: { readonly n: number }) => ({ n: input.n + 1 }) });

function chainOf(tasks: number): Workflow<void, { n: number }> {
  return workflow({ name: `chain-of-${tasks}` }, (w) => {
    let last = w.run(step, { n: 0 }, { id: 't0' });
    for (let i = 1; i < tasks; i++) last = w.run(step, last, { id: `t${i}` });
    return last;
  });
}

const item = task({ name: 'item', run: async (input: { readonly n: number }) => ({ n: input.n }) });
const fan = workflow({ name: 'fan' }, (w) => {
  const list = w.run('list', {}, async () => Array.from({ length: 1_000 }, (_, i) => i));
  const mapped = w.map(list, item, (n) => ({ n }));
  return w.run('count', { mapped }, async (input) => ({ n: input.mapped.length }));
});
const [single, short, long] = [chainOf(1), chainOf(3), chainOf(100)];

interface Load {
  readonly tasks: number;
  readonly run: (engine: Engine) => Promise<void>;
}

async function atOnce(engine: Engine, runs: number): Promise<void> {
  const started = await engine.startMany(
    short,
    Array.from({ length: runs }, () => ({ input: undefined })),
  );
  const outputs = await Promise.all(
    started.map(({ run, error }) => {
      if (run === undefined) throw error;
      return run.result();
    }),
  );
  expect(outputs.every(({ n }) => n === 3)).toBe(true);
}

const loads: Readonly<Record<string, Load>> = {
  w1: { tasks: 600, run: (engine) => atOnce(engine, 200) },
  w2: {
    tasks: 20,
    run: async (engine) => {
      for (let i = 0; i < 20; i++) expect(await (await engine.start(single)).result()).toEqual({ n: 1 });
    },
  },
  w3: { tasks: 100, run: async (engine) => expect(await (await engine.start(long)).result()).toEqual({ n: 100 }) },
  w4: { tasks: 1_002, run: async (engine) => expect(await (await engine.start(fan)).result()).toEqual({ n: 1_000 }) },
};

const undo: (() => unknown)[] = [];
beforeEach(stopTime);
afterEach(cleanUp);

function stopTime(): void {
  vi.useFakeTimers({ toFake: ['Date', 'performance'] });
  const real = globalThis.setTimeout;
  // why: what waits for another connection's lock tries again soon; a poll or a sweep in the middle would count
  vi.stubGlobal('setTimeout', (fn: () => void, ms: number) => real(ms < 5 ? fn : () => undefined, ms));
}

async function cleanUp(): Promise<void> {
  vi.unstubAllGlobals();
  vi.useRealTimers();
  for (const step of undo.splice(0).reverse()) await step();
}

async function working(): Promise<{ engine: Engine; file: string }> {
  const dir = mkdtempSync(join(tmpdir(), 'pawl-cost-'));
  undo.push(() => rmSync(dir, { recursive: true, force: true }));
  const file = join(dir, 'app.db');
  const use = [single, short, long, fan];
  const engine = createEngine({ store: `sqlite:${file}`, use, concurrency: 100, durability: 'full', lease: '1h', sweep: '1h' });
  undo.push(() => engine.close());
  await engine.work({ drainOn: [] });
  return { engine, file };
}

/** Of the third time: the first two compile, and fill what is kept in memory. */
async function cost({ run }: Load, plant?: (file: string) => (kind: string) => void): Promise<Cost> {
  undo.push(keepWal());
  const { engine, file } = await working();
  await run(engine);
  await run(engine);
  return costOf(`${file}-wal`, () => run(engine), plant?.(file));
}

/** Every bound that is broken, with what was counted; the kinds of statements where there are too many of them. */
function broken({ tasks }: Load, most: Most, spent: Cost): string[] {
  const perTask: Most = {
    statements: spent.statements / tasks,
    commits: spent.commits / tasks,
    journalBytes: spent.journalBytes / tasks,
    walBytes: spent.walBytes / tasks,
    allocatedKb: spent.allocatedBytes / tasks / 1_000,
  };
  return Object.entries(perTask).flatMap(([name, counted]) => {
    if (counted <= most[name as keyof Most]) return [];
    const kinds = [...spent.kinds].map(([kind, n]) => `${n} ${kind}`).join(', ');
    return [`${name}: ${counted} per task${name === 'statements' ? ` (${kinds})` : ''}`];
  });
}

describe('a task costs no more statements, commits, bytes and objects than counted before', () => {
  test.each(Object.entries(loads))('%s', async (name, load) => {
    const spent = await cost(load);
    // What is counted is what runs in this thread.
    expect(spent.commits).toBeGreaterThan(0);
    expect(broken(load, MOST[name] as Most, spent)).toEqual([]);
  });

  test('the control: what a change might add is seen in each', async () => {
    for (const [name, load] of Object.entries(loads)) {
      const spent = await cost(load, planted);
      const names = broken(load, MOST[name] as Most, spent).map((line) => line.slice(0, line.indexOf(':')));
      expect([name, names]).toEqual([name, ['statements', 'commits', 'journalBytes', 'walBytes', 'allocatedKb']]);
      await cleanUp();
      stopTime();
    }
  });
});

/** A statement and some objects more per task; a row of the journal and a transaction more per commit. */
function planted(file: string): (kind: string) => void {
  const same = new DatabaseSync(file);
  same.exec('PRAGMA wal_autocheckpoint = 0');
  same.exec('CREATE TABLE planted (bytes BLOB) STRICT');
  const other = new DatabaseSync(':memory:');
  other.exec('CREATE TABLE journal (changes TEXT)');
  undo.push(
    () => same.close(),
    () => other.close(),
  );
  const read = other.prepare('SELECT 1');
  const note = other.prepare('INSERT INTO journal VALUES (?)');
  const write = same.prepare('INSERT INTO planted VALUES (zeroblob(8000))');
  const kept: object[] = [];
  return (kind) => {
    if (kind === 'UPDATE tasks') {
      read.get();
      for (let i = 0; i < 2_000; i++) kept[i] = { i };
    }
    if (kind !== 'COMMIT') return;
    note.run('x'.repeat(2_000));
    same.exec('BEGIN IMMEDIATE');
    write.run();
    same.exec('COMMIT');
  };
}

test('a finished run of 3 tasks takes few bytes of the file once its journal is past its retention', async () => {
  const { engine, file } = await working();
  const before = await bytesUsed(file);
  await atOnce(engine, 2_000);
  vi.setSystemTime(Date.now() + 1_000);
  await engine.prune({ journal: '10ms' });
  const perRun = ((await bytesUsed(file)) - before) / 2_000;
  // The payloads alone are more than 20.
  expect(perRun).toBeGreaterThan(20);
  expect(perRun).toBeLessThan(MOST_BYTES_PER_RUN);
});

async function bytesUsed(file: string): Promise<number> {
  const query = 'SELECT page_size * (page_count - freelist_count) AS n FROM pragma_page_size, pragma_page_count, pragma_freelist_count';
  const [row] = await queryStore(`sqlite:${file}`, query);
  return Number(row?.['n']);
}
