import type { Run } from '../client/run.ts';
import type { RunDetail } from '../client/inspect.ts';
import { isRunOver } from '../core/kernel/states.ts';
import type { Cli } from './cli.ts';
import { eventLine } from './events.ts';
import { Live } from './live.ts';
import { runLines } from './tree.ts';

/** No more than ten redraws a second, and one at least, since lengths of time grow. */
const FASTEST_MS = 100;
const SLOWEST_MS = 1_000;

type AnyRun = Run<unknown>;

/** Follows a run until it has ended, on a terminal as a tree that is redrawn, else a line per event. Gives the exit code. */
export async function follow(cli: Cli, run: AnyRun): Promise<number> {
  const interrupt = cli.io.interrupt();
  const { out } = cli;
  const isLive = out.isTerminal && cli.io.env['TERM'] !== 'dumb';
  const detail = isLive ? await followLive(cli, run, interrupt) : await followLines(cli, run, interrupt);
  if (!isRunOver[detail.status]) return interrupted(cli, run.id);
  if (out.format === 'json') out.json({ run: detail });
  return outcomeExit(detail);
}

/** The run goes on, and how to look again. */
export function interrupted(cli: Cli, id: string, next = `pawl watch ${id}`): number {
  // What a terminal has echoed of Ctrl-C is written over.
  cli.out.note(`${cli.out.errorPainter.isTerminal ? '\r' : ''}The run goes on. Look again: ${next}`);
  return 130;
}

/** By the run's outcome: a partial run has ended well where it has an output. */
export function outcomeExit(run: RunDetail): number {
  if (run.status === 'success' || run.status === 'skipped') return 0;
  return run.status === 'partial' && 'output' in run ? 0 : 1;
}

async function followLines(cli: Cli, run: AnyRun, interrupt: AbortSignal): Promise<RunDetail> {
  const { out } = cli;
  // Listens before it looks, so that an end in between is not missed.
  const events = run.watch({ signal: interrupt });
  let next = events.next();
  const before = await run.inspect();
  if (isRunOver[before.status]) {
    await stop(events, next);
    if (out.format === 'jsonl')
      out.json({ event: { type: 'run.finished', at: before.finishedAt, runId: run.id, workflow: before.workflow, status: before.status } });
    else if (out.format === 'text') out.line(`${(before.finishedAt ?? before.acceptedAt).toISOString()} run.finished ${before.status}`);
    return before;
  }
  if (out.format === 'text') out.note(`Run ${run.id} is ${before.status}.`);
  for (let one = await next; one.done !== true; next = events.next(), one = await next) {
    if (out.format === 'jsonl') out.json({ event: one.value });
    else if (out.format === 'text') out.line(eventLine(one.value, out));
  }
  return run.inspect();
}

async function stop(events: AsyncGenerator<unknown, void>, next: Promise<unknown>): Promise<void> {
  // A run that is over ends its own stream.
  await next;
  await events.return();
}

async function followLive(cli: Cli, run: AnyRun, interrupt: AbortSignal): Promise<RunDetail> {
  const { out, io } = cli;
  const live = new Live(out.stdout);
  const changes = new Changes(run, interrupt);
  try {
    for (;;) {
      const detail = await run.inspect();
      if (isRunOver[detail.status]) {
        live.end(runLines(detail, out, { now: io.now() }));
        return detail;
      }
      live.draw(runLines(detail, out, { now: io.now(), room: live.room }));
      if (interrupt.aborted) {
        live.close();
        return detail;
      }
      await changes.next();
    }
  } finally {
    live.close();
    await changes.stop();
  }
}

/** Says when it is time to look again: something happened, but not sooner than the fastest redraw. */
class Changes {
  private readonly controller = new AbortController();
  private readonly reading: Promise<void>;
  private failure: { readonly error: unknown } | null = null;
  private hasChanged = false;
  private wake: () => void = () => undefined;
  private lastMs = performance.now();

  constructor(run: AnyRun, interrupt: AbortSignal) {
    const onInterrupt = (): void => this.note();
    interrupt.addEventListener('abort', onInterrupt, { once: true });
    this.reading = this.read(run)
      .catch((error: unknown) => {
        this.failure = { error };
        this.note();
      })
      .finally(() => interrupt.removeEventListener('abort', onInterrupt));
  }

  private async read(run: AnyRun): Promise<void> {
    for await (const _ of run.watch({ signal: this.controller.signal })) this.note();
    this.note();
  }

  private note(): void {
    this.hasChanged = true;
    this.wake();
  }

  async next(): Promise<void> {
    const sinceMs = performance.now() - this.lastMs;
    await this.sleep(FASTEST_MS - sinceMs);
    if (!this.hasChanged) await this.sleep(SLOWEST_MS - FASTEST_MS, true);
    if (this.failure !== null) throw this.failure.error;
    this.hasChanged = false;
    this.lastMs = performance.now();
  }

  private async sleep(ms: number, untilChange = false): Promise<void> {
    if (ms <= 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      if (!untilChange) return;
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.wake = () => undefined;
  }

  async stop(): Promise<void> {
    this.controller.abort();
    await this.reading;
  }
}
