import type { Command } from 'commander';
import type { Run } from '../../client/run.ts';
import { acting, actOptions, checking, reportLines, type ActFlags } from '../acts.ts';
import { payload } from '../args.ts';
import type { Cli } from '../cli.ts';
import type { Act } from '../commands.ts';
import { usage } from '../errors.ts';
import { findRun, ID_HELP, WORKFLOW_OPTION, type Narrowed } from '../find.ts';
import { itemName } from '../items.ts';
import { safe } from '../text.ts';

interface Options extends Narrowed, ActFlags {
  readonly task?: string;
  readonly item?: string;
  readonly output?: string;
  readonly dryRun?: boolean;
}

const HELP = `
  pawl mark <id> success --task T --output @f   the task counts as a success with this output; what depends on it goes on
  pawl mark <id> skipped --task T               a task that has not begun ends as skipped
  pawl mark <id> failed                         the run fails, its open tasks are cancelled`;

export function define(command: Command, act: Act): void {
  actOptions(
    command
      .argument('<id>', 'which run')
      .argument('<as>', 'success, skipped or failed')
      .option('--task <task>', 'the task')
      .option('--item <index|key>', 'of a map: the item')
      .option('--output <json>', 'of a success: JSON, @file, or - for stdin; the schema of the task must take it')
      .option('--dry-run', 'of a success: show what would be reset, reset nothing')
      .option(...WORKFLOW_OPTION),
  )
    .addHelpText('after', `${HELP}\n\n${ID_HELP}`)
    .action(act((cli, id: string, as: string, options: Options) => mark(cli, { id, as, options })));
}

async function mark(cli: Cli, { id, as, options }: { readonly id: string; readonly as: string; readonly options: Options }): Promise<void> {
  const { task, item, output, dryRun } = options;
  if (as !== 'success' && as !== 'skipped' && as !== 'failed') throw usage(`${as}: a run or task cannot be marked as that.`, HELP.trim());
  if ((task === undefined) !== (as === 'failed'))
    throw usage(as === 'failed' ? 'A run is marked failed, not a task.' : '--task is missing.', HELP.trim());
  if (as !== 'success' && (output !== undefined || dryRun === true)) throw usage('--output and --dry-run go with success.', HELP.trim());
  const run = await findRun(await checking(cli, as === 'success'), id, options);
  const at = item === undefined ? {} : { item: itemName(item) };
  if (as === 'success') return success(cli, run, { ...options, task: task ?? '' });
  if (as === 'skipped') await run.skip(task ?? '', { ...acting(options), ...at });
  else await run.markFailed(acting(options));
  const { out } = cli;
  if (out.format !== 'text') return out.json({ run: run.id, ...(task === undefined ? {} : { task }), marked: as });
  out.line(task === undefined ? `failed ${run.id}` : `skipped ${safe(task)} of ${run.id}`);
  out.next(`pawl show ${run.id}`);
}

async function success(cli: Cli, run: Run<unknown>, options: Options & { readonly task: string }): Promise<void> {
  const { task, item, output, dryRun } = options;
  const report = await run.mark(task, {
    ...acting(options),
    ...(item === undefined ? {} : { item: itemName(item) }),
    ...(output === undefined ? {} : { output: await payload(output, cli.io) }),
    dryRun: dryRun === true,
  });
  const { out } = cli;
  if (out.format !== 'text') return out.json({ run: run.id, task, marked: 'success', ...report });
  out.line(`${report.applied ? 'marked' : 'would mark'} ${safe(task)} of ${run.id} as success  generation ${report.generation}`);
  out.lines(reportLines(cli, report));
  out.next(report.applied ? `pawl watch ${run.id}` : 'the same without --dry-run marks it');
}
