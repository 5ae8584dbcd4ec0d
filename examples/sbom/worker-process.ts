import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const workerFile = fileURLToPath(new URL('./worker.ts', import.meta.url));

/** A worker as a child process; what it says goes to worker.log. It ends when this process does: its channel closes then. */
export class WorkerProcess {
  readonly pid: number;
  readonly log: string;
  readonly exit: Promise<void>;
  hasExited = false;
  private readonly child: ChildProcess;

  constructor(out: string) {
    this.log = join(out, 'worker.log');
    const log = openSync(this.log, 'a');
    this.child = spawn(process.execPath, [workerFile, out], { stdio: ['ignore', log, log, 'ipc'] });
    closeSync(log);
    this.pid = this.child.pid ?? -1;
    this.exit = new Promise((resolve) => {
      const ended = (): void => {
        this.hasExited = true;
        resolve();
      };
      this.child.on('exit', ended);
      this.child.on('error', ended);
    });
  }

  /** No goodbye: the process is gone at once, with all that it had in memory. */
  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.exit;
  }

  /** For the last moment of this process: nothing can be waited for any more. */
  abandon(): void {
    this.child.kill('SIGKILL');
  }

  async stop(): Promise<void> {
    this.child.kill('SIGTERM');
    const timer = setTimeout(() => this.child.kill('SIGKILL'), 10_000);
    await this.exit;
    clearTimeout(timer);
  }
}
