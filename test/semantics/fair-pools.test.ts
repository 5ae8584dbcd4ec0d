import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createEngine, workflow } from '../../src/index.ts';
import { silent } from '../engine/kit.ts';
import { anyText, endAll, engineWith, flowOf, gate } from './capacity-kit.ts';

const names = (prefix: string, n: number): string[] => Array.from({ length: n }, (_, i) => `${prefix}${i}`);

/** A workflow whose runs have as many items as their input says, named after it: 'a:100'. */
function listOf(job: ReturnType<typeof gate>['task']) {
  return workflow({ name: 'list', input: anyText }, (w, input) => {
    const all = w.run('all', { input }, ({ input: text }) => names(text.split(':')[0] ?? '', Number(text.split(':')[1])));
    return w.map(all, job, (id) => id);
  });
}

/** Ends what runs, the longest first, one at a time, until `done`; how many ended. */
async function endUntil(engine: ReturnType<typeof engineWith>, job: ReturnType<typeof gate>, done: () => Promise<boolean>) {
  let ended = 0;
  for (; ended < 300 && !(await done()); ended++) {
    job.end(job.running()[0] ?? '');
    await engine.settle();
  }
  return ended;
}

/** How many attempts end before a run of 3 items does, which comes after one of 100. */
async function waitOfSmall(db: number | { units: number; fair?: 'run' | 'key' }): Promise<number> {
  const job = gate('job', { pools: { db: 1 } });
  const flow = listOf(job.task);
  const engine = engineWith({ use: [flow], limits: { db } });
  await engine.start(flow, 'a:100');
  await engine.settle();
  await engine.clock.advance('1s');
  const small = await engine.start(flow, 'b:3');
  await engine.settle();
  const ended = await endUntil(engine, job, async () => (await small.status()).status === 'success');
  expect(job.most()).toBe(2);
  await endAll(engine, job);
  expect(job.begun).toHaveLength(103);
  expect((await engine.limits.list())[0]?.held).toBe(0);
  return ended;
}

