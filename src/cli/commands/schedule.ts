import type { Command } from 'commander';
import type { BackfillOptions, BackfillView, FireView, ScheduleView } from '../../client/schedules.ts';
import { PawlError } from '../../core/errors.ts';
import type { Engine } from '../../facade.ts';
import { operating } from '../acts.ts';
import { shellWord, wholeNumber } from '../args.ts';
import type { Cli } from '../cli.ts';
import type { Act } from '../commands.ts';
import { UNASKED } from '../confirm.ts';
import { usage } from '../errors.ts';
import { plain } from '../plain.ts';
import { table, type Column } from '../table.ts';
import { count, safe } from '../text.ts';
import { ageText, lengthText } from '../time.ts';

interface BackfillFlags {
  readonly from?: string;
  readonly to?: string;
  readonly reprocess?: string;
  readonly concurrency: string;
  readonly dryRun?: boolean;
  readonly cancel?: string;
}

export function define(command: Command, act: Act): void {
  command
    .command('ls', { isDefault: true })
    .description('All schedules, and when each is due next.')
    .action(act((cli) => list(cli)));
  named(command, 'show', 'One schedule, and what became of its last instants.')
    .option('--history <n>', 'so many of them', '10')
    .action(act((cli, name: string, options: { history: string }) => show(cli, name, options)));
  named(command, 'next', 'The next due instants, in its time zone and in UTC.')
    .option('-n, --count <n>', 'so many', '5')
    .action(act((cli, name: string, options: { count: string }) => next(cli, name, options)));
  named(command, 'run', 'Start a run now, whatever its rule says. Needs the code of the workflow.').action(
    act((cli, name: string) => trigger(cli, name)),
  );
  named(command, 'pause', 'Start nothing more until it is resumed.')
    .option('--note <text>', 'why; shown with it')
    .action(act((cli, name: string, options: { note?: string }) => pause(cli, name, options)));
  named(command, 'resume', 'Let a paused schedule go on, from now.').action(act((cli, name: string) => resume(cli, name)));
  named(command, 'delete', 'Delete a schedule with its history; its runs stay.').action(act((cli, name: string) => remove(cli, name)));
  named(command, 'backfill', 'Runs for instants that have passed; without --from and --to: those that were asked for.')
    .option('--from <instant>', 'the first instant: 2030-01-01T00:00:00Z')
    .option('--to <instant>', 'the last')
    .option('--reprocess <which>', 'of instants that have a run: none, failed, all', 'none')
    .option('--concurrency <n>', 'runs at the same time', '1')
    .option('--dry-run', 'show what would be started, start nothing')
    .option('--cancel <n>', 'end the backfill of this number, and cancel its runs')
    .action(act((cli, name: string, flags: BackfillFlags) => backfill(cli, name, flags)));
}

function named(command: Command, name: string, description: string): Command {
  return command.command(name).description(description).argument('<name>', 'which schedule');
}

const ruleText = ({ cron, tz, everyMs }: ScheduleView): string =>
  everyMs === undefined ? `${cron} ${tz}` : `every ${lengthText(everyMs)}`;

function stateText({ paused, removedAt, nextAt }: ScheduleView, cli: Cli): string {
  if (removedAt !== undefined) return 'removed from code';
  if (paused !== undefined) return 'paused';
  return nextAt === undefined ? 'never' : whenText(nextAt, cli);
}

const whenText = (at: Date, { out, io }: Cli): string => (out.isTerminal ? ageText(at, io.now()) : at.toISOString());

const SCHEDULES: readonly Column[] = [
  { title: 'NAME', least: 8 },
  { title: 'WORKFLOW', least: 8 },
  { title: 'RULE', least: 9 },
  { title: 'OVERLAP' },
  { title: 'CATCH-UP' },
  { title: 'NEXT' },
];

async function list(cli: Cli): Promise<void> {
  const schedules = await (await cli.reader()).schedules.list();
  const { out } = cli;
  if (out.format === 'jsonl') return schedules.forEach((schedule) => out.json({ schedule }));
  if (out.format === 'json') return out.json({ schedules });
  if (schedules.length === 0) return out.note('No schedule.');
  const rows = schedules.map((one) => [
    safe(one.name),
    safe(one.workflow),
    safe(ruleText(one)),
    one.overlap,
    one.catchup,
    stateText(one, cli),
  ]);
  out.lines(table(SCHEDULES, rows, out.columns));
  out.next(`pawl schedule show ${shellWord(schedules[0]?.name ?? '')}`);
}

