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
      if (data === undefined) logger[level](redactor.text(message));
      else logger[level](redactor.text(message), asRecord(redactor.data(data)));
    };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

/** What a redactor made of data that may have been no object. */
export function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : { data: value };
}
