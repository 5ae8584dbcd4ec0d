/** The contracts of the agent, of its model and of its tools, and the graph around it. */
import { z } from 'zod';
import { task, workflow } from '../../src/index.ts';

/** What the model wants next: calls of tools, or it gives its answer. */
const Reply = z.object({
  tokens: z.number().int().nonnegative(),
  searches: z.array(z.string()).default([]),
  add: z.array(z.number()).optional(),
  publish: z.string().optional(),
  answer: z.string().optional(),
});

export const model = task({
  name: 'model',
  input: z.object({ goal: z.string(), turn: z.number().int(), results: z.array(z.string()) }),
  output: Reply,
  timeout: '2m',
  retry: { maxAttempts: 5, initial: '2s', maxDelay: '1m' },
});

export const search = task({ name: 'search', input: z.object({ query: z.string() }), output: z.string(), effects: 'none', timeout: '30s' });

/** Cannot be taken back, so it is never made again when its outcome is unknown, and a person is asked before. */
export const publish = task({ name: 'publish', input: z.object({ text: z.string() }), output: z.string(), effects: 'unsafe' });

/** A person says yes, within a day: the call of a dangerous tool. */
export const permission = workflow({ name: 'permission', input: z.object({ tool: z.string(), text: z.string() }) }, (w, call) => ({
  by: w.approve('permission', { who: ['operator'], show: call, timeout: '1d' }).by,
}));

export const agent = task({
  name: 'agent',
  input: z.object({ goal: z.string(), maxTokens: z.number().int().positive() }),
  output: z.object({ answer: z.string().nullable(), why: z.enum(['done', 'out of tokens']), calls: z.number(), tokens: z.number() }),
  // Of the time that the body itself runs: waiting for model, tools and people is not counted.
  timeout: '10m',
});

const Goal = z.object({ goal: z.string(), maxTokens: z.number().int().positive() });

export const research = workflow({ name: 'research', input: Goal }, (w, input) => w.run(agent, input));
