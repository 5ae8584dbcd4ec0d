import type { Command } from 'commander';
import { once } from 'node:events';
import { isPawlError, PawlError } from '../../core/errors.ts';
import type { EngineEvent } from '../../core/events.ts';
import type { Logger } from '../../core/log.ts';
import { milliseconds, shellWord, wholeNumber } from '../args.ts';
import type { Cli } from '../cli.ts';
import type { Act } from '../commands.ts';
import { shownPath, storeFile } from '../config.ts';
import { usage } from '../errors.ts';
import { jsonLines, textLogger } from '../log.ts';
import { count } from '../text.ts';

interface Options {
  readonly concurrency?: string;
  readonly drain?: string;
  readonly queues?: string;
  readonly log: string;
  readonly events?: boolean;
}

export function define(command: Command, act: Act): void {
  command
    .option('--concurrency <n>', 'attempts at the same time (default: 20)')
    .option('--drain <duration>', 'how long bodies may go on when the worker is told to stop (default: 30s)')
    .option('--queues <names>', 'tasks of these queues, separated by commas; all: of every queue (default: default)')
    .option('--log <format>', 'json or text, on stderr', 'json')
    .option('--events', 'log what happens to runs and tasks too')
    .addHelpText(
      'after',
      '\nSIGINT or SIGTERM: nothing new is claimed, what runs is finished or handed back, exit 0. A second one ends at once.',
    )
    .action(act((cli, options: Options) => work(cli, options)));
}

async function work(cli: Cli, options: Options): Promise<number> {
  if (options.log !== 'json' && options.log !== 'text') throw usage(`--log ${JSON.stringify(options.log)}: give json or text.`);
  const concurrency = options.concurrency === undefined ? undefined : wholeNumber(options.concurrency, '--concurrency', { most: 100_000 });
  const drain = options.drain === undefined ? undefined : milliseconds(options.drain, '--drain');
  const queues = queuesOf(options.queues);
  const entry = await cli.entry();
  const write = (line: string): void => cli.out.note(line.trimEnd());
  const logger = options.log === 'json' ? await jsonLines(write, 'info') : textLogger(write, cli.io, 'info');
  const interrupt = cli.io.interrupt();
  const engine = await cli.engine({
    use: entry.use,
    writer: 'auto',
    logger,
    ...(concurrency === undefined ? {} : { concurrency }),
    ...(drain === undefined ? {} : { drain }),
    ...(options.events === true ? { onEvent: (event: EngineEvent) => logEvent(logger, event) } : {}),
  });
  await engine.work({ drainOn: [], ...(queues === undefined ? {} : { queues }) });
  const { workflows } = engine.registered;
  const file = storeFile(cli.store);
  logger.info('the worker is ready', {
    store: file === null ? cli.store : shownPath(file, cli.io.cwd),
    entry: shownPath(entry.file, cli.io.cwd),
    workflows: workflows.map(({ name, version, tasks }) => `${name} (version ${version}, ${count(tasks, 'task')})`),
    pid: process.pid,
    ...(queues === undefined ? {} : { queues }),
  });
  for (const { name, withoutBody } of workflows) {
    if (withoutBody.length > 0) logger.warn('tasks have no body here: another worker must have it', { workflow: name, tasks: withoutBody });
  }
  cli.out.next(workflows[0] === undefined ? 'pawl ls' : `pawl start ${shellWord(workflows[0].name)}`);
  const failure = interrupt.aborted ? null : await Promise.race([once(interrupt, 'abort').then(() => null), engine.runtime.failure]);
  if (failure !== null) {
    // Whoever started this process must see that nobody works any more.
    await engine.close().catch((error: unknown) => logger.warn('the engine could not be closed', { error: String(error) }));
    throw isPawlError(failure) ? failure : new PawlError('ENGINE_BROKEN', `The engine stopped: ${failure.message}`, { cause: failure });
  }
  logger.info('the worker stops: it finishes or hands back what it holds');
  await engine.close();
  logger.info('the worker has stopped');
  return 0;
}

function queuesOf(text: string | undefined): readonly string[] | 'all' | undefined {
  if (text === undefined || text === 'all') return text;
  const names = text.split(',').map((name) => name.trim());
  if (names.includes('')) throw usage(`--queues ${JSON.stringify(text)}: give names, separated by commas.`);
  return names;
}

function logEvent(logger: Logger, event: EngineEvent): void {
  const { type, runId, workflow } = event;
  const task =
    'task' in event ? { task: event.task, ...(event.item === undefined ? {} : { item: event.item }), attempt: event.attempt } : {};
  const status = 'status' in event ? { status: event.status } : {};
  const reason = 'reason' in event && event.reason !== undefined ? { reason: event.reason } : {};
  const level = 'status' in event && event.status === 'failed' ? 'warn' : 'info';
  logger[level](type, { workflow, run: runId, ...task, ...status, ...reason });
}
