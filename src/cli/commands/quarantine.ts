import type { Command } from 'commander';
import { acting, actOptions, type ActFlags } from '../acts.ts';
import type { Cli } from '../cli.ts';
import type { Act } from '../commands.ts';
import { Exit } from '../errors.ts';
import { findRun, ID_HELP, WORKFLOW_OPTION, type Narrowed } from '../find.ts';
import { table } from '../table.ts';
import { safe } from '../text.ts';
import { ageText } from '../time.ts';

export function define(command: Command, act: Act): void {
  command.addHelpText('after', `\n${ID_HELP}`);
  command
    .command('ls', { isDefault: true })
    .description('Runs that were set aside, oldest first.')
    .action(act((cli) => list(cli)));
  const one = (name: string, description: string): Command =>
    actOptions(
      command
        .command(name)
        .description(description)
        .argument('<id>', 'which run')
        .option(...WORKFLOW_OPTION),
    );
  one('retry', 'Let a run go on: what arrived for it meanwhile is applied.').action(
    act((cli, id: string, options: Narrowed & ActFlags) => retry(cli, id, options)),
  );
  one('fail', 'Fail a run: its open tasks are cancelled.').action(
    act((cli, id: string, options: Narrowed & ActFlags) => fail(cli, id, options)),
  );
}

async function list(cli: Cli): Promise<void> {
  const runs = await (await cli.reader()).quarantine.list();
  const { out, io } = cli;
  if (out.format === 'json') return out.json({ runs });
  if (out.format === 'jsonl') return runs.forEach((run) => out.json({ run }));
  if (runs.length === 0) return out.note('No run is quarantined.');
  const rows = runs.map((run) => [
    out.isTerminal ? run.id.slice(0, 10) : run.id,
    safe(run.workflow),
    ageText(run.acceptedAt, io.now()),
    safe((run.quarantined ?? '').split('\n', 1)[0] ?? ''),
  ]);
  out.lines(
    table([{ title: 'ID' }, { title: 'WORKFLOW', least: 8 }, { title: 'ACCEPTED' }, { title: 'WHY', least: 20 }], rows, out.columns),
  );
  out.next(`pawl quarantine retry ${runs[0]?.id ?? ''}`);
}

async function retry(cli: Cli, id: string, options: Narrowed & ActFlags): Promise<void> {
  const engine = await cli.existing();
  const run = await findRun(engine, id, options);
  const goesOn = await engine.quarantine.retry(run.id, acting(options));
  const { out } = cli;
  if (out.format !== 'text') out.json({ run: run.id, released: goesOn });
  else out.line(goesOn ? `released ${run.id}` : `set aside again ${run.id}`);
  out.next(goesOn ? `pawl watch ${run.id}` : `pawl quarantine fail ${run.id}`);
  if (!goesOn) throw new Exit(1);
}

async function fail(cli: Cli, id: string, options: Narrowed & ActFlags): Promise<void> {
  const engine = await cli.existing();
  const run = await findRun(engine, id, options);
  await engine.quarantine.fail(run.id, acting(options));
  const { out } = cli;
  if (out.format !== 'text') return out.json({ run: run.id, status: 'failed' });
  out.line(`failed ${run.id}`);
  out.next(`pawl restart ${run.id}`);
}
