import type { Command } from 'commander';
import type { StartOptions } from '../../client/client.ts';
import type { Run } from '../../client/run.ts';
import { encode } from '../../core/values/codec.ts';
import { tryDurationMs, type Duration } from '../../core/duration-text.ts';
import { isPawlError, PawlError } from '../../core/errors.ts';
import { validate } from '../../core/values/schema.ts';
import type { Engine } from '../../facade.ts';
import { instantIn, milliseconds, payload, wholeNumber } from '../args.ts';
import type { Cli } from '../cli.ts';
import type { Act } from '../commands.ts';
import { shownPath, storeFile } from '../config.ts';
import type { AnyWorkflow, Entry } from '../entry.ts';
import { usage } from '../errors.ts';
import { follow, interrupted } from '../follow.ts';
import { plain } from '../plain.ts';
import { safe, safeJson } from '../text.ts';
import { lengthText } from '../time.ts';

interface Options {
  readonly key?: string;
  readonly tag: readonly string[];
  readonly at?: string;
  readonly priority?: string;
  readonly wait?: boolean;
  readonly timeout?: string;
  readonly watch?: boolean;
  readonly dryRun?: boolean;
}

export function define(command: Command, act: Act): void {
  command
    .argument('<workflow>', 'its name')
    .argument('[input]', 'JSON, @file, or - for stdin')
    .option('--key <key>', 'same workflow and key, same run')
    .option('--tag <tag>', 'a tag; may be given several times', (tag: string, before: readonly string[]) => [...before, tag], [])
    .option('--at <time>', 'starts later: a duration (2h) or an instant (2026-01-31T08:00Z)')
    .option('--priority <n>', 'higher goes first; a unit is worth a minute of waiting')
    .option('--wait', 'wait for the end, and print the output as JSON')
    .option('--timeout <duration>', 'with --wait: wait so long at most; the run goes on')
    .option('--watch', 'follow the run until it ends')
    .option('--dry-run', 'check the input, show what would start, start nothing')
    .action(act((cli, workflow: string, input: string | undefined, options: Options) => start(cli, { workflow, input, options })));
}

interface Request {
  readonly workflow: string;
  readonly input: string | undefined;
  readonly options: Options;
}

async function start(cli: Cli, { workflow: name, input: given, options }: Request): Promise<number> {
  checkOptions(options);
  const startOptions = optionsOf(options);
  const entry = await cli.entry();
  const workflow = workflowOf(entry, name, cli);
  const input = await payload(given, cli.io);
  if (options.dryRun === true) return dryRun(cli, workflow, { input, startOptions });
  const engine = await cli.engine({ use: entry.use });
  // From here on Ctrl-C ends the waiting, and says what became of the run.
  const interrupt = options.wait === true || options.watch === true ? cli.io.interrupt() : null;
  // Its input is checked against its schema by the engine.
  const run: Run<unknown> = await engine.start(workflow as Parameters<Engine['start']>[0], input, startOptions);
  if (options.watch === true) {
    cli.out.note(`${run.created ? 'started' : 'found'} ${run.id}`);
    return follow(cli, run);
  }
  return interrupt === null ? tell(cli, engine, { run, name }) : waitFor(cli, run, { interrupt, timeout: options.timeout });
}

function checkOptions({ wait, watch, timeout, dryRun: isDry }: Options): void {
  const modes = Object.entries({ '--wait': wait, '--watch': watch, '--dry-run': isDry }).filter(([, isSet]) => isSet === true);
  if (modes.length > 1) throw usage(`${modes.map(([mode]) => mode).join(' and ')}: give one of them.`);
  if (timeout !== undefined && wait !== true) throw usage('--timeout goes with --wait.');
  if (timeout !== undefined) milliseconds(timeout, '--timeout');
}

function optionsOf({ key, tag, at, priority }: Options): StartOptions {
  return {
    ...(key === undefined ? {} : { key }),
    ...(tag.length === 0 ? {} : { tags: tag }),
    ...(at === undefined ? {} : timeOf(at)),
    ...(priority === undefined ? {} : { priority: wholeNumber(priority, '--priority', { least: -1_000_000, most: 1_000_000 }) }),
  };
}

function timeOf(text: string): StartOptions {
  const delay = tryDurationMs(text);
  if (delay !== null) return { delay };
  const startAt = instantIn(text);
  if (startAt === null)
    throw usage(
      `--at ${JSON.stringify(text)} is neither a duration nor an instant.`,
      "Give '2h', '14d', or an instant such as 2026-01-31T08:00Z.",
    );
  return { startAt };
}

