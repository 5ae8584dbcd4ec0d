import type { Command } from 'commander';
import type { AuditEntry } from '../../client/audit.ts';
import { shellWord, wholeNumber } from '../args.ts';
import type { Cli } from '../cli.ts';
import type { Act } from '../commands.ts';
import { findRun, ID_HELP, WORKFLOW_OPTION, type Narrowed } from '../find.ts';
import { table } from '../table.ts';
import { safe } from '../text.ts';
import { ageText } from '../time.ts';

const PAGE = 500;

export function define(command: Command, act: Act): void {
  command
    .argument('[id]', 'of one run only')
    .option(...WORKFLOW_OPTION)
    .option('--limit <n>', 'at most so many', '50')
    .addHelpText('after', `\n${ID_HELP}`)
    .action(act((cli, id: string | undefined, options: Narrowed & { limit: string }) => audit(cli, id, options)));
}

async function audit(cli: Cli, id: string | undefined, options: Narrowed & { readonly limit: string }): Promise<void> {
  const limit = wholeNumber(options.limit, '--limit');
  const engine = await cli.reader();
  const run = id === undefined ? {} : { run: (await findRun(engine, id, options)).id };
  const entries: AuditEntry[] = [];
  let cursor: string | undefined;
  do {
    const page = await engine.audit({ ...run, limit: Math.min(PAGE, limit - entries.length), ...(cursor === undefined ? {} : { cursor }) });
    entries.push(...page.entries);
    cursor = page.next;
  } while (cursor !== undefined && entries.length < limit);
  tell(cli, entries);
}

function tell({ out, io }: Cli, entries: readonly AuditEntry[]): void {
  if (out.format === 'json') return out.json({ entries });
  if (out.format === 'jsonl') return entries.forEach((entry) => out.json({ entry }));
  if (entries.length === 0) return out.note('Nobody has acted on a run yet.');
  const rows = entries.map(({ at, actor, action, runId, note, facts }) => [
    out.isTerminal ? ageText(at, io.now()) : at.toISOString(),
    safe(actor),
    action,
    out.isTerminal ? runId.slice(0, 10) : runId,
    safe([...(note === undefined ? [] : [note]), ...(isEmpty(facts) ? [] : [JSON.stringify(facts)])].join(' · ')),
  ]);
  out.lines(
    table([{ title: 'AT' }, { title: 'ACTOR', least: 8 }, { title: 'ACT' }, { title: 'RUN' }, { title: '', least: 10 }], rows, out.columns),
  );
  out.next(`pawl show ${shellWord(entries[0]?.runId ?? '')}`);
}

const isEmpty = (facts: unknown): boolean => typeof facts === 'object' && facts !== null && Object.keys(facts).length === 0;
