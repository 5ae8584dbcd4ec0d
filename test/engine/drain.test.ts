import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { createEngine, workflow, type Ctx, type Engine } from '../../src/index.ts';
import { Place } from '../cli/kit.ts';
import { silent } from './kit.ts';

let place: Place;
const open: Engine[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((engine) => engine.close()));
  place.remove();
});

/** A worker that drains while the body is at work, and another one on the same store behind it. */
async function drained(
  body: (ctx: Ctx) => Promise<unknown>,
  options: { effects?: 'unsafe' } = {},
): Promise<{ tasks: string; begun: number }> {
  place = new Place({});
  let begun = 0;
  let hasBegun = (): void => undefined;
  const flow = workflow({ name: 'flow' }, (w) =>
    w.run(
      'a',
      {},
      async (_, ctx) => {
        hasBegun();
        if (++begun > 1) return 'done';
        return String(await body(ctx));
      },
      { retry: { maxAttempts: 1 }, ...options },
    ),
  );
  const engineOf = (): Engine => {
    const engine = createEngine({ store: place.store, use: [flow], logger: silent, durability: 'fast', drain: '10s' });
    open.push(engine);
    return engine;
  };
  const first = engineOf();
  const began = new Promise<void>((resolve) => (hasBegun = resolve));
  await first.work();
  const { id } = await first.start(flow);
  await began;
  await first.close();
  const second = engineOf();
  await second.work();
  const run = await second.get(id);
  await run.result().catch(() => undefined);
  const [task] = await run.tasks();
  return { tasks: `${task?.status}${task?.reason === undefined ? '' : `: ${task.reason}`} after ${task?.attempt}`, begun };
}

test.each([
  ['its reason', (ctx: Ctx) => new Promise((_, fail) => ctx.signal.addEventListener('abort', () => fail(ctx.signal.reason as Error)))],
  ["a timer's AbortError", (ctx: Ctx) => sleep(60_000, 'late', { signal: ctx.signal })],
  ['in a step', (ctx: Ctx) => ctx.step('wait', () => sleep(60_000, 'late', { signal: ctx.signal }))],
] as const)(
  'a body that heeds the abort signal of a draining worker has not failed: the same attempt goes on elsewhere (%s)',
  async (_, body) => {
    expect(await drained(body)).toEqual({ tasks: 'success after 1', begun: 2 });
  },
);

test('a body that fails of its own while the worker drains has failed', async () => {
  const body = (ctx: Ctx): Promise<unknown> =>
    new Promise((_, fail) => ctx.signal.addEventListener('abort', () => fail(new Error('the disk is full'))));
  expect(await drained(body)).toEqual({ tasks: 'failed: error after 1', begun: 1 });
});

test('an unsafe body that heeds the signal has an unknown outcome', async () => {
  const body = (ctx: Ctx): Promise<unknown> => sleep(60_000, 'late', { signal: ctx.signal });
  expect(await drained(body, { effects: 'unsafe' })).toEqual({ tasks: 'failed: outcome_unknown after 1', begun: 1 });
});
