import type { Command } from 'commander';
import { payload } from '../args.ts';
import type { Cli } from '../cli.ts';
import type { Act } from '../commands.ts';
import { usage } from '../errors.ts';
import { safe } from '../text.ts';

interface Options {
  readonly key?: string;
  readonly run?: string;
  readonly all?: boolean;
  readonly dedupe?: string;
}

const HELP = `
  pawl signal paid --key o-81 '{"cents": 500}'     for whoever waits with the key
  pawl signal stop --run 7kq2 null                 for one run`;

export function define(command: Command, act: Act): void {
  command
    .argument('<name>', 'which signal: one in use, or one that a workflow waits for')
    .argument('[data]', 'JSON, @file, or - for stdin; the schema of the signal must take it')
    .option('--key <key>', 'the key that is waited for')
    .option('--run <id>', 'only this run')
    .option('--all', 'a copy for each run that waits with the key')
    .option('--dedupe <text>', 'the same text within 7 days: the same message')
    .addHelpText('after', HELP)
    .action(act((cli, name: string, data: string | undefined, options: Options) => send(cli, { name, data, options })));
}

async function send(
  cli: Cli,
  { name, data, options }: { readonly name: string; readonly data: string | undefined; readonly options: Options },
): Promise<void> {
  const { key, run, all, dedupe } = options;
  if ((key === undefined) === (run === undefined))
    throw usage('Give --key or --run, one of the two.', HELP.replaceAll('\n  ', '\n').trim());
  cli.requireStore();
  const engine = await cli.engine({ use: (await cli.entry()).use });
  const whole = run === undefined ? undefined : (await engine.runs.find(run)).id;
  const sent = await engine.send(name, {
    ...(key === undefined ? {} : { key }),
    ...(whole === undefined ? {} : { run: whole }),
    data: await payload(data, cli.io, 'data'),
    ...(all === true ? { to: 'all' as const } : {}),
    ...(dedupe === undefined ? {} : { dedupe }),
  });
  const { out } = cli;
  if (out.format !== 'text') return out.json({ signal: name, ...sent });
  const where = whole === undefined ? safe(key ?? '') : whole;
  if (sent.duplicate) out.line(`sent before: ${safe(name)} to ${where}`);
  else if (sent.woke === 0) out.line(`kept ${safe(name)} for ${where}: nobody took it yet`);
  else out.line(`sent ${safe(name)} to ${where}: ${sent.woke} took it`);
  out.next(whole === undefined ? 'pawl ls' : `pawl show ${whole}`);
}
