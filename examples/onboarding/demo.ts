/**
 * The mails of three users over thirty days, on a virtual clock: takes a moment.
 *
 *   node examples/onboarding/demo.ts
 */
import { testEngine } from '../../src/testing/index.ts';
import { activated, cancelled, onboarding, sendMail } from './workflow.ts';

const kit = testEngine({ use: [onboarding] });
const signedUpAt = kit.clock.now();
const day = (): number => Math.round((kit.clock.now().getTime() - signedUpAt.getTime()) / 86_400_000);

kit.stub(sendMail, ({ to, mail }) => {
  console.log(`day ${String(day()).padStart(2)}  ${to.padEnd(5)} ${mail}`);
  return { messageId: `${to}/${mail}` };
});

const runs = [];
for (const id of ['ada', 'bob', 'cleo']) runs.push(await kit.start(onboarding, { id, email: id, signedUpAt }, { key: id }));

await kit.clock.advance('2d');
console.log('day  2  bob   * is activated');
await kit.send(activated, { key: 'bob', data: { at: kit.clock.now() } });

await kit.clock.advance('6d');
console.log('day  8  cleo  * cancels');
await kit.send(cancelled, { key: 'cleo', data: {} });
console.log('day  8        * the process dies, and another starts');
await kit.reboot();

await kit.clock.advance('22d');
for (const run of runs) console.log((await run.status()).key, await run.result());
await kit.close();
