import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { newRunId, parseRunId, RUN_ID_BYTES, runIdText } from './ids.ts';

const AT = 1_760_000_000_000;
const id = fc.uint8Array({ minLength: RUN_ID_BYTES, maxLength: RUN_ID_BYTES });

function fixedId(nowMs: number, fill = 0xff): Uint8Array {
  return newRunId(nowMs, (count) => new Uint8Array(count).fill(fill));
}

describe('a run id', () => {
  test('holds the milliseconds first, big-endian, then ten random bytes', () => {
    expect([...fixedId(0x0123_4567_89ab, 7)]).toEqual([0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7]);
  });

  test('made later sorts after one made earlier', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 48 - 2 }), (at) => {
        expect(compareBytes(fixedId(at, 0xff), fixedId(at + 1, 0))).toBe(-1);
      }),
    );
  });

  test('is refused for an instant that does not fit', () => {
    for (const at of [-1, 1.5, Number.NaN, Infinity, 2 ** 48]) expect(() => fixedId(at)).toThrow(RangeError);
  });
});

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  for (const [at, byte] of a.entries()) {
    const other = b[at] ?? -1;
    if (byte !== other) return byte < other ? -1 : 1;
  }
  return 0;
}

describe('the text of a run id', () => {
  test('is 26 characters: the random part, then the time', () => {
    expect(runIdText(fixedId(AT))).toMatch(/^z{16}[0-9a-hjkmnp-tv-z]{10}$/);
    expect(runIdText(fixedId(0, 0))).toBe('0'.repeat(26));
    expect(runIdText(fixedId(2 ** 48 - 1))).toBe(`${'z'.repeat(16)}7${'z'.repeat(9)}`);
    expect(runIdText(fixedId(1, 0))).toBe(`${'0'.repeat(25)}1`);
  });

  test('leads back to the same bytes', () => {
    fc.assert(
      fc.property(id, (bytes) => {
        const text = runIdText(bytes);
        expect(text).toHaveLength(26);
        expect(parseRunId(text)).toEqual(bytes);
      }),
      { numRuns: 2_000 },
    );
  });

  test('is the base32 of the bits', () => {
    fc.assert(
      fc.property(id, (bytes) => {
        const bits = (part: Uint8Array) => BigInt(`0x${Buffer.from(part).toString('hex')}`);
        const crockford = (n: bigint, length: number) =>
          n
            .toString(32)
            .padStart(length, '0')
            .replace(/[a-v]/g, (char) => 'abcdefghjkmnpqrstvwxyz'.charAt(char.charCodeAt(0) - 97));
        expect(runIdText(bytes)).toBe(crockford(bits(bytes.subarray(6)), 16) + crockford(bits(bytes.subarray(0, 6)), 10));
      }),
    );
  });

  test.each([
    ['', 'nothing'],
    ['0'.repeat(25), 'too short'],
    ['0'.repeat(27), 'too long'],
    [`${'0'.repeat(25)}A`, 'upper case'],
    [`${'0'.repeat(25)}l`, 'l'],
    [`${'0'.repeat(25)}i`, 'i'],
    [`${'0'.repeat(25)}o`, 'o'],
    [`${'0'.repeat(25)}u`, 'u'],
    [`${'0'.repeat(25)} `, 'a space'],
    [`${'0'.repeat(25)}\u0130`, 'beyond ASCII'],
    [`${'0'.repeat(25)}\u{10061}`.slice(0, 26), 'half a character'],
    [`${'0'.repeat(16)}8${'0'.repeat(9)}`, 'a time of more than 48 bits'],
  ])('is refused: %j (%s)', (text) => {
    expect(parseRunId(text)).toBeNull();
  });

  test('that is read is the one that is written', () => {
    const char = fc.constantFrom(...'0123456789abcdefghijklmnopqrstuvwxyzABC-'.split(''));
    fc.assert(
      fc.property(fc.string({ unit: char, minLength: 26, maxLength: 26 }), (text) => {
        const bytes = parseRunId(text);
        if (bytes !== null) expect(runIdText(bytes)).toBe(text);
      }),
      { numRuns: 2_000 },
    );
  });

  test('needs sixteen bytes', () => {
    expect(() => runIdText(new Uint8Array(15))).toThrow(RangeError);
  });
});
