import type { Command } from 'commander';
import { acting, actOptions, reportLines, type ActFlags } from '../acts.ts';
import type { Cli } from '../cli.ts';
import type { Act } from '../commands.ts';
import { findRun, ID_HELP, WORKFLOW_OPTION, type Narrowed } from '../find.ts';

interface Options extends Narrowed, ActFlags {
  readonly from: string;
  readonly sameKey?: boolean;
  readonly dryRun?: boolean;
}

export function define(command: Command, act: Act): void {
  actOptions(
    command
      .argument('<id>', 'which run')
      .requiredOption('--from <task>', 'the task to do over, with everything that depends on it')
      .option(...WORKFLOW_OPTION)
      .option('--same-key', 'leave the idempotency keys as they are')
      .option('--dry-run', 'show what would be reset, reset nothing'),
  )
    .addHelpText('after', `\n${ID_HELP}`)
    .action(act((cli, id: string, options: Options) => rerun(cli, id, options)));
}

async function rerun(cli: Cli, id: string, options: Options): Promise<void> {
  const run = await findRun(await cli.existing(), id, options);
  const { from, sameKey, dryRun } = options;
  const report = await run.rerun(from, { ...acting(options), sameKey: sameKey === true, dryRun: dryRun === true });
  const { out } = cli;
  if (out.format !== 'text') return out.json({ run: run.id, ...report });
  out.line(`${report.applied ? 'reran' : 'would rerun'} ${run.id}  generation ${report.generation}`);
  out.lines(reportLines(cli, report));
  out.next(...(report.applied ? [`pawl watch ${run.id}`] : ['the same without --dry-run reruns it']));
}
