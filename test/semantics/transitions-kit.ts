/** Scenarios that take moves of the tables of states, through what a user calls alone; the moves are read from the journal. */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { vi } from 'vitest';
import { openSqlite } from '../../src/compose.ts';
import { readJournal, type Transition } from '../../src/core/kernel/journal.ts';
import { createEngine, signal, type Run, type Workflow } from '../../src/index.ts';
import { testEngine, type TestEngine, type TestEngineOptions } from '../../src/testing/index.ts';
import type { Store } from '../../src/store/store.ts';
import { anyText } from './capacity-kit.ts';

/** `pending | join says run | queued`, as in the tables; with the reason that the journal must give where one is written behind it. */
export interface Scenario {
  readonly of: 'task' | 'run';
  readonly moves: readonly string[];
  readonly play: (place: Place) => Promise<void>;
}

export const go = signal('go', anyText);
const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

export class Place {
  private readonly open: TestEngine[] = [];
  private readonly rows: string[] = [];

  engine(use: readonly Workflow<never, unknown>[], options: Partial<TestEngineOptions> = {}): TestEngine {
    const engine = testEngine({ use: [...use, go], logger: silent, ...options });
    this.open.push(engine);
    return engine;
  }

  /** Starts a run, and lets it go as far as it goes by itself; nobody serves the queue `elsewhere`. */
  async run(one: Workflow<void, unknown>, options: Partial<TestEngineOptions> = {}): Promise<{ kit: TestEngine; run: Run<unknown> }> {
    const kit = this.engine([one], options);
    await kit.queues.pause('elsewhere');
    const run = await kit.start(one);
    await kit.settle();
    return { kit, run };
  }

  /** Every move that the engines' journals tell of, `from to reason`, and closes them. */
  async moves(): Promise<Record<'task' | 'run', Set<string>>> {
    const found = { task: new Set<string>(), run: new Set<string>() };
    for (const engine of this.open.splice(0)) {
      await this.read(await engine.storeOf);
      await engine.close();
    }
    for (const row of this.rows.splice(0)) {
      const entries = readJournal(row);
      for (const entry of entries) if (entry.kind !== 'move') note(found, entry, isAccepted(entries, entry.run));
      for (const { run } of entries) if (isAccepted(entries, run)) found.task.add('- pending ');
    }
    return found;
  }

  private async read(store: Store): Promise<void> {
    this.rows.push(...(await store.journal(0, 10_000)).entries.map(({ changes }) => changes));
  }

  /** A process of its own that is shut down while its bodies run, and ignore that. */
  async drained(one: Workflow<void, unknown>, hasBegun: () => boolean): Promise<void> {
    await this.onFile(async (store) => {
      const engine = createEngine({ store, use: [one], drain: '1ms', durability: 'fast', logger: silent });
      await engine.work({ drainOn: [] });
      await engine.start(one);
      await vi.waitUntil(hasBegun);
      await engine.close();
    });
  }

  /** The run of a workflow whose predicate has another process pause it: it gives back what it is given, once that is done. */
  async pausedIn(make: (pause: (verdict: boolean) => boolean) => Workflow<void, unknown>): Promise<void> {
    await this.onFile(async (store) => {
      const done = new Int32Array(new SharedArrayBuffer(4));
      let id = '';
      const one = make((verdict) => {
        other.postMessage(id);
        Atomics.wait(done, 0, 0, 8_000);
        return verdict;
      });
      const engine = createEngine({ store, use: [one], logger: silent, durability: 'fast' });
      const other = new Worker(new URL('../fixtures/pauser.ts', import.meta.url), { workerData: { store, done } });
      try {
        const run = await engine.start(one);
        ({ id } = run);
        await once(other, 'message');
        await engine.work({ drainOn: [] });
        await vi.waitUntil(async () => ['skipped', 'failed'].includes((await run.status()).status), 10_000);
      } finally {
        other.postMessage(null);
        await once(other, 'exit');
        await engine.close();
      }
    });
  }

  private async onFile(play: (store: string) => Promise<void>): Promise<void> {
    const dir = mkdtempSync(join(tmpdir(), 'pawl-'));
    try {
      const path = join(dir, 'app.db');
      await play(`sqlite:${path}`);
      const store = await openSqlite(path);
      await store.open();
      await this.read(store);
      await store.close();
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  }
}

/** The commit in which a run came into being; what has no entry in it is pending from then on. */
const isAccepted = (entries: readonly Transition[], run: number): boolean =>
  entries.some((entry) => entry.kind === 'run' && entry.run === run && entry.from === '-');

function note(found: Record<'task' | 'run', Set<string>>, entry: Exclude<Transition, { kind: 'move' }>, accepted: boolean): void {
  const isNew = entry.kind === 'task' && entry.from === 'pending' && accepted && (entry.to === 'queued' || entry.to === 'running');
  const from = isNew ? '-' : entry.from;
  found[entry.kind].add(`${from} ${entry.to} ${entry.reason ?? ''}`);
  // What is decided with the acceptance is decided as later.
  if (from !== entry.from) found[entry.kind].add(`${entry.from} ${entry.to} ${entry.reason ?? ''}`);
}

/** `from | event | to` and the reason. */
export function parts(move: string): {
  readonly name: string;
  readonly from: string;
  readonly to: string;
  readonly reason: string | undefined;
} {
  const [from = '', event = '', to = '', reason] = move.split(' | ');
  return { name: `${from} | ${event} | ${to}`, from, to, reason };
}

/** A body that ends when it is aborted. */
export const hang = (_: unknown, ctx: { readonly signal: AbortSignal }): Promise<void> =>
  new Promise((_, reject) => ctx.signal.addEventListener('abort', () => reject(new Error('aborted'))));
