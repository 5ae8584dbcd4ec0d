import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { isWaitedFor } from '../../core/documents/run-document-states.ts';
import { shellWord } from '../args.ts';
import type { Cli } from '../cli.ts';
import type { Act } from '../commands.ts';
import { cannotWrite } from '../errors.ts';
import { findRun, ID_HELP, WORKFLOW_OPTION, type Narrowed } from '../find.ts';
import { safe, safeJson } from '../text.ts';

interface Options extends Narrowed {
  readonly output?: string;
}

export function define(command: Command, act: Act): void {
  command
    .argument('<id>', 'which run')
    .option(...WORKFLOW_OPTION)
    .option('-o, --output <file>', 'a new file, in place of stdout')
    .addHelpText(
      'after',
      `\nThe document is JSON with everything that belongs to the run, the runs below it and all payloads included: keep it as safe as the store.\n${ID_HELP}`,
    )
    .action(act((cli, id: string, options: Options) => exportRun(cli, id, options)));
}

async function exportRun(cli: Cli, id: string, options: Options): Promise<void> {
  const engine = await cli.reader();
  const run = await findRun(engine, id, options);
  const document = await engine.exportRun(run.id);
  const text = `${safeJson(JSON.stringify(document))}\n`;
  const { out, io } = cli;
  if (isWaitedFor(document)) out.note(`A part of run ${document.link?.['parent']}, without which it is not imported: export that one.`);
  if (options.output === undefined) return void out.stdout.write(text);
  try {
    writeFileSync(resolve(io.cwd, options.output), text, { mode: 0o600, flag: 'wx' });
  } catch (error) {
    throw cannotWrite(options.output, error);
  }
  out.note(`wrote ${safe(options.output)}`);
  out.next(`pawl import ${shellWord(options.output)} --store sqlite:<file>`);
}
