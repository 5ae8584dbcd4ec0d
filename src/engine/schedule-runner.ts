import { decode, encode } from '../core/values/codec.ts';
import { nextAfterOf, type NextAfter } from '../core/schedules/cron.ts';
import { messageOf, isPawlError, PawlError } from '../core/errors.ts';
import { newRunId } from '../core/ids.ts';
import type { OperatorAct } from '../store/acts.ts';
import type { Logger, Redactor } from '../core/log.ts';
import { isWatched, skipped, type FireRecord } from '../core/schedules/schedule.ts';
import { validate } from '../core/values/schema.ts';
import type { Workflow } from '../core/types/types.ts';
import {
  BY_HAND,
  OWN,
  type FireWrite,
  type ScheduleLook,
  type ScheduleRow,
  type ScheduleState,
  type ScheduleWrite,
} from '../store/schedules.ts';
import type { Store } from '../store/store.ts';
import { planBackfill } from './backfills.ts';
import type { StoreClock } from './clock.ts';
import type { Committer } from './committer.ts';
import type { Ports } from './ports.ts';
import type { Known, Registry } from './registry.ts';
import { stateOf, StepChain, type Step } from './schedule-steps.ts';
import { ScheduleMoved, type Started } from './units.ts';

export interface ScheduleRunnerOptions {
  readonly store: Store;
  readonly committer: Committer;
  readonly registry: Registry;
  readonly clock: StoreClock;
  readonly ports: Ports;
  readonly logger: Logger;
  readonly redactor: Redactor;
  readonly maxPayload: number;
}

/** What a schedule runs, as this process knows it. */
interface Code {
  readonly workflow: Workflow<never, unknown>;
  readonly known: Known;
}

type Applied = 'done' | 'moved' | 'failed' | 'full';

/** How long a function that makes an input may take. */
const INPUT_MS = 10_000;
const NOTE_CHARS = 500;

/**
 * Does for one schedule what is due: looks at its rows, lets the kernel decide, writes each decision in a transaction that carries the
 * revision it was made on. Whoever else does the same at the same time meets another revision, and looks again.
 */
export class ScheduleRunner {
  private readonly options: ScheduleRunnerOptions;
  /** Schedules that found the queue full, until it has room for them. */
  private readonly refused = new Set<number>();

  constructor(options: ScheduleRunnerOptions) {
    this.options = options;
  }

  /** `again`: there is more to do at once; `full`: the queue has no room for what is due. */
  async runOnce(schedule: number): Promise<'idle' | 'done' | 'again' | 'full'> {
    const { store, clock } = this.options;
    const look = await store.schedules.look(schedule);
    if (look === null) return 'idle';
    const code = this.codeOf(look.row);
    if (code === null) return 'idle';
    const now = clock.now();
    const next = this.nextOf(look.row);
    if (next === null) return this.pause(look, 'its rule cannot be read here');
    if (hasFailedTooOften(look)) return this.pause(look, `${look.ended.length} runs failed in a row`);
    const chain = new StepChain(look, next);
    const more = chain.fire(now);
    for (const backfill of look.backfills) await planBackfill(store.schedules, chain, { look, backfill, next });
    chain.settle();
    const applied = await this.apply(look, code, chain.steps);
    if (applied === 'done') await this.cancel(look, chain.toCancel);
    if (applied === 'moved') return 'again';
    if (applied === 'full') return 'full';
    if (applied === 'failed' || chain.steps.length === 0) return 'idle';
    return more || chain.again ? 'again' : 'done';
  }

  private codeOf(row: ScheduleRow): Code | null {
    const code = this.options.registry.entry(row.workflow);
    if (code === undefined) return null;
    return row.isMade && makerOf(code.workflow, row.name) === null ? null : code;
  }

  private nextOf(row: ScheduleRow): NextAfter | null {
    try {
      return nextAfterOf(row.rule, row.madeAt);
    } catch (error) {
      this.options.logger.error('a schedule is paused: its rule cannot be read', { schedule: row.name, error: messageOf(error) });
      return null;
    }
  }

  private async pause(look: ScheduleLook, why: string): Promise<'idle' | 'again'> {
    const { store, clock, logger } = this.options;
    const { row, waiting, backfills } = look;
    if (row.paused !== null) return 'idle';
    const now = clock.now();
    const state: ScheduleState = {
      ...stateOf(row),
      paused: { at: now, why },
      nextAt: null,
      isWatched: isWatched(row.policy, { open: 0, waiting: waiting.length, backfills: backfills.length }),
    };
    const write = { schedule: row.id, rev: row.rev, state, terms: null, records: [], extend: null, backfill: null };
    if (await store.schedules.write(write, now, null)) logger.warn('a schedule paused itself', { schedule: row.name, why });
    return 'again';
  }

  private async apply(look: ScheduleLook, code: Code, steps: readonly Step[]): Promise<Applied> {
    const { store, clock } = this.options;
    let starts: Promise<Started>[] = [];
    for (const step of steps) {
      if (step.start !== null) {
        const input = await this.inputOf(look.row, code, step.start.dueAt);
        if ('input' in input) {
          starts.push(this.start(look.row, code, input.input, { ...step.start, name: look.row.name, write: step.write }));
          continue;
        }
        // What was decided behind it counted on its run: it is decided again.
        await this.settledOf(look.row, starts);
        const { dueAt, waited, backfill } = step.start;
        const note = input.problem;
        const record: FireRecord = waited
          ? { kind: 'dropped', dueAt, reason: 'input_invalid', note }
          : { ...skipped(dueAt, 'input_invalid', note), ...(backfill === OWN ? {} : { backfill }) };
        const write = { ...step.write, records: [...step.write.records, record] };
        await store.schedules.write(notStarted(write), clock.now(), null);
        return 'moved';
      }
      const outcome = await this.settledOf(look.row, starts);
      starts = [];
      if (outcome !== 'done') return outcome;
      if (!(await store.schedules.write(step.write, clock.now(), null))) return 'moved';
    }
    return this.settledOf(look.row, starts);
  }

