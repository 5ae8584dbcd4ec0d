/** Where Pawl writes what it has to say. Each line carries the facts it is about: run, task, attempt, trace id. */
export interface Logger {
  debug(message: string, data?: Readonly<Record<string, unknown>>): void;
  info(message: string, data?: Readonly<Record<string, unknown>>): void;
  warn(message: string, data?: Readonly<Record<string, unknown>>): void;
  error(message: string, data?: Readonly<Record<string, unknown>>): void;
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

const ORDER: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };

/** One JSON object per line. What cannot be written as JSON is left out rather than thrown: a log line must not fail its caller. */
export function jsonLogger(write: (line: string) => void, level: LogLevel = 'info', now: () => Date = () => new Date()): Logger {
  const at =
    (name: LogLevel) =>
    (message: string, data?: Readonly<Record<string, unknown>>): void => {
      if (ORDER[name] < ORDER[level]) return;
      write(`${line({ time: now().toISOString(), level: name, message }, data)}\n`);
    };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

function line(head: Readonly<Record<string, unknown>>, data: Readonly<Record<string, unknown>> = {}): string {
  try {
    return JSON.stringify({ ...head, ...data }, (_, value: unknown) => (value instanceof Error ? { name: value.name, message: value.message } : value));
  } catch {
    return JSON.stringify(head);
  }
}

/** A logger whose every line carries these facts too. */
export function withFacts(logger: Logger, facts: Readonly<Record<string, unknown>>): Logger {
  return {
    debug: (message, data) => logger.debug(message, { ...data, ...facts }),
    info: (message, data) => logger.info(message, { ...data, ...facts }),
    warn: (message, data) => logger.warn(message, { ...data, ...facts }),
    error: (message, data) => logger.error(message, { ...data, ...facts }),
  };
}
