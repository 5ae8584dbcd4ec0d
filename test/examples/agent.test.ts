import { afterEach, beforeEach, expect, test } from 'vitest';
import { agentWith } from '../../examples/agent/agent.ts';
import { agent, model, permission, publish, research, search } from '../../examples/agent/workflow.ts';
import { NonRetryableError, type Run } from '../../src/index.ts';
import { testEngine, type Stub, type TestEngine } from '../../src/testing/index.ts';
import { withinASecond } from './kit.ts';

/** 20 turns of 10 calls: 9 searches, and a sum or the publishing of a text. */
const TURNS = 20;
const SEARCHES = 9;
const PUBLISH_AT = 15;

let kit: TestEngine;
/** Every call of a tool, as often as it was made. */
let made: string[];
let passes: Stub<unknown>;
let asked: Stub<unknown>;
let beforeTurn: (turn: number) => Promise<void>;
let afterCall: (count: number) => Promise<void>;

beforeEach(() => {
  kit = testEngine({ use: [research, agent, model, search, publish, permission] });
  made = [];
  beforeTurn = afterCall = async () => undefined;
  const { run: body } = agentWith((numbers) => {
    made.push(`add ${numbers.join()}`);
    return numbers.reduce((sum, each) => sum + each, 0);
  });
  passes = kit.stub(agent, body);
  asked = kit.stub(model, async ({ turn }) => {
    await beforeTurn(turn);
    if (turn === TURNS) return { tokens: 10, searches: [], answer: 'forty-two' };
    const searches = Array.from({ length: SEARCHES }, (_, i) => `q${turn}.${i}`);
    return { tokens: 10, searches, ...(turn === PUBLISH_AT ? { publish: 'a draft' } : { add: [turn, 1] }) };
  });
  kit.stub(search, async ({ query }) => {
    made.push(`search ${query}`);
    await afterCall(made.length);
    return `found ${query}`;
  });
  kit.stub(publish, ({ text }) => {
    made.push(`publish ${text}`);
    return `published ${text}`;
  });
});
afterEach(() => kit.close());

const started = (maxTokens = 10_000) => kit.start(research, { goal: 'why', maxTokens });

/** The process dies here and now. */
const die = async (): Promise<never> => {
  void kit.reboot();
  return new Promise<never>(() => undefined);
};

/** Where the model was asked for its turn-th reply: what it was told that its calls had given. */
const toldBefore = (turn: number): unknown => asked.calls.find(({ input }) => (input as { turn: number }).turn === turn)?.input;

/** As far as the person who is to decide about `publish a draft`. */
async function untilAsked(run: Run<unknown>): Promise<string> {
  await kit.settle();
  const { approvals } = await kit.approvals.list();
  expect(approvals).toMatchObject([{ who: ['operator'], show: { tool: 'publish', text: 'a draft' } }]);
  expect(made).not.toContain('publish a draft');
  expect((await run.why()).sentence).toMatch(/for a run of "permission": .* for an answer of "operator"/);
  return approvals[0]?.runId ?? '';
}

/** The records of the agent's body. */
async function recordsOf(run: Run<unknown>): Promise<number> {
  const found = await (await kit.client()).find(run.id);
  return (await (await kit.storeOf).steps({ run: found.run, node: 0, item: -1 })).length;
}

test('200 calls of tools, with a crash after the hundredth: none is made twice', () =>
  withinASecond(async () => {
    let crashes = 0;
    beforeTurn = async (turn) => {
      if (turn !== TURNS / 2 || crashes++ > 0) return;
      expect(made).toHaveLength(100);
      await die();
    };
    const run = await started();
    await kit.approvals.approve(await untilAsked(run), { actor: 'olga' });
    expect(await run.result()).toEqual({ answer: 'forty-two', why: 'done', calls: 200, tokens: 10 * (TURNS + 1) });
    expect([made.length, new Set(made).size, crashes]).toEqual([200, 200, 2]);
    // The model whose process died is asked again; nobody else is.
    expect(asked.calls).toHaveLength(TURNS + 2);
    // The first, one for each reply of the model and each round of searches, one for the person, one for what was published.
    expect(passes.calls).toHaveLength(1 + (TURNS + 1) + TURNS + 2);
    // Replies, searches, sums, the person, what was published.
    expect(await recordsOf(run)).toBe(TURNS + 1 + TURNS * SEARCHES + (TURNS - 1) + 2);
  }));

test('a crash in the midst of searches makes those again that had no record, under the same key', () =>
  withinASecond(async () => {
    let crashes = 0;
    afterCall = async (count) => {
      if (count === 95 && crashes++ === 0) await die();
    };
    const run = await started();
    await kit.approvals.approve(await untilAsked(run), { actor: 'olga' });
    expect(await run.result()).toMatchObject({ why: 'done', calls: 200 });
    const twice = made.filter((call, i) => made.indexOf(call) !== i);
    expect(new Set(made).size).toBe(200);
    expect(twice).not.toEqual([]);
    expect(twice.filter((call) => !call.startsWith('search q9.'))).toEqual([]);
  }));

test.each([
  ['a no', async (id: string) => void (await kit.approvals.reject(id, { actor: 'olga', comment: 'not yet' })), 'rejected, '],
  ['no answer within a day', async () => kit.clock.advance('1d'), 'approval_timeout, '],
])('%s to the dangerous tool is told to the model, and nothing is published', (_, answer, why) =>
  withinASecond(async () => {
    const run = await started();
    await answer(await untilAsked(run));
    expect(await run.result()).toMatchObject({ answer: 'forty-two', why: 'done' });
    expect(made).not.toContain('publish a draft');
    expect(JSON.stringify(toldBefore(PUBLISH_AT + 1))).toContain(why);
  }),
);

test('a crash in the dangerous tool: it is not called again, the model is told, and a person may look', () =>
  withinASecond(async () => {
    kit.crash({ task: 'publish' });
    const run = await started();
    await kit.approvals.approve(await untilAsked(run), { actor: 'olga' });
    expect(await run.result()).toMatchObject({ answer: 'forty-two', calls: 200 });
    expect(made.filter((call) => call === 'publish a draft')).toHaveLength(1);
    expect(JSON.stringify(toldBefore(PUBLISH_AT + 1))).toContain('outcome_unknown');
    const { letters } = await kit.dead.list();
    expect(letters).toMatchObject([{ task: 'publish', reason: 'outcome_unknown' }]);
    // She has looked: it was published.
    await (await kit.get(letters[0]?.runId ?? '')).mark('publish', { output: 'published a draft', actor: 'olga' });
    expect(await kit.dead.count()).toBe(0);
  }));

test('an agent that has used up its tokens ends without an answer', () =>
  withinASecond(async () => {
    const run = await started(45);
    expect(await run.result()).toEqual({ answer: null, why: 'out of tokens', calls: 50, tokens: 50 });
    expect((await run.status()).status).toBe('success');
  }));

test('a search that fails for good fails the agent, with the reason', () =>
  withinASecond(async () => {
    afterCall = async () => {
      throw new NonRetryableError('no network', { code: 'ENETDOWN' });
    };
    const run = await started();
    const error = await run.result().catch((reason: unknown) => reason);
    expect(String(error)).toMatch(/task "agent" failed: Run \w+ of workflow "task:search" failed: task "search" failed: no network/);
  }));
