/** Text of users on a terminal: nothing in it may move the cursor, change colours or turn the reading order round. */

/** Control characters, halves of surrogate pairs, marks of direction, invisible separators. */
const UNSAFE = /[\p{Cc}\p{Cs}\u061c\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb]/gu;

const SHORT: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** With control characters, marks of direction and broken surrogates written out. */
export function safe(text: string): string {
  return text.replace(UNSAFE, (char) => SHORT[char] ?? escaped(char));
}

/** Several lines: line breaks and tabs stay. */
export function safeLines(text: string): string {
  return text.replace(/\r\n/g, '\n').replace(UNSAFE, (char) => (char === '\n' || char === '\t' ? char : escaped(char)));
}

/** JSON means the same when these stand in it as escapes. */
export function safeJson(json: string): string {
  return json.replace(UNSAFE, (char) => (char === '\n' ? char : `\\u${hex(char, 4)}`));
}

const hex = (char: string, digits: number): string => char.charCodeAt(0).toString(16).padStart(digits, '0');
const escaped = (char: string): string => (char.charCodeAt(0) < 0x100 ? `\\x${hex(char, 2)}` : `\\u${hex(char, 4)}`);

// eslint-disable-next-line no-control-regex -- our own colours
const ANSI = /\u001b\[[0-9;]*m/g;
const segments = new Intl.Segmenter('en', { granularity: 'grapheme' });

/** Columns that a text takes on a terminal; colours take none. */
export function width(text: string): number {
  const plain = text.replace(ANSI, '');
  if (/^[\u0020-\u007e]*$/.test(plain)) return plain.length;
  let sum = 0;
  for (const { segment } of segments.segment(plain)) sum += graphemeWidth(segment);
  return sum;
}

const WIDE: readonly (readonly [number, number])[] = [
  [0x1100, 0x115f],
  [0x2e80, 0x303e],
  [0x3041, 0x4dbf],
  [0x4e00, 0xa4cf],
  [0xa960, 0xa97c],
  [0xac00, 0xd7a3],
  [0xf900, 0xfaff],
  [0xfe30, 0xfe6f],
  [0xff00, 0xff60],
  [0xffe0, 0xffe6],
  [0x17000, 0x18cff],
  [0x1b000, 0x1b2ff],
  [0x20000, 0x3fffd],
];

function graphemeWidth(grapheme: string): number {
  const code = grapheme.codePointAt(0) ?? 0;
  if (/^[\p{Mark}\p{Cf}]+$/u.test(grapheme)) return 0;
  if (grapheme.includes('\ufe0f') || /^\p{Emoji_Presentation}/u.test(grapheme)) return 2;
  return WIDE.some(([from, to]) => code >= from && code <= to) ? 2 : 1;
}

/** The text in at most so many columns, with … where it was cut; colours are kept, and ended. */
export function clip(text: string, columns: number): string {
  if (width(text) <= columns) return text;
  if (columns <= 0) return '';
  let [left, shown] = [columns - 1, ''];
  const colours = [...text.matchAll(ANSI)];
  let at = 0;
  for (const part of text.split(ANSI)) {
    for (const { segment } of segments.segment(part)) {
      left -= graphemeWidth(segment);
      if (left < 0) return `${shown}…${colours.length > 0 ? '\u001b[0m' : ''}`;
      shown += segment;
    }
    shown += colours[at++]?.[0] ?? '';
  }
  return shown;
}

/** Filled up with blanks. */
export function pad(text: string, columns: number, side: 'left' | 'right' = 'left'): string {
  const fill = ' '.repeat(Math.max(0, columns - width(text)));
  return side === 'left' ? text + fill : fill + text;
}

/** `1 run`, `12 runs`. */
export const count = (n: number, one: string, many = `${one}s`): string => `${n.toLocaleString('en-US')} ${n === 1 ? one : many}`;
