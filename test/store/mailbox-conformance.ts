import { beforeEach, afterEach, describe, expect, test } from 'vitest';
import type { Wait } from '../../src/core/kernel/waits.ts';
import type { WaitingTask } from '../../src/core/kernel/run-state.ts';
import { MAILBOX_SIZE, MESSAGE_MS, type Box, type NewMessage } from '../../src/store/mailbox.ts';
import type { Store } from '../../src/store/store.ts';
import type { Place } from './conformance.ts';
import { batch, changes, define, endedTask, runWrite, runningTask, started, T0, type Defined, type Held } from './kit.ts';

const at = (key: string): Box => ({ signal: 'word', key, run: null });
const START = { key: null, run: null } as const;
const message = (box: Box, over: Partial<NewMessage> = {}): NewMessage => ({ box, to: 'one', data: '1', dedupe: null, ...over });
const signalWait = (key: string | null): Wait => ({
  kind: 'signal',
  name: null,
  signal: 'word',
  key,
  filtered: false,
  since: T0,
  dueAt: null,
});
const waiting = (on: readonly Wait[]): WaitingTask => {
  const { status: _, phase: __, lease: ___, startedAt: ____, ...task } = runningTask(null, { attempt: 1, begun: 1 });
  return { ...task, status: 'waiting', on, since: T0, dueAt: null };
};

