import type { Command } from 'commander';
import { PawlError } from '../../core/errors.ts';
import { isRunOver } from '../../core/kernel/states.ts';
import type { Cli } from '../cli.ts';
import type { Act } from '../commands.ts';
import { usage } from '../errors.ts';
import { findRun, ID_HELP, WORKFLOW_OPTION, type Narrowed } from '../find.ts';
import { goingOn } from '../next.ts';
import { plain } from '../plain.ts';
import { safeJson } from '../text.ts';
import { attemptLines, kinLines, runLines } from '../tree.ts';

interface Options extends Narrowed {
  readonly items?: boolean;
  readonly graph?: boolean;
  readonly input?: boolean;
  readonly output?: boolean;
}

export function define(command: Command, act: Act): void {
  command
    .argument('<id>', 'which run')
    .option(...WORKFLOW_OPTION)
    .option('--items', 'the items of maps too')
    .option('--graph', 'the graph too, with how each task stands')
    .option('--input', "only the run's input, as JSON")
    .option('--output', "only the run's output, as JSON")
    .addHelpText('after', `\n${ID_HELP}`)
    .action(act((cli, id: string, options: Options) => show(cli, id, options)));
}

async function show(cli: Cli, id: string, options: Options): Promise<void> {
  if (options.input === true && options.output === true) throw usage('--input and --output: give one of them.');
  const run = await findRun(await cli.reader(), id, options);
  const detail = await run.inspect({ items: options.items === true });
  const { out } = cli;
  if (options.input === true) return out.line(payloadText(detail.input));
  if (options.output === true) {
    if (!('output' in detail)) throw new PawlError('RUN_NO_OUTPUT', `Run ${detail.id} is ${detail.status} and has no output.`);
    return out.line(payloadText(detail.output));
  }
  if (out.format !== 'text') return out.json({ run: detail });
  if (options.graph === true) {
    const { drawingLines, runDrawing } = await import('../drawing.ts');
    const whole = options.items === true ? detail : await run.inspect({ items: true });
    out.lines([...drawingLines(runDrawing(await run.graph(), whole), out), '']);
  }
  out.lines(runLines(detail, out, { now: cli.io.now() }));
  out.lines(attemptLines(detail, out));
  out.lines(kinLines(detail));
  const { id: whole } = detail;
  const hasMaps = detail.tasks.some((task) => task.items !== undefined);
  const items = hasMaps && options.items !== true ? [`pawl show ${whole} --items`] : [];
  out.next(
    ...(isRunOver[detail.status] ? [] : [`pawl watch ${whole}`]),
    ...(detail.status === 'failed' || detail.status === 'cancelled' ? [`pawl why ${whole}`, goingOn(detail)] : []),
    ...items,
    ...('output' in detail ? [`pawl show ${whole} --output`] : []),
  );
}

const payloadText = (value: unknown): string => safeJson(JSON.stringify(plain(value), null, 2) ?? 'null');
