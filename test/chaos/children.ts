/** The processes of a harness. Each is started with its task as JSON, speaks over Node's channel, and dies with the harness. */
import { fork, type ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ClientTask } from './client.ts';
import { clock } from './records.ts';
import type { WorkerTask } from './worker.ts';

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly at: number;
}

export class Child {
  readonly life: string;
  readonly startedAt = clock();
  /** When it said that it is at work. */
  readyAt: number | null = null;
  /** When the harness sent SIGKILL. */
  killedAt: number | null = null;
  exit: Exit | null = null;
  readonly exited: Promise<Exit>;
  private readonly process: ChildProcess;

  constructor(process: ChildProcess, life: string) {
    this.process = process;
    this.life = life;
    process.on('message', () => {
      this.readyAt = clock();
    });
    this.exited = new Promise((resolve) => {
      process.on('exit', (code, signal) => {
        this.exit = { code, signal, at: clock() };
        resolve(this.exit);
      });
    });
  }

  get pid(): number {
    return this.process.pid ?? -1;
  }

  kill(): void {
    if (this.exit !== null) return;
    this.killedAt ??= clock();
    this.process.kill('SIGKILL');
  }

  /** Asks it to come to its end. */
  finish(): void {
    if (this.process.connected) this.process.send('finish');
  }

  /** Whether it ended within the time. */
  async endsWithin(ms: number): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<false>((resolve) => {
      timer = setTimeout(resolve, ms, false);
    });
    const ended = await Promise.race([this.exited.then(() => true), late]);
    clearTimeout(timer);
    return ended;
  }
}

export const startWorker = (task: WorkerTask): Child => start(fileURLToPath(new URL('./worker.ts', import.meta.url)), task);
export const startClient = (task: ClientTask): Child => start(fileURLToPath(new URL('./client.ts', import.meta.url)), task);

function start(file: string, task: WorkerTask | ClientTask): Child {
  const errors = openSync(join(task.folder, `${task.life}.err`), 'a');
  const child = fork(file, [JSON.stringify(task)], {
    execArgv: ['--disable-warning=ExperimentalWarning'],
    env: { ...process.env, NODE_COMPILE_CACHE: join(task.folder, 'compiled') },
    stdio: ['ignore', 'ignore', errors, 'ipc'],
  });
  closeSync(errors);
  return new Child(child, task.life);
}
