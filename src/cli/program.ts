import { Command, Option } from 'commander';
import { COMMANDS, type Act } from './commands.ts';
import { HELP, wrapped } from './help.ts';

/** Options that stand before or behind the name of any command. */
const GLOBAL = [
  new Option('--store <address>', 'the store (default: PAWL_STORE, "pawl".store of package.json, sqlite:./.pawl/dev.db)'),
  new Option(
    '--entry <file>',
    'the module that exports your workflows and tasks (default: PAWL_ENTRY, "pawl".entry of package.json, [src/]pawl.ts|js)',
  ),
  new Option('--json', 'the answer as one JSON document').conflicts('jsonl'),
  new Option('--jsonl', 'the answer as lines of JSON'),
  new Option('--no-color', 'no colours (also: NO_COLOR)'),
  new Option('--yes', 'act on more than 10 matches'),
];

const EXITS = `
Exit codes:
  0 ok · 1 run failed · 2 usage · 3 not found · 4 conflict
  5 store unreachable · 6 check failed · 7 timed out waiting, run goes on
  8 refused · 130 interrupted, run goes on`;

export interface Writers {
  readonly columns: number;
  readonly out: (text: string) => void;
  readonly error: (text: string) => void;
}

/** The tree of commands; of those in `load` with arguments and options, of the others what the list of commands shows. */
export async function buildProgram(load: readonly string[], act: Act, writers: Writers): Promise<Command> {
  const program = new Command('pawl');
  program
    .description('Durable workflows.')
    .usage('<command> [options]')
    .option('--version', 'print the version')
    .addHelpText('after', EXITS)
    .helpCommand(false)
    .configureHelp(HELP)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => writers.out(wrapped(text, writers.columns)),
      writeErr: (text) => writers.error(wrapped(text, writers.columns)),
      outputError: () => undefined,
      getOutHelpWidth: () => writers.columns,
      getErrHelpWidth: () => writers.columns,
    });
  for (const option of GLOBAL) program.addOption(option);
  for (const [name, { group, summary, load: module }] of Object.entries(COMMANDS)) {
    const command = program.command(name).summary(summary).helpGroup(group);
    if (!load.includes(name)) continue;
    command.description(`${summary[0]?.toUpperCase() ?? ''}${summary.slice(1)}.`);
    (await module()).define(command, act);
  }
  return program;
}

/** The name of the command in the arguments: the first word that is no option and no value of one. */
export function commandName(argv: readonly string[]): string | undefined {
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i] ?? '';
    if (word === '--store' || word === '--entry') i++;
    else if (!word.startsWith('-')) return word;
  }
  return undefined;
}
