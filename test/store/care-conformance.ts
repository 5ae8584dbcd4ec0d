import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { advance } from '../../src/core/kernel/advance.ts';
import { JournalFold } from '../../src/core/kernel/checkpoint.ts';
import { noChanges } from '../../src/core/kernel/changes.ts';
import { canonical } from '../../src/core/values/codec.ts';
import { DOCUMENT_TABLES } from '../../src/core/documents/document-fields.ts';
import { runIdText } from '../../src/core/ids.ts';
import { readJournal } from '../../src/core/kernel/journal.ts';
import { checkRunDocument, type RunDocument } from '../../src/core/documents/run-document.ts';
import type { RunEvent } from '../../src/core/kernel/turn.ts';
import { realPorts } from '../../src/engine/ports.ts';
import type { PruneRequest } from '../../src/store/care.ts';
import type { Store, StoredDefinition } from '../../src/store/store.ts';
import type { Place } from './conformance.ts';
import {
  batch,
  operatorAct,
  claimOf,
  define,
  loaded,
  newStart,
  runWrite,
  SETTINGS,
  started,
  stateOf,
  T0,
  WORKFLOWS,
  type Defined,
  type Held,
  type StartOver,
  facts,
  uid,
} from './kit.ts';

const DAY = 86_400_000;
const failure = '{"name":"Error","message":"no"}';

const ask = (over: Partial<PruneRequest> = {}): PruneRequest => ({
  now: T0 + 100 * DAY,
  finishedBefore: T0 + 50 * DAY,
  failedBefore: T0 + 50 * DAY,
  rows: 500,
  ...over,
});

/** Until nothing is left: how much goes in one transaction is a matter of time too. */
async function pruneAll(
  store: Store,
  request: Parameters<Store['care']['prune']>[0],
): Promise<{ runs: number; rows: number; more: boolean }> {
  const all = { runs: 0, rows: 0, more: true };
  while (all.more) {
    const { runs, rows, more } = await store.care.prune(request);
    Object.assign(all, { runs: all.runs + runs, rows: all.rows + rows, more });
  }
  return all;
}