/** What every store must do for messages and open waits. */
export function mailboxConformance(kind: string, newPlace: () => Promise<Place>): void {
  describe(`messages on ${kind}:`, () => {
    let place: Place;
    let store: Store;
    let single: Defined;
    let tokens = 500;

    beforeEach(async () => {
      place = await newPlace();
      store = await place.connect();
      single = await define(store, 'single');
    });
    afterEach(() => place.remove());

    /** A run whose task waits. */
    const parked = async (...on: Wait[]): Promise<Held & { task: WaitingTask }> => {
      const token = ++tokens;
      const held = await started(store, single, { lease: { token, worker: 1 } });
      const task = waiting(on);
      await store.commit(batch({ runs: [runWrite(held, changes({ from: runningTask(token), to: task }))] }));
      return { ...held, task };
    };
    /** The task takes a message, and ends. */
    const take = async ({ task, ...held }: Held & { task: WaitingTask }, id: number): Promise<boolean> => {
      const decided = { ...changes({ from: task, to: endedTask('success', { output: '1' }) }), taken: [id] };
      return (await store.commit(batch({ runs: [runWrite(held, decided)] }))).conflicts.length === 0;
    };
    const idsOf = async (wait: Wait): Promise<number[]> => {
      const [open] = wait.kind === 'signal' && wait.key !== null ? await store.mailbox.waits(at(wait.key), 9) : [];
      return open === undefined ? [] : (await store.mailbox.messages(open, T0, 9)).map((one) => one.id);
    };

    test('an open wait is a row as long as its task waits', async () => {
      const held = await parked(signalWait('k'), { kind: 'time', name: 'n', since: T0, dueAt: T0 + 5 });
      expect(await store.mailbox.waits(at('k'), 9)).toMatchObject([{ run: held.run, node: 0, item: -1, key: 'k', since: T0 }]);
      expect(await store.mailbox.waits(at('other'), 9)).toEqual([]);
      await store.mailbox.send(message(at('k')), T0);
      const [id] = await idsOf(signalWait('k'));
      expect(await take(held, id ?? -1)).toBe(true);
      expect(await store.mailbox.waits(at('k'), 9)).toEqual([]);
    });

    test('a message is taken once: who comes second changes nothing', async () => {
      const [first, second] = [await parked(signalWait('k')), await parked(signalWait('k'))];
      await store.mailbox.send(message(at('k')), T0);
      const [id = -1] = await idsOf(signalWait('k'));
      expect([await take(first, id), await take(second, id)]).toEqual([true, false]);
      expect(await store.mailbox.present([id])).toEqual(new Set());
      expect((await store.mailbox.waits(at('k'), 9)).map((wait) => wait.run)).toEqual([second.run]);
    });

    test('messages come in commit order, those of the run among those of the key', async () => {
      const { run } = await parked(signalWait('k'));
      await store.mailbox.send(message(at('k')), T0);
      await store.mailbox.send(message({ signal: 'word', key: null, run }), T0);
      await store.mailbox.send(message(at('k')), T0);
      await store.mailbox.send(message(at('other')), T0);
      const ids = await idsOf(signalWait('k'));
      expect(ids).toHaveLength(3);
      expect(ids).toEqual(ids.toSorted((a, b) => a - b));
    });

    test('what is refused is not given again, and stays for others', async () => {
      await parked(signalWait('k'));
      await parked(signalWait('k'));
      await store.mailbox.send(message(at('k')), T0);
      const [first, second] = await store.mailbox.waits(at('k'), 9);
      if (first === undefined || second === undefined) throw new Error('two waits');
      const [id = -1] = await idsOf(signalWait('k'));
      await store.mailbox.refuse(first, id, T0);
      await store.mailbox.refuse(first, id, T0);
      expect(await store.mailbox.messages(first, T0, 9)).toEqual([]);
      expect(await store.mailbox.messages(second, T0, 9)).toHaveLength(1);
    });

    test('to all: a copy for each run that waits; one where none does', async () => {
      const runs = [await parked(signalWait('k')), await parked(signalWait('k'), signalWait('k')), await parked(signalWait('other'))];
      const sent = await store.mailbox.send(message(at('k'), { to: 'all' }), T0);
      expect(sent.kind === 'kept' && sent.boxes.map((box) => box.run)).toEqual(runs.slice(0, 2).map(({ run }) => run));
      expect(await store.mailbox.send(message(at('none'), { to: 'all' }), T0)).toMatchObject({ kind: 'kept', boxes: [at('none')] });
    });

    test('dedupe stands for its mailbox alone, for seven days, and not for what was refused as full', async () => {
      const send = (box: Box, now: number) => store.mailbox.send(message(box, { dedupe: 'd' }), now);
      expect(await send(at('k'), T0)).toMatchObject({ kind: 'kept' });
      expect(await send(at('k'), T0 + MESSAGE_MS - 1)).toEqual({ kind: 'duplicate' });
      expect(await send(at('other'), T0)).toMatchObject({ kind: 'kept' });
      expect(await send(at('k'), T0 + MESSAGE_MS)).toMatchObject({ kind: 'kept' });
    });

    test('a full mailbox says when its oldest message goes', async () => {
      const numbers = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${MAILBOX_SIZE})`;
      place.run(`${numbers} INSERT INTO messages (signal, key, at, expires_at, data) SELECT 'word', 'k', 1, 7 + i, '1' FROM n`);
      expect(await store.mailbox.send(message(at('k'), { dedupe: 'd' }), 1)).toEqual({ kind: 'full', freeAt: 8 });
      expect(await store.mailbox.send(message(at('other')), 1)).toMatchObject({ kind: 'kept' });
      place.run("DELETE FROM messages WHERE key = 'k'");
      expect(await store.mailbox.send(message(at('k'), { dedupe: 'd' }), 1)).toMatchObject({ kind: 'kept' });
    });

    test('mailboxes and waits come in pages', async () => {
      for (const key of ['a', 'b', 'c']) {
        await parked(signalWait(key));
        await store.mailbox.send(message(at(key)), T0);
      }
      const first = await store.mailbox.fitting(T0, 2, START);
      expect(first.boxes).toEqual([at('a'), at('b')]);
      const second = await store.mailbox.fitting(T0, 2, first.next);
      expect(second).toEqual({ boxes: [at('c')], next: START });
      await parked(signalWait('a'));
      const [wait] = await store.mailbox.waits(at('a'), 1);
      expect(await store.mailbox.waits(at('a'), 9, wait)).toHaveLength(1);
    });

    test('what is over is neither given nor fitting, and goes with its refusals', async () => {
      await parked(signalWait('k'));
      await store.mailbox.send(message(at('k')), T0);
      expect((await store.mailbox.fitting(T0, 9, START)).boxes).toEqual([at('k')]);
      expect((await store.due(T0, 9)).nextAt).toBe(T0 + MESSAGE_MS);
      const late = T0 + MESSAGE_MS;
      expect((await store.mailbox.fitting(late, 9, START)).boxes).toEqual([]);
      expect(await store.due(late, 9)).toMatchObject({ expired: true });
      expect(await store.mailbox.expire(late, 9)).toBe(false);
      expect(await store.due(late, 9)).toMatchObject({ expired: false, nextAt: null });
    });

    test('a run that is set aside takes nothing', async () => {
      const { run } = await parked(signalWait('k'));
      await store.quarantine(run, 'broken', [], T0);
      expect(await store.mailbox.waits(at('k'), 9)).toEqual([]);
    });

    test('a run is shown as waiting where nothing else of it is under way', async () => {
      const { run } = await parked(signalWait('k'));
      const busy = await started(store, single, { lease: { token: ++tokens, worker: 1 } });
      expect(await store.mailbox.parked([run, busy.run])).toEqual(new Set([run]));
    });
  });
}
