import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { DeadLetter, DeadQuery, DeadRedriven, DeadRedriveOptions } from '../client/dead.ts';
import { PawlError } from '../core/errors.ts';
import type { Engine } from '../facade.ts';
import { acting, checking, type ActFlags } from './acts.ts';
import { shellWord, wholeNumber } from './args.ts';
import type { Cli } from './cli.ts';
import { deadQuery, letterId, type DeadFlags } from './dead-query.ts';
import { UNASKED } from './confirm.ts';
import { Exit, usage } from './errors.ts';
import { count, safe } from './text.ts';

export interface RedriveFlags extends ActFlags {
  readonly edit?: string;
  readonly rate?: string;
  readonly limit?: string;
  readonly acceptUnknown?: boolean;
  readonly sameKey?: boolean;
  readonly dryRun?: boolean;
}

/** Dead letters by their ids, or all that fit; run by run, so that Ctrl-C leaves whole runs behind it and the same command goes on. */
export async function redriveDead(cli: Cli, ids: readonly string[], flags: DeadFlags & RedriveFlags): Promise<void> {
  const options = await optionsOf(cli, flags);
  const engine = await checking(cli, flags.edit !== undefined);
  if (flags.dryRun !== true && ids.length === 0) await confirmed(cli, engine, flags);
  let done = 0;
  let left = 0;
  for await (const one of redriven(engine, ids, deadQuery(flags), options)) {
    tellOne(cli, one);
    if (one.error === undefined) done += one.letters.length;
    else left += one.letters.length;
  }
  const { out } = cli;
  if (out.format === 'json') out.json({ redriven: done, left, dryRun: flags.dryRun === true });
  if (done + left === 0) out.note('No dead letter fits.');
  else if (out.isTerminal)
    out.line(
      `${count(done, 'dead letter')} ${flags.dryRun === true ? 'would be redriven' : 'redriven'}${left === 0 ? '' : `, ${left} left`}`,
    );
  out.next(
    flags.dryRun === true ? 'the same without --dry-run redrives them' : 'pawl ls status:running',
    ...(left === 0 ? [] : ['pawl dead']),
  );
  if (left > 0) throw new Exit(1);
}

async function* redriven(
  engine: Engine,
  ids: readonly string[],
  query: DeadQuery,
  options: DeadRedriveOptions,
): AsyncGenerator<DeadRedriven> {
  if (ids.length === 0) return yield* engine.dead.redrive(query, options);
  const letters = await Promise.all(ids.map(async (id) => engine.dead.get(await letterId(engine, id))));
  for (const { runId, task, item } of letters) {
    yield* engine.dead.redrive({ run: runId, task }, { ...options, ...(item === undefined ? {} : { item }) });
  }
}

async function confirmed(cli: Cli, engine: Engine, flags: DeadFlags & RedriveFlags): Promise<void> {
  const matched = Math.min(await engine.dead.count(deadQuery(flags)), flags.limit === undefined ? Infinity : Number(flags.limit));
  if (matched <= UNASKED || cli.options.yes === true) return;
  const given = (['workflow', 'task', 'code', 'run', 'since', 'limit', 'rate', 'edit'] as const)
    .flatMap((name) => (flags[name] === undefined ? [] : [`--${name} ${shellWord(flags[name])}`]))
    .join(' ');
  const command = `pawl dead redrive${given === '' ? '' : ` ${given}`}`;
  throw new PawlError('RUN_UNCONFIRMED', `${count(matched, 'dead letter')} fit; nothing was changed.`, {
    fix: `Look at what would be reset: ${command} --dry-run. Then, if all of them are meant: ${command} --yes.`,
    details: { matched },
  });
}

function tellOne({ out }: Cli, { runId, letters, report, error }: DeadRedriven): void {
  if (out.format === 'jsonl') {
    return out.json({
      run: runId,
      letters: letters.map((one) => one.id),
      ...(report === undefined ? { error: error?.toJSON() } : { report }),
    });
  }
  if (out.format === 'json') return;
  if (error !== undefined) return out.note(`${error.code}  ${error.message}`);
  const names = namesOf(letters);
  out.line(
    `${report?.applied === true ? 'redriven' : 'would redrive'} ${runId}  ${safe(names)}: ${count(report?.count ?? 0, 'task')} reset`,
  );
}

function namesOf(letters: readonly DeadLetter[]): string {
  const names = letters.slice(0, 5).map(({ task, item }) => (item === undefined ? task : `${task} #${item}`));
  return letters.length > names.length ? `${names.join(', ')} and ${letters.length - names.length} more` : names.join(', ');
}

async function optionsOf(cli: Cli, flags: RedriveFlags): Promise<DeadRedriveOptions> {
  const { edit, rate, limit, acceptUnknown, sameKey, dryRun } = flags;
  return {
    ...acting(flags),
    acceptUnknown: acceptUnknown === true,
    sameKey: sameKey === true,
    dryRun: dryRun === true,
    ...(limit === undefined ? {} : { limit: wholeNumber(limit, '--limit') }),
    ...(rate === undefined ? {} : { perSecond: perSecond(rate) }),
    ...(edit === undefined ? {} : { edit: await editor(cli, edit) }),
  };
}

const SECONDS: Readonly<Record<string, number>> = { s: 1, min: 60, h: 3_600 };

function perSecond(rate: string): number {
  const match = /^(\d{1,9}(?:\.\d{1,6})?)\/(s|min|h)$/.exec(rate);
  const value = Number(match?.[1]) / (SECONDS[match?.[2] ?? ''] ?? 1);
  if (!(value > 0)) throw usage(`--rate ${JSON.stringify(rate)} is no rate.`, 'Give 20/s, 5/min or 100/h.');
  return value;
}

async function editor(cli: Cli, given: string): Promise<NonNullable<DeadRedriveOptions['edit']>> {
  const file = resolve(cli.io.cwd, given.replace(/^@/, ''));
  let module: { readonly default?: unknown };
  try {
    module = (await import(pathToFileURL(file).href)) as typeof module;
  } catch (error) {
    throw usage(
      `--edit ${given} cannot be imported: ${error instanceof Error ? error.message : String(error)}`,
      'Give a module of yours: @patch.ts.',
    );
  }
  const { default: edit } = module;
  if (typeof edit !== 'function')
    throw usage(`--edit ${given} has no default export that is a function.`, 'Export default (input, letter) => the new input.');
  return edit as NonNullable<DeadRedriveOptions['edit']>;
}