/** What every store must do for those who look after it. */
export function careConformance(kind: string, newPlace: () => Promise<Place>): void {
  describe(`care of ${kind}:`, () => {
    let place: Place;
    let store: Store;
    let single: Defined;
    let chain: Defined;
    let mapped: Defined;
    let tokens = 0;

    beforeEach(async () => {
      place = await newPlace();
      store = await place.connect();
      single = await define(store, 'single');
      chain = await define(store, 'chain');
      mapped = await define(store, 'mapped');
    });
    afterEach(() => place.remove());

    const move = async (held: Held, { graph }: Defined, at: number, ...events: RunEvent[]): Promise<void> => {
      const decided = advance(graph, held.state, events, at, SETTINGS);
      held.epoch = (await store.commit(batch({ now: at, runs: [runWrite(held, decided)] }))).epoch;
    };
    const ok = (node: number, token: number, item = -1): RunEvent => ({
      type: 'ended',
      node,
      item,
      token,
      outcome: { kind: 'ok', output: '1' },
    });

    /** A run that ended at this instant. */
    const ended = async (at: number, over: StartOver = {}, outcome: 'ok' | 'failed' = 'ok'): Promise<Held> => {
      const token = ++tokens;
      const held = await started(store, single, { at, ...over, lease: { token, worker: 1 } });
      const event: RunEvent =
        outcome === 'ok'
          ? ok(0, token)
          : { type: 'ended', node: 0, item: -1, token, outcome: { kind: 'error', error: failure, facts: { nonRetryable: true } } };
      await move(held, single, at, event);
      return held;
    };

    /** A finished run with a map of `n` items. */
    const endedMap = async (n: number, at: number): Promise<Held> => {
      const list = JSON.stringify({ list: Array.from({ length: n }, (_, i) => i) });
      const write = await newStart(store, mapped, { at, input: list });
      const held: Held = { write, state: write.state, run: write.state.run, epoch: 0 };
      held.epoch = (await store.commit(batch({ now: at, starts: [write] }))).epoch;
      place.run(`WITH RECURSIVE n(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i < ${n - 1})
        INSERT OR REPLACE INTO tasks (run, node, item, body, status, generation, attempt, begun, losses, crashes, hand_backs, ran_ms, rank, first_queued_at, phase, started_at, finished_at, flags, output)
        SELECT ${held.run}, 0, i, ${mapped.stored.firstBody}, 5, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1, ${at}, 0, '1' FROM n;
        UPDATE tasks SET status = 5, finished_at = ${at} WHERE run = ${held.run} AND item = -1;
        UPDATE maps SET next = n, ok = n, closed = 1 WHERE run = ${held.run};
        UPDATE runs SET status = 6, finished_at = ${at}, wake_at = NULL WHERE id = ${held.run}`);
      return held;
    };

    const idsLeft = async (): Promise<number[]> => (await store.listRuns({ limit: 100 })).map((row) => row.run).toSorted((a, b) => a - b);

    describe('prune', () => {
      test('deletes finished runs that are old enough, failed ones by an age of their own', async () => {
        await ended(T0 + DAY);
        await ended(T0 + DAY, {}, 'failed');
        const young = await ended(T0 + 60 * DAY);
        expect(await store.care.prunable(ask({ failedBefore: T0 }))).toBe(1);
        const failed = (await store.listRuns({ limit: 9, statuses: ['failed'] }))[0];
        expect(await pruneAll(store, ask({ failedBefore: T0 }))).toMatchObject({ runs: 1, more: false });
        expect(await idsLeft()).toEqual([failed?.run, young.run]);
        expect(await pruneAll(store, ask())).toMatchObject({ runs: 1, more: false });
        expect(await pruneAll(store, ask())).toEqual({ runs: 0, rows: 0, more: false });
        expect(await idsLeft()).toEqual([young.run]);
      });

      test('deletes nothing of a class whose instant is null', async () => {
        await ended(T0);
        await ended(T0, {}, 'failed');
        expect(await pruneAll(store, ask({ failedBefore: null, finishedBefore: null }))).toEqual({ runs: 0, rows: 0, more: false });
        expect(await idsLeft()).toHaveLength(2);
      });

      test('never deletes a run that is open or quarantined', async () => {
        const open = await started(store, chain, { lease: { token: ++tokens, worker: 1 } });
        const aside = await ended(T0);
        await store.quarantine(aside.run, 'cannot be read', [], T0);
        expect((await pruneAll(store, ask())).runs).toBe(0);
        expect(await idsLeft()).toEqual([open.run, aside.run]);
      });

      test('takes everything along that belongs to the run, and nothing of others', async () => {
        const gone = await endedMap(30, T0);
        const kept = await endedMap(30, T0 + 60 * DAY);
        for (const { run } of [gone, kept]) {
          place.run(`INSERT INTO attempts SELECT run, node, item, 1, 1, 'error', 'error', NULL, 1, 1, 1 FROM tasks WHERE run = ${run};
            INSERT INTO steps SELECT run, node, item, 1, 's', 'step', NULL, NULL, '1', 1 FROM tasks WHERE run = ${run};
            INSERT INTO parked (run, node, item, token, outcome, at) VALUES (${run}, 0, 0, 1, '{}', 1)`);
        }
        const { rows } = await pruneAll(store, ask());
        expect(rows).toBe(1 + 31 + 1 + 31 + 31 + 1);
        expect(await store.tasksOf(gone.run, true)).toEqual([]);
        expect(await store.attemptsOf({ run: gone.run, node: 0, item: 3 })).toEqual([]);
        expect(await store.steps({ run: gone.run, node: 0, item: 3 })).toEqual([]);
        expect(await store.tasksOf(kept.run, true)).toHaveLength(31);
        expect(await store.attemptsOf({ run: kept.run, node: 0, item: 3 })).toHaveLength(1);
        expect(await store.steps({ run: kept.run, node: 0, item: 3 })).toHaveLength(1);
      });

      test('deletes a run with many items over several transactions, and nobody sees a part of it', async () => {
        const big = await endedMap(2_000, T0);
        const first = await store.care.prune(ask({ rows: 300 }));
        expect(first).toMatchObject({ runs: 1, more: true });
        expect(first.rows).toBeLessThan(340);
        expect(await store.findRun(big.write.uid)).toBeNull();
        expect(await store.runRow(big.run)).toBeNull();
        expect(await store.load([{ run: big.run, items: [] }])).toEqual([]);
        expect(await idsLeft()).toEqual([]);
        // The process is gone; another one goes on.
        store = await place.connect();
        let rows = first.rows;
        for (let more = true; more;) {
          const pruned = await store.care.prune(ask({ rows: 300, finishedBefore: null, failedBefore: null }));
          expect(pruned.runs).toBe(0);
          ({ more } = pruned);
          rows += pruned.rows;
        }
        expect(rows).toBe(2_000 + 1 + 1 + 1);
        expect(await store.tasksOf(big.run, true)).toEqual([]);
      });

      test('frees the key of a run, and leaves it to the run that took it over', async () => {
        const key = { value: 'k', inputHash: 'h', until: 'kept' as const };
        const first = await ended(T0, { key });
        const again = async (): Promise<unknown> =>
          (await store.commit(batch({ now: T0, starts: [await newStart(store, single, { key })] }))).starts[0];
        expect(await again()).toMatchObject({ created: false, run: first.run });
        await pruneAll(store, ask());
        expect(await again()).toEqual({ created: true });

        const until = { value: 'u', inputHash: 'h', until: T0 + 1 };
        await ended(T0, { key: until });
        const holder = await started(store, single, { at: T0 + 60 * DAY, key: { ...until, until: 'kept' } });
        expect((await pruneAll(store, ask())).runs).toBe(1);
        const [met] = (await store.commit(batch({ now: T0, starts: [await newStart(store, single, { key: until })] }))).starts;
        expect(met).toMatchObject({ created: false, run: holder.run });
      });

      test('makes every process compare what it still holds of the run', async () => {
        const here = await ended(T0);
        const other = await place.connect();
        const [seen] = await other.load([{ run: here.run, items: [] }]);
        await pruneAll(store, ask());
        const late = noChanges();
        for (const [at, epoch] of [
          [store, here.epoch],
          [other, seen !== undefined && 'epoch' in seen ? seen.epoch : -1],
        ] as const) {
          const { conflicts } = await at.commit(batch({ now: T0, runs: [{ ...runWrite(here, late), epoch }] }));
          expect(conflicts).toEqual([0]);
        }
      });

      test('frees a public id, which a run may have again without seeing older rows', async () => {
        const before = await endedMap(2_000, T0);
        expect((await store.care.prune(ask({ rows: 100 }))).more).toBe(true);
        const after = await started(store, single, { uid: before.write.uid, lease: { token: ++tokens, worker: 1 } });
        expect((await store.findRun(before.write.uid))?.run).toBe(after.run);
        expect(await store.tasksOf(after.run, true)).toHaveLength(1);
      });
    });

    describe('pruneJournal', () => {
      const transitionsKept = async () =>
        (await store.journal((await store.care.checkpoint()).seq, 1_000)).entries.flatMap((row) => readJournal(row.changes));
      const cutAll = async (before: number, rows = 500): Promise<number> => {
        let cut = 0;
        for (let more = true; more;) {
          const pruned = await store.care.pruneJournal({ before, rows });
          cut += pruned.rows;
          ({ more } = pruned);
        }
        return cut;
      };

      test('cuts rows that are old, keeps the newest, and says so to whoever reads behind the cut', async () => {
        for (let i = 0; i < 5; i++) await ended(T0 + i * DAY);
        const before = (await store.journal(0, 100)).entries;
        expect(await store.care.prunableJournal(T0 + 2 * DAY)).toBe(6);
        expect(await cutAll(T0 + 2 * DAY)).toBe(6);
        expect(await store.care.prunableJournal(T0 + 2 * DAY)).toBe(0);
        const { entries, gone } = await store.journal(0, 100);
        expect(gone).toBe(true);
        expect(entries).toEqual(before.slice(6));
        expect(await store.care.checkpoint()).toEqual({ seq: before[5]?.seq, at: T0 + 2 * DAY });
        expect((await store.journal(before[5]?.seq ?? 0, 100)).gone).toBe(false);

        await cutAll(T0 + 400 * DAY);
        expect((await store.journal(0, 100)).entries).toEqual(before.slice(-1));
        const reopened = await place.connect();
        expect(await reopened.open()).toMatchObject({ clock: T0 + 4 * DAY });
        expect((await reopened.head()).seq).toBe(before.at(-1)?.seq);
      });

      test('does no more in one transaction than it may', async () => {
        for (let i = 0; i < 20; i++) await ended(T0);
        const first = await store.care.pruneJournal({ before: T0 + DAY, rows: 10 });
        expect(first.more).toBe(true);
        expect(first.rows).toBeLessThan(10);
        expect(first.rows).toBeGreaterThan(0);
      });

      test('gets on with each call, however slow the machine is', async () => {
        for (let i = 0; i < 5; i++) await ended(T0);
        const all = (await store.journal(0, 100)).entries.length;
        let nowMs = performance.now();
        const clock = vi.spyOn(performance, 'now').mockImplementation(() => (nowMs += 1_000));
        onTestFinished(() => clock.mockRestore());
        expect(await store.care.pruneJournal({ before: T0 + DAY, rows: 500 })).toEqual({ rows: 1, more: true });
        expect(await cutAll(T0 + DAY)).toBe(all - 2);
      });

      test('keeps what the cut rows came to, for the runs that were open then', async () => {
        const over = await ended(T0);
        const token = ++tokens;
        const held = await started(store, chain, { at: T0, lease: { token, worker: 1 } });
        await move(held, chain, T0 + 1, ok(0, token));
        await ended(T0 + 2 * DAY);
        await cutAll(T0 + DAY);
        expect(await store.care.checkpointRuns(0, 100)).toEqual([{ run: held.run, generation: 1, status: 'running' }]);
        expect(await store.care.checkpointRuns(held.run, 100)).toEqual([]);
        expect(await store.care.checkpointTasks(held.run)).toEqual([
          { node: 0, item: -1, generation: 1, status: 'success', attempt: 1 },
          { node: 1, item: -1, generation: 1, status: 'queued', attempt: 0 },
        ]);
        expect(await store.care.checkpointTasks(over.run)).toEqual([]);
      });

      test('drops the states of a run that was over at a later cut', async () => {
        const token = ++tokens;
        const held = await started(store, single, { at: T0, lease: { token, worker: 1 } });
        await ended(T0 + 2 * DAY);
        await cutAll(T0 + DAY);
        expect(await store.care.checkpointRuns(0, 100)).toHaveLength(1);
        await move(held, single, T0 + 3 * DAY, ok(0, token));
        await ended(T0 + 5 * DAY);
        await cutAll(T0 + 4 * DAY);
        expect(await store.care.checkpointRuns(0, 100)).toEqual([]);
        expect(await store.care.checkpointTasks(held.run)).toEqual([]);
      });

      test.each([1, 3, 500])(
        'checkpoint and kept rows together give the states that the store has, cut %i rows at a time',
        async (rows) => {
          const open: { held: Held; token: number; node: number }[] = [];
          for (let step = 0; step < 60; step++) {
            const at = T0 + step * 1_000;
            const one = open[(step * 7) % Math.max(1, open.length)];
            if (one === undefined || step % 3 === 0) {
              const token = ++tokens;
              open.push({ held: await started(store, chain, { at, lease: { token, worker: 1 } }), token, node: 0 });
            } else {
              await move(one.held, chain, at, ok(one.node, one.token));
              open.splice(open.indexOf(one), 1);
              if (one.node < 2) {
                const token = ++tokens;
                const result = await store.commit(batch({ now: at, claim: claimOf(1, token, chain) }));
                const claimed = result.claimedTasks[0];
                if (claimed !== undefined) open.push({ held: await reheld(claimed.run), token, node: claimed.task.node });
              }
            }
            if (step % 20 === 19) await cutAll(at - 5_000, rows);
          }
          const fold = new JournalFold();
          for (const { run, status, generation } of await store.care.checkpointRuns(0, 1_000)) {
            const tasks = await store.care.checkpointTasks(run);
            fold.runs.set(run, {
              generation,
              status,
              tasks: new Map(tasks.map((task) => [`${task.node}:${task.item}`, task])),
              renames: [],
            });
          }
          expect(fold.runs.size).toBeGreaterThan(0);
          fold.add(await transitionsKept());
          for (const row of await store.listRuns({ limit: 100 })) {
            const told = fold.runs.get(row.run);
            // What was over before the cut is not told of any more.
            if (row.finishedAt !== null && row.finishedAt <= (await store.care.checkpoint()).at) continue;
            expect(told?.status).toBe(row.status);
            for (const task of await store.tasksOf(row.run, true))
              expect(told?.tasks.get(`${task.node}:${task.item}`)).toMatchObject({ status: task.status, attempt: task.attempt });
          }
        },
      );

      const reheld = async (run: number): Promise<Held> => {
        const write = await newStart(store, chain, { run });
        const row = await loaded(store, run);
        const state = { ...write.state, ...row.facts };
        for (const task of row.tasks) state.tasks[task.node] = task;
        // As the engine does it, the tallies of joins are derived from the rows.
        const { replay } = await import('../../src/core/kernel/replay.ts');
        const fresh = { ...state, open: chain.graph.taskCount, tallies: chain.graph.nodes.map(() => undefined) };
        replay(chain.graph, fresh);
        return { write, state: fresh, run, epoch: row.epoch };
      };
    });

    describe('pruneActs', () => {
      const actAt = async (at: number, actor: string): Promise<void> => {
        const held = await ended(at);
        await store.quarantine(held.run, 'why', [], at);
        await store.release(held.run, { actor, action: 'release', request: 'r', hash: 'h', facts: '{}', note: null, result: '{}' }, at);
      };
      const actors = async (): Promise<string[]> => (await store.audit({ limit: 100 })).map((entry) => entry.actor).toSorted();

      test('deletes entries of the audit and request ids that are old, a few at a time', async () => {
        for (const [i, actor] of ['a', 'b', 'c', 'd'].entries()) await actAt(T0 + i * DAY, actor);
        const request = { now: T0, auditBefore: T0 + 2 * DAY, requestsBefore: T0 + DAY, workersBefore: null, rows: 2 };
        expect(await store.care.pruneActs(request)).toEqual({ entries: 2, more: true });
        expect(await store.care.pruneActs(request)).toEqual({ entries: 1, more: false });
        expect(await actors()).toEqual(['d']);
        const done = await Promise.all(['a', 'b', 'c', 'd'].map((actor) => store.findRequest(actor, 'r', 0)));
        expect(done.map((one) => one === null)).toEqual([true, true, false, false]);
      });

      test('forgets workers that ended long ago, a few at a time; those that live, and numbers that were given, stay', async () => {
        const ids: number[] = [];
        for (let i = 0; i < 4; i++) ids.push(await store.boot(facts({ name: `w${i}` }), T0 + 100));
        for (const [i, id] of ids.slice(0, 3).entries()) await store.leave(id, T0 + i);
        const request = { now: T0, auditBefore: null, requestsBefore: 0, workersBefore: T0 + 1, rows: 1 };
        const ended = async (): Promise<string[]> => (await store.endedWorkers(9)).map(({ name }) => name).toSorted();
        expect(await store.care.pruneActs({ ...request, workersBefore: null })).toEqual({ entries: 0, more: false });
        expect(await ended()).toEqual(['w0', 'w1', 'w2']);
        expect(await store.care.pruneActs(request)).toEqual({ entries: 0, more: true });
        expect(await ended()).toEqual(['w1', 'w2']);
        expect(await store.care.pruneActs(request)).toEqual({ entries: 0, more: true });
        expect(await store.care.pruneActs(request)).toEqual({ entries: 0, more: false });
        expect(await ended()).toEqual(['w2']);
        expect((await store.workers()).map(({ name }) => name)).toEqual(['w3']);
        await store.leave(ids[3] ?? 0, T0);
        await store.care.pruneActs({ ...request, workersBefore: T0 + 9, rows: 9 });
        expect(await store.boot(facts(), T0)).toBeGreaterThan(ids[3] ?? 0);
      });

      test('keeps the audit for ever where it is asked to, and of a run that was pruned', async () => {
        await actAt(T0, 'a');
        expect((await pruneAll(store, ask())).runs).toBe(1);
        expect(await store.care.pruneActs({ now: 0, auditBefore: null, requestsBefore: T0, workersBefore: null, rows: 9 })).toEqual({
          entries: 0,
          more: false,
        });
        expect(await actors()).toEqual(['a']);
      });
    });

    describe('exportRun and importRun', () => {
      const digest = (text: string): string => realPorts.digest(text);
      const defineTrue = async (name: 'single' | 'mapped', on = store): Promise<Defined> => {
        const { graph } = WORKFLOWS[name];
        const [stored] = await on.define([{ workflow: name, version: '2', hash: digest(canonical(graph)), graph, at: T0 }]);
        return { ...(name === 'single' ? single : mapped), stored: stored as StoredDefinition };
      };
      const carried = (document: RunDocument | null): RunDocument => checkRunDocument(JSON.parse(JSON.stringify(document)), digest);
      let elsewhere: Place;
      let target: Store;
      beforeEach(async () => {
        elsewhere = await newPlace();
        target = await elsewhere.connect();
        single = await defineTrue('single');
        mapped = await defineTrue('mapped');
      });
      afterEach(() => elsewhere.remove());
      const into = (document: RunDocument, on = target): Promise<number> => on.care.importRun(document, T0);

      test('carry a finished run with everything to another store', async () => {
        const held = await endedMap(1_200, T0);
        place.run(`INSERT INTO attempts VALUES (${held.run}, 0, 7, 1, 1, 'error', 'error', '${failure}', 1, 1, 1);
          INSERT INTO steps VALUES (${held.run}, 0, 7, 1, 's', 'step', NULL, NULL, '1', 1);
          UPDATE runs SET tags = '["a"]', output = '{"x":1}', has_output = 1, traceparent = 't' WHERE id = ${held.run}`);
        const document = carried(await store.care.exportRun(held.write.uid));
        const run = await into(document);
        const given = await store.runRow(held.run);
        expect(await target.runRow(run)).toEqual({ ...given, run, definition: expect.any(Number) as number });
        expect(await target.tasksOf(run, true)).toEqual(await store.tasksOf(held.run, true));
        const key = { node: 0, item: 7 };
        expect(await target.steps({ run, ...key })).toEqual(await store.steps({ run: held.run, ...key }));
        expect(await target.attemptsOf({ run, ...key })).toEqual(
          (await store.attemptsOf({ run: held.run, ...key })).map((one) => ({ ...one, worker: 0 })),
        );
        expect(carried(await target.care.exportRun(held.write.uid))).toEqual(document);
      });

      test('know nothing of a run that is not there, and import none twice', async () => {
        const held = await ended(T0);
        expect(await store.care.exportRun(new Uint8Array(16).fill(9))).toBeNull();
        const document = carried(await store.care.exportRun(held.write.uid));
        await expect(into(document, store)).rejects.toMatchObject({ code: 'RUN_EXISTS' });
        await into(document);
        await expect(into(document)).rejects.toMatchObject({ code: 'RUN_EXISTS' });
        expect(await target.listRuns({ limit: 9 })).toHaveLength(1);
      });

      test('refuse a version that is stored with another graph, and use the one that is stored with this', async () => {
        const held = await ended(T0);
        const document = carried(await store.care.exportRun(held.write.uid));
        await target.define([{ workflow: 'single', version: '2', hash: 'another', graph: WORKFLOWS.single.graph, at: T0 }]);
        await expect(into(document)).rejects.toMatchObject({ code: 'CONFIG_VERSION_CHANGED' });
        expect(await target.listRuns({ limit: 9 })).toEqual([]);
      });

      test('bring an open run that nothing runs', async () => {
        const token = ++tokens;
        const held = await started(store, single, { lease: { token, worker: 1 }, deadlineAt: T0 + 5 });
        const queued = await started(store, single);
        for (const one of [held, queued]) await into(carried(await store.care.exportRun(one.write.uid)));
        const here = await defineTrue('single', target);
        const { claimedTasks, claimedRuns } = await target.commit(batch({ now: T0 + DAY, claim: claimOf(9, 1, here) }));
        expect([claimedTasks, claimedRuns]).toEqual([[], []]);
        expect(await target.due(T0 + 100 * DAY, 9)).toMatchObject({ tasks: [], runs: [] });
        expect(await target.running(null, 9)).toEqual([]);
        expect((await target.stuck(null, 9)).runs).toEqual([]);
        const rows = await target.listRuns({ limit: 9 });
        expect(rows.map((row) => [row.status, row.quarantined === null])).toEqual([
          ['running', false],
          ['running', false],
        ]);
        const first = await target.findRun(held.write.uid);
        expect(await stateOf(target, first?.run ?? 0)).toMatchObject({ status: 'running', lease: { worker: 0 } });
        expect(await target.parked(first?.run ?? 0)).toMatchObject([
          { node: 0, item: -1, outcome: expect.stringContaining('lost') as string },
        ]);
      });

      test('bring the key of a run where nobody holds it', async () => {
        const key = { value: 'k', inputHash: 'h', until: 'kept' as const };
        const held = await ended(T0, { key });
        const document = carried(await store.care.exportRun(held.write.uid));
        const run = await into(document);
        const here = await defineTrue('single', target);
        const met = async (on: Store, there: Defined): Promise<unknown> =>
          (await on.commit(batch({ starts: [await newStart(on, there, { key })] }))).starts[0];
        expect(await met(target, here)).toMatchObject({ created: false, run });

        await pruneAll(target, ask());
        expect(await met(target, here)).toEqual({ created: true });
        const again = await into(document);
        const holder = await met(target, here);
        expect(holder).toMatchObject({ created: false });
        expect(holder).not.toMatchObject({ run: again });
      });

      test('leave nothing of an import that did not end, once it was pruned', async () => {
        const held = await endedMap(1_200, T0);
        const document = carried(await store.care.exportRun(held.write.uid));
        const broken = {
          ...document,
          tasks: document.tasks.map((task) => (task['item'] === 1_199 ? { ...task, flags: 'no number' } : task)),
        };
        await expect(into(broken)).rejects.toThrow('cannot store TEXT value');
        expect(await target.listRuns({ limit: 9 })).toEqual([]);
        const pruned = await target.care.prune(ask({ rows: 10_000, finishedBefore: null, failedBefore: null }));
        expect(pruned).toMatchObject({ runs: 0 });
        expect(pruned.rows).toBeGreaterThan(0);
        expect(await into(document)).toBeGreaterThan(0);
      });

      /** The document with copies of its own run below it. */
      const withChildren = (document: RunDocument, count: number): RunDocument => {
        const { id, run, key, definition } = document;
        const tables = Object.fromEntries(DOCUMENT_TABLES.map((table) => [table, document[table]])) as unknown as RunDocument;
        const link = { parent: id, node: 0, item: -1, generation: 1, name: null, kind: 'detached', recall: null, completion: null };
        const children = Array.from({ length: count }, () => ({ ...tables, id: runIdText(uid()), run, key, link, definition: 0 }));
        return carried({ ...document, definitions: [definition], children });
      };

      test('carry the runs below it, in more than one transaction, and these the other way too', async () => {
        const held = await ended(T0);
        const document = withChildren(carried(await store.care.exportRun(held.write.uid)), 700);
        const run = await into(document);
        const below = await target.childrenOf(run);
        expect(below).toHaveLength(700);
        expect(below.every(({ parent }) => parent?.run === run && parent.tree === run && parent.kind === 'detached')).toBe(true);
        const again = carried(await target.care.exportRun(held.write.uid));
        expect(again.children.map(({ id }) => id)).toEqual(document.children.map(({ id }) => id));
        expect(again.definitions).toEqual(document.definitions);
      });

      test('leave nothing of a tree whose last row cannot be written, once it was pruned', async () => {
        const held = await ended(T0);
        const document = withChildren(carried(await store.care.exportRun(held.write.uid)), 700);
        const broken = {
          ...document,
          children: document.children.map((child, i) =>
            i < 699 ? child : { ...child, tasks: child.tasks.map((row) => ({ ...row, flags: 'no number' })) },
          ),
        };
        await expect(into(broken)).rejects.toThrow('cannot store TEXT value');
        expect(await target.listRuns({ limit: 9, parts: true })).toEqual([]);
        const left = ask({ rows: 10_000, finishedBefore: null, failedBefore: null });
        let rows = 0;
        for (let pruned = await target.care.prune(left); ; pruned = await target.care.prune(left)) {
          rows += pruned.rows;
          if (!pruned.more) break;
        }
        expect(rows).toBeGreaterThanOrEqual(500);
        expect(await into(document)).toBeGreaterThan(0);
      });

      describe('release what was open', () => {
        const act = (request: string) => ({ actor: 'ann', action: 'release', request, hash: 'h', facts: '{}', note: null, result: '{}' });
        const need = { kind: 'key', name: 'k', limit: 1, onLimit: 'queue', serial: false } as const;
        const opened = async (): Promise<number> => {
          const held = await started(store, single, { lease: { token: ++tokens, worker: 1 } });
          return into(carried(await store.care.exportRun(held.write.uid)));
        };
        const holding = (run: number, isHeld = true) => ({ run, lanes: [], gate: { need, rank: T0, isHeld } });
        const aside = async (): Promise<boolean[]> => (await target.listRuns({ limit: 9 })).map((row) => row.isImported);

        test('where its key has room, and change nothing where it has none', async () => {
          const [a, b, c] = [await opened(), await opened(), await opened()];
          expect(await target.release(a, act('a'), T0, [holding(a)])).toBeNull();
          expect(await target.release(b, act('b'), T0, [holding(b)])).toBe('k');
          expect(await aside()).toEqual([true, true, false]);
          expect((await target.audit({ limit: 9 })).map(({ request }) => request)).toEqual(['a']);
          expect(await target.release(c, act('c'), T0, [holding(c, false)])).toBeNull();
          await target.capacity.set({ kind: 'key', name: 'k', value: 2 }, T0, operatorAct);
          expect(await target.release(b, act('b'), T0, [holding(b)])).toBeNull();
          expect(await aside()).toEqual([false, false, false]);
        });

        test('all of it or nothing, the keys of all counted together, and once', async () => {
          const [a, b] = [await opened(), await opened()];
          expect(await target.release(a, act('1'), T0, [holding(a), holding(b)])).toBe('k');
          expect(await aside()).toEqual([true, true]);
          expect(await target.release(a, act('2'), T0, [holding(a), { run: b, lanes: [], gate: null }])).toBeNull();
          expect(await aside()).toEqual([false, false]);
          // Somebody else came to the same plan, and was second: it holds the key already.
          expect(await target.release(a, act('3'), T0, [holding(a), { run: b, lanes: [], gate: null }])).toBeNull();
          expect((await target.capacity.look(a)).gate).toMatchObject({ isHeld: true, holders: 1 });
        });

        test('with its tasks in line for what they take', async () => {
          const held = await started(store, single);
          const run = await into(carried(await store.care.exportRun(held.write.uid)));
          await target.capacity.declare([{ kind: 'pool', name: 'p', value: 0 }], T0);
          const lanes = [{ node: 0, item: -1, needs: [{ kind: 'pool', name: 'p', units: 1 } as const] }];
          await target.release(run, act('1'), T0, [{ run, lanes, gate: null }]);
          const here = await defineTrue('single', target);
          expect((await target.commit(batch({ claim: claimOf(9, 91, here) }))).claimedTasks).toEqual([]);
          expect((await target.capacity.look(run)).needs).toEqual(lanes);
          await target.capacity.set({ kind: 'pool', name: 'p', value: 1 }, T0, operatorAct);
          expect((await target.commit(batch({ claim: claimOf(9, 92, here) }))).claimedTasks).toHaveLength(1);
        });
      });

      test('give a document whose tables are those that belong to a run', async () => {
        const held = await ended(T0);
        expect(Object.keys((await store.care.exportRun(held.write.uid)) ?? {})).toEqual([
          'pawl',
          'kind',
          'id',
          'run',
          'link',
          'key',
          ...DOCUMENT_TABLES,
          'definition',
          'definitions',
          'children',
        ]);
      });
    });

    describe('facts', () => {
      test('tell what the store holds', async () => {
        const empty = await store.care.facts({ checkUpTo: null });
        expect(empty).toMatchObject({ kind, journal: null, quarantined: 0, oldestQueuedAt: null, clock: 0, damage: null });
        expect(empty.schema).toBe(empty.knownSchema);
        await ended(T0 + 5);
        await started(store, single, { at: T0 + 9 });
        await started(store, single, { at: T0 + 7, unclaimed: true });
        const aside = await started(store, single, { at: T0 + 3 });
        await store.quarantine(aside.run, 'why', [], T0 + 9);
        const facts = await store.care.facts({ checkUpTo: Infinity });
        expect(facts).toMatchObject({ quarantined: 1, oldestQueuedAt: T0 + 7, clock: T0 + 9, damage: [] });
        expect(facts.journal).toMatchObject({ from: 1, fromAt: T0 + 5, toAt: T0 + 9 });
      });
    });
  });
}
