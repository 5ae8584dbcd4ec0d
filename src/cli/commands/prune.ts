import type { Command } from 'commander';
import { PawlError } from '../../core/errors.ts';
import type { Duration } from '../../core/duration-text.ts';
import { milliseconds } from '../args.ts';
import type { Cli } from '../cli.ts';
import type { Act } from '../commands.ts';
import { UNASKED } from '../confirm.ts';
import { count } from '../text.ts';

interface Options {
  readonly older: string;
  readonly journal?: string;
  readonly dryRun?: boolean;
}

export function define(command: Command, act: Act): void {
  command
    .requiredOption('--older <duration>', 'finished runs, failed ones too, that ended so long ago: 30d')
    .option('--journal <duration>', 'rows of the journal so old too; without it none are deleted')
    .option('--dry-run', 'count what would be deleted, delete nothing')
    .addHelpText(
      'after',
      `\nOpen and quarantined runs stay. More than ${UNASKED} runs need --yes. Workers do the same by themselves, by the retention of their engine.`,
    )
    .action(act((cli, options: Options) => prune(cli, options)));
}

async function prune(cli: Cli, { older, journal, dryRun: isDry }: Options): Promise<number> {
  const asked = {
    olderThan: durationOf(older, '--older'),
    ...(journal === undefined ? {} : { journal: durationOf(journal, '--journal') }),
  };
  cli.requireStore();
  // What is not asked for is not deleted, whatever an engine does by default.
  const engine = await cli.engine({ use: [], retention: false, ...(isDry === true ? { access: 'read' } : {}) });
  const would = await engine.prune({ ...asked, dryRun: true });
  if (isDry === true) return tell(cli, would, { isDry, older });
  if (would.runs > UNASKED && cli.options.yes !== true) throw unconfirmed(would.runs, older);
  const interrupt = cli.io.interrupt();
  tell(cli, await engine.prune({ ...asked, signal: interrupt }), { isDry: false, older });
  if (!interrupt.aborted) return 0;
  cli.out.note('Interrupted: the rest stays for the next time.');
  return 130;
}

function durationOf(text: string, option: string): Duration {
  milliseconds(text, option);
  return text as Duration;
}

function unconfirmed(runs: number, older: string): PawlError {
  return new PawlError('RUN_UNCONFIRMED', `${count(runs, 'finished run')} ended more than ${older} ago; nothing was deleted.`, {
    fix: `If all of them are to go: pawl prune --older ${older} --yes.`,
    details: { matched: runs },
  });
}

interface Told {
  readonly isDry: boolean;
  readonly older: string;
}

function tell({ out }: Cli, { runs, journalRows }: { runs: number; journalRows: number }, { isDry, older }: Told): number {
  if (out.format !== 'text') {
    out.json({ runs, journalRows, deleted: !isDry });
    return 0;
  }
  out.line(
    `${isDry ? 'would delete' : 'deleted'} ${count(runs, 'run')}${journalRows > 0 ? `, ${count(journalRows, 'row')} of the journal` : ''}`,
  );
  out.next(isDry ? `pawl prune --older ${older}${runs > UNASKED ? ' --yes' : ''}` : 'pawl ls');
  return 0;
}
