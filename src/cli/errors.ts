import { CommanderError } from 'commander';
import { ERRORS, PawlError } from '../core/errors.ts';
import { isPawlLike } from './entry.ts';
import { JSON_VERSION, type Output } from './output.ts';
import { plain } from './plain.ts';
import { safeJson, safeLines } from './text.ts';

/** What a command throws when its work is done and the exit code is all that is left to say. */
export class Exit extends Error {
  readonly code: number;
  constructor(code: number) {
    super(`exit ${code}`);
    this.code = code;
  }
}

export const usage = (message: string, fix?: string): PawlError => new PawlError('CONFIG_USAGE', message, fix === undefined ? {} : { fix });

export const cannotWrite = (file: string, error: unknown): PawlError =>
  usage(`${file} cannot be written: ${error instanceof Error ? error.message : String(error)}`, 'Give a file that can be written.');

/** Any failure as one of Pawl's. */
export function coded(error: unknown): PawlError {
  if (isPawlLike(error)) return error;
  if (error instanceof CommanderError) return usage(`${error.message.replace(/^error: /, '').replace(/\.?$/, '.')}`);
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return new PawlError('ENGINE_BROKEN', `The command line failed: ${text}`, { cause: error });
}

/** Writes it to stderr, and gives the exit code. */
export function report(error: PawlError, out: Output): number {
  const { code, message, fix, docs, details } = error;
  if (out.format === 'text') {
    const { errorPainter: painter } = out;
    const [first = '', ...rest] = safeLines(message).split('\n');
    out.note(`${painter.paint('red', code)}  ${first}`);
    for (const line of rest) out.note(line.startsWith('  ') ? line : `  ${line}`);
    out.note(`  ${safeLines(fix).replaceAll('\n', '\n  ')}`);
    out.note(`  ${painter.paint('gray', `pawl explain ${code}`)}`);
  } else {
    const document = { v: JSON_VERSION, error: { code, message, fix, docs, details: plain(details) } };
    out.note(safeJson(JSON.stringify(document)));
  }
  return ERRORS[code].exit;
}
