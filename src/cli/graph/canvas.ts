/** A grid of terminal cells: each holds a character and a style, a wide character takes two. */
import { styleText } from 'node:util';
import { width } from '../text.ts';

export type Style = Parameters<typeof styleText>[0] | null;

interface Cell {
  readonly char: string;
  readonly style: Style;
}

const BLANK: Cell = { char: ' ', style: null };

export class Canvas {
  readonly #rows: Cell[][];

  constructor(columns: number, rows: number) {
    this.#rows = Array.from({ length: rows }, () => Array.from({ length: columns }, () => BLANK));
  }

  at(x: number, y: number): string {
    return this.#rows[y]?.[x]?.char ?? ' ';
  }

  put(x: number, y: number, { char, style }: Cell): void {
    const row = this.#rows[y];
    if (row && x >= 0 && x < row.length) row[x] = { char, style };
  }

  /** Combining marks share the cell of what they join. */
  text(x: number, y: number, text: string, style: Style = null): void {
    let column = x;
    for (const char of text) {
      const columns = width(char);
      if (columns === 0) this.put(column - 1, y, { char: this.at(column - 1, y) + char, style });
      else this.put(column, y, { char, style });
      if (columns === 2) this.put(column + 1, y, { char: '', style });
      column += columns;
    }
  }

  lines(colour: boolean): string[] {
    return this.#rows.map((row) => (colour ? styled(row) : row.map((cell) => cell.char).join('')).trimEnd());
  }
}

function styled(row: readonly Cell[]): string {
  const runs: { text: string; style: Style }[] = [];
  for (const { char, style } of row) {
    const last = runs.at(-1);
    if (last && last.style === style) last.text += char;
    else runs.push({ text: char, style });
  }
  return runs.map(({ text, style }) => paint(text, style)).join('');
}

/** Whether to colour was decided by the caller: the stream it goes to is not asked again. */
export function paint(text: string, style: Style): string {
  return style === null || text === '' ? text : styleText(style, text, { validateStream: false });
}
