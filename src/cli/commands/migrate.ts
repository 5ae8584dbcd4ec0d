import type { Command } from 'commander';
import type { Cli } from '../cli.ts';
import type { Act } from '../commands.ts';
import { shownPath } from '../config.ts';

export function define(command: Command, act: Act): void {
  command
    .option('--dry-run', 'say what would be done, and do nothing')
    .addHelpText('after', '\nEvery process that opens the store to write does the same by itself.')
    .action(act((cli, options: { dryRun?: boolean }) => migrate(cli, options.dryRun === true)));
}

async function migrate(cli: Cli, isDry: boolean): Promise<void> {
  const { openSqlite, storeVersion } = await import('../../compose.ts');
  const { path, exists, schema, known } = await storeVersion(cli.store);
  const { out } = cli;
  if (!isDry) {
    const store = await openSqlite(path);
    try {
      await store.open();
    } finally {
      await store.close();
    }
  }
  if (out.format !== 'text') return out.json({ path, existed: exists, from: schema, to: Math.max(schema, known), done: !isDry });
  const where = shownPath(path, cli.io.cwd);
  if (schema === known) out.line(`${where}: schema ${schema}, nothing to do`);
  else if (schema > known) out.line(`${where}: schema ${schema}, newer than this version's ${known}`);
  else out.line(`${where}: ${exists ? `schema ${schema}` : 'new'} ${isDry ? 'would become' : 'became'} schema ${known}`);
  out.next(isDry && schema < known ? 'pawl migrate' : 'pawl ls');
}
