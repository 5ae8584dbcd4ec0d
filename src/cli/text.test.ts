import { describe, expect, test } from 'vitest';
import { clip, pad, safe, safeJson, safeLines, width } from './text.ts';

describe('text of users', () => {
  test.each([
    ['a\u001b[31mred', String.raw`a\x1b[31mred`],
    ['line\r\nline\ttab\0', String.raw`line\r\nline\ttab\x00`],
    ['right\u202eto left\u2066', String.raw`right\u202eto left\u2066`],
    ['c1 \u009b31m', String.raw`c1 \x9b31m`],
    ['half \ud83d pair', String.raw`half \ud83d pair`],
    ['zero\u200bwidth\ufeff', String.raw`zero\u200bwidth\ufeff`],
  ])('%j is shown as %s', (given, shown) => {
    expect(safe(given)).toBe(shown);
  });

  test('keeps letters of every script, and whole emoji', () => {
    const text = 'déjà vu 支払い שלום 👩‍👩‍👧 é';
    expect(safe(text)).toBe(text);
  });

  test('over several lines keeps its line breaks', () => {
    expect(safeLines('a\r\n\tb\u001b[2J')).toBe('a\n\tb\\x1b[2J');
  });

  test('in JSON means the same, and is only made of visible characters', () => {
    const value = { text: 'a\u001b[31m\u202e\u0085' };
    const json = safeJson(JSON.stringify(value));
    expect(json).toBe(String.raw`{"text":"a\u001b[31m\u202e\u0085"}`);
    expect(JSON.parse(json)).toEqual(value);
  });
});

describe('the width of a text', () => {
  test.each([
    ['plain', 5],
    ['支払い', 6],
    ['한국', 4],
    ['👩‍👩‍👧', 2],
    ['🇩🇪', 2],
    ['❤️', 2],
    ['✓ ✕ ●', 5],
    ['e\u0301', 1],
    ['\u001b[31mred\u001b[39m', 3],
  ])('%s takes %i columns', (text, columns) => {
    expect(width(text)).toBe(columns);
  });

  test('is what it is clipped to, never through a wide character', () => {
    expect(clip('支払い失敗', 7)).toBe('支払い…');
    expect(clip('支払い失敗', 6)).toBe('支払…');
    expect(clip('plain', 5)).toBe('plain');
    expect(clip('plain text', 1)).toBe('…');
    expect(clip('plain text', 0)).toBe('');
  });

  test('does not count colours, and a clipped text does not bleed its own', () => {
    const clipped = clip('\u001b[31mred and long\u001b[39m', 6);
    expect(clipped).toBe('\u001b[31mred a…\u001b[0m');
    expect(width(clipped)).toBe(6);
  });

  test('is filled up on either side', () => {
    expect([pad('い', 4), pad('い', 4, 'right'), pad('long', 2)]).toEqual(['い  ', '  い', 'long']);
  });
});
