/**
 * Two purchases in a real file: one is rejected, one approved, at the second try: the first answer lacks a field.
 *
 *   node examples/approval/demo.ts
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createEngine, isPawlError } from '../../src/index.ts';
import { placeOrder, purchase, tell } from './workflow.ts';

const folder = mkdtempSync(join(tmpdir(), 'pawl-approval-'));
const engine = createEngine({
  store: `sqlite:${join(folder, 'approval.db')}`,
  use: [
    purchase,
    placeOrder.implement(({ purchase: { id } }) => ({ orderNumber: `PO-${id}` })),
    tell.implement(({ to, text }) => console.log(`mail to ${to}: ${text}`)),
  ],
});
await engine.work();

const kettle = await engine.start(purchase, { id: '1', what: 'a kettle', cents: 4_900, requester: 'ada' }, { key: '1' });
const yacht = await engine.start(purchase, { id: '2', what: 'a yacht', cents: 490_000_000, requester: 'bob' }, { key: '2' });

// Another process could do all of the following: it is `pawl approve` and `pawl reject` on a terminal.
for (const { task, who, show } of (await engine.approvals.list()).approvals) console.log(`${task}: ${who.join(', ')} decides on`, show);

try {
  await engine.approvals.approve(kettle.id, { actor: 'mia', form: { note: 'please' } });
} catch (error) {
  if (!isPawlError(error, 'TASK_FORM_INVALID')) throw error;
  console.log(error.message);
}
await engine.approvals.approve(kettle.id, { actor: 'mia', form: { costCentre: 'K-7' } });
console.log(await kettle.result());

await engine.approvals.reject(yacht.id, { actor: 'mia', comment: 'no' });
await yacht.result().catch((error: unknown) => console.log(String(error)));

await engine.close();
rmSync(folder, { recursive: true });
