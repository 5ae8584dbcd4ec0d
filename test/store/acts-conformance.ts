import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { advance, openFork, takeMore } from '../../src/core/kernel/advance.ts';
import type { Changes } from '../../src/core/kernel/changes.ts';
import { REQUEST_MS, type ResetRequest } from '../../src/core/kernel/reset.ts';
import type { RunEvent } from '../../src/core/kernel/turn.ts';
import { stateFromRows } from '../../src/engine/cache.ts';
import type { ActWrite } from '../../src/store/acts.ts';
import { type CommitResult, isBroken, type Store } from '../../src/store/store.ts';
import type { Place } from './conformance.ts';
import {
  batch,
  claimOf,
  define,
  facts,
  loaded,
  newStart,
  runWrite,
  SETTINGS,
  started,
  stateOf,
  T0,
  type Defined,
  type Held,
} from './kit.ts';

const error = '{"name":"Error","message":"no"}';
const HELD = { token: 71, worker: 1 };

const actOf = (over: Partial<ActWrite> = {}): ActWrite => ({
  actor: 'ann',
  action: 'redrive',
  request: 'r1',
  hash: 'h1',
  facts: '{"asked":1}',
  note: null,
  result: '{"generation":2}',
  ...over,
});

const reset = (over: Partial<ResetRequest> = {}): RunEvent => ({
  type: 'reset',
  request: { kind: 'redrive', targets: [], keep: [], acceptUnknown: false, sameKey: false, ...over },
});

