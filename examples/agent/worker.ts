/**
 * The process that works: the agent, a model with fixed replies, and tools that write a line each into `calls.log`. One that is to die does so when
 * the model is asked for its eleventh reply, after a hundred calls.
 *
 *   node examples/agent/worker.ts <folder> [dies]
 */
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { createEngine } from '../../src/index.ts';
import { agentWith } from './agent.ts';
import { model, permission, publish, research, search } from './workflow.ts';

const [, , folder = '.', fate] = process.argv;
const log = join(folder, 'calls.log');
const called = (line: string): void => appendFileSync(log, `${line}\n`);

const TURNS = 20;
const DIES_AT = 10;
const PUBLISHES_AT = 15;

const engine = createEngine({
  store: `sqlite:${join(folder, 'agent.db')}`,
  use: [
    research,
    permission,
    agentWith((numbers) => {
      called(`add ${numbers.join()}`);
      return numbers.reduce((sum, each) => sum + each, 0);
    }),
    model.implement(({ turn }) => {
      if (turn === TURNS) return { tokens: 10, searches: [], answer: 'forty-two' };
      if (turn === DIES_AT && fate === 'dies') process.kill(process.pid, 'SIGKILL');
      const searches = Array.from({ length: 9 }, (_, i) => `${turn}.${i}`);
      return { tokens: 10, searches, ...(turn === PUBLISHES_AT ? { publish: 'a draft' } : { add: [turn, 1] }) };
    }),
    search.implement(({ query }) => {
      called(`search ${query}`);
      return `found ${query}`;
    }),
    publish.implement(({ text }) => {
      called(`publish ${text}`);
      return `published ${text}`;
    }),
  ],
});
await engine.work();
