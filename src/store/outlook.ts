/**
 * What the store holds that somebody may have to see to, in one read whatever the number of runs. It says where there may be something, not
 * what: who sees to it asks again.
 */
export interface Outlook {
  /** The last number of the journal: whatever touches a run, a message or a limit moves it. */
  readonly seq: number;
  /** The first instant, past or to come, at which time moves anything: a task, a run, a message, a schedule of the workflows asked for. */
  readonly dueAt: number | null;
  /** Workers beside the one that asks that have not ended. */
  readonly others: readonly number[];
  /** What may be in the queue. */
  readonly queued: {
    /** Of these, runs that nobody has claimed yet. */
    readonly definitions: readonly number[];
    /** Of these, tasks, or maps with items that may start. */
    readonly bodies: readonly number[];
    /** Tasks that take more than a slot. */
    readonly needy: boolean;
  };
  /** Runs that wait for the key of their workflow; that it was granted to, and that have not gone on with it. */
  readonly gates: { readonly waiting: boolean; readonly granted: boolean };
  /** Tasks under way, of any worker. */
  readonly running: boolean;
  /** Outcomes that arrived while their run was set aside, which it is no more. */
  readonly stranded: boolean;
  /** Runs that ended while their parent could not be told, and now can. */
  readonly untold: boolean;
  readonly messages: boolean;
  /** Schedules of the workflows asked for that wait for the end of a run. */
  readonly watched: boolean;
  /** Definitions that have open runs. */
  readonly open: readonly number[];
}
