import type { Command } from 'commander';
import { actedRun, actOptions, DRY_OPTION, NOTE_OPTION, payloadOf, type ActArgs } from '../act.ts';
import { several } from '../args.ts';
import type { Cli } from '../cli.ts';
import type { Act } from '../commands.ts';
import { usage } from '../errors.ts';
import { ID_HELP, WORKFLOW_OPTION } from '../find.ts';
import { safe } from '../text.ts';

interface Options extends ActArgs {
  readonly from: readonly string[];
  readonly input?: string;
  readonly dryRun?: boolean;
}

export function define(command: Command, act: Act): void {
  command
    .argument('<id>', 'which run')
    .option('--from <task>', 'is done anew, and what depends on it; may be given several times', several, [])
    .option(...WORKFLOW_OPTION)
    .option('--input <json|@file>', 'another input; needs the entry, for the schema')
    .option(...DRY_OPTION)
    .option(...NOTE_OPTION)
    .addHelpText('after', `\nA new run, which takes over the outputs of everything else that succeeded.\n${ID_HELP}`)
    .action(act((cli, id: string, options: Options) => fork(cli, id, options)));
}

async function fork(cli: Cli, id: string, options: Options): Promise<void> {
  if (options.from.length === 0) throw usage('--from <task> is missing.');
  const { out } = cli;
  const run = await actedRun(cli, id, options, options.input !== undefined);
  if (options.dryRun === true) {
    const { reused } = await run.previewFork(options.from);
    if (out.format !== 'text') return out.json({ from: run.id, reused });
    out.line(`would take over: ${reused.map(safe).join(', ') || 'nothing'}`);
    return out.next('the same without --dry-run does it');
  }
  const { run: made, reused } = await run.fork(options.from, {
    ...actOptions(cli, options),
    ...(await payloadOf(cli, 'input', options.input)),
  });
  if (out.format === 'text') {
    out.line(made.id);
    out.note(`taken over: ${reused.map(safe).join(', ') || 'nothing'}`);
  } else out.json({ run: { ...(await made.status()), created: made.created }, from: run.id, reused });
  out.next(`pawl watch ${made.id}`);
}