/** What every store must do for acts of people. */
export function actsConformance(kind: string, newPlace: () => Promise<Place>): void {
  describe(`acts on ${kind}:`, () => {
    let place: Place;
    let store: Store;
    let single: Defined;
    let chain: Defined;
    let mapped: Defined;

    beforeEach(async () => {
      place = await newPlace();
      store = await place.connect();
      single = await define(store, 'single');
      chain = await define(store, 'chain');
      mapped = await define(store, 'mapped');
    });
    afterEach(() => place.remove());

    /** A run as a process has it that loads it now, with all items. */
    const load = async (held: Held, { graph }: Defined, from = store): Promise<Held> => {
      const [one] = await from.load([{ run: held.run, items: [...held.state.maps.keys()] }]);
      if (one === undefined || isBroken(one)) throw new Error('not readable');
      return { ...held, state: stateFromRows(graph, one), epoch: one.epoch };
    };
    const decide = (held: Held, { graph }: Defined, at: number, ...events: RunEvent[]): Changes =>
      advance(graph, held.state, events, at, SETTINGS);
    const commit = async (held: Held, changes: Changes, at: number, act: ActWrite | null = null, on = store): Promise<CommitResult> => {
      const result = await on.commit(batch({ now: at, runs: [{ ...runWrite(held, changes), act }] }));
      if (result.conflicts.length === 0) held.epoch = result.epoch;
      return result;
    };
    const fails = (token: number, node = 0, item = -1): RunEvent => ({
      type: 'ended',
      node,
      item,
      token,
      outcome: { kind: 'error', error, facts: { nonRetryable: true } },
    });

    /** A run of one task that failed. */
    const dead = async (at = T0, token = 71): Promise<Held> => {
      const held = await started(store, single, { at, lease: { token, worker: 1 } });
      await commit(held, decide(held, single, at, fails(token)), at);
      return load(held, single);
    };

    /** A map over three items, all of which were taken and failed. */
    const deadMap = async (at = T0): Promise<Held> => {
      const held = await started(store, mapped, { at, input: '{"list":[0,1,2]}' });
      const changes = decide(held, mapped, at);
      takeMore(mapped.graph, held.state, changes, { node: 0, count: 3, now: at, settings: SETTINGS });
      await commit(held, changes, at);
      const { claimedTasks } = await store.commit(batch({ now: at, claim: claimOf(3, 81, mapped) }));
      const again = await load(held, mapped);
      const events = claimedTasks.map(({ task }) => fails(task.lease?.token ?? 0, 0, task.item));
      await commit(again, decide(again, mapped, at, ...events), at);
      return load(again, mapped);
    };

    describe('a request id', () => {
      test('is written with the act, once per actor', async () => {
        const held = await dead();
        expect((await commit(held, decide(held, single, T0 + 1, reset()), T0 + 1, actOf())).conflicts).toEqual([]);
        expect(await store.findRequest('ann', 'r1', T0)).toEqual({ hash: 'h1', result: '{"generation":2}' });
        expect(await store.findRequest('bob', 'r1', T0)).toBeNull();
        expect(await store.findRequest('ann', 'r2', T0)).toBeNull();
        expect(await store.findRequest('ann', 'r1', T0 + 1)).toBeNull();
      });

      test('that was used is a conflict, whatever its hash: nothing of the write happens, the rest of the batch does', async () => {
        const first = await dead();
        await commit(first, decide(first, single, T0 + 1, reset()), T0 + 1, actOf());
        const [second, third] = [await dead(T0, 72), await dead(T0, 73)];
        for (const hash of ['h1', 'h2']) {
          const again = await load(second, single);
          expect((await commit(again, decide(again, single, T0 + 2, reset()), T0 + 2, actOf({ hash }))).conflicts).toEqual([0]);
        }
        const a = { ...runWrite(second, decide(second, single, T0 + 3, reset())), act: actOf() };
        const b = { ...runWrite(third, decide(third, single, T0 + 3, reset())), act: actOf({ actor: 'bob' }) };
        expect((await store.commit(batch({ now: T0 + 3, runs: [a, b] }))).conflicts).toEqual([0]);
        expect(await stateOf(store, second.run)).toMatchObject({ status: 'failed', generation: 1 });
        expect(await stateOf(store, third.run)).toMatchObject({ status: 'queued', generation: 2 });
        expect((await store.audit({ limit: 9 })).map((one) => [one.run, one.actor])).toEqual([
          [third.run, 'bob'],
          [first.run, 'ann'],
        ]);
      });

      test('is free again after its time, not before', async () => {
        const [a, b] = [await dead(T0, 71), await dead(T0, 72)];
        await commit(a, decide(a, single, T0, reset()), T0, actOf());
        const early = await load(b, single);
        expect((await commit(early, decide(early, single, T0, reset()), T0 + REQUEST_MS - 1, actOf())).conflicts).toEqual([0]);
        const late = await load(b, single);
        const at = T0 + REQUEST_MS;
        expect((await commit(late, decide(late, single, at, reset()), at, actOf({ hash: 'h9' }))).conflicts).toEqual([]);
        expect(await store.findRequest('ann', 'r1', T0)).toMatchObject({ hash: 'h9' });
      });

      test('of two connections is used by one', async () => {
        const other = await place.connect();
        const held = await dead();
        const [mine, theirs] = [await load(held, single), await load(held, single, other)];
        const first = decide(mine, single, T0 + 1, reset());
        const second = decide(theirs, single, T0 + 1, reset());
        expect((await commit(mine, first, T0 + 1, actOf())).conflicts).toEqual([]);
        expect((await commit(theirs, second, T0 + 1, actOf({ result: '{}' }), other)).conflicts).toEqual([0]);
        expect(await other.findRequest('ann', 'r1', T0)).toEqual({ hash: 'h1', result: '{"generation":2}' });
        expect(await store.audit({ limit: 9 })).toHaveLength(1);
      });

      test('of a start gives what the first came to', async () => {
        const result = '{"run":1,"uid":"00"}';
        const act = actOf({ action: 'restart', result });
        const [one, two] = [await newStart(store, single, { act }), await newStart(store, single, { act: { ...act, result: '{}' } })];
        const { starts } = await store.commit(batch({ starts: [one, two] }));
        expect(starts).toEqual([{ created: true }, { created: false, done: { hash: 'h1', result } }]);
        expect(await store.runRow(two.state.run)).toBeNull();
      });

      test('that is none is no request: the act is written each time', async () => {
        const held = await dead();
        for (const type of ['discard', 'discard'] as const) {
          const now = await load(held, single);
          await commit(now, decide(now, single, T0 + 1, { type, node: 0, item: -1 }), T0 + 1, actOf({ request: null, action: type }));
        }
        expect(await store.audit({ limit: 9 })).toMatchObject([{ request: null }, { request: null }]);
      });
    });

    describe('a reset', () => {
      test('makes the run and the task new, and keeps what they were', async () => {
        const held = await dead(T0);
        await commit(held, decide(held, single, T0 + 9, reset({ targets: [{ node: 0, item: -1, edited: '7' }] })), T0 + 9);
        expect(await stateOf(store, held.run)).toMatchObject({
          status: 'queued',
          generation: 2,
          attempt: 1,
          begun: 0,
          effect: 2,
          edited: '7',
        });
        expect(await store.runRow(held.run)).toMatchObject({ status: 'running', generation: 2, finishedAt: null, reason: null });
        expect(await store.historyOf(held.run)).toMatchObject([
          { node: 0, item: -1, generation: 1, attempt: 1, status: 'failed', reason: 'error', finishedAt: T0, error, edited: null },
        ]);
        expect(await store.deadLetters(null, 9)).toEqual([]);
      });

      test('is refused where the task is not in the status that it was decided on', async () => {
        const held = await dead();
        const changes = decide(held, single, T0 + 1, reset());
        place.run(`UPDATE tasks SET status = 5 WHERE run = ${held.run}`);
        expect((await commit(held, changes, T0 + 1, actOf())).conflicts).toEqual([0]);
        expect(await stateOf(store, held.run)).toMatchObject({ status: 'success', generation: 1 });
        expect([await store.historyOf(held.run), await store.audit({ limit: 9 })]).toEqual([[], []]);
        expect(await store.runRow(held.run)).toMatchObject({ status: 'failed', generation: 1 });
      });

      test('is refused under another token than the one that was taken back, and makes that token worthless', async () => {
        const held = await started(store, chain, { lease: HELD });
        await commit(
          held,
          decide(held, chain, T0, { type: 'ended', node: 0, item: -1, token: 71, outcome: { kind: 'ok', output: '1' } }),
          T0,
        );
        await store.commit(batch({ claim: claimOf(9, 81, chain) }));
        const [wrong, right] = [await load(held, chain), await load(held, chain)];
        const rerun = reset({ kind: 'rerun', targets: [{ node: 0, item: -1 }] });
        const changes = decide(wrong, chain, T0 + 1, rerun);
        place.run(`UPDATE tasks SET token = 99 WHERE run = ${held.run} AND node = 1`);
        expect((await commit(wrong, changes, T0 + 1)).conflicts).toEqual([0]);
        place.run(`UPDATE tasks SET token = 81 WHERE run = ${held.run} AND node = 1`);
        const stale = await load(held, chain);
        const late = decide(stale, chain, T0 + 2, { type: 'ended', node: 1, item: -1, token: 81, outcome: { kind: 'ok', output: '1' } });
        expect((await commit(right, decide(right, chain, T0 + 1, rerun), T0 + 1)).conflicts).toEqual([]);
        expect(await stateOf(store, held.run, 1)).toMatchObject({ status: 'pending', generation: 2 });
        expect((await commit(stale, late, T0 + 2)).conflicts).toEqual([0]);
        expect(await store.attemptsOf({ run: held.run, node: 1, item: -1 })).toMatchObject([
          { attempt: 1, outcome: 'cancelled', reason: 'superseded' },
        ]);
        const step = { run: held.run, node: 1, item: -1, generation: 1, token: 81, name: 's', kind: 'step', value: '1' };
        expect((await store.commit(batch({ steps: [step] }))).steps).toEqual([false]);
      });

      test('of a state that another process has moved on is a conflict', async () => {
        const other = await place.connect();
        const held = await dead();
        const [mine, theirs] = [await load(held, single), await load(held, single, other)];
        const changes = decide(mine, single, T0 + 2, reset());
        await other.commit(batch({ share: [held.run] }));
        const again = await load(theirs, single, other);
        const discard = decide(again, single, T0 + 1, { type: 'discard', node: 0, item: -1 });
        await other.commit(batch({ now: T0 + 1, runs: [runWrite(again, discard, true)] }));
        expect((await commit(mine, changes, T0 + 2)).conflicts).toEqual([0]);
        expect(await stateOf(store, held.run)).toMatchObject({ status: 'failed', dead: false });
      });

      test('of items opens their map again, and hands them out first', async () => {
        const held = await deadMap();
        expect(await store.runRow(held.run)).toMatchObject({ status: 'failed' });
        const changes = decide(
          held,
          mapped,
          T0 + 1,
          reset({
            targets: [
              { node: 0, item: 2 },
              { node: 0, item: 1 },
            ],
          }),
        );
        await commit(held, changes, T0 + 1);
        const { maps, tasks } = await loaded(store, held.run);
        expect(maps).toMatchObject([{ n: 3, next: 3, ok: 0, failed: 1, cancelled: 0, again: [1, 2] }]);
        expect(tasks.map((one) => [one.item, one.status, one.generation])).toEqual([
          [-1, 'running', 2],
          [1, 'pending', 2],
          [2, 'pending', 2],
        ]);
        expect((await store.commit(batch({ claim: claimOf(9, 91, mapped) }))).openMaps).toMatchObject([{ run: held.run, node: 0 }]);
        expect((await store.historyOf(held.run)).map((one) => one.item)).toEqual([-1, 1, 2]);
        const again = await load(held, mapped);
        await commit(again, decide(again, mapped, T0 + 2, { type: 'take', node: 0, count: 1 }), T0 + 2);
        expect(await stateOf(store, held.run, 0, 1)).toMatchObject({ status: 'queued' });
        expect((await loaded(store, held.run)).maps).toMatchObject([{ again: [2] }]);
      });

      test('of a map makes its items history, and its list anew', async () => {
        const held = await deadMap();
        await commit(held, decide(held, mapped, T0 + 1, reset({ kind: 'rerun', targets: [{ node: 0, item: -1 }] })), T0 + 1);
        expect((await loaded(store, held.run)).maps).toMatchObject([{ n: 3, next: 0, ok: 0, failed: 0, again: [] }]);
        expect((await store.tasksOf(held.run, true)).map((one) => [one.item, one.generation])).toEqual([[-1, 2]]);
        expect((await store.historyOf(held.run)).map((one) => [one.item, one.status])).toEqual(
          [-1, 0, 1, 2].map((item) => [item, 'failed']),
        );
      });

      test('lets a run that ended while it was paused be claimed again, with its maps', async () => {
        const held = await started(store, mapped, { input: '{"list":[0,1,2]}' });
        await commit(held, decide(held, mapped, T0, { type: 'pause' }), T0, actOf({ request: null }));
        const paused = await load(held, mapped);
        await commit(paused, decide(paused, mapped, T0, { type: 'cancel', reason: 'person' }), T0, actOf({ request: null }));
        const over = await load(held, mapped);
        await commit(over, decide(over, mapped, T0 + 1, reset()), T0 + 1, actOf({ request: null }));
        expect((await store.commit(batch({ claim: claimOf(9, 91, mapped) }))).openMaps).toMatchObject([{ run: held.run }]);
      });
    });

    describe('a run that nobody has claimed', () => {
      test('is claimed task by task once an act has written some of them', async () => {
        const wide = await define(store, 'wide');
        const held = await started(store, wide, { unclaimed: true });
        const other = await started(store, wide, { unclaimed: true });
        await commit(held, decide(held, wide, T0 + 1, { type: 'pause' }), T0 + 1, actOf({ action: 'pause' }));
        expect((await store.commit(batch({ claim: claimOf(9, 91, wide) }))).claimedRuns.map((one) => one.facts.run)).toEqual([other.run]);
        const paused = await load(held, wide);
        await commit(paused, decide(paused, wide, T0 + 2, { type: 'skip', node: 0, item: -1 }), T0 + 2, actOf({ request: 'r2' }));
        const resumed = await load(held, wide);
        await commit(resumed, decide(resumed, wide, T0 + 3, { type: 'resume' }), T0 + 3, actOf({ request: 'r3' }));
        const { claimedRuns, claimedTasks } = await store.commit(batch({ claim: claimOf(9, 101, wide) }));
        expect(claimedRuns).toEqual([]);
        expect(claimedTasks.map((one) => [one.run, one.task.node])).toEqual([
          [held.run, 1],
          [held.run, 2],
        ]);
      });
    });

    describe('deadLetters', () => {
      test('are the last to die first, page by page, without gaps among those that died at once', async () => {
        const runs: number[] = [];
        for (let i = 0; i < 7; i++) runs.push((await dead(T0 + Math.floor(i / 3), 100 + i)).run);
        const map = await deadMap(T0 + 1);
        const all = await store.deadLetters(null, 99);
        const keyOf = (one: (typeof all)[number]): number[] => [one.task.finishedAt, one.row.run, one.task.node, one.task.item];
        expect(all.map(keyOf)).toEqual([
          [T0 + 2, runs[6], 0, -1],
          ...[2, 1, 0].map((item) => [T0 + 1, map.run, 0, item]),
          ...[5, 4, 3].map((i) => [T0 + 1, runs[i], 0, -1]),
          ...[2, 1, 0].map((i) => [T0, runs[i], 0, -1]),
        ]);
        for (const size of [1, 2, 3, 9, 10]) {
          const paged: number[][] = [];
          for (let page = await store.deadLetters(null, size); page.length > 0;) {
            paged.push(...page.map(keyOf));
            const [at = 0, run = 0, node = 0, item = 0] = paged.at(-1) ?? [];
            page = await store.deadLetters({ at, run, node, item }, size);
          }
          expect(paged).toEqual(all.map(keyOf));
        }
      });
    });

    describe('audit', () => {
      test('is the last first, of one run where asked, from a cursor on', async () => {
        const [a, b] = [await dead(T0, 71), await dead(T0, 72)];
        for (const [i, held] of [a, b, a].entries()) {
          const now = await load(held, single);
          const changes = i < 2 ? decide(now, single, T0 + i, reset()) : decide(now, single, T0 + i, { type: 'pause' });
          await commit(now, changes, T0 + i, actOf({ request: `r${i}`, note: i === 1 ? 'why' : null }));
        }
        const all = await store.audit({ limit: 9 });
        expect(all.map((one) => [one.at, one.run, one.request, one.note])).toEqual([
          [T0 + 2, a.run, 'r2', null],
          [T0 + 1, b.run, 'r1', 'why'],
          [T0, a.run, 'r0', null],
        ]);
        expect(all[0]).toMatchObject({ actor: 'ann', action: 'redrive', facts: '{"asked":1}', uid: a.write.uid });
        expect((await store.audit({ run: a.run, limit: 9 })).map((one) => one.request)).toEqual(['r2', 'r0']);
        expect((await store.audit({ before: all[0]?.id ?? 0, limit: 1 })).map((one) => one.request)).toEqual(['r1']);
        expect(await store.audit({ run: a.run, before: all[2]?.id ?? 0, limit: 9 })).toEqual([]);
      });
    });

    describe('a quarantined run', () => {
      const parked = (token: number) => ({ node: 0, item: -1, token, outcome: '{"kind":"ok","output":"1"}' });

      test('keeps what arrives for it, in its order, until that is taken away', async () => {
        const held = await started(store, single, { lease: HELD });
        await store.quarantine(held.run, 'why', [parked(1), parked(2)], T0);
        expect(await store.strandedRuns(9)).toEqual([]);
        expect((await store.commit(batch({ claim: claimOf(9, 91, single) }))).claimedTasks).toEqual([]);
        await store.release(held.run, actOf({ action: 'release' }), T0 + 1);
        expect(await store.strandedRuns(9)).toEqual([held.run]);
        const rows = await store.parked(held.run);
        expect(rows).toMatchObject([parked(1), parked(2)]);
        await store.quarantine(held.run, 'again', [parked(3)], T0 + 2);
        await store.unpark(held.run, rows.at(-1)?.id ?? 0);
        expect(await store.parked(held.run)).toMatchObject([parked(3)]);
        expect(await store.strandedRuns(9)).toEqual([]);
      });

      test('is released once per request, and by nobody else who asks', async () => {
        const held = await started(store, single, { unclaimed: true });
        await store.quarantine(held.run, 'why', [], T0);
        await store.release(held.run, actOf({ action: 'release' }), T0 + 1);
        await store.release(held.run, actOf({ action: 'release', request: 'r2' }), T0 + 1);
        expect((await store.audit({ limit: 9 })).map((one) => one.request)).toEqual(['r1']);
        await store.quarantine(held.run, 'again', [], T0 + 2);
        await store.release(held.run, actOf({ action: 'release' }), T0 + 3);
        expect(await store.runRow(held.run)).toMatchObject({ quarantined: 'again' });
        await store.release(held.run, actOf({ action: 'release', request: 'r3' }), T0 + 3);
        expect((await store.commit(batch({ claim: claimOf(9, 91, single) }))).claimedRuns).toHaveLength(1);
      });

      test('that is paused stays so when it is released', async () => {
        const held = await started(store, mapped, { input: '{"list":[0]}' });
        await commit(held, decide(held, mapped, T0, { type: 'pause' }), T0);
        await store.quarantine(held.run, 'why', [], T0);
        await store.release(held.run, actOf(), T0 + 1);
        expect((await store.commit(batch({ claim: claimOf(9, 91, mapped) }))).openMaps).toEqual([]);
        const now = await load(held, mapped);
        await commit(now, decide(now, mapped, T0 + 2, { type: 'resume' }), T0 + 2);
        expect((await store.commit(batch({ claim: claimOf(9, 91, mapped) }))).openMaps).toHaveLength(1);
      });

      test('that is over has nothing due after its release', async () => {
        const held = await dead();
        place.run(`UPDATE runs SET deadline_at = ${T0 + 5} WHERE id = ${held.run}`);
        await store.quarantine(held.run, 'why', [], T0);
        await store.release(held.run, actOf(), T0 + 1);
        expect((await store.due(T0 + 9, 9)).runs).toEqual([]);
      });

      test('is failed once per request; what arrived for it is gone, and its maps can go on', async () => {
        const held = await started(store, mapped, { input: '{"list":[0,1]}' });
        await store.quarantine(held.run, 'why', [parked(1)], T0);
        await store.abandonRun(held.run, actOf({ action: 'mark_failed' }), T0 + 1);
        await store.abandonRun(held.run, actOf({ action: 'mark_failed' }), T0 + 1);
        expect(await store.runRow(held.run)).toMatchObject({
          status: 'failed',
          reason: 'marked_failed',
          quarantined: null,
          isImported: false,
          finishedAt: T0 + 1,
        });
        expect([await store.parked(held.run), (await store.audit({ limit: 9 })).length]).toEqual([[], 1]);
        const now = await load(held, mapped);
        await commit(now, decide(now, mapped, T0 + 2, reset()), T0 + 2);
        expect((await store.commit(batch({ claim: claimOf(9, 91, mapped) }))).openMaps).toHaveLength(1);
      });
    });

    describe('a fork', () => {
      /** A run whose map failed but for item 0, marked as a whole: then it can be taken over. */
      const donor = async (): Promise<Held> => {
        const held = await deadMap();
        place.run(`UPDATE tasks SET status = 5, flags = 0, reason = NULL, error = NULL, output = '7', edited = '"e"' WHERE run = ${held.run};
          UPDATE tasks SET output = NULL WHERE run = ${held.run} AND item < 0; UPDATE maps SET ok = 3, failed = 0 WHERE run = ${held.run}; UPDATE runs SET status = 6 WHERE id = ${held.run}`);
        return load(held, mapped);
      };
      const forkOf = async (held: Held, generation = held.state.generation) => {
        const { graph } = mapped;
        const plain = await newStart(store, mapped, { input: held.state.input });
        const opened = openFork(graph, { ...plain.state, generation: 1 }, { donor: held.state, nodes: [0] }, T0 + 5, SETTINGS);
        return {
          ...plain,
          ...opened,
          link: { run: held.run, kind: 'fork' as const, generation, maps: [{ from: 0, to: 0 }] },
          act: actOf({ action: 'fork' }),
        };
      };

      test('takes over the items of maps as they are, in its first generation', async () => {
        const held = await donor();
        const write = await forkOf(held);
        expect((await store.commit(batch({ now: T0 + 5, starts: [write] }))).starts).toEqual([{ created: true }]);
        expect(await store.runRow(write.state.run)).toMatchObject({ status: 'success', linkedFrom: held.run, link: 'fork' });
        const items = (await store.tasksOf(write.state.run, true)).filter((one) => one.item >= 0);
        expect(items).toMatchObject(
          [0, 1, 2].map((item) => ({
            item,
            status: 'success',
            generation: 1,
            attempt: 0,
            output: '7',
            edited: '"e"',
            cached: true,
            finishedAt: T0 + 5,
          })),
        );
        expect((await loaded(store, write.state.run)).maps).toMatchObject([{ n: 3, next: 3, ok: 3 }]);
        expect((await store.commit(batch({ claim: claimOf(9, 91, mapped) }))).openMaps).toEqual([]);
      });

      test('of a run that was reset meanwhile is not made', async () => {
        const held = await donor();
        const write = await forkOf(held);
        await commit(held, decide(held, mapped, T0 + 3, reset({ kind: 'rerun', targets: [{ node: 0, item: -1 }] })), T0 + 3);
        expect((await store.commit(batch({ now: T0 + 5, starts: [write] }))).starts).toEqual([{ created: false, moved: held.run }]);
        expect([await store.runRow(write.state.run), await store.findRequest('ann', 'r1', 0)]).toEqual([null, null]);
      });
    });

    describe('endedWorkers', () => {
      test('are those that ended last, the last first', async () => {
        const ids: number[] = [];
        for (let i = 0; i < 4; i++) ids.push(await store.boot(facts({ name: `w${i}` }), T0 + 1_000));
        for (const id of ids.slice(0, 3)) await store.leave(id, T0 + id);
        expect((await store.endedWorkers(2)).map((one) => [one.name, one.endedAt])).toEqual([
          ['w2', T0 + (ids[2] ?? 0)],
          ['w1', T0 + (ids[1] ?? 0)],
        ]);
        expect((await store.workers()).map((one) => one.id)).toEqual([ids[3]]);
      });
    });
  });
}
