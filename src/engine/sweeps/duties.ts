import { messageOf } from '../../core/errors.ts';
import type { Outlook } from '../../store/outlook.ts';
import type { WorkerRow } from '../../store/store.ts';
import type { Admission } from '../admission.ts';
import type { Dispatcher } from '../dispatcher.ts';
import { endOverdue } from './overdue.ts';
import { applyStranded } from './parked.ts';
import type { Pruner } from './prune.ts';
import { reclaim } from './reclaim.ts';
import type { SweepContext } from './sweep.ts';
import { tellParents } from './untold.ts';
import { Unserved } from './unserved.ts';
import type { Mover } from './versions.ts';
import { Watchdog } from './watchdog.ts';

/** A full sweep does also what only a commit can have given something to do: should a wake-up be missed, this finds it. */
const FULL_EVERY = 5;
/** The watchdog looks at every so many sweeps. */
const WATCHDOG_EVERY = 15;
/** Lanes without tasks that go at once. */
const TIDIED = 500;

export interface DutyParts {
  readonly context: SweepContext;
  readonly admission: Admission;
  readonly dispatcher: Dispatcher;
  readonly mover: Mover;
  readonly pruner: Pruner;
  /** Moves what is due, and goes on with schedules. */
  readonly fire: () => Promise<void>;
  /** Goes on with schedules alone. */
  readonly fireSchedules: () => Promise<void>;
  /** Something is due at this instant. */
  readonly expect: (at: number) => void;
  /** Whether some schedule waits for the end of a run. */
  readonly onWatched: (isWatched: boolean) => void;
}

/**
 * When a sweep does a duty, by what the store holds. `now`: at this sweep. `commit`: nothing but a commit gives it more to do, so where the
 * journal stands still since it was last done only a full sweep does it. `full`: only full sweeps do it. `never`: there is nothing.
 */
type When = 'now' | 'commit' | 'full' | 'never';

interface Duty {
  readonly when: (outlook: Outlook, now: number) => When;
  /** True: there is more than was done, and the next sweep goes on. */
  readonly act: (outlook: Outlook) => Promise<boolean> | Promise<void> | void;
}

const isPast = (at: number | null, now: number): boolean => at !== null && at <= now;

/**
 * What any worker sees to beside running tasks: at its sweeps, and when another process has committed. One read says what there is, so that a
 * process with nothing to do runs one statement. What the table says of a duty is what wakes it:
 *
 * - the death of another process: reclaim, at each poll and at each sweep; a sweep that finds other workers beside this one than the last is full
 * - an instant: timers, schedules, messages past their time (by timer, and at each sweep), overdue attempts of others, versions without a worker
 * - a commit, and what a crash left between two of them: all else
 */
export class Duties {
  private readonly parts: DutyParts;
  private readonly table: readonly Duty[];
  private readonly unserved = new Unserved();
  private readonly watchdog = new Watchdog();
  /** How far the journal was when a duty was last done. */
  private readonly doneAt = new Map<Duty, number>();
  private sweeps = 0;
  private beside: readonly WorkerRow[] = [];
  private lastOthers = '';
  private taking: Promise<unknown> = Promise.resolve();

  constructor(parts: DutyParts) {
    this.parts = parts;
    this.table = this.duties(parts);
  }

  private duties({ context, admission, dispatcher, mover, fire, fireSchedules }: DutyParts): readonly Duty[] {
    const { clock, deliverer } = context;
    const given = (is: boolean, when: When): When => (is ? when : 'never');
    return [
      {
        when: ({ gates }) => (gates.granted || admission.isBehind ? 'now' : given(gates.waiting, 'commit')),
        act: () => admission.hint(),
      },
      { when: (outlook) => given(this.hasWork(outlook), 'now'), act: () => dispatcher.poll() },
      { when: ({ dueAt }, now) => given(isPast(dueAt, now), 'now'), act: fire },
      // why: where something is due that has looked at them
      { when: ({ dueAt, watched }, now) => given(watched && !isPast(dueAt, now), 'commit'), act: fireSchedules },
      {
        // why: what this worker runs it ends itself; without others there should be nothing else
        when: ({ running, others }) => given(running, others.length > 0 ? 'now' : 'full'),
        act: async () => void (await endOverdue(context, clock.now())),
      },
      { when: ({ stranded }) => given(stranded, 'now'), act: () => applyStranded(context) },
      { when: ({ untold }) => given(untold, 'now'), act: () => tellParents(context) },
      { when: ({ messages }) => (deliverer.isBehind ? 'now' : given(messages, 'commit')), act: () => deliverer.sweep() },
      {
        when: (outlook) => given(this.hasOtherVersions(outlook), 'commit'),
        act: async ({ open }) => {
          await mover.runOnce(context, open);
          return mover.isBehind;
        },
      },
      {
        when: (outlook) => given(this.hasOtherVersions(outlook), 'full'),
        act: async ({ open }) => void (await this.unserved.runOnce(context, open, clock.now())),
      },
    ];
  }

