import { EventEmitter } from 'node:events';
import { describe, expect, test } from 'vitest';
import { Live } from './live.ts';

/** A terminal, as far as `Live` uses it: rows that scroll, a cursor, wrapping of long lines, and the width changed in between. */
class Screen extends EventEmitter {
  columns = 20;
  rows = 5;
  cursor = true;
  private lines: string[] = [''];

  write(text: string): boolean {
    for (const part of text.split(/(\p{Cc}\[\??\d*[A-Za-z]|\n|\r)/u)) this.take(part);
    return true;
  }

  private take(part: string): void {
    const up = /^\p{Cc}\[(\d+)A$/u.exec(part);
    if (part === '\n') this.lines.push('');
    else if (part === '\u001b[?25l') this.cursor = false;
    else if (part === '\u001b[?25h') this.cursor = true;
    else if (up !== null) this.lines.splice(-1 - this.linesIn(Number(up[1])), Infinity, '');
    else if (part !== '\r' && part !== '\u001b[0J') this.lines[this.lines.length - 1] += part;
  }

  /** How many of the last lines make so many rows, wrapped as wide as the terminal is now; fails where it is not a whole number of lines. */
  private linesIn(rows: number): number {
    let [left, count] = [rows, 0];
    for (const line of this.lines.slice(0, -1).reverse()) {
      if (left <= 0) break;
      left -= Math.max(1, Math.ceil(line.length / this.columns));
      count++;
    }
    if (left !== 0) throw new Error(`${rows} rows up is in the middle of a line`);
    return count;
  }

  get shown(): string[] {
    return this.lines.slice(0, -1);
  }
}

describe('lines that are drawn in place', () => {
  test('replace those drawn before, and the last ones stay', () => {
    const screen = new Screen();
    const live = new Live(screen);
    live.draw(['a', 'b', 'c']);
    expect(screen.cursor).toBe(false);
    live.draw(['a2', 'b2']);
    expect(screen.shown).toEqual(['a2', 'b2']);
    live.end(['1', '2', '3', '4', '5', '6', '7']);
    expect(screen.shown).toEqual(['1', '2', '3', '4', '5', '6', '7']);
    expect(screen.cursor).toBe(true);
  });

  test('never take more rows than the terminal has, nor more columns', () => {
    const screen = new Screen();
    const live = new Live(screen);
    live.draw(Array.from({ length: 9 }, (_, i) => `line ${i} that is too long`));
    expect(screen.shown).toEqual(['line 0 that is too…', 'line 1 that is too…', 'line 2 that is too…', '… and 6 lines more']);
    live.close();
  });

  test('are found again after the terminal was made narrower', () => {
    const screen = new Screen();
    const live = new Live(screen);
    screen.rows = 10;
    live.draw(['before', 'fifteen columns', 'after']);
    screen.columns = 8;
    screen.emit('resize');
    expect(screen.shown).toEqual(['before', 'fiftee…', 'after']);
    live.close();
    expect(screen.listenerCount('resize')).toBe(0);
  });

  test('leave the process as they found it', () => {
    const before = process.listenerCount('exit');
    const live = new Live(new Screen());
    live.draw(['a']);
    live.close();
    live.close();
    expect(process.listenerCount('exit')).toBe(before);
  });
});
