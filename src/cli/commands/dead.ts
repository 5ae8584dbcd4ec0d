import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import type { DeadLetter, DeadLetterDetail } from '../../client/dead.ts';
import { actOptions, acting, type ActFlags } from '../acts.ts';
import { shellWord, wholeNumber } from '../args.ts';
import type { Cli } from '../cli.ts';
import type { Act } from '../commands.ts';
import { usage } from '../errors.ts';
import { plain } from '../plain.ts';
import { table, type Column } from '../table.ts';
import { clip, clipMiddle, count, safe, safeJson, safeLines } from '../text.ts';
import { codeFolder } from '../../own-files.ts';
import { ageText, lengthText } from '../time.ts';
import { deadQuery, findLetter, type DeadFlags } from '../dead-query.ts';
import { redriveDead, type RedriveFlags } from '../dead-redrive.ts';
import { fitted } from '../wrap.ts';

const ID_HELP = 'The id of a dead letter is <run>/<task>, of a map’s item <run>/<task>[<index>]; of the run the start of its id will do.';

export function define(command: Command, act: Act): void {
  command.addHelpText('after', `\n${ID_HELP}`);
  filters(command.command('ls', { isDefault: true }).description('Dead letters, the last to die first.'))
    .option('--limit <n>', 'at most so many', '50')
    .option('--all', 'without a limit')
    .action(act((cli, flags: DeadFlags & { limit: string; all?: boolean }) => list(cli, flags)));
  command
    .command('show')
    .description('One dead letter: its input, its error, its attempts.')
    .argument('<id>', ID_HELP)
    .option('--input', 'only its input, as JSON: to be edited')
    .action(act((cli, id: string, flags: { input?: boolean }) => show(cli, id, flags)));
  actOptions(
    filters(
      command.command('redrive').description('Send dead letters on: those that are named, or all that fit.').argument('[id...]', ID_HELP),
    )
      .option('--edit <@file>', 'a module whose default export makes the new input: (input, letter) => input')
      .option('--rate <n/s>', 'at most so many in a second, minute or hour: 20/s, 5/min')
      .option('--limit <n>', 'at most so many')
      .option('--accept-unknown', 'also what is unsafe and may have happened already')
      .option('--same-key', 'leave the idempotency keys as they are')
      .option('--dry-run', 'show what would be reset, reset nothing'),
  )
    .addHelpText('after', '\nMore than 10 matches need --yes.')
    .action(act((cli, ids: string[], flags: DeadFlags & RedriveFlags) => redriveDead(cli, ids, flags)));
  actOptions(
    command.command('discard').description('Leave dead letters as they are: they are no longer listed.').argument('<id...>', ID_HELP),
  ).action(act((cli, ids: string[], flags: ActFlags) => discard(cli, ids, flags)));
}

function filters(command: Command): Command {
  return command
    .option('--workflow <name>', 'of this workflow')
    .option('--task <task>', 'of this task')
    .option('--code <code>', 'with this error code or name')
    .option('--run <id>', 'of this run')
    .option('--since <duration>', 'died so long ago at most: 2h');
}

async function list(cli: Cli, flags: DeadFlags & { readonly limit: string; readonly all?: boolean }): Promise<void> {
  const limit = flags.all === true ? Infinity : wholeNumber(flags.limit, '--limit');
  const engine = await cli.reader();
  const { dead } = engine;
  const query = await deadQuery(engine, flags);
  const { out } = cli;
  const letters: DeadLetter[] = [];
  let cursor: string | undefined;
  do {
    const most = Math.min(500, limit - letters.length);
    const page = await dead.list({ ...query, limit: most, ...(cursor === undefined ? {} : { cursor }) });
    if (out.format === 'jsonl') for (const letter of page.letters) out.json({ letter });
    letters.push(...page.letters);
    cursor = page.next;
  } while (cursor !== undefined && letters.length < limit);
  if (out.format === 'jsonl') return;
  if (out.format === 'json') return out.json({ letters, more: cursor !== undefined });
  if (letters.length === 0) return out.note('No dead letter.');
  out.lines(letterTable(cli, letters));
  if (cursor !== undefined) out.note(`There are more than ${count(limit, 'dead letter')}: --limit or --all shows them.`);
  const first = shellWord(letters[0]?.id ?? '');
  out.next(`pawl dead show ${first}`, `pawl dead redrive ${first}`);
}

const LETTERS: readonly Column[] = [
  { title: 'ID', least: 16 },
  { title: 'WORKFLOW', least: 8 },
  { title: 'CODE', least: 8 },
  { title: 'DIED' },
  { title: 'TRIES', align: 'right' },
  { title: 'MESSAGE', least: 12 },
];

