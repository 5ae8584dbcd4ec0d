import { pathToFileURL } from 'node:url';
import { createEngine, type Engine, type Registrable, type Run, type Workflow } from '../../src/index.ts';
import { silent } from '../engine/kit.ts';
import { LIBRARY, normal, pawl, Place, type Called } from './kit.ts';

/** Workflows that fail in every way that can be mended. A payment above 100 cents fails for good. */
const ENTRY = `import { z } from 'zod';
import { NonRetryableError, task, workflow } from '${LIBRARY}';

const pay = task({
  name: 'pay',
  input: z.object({ id: z.string(), cents: z.number() }),
  output: z.object({ paid: z.number() }),
  run: ({ id, cents }) => {
    if (cents > 100) throw new NonRetryableError('503 from \\u652f\\u6255\\u3044 for ' + id, { code: 'GATEWAY_DOWN', cause: new Error('connect ECONNREFUSED') });
    return { paid: cents };
  },
});
const Order = z.object({ id: z.string(), cents: z.number() });
export const order = workflow({ name: 'order', version: '7', input: Order }, (w, input) => {
  const load = w.run('load', { id: input.id }, ({ id }) => ({ id }));
  const paid = w.run(pay, { id: load.id, cents: input.cents });
  return { receipt: w.run('receipt', { paid: paid.paid }, ({ paid }) => 'receipt for ' + paid) };
});

const pack = task({
  name: 'pack',
  run: ({ n }: { n: number }) => {
    if (n < 0) throw new NonRetryableError('no box for ' + n, { code: 'NO_BOX' });
    return n;
  },
});
export const lot = workflow({ name: 'lot', version: '1', input: z.object({ sizes: z.array(z.number()) }) }, (w, input) =>
  w.map(input.sizes, pack, (n) => ({ n })),
);

export const shipped = Promise.withResolvers();
const ship = task({
  name: 'ship',
  effects: 'unsafe',
  run: async (_: object, ctx) => {
    shipped.resolve();
    await new Promise((_, reject) => ctx.signal.addEventListener('abort', () => reject(ctx.signal.reason), { once: true }));
  },
});
export const shipping = workflow({ name: 'shipping', version: '1' }, (w) => w.run(ship, {}));
export const trip = workflow({ name: 'trip', version: '1' }, (w) => {
  const flight = w.run('flight', {}, () => 'F-1', { compensate: () => { throw new NonRetryableError('not refundable'); } });
  return { hotel: w.run('hotel', { flight }, () => { throw new NonRetryableError('fully booked'); }) };
});
export const later = workflow({ name: 'later', version: '1' }, (w) => w.run('never', {}, () => 0));
`;

interface Entry {
  readonly order: Workflow<{ id: string; cents: number }, unknown>;
  readonly lot: Workflow<{ sizes: readonly number[] }, unknown>;
  readonly shipping: Workflow<void, unknown>;
  readonly later: Workflow<void, unknown>;
  /** Fails, and so does what was to undo it. */
  readonly trip: Workflow<void, unknown>;
  /** Resolved by the body of `shipping`, which then waits until it is cancelled. */
  readonly shipped: PromiseWithResolvers<void>;
}

/** A place with a worker on its store, in this process. */
export class Shop {
  readonly place: Place;
  readonly engine: Engine;
  readonly flows: Entry;

  private constructor(place: Place, engine: Engine, flows: Entry) {
    this.place = place;
    this.engine = engine;
    this.flows = flows;
  }

  static async open(): Promise<Shop> {
    const place = new Place({ 'pawl.ts': ENTRY });
    const flows = (await import(pathToFileURL(place.file('pawl.ts')).href)) as Entry;
    const use: Registrable[] = [flows.order, flows.lot, flows.shipping, flows.trip, flows.later];
    const engine = createEngine({ store: place.store, use, durability: 'fast', logger: silent });
    await engine.work();
    return new Shop(place, engine, flows);
  }

  async close(): Promise<void> {
    await this.engine.close();
    this.place.remove();
  }

  /** An order that has failed. */
  async failed(cents = 4_200): Promise<Run<unknown>> {
    return this.ended(await this.engine.start(this.flows.order, { id: 'o-81', cents }));
  }

  async failedLot(sizes: readonly number[]): Promise<Run<unknown>> {
    return this.ended(await this.engine.start(this.flows.lot, { sizes }));
  }

  async ended(run: Run<unknown>): Promise<Run<unknown>> {
    await run.result().catch(() => undefined);
    return run;
  }

  call(...argv: readonly string[]): Promise<Called> {
    return pawl(this.place, argv, { env: { NO_COLOR: '1' } });
  }

  /** All that a command leaves, in a pipe. */
  async said(...argv: readonly string[]): Promise<string> {
    return this.text(await this.call(...argv));
  }

  /** As `said`, on a terminal; wide, so that no length of time decides where a line is broken. */
  async shown(...argv: readonly string[]): Promise<string> {
    return this.text(await pawl(this.place, argv, { env: { NO_COLOR: '1' }, terminal: { columns: 160, rows: 24 } }));
  }

  private text({ exit, stdout, stderr }: Called): string {
    const answer = normal(stdout, this.place).replace(/^[0-9a-hjkmnp-tv-z]{10}(?=\/)/gm, '<start of id>');
    return `${answer}${stderr === '' ? '' : `--\n${normal(stderr, this.place)}`}exit ${exit}\n`;
  }

  /** The exit code, and the code of the error where there is one. */
  async refused(...argv: readonly string[]): Promise<string> {
    const { exit, stderr } = await this.call(...argv);
    return `${exit} ${/^[A-Z]+(?:_[A-Z]+)+/.exec(stderr)?.[0] ?? ''}`.trim();
  }
}
