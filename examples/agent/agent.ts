/** The body of the agent: an ordinary loop. What it has called is on record, so it goes on after a crash where it was. */
import { isPawlError } from '../../src/index.ts';
import type { Ctx } from '../../src/index.ts';
import { agent, model, permission, publish, search } from './workflow.ts';

/** So cheap that a run of its own would cost more than the work: a step of the agent. */
export type Add = (numbers: readonly number[]) => number;

export const agentWith = (add: Add) =>
  agent.implement(async ({ goal, maxTokens }, ctx) => {
    let [calls, tokens] = [0, 0];
    let results: string[] = [];
    for (let turn = 0; tokens < maxTokens; turn++) {
      const reply = await ctx.run(['model', turn], model, { goal, turn, results });
      tokens += reply.tokens;
      if (reply.answer !== undefined) return { answer: reply.answer, why: 'done' as const, calls, tokens };
      results = await ctx.all(reply.searches.map((query, i) => [['search', turn, i], search, { query }] as const));
      const { add: numbers, publish: text } = reply;
      if (numbers !== undefined) results.push(String(await ctx.step(['add', turn], () => add(numbers))));
      if (text !== undefined) results.push(await published(ctx, turn, text));
      calls += results.length;
    }
    return { answer: null, why: 'out of tokens' as const, calls, tokens };
  });

/** Whatever goes wrong is told to the model, which may think of something else: a no, no answer within the day, an outcome that nobody knows. */
async function published(ctx: Ctx, turn: number, text: string): Promise<string> {
  try {
    await ctx.run(['permission', turn], permission, { tool: 'publish', text });
    return await ctx.run(['publish', turn], publish, { text });
  } catch (error) {
    // Everything else must leave the body: it leaves its slot by an error, too.
    if (!isPawlError(error, 'RUN_FAILED')) throw error;
    return `publish failed: ${String(error.details['cause'])}, ${error.message}`;
  }
}
