import { afterEach, expect, test } from 'vitest';
import { engineParts, openSqlite } from '../../src/compose.ts';
import { Engine } from '../../src/facade.ts';
import { workflow } from '../../src/index.ts';
import type { Store } from '../../src/store/store.ts';
import { VirtualTime } from '../../src/testing/virtual-time.ts';
import { silent } from './kit.ts';

/** A worker that loses its lease where that is easily overlooked: before it has looked for work, and while it drains. */

const engines: Engine[] = [];
afterEach(async () => {
  await Promise.all(engines.splice(0).map((engine) => engine.runtime.crash().catch(() => undefined)));
});

const quick = workflow({ name: 'quick' }, (w) => ({ a: w.run('a', {}, () => 1) }));
let ends: () => void = () => undefined;
const deaf = workflow({ name: 'deaf' }, (w) => ({
  a: w.run('a', {}, () => new Promise<number>((resolve) => void (ends = () => resolve(1)))),
}));

async function place() {
  const time = new VirtualTime();
  const store = await openSqlite(':memory:');
  const { settings, ...parts } = engineParts({ use: [quick, deaf], logger: silent });
  const engine = new Engine({
    ...parts,
    settings,
    openStore: () => Promise.resolve(store),
    heart: () => () => ({ stop: async () => undefined }),
    ports: time.ports(),
  });
  engines.push(engine);
  const turns = async (): Promise<void> => {
    for (let i = 0; i < 60; i++) await new Promise((resolve) => setImmediate(resolve));
  };
  const pass = async (ms: number): Promise<void> => {
    const until = time.now() + ms;
    await turns();
    while (time.step(until)) await turns();
  };
  return { engine, store, pass };
}

const live = async (store: Store): Promise<number> => (await store.workers()).filter((one) => one.endedAt === null).length;

test('a worker whose lease is lost while it looks for the first time at what is due begins anew', async () => {
  const { engine, store, pass } = await place();
  const boot = store.boot.bind(store);
  let taken = 1;
  store.boot = async (...facts) => {
    const id = await boot(...facts);
    if (taken-- > 0) await store.fence(id, { dead: true });
    return id;
  };
  const run = await engine.start(quick, undefined, { delay: '1s' });
  await pass(2_000);
  const working = engine.work();
  await pass(5_000);
  await working;
  expect((await run.status()).status).toBe('success');
  expect(await live(store)).toBe(1);
});

test('a worker whose lease is lost while it drains leaves nobody behind', async () => {
  const { engine, store, pass } = await place();
  await engine.work();
  await engine.start(deaf);
  await pass(1_000);
  const [worker] = await store.workers();
  const leave = store.leave.bind(store);
  let left = 0;
  store.leave = async (...args) => {
    left++;
    return leave(...args);
  };
  store.close = () => Promise.resolve();
  const closing = engine.close();
  await pass(1_000);
  await store.fence(worker?.id ?? 0, { dead: true });
  ends();
  await pass(60_000);
  await closing;
  expect(left).toBe(1);
  expect(await live(store)).toBe(0);
});

test('who asks twice for work at once has one worker', async () => {
  const { engine, store } = await place();
  await Promise.all([engine.work(), engine.work()]);
  expect(await live(store)).toBe(1);
});
