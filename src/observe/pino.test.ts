import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { pinoLogger } from './pino.ts';

/** What a logger writes, line by line, as text and as data. */
function written(level?: 'debug' | 'info' | 'warn' | 'error') {
  const texts: string[] = [];
  const logger = pinoLogger({ ...(level === undefined ? {} : { level }), destination: { write: (line) => void texts.push(line) } });
  return { logger, texts, lines: () => texts.map((text) => JSON.parse(text) as Record<string, unknown>) };
}

test('a line is one JSON object with the time in ISO 8601, the level as a word, the message and the data', () => {
  const { logger, texts, lines } = written();
  logger.info('paid', { run: 'r1', sum: 3 });
  expect(lines()).toEqual([{ level: 'info', time: expect.any(String) as string, run: 'r1', sum: 3, message: 'paid' }]);
  const { time } = lines()[0] ?? {};
  expect(new Date(String(time)).toISOString()).toBe(time);
  expect(texts[0]).toMatch(/^[^\n]*\n$/);
});

test('what is less urgent than the level is left out', () => {
  const { logger, lines } = written('warn');
  for (const level of ['debug', 'info', 'warn', 'error'] as const) logger[level](level);
  expect(lines().map((line) => line['message'])).toEqual(['warn', 'error']);
});

test('errors are written with their stack and cause, under whatever key', () => {
  const { logger, lines } = written();
  logger.error('failed', { why: new TypeError('no', { cause: new RangeError('too far') }) });
  expect(lines()[0]?.['why']).toMatchObject({
    type: 'TypeError',
    message: 'no',
    stack: expect.stringContaining('pino.test.ts') as string,
    cause: { type: 'RangeError', message: 'too far' },
  });
});

test('data cannot pass for the level, the time or the message of its line', () => {
  const { logger, texts, lines } = written();
  logger.warn('real', { level: 'debug', time: 0, message: 'forged' });
  expect(lines()[0]).toMatchObject({ level: 'warn', message: 'real', _level: 'debug', _time: 0, _message: 'forged' });
  expect(texts[0]?.match(/"level"/g)).toHaveLength(1);
});

test('control characters cannot reach a terminal, nor a new line the next line of the log', () => {
  const { logger, texts, lines } = written();
  const text = 'a\u001b[31mred\r\n{"level":"error"}\u009b31m\u2028\u007f';
  logger.info(text, { [text]: text });
  expect(texts).toHaveLength(1);
  // oxlint-disable-next-line no-control-regex
  expect(texts[0]?.slice(0, -1)).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/);
  expect(lines()[0]).toMatchObject({ message: text, [text]: text });
});

test('a path is written to at once, in a folder that is made if need be', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pawl-pino-'));
  try {
    const path = join(folder, 'new', 'app.log');
    pinoLogger({ destination: path }).info('here');
    expect(readFileSync(path, 'utf8')).toContain('"message":"here"');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
