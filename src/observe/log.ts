import { LOG_LEVELS, type Logger, type LogLevel } from '../core/log.ts';

/** One JSON object per line. What cannot be written as JSON is left out rather than thrown: a log line must not fail its caller. */
export function jsonLogger(write: (line: string) => void, level: LogLevel = 'info', now: () => Date = () => new Date()): Logger {
  const least = LOG_LEVELS.indexOf(level);
  const at =
    (name: LogLevel) =>
    (message: string, data?: Readonly<Record<string, unknown>>): void => {
      if (LOG_LEVELS.indexOf(name) < least) return;
      write(`${line({ time: now().toISOString(), level: name, message }, data)}\n`);
    };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

function line(head: Readonly<Record<string, unknown>>, data: Readonly<Record<string, unknown>> = {}): string {
  try {
    return JSON.stringify({ ...head, ...data }, (_, value: unknown) =>
      value instanceof Error ? { name: value.name, message: value.message } : value,
    );
  } catch {
    return JSON.stringify(head);
  }
}
