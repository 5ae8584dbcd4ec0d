import { decode, encode } from '../core/values/codec.ts';
import { nextAfterOf, type ScheduleRule } from '../core/schedules/cron.ts';
import { PawlError } from '../core/errors.ts';
import { runIdText } from '../core/ids.ts';
import { reporter, shown, type Problem } from '../core/graph/problems.ts';
import { declaredSchedule, instantOf, type DeclaredSchedule, type ScheduleTiming } from '../core/define/schedule-opts.ts';
import { REPROCESS, isReprocessed, isWatched, stretch, type NoRunReason, type Reprocess } from '../core/schedules/schedule.ts';
import { validate } from '../core/values/schema.ts';
import { isRunOver, type RunStatus } from '../core/kernel/states.ts';
import type { Workflow } from '../core/types/types.ts';
import type { BackfillRow, BackfillState, FireRow, NewSchedule, ScheduleRow, Schedules, ScheduleState } from '../store/schedules.ts';
import type { OperatorAct } from '../store/acts.ts';
import type { Store } from '../store/store.ts';
import { operatorAct, type ActorOptions, type ActSubject } from './operator-acts.ts';

/** When runs are started; `input` is what each begins with. */
export type NewScheduleOptions = ScheduleTiming & {
  readonly name: string;
  readonly workflow: Workflow<never, unknown> | string;
  readonly input?: unknown;
};

export interface ScheduleView {
  readonly name: string;
  readonly workflow: string;
  /** `'code'`: declared by the workflow; `'data'`: made at run time. */
  readonly source: 'code' | 'data';
  readonly cron?: string;
  readonly tz?: string;
  readonly dst?: { readonly gap: 'shift' | 'skip'; readonly repeat: 'first' | 'both' };
  readonly everyMs?: number;
  /** What an interval counts from. */
  readonly anchor?: Date;
  readonly overlap: 'allow' | 'skip' | 'queue' | 'cancel_old';
  readonly catchup: 'none' | 'latest' | 'all';
  readonly windowMs: number;
  readonly pauseAfter?: number;
  /** Left out where a function of the workflow's code makes it. */
  readonly input?: unknown;
  readonly createdAt: Date;
  readonly nextAt?: Date;
  readonly paused?: { readonly at: Date; readonly why: string };
  /** Its workflow no longer declares it: it is never due. */
  readonly removedAt?: Date;
}

/** What became of a due instant, or of several that have no run for the same reason. */
export interface FireView {
  readonly dueAt: Date;
  /** The last of several. */
  readonly untilAt?: Date;
  /** How many; left out where there are more than 1,000. */
  readonly count?: number;
  readonly state: 'waiting' | 'started' | 'skipped';
  readonly reason?: NoRunReason;
  readonly note?: string;
  /** Asked for by a person, or by the backfill of this number. */
  readonly by?: 'hand' | number;
  readonly runId?: string;
  /** Left out where the run was pruned. */
  readonly status?: RunStatus;
}

export interface BackfillOptions extends ActorOptions {
  readonly from: Date | string;
  /** Itself included; at most now. */
  readonly to: Date | string;
  /** Instants that have a run: do none over, those whose last run failed or was cancelled, or all. Default 'none'. */
  readonly reprocess?: Reprocess;
  /** Runs at the same time. Default 1. */
  readonly concurrency?: number;
}

export interface BackfillPreview {
  /** How many runs it would start; of the first 100,000 instants. */
  readonly count: number;
  readonly skipped: number;
  readonly more: boolean;
  /** The first 1,000. */
  readonly instants: readonly Date[];
}

export interface BackfillView {
  readonly id: number;
  readonly from: Date;
  readonly to: Date;
  readonly reprocess: Reprocess;
  readonly concurrency: number;
  readonly state: BackfillState;
  readonly started: number;
  /** Everything up to here is done or under way. */
  readonly reached: Date;
  readonly createdAt: Date;
  readonly finishedAt?: Date;
}

/** What the client asks of whoever commits. */
export interface ScheduleWriter {
  writable(): void;
  now(): number;
  current(workflow: Workflow<never, unknown> | string): { readonly workflow: Workflow<never, unknown> };
  trigger(row: ScheduleRow, act: OperatorAct): Promise<{ readonly uid: Uint8Array; readonly run: number } | null>;
  schedulesChanged(): void;
}

const PREVIEW = 100_000;
const SHOWN = 1_000;

