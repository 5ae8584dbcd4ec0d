import { z } from 'zod';
import { createEngine, task, workflow } from '../../src/index.ts';

const load = task({ name: 'load', input: z.object({ id: z.string() }), output: z.object({ total: z.number() }) });
const plain = task({ name: 'plain', run: async (i: { s: string }) => i.s });
const order = workflow({ name: 'order', input: z.object({ id: z.string() }) }, (w, input) => ({
  total: w.run(load, { id: input.id }).total,
}));
const nothing = workflow({ name: 'nothing' }, () => ({}));
const engine = createEngine({ store: 'sqlite::memory:', use: [order, nothing, plain, load.implement(() => ({ total: 1 }))] });

const run = await engine.start(order, { id: 'a' }, { key: 'k', tags: ['web'] });
const { total } = await run.result({ timeout: '1m' });
export const n: number = total;
const loaded = await run.output(load);
export const m: number | undefined = loaded?.total;
const text = await run.output(plain);
export const t: string | undefined = text;
await engine.start(nothing);

// @ts-expect-error the input has another type
await engine.start(order, { id: 5 });
// @ts-expect-error an input is missing
await engine.start(order);
// @ts-expect-error no such duration
await run.result({ timeout: 'soon' });
// @ts-expect-error an output of another type
export const wrong: number | undefined = await run.output(plain);
