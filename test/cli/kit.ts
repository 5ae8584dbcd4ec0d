import { EventEmitter } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { Io, OutStream } from '../../src/cli/io.ts';
import { run } from '../../src/cli/run.ts';
import type { Screen } from '../support/screen.ts';

export const root = fileURLToPath(new URL('../../', import.meta.url));
export const main = join(root, 'src/cli/main.ts');

/** The library as an entry in a temporary folder of this repository imports it. */
export const LIBRARY = '../../src/index.ts';

/** A folder inside the repository, since Node strips no types under node_modules and the entry imports the sources. */
export class Place {
  readonly path: string;

  constructor(files: Readonly<Record<string, string>> = {}) {
    mkdirSync(join(root, '.tmp'), { recursive: true });
    this.path = mkdtempSync(join(root, '.tmp', 'cli-'));
    this.write('package.json', '{ "type": "module" }');
    for (const [name, text] of Object.entries(files)) this.write(name, text);
  }

  write(name: string, text: string): void {
    mkdirSync(join(this.path, name, '..'), { recursive: true });
    writeFileSync(join(this.path, name), text);
  }

  file(name: string): string {
    return join(this.path, name);
  }

  get store(): string {
    return `sqlite:${this.file('.pawl/dev.db')}`;
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

class Stream extends EventEmitter implements OutStream {
  text = '';
  readonly isTTY: boolean;
  columns: number | undefined;
  rows: number | undefined;

  constructor(terminal: Terminal | null) {
    super();
    this.isTTY = terminal !== null;
    this.columns = terminal?.columns;
    this.rows = terminal?.rows;
  }

  write(text: string): boolean {
    this.text += text;
    this.emit('text', text);
    return true;
  }
}

interface Terminal {
  readonly columns: number;
  readonly rows: number;
}

interface Call {
  /** null: a pipe. */
  readonly terminal?: Terminal | null;
  /** Both streams on one screen, in place of `terminal`. */
  readonly screen?: Screen;
  readonly stdin?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly now?: number;
  readonly interrupt?: AbortSignal;
  /** Called with each piece that is written. */
  readonly onOutput?: (text: string) => void;
}

export interface Called {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command line in this process. */
export async function pawl(place: Place, argv: readonly string[], call: Call = {}): Promise<Called> {
  const terminal = call.terminal ?? null;
  const [stdout, stderr] = [new Stream(terminal), new Stream(terminal)];
  const { screen } = call;
  if (screen !== undefined && call.onOutput !== undefined) screen.on('text', call.onOutput);
  if (call.onOutput !== undefined) for (const stream of [stdout, stderr]) stream.on('text', call.onOutput);
  const io: Io = {
    stdin: Readable.from(call.stdin === undefined ? [] : [call.stdin]),
    stdout: screen ?? stdout,
    stderr: screen ?? stderr,
    env: call.env ?? {},
    cwd: call.cwd ?? place.path,
    now: () => call.now ?? Date.now(),
    interrupt: () => call.interrupt ?? new AbortController().signal,
  };
  const exit = await run(argv, io);
  return { exit, stdout: stdout.text, stderr: stderr.text };
}

/** What differs from run to run, by names. */
export function normal(text: string, place?: Place): string {
  return (place === undefined ? text : text.replaceAll(place.path, '<folder>'))
    .replace(/\b[0-9a-hjkmnp-tv-z]{26}\b/g, '<id>')
    .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g, '<at>')
    .replace(/\b\d\d:\d\d:\d\d\b/g, '<clock>')
    .replace(/\b\d+(\.\d+)? (ms|s|min|h|d)( \d+ (s|min|h))?\b/g, '<time>')
    .replace(/just now|<time> ago/g, '<ago>')
    .replace(/\b[0-9a-f]{12}\b/g, '<hash>')
    .replace(/ {3,}(?=\S)/g, (blanks, at: number, all: string) => (all[at - 1] === '\n' || at === 0 ? blanks : '  '))
    .replace(/[ \t]+$/gm, '');
}