/** Schedules, for every front door. A change that meets another one looks again and is made on what it finds. */
export class ScheduleClient {
  private readonly schedules: Schedules;
  private readonly writer: ScheduleWriter;
  private readonly maxPayload: number;

  constructor(store: Store, writer: ScheduleWriter, maxPayload: number) {
    this.schedules = store.schedules;
    this.writer = writer;
    this.maxPayload = maxPayload;
  }

  async create(options: NewScheduleOptions, by: ActorOptions): Promise<ScheduleView> {
    this.writer.writable();
    const { workflow, ...timing } = options;
    const declared = this.checked(timing);
    const { workflow: target } = this.writer.current(workflow);
    await checkInput(target, declared);
    const now = this.writer.now();
    const { name, rule, policy, input } = declared;
    const stored = encode(input, { root: 'input', maxBytes: this.maxPayload }) ?? null;
    const made: NewSchedule = {
      name,
      workflow: target.name,
      source: 'data',
      rule,
      policy,
      madeAt: now,
      input: stored,
      isMade: false,
      cursorAt: now,
      nextAt: nextAfterOf(rule, now)(now),
      isWatched: false,
      paused: null,
      removedAt: null,
      failuresFrom: now,
    };
    const act = operatorAct(subjectOf(name), 'create', by, { workflow: target.name, rule });
    if (!(await this.schedules.create(made, now, act)))
      throw new PawlError('SCHEDULE_EXISTS', `There is a schedule ${shown(name)} already.`);
    this.writer.schedulesChanged();
    return this.get(name);
  }

  private checked(timing: Omit<NewScheduleOptions, 'workflow'>): DeclaredSchedule {
    const problems: Problem[] = [];
    const declared = declaredSchedule(timing, { at: 'schedule', name: '' }, reporter(problems));
    if (typeof declared?.input === 'function')
      problems.push({ code: 'bad_option', at: ['input'], message: 'schedule.input: must be a value: a function cannot be stored' });
    if (declared !== null && problems.length === 0) return declared;
    const list = problems.map(({ message }) => `\n  - ${message}`).join('');
    throw new PawlError('SCHEDULE_INVALID', `The schedule cannot be made:${list}`, { details: { problems } });
  }

  async row(name: string): Promise<ScheduleRow> {
    const row = await this.schedules.get(name);
    if (row === null) throw new PawlError('SCHEDULE_NOT_FOUND', `There is no schedule ${shown(name)} in this store.`);
    return row;
  }

  async get(name: string): Promise<ScheduleView> {
    return scheduleView(await this.row(name));
  }

  async list(): Promise<ScheduleView[]> {
    const views: ScheduleView[] = [];
    for (let after = ''; ;) {
      const page = await this.schedules.list(after, 500);
      views.push(...page.map(scheduleView));
      const last = page.at(-1);
      if (last === undefined || page.length < 500) return views;
      after = last.name;
    }
  }

  /** Due instants to come, whether or not it is paused. */
  async next(name: string, count: number): Promise<Date[]> {
    const row = await this.row(name);
    const next = nextAfterOf(row.rule, row.madeAt);
    const instants: Date[] = [];
    let at = next(Math.max(row.cursorAt, this.writer.now()));
    while (row.removedAt === null && at !== null && instants.length < count) {
      instants.push(new Date(at));
      at = next(at);
    }
    return instants;
  }

  /** The last instants first. */
  async history(name: string, limit: number): Promise<FireView[]> {
    const row = await this.row(name);
    return (await this.schedules.fires(row.id, null, limit)).map(fireView);
  }

  async pause(name: string, why: string, by: ActorOptions): Promise<ScheduleView> {
    return this.change(name, operatorAct(subjectOf(name), 'pause', by, { why }), (row, now) =>
      row.paused !== null ? null : { state: { ...row, paused: { at: now, why }, nextAt: null }, records: [] },
    );
  }

  /** What was due meanwhile has no run, and the record says why. */
  async resume(name: string, by: ActorOptions): Promise<ScheduleView> {
    return this.change(name, operatorAct(subjectOf(name), 'resume', by), (row, now) => {
      if (row.paused === null) return null;
      const next = nextAfterOf(row.rule, row.madeAt);
      const first = next(row.cursorAt);
      const cursorAt = Math.max(now, row.cursorAt);
      const records = first === null || first > now || row.removedAt !== null ? [] : [stretch(first, now, 'paused', next)];
      const nextAt = row.removedAt === null ? next(cursorAt) : null;
      // why: what waited through the pause is looked at
      const watched = isWatched(row.policy, { open: 1, waiting: 1, backfills: 0 });
      return { state: { ...row, paused: null, cursorAt, nextAt, failuresFrom: cursorAt, isWatched: watched }, records };
    });
  }

