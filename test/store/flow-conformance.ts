import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { advance, takeMore } from '../../src/core/kernel/advance.ts';
import { noChanges, type Changes } from '../../src/core/kernel/changes.ts';
import { compileGraph, type CompiledGraph } from '../../src/core/kernel/compile.ts';
import { NO_FLOW, type LinkKind } from '../../src/core/kernel/run-state.ts';
import type { RunEvent } from '../../src/core/kernel/turn.ts';
import { task, workflow } from '../../src/index.ts';
import { stateFromRows } from '../../src/engine/cache.ts';
import { isBroken, type LoadedRun, type Store } from '../../src/store/store.ts';
import type { Place } from './conformance.ts';
import { anything, batch, runWrite, SETTINGS, started, T0, type Defined, type Held } from './kit.ts';

const item = task({ name: 'item', run: (i: { n: number }) => i.n });
const undone = workflow({ name: 'undone', input: anything<{ list: number[] }>() }, (w, input) => {
  const m = w.map(input.list, item, (n) => ({ n }), { compensate: () => undefined });
  const a = w.run('a', {}, () => 1, { compensate: () => undefined });
  w.run('last', { m, a }, () => 1);
});
const saga = workflow({ name: 'saga' }, (w) => {
  w.run('a', {}, () => 1, { compensate: () => undefined, retry: { maxAttempts: 1 } });
});
const again = workflow({ name: 'again', retry: { maxAttempts: 2, initial: '1m', jitter: 'none' } }, (w) => {
  w.run('a', {}, () => 1, { retry: { maxAttempts: 1 } });
});
const bracket = workflow({ name: 'bracket' }, (w) => {
  w.using('db', { setup: () => 1, teardown: () => undefined }, () => void w.run('work', {}, () => 1));
});

