import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import { engineParts, openSqlite } from '../../src/compose.ts';
import { Engine } from '../../src/facade.ts';
import { createEngine, workflow, type Registrable } from '../../src/index.ts';
import { VirtualTime } from '../../src/testing/virtual-time.ts';
import { silent } from './kit.ts';
import { LIMITS, workflows } from '../fixtures/processes/workflows.ts';

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'pawl-schedules-'));
  closing.push(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Numbers that are the same for a seed. */
function dice(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Several processes on one file, in one virtual time: each has its own connection, caches and worker. */
class Processes {
  readonly path = join(folder(), 'app.db');
  readonly time = new VirtualTime();
  private readonly use: readonly Registrable[];
  private pids = 0;
  private readonly dead = new Set<number>();
  readonly engines: { engine: Engine; pid: number }[] = [];

  constructor(use: readonly Registrable[], count: number) {
    this.use = use;
    for (let i = 0; i < count; i++) this.boot();
    closing.push(() => Promise.all(this.engines.map(({ engine }) => engine.runtime.crash())));
  }

  boot(): void {
    const pid = ++this.pids;
    const facts = { name: `p${pid}`, host: 'h', pid, pidStarted: String(pid), bootId: 'b', pidNamespace: 'n' };
    const parts = engineParts({ use: this.use, logger: silent, sweep: '5s', lease: '60s' });
    const engine = new Engine({
      ...parts,
      openStore: () => openSqlite(this.path, { durability: 'fast' }),
      heart: () => () => ({ stop: async () => undefined }),
      ports: this.time.ports(),
      host: { facts: (now) => ({ ...facts, startedAt: now }), isDead: ({ pid: one }) => this.dead.has(one) },
    });
    this.engines.push({ engine, pid });
  }

  async kill(index: number): Promise<void> {
    const [killed] = this.engines.splice(index, 1);
    if (killed === undefined) return;
    this.dead.add(killed.pid);
    await killed.engine.runtime.crash();
    this.boot();
  }

  async pass(ms: number): Promise<void> {
    await this.rest();
    const limit = this.time.now() + ms;
    while (this.time.step(limit)) await this.rest();
    await this.rest();
  }

  private async rest(): Promise<void> {
    for (const { engine } of this.engines) await engine.work({ drainOn: [] });
    // why: one that waits for a time to pass before it tries again is at rest, and not idle
    for (let quiet = 0, turns = 0; quiet < 8 && turns < 400; quiet++, turns++) {
      await new Promise<void>((resolve) => setImmediate(resolve));
      const idle = await Promise.all(this.engines.map(({ engine }) => engine.runtime.isIdle()));
      if (idle.includes(false)) quiet = 0;
    }
  }

  rows(sql: string): Record<string, number>[] {
    const db = new DatabaseSync(this.path, { readOnly: true });
    try {
      return db.prepare(sql).all() as Record<string, number>[];
    } finally {
      db.close();
    }
  }
}

const MINUTE = 60_000;

describe('several processes on one store', () => {
  test.each([1, 2, 3])('decide each due instant once, whichever of them dies and comes back (seed %i)', async (seed) => {
    const roll = dice(seed);
    let running = 0;
    let most = 0;
    const flow = (name: string, schedule: object, body: () => unknown) =>
      workflow({ name, schedule: { every: '7s', ...schedule } as never }, (w) => w.run('t', {}, body));
    const quick = flow('quick', { catchup: 'all' }, () => 1);
    const queued = flow('queued', { overlap: 'queue', catchup: 'all' }, async () => {
      most = Math.max(most, ++running);
      for (let turn = 0; turn < 3; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
      running--;
    });
    const skipping = flow('skipping', { overlap: 'skip', catchup: 'latest' }, () => 1);
    const world = new Processes([quick, queued, skipping], 2);
    const from = world.time.now();
    for (let round = 0; round < 6; round++) {
      await world.pass(1 + roll(40_000));
      running = 0;
      await world.kill(roll(2));
    }
    await world.pass(20_000);
    const due: number[] = [];
    for (let at = from + 7_000; at <= world.time.now(); at += 7_000) due.push(at);
    const runs = world.rows('SELECT r.schedule, r.due_at FROM runs r ORDER BY r.schedule, r.due_at') as unknown as {
      schedule: string;
      due_at: number;
    }[];
    const of = (name: string): number[] => runs.filter((run) => run.schedule === name).map((run) => run.due_at);
    expect(of('quick')).toEqual(due);
    expect(of('queued')).toEqual(due);
    expect(most).toBe(1);
    expect(new Set(of('skipping')).size).toBe(of('skipping').length);
    // An instant without a run has a record that says why.
    const told = world.rows(
      "SELECT due_at, coalesce(until_at, due_at) AS until_at, state FROM fires WHERE schedule = (SELECT id FROM schedules WHERE name = 'skipping')",
    );
    expect(due.filter((at) => !told.some((one) => (one['due_at'] ?? 0) <= at && at <= (one['until_at'] ?? 0)))).toEqual([]);
    expect(world.rows('SELECT count(*) AS n FROM runs WHERE status < 6')).toEqual([{ n: 0 }]);
  });

  test('a clock that goes back fires nothing again', async () => {
    const flow = workflow({ name: 'flow', schedule: { cron: '* * * * *', tz: 'UTC' } }, (w) => w.run('t', {}, () => 1));
    const world = new Processes([flow], 1);
    await world.pass(10 * MINUTE);
    expect(world.rows('SELECT count(*) AS n FROM runs')).toEqual([{ n: 10 }]);
    (world.time as unknown as { at: number }).at -= 5 * MINUTE;
    await world.kill(0);
    await world.pass(5 * MINUTE);
    expect(world.rows('SELECT count(*) AS n FROM runs')).toEqual([{ n: 10 }]);
    await world.pass(2 * MINUTE);
    expect(world.rows('SELECT count(*) AS n FROM runs')).toEqual([{ n: 12 }]);
  });
});

describe('a process that is killed while it catches up', () => {
  const worker = fileURLToPath(new URL('../fixtures/processes/worker.ts', import.meta.url));
  const DUE = 300;

  test('has started nothing twice and lost nothing', async () => {
    const at = folder();
    const { all } = workflows(at);
    const client = createEngine({ store: `sqlite:${at}/app.db`, use: all, limits: LIMITS, logger: silent });
    await client.schedules.create({ name: 'much', workflow: 'quick', every: '1s', catchup: 'all', window: '30d' });
    await client.close();
    const db = new DatabaseSync(join(at, 'app.db'), { timeout: 5_000 });
    closing.push(() => db.close());
    const back = DUE * 1_000;
    db.exec(`UPDATE schedules SET cursor_at = cursor_at - ${back}, made_at = made_at - ${back}, next_at = next_at - ${back}`);
    const fired = (): number => Number(db.prepare('SELECT count(*) AS n FROM fires').get()?.['n']);
    const roll = dice(7);
    let kills = 0;
    while (fired() < DUE) {
      const until = kills < 4 ? Math.min(DUE, fired() + 1 + roll(120)) : DUE;
      const child: ChildProcess = spawn(process.execPath, [worker, at], { stdio: ['ignore', 'ignore', 'inherit'] });
      closing.push(() => child.kill('SIGKILL'));
      while (fired() < until) await new Promise<void>((resolve) => setImmediate(resolve));
      kills++;
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    expect(kills).toBeGreaterThan(1);
    const fires = db.prepare('SELECT due_at, run, state FROM fires ORDER BY due_at').all() as {
      due_at: number;
      run: number;
      state: number;
    }[];
    expect(fires.filter(({ state }) => state !== 1)).toEqual([]);
    expect(fires.map(({ due_at: due }, i) => due - (fires[0]?.due_at ?? 0) - i * 1_000).filter((off) => off !== 0)).toEqual([]);
    const runs = db.prepare('SELECT id, due_at FROM runs ORDER BY due_at').all() as { id: number; due_at: number }[];
    expect(runs.map(({ id, due_at: due }) => [id, due])).toEqual(fires.map(({ run, due_at: due }) => [run, due]));
    expect(db.prepare('SELECT cursor_at FROM schedules').get()?.['cursor_at']).toBe(fires.at(-1)?.due_at);
  });
});
