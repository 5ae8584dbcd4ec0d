import type { Command } from 'commander';
import { actedRun, actOptions, NOTE_OPTION, tellDone, type ActArgs } from '../act.ts';
import type { Act } from '../commands.ts';
import { ID_HELP, WORKFLOW_OPTION } from '../find.ts';

export function define(command: Command, act: Act): void {
  command
    .argument('<id>', 'which run')
    .option(...WORKFLOW_OPTION)
    .option(...NOTE_OPTION)
    .addHelpText('after', `\nNothing new of it is claimed; what runs is finished, timers and deadlines go on.\n${ID_HELP}`)
    .action(
      act(async (cli, id: string, options: ActArgs) => {
        const run = await actedRun(cli, id, options);
        await run.pause(actOptions(cli, options));
        tellDone(cli, run.id, 'paused');
      }),
    );
}
