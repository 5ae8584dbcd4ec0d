/**
 * Run ids: 16 bytes, 48 bits of milliseconds and 80 random bits. The time stands first, so that new rows go to the right edge of the index.
 *
 * The text is Crockford's base32 in lower case (no i, l, o, u), 26 characters, and turns the two parts round: 16 characters of the random
 * part, then 10 of the time, so that a few characters at the start tell runs apart in a list, in a log, and on a command line.
 */
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';

const TIME_BYTES = 6;
const RANDOM_BYTES = 10;
export const RUN_ID_BYTES = TIME_BYTES + RANDOM_BYTES;

const RANDOM_CHARS = 16;
export const RUN_ID_LENGTH = 26;

const MAX_TIME_MS = 2 ** 48 - 1;

/** The code of the character of each five bits. */
const CODE_OF = Uint8Array.from(ALPHABET, (char) => char.charCodeAt(0));
/** The five bits of each character code; 255 where there are none. */
const BITS_OF = new Uint8Array(128).fill(255);
CODE_OF.forEach((code, bits) => (BITS_OF[code] = bits));

/** `randomBytes(n)` gives n bytes that no one can guess. Throws a RangeError for an instant that 48 bits do not hold. */
export function newRunId(nowMs: number, randomBytes: (count: number) => Uint8Array): Uint8Array {
  if (!Number.isInteger(nowMs) || nowMs < 0 || nowMs > MAX_TIME_MS) throw new RangeError(`${nowMs} is no instant in milliseconds.`);
  const id = new Uint8Array(RUN_ID_BYTES);
  const high = Math.floor(nowMs / 2 ** 32);
  id[0] = high >>> 8;
  id[1] = high;
  id[2] = nowMs >>> 24;
  id[3] = nowMs >>> 16;
  id[4] = nowMs >>> 8;
  id[5] = nowMs;
  id.set(randomBytes(RANDOM_BYTES), TIME_BYTES);
  return id;
}

/** Filled and read within one call. */
const codes = new Uint8Array(RUN_ID_LENGTH);

export function runIdText(id: Uint8Array): string {
  if (id.length !== RUN_ID_BYTES) throw new RangeError(`A run id has ${RUN_ID_BYTES} bytes, this has ${id.length}.`);
  // Two times five bytes are two times eight characters; the six bytes of the time, with two zero bits before them, are ten.
  writeCodes(id, TIME_BYTES, 0);
  writeCodes(id, TIME_BYTES + 5, 8);
  const first = byteAt(id, 0);
  codes[RANDOM_CHARS] = codeOf(first >>> 5);
  codes[RANDOM_CHARS + 1] = codeOf(first);
  writeCodes(id, 1, RANDOM_CHARS + 2);
  return String.fromCharCode.apply(null, codes as unknown as number[]);
}

/** Five bytes as eight characters. */
function writeCodes(id: Uint8Array, from: number, to: number): void {
  const high = (byteAt(id, from) << 12) | (byteAt(id, from + 1) << 4) | (byteAt(id, from + 2) >>> 4);
  const low = ((byteAt(id, from + 2) & 15) << 16) | (byteAt(id, from + 3) << 8) | byteAt(id, from + 4);
  codes[to] = codeOf(high >>> 15);
  codes[to + 1] = codeOf(high >>> 10);
  codes[to + 2] = codeOf(high >>> 5);
  codes[to + 3] = codeOf(high);
  codes[to + 4] = codeOf(low >>> 15);
  codes[to + 5] = codeOf(low >>> 10);
  codes[to + 6] = codeOf(low >>> 5);
  codes[to + 7] = codeOf(low);
}

function codeOf(bits: number): number {
  return CODE_OF[bits & 31] as number;
}

function byteAt(id: Uint8Array, at: number): number {
  return id[at] as number;
}

/** Null for anything but the one text that {@link runIdText} gives for an id: no upper case, no look-alikes, no other length. */
export function parseRunId(text: string): Uint8Array | null {
  if (text.length !== RUN_ID_LENGTH) return null;
  let valid = 0;
  for (let at = 0; at < RUN_ID_LENGTH; at++) {
    const code = text.charCodeAt(at);
    valid |= code < 128 ? bitsOf(code) : 255;
  }
  if (valid > 31 || bitsOf(text.charCodeAt(RANDOM_CHARS)) > 7) return null;
  const id = new Uint8Array(RUN_ID_BYTES);
  readBits(text, 0, id, TIME_BYTES);
  readBits(text, 8, id, TIME_BYTES + 5);
  id[0] = (bitsOf(text.charCodeAt(RANDOM_CHARS)) << 5) | bitsOf(text.charCodeAt(RANDOM_CHARS + 1));
  readBits(text, RANDOM_CHARS + 2, id, 1);
  return id;
}

/** Eight characters as five bytes. */
function readBits(text: string, from: number, id: Uint8Array, to: number): void {
  const high = twentyBits(text, from);
  const low = twentyBits(text, from + 4);
  id[to] = high >>> 12;
  id[to + 1] = high >>> 4;
  id[to + 2] = (high << 4) | (low >>> 16);
  id[to + 3] = low >>> 8;
  id[to + 4] = low;
}

function twentyBits(text: string, from: number): number {
  return (
    (bitsOf(text.charCodeAt(from)) << 15) |
    (bitsOf(text.charCodeAt(from + 1)) << 10) |
    (bitsOf(text.charCodeAt(from + 2)) << 5) |
    bitsOf(text.charCodeAt(from + 3))
  );
}

function bitsOf(code: number): number {
  return BITS_OF[code] as number;
}
