export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** From the least to the most urgent. */
export const LOG_LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];

/** Where Pawl writes what it has to say. Each line carries the facts it is about: run, task, attempt, trace id. */
export interface Logger {
  debug(message: string, data?: Readonly<Record<string, unknown>>): void;
  info(message: string, data?: Readonly<Record<string, unknown>>): void;
  warn(message: string, data?: Readonly<Record<string, unknown>>): void;
  error(message: string, data?: Readonly<Record<string, unknown>>): void;
}

/** Takes secrets out of what is written down: log lines and errors. Never throws, whatever it is given. */
export interface Redactor {
  text(text: string): string;
  /** A copy as plain JSON data. */
  data(value: unknown): unknown;
}

/** A logger with a redactor before it. */
export function redacted(logger: Logger, redactor: Redactor): Logger {
  const at =
    (level: LogLevel) =>
    (message: string, data?: Readonly<Record<string, unknown>>): void => {
      const shown = lineData(redactor, data);
      if (shown === undefined) logger[level](redactor.text(message));
      else logger[level](redactor.text(message), shown);
    };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

/** The data of a log line without secrets; an error stands under `error`, and what is no object under `data`. */
export function lineData(redactor: Redactor, data: unknown): Readonly<Record<string, unknown>> | undefined {
  if (data === undefined || data === null) return undefined;
  const copy = redactor.data(data);
  if (isError(data)) return { error: copy };
  return typeof copy === 'object' && copy !== null && !Array.isArray(copy) ? (copy as Readonly<Record<string, unknown>>) : { data: copy };
}

function isError(value: unknown): boolean {
  try {
    return value instanceof Error;
  } catch {
    // A proxy that was revoked is nothing at all.
    return false;
  }
}
