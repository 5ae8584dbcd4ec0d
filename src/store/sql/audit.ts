import type { OperatorAct } from '../acts.ts';
import type { Statements } from './statements.ts';

/** In the transaction of what it does. */
export function recordAct(sql: Statements, { actor, action, subject, facts, note }: OperatorAct, now: number): void {
  sql.insertOperatorAct.run(now, actor, action, subject, facts, note);
}