  private async settledOf({ id, name }: ScheduleRow, starts: readonly Promise<Started>[]): Promise<Applied> {
    for (const settled of await Promise.allSettled(starts)) {
      if (settled.status === 'fulfilled') {
        this.refused.delete(id);
        continue;
      }
      if (settled.reason instanceof ScheduleMoved) return 'moved';
      if (isPawlError(settled.reason, 'RUN_QUEUE_FULL')) {
        this.warnOnce(id, name, settled.reason);
        return 'full';
      }
      // The committer has said so: a store that cannot be written, or a change that it refused. The next sweep tries again.
      if (isPawlError(settled.reason)) return 'failed';
      throw settled.reason;
    }
    return 'done';
  }

  private warnOnce(id: number, name: string, { message }: PawlError): void {
    if (this.refused.has(id)) return;
    this.refused.add(id);
    this.options.logger.warn('a schedule waits: the queue is full', { schedule: name, error: message });
  }

  /** The input as it is stored, or what is wrong with it. */
  private async inputOf(
    row: ScheduleRow,
    { workflow }: Code,
    dueAt: number,
  ): Promise<{ readonly input: string | null } | { readonly problem: string }> {
    const { maxPayload, redactor, logger } = this.options;
    try {
      const maker = row.isMade ? makerOf(workflow, row.name) : null;
      const given = maker === null ? decode(row.input) : await this.within(maker(new Date(dueAt)));
      const checked = workflow.input === undefined ? { ok: true as const, value: given } : await validate(workflow.input, given);
      if (checked.ok) return { input: encode(checked.value, { maxBytes: maxPayload, root: 'input' }) ?? null };
      const issues = checked.issues.map((issue) => `${issue.path === '' ? 'input' : `input.${issue.path}`}: ${issue.message}`);
      throw new PawlError('RUN_INPUT_INVALID', `The input does not fit: ${issues.join('; ')}`);
    } catch (error) {
      const problem = redactor.text(messageOf(error)).slice(0, NOTE_CHARS);
      logger.error('a schedule could not start a run: its input is wrong', {
        schedule: row.name,
        dueAt: new Date(dueAt).toISOString(),
        error: problem,
      });
      return { problem };
    }
  }

  private within<T>(value: T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const stop = this.options.ports.timer(INPUT_MS, () =>
        reject(new Error(`the function that makes the input took over ${INPUT_MS} ms`)),
      );
      Promise.resolve(value).then(resolve, reject).finally(stop);
    });
  }

  private start({ name }: ScheduleRow, { known }: Code, input: string | null, fire: FireWrite): Promise<Started> {
    const { committer, clock, ports } = this.options;
    return new Promise((resolve, reject) => {
      const request = {
        known,
        uid: newRunId(clock.now(), (count) => ports.randomBytes(count)),
        input,
        key: null,
        rejectDuplicate: false,
        tags: [],
        priority: 0,
        startAt: null,
        traceparent: null,
        from: null,
        act: null,
        fire: { ...fire, name },
      };
      committer.add({ kind: 'start', request, resolve, reject });
    });
  }

  /** Runs that give way to a newer one, and those of a backfill that was cancelled. */
  private async cancel(look: ScheduleLook, runs: StepChain['toCancel']): Promise<void> {
    const { committer } = this.options;
    const ending = new Set(look.open.filter((one) => one.status === 'cancelling').map((one) => one.run));
    await Promise.all(
      runs.filter(({ run }) => !ending.has(run)).map(({ run, reason }) => committer.event(run, { type: 'cancel', reason })),
    );
  }

  /** A run now, whatever the rule says; null where the schedule moved on meanwhile. */
  async trigger(row: ScheduleRow, act: OperatorAct): Promise<Started | null> {
    const code = this.codeOf(row);
    if (code === null) {
      throw new PawlError(
        'RUN_UNKNOWN_WORKFLOW',
        `Workflow "${row.workflow}" of schedule "${row.name}" is not registered with this engine.`,
      );
    }
    const dueAt = this.options.clock.now();
    const input = await this.inputOf(row, code, dueAt);
    if ('problem' in input) throw new PawlError('RUN_INPUT_INVALID', `Schedule "${row.name}": ${input.problem}`);
    const write = { schedule: row.id, rev: row.rev, state: stateOf(row), terms: null, records: [], extend: null, backfill: null };
    try {
      return await this.start(row, code, input.input, { write, name: row.name, dueAt, backfill: BY_HAND, waited: false, act });
    } catch (error) {
      if (error instanceof ScheduleMoved) return null;
      throw error;
    }
  }
}

type Maker = (dueAt: Date) => unknown;

/** The function that makes the input of a declared schedule; null where this process's code has none. */
function makerOf(workflow: Workflow<never, unknown>, name: string): Maker | null {
  const input = workflow.schedules?.find((one) => one.name === name)?.input;
  return typeof input === 'function' ? (input as Maker) : null;
}

function hasFailedTooOften({ row, ended }: ScheduleLook): boolean {
  const { pauseAfter } = row.policy;
  return pauseAfter !== null && row.paused === null && ended.length >= pauseAfter && ended.every((status) => status === 'failed');
}

/** Of a backfill's instant that gave no run. */
function notStarted(write: ScheduleWrite): ScheduleWrite {
  return write.backfill === null ? write : { ...write, backfill: { ...write.backfill, started: 0 } };
}
