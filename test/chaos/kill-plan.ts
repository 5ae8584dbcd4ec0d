import { STATEMENTS, type KillPlan, type Statement } from './kill-switch.ts';
import type { Random } from './random.ts';

/** Every so many kills come early, while the worker boots and takes back what the one before it held. */
const EARLY_EVERY = 8;
const EARLY_MOST = 40;
const LATE: Readonly<Record<Statement, readonly [least: number, most: number]>> = {
  BEGIN: [20, 120],
  COMMIT: [20, 120],
  INSERT: [200, 1_500],
  UPDATE: [200, 1_500],
};
/** A late kill waits until more bodies than this are running. */
export const OVER = 50;

/** At which statement the worker of this round dies. */
export function killPlan(random: Random, round: number): KillPlan {
  const where = random.pick(['before', 'after', 'during'] as const);
  const delayMs = random.next() * 4;
  // The first worker is killed while it creates the file.
  if (round === 0) return { statement: random.pick(['BEGIN', 'COMMIT']), where, n: random.int(1, 3), over: -1, delayMs };
  const statement = random.pick(STATEMENTS);
  const isEarly = round % EARLY_EVERY === EARLY_EVERY - 1;
  const [least, most] = isEarly ? [1, EARLY_MOST] : LATE[statement];
  return { statement, where, n: random.int(least, most), over: isEarly ? -1 : OVER, delayMs };
}
