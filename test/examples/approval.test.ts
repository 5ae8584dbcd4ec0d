import { afterEach, beforeEach, expect, test } from 'vitest';
import { placeOrder, purchase, tell } from '../../examples/approval/workflow.ts';
import type { Run } from '../../src/index.ts';
import { testEngine, type TestEngine } from '../../src/testing/index.ts';
import { withinASecond } from './kit.ts';

let kit: TestEngine;
let told: string[];
let orders: { readonly costCentre: string; readonly approvedBy: string }[];

beforeEach(() => {
  kit = testEngine({ use: [purchase] });
  told = [];
  orders = [];
  kit.stub(placeOrder, ({ costCentre, approvedBy }) => {
    orders.push({ costCentre, approvedBy });
    return { orderNumber: `PO-${orders.length}` };
  });
  kit.stub(tell, ({ to, text }) => void told.push(`${to}: ${text}`));
});
afterEach(() => kit.close());

const asked = (): Promise<Run<{ orderNumber: string }>> =>
  kit.start(purchase, { id: 'p-1', what: 'a kettle', cents: 4_900, requester: 'ada' });

const statesOf = async (run: Run<unknown>): Promise<Record<string, string>> =>
  Object.fromEntries((await run.tasks()).map(({ task, status, reason }) => [task, reason === undefined ? status : `${status}: ${reason}`]));

/** Who is asked now. */
const open = async (): Promise<string[]> => (await kit.approvals.list()).approvals.map(({ who }) => who.join());

test('the manager says yes: ordered at once, and the director is never asked', () =>
  withinASecond(async () => {
    const run = await asked();
    await kit.clock.advance('1d');
    expect((await kit.approvals.list()).approvals).toMatchObject([
      { task: 'manager', who: ['manager'], show: { what: 'a kettle', cents: 4_900 }, needsForm: true },
    ]);
    await kit.reboot();
    await kit.approvals.approve(run.id, { actor: 'mia', form: { costCentre: 'K-7' } });
    expect(await run.result()).toEqual({ orderNumber: 'PO-1' });
    expect(orders).toEqual([{ costCentre: 'K-7', approvedBy: 'mia' }]);
    expect(told).toEqual(['ada: a kettle: ordered, PO-1']);
    expect(await statesOf(run)).toMatchObject({ manager: 'success', director: 'skipped' });
    await kit.clock.advance('30d');
    expect(await open()).toEqual([]);
  }));

test('a form without its required field is refused, naming the field, and the wait goes on', () =>
  withinASecond(async () => {
    const run = await asked();
    await kit.settle();
    const refused = (form: unknown) => kit.approvals.approve(run.id, { actor: 'mia', form }).then(() => 'taken', String);
    expect(await refused({ note: 'please' })).toMatch(/"manager" does not fit: form\.costCentre: /);
    expect(await refused({ costCentre: '' })).toMatch(/form\.costCentre: /);
    expect(await refused(undefined)).toMatch(/form: /);
    expect(await open()).toEqual(['manager']);
    expect((await run.status()).status).toBe('running');
    await kit.approvals.approve(run.id, { actor: 'mia', form: { costCentre: 'K-7' } });
    expect(await run.result()).toEqual({ orderNumber: 'PO-1' });
  }));

test('the manager says no: nothing is ordered, nobody else is asked, ada is told why', () =>
  withinASecond(async () => {
    const run = await asked();
    await kit.clock.advance('1d');
    await kit.approvals.reject(run.id, { actor: 'mia', comment: 'we have one' });
    await expect(run.result()).rejects.toMatchObject({ code: 'RUN_FAILED' });
    expect(await statesOf(run)).toMatchObject({ manager: 'failed: rejected', director: 'skipped', 'place-order': 'upstream_failed' });
    expect(told).toEqual(['ada: a kettle: not ordered. Rejected by mia: we have one']);
    expect(orders).toEqual([]);
    expect(await kit.dead.count()).toBe(0);
    await kit.clock.advance('30d');
    expect(await open()).toEqual([]);
  }));

test('after two days it is the director who is asked, and no longer the manager', () =>
  withinASecond(async () => {
    const run = await asked();
    await kit.clock.advance(2 * 86_400_000 - 1);
    expect(await open()).toEqual(['manager']);
    await kit.clock.advance(1);
    expect(await open()).toEqual(['director']);
    expect((await run.why()).sentence).toMatch(/an answer of "director", and gives up in 3 days/);
    await expect(kit.approvals.approve(run.id, { task: 'manager', form: { costCentre: 'K-7' } })).rejects.toMatchObject({
      code: 'TASK_NOT_WAITING',
    });
    await kit.reboot({ after: '1d' });
    await kit.approvals.approve(run.id, { actor: 'dora', form: { costCentre: 'K-1', note: 'in a hurry' } });
    expect(await run.result()).toEqual({ orderNumber: 'PO-1' });
    expect(orders).toEqual([{ costCentre: 'K-1', approvedBy: 'dora' }]);
    expect(await statesOf(run)).toMatchObject({ manager: 'skipped: approval_timeout', director: 'success' });
  }));

test('the director says no', () =>
  withinASecond(async () => {
    const run = await asked();
    await kit.clock.advance('2d');
    await kit.approvals.reject(run.id, { actor: 'dora', comment: 'too dear' });
    await expect(run.result()).rejects.toMatchObject({ code: 'RUN_FAILED' });
    expect(told).toEqual(['ada: a kettle: not ordered. Rejected by dora: too dear']);
    expect(orders).toEqual([]);
  }));

test('nobody answers: after five days it is over, and no dead letter', () =>
  withinASecond(async () => {
    const run = await asked();
    await kit.clock.advance(5 * 86_400_000 - 1);
    expect((await run.status()).status).toBe('running');
    await kit.clock.advance(1);
    expect((await run.status()).status).toBe('failed');
    expect(await statesOf(run)).toMatchObject({ manager: 'skipped: approval_timeout', director: 'failed: approval_timeout' });
    expect(told).toEqual(['ada: a kettle: not ordered. Nobody answered in time.']);
    expect(await kit.dead.count()).toBe(0);
  }));

test('an operator who skips both has not said yes', () =>
  withinASecond(async () => {
    const run = await asked();
    await kit.settle();
    await run.skip('manager');
    await kit.settle();
    await run.skip('director');
    await expect(run.result()).rejects.toMatchObject({ code: 'RUN_FAILED' });
    expect(told).toEqual(['ada: a kettle: not ordered. Nobody has said yes.']);
    expect(orders).toEqual([]);
  }));