  private async change(
    name: string,
    act: OperatorAct,
    decide: (
      row: ScheduleRow,
      now: number,
    ) => { readonly state: ScheduleState; readonly records: readonly ReturnType<typeof stretch>[] } | null,
  ): Promise<ScheduleView> {
    this.writer.writable();
    for (;;) {
      const row = await this.row(name);
      const now = this.writer.now();
      const decided = decide(row, now);
      if (decided === null) return scheduleView(row);
      const write = { schedule: row.id, rev: row.rev, ...decided, terms: null, extend: null, backfill: null };
      if (!(await this.schedules.write(write, now, act))) continue;
      this.writer.schedulesChanged();
      return this.get(name);
    }
  }

  async delete(name: string, by: ActorOptions): Promise<void> {
    this.writer.writable();
    const act = operatorAct(subjectOf(name), 'delete', by);
    for (;;) {
      const row = await this.row(name);
      if (row.source === 'code' && row.removedAt === null)
        throw new PawlError(
          'SCHEDULE_DECLARED',
          `Schedule "${name}" is declared by workflow "${row.workflow}": it would be there again at the next start.`,
        );
      if (await this.schedules.remove(row.id, row.rev, this.writer.now(), act)) return this.writer.schedulesChanged();
    }
  }

  /** A run now. */
  async trigger(name: string, by: ActorOptions): Promise<{ readonly id: string; readonly run: number }> {
    const act = operatorAct(subjectOf(name), 'run', by);
    for (;;) {
      const started = await this.writer.trigger(await this.row(name), act);
      if (started !== null) return { id: runIdText(started.uid), run: started.run };
    }
  }

  async preview(name: string, options: BackfillOptions): Promise<BackfillPreview> {
    const row = await this.row(name);
    const range = this.range(options);
    const next = nextAfterOf(row.rule, row.madeAt);
    const instants: Date[] = [];
    let [count, passed, looked] = [0, 0, 0];
    let at = next(range.from - 1);
    while (at !== null && at <= range.to && looked < PREVIEW) {
      const page: number[] = [];
      for (; at !== null && at <= range.to && page.length < 1_000; at = next(at)) page.push(at);
      looked += page.length;
      const ran = new Map((await this.schedules.ranIn(row.id, page[0] ?? 0, page.at(-1) ?? 0)).map((one) => [one.dueAt, one.status]));
      for (const dueAt of page) {
        const status = ran.get(dueAt);
        const last =
          status === undefined ? 'none' : !isRunOver[status] ? 'open' : status === 'failed' || status === 'cancelled' ? 'failed' : 'ok';
        if (!isReprocessed(range.reprocess, last)) passed++;
        else if (++count <= SHOWN) instants.push(new Date(dueAt));
      }
    }
    return { count, skipped: passed, more: at !== null && at <= range.to, instants };
  }

  async backfill(name: string, options: BackfillOptions): Promise<BackfillView> {
    this.writer.writable();
    const range = this.range(options);
    const act = operatorAct(subjectOf(name), 'backfill', options, range);
    for (;;) {
      const row = await this.row(name);
      const id = await this.schedules.backfill(row.id, row.rev, range, this.writer.now(), act);
      if (id === null) continue;
      this.writer.schedulesChanged();
      const made = (await this.schedules.backfills(row.id, 100)).find((one) => one.id === id);
      if (made === undefined) throw new PawlError('SCHEDULE_NOT_FOUND', `Schedule "${name}" was deleted meanwhile.`);
      return backfillView(made);
    }
  }

