import type { Command } from 'commander';
import type { DeadLetter } from '../../client/dead.ts';
import type { Run } from '../../client/run.ts';
import type { RunView } from '../../client/views.ts';
import { isRunOver } from '../../core/kernel/states.ts';
import type { Why } from '../../core/why/why.ts';
import type { Engine } from '../../facade.ts';
import { shellWord } from '../args.ts';
import type { Cli } from '../cli.ts';
import type { Act } from '../commands.ts';
import { findRun, ID_HELP, WORKFLOW_OPTION, type Narrowed } from '../find.ts';
import { itemName } from '../items.ts';
import { goingOn } from '../next.ts';
import { statusText } from '../status.ts';
import { clipMiddle, safe, width } from '../text.ts';
import { fitted } from '../wrap.ts';

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
  const engine = await cli.reader();
  const run = await findRun(engine, id, options);
  const [view, answer] = [await run.status(), await run.why(task, itemName(options.item))];
  const { out } = cli;
  if (out.format !== 'text') return out.json({ run: run.id, ...(task === undefined ? {} : { task }), ...answer });
  const item = options.item === undefined ? '' : ` #${safe(options.item)}`;
  const subject = `${safe(view.workflow)}${task === undefined ? '' : ` · ${safe(task)}`}${item}`;
  const rest = `  ${run.id}  ${statusText(answer.status, out)}`;
  const room = out.columns === undefined ? Infinity : out.columns - width(rest);
  out.line(`${out.paint('bold', clipMiddle(subject, room))}${rest}`);
  out.lines(fitted('', safe(answer.sentence), out.columns));
  if (out.isTerminal) out.next(...(await nextOf(engine, { run, view, item: options.item }, answer)));
}

interface About {
  readonly run: Run<unknown>;
  readonly view: RunView;
  readonly item: string | undefined;
}

async function nextOf(engine: Engine, { run, view, item }: About, { status, tasks }: Why): Promise<string[]> {
  const { id } = view;
  if (view.quarantined !== undefined) return [`pawl quarantine retry ${id}`];
  if (status === 'failed' || status === 'upstream_failed') {
    const [letter, more] = await lettersOf(engine, id, tasks, item);
    const redrive = goingOn(await run.inspect());
    if (letter === undefined) return [`pawl show ${id}`];
    return [`pawl dead show ${shellWord(letter.id)}`, ...(more === undefined ? [] : [`pawl dead --run ${id}`]), redrive];
  }
  if (status === 'cancelled') return [goingOn(await run.inspect())];
  if (view.status === 'paused') return [`pawl resume ${id}`];
  return isRunOver[view.status] ? [`pawl show ${id}`] : [`pawl watch ${id}`];
}

/** Of a map its items are the dead letters, and a failure that is excused or discarded is none. */
async function lettersOf(engine: Engine, run: string, tasks: readonly string[], item: string | undefined): Promise<readonly DeadLetter[]> {
  const [task] = tasks;
  const { letters } = await engine.dead.list({ run, ...(task === undefined ? {} : { task }), limit: item === undefined ? 2 : 500 });
  if (item === undefined) return letters;
  const name = itemName(item);
  return letters.filter((one) => one.item === name);
}
