import { CapacityPass, isBefore, type Asker, type Bucket, type Place } from '../../core/capacity/capacity.ts';
import { FairTurns } from '../../core/capacity/fair.ts';
import type { Need } from '../../core/capacity/needs.ts';
import type { LimitedTask } from '../capacity.ts';
import type { ClaimRequest } from '../store.ts';
import { STATE_FORMAT } from '../format.ts';
import { FIRST_LANE, readNeeds } from './lanes.ts';
import type { LimitBook } from './limits.ts';
import { many, one, type Program } from './program.ts';
import type { Statements } from './statements.ts';

/** Lanes that one look goes through; where there are more, the next look goes on behind them. */
const MAX_LANES = 2_000;
/** Tasks of one lane that one look ends. */
const MAX_LIMITED = 100;

interface Lane {
  readonly id: number;
  readonly needs: readonly Need[];
  /** This worker may claim from it. */
  readonly isServed: boolean;
  /** The pool by which its tasks have their turn. */
  readonly fairPool: string | null;
  head: Place & Pick<Asker, 'queuedAt'>;
  /** When a task of it was claimed last, where its pool is fair. */
  readonly served: number;
  readonly queuedAt: number;
  rows: Asker[];
}

/** Hands out queued tasks that take more than a slot. Who gets what, the kernel's rule says. */
export class Granter {
  private readonly sql: Statements;
  private readonly book: LimitBook;
  private after = FIRST_LANE;

  constructor(sql: Statements, book: LimitBook) {
    this.sql = sql;
    this.book = book;
  }

  *open(request: ClaimRequest, now: number): Program<GrantPass> {
    const lanes = (yield* this.lanes()).map(({ id, body, needs: text, rank, run, node, item, queuedAt, served }): Lane => {
      const needs = readNeeds(text);
      const isServed = request.bodies.has(Number(body)) && !this.book.isPaused(request.places.get(Number(body)));
      const head = { rank: Number(rank), run: Number(run), node: Number(node), item: Number(item), queuedAt: Number(queuedAt) };
      const fairPool = isServed ? this.book.fairPool(needs) : null;
      return { id: Number(id), needs, isServed, fairPool, head, queuedAt: head.queuedAt, served: Number(served), rows: [] };
    });
    const held = yield* heldUnits(this.sql);
    const turns = lanes.some((lane) => lane.fairPool !== null) ? yield* turnsNow(this.sql, this.book, lanes, now) : null;
    return new GrantPass(this.sql, this.book, lanes, { now, atOnce: request.limit + 1, held, turns });
  }

  private *lanes(): Program<Record<string, unknown>[]> {
    const rows = yield* many(this.sql.queuedLanes.all(this.after, MAX_LANES));
    const isRest = this.after > FIRST_LANE;
    const wrapped = isRest && rows.length < MAX_LANES ? yield* many(this.sql.queuedLanes.all(FIRST_LANE, MAX_LANES - rows.length)) : [];
    const seen = new Set(rows.map((row) => row['id']));
    const all = [...rows, ...wrapped.filter((row) => !seen.has(row['id']))];
    this.after = all.length < MAX_LANES ? FIRST_LANE : Number(all.at(-1)?.['id'] ?? FIRST_LANE);
    return all;
  }
}

/** What became of one look at the lanes. */
export interface Granted {
  readonly limited: readonly LimitedTask[];
  readonly lookAt: number | null;
  /** The best rank that fits and found no slot. */
  readonly leftRank: number | null;
}

export interface Slots {
  isFree(): boolean;
  /** False where it could not be claimed after all. */
  claim(task: Place): Program<boolean>;
}

export class GrantPass {
  private readonly sql: Statements;
  private readonly rule: CapacityPass;
  /** Null where nobody waits for a pool that is fair. */
  private readonly turns: FairTurns<Lane> | null;
  private readonly now: number;
  private readonly atOnce: number;
  /** The best is the last. */
  private readonly lanes: Lane[];
  private readonly displaced = new Set<string>();
  private readonly retrying = new Map<string, readonly Place[]>();
  private readonly buckets = new Map<string, Bucket | null>();
  private readonly limited: LimitedTask[] = [];
  private lookAt: number | null = null;
  private leftRank: number | null = null;

