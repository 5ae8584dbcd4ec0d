import { styleText } from 'node:util';
import type { Io, OutStream } from './io.ts';
import { plain } from './plain.ts';
import { safeJson } from './text.ts';

export type Colour = 'gray' | 'blue' | 'cyan' | 'yellow' | 'magenta' | 'green' | 'red' | 'bold';
export type Format = 'text' | 'json' | 'jsonl';

/** Somebody who knows whether a person reads. */
export interface Painter {
  readonly isTerminal: boolean;
  paint(colour: Colour, text: string): string;
}

/** The version of everything that `--json` and `--jsonl` print. */
export const JSON_VERSION = 1;

/** stdout carries the answer, stderr everything else. A terminal gets colours and a next step, a pipe plain lines. */
export class Output implements Painter {
  readonly format: Format;
  readonly isTerminal: boolean;
  readonly stdout: OutStream;
  private readonly stderr: OutStream;
  readonly hasColours: boolean;
  readonly errorPainter: Painter;

  constructor(io: Io, options: { readonly format: Format; readonly color: boolean }) {
    this.format = options.format;
    this.stdout = io.stdout;
    this.stderr = io.stderr;
    this.isTerminal = io.stdout.isTTY === true && options.format === 'text';
    this.hasColours = hasColours(io, io.stdout, options.color);
    const errorColours = hasColours(io, io.stderr, options.color);
    this.errorPainter = { isTerminal: io.stderr.isTTY === true, paint: (colour, text) => (errorColours ? style(colour, text) : text) };
  }

  /** Columns of the terminal; undefined where lines may be as long as they are. */
  get columns(): number | undefined {
    return this.isTerminal ? (this.stdout.columns ?? 80) : undefined;
  }

  paint(colour: Colour, text: string): string {
    return this.hasColours ? style(colour, text) : text;
  }

  /** A part of the answer. */
  line(text = ''): void {
    this.stdout.write(`${text}\n`);
  }

  lines(texts: readonly string[]): void {
    for (const text of texts) this.line(text);
  }

  /** The answer as one document, or as one line of a stream. */
  json(document: Readonly<Record<string, unknown>>): void {
    this.stdout.write(this.jsonText(document));
  }

  jsonText(document: Readonly<Record<string, unknown>>): string {
    const value = { v: JSON_VERSION, ...(plain(document) as object) };
    return `${safeJson(this.format === 'jsonl' ? JSON.stringify(value) : JSON.stringify(value, null, 2))}\n`;
  }

  /** Something beside the answer. */
  note(text: string): void {
    this.stderr.write(`${text}\n`);
  }

  /** What to type next: the end of every screen that a person reads. */
  next(...commands: readonly string[]): void {
    if (!this.isTerminal || commands.length === 0) return;
    this.line();
    for (const command of commands) this.line(this.paint('gray', `→ ${command}`));
  }
}

const style = (colour: Colour, text: string): string => styleText(colour, text, { validateStream: false });

function hasColours(io: Io, stream: OutStream, wanted: boolean): boolean {
  if (!wanted) return false;
  const { NO_COLOR, FORCE_COLOR, TERM } = io.env;
  if (NO_COLOR !== undefined && NO_COLOR !== '') return false;
  if (FORCE_COLOR !== undefined) return FORCE_COLOR !== '0' && FORCE_COLOR !== 'false';
  return stream.isTTY === true && TERM !== 'dumb';
}
