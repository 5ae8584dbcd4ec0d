import type { Command } from 'commander';
import { isRunOver } from '../../core/states.ts';
import type { Why } from '../../core/why.ts';
import { shellWord } from '../args.ts';
import type { Cli } from '../cli.ts';
import type { Act } from '../commands.ts';
import { findRun, ID_HELP, WORKFLOW_OPTION, type Narrowed } from '../find.ts';
import { itemName } from '../items.ts';
import { statusText } from '../status.ts';
import { safe } from '../text.ts';
import { hanging } from '../wrap.ts';

interface Options extends Narrowed {
  readonly item?: string;
}

export function define(command: Command, act: Act): void {
  command
    .argument('<id>', 'which run')
    .argument('[task]', 'a task of it')
    .option(...WORKFLOW_OPTION)
    .option('--item <index|key>', 'an item of the task, if it is a map')
    .addHelpText('after', `\n${ID_HELP}`)
    .action(act((cli, id: string, task: string | undefined, options: Options) => why(cli, { id, task, options })));
}

interface Asked {
  readonly id: string;
  readonly task: string | undefined;
  readonly options: Options;
}

async function why(cli: Cli, { id, task, options }: Asked): Promise<void> {
  const run = await findRun(await cli.reader(), id, options);
  const [view, answer] = [await run.status(), await run.why(task, itemName(options.item))];
  const { out } = cli;
  if (out.format !== 'text') return out.json({ run: run.id, ...(task === undefined ? {} : { task }), ...answer });
  const subject = `${safe(view.workflow)}${task === undefined ? '' : ` · ${safe(task)}`}`;
  out.line(`${out.paint('bold', subject)}  ${run.id}  ${statusText(answer.status, out)}`);
  const sentence = safe(answer.sentence);
  out.lines(out.columns === undefined ? [sentence] : hanging('', sentence, out.columns));
  out.next(...nextOf(run.id, answer, { isOver: isRunOver[view.status], isPaused: view.status === 'paused', task }));
}

function nextOf(id: string, { status, tasks }: Why, about: { isOver: boolean; isPaused: boolean; task: string | undefined }): string[] {
  if (status === 'failed' || status === 'upstream_failed')
    return [...tasks.slice(0, 1).map((one) => `pawl dead show ${shellWord(`${id}/${one}`)}`), `pawl redrive ${id} --dry-run`];
  if (status === 'cancelled') return [`pawl redrive ${id} --dry-run`];
  if (about.isPaused) return [`pawl resume ${id}`];
  return about.isOver ? [`pawl show ${id}`] : [`pawl watch ${id}`];
}
