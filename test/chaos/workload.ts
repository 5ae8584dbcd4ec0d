/** The mixed workload: every run of it ends as success, whatever is killed in between. */
import type * as pawl from '../../src/index.ts';
import type { Bodies } from './bodies.ts';

export type Pawl = typeof pawl;

export const KINDS = ['chain', 'fan', 'flaky', 'steps'] as const;
export type Kind = (typeof KINDS)[number];

/** One run is a fan for about so many of the others: a fan is 50 bodies, the others are three. */
export const MIX: readonly [Kind, ...Kind[]] = ['chain', 'chain', 'chain', 'chain', 'flaky', 'flaky', 'flaky', 'steps', 'steps', 'fan'];

const FAN_ITEMS = 50;
/** Every so many items of a fan fail at their first attempt. */
const FLAKY_ITEM = 17;
const RETRY = { maxAttempts: 5, initial: '5ms', maxDelay: '40ms', factor: 2 } as const;

interface Input {
  readonly n: number;
}

const INPUT: pawl.Schema<Input> = { '~standard': { version: 1, vendor: 'chaos', validate: (value) => ({ value }) } };

class Hiccup extends Error {}

function failOnce(ctx: pawl.Ctx): void {
  if (ctx.attempt === 1) throw new Hiccup(`${ctx.task} fails once`);
}

/** What a run gives, and gives again. */
export const expectedOutput: Readonly<Record<Kind, (n: number) => number>> = {
  chain: (n) => (n + 1) * 2 + 3,
  fan: (n) => Array.from({ length: FAN_ITEMS }, (_, i) => n + i).reduce((sum, value) => sum + 2 * value, 0),
  flaky: (n) => n + 3,
  steps: (n) => n + 30,
};

type Workload = Readonly<Record<Kind, pawl.Workflow<Input, number>>>;

/** Built with the engine under test, which may be a copy with a planted fault. */
export function makeWorkload({ task, workflow }: Pawl, bodies: Bodies): Workload {
  const define = (name: Kind): { name: Kind; input: typeof INPUT } => ({ name, input: INPUT });

  const chain = workflow(define('chain'), (w, { n }) => {
    const first = w.run('first', { n }, (i, ctx) => bodies.run(ctx, -1, () => i.n + 1));
    const second = w.run('second', { first }, (i, ctx) => bodies.run(ctx, -1, () => i.first * 2));
    return w.run('third', { second }, (i, ctx) => bodies.run(ctx, -1, () => i.second + 3));
  });

  const double = task({
    name: 'double',
    retry: RETRY,
    run: ({ i, n }: { i: number; n: number }, ctx): Promise<number> =>
      bodies.run(ctx, i, () => {
        if (i % FLAKY_ITEM === 0) failOnce(ctx);
        return n * 2;
      }),
  });
  const fan = workflow(define('fan'), (w, { n }) => {
    const list = w.run('list', { n }, (i, ctx) =>
      bodies.run(ctx, -1, () => Array.from({ length: FAN_ITEMS }, (_, at) => ({ i: at, n: i.n + at }))),
    );
    const all = w.map(list, double, (item) => ({ i: item.i, n: item.n }));
    return w.run('sum', { all }, (i, ctx) => bodies.run(ctx, -1, () => i.all.reduce((sum, value) => sum + value, 0)));
  });

  const flaky = workflow(define('flaky'), (w, { n }) => {
    const before = w.run('before', { n }, (i, ctx) => bodies.run(ctx, -1, () => i.n + 1));
    const hiccup = w.run(
      'hiccup',
      { before },
      (i, ctx) =>
        bodies.run(ctx, -1, () => {
          failOnce(ctx);
          return i.before + 1;
        }),
      { retry: RETRY },
    );
    return w.run('after', { hiccup }, (i, ctx) => bodies.run(ctx, -1, () => i.hiccup + 1));
  });

  const steps = workflow(define('steps'), (w, { n }) =>
    w.run(
      'stepper',
      { n },
      (i, ctx) =>
        bodies.run(ctx, -1, async () => {
          const one = await bodies.step(ctx, 'one', () => i.n + 10);
          const two = await bodies.step(ctx, 'two', () => one + 10);
          failOnce(ctx);
          return bodies.step(ctx, 'three', () => two + 10);
        }),
      { retry: RETRY },
    ),
  );

  return { chain, fan, flaky, steps };
}
