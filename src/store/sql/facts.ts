import type { StoreFacts } from '../care.ts';
import { one, type Program } from './program.ts';
import type { Statements } from './statements.ts';

/** By body and rank, as a claim would find it: what is first in its queue has waited longest, but for priorities. */
export function* oldestQueued(sql: Statements): Program<number | null> {
  const found: number[] = [];
  for (let row = yield* one(sql.nextQueuedBody.get(0)); row !== undefined; row = yield* one(sql.nextQueuedBody.get(Number(row['body']))))
    found.push(Number((yield* one(sql.oldestQueued.get(Number(row['body']))))?.['at']));
  for (let row = yield* one(sql.nextUnclaimedDefinition.get(-1)); row !== undefined;) {
    const definition = Number(row['definition']);
    const oldest = yield* one(sql.oldestUnclaimed.get(definition));
    found.push(Number(oldest?.['startAt'] ?? oldest?.['at']));
    row = yield* one(sql.nextUnclaimedDefinition.get(definition));
  }
  return found.length === 0 ? null : Math.min(...found);
}

export function* journalSpan(sql: Statements): Program<StoreFacts['journal']> {
  const [first, last] = [yield* one(sql.journalFrom.get(0)), yield* one(sql.journalHead.get())];
  if (first === undefined || last === undefined) return null;
  return { from: Number(first['seq']), fromAt: Number(first['at']), to: Number(last['seq']), toAt: Number(last['at']) };
}
