import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { DeadLetter, DeadQuery, DeadRedriven, DeadRedriveOptions } from '../client/dead.ts';
import { ERRORS } from '../core/errors.ts';
import type { Engine } from '../facade.ts';
import { actOptions, type ActArgs } from './act.ts';
import { sinceOf, wholeNumber } from './args.ts';
import type { Cli } from './cli.ts';
import { confirm } from './confirm.ts';
import { usage } from './errors.ts';
import { plain } from './plain.ts';
import { table, type Column } from './table.ts';
import { clip, count, safe, safeLines } from './text.ts';
import { ageText, lengthText } from './time.ts';

interface Filters {
  readonly workflow?: string;
  readonly run?: string;
  readonly task?: string;
  readonly code?: string;
  readonly since?: string;
}

async function queryOf(engine: Engine, { workflow, run, task, code, since }: Filters): Promise<DeadQuery> {
  return {
    ...(workflow === undefined ? {} : { workflow }),
    ...(run === undefined ? {} : { run: (await engine.runs.find(run)).id }),
    ...(task === undefined ? {} : { task }),
    ...(code === undefined ? {} : { code }),
    ...(since === undefined ? {} : { since: sinceOf(since, '--since ') }),
  };
}

const COLUMNS: readonly Column[] = [
  { title: 'ID', least: 16 },
  { title: 'WORKFLOW', least: 8 },
  { title: 'DIED' },
  { title: 'ATTEMPTS', align: 'right' },
  { title: 'CODE', least: 8 },
  { title: 'MESSAGE', least: 12 },
];

export async function listLetters(cli: Cli, options: Filters & { readonly limit: string }): Promise<void> {
  const limit = wholeNumber(options.limit, '--limit', { most: 500 });
  const engine = await cli.existing();
  const { letters, next } = await engine.dead.list({ ...(await queryOf(engine, options)), limit });
  const { out } = cli;
  if (out.format === 'json') return out.json({ letters, more: next !== undefined });
  if (out.format === 'jsonl') return letters.forEach((letter) => out.json({ letter }));
  if (letters.length === 0) return out.note('No dead letter.');
  const now = cli.io.now();
  const rows = letters.map((letter) => [
    safe(shownId(letter, out.isTerminal)),
    safe(letter.workflow),
    out.isTerminal ? ageText(letter.diedAt, now) : letter.diedAt.toISOString(),
    String(letter.attempts),
    safe(letter.code),
    safe(letter.message),
  ]);
  out.lines(table(COLUMNS, rows, out.columns));
  if (next !== undefined) out.note(`There are more than ${count(limit, 'dead letter')}: --limit shows up to 500.`);
  out.next(`pawl dead show ${letters[0] === undefined ? '' : shownId(letters[0], true)}`, 'pawl dead redrive --dry-run');
}

const SHORT_ID = 10;
const shownId = ({ id, runId }: DeadLetter, short: boolean): string =>
  short ? `${runId.slice(0, SHORT_ID)}${id.slice(runId.length)}` : id;

/** The letter's id with its run's whole id. */
async function wholeId(engine: Engine, given: string): Promise<string> {
  const slash = given.indexOf('/');
  if (slash <= 0)
    throw usage(`${JSON.stringify(given.slice(0, 60))} is no id of a dead letter.`, 'Give <run>/<task>, or <run>/<task>[<n>] for an item.');
  return `${(await engine.runs.find(given.slice(0, slash))).id}${given.slice(slash)}`;
}

export async function showLetter(cli: Cli, given: string): Promise<void> {
  const engine = await cli.existing();
  const letter = await engine.dead.get(await wholeId(engine, given));
  const { out } = cli;
  if (out.format !== 'text') return out.json({ letter });
  const { columns = Infinity } = out;
  out.line(`${out.paint('bold', safe(letter.id))}  ${safe(letter.workflow)}  died ${ageText(letter.diedAt, cli.io.now())}`);
  out.line(
    clip(
      `input   ${letter.inputError === undefined ? safe(JSON.stringify(plain(letter.input)) ?? 'none') : safe(letter.inputError)}`,
      columns,
    ),
  );
  out.line(`${out.paint('red', safe(letter.code))}  ${safe(letter.message)}`);
  if (letter.error?.stack !== undefined) out.line(safeLines(letter.error.stack));
  for (const { attempt, outcome, reason, error, startedAt, endedAt } of letter.history) {
    const took = lengthText(endedAt.getTime() - startedAt.getTime());
    out.line(clip(`attempt ${attempt}  ${outcome}  ${startedAt.toISOString()}  ${took}  ${safe(error?.message ?? reason)}`, columns));
  }
  out.next(letter.redrive, `pawl dead discard ${shownId(letter, true)} --note '…'`);
}

