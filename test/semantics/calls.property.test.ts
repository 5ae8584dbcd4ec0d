import fc from 'fast-check';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { signal, task, workflow } from '../../src/index.ts';
import type { Ctx, Task } from '../../src/core/types/types.ts';
import { testEngine, type TestEngine } from '../../src/testing/index.ts';

/** A body as data: what it does, one after the other, at once, or in runs of its own. */
type Op =
  | { readonly kind: 'step' | 'sleep' | 'wait' | 'tool' }
  | { readonly kind: 'run' | 'row' | 'together'; readonly ops: readonly Op[] }
  | { readonly kind: 'all'; readonly n: number };

const { op } = fc.letrec<{ op: Op }>((tie) => ({
  op: fc.oneof(
    { maxDepth: 3, depthIdentifier: 'op', withCrossShrink: true },
    fc.record({ kind: fc.constantFrom('step' as const, 'sleep' as const, 'wait' as const, 'tool' as const) }),
    fc.record({ kind: fc.constant('all' as const), n: fc.integer({ min: 0, max: 5 }) }),
    fc.record({
      kind: fc.constantFrom('run' as const, 'row' as const, 'together' as const),
      ops: fc.array(tie('op'), { minLength: 1, maxLength: 4 }),
    }),
  ),
}));

interface World {
  readonly ctx: Pick<Ctx, 'step' | 'sleep' | 'wait' | 'run' | 'all'>;
  readonly tool: Task<{ at: string }, string>;
  readonly nested: Task<{ at: string; ops: readonly Op[] }, string>;
}

const message = signal('message', z.string());

/** `at`: where in the whole it stands, over all runs: the name of what it calls. */
async function play(one: Op, at: string, world: World): Promise<string> {
  const { ctx, tool, nested } = world;
  switch (one.kind) {
    case 'step':
      return ctx.step(at, async () => (await Promise.resolve(), `step ${at}`));
    case 'sleep':
      return (await ctx.sleep(at, `${1 + (at.length % 3)}h`), `slept ${at}`);
    case 'wait':
      return ctx.wait(at, message, { key: at });
    case 'tool':
      return ctx.run(at, tool, { at });
    case 'all':
      return (await ctx.all(Array.from({ length: one.n }, (_, i) => [`${at}.${i}`, tool, { at: `${at}.${i}` }] as const))).join();
    case 'run':
      return ctx.run(at, nested, { at, ops: one.ops });
    case 'row':
      return row(one.ops, at, world);
    case 'together':
      return `(${(await Promise.all(one.ops.map((each, i) => play(each, `${at}.${i}`, world)))).join()})`;
  }
}

async function row(ops: readonly Op[], at: string, world: World): Promise<string> {
  const all: string[] = [];
  for (const [i, each] of ops.entries()) all.push(await play(each, `${at}.${i}`, world));
  return `[${all.join()}]`;
}

/** What it comes to, said without an engine; `calls`: the runs that it makes, `waits`: the messages that it takes. */
async function expected(ops: readonly Op[]): Promise<{ value: string; calls: string[]; waits: string[] }> {
  const [calls, waits]: [string[], string[]] = [[], []];
  const called = async (name: string, input: { at: string; ops?: readonly Op[] }): Promise<string> => {
    calls.push(name);
    return input.ops === undefined ? `tool ${input.at}` : row(input.ops, input.at, world);
  };
  const world = {
    ctx: {
      step: (_: string, fn: () => Promise<string>) => fn(),
      sleep: async () => undefined,
      wait: async (name: string) => (waits.push(name), `message ${name}`),
      run: (name: string, _: unknown, input: { at: string }) => called(name, input),
      all: (list: readonly [string, unknown, { at: string }][]) => Promise.all(list.map(([name, , input]) => called(name, input))),
    },
  } as unknown as World;
  return { value: await row(ops, 'r', world), calls, waits };
}

/** The process dies at these commits, each counted from the one before; half of them when it has been written, half before. */
async function crashAt(kit: TestEngine, plan: readonly { readonly after: number; readonly written: boolean }[]): Promise<void> {
  const store = await kit.storeOf;
  const commit = store.commit.bind(store);
  const left = [...plan];
  let [count, isBooting] = [0, false];
  store.commit = async (batch) => {
    const [next] = left;
    // A process that has not begun to work yet has nothing to lose.
    if (next === undefined || isBooting || batch.runs.length + batch.steps.length === 0 || count++ < next.after) return commit(batch);
    left.shift();
    count = 0;
    if (next.written) await commit(batch);
    isBooting = true;
    void kit.reboot().then(() => (isBooting = false));
    return new Promise<never>(() => undefined);
  };
}

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
const crashes = fc.array(fc.record({ after: fc.integer({ min: 0, max: 25 }), written: fc.boolean() }), { maxLength: 2 });

test(
  'a body that calls, sleeps and waits gives the same with crashes as without, and calls each run once',
  { timeout: 120_000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(op, { minLength: 1, maxLength: 4 }), crashes, async (ops, plan) => {
        const tool = task({ name: 'tool', run: ({ at }: { at: string }) => `tool ${at}` });
        const nested: World['nested'] = task({
          name: 'nested',
          run: ({ at, ops: inner }: { at: string; ops: readonly Op[] }, ctx): Promise<string> => row(inner, at, { ctx, tool, nested }),
        });
        const one = workflow({ name: 'case' }, (w) => ({ out: w.run('body', {}, (_, ctx) => row(ops, 'r', { ctx, tool, nested })) }));
        const kit = testEngine({ use: [one, tool, nested], logger: silent });
        const { value, calls, waits } = await expected(ops);
        for (const key of waits) await kit.send(message, { key, data: `message ${key}` });
        const run = await kit.start(one);
        await crashAt(kit, plan);
        await kit.clock.advance('3d');
        expect(await run.status()).toMatchObject({ status: 'success' });
        expect(await run.result()).toEqual({ out: value });
        const { runs } = await kit.runs.list({ parts: true, limit: 500 });
        expect(runs.length - 1).toBe(calls.length);
        expect(runs.map(({ status }) => status)).toEqual(runs.map(() => 'success'));
        await kit.close();
      }),
      { numRuns: 60 },
    );
  },
);
