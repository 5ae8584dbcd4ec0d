import type { Command } from 'commander';
import { actedRun, actOptions, DRY_OPTION, NOTE_OPTION, tellReset, type ActArgs } from '../act.ts';
import type { Act } from '../commands.ts';
import { ID_HELP, WORKFLOW_OPTION } from '../find.ts';

interface Options extends ActArgs {
  readonly from: string;
  readonly sameKey?: boolean;
  readonly dryRun?: boolean;
}

export function define(command: Command, act: Act): void {
  command
    .argument('<id>', 'which run')
    .requiredOption('--from <task>', 'this task, by its id in the graph, and what depends on it')
    .option(...WORKFLOW_OPTION)
    .option('--same-key', 'leaves the idempotency keys as they are')
    .option(...DRY_OPTION)
    .option(...NOTE_OPTION)
    .addHelpText('after', `\n${ID_HELP}`)
    .action(
      act(async (cli, id: string, options: Options) => {
        const run = await actedRun(cli, id, options);
        const { from, sameKey = false, dryRun = false } = options;
        tellReset(cli, run.id, await run.rerun(from, { ...actOptions(cli, options), sameKey, dryRun }));
      }),
    );
}
