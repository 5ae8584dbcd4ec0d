import type { OutStream } from './io.ts';
import { clip, count, width } from './text.ts';

const ESC = '\u001b[';
const HIDE_CURSOR = `${ESC}?25l`;
const SHOW_CURSOR = `${ESC}?25h`;
const CLEAR_LINE = `${ESC}K`;
const CLEAR_BELOW = `${ESC}J`;

/**
 * Lines that are drawn again and again in the same place. No more are drawn than the terminal has rows, since what has scrolled away cannot
 * be drawn over; a terminal that became narrower has wrapped the lines that stand there, so their rows are counted by its width now.
 */
export class Live {
  private readonly stream: OutStream;
  private drawn: readonly string[] = [];
  private readonly restore = (): void => void this.stream.write(SHOW_CURSOR);
  private readonly redraw = (): void => this.draw(this.wanted);
  private wanted: readonly string[] = [];
  private isClosed = false;

  constructor(stream: OutStream) {
    this.stream = stream;
    stream.write(HIDE_CURSOR);
    stream.on('resize', this.redraw);
    process.on('exit', this.restore);
  }

  draw(lines: readonly string[]): void {
    this.wanted = lines;
    const { columns, room } = this;
    const shown = lines.length <= room ? lines : [...lines.slice(0, room - 1), `… and ${count(lines.length - room + 1, 'line')} more`];
    this.write(shown.map((line) => clip(line, columns - 1)));
  }

  /** Leaves all lines on the screen, whatever its height. */
  end(lines: readonly string[]): void {
    this.write(lines.map((line) => clip(line, this.columns - 1)));
    this.close();
  }

  /** Leaves what is drawn. */
  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.stream.removeListener('resize', this.redraw);
    process.removeListener('exit', this.restore);
    this.restore();
  }

  private write(lines: readonly string[]): void {
    // Written over, not cleared first: that would flicker, and some terminals keep a copy of a screen that is cleared as a whole.
    this.stream.write(this.back() + lines.map((line) => `${line}${CLEAR_LINE}\n`).join('') + CLEAR_BELOW);
    this.drawn = lines;
  }

  private back(): string {
    const { columns } = this;
    const rows = this.drawn.reduce((sum, line) => sum + Math.max(1, Math.ceil(width(line) / columns)), 0);
    return rows === 0 ? '' : `${ESC}${rows}A\r`;
  }

  private get columns(): number {
    return Math.max(2, this.stream.columns ?? 80);
  }

  /** So many lines can be drawn. */
  get room(): number {
    return Math.max(1, (this.stream.rows ?? 24) - 1);
  }
}
