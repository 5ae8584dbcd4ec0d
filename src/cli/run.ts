import { readFileSync } from 'node:fs';
import { packageFolder } from '../own-files.ts';
import { Cli, type GlobalOptions } from './cli.ts';
import { COMMANDS, type Act } from './commands.ts';
import type { Io } from './io.ts';

/** In a pipe, and where a terminal is too narrow for words. */
const HELP_COLUMNS = 80;
const HELP_LEAST = 40;

/** Runs one command line, and gives the exit code. */
export async function run(argv: readonly string[], io: Io): Promise<number> {
  if (argv[0] === '--version' || argv[0] === '-V') {
    io.stdout.write(`${version()}\n`);
    return 0;
  }
  const [{ CommanderError }, { buildProgram, commandName }, { coded, Exit, report, usage }] = await Promise.all([
    import('commander'),
    import('./program.ts'),
    import('./errors.ts'),
  ]);
  const words = argv[0] === 'help' ? [...argv.slice(1), '--help'] : [...argv];
  const name = commandName(words);
  let exit = 0;
  let cli = new Cli(io, { color: !words.includes('--no-color'), json: words.includes('--json'), jsonl: words.includes('--jsonl') });
  const act: Act =
    (work) =>
    async (...args) => {
      cli = new Cli(io, program.opts<GlobalOptions>());
      try {
        exit = (await work(cli, ...args)) ?? 0;
      } finally {
        await cli.close();
      }
    };
  const program = await buildProgram(name === 'completion' ? Object.keys(COMMANDS) : name === undefined ? [] : [name], act, {
    columns: Math.max(HELP_LEAST, io.stdout.columns ?? HELP_COLUMNS),
    out: (text) => void io.stdout.write(text),
    error: (text) => void io.stderr.write(text),
  });
  try {
    if (name === undefined && !words.includes('--help') && !words.includes('-h')) {
      program.outputHelp({ error: true });
      return 2;
    }
    await program.parseAsync(words, { from: 'user' });
    return exit;
  } catch (error) {
    if (error instanceof Exit) return error.code;
    if (error instanceof CommanderError && error.exitCode === 0) return 0;
    if (error instanceof CommanderError && name !== undefined && error.code !== 'commander.unknownCommand') {
      return report(usage(coded(error).message, `See pawl ${name} --help.`), cli.out);
    }
    return report(coded(error), cli.out);
  }
}

/** Of the package that this file lies in, as source or built. */
export function version(): string {
  const { version: text } = JSON.parse(readFileSync(new URL('package.json', packageFolder), 'utf8')) as { version: string };
  return text;
}
