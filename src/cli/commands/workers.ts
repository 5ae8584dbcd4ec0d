import type { Command } from 'commander';
import type { WorkerView } from '../../client/workers.ts';
import type { Act } from '../commands.ts';
import type { Colour } from '../output.ts';
import { table, type Column } from '../table.ts';
import { safe } from '../text.ts';
import { ageText } from '../time.ts';

const COLUMNS: readonly Column[] = [
  { title: 'STATE' },
  { title: 'ID', align: 'right' },
  { title: 'NAME', least: 8 },
  { title: 'HOST', least: 8 },
  { title: 'PID', align: 'right' },
  { title: 'RUNNING', align: 'right' },
  { title: 'STARTED' },
  { title: 'LEASE ENDS' },
];

const COLOURS: Readonly<Record<WorkerView['state'], Colour>> = { live: 'green', wedged: 'yellow', silent: 'red' };

export function define(command: Command, act: Act): void {
  command
    .addHelpText(
      'after',
      '\nlive: it renews its lease · wedged: its main thread does not answer · silent: its lease has ended, others take its work back',
    )
    .action(
      act(async (cli) => {
        const workers = await (await cli.existing()).workers();
        const { out } = cli;
        if (out.format === 'json') return out.json({ workers });
        if (out.format === 'jsonl') return workers.forEach((worker) => out.json({ worker }));
        if (workers.length === 0) {
          out.note('No worker lives.');
          return out.next('pawl work');
        }
        const now = cli.io.now();
        const at = (instant: Date): string => (out.isTerminal ? ageText(instant, now) : instant.toISOString());
        const rows = workers.map((one) => [
          out.paint(COLOURS[one.state], one.state),
          String(one.id),
          safe(one.name),
          safe(one.host),
          String(one.pid),
          String(one.running),
          at(one.startedAt),
          at(one.leaseUntil),
        ]);
        out.lines(table(COLUMNS, rows, out.columns));
        out.next('pawl ls status:running');
      }),
    );
}
