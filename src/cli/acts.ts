import { userInfo } from 'node:os';
import type { Command } from 'commander';
import type { ActOptions, ResetReport } from '../client/acts.ts';
import type { Engine } from '../facade.ts';
import type { Cli } from './cli.ts';
import { statusText } from './status.ts';
import { table } from './table.ts';
import { safe } from './text.ts';

/** Options of every command by which a person acts on runs. */
export interface ActFlags {
  readonly requestId?: string;
  readonly note?: string;
}

export function actOptions(command: Command): Command {
  return command
    .option('--note <text>', 'kept with the act, see pawl audit')
    .option('--request-id <id>', 'the same id within 7 days: the same act, done once');
}

/** Who acts on what is no run. */
export const operating = (note?: string): { readonly actor: string; readonly note?: string } => ({
  actor: systemUser(),
  ...(note === undefined ? {} : { note }),
});

/** Who acts: the user of the system. */
export function acting({ requestId, note }: ActFlags): ActOptions {
  return {
    actor: systemUser(),
    ...(requestId === undefined ? {} : { requestId }),
    ...(note === undefined ? {} : { note }),
  };
}

function systemUser(): string {
  try {
    return `cli:${userInfo().username}`;
  } catch {
    // A process without an entry in the list of users, as in some containers.
    return `cli:${process.getuid?.() ?? 'unknown'}`;
  }
}

/** An engine that has the code where a value is to be checked by a schema. */
export async function checking(cli: Cli, hasValue: boolean): Promise<Engine> {
  cli.requireStore();
  return hasValue ? cli.engine({ use: (await cli.entry()).use }) : cli.existing();
}

const WHY: Readonly<Record<ResetReport['tasks'][number]['why'], string>> = {
  named: 'named',
  fail_fast: 'was cancelled because of the failure',
  downstream: 'depends on it',
  ran_on_the_failure: 'ran on the failure',
  lost_the_race: 'lost the race',
  handler: 'catches its failure',
  bracket: 'sets up again what was torn down',
  around: 'goes on around its items',
};
const KEPT = { asked: 'kept as asked: stale', unsafe: 'kept, its effects are unsafe: stale' } as const;
const LINES = 50;

/** What a redrive, a rerun or a mark reset, or would. */
export function reportLines(cli: Cli, report: ResetReport): string[] {
  const { out } = cli;
  const rows = report.tasks
    .slice(0, LINES)
    .map(({ task, item, was, why }) => [
      `  ${safe(task)}${item === undefined ? '' : ` #${item}`}`,
      `was ${statusText(was, out)}`,
      WHY[why],
    ]);
  const kept = report.kept.map(({ task, why }) => [`  ${safe(task)}`, '', KEPT[why]]);
  const lines = table([{ title: '', least: 12 }, { title: '' }, { title: '' }], [...rows, ...kept], out.columns).slice(1);
  const more = report.count - rows.length;
  return more > 0 ? [...lines, `  and ${more.toLocaleString('en-US')} more`] : lines;
}
