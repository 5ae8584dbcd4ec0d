import type { Command } from 'commander';
import type { AuditEntry } from '../../client/audit.ts';
import { shellWord, wholeNumber } from '../args.ts';
import type { Cli } from '../cli.ts';
import type { Act } from '../commands.ts';
import { subjectOf, subjectText } from '../../client/operator-acts.ts';
import { findRun, ID_HELP, WORKFLOW_OPTION, type Narrowed } from '../find.ts';
import { table } from '../table.ts';
import { count, safe } from '../text.ts';
import { ageText } from '../time.ts';

const PAGE = 500;

export function define(command: Command, act: Act): void {
  command
    .argument('[id]', 'of one run only, or queue:, workflow:, limit:, schedule: and a name')
    .option(...WORKFLOW_OPTION)
    .option('--limit <n>', 'at most so many', '50')
    .addHelpText('after', `\n${ID_HELP}`)
    .action(act((cli, id: string | undefined, options: Narrowed & { limit: string }) => audit(cli, id, options)));
}

async function audit(cli: Cli, id: string | undefined, options: Narrowed & { readonly limit: string }): Promise<void> {
  const limit = wholeNumber(options.limit, '--limit');
  const engine = await cli.reader();
  const of = id === undefined ? {} : subjectOf(id) === null ? { run: (await findRun(engine, id, options)).id } : { on: id };
  const entries: AuditEntry[] = [];
  let cursor: string | undefined;
  do {
    const page = await engine.audit({ ...of, limit: Math.min(PAGE, limit - entries.length), ...(cursor === undefined ? {} : { cursor }) });
    entries.push(...page.entries);
    cursor = page.next;
  } while (cursor !== undefined && entries.length < limit);
  tell(cli, entries, cursor !== undefined);
}

function tell({ out, io }: Cli, entries: readonly AuditEntry[], more: boolean): void {
  if (out.format === 'json') return out.json({ entries, more });
  if (out.format === 'jsonl') return entries.forEach((entry) => out.json({ entry }));
  if (entries.length === 0) return out.note('Nobody has acted yet.');
  const rows = entries.map(({ at, actor, action, runId, on, note, facts }) => [
    out.isTerminal ? ageText(at, io.now()) : at.toISOString(),
    safe(actor),
    action,
    runId === undefined ? safe(on === undefined ? '' : subjectText(on)) : out.isTerminal ? runId.slice(0, 10) : runId,
    safe([...(note === undefined ? [] : [note]), ...(isEmpty(facts) ? [] : [JSON.stringify(facts)])].join(' · ')),
  ]);
  out.lines(
    table([{ title: 'AT' }, { title: 'ACTOR', least: 8 }, { title: 'ACT' }, { title: 'ON' }, { title: '', least: 10 }], rows, out.columns),
  );
  if (more) out.note(`There are more than ${count(entries.length, 'act')}: --limit shows them.`);
  const shown = entries.find(({ runId }) => runId !== undefined)?.runId;
  if (shown !== undefined) out.next(`pawl show ${shellWord(shown)}`);
}

const isEmpty = (facts: unknown): boolean => typeof facts === 'object' && facts !== null && Object.keys(facts).length === 0;