  constructor(
    sql: Statements,
    book: LimitBook,
    lanes: Lane[],
    at: {
      readonly now: number;
      readonly atOnce: number;
      readonly held: ReadonlyMap<string, number>;
      readonly turns: FairTurns<Lane> | null;
    },
  ) {
    this.sql = sql;
    this.now = at.now;
    this.atOnce = at.atOnce;
    this.lanes = lanes.toSorted((a, b) => (isBefore(a.head, b.head) ? 1 : -1));
    this.turns = at.turns;
    const oldest = oldestOf(lanes);
    this.rule = new CapacityPass(at.now, {
      pool: (name) => book.pool(name),
      key: (name) => book.key(name),
      rate: (name) => book.rate(name),
      bucket: (name) => this.buckets.get(name) ?? null,
      held: (kind, name) => at.held.get(`${kind}:${name}`) ?? 0,
      oldest: (name) => oldest.get(name) ?? -Infinity,
      retrying: (key) => this.retrying.get(key) ?? [],
    });
  }

  /** Asks every candidate that is better than this rank. */
  *grant(upTo: number, slots: Slots): Program<void> {
    for (let lane = this.lanes.at(-1); lane !== undefined && lane.head.rank < upTo; lane = this.lanes.at(-1)) {
      const next = lane.fairPool === null ? lane : (this.turns?.next(lane.fairPool, this.lanes) ?? lane);
      if (next === lane) this.lanes.pop();
      // why: whoever has the turn is asked in place of the best rank, which is asked again until it is its own turn
      else this.lanes.splice(this.lanes.indexOf(next), 1);
      yield* this.visit(next, slots);
    }
  }

  finish(): Granted {
    for (const { name, level } of this.rule.spent()) this.sql.putBucket.run(name, level, this.now);
    return { limited: this.limited, lookAt: this.lookAt, leftRank: this.leftRank };
  }

  private *visit(lane: Lane, slots: Slots): Program<void> {
    if (!lane.isServed) {
      this.rule.keepsTurn({ ...lane.head, queuedAt: lane.queuedAt, begins: true, needs: lane.needs });
      return;
    }
    const asker = yield* this.next(lane);
    if (asker === undefined) return;
    yield* this.learn(asker);
    const answer = this.rule.ask(asker, slots.isFree());
    switch (answer.kind) {
      case 'fits':
        if (slots.isFree()) {
          yield* slots.claim(asker);
          if (lane.fairPool !== null) this.sql.serveLane.run(this.turns?.took(asker.run, lane.needs) ?? 0, lane.id);
          yield* this.goOn(lane);
        } else this.leftRank = Math.min(this.leftRank ?? Infinity, asker.rank);
        return;
      case 'waits':
        if (answer.until !== null) this.look(answer.until);
        return;
      case 'never':
        yield* this.end(lane, asker, {
          status: 'failed',
          reason: 'unsatisfiable',
          message: `It asks for ${answer.need.units} units of the pool "${answer.need.name}", whose capacity is ${answer.capacity}.`,
        });
        return;
      case 'over':
        if (answer.need.onLimit === 'cancel_old') yield* this.makeRoom(answer.need.name);
        else
          yield* this.end(lane, asker, {
            status: answer.need.onLimit === 'fail' ? 'failed' : 'cancelled',
            reason: 'key_limit',
            message: `The key "${answer.need.name}" was taken.`,
          });
    }
  }

  /** What the rule asks of this candidate's keys and rates, where it was not read yet. */
  private *learn({ needs, begins }: Asker): Program<void> {
    for (const need of needs) {
      if (need.kind === 'key' && need.serial && !this.retrying.has(need.name))
        this.retrying.set(need.name, (yield* many(this.sql.keyRetrying.all(need.name))).map(placeOf));
      if (need.kind === 'rate' && begins && !this.buckets.has(need.name)) this.buckets.set(need.name, yield* bucketOf(this.sql, need.name));
    }
  }

