import { expect, test } from 'vitest';
import { jsonLogger } from './log.ts';

test('a line is one JSON object; data cannot pass for its level, time or message, and nothing in it reaches a terminal', () => {
  const lines: string[] = [];
  const logger = jsonLogger(
    (line) => lines.push(line),
    'info',
    () => new Date(0),
  );
  const text = 'a\u001b[31m\r\n\u009b31m\u2028';
  logger.debug('left out');
  logger.warn(text, { level: 'debug', message: 'forged', n: 1, error: new Error('no') });
  expect(lines).toHaveLength(1);
  // oxlint-disable-next-line no-control-regex
  expect(lines[0]?.slice(0, -1)).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/);
  expect(JSON.parse(lines[0] ?? '')).toEqual({
    time: '1970-01-01T00:00:00.000Z',
    level: 'warn',
    message: text,
    _level: 'debug',
    _message: 'forged',
    n: 1,
    error: { name: 'Error', message: 'no' },
  });
});

test('what cannot be written as JSON is left out', () => {
  const lines: string[] = [];
  jsonLogger((line) => lines.push(line)).info('said', { big: 1n });
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({ message: 'said' });
});