describe('pools that are fair between runs', () => {
  test('a short run ends long before a long one that was queued first', async () => {
    expect(await waitOfSmall({ units: 2, fair: 'run' })).toBeLessThanOrEqual(8);
  });

  test('the control: without it the short run waits for the long one', async () => {
    expect(await waitOfSmall(2)).toBeGreaterThan(95);
    expect(await waitOfSmall({ units: 2 })).toBeGreaterThan(95);
  });

  test('of a large pool two runs hold half each, and a run alone all of it', async () => {
    const job = gate('job', { pools: { db: 1 } });
    const flow = listOf(job.task);
    const engine = engineWith({ use: [flow], limits: { db: { units: 6, fair: 'run' } } });
    const held = (of: string): number => job.running().filter((id) => id.startsWith(of)).length;
    await engine.start(flow, 'a:50');
    await engine.settle();
    expect(held('a')).toBe(6);
    await engine.start(flow, 'b:50');
    for (let i = 0; i < 6; i++) {
      await engine.settle();
      job.end(job.running().find((id) => id.startsWith('a')) ?? '');
    }
    for (let i = 0; i < 10; i++) {
      await engine.settle();
      expect([held('a'), held('b')]).toEqual([3, 3]);
      job.end(job.running()[i % 6] ?? '');
    }
    await endAll(engine, job);
  });

  test.each([1, 2])('of a pool of so many units (%i) all of three runs and more have their turns, one after the other', async (units) => {
    const job = gate('job', { pools: { db: 1 } });
    const flow = listOf(job.task);
    const engine = engineWith({ use: [flow], limits: { db: { units, fair: 'run' } } });
    for (const of of ['a:12', 'b:12', 'c:12']) await engine.start(flow, of);
    await engine.settle();
    await endUntil(engine, job, async () => job.begun.length >= 15);
    await engine.start(flow, 'd:3');
    await engine.settle();
    await endUntil(engine, job, async () => job.begun.length >= 28);
    const counts = ['a', 'b', 'c', 'd'].map((of) => job.begun.filter((id) => id.startsWith(of)).length);
    expect(counts[3]).toBe(3);
    expect(Math.max(...counts.slice(0, 3)) - Math.min(...counts.slice(0, 3))).toBeLessThanOrEqual(2);
    await endAll(engine, job);
  });

  test('whose turn it is outlives every crash', async () => {
    const job = gate('job', { pools: { db: 1 } });
    const flow = listOf(job.task);
    const engine = engineWith({ use: [flow], limits: { db: { units: 1, fair: 'run' } }, maxLost: 10, logger: silent });
    for (const of of ['a:6', 'b:6', 'c:6']) await engine.start(flow, of);
    await engine.settle();
    const done: string[] = [];
    for (let turn = 0; turn < 9; turn++) {
      // What a crash takes back has had its turn: the next one is another's.
      await engine.reboot({ after: '5m' });
      await engine.settle();
      const [one] = job.running().slice(-1);
      done.push(one?.charAt(0) ?? '-');
      job.end(one ?? '');
      await engine.settle();
    }
    for (const of of ['a', 'b', 'c']) expect(done.filter((one) => one === of).length, done.join('')).toBeGreaterThanOrEqual(2);
    await endAll(engine, job);
  });

  test('a run goes on though new runs come all the time', async () => {
    const job = gate('job', { pools: { db: 1 } });
    const flow = listOf(job.task);
    const engine = engineWith({ use: [flow], limits: { db: { units: 1, fair: 'run' } } });
    await engine.start(flow, 'a:5');
    await engine.start(flow, 'x:1');
    for (let turn = 0; turn < 20; turn++) {
      await engine.start(flow, `n${turn}.:2`);
      await engine.clock.advance('1s');
      job.end(job.running()[0] ?? '');
      await engine.settle();
    }
    expect(job.begun.filter((id) => id.startsWith('a')).length).toBeGreaterThanOrEqual(3);
    await endAll(engine, job);
  });

  test('a large task of a run with little is not starved by runs that come later', async () => {
    const small = gate('small', { pools: { db: 1 } });
    const large = gate('large', { pools: { db: 3 } });
    const flows = [flowOf('s', small.task), flowOf('l', large.task)] as const;
    const engine = engineWith({ use: [...flows], limits: { db: { units: 3, fair: 'run' } } });
    let n = 0;
    const startSmall = async (): Promise<void> => void (await engine.start(flows[0], String(n++)));
    for (let i = 0; i < 6; i++) await startSmall();
    await engine.settle();
    await engine.start(flows[1], 'big');
    for (let turn = 0; turn < 60 && large.begun.length === 0; turn++) {
      await startSmall();
      small.end(small.running()[0] ?? '');
      await engine.clock.advance('2s');
    }
    expect(large.begun).toEqual(['big']);
    await endAll(engine, small, large);
  });

  test('a serial key is served in the order of submission all the same, also where a later run holds less', async () => {
    const other = gate('other', { pools: { db: 1 } });
    const job = gate('job', { pools: { db: 1 }, concurrency: { key: 'k', limit: 1, order: 'serial' } });
    const both = workflow({ name: 'both', input: anyText }, (w, input) => [
      w.run(other.task, input),
      w.map(names('a', 3), job.task, (id) => id),
    ]);
    const late = flowOf('late', job.task);
    const engine = engineWith({ use: [both, late], limits: { db: { units: 3, fair: 'run' } } });
    await engine.start(both, 'o');
    await engine.settle();
    await engine.clock.advance('1s');
    for (const id of ['b0', 'b1']) await engine.start(late, id);
    await endUntil(engine, job, async () => job.begun.length === 5);
    expect(other.running()).toEqual(['o']);
    expect(job.begun).toEqual([...names('a', 3), 'b0', 'b1']);
    await endAll(engine, job, other);
  });

  test('it holds after a crash, and after a pause', async () => {
    const job = gate('job', { pools: { db: 1 } });
    const flow = listOf(job.task);
    const engine = engineWith({ use: [flow], limits: { db: { units: 2, fair: 'run' } }, maxLost: 10, logger: silent });
    const long = await engine.start(flow, 'a:40');
    await engine.settle();
    const small = await engine.start(flow, 'b:4');
    await engine.settle();
    await engine.reboot();
    await engine.settle();
    await engine.clock.advance('2m');
    expect(
      job
        .running()
        .slice(-2)
        .map((id) => id.charAt(0))
        .toSorted(),
    ).toEqual(['a', 'b']);
    await (await engine.runs.find(long.id)).pause();
    await engine.settle();
    await (await engine.runs.find(long.id)).resume();
    await engine.settle();
    const again = await engine.runs.find(small.id);
    const ended = await endUntil(engine, job, async () => (await again.status()).status === 'success');
    expect(ended).toBeLessThan(20);
    await endAll(engine, job);
  });
});

