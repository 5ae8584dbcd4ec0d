import type { Need } from '../../core/needs.ts';
import type { Statements } from './statements.ts';

/** Lanes by what their tasks' claims take: made when the first task stands in one. */
export class Lanes {
  private readonly sql: Statements;

  constructor(sql: Statements) {
    this.sql = sql;
  }

  laneOf(body: number, needs: readonly Need[]): number {
    const text = JSON.stringify(needs);
    const found = this.sql.readLane.get(body, text) ?? this.sql.insertLane.get(body, text, keyOf(needs));
    return Number(found?.['id']);
  }
}

const keyOf = (needs: readonly Need[]): string | null => needs.find((need) => need.kind === 'key')?.name ?? null;

export const readNeeds = (text: unknown): readonly Need[] => JSON.parse(String(text)) as readonly Need[];
