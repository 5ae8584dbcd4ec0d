import type { Readable } from 'node:stream';

export interface OutStream {
  write(text: string): boolean;
  readonly isTTY?: boolean;
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
  on(event: 'resize', listener: () => void): unknown;
  removeListener(event: 'resize', listener: () => void): unknown;
}

/** Everything of the process that a command may touch, so that tests can run commands without one. */
export interface Io {
  readonly stdin: Readable;
  readonly stdout: OutStream;
  readonly stderr: OutStream;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  now(): number;
  /**
   * Aborts with the first SIGINT or SIGTERM; the second ends the process at once. Until a command asks for it, a signal ends the process
   * as usual.
   */
  interrupt(): AbortSignal;
}

/** The real process. */
export function processIo(): Io {
  let signal: AbortSignal | null = null;
  return {
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    cwd: process.cwd(),
    now: () => Date.now(),
    interrupt: () => (signal ??= interrupts()),
  };
}

function interrupts(): AbortSignal {
  const controller = new AbortController();
  let signals = 0;
  const onSignal = (name: NodeJS.Signals): void => {
    signals += 1;
    if (signals > 1) process.exit(name === 'SIGINT' ? 130 : 143);
    controller.abort(name);
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  // Of a worker that `pawl dev` has started: it is to stop, or its parent is gone.
  if (process.channel !== undefined) process.on('disconnect', () => controller.abort('disconnect'));
  return controller.signal;
}
