import { expect, test } from 'vitest';
import { task, workflow } from '../../src/index.ts';
import { testEngine } from '../../src/testing/index.ts';

test('maps of more runs than there are slots all have their turn, without a sweep', async () => {
  const work = task({ name: 'work', run: (n: number) => n });
  const one = workflow({ name: 'one' }, (w) => ({ all: w.map([1, 2, 3, 4], work, (n) => n) }));
  const engine = testEngine({ use: [one], concurrency: 2 });
  const runs = [];
  for (let i = 0; i < 4; i++) runs.push(await engine.start(one));
  await engine.settle();
  for (const run of runs) expect((await run.status()).status).toBe('success');
  await engine.close();
});
