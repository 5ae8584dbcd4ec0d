/** Lives of one process on virtual time over a real file: undisturbed, ended at a commit, or gone on with by another process. */
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isPawlError, type Ctx, type Registrable, type Run } from '../../src/index.ts';
import { openSqlite } from '../../src/compose.ts';
import { JournalFold } from '../../src/core/kernel/checkpoint.ts';
import { readJournal } from '../../src/core/kernel/journal.ts';
import type { Limits } from '../../src/core/capacity/limits.ts';
import type { TaskState } from '../../src/core/kernel/run-state.ts';
import type { Store } from '../../src/store/store.ts';
import { testEngine, type TestEngine } from '../../src/testing/index.ts';
import { silent } from '../engine/kit.ts';

/** What bodies and predicates of a plot may do to the world outside, and ask of it. */
export interface World {
  /** An effect outside the store: it stays, whatever becomes of the process. */
  readonly mark: (ctx: Pick<Ctx, 'idempotencyKey'>, name: string) => void;
  /** A body that takes virtual time; rejects when it is aborted. */
  readonly nap: (ctx: Pick<Ctx, 'signal'>, seconds: number) => Promise<void>;
  /** Seconds since the plot began. */
  readonly now: () => number;
}

/** What a client does at a second of the plot. Done again by whoever goes on after a crash: so each act says when it is the same. */
export type Act = readonly [second: number, act: (kit: TestEngine) => Promise<unknown>];

export interface Plot {
  readonly use: readonly Registrable[];
  readonly limits?: Limits;
  readonly acts: readonly Act[];
  /** Everything is over by this second, with time to spare for what a crash delays. */
  readonly until: number;
}

export type Plotter = (world: World) => Plot;

/** What a plot has come to. */
export interface Became {
  readonly runs: readonly string[];
  readonly dead: readonly string[];
  readonly audit: readonly string[];
  /** Tasks of which the journal and the rows say different things. */
  readonly unlike: readonly string[];
  /** How often each effect happened, by idempotency key, most often first; by name. */
  readonly effects: Readonly<Record<string, readonly number[]>>;
}

const BEGIN = Date.UTC(2030, 0, 1);
/** While the store fails a client tries again so many times, a second apart. */
const TRIES = 5;
const SWEEP_MS = 2_000;
/** An act comes back within so many tenths of a second. */
const PATIENCE = 100;

interface Inside {
  store: Promise<Store>;
  readonly engine: { readonly runtime: { readonly worker: { sweep(): Promise<void> } | null } };
  readonly time: { step(limit: number): boolean; ports(): { timer(ms: number, fn: () => void): () => void } };
}

export const fileIn = (folder: string): string => join(folder, 'app.db');
export const effectsIn = (folder: string): string => join(folder, 'effects');

/** How the lives of this file open their stores. */
export const opening: { writer: 'thread' | null } = { writer: null };

export class Life {
  readonly kit: TestEngine;
  readonly store: Store;
  /** Something failed: the next sweep, which comes within two seconds, has something to find. */
  isTroubled = false;
  private readonly plot: Plot;
  private readonly folder: string;

  private constructor(kit: TestEngine, store: Store, plot: Plot, folder: string) {
    this.kit = kit;
    this.store = store;
    this.plot = plot;
    this.folder = folder;
  }

  /** The first process of a folder; or, with `lives` that ended before, the one that goes on. */
  static async begin(plotter: Plotter, folder: string, lives = 0): Promise<Life> {
    const self: { kit?: TestEngine } = {};
    const inside = (): Inside => self.kit as unknown as Inside;
    const now = (): number => ((self.kit?.clock.now().getTime() ?? BEGIN) - BEGIN) / 1_000;
    const plot = plotter({
      mark: (ctx, name) => appendFileSync(effectsIn(folder), `${name} ${ctx.idempotencyKey}\n`),
      now,
      nap: (ctx, seconds) =>
        new Promise((wake, stop) => {
          ctx.signal.addEventListener('abort', () => stop(new Error('aborted')));
          inside()
            .time.ports()
            .timer(seconds * 1_000, wake);
        }),
    });
    const kit = testEngine({ use: plot.use, logger: silent, ...(plot.limits === undefined ? {} : { limits: plot.limits }) });
    self.kit = kit;
    const store = await openSqlite(fileIn(folder), { durability: 'fast', writer: opening.writer });
    inside().store = Promise.resolve(store);
    inside().time.step((await store.open()).clock);
    // Each is a process of its own, which knows that those before it are dead.
    for (let life = 0; life < lives; life++) await kit.reboot();
    await kit.settle();
    return new Life(kit, store, plot, folder);
  }

  /** Lets the plot take its course, from wherever it is. */
  async live(): Promise<void> {
    for (const [second, act] of this.plot.acts) {
      await this.passTo(second);
      await this.insist(act);
      await this.kit.settle();
    }
    await this.passTo(this.plot.until);
  }

