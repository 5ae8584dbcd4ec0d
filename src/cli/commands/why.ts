import type { Command } from 'commander';
import { usage } from '../errors.ts';
import type { Act } from '../commands.ts';
import { findRun, ID_HELP, WORKFLOW_OPTION, type Narrowed } from '../find.ts';
import { itemName } from '../args.ts';
import { safe } from '../text.ts';

export function define(command: Command, act: Act): void {
  command
    .argument('<id>', 'which run')
    .argument('[task]', 'one task of it, by its id in the graph')
    .option(...WORKFLOW_OPTION)
    .option('--item <n|key>', 'one item of a map')
    .addHelpText('after', `\n${ID_HELP}`)
    .action(
      act(async (cli, id: string, task: string | undefined, options: Narrowed & { readonly item?: string }) => {
        if (options.item !== undefined && task === undefined) throw usage('--item goes with a task.');
        const run = await findRun(await cli.existing(), id, options);
        const why = await run.why(task, options.item === undefined ? undefined : itemName(options.item));
        if (cli.out.format === 'text') cli.out.line(safe(why.sentence));
        else cli.out.json({ runId: run.id, why });
        cli.out.next(`pawl show ${run.id}`);
      }),
    );
}
