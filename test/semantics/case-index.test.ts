import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const folders = ['../', '../../src/'].map((path) => fileURLToPath(new URL(path, import.meta.url)));
const itself = fileURLToPath(import.meta.url);

/** Of the table of cases: odd numbers, as they are known elsewhere. */
const CASES: readonly number[] = [
  1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31, 33, 35, 37, 39, 41, 43, 45, 47, 51, 53, 55, 57, 59, 61, 63, 65, 67, 69, 71, 73,
  75, 77, 79, 81, 83, 85, 87, 89, 91, 93, 95, 97, 99, 101, 103, 105, 107, 109, 111, 113, 115, 117, 119, 121, 123, 125, 127, 129, 131, 133,
  135, 137, 139,
];

/** The numbers with which titles of tests begin: `test('91: policy abort …'`, or a row `['17', …]` of a `test.each`. */
function numbersIn(text: string): number[] {
  const titles = /\b(?:test|describe)(?:\.each\([^;]*?\))?\(\s*['`](\d{1,3}(?:, \d{1,3})*): |^\s*\['(\d{1,3})', /gm;
  return [...text.matchAll(titles)].flatMap((match) => (match[1] ?? match[2] ?? '').split(', ').map(Number));
}

test('every case of the semantics is a test with its number', () => {
  const found = new Set<number>();
  for (const folder of folders) {
    for (const entry of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
      const path = folder + entry;
      if (entry.endsWith('.test.ts') && path !== itself) for (const number of numbersIn(readFileSync(path, 'utf8'))) found.add(number);
    }
  }
  expect(CASES.filter((number) => !found.has(number))).toEqual([]);
});

test('a number counts only as the beginning of a title', () => {
  expect(numbersIn("test('7: a tolerant end', () => {});\ndescribe(\n  '9: a cycle', () => {});\n  ['17', 'one_done', 'S'],")).toEqual([
    7, 9, 17,
  ]);
  expect(numbersIn("const at = '11: none';\nexpect(text).toBe('13: none');")).toEqual([]);
});
