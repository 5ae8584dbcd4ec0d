import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { createEngine, signal, task, workflow, type Engine } from '../../src/index.ts';
import { testEngine } from '../../src/testing/index.ts';
import type { Store } from '../../src/store/store.ts';
import { folder } from '../store/kit.ts';
import { silent } from './kit.ts';

const word = signal('word', z.string());
const listener = workflow({ name: 'listener' }, (w) => ({ heard: w.wait(word, { key: 'k' }) }));
const patient = task({ name: 'patient', run: async (_: undefined, ctx) => ctx.wait('w', word, { key: 'k' }) });
const body = workflow({ name: 'body' }, (w) => ({ heard: w.run(patient, undefined) }));
const both = [listener, body] as const;

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

function file(): string {
  const { path, remove } = folder();
  undo.push(remove);
  return join(path, 'app.db');
}

function engineAt(path: string): Engine {
  const engine = createEngine({ store: `sqlite:${path}`, use: [...both], lease: '2s', sweep: '100ms', drain: '100ms', logger: silent });
  undo.push(() => engine.close());
  return engine;
}

describe('processes on one file', () => {
  test('deliver each message once, whoever sends it and whoever waits', async () => {
    const path = file();
    const engines = [engineAt(path), engineAt(path)];
    for (const engine of engines) await engine.work();
    const runs = await Promise.all(
      Array.from({ length: 40 }, async (_, i) => {
        const engine = engines[i % 2] ?? expect.fail();
        const [run] = await Promise.all([
          engine.start(i % 4 < 2 ? listener : body),
          engines[(i + 1) % 2]?.send(word, { key: 'k', data: `m${i}` }),
        ]);
        return run;
      }),
    );
    const heard = await Promise.all(runs.map(async (run) => (await run.result({ timeout: '20s' })).heard));
    expect(heard.toSorted()).toEqual(Array.from({ length: 40 }, (_, i) => `m${i}`).toSorted());
  });

  test('a sender that is killed before it delivers loses nothing', async () => {
    const path = file();
    const engine = engineAt(path);
    const run = await engine.start(listener);
    const script = fileURLToPath(new URL('../fixtures/processes/send-and-die.ts', import.meta.url));
    const [, by] = (await once(spawn(process.execPath, [script, path], { stdio: 'inherit' }), 'exit')) as [number | null, string | null];
    expect(by).toBe('SIGKILL');
    await engine.work();
    expect(await run.result({ timeout: '20s' })).toEqual({ heard: 'hi' });
  });
});

describe('whatever becomes of a run', () => {
  /** The open waits of the store, and the waiting tasks that they should be of. */
  async function waits(kit: ReturnType<typeof testEngine>, runs: readonly { id: string }[]) {
    const inside = kit as unknown as { engine: { runtime: { open(): Promise<{ readonly store: Store }> } } };
    const { store } = await inside.engine.runtime.open();
    const rows = await store.mailbox.openWaits({ kind: 'signal', limit: 1_000 });
    const tasks = await Promise.all(
      runs.map(async ({ id }) => (await (await kit.get(id)).tasks()).filter((one) => one.status === 'waiting')),
    );
    return { rows: rows.length, waiting: tasks.flat().length };
  }

  test('an open wait is there exactly as long as its task waits', async () => {
    const kit = testEngine({ use: [...both], logger: silent });
    undo.push(() => kit.close());
    const runs = await Promise.all(Array.from({ length: 10 }, (_, i) => kit.start(i % 2 === 0 ? listener : body)));
    await kit.settle();
    const at = async (waiting: number): Promise<void> => {
      await kit.settle();
      expect(await waits(kit, runs)).toEqual({ rows: waiting, waiting });
    };
    await at(10);
    await runs[0]?.cancel();
    await runs[1]?.cancel();
    await at(8);
    await runs[2]?.skip('wait');
    await runs[3]?.markFailed();
    await at(6);
    await kit.send(word, { run: runs[4]?.id ?? '', data: 'x' });
    await kit.send(word, { key: 'k', data: 'y' });
    await at(4);
    await runs[0]?.redrive();
    await runs[1]?.redrive();
    await at(6);
    await runs[8]?.pause();
    await at(6);
    await kit.reboot();
    await at(6);
    for (const run of runs) await run.cancel();
    await at(0);
  });
});