function letterTable({ out, io }: Cli, letters: readonly DeadLetter[]): string[] {
  const rows = letters.map((one) => [
    safe(out.isTerminal ? `${one.runId.slice(0, 10)}${one.id.slice(one.runId.length)}` : one.id),
    safe(one.workflow),
    safe(one.code),
    out.isTerminal ? ageText(one.diedAt, io.now()) : one.diedAt.toISOString(),
    String(one.attempts),
    safe(one.message),
  ]);
  return table(LETTERS, rows, out.columns);
}

async function show(cli: Cli, id: string, { input }: { readonly input?: boolean }): Promise<void> {
  const letter = await findLetter(await cli.reader(), id);
  const { out } = cli;
  if (input === true) return out.line(safeJson(JSON.stringify(plain(letter.input), null, 2) ?? 'null'));
  if (out.format !== 'text') return out.json({ letter });
  out.lines(detailLines(cli, letter));
  out.next(`${letter.redrive} --dry-run`, letter.redrive, `pawl dead show ${shellWord(letter.id)} --input > input.json`);
}

const STACK_LINES = 6;

/** What Pawl itself does to call a body tells nothing of its failure. */
const PAWL = fileURLToPath(codeFolder);
const isOurs = (frame: string): boolean => frame.includes(PAWL) || frame.includes('node:internal/');

function detailLines({ out, io }: Cli, letter: DeadLetterDetail): string[] {
  const { columns } = out;
  const fit = (line: string): string => (columns === undefined ? line : clip(line, columns));
  const subject = `${safe(letter.workflow)} · ${safe(letter.task)}${letter.item === undefined ? '' : ` #${letter.item}`}`;
  const room = columns === undefined ? Infinity : columns - letter.runId.length - 2;
  const facts = [
    `died ${out.isTerminal ? ageText(letter.diedAt, io.now()) : letter.diedAt.toISOString()}`,
    count(letter.attempts, 'attempt'),
    `reason ${letter.reason}`,
    `version ${safe(letter.version)}`,
    ...(letter.itemKey === undefined ? [] : [`key ${safe(letter.itemKey)}`]),
    ...(letter.tags.length === 0 ? [] : [`tags ${letter.tags.map(safe).join(', ')}`]),
    ...(letter.traceparent === undefined ? [] : [`trace ${safe(letter.traceparent)}`]),
  ];
  const shown =
    letter.inputError === undefined
      ? safe(JSON.stringify(plain(letter.input)) ?? 'null')
      : `cannot be put together: ${safe(letter.inputError)}`;
  const lines = [
    fit(`${out.paint('bold', clipMiddle(subject, room))}  ${letter.runId}`),
    ...fitted('', facts.join(' · '), columns),
    fit(`input  ${shown}`),
    '',
    ...errorLines(letter, out.paint('red', safe(letter.code)), columns),
  ];
  const attempts = letter.history.map((one) => [
    `${one.attempt}`,
    one.outcome,
    out.isTerminal ? ageText(one.startedAt, io.now()) : one.startedAt.toISOString(),
    lengthText(one.endedAt.getTime() - one.startedAt.getTime()),
    one.error === undefined ? one.reason : safe(`${one.error.code ?? one.error.name}: ${one.error.message}`),
  ]);
  const heads: readonly Column[] = [
    { title: 'ATTEMPT', align: 'right' },
    { title: 'OUTCOME' },
    { title: 'BEGAN' },
    { title: 'TOOK', align: 'right' },
    { title: 'ERROR', least: 12 },
  ];
  return [...lines, ...(attempts.length === 0 ? [] : ['', ...table(heads, attempts, columns)])];
}

/** Messages are whole, since they say what to mend; frames of a stack and the input are cut. */
function errorLines({ error, message }: DeadLetterDetail, code: string, columns: number | undefined): string[] {
  const lines = fitted('', `${code}: ${safe(message)}`, columns);
  const frames = (error?.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line) && !isOurs(line));
  lines.push(...frames.slice(0, STACK_LINES).map((line) => clip(`  ${safeLines(line.trim())}`, columns ?? Infinity)));
  if (frames.length > STACK_LINES) lines.push(`  and ${frames.length - STACK_LINES} more`);
  for (let cause = error?.cause; cause !== undefined; cause = cause.cause) {
    lines.push(...fitted('caused by ', safe(`${cause.code ?? cause.name}: ${cause.message}`), columns));
  }
  return lines;
}

async function discard(cli: Cli, ids: readonly string[], flags: ActFlags): Promise<void> {
  const { note } = flags;
  if (note === undefined) throw usage('--note is missing.', "Say why they stay as they are: pawl dead discard <id> --note 'why'.");
  const engine = await cli.existing();
  const letters = await Promise.all(ids.map((id) => findLetter(engine, id)));
  for (const { runId, task, item } of letters) {
    const run = await engine.get(runId);
    await run.discard(task, { ...acting(flags), note, ...(item === undefined ? {} : { item }) });
  }
  const { out } = cli;
  if (out.format !== 'text') return out.json({ discarded: letters.map((one) => one.id) });
  for (const { id } of letters) out.line(`discarded ${safe(id)}`);
  out.next('pawl dead');
}
