import type { Command } from 'commander';
import type { RunView } from '../../client/views.ts';
import type { Engine } from '../../facade.ts';
import { shellWord, wholeNumber } from '../args.ts';
import type { Cli } from '../cli.ts';
import type { Act } from '../commands.ts';
import { parseQuery, QUERY_HELP } from '../query.ts';
import { statusText } from '../status.ts';
import { table, type Column } from '../table.ts';
import { count, safe } from '../text.ts';
import { ageText, lengthText } from '../time.ts';

const PAGE = 500;

export function define(command: Command, act: Act): void {
  command
    .argument('[query...]', 'which runs; default: all')
    .option('--limit <n>', 'at most so many', '50')
    .option('--all', 'without a limit')
    .addHelpText('after', `\n${QUERY_HELP}`)
    .action(act((cli, query: string[], options: { limit: string; all?: boolean }) => list(cli, query, options)));
}

async function list(cli: Cli, query: readonly string[], options: { readonly limit: string; readonly all?: boolean }): Promise<void> {
  const filter = parseQuery(query);
  const limit = options.all === true ? Infinity : wholeNumber(options.limit, '--limit');
  const engine = await cli.reader();
  const { out } = cli;
  if (out.format === 'jsonl') {
    for await (const run of pages(engine, filter, limit)) out.json({ run });
    return;
  }
  const runs: RunView[] = [];
  for await (const run of pages(engine, filter, limit + 1)) runs.push(run);
  const hasMore = runs.length > limit;
  const shown = hasMore ? runs.slice(0, limit) : runs;
  if (out.format === 'json') return out.json({ runs: shown, more: hasMore });
  if (shown.length === 0) {
    out.note(query.length === 0 ? 'No run yet.' : 'No run fits the query.');
    return out.next(query.length === 0 ? 'pawl start <workflow>' : 'pawl ls');
  }
  out.lines(runTable(shown, cli));
  if (hasMore) out.note(`There are more than ${count(limit, 'run')}: --limit or --all shows them.`);
  const worst = shown.find((run) => run.status === 'failed') ?? shown[0];
  out.next(`pawl show ${shellWord(worst?.id.slice(0, SHORT_ID) ?? '')}`);
}

/** Runs from page to page, newest first. */
export async function* pages(engine: Engine, filter: ReturnType<typeof parseQuery>, limit: number): AsyncGenerator<RunView, void> {
  let left = limit;
  let cursor: string | undefined;
  do {
    const page = await engine.runs.list({ ...filter, limit: Math.min(PAGE, left), ...(cursor === undefined ? {} : { cursor }) });
    yield* page.runs;
    left -= page.runs.length;
    cursor = page.next;
  } while (cursor !== undefined && left > 0);
}

const RUNS: readonly Column[] = [
  { title: 'STATUS' },
  { title: 'ID' },
  { title: 'WORKFLOW', least: 10 },
  { title: 'KEY', least: 8 },
  { title: 'ACCEPTED' },
  { title: 'TOOK', align: 'right' },
  { title: 'TAGS', least: 6 },
];

/** Enough of an id to name it; a pipe gets all of it. */
const SHORT_ID = 10;

function runTable(runs: readonly RunView[], { out, io }: Cli): string[] {
  const now = io.now();
  const rows = runs.map((run) => [
    statusText(run.waiting === true ? 'waiting' : run.status, out),
    out.isTerminal ? run.id.slice(0, SHORT_ID) : run.id,
    safe(run.workflow),
    safe(run.key ?? ''),
    out.isTerminal ? ageText(run.acceptedAt, now) : run.acceptedAt.toISOString(),
    run.status === 'scheduled' ? '' : lengthText((run.finishedAt?.getTime() ?? now) - (run.startAt ?? run.acceptedAt).getTime()),
    run.tags.map(safe).join(' '),
  ]);
  return table(RUNS, rows, out.columns);
}
