import type { Command } from 'commander';
import { acting, actOptions, checking, type ActFlags } from '../acts.ts';
import { payload } from '../args.ts';
import type { Cli } from '../cli.ts';
import type { Act } from '../commands.ts';
import { findRun, ID_HELP, WORKFLOW_OPTION, type Narrowed } from '../find.ts';

interface Options extends Narrowed, ActFlags {
  readonly input?: string;
}

export function define(command: Command, act: Act): void {
  actOptions(
    command
      .argument('<id>', 'which run')
      .option(...WORKFLOW_OPTION)
      .option('--input <json>', 'another input: JSON, @file, or - for stdin'),
  )
    .addHelpText('after', `\n${ID_HELP}`)
    .action(act((cli, id: string, options: Options) => restart(cli, id, options)));
}

async function restart(cli: Cli, id: string, options: Options): Promise<void> {
  const { input } = options;
  const run = await findRun(await checking(cli, input !== undefined), id, options);
  const given = input === undefined ? {} : { input: await payload(input, cli.io) };
  const made = await run.restart({ ...acting(options), ...given });
  const { out } = cli;
  if (out.format !== 'text') return out.json({ run: made.id, restartOf: run.id, created: made.created });
  out.line(made.id);
  out.next(`pawl watch ${made.id}`);
}
