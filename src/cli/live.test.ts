import { describe, expect, test } from 'vitest';
import { Screen } from '../../test/support/screen.ts';
import { Live } from './live.ts';

describe('lines that are drawn in place', () => {
  test('replace those drawn before, and the last ones stay', () => {
    const screen = new Screen({ columns: 20, rows: 5 });
    screen.write('before\n');
    const live = new Live(screen);
    live.draw(['a', 'b is longer', 'c']);
    expect(screen.hasCursor).toBe(false);
    live.draw(['a2', 'b2']);
    expect(screen.all).toEqual(['before', 'a2', 'b2']);
    live.end(['1', '2', '3', '4', '5', '6', '7']);
    expect(screen.all).toEqual(['before', '1', '2', '3', '4', '5', '6', '7']);
    expect(screen.hasCursor).toBe(true);
  });

  test('as high as the terminal leave nothing behind but the last of them', () => {
    const screen = new Screen({ columns: 20, rows: 5 });
    const live = new Live(screen);
    for (let i = 0; i < 9; i++) live.draw(['a', 'b', 'c', `d${i}`, 'e'].slice(0, live.room));
    live.close();
    expect(screen.all).toEqual(['a', 'b', 'c', 'd8']);
  });

  test('never take more rows than the terminal has, nor more columns', () => {
    const screen = new Screen({ columns: 20, rows: 5 });
    const live = new Live(screen);
    live.draw(Array.from({ length: 9 }, (_, i) => `line ${i} that is too long`));
    expect(screen.shown).toEqual(['line 0 that is too…', 'line 1 that is too…', 'line 2 that is too…', '… and 6 lines more']);
    live.close();
  });

  test('are found again after the terminal was made narrower', () => {
    const screen = new Screen({ columns: 20, rows: 10 });
    screen.write('what stood there\n');
    const live = new Live(screen);
    live.draw(['before', 'fifteen columns', 'after']);
    screen.resize(8, 10);
    expect(screen.all).toEqual(['what sto', 'od there', 'before', 'fiftee…', 'after']);
    live.close();
    expect(screen.listenerCount('resize')).toBe(0);
  });

  test('leave the process as they found it', () => {
    const before = process.listenerCount('exit');
    const live = new Live(new Screen({ columns: 20, rows: 5 }));
    live.draw(['a']);
    live.close();
    live.close();
    expect(process.listenerCount('exit')).toBe(before);
  });
});
