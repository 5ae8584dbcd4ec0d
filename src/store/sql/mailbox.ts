import { JournalWriter } from '../../core/kernel/journal.ts';
import type { WaitingTask } from '../../core/kernel/run-state.ts';
import type { Wait } from '../../core/kernel/waits.ts';
import {
  MAILBOX_SIZE,
  MESSAGE_MS,
  type Box,
  type Fitting,
  type FittingCursor,
  type Mailbox,
  type Message,
  type NewMessage,
  type OpenWait,
  type OpenWaitQuery,
  type Sent,
} from '../mailbox.ts';
import type { Connection } from './connection.ts';
import { readTask, type Row } from './rows.ts';
import { changed, many, one, type Program } from './program.ts';
import type { Statements } from './statements.ts';

export class SqlMailbox implements Mailbox {
  private readonly connection: Connection;

  constructor(connection: Connection) {
    this.connection = connection;
  }

  async send(message: NewMessage, now: number): Promise<Sent> {
    return this.connection.write(function* ({ sql, note }): Program<Sent> {
      const { box, dedupe } = message;
      const full = yield* fullness(sql, box);
      if (dedupe !== null && (yield* changed(sql.putSend.run(box.signal, boxText(box), dedupe, now, now - MESSAGE_MS))) !== 1)
        return { kind: 'duplicate' };
      if (full !== null) {
        if (dedupe !== null) sql.dropSend.run(box.signal, boxText(box), dedupe);
        return { kind: 'full', freeAt: full };
      }
      const kept = yield* put(sql, message, now);
      // why: processes that follow the journal look whether they can take it
      yield* note(now, '[]');
      return kept;
    });
  }

  async fitting(now: number, limit: number, after: FittingCursor): Promise<Fitting> {
    return this.connection.read(function* (sql) {
      const { signal = '', key = '' } = after.key ?? {};
      const { run = -1, signal: inRun = '' } = after.run ?? {};
      const byKey = (yield* many(sql.boxesByKey.all(now, limit, signal, key))).map((row) => ({
        signal: String(row['signal']),
        key: String(row['key']),
      }));
      const byRun = (yield* many(sql.boxesByRun.all(now, limit, run, inRun))).map((row) => ({
        run: Number(row['run']),
        signal: String(row['signal']),
      }));
      return {
        boxes: [...byKey.map((box): Box => ({ ...box, run: null })), ...byRun.map((box): Box => ({ ...box, key: null }))],
        next: {
          key: byKey.length < limit ? null : (byKey.at(-1) ?? null),
          run: byRun.length < limit ? null : (byRun.at(-1) ?? null),
        },
      };
    });
  }

  async waits(box: Box, limit: number, after?: OpenWait): Promise<OpenWait[]> {
    const { since = -1, id = -1 } = after ?? {};
    const rows = await this.connection.ask((sql) =>
      many(
        box.run === null
          ? sql.waitsByKey.all(box.signal, box.key, since, id, limit)
          : sql.waitsByRun.all(box.run, box.signal, since, id, limit),
      ),
    );
    return rows.map(readWait);
  }

  async messages({ signal, key, run, node, item }: OpenWait, now: number, limit: number): Promise<Message[]> {
    return this.connection.read(function* (sql) {
      const given = [signal, key, now, run, node, item, limit] as const;
      const byKey = key === null ? [] : yield* many(sql.messagesByKey.all(...given));
      const rows = [...byKey, ...(yield* many(sql.messagesByRun.all(...given)))];
      return (rows as unknown as Message[]).toSorted((a, b) => a.id - b.id).slice(0, limit);
    });
  }

  async present(messages: readonly number[]): Promise<ReadonlySet<number>> {
    return this.connection.ask(function* (sql) {
      const found = new Set<number>();
      for (const id of messages) if ((yield* one(sql.hasMessage.get(id))) !== undefined) found.add(id);
      return found;
    });
  }

  async refuse(wait: OpenWait, message: number, now: number): Promise<void> {
    await this.connection.write(function* ({ sql, note }) {
      if ((yield* changed(sql.refuseMessage.run(wait.id, wait.run, message))) !== 1) return;
      const journal = new JournalWriter();
      journal.run(wait);
      journal.refused(wait);
      yield* note(now, journal.finish());
    });
  }

