import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { ERRORS, type ErrorCode } from '../../core/errors.ts';
import { packageFolder } from '../../own-files.ts';
import type { Cli } from '../cli.ts';
import type { Act } from '../commands.ts';
import { usage } from '../errors.ts';
import { table, type Column } from '../table.ts';

const COLUMNS: readonly Column[] = [{ title: 'CODE' }, { title: 'EXIT', align: 'right' }, { title: 'WHAT TO DO', least: 20 }];

export function define(command: Command, act: Act): void {
  command
    .argument('[code]', 'the code that an error begins with; without one, all codes are listed')
    .action(act(async (cli, code: string | undefined) => (code === undefined ? listCodes(cli) : explain(cli, code))));
}

function listCodes({ out }: Cli): void {
  const codes = Object.entries(ERRORS).map(([code, { exit, fix }]) => ({ code, exit, fix }));
  if (out.format === 'json') return out.json({ codes });
  if (out.format === 'jsonl') return codes.forEach((one) => out.json({ code: one }));
  out.lines(
    table(
      COLUMNS,
      codes.map(({ code, exit, fix }) => [code, String(exit), fix]),
      out.columns,
    ),
  );
  out.next('pawl explain <code>');
}

function explain({ out }: Cli, given: string): void {
  const code = Object.keys(ERRORS).find((one): one is ErrorCode => one === given.toUpperCase());
  if (code === undefined) throw usage(`${JSON.stringify(given.slice(0, 60))} is no code of an error.`, 'See all of them: pawl explain');
  const { exit, fix } = ERRORS[code];
  const page = readFileSync(new URL(`docs/errors/${code}.md`, packageFolder), 'utf8');
  if (out.format !== 'text') return out.json({ code, exit, fix, page });
  out.line(page.trimEnd());
}
