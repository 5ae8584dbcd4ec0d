import type { Need } from '../../core/capacity/needs.ts';
import type { LimitBook } from './limits.ts';
import { one, type Program } from './program.ts';
import type { Statements } from './statements.ts';

/** Numbers of lanes lie above all numbers of bodies: a column holds either. */
export const FIRST_LANE = 2 ** 40;

/** Lanes by what their tasks' claims take: made when the first task stands in one. */
export class Lanes {
  private readonly sql: Statements;
  private readonly book: LimitBook;
  private readonly epoch: () => number;

  /** `epoch`: of the transaction that is open. */
  constructor(sql: Statements, book: LimitBook, epoch: () => number) {
    this.sql = sql;
    this.book = book;
    this.epoch = epoch;
  }

  /** Where a pool is fair between runs each run has a lane of its own: who is first in a lane can be asked. */
  *laneOf(body: number, run: number, needs: readonly Need[]): Program<number> {
    yield* this.book.refresh(this.epoch());
    const text = JSON.stringify(needs);
    const of = this.book.isByRun(needs) ? run : 0;
    const found =
      (yield* one(this.sql.readLane.get(body, of, text))) ?? (yield* one(this.sql.insertLane.get(body, of, text, keyOf(needs))));
    return Number(found?.['id']);
  }
}

const keyOf = (needs: readonly Need[]): string | null => needs.find((need) => need.kind === 'key')?.name ?? null;

export const readNeeds = (text: unknown): readonly Need[] => JSON.parse(String(text)) as readonly Need[];
