import { destination as openDestination, pino, stdSerializers, stdTimeFunctions, type DestinationStream } from 'pino';
import type { Logger, LogLevel } from '../core/log.ts';
import { besideOwn, visible } from './log.ts';

export interface PinoOptions {
  /** What is less urgent is left out. Default `'info'`. */
  readonly level?: LogLevel;
  /** A path, a file descriptor, or anything with `write(line)`. Default: standard output. */
  readonly destination?: string | number | DestinationStream;
}

/**
 * A logger for `createEngine({ logger })` over pino: one JSON object per line with `level`, `time` (ISO 8601) and `message`. Lines are
 * written before the call returns, so that none is lost when the process ends.
 */
export function pinoLogger(options: PinoOptions = {}): Logger {
  const { level = 'info', destination = 1 } = options;
  const isStream = typeof destination === 'object';
  const to = isStream ? destination : openDestination({ dest: destination, sync: true, mkdir: typeof destination === 'string' });
  const log = pino(
    {
      level,
      base: null,
      messageKey: 'message',
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), log: fitting },
      hooks: { streamWrite: visible },
    },
    to,
  );
  const at =
    (name: LogLevel) =>
    (message: string, data?: Readonly<Record<string, unknown>>): void =>
      log[name](data ?? {}, message);
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

/** pino serialises errors under the key `err` only. */
function fitting(data: Record<string, unknown>): Record<string, unknown> {
  const entries = Object.entries(besideOwn(data));
  return Object.fromEntries(entries.map(([key, value]) => [key, value instanceof Error ? stdSerializers.errWithCause(value) : value]));
}
