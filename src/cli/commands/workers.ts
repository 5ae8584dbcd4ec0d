import type { Command } from 'commander';
import type { WorkerView } from '../../client/explain.ts';
import type { Cli } from '../cli.ts';
import type { Act } from '../commands.ts';
import type { Colour } from '../output.ts';
import { table, type Column } from '../table.ts';
import { safe } from '../text.ts';
import { ageText } from '../time.ts';

const COLUMNS: readonly Column[] = [
  { title: 'STATUS' },
  { title: 'ID', align: 'right' },
  { title: 'NAME', least: 8 },
  { title: 'HOST', least: 8 },
  { title: 'PID', align: 'right' },
  { title: 'BUSY', align: 'right' },
  { title: 'STARTED' },
  { title: 'LEASE ENDS' },
];

const COLOURS: Readonly<Record<WorkerView['status'], Colour>> = { live: 'green', wedged: 'yellow', silent: 'red', ended: 'gray' };

export function define(command: Command, act: Act): void {
  command
    .option('--all', 'those too that have ended')
    .addHelpText(
      'after',
      '\nlive: it renews its lease · wedged: its main thread does not answer · silent: its lease has ended, others take its work back',
    )
    .action(act((cli, options: { all?: boolean }) => workers(cli, options.all === true)));
}

async function workers(cli: Cli, all: boolean): Promise<void> {
  const list = (await (await cli.reader()).workers()).filter((worker) => all || worker.status !== 'ended');
  const { out } = cli;
  if (out.format === 'json') return out.json({ workers: list });
  if (out.format === 'jsonl') return list.forEach((worker) => out.json({ worker }));
  if (list.length === 0) {
    out.note('No worker lives.');
    return out.next('pawl work');
  }
  const now = cli.io.now();
  const at = (instant: Date): string => (out.isTerminal ? ageText(instant, now) : instant.toISOString());
  const rows = list.map((one) => [
    out.paint(COLOURS[one.status], one.status),
    String(one.id),
    safe(one.name),
    safe(one.host),
    String(one.pid),
    `${one.busy}/${one.slots}`,
    at(one.startedAt),
    at(one.leaseUntil),
  ]);
  out.lines(table(COLUMNS, rows, out.columns));
  out.next('pawl ls status:running');
}