  private range(options: BackfillOptions): { from: number; to: number; reprocess: Reprocess; concurrency: number } {
    const problem = (text: string): PawlError => new PawlError('CONFIG_OPTION', text);
    const [from, to] = [instantOf(options.from), instantOf(options.to)];
    if (from === null || from < 0)
      throw problem(`from: must be an instant since 1970 such as '2030-01-01T00:00:00Z', not ${shown(options.from)}.`);
    if (to === null) throw problem(`to: must be an instant such as '2030-01-01T00:00:00Z', not ${shown(options.to)}.`);
    if (to < from) throw problem('to: must not be before from.');
    if (to > this.writer.now()) throw problem('to: must not be in the future: what is due then is started then.');
    const { reprocess = 'none', concurrency = 1 } = options;
    if (!REPROCESS.includes(reprocess)) throw problem(`reprocess: must be one of ${REPROCESS.join(', ')}, not ${shown(reprocess)}.`);
    if (!Number.isInteger(concurrency) || concurrency < 1 || concurrency > 1_000)
      throw problem(`concurrency: must be a whole number from 1 to 1000, not ${shown(concurrency)}.`);
    return { from, to, reprocess, concurrency };
  }

  async backfills(name: string): Promise<BackfillView[]> {
    return (await this.schedules.backfills((await this.row(name)).id, 100)).map(backfillView);
  }

  /** Starts no more runs of it, and cancels those that are open; false where it is over. */
  async cancelBackfill(id: number, by: ActorOptions): Promise<boolean> {
    this.writer.writable();
    const act = operatorAct(subjectOf(''), 'cancel_backfill', by, { backfill: id });
    const done = await this.schedules.cancelBackfill(id, this.writer.now(), act);
    if (done) this.writer.schedulesChanged();
    return done;
  }
}

const subjectOf = (name: string): ActSubject => ({ kind: 'schedule', name });

async function checkInput(workflow: Workflow<never, unknown>, { input }: DeclaredSchedule): Promise<void> {
  if (workflow.input === undefined) return;
  const checked = await validate(workflow.input, input);
  if (checked.ok) return;
  const issues = checked.issues.map(({ path, message }) => `input${path === '' ? '' : `.${path}`}: ${message}`);
  throw new PawlError('RUN_INPUT_INVALID', `The input of workflow "${workflow.name}" does not fit: ${issues.join('; ')}`, {
    details: { issues: checked.issues },
  });
}

function ruleView(rule: ScheduleRule, madeAt: number): Pick<ScheduleView, 'cron' | 'tz' | 'dst' | 'everyMs' | 'anchor'> {
  if ('everyMs' in rule) return { everyMs: rule.everyMs, anchor: new Date(rule.anchorAt ?? madeAt) };
  const { cron, tz, gap, repeat } = rule;
  return { cron, tz, dst: { gap, repeat } };
}

function scheduleView(row: ScheduleRow): ScheduleView {
  const { name, workflow, source, rule, madeAt, policy, input, isMade, createdAt, nextAt, paused, removedAt } = row;
  const { overlap, catchup, windowMs, pauseAfter } = policy;
  return {
    name,
    workflow,
    source,
    ...ruleView(rule, madeAt),
    overlap,
    catchup,
    windowMs,
    ...(pauseAfter === null ? {} : { pauseAfter }),
    ...(isMade ? {} : { input: decode(input) }),
    createdAt: new Date(createdAt),
    ...(nextAt === null ? {} : { nextAt: new Date(nextAt) }),
    ...(paused === null ? {} : { paused: { at: new Date(paused.at), why: paused.why } }),
    ...(removedAt === null ? {} : { removedAt: new Date(removedAt) }),
  };
}

function fireView({ dueAt, untilAt, count, backfill, state, reason, note, uid, status }: FireRow): FireView {
  return {
    dueAt: new Date(dueAt),
    ...(untilAt === null ? {} : { untilAt: new Date(untilAt) }),
    ...(count === null ? {} : { count }),
    state,
    ...(reason === null ? {} : { reason }),
    ...(note === null ? {} : { note }),
    ...(backfill === 0 ? {} : { by: backfill < 0 ? ('hand' as const) : backfill }),
    ...(uid === null ? {} : { runId: runIdText(uid) }),
    ...(status === null ? {} : { status }),
  };
}

function backfillView({
  id,
  from,
  to,
  reprocess,
  concurrency,
  state,
  started,
  cursorAt,
  createdAt,
  finishedAt,
}: BackfillRow): BackfillView {
  return {
    id,
    from: new Date(from),
    to: new Date(to),
    reprocess,
    concurrency,
    state,
    started,
    reached: new Date(Math.max(from, cursorAt)),
    createdAt: new Date(createdAt),
    ...(finishedAt === null ? {} : { finishedAt: new Date(finishedAt) }),
  };
}
