import type { Command } from 'commander';
import type { Act } from '../commands.ts';
import { findRun, ID_HELP, WORKFLOW_OPTION, type Narrowed } from '../find.ts';
import { follow } from '../follow.ts';

export function define(command: Command, act: Act): void {
  command
    .argument('<id>', 'which run')
    .option(...WORKFLOW_OPTION)
    .addHelpText(
      'after',
      `\n${ID_HELP}\nThe exit code is the run's: 0 where it ended well, 1 where it did not. Ctrl-C ends the watching, not the run.`,
    )
    .action(
      act(async (cli, id: string, options: Narrowed) => {
        const run = await findRun(await cli.reader(), id, options);
        const exit = await follow(cli, run);
        if (exit !== 130) cli.out.next(`pawl show ${run.id}`);
        return exit;
      }),
    );
}
