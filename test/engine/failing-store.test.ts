import { expect, test } from 'vitest';
import { PawlError, workflow } from '../../src/index.ts';
import { testEngine } from '../../src/testing/index.ts';
import { silent } from './kit.ts';

test('the testing kit comes to rest while the store cannot be written, and goes on as time passes', async () => {
  const one = workflow({ name: 'one' }, (w) => ({ done: w.run('task', {}, () => 'yes') }));
  const engine = testEngine({ use: [one], logger: silent });
  try {
    const store = await engine.storeOf;
    const commit = store.commit.bind(store);
    let failures = 1;
    // The report of the body meets a disk that fails once.
    store.commit = (batch) =>
      batch.runs.length > 0 && failures-- > 0 ? Promise.reject(new PawlError('STORE_IO', 'the disk failed')) : commit(batch);
    const run = await engine.start(one);
    await engine.settle();
    expect((await run.status()).status).toBe('running');
    await engine.clock.advance('2s');
    expect(await run.result()).toEqual({ done: 'yes' });
  } finally {
    await engine.close();
  }
});
