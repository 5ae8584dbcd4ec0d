import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openRun } from '../../src/core/kernel/advance.ts';
import { compileGraph } from '../../src/core/kernel/compile.ts';
import { emptyRunState } from '../../src/core/kernel/run-state.ts';
import type { Store } from '../../src/store/store.ts';
import type { Place } from './conformance.ts';
import { batch, operatorAct, SETTINGS, T0, uid } from './kit.ts';
import { task, workflow } from '../../src/index.ts';

const one = task({ name: 'one', pools: { db: 2 }, run: () => 1 });
const flow = workflow({ name: 'flow' }, (w) => w.run(one, undefined));

/** What every store does with limits, beside what the engine's tests show of claims. */
export function capacityConformance(kind: string, newPlace: () => Promise<Place>): void {
  describe(`capacity of a ${kind} store`, () => {
    let place: Place;
    let store: Store;
    beforeEach(async () => {
      place = await newPlace();
      store = await place.connect();
    });
    afterEach(() => place.remove());

    const db = (value: number) => ({ kind: 'pool' as const, name: 'db', value });

    async function queueOne(run: number): Promise<void> {
      const [stored] = await store.define([{ workflow: 'flow', version: '1', hash: 'h', graph: flow.graph, at: T0 }]);
      const graph = compileGraph(flow.graph);
      const facts = {
        run,
        generation: 1,
        rev: 1,
        status: 'running' as const,
        resumeTo: null,
        rank: T0,
        startAt: null,
        acceptedAt: T0,
        deadlineAt: null,
        input: null,
        cause: null,
        cancelAsked: null,
        flow: emptyRunState(graph, {} as never).flow,
      };
      const { state, changes } = openRun(graph, facts, T0, SETTINGS);
      const write = {
        definition: stored?.id ?? 0,
        firstBody: stored?.firstBody ?? 0,
        workflow: 'flow',
        key: null,
        tags: [],
        traceparent: null,
      };
      await store.commit(
        batch({ starts: [{ ...write, uid: uid(), unclaimed: false, owner: null, state, changes, link: null, act: null }] }),
      );
    }

    const claimAll = async (firstToken: number) => {
      const [stored] = await store.define([{ workflow: 'flow', version: '1', hash: 'h', graph: flow.graph, at: T0 }]);
      const bodies = new Set([stored?.firstBody ?? 0]);
      return store.commit(batch({ now: T0 + 1, claim: { limit: 10, firstToken, bodies, definitions: new Map(), places: new Map() } }));
    };

    test('code declares, an operator wins until it is cleared, and another connection sees it', async () => {
      const other = await place.connect();
      await store.capacity.declare([db(2)], T0);
      await store.capacity.set(db(5), T0, operatorAct);
      expect(await other.capacity.list()).toEqual([{ kind: 'pool', name: 'db', code: 2, operator: 5 }]);
      await other.capacity.declare([db(3)], T0);
      expect(await store.capacity.list()).toEqual([{ kind: 'pool', name: 'db', code: 3, operator: 5 }]);
      expect(await other.capacity.clear({ kind: 'pool', name: 'db' }, T0, operatorAct)).toBe(true);
      expect(await other.capacity.clear({ kind: 'pool', name: 'db' }, T0, operatorAct)).toBe(false);
      expect(await store.capacity.list()).toEqual([{ kind: 'pool', name: 'db', code: 3, operator: null }]);
      await store.capacity.set({ kind: 'rate', name: 'mail', value: { count: 10, perMs: 1_000 } }, T0, operatorAct);
      expect(await store.capacity.clear({ kind: 'rate', name: 'mail' }, T0, operatorAct)).toBe(true);
      expect(await store.capacity.list()).toHaveLength(1);
    });

    test('a declaration that changes nothing writes nothing', async () => {
      await store.capacity.declare([db(2)], T0);
      const { seq } = await store.head();
      await store.capacity.declare([db(2)], T0);
      expect((await store.head()).seq).toBe(seq);
    });

    test('a pause is one for every connection, and is said once', async () => {
      const other = await place.connect();
      expect(await store.capacity.pause('queue', 'media', T0, operatorAct)).toBe(true);
      expect(await other.capacity.pause('queue', 'media', T0, operatorAct)).toBe(false);
      expect(await other.capacity.paused()).toEqual([{ kind: 'queue', name: 'media', at: T0 }]);
      expect(await other.capacity.resume('queue', 'media', T0, operatorAct)).toBe(true);
      expect(await store.capacity.resume('queue', 'media', T0, operatorAct)).toBe(false);
      // An act that changed nothing is none.
      const { actor, action, subject, facts, note } = operatorAct;
      const row = { at: T0, actor, action, subject, facts, note, run: null, uid: null, request: null };
      expect(await store.audit({ limit: 9 })).toEqual([
        { id: 2, ...row },
        { id: 1, ...row },
      ]);
      expect(await store.audit({ subject, before: 2, limit: 9 })).toEqual([{ id: 1, ...row }]);
      expect(await store.audit({ subject: 'queue:other', limit: 9 })).toEqual([]);
    });

    test('a claim takes units by what another connection set last; what is held is counted', async () => {
      const other = await place.connect();
      await store.capacity.declare([db(2)], T0);
      await queueOne(1);
      await queueOne(2);
      const first = await claimAll(100);
      expect(first.claimedTasks.map(({ run }) => run)).toEqual([1]);
      expect(await other.capacity.held()).toEqual([{ kind: 'pool', name: 'db', units: 2 }]);
      expect((await claimAll(200)).claimedTasks).toEqual([]);
      await other.capacity.set(db(4), T0, operatorAct);
      expect((await claimAll(300)).claimedTasks.map(({ run }) => run)).toEqual([2]);
      expect(await store.capacity.held()).toEqual([{ kind: 'pool', name: 'db', units: 4 }]);
    });

    test('what asks for more than there is, is named; one that waits for a pool that is closed is not', async () => {
      await store.capacity.declare([db(1)], T0);
      await queueOne(1);
      expect((await claimAll(100)).limited).toMatchObject([{ run: 1, node: 0, item: -1, status: 'failed', reason: 'unsatisfiable' }]);
      await store.capacity.set(db(0), T0, operatorAct);
      expect((await claimAll(100)).limited).toEqual([]);
    });

    test('of a pool that is fair the code says so, and another connection sees it; the operator says nothing of it', async () => {
      const other = await place.connect();
      await store.capacity.declare([{ ...db(2), fair: 'run' }], T0);
      const { seq } = await store.head();
      await store.capacity.declare([{ ...db(2), fair: 'run' }], T0);
      expect((await store.head()).seq).toBe(seq);
      await other.capacity.set(db(5), T0, operatorAct);
      expect(await other.capacity.list()).toEqual([{ kind: 'pool', name: 'db', code: 2, operator: 5, fair: 'run' }]);
      await store.capacity.declare([{ ...db(2), fair: 'key' }], T0);
      await other.capacity.clear(db(5), T0, operatorAct);
      expect(await other.capacity.list()).toEqual([{ kind: 'pool', name: 'db', code: 2, operator: null, fair: 'key' }]);
      await store.capacity.declare([db(2)], T0);
      expect(await other.capacity.list()).toEqual([{ kind: 'pool', name: 'db', code: 2, operator: null }]);
    });

    test('of a pool that is fair between runs each run has a lane, as another connection declared it, until its tasks have ended', async () => {
      const other = await place.connect();
      await store.capacity.declare([db(20)], T0);
      for (const run of [1, 2]) await queueOne(run);
      await other.capacity.declare([{ ...db(20), fair: 'run' }], T0);
      for (const run of [3, 4]) await queueOne(run);
      expect((await claimAll(100)).claimedTasks.map(({ run }) => run)).toEqual([1, 2, 3, 4]);
      expect(await other.capacity.held()).toEqual([{ kind: 'pool', name: 'db', units: 8 }]);
      place.run('UPDATE tasks SET status = 5, finished_at = 1, worker = NULL, token = NULL WHERE run <> 4');
      // One of the two that came first, and one of the third.
      expect(await store.capacity.tidy(10)).toBe(2);
      place.run('UPDATE tasks SET status = 5, finished_at = 1, worker = NULL, token = NULL');
      expect(await store.capacity.tidy(10)).toBe(1);
    });

    test('lanes without open tasks are forgotten, others are not', async () => {
      await store.capacity.declare([db(2)], T0);
      await queueOne(1);
      expect(await store.capacity.tidy(10)).toBe(0);
      place.run('UPDATE tasks SET status = 5, finished_at = 1');
      expect(await store.capacity.tidy(10)).toBe(1);
      expect(await store.capacity.tidy(10)).toBe(0);
    });
  });
}
