import { checkArgument, checkOptions, wholeNumber, type OptionCheck } from '../core/options.ts';
import type { RunRef } from './client.ts';
import type { ActorOptions } from './operator-acts.ts';
import { ARGUMENT, OPTIONS } from './options.ts';
import type { Run } from './run.ts';
import type {
  BackfillOptions,
  BackfillPreview,
  BackfillView,
  FireView,
  NewScheduleOptions,
  ScheduleClient,
  ScheduleView,
} from './schedules.ts';

const ITEM: OptionCheck = (value) => (typeof value === 'object' && value !== null ? null : 'an object');

export type ScheduleVerbs = ReturnType<typeof scheduleVerbs>;

/** What can be done with schedules, for an engine and for the testing kit. */
export function scheduleVerbs(host: { scheduleClient(): Promise<ScheduleClient>; handle(ref: RunRef, created: boolean): Run<unknown> }) {
  const client = (): Promise<ScheduleClient> => host.scheduleClient();
  const named = async (name: string): Promise<ScheduleClient> => {
    checkArgument(name, 'name', ARGUMENT.aString);
    return client();
  };
  return {
    /**
     * Makes a schedule of a registered workflow; it is due from now on. Rejects with `SCHEDULE_INVALID` (all problems in one message, an
     * expression that is never due among them), `SCHEDULE_EXISTS`, `RUN_INPUT_INVALID`, `RUN_UNKNOWN_WORKFLOW`.
     */
    create: async (options: NewScheduleOptions, by: ActorOptions = {}): Promise<ScheduleView> => {
      checkArgument(options, 'options', ITEM);
      checkOptions(by, 'schedules.create', OPTIONS.actor);
      return (await client()).create(options, by);
    },
    /** By name. Rejects with `SCHEDULE_NOT_FOUND`, as all that follow do. */
    get: async (name: string): Promise<ScheduleView> => (await named(name)).get(name),
    /** All, in the order of their names. */
    list: async (): Promise<ScheduleView[]> => (await client()).list(),
    /** The next due instants. Default 5. */
    next: async (name: string, count = 5): Promise<Date[]> => {
      checkArgument(count, 'count', wholeNumber);
      return (await named(name)).next(name, Math.min(1_000, count));
    },
    /** What became of its instants, the last first. Default 50, at most 1,000. */
    history: async (name: string, options: { readonly limit?: number } = {}): Promise<FireView[]> => {
      checkOptions(options, 'schedules.history', { limit: wholeNumber });
      return (await named(name)).history(name, Math.min(1_000, options.limit ?? 50));
    },
    /** Starts nothing more until it is resumed; instants that pass meanwhile are not caught up. Backfills go on. */
    pause: async (name: string, options: ActorOptions & { readonly why?: string } = {}): Promise<ScheduleView> => {
      checkOptions(options, 'schedules.pause', OPTIONS.schedule);
      return (await named(name)).pause(name, options.why ?? 'a person paused it', options);
    },
    resume: async (name: string, by: ActorOptions = {}): Promise<ScheduleView> => {
      checkOptions(by, 'schedules.resume', OPTIONS.actor);
      return (await named(name)).resume(name, by);
    },
    /** Deletes it with its history; its runs stay and go on. Rejects with `SCHEDULE_DECLARED` while its workflow declares it. */
    delete: async (name: string, by: ActorOptions = {}): Promise<void> => {
      checkOptions(by, 'schedules.delete', OPTIONS.actor);
      return (await named(name)).delete(name, by);
    },
    /** A run now, whatever the rule and `overlap` say; `ctx.dueAt` is this instant. Also while it is paused. While it is open `overlap` takes it as one of the schedule. */
    trigger: async (name: string, by: ActorOptions = {}): Promise<Run<unknown>> => {
      checkOptions(by, 'schedules.trigger', OPTIONS.actor);
      return host.handle(await (await named(name)).trigger(name, by), true);
    },
    /**
     * Runs for the instants of a range that has passed, a few at a time, by the rule as it is now. It is kept in the store: any worker goes on
     * with it. `overlap` does not apply to its runs, nor do they count for it.
     */
    backfill: Object.assign(
      async (name: string, options: BackfillOptions): Promise<BackfillView> => {
        checkOptions(options, 'schedules.backfill', OPTIONS.backfill);
        return (await named(name)).backfill(name, options);
      },
      {
        /** What `backfill` would do. */
        preview: async (name: string, options: BackfillOptions): Promise<BackfillPreview> => {
          checkOptions(options, 'schedules.backfill.preview', OPTIONS.backfill);
          return (await named(name)).preview(name, options);
        },
        /** The last 100, the newest first. */
        list: async (name: string): Promise<BackfillView[]> => (await named(name)).backfills(name),
        /** Starts no more of its runs and cancels those that are open; false where it is over. */
        cancel: async (id: number, by: ActorOptions = {}): Promise<boolean> => {
          checkArgument(id, 'id', wholeNumber);
          checkOptions(by, 'schedules.backfill.cancel', OPTIONS.actor);
          return (await client()).cancelBackfill(id, by);
        },
      },
    ),
  };
}