describe('a run that moves to another version', () => {
  test('keeps its line: the runs have their turns there, whatever the numbers of the tasks', async () => {
    const job = gate('job', { pools: { db: 1 } });
    const hold = gate('hold', { pools: { db: 2 } });
    const version = (text: string, isNew: boolean) =>
      workflow({ name: 'list', version: text, input: anyText }, (w, input) => {
        if (isNew) w.run('new', { input }, () => 1);
        const ids = w.run('ids', { input }, ({ input: of }) => names(of, of === 'a' ? 20 : 3));
        return w.map(ids, job.task, (id) => id);
      });
    const holder = flowOf('holder', hold.task);
    const first = version('1', false);
    const engine = engineWith({
      use: [first, holder],
      limits: { db: { units: 2, fair: 'run' } },
      maxLost: 5,
      logger: silent,
    });
    await engine.start(holder, 'h');
    await engine.settle();
    const runs = [];
    for (const of of ['a', 'b']) {
      runs.push((await engine.start(first, of)).id);
      await engine.settle();
      await engine.clock.advance('1s');
    }
    expect(job.begun).toEqual([]);
    await engine.reboot({ use: [version('2', true), holder] });
    await engine.clock.advance('2m');
    for (const id of runs) expect((await (await engine.runs.find(id)).status()).version).toBe('2');
    expect(job.begun).toEqual([]);
    hold.end('h');
    await engine.settle();
    expect(job.running().toSorted()).toEqual(['a0', 'b0']);
    const short = await engine.runs.find(runs[1] ?? '');
    expect(await endUntil(engine, job, async () => (await short.status()).status === 'success')).toBeLessThanOrEqual(8);
    await endAll(engine, job, hold);
    expect(job.begun).toHaveLength(23);
  });
});

describe('pools that are fair between keys', () => {
  test('the keys of a pool have it in turn, whatever run their tasks are of, and tasks without a key count as one', async () => {
    const keyed = (key: string) => gate(`of-${key}`, { pools: { db: 1 }, concurrency: { key, limit: 50 } });
    const [a, b, none] = [keyed('a'), keyed('b'), gate('none', { pools: { db: 1 } })];
    const flows = [a, b, none].map((one, i) => flowOf(`f${i}`, one.task));
    const count = async (db: number | { units: number; fair: 'key' }): Promise<number[]> => {
      const engine = engineWith({ use: flows, limits: { db } });
      const before = [a, b, none].map((one) => one.begun.length);
      for (const [i, flow] of flows.entries()) {
        for (const id of names('x', 20)) await engine.start(flow, `${id}-${i}`);
        await engine.clock.advance('1s');
      }
      for (let turn = 0; turn < 12; turn++) {
        await engine.settle();
        for (const one of [a, b, none])
          one
            .running()
            .slice(0, 1)
            .forEach((id) => one.end(id));
      }
      const begun = [a, b, none].map((one, i) => one.begun.length - (before[i] ?? 0));
      await endAll(engine, a, b, none);
      return begun;
    };
    const fair = await count({ units: 3, fair: 'key' });
    expect(Math.min(...fair)).toBeGreaterThanOrEqual(10);
    const byRank = await count(3);
    expect(byRank[2]).toBe(0);
  });
});

