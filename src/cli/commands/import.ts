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
      '\nThe run and those below it keep their ids. What was open is quarantined, and goes on with pawl quarantine retry: first see that nobody works on it where it came from. A store that is not there yet is made.',
    )
    .action(act((cli, file: string) => importRun(cli, file)));
}

async function importRun(cli: Cli, file: string): Promise<void> {
  const document = parsed(await readText(file, cli.io), file === '-' ? 'stdin' : file);
  const run = await (await cli.engine({ use: [] })).importRun(document);
  const { out } = cli;
  const status = await run.status();
  if (out.format !== 'text') return out.json({ run: status });
  out.line(out.isTerminal ? `imported ${run.id}` : run.id);
  if (status.quarantined !== undefined) out.note('It was open when it was exported, and is set aside here.');
  out.next(status.quarantined === undefined ? `pawl show ${run.id}` : `pawl quarantine retry ${run.id}`);
}

function parsed(text: string, from: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new PawlError('RUN_DOCUMENT_INVALID', `${from} is no JSON: ${message}`, { cause: error });
  }
}
