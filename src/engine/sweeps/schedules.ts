import { messageOf } from '../../core/errors.ts';
import type { Logger } from '../../core/log.ts';
import type { Store } from '../../store/store.ts';
import type { Registry } from '../registry.ts';
import type { ScheduleRunner } from '../schedule-runner.ts';

/** Schedules of one look. */
const PAGE = 200;
/** Looks at one schedule without a pause: more means that processes are at it against each other, and the next sweep will do. */
const TURNS = 200;
/** A queue that was full is looked at again after this, if no sweep does before. */
const FULL_MS = 10_000;

export interface ScheduleSweepParts {
  readonly store: Store;
  readonly registry: Registry;
  readonly runner: ScheduleRunner;
  readonly logger: Logger;
  /** A schedule was worked on: what is due next may be another instant. */
  readonly onDone: () => void;
  /** One found the queue full: it is to be looked at again in so many milliseconds. */
  readonly onFull: (ms: number) => void;
}

/**
 * Starts the runs of schedules that are due, and goes on with what waits for the end of others. Only those whose workflow is registered
 * here: the input is checked by its schema, and made by its code. One that is slow, or whose input hangs, holds up no other.
 */
export class ScheduleSweep {
  private readonly parts: ScheduleSweepParts;
  private readonly working = new Set<number>();
  private isStopped = false;
  /** Some schedule waits for the end of a run. */
  isWatching = false;

  constructor(parts: ScheduleSweepParts) {
    this.parts = parts;
  }

  /** Gives the instant at which to look again; null: nothing is due any more. */
  async runOnce(now: number): Promise<number | null> {
    const { store, registry } = this.parts;
    const workflows = registry.names;
    if (this.isStopped || workflows.length === 0) return null;
    this.begin(await store.schedules.due(workflows, now, PAGE));
    let isWatching = false;
    for (let after: number | undefined = 0; after !== undefined;) {
      const page: number[] = await store.schedules.watched(workflows, after, PAGE);
      isWatching ||= page.length > 0;
      this.begin(page);
      after = page.length < PAGE ? undefined : page.at(-1);
    }
    this.isWatching = isWatching;
    return store.schedules.nextAt(workflows, now);
  }

  private begin(schedules: readonly number[]): void {
    for (const schedule of schedules) if (!this.working.has(schedule)) void this.work(schedule);
  }

  private async work(schedule: number): Promise<void> {
    const { runner, logger, onDone, onFull } = this.parts;
    this.working.add(schedule);
    let turns = 0;
    try {
      for (let went: string = 'again'; went === 'again' && !this.isStopped && turns < TURNS;) {
        went = await runner.runOnce(schedule);
        if (went === 'full') onFull(FULL_MS);
        else if (went !== 'idle') turns++;
      }
    } catch (error) {
      if (!this.isStopped) logger.error('a schedule could not be worked on', { schedule, error: messageOf(error) });
    } finally {
      this.working.delete(schedule);
    }
    if (turns > 0 && !this.isStopped) onDone();
  }

  stop(): void {
    this.isStopped = true;
  }
}
