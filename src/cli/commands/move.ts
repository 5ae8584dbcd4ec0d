import type { Command } from 'commander';
import type { RunMoved } from '../../client/versions.ts';
import { obstaclesText } from '../../client/versions.ts';
import { isRunOver, RUN_STATUSES } from '../../core/kernel/states.ts';
import type { Engine } from '../../facade.ts';
import { acting, actOptions, type ActFlags } from '../acts.ts';
import { shellWord } from '../args.ts';
import type { Cli } from '../cli.ts';
import type { Act } from '../commands.ts';
import { confirm, UNASKED } from '../confirm.ts';
import { findRun, ID_HELP, WORKFLOW_OPTION, type Narrowed } from '../find.ts';
import { isQuery, parseQuery, QUERY_HELP } from '../query.ts';
import { count, safe } from '../text.ts';
import { pages } from './ls.ts';

interface Options extends Narrowed, ActFlags {
  readonly to: string;
  readonly dryRun?: boolean;
}

const OPEN = RUN_STATUSES.filter((status) => !isRunOver[status]);

export function define(command: Command, act: Act): void {
  actOptions(
    command
      .argument('<id|query...>', 'which runs; of a query those that are open')
      .requiredOption('--to <version>', 'a version of their workflow that is in the store, newer or older')
      .option('--dry-run', 'show which would move and what stands in the way, move nothing')
      .option(...WORKFLOW_OPTION),
  )
    .addHelpText('after', `\n${ID_HELP}\n\n${QUERY_HELP}\n\nMore than ${UNASKED} matches need --yes.`)
    .action(act((cli, words: string[], options: Options) => move(cli, words, options)));
}

/** Gives 4 where a run could not be moved. */
async function move(cli: Cli, words: readonly string[], options: Options): Promise<number | undefined> {
  const { to, dryRun = false } = options;
  const engine = await (dryRun ? cli.reader() : cli.existing());
  const how = { ...acting(options), to, dryRun };
  if (!isQuery(words)) {
    const run = await findRun(engine, words.join(' '), options);
    return tell(cli, [{ id: run.id, ...(await run.move(how)) }], options);
  }
  const filter = parseQuery(words);
  if (!dryRun) {
    const matched = await countOpen(engine, filter);
    confirm({ matched, query: words, command: `pawl move --to ${shellWord(to)}`, list: 'pawl ls', yes: cli.options.yes === true });
  }
  const done: RunMoved[] = [];
  for await (const one of engine.runs.move(filter, how)) {
    if (cli.out.format === 'jsonl') cli.out.json({ run: one });
    done.push(one);
  }
  return tell(cli, done, options);
}

async function countOpen(engine: Engine, filter: ReturnType<typeof parseQuery>): Promise<number> {
  const status = (filter.status ?? OPEN).filter((one) => !isRunOver[one]);
  let found = 0;
  if (status.length > 0) for await (const _ of pages(engine, { ...filter, status }, Infinity)) found++;
  return found;
}

function tell({ out }: Cli, all: readonly RunMoved[], { to, dryRun = false }: Options): number | undefined {
  const stays = all.filter(({ obstacles, held }) => obstacles.length > 0 || held);
  const moves = all.filter((one) => !stays.includes(one));
  const exit = stays.length > 0 && !dryRun ? 4 : undefined;
  if (out.format === 'json') {
    out.json({ runs: all });
    return exit;
  }
  if (out.format === 'jsonl') return exit;
  const verb = dryRun ? 'would move' : 'moved';
  if (moves.length > 1) out.line(`${count(moves.length, 'run')} ${verb} to ${safe(to)}`);
  else for (const { id, from } of moves) out.line(`${id} ${verb} from ${safe(from)} to ${safe(to)}`);
  for (const { id, from, obstacles, held } of stays) {
    const why = held ? 'a worker holds some of it: try again when that has ended' : obstaclesText(obstacles);
    out.line(`${id} ${dryRun ? 'would stay' : 'stays'} on ${safe(from)}: ${safe(why)}`);
  }
  if (all.length === 0) out.note('No open run fits the query.');
  const first = all[0]?.id ?? '';
  out.next(dryRun ? 'the same without --dry-run moves them' : all.length === 1 ? `pawl show ${first}` : `pawl ls`);
  return exit;
}
