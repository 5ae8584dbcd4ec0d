import { afterEach, beforeEach, expect, test } from 'vitest';
import { activated, cancelled, onboarding, sendMail } from '../../examples/onboarding/workflow.ts';
import { testEngine, type TestEngine } from '../../src/testing/index.ts';
import { withinASecond } from './kit.ts';

const DAY_MS = 86_400_000;

let kit: TestEngine;
/** A mail service that knows a mail again by its key. */
let sent: { readonly key: string; readonly mail: string; readonly day: number }[];
let calls: number;

beforeEach(() => {
  kit = testEngine({ use: [onboarding] });
  const begin = kit.clock.now().getTime();
  sent = [];
  calls = 0;
  kit.stub(sendMail, ({ mail }, { idempotencyKey: key }) => {
    calls++;
    if (!sent.some((one) => one.key === key)) sent.push({ key, mail, day: (kit.clock.now().getTime() - begin) / DAY_MS });
    return { messageId: key };
  });
});
afterEach(() => kit.close());

const ada = () => ({ id: 'u-1', email: 'ada@example.org', signedUpAt: kit.clock.now() });
const mails = () => sent.map(({ mail, day }) => `${mail} on day ${day}`);

test('who does nothing gets the welcome and every tip once, on its day, over crashes', () =>
  withinASecond(async () => {
    // This one dies with the mail sent and nothing recorded.
    kit.crash({ task: 'basics-7' });
    const run = await kit.start(onboarding, ada());
    await kit.clock.advance('5d');
    await kit.reboot();
    await kit.clock.advance('5d');
    await kit.reboot({ after: '2d' });
    await kit.clock.advance('18d');
    expect(mails()).toEqual([
      'welcome on day 0',
      'basics-1 on day 1',
      'basics-3 on day 3',
      'basics-7 on day 7',
      'basics-14 on day 14',
      'basics-30 on day 30',
    ]);
    expect(calls).toBe(7);
    expect(await run.result()).toEqual({ end: 'sent' });
    expect((await run.status()).status).toBe('success');
  }));

test('who is activated gets the tips for experts that are still ahead, and no more basics', () =>
  withinASecond(async () => {
    const run = await kit.start(onboarding, ada());
    await kit.clock.advance('5d');
    await kit.send(activated, { key: 'u-1', data: { at: kit.clock.now() } });
    await kit.reboot();
    await kit.clock.advance('25d');
    expect(mails()).toEqual([
      'welcome on day 0',
      'basics-1 on day 1',
      'basics-3 on day 3',
      'experts-7 on day 7',
      'experts-14 on day 14',
      'experts-30 on day 30',
    ]);
    expect(await run.result()).toEqual({ end: 'sent' });
    expect((await run.status()).status).toBe('success');
  }));

test.each([
  ['before being activated', false, ['welcome on day 0', 'basics-1 on day 1', 'basics-3 on day 3']],
  ['after being activated', true, ['welcome on day 0', 'basics-1 on day 1', 'experts-3 on day 3']],
])('who cancels %s gets no mail after that, and the run is over at once', (_, isExpert, expected) =>
  withinASecond(async () => {
    const run = await kit.start(onboarding, ada());
    await kit.clock.advance('2d');
    if (isExpert) await kit.send(activated, { key: 'u-1', data: { at: kit.clock.now() } });
    await kit.clock.advance('3d');
    await kit.send(cancelled, { key: 'u-1', data: {} });
    expect(await run.result()).toEqual({ end: 'cancelled' });
    expect((await run.status()).status).toBe('success');
    await kit.reboot();
    await kit.clock.advance('30d');
    expect(mails()).toEqual(expected);
  }),
);

test('another user who cancels changes nothing', () =>
  withinASecond(async () => {
    await kit.start(onboarding, ada());
    await kit.send(cancelled, { key: 'u-2', data: {} });
    await kit.clock.advance('30d');
    expect(sent).toHaveLength(6);
  }));

test('a mail that cannot be sent leaves out no other: the run ends on its day, as failed, with a dead letter', () =>
  withinASecond(async () => {
    kit.stub(sendMail, ({ mail }) => {
      if (mail === 'basics-3') throw new Error('the mailbox is full');
      return { messageId: mail };
    });
    const run = await kit.start(onboarding, ada());
    await kit.clock.advance('30d');
    expect(await run.output('basics-30')).toEqual({ messageId: 'basics-30' });
    expect((await run.status()).status).toBe('failed');
    expect((await kit.dead.list()).letters.map(({ task }) => task)).toEqual(['basics-3']);
  }));
