/** Where Pawl writes what it has to say. Each line carries the facts it is about: run, task, attempt, trace id. */
export interface Logger {
  debug(message: string, data?: Readonly<Record<string, unknown>>): void;
  info(message: string, data?: Readonly<Record<string, unknown>>): void;
  warn(message: string, data?: Readonly<Record<string, unknown>>): void;
  error(message: string, data?: Readonly<Record<string, unknown>>): void;
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