/** What every store must do for what comes after a failure. */
export function flowConformance(kind: string, newPlace: () => Promise<Place>): void {
  describe(`what comes after a failure, on ${kind}:`, () => {
    let place: Place;
    let store: Store;
    beforeEach(async () => {
      place = await newPlace();
      store = await place.connect();
    });
    afterEach(() => place.remove());

    async function define({ name, graph }: { readonly name: string; readonly graph: CompiledGraph['graph'] }): Promise<Defined> {
      const [stored] = await store.define([{ workflow: name, version: '1', hash: name, graph, at: T0 }]);
      if (stored === undefined) throw new Error('not defined');
      return { stored, graph: compileGraph(graph) };
    }

    async function apply(held: Held, { graph }: Defined, at: number, ...events: RunEvent[]): Promise<Changes> {
      const changes = advance(graph, held.state, events, at, SETTINGS);
      const result = await store.commit(batch({ now: at, runs: [runWrite(held, changes)] }));
      expect([changes.refused, result.conflicts]).toEqual([[], []]);
      return changes;
    }

    async function load(run: number): Promise<LoadedRun> {
      const [found] = await store.load([{ run, items: [] }]);
      if (found === undefined || isBroken(found)) throw new Error('not loaded');
      return found;
    }

    let token = 100;
    /** Claims what is queued under this name and ends it. */
    async function end(held: Held, defined: Defined, id: string, ok: boolean, at: number, index = -1): Promise<void> {
      const node = defined.graph.byId.get(id)?.index ?? -1;
      const body = defined.stored.firstBody + node;
      const claimed = await store.commit(
        batch({ now: at, claim: { limit: 99, bodies: new Set([body]), definitions: new Map(), places: new Map(), firstToken: token } }),
      );
      token += 100;
      const of = claimed.claimedTasks.find((one) => one.run === held.run && one.task.item === index);
      if (of === undefined) throw new Error(`nothing to claim of ${id}`);
      held.epoch = claimed.epoch;
      const found = await load(held.run);
      Object.assign(held, { state: stateFromRows(defined.graph, found), epoch: found.epoch });
      const outcome = ok
        ? ({ kind: 'ok', output: '1' } as const)
        : ({ kind: 'error', error: '{"name":"E","message":"no"}', facts: { nonRetryable: true } } as const);
      await apply(held, defined, at, { type: 'ended', node, item: index, token: of.task.lease?.token ?? 0, outcome });
    }

    test('the cause of a run that cleans up comes back, nothing wakes it but its teardown, and it is not stuck', async () => {
      const defined = await define(bracket);
      const held = await started(store, defined, { deadlineAt: T0 + 500 });
      await end(held, defined, 'db', true, T0 + 1);
      await apply(held, defined, T0 + 500, { type: 'run_due' });
      const found = await load(held.run);
      expect(found.facts).toMatchObject({
        status: 'cancelling',
        cause: { status: 'failed', reason: 'deadline' },
        cancelAsked: null,
        flow: NO_FLOW,
      });
      expect(await store.due(T0 + 1e9, 9)).toMatchObject({ runs: [], nextAt: null });
      expect((await store.stuck(null, 9)).runs).toEqual([]);
      place.run(`DELETE FROM tasks WHERE status = 1`);
      expect((await store.stuck(null, 9)).runs).toMatchObject([{ run: held.run }]);
    });

    test('who asked for the cancel comes back, and is forgotten when the run is redriven', async () => {
      const defined = await define(bracket);
      const held = await started(store, defined);
      await end(held, defined, 'db', true, T0 + 1);
      await apply(held, defined, T0 + 2, { type: 'cancel', reason: 'person' });
      expect((await load(held.run)).facts).toMatchObject({ status: 'cancelling', cancelAsked: 'person' });
      await end(held, defined, 'db.teardown', true, T0 + 3);
      expect((await load(held.run)).facts).toMatchObject({ status: 'cancelled', cancelAsked: 'person' });
      await apply(held, defined, T0 + 4, {
        type: 'reset',
        request: { kind: 'redrive', targets: [], keep: [], acceptUnknown: false, sameKey: false },
      });
      expect((await load(held.run)).facts).toMatchObject({ status: 'running', cancelAsked: null, cause: null });
    });

    test('a run that waits for its own retry is due then, is not stuck, and keeps its time through a quarantine', async () => {
      const defined = await define(again);
      const held = await started(store, defined);
      await end(held, defined, 'a', false, T0 + 1);
      expect((await load(held.run)).facts).toMatchObject({ status: 'running', flow: { retryAt: T0 + 60_001 } });
      expect((await store.stuck(null, 9)).runs).toEqual([]);
      const due = { run: held.run, event: 'deadline', dueAt: T0 + 60_001 };
      expect((await store.due(T0 + 60_001, 9)).runs).toEqual([due]);
      await store.quarantine(held.run, 'why', [], T0 + 2);
      expect((await store.due(T0 + 60_001, 9)).runs).toEqual([]);
      const act = { actor: 'ann', action: 'release', request: null, hash: 'h', facts: '{}', note: null, result: '{}' };
      await store.release(held.run, act, T0 + 3);
      expect((await store.due(T0 + 60_001, 9)).runs).toEqual([due]);
    });

    test('the order in which tasks and items succeeded comes back, and goes on from there', async () => {
      const defined = await define(undone);
      const held = await started(store, defined, { input: '{"list":[1,2]}' });
      const taken: Changes = advance(defined.graph, held.state, [{ type: 'take', node: 0, count: 0 }], T0, SETTINGS);
      taken.refused.length = 0;
      takeMore(defined.graph, held.state, taken, { node: 0, count: 2, now: T0, settings: SETTINGS });
      await store.commit(batch({ runs: [runWrite(held, taken)] }));
      await end(held, defined, 'item', true, T0 + 1, 1);
      expect((await load(held.run)).completions).toBe(1);
      await end(held, defined, 'a', true, T0 + 1);
      const [whole] = await store.load([{ run: held.run, items: [0] }]);
      if (whole === undefined || isBroken(whole)) throw new Error('not loaded');
      Object.assign(held, { state: stateFromRows(defined.graph, whole), epoch: whole.epoch });
      await apply(held, defined, T0 + 1, { type: 'cancel', reason: 'person' });
      const found = await load(held.run);
      expect(found.facts).toMatchObject({ status: 'cancelling', flow: { compensated: true } });
      // Every ended item comes with a run that is being undone.
      expect(found.items).toMatchObject([
        {
          items: [
            { item: 0, status: 'cancelled' },
            { item: 1, completion: 1 },
          ],
        },
      ]);
      expect(stateFromRows(defined.graph, found).completions).toBe(2);
      await end(held, defined, 'a.compensate', true, T0 + 2);
      await end(held, defined, 'item.compensate', true, T0 + 3, 1);
      expect(await store.runRow(held.run)).toMatchObject({ status: 'cancelled' });
    });

    test('what of the children of a run is to be undone: what is open first, then what succeeded last', async () => {
      const defined = await define(saga);
      const top = await started(store, defined);
      const kid = (kind: LinkKind) =>
        started(store, defined, {
          parent: { run: top.run, node: 0, item: -1, generation: 1, name: null, kind, tree: top.run, recalled: false, completion: null },
        });
      const of = { run: top.run, tree: top.run };
      const kin = (...without: Held[]) =>
        store.kinOf(
          of,
          without.map(({ run }) => run),
        );
      let last = 0;
      /** With its end its parent gives it its place. */
      const succeeded = async (kind: LinkKind): Promise<Held> => {
        const held = await kid(kind);
        await end(held, defined, 'a', true, T0 + 1);
        last = kind === 'detached' ? last : last + 1;
        if (kind !== 'detached') await store.commit(batch({ now: T0 + 1, runs: [runWrite(held, { ...noChanges(), completion: last })] }));
        return held;
      };
      await succeeded('detached');
      const a = await succeeded('child');
      const b = await succeeded('body');
      const c = await kid('item');
      expect(await kin()).toEqual({ open: { run: c.run, isAsked: false }, due: { run: b.run, completion: 2 }, incomplete: false });
      expect(await kin(c)).toEqual({ open: null, due: { run: b.run, completion: 2 }, incomplete: false });
      expect(await kin(b, c)).toMatchObject({ due: { run: a.run, completion: 1 } });
      await end(c, defined, 'a', true, T0 + 1);
      await store.commit(batch({ now: T0 + 1, runs: [runWrite(c, { ...noChanges(), completion: 3 })] }));
      expect(await kin()).toEqual({ open: null, due: { run: c.run, completion: 3 }, incomplete: false });

      const asks = { ...noChanges(), undo: c.run };
      await store.commit(batch({ now: T0 + 2, runs: [runWrite(top, asks)] }));
      expect((await store.due(T0 + 2, 9)).runs).toEqual([{ run: c.run, event: 'undo', dueAt: T0 + 2 }]);
      expect((await kin()).open).toEqual({ run: c.run, isAsked: true });
      await apply(c, defined, T0 + 3, { type: 'undo' });
      expect((await store.due(T0 + 3, 9)).runs).toEqual([]);
      expect(await kin()).toEqual({ open: { run: c.run, isAsked: true }, due: { run: b.run, completion: 2 }, incomplete: false });
      expect((await store.runRow(c.run))?.compensation).toBe('running');
      await end(c, defined, 'a.compensate', false, T0 + 4);
      expect(await store.runRow(c.run)).toMatchObject({ status: 'failed', compensation: 'incomplete' });
      expect(await kin()).toEqual({ open: null, due: { run: b.run, completion: 2 }, incomplete: false });
      for (const held of [b, a]) {
        await apply(held, defined, T0 + 5, { type: 'undo' });
        await end(held, defined, 'a.compensate', true, T0 + 6);
        expect(await store.runRow(held.run)).toMatchObject({ status: 'success', compensation: 'complete' });
      }
      expect(await kin()).toEqual({ open: null, due: null, incomplete: true });
    });

    test('what a run remembers that is none of it sets the run aside, and no other', async () => {
      const defined = await define(bracket);
      const held = await started(store, defined);
      place.run(`UPDATE runs SET flow = '{"cause":["over","moon"]}' WHERE id = ${held.run}`);
      const [found] = await store.load([{ run: held.run, items: [] }]);
      expect(found).toMatchObject({ run: held.run, broken: expect.stringMatching('no cause') as string });
    });
  });
}