  private *next(lane: Lane): Program<Asker | undefined> {
    if (lane.rows.length === 0) {
      lane.rows = (yield* many(this.sql.laneTasks.all(lane.id, STATE_FORMAT, this.atOnce))).map((row): Asker => {
        return { ...placeOf(row), queuedAt: Number(row['queuedAt']), begins: row['next'] === 0, needs: lane.needs };
      });
    }
    return lane.rows.shift();
  }

  /** The next task of a lane asks in its turn. */
  private *goOn(lane: Lane): Program<void> {
    const next = yield* this.next(lane);
    if (next === undefined) return;
    lane.rows.unshift(next);
    lane.head = next;
    let at = this.lanes.length;
    while (at > 0 && this.lanes[at - 1] !== undefined && isBefore((this.lanes[at - 1] as Lane).head, next)) at--;
    this.lanes.splice(at, 0, lane);
  }

  /** What holds for one task of a lane holds for all of it. */
  private *end(lane: Lane, first: Asker, as: Pick<LimitedTask, 'status' | 'reason' | 'message'>): Program<void> {
    const rest = (yield* many(this.sql.laneTasks.all(lane.id, STATE_FORMAT, MAX_LIMITED))).map(placeOf);
    for (const { run, node, item } of rest.length === 0 ? [first] : rest) this.limited.push({ run, node, item, token: null, ...as });
    if (rest.length >= MAX_LIMITED) this.look(this.now + 1);
  }

  /** Of a key what has run longest makes room, one at a time. */
  private *makeRoom(key: string): Program<void> {
    if (this.displaced.has(key)) return;
    this.displaced.add(key);
    const [holder] = yield* many(this.sql.keyHolders.all(key, 1));
    if (holder === undefined) return;
    const { run, node, item, token } = holder;
    const message = `A newer task of the key "${key}" took its place.`;
    this.limited.push({
      run: Number(run),
      node: Number(node),
      item: Number(item),
      token: Number(token),
      status: 'cancelled',
      reason: 'key_limit',
      message,
    });
  }

  private look(at: number): void {
    this.lookAt = Math.min(this.lookAt ?? Infinity, at);
  }
}

/** Units that running tasks hold, by kind and name. */
export function* heldUnits(sql: Statements): Program<Map<string, number>> {
  const held = new Map<string, number>();
  for (const { needs, n } of [...(yield* many(sql.heldLanes.all())), ...(yield* many(sql.heldAside.all()))]) {
    for (const need of readNeeds(needs)) {
      if (need.kind === 'rate') continue;
      const id = `${need.kind}:${need.name}`;
      held.set(id, (held.get(id) ?? 0) + Number(n) * (need.kind === 'pool' ? need.units : 1));
    }
  }
  return held;
}

/** What each run or key holds of the pools that are fair. */
function* turnsNow(sql: Statements, book: LimitBook, lanes: readonly Lane[], now: number): Program<FairTurns<Lane>> {
  const served = lanes.filter((lane) => lane.fairPool !== null);
  const turns = new FairTurns<Lane>((pool) => book.fair(pool), served, now);
  const needsOf = new Map<unknown, readonly Need[]>();
  for (const { body, run, needs: text } of [...(yield* many(sql.heldOneByOne.all())), ...(yield* many(sql.heldAsideOneByOne.all()))]) {
    const needs = needsOf.get(body) ?? readNeeds(text);
    needsOf.set(body, needs);
    turns.holds(Number(run), needs);
  }
  return turns;
}

function oldestOf(lanes: readonly Lane[]): Map<string, number> {
  const oldest = new Map<string, number>();
  for (const { needs, queuedAt, isServed } of lanes) {
    if (!isServed) continue;
    for (const { kind, name } of needs) if (kind === 'pool') oldest.set(name, Math.min(oldest.get(name) ?? Infinity, queuedAt));
  }
  return oldest;
}

function* bucketOf(sql: Statements, name: string): Program<Bucket | null> {
  const row = yield* one(sql.readBucket.get(name));
  return row === undefined ? null : { level: Number(row['level']), at: Number(row['at']) };
}

const placeOf = (row: Record<string, unknown>): Place => ({
  rank: Number(row['rank']),
  run: Number(row['run']),
  node: Number(row['node']),
  item: Number(row['item']),
});
