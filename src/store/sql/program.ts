import { PawlError } from '../../core/errors.ts';
import type { Row, Value } from './rows.ts';

/**
 * What a store does, in statements, whatever its database. A database in this process answers at once, and a program runs through without a
 * stop. One behind a network answers later: the program stops at what it wants to know, and what it has written since its last stop goes
 * there together with the question.
 */
export type Program<T> = Generator<Later | typeof PAUSE, T, unknown>;

/** A long read lets others have their turn. */
export const PAUSE: unique symbol = Symbol('pause');

/** A statement that was not answered yet. */
export abstract class Later {
  /** The run whose write it is: it must change one row, or somebody else was first. */
  guards: number | null = null;
  /** Of a write: how many rows it has changed, as soon as the database has said it. */
  changes = -1;
}

/** What a write gives back: at once how many rows it has changed, or later. */
export type Written = { readonly changes: number | bigint } | Later;

export interface Statement {
  get(...values: Value[]): Row | undefined | Later;
  all(...values: Value[]): Row[] | Later;
  run(...values: Value[]): Written;
  /** Where rows can be had one by one. */
  iterate?(...values: Value[]): Iterable<Row>;
}

/** A guard of this run's write did not hold: somebody else was first. The transaction is rolled back and done again without the run. */
export class GuardFailed extends Error {
  readonly run: number;
  constructor(run: number) {
    super(`run ${run} moved on`);
    this.run = run;
  }
}

/** The row of `get`. */
export function* one(answer: Row | undefined | Later): Program<Row | undefined> {
  return answer instanceof Later ? ((yield answer) as Row | undefined) : answer;
}

/** The rows of `all`. */
export function* many(answer: Row[] | Later): Program<Row[]> {
  return answer instanceof Later ? ((yield answer) as Row[]) : answer;
}

/** How many rows a `run` has changed. */
export function* changed(answer: Written): Program<number> {
  return answer instanceof Later ? ((yield answer) as number) : Number(answer.changes);
}

/** Which of these, each a `run` of one row, have written it. */
export function* allChanged(answers: readonly Written[]): Program<boolean[]> {
  const last = answers.at(-1);
  // why: a database that answers later answers in order
  if (last instanceof Later) yield last;
  return answers.map(({ changes }) => Number(changes) === 1);
}

/** Of a `run` that changes one row, or fails the write of this run. */
export function mustChange(answer: Written, run: number): void {
  if (answer instanceof Later) answer.guards = run;
  else if (answer.changes !== 1) throw new GuardFailed(run);
}

/** Runs a program whose database answers at once. */
export function atOnce<T>(program: Program<T>): T {
  for (;;) {
    const step = program.next();
    if (step.done === true) return step.value;
    checkPause(step.value);
  }
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** The same, with its pauses. */
export async function inTurns<T>(program: Program<T>): Promise<T> {
  for (;;) {
    const step = program.next();
    if (step.done === true) return step.value;
    checkPause(step.value);
    await nextTurn();
  }
}

function checkPause(stop: Later | typeof PAUSE): void {
  if (stop !== PAUSE) throw new PawlError('ENGINE_BROKEN', 'A statement of a database in this process was not answered at once.');
}
