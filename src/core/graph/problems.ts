import { PawlError } from '../errors.ts';

export type ProblemCode =
  | 'always_reads'
  | 'bad_at_least'
  | 'bad_branch'
  | 'bad_expr'
  | 'bad_handler'
  | 'bad_guard'
  | 'bad_name'
  | 'bad_option'
  | 'bad_type'
  | 'cycle'
  | 'duplicate_id'
  | 'exclusive'
  | 'foreign_ref'
  | 'item_outside'
  | 'maybe_ref'
  | 'missing_member'
  | 'not_storable'
  | 'too_large'
  | 'unknown_id'
  | 'unknown_join'
  | 'unknown_task'
  | 'unreachable';

/** Something wrong with a definition. `at` leads to it from the definition's root, or from the task's options. */
export interface Problem {
  readonly code: ProblemCode;
  readonly message: string;
  readonly at: readonly (string | number)[];
}

export type Report = (code: ProblemCode, at: readonly (string | number)[], message: string) => void;

/** Hides problems beyond the 50th from the message, not from details: a broken generator of graphs can make thousands. */
const MAX_SHOWN = 50;

/** One error for all problems of a definition. */
export function invalid(what: string, problems: readonly Problem[]): PawlError {
  const shown = problems.slice(0, MAX_SHOWN).map((problem) => `\n  - ${problem.message}`);
  const rest = problems.length > MAX_SHOWN ? `\n  and ${problems.length - MAX_SHOWN} more` : '';
  const count = problems.length === 1 ? 'a problem' : `${problems.length} problems`;
  return new PawlError('BUILD_INVALID', `${what} has ${count}:${shown.join('')}${rest}`, { details: { problems } });
}

/** Reports into `problems`, each path under `root`. */
export function reporter(problems: Problem[], ...root: readonly (string | number)[]): Report {
  return (code, at, message) => {
    problems.push({ code, at: [...root, ...at], message });
  };
}

/** A value as a message names it; never throws and never runs user code. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 59)}…` : value);
  if (value === null || value === undefined || typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (typeof value === 'bigint') return `${value}n`;
  return Array.isArray(value) ? 'a list' : typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

const MAX_NAME = 200;

/** What is wrong with a name of a task, workflow, signal or an id in a graph; null for a good one. */
export function nameProblem(name: unknown): string | null {
  if (typeof name !== 'string') return `must be a string, not ${shown(name)}`;
  if (name.trim() === '') return 'must not be empty';
  if (name.length > MAX_NAME) return `has ${name.length} characters; at most ${MAX_NAME} are allowed: ${shown(name)}`;
  // eslint-disable-next-line no-control-regex -- these are what is looked for
  if (/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/.test(name)) return `must not have control characters: ${shown(name)}`;
  return name.isWellFormed() ? null : `has a lone surrogate: ${shown(name)}`;
}
