import type { Command } from 'commander';
import type { Check } from '../../client/doctor.ts';
import type { Cli } from '../cli.ts';
import type { Act } from '../commands.ts';
import type { Colour, Output } from '../output.ts';
import { count, pad, safe, width } from '../text.ts';
import { hanging } from '../wrap.ts';

export function define(command: Command, act: Act): void {
  command
    .option('--full', 'read the file from end to end, also where it is larger than 1 GiB')
    .addHelpText('after', '\nNothing is changed. The exit code is 6 where a check fails.')
    .action(act((cli, options: { full?: boolean }) => doctor(cli, options.full === true)));
}

async function doctor(cli: Cli, full: boolean): Promise<number> {
  // A store that is not there is a finding as well.
  const checks = await (await cli.engine({ use: [], access: 'read' })).doctor({ full });
  const failed = checks.filter((check) => check.status === 'fail').length;
  const { out } = cli;
  if (out.format === 'json') out.json({ ok: failed === 0, checks });
  else if (out.format === 'jsonl') checks.forEach((check) => out.json({ check }));
  else tell(checks, out);
  if (failed > 0) {
    if (out.format === 'text') out.note(`${count(failed, 'check')} failed.`);
    return 6;
  }
  out.next('pawl workers');
  return 0;
}

const LOOKS: Readonly<Record<Check['status'], { readonly word: string; readonly colour: Colour }>> = {
  ok: { word: 'ok', colour: 'green' },
  warn: { word: 'warn', colour: 'yellow' },
  fail: { word: 'FAIL', colour: 'red' },
};

/** Nothing is cut: what stands here is to be read to its end. */
function tell(checks: readonly Check[], out: Output): void {
  const columns = out.columns ?? Infinity;
  const longest = Math.max(...checks.map(({ name }) => width(name)));
  for (const { name, status, detail, fix } of checks) {
    const { word, colour } = LOOKS[status];
    const [first = '', ...rest] = hanging(`${word.padEnd(4)}  ${pad(name, longest)}  `, safe(detail), columns);
    out.line(first.replace(word, out.paint(colour, word)));
    out.lines(rest);
    if (fix !== undefined) out.lines(hanging(`${' '.repeat(longest + 8)}→ `, safe(fix), columns));
  }
}
