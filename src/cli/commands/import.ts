import type { Command } from 'commander';
import { PawlError } from '../../core/errors.ts';
import { readText } from '../args.ts';
import type { Cli } from '../cli.ts';
import type { Act } from '../commands.ts';

export function define(command: Command, act: Act): void {
  command
    .argument('<file>', 'what pawl export wrote; - for stdin')
    .addHelpText(
      'after',
      '\nThe run keeps its id. One that was open is quarantined: it can be looked at, and goes on only where it came from. A store that is not there yet is made.',
    )
    .action(act((cli, file: string) => importRun(cli, file)));
}

async function importRun(cli: Cli, file: string): Promise<void> {
  const document = parsed(await readText(file, cli.io), file === '-' ? 'stdin' : file);
  const run = await (await cli.engine({ use: [] })).importRun(document);
  const { out } = cli;
  if (out.format !== 'text') return out.json({ run: await run.status() });
  out.line(out.isTerminal ? `imported ${run.id}` : run.id);
  out.next(`pawl show ${run.id}`);
}

function parsed(text: string, from: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new PawlError('RUN_DOCUMENT_INVALID', `${from} is no JSON: ${message}`, { cause: error });
  }
}
