import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { chunks, clip, clipMiddle, pad, safe, safeJson, safeLines, width } from './text.ts';

const anyText = fc.string({ unit: 'binary', maxLength: 60 });
const UNSEEN = /(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;

describe('text of users', () => {
  test.each([
    ['load order', 'load order'],
    ['a\u001b[31mred', String.raw`a\x1b[31mred`],
    ['line\r\nline\ttab\0', String.raw`line\r\nline\ttab\x00`],
    ['right\u202eto left\u2066', String.raw`right\u202eto left\u2066`],
    ['c1 \u009b31m', String.raw`c1 \x9b31m`],
    ['half \ud83d pair', String.raw`half \ud83d pair`],
    ['zero\u200bwidth\ufeff', String.raw`zero\u200bwidth\ufeff`],
    ['a\u2028b', String.raw`a\u2028b`],
    ['tag \u{e0041}', String.raw`tag \u{e0041}`],
  ])('%j is shown as %s', (given, shown) => {
    expect(safe(given)).toBe(shown);
  });

  test('keeps letters of every script, and whole emoji', () => {
    const text = 'déjà vu 支払い שלום 👩‍👩‍👧 é';
    expect(safe(text)).toBe(text);
  });

  test('keeps nothing that a terminal obeys or hides', () => {
    fc.assert(fc.property(anyText, (text) => !UNSEEN.test(safe(text)) && !UNSEEN.test(safeLines(text).replace(/[\n\t]/g, ''))));
  });

  test('over several lines keeps its line breaks', () => {
    expect(safeLines('a\r\n\tb\u001b[2J')).toBe('a\n\tb\\x1b[2J');
  });

  test('in JSON means the same, and is only made of visible characters', () => {
    const json = safeJson(JSON.stringify({ text: 'a\u001b[31m\u202e\u0085' }));
    expect(json).toBe(String.raw`{"text":"a\u001b[31m\u202e\u0085"}`);
    fc.assert(
      fc.property(anyText, (text) => {
        const shown = safeJson(JSON.stringify(text));
        return JSON.parse(shown) === text && !UNSEEN.test(shown);
      }),
    );
  });
});

describe('the width of a text', () => {
  test.each([
    ['', 0],
    ['charge', 6],
    ['é', 1],
    ['e\u0301', 1],
    ['日本語', 6],
    ['한글', 4],
    ['ｆｕｌｌ', 8],
    ['✅', 2],
    ['🚀x', 3],
    ['🇪🇺', 2],
    ['❤️', 2],
    ['✓ ✕ ●', 5],
    ['●│─▼…', 5],
    ['שלום', 4],
    ['\u1112\u1161\u11ab', 2],
    ['\u001b[31mred\u001b[39m', 3],
  ])('%j takes %i columns', (text, columns) => expect(width(text)).toBe(columns));
});

describe('clip', () => {
  test('keeps what fits, marks what it cuts, and cuts no wide character in half', () => {
    expect(clip('charge', 6)).toBe('charge');
    expect(clip('charge', 5)).toBe('char…');
    expect(clip('支払い失敗', 7)).toBe('支払い…');
    expect(clip('支払い失敗', 6)).toBe('支払…');
    expect(clip('charge', 5, '...')).toBe('ch...');
    expect(clip('charge', 1)).toBe('…');
    expect(clip('charge', 0)).toBe('');
  });

  test('does not count colours, and a clipped text does not bleed its own', () => {
    const clipped = clip('\u001b[31mred and long\u001b[39m', 6);
    expect(clipped).toBe('\u001b[31mred a…\u001b[0m');
    expect(width(clipped)).toBe(6);
    expect(clip('\u001b[31mred\u001b[39m and \u001b[32mgreen\u001b[39m', 6)).toBe('\u001b[31mred\u001b[39m a…\u001b[0m');
  });

  test('is never wider than asked', () => {
    const coloured = fc.array(fc.oneof(anyText, fc.constant('\u001b[31m'))).map((parts) => parts.join(''));
    fc.assert(fc.property(coloured, fc.nat(20), (text, columns) => width(clip(text, columns)) <= columns));
  });
});

describe('clipMiddle', () => {
  test('keeps both ends', () => {
    expect(clipMiddle('charge-order-17', 9)).toBe('char…r-17');
    expect(clipMiddle('charge', 6)).toBe('charge');
    expect(clipMiddle('日本語の名前', 8)).toBe('日…名前');
    expect(clipMiddle('charge', 3)).toBe('ch…');
  });

  test('is never wider than asked, and cuts no character in half', () => {
    fc.assert(
      fc.property(anyText, fc.nat(20), (text, columns) => {
        const cut = clipMiddle(safe(text), columns);
        expect(width(cut)).toBeLessThanOrEqual(columns);
        expect(cut.isWellFormed()).toBe(true);
      }),
    );
  });
});

test('pad fills up to the columns, on either side, and cuts nothing', () => {
  expect([pad('日本', 6), pad('7', 3, 'start'), pad('charge', 3)]).toEqual(['日本  ', '  7', 'charge']);
});

test('chunks lose nothing and are never wider than asked', () => {
  expect(chunks('', 5)).toEqual(['']);
  expect(chunks('abcdef', 4)).toEqual(['abcd', 'ef']);
  fc.assert(
    fc.property(anyText, fc.integer({ min: 2, max: 20 }), (text, columns) => {
      const pieces = chunks(text, columns);
      return pieces.join('') === text && pieces.every((piece) => width(piece) <= columns);
    }),
  );
});
