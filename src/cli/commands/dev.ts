import { fork, type ChildProcess } from 'node:child_process';
import type { Command } from 'commander';
import { once } from 'node:events';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Cli } from '../cli.ts';
import { ownModule } from '../../own-files.ts';
import type { Act } from '../commands.ts';
import { entryFile, shownPath } from '../config.ts';
import { watchSources } from '../sources.ts';
import { safe } from '../text.ts';

/** An editor writes a file in several steps, and several files at once. */
const DEBOUNCE_MS = 100;

export function define(command: Command, act: Act): void {
  command
    .argument('[entry]', 'the module that exports your workflows and tasks')
    .option('--concurrency <n>', 'attempts at the same time (default: 20)')
    .option('--drain <duration>', 'how long bodies may go on before a restart', '5s')
    .addHelpText(
      'after',
      '\nThe worker is a process of its own. When a file of code in the folder of the entry changes, it finishes or hands back what it holds, and starts anew. Folders named node_modules and hidden ones are not watched.',
    )
    .action(act((cli, entry: string | undefined, options: Options) => dev(cli, entry, options)));
}

interface Options {
  readonly concurrency?: string;
  readonly drain: string;
}

async function dev(cli: Cli, given: string | undefined, { concurrency, drain }: Options): Promise<number> {
  const { io, out } = cli;
  const entry = entryFile(given ?? cli.options.entry, io);
  const args = ['work', '--entry', entry, '--store', cli.store, '--log', 'text', '--events', '--queues', 'all', '--drain', drain];
  if (concurrency !== undefined) args.push('--concurrency', concurrency);
  if (!cli.options.color) args.push('--no-color');
  const interrupt = io.interrupt();
  const changes = new Changed(dirname(entry), interrupt);
  try {
    while (!interrupt.aborted) {
      const worker = startWorker(args, io.cwd);
      const ended = once(worker, 'exit');
      const first = await Promise.race([ended.then(() => 'ended' as const), changes.next().then(() => 'changed' as const)]);
      if (first === 'ended' && !interrupt.aborted) {
        out.note('dev: the worker has ended; it starts anew with the next change.');
        await changes.next();
      }
      await stopWorker(worker, ended);
      if (changes.file !== null && !interrupt.aborted)
        out.note(`dev: ${safe(shownPath(changes.file, io.cwd))} changed, the worker starts anew`);
    }
  } finally {
    changes.close();
  }
  return 0;
}

function startWorker(args: readonly string[], cwd: string): ChildProcess {
  const main = fileURLToPath(ownModule('cli/main'));
  return fork(main, [...args], { cwd, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
}

/** By the end of its channel, not by a signal: a terminal sends Ctrl-C to the worker too, and the second one would end it at once. */
async function stopWorker(worker: ChildProcess, ended: Promise<unknown>): Promise<void> {
  if (worker.connected) worker.disconnect();
  await ended;
}

/** Waits for the next change of code, or for the interrupt. */
class Changed {
  /** The last file that changed. */
  file: string | null = null;
  private wake: () => void = () => undefined;
  private hasChanged = false;
  private timer: NodeJS.Timeout | undefined;
  private readonly stop: () => void;

  constructor(folder: string, interrupt: AbortSignal) {
    this.stop = watchSources(folder, (file) => {
      this.file = file;
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.note(), DEBOUNCE_MS);
    });
    interrupt.addEventListener('abort', () => this.note(), { once: true });
  }

  private note(): void {
    this.hasChanged = true;
    this.wake();
  }

  async next(): Promise<void> {
    if (!this.hasChanged) await new Promise<void>((resolve) => (this.wake = resolve));
    this.hasChanged = false;
  }

  close(): void {
    clearTimeout(this.timer);
    this.stop();
  }
}
