import { encode } from '../core/values/codec.ts';
import { nextAfterOf } from '../core/schedules/cron.ts';
import { PawlError } from '../core/errors.ts';
import type { DeclaredSchedule } from '../core/define/schedule-opts.ts';
import { stretch, type FireRecord } from '../core/schedules/schedule.ts';
import type { Workflow } from '../core/types/types.ts';
import type { NewSchedule, ScheduleRow, Schedules, ScheduleTerms, ScheduleWrite } from '../store/schedules.ts';
import { stateOf } from './schedule-steps.ts';

/**
 * Writes what workflows declare. What changed applies from now on; what a person paused stays paused; what a registered workflow no longer
 * declares is kept, marked as removed, and fires no more.
 */
export async function declareSchedules(schedules: Schedules, workflows: readonly Workflow<never, unknown>[], now: number): Promise<void> {
  const names = new Set<string>();
  for (const workflow of workflows) {
    for (const one of workflow.schedules ?? []) {
      names.add(one.name);
      while (!(await declare(schedules, workflow.name, one, now)));
    }
  }
  const registered = new Set(workflows.map(({ name }) => name));
  for await (const row of allOf(schedules)) {
    if (row.source !== 'code' || row.removedAt !== null || names.has(row.name) || !registered.has(row.workflow)) continue;
    const state = { ...stateOf(row), removedAt: now, nextAt: null };
    await schedules.write({ schedule: row.id, rev: row.rev, state, ...NOTHING }, now, null);
  }
}

const NOTHING = { terms: null, records: [], extend: null, backfill: null };

export async function* allOf(schedules: Schedules): AsyncGenerator<ScheduleRow, void> {
  for (let after = ''; ;) {
    const page = await schedules.list(after, 200);
    yield* page;
    const last = page.at(-1);
    if (last === undefined || page.length < 200) return;
    after = last.name;
  }
}

/** False where another process was at it. */
async function declare(schedules: Schedules, workflow: string, declared: DeclaredSchedule, now: number): Promise<boolean> {
  const row = await schedules.get(declared.name);
  const terms = termsOf(declared, { workflow, source: 'code', madeAt: row?.madeAt ?? now });
  if (row === null) return schedules.create(newSchedule(declared.name, terms, now), now, null);
  if (row.source !== 'code') {
    throw new PawlError(
      'SCHEDULE_EXISTS',
      `Workflow "${workflow}" declares a schedule "${row.name}", and one of that name was made at run time.`,
    );
  }
  const isSame = sameTerms(row, terms);
  if (isSame && row.removedAt === null) return true;
  return schedules.write(changed(row, terms, now), now, null);
}

/** A schedule under other terms: another rule counts from now on, everything else for what is not decided yet. */
export function changed(row: ScheduleRow, given: ScheduleTerms, now: number): ScheduleWrite {
  const isOther = row.removedAt !== null || JSON.stringify(row.rule) !== JSON.stringify(given.rule);
  const terms = isOther ? { ...given, madeAt: now } : given;
  const cursorAt = isOther ? Math.max(now, row.cursorAt) : row.cursorAt;
  const state = {
    ...stateOf(row),
    cursorAt,
    nextAt: row.paused === null ? nextAfterOf(terms.rule, terms.madeAt)(cursorAt) : null,
    removedAt: null,
    failuresFrom: isOther ? Math.max(now, row.failuresFrom) : row.failuresFrom,
  };
  const records = isOther && row.removedAt === null ? undecided(row, now) : [];
  return { schedule: row.id, rev: row.rev, state, ...NOTHING, terms, records };
}

/** What was due under the old rule, and nobody decided. */
function undecided(row: ScheduleRow, now: number): FireRecord[] {
  const next = nextAfterOf(row.rule, row.madeAt);
  const first = next(row.cursorAt);
  return first === null || first > now ? [] : [stretch(first, now, row.paused === null ? 'changed' : 'paused', next)];
}

export function termsOf(
  { rule, policy, input }: DeclaredSchedule,
  of: { readonly workflow: string; readonly source: 'code' | 'data'; readonly madeAt: number },
  maxBytes?: number,
): ScheduleTerms {
  const isMade = typeof input === 'function';
  const stored = isMade ? null : (encode(input, { root: 'input', ...(maxBytes === undefined ? {} : { maxBytes }) }) ?? null);
  return { ...of, rule, policy, input: stored, isMade };
}

export function newSchedule(name: string, terms: ScheduleTerms, now: number): NewSchedule {
  const nextAt = nextAfterOf(terms.rule, terms.madeAt)(now);
  return { name, ...terms, cursorAt: now, nextAt, isWatched: false, paused: null, removedAt: null, failuresFrom: now };
}

function sameTerms(row: ScheduleRow, terms: ScheduleTerms): boolean {
  const text = ({ workflow, rule, policy, input, isMade }: ScheduleTerms): string =>
    JSON.stringify([workflow, rule, policy, input, isMade]);
  return text(row) === text(terms);
}