  async expire(now: number, limit: number): Promise<boolean> {
    return this.connection.write(function* ({ sql, note }) {
      const over = yield* many(sql.expiredMessages.all(now, limit));
      const journal = new JournalWriter();
      for (const { id, signal, run, key } of over) {
        sql.dropMessage.run(Number(id));
        sql.forgetRefusals.run(Number(id));
        journal.run({ run: Number(run ?? 0), generation: 0 });
        journal.expired(String(signal), key as string | null);
      }
      const sends = yield* many(sql.oldSends.all(now - MESSAGE_MS, limit));
      for (const { signal, box, dedupe } of sends) sql.dropSend.run(String(signal), String(box), String(dedupe));
      if (!journal.isEmpty) yield* note(now, journal.finish());
      return over.length === limit || sends.length === limit;
    });
  }

  async parked(runs: readonly number[]): Promise<ReadonlySet<number>> {
    return this.connection.read(function* (sql) {
      const found = new Set<number>();
      for (const run of runs) if ((yield* one(sql.isParked.get(run)))?.['n'] === 1) found.add(run);
      return found;
    });
  }

  async openWaits({ kind, run, after = 0, limit }: OpenWaitQuery): Promise<OpenWait[]> {
    const rows = await this.connection.ask((sql) =>
      many(run === undefined ? sql.openWaitsOf.all(kind, after, limit) : sql.openWaitsOfRun.all(run, kind, after, limit)),
    );
    return rows.map(readWait);
  }
}

/** When the oldest message goes at the latest, where the mailbox is full. */
function* fullness(sql: Statements, { signal, key, run }: Box): Program<number | null> {
  const count = yield* one(run === null ? sql.countByKey.get(signal, key, MAILBOX_SIZE) : sql.countByRun.get(run, signal, MAILBOX_SIZE));
  if (Number(count?.['n']) < MAILBOX_SIZE) return null;
  const first = yield* one(run === null ? sql.firstByKey.get(signal, key) : sql.firstByRun.get(run, signal));
  return Number(first?.['at']);
}

function* put(sql: Statements, { box, to, data }: NewMessage, now: number): Program<Extract<Sent, { kind: 'kept' }>> {
  const insert = function* (run: number | null): Program<number> {
    return Number((yield* one(sql.insertMessage.get(box.signal, run, box.key, now, now + MESSAGE_MS, data)))?.['id']);
  };
  const waiting = to === 'all' && box.run === null ? yield* many(sql.waitingRuns.all(box.signal, box.key)) : [];
  if (waiting.length === 0) return { kind: 'kept', messages: [yield* insert(box.run)], boxes: [box] };
  const runs = waiting.map((row) => Number(row['run']));
  const messages: number[] = [];
  for (const run of runs) messages.push(yield* insert(run));
  return { kind: 'kept', messages, boxes: runs.map((run) => ({ signal: box.signal, key: null, run })) };
}

const boxText = (box: Box): string => (box.run === null ? `k${box.key}` : `r${box.run}`);

/** Timers are found by when they are due, and the end of a run by its link. */
const isListed = ({ kind }: Wait): boolean => kind === 'signal' || kind === 'approval';

/** What a task that begins to wait can be woken by, other than time and runs. */
export function openWaits(sql: Statements, run: number, task: WaitingTask): void {
  const { node, item, generation } = task;
  for (const wait of task.on) {
    if (!isListed(wait)) continue;
    const { signal, key, filtered } = wait.kind === 'signal' ? wait : { signal: null, key: null, filtered: false };
    sql.openWait.run(run, node, item, generation, wait.kind, wait.name, signal, key, filtered ? 1 : 0, wait.since);
  }
}

/** It waits no more; what its predicate said no to, another wait may be asked about. */
export function closeWaits(sql: Statements, run: number, { node, item, on }: WaitingTask): void {
  if (!on.some(isListed)) return;
  sql.closeWaits.run(run, node, item);
  sql.dropRefusals.run(run, node, item);
}

/** Of a task whose row was written as it is. */
export function* reopenWaits(sql: Statements, run: number, node: number, item: number): Program<void> {
  const row = yield* one(sql.readTask.get(run, node, item));
  const task = row === undefined ? undefined : readTask(row);
  if (task?.status === 'waiting') openWaits(sql, run, task);
}

const readWait = (row: Row): OpenWait => ({
  id: Number(row['id']),
  run: Number(row['run']),
  node: Number(row['node']),
  item: Number(row['item']),
  generation: Number(row['generation']),
  kind: row['kind'] === 'approval' ? 'approval' : 'signal',
  name: row['name'] as string | null,
  signal: row['signal'] as string | null,
  key: row['key'] as string | null,
  filtered: row['filtered'] === 1,
  since: Number(row['since']),
  definition: Number(row['definition']),
});