describe('what is declared', () => {
  test('is listed, survives what an operator sets, and changes with the code', async () => {
    const engine = engineWith({ use: [flowOf('flow', gate('job', { pools: { db: 1 } }).task)], limits: { db: { units: 2, fair: 'run' } } });
    expect(await engine.limits.list()).toEqual([{ kind: 'pool', name: 'db', value: 2, code: 2, fair: 'run', held: 0 }]);
    await engine.limits.set('db', 4);
    expect(await engine.limits.list()).toEqual([{ kind: 'pool', name: 'db', value: 4, code: 2, operator: 4, fair: 'run', held: 0 }]);
    await engine.limits.clear('db');
    expect((await engine.limits.list())[0]).toMatchObject({ value: 2, fair: 'run' });
  });

  test('is refused where it is wrong, all of it at once', () => {
    const withLimit = (db: unknown) => () => createEngine({ store: 'sqlite::memory:', use: [], limits: { db } as never });
    expect(withLimit({ units: 2, fair: 'task' })).toThrow(/limits\.db\.fair: must be 'run' or 'key' where it is given, not "task"/);
    for (const units of [1.5, -1, Number.NaN, '3', undefined, 1e7])
      expect(withLimit({ units })).toThrow(/limits\.db\.units: must be a whole number/);
    expect(withLimit({ units: 0.5, fair: 7, far: 1 })).toThrow(/units.*fair.*limits\.db\.far: there is no such option/);
    for (const db of [[], {}]) expect(withLimit(db)).toThrow(/limits\.db\.units/);
    expect(withLimit(null)).toThrow(/limits\.db/);
  });
});

test(
  'no run gets a unit while another that fits waits with less, whatever the sizes, priorities and ends',
  { timeout: 60_000 },
  async () => {
    const cases = fc.record({
      units: fc.integer({ min: 1, max: 5 }),
      runs: fc.array(fc.record({ items: fc.integer({ min: 1, max: 6 }), priority: fc.nat({ max: 3 }) }), { minLength: 2, maxLength: 5 }),
      ends: fc.array(fc.nat({ max: 10 }), { maxLength: 12 }),
    });
    const play = async ({ units, runs, ends }: typeof cases extends fc.Arbitrary<infer T> ? T : never): Promise<void> => {
      const job = gate('job', { pools: { db: 1 } });
      const flow = listOf(job.task);
      const engine = engineWith({ use: [flow], limits: { db: { units, fair: 'run' } } });
      const held = (run: number): number => job.running().filter((id) => id.startsWith(`r${run}.`)).length;
      for (const [i, { items, priority }] of runs.entries()) await engine.start(flow, `r${i}.:${items}`, { priority });
      await engine.settle();
      for (const pick of ends) {
        const before = runs.map((_, i) => held(i));
        const one = job.running()[pick % Math.max(1, job.running().length)];
        if (one === undefined) break;
        const ended = Number(/^r(\d+)/.exec(one)?.[1]);
        before[ended] = (before[ended] ?? 0) - 1;
        job.end(one);
        await engine.settle();
        const gained = runs.findIndex((_, i) => held(i) > (before[i] ?? 0));
        if (gained < 0) continue;
        for (const [i, { items }] of runs.entries()) {
          const waits = job.begun.filter((id) => id.startsWith(`r${i}.`)).length < items;
          if (i !== gained && waits) expect(before[i]).toBeGreaterThanOrEqual(before[gained] ?? 0);
        }
      }
      await endAll(engine, job);
      await engine.close();
    };
    await fc.assert(fc.asyncProperty(cases, play), { numRuns: 25 });
  },
);
