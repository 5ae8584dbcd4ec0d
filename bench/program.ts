import { spawn } from 'node:child_process';

export interface Ended {
  /** From the spawn to the first line of its output; NaN where it printed none. */
  readonly firstLineMs: number;
  readonly output: string;
  readonly signal: NodeJS.Signals | null;
}

export interface ProgramOptions {
  readonly cwd?: string;
  /** Beside those of this process. */
  readonly env?: Readonly<Record<string, string>>;
  /** By which signal it may end. */
  readonly mayEndBy?: NodeJS.Signals;
}

/** A program in a process of its own, to its end. Rejects where it fails. */
export function program(command: readonly string[], { cwd, env, mayEndBy }: ProgramOptions = {}): Promise<Ended> {
  const [file = '', ...args] = command;
  return new Promise((resolve, reject) => {
    const startMs = performance.now();
    const child = spawn(file, args, {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, ...env },
      ...(cwd === undefined ? {} : { cwd }),
    });
    let output = '';
    let firstLineMs = NaN;
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      if (Number.isNaN(firstLineMs) && output.includes('\n')) firstLineMs = performance.now() - startMs;
    });
    child.once('error', reject);
    child.once('close', (code, signal) => {
      if (code === 0 || (signal !== null && signal === mayEndBy)) resolve({ firstLineMs, output, signal });
      else reject(new Error(`${command.join(' ')} ended with ${signal ?? `exit code ${code}`}: ${output}`));
    });
  });
}
