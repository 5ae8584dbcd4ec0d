import type { Command } from 'commander';
import { acting, actOptions, type ActFlags } from '../acts.ts';
import type { Cli } from '../cli.ts';
import type { Act } from '../commands.ts';
import { findRun, ID_HELP, WORKFLOW_OPTION, type Narrowed } from '../find.ts';
import { movePlaced, PLACED_HELP, placedOf } from '../placed.ts';

export function define(command: Command, act: Act): void {
  actOptions(command.argument('<id>', 'which run, queue:<name> or workflow:<name>').option(...WORKFLOW_OPTION))
    .addHelpText('after', `\n${ID_HELP}\n${PLACED_HELP}`)
    .action(act((cli, id: string, options: Narrowed & ActFlags) => resume(cli, id, options)));
}

async function resume(cli: Cli, id: string, options: Narrowed & ActFlags): Promise<void> {
  const placed = placedOf(id);
  if (placed !== null) return movePlaced(cli, placed, 'resume', options.note);
  const run = await findRun(await cli.existing(), id, options);
  await run.resume(acting(options));
  const { out } = cli;
  if (out.format !== 'text') return out.json({ run: run.id, status: (await run.status()).status });
  out.line(`resumed ${run.id}`);
  out.next(`pawl watch ${run.id}`);
}
