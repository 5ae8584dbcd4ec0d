import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { charge, order, refund, release, reserve, ship } from '../../examples/order/workflow.ts';
import { NonRetryableError, type Run } from '../../src/index.ts';
import { testEngine, type TestEngine } from '../../src/testing/index.ts';
import { withinASecond } from './kit.ts';

let kit: TestEngine;
/** What the world did, each thing once: it knows a request again by its key. */
let done: string[];
let keys: string[];

const once = (key: string, what: string): void => {
  if (!keys.includes(key)) done.push(what);
  keys.push(key);
};

beforeEach(() => {
  kit = testEngine({ use: [order] });
  done = [];
  keys = [];
  kit.stub(reserve, ({ sku, qty }, { idempotencyKey }) => {
    once(idempotencyKey, `reserve ${qty} ${sku}`);
    return { holdId: `hold of ${sku}` };
  });
  kit.stub(charge, ({ cents }, { idempotencyKey }) => {
    once(idempotencyKey, `charge ${cents}`);
    return { paymentId: 'pay-1' };
  });
  kit.stub(ship, ({ holds }, { idempotencyKey }) => {
    once(idempotencyKey, `ship ${holds.length} lines`);
    return { tracking: 'T-1' };
  });
  kit.stub(release, ({ input, output }, { idempotencyKey }) => once(idempotencyKey, `release ${input.sku}, ${output.holdId}`));
  kit.stub(refund, ({ input, output }, { idempotencyKey }) => once(idempotencyKey, `refund ${input.cents} of ${output.paymentId}`));
});
afterEach(() => kit.close());

const lines = ['pot', 'cup', 'tea'].map((sku, i) => ({ sku, qty: i + 1 }));
const ordered = (): Promise<Run<unknown>> => kit.start(order, { id: 'o-1', cents: 12_000, lines }, { key: 'o-1' });

const noAddress = (): never => {
  throw Object.assign(new Error('there is no such address'), { code: 'NO_SUCH_ADDRESS' });
};

const reserved = ['reserve 1 pot', 'reserve 2 cup', 'reserve 3 tea'];
const undone = ['refund 12000 of pay-1', 'release tea, hold of tea', 'release cup, hold of cup', 'release pot, hold of pot'];

test('all goes well: reserved, charged, shipped, and nothing undone', () =>
  withinASecond(async () => {
    const run = await ordered();
    expect(await run.result()).toEqual({ paymentId: 'pay-1', tracking: 'T-1' });
    expect(done).toEqual([...reserved, 'charge 12000', 'ship 3 lines']);
    expect((await run.inspect()).compensation).toBeUndefined();
  }));

describe('a parcel that cannot be sent', () => {
  test('is paid back, and every line is released, in the reverse of the order in which it was done', () =>
    withinASecond(async () => {
      kit.stub(ship, noAddress);
      const run = await ordered();
      await expect(run.result()).rejects.toMatchObject({ code: 'RUN_FAILED', message: expect.stringContaining('no such address') });
      expect(done).toEqual([...reserved, 'charge 12000', ...undone]);
      expect(await run.inspect()).toMatchObject({ status: 'failed', compensation: 'complete' });
    }));

  test('is undone once, though the process dies between the refund and its record, and again among the lines', () =>
    withinASecond(async () => {
      kit.stub(ship, noAddress);
      kit.crash({ task: 'charge.compensate' });
      kit.crash({ task: 'reserve.compensate' });
      const run = await ordered();
      await expect(run.result()).rejects.toMatchObject({ code: 'RUN_FAILED' });
      expect(done).toEqual([...reserved, 'charge 12000', ...undone]);
      // Two were asked for twice, under the same key.
      expect(keys.length).toBe(done.length + 2);
      expect((await run.inspect()).compensation).toBe('complete');
    }));

  test('a refund that fails for good is a dead letter; the lines are released all the same', () =>
    withinASecond(async () => {
      kit.stub(ship, noAddress);
      kit.stub(refund, () => {
        throw new NonRetryableError('the card is gone', { code: 'CARD_GONE' });
      });
      const run = await ordered();
      await expect(run.result()).rejects.toMatchObject({ code: 'RUN_FAILED', details: { compensation: 'incomplete' } });
      expect(done).toEqual([...reserved, 'charge 12000', ...undone.slice(1)]);
      const dead = (await kit.dead.list()).letters.map(({ task, code }) => `${task}: ${code}`);
      expect(dead.toSorted()).toEqual(['charge.compensate: CARD_GONE', 'ship: NO_SUCH_ADDRESS']);
      expect((await run.why('charge.compensate')).sentence).toMatch(/it is a dead letter: redrive or discard it/);
    }));

  test('a refund is tried for a while before it is given up', () =>
    withinASecond(async () => {
      kit.stub(ship, noAddress);
      let tries = 0;
      kit.stub(refund, () => {
        tries++;
        if (tries < 8) throw new Error('the bank does not answer');
      });
      const run = await ordered();
      await kit.clock.advance('1h');
      expect(await run.inspect()).toMatchObject({ status: 'failed', compensation: 'complete' });
      expect(tries).toBe(8);
    }));
});

test('a line that is out of stock: the others are released, and nobody is charged', () =>
  withinASecond(async () => {
    kit.stub(reserve, ({ sku }, { idempotencyKey }) => {
      if (sku === 'cup') throw new NonRetryableError('out of stock');
      once(idempotencyKey, `reserve ${sku}`);
      return { holdId: `hold of ${sku}` };
    });
    const run = await ordered();
    await expect(run.result()).rejects.toMatchObject({ code: 'RUN_FAILED' });
    expect(done).toEqual(['reserve pot', 'reserve tea', 'release tea, hold of tea', 'release pot, hold of pot']);
  }));

test('a carrier that does not answer is asked three times', () =>
  withinASecond(async () => {
    const calls = kit.stub(ship, (_, { attempt }) => {
      if (attempt < 3) throw new Error('no answer');
      return { tracking: 'T-1' };
    });
    const run = await ordered();
    await kit.clock.advance('1h');
    expect((await run.status()).status).toBe('success');
    expect(calls.calls).toHaveLength(3);
  }));
