import { chunks, width } from './text.ts';

/** Words in lines of at most so many columns, under a first one that begins with `start`. */
export function hanging(start: string, text: string, columns: number): string[] {
  const room = columns - width(start);
  // Too narrow for a column of its own.
  const isNarrow = room < 10;
  const indent = ' '.repeat(isNarrow ? start.search(/\S|$/) : width(start));
  const lines: string[] = [];
  let now = start;
  let isBare = true;
  for (const word of text.split(' ')) {
    const next = isBare ? now + word : `${now} ${word}`;
    if (width(next) > columns && (!isBare || isNarrow)) {
      lines.push(now.trimEnd());
      now = indent + word;
    } else now = next;
    isBare = false;
  }
  return [...lines, now].flatMap((line) => (width(line) > columns ? chunks(line, columns) : [line]));
}