const FIRES: readonly Column[] = [{ title: 'DUE' }, { title: 'BY' }, { title: 'STATE' }, { title: 'RUN' }, { title: 'WHY', least: 10 }];

async function show(cli: Cli, name: string, options: { readonly history: string }): Promise<void> {
  const { schedules } = await cli.reader();
  const most = wholeNumber(options.history, '--history', { most: 1_000 });
  const [schedule, history, backfills] = [
    await schedules.get(name),
    await schedules.history(name, { limit: most }),
    await schedules.backfill.list(name),
  ];
  const { out } = cli;
  if (out.format !== 'text') return out.json({ schedule, history, backfills });
  out.lines(factLines(schedule, cli));
  const open = backfills.filter(({ state }) => state === 'running' || state === 'cancelling');
  out.lines(open.map((one) => backfillText(one)));
  if (history.length > 0) out.lines(['', ...table(FIRES, history.map(fireRow), out.columns)]);
  const word = shellWord(name);
  out.next(`pawl schedule next ${word}`, schedule.paused === undefined ? `pawl schedule pause ${word}` : `pawl schedule resume ${word}`);
}

function factLines(one: ScheduleView, cli: Cli): string[] {
  const { out } = cli;
  const input =
    one.source === 'code' && !('input' in one) ? 'made by the code of the workflow' : safe(JSON.stringify(plain(one.input)) ?? 'none');
  const facts: readonly (readonly [string, string])[] = [
    ['workflow', `${safe(one.workflow)}, ${one.source === 'code' ? 'which declares it' : 'made at run time'}`],
    ['rule', safe(ruleText(one))],
    ['clocks', one.dst === undefined ? `from ${one.anchor?.toISOString() ?? ''}` : `gap ${one.dst.gap}, repeat ${one.dst.repeat}`],
    ['overlap', one.overlap],
    ['catch-up', `${one.catchup}, within ${lengthText(one.windowMs)}`],
    ...(one.pauseAfter === undefined ? [] : [['pauses', `after ${count(one.pauseAfter, 'failure')} in a row`] as const]),
    ['input', input],
    ['next', stateText(one, cli)],
    ...(one.paused === undefined ? [] : [['paused', `${whenText(one.paused.at, cli)}: ${safe(one.paused.why)}`] as const]),
  ];
  return [out.paint('bold', safe(one.name)), ...facts.map(([key, value]) => `  ${key.padEnd(9)} ${value}`)];
}

function fireRow({ dueAt, untilAt, count: many, by, state, reason, note, runId, status }: FireView): string[] {
  const until = untilAt === undefined ? '' : ` … ${untilAt.toISOString()} (${many ?? 'over 1,000'})`;
  return [
    `${dueAt.toISOString()}${until}`,
    by === undefined ? '' : by === 'hand' ? 'hand' : `backfill ${by}`,
    status ?? (state === 'started' ? 'pruned' : state),
    runId ?? '',
    `${reason ?? ''}${note === undefined ? '' : `: ${safe(note)}`}`,
  ];
}

async function next(cli: Cli, name: string, options: { readonly count: string }): Promise<void> {
  const { schedules } = await cli.reader();
  const most = wholeNumber(options.count, '--count', { most: 1_000 });
  const [schedule, instants] = [await schedules.get(name), await schedules.next(name, most)];
  const { out } = cli;
  if (out.format !== 'text') return out.json({ schedule: name, paused: schedule.paused !== undefined, instants });
  if (schedule.paused !== undefined) out.note('It is paused: nothing is started until it is resumed.');
  if (instants.length === 0) return out.note('It is never due.');
  const local = new Intl.DateTimeFormat('sv-SE', { timeZone: schedule.tz ?? 'UTC', dateStyle: 'short', timeStyle: 'long' });
  out.lines(
    instants.map((at) =>
      schedule.tz === undefined || schedule.tz === 'UTC' ? at.toISOString() : `${local.format(at)}  ${at.toISOString()}`,
    ),
  );
}

async function trigger(cli: Cli, name: string): Promise<void> {
  cli.requireStore();
  const engine = await cli.engine({ use: (await cli.entry()).use });
  const { id } = await engine.schedules.trigger(name, operating());
  const { out } = cli;
  if (out.format !== 'text') return out.json({ run: id });
  out.line(`started ${id}`);
  out.next(`pawl watch ${id}`);
}

async function pause(cli: Cli, name: string, { note }: { readonly note?: string }): Promise<void> {
  const schedule = await (await cli.existing()).schedules.pause(name, { ...operating(note), ...(note === undefined ? {} : { why: note }) });
  changed(cli, schedule, 'paused', `pawl schedule resume ${shellWord(name)}`);
}