  private async passTo(second: number): Promise<void> {
    const { clock } = this.kit;
    const end = BEGIN + second * 1_000;
    while (clock.now().getTime() < end) {
      await clock.to(new Date(Math.min(end, clock.now().getTime() + SWEEP_MS)));
      if (this.isTroubled) await this.sweep();
    }
    await clock.to(new Date(end));
  }

  private async insist(act: Act[1]): Promise<void> {
    for (let tries = 1; ; tries++) {
      const failure = await this.patiently(act);
      if (failure === null) return;
      if (tries === TRIES || !isPawlError(failure) || !failure.code.startsWith('STORE_')) throw failure;
      await this.kit.clock.advance('1s');
    }
  }

  /** What any worker does every two seconds, and the testing kit does not: it finds what nobody was told of. */
  private async sweep(): Promise<void> {
    this.isTroubled = false;
    // why: it may wait for the store to be tried again, and that for time
    void (this.kit as unknown as Inside).engine.runtime.worker?.sweep();
    await this.kit.settle();
  }

  /** An act may wait until the store is tried again, which takes time: null where it is done, else what it failed with. */
  private async patiently(act: Act[1]): Promise<Error | null> {
    let ended: { readonly failure: Error | null } | null = null;
    const ending = act(this.kit).then(
      () => (ended = { failure: null }),
      (failure: Error) => (ended = { failure }),
    );
    for (let waits = 0; waits < PATIENCE; waits++) {
      await Promise.race([ending, this.kit.settle()]);
      if (ended !== null) return (ended as { readonly failure: Error | null }).failure;
      await this.kit.clock.advance('100ms');
    }
    throw new Error('an act never came back');
  }

  async became(): Promise<Became> {
    const { kit } = this;
    const { runs } = await kit.runs.list({ parts: true, limit: 500 });
    const told = await Promise.all(runs.map(async ({ id }) => runText(await kit.get(id))));
    const { letters } = await kit.dead.list();
    const { entries } = await kit.audit();
    return {
      runs: told.toSorted(),
      dead: letters.map((letter) => `${letter.workflow} ${letter.task} ${letter.item ?? ''}`).toSorted(),
      audit: entries.map((entry) => entry.action).toSorted(),
      unlike: await unlike(this.store),
      effects: effectsOf(this.folder),
    };
  }

  close(): Promise<void> {
    return this.kit.close();
  }
}

async function runText(run: Run<unknown>): Promise<string> {
  const { workflow, status, reason = '' } = await run.status();
  const { compensation = '' } = await run.inspect();
  const tasks = (await run.tasks({ items: true }))
    .map((one) => `${one.task}${one.item === undefined ? '' : `[${one.item}]`} ${one.status} ${one.reason ?? ''}`.trim())
    .toSorted();
  const isOver = ['success', 'partial', 'failed', 'cancelled', 'skipped'].includes(status);
  const result = isOver
    ? await run.result().then(
        (value) => JSON.stringify(value),
        (error: { code: string }) => error.code,
      )
    : 'open';
  return [`${workflow} ${status} ${reason} ${compensation} ${result}`, ...tasks].join('\n  ');
}

/** Replayed from its beginning the journal must come to what the rows say. */
async function unlike(store: Store): Promise<string[]> {
  const fold = new JournalFold();
  for (let seq = 0; ;) {
    const { entries } = await store.journal(seq, 1_000);
    for (const entry of entries) fold.add(readJournal(entry.changes));
    const last = entries.at(-1);
    if (last === undefined) break;
    seq = last.seq;
  }
  const found: string[] = [];
  for (const [run, { tasks }] of fold.runs) {
    const rows = new Map((await store.tasksOf(run, true)).map((row) => [`${row.node}:${row.item}`, row]));
    for (const key of new Set([...tasks.keys(), ...rows.keys()])) {
      const [told, row] = [tasks.get(key), rows.get(key)];
      const [said, is] = [told, row].map((one) => (one === undefined ? 'pending' : `${one.status} ${one.attempt}`));
      if (row !== undefined && told === undefined && (row.status === 'pending' || isCopied(row))) continue;
      if (said !== is) found.push(`run ${run}, task ${key}: ${said} in the journal, is ${is}`);
    }
  }
  return found;
}

/** Items that a fork takes over are no transitions: it copies them. */
const isCopied = (row: TaskState): boolean => row.item >= 0 && row.status === 'success' && row.attempt === 0;

/** Run ids are drawn: effects are told apart by their keys, and compared by their counts. */
function effectsOf(folder: string): Record<string, number[]> {
  const path = effectsIn(folder);
  const lines = existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n') : [];
  const counts = new Map<string, Map<string, number>>();
  for (const line of lines) {
    const [name = '', key = ''] = line.split(' ');
    const byKey = counts.get(name) ?? new Map<string, number>();
    byKey.set(key, (byKey.get(key) ?? 0) + 1);
    counts.set(name, byKey);
  }
  return Object.fromEntries(
    [...counts].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([name, byKey]) => [name, [...byKey.values()].toSorted((a, b) => b - a)]),
  );
}
