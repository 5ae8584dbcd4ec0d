import { clip, pad, width } from './text.ts';

export interface Column {
  readonly title: string;
  readonly align?: 'left' | 'right';
  /** Gives room first; those without it are never cut. At least so many columns stay. */
  readonly least?: number;
}

const GAP = '  ';

/** Rows as lines. Where `columns` is given no line is longer: the longest of the cells that may be cut are. */
export function table(heads: readonly Column[], rows: readonly (readonly string[])[], columns: number | undefined): string[] {
  const widths = heads.map((head, i) => Math.max(width(head.title), ...rows.map((row) => width(row[i] ?? ''))));
  if (columns !== undefined) narrow(heads, widths, columns - GAP.length * (heads.length - 1));
  const line = (cells: readonly string[]): string =>
    heads
      .map((head, i) => {
        const room = widths[i] ?? 0;
        const cell = clip(cells[i] ?? '', room);
        return i === heads.length - 1 && head.align !== 'right' ? cell : pad(cell, room, head.align === 'right' ? 'start' : 'end');
      })
      .join(GAP)
      .trimEnd();
  const fit = (text: string): string => (columns === undefined ? text : clip(text, columns));
  return [heads.map((head) => head.title), ...rows].map((cells) => fit(line(cells)));
}

function narrow(heads: readonly Column[], widths: number[], room: number): void {
  const sum = (): number => widths.reduce((all, one) => all + one, 0);
  while (sum() > room) {
    const widest = heads.reduce((best, head, i) => {
      if (head.least === undefined || (widths[i] ?? 0) <= head.least) return best;
      return best === -1 || (widths[i] ?? 0) > (widths[best] ?? 0) ? i : best;
    }, -1);
    if (widest === -1) return;
    widths[widest] = (widths[widest] ?? 0) - 1;
  }
}
