import type { Command } from 'commander';
import { wholeNumber } from '../args.ts';
import type { Cli } from '../cli.ts';
import type { Act } from '../commands.ts';
import { table } from '../table.ts';
import { count, safe } from '../text.ts';

type Row = Readonly<Record<string, unknown>>;

export function define(command: Command, act: Act): void {
  command
    .argument('<select>', 'one query, in SQL')
    .option('--limit <n>', 'at most so many rows', '1000')
    .addHelpText('after', '\nThe views run_overview and task_overview show states in words. What would write is refused.')
    .action(act((cli, text: string, options: { limit: string }) => query(cli, text, options)));
}

async function query(cli: Cli, text: string, options: { readonly limit: string }): Promise<void> {
  const limit = wholeNumber(options.limit, '--limit');
  cli.requireStore();
  const { queryStore } = await import('../../compose.ts');
  const { out } = cli;
  const rows: Row[] = [];
  let more = false;
  for (const row of await queryStore(cli.store, text)) {
    more = rows.length >= limit;
    if (more) break;
    rows.push(Object.fromEntries(Object.entries(row).map(([name, value]) => [name, small(value)])));
  }
  if (more) out.note(`There are more than ${count(limit, 'row')}: --limit shows them.`);
  if (out.format === 'json') return out.json({ rows, more });
  if (out.format === 'jsonl') return rows.forEach((row) => out.json({ row }));
  const [first] = rows;
  if (first === undefined) return out.note('No row.');
  const heads = Object.keys(first);
  const cells = rows.map((row) => heads.map((head) => safe(cellText(row[head]))));
  out.lines(
    table(
      heads.map((title) => ({ title: safe(title), least: 6 })),
      cells,
      out.columns,
    ),
  );
}

/** Numbers come as bigint, so that none is rounded; those that fit become plain ones. */
function small(value: unknown): unknown {
  if (typeof value !== 'bigint') return value;
  return value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;
}

function cellText(value: unknown): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'bigint') return String(value);
  return value instanceof Uint8Array ? `x'${Buffer.from(value).toString('hex')}'` : '';
}
