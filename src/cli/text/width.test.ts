import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { chunks, clip, clipMiddle, pad, plain, width } from './width.ts';

const anyText = fc.string({ unit: 'binary', maxLength: 60 });

describe('width', () => {
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
    ['●│─▼…', 5],
    ['שלום', 4],
    ['\u1112\u1161\u11ab', 2],
  ])('%j takes %i columns', (text, columns) => expect(width(text)).toBe(columns));
});

describe('clip', () => {
  test('keeps what fits and marks what it cuts', () => {
    expect(clip('charge', 6)).toBe('charge');
    expect(clip('charge', 5)).toBe('char…');
    expect(clip('日本語', 5)).toBe('日本…');
    expect(clip('日本語', 4)).toBe('日…');
    expect(clip('charge', 5, '...')).toBe('ch...');
    expect(clip('charge', 0)).toBe('');
  });

  test('is never wider than asked', () => {
    fc.assert(fc.property(anyText, fc.nat(20), (text, columns) => width(clip(text, columns)) <= columns));
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
        const cut = clipMiddle(plain(text), columns);
        expect(width(cut)).toBeLessThanOrEqual(columns);
        expect(cut.isWellFormed()).toBe(true);
      }),
    );
  });
});

test('pad fills up to the columns, on either side, and cuts nothing', () => {
  expect(pad('日本', 6)).toBe('日本  ');
  expect(pad('7', 3, 'start')).toBe('  7');
  expect(pad('charge', 3)).toBe('charge');
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

describe('plain', () => {
  test.each([
    ['load order', 'load order'],
    ['日本 🚀', '日本 🚀'],
    ['\u001b[31mred', '\\x1b[31mred'],
    ['\u009b31m', '\\x9b31m'],
    ['a\nb\tc\rd\0', 'a\\nb\\tc\\rd\\x00'],
    ['\u202egnp.exe', '\\u202egnp.exe'],
    ['a\u2066b\u200fc', 'a\\u2066b\\u200fc'],
    ['a\u2028b', 'a\\u2028b'],
    ['half \ud83d', 'half \\ud83d'],
    ['tag \u{e0041}', 'tag \\u{e0041}'],
    ['👩\u200d🚀', '👩\u200d🚀'],
  ])('%j is printed as %j', (text, printed) => expect(plain(text)).toBe(printed));

  test('leaves nothing that a terminal obeys or hides', () => {
    fc.assert(fc.property(anyText, (text) => !/(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(plain(text))));
    expect(plain(plain('\u001b'))).toBe(plain('\u001b'));
  });
});