async function resume(cli: Cli, name: string): Promise<void> {
  changed(cli, await (await cli.existing()).schedules.resume(name, operating()), 'resumed', `pawl schedule next ${shellWord(name)}`);
}

function changed({ out }: Cli, schedule: ScheduleView, did: string, after: string): void {
  if (out.format !== 'text') return out.json({ schedule });
  out.line(`${did} ${safe(schedule.name)}`);
  out.next(after);
}

async function remove(cli: Cli, name: string): Promise<void> {
  await (await cli.existing()).schedules.delete(name, operating());
  const { out } = cli;
  if (out.format !== 'text') return out.json({ schedule: name, deleted: true });
  out.line(`deleted ${safe(name)}`);
}

const PREVIEW_LINES = 20;

async function backfill(cli: Cli, name: string, flags: BackfillFlags): Promise<void> {
  const { out } = cli;
  if (flags.cancel !== undefined) return cancel(cli, name, wholeNumber(flags.cancel, '--cancel'));
  if (flags.from === undefined && flags.to === undefined) return backfills(cli, name);
  if (flags.from === undefined || flags.to === undefined) throw usage('Give both --from and --to.');
  const options = {
    from: flags.from,
    to: flags.to,
    reprocess: flags.reprocess as BackfillOptions['reprocess'] & string,
    concurrency: wholeNumber(flags.concurrency, '--concurrency', { most: 1_000 }),
  };
  const engine: Engine = flags.dryRun === true ? await cli.reader() : await cli.existing();
  const preview = await engine.schedules.backfill.preview(name, options);
  if (flags.dryRun === true) {
    if (out.format !== 'text') return out.json({ schedule: name, preview });
    out.line(
      `would start ${count(preview.count, 'run')}${preview.more ? ' and more' : ''}; ${count(preview.skipped, 'instant')} would be left as they are`,
    );
    out.lines(preview.instants.slice(0, PREVIEW_LINES).map((at) => `  ${at.toISOString()}`));
    if (preview.count > PREVIEW_LINES) out.line(`  and ${(preview.count - PREVIEW_LINES).toLocaleString('en-US')} more`);
    return;
  }
  confirmed(cli, name, flags, preview.count);
  const made = await engine.schedules.backfill(name, { ...options, ...operating() });
  if (out.format !== 'text') return out.json({ backfill: made });
  out.line(`backfill ${made.id}: ${count(preview.count, 'run')}${preview.more ? ' and more' : ''}`);
  out.next(`pawl schedule backfill ${shellWord(name)}`, `pawl schedule backfill ${shellWord(name)} --cancel ${made.id}`);
}

/** More runs than a person may have meant are started with --yes only. */
function confirmed({ options }: Cli, name: string, { from, to }: BackfillFlags, runs: number): void {
  if (runs <= UNASKED || options.yes === true) return;
  const words = `pawl schedule backfill ${shellWord(name)} --from ${from ?? ''} --to ${to ?? ''}`;
  throw new PawlError('RUN_UNCONFIRMED', `It would start ${count(runs, 'run')}; nothing was changed.`, {
    fix: `Look at them: ${words} --dry-run. Then, if all of them are meant: ${words} --yes.`,
    details: { matched: runs },
  });
}

const backfillText = ({ id, state, started, from, to, reached, reprocess, concurrency }: BackfillView): string =>
  `backfill ${id}  ${state}  ${from.toISOString()} … ${to.toISOString()}  ${count(started, 'run')} started, reached ${reached.toISOString()}, reprocess ${reprocess}, ${concurrency} at once`;

async function backfills(cli: Cli, name: string): Promise<void> {
  const list = await (await cli.reader()).schedules.backfill.list(name);
  const { out } = cli;
  if (out.format !== 'text') return out.json({ backfills: list });
  if (list.length === 0) return out.note('No backfill.');
  out.lines(list.map(backfillText));
}

async function cancel(cli: Cli, name: string, id: number): Promise<void> {
  const { schedules } = await cli.existing();
  if (!(await schedules.backfill.list(name)).some((one) => one.id === id))
    throw usage(`Schedule ${JSON.stringify(name)} has no backfill ${id}.`);
  const done = await schedules.backfill.cancel(id, operating());
  const { out } = cli;
  if (out.format !== 'text') return out.json({ backfill: id, cancelling: done });
  out.line(done ? `cancelling backfill ${id}` : `backfill ${id} is over`);
}
