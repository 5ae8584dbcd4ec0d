import fc from 'fast-check';
import { expect, test } from 'vitest';
import { task, workflow } from '../../src/index.ts';
import { testEngine } from '../../src/testing/index.ts';
import { silent } from '../engine/kit.ts';
import { anyText } from './capacity-kit.ts';

const POOLS = ['a', 'b', 'c'] as const;
const KEYS = ['k', 'l'] as const;

interface Kind {
  readonly units: readonly number[];
  readonly key: number | null;
  readonly serial: boolean;
}

interface Case {
  readonly capacities: readonly number[];
  readonly keyLimit: number;
  readonly kinds: readonly Kind[];
  readonly runs: readonly { readonly kind: number; readonly priority: number }[];
  readonly acts: readonly { readonly what: 'end' | 'fail' | 'reboot' | 'time' | 'set'; readonly pick: number }[];
}

const cases: fc.Arbitrary<Case> = fc.record({
  capacities: fc.tuple(...POOLS.map(() => fc.integer({ min: 2, max: 4 }))),
  keyLimit: fc.integer({ min: 1, max: 2 }),
  kinds: fc.array(
    fc.record({
      units: fc.tuple(...POOLS.map(() => fc.nat({ max: 2 }))),
      key: fc.option(fc.nat({ max: KEYS.length - 1 })),
      serial: fc.boolean(),
    }),
    { minLength: 2, maxLength: 4 },
  ),
  runs: fc.array(fc.record({ kind: fc.nat({ max: 3 }), priority: fc.nat({ max: 3 }) }), { minLength: 4, maxLength: 14 }),
  acts: fc.array(fc.record({ what: fc.constantFrom('end', 'end', 'end', 'fail', 'reboot', 'time', 'set'), pick: fc.nat({ max: 100 }) }), {
    maxLength: 25,
  }),
});

/** What runs in the process that lives, and what of it the engine says that is held. */
async function play({ capacities, keyLimit, kinds, runs, acts }: Case): Promise<void> {
  const running = new Map<string, { kind: Kind; end: () => void; fail: () => void }>();
  const tasks = kinds.map((kind, i) =>
    task({
      name: `t${i}`,
      pools: Object.fromEntries(POOLS.flatMap((pool, at) => ((kind.units[at] ?? 0) > 0 ? [[pool, kind.units[at] ?? 0]] : []))),
      ...(kind.key === null
        ? {}
        : { concurrency: { key: KEYS[kind.key] ?? 'k', limit: keyLimit, ...(kind.serial ? { order: 'serial' as const } : {}) } }),
      retry: { maxAttempts: 50, initial: '1s', jitter: 'none' },
      timeout: '100h',
      run: (id: string) =>
        new Promise<string>((resolve, reject) => {
          running.set(id, {
            kind,
            end: () => (running.delete(id), resolve(id)),
            fail: () => (running.delete(id), reject(new Error('no'))),
          });
        }),
    }),
  );
  const flows = tasks.map((one, i) => workflow({ name: `f${i}`, input: anyText }, (w, input) => w.run(one, input)));
  const limits = Object.fromEntries(POOLS.map((pool, i) => [pool, capacities[i] ?? 1]));
  const engine = testEngine({ use: flows, limits, maxLost: 100, logger: silent });
  const most = [...capacities];
  const check = async (): Promise<void> => {
    await engine.settle();
    const held = POOLS.map((_, at) => [...running.values()].reduce((sum, { kind }) => sum + (kind.units[at] ?? 0), 0));
    held.forEach((units, at) => expect(units).toBeLessThanOrEqual(most[at] ?? 0));
    for (const at of KEYS.keys()) {
      expect([...running.values()].filter(({ kind }) => kind.key === at).length).toBeLessThanOrEqual(keyLimit);
    }
    const listed = new Map((await engine.limits.list()).map(({ name, held: units }) => [name, units]));
    expect(POOLS.map((pool) => listed.get(pool))).toEqual(held);
  };
  try {
    const started = [];
    for (const [i, { kind, priority }] of runs.entries()) {
      const flow = flows[kind % flows.length];
      if (flow !== undefined) started.push(await engine.start(flow, String(i), { priority }));
    }
    await check();
    for (const { what, pick } of acts) {
      const one = [...running.values()][pick % Math.max(1, running.size)];
      if (what === 'reboot') {
        running.clear();
        await engine.reboot();
      } else if (what === 'time') await engine.clock.advance('31s');
      else if (what === 'set') {
        const at = pick % POOLS.length;
        most[at] = Math.max(most[at] ?? 0, 2 + (pick % 4));
        await engine.limits.set(POOLS[at] ?? 'a', 2 + (pick % 4));
      } else if (what === 'fail') one?.fail();
      else one?.end();
      await check();
    }
    // Whatever happened, everything has its turn.
    for (let turn = 0; turn < 200; turn++) {
      for (const one of running.values()) one.end();
      await engine.clock.advance('5m');
      if ((await engine.runs.list({ status: ['running', 'queued'] })).runs.length === 0) break;
    }
    expect(await Promise.all(started.map(async (run) => (await run.status()).status))).toEqual(started.map(() => 'success'));
    expect((await engine.limits.list()).every((limit) => limit.held === 0)).toBe(true);
  } finally {
    await engine.close();
  }
}

test(
  'never more is held than there is, what is held is what runs, and nothing starves, whatever ends, fails or dies in which order',
  { timeout: 120_000 },
  async () => {
    await fc.assert(fc.asyncProperty(cases, play), { numRuns: 40 });
  },
);
