import { PawlError } from './errors.ts';
import { shown } from './graph/problems.ts';

/** What a value must be, in words that follow "must be"; null where it is that. */
export type OptionCheck = (value: unknown) => string | null;

/** One check per option: leaving out one that the type has does not compile. */
export type Checks<T> = { readonly [K in keyof Required<T>]: OptionCheck };

const MOST_TEXT = 2_000;

const must =
  (what: string, holds: (value: unknown) => boolean): OptionCheck =>
  (value) =>
    holds(value) ? null : what;

const isText = (value: unknown): boolean =>
  typeof value === 'string' && value !== '' && value.length <= MOST_TEXT && value.isWellFormed() && !value.includes('\0');

function isSignal(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return 'aborted' in value && 'addEventListener' in value && typeof value.addEventListener === 'function';
}

/** For options whose own check is elsewhere, with what it needs to know. */
export const anything: OptionCheck = () => null;
export const text = must(`a string of 1 to ${MOST_TEXT} characters`, isText);
export const aString = must('a string', (value) => typeof value === 'string');
export const flag = must('true or false', (value) => typeof value === 'boolean');
export const wholeNumber = must('a whole number', (value) => Number.isInteger(value));
export const aFunction = must('a function', (value) => typeof value === 'function');
export const abortSignal = must('an AbortSignal', isSignal);
export const oneOf = (...values: readonly string[]): OptionCheck =>
  must(`one of ${values.join(', ')}`, (value) => typeof value === 'string' && values.includes(value));
export const listOf = (what: string, check: OptionCheck): OptionCheck =>
  must(`a list of ${what}`, (value) => Array.isArray(value) && value.every((one) => check(one) === null));
export const either = (what: string, ...checks: readonly OptionCheck[]): OptionCheck =>
  must(what, (value) => checks.some((check) => check(value) === null));
export const texts = either('a string or a list of strings', text, listOf('strings', text));

/** Refuses what is no object of these options with `CONFIG_OPTION`. An option that is undefined is one that is not given. */
export function checkOptions<T>(options: unknown, of: string, checks: Checks<T>): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options))
    throw new PawlError('CONFIG_OPTION', `The options of ${of} must be an object, not ${shown(options)}.`);
  for (const [name, value] of Object.entries(options)) {
    const known = checks as Readonly<Record<string, OptionCheck>>;
    const check = Object.hasOwn(known, name) ? known[name] : undefined;
    if (check === undefined)
      throw new PawlError('CONFIG_OPTION', `${of} has no option ${shown(name)}; it takes ${Object.keys(checks).join(', ')}.`);
    if (value !== undefined) checkArgument(value, name, check);
  }
}

export function checkArgument(value: unknown, name: string, check: OptionCheck): void {
  const what = check(value);
  if (what !== null) throw new PawlError('CONFIG_OPTION', `${name}: must be ${what}, not ${shown(value)}.`);
}
