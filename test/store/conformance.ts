import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { advance, takeMore } from '../../src/core/kernel/advance.ts';
import { claimInPlace } from '../../src/core/kernel/claiming.ts';
import { noChanges, type Changes, type RecordChange } from '../../src/core/kernel/changes.ts';
import { readJournal } from '../../src/core/kernel/journal.ts';
import type { TaskState } from '../../src/core/kernel/run-state.ts';
import type { RunEvent } from '../../src/core/kernel/turn.ts';
import type { CommitResult, LogQuery, LogWrite, OpenCursor, Store, StoredDefinition } from '../../src/store/store.ts';
import {
  batch,
  changes,
  claimOf,
  define,
  endedTask,
  facts,
  loaded,
  newStart,
  queuedTask,
  retryingTask,
  runningTask,
  runWrite,
  SETTINGS,
  started,
  stateOf,
  T0,
  uid,
  type Defined,
  type Held,
} from './kit.ts';

/** A database that nobody used before; each `connect` is another process's look at it. */
export interface Place {
  connect(): Promise<Store>;
  /** Sets what no method sets yet: as a newer version of the code, or a later release, would leave it. */
  run(sql: string): void;
  remove(): Promise<void>;
}

/** What every store must do, whatever the database. */
export function storeConformance(kind: string, newPlace: () => Promise<Place>): void {
  describe(`${kind}:`, () => {
    let place: Place;
    let store: Store;
    let single: Defined;
    let chain: Defined;
    let wide: Defined;
    let mapped: Defined;

    beforeEach(async () => {
      place = await newPlace();
      store = await place.connect();
      single = await define(store, 'single');
      chain = await define(store, 'chain');
      wide = await define(store, 'wide');
      mapped = await define(store, 'mapped');
    });
    afterEach(() => place.remove());

    const commitRun = async (held: Held, decided: Changes, shared = false, on = store): Promise<CommitResult> => {
      const result = await on.commit(batch({ runs: [runWrite(held, decided, shared)] }));
      if (result.conflicts.length === 0) held.epoch = result.epoch;
      return result;
    };

    const decide = (held: Held, { graph }: Defined, ...events: RunEvent[]): Changes => advance(graph, held.state, events, T0 + 5, SETTINGS);

    const ok = (node: number, token: number, output: string | null = '1', item = -1): RunEvent => ({
      type: 'ended',
      node,
      item,
      token,
      outcome: { kind: 'ok', output },
    });

    const journalOf = async () => (await store.journal(0, 1_000)).entries.flatMap((entry) => readJournal(entry.changes));

    describe('open', () => {
      test('says what the store is, and the highest instant that was stored', async () => {
        await started(store, single, { at: T0 + 7 });
        const info = await (await place.connect()).open();
        expect(info).toMatchObject({ kind, clock: T0 + 7, schema: expect.any(Number) as number });
      });

      test('gives the highest instant even where another process, whose clock is behind, wrote last', async () => {
        await started(store, single, { at: T0 + 60_000 });
        const behind = await place.connect();
        await started(behind, single, { at: T0 });
        expect((await (await place.connect()).open()).clock).toBe(T0 + 60_000);
      });

      test('may be called again', async () => {
        await started(store, single, { at: T0 + 9 });
        expect((await store.open()).clock).toBe(T0 + 9);
      });

      test('a closed store refuses everything with STORE_CLOSED', async () => {
        await store.close();
        await expect(store.reserve(1, 1)).rejects.toMatchObject({ code: 'STORE_CLOSED' });
        await expect(store.workers()).rejects.toMatchObject({ code: 'STORE_CLOSED' });
        await expect(store.load([{ run: 1, items: [] }])).rejects.toMatchObject({ code: 'STORE_CLOSED' });
        await expect(store.head()).rejects.toMatchObject({ code: 'STORE_CLOSED' });
        await expect(store.commit(batch())).rejects.toMatchObject({ code: 'STORE_CLOSED' });
        await expect(store.define([{ workflow: 'x', version: '1', hash: 'h', graph: single.stored.graph, at: T0 }])).rejects.toMatchObject({
          code: 'STORE_CLOSED',
        });
      });

      test('may be closed twice', async () => {
        await store.close();
        await expect(store.close()).resolves.toBeUndefined();
      });
    });

    describe('define', () => {
      test('gives the same number for the same name and version, in every process', async () => {
        const again = await define(await place.connect(), 'chain', T0 + 99);
        expect(again.stored).toEqual(chain.stored);
      });

      test('does not change a stored graph', async () => {
        const [stored] = await store.define([{ workflow: 'chain', version: '1', hash: 'another', graph: single.stored.graph, at: T0 }]);
        expect(stored).toEqual(chain.stored);
      });

      test('numbers bodies so that no two definitions share one', async () => {
        const bodies = [single, chain, wide, mapped].flatMap(({ stored }) => stored.graph.tasks.map((_, i) => stored.firstBody + i));
        expect(new Set(bodies).size).toBe(bodies.length);
        expect(Math.min(...bodies)).toBeGreaterThan(0);
      });

      test('keeps the order asked for, with old and new in one call', async () => {
        const graph = single.stored.graph;
        const stored = await store.define([
          { workflow: 'new', version: '2', hash: 'h2', graph, at: T0 },
          { workflow: 'chain', version: '1', hash: 'h', graph, at: T0 },
          { workflow: 'new', version: '1', hash: 'h1', graph, at: T0 },
        ]);
        expect(stored.map(({ workflow, version }) => `${workflow} ${version}`)).toEqual(['new 2', 'chain 1', 'new 1']);
      });

      test('a definition is read by its number; null where there is none', async () => {
        expect(await store.definition(chain.stored.id)).toEqual(chain.stored);
        expect(await store.definition(999)).toBeNull();
      });
    });

    describe('reserve', () => {
      test('gives numbers that nobody else gets', async () => {
        const other = await place.connect();
        const runs = new Set<number>();
        const tokens = new Set<number>();
        for (const from of [store, other, store, other, await place.connect()]) {
          const { firstRun, firstToken } = await from.reserve(3, 5);
          for (let i = 0; i < 3; i++) runs.add(firstRun + i);
          for (let i = 0; i < 5; i++) tokens.add(firstToken + i);
        }
        expect([runs.size, tokens.size]).toEqual([15, 25]);
      });

      test('gives them to calls that come at once', async () => {
        const other = await place.connect();
        const got = await Promise.all([store, other, store, other].map((from) => from.reserve(10, 10)));
        const sorted = got.map(({ firstRun }) => firstRun).sort((a, b) => a - b);
        sorted.slice(1).forEach((first, i) => expect(first - (sorted[i] ?? 0)).toBeGreaterThanOrEqual(10));
      });
    });

    describe('a start', () => {
      test('is found by id and by public id, with everything it was given', async () => {
        const write = await newStart(store, single, {
          tags: ['b', 'a "quoted" ☃'],
          traceparent: '00-1',
          input: '{"n":1}',
          deadlineAt: T0 + 50,
          key: { value: 'k', inputHash: 'h', until: 'kept' },
        });
        expect((await store.commit(batch({ starts: [write] }))).starts).toEqual([{ created: true }]);
        const row = await store.runRow(write.state.run);
        expect(row).toMatchObject({
          run: write.state.run,
          definition: single.stored.id,
          workflow: 'single',
          version: '1',
          status: 'running',
          reason: null,
          unclaimed: false,
          quarantined: null,
          isImported: false,
          acceptedAt: T0,
          deadlineAt: T0 + 50,
          finishedAt: null,
          key: 'k',
          tags: ['b', 'a "quoted" ☃'],
          traceparent: '00-1',
          input: '{"n":1}',
          output: null,
          hasOutput: false,
        });
        expect(await store.findRun(write.uid)).toEqual(row);
        expect(Buffer.from(row?.uid ?? []).equals(Buffer.from(write.uid))).toBe(true);
        expect((await store.runRow(write.state.run))?.status).toBe('running');
      });

      test('of no run is null', async () => {
        expect([await store.findRun(uid()), await store.runRow(12_345)]).toEqual([null, null]);
      });

      test('that never ends anywhere is seen by another process at once', async () => {
        const other = await place.connect();
        const { run } = await started(store, chain);
        expect((await loaded(other, run)).tasks).toMatchObject([{ node: 0, status: 'queued' }]);
      });

      test('that is unclaimed has no tasks, one that starts later neither', async () => {
        const a = await started(store, wide, { unclaimed: true });
        const b = await started(store, wide, { startAt: T0 + 1_000 });
        expect(await store.tasksOf(a.run, true)).toEqual([]);
        expect(await store.tasksOf(b.run, true)).toEqual([]);
        expect(await store.runRow(a.run)).toMatchObject({ unclaimed: true, status: 'running' });
        expect(await store.runRow(b.run)).toMatchObject({ unclaimed: false, status: 'scheduled', startAt: T0 + 1_000 });
      });

      test('whose number is taken is refused, with the whole batch', async () => {
        const first = await started(store, single);
        const fine = await newStart(store, single);
        const twin = await newStart(store, single, { run: first.run });
        await expect(store.commit(batch({ starts: [fine, twin] }))).rejects.toThrow(Error);
        expect(await store.runRow(fine.state.run)).toBeNull();
        expect((await store.commit(batch({ starts: [fine] }))).starts).toEqual([{ created: true }]);
      });
    });

    describe('a key', () => {
      const keyed = async (until: 'kept' | 'open' | number, over: { value?: string; hash?: string; now?: number; on?: Store } = {}) => {
        const { value = 'k', hash = 'h', now = T0, on = store } = over;
        const write = await newStart(on, single, {
          at: now,
          key: { value, inputHash: hash, until },
          lease: { token: 7_000 + now - T0, worker: 1 },
        });
        const result = await on.commit(batch({ now, starts: [write] }));
        return { write, outcome: result.starts[0], epoch: result.epoch };
      };
      const finish = async ({ write, epoch }: { write: Awaited<ReturnType<typeof newStart>>; epoch: number }) => {
        const token = (write.state.tasks[0] as { lease?: { token: number } }).lease?.token ?? 0;
        const held = { write, state: write.state, run: write.state.run, epoch };
        expect((await commitRun(held, decide(held, single, ok(0, token)))).conflicts).toEqual([]);
        expect((await store.runRow(held.run))?.status).toBe('success');
      };

      test('that is held gives the run that holds it, its input hash, and writes nothing', async () => {
        const first = await keyed('kept');
        const second = await keyed('kept', { hash: 'other', on: await place.connect() });
        expect(second.outcome).toEqual({ created: false, run: first.write.state.run, inputHash: 'h', uid: expect.anything() as unknown });
        expect(
          second.outcome?.created === false &&
            'uid' in second.outcome &&
            Buffer.from(second.outcome.uid).equals(Buffer.from(first.write.uid)),
        ).toBe(true);
        expect(await store.runRow(second.write.state.run)).toBeNull();
        expect(await store.tasksOf(second.write.state.run, true)).toEqual([]);
      });

      test('kept is held beyond the end of its run', async () => {
        const first = await keyed('kept');
        await finish(first);
        expect((await keyed('kept', { now: T0 + 1e9 })).outcome).toMatchObject({ created: false });
      });

      test('held while the run is open is free when it ended, and not before', async () => {
        const first = await keyed('open');
        expect((await keyed('open', { now: T0 + 1 })).outcome).toMatchObject({ created: false });
        await finish(first);
        const second = await keyed('open', { now: T0 + 2 });
        expect(second.outcome).toEqual({ created: true });
        expect((await keyed('open', { now: T0 + 3 })).outcome).toMatchObject({ created: false, run: second.write.state.run });
      });

      test('held until an instant is free at that instant, whether its run ended or not, and not before', async () => {
        await keyed(T0 + 100);
        expect((await keyed(T0 + 999, { now: T0 + 99 })).outcome).toMatchObject({ created: false });
        const second = await keyed(T0 + 300, { now: T0 + 100 });
        expect(second.outcome).toEqual({ created: true });
        expect((await keyed('kept', { now: T0 + 299 })).outcome).toMatchObject({ created: false, run: second.write.state.run });
      });

      test('taken over from an older run is not freed by that one’s end', async () => {
        const first = await keyed(T0 + 100);
        const second = await keyed('open', { now: T0 + 200 });
        await finish(first);
        expect((await keyed('open', { now: T0 + 201 })).outcome).toMatchObject({ created: false, run: second.write.state.run });
      });

      test('stands for itself in each workflow', async () => {
        await keyed('kept');
        const write = await newStart(store, chain, { key: { value: 'k', inputHash: 'h', until: 'kept' } });
        expect((await store.commit(batch({ starts: [write] }))).starts).toEqual([{ created: true }]);
      });

      test('asked for twice in one batch goes to the first', async () => {
        const key = { value: 'twice', inputHash: 'h', until: 'kept' } as const;
        const [a, b] = [await newStart(store, single, { key }), await newStart(store, single, { key })];
        expect((await store.commit(batch({ starts: [a, b] }))).starts).toMatchObject([
          { created: true },
          { created: false, run: a.state.run },
        ]);
      });

      test('asked for by two processes at once goes to one', async () => {
        const other = await place.connect();
        const outcomes = await Promise.all([keyed('kept', { now: T0 }), keyed('kept', { now: T0 + 1, on: other })]);
        expect(outcomes.filter(({ outcome }) => outcome?.created === true)).toHaveLength(1);
      });
    });

    describe('a task moves only from where the writer believes it to be:', () => {
      const TOKEN = 501;
      const states: Readonly<Record<string, TaskState>> = {
        queued: queuedTask(),
        'running under the lease': runningTask(TOKEN),
        'running under another lease': runningTask(TOKEN + 1),
        retrying: retryingTask(),
        success: endedTask('success', { output: '1' }),
        failed: endedTask('failed', { reason: 'error' }),
        cancelled: endedTask('cancelled', { reason: 'person' }),
      };
      const targets: Readonly<Record<string, TaskState>> = {
        queued: queuedTask({ attempt: 1 }),
        running: runningTask(TOKEN + 7),
        retrying: retryingTask({ attempt: 9 }),
        success: endedTask('success', { output: '"won"' }),
        failed: endedTask('failed', { reason: 'error', error: '{"name":"Error","message":"won"}' }),
      };
      const beliefs = ['queued', 'running under the lease', 'retrying'];

      for (const [actual, state] of Object.entries(states)) {
        for (const belief of beliefs) {
          for (const [target, to] of Object.entries(targets)) {
            const fits = actual === belief;
            test(`${actual}, believed ${belief}, to ${target}: ${fits ? 'written' : 'refused, and nothing changes'}`, async () => {
              const held = await started(store, single);
              const queued = queuedTask();
              if (actual !== 'queued') await commitRun(held, changes({ from: queued, to: state }));
              const before = await store.tasksOf(held.run, true);
              const { conflicts } = await commitRun(held, changes({ from: states[belief], to }));
              expect(conflicts).toEqual(fits ? [] : [0]);
              const after = await store.tasksOf(held.run, true);
              expect(after[0]?.status).toBe(fits ? to.status : state.status);
              if (!fits) expect(after).toEqual(before);
              else if (to.status === 'success') expect(after[0]).toMatchObject({ output: '"won"', finishedAt: T0 + 5 });
              else expect(after[0]).toEqual(to);
            });
          }
        }
      }

      test('every column of every state comes back as it was written', async () => {
        const draws = [0, 2];
        const all: TaskState[] = [
          queuedTask({ draws, ranMs: 12, handBacks: 3, next: 'return', phase: 'evaluate', expiresAt: T0 + 99, losses: 1, crashes: 1 }),
          runningTask(77, { draws, ranMs: 5, phase: 'evaluate', attempt: 4, begun: 2, losses: 2 }),
          runningTask(null),
          retryingTask({ draws, dueAt: T0 + 12_345, reason: 'timeout', error: null }),
          endedTask('success', { output: null, partial: true }),
          endedTask('failed', { allowed: true, reason: 'too_many_failures', error: '{}', partial: true }),
          endedTask('skipped', { reason: 'condition', startedAt: null }),
          endedTask('upstream_failed', { startedAt: null }),
          endedTask('cancelled', { reason: 'person' }),
        ];
        for (const to of all) {
          const inserted = await started(store, single, { unclaimed: true });
          await commitRun(inserted, changes({ from: undefined, to }));
          expect(await store.tasksOf(inserted.run, true)).toEqual([to]);
          const moved = await started(store, single);
          await commitRun(moved, changes({ from: queuedTask(), to }));
          expect((await loaded(store, moved.run)).tasks).toEqual([to]);
        }
      });

      test('a conflict of one run leaves the others of the batch in force', async () => {
        const [a, b, c] = [await started(store, single), await started(store, single), await started(store, single)];
        const move = changes({ from: queuedTask(), to: endedTask('success', { output: '1' }) });
        const wrong = changes({ from: runningTask(9), to: endedTask('success', { output: '"wrong"' }) });
        const fresh = await newStart(store, single);
        const result = await store.commit(batch({ runs: [runWrite(a, move), runWrite(b, wrong), runWrite(c, move)], starts: [fresh] }));
        expect(result.conflicts).toEqual([1]);
        expect(result.starts).toEqual([{ created: true }]);
        expect([await stateOf(store, a.run), await stateOf(store, b.run), await stateOf(store, c.run)]).toMatchObject([
          { status: 'success' },
          { status: 'queued' },
          { status: 'success' },
        ]);
        expect((await journalOf()).filter((one) => one.run === b.run && one.kind === 'task')).toHaveLength(1);
      });

      test('several steps of one task in one commit are one write', async () => {
        const held = await started(store, chain, { lease: { token: 11, worker: 1 } });
        const decided = decide(held, chain, ok(0, 11));
        const queued = decided.tasks.find((change) => change.to.node === 1);
        if (queued === undefined) throw new Error('no successor');
        claimInPlace(held.state, queued, { token: 12, worker: 1 }, T0 + 5);
        expect((await commitRun(held, decided)).conflicts).toEqual([]);
        expect(await store.tasksOf(held.run, false)).toMatchObject([
          { node: 0, status: 'success', output: '1' },
          { node: 1, status: 'running', lease: { token: 12, worker: 1 }, startedAt: T0 + 5 },
        ]);
        expect((await commitRun(held, decide(held, chain, ok(1, 12)))).conflicts).toEqual([]);
        // The late report of the first attempt
        expect((await commitRun(held, changes({ from: runningTask(11), to: endedTask('failed') }))).conflicts).toEqual([0]);
      });
    });

    describe('log lines', () => {
      const line = (text: string): string => JSON.stringify([[T0, 'info', text]]);
      const lines = (held: Held, over: Partial<LogWrite> = {}): LogWrite => ({
        run: held.run,
        node: 0,
        item: -1,
        generation: 1,
        attempt: 1,
        token: 11,
        chunk: 0,
        lines: line('first'),
        ...over,
      });
      const textsOf = async (query: Partial<LogQuery> & { readonly run: number }, limit = 100): Promise<string[]> =>
        (await store.logsOf({ after: 0, ...query }, limit)).flatMap((row) => row.lines.map(([, , text]) => text));

      test('of a claim are written, and read in the order of their commits', async () => {
        const held = await started(store, wide, { lease: { token: 11, worker: 1 } });
        const second = lines(held, { node: 1, token: 12, lines: line('second') });
        expect((await store.commit(batch({ logs: [lines(held), second] }))).logs).toEqual([true, true]);
        expect((await store.commit(batch({ logs: [lines(held, { chunk: 1, lines: line('third') })] }))).logs).toEqual([true]);
        expect(await store.logsOf({ run: held.run, after: 0 }, 100)).toEqual([
          { seq: 1, node: 0, item: -1, generation: 1, attempt: 1, lines: [[T0, 'info', 'first']] },
          { seq: 2, node: 1, item: -1, generation: 1, attempt: 1, lines: [[T0, 'info', 'second']] },
          { seq: 3, node: 0, item: -1, generation: 1, attempt: 1, lines: [[T0, 'info', 'third']] },
        ]);
        expect(await textsOf({ run: held.run, after: 1 })).toEqual(['second', 'third']);
        expect(await textsOf({ run: held.run }, 2)).toEqual(['first', 'second']);
        expect(await textsOf({ run: held.run, node: 0 })).toEqual(['first', 'third']);
        expect(await textsOf({ run: held.run, node: 0, item: 0 })).toEqual([]);
        expect(await textsOf({ run: held.run, attempt: 2 })).toEqual([]);
        expect(await textsOf({ run: held.run + 1 })).toEqual([]);
      });

      test.each([
        ['another token', { token: 99 }],
        ['another generation', { generation: 2 }],
        ['another attempt', { attempt: 2 }],
        ['a task that is not there', { node: 7 }],
      ])('under %s are refused', async (_, over) => {
        const held = await started(store, single, { lease: { token: 11, worker: 1 } });
        expect((await store.commit(batch({ logs: [lines(held, over)] }))).logs).toEqual([false]);
        expect(await textsOf({ run: held.run })).toEqual([]);
      });

      test('of a task that nobody holds are refused: queued, retrying, ended', async () => {
        const queued = await started(store, single);
        expect((await store.commit(batch({ logs: [lines(queued)] }))).logs).toEqual([false]);
        for (const to of [retryingTask(), endedTask('success'), endedTask('cancelled', { reason: 'person' })]) {
          const held = await started(store, single, { lease: { token: 11, worker: 1 } });
          await commitRun(held, changes({ from: runningTask(11), to }));
          expect((await store.commit(batch({ logs: [lines(held)] }))).logs).toEqual([false]);
          expect(await textsOf({ run: held.run })).toEqual([]);
        }
      });

      test('come with the change that ends their attempt', async () => {
        const held = await started(store, single, { lease: { token: 11, worker: 1 } });
        const move = runWrite(held, changes({ from: runningTask(11), to: endedTask('success', { output: '1' }) }));
        expect((await store.commit(batch({ logs: [lines(held)], runs: [move] }))).logs).toEqual([true]);
        expect(await stateOf(store, held.run)).toMatchObject({ status: 'success' });
        expect(await textsOf({ run: held.run })).toEqual(['first']);
      });

      test('are written once, although the change of their run met a conflict and another run’s guard failed', async () => {
        const [held, other] = [await started(store, single, { lease: { token: 11, worker: 1 } }), await started(store, single)];
        await (await place.connect()).commit(batch({ share: [held.run] }));
        const stale = runWrite(held, changes({ from: runningTask(11), to: endedTask('success') }));
        const wrong = runWrite(other, changes({ from: runningTask(9), to: endedTask('success') }));
        const result = await store.commit(batch({ logs: [lines(held)], runs: [stale, wrong] }));
        expect(result).toMatchObject({ logs: [true], conflicts: [0, 1] });
        expect(await textsOf({ run: held.run })).toEqual(['first']);
      });

      test('that are there already are not written again', async () => {
        const held = await started(store, single, { lease: { token: 11, worker: 1 } });
        await store.commit(batch({ logs: [lines(held)] }));
        expect((await store.commit(batch({ logs: [lines(held), lines(held, { chunk: 1, lines: line('next') })] }))).logs).toEqual([
          false,
          true,
        ]);
        expect(await textsOf({ run: held.run })).toEqual(['first', 'next']);
      });

      test('are noticed by another process', async () => {
        const held = await started(store, single, { lease: { token: 11, worker: 1 } });
        const watcher = await place.connect();
        const { seq } = await watcher.head();
        await store.commit(batch({ logs: [lines(held)] }));
        expect((await watcher.head()).seq).toBeGreaterThan(seq);
      });
    });

    describe('a run', () => {
      test('that ended has its outcome and output, and nothing wakes it', async () => {
        const held = await started(store, single, { lease: { token: 5, worker: 1 }, deadlineAt: T0 + 100 });
        await commitRun(held, decide(held, single, ok(0, 5, '42')));
        expect(await store.runRow(held.run)).toMatchObject({ status: 'success', finishedAt: T0 + 5, hasOutput: true, output: '{"a":42}' });
        expect(await store.due(T0 + 1e9, 10)).toMatchObject({ runs: [], tasks: [], nextAt: null });
      });

      test('that is admitted waits for its deadline from then on', async () => {
        const held = await started(store, single, { startAt: T0 + 10, deadlineAt: T0 + 500 });
        await commitRun(held, decide(held, single, { type: 'admit' }), true);
        expect(await store.runRow(held.run)).toMatchObject({ status: 'running', deadlineAt: T0 + 500 });
        expect(await store.due(T0 + 499, 10)).toMatchObject({ runs: [], nextAt: T0 + 500 });
        expect((await store.due(T0 + 500, 10)).runs).toEqual([{ run: held.run, event: 'deadline', dueAt: T0 + 500 }]);
      });

      test('that is cancelled before anybody claimed it is never claimed', async () => {
        const held = await started(store, wide, { unclaimed: true });
        await commitRun(held, decide(held, wide, { type: 'cancel', reason: 'person' }), true);
        expect(await store.runRow(held.run)).toMatchObject({ status: 'cancelled', unclaimed: false });
        const claimed = await store.commit(batch({ claim: claimOf(5, 1, wide) }));
        expect([claimed.claimedRuns, claimed.claimedTasks]).toEqual([[], []]);
      });

      test('is loaded with what is open, and with ended items only where asked for', async () => {
        expect(await store.load([{ run: 4_711, items: [] }])).toEqual([]);
        const held = await started(store, chain, { lease: { token: 11, worker: 3 } });
        const one = await loaded(store, held.run);
        expect(one.facts).toMatchObject({ run: held.run, generation: 1, rev: 1, status: 'running', rank: T0, acceptedAt: T0 });
        expect(one.row.owner).toBe(3);
        expect(one.tasks).toMatchObject([{ node: 0, status: 'running', lease: { token: 11, worker: 3 } }]);
      });
    });

    describe('two processes on one run:', () => {
      test('who wrote to a shared run first wins, the other sees a conflict and nothing of its write', async () => {
        const other = await place.connect();
        const mine = await started(store, chain);
        const theirs = { ...mine, state: { ...mine.state }, epoch: (await loaded(other, mine.run)).epoch };
        const claimed = changes({ from: queuedTask(), to: runningTask(31) });
        expect((await commitRun(theirs, claimed, true, other)).conflicts).toEqual([]);
        expect((await commitRun(mine, changes({ from: queuedTask(), to: endedTask('cancelled') }), true)).conflicts).toEqual([0]);
        expect(await stateOf(store, mine.run)).toMatchObject({ status: 'running', lease: { token: 31 } });
        expect((await journalOf()).at(-1)).toMatchObject({ to: 'running' });
      });

      test('what was only read meanwhile is no conflict', async () => {
        const other = await place.connect();
        const mine = await started(store, chain);
        await loaded(other, mine.run);
        await other.reserve(1, 1);
        await started(other, chain);
        expect((await commitRun(mine, changes({ from: queuedTask(), to: runningTask(31) }), true)).conflicts).toEqual([]);
      });

      test('a conflict is seen even where the task’s own guard would still hold', async () => {
        const other = await place.connect();
        const held = await started(store, wide);
        const copy = { ...held, epoch: (await loaded(other, held.run)).epoch };
        await commitRun(
          copy,
          changes({ from: queuedTask({ node: 1 }), to: endedTask('failed', { node: 1, reason: 'error' }) }),
          true,
          other,
        );
        expect((await commitRun(held, changes({ from: queuedTask(), to: runningTask(1) }), true)).conflicts).toEqual([0]);
      });

      test('every write to a shared run raises its revision by one, writes of its only holder do not', async () => {
        const own = await started(store, chain, { lease: { token: 11, worker: 1 } });
        await commitRun(own, decide(own, chain, ok(0, 11)));
        expect((await loaded(store, own.run)).facts.rev).toBe(1);
        const shared = await started(store, chain);
        await commitRun(shared, changes({ from: queuedTask(), to: runningTask(12) }), true);
        expect((await loaded(store, shared.run)).facts.rev).toBe(2);
      });

      test('a run that is shared by another process is noticed by the one that held it alone', async () => {
        const other = await place.connect();
        const mine = await started(store, chain, { lease: { token: 11, worker: 1 } });
        await other.commit(batch({ worker: 2, share: [mine.run] }));
        expect((await loaded(other, mine.run)).row.owner).toBeNull();
        expect((await commitRun(mine, decide(mine, chain, ok(0, 11)))).conflicts).toEqual([0]);
        expect(await stateOf(store, mine.run)).toMatchObject({ status: 'running' });
        const again = await loaded(store, mine.run);
        const state = { ...mine.state, rev: again.facts.rev };
        expect(
          (await commitRun({ ...mine, state, epoch: again.epoch }, changes({ from: runningTask(11), to: endedTask('success') }), true))
            .conflicts,
        ).toEqual([]);
      });

      test('a task claimed by another than its run’s owner makes the owner notice', async () => {
        const other = await place.connect();
        const mine = await started(store, wide, { lease: { token: 11, worker: 1 } });
        const move = changes({ from: runningTask(12, { node: 1 }), to: queuedTask({ node: 1, attempt: 1 }) });
        await commitRun(mine, move);
        const claim = await other.commit(batch({ worker: 2, claim: claimOf(5, 90, wide) }));
        expect(claim.claimedTasks).toMatchObject([{ run: mine.run, task: { node: 1, lease: { token: 90, worker: 2 } } }]);
        expect((await loaded(other, mine.run)).row.owner).toBeNull();
        expect((await commitRun(mine, changes({ from: runningTask(11), to: endedTask('success') }))).conflicts).toEqual([0]);
      });

      test('a task claimed by its run’s owner leaves the run its own', async () => {
        const mine = await started(store, wide, { lease: { token: 11, worker: 1 } });
        await commitRun(mine, changes({ from: runningTask(12, { node: 1 }), to: queuedTask({ node: 1, attempt: 1 }) }));
        const { epoch } = await store.commit(batch({ claim: claimOf(5, 90, wide) }));
        const after = await loaded(store, mine.run);
        expect([after.row.owner, after.facts.rev]).toEqual([1, 1]);
        expect((await commitRun({ ...mine, epoch }, changes({ from: runningTask(11), to: endedTask('success') }))).conflicts).toEqual([]);
      });
    });

    describe('a claim', () => {
      const claim = (limit: number, token: number, ...defined: Defined[]) =>
        store.commit(batch({ claim: claimOf(limit, token, ...defined) }));

      test('takes unclaimed runs with their roots as the kernel would have queued them, running', async () => {
        const { run, write } = await started(store, wide, { unclaimed: true, rank: T0 - 9, input: '1' });
        const result = await claim(10, 100, wide);
        expect(result.claimedRuns).toHaveLength(1);
        const [got] = result.claimedRuns;
        expect(got).toMatchObject({ definition: wide.stored.id, facts: { run, rank: T0 - 9, input: '1', status: 'running' } });
        expect(Buffer.from(got?.uid ?? []).equals(Buffer.from(write.uid))).toBe(true);
        expect(got?.tasks.map((one) => [one.node, one.status === 'running' ? one.lease : null])).toEqual([
          [0, { token: 100, worker: 1 }],
          [1, { token: 101, worker: 1 }],
          [2, { token: 102, worker: 1 }],
        ]);
        expect(await store.tasksOf(run, true)).toEqual(got?.tasks);
        expect(await store.runRow(run)).toMatchObject({ unclaimed: false, owner: 1 });
        expect(result).toMatchObject({ tokensUsed: 3, leftRank: null });
        expect((await claim(10, 200, wide)).claimedRuns).toEqual([]);
        const expected = await newStart(store, wide, { rank: T0 - 9, input: '1', lease: { token: 100, worker: 1 } });
        expect(got?.tasks).toEqual(expected.state.tasks);
      });

      test('of a run with more roots than slots queues the others, and says that they wait', async () => {
        const { run } = await started(store, wide, { unclaimed: true, rank: T0 - 5 });
        const first = await claim(2, 100, wide);
        expect(first.claimedRuns[0]?.tasks.map((one) => one.status)).toEqual(['running', 'running', 'queued']);
        expect(first.tokensUsed).toBe(2);
        expect(first.leftRank).toBe(T0 - 5);
        const second = await claim(5, 200, wide);
        expect(second.claimedTasks).toMatchObject([{ run, task: { node: 2, lease: { token: 200, worker: 1 } } }]);
        expect(second.leftRank).toBeNull();
      });

      test('takes the best rank first, over runs, tasks and maps alike', async () => {
        const late = await started(store, single, { rank: T0 + 50 });
        const early = await started(store, chain, { rank: T0 + 10 });
        const asRun = await started(store, single, { rank: T0 + 20, unclaimed: true });
        const map = await started(store, mapped, { rank: T0 + 30, input: '{"list":[1,2,3]}' });
        const later = await started(store, single, { rank: T0 + 60, unclaimed: true });
        const order = async () => {
          const result = await claim(1, 100 + Math.floor(Math.random() * 1e6), single, chain, mapped);
          return [
            ...result.claimedRuns.map(({ facts: { run } }) => run),
            ...result.claimedTasks.map(({ run }) => run),
            ...result.openMaps.map(({ run }) => run),
            result.leftRank,
          ];
        };
        expect(await order()).toEqual([early.run, T0 + 20]);
        expect(await order()).toEqual([asRun.run, T0 + 30]);
        // A map takes no slot: how many of its items may start, only its run's state says.
        expect(await order()).toEqual([late.run, map.run, T0 + 60]);
        const copy = { ...map };
        const taken = noChanges();
        takeMore(mapped.graph, copy.state, taken, { node: 0, count: 3, now: T0, settings: SETTINGS });
        for (const [i, change] of taken.tasks.entries()) claimInPlace(copy.state, change, { token: 900 + i, worker: 1 }, T0);
        expect((await commitRun({ ...copy, epoch: (await loaded(store, map.run)).epoch }, taken, true)).conflicts).toEqual([]);
        expect(await order()).toEqual([later.run, null]);
        expect(await order()).toEqual([null]);
      });

      test('takes equal ranks in the order of their runs', async () => {
        const runs = [];
        for (let i = 0; i < 4; i++) runs.push((await started(store, single, { unclaimed: i % 2 === 0 })).run);
        const got = [];
        for (let i = 0; i < 4; i++) {
          const { claimedRuns, claimedTasks } = await claim(1, 100 + i, single);
          got.push(...claimedRuns.map((one) => one.facts.run), ...claimedTasks.map((one) => one.run));
        }
        expect(got).toEqual(runs);
      });

      test('takes no more than the limit, and says what is left', async () => {
        for (let i = 0; i < 7; i++) await started(store, single, { rank: T0 + i, unclaimed: i < 3 });
        const result = await claim(5, 100, single);
        expect(result.claimedRuns.length + result.claimedTasks.length).toBe(5);
        expect(result).toMatchObject({ leftRank: T0 + 5, tokensUsed: 5 });
        const tokens = [...result.claimedRuns.flatMap((one) => one.tasks), ...result.claimedTasks.map((one) => one.task)];
        expect(new Set(tokens.map((one) => (one.status === 'running' ? one.lease?.token : 0))).size).toBe(5);
      });

      test('with no slots takes nothing, and says what waits', async () => {
        await started(store, single, { rank: T0 + 3 });
        expect(await claim(0, 100, single)).toMatchObject({ claimedRuns: [], claimedTasks: [], leftRank: T0 + 3, tokensUsed: 0 });
      });

      test('takes only bodies and definitions that were asked for', async () => {
        const other = await define(store, 'other');
        await started(store, single, { rank: T0 - 2 });
        await started(store, single, { rank: T0 - 1, unclaimed: true });
        const mine = [await started(store, other), await started(store, other, { unclaimed: true })];
        const result = await claim(10, 100, other);
        expect([...result.claimedTasks.map(({ run }) => run), ...result.claimedRuns.map((one) => one.facts.run)]).toEqual([
          mine[0]?.run,
          mine[1]?.run,
        ]);
        expect(result.leftRank).toBeNull();
        expect(await claim(10, 200)).toMatchObject({ claimedRuns: [], claimedTasks: [], openMaps: [], leftRank: null });
      });

      test('begins the next attempt of a start, and goes on with that of a return', async () => {
        const a = await started(store, single);
        await commitRun(a, changes({ from: queuedTask(), to: queuedTask({ attempt: 2, begun: 2, ranMs: 40, next: 'start' }) }));
        const b = await started(store, single);
        await commitRun(b, changes({ from: queuedTask(), to: queuedTask({ attempt: 2, begun: 2, ranMs: 40, next: 'return' }) }));
        const { claimedTasks } = await claim(5, 100, single);
        expect(claimedTasks.map((one) => one.task)).toMatchObject([
          { attempt: 3, begun: 3, ranMs: 0 },
          { attempt: 2, begun: 2, ranMs: 40 },
        ]);
        expect(await stateOf(store, b.run)).toEqual(claimedTasks[1]?.task);
      });

      test('by two processes at once gives each task to one of them', async () => {
        const other = await place.connect();
        for (let i = 0; i < 30; i++) await started(store, single, { unclaimed: i % 3 === 0 });
        const results = await Promise.all(
          [0, 1, 2, 3, 4, 5].map((i) =>
            (i % 2 === 0 ? store : other).commit(batch({ worker: 1 + (i % 2), claim: claimOf(6, 1_000 * (i + 1), single) })),
          ),
        );
        const got = results.flatMap((one) => [...one.claimedRuns.map((run) => run.facts.run), ...one.claimedTasks.map(({ run }) => run)]);
        expect([got.length, new Set(got).size]).toEqual([30, 30]);
      });

      test('passes over quarantined runs, however many stand in front', async () => {
        for (let i = 0; i < 12; i++) {
          const { run } = await started(store, single, { rank: T0 - 100 + i, unclaimed: i % 2 === 0 });
          await store.quarantine(run, 'broken', [], T0);
        }
        const fine = await started(store, single);
        const unclaimed = await started(store, single, { unclaimed: true });
        const result = await claim(2, 100, single);
        expect(result.claimedTasks.map(({ run }) => run)).toEqual([fine.run]);
        expect(result.claimedRuns.map((one) => one.facts.run)).toEqual([unclaimed.run]);
        expect(result.leftRank).toBeNull();
      });

      test('passes over runs of a newer state format, however many stand in front', async () => {
        const newer = [];
        for (let i = 0; i < 6; i++) newer.push((await started(store, single, { rank: T0 - 100 + i, unclaimed: i % 2 === 0 })).run);
        place.run(`UPDATE runs SET format = 99 WHERE id IN (${newer.join()})`);
        const fine = [await started(store, single), await started(store, single, { unclaimed: true })].map(({ run }) => run);
        const result = await claim(2, 100, single);
        expect([...result.claimedTasks.map(({ run }) => run), ...result.claimedRuns.map((one) => one.facts.run)]).toEqual(fine);
      });
    });

    describe('a map', () => {
      const withMap = (list = '[1,2,3,4]') => started(store, mapped, { input: `{"list":${list}}` });
      const take = (held: Held, count: number, tokens: number): Changes => {
        const decided = noChanges();
        takeMore(mapped.graph, held.state, decided, { node: 0, count, now: T0 + 1, settings: SETTINGS });
        decided.tasks.forEach((change, i) => claimInPlace(held.state, change, { token: tokens + i, worker: 1 }, T0 + 1));
        return decided;
      };
      const openMaps = async () => (await store.commit(batch({ claim: claimOf(5, 1, mapped) }))).openMaps;

      test('that started is offered until its last item has started', async () => {
        const held = await withMap();
        expect(await openMaps()).toEqual([{ run: held.run, node: 0, rank: T0 }]);
        await commitRun(held, take(held, 3, 10));
        expect(await openMaps()).toHaveLength(1);
        await commitRun(held, take(held, 1, 20));
        expect(await openMaps()).toEqual([]);
      });

      test('that has started is counted for whoever looks at the run', async () => {
        const held = await withMap();
        expect(await store.mapsOf(held.run)).toEqual([{ node: 0, n: 4, next: 0, ok: 0, failed: 0, cancelled: 0, skipped: 0 }]);
        await commitRun(held, take(held, 2, 10));
        await commitRun(held, decide(held, mapped, ok(0, 10, '7', 0)));
        expect(await store.mapsOf(held.run)).toEqual([{ node: 0, n: 4, next: 2, ok: 1, failed: 0, cancelled: 0, skipped: 0 }]);
        expect(await store.mapsOf(held.run + 1)).toEqual([]);
      });

      test('counts its items, and the counters are read back', async () => {
        const held = await withMap();
        await commitRun(held, take(held, 3, 10));
        await commitRun(held, decide(held, mapped, ok(0, 10, '7', 0)));
        await commitRun(
          held,
          decide(held, mapped, {
            type: 'ended',
            node: 0,
            item: 1,
            token: 11,
            outcome: { kind: 'error', error: '{}', facts: { nonRetryable: true } },
          }),
        );
        const one = await loaded(store, held.run, [0]);
        expect(one.maps).toEqual([{ node: 0, n: 4, next: 3, ok: 1, failed: 1, cancelled: 0, skipped: 0, again: [] }]);
        expect(one.tasks.map((task) => [task.item, task.status])).toEqual([
          [-1, 'running'],
          [2, 'running'],
        ]);
        expect(one.items).toMatchObject([
          {
            node: 0,
            items: [
              { item: 0, output: '7' },
              { item: 1, status: 'failed' },
            ],
          },
        ]);
        expect((await loaded(store, held.run)).items).toEqual([]);
        expect((await store.tasksOf(held.run, false)).map((task) => task.item)).toEqual([-1]);
        expect((await store.tasksOf(held.run, true)).map((task) => task.item)).toEqual([-1, 0, 1, 2]);
      });

      test('that ended before its last item started is offered no more', async () => {
        const held = await withMap();
        await commitRun(held, take(held, 2, 10));
        await commitRun(held, decide(held, mapped, { type: 'cancel', reason: 'person' }));
        expect(await openMaps()).toEqual([]);
        expect((await store.runRow(held.run))?.status).toBe('cancelled');
        expect((await store.tasksOf(held.run, true)).map((task) => task.status)).toEqual(['cancelled', 'cancelled', 'cancelled']);
      });

      test('of a quarantined run is not offered', async () => {
        const held = await withMap();
        await store.quarantine(held.run, 'why', [], T0);
        expect(await openMaps()).toEqual([]);
      });

      test('whose run is at its items is not held up by items of a sibling run', async () => {
        const [a, b] = [await withMap(), await withMap()];
        await commitRun(a, take(a, 2, 10));
        await commitRun(b, take(b, 1, 20));
        expect((await loaded(store, a.run)).tasks).toHaveLength(3);
        expect((await loaded(store, b.run)).tasks).toHaveLength(2);
      });
    });

    describe('a step', () => {
      const step = (run: number, over: object = {}) => ({
        run,
        node: 0,
        item: -1,
        generation: 1,
        token: 5,
        name: 's',
        kind: 'step',
        value: '1',
        ...over,
      });
      const running = () => started(store, single, { lease: { token: 5, worker: 1 } });

      test('is kept under the lease, in order, and read back', async () => {
        const { run } = await running();
        const result = await store.commit(batch({ steps: [step(run), step(run, { name: 't', value: null })] }));
        expect(result.steps).toEqual([true, true]);
        expect(await store.steps({ run, node: 0, item: -1 })).toEqual([
          { name: 's', kind: 'step', hash: null, done: null, value: '1', place: 1 },
          { name: 't', kind: 'step', hash: null, done: null, value: null, place: 2 },
        ]);
      });

      const at = { node: 0, item: -1, generation: 1 } as const;
      const opened = (name: string) => ({ ...at, kind: 'open', name, call: 'run', hash: `h-${name}`, value: `"${name}"` }) as const;
      const noted = async (held: Awaited<ReturnType<typeof running>>, ...records: RecordChange[]) =>
        store.commit(batch({ runs: [runWrite(held, { ...changes(), records })] }));

      test('of a call is opened and ended, each in its place', async () => {
        const held = await running();
        await noted(held, opened('a'), opened('b'), { ...at, kind: 'done', name: 'b', value: '"over"' });
        await noted(held, { ...at, kind: 'done', name: 'b', value: '"again"' }, opened('a'));
        expect(await store.steps({ run: held.run, node: 0, item: -1 })).toEqual([
          { name: 'a', kind: 'run', hash: 'h-a', done: null, value: '"a"', place: 1 },
          { name: 'b', kind: 'run', hash: 'h-b', done: 3, value: '"over"', place: 3 },
        ]);
      });

      test('of a call is kept for another generation, where any other may take its name', async () => {
        const held = await running();
        await store.commit(batch({ steps: [step(held.run)] }));
        await noted(held, opened('a'), opened('b'), { ...at, kind: 'done', name: 'a', value: '"over"' });
        const next = { ...at, generation: 2 };
        await noted(held, { ...next, kind: 'keep', from: 1 }, { ...opened('b'), generation: 2, hash: 'other' });
        const seen = await store.steps({ run: held.run, node: 0, item: -1 }, { generation: 2, place: 0 });
        expect(seen).toEqual([
          { name: 'a', kind: 'kept', hash: 'h-a', done: 4, value: '"over"', place: 4 },
          { name: 'b', kind: 'run', hash: 'other', done: null, value: '"b"', place: 5 },
        ]);
        expect(await store.steps({ run: held.run, node: 0, item: -1 })).toHaveLength(3);
      });

      test('is read alone by who has read those before it', async () => {
        const { run } = await running();
        await store.commit(batch({ steps: [step(run), step(run, { name: 't' })] }));
        await store.commit(batch({ steps: [step(run, { name: 'a' })] }));
        const after = async (place: number) =>
          (await store.steps({ run, node: 0, item: -1 }, { generation: 1, place })).map(({ name }) => name);
        expect(await after(0)).toEqual(['s', 't', 'a']);
        expect(await after(2)).toEqual(['a']);
        expect(await after(3)).toEqual([]);
        expect(await store.steps({ run, node: 0, item: -1 }, { generation: 2, place: 0 })).toEqual([]);
      });

      const wrong: [string, object][] = [
        ['another token', { token: 6 }],
        ['another generation', { generation: 2 }],
        ['another node', { node: 1 }],
        ['an item that is not there', { item: 0 }],
      ];
      for (const [what, over] of wrong) {
        test(`under ${what} is not kept`, async () => {
          const { run } = await running();
          expect((await store.commit(batch({ steps: [step(run, over), step(run, { name: 'fine' })] }))).steps).toEqual([false, true]);
          expect(await store.steps({ run, node: 0, item: -1 })).toMatchObject([{ name: 'fine' }]);
        });
      }

      const states: [string, TaskState][] = [
        ['queued', queuedTask()],
        ['retrying', retryingTask()],
        ['success', endedTask('success')],
        ['failed', endedTask('failed')],
        ['running under another lease', runningTask(6)],
      ];
      for (const [what, to] of states) {
        test(`of a task that is ${what} is not kept`, async () => {
          const held = await running();
          await commitRun(held, changes({ from: runningTask(5), to }));
          expect((await store.commit(batch({ steps: [step(held.run)] }))).steps).toEqual([false]);
          expect(await store.steps({ run: held.run, node: 0, item: -1 })).toEqual([]);
        });
      }

      test('that comes in the commit that ends its task is not kept', async () => {
        const held = await running();
        const result = await store.commit(
          batch({ runs: [runWrite(held, changes({ from: runningTask(5), to: endedTask('success') }))], steps: [step(held.run)] }),
        );
        expect(result.steps).toEqual([false]);
      });

      test('survives its attempt, for the next one', async () => {
        const held = await running();
        await store.commit(batch({ steps: [step(held.run)] }));
        await commitRun(held, changes({ from: runningTask(5), to: retryingTask() }));
        await commitRun(held, changes({ from: retryingTask(), to: runningTask(8) }));
        expect(await store.steps({ run: held.run, node: 0, item: -1 })).toMatchObject([{ name: 's', value: '1' }]);
      });

      test('that is there already is not written over', async () => {
        const { run } = await running();
        await store.commit(batch({ steps: [step(run)] }));
        await store.commit(batch({ steps: [step(run, { value: '"other"' })] })).catch(() => undefined);
        expect(await store.steps({ run, node: 0, item: -1 })).toEqual([
          { name: 's', kind: 'step', hash: null, done: null, value: '1', place: 1 },
        ]);
      });
    });

    describe('attempts', () => {
      test('of a task: of many the first 3 and the last 10 are kept, in order', async () => {
        const held = await started(store, single, { lease: { token: 5, worker: 1 } });
        for (let attempt = 1; attempt <= 20; attempt++) {
          const record = {
            node: 0,
            item: -1,
            generation: 1,
            attempt,
            outcome: 'error',
            reason: 'error',
            error: '{}',
            worker: 1,
            startedAt: T0,
            endedAt: T0 + attempt,
          } as const;
          await commitRun(held, { ...noChanges(), attempts: [record] });
        }
        const kept = await store.attemptsOf({ run: held.run, node: 0, item: -1 });
        expect(kept.map((one) => one.attempt)).toEqual([1, 2, 3, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]);
        expect(kept[0]).toEqual({
          attempt: 1,
          generation: 1,
          outcome: 'error',
          reason: 'error',
          error: '{}',
          worker: 1,
          startedAt: T0,
          endedAt: T0 + 1,
        });
        expect(await store.attemptsOf({ run: held.run, node: 0, item: 0 })).toEqual([]);
      });
    });

    describe('the journal', () => {
      test('tells what a commit did, run by run, in order', async () => {
        const write = await newStart(store, chain, { lease: { token: 11, worker: 1 } });
        const { seq, epoch } = await store.commit(batch({ now: T0 + 1, worker: 4, starts: [write] }));
        const held = { write, state: write.state, run: write.state.run, epoch };
        const decided = decide(held, chain, ok(0, 11));
        await store.commit(batch({ now: T0 + 2, worker: 5, runs: [runWrite(held, decided)] }));
        const { entries, gone } = await store.journal(seq - 1, 10);
        expect(gone).toBe(false);
        expect(entries.map(({ at, worker }) => [at, worker])).toEqual([
          [T0 + 1, 4],
          [T0 + 2, 5],
        ]);
        const run = held.run;
        expect(entries.map(({ changes: text }) => readJournal(text))).toEqual([
          [
            { kind: 'run', run, generation: 1, from: '-', to: 'running', reason: null },
            { kind: 'task', run, generation: 1, node: 0, item: -1, from: 'pending', to: 'running', attempt: 1, reason: null },
          ],
          [
            { kind: 'task', run, generation: 1, node: 0, item: -1, from: 'running', to: 'success', attempt: 1, reason: null },
            { kind: 'task', run, generation: 1, node: 1, item: -1, from: 'pending', to: 'queued', attempt: 0, reason: null },
          ],
        ]);
      });

      test('tells the end of a run last, with its reason, and claims as they happened', async () => {
        const held = await started(store, single, { unclaimed: true });
        await store.commit(batch({ claim: claimOf(1, 50, single) }));
        const after = await loaded(store, held.run);
        const state = { ...held.state, rev: after.facts.rev, tasks: [...after.tasks] };
        const again = { ...held, state, epoch: after.epoch };
        await commitRun(again, decide(again, single, { type: 'cancel', reason: 'person' }));
        expect((await journalOf()).map((one) => [one.kind, one.from, one.to, one.kind === 'move' ? null : one.reason])).toEqual([
          ['run', '-', 'running', null],
          ['task', 'pending', 'running', null],
          ['task', 'running', 'cancelled', 'person'],
          ['run', 'running', 'cancelled', 'person'],
        ]);
      });

      test('has one entry per commit that moved something, and none for the others', async () => {
        const { seq } = await store.commit(batch({ starts: [await newStart(store, single), await newStart(store, chain)] }));
        expect((await store.journal(0, 10)).entries).toHaveLength(1);
        await store.reserve(1, 1);
        expect((await store.commit(batch())).seq).toBe(seq);
        expect((await store.commit(batch({ claim: claimOf(1, 1) }))).seq).toBe(seq);
        expect((await store.head()).seq).toBe(seq);
      });

      test('is read in pages', async () => {
        for (let i = 0; i < 5; i++) await started(store, single);
        const seen: number[] = [];
        for (let after = 0; ; after = seen.at(-1) ?? 0) {
          const { entries } = await store.journal(after, 2);
          if (entries.length === 0) break;
          seen.push(...entries.map(({ seq }) => seq));
        }
        expect(seen).toHaveLength(5);
        expect(seen).toEqual([...seen].sort((a, b) => a - b));
      });

      test('says where its beginning was pruned', async () => {
        for (let i = 0; i < 4; i++) await started(store, single);
        place.run("DELETE FROM journal WHERE seq <= 2; UPDATE meta SET value = 2 WHERE name = 'pruned_to'");
        expect((await store.journal(0, 10)).gone).toBe(true);
        expect((await store.journal(1, 10)).gone).toBe(true);
        expect(await store.journal(2, 10)).toMatchObject({ gone: false, entries: [{ seq: 3 }, { seq: 4 }] });
      });

      test('its head tells that another process wrote, and not that this one did', async () => {
        const other = await place.connect();
        const before = await store.head();
        const mine = await started(store, single);
        expect(await store.head()).toEqual({ seq: before.seq + 1, epoch: mine.epoch });
        await started(other, single);
        const after = await store.head();
        expect(after.seq).toBe(before.seq + 2);
        expect(after.epoch).not.toBe(mine.epoch);
        expect(await store.head()).toEqual(after);
      });

      test('a change noticed by the head still makes stale writes conflict', async () => {
        const other = await place.connect();
        const mine = await started(store, single);
        const theirs = { ...mine, epoch: (await loaded(other, mine.run)).epoch };
        await commitRun(theirs, changes({ from: queuedTask(), to: retryingTask() }), true, other);
        await store.head();
        await store.commit(batch());
        expect((await commitRun(mine, changes({ from: retryingTask(), to: queuedTask() }), true)).conflicts).toEqual([0]);
      });
    });

    describe('a worker', () => {
      test('boots under a number that was never used, and is listed until it left', async () => {
        const first = await store.boot(facts({ name: 'first' }), T0 + 100);
        await store.leave(first, T0 + 1);
        const second = await (
          await place.connect()
        ).boot(facts({ name: 'second', pidStarted: null, bootId: null, pidNamespace: null }), T0 + 200);
        expect(second).toBeGreaterThan(first);
        expect(await store.workers()).toEqual([
          {
            ...facts({ name: 'second', pidStarted: null, bootId: null, pidNamespace: null }),
            id: second,
            leaseUntil: T0 + 200,
            wedged: false,
            fenced: false,
            endedAt: null,
          },
        ]);
        await store.leave(second, T0 + 2);
        expect(await store.boot(facts(), T0)).toBeGreaterThan(second);
      });

      test('renews its lease up to and including its last instant, never after', async () => {
        const id = await store.boot(facts(), T0 + 100);
        expect(await store.beat(id, T0 + 100, T0 + 200)).toBe(true);
        expect(await store.beat(id, T0 + 201, T0 + 400)).toBe(false);
        expect(await store.beat(id, T0 + 150, T0 + 400)).toBe(true);
        expect(await store.beat(id, T0 + 401, T0 + 900)).toBe(false);
        expect((await store.workers())[0]?.leaseUntil).toBe(T0 + 400);
      });

      test('is fenced by the end of its lease only after it, and cannot renew then', async () => {
        const other = await place.connect();
        const id = await store.boot(facts(), T0 + 100);
        expect(await other.fence(id, { now: T0 + 100 })).toBe(false);
        expect(await store.beat(id, T0 + 100, T0 + 150)).toBe(true);
        expect(await other.fence(id, { now: T0 + 151 })).toBe(true);
        expect(await store.beat(id, T0 + 150, T0 + 999)).toBe(false);
        expect((await store.workers())[0]).toMatchObject({ fenced: true, leaseUntil: T0 + 150 });
        // Who comes after an interrupted reclaim may go on with it
        expect(await other.fence(id, { now: T0 })).toBe(true);
      });

      test('is fenced at once where its process is dead', async () => {
        const id = await store.boot(facts(), T0 + 1e6);
        expect(await store.fence(id, { dead: true })).toBe(true);
        expect(await store.beat(id, T0, T0 + 2e6)).toBe(false);
      });

      test('that left is neither fenced nor renewed', async () => {
        const id = await store.boot(facts(), T0 + 100);
        await store.leave(id, T0);
        expect([await store.fence(id, { dead: true }), await store.fence(id, { now: T0 + 1e6 }), await store.beat(id, T0, T0 + 9)]).toEqual(
          [false, false, false],
        );
        expect([await store.fence(9_999, { dead: true }), await store.beat(9_999, T0, T0)]).toEqual([false, false]);
      });

      test('that does not answer is marked until its next beat', async () => {
        const id = await store.boot(facts(), T0 + 100);
        await store.wedge(id);
        expect((await store.workers())[0]).toMatchObject({ wedged: true, leaseUntil: T0 + 100 });
        await store.beat(id, T0, T0 + 100);
        expect((await store.workers())[0]?.wedged).toBe(false);
      });

      test('holds what runs under its leases, and nothing else', async () => {
        const a = await started(store, wide, { lease: { token: 10, worker: 1 } });
        await started(store, wide, { lease: { token: 20, worker: 2 } });
        await started(store, wide);
        expect(await store.heldBy(1, 10)).toMatchObject([
          { run: a.run, node: 0, item: -1, token: 10, worker: 1, startedAt: T0, ranMs: 0, definition: wide.stored.id },
          { node: 1, token: 11 },
          { node: 2, token: 12 },
        ]);
        expect(await store.heldBy(1, 2)).toHaveLength(2);
        expect(await store.heldBy(3, 10)).toEqual([]);
        await store.quarantine(a.run, 'why', [], T0);
        expect(await store.heldBy(1, 10)).toEqual([]);
      });
    });

    describe('sweeps:', () => {
      test('due gives retries, queue timeouts, starts and deadlines, oldest first, and when the next thing is', async () => {
        const retry = await started(store, single);
        await commitRun(retry, changes({ from: queuedTask(), to: retryingTask({ dueAt: T0 + 30 }) }));
        const expiring = await started(store, single);
        await commitRun(expiring, changes({ from: queuedTask(), to: queuedTask({ expiresAt: T0 + 20 }) }));
        const delayed = await started(store, single, { startAt: T0 + 25 });
        const deadline = await started(store, single, { deadlineAt: T0 + 15 });
        expect(await store.due(T0 + 14, 10)).toEqual({ tasks: [], runs: [], expired: false, nextAt: T0 + 15 });
        expect(await store.due(T0 + 25, 10)).toEqual({
          tasks: [{ run: expiring.run, node: 0, item: -1, dueAt: T0 + 20 }],
          runs: [
            { run: deadline.run, event: 'deadline', dueAt: T0 + 15 },
            { run: delayed.run, event: 'admit', dueAt: T0 + 25 },
          ],
          expired: false,
          nextAt: T0 + 30,
        });
        expect(await store.due(T0 + 30, 10)).toMatchObject({
          tasks: [{ run: expiring.run }, { run: retry.run, dueAt: T0 + 30 }],
          expired: false,
          nextAt: null,
        });
        expect((await store.due(T0 + 30, 1)).tasks).toMatchObject([{ run: expiring.run }]);
      });

      test('a task that moved on is not due any more', async () => {
        const held = await started(store, single);
        await commitRun(held, changes({ from: queuedTask(), to: queuedTask({ expiresAt: T0 + 20 }) }));
        await store.commit(batch({ claim: claimOf(1, 60, single) }));
        expect(await store.due(T0 + 99, 10)).toEqual({ tasks: [], runs: [], expired: false, nextAt: null });
        const ended = await started(store, single);
        await commitRun(ended, changes({ from: queuedTask(), to: retryingTask() }));
        await commitRun(ended, changes({ from: retryingTask(), to: endedTask('failed', { reason: 'total_timeout' }) }));
        expect((await store.due(T0 + 1e9, 10)).tasks).toEqual([]);
      });

      test('nothing of a quarantined run is due', async () => {
        const held = await started(store, single, { deadlineAt: T0 + 5 });
        await commitRun(held, changes({ from: queuedTask(), to: retryingTask({ dueAt: T0 + 5 }) }));
        await store.quarantine(held.run, 'why', [], T0);
        expect(await store.due(T0 + 1e9, 10)).toEqual({ tasks: [], runs: [], expired: false, nextAt: null });
      });

      test('running gives every attempt, ordered by key, in pages', async () => {
        const runs = [];
        for (let i = 0; i < 3; i++) runs.push((await started(store, wide, { lease: { token: 100 * (i + 1), worker: 1 + (i % 2) } })).run);
        await started(store, wide);
        const map = await started(store, mapped, { input: '{"list":[1]}' });
        const seen = [];
        for (let after = null, page = await store.running(after, 4); page.length > 0; page = await store.running(page.at(-1) ?? null, 4))
          seen.push(...page);
        expect(seen.map(({ run, node }) => [run, node])).toEqual(runs.flatMap((run) => [0, 1, 2].map((node) => [run, node])));
        expect(seen.some(({ run }) => run === map.run)).toBe(false);
        expect(seen[3]).toEqual({
          run: runs[1],
          node: 0,
          item: -1,
          token: 200,
          worker: 2,
          startedAt: T0,
          ranMs: 0,
          definition: wide.stored.id,
        });
      });

      test('stuck gives open runs that nothing would wake, and no others', async () => {
        const hangs = await started(store, chain, { lease: { token: 1, worker: 1 } });
        await commitRun(hangs, changes({ from: runningTask(1), to: endedTask('success') }));
        await started(store, single);
        await started(store, single, { lease: { token: 2, worker: 1 } });
        await started(store, single, { unclaimed: true });
        await started(store, single, { startAt: T0 + 1 });
        await started(store, mapped, { input: '{"list":[1]}' });
        const retrying = await started(store, single);
        await commitRun(retrying, changes({ from: queuedTask(), to: retryingTask() }));
        const over = await started(store, single, { lease: { token: 3, worker: 1 } });
        await commitRun(over, decide(over, single, ok(0, 3)));
        const set = await started(store, chain, { lease: { token: 4, worker: 1 } });
        await commitRun(set, changes({ from: runningTask(4), to: endedTask('success') }));
        await store.quarantine(set.run, 'why', [], T0);
        expect(await store.stuck(null, 100)).toEqual({ runs: [{ run: hangs.run, rev: 1 }], last: null });
      });

      test('stuck goes through all open runs in pages', async () => {
        const hanging: number[] = [];
        for (let i = 0; i < 5; i++) {
          const held = await started(store, chain, { lease: { token: i + 1, worker: 1 } });
          if (i % 2 === 1) continue;
          await commitRun(held, changes({ from: runningTask(i + 1), to: endedTask('success') }));
          hanging.push(held.run);
        }
        const seen: number[] = [];
        for (let after: OpenCursor | null = null, isLast = false; !isLast;) {
          const page = await store.stuck(after, 2);
          seen.push(...page.runs.map(({ run }) => run));
          after = page.last;
          isLast = after === null;
        }
        expect(seen).toEqual(hanging);
      });
    });

    describe('versions:', () => {
      /** The same graph under another name. */
      const another = async (version: string): Promise<StoredDefinition> => {
        const { workflow, graph } = single.stored;
        const [stored] = await store.define([{ workflow, version, hash: version, graph, at: T0 }]);
        return stored ?? expect.fail('not defined');
      };
      const move = async (run: number, held: Awaited<ReturnType<typeof started>>, to: StoredDefinition, staysUntil: number | null) => {
        const after = await loaded(store, run);
        const write = runWrite({ ...held, state: { ...held.state, rev: after.facts.rev }, epoch: after.epoch }, noChanges(), true);
        const moved = { from: after.row.definition, to: to.id, nodes: new Map<number, number>(), staysUntil };
        return store.commit(batch({ runs: [{ ...write, firstBody: to.firstBody, move: moved }] }));
      };

      test('open runs are found by their definition, in pages; ended and quarantined ones are not among them', async () => {
        const runs = [];
        for (let i = 0; i < 3; i++) runs.push(await started(store, single));
        const over = await started(store, single, { lease: { token: 9, worker: 1 } });
        await commitRun(over, decide(over, single, ok(0, 9)));
        const aside = await started(store, single);
        await store.quarantine(aside.run, 'why', [], T0);
        expect(await store.openDefinitions()).toEqual([single.stored.id]);
        const [first, second] = [
          await store.openRuns(single.stored.id, -1, 2),
          await store.openRuns(single.stored.id, runs[1]?.run ?? 0, 2),
        ];
        expect([...first, ...second].map(({ run, staysUntil }) => [run, staysUntil])).toEqual(runs.map(({ run }) => [run, null]));
      });

      test('a move takes the rows along, is kept with its number in the journal, and may be a choice', async () => {
        const held = await started(store, single);
        const other = await another('other');
        expect((await store.versions([single.stored.workflow])).map(({ id }) => id)).toEqual([single.stored.id, other.id]);
        const { conflicts, seq } = await move(held.run, held, other, other.id);
        expect(conflicts).toEqual([]);
        expect(await store.openRuns(single.stored.id, -1, 9)).toEqual([]);
        expect(await store.openRuns(other.id, -1, 9)).toEqual([{ run: held.run, generation: 1, staysUntil: other.id }]);
        expect(await store.movesOf(held.run)).toEqual([{ seq, from: single.stored.id, to: other.id }]);
        expect((await journalOf()).at(-1)).toMatchObject({ kind: 'move', run: held.run, from: single.stored.id, to: other.id });
        expect(await store.waitingSince(single.stored)).toBeNull();
        expect(await store.waitingSince(other)).not.toBeNull();
      });

      test('a move that met another revision changes nothing', async () => {
        const held = await started(store, single);
        const other = await another('other');
        const stale = { ...held, state: { ...held.state, rev: 77 }, epoch: -1 };
        const write = { ...runWrite(stale, noChanges(), true), firstBody: other.firstBody };
        const moved = { from: single.stored.id, to: other.id, nodes: new Map<number, number>(), staysUntil: null };
        expect((await store.commit(batch({ runs: [{ ...write, move: moved }] }))).conflicts).toEqual([0]);
        expect(await store.movesOf(held.run)).toEqual([]);
        expect(await store.openDefinitions()).toEqual([single.stored.id]);
      });
    });

    describe('kept outputs', () => {
      test('are there until their time, the last one that was given, and are deleted after it', async () => {
        const held = await started(store, single);
        const keep = async (output: string | null, expiresAt: number): Promise<void> => {
          const after = await loaded(store, held.run);
          const at = { ...held, state: { ...held.state, rev: after.facts.rev }, epoch: after.epoch };
          await store.commit(
            batch({ runs: [{ ...runWrite(at, noChanges(), true), cache: [{ key: 'k', task: 'a', output, expiresAt }] }] }),
          );
        };
        await keep('1', T0 + 10);
        await keep('2', T0 + 20);
        expect([...(await store.cached(['k', 'other'], T0 + 19))]).toEqual([['k', '2']]);
        expect((await store.cached(['k'], T0 + 20)).size).toBe(0);
        const prune = (now: number) => store.care.pruneActs({ now, auditBefore: null, requestsBefore: 0, workersBefore: 0, rows: 9 });
        await prune(T0 + 19);
        expect((await store.cached(['k'], T0)).size).toBe(1);
        await prune(T0 + 20);
        expect((await store.cached(['k'], T0)).size).toBe(0);
      });
    });

    describe('a quarantined run', () => {
      test('says why, keeps its outcomes, and makes whoever holds it notice', async () => {
        const other = await place.connect();
        const held = await started(store, chain, { lease: { token: 8, worker: 1 } });
        await other.quarantine(held.run, 'its state is broken', [{ node: 0, item: -1, token: 8, outcome: '{"kind":"ok"}' }], T0 + 3);
        expect(await store.runRow(held.run)).toMatchObject({ quarantined: 'its state is broken', status: 'running' });
        expect((await commitRun(held, decide(held, chain, ok(0, 8)))).conflicts).toEqual([0]);
        expect(await stateOf(store, held.run)).toMatchObject({ status: 'running' });
        await other.quarantine(held.run, 'again', [{ node: 0, item: -1, token: 8, outcome: '{"kind":"ok"}' }], T0 + 3);
        expect((await loaded(store, held.run)).tasks).toMatchObject([{ node: 0, lease: { token: 8 } }]);
      });

      test('is set aside no earlier than what another process has stored', async () => {
        const other = await place.connect();
        const held = await started(store, single);
        await started(other, single, { at: T0 + 50 });
        await store.quarantine(held.run, 'why', [], T0 + 1);
        expect((await store.journal(0, 10)).entries.map((entry) => entry.at)).toEqual([T0, T0 + 50, T0 + 50]);
      });

      test('hides nothing that another process has committed from whoever set it aside', async () => {
        const other = await place.connect();
        const held = await started(store, wide);
        const aside = await started(store, single);
        const copy = { ...held, epoch: (await loaded(other, held.run)).epoch };
        const theirs = changes({ from: queuedTask({ node: 1 }), to: endedTask('failed', { node: 1, reason: 'error' }) });
        await commitRun(copy, theirs, true, other);
        await store.quarantine(aside.run, 'why', [], T0);
        expect((await commitRun(held, changes({ from: queuedTask(), to: endedTask('cancelled') }), true)).conflicts).toEqual([0]);
      });

      test('is loaded whole, with its maps', async () => {
        const held = await started(store, mapped, { input: '{"list":[1,2]}' });
        const taken = noChanges();
        takeMore(mapped.graph, held.state, taken, { node: 0, count: 1, now: T0, settings: SETTINGS });
        await commitRun(held, taken);
        await store.quarantine(held.run, 'why', [], T0);
        expect((await loaded(store, held.run)).tasks.map((one) => one.item)).toEqual([-1, 0]);
      });
    });

    test('a run whose rows cannot be decoded is told apart, and the others are loaded', async () => {
      const [bad, fine] = [await started(store, single), await started(store, single)];
      place.run(`UPDATE tasks SET draws = 'no json' WHERE run = ${bad.run}`);
      const [one, two] = await store.load([
        { run: bad.run, items: [] },
        { run: fine.run, items: [] },
      ]);
      expect(one).toEqual({ run: bad.run, broken: expect.any(String) as string });
      expect(two).toMatchObject({ row: { run: fine.run } });
      const claimed = await store.commit(batch({ claim: claimOf(5, 1, single) }));
      expect(claimed.claimedTasks.map(({ run }) => run)).toEqual([fine.run]);
    });

    describe('the list of runs', () => {
      const fill = async () => {
        const runs = [];
        for (let i = 0; i < 6; i++) {
          const defined = i % 2 === 0 ? single : chain;
          runs.push(
            await started(store, defined, {
              at: T0 + i,
              tags: i === 3 ? ['x', 'y'] : i === 4 ? ['x'] : [],
              lease: { token: i + 1, worker: 1 },
            }),
          );
        }
        const [first] = runs;
        if (first !== undefined) await commitRun(first, decide(first, single, ok(0, 1)));
        return runs.map(({ run }) => run);
      };

      test('is newest first, in pages, each run once', async () => {
        const runs = await fill();
        const seen: number[] = [];
        for (
          let page = await store.listRuns({ limit: 4 });
          page.length > 0;
          page = await store.listRuns({ limit: 4, before: seen.at(-1) ?? 0 })
        ) {
          seen.push(...page.map(({ run }) => run));
          await started(store, single);
        }
        expect(seen).toEqual([...runs].reverse());
      });

      test('is filtered by workflow, status, tag and time, alone and together', async () => {
        const runs = await fill();
        const at = async (query: object) => (await store.listRuns({ limit: 10, ...query })).map(({ run }) => runs.indexOf(run));
        expect(await at({ workflow: 'chain' })).toEqual([5, 3, 1]);
        expect(await at({ statuses: ['success'] })).toEqual([0]);
        expect(await at({ statuses: ['running', 'success'] })).toEqual([5, 4, 3, 2, 1, 0]);
        expect(await at({ statuses: [] })).toEqual([]);
        expect(await at({ tag: 'x' })).toEqual([4, 3]);
        expect(await at({ tag: 'y', workflow: 'chain' })).toEqual([3]);
        expect(await at({ since: T0 + 4 })).toEqual([5, 4]);
        expect(await at({ since: T0 + 2, workflow: 'single', statuses: ['running'], tag: 'x', before: runs[5] })).toEqual([4]);
        expect(await at({ tag: "x' OR 1=1 --" })).toEqual([]);
        expect(await at({ workflow: 'nobody' })).toEqual([]);
        await started(store, single, { key: { value: 'k', inputHash: 'h', until: 'kept' } });
        expect(await at({ key: 'nobody' })).toEqual([]);
        expect(await store.listRuns({ limit: 10, key: 'k' })).toMatchObject([{ key: 'k', workflow: 'single' }]);
        expect(await store.listRuns({ limit: 10, key: 'k', workflow: 'chain' })).toEqual([]);
      });

      test('is also given as the ids of the newest', async () => {
        const runs = await fill();
        const rows = await Promise.all(runs.map((run) => store.runRow(run)));
        const newest = rows.map((row) => row?.uid).reverse();
        expect(await store.newestIds(10)).toEqual(newest);
        expect(await store.newestIds(2)).toEqual(newest.slice(0, 2));
      });

      test('names who holds a key, in one workflow or in all', async () => {
        const keyed = (defined: Defined, until: 'kept' | 'open' = 'kept') =>
          started(store, defined, { key: { value: 'k', inputHash: 'h', until }, lease: { token: 1, worker: 1 } });
        const one = await keyed(single, 'open');
        const two = await keyed(chain);
        const holders = async (key: string, workflow: string | null) =>
          new Set((await store.holdersOf(key, workflow)).map(({ run }) => run));
        expect(await holders('k', null)).toEqual(new Set([one.run, two.run]));
        expect(await holders('k', 'chain')).toEqual(new Set([two.run]));
        expect(await holders('k', 'wide')).toEqual(new Set());
        expect(await holders('other', null)).toEqual(new Set());
        await commitRun(one, decide(one, single, ok(0, 1)));
        expect(await holders('k', null)).toEqual(new Set([two.run]));
      });
    });
  });
}
