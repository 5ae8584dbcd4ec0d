import type { Command } from 'commander';
import { actedRun, actOptions, NOTE_OPTION, payloadOf, type ActArgs } from '../act.ts';
import type { Act } from '../commands.ts';
import { ID_HELP, WORKFLOW_OPTION } from '../find.ts';

export function define(command: Command, act: Act): void {
  command
    .argument('<id>', 'which run')
    .option(...WORKFLOW_OPTION)
    .option('--input <json|@file>', 'another input; needs the entry, for the schema')
    .option(...NOTE_OPTION)
    .addHelpText('after', `\nA new run from nothing, linked to the old one.\n${ID_HELP}`)
    .action(
      act(async (cli, id: string, options: ActArgs & { readonly input?: string }) => {
        const run = await actedRun(cli, id, options, options.input !== undefined);
        const made = await run.restart({ ...actOptions(cli, options), ...(await payloadOf(cli, 'input', options.input)) });
        if (cli.out.format === 'text') cli.out.line(made.id);
        else cli.out.json({ run: { ...(await made.status()), created: made.created }, from: run.id });
        cli.out.next(`pawl watch ${made.id}`);
      }),
    );
}
