import { StatementSync } from 'node:sqlite';
import { afterEach, expect, test, vi } from 'vitest';
import { createEngine, task, workflow, type Engine, type Limits } from '../../src/index.ts';
import { silent } from '../engine/kit.ts';
import { anyText, endAll, engineWith, gate } from '../semantics/capacity-kit.ts';

const engines: Engine[] = [];
afterEach(async () => {
  vi.restoreAllMocks();
  await Promise.all(engines.splice(0).map((engine) => engine.close()));
});

const LIMITS = /\b(lanes|limits|buckets|gates)\b/;
const TURNS = /SET served|SELECT t\.body, t\.run, l\.needs/;

/** How often such statements ran while a workflow did its work. */
async function spent(options: { readonly limits: Limits; readonly needs: boolean }, of = LIMITS): Promise<number> {
  const plain = workflow({ name: 'plain' }, (w) => {
    const a = w.run('a', {}, () => 1);
    const b = w.run('b', { a }, ({ a: n }) => n + 1);
    return w.run('c', { b }, ({ b: n }) => n + 1);
  });
  const needy = workflow({ name: 'needy' }, (w) => w.run(task({ name: 'needy', pools: { db: 1 }, run: () => 1 }), undefined));
  const use = options.needs ? [plain, needy] : [plain];
  const engine = createEngine({ store: 'sqlite::memory:', use, limits: options.limits, logger: silent });
  engines.push(engine);
  await engine.work({ drainOn: [] });
  const first = await engine.start(options.needs ? needy : plain);
  await first.result();
  let count = 0;
  for (const how of ['run', 'get', 'all'] as const) {
    const before = StatementSync.prototype[how] as (...args: unknown[]) => unknown;
    vi.spyOn(StatementSync.prototype, how).mockImplementation(function (this: StatementSync, ...args: unknown[]) {
      if (of.test(this.sourceSQL)) count++;
      return before.apply(this, args) as never;
    });
  }
  const runs = await Promise.all(Array.from({ length: 50 }, () => engine.start(options.needs ? needy : plain)));
  for (const run of runs) await run.result();
  vi.restoreAllMocks();
  return count;
}

test('a workflow that needs nothing but slots runs no statement about limits, declared or not', async () => {
  expect(await spent({ limits: {}, needs: false })).toBe(0);
  expect(await spent({ limits: { db: 5 }, needs: false })).toBe(0);
});

test('the control: one that takes units does', async () => {
  expect(await spent({ limits: { db: 5 }, needs: true })).toBeGreaterThan(50);
});

test('turns cost nothing where no pool is fair', async () => {
  expect(await spent({ limits: { db: 5 }, needs: true }, TURNS)).toBe(0);
  expect(await spent({ limits: { db: { units: 5, fair: 'run' } }, needs: true }, TURNS)).toBeGreaterThan(50);
});

/** Statements about keys of workflows, and rows that they gave, while one run gives up its key and the next one takes it. */
async function handedOn(others: number): Promise<{ statements: number; rows: number }> {
  const job = gate('job');
  const flow = workflow({ name: 'flow', input: anyText, concurrency: { key: (id) => id, limit: 1 } }, (w, input) => w.run(job.task, input));
  const kit = engineWith({ use: [flow], concurrency: 500 });
  for (let i = 0; i < others; i++) for (const _ of [1, 2]) await kit.start(flow, `other ${i}`);
  for (const _ of [1, 2, 3]) await kit.start(flow, 'x');
  await kit.settle();
  const spent = { statements: 0, rows: 0 };
  for (const how of ['run', 'get', 'all', 'iterate'] as const) {
    const before = StatementSync.prototype[how] as (...args: unknown[]) => unknown;
    vi.spyOn(StatementSync.prototype, how).mockImplementation(function (this: StatementSync, ...args: unknown[]) {
      const result = before.apply(this, args);
      if (!/\bgates\b/.test(this.sourceSQL)) return result as never;
      spent.statements++;
      if (Array.isArray(result)) spent.rows += result.length;
      return result as never;
    });
  }
  job.end('x');
  await kit.settle();
  vi.restoreAllMocks();
  expect(job.running().filter((id) => id === 'x')).toEqual(['x']);
  await endAll(kit, job);
  return spent;
}

test('a key that is given up costs the same however many others are held and waited for', async () => {
  const few = await handedOn(1);
  expect(few.statements).toBeGreaterThan(3);
  expect(await handedOn(40)).toEqual(few);
});
