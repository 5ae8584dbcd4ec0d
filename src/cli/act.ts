import type { ActOptions, ResetReport } from '../client/acts.ts';
import type { Run } from '../client/run.ts';
import { payload } from './args.ts';
import type { Cli } from './cli.ts';
import { findRun, type Narrowed } from './find.ts';
import { table, type Column } from './table.ts';
import { count, safe } from './text.ts';

/** What acts on runs share: who acts, the note, the report. */

export const NOTE_OPTION = ['--note <text>', 'why; kept with the act'] as const;
export const DRY_OPTION = ['--dry-run', 'say what would be done, and do nothing'] as const;

export interface ActArgs extends Narrowed {
  readonly note?: string;
}

/** For the audit: the person at the terminal. */
export function actOptions({ io }: Cli, { note }: { readonly note?: string }): ActOptions {
  const { USER, LOGNAME, USERNAME } = io.env;
  return { actor: `cli:${USER ?? LOGNAME ?? USERNAME ?? 'unknown'}`, ...(note === undefined ? {} : { note }) };
}

/** The run; with the entry's code where what is given must be checked against schemas. */
export async function actedRun(cli: Cli, id: string, args: Narrowed, needsCode = false): Promise<Run<unknown>> {
  cli.requireStore();
  return findRun(await cli.engine({ use: needsCode ? (await cli.entry()).use : [] }), id, args);
}

/** `{ input }` or `{ output }` where the option was given, else nothing: an option that is absent is not the value undefined. */
export async function payloadOf<N extends string>(cli: Cli, name: N, text: string | undefined): Promise<{ readonly [K in N]?: unknown }> {
  return text === undefined ? {} : ({ [name]: await payload(text, cli.io) } as { readonly [K in N]?: unknown });
}

const COLUMNS: readonly Column[] = [{ title: 'TASK', least: 12 }, { title: 'WAS' }, { title: 'WHY' }];

export function tellReset(cli: Cli, id: string, report: ResetReport): void {
  const { out } = cli;
  if (out.format !== 'text') return out.json({ runId: id, report });
  out.line(`${id}: ${count(report.count, 'task')} ${report.applied ? 'reset' : 'would be reset'}, generation ${report.generation}`);
  const rows = report.tasks.map(({ task, item, was, why }) => [
    `${safe(task)}${item === undefined ? '' : ` #${item}`}`,
    was,
    why.replaceAll('_', ' '),
  ]);
  if (rows.length > 0) out.lines(table(COLUMNS, rows, out.columns));
  for (const { task, why } of report.kept)
    out.line(`${safe(task)} stays as it is: ${why === 'asked' ? 'as asked' : 'its effects are unsafe'}`);
  out.next(report.applied ? `pawl watch ${id}` : 'the same without --dry-run does it');
}

/** An act that changes the run and has nothing to report but that. */
export function tellDone({ out }: Cli, id: string, done: string): void {
  if (out.format === 'text') out.line(`${done} ${id}`);
  else out.json({ runId: id, done });
  out.next(`pawl show ${id}`);
}
