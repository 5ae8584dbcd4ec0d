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
    const text = JSON.stringify({ ...head, ...besideOwn(data) }, (_, value: unknown) =>
      value instanceof Error ? { name: value.name, message: value.message } : value,
    );
    return visible(text);
  } catch {
    return visible(JSON.stringify(head));
  }
}

const OWN: readonly string[] = ['level', 'time', 'message'];

/** Data cannot pass for what the line says of itself. */
export function besideOwn(data: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [OWN.includes(key) ? `_${key}` : key, value]));
}

/** JSON escapes control characters below the space; a terminal obeys those from 0x7f on, and line separators, as well. */
export const visible = (json: string): string =>
  json.replaceAll(/[\u007f-\u009f\u2028\u2029]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