  /** Everything, once. */
  async sweep(): Promise<void> {
    const { context, pruner } = this.parts;
    const { clock, store } = context;
    clock.watch();
    let outlook = await this.look();
    if (outlook.others.length === 0) this.beside = [];
    else if ((await this.takeBack()) > 0) outlook = await this.look();
    const others = String(outlook.others);
    const isFull = this.sweeps++ % FULL_EVERY === 0 || others !== this.lastOthers;
    this.lastOthers = others;
    for (const duty of this.table) {
      const when = duty.when(outlook, clock.now());
      if (when === 'never' || (when === 'full' && !isFull)) continue;
      if (when === 'commit' && !isFull && this.doneAt.get(duty) === outlook.seq) continue;
      this.doneAt.delete(duty);
      if ((await duty.act(outlook)) !== true) this.doneAt.set(duty, outlook.seq);
    }
    if (this.sweeps % WATCHDOG_EVERY === 0) {
      await this.watchdog.runOnce(context);
      await store.capacity.tidy(TIDIED);
    }
    await pruner.runOnce(clock.now());
  }

  /** Another process has written: there may be work, something to time, or an attempt that is no longer this worker's. */
  async heard(): Promise<void> {
    const { context, admission, dispatcher, fire, fireSchedules } = this.parts;
    const outlook = await this.look();
    const { gates, dueAt, watched } = outlook;
    if (gates.waiting || gates.granted) admission.hint();
    // why: a look at the queue also tells what was paused, and whether something better waits than what goes on here
    if (dispatcher.isBusy || this.hasWork(outlook)) dispatcher.poll();
    await dispatcher.checkHeld();
    if (isPast(dueAt, context.clock.now())) await fire();
    else if (watched) await fireSchedules();
  }

  private async look(): Promise<Outlook> {
    const { context, expect, onWatched } = this.parts;
    const outlook = await context.store.outlook(context.registry.names, context.worker);
    onWatched(outlook.watched);
    if (outlook.dueAt !== null && outlook.dueAt > context.clock.now()) expect(outlook.dueAt);
    return outlook;
  }

  /** With every poll: whoever is proven dead is not waited for until the next sweep. Runs no statement while all are alive. */
  polled(): void {
    const { host, logger } = this.parts.context;
    if (!this.beside.some((other) => host.isDead(other))) return;
    this.beside = [];
    this.takeBack().catch((error: unknown) => logger.error('what a dead worker held could not be taken back', { error: messageOf(error) }));
  }

  /** What dead workers held; one look after the other, since two at once would be in each other's way. Gives how many are gone. */
  private takeBack(): Promise<number> {
    const take = this.taking.then(async () => {
      const { context } = this.parts;
      const workers = await context.store.workers();
      this.beside = workers.filter((other) => other.id !== context.worker && !other.fenced);
      return reclaim(context, workers, context.clock.now());
    });
    this.taking = take.catch(() => undefined);
    return take;
  }

  private hasWork({ queued }: Outlook): boolean {
    const { bodies, claimable } = this.parts.context.registry;
    return queued.needy || queued.bodies.some((body) => bodies.has(body)) || queued.definitions.some((id) => claimable.has(id));
  }

  /** Whether open runs are of other versions than those that are registered here. */
  private hasOtherVersions({ open }: Outlook): boolean {
    const { registry } = this.parts.context;
    return open.some((id) => !registry.isCurrent(id));
  }
}
