import { Option, type Command } from 'commander';
import type { LogFilter, LogLine } from '../../client/logs.ts';
import type { Run } from '../../client/run.ts';
import { LOG_LEVELS, type LogLevel } from '../../core/log.ts';
import { isRunOver } from '../../core/kernel/states.ts';
import { shellWord, wholeNumber } from '../args.ts';
import type { Cli } from '../cli.ts';
import type { Act } from '../commands.ts';
import { usage } from '../errors.ts';
import { findRun, ID_HELP, WORKFLOW_OPTION, type Narrowed } from '../find.ts';
import { interrupted } from '../follow.ts';
import { factsText } from '../log.ts';
import type { Colour, Output } from '../output.ts';
import { clip, count, safe } from '../text.ts';
import { clockText } from '../time.ts';

const LIMIT = 1_000;
const PAGE = 1_000;

interface Options extends Narrowed {
  readonly follow?: boolean;
  readonly item?: string;
  readonly attempt?: string;
  readonly level?: LogLevel;
  readonly after?: string;
  readonly limit?: string;
}

export function define(command: Command, act: Act): void {
  command
    .argument('<id>', 'which run')
    .argument('[task]', "only this task's lines: its name, or its id in the graph")
    .option(...WORKFLOW_OPTION)
    .option('-f, --follow', 'the lines that come too, until the run ends')
    .option('--item <n>', "only this item's of a map, by its index")
    .option('--attempt <n>', "only this attempt's")
    .addOption(new Option('--level <level>', 'this urgent, or more').choices(LOG_LEVELS))
    .option('--after <cursor>', 'only behind this line; a cursor is in the JSON of each')
    .option('--limit <n>', `at most so many (default: ${LIMIT})`)
    .addHelpText('after', `\n${ID_HELP}\nCtrl-C ends the following, not the run. A terminal cuts long lines; a pipe gets them whole.`)
    .action(act((cli, id: string, task: string | undefined, options: Options) => logs(cli, { id, task, options })));
}

interface Request {
  readonly id: string;
  readonly task: string | undefined;
  readonly options: Options;
}

async function logs(cli: Cli, { id, task, options }: Request): Promise<number> {
  const { item, attempt, level, after } = options;
  if (options.follow === true && options.limit !== undefined) throw usage('--limit does not go with --follow.');
  if (options.follow === true && cli.out.format === 'json') throw usage('--json does not go with --follow.', 'Give --jsonl: a line each.');
  const filter: LogFilter = {
    ...(task === undefined ? {} : { task }),
    ...(item === undefined ? {} : { item: wholeNumber(item, '--item', { least: 0 }) }),
    ...(attempt === undefined ? {} : { attempt: wholeNumber(attempt, '--attempt') }),
    ...(level === undefined ? {} : { level }),
    ...(after === undefined ? {} : { after }),
  };
  const limit = wholeNumber(options.limit ?? String(LIMIT), '--limit');
  const run = await findRun(await cli.reader(), id, options);
  return options.follow === true ? follow(cli, run, filter) : list(cli, run, { filter, limit });
}

async function list(cli: Cli, run: Run<unknown>, { filter, limit }: { filter: LogFilter; limit: number }): Promise<number> {
  const { out } = cli;
  const lines: LogLine[] = [];
  let shown = 0;
  let { after } = filter;
  do {
    const page = await run.logs({ ...filter, ...(after === undefined ? {} : { after }), limit: Math.min(PAGE, limit - shown) });
    if (out.format === 'json') lines.push(...page.lines);
    else for (const line of page.lines) print(line, out);
    shown += page.lines.length;
    after = page.next;
  } while (after !== undefined && shown < limit);
  if (out.format === 'json') out.json({ lines, ...(after === undefined ? {} : { next: after }) });
  if (after !== undefined && out.format !== 'json') out.note(`There are more than ${count(limit, 'line')}: --limit shows them.`);
  const { status } = await run.status();
  if (shown === 0 && out.format === 'text') out.note(isRunOver[status] ? 'No line of log.' : 'No line of log yet.');
  out.next(
    isRunOver[status] ? `pawl show ${run.id}` : `pawl logs ${run.id}${filter.task === undefined ? '' : ` ${shellWord(filter.task)}`} -f`,
  );
  return 0;
}

async function follow(cli: Cli, run: Run<unknown>, filter: LogFilter): Promise<number> {
  const interrupt = cli.io.interrupt();
  for await (const line of run.followLogs({ ...filter, signal: interrupt })) {
    if (interrupt.aborted) break;
    print(line, cli.out);
  }
  const { status } = await run.status();
  if (interrupt.aborted) return isRunOver[status] ? 130 : interrupted(cli, run.id, `pawl logs ${run.id} -f`);
  cli.out.next(`pawl show ${run.id}`);
  return 0;
}

const COLOURS: Readonly<Record<LogLevel, Colour | null>> = { debug: 'gray', info: null, warn: 'yellow', error: 'red' };

function print(line: LogLine, out: Output): void {
  if (out.format !== 'text') out.json({ line });
  else out.line(lineText(line, out));
}

/** For people the time of day and what sets lines apart, in one line of the terminal; for a pipe all of it. */
function lineText({ at, level, message, data, task, item, attempt }: LogLine, out: Output): string {
  const whose = [safe(task), ...(item === undefined ? [] : [`#${item}`])].join(' ');
  const word = level.toUpperCase();
  const text = `${safe(message)}${factsText(data)}`;
  if (!out.isTerminal) return `${at.toISOString()} ${whose} attempt ${attempt} ${word} ${text}`;
  const time = `${clockText(at)}.${String(at.getMilliseconds()).padStart(3, '0')}`;
  const again = attempt > 1 ? ` attempt ${attempt}` : '';
  const colour = COLOURS[level];
  const painted = (part: string): string => (colour === null ? part : out.paint(colour, part));
  return clip(`${out.paint('gray', time)} ${out.paint('bold', whose)}${again} ${painted(word)} ${painted(text)}`, out.columns ?? Infinity);
}
