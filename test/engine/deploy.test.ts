import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { createEngine, type Engine, type Run } from '../../src/index.ts';
import { orderFlow, type Version } from '../fixtures/deploy/flows.ts';
import { silent } from './kit.ts';

/** A rolling deploy with real processes on one file; so many open runs. */
const RUNS = Number(process.env['PAWL_DEPLOY_RUNS'] ?? 1_000);
const worker = fileURLToPath(new URL('../fixtures/deploy/worker.ts', import.meta.url));
const leave: (() => unknown)[] = [];

afterEach(async () => {
  for (const step of leave.splice(0).reverse()) await step();
});

class Deploy {
  readonly at: string;
  readonly engine: Engine;
  readonly old: ReturnType<typeof orderFlow>;

  constructor() {
    this.at = mkdtempSync(join(tmpdir(), 'pawl-deploy-'));
    leave.push(() => rmSync(this.at, { recursive: true }));
    this.old = orderFlow(this.at, 'old');
    this.engine = createEngine({ store: `sqlite:${this.at}/app.db`, use: [this.old], durability: 'fast', logger: silent });
    leave.push(() => this.engine.close());
  }

  async worker(version: Version): Promise<ChildProcess> {
    const child = spawn(process.execPath, [worker, this.at, version], { stdio: ['ignore', 'pipe', 'inherit'] });
    leave.push(() => child.kill('SIGKILL'));
    await once(child.stdout as NodeJS.ReadableStream, 'data');
    return child;
  }

  /** A third of them stick in their map, some start later, some are paused. */
  async start(): Promise<{ all: Run<unknown>[]; paused: Run<unknown>[] }> {
    const items = Array.from({ length: RUNS }, (_, n) => ({
      input: { n, sticks: n % 3 === 0 },
      ...(n % 10 === 1 ? { delay: '2s' as const } : {}),
    }));
    const all = (await this.engine.startMany(this.old, items)).map(({ run }) => run ?? expect.fail('a run was not started'));
    const paused = all.filter((_, n) => n % 10 === 2);
    await Promise.all(paused.map((run) => run.pause()));
    return { all, paused };
  }

  log(): string[] {
    try {
      return readFileSync(join(this.at, 'log'), 'utf8').trim().split('\n');
    } catch {
      return [];
    }
  }

  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await new Promise((resolve) => setImmediate(resolve));
  }

  count(sql: string): number {
    const db = new DatabaseSync(join(this.at, 'app.db'), { readOnly: true });
    try {
      return Number(db.prepare(sql).get()?.['n']);
    } finally {
      db.close();
    }
  }
}

const NEW_TASKS = ['look', 'load', 'part0', 'part1', 'part2', 'ship', 'tell'];

/** Rows of tasks that wait under the number of another body than their own. */
const ASIDE = `SELECT count(*) AS n FROM tasks t JOIN runs r ON r.id = t.run JOIN definitions d ON d.id = r.definition
  WHERE abs(t.body) <> d.first_body + t.node`;

async function results(runs: readonly Run<unknown>[]): Promise<void> {
  const outputs = await Promise.all(runs.map((run) => run.result({ timeout: '60s' })));
  outputs.forEach((output, n) => expect(output).toEqual({ told: n, parts: [0, 1, 2], seen: n }));
}

test(`a rolling deploy under ${RUNS} open runs strands none, loses none, and does each task once`, { timeout: 120_000 }, async () => {
  const deploy = new Deploy();
  const { all, paused } = await deploy.start();
  const old = await deploy.worker('old');
  // Runs are everywhere: over, in their maps, not begun.
  await deploy.until(() => deploy.log().length > RUNS);
  const next = await deploy.worker('new');
  await deploy.until(() => deploy.log().some((line) => line.endsWith(` new ${next.pid ?? 0}`)));
  old.kill('SIGTERM');
  await once(old, 'exit');
  await Promise.all(paused.map((run) => run.resume()));
  await results(all);

  const done = deploy.log();
  expect(new Set(done.map((line) => line.split(' ').slice(0, 2).join(' '))).size).toBe(done.length);
  for (const line of done) expect(line).toMatch(new RegExp(`( old ${old.pid ?? 0}| new ${next.pid ?? 0})$`));
  const { runs } = await deploy.engine.runs.list({ limit: 500 });
  expect(runs.every((run) => run.status === 'success')).toBe(true);
  expect(deploy.count(ASIDE)).toBe(0);
  // What moved has done all that the new version asks for.
  const perRun = Map.groupBy(done, (line) => line.split(' ')[0]);
  for (const [n, run] of all.entries()) {
    const tasks = (perRun.get(String(n)) ?? []).map((line) => line.split(' ')[1]);
    const { version } = await run.status();
    expect(new Set(tasks)).toEqual(new Set(version === 'new' ? NEW_TASKS : NEW_TASKS.slice(1, -1)));
  }
});

test(
  'a process that is killed while it moves runs leaves each as it was, or moved; the next one goes on',
  { timeout: 120_000 },
  async () => {
    const deploy = new Deploy();
    const { all, paused } = await deploy.start();
    const old = await deploy.worker('old');
    await deploy.until(() => deploy.log().length > RUNS);
    old.kill('SIGKILL');
    await once(old, 'exit');
    const first = spawn(process.execPath, [worker, deploy.at, 'new'], { stdio: ['ignore', 'ignore', 'inherit'] });
    leave.push(() => first.kill('SIGKILL'));
    await deploy.until(() => deploy.count('SELECT count(*) AS n FROM moves') > 0);
    first.kill('SIGKILL');
    await once(first, 'exit');
    expect(deploy.count(ASIDE)).toBe(0);
    await deploy.worker('new');
    await Promise.all(paused.map((run) => run.resume()));
    await results(all);
  },
);
