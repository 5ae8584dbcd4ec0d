import type { Command } from 'commander';
import { actOptions, NOTE_OPTION, tellDone, type ActArgs } from '../act.ts';
import type { Cli } from '../cli.ts';
import type { Act } from '../commands.ts';
import { findRun, WORKFLOW_OPTION } from '../find.ts';
import { table, type Column } from '../table.ts';
import { safe } from '../text.ts';
import { ageText } from '../time.ts';

export function define(command: Command, act: Act): void {
  command.addHelpText('after', '\nA run whose state cannot be read or advanced is set aside, so that it stops no other.');
  command.command('ls', { isDefault: true }).description('Runs that were set aside, and why.').action(act(list));
  command
    .command('retry')
    .description('Lets a run go on.')
    .argument('<id>', 'which run')
    .option(...WORKFLOW_OPTION)
    .option(...NOTE_OPTION)
    .action(act(retry));
  command
    .command('fail')
    .description('Fails a run: its open tasks are cancelled.')
    .argument('<id>', 'which run')
    .option(...WORKFLOW_OPTION)
    .option(...NOTE_OPTION)
    .action(act(fail));
}

const COLUMNS: readonly Column[] = [{ title: 'ID' }, { title: 'WORKFLOW', least: 10 }, { title: 'ACCEPTED' }, { title: 'WHY', least: 20 }];

async function list(cli: Cli): Promise<void> {
  const runs = await (await cli.existing()).quarantine.list();
  const { out } = cli;
  if (out.format === 'json') return out.json({ runs });
  if (out.format === 'jsonl') return runs.forEach((run) => out.json({ run }));
  if (runs.length === 0) return out.note('No run was set aside.');
  const now = cli.io.now();
  const rows = runs.map((run) => [
    run.id,
    safe(run.workflow),
    out.isTerminal ? ageText(run.acceptedAt, now) : run.acceptedAt.toISOString(),
    safe(run.quarantined?.split('\n', 1)[0] ?? ''),
  ]);
  out.lines(table(COLUMNS, rows, out.columns));
  out.next(`pawl quarantine retry ${runs[0]?.id ?? ''}`);
}

async function retry(cli: Cli, id: string, options: ActArgs): Promise<number> {
  const engine = await cli.existing();
  const run = await findRun(engine, id, options);
  if (await engine.quarantine.retry(run.id, actOptions(cli, options))) {
    tellDone(cli, run.id, 'released');
    return 0;
  }
  if (cli.out.format === 'text') cli.out.note(`${run.id} had to be set aside again.`);
  else cli.out.json({ runId: run.id, done: 'set aside again' });
  cli.out.next('pawl quarantine ls');
  return 4;
}

async function fail(cli: Cli, id: string, options: ActArgs): Promise<void> {
  const engine = await cli.existing();
  const run = await findRun(engine, id, options);
  await engine.quarantine.fail(run.id, actOptions(cli, options));
  tellDone(cli, run.id, 'failed');
}
