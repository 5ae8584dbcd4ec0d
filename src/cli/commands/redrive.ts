import type { Command } from 'commander';
import { actedRun, actOptions, DRY_OPTION, NOTE_OPTION, payloadOf, tellReset, type ActArgs } from '../act.ts';
import { itemName, several } from '../args.ts';
import type { Cli } from '../cli.ts';
import type { Act } from '../commands.ts';
import { ID_HELP, WORKFLOW_OPTION } from '../find.ts';

interface Options extends ActArgs {
  readonly task: readonly string[];
  readonly item: readonly string[];
  readonly keep: readonly string[];
  readonly input?: string;
  readonly acceptUnknown?: boolean;
  readonly sameKey?: boolean;
  readonly dryRun?: boolean;
}

export function define(command: Command, act: Act): void {
  command
    .argument('<id>', 'which run')
    .option(...WORKFLOW_OPTION)
    .option('--task <task>', 'this dead letter only; may be given several times', several, [])
    .option('--item <n|key>', 'of a map, these items only; may be given several times', several, [])
    .option('--input <json|@file>', 'goes in instead of what the graph says; needs the entry, for the schema')
    .option('--accept-unknown', 'also what is unsafe and may have happened already')
    .option('--keep <task>', 'stays as it is although it ran on the failure; may be given several times', several, [])
    .option('--same-key', 'leaves the idempotency keys as they are')
    .option(...DRY_OPTION)
    .option(...NOTE_OPTION)
    .addHelpText('after', `\nWithout --task: all dead letters and all cancelled tasks of the run. Finished work is kept.\n${ID_HELP}`)
    .action(act((cli, id: string, options: Options) => redrive(cli, id, options)));
}

async function redrive(cli: Cli, id: string, options: Options): Promise<void> {
  const { task, item, keep, acceptUnknown = false, sameKey = false, dryRun = false } = options;
  const run = await actedRun(cli, id, options, options.input !== undefined);
  const report = await run.redrive({
    ...actOptions(cli, options),
    ...(task.length === 0 ? {} : { task }),
    ...(item.length === 0 ? {} : { item: item.map(itemName) }),
    ...(await payloadOf(cli, 'input', options.input)),
    keep,
    acceptUnknown,
    sameKey,
    dryRun,
  });
  tellReset(cli, run.id, report);
}
