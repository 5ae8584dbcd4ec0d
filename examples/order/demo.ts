/**
 * Two orders in a real file: one is shipped, the other has no address and is undone.
 *
 *   node examples/order/demo.ts
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createEngine, NonRetryableError } from '../../src/index.ts';
import { charge, order, refund, release, reserve, ship } from './workflow.ts';

const folder = mkdtempSync(join(tmpdir(), 'pawl-order-'));
const engine = createEngine({
  store: `sqlite:${join(folder, 'orders.db')}`,
  use: [
    order,
    reserve.implement(({ orderId, sku, qty }) => {
      console.log(`${orderId}  reserve ${qty} ${sku}`);
      return { holdId: `hold of ${sku}` };
    }),
    charge.implement(({ orderId, cents }) => {
      console.log(`${orderId}  charge ${cents} cents`);
      return { paymentId: `payment of ${orderId}` };
    }),
    ship.implement(({ orderId }) => {
      if (orderId !== 'o-1') throw new NonRetryableError('there is no such address');
      console.log(`${orderId}  ship`);
      return { tracking: 'T-1' };
    }),
    refund.implement(({ input, output }) => console.log(`${input.orderId}  refund ${output.paymentId}`)),
    release.implement(({ input, output }) => console.log(`${input.orderId}  release ${output.holdId}`)),
  ],
  // One at a time, so that it prints the same every time.
  concurrency: 1,
});
await engine.work();

const lines = [
  { sku: 'pot', qty: 1 },
  { sku: 'cup', qty: 4 },
];
const good = await engine.start(order, { id: 'o-1', cents: 12_000, lines }, { key: 'o-1' });
console.log(await good.result());

const lost = await engine.start(order, { id: 'o-2', cents: 12_000, lines }, { key: 'o-2' });
await lost.result().catch((error: unknown) => console.log(String(error)));
console.log((await lost.why()).sentence);

await engine.close();
rmSync(folder, { recursive: true });
