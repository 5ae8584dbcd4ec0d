import { EventEmitter } from 'node:events';
import { width } from '../../src/cli/text.ts';

interface Row {
  /** A cell per column; the second of a wide character is empty. */
  cells: string[];
  /** It went on in the next row. */
  isWrapped: boolean;
}

const empty = (): Row => ({ cells: [], isWrapped: false });

/** A terminal as far as the command line uses one: rows that wrap, scroll away, and are wrapped anew when the width changes. */
export class Screen extends EventEmitter {
  readonly isTTY = true;
  columns: number;
  rows: number;
  hasCursor = true;
  private readonly lines: Row[] = [empty()];
  private x = 0;
  private y = 0;

  constructor({ columns, rows }: { readonly columns: number; readonly rows: number }) {
    super();
    this.columns = columns;
    this.rows = rows;
  }

  write(text: string): boolean {
    for (const part of text.match(/\p{Cc}\[\??[\d;]*[A-Za-z]|[^]/gu) ?? []) this.take(part);
    this.emit('text', text);
    return true;
  }

  resize(columns: number, rows: number): void {
    const rest = this.lines.splice(0);
    this.columns = columns;
    this.rows = rows;
    // As far as the cursor, which stands at the start of a line when nothing is being written.
    for (let i = 0; i < rest.length; i++) {
      let cells = rest[i]?.cells ?? [];
      while (rest[i]?.isWrapped === true) cells = [...cells, ...(rest[++i]?.cells ?? [])];
      do this.lines.push({ cells: cells.splice(0, columns), isWrapped: cells.length > 0 });
      while (cells.length > 0);
    }
    this.y = this.lines.length - 1;
    this.emit('resize');
  }

  private take(part: string): void {
    if (part === '\n') this.down(false);
    else if (part === '\r') this.x = 0;
    else if (part.length > 1 && part.startsWith('\u001b')) this.obey(part.slice(2, -1), part.at(-1) ?? '');
    else this.put(part);
  }

  private obey(argument: string, command: string): void {
    const row = this.lines[this.y] ?? empty();
    if (command === 'A') this.y = Math.max(this.top, this.y - Number(argument));
    else if (command === 'K') row.cells.splice(this.x);
    else if (command === 'J') {
      row.cells.splice(this.x);
      this.lines.splice(this.y + 1);
    } else if (argument === '?25') this.hasCursor = command === 'h';
    else if (command !== 'm') throw new Error(`The screen does not know ${argument}${command}.`);
  }

  private put(char: string): void {
    const columns = width(char);
    if (this.x + columns > this.columns) this.down(true);
    const { cells } = this.lines[this.y] ?? empty();
    while (cells.length < this.x) cells.push(' ');
    if (columns === 0) cells[this.x - 1] += char;
    else cells.splice(this.x, columns, char, ...(columns === 2 ? [''] : []));
    this.x += columns;
  }

  private down(isWrapped: boolean): void {
    const row = this.lines[this.y];
    if (row !== undefined) row.isWrapped = isWrapped;
    this.x = 0;
    this.y += 1;
    if (this.y === this.lines.length) this.lines.push(empty());
  }

  /** The first row that has not scrolled away. */
  private get top(): number {
    return Math.max(0, this.lines.length - this.rows);
  }

  /** Every row, those too that have scrolled away, without blanks at the end. */
  get all(): string[] {
    const texts = this.lines.map(({ cells }) => cells.join('').trimEnd());
    while (texts.at(-1) === '') texts.pop();
    return texts;
  }

  /** What can be seen. */
  get shown(): string[] {
    return this.all.slice(this.top);
  }
}
