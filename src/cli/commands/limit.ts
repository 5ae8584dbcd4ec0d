import type { Command } from 'commander';
import type { LimitOptions, LimitView } from '../../client/capacity.ts';
import type { LimitKind } from '../../core/capacity/limits.ts';
import { operating } from '../acts.ts';
import { shellWord } from '../args.ts';
import type { Cli } from '../cli.ts';
import type { Act } from '../commands.ts';
import { usage } from '../errors.ts';
import { table, type Column } from '../table.ts';
import { safe } from '../text.ts';

const COLUMNS: readonly Column[] = [
  { title: 'KIND' },
  { title: 'NAME', least: 8 },
  { title: 'LIMIT', align: 'right' },
  { title: 'HELD', align: 'right' },
  { title: 'SAID BY' },
];
const FAIR_BY: Column = { title: 'IN TURN BY' };
const KINDS: readonly LimitKind[] = ['pool', 'key', 'rate'];
const KIND_OPTION = ['--kind <kind>', 'pool, key or rate; a number is a pool, and a text such as 10/s a rate, unless it is given'] as const;

const NOTE_OPTION = ['--note <text>', 'kept with the act, see pawl audit'] as const;

interface Flags {
  readonly kind?: string;
  readonly note?: string;
}

export function define(command: Command, act: Act): void {
  command.addHelpText(
    'after',
    '\nWhat an operator sets wins over the code until it is cleared. Lowering takes nothing away from what runs; 0 closes.',
  );
  command
    .command('ls', { isDefault: true })
    .description('Pools, keys and rates: what counts, and what is held.')
    .action(act((cli) => list(cli)));
  command
    .command('set')
    .description('Say what counts, in place of the code.')
    .argument('<name>', 'which limit')
    .argument('<value>', 'units of a pool, how much of a key at once, or a rate such as 10/s')
    .option(...KIND_OPTION)
    .option(...NOTE_OPTION)
    .action(act((cli, name: string, value: string, options: Flags) => set(cli, name, value, options)));
  command
    .command('clear')
    .description('Back to what the code says.')
    .argument('<name>', 'which limit')
    .option(...KIND_OPTION)
    .option(...NOTE_OPTION)
    .action(act((cli, name: string, options: Flags) => clear(cli, name, options)));
}

async function list(cli: Cli): Promise<void> {
  const limits = await (await cli.reader()).limits.list();
  const { out } = cli;
  if (out.format === 'json') return out.json({ limits });
  if (out.format === 'jsonl') return limits.forEach((limit) => out.json({ limit }));
  if (limits.length === 0) return out.note('No limit is declared, and none is set.');
  out.lines(tableOf(limits, out.columns));
  out.next(`pawl limit set ${shellWord(limits[0]?.name ?? '')} <value>`);
}

/** How units are handed out is a column where somebody said it. */
const tableOf = (limits: readonly LimitView[], width: number | undefined): string[] =>
  limits.some((limit) => limit.fair !== undefined)
    ? table(
        [...COLUMNS, FAIR_BY],
        limits.map((limit) => [...rowOf(limit), limit.fair ?? '']),
        width,
      )
    : table(COLUMNS, limits.map(rowOf), width);

const rowOf = ({ kind, name, value, held, operator, code }: LimitView): string[] => [
  kind,
  safe(name),
  String(value),
  held === undefined ? '' : String(held),
  operator === undefined ? 'code' : code === undefined ? 'operator' : `operator (code: ${String(code)})`,
];

async function set(cli: Cli, name: string, value: string, flags: Flags): Promise<void> {
  const engine = await cli.existing();
  await engine.limits.set(name, /^\d{1,9}$/.test(value) ? Number(value) : value, optionsOf(flags));
  await say(cli, name, 'set');
}

async function clear(cli: Cli, name: string, flags: Flags): Promise<number> {
  const engine = await cli.existing();
  const isCleared = await engine.limits.clear(name, optionsOf(flags));
  await say(cli, name, isCleared ? 'cleared' : 'no operator had set');
  return isCleared ? 0 : 3;
}

async function say(cli: Cli, name: string, done: string): Promise<void> {
  const { out } = cli;
  const limits = (await (await cli.existing()).limits.list()).filter((limit) => limit.name === name);
  if (out.format !== 'text') return out.json({ limits });
  out.line(`${done} ${safe(name)}`);
  if (limits.length > 0) out.lines(tableOf(limits, out.columns));
  out.next('pawl limit');
}

function optionsOf({ kind, note }: Flags): LimitOptions {
  if (kind === undefined) return operating(note);
  const known = KINDS.find((one) => one === kind);
  if (known === undefined) throw usage(`--kind ${JSON.stringify(kind)}: give ${KINDS.join(', ')}.`);
  return { kind: known, ...operating(note) };
}