function workflowOf(entry: Entry, name: string, cli: Cli): AnyWorkflow {
  const workflow = entry.workflows.find((one) => one.name === name);
  if (workflow !== undefined) return workflow;
  const known = entry.workflows.map((one) => one.name);
  throw new PawlError(
    'RUN_UNKNOWN_WORKFLOW',
    `${shownPath(entry.file, cli.io.cwd)} exports no workflow ${JSON.stringify(name.slice(0, 60))}.`,
    {
      fix: known.length === 0 ? 'Export a workflow from the entry.' : `It exports: ${known.join(', ')}.`,
      details: { known },
    },
  );
}

async function dryRun(
  cli: Cli,
  workflow: AnyWorkflow,
  { input, startOptions }: { input: unknown; startOptions: StartOptions },
): Promise<number> {
  const checked = workflow.input === undefined ? { ok: true as const, value: input } : await validate(workflow.input, input);
  if (!checked.ok) {
    const issues = checked.issues.map(({ path, message }) => `input${path === '' ? '' : `.${path}`}: ${message}`);
    throw new PawlError('RUN_INPUT_INVALID', `The input of workflow "${workflow.name}" does not fit: ${issues.join('; ')}`, {
      details: { issues: checked.issues },
    });
  }
  encode(checked.value, { root: 'input' });
  const { out } = cli;
  const file = storeFile(cli.store);
  const facts = {
    workflow: workflow.name,
    store: file === null ? cli.store : shownPath(file, cli.io.cwd),
    input: checked.value,
    ...startOptions,
  };
  if (out.format !== 'text') out.json({ wouldStart: facts });
  else for (const [key, value] of Object.entries(facts)) out.line(`${key.padEnd(8)} ${factText(key, value)}`);
  out.next('the same without --dry-run starts it');
  return 0;
}

function factText(key: string, value: unknown): string {
  if (key === 'delay' && typeof value === 'number') return lengthText(value);
  return typeof value === 'string' ? safe(value) : safeJson(JSON.stringify(plain(value)) ?? 'none');
}

interface Waiting {
  readonly interrupt: AbortSignal;
  readonly timeout: string | undefined;
}

async function waitFor(cli: Cli, run: Run<unknown>, { interrupt, timeout }: Waiting): Promise<number> {
  const { out } = cli;
  if (out.format === 'text') out.note(`${run.created ? 'started' : 'found'} ${run.id}`);
  const stopped = new Promise<typeof interrupt>((resolve) => {
    if (interrupt.aborted) resolve(interrupt);
    else interrupt.addEventListener('abort', () => resolve(interrupt), { once: true });
  });
  const result = run.result(timeout === undefined ? {} : { timeout: timeout as Duration }).catch((error: unknown) => {
    throw withNext(error, run.id);
  });
  const output = await Promise.race([result, stopped]);
  if (output === interrupt) {
    // The engine is closed next, which ends the waiting.
    result.catch(() => undefined);
    return interrupted(cli, run.id);
  }
  if (out.format === 'text') out.line(safeJson(JSON.stringify(plain(output), null, 2) ?? 'null'));
  else out.json({ run: { ...(await run.status()), created: run.created }, output: output ?? null });
  out.next(`pawl show ${run.id}`);
  return 0;
}

/** What a person does about it on the command line. */
function withNext(error: unknown, id: string): unknown {
  if (!isPawlError(error, 'RUN_FAILED', 'RUN_CANCELLED', 'RUN_NO_OUTPUT', 'RUN_TIMEOUT')) return error;
  const fix = error.code === 'RUN_TIMEOUT' ? `The run goes on. Look again: pawl watch ${id}` : `Look at it: pawl show ${id}`;
  return new PawlError(error.code, error.message, { details: error.details, cause: error, fix });
}

async function tell(cli: Cli, engine: Engine, { run, name }: { run: Run<unknown>; name: string }): Promise<number> {
  const { out } = cli;
  if (out.format !== 'text') out.json({ run: { ...(await run.status()), created: run.created } });
  else if (out.isTerminal) out.line(`${run.created ? 'started' : 'found'} ${safe(name)} ${run.id}`);
  else out.line(run.id);
  const hasWorker = (await engine.workers()).some((worker) => worker.status === 'live');
  if (!hasWorker) out.note('No worker lives: the run waits for one.');
  out.next(hasWorker ? `pawl watch ${run.id}` : 'pawl work');
  return 0;
}
