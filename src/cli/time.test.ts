import { expect, test } from 'vitest';
import { ageText, lengthText } from './time.ts';

test.each([
  [0, '0 ms'],
  [999, '999 ms'],
  [1_000, '1 s'],
  [14_240, '14.2 s'],
  [59_949, '59.9 s'],
  [59_960, '1 min'],
  [200_000, '3 min 20 s'],
  [3_599_800, '1 h'],
  [7_500_000, '2 h 5 min'],
  [86_399_000, '1 d'],
  [349_200_000, '4 d 1 h'],
  [-5, '0 ms'],
])('%i ms are %s', (ms, text) => {
  expect(lengthText(ms)).toBe(text);
});

test.each([
  [400, 'just now'],
  [-400, 'just now'],
  [4_900, '4 s ago'],
  [250_000, '4 min ago'],
  [7_300_000, '2 h ago'],
  [200_000_000, '2 d ago'],
  [-7_300_000, 'in 2 h'],
])('%i ms after an instant it was %s', (ms, text) => {
  expect(ageText(new Date(1_800_000_000_000), 1_800_000_000_000 + ms)).toBe(text);
});
