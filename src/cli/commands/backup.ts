import { resolve } from 'node:path';
import type { Command } from 'commander';
import { size } from '../../client/doctor.ts';
import { shellWord } from '../args.ts';
import type { Cli } from '../cli.ts';
import type { Act } from '../commands.ts';
import { safe } from '../text.ts';

export function define(command: Command, act: Act): void {
  command
    .argument('<file>', 'where to; it must not be there yet')
    .addHelpText(
      'after',
      '\nThe store as it is at one instant, while workers go on. The file is checked and synced before it gets its name. It holds everything that the store holds: keep it as safe.',
    )
    .action(act((cli, file: string) => backup(cli, file)));
}

async function backup(cli: Cli, file: string): Promise<void> {
  const { bytes } = await (await cli.reader()).backup(resolve(cli.io.cwd, file));
  const { out } = cli;
  if (out.format !== 'text') return out.json({ file: resolve(cli.io.cwd, file), bytes });
  out.line(`wrote ${safe(file)}, ${size(bytes)}`);
  out.next(`pawl doctor --store ${shellWord(`sqlite:${file}`)}`);
}
