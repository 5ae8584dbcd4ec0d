/** Text on a terminal: what is safe to print there, since ids, keys and errors come from outside, and how many columns it takes. */

const ASCII = /^[\x20-\x7e]*$/;

/**
 * What a terminal obeys, hides or reorders: control characters, escape sequences, bidi marks and other invisible ones, line separators,
 * halves of a surrogate pair. The two joiners stay: scripts and emoji need them.
 */
const UNSAFE = /(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

const SHORT: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** Printable in one line: what a terminal would obey or hide is spelt out, as `\n`, `\x1b` or `\u202e`. */
export function safe(text: string): string {
  return ASCII.test(text) ? text : text.replace(UNSAFE, (char) => SHORT[char] ?? spelt(char));
}

/** Several lines: line breaks and tabs stay. */
export function safeLines(text: string): string {
  return text.replace(/\r\n/g, '\n').replace(UNSAFE, (char) => (char === '\n' || char === '\t' ? char : spelt(char)));
}

/** JSON means the same when these stand in it as escapes. */
export function safeJson(json: string): string {
  return json.replace(UNSAFE, (char) => (char === '\n' ? char : char.split('').map(escaped).join('')));
}

const escaped = (unit: string): string => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;

function spelt(char: string): string {
  const code = char.codePointAt(0) ?? 0;
  if (code < 0x100) return `\\x${code.toString(16).padStart(2, '0')}`;
  return code < 0x10000 ? escaped(char) : `\\u{${code.toString(16)}}`;
}

// eslint-disable-next-line no-control-regex -- our own colours
const COLOUR = /\u001b\[[0-9;]*m/g;

/** Takes no column of its own: it joins the character before it. */
const ZERO = /^[\p{Mn}\p{Me}\p{Cf}\u1160-\u11ff]$/u;

const EMOJI = /^\p{Emoji_Presentation}$/u;

/** East Asian Wide and Fullwidth, beside emoji; first and last code point of each range. */
const WIDE: readonly (readonly [number, number])[] = [
  [0x1100, 0x115f],
  [0x2329, 0x232a],
  [0x2e80, 0x303e],
  [0x3041, 0x4dbf],
  [0x4e00, 0xa4cf],
  [0xa960, 0xa97f],
  [0xac00, 0xd7a3],
  [0xf900, 0xfaff],
  [0xfe10, 0xfe19],
  [0xfe30, 0xfe6f],
  [0xff01, 0xff60],
  [0xffe0, 0xffe6],
  [0x16fe0, 0x18dff],
  [0x1aff0, 0x1b2ff],
  [0x1f200, 0x1f265],
  [0x20000, 0x3fffd],
];

/** Half of a flag: a pair of them takes two columns. */
const isRegional = (code: number): boolean => code >= 0x1f1e6 && code <= 0x1f1ff;

/** Makes a picture of the character before it, which many terminals then give two columns. */
const PICTURE = 0xfe0f;

function widthOf(char: string): number {
  const code = char.codePointAt(0) ?? 0;
  if (code < 0x300) return code < 0x20 || (code >= 0x7f && code < 0xa0) || code === 0xad ? 0 : 1;
  if (code === PICTURE) return 1;
  if (ZERO.test(char)) return 0;
  if (WIDE.some(([first, last]) => code >= first && code <= last)) return 2;
  return EMOJI.test(char) && !isRegional(code) ? 2 : 1;
}

/**
 * Columns that a text takes; colours take none. By code point: terminals differ on joined emoji, here they count as their parts, so that
 * nothing is ever wider than said.
 */
export function width(text: string): number {
  const bare = text.includes('\u001b') ? text.replace(COLOUR, '') : text;
  if (ASCII.test(bare)) return bare.length;
  let columns = 0;
  for (const char of bare) columns += widthOf(char);
  return columns;
}

/** The text in at most so many columns; what is cut off is shown by `mark`. Colours are kept, and ended. */
export function clip(text: string, columns: number, mark = '…'): string {
  if (width(text) <= columns) return text;
  const room = columns - width(mark);
  const colours = [...text.matchAll(COLOUR)];
  if (colours.length === 0) return room < 0 ? head(text, columns) : head(text, room) + mark;
  let shown = '';
  for (const [i, part] of text.split(COLOUR).entries()) {
    const piece = head(part, Math.max(0, room) - width(shown));
    shown += piece;
    if (piece.length < part.length) break;
    shown += colours[i]?.[0] ?? '';
  }
  return `${shown}${room < 0 ? '' : mark}\u001b[0m`;
}

/** As `clip`, but what is cut off is in the middle: long ids often differ at their end only. */
export function clipMiddle(text: string, columns: number, mark = '…'): string {
  if (width(text) <= columns) return text;
  const room = columns - width(mark);
  if (room < 3) return clip(text, columns, mark);
  const start = head(text, Math.floor(room / 2));
  return start + mark + tail(text, room - width(start));
}

function tail(text: string, columns: number): string {
  // Enough for marks beside the characters, but a character may be cut in half at the start.
  const chars = Array.from(text.slice(-4 * columns).replace(/^[\udc00-\udfff]/, ''));
  let left = columns;
  let first = chars.length;
  for (; first > 0; first--) {
    left -= widthOf(chars[first - 1] ?? '');
    if (left < 0) break;
  }
  return chars.slice(first).join('');
}

function head(text: string, columns: number): string {
  let taken = '';
  let left = columns;
  for (const char of text) {
    left -= widthOf(char);
    if (left < 0) break;
    taken += char;
  }
  return taken;
}

/** With spaces at the end, or at the start, up to so many columns; a text that is wider stays as it is. */
export function pad(text: string, columns: number, at: 'end' | 'start' = 'end'): string {
  const spaces = ' '.repeat(Math.max(0, columns - width(text)));
  return at === 'end' ? text + spaces : spaces + text;
}

/** Pieces of at most so many columns each; at least one, and a character wider than that stands alone. */
export function chunks(text: string, columns: number): string[] {
  const pieces: string[] = [];
  let rest = text;
  while (width(rest) > columns) {
    const first = head(rest, columns) || String.fromCodePoint(rest.codePointAt(0) ?? 0x20);
    pieces.push(first);
    rest = rest.slice(first.length);
  }
  if (rest !== '' || pieces.length === 0) pieces.push(rest);
  return pieces;
}

/** `1 run`, `12 runs`. */
export const count = (n: number, one: string, many = `${one}s`): string => `${n.toLocaleString('en-US')} ${n === 1 ? one : many}`;
