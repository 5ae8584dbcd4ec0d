import type { Command } from 'commander';
import { PawlError } from '../../core/errors.ts';
import { readText } from '../args.ts';
import type { Cli } from '../cli.ts';
import type { Act } from '../commands.ts';
import { safe } from '../text.ts';

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
  const engine = await cli.engine({ use: [] });
  const before = new Set((await engine.quarantine.list()).map(({ id }) => id));
  const run = await engine.importRun(document);
  const { out } = cli;
  const status = await run.status();
  if (out.format !== 'text') return out.json({ run: status });
  out.line(out.isTerminal ? `imported ${run.id}` : run.id);
  const aside = (await engine.quarantine.list()).filter(({ id }) => !before.has(id));
  for (const { id, workflow } of aside) out.note(`set aside: ${safe(workflow)} ${id}, which was open when it was exported`);
  out.next(aside[0] === undefined ? `pawl show ${run.id}` : `pawl quarantine retry ${aside[0].id}`);
}

function parsed(text: string, from: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new PawlError('RUN_DOCUMENT_INVALID', `${from} is no JSON: ${message}`, { cause: error });
  }
}