interface RedriveArgs extends Filters, ActArgs {
  readonly limit?: string;
  readonly rate?: string;
  readonly edit?: string;
  readonly acceptUnknown?: boolean;
  readonly sameKey?: boolean;
  readonly dryRun?: boolean;
}

export async function redriveLetters(cli: Cli, options: RedriveArgs): Promise<number> {
  const redriving = await redriveOptions(cli, options);
  cli.requireStore();
  const engine = await cli.engine({ use: options.edit === undefined ? [] : (await cli.entry()).use });
  const query = await queryOf(engine, options);
  const matched = Math.min(await engine.dead.count(query), redriving.limit ?? Infinity);
  confirm({
    matched,
    query: wordsOf(options),
    command: 'pawl dead redrive',
    list: 'pawl dead ls',
    yes: cli.options.yes === true || options.dryRun === true,
  });
  const all: DeadRedriven[] = [];
  for await (const one of engine.dead.redrive(query, redriving)) {
    all.push(one);
    tellRedriven(cli, one);
  }
  const { out } = cli;
  if (out.format === 'json') out.json({ redriven: all.map(documentOf) });
  if (out.format === 'text' && all.length === 0) out.note('No dead letter.');
  out.next('pawl ls', 'pawl dead ls');
  const failed = all.find((one) => one.error !== undefined)?.error;
  return failed === undefined ? 0 : ERRORS[failed.code].exit;
}

async function redriveOptions(cli: Cli, options: RedriveArgs): Promise<DeadRedriveOptions> {
  const { limit, rate, edit, acceptUnknown = false, sameKey = false, dryRun = false } = options;
  const perSecond = rate === undefined ? undefined : Number(/^(\d+(?:\.\d+)?)\/s$/.exec(rate)?.[1] ?? Number.NaN);
  if (perSecond !== undefined && !(perSecond > 0)) throw usage(`--rate ${JSON.stringify(rate)}: give a number a second, such as 20/s.`);
  return {
    ...actOptions(cli, options),
    ...(limit === undefined ? {} : { limit: wholeNumber(limit, '--limit') }),
    ...(perSecond === undefined ? {} : { perSecond }),
    ...(edit === undefined ? {} : { edit: await editOf(cli, edit) }),
    acceptUnknown,
    sameKey,
    dryRun,
  };
}

type Edit = NonNullable<DeadRedriveOptions['edit']>;

async function editOf(cli: Cli, given: string): Promise<Edit> {
  const path = resolve(cli.io.cwd, given.replace(/^@/, ''));
  let module: { readonly default?: unknown };
  try {
    module = (await import(pathToFileURL(path).href)) as { readonly default?: unknown };
  } catch (error) {
    throw usage(
      `--edit ${given}: ${error instanceof Error ? error.message : String(error)}`,
      'Give a module with a default export: (input, letter) => input.',
    );
  }
  const { default: edit } = module;
  if (typeof edit !== 'function')
    throw usage(`--edit ${given} has no function as its default export.`, 'Write: export default (input, letter) => input.');
  return edit as Edit;
}

function wordsOf({ workflow, run, task, code, since }: Filters): string[] {
  return Object.entries({ workflow, run, task, code, since }).flatMap(([name, value]) => (value === undefined ? [] : [`--${name}`, value]));
}

function documentOf({ runId, letters, report, error }: DeadRedriven): Readonly<Record<string, unknown>> {
  const failure = error === undefined ? {} : { error: { code: error.code, message: error.message, fix: error.fix } };
  return { runId, letters: letters.map(({ id }) => id), ...(report === undefined ? {} : { report }), ...failure };
}

function tellRedriven({ out }: Cli, one: DeadRedriven): void {
  if (out.format === 'jsonl') out.json({ redriven: documentOf(one) });
  if (out.format !== 'text') return;
  const { runId, letters, report, error } = one;
  if (error !== undefined) return out.note(`${runId}: ${error.code}  ${safe(error.message)}`);
  const done = report?.applied === true ? 'redriven' : 'would be redriven';
  out.line(
    `${runId}: ${letters.map(({ id }) => safe(id.slice(runId.length + 1))).join(', ')} ${done}, ${count(report?.count ?? 0, 'task')} reset`,
  );
}

export async function discardLetter(cli: Cli, given: string, options: { readonly note: string }): Promise<void> {
  const engine = await cli.existing();
  const letter = await engine.dead.get(await wholeId(engine, given));
  const run = await engine.get(letter.runId);
  await run.discard(letter.task, {
    ...actOptions(cli, options),
    note: options.note,
    ...(letter.item === undefined ? {} : { item: letter.item }),
  });
  if (cli.out.format === 'text') cli.out.line(`discarded ${safe(letter.id)}`);
  else cli.out.json({ discarded: letter.id });
  cli.out.next('pawl dead ls');
}
