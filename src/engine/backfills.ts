import type { NextAfter } from '../core/schedules/cron.ts';
import { isReprocessed } from '../core/schedules/schedule.ts';
import { isRunOver, type RunStatus } from '../core/kernel/states.ts';
import type { BackfillRow, ScheduleLook, Schedules } from '../store/schedules.ts';
import type { StepChain } from './schedule-steps.ts';

/** Instants of one look. */
const PAGE = 500;
/** Runs that are started at once. */
const AT_ONCE = 100;

interface Backfilling {
  readonly look: ScheduleLook;
  readonly backfill: BackfillRow;
  readonly next: NextAfter;
}

/** Goes on with a backfill: its cursor moves with each run that it starts, in the same transaction, so that any process goes on from there. */
export async function planBackfill(schedules: Schedules, chain: StepChain, { look, backfill, next }: Backfilling): Promise<void> {
  const open = look.open.filter((one) => one.backfill === backfill.id);
  const { id, to } = backfill;
  if (backfill.state === 'cancelling') {
    chain.toCancel.push(...open.map(({ run }) => ({ run, reason: 'person' as const })));
    if (open.length === 0) chain.add({ backfill: { id, cursorAt: backfill.cursorAt, state: 'cancelled', started: 0 } });
    return;
  }
  const { page, isLast } = instants(backfill, next);
  const ended = await endedIn(schedules, look, page);
  let room = Math.min(AT_ONCE, backfill.concurrency - open.length);
  let { cursorAt } = backfill;
  let started = 0;
  for (const dueAt of page) {
    if (isReprocessed(backfill.reprocess, ended(dueAt))) {
      if (room <= 0) break;
      room--;
      started++;
      chain.add({ backfill: { id, cursorAt: dueAt, state: 'running', started: 1 } }, { dueAt, backfill: id, waited: false });
    }
    cursorAt = dueAt;
  }
  const isThrough = isLast && cursorAt === (page.at(-1) ?? backfill.cursorAt);
  if (isThrough && open.length + started === 0) chain.add({ backfill: { id, cursorAt: to, state: 'done', started: 0 } });
  else if (started === 0 && cursorAt > backfill.cursorAt) {
    chain.add({ backfill: { id, cursorAt, state: 'running', started: 0 } });
    chain.again ||= !isThrough && room > 0;
  } else chain.again ||= !isThrough && room > 0;
}

function instants({ cursorAt, to }: BackfillRow, next: NextAfter): { readonly page: readonly number[]; readonly isLast: boolean } {
  const page: number[] = [];
  let at = next(cursorAt);
  for (; at !== null && at <= to && page.length < PAGE; at = next(at)) page.push(at);
  return { page, isLast: at === null || at > to };
}

export type LastEnd = 'none' | 'open' | 'ok' | 'failed';

/** How the last run of each instant ended; one that waits for its turn is as good as begun. */
export async function endedIn(
  schedules: Pick<Schedules, 'ranIn'>,
  { row, waiting }: Pick<ScheduleLook, 'row' | 'waiting'>,
  page: readonly number[],
): Promise<(dueAt: number) => LastEnd> {
  const [first, last] = [page[0], page.at(-1)];
  if (first === undefined || last === undefined) return () => 'none';
  const ran = new Map((await schedules.ranIn(row.id, first, last)).map(({ dueAt, status }) => [dueAt, endOf(status)]));
  const inLine = new Set(waiting);
  return (dueAt) => (inLine.has(dueAt) ? 'open' : (ran.get(dueAt) ?? 'none'));
}

function endOf(status: RunStatus): LastEnd {
  if (!isRunOver[status]) return 'open';
  return status === 'failed' || status === 'cancelled' ? 'failed' : 'ok';
}
