import { StatementSync } from 'node:sqlite';
import { afterEach, expect, test } from 'vitest';
import { task, workflow, type Workflow } from '../../src/index.ts';
import { testEngine } from '../../src/testing/index.ts';

interface Cost {
  statements: number;
  /** Given back by reads. */
  rows: number;
  /** Rows that were written. */
  written: number;
  /** Given to statements. */
  bytes: number;
}

const METHODS = ['run', 'get', 'all'] as const;
const own = METHODS.map((method) => [method, StatementSync.prototype[method]] as const);
afterEach(() => {
  for (const [method, was] of own) Object.assign(StatementSync.prototype, { [method]: was });
});

const sizeOf = (value: unknown): number => (typeof value === 'string' ? value.length : 8);

/** What SQLite is asked for from now on, in this process. */
function counted(): Cost {
  const cost: Cost = { statements: 0, rows: 0, written: 0, bytes: 0 };
  const count = (args: readonly unknown[], given: unknown): unknown => {
    cost.statements++;
    cost.bytes += args.reduce<number>((sum, arg) => sum + sizeOf(arg), 0);
    if (Array.isArray(given)) cost.rows += given.length;
    else if (typeof given === 'object' && given !== null && 'changes' in given) cost.written += Number(given.changes);
    else if (given !== undefined) cost.rows++;
    return given;
  };
  for (const [method, was] of own) {
    const counting = function (this: StatementSync, ...args: never[]): unknown {
      return count(args, (was as (...all: never[]) => unknown).apply(this, args));
    };
    Object.assign(StatementSync.prototype, { [method]: counting });
  }
  return cost;
}

const double = task({ name: 'double', run: (i: { n: number }) => i.n * 2 });
const many = (n: number) => Array.from({ length: n }, (_, i) => [['call', i], double, { n: i }] as const);

const inARow = (n: number) =>
  workflow({ name: 'in-a-row' }, (w) => ({
    sum: w.run('body', {}, async (_, ctx) => {
      let sum = 0;
      for (const call of many(n)) sum += await ctx.run(...call);
      return sum;
    }),
  }));

const atOnce = (n: number) =>
  workflow({ name: 'at-once' }, (w) => ({ sum: w.run('body', {}, async (_, ctx) => (await ctx.all(many(n))).reduce((a, b) => a + b, 0)) }));

async function costOf(one: Workflow<void, { sum: number }>, n: number): Promise<Cost> {
  const kit = testEngine({ use: [one, double] });
  await kit.settle();
  const cost = counted();
  const run = await kit.start(one);
  expect(await run.result()).toEqual({ sum: n * (n - 1) });
  const total = { ...cost };
  await kit.close();
  return total;
}

test.each([
  ['calls one after the other', inARow],
  ['calls of one ctx.all', atOnce],
])('twice as many %s cost twice as much', async (_, of) => {
  const [few, twice] = [await costOf(of(100), 100), await costOf(of(200), 200)];
  for (const what of ['statements', 'rows', 'written', 'bytes'] as const) {
    expect(twice[what] / few[what], what).toBeLessThan(2.2);
    expect(twice[what], what).toBeGreaterThan(few[what]);
  }
});

test('a thousand calls one after the other, and two thousand at once', { timeout: 60_000 }, async () => {
  expect((await costOf(inARow(1_000), 1_000)).rows).toBeLessThan(20_000);
  expect((await costOf(atOnce(2_000), 2_000)).rows).toBeLessThan(20_000);
});
