import type { Logger, LogLevel } from '../core/log.ts';
import type { Io } from './io.ts';
import { plain } from './plain.ts';
import { safe } from './text.ts';
import { clockText } from './time.ts';

const ORDER: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };

/** Lines for people: `12:03:04 warn  the lease was lost  worker=3`. */
export function textLogger(write: (line: string) => void, io: Pick<Io, 'now'>, level: LogLevel): Logger {
  const at =
    (name: LogLevel) =>
    (message: string, data: Readonly<Record<string, unknown>> = {}): void => {
      if (ORDER[name] < ORDER[level]) return;
      const facts = factsText(data);
      write(`${clockText(new Date(io.now()))} ${name.padEnd(5)} ${safe(message)}${facts === '' ? '' : ` ${facts}`}`);
    };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

/** ` key=value key="two words"`, fit for a terminal. */
export function factsText(data: Readonly<Record<string, unknown>> = {}): string {
  const facts = Object.entries(data).map(
    ([key, value]) => ` ${key}=${isWord(value) ? value : (JSON.stringify(plain(value)) ?? 'undefined')}`,
  );
  return safe(facts.join(''));
}

const isWord = (value: unknown): value is string => typeof value === 'string' && /^[^\s"=\p{C}]+$/u.test(value);

/** One JSON object per line, by pino: what a production worker writes. */
export async function jsonLines(write: (line: string) => void, level: LogLevel): Promise<Logger> {
  const { pino } = await import('pino');
  const log = pino(
    {
      level,
      base: null,
      messageKey: 'message',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: (line: string) => write(line) },
  );
  const at =
    (name: LogLevel) =>
    (message: string, data: Readonly<Record<string, unknown>> = {}): void =>
      log[name](data, message);
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}
