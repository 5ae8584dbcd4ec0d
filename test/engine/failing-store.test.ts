import { expect, test } from 'vitest';
import { z } from 'zod';
import { PawlError, signal, task, workflow } from '../../src/index.ts';
import type { CommitResult, Store } from '../../src/store/store.ts';
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

/** The testing kit while what is delivered or admitted waits for a store that is tried again in a second: it rests, and then goes on. */
test.each(['a message', 'a key'] as const)('the testing kit comes to rest while %s waits for the store', async (what) => {
  const word = signal('word', z.string());
  const one = workflow({ name: 'one', ...(what === 'a key' ? { concurrency: 1 } : {}) }, (w) => ({
    done: what === 'a key' ? w.run('task', {}, () => 'yes', { after: [w.sleep('5s')] }) : w.wait(word, { key: 'k' }),
  }));
  const engine = testEngine({ use: [one, word], logger: silent });
  try {
    const runs = [await engine.start(one), await engine.start(one)];
    await engine.settle();
    const store = await engine.storeOf;
    const commit = store.commit.bind(store);
    let failures = 1;
    store.commit = (batch) =>
      batch.runs.length > 0 && failures-- > 0 ? Promise.reject(new PawlError('STORE_IO', 'the disk failed')) : commit(batch);
    const sent = what === 'a message' ? [0, 1].map(() => engine.send(word, { key: 'k', data: 'yes' })) : [];
    await engine.clock.advance('30s');
    await Promise.all(sent);
    for (const run of runs) expect(await run.result()).toEqual({ done: 'yes' });
  } finally {
    await engine.close();
  }
});

/** Whom the commits of a store gave which tokens, those that were told as failed included. */
function watchTokens(store: Store, fails: (result: CommitResult) => boolean): readonly string[][] {
  const commit = store.commit.bind(store);
  const given: string[][] = [];
  store.commit = async (batch) => {
    const result = await commit(batch);
    const claimed = [
      ...result.claimedRuns.flatMap(({ tasks, facts }) => tasks.map((one) => [facts.run, one] as const)),
      ...result.claimedTasks.map(({ run, task }) => [run, task] as const),
    ];
    for (const [run, one] of claimed)
      if (one.status === 'running' && one.lease !== null) given.push([String(one.lease.token), `${run}:${one.node}#${one.attempt}`]);
    if (batch.starts.length === 0 && fails(result)) throw new PawlError('STORE_UNKNOWN_OUTCOME', 'nobody can say whether it was written');
    return result;
  };
  return given;
}

test('a token that a commit of unknown outcome may have given is never given again', async () => {
  const work = task({ name: 'work', run: (n: number) => n });
  const one = workflow({ name: 'one' }, (w) => ({ a: w.run(work, 1) }));
  const engine = testEngine({ use: [one], concurrency: 1, logger: silent });
  try {
    let failures = 1;
    const given = watchTokens(
      await engine.storeOf,
      ({ claimedTasks, claimedRuns }) => claimedTasks.length + claimedRuns.length > 0 && failures-- > 0,
    );
    const runs = await Promise.all([1, 2, 3].map(() => engine.start(one)));
    await engine.clock.advance('1m');
    for (const run of runs) expect((await run.status()).status).toBe('success');
    expect(failures).toBeLessThan(1);
    const tokens = given.map(([token]) => token);
    expect(tokens.length).toBeGreaterThan(1);
    expect(new Set(tokens).size).toBe(tokens.length);
  } finally {
    await engine.close();
  }
});

test('what was claimed by a commit after which nothing could be loaded is given back, and done', async () => {
  const seen: number[] = [];
  const work = task({ name: 'work', concurrency: 1, run: (n: number) => seen.push(n) });
  const one = workflow({ name: 'one' }, (w) => {
    w.run(work, 1, { id: 'a' });
    w.run(work, 2, { id: 'b' });
    return {};
  });
  const engine = testEngine({ use: [one], logger: silent });
  try {
    const store = await engine.storeOf;
    const { committer } = (await (engine as unknown as Inside).engine.runtime.open()) as Opened;
    const [commit, load] = [store.commit.bind(store), store.load.bind(store)];
    let claimed = 0;
    let failures = 0;
    store.commit = async (batch) => {
      const result = await commit(batch);
      claimed = result.claimedTasks.length;
      // why: a run that is not in memory any more must be loaded to begin what was claimed of it
      if (claimed > 0 && failures === 0) committer.cache.clear();
      return result;
    };
    store.load = (...args) => {
      if (claimed === 0 || failures > 0) return load(...args);
      failures++;
      return Promise.reject(new PawlError('STORE_IO', 'it cannot be read'));
    };
    const run = await engine.start(one);
    await engine.clock.advance('1m');
    expect(failures).toBe(1);
    expect(await run.result()).toEqual({});
    expect(seen.toSorted((a, b) => a - b)).toEqual([1, 2]);
  } finally {
    await engine.close();
  }
});

interface Inside {
  readonly engine: { readonly runtime: { open(): Promise<unknown> } };
}

interface Opened {
  readonly committer: { readonly cache: { clear(): void } };
}

test('what the kernel decided in memory is void where the store could not be read before the commit', async () => {
  const child = workflow({ name: 'child' }, (w) => ({ n: w.run('n', {}, () => 1) }));
  const parent = workflow({ name: 'parent' }, (w) => w.run(child, undefined));
  const engine = testEngine({ use: [parent, child], logger: silent });
  try {
    const store = await engine.storeOf;
    const { committer } = (await (engine as unknown as Inside).engine.runtime.open()) as Opened & {
      committer: { cache: { drop(run: number): void } };
    };
    const [commit, load] = [store.commit.bind(store), store.load.bind(store)];
    let failures = 1;
    // The end of the child is decided, and then its parent, which nobody holds, cannot be read.
    store.commit = async (batch) => {
      const result = await commit(batch);
      const parents = new Set(batch.starts.map((start) => start.state.run));
      queueMicrotask(() => parents.forEach((run) => committer.cache.drop(run)));
      return result;
    };
    store.load = (...args) => (failures-- > 0 ? Promise.reject(new PawlError('STORE_IO', 'it cannot be read')) : load(...args));
    const run = await engine.start(parent);
    await engine.clock.advance('10s');
    expect(failures).toBeLessThan(1);
    expect(await run.result()).toEqual({ n: 1 });
  } finally {
    await engine.close();
  }
});

test('who waits for a run already is not refused because a later look at another one fails', async () => {
  const word = signal('word', z.string());
  const one = workflow({ name: 'one' }, (w) => ({ said: w.wait(word, { key: 'k' }) }));
  const engine = testEngine({ use: [one, word], logger: silent });
  try {
    const [first, second] = [await engine.start(one), await engine.start(one)];
    const waiting = first.result();
    await engine.settle();
    const store = await engine.storeOf;
    const endsOf = store.endsOf.bind(store);
    let failures = 1;
    store.endsOf = (runs) => (failures-- > 0 ? Promise.reject(new PawlError('STORE_IO', 'the disk failed')) : endsOf(runs));
    const refused = Promise.allSettled([second.result(), second.result()]);
    expect(await refused).toMatchObject([{ reason: { code: 'STORE_IO' } }, { reason: { code: 'STORE_IO' } }]);
    await engine.send(word, { key: 'k', data: 'a' });
    await engine.send(word, { key: 'k', data: 'b' });
    await engine.settle();
    expect(await waiting).toMatchObject({ said: expect.any(String) as string });
  } finally {
    await engine.close();
  }
});
