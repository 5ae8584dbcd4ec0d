import { expect, test } from 'vitest';
import { wrapped } from './help.ts';
import { width } from './text.ts';

test('help goes on under what it goes on from', () => {
  const text =
    'short\n\na line that is much too long\n  --a <b>  what it means\n  --a-long-one <b>  what it means\n    set in by four, and long';
  expect(wrapped(text, 22).split('\n')).toEqual([
    'short',
    '',
    'a line that is much',
    'too long',
    '  --a <b>  what it',
    '           means',
    '  --a-long-one <b>',
    '  what it means',
    '    set in by four,',
    '    and long',
  ]);
});

test('what is wider than the columns by itself is cut into pieces', () => {
  const lines = wrapped(`see ${'x'.repeat(40)}`, 16).split('\n');
  expect(lines.join('').replaceAll(' ', '')).toBe(`see${'x'.repeat(40)}`);
  expect(lines.filter((line) => width(line) > 16)).toEqual([]);
});
