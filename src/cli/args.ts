import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { text as textOf } from 'node:stream/consumers';
import { isDay, tryDurationMs } from '../core/duration-text.ts';
import { PawlError } from '../core/errors.ts';
import { usage } from './errors.ts';
import type { Io } from './io.ts';

/** Values of arguments and options, checked. */

/** An instant as a person writes it: a day, with a time, with a zone (without one it is the terminal's); null for anything else. */
export function instantIn(text: string): Date | null {
  const [, day] = /^(\d{4}-\d\d-\d\d)([T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?)?$/.exec(text) ?? [];
  const at = new Date(text);
  return day === undefined || !isDay(day) || Number.isNaN(at.getTime()) ? null : at;
}

export function wholeNumber(text: string, option: string, { least = 1, most = 1_000_000_000 } = {}): number {
  const value = /^-?\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= least && value <= most)) throw usage(`${option} ${JSON.stringify(text)}: give a whole number from ${least} to ${most}.`);
  return value;
}

export function milliseconds(text: string, option: string): number {
  const ms = tryDurationMs(text);
  if (ms === null) throw usage(`${option} ${JSON.stringify(text)} is no duration.`, "Give '90s', '5m', '2h', '14d'.");
  return ms;
}

const NO_JSON = {
  input: 'RUN_INPUT_INVALID',
  output: 'TASK_OUTPUT_INVALID',
  data: 'SIGNAL_DATA_INVALID',
  form: 'TASK_FORM_INVALID',
} as const;

/** A payload: JSON as it stands, `@file`, or `-` for stdin. */
export async function payload(given: string | undefined, io: Io, what: 'input' | 'output' | 'data' | 'form' = 'input'): Promise<unknown> {
  if (given === undefined) return undefined;
  const from = given === '-' ? 'stdin' : given.startsWith('@') ? given.slice(1) : 'the argument';
  const text = given === '-' || given.startsWith('@') ? await readText(given.replace(/^@/, ''), io) : given;
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new PawlError(NO_JSON[what], `The ${what} from ${from} is no JSON: ${error instanceof Error ? error.message : String(error)}`, {
      fix: `Give JSON: '{"id": 1}', @file.json, or - for stdin.`,
      cause: error,
    });
  }
}

/** What is in a file, or comes from stdin where it is called `-`. */
export async function readText(path: string, io: Io): Promise<string> {
  if (path === '-') return textOf(io.stdin);
  try {
    return readFileSync(resolve(io.cwd, path), 'utf8');
  } catch (error) {
    throw usage(`${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`, 'Give a file that can be read.');
  }
}

/** A word as it must stand on a command line. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
