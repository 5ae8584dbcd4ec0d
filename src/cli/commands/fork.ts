import type { Command } from 'commander';
import { acting, actOptions, checking, type ActFlags } from '../acts.ts';
import { payload } from '../args.ts';
import type { Cli } from '../cli.ts';
import type { Act } from '../commands.ts';
import { findRun, ID_HELP, WORKFLOW_OPTION, type Narrowed } from '../find.ts';
import { safe } from '../text.ts';
import { fitted } from '../wrap.ts';

interface Options extends Narrowed, ActFlags {
  readonly from: readonly string[];
  readonly input?: string;
  readonly version?: string;
  readonly dryRun?: boolean;
}

export function define(command: Command, act: Act): void {
  actOptions(
    command
      .argument('<id>', 'which run')
      .requiredOption(
        '--from <task>',
        'do this task and what depends on it anew; may be given several times',
        (one: string, before: readonly string[] | undefined) => (before === undefined ? [one] : [...before, one]),
      )
      .option(...WORKFLOW_OPTION)
      .option('--input <json>', 'another input for the new run: JSON, @file, or - for stdin')
      .option('--version <version>', 'as a run of another version of its workflow; what differs there is done anew')
      .option('--dry-run', 'show what would be taken over, start nothing'),
  )
    .addHelpText('after', `\n${ID_HELP}`)
    .action(act((cli, id: string, options: Options) => fork(cli, id, options)));
}

async function fork(cli: Cli, id: string, options: Options): Promise<void> {
  const { from, input, version, dryRun } = options;
  const other = version === undefined ? {} : { version };
  const run = await findRun(await checking(cli, input !== undefined), id, options);
  const { out } = cli;
  if (dryRun === true) {
    const { reused } = await run.previewFork(from, other);
    if (out.format !== 'text') return out.json({ forkOf: run.id, reused });
    out.lines(fitted('would take over ', namesOf(reused), out.columns));
    return out.next('the same without --dry-run starts it');
  }
  const given = input === undefined ? {} : { input: await payload(input, cli.io) };
  const { run: made, reused } = await run.fork(from, { ...acting(options), ...given, ...other });
  if (out.format !== 'text') return out.json({ run: made.id, forkOf: run.id, created: made.created, reused });
  out.line(made.id);
  for (const line of fitted('It took over ', `${namesOf(reused)}.`, out.columns)) out.note(line);
  out.next(`pawl watch ${made.id}`);
}

const namesOf = (tasks: readonly string[]): string => (tasks.length === 0 ? 'nothing' : tasks.map(safe).join(', '));
