import { Argument, type Command } from 'commander';
import { actedRun, actOptions, NOTE_OPTION, payloadOf, tellDone, tellReset, type ActArgs } from '../act.ts';
import { itemName } from '../args.ts';
import type { Cli } from '../cli.ts';
import type { Act } from '../commands.ts';
import { usage } from '../errors.ts';
import { ID_HELP, WORKFLOW_OPTION } from '../find.ts';

interface Options extends ActArgs {
  readonly task?: string;
  readonly item?: string;
  readonly output?: string;
  readonly dryRun?: boolean;
}

type Status = 'success' | 'skipped' | 'failed';

export function define(command: Command, act: Act): void {
  command
    .argument('<id>', 'which run')
    .addArgument(new Argument('<status>', 'what it counts as').choices(['success', 'skipped', 'failed']))
    .option(...WORKFLOW_OPTION)
    .option('--task <task>', 'the task, by its id in the graph; without it the run, which can be marked failed')
    .option('--item <n|key>', 'one item of a map')
    .option('--output <json|@file>', 'of a success; needs the entry, for the schema')
    .option('--dry-run', 'of a success: say what would be done, and do nothing')
    .option(...NOTE_OPTION)
    .addHelpText(
      'after',
      `
success: the task, which did not succeed, counts as one with this output, and what depends on it goes on
skipped: a task that is pending, queued or retrying ends
failed:  the run fails, its open tasks are cancelled
${ID_HELP}`,
    )
    .action(act((cli, id: string, status: Status, options: Options) => mark(cli, id, { status, options })));
}

async function mark(cli: Cli, id: string, { status, options }: { status: Status; options: Options }): Promise<void> {
  check(status, options);
  const run = await actedRun(cli, id, options, status === 'success');
  const by = actOptions(cli, options);
  const item = options.item === undefined ? {} : { item: itemName(options.item) };
  if (options.task === undefined) {
    await run.markFailed(by);
    return tellDone(cli, run.id, 'failed');
  }
  if (status === 'skipped') {
    await run.skip(options.task, { ...by, ...item });
    return tellDone(cli, run.id, `skipped ${options.task} of`);
  }
  const output = await payloadOf(cli, 'output', options.output);
  tellReset(cli, run.id, await run.mark(options.task, { ...by, ...item, ...output, dryRun: options.dryRun === true }));
}

function check(status: Status, { task, item, output, dryRun }: Options): void {
  if ((status === 'failed') !== (task === undefined))
    throw usage(
      status === 'failed'
        ? 'Only a run can be marked failed: leave out --task.'
        : `--task <task> is missing: only a task can be marked ${status}.`,
    );
  if (item !== undefined && task === undefined) throw usage('--item goes with --task.');
  if (output !== undefined && status !== 'success') throw usage('--output goes with success.');
  if (dryRun === true && status !== 'success') throw usage('--dry-run goes with success.');
}
