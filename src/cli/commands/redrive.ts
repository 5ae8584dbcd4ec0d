import type { Command } from 'commander';
import type { RedriveOptions, ResetReport } from '../../client/acts.ts';
import type { Run } from '../../client/run.ts';
import { isPawlError } from '../../core/errors.ts';
import type { Engine } from '../../facade.ts';
import { acting, actOptions, checking, reportLines, type ActFlags } from '../acts.ts';
import { payload } from '../args.ts';
import type { Cli } from '../cli.ts';
import type { Act } from '../commands.ts';
import { confirm, UNASKED } from '../confirm.ts';
import { usage } from '../errors.ts';
import { findRun, ID_HELP, WORKFLOW_OPTION, type Narrowed } from '../find.ts';
import { itemName } from '../items.ts';
import { isQuery, parseQuery, QUERY_HELP } from '../query.ts';
import { count } from '../text.ts';
import { pages } from './ls.ts';

interface Options extends Narrowed, ActFlags {
  readonly task: readonly string[];
  readonly item: readonly string[];
  readonly input?: string;
  readonly keep: readonly string[];
  readonly acceptUnknown?: boolean;
  readonly sameKey?: boolean;
  readonly dryRun?: boolean;
}

const collect = (one: string, before: readonly string[]): readonly string[] => [...before, one];

export function define(command: Command, act: Act): void {
  actOptions(
    command
      .argument('<id|query...>', 'which runs')
      .option(...WORKFLOW_OPTION)
      .option('--task <task>', 'only this dead letter; may be given several times; default: all, and what was cancelled', collect, [])
      .option('--item <index|key>', 'of a map: only this item; may be given several times', collect, [])
      .option('--input <json>', 'another input for the one task: JSON, @file, or - for stdin; its schema must take it')
      .option('--keep <task>', 'leave this task as it is although it ran on the failure; may be given several times', collect, [])
      .option('--accept-unknown', 'also what is unsafe and may have happened already')
      .option('--same-key', 'leave the idempotency keys as they are')
      .option('--dry-run', 'show what would be reset, reset nothing'),
  )
    .addHelpText('after', `\n${ID_HELP}\n\n${QUERY_HELP}\n\nMore than ${UNASKED} matches need --yes.`)
    .action(act((cli, words: string[], options: Options) => redrive(cli, words, options)));
}

async function redrive(cli: Cli, words: readonly string[], options: Options): Promise<void> {
  const isMany = isQuery(words);
  if (isMany && (options.task.length > 0 || options.item.length > 0 || options.input !== undefined))
    throw usage('--task, --item and --input go with one run.', 'For many dead letters: pawl dead redrive --task <task> --edit @<file>.');
  const engine = await checking(cli, options.input !== undefined);
  if (isMany) return redriveMany(cli, engine, words, options);
  const run = await findRun(engine, words.join(' '), options);
  const report = await run.redrive(await redriveOptions(cli, options));
  tell(cli, run, report);
}

async function redriveOptions(cli: Cli, options: Options): Promise<RedriveOptions> {
  const { task, item, input, keep, acceptUnknown, sameKey, dryRun } = options;
  return {
    ...acting(options),
    ...(task.length === 0 ? {} : { task }),
    ...(item.length === 0 ? {} : { item: item.map((one) => itemName(one)) }),
    ...(input === undefined ? {} : { input: await payload(input, cli.io) }),
    keep,
    acceptUnknown: acceptUnknown === true,
    sameKey: sameKey === true,
    dryRun: dryRun === true,
  };
}

function tell(cli: Cli, run: Run<unknown>, report: ResetReport): void {
  const { out } = cli;
  if (out.format !== 'text') return out.json({ run: run.id, ...report });
  out.line(`${report.applied ? 'redriven' : 'would redrive'} ${run.id}  generation ${report.generation}`);
  out.lines(reportLines(cli, report));
  out.next(...(report.applied ? [`pawl watch ${run.id}`] : ['the same without --dry-run redrives it']));
}

/** Runs that are over and not a success; of them, those that have something to redrive. */
async function redriveMany(cli: Cli, engine: Engine, words: readonly string[], options: Options): Promise<void> {
  const filter = parseQuery(words);
  const ids: string[] = [];
  for await (const run of pages(engine, { ...filter, status: filter.status ?? ['failed', 'cancelled', 'partial'] }, Infinity))
    ids.push(run.id);
  if (options.dryRun !== true)
    confirm({ matched: ids.length, query: words, command: 'pawl redrive', list: 'pawl ls', yes: cli.options.yes === true });
  const base = await redriveOptions(cli, options);
  const { out } = cli;
  let done = 0;
  const refused: { readonly run: string; readonly code: string; readonly message: string }[] = [];
  for (const id of ids) {
    try {
      const request = base.requestId === undefined ? {} : { requestId: `${base.requestId}:${id}` };
      const report = await (await engine.get(id)).redrive({ ...base, ...request });
      done++;
      if (out.format === 'jsonl') out.json({ run: id, ...report });
      else if (out.format === 'text') out.line(`${report.applied ? 'redriven' : 'would redrive'} ${id}  ${count(report.count, 'task')}`);
    } catch (error) {
      if (!isPawlError(error)) throw error;
      refused.push({ run: id, code: error.code, message: error.message });
      if (out.format === 'text') out.note(`${error.code}  ${error.message}`);
    }
  }
  if (out.format === 'json') return out.json({ redriven: done, refused });
  if (ids.length === 0) out.note('No run fits the query.');
  out.next('pawl ls status:running');
}
