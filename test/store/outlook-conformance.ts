import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Outlook } from '../../src/store/outlook.ts';
import type { Store } from '../../src/store/store.ts';
import type { Place } from './conformance.ts';
import { batch, changes, claimOf, define, facts, retryingTask, runningTask, runWrite, started, T0, type Defined } from './kit.ts';

const NOTHING: Omit<Outlook, 'seq'> = {
  dueAt: null,
  others: [],
  queued: { definitions: [], bodies: [], needy: false },
  gates: { waiting: false, granted: false },
  running: false,
  stranded: false,
  untold: false,
  messages: false,
  watched: false,
  open: [],
};

/** What every store must say of what there is to see to: all that the queries of the duties would find, and nothing besides. */
export function outlookConformance(kind: string, newPlace: () => Promise<Place>): void {
  describe(`the outlook of ${kind}:`, () => {
    let place: Place;
    let store: Store;
    let single: Defined;
    let mapped: Defined;

    beforeEach(async () => {
      place = await newPlace();
      store = await place.connect();
      single = await define(store, 'single');
      mapped = await define(store, 'mapped');
    });
    afterEach(() => place.remove());

    const look = async (on = store): Promise<Omit<Outlook, 'seq'>> => {
      const { seq: _, ...rest } = await on.outlook(['single'], 1);
      return rest;
    };
    const seqOf = async (): Promise<number> => (await store.outlook([], 1)).seq;

    test('a store in which nothing was ever done holds nothing', async () => {
      expect(await store.outlook(['single'], 1)).toEqual({ ...NOTHING, seq: 0 });
    });

    test('the journal moves with what another process commits, and not with a beat', async () => {
      const other = await place.connect();
      const worker = await other.boot(facts(), T0 + 100);
      const before = await seqOf();
      await other.beat(worker, T0 + 1, T0 + 200);
      expect(await seqOf()).toBe(before);
      await started(other, single);
      expect(await seqOf()).toBe(before + 1);
    });

    test('workers beside the one that asks, until they have ended', async () => {
      const [one, two] = [await store.boot(facts(), T0), await store.boot(facts(), T0)];
      const othersOf = async (worker: number): Promise<readonly number[]> => (await store.outlook([], worker)).others;
      expect(await othersOf(one)).toEqual([two]);
      expect(await othersOf(0)).toEqual([one, two]);
      await store.fence(two, { dead: true });
      expect(await othersOf(one)).toEqual([two]);
      await store.leave(two, T0);
      expect(await othersOf(one)).toEqual([]);
    });

    test('a run that nobody has claimed is in the queue, and none that was', async () => {
      const { run } = await started(store, single, { unclaimed: true });
      const queued = { definitions: [single.stored.id], bodies: [], needy: false };
      expect(await look()).toEqual({ ...NOTHING, queued, open: [single.stored.id] });
      await store.commit(batch({ claim: claimOf(1, 50, single) }));
      expect(await look()).toEqual({ ...NOTHING, running: true, open: [single.stored.id] });
      expect((await store.running(null, 9)).map((task) => task.run)).toEqual([run]);
    });

    test('each body with tasks in the queue once, but for what is paused', async () => {
      const { run } = await started(store, single);
      await started(store, single);
      const { run: other } = await started(store, await define(store, 'chain'));
      const bodies = [single.stored.firstBody, (await define(store, 'chain')).stored.firstBody];
      expect((await look()).queued).toEqual({ definitions: [], bodies, needy: false });
      place.run(`UPDATE tasks SET body = -body WHERE run = ${other}`);
      expect((await look()).queued.bodies).toEqual([single.stored.firstBody]);
      place.run(`UPDATE tasks SET body = (1 << 40) + run WHERE run >= ${run}`);
      expect((await look()).queued).toEqual({ definitions: [], bodies: [], needy: true });
    });

    test('a map of which items may start', async () => {
      const { run } = await started(store, mapped, { lease: { token: 7, worker: 1 } });
      const body = mapped.stored.firstBody + 1;
      const put = (next: number, again: number, closed: string): void =>
        place.run(`DELETE FROM maps; INSERT INTO maps VALUES (${run}, 1, ${body}, 1, 9, ${next}, 0, 0, 0, 0, ${again}, ${closed})`);
      put(9, 0, 'NULL');
      expect((await look()).queued.bodies).toEqual([]);
      put(3, 0, 'NULL');
      expect((await look()).queued.bodies).toEqual([body]);
      put(9, 1, 'NULL');
      expect((await look()).queued.bodies).toEqual([body]);
      put(3, 0, '1');
      expect((await look()).queued.bodies).toEqual([]);
    });

    test('the first instant of all that time moves, past or to come', async () => {
      await started(store, single, { startAt: T0 + 50_000 });
      expect((await look()).dueAt).toBe(T0 + 50_000);
      const held = await started(store, single, { lease: { token: 7, worker: 1 } });
      await store.commit(batch({ runs: [runWrite(held, changes({ from: runningTask(7), to: retryingTask({ dueAt: T0 + 30_000 }) }))] }));
      expect((await look()).dueAt).toBe(T0 + 30_000);
      await store.mailbox.send({ box: { signal: 's', key: 'k', run: null }, to: 'one', data: null, dedupe: null }, T0 - 7 * 86_400_000);
      expect(await look()).toMatchObject({ dueAt: T0, messages: true });
      place.run(`UPDATE messages SET expires_at = ${T0 + 99_000}`);
      // What belongs to a run that was set aside waits for a person.
      await store.quarantine(held.run, 'no', [], T0);
      expect((await look()).dueAt).toBe(T0 + 50_000);
    });

    test('schedules of the workflows that were asked for', async () => {
      const rule = { rule: { everyMs: 60_000, anchorAt: null }, madeAt: T0, input: null, isMade: false, cursorAt: T0, paused: null };
      const policy = { overlap: 'allow', catchup: 'latest', windowMs: 86_400_000, pauseAfter: null } as const;
      const make = (name: string, workflow: string, nextAt: number, isWatched: boolean): Promise<boolean> =>
        store.schedules.create(
          { ...rule, policy, name, workflow, nextAt, isWatched, source: 'data', removedAt: null, failuresFrom: T0 },
          T0,
          null,
        );
      await make('theirs', 'mapped', T0 + 1, true);
      expect(await look()).toEqual(NOTHING);
      await make('ours', 'single', T0 + 2, false);
      expect(await look()).toEqual({ ...NOTHING, dueAt: T0 + 2 });
      await make('watching', 'single', T0 + 3, true);
      expect(await look()).toEqual({ ...NOTHING, dueAt: T0 + 2, watched: true });
    });

    test('runs that wait for a key, and runs that it was granted to', async () => {
      const { run } = await started(store, single, { startAt: T0 + 9 });
      place.run(`UPDATE runs SET status = 1, wake_at = NULL; INSERT INTO gates VALUES (${run}, 'k', '{}', 1, 0)`);
      expect((await look()).gates).toEqual({ waiting: true, granted: false });
      place.run('UPDATE gates SET held = 2');
      expect((await look()).gates).toEqual({ waiting: false, granted: true });
      place.run('UPDATE gates SET held = 1');
      expect((await look()).gates).toEqual({ waiting: false, granted: false });
      place.run('UPDATE gates SET held = 2; UPDATE runs SET status = 2');
      expect((await look()).gates).toEqual({ waiting: false, granted: false });
    });

    test('outcomes that arrived for a run that was set aside, once it no longer is', async () => {
      const held = await started(store, single, { lease: { token: 7, worker: 1 } });
      await store.quarantine(held.run, 'no', [{ node: 0, item: -1, token: 7, outcome: '{}' }], T0);
      expect(await look()).toMatchObject({ stranded: false, open: [single.stored.id] });
      place.run('UPDATE runs SET quarantined = NULL');
      expect((await look()).stranded).toBe(true);
      expect(await store.strandedRuns(9)).toEqual([held.run]);
      await store.unpark(held.run, 1);
      expect((await look()).stranded).toBe(false);
    });

    test('runs that ended untold, while their parent can be told', async () => {
      const parent = await started(store, single);
      const child = await started(store, single);
      place.run(`UPDATE runs SET recall = 2, parent = ${parent.run} WHERE id = ${child.run}`);
      expect([(await look()).untold, await store.untold(9)]).toEqual([true, [child.run]]);
      place.run(`UPDATE runs SET quarantined = 'no' WHERE id = ${parent.run}`);
      expect([(await look()).untold, await store.untold(9)]).toEqual([false, []]);
    });

    test('definitions with open runs, each once', async () => {
      const chain = await define(store, 'chain');
      const ended = await started(store, single);
      await started(store, chain);
      await started(store, chain);
      expect((await look()).open).toEqual([single.stored.id, chain.stored.id]);
      place.run(`UPDATE runs SET status = 6, finished_at = 1 WHERE id = ${ended.run}`);
      expect((await look()).open).toEqual([chain.stored.id]);
      expect(await store.openDefinitions()).toEqual([chain.stored.id]);
    });
  });
}
