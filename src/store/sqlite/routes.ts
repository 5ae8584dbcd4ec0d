import { PawlError } from '../../core/errors.ts';
import type { Store } from '../store.ts';

/**
 * On which connection a method works. `write`: on the writer's, and it may change something. `near`: it changes nothing, but belongs to the
 * work between two commits, or says what the writer's connection has seen of others. `view`: what people, dashboards and slow sweeps ask; it
 * works on a connection that cannot write, and never waits for a commit. A view begun after a commit was acknowledged sees it.
 */
export type Place = 'write' | 'near' | 'view';

export type PartName = 'care' | 'mailbox' | 'capacity' | 'schedules';
type Routes<T> = { readonly [name in keyof T]: Place };

export const PARTS: { readonly [part in PartName]: Routes<Store[part]> } = {
  care: {
    prune: 'write',
    prunable: 'view',
    pruneJournal: 'write',
    prunableJournal: 'view',
    pruneActs: 'write',
    checkpoint: 'view',
    checkpointRuns: 'view',
    checkpointTasks: 'view',
    backup: 'view',
    exportRun: 'view',
    importRun: 'write',
    facts: 'view',
  },
  mailbox: {
    send: 'write',
    fitting: 'near',
    waits: 'near',
    messages: 'near',
    present: 'near',
    refuse: 'write',
    expire: 'write',
    parked: 'view',
    openWaits: 'view',
  },
  capacity: {
    declare: 'write',
    list: 'view',
    set: 'write',
    clear: 'write',
    held: 'view',
    pause: 'write',
    resume: 'write',
    paused: 'view',
    admit: 'write',
    tidy: 'write',
    queued: 'view',
    look: 'view',
  },
  schedules: {
    create: 'write',
    get: 'view',
    list: 'view',
    due: 'near',
    watched: 'near',
    nextAt: 'near',
    look: 'near',
    write: 'write',
    remove: 'write',
    fires: 'view',
    ranIn: 'view',
    backfill: 'write',
    backfills: 'view',
    cancelBackfill: 'write',
    late: 'view',
    prune: 'write',
  },
};

export const OWN: Routes<Omit<Store, PartName | 'open' | 'close'>> = {
  define: 'write',
  definition: 'view',
  newestDefinition: 'near',
  childrenOf: 'view',
  kinOf: 'near',
  untold: 'near',
  told: 'write',
  reserve: 'write',
  commit: 'write',
  load: 'near',
  steps: 'near',
  boot: 'write',
  beat: 'write',
  wedge: 'write',
  leave: 'write',
  workers: 'view',
  endedWorkers: 'view',
  heldBy: 'view',
  fence: 'write',
  due: 'near',
  running: 'near',
  stuck: 'near',
  versions: 'view',
  openDefinitions: 'view',
  openRuns: 'view',
  waitingSince: 'near',
  cached: 'near',
  movesOf: 'view',
  quarantine: 'write',
  head: 'near',
  outlook: 'near',
  journal: 'view',
  findRun: 'view',
  runRow: 'view',
  endsOf: 'near',
  listRuns: 'view',
  newestIds: 'view',
  holdersOf: 'view',
  mapsOf: 'view',
  tasksOf: 'view',
  attemptsOf: 'view',
  logsOf: 'view',
  historyOf: 'view',
  deadLetters: 'view',
  audit: 'view',
  findRequest: 'near',
  quarantinedRuns: 'view',
  release: 'write',
  parked: 'near',
  unpark: 'write',
  strandedRuns: 'near',
  abandonRun: 'write',
};

/** Asks a method of a store, or of one of its parts. */
export type Call = (place: Place, part: PartName | null, method: string, args: readonly unknown[]) => Promise<unknown>;

type Asked = Omit<Store, 'open' | 'close'>;

/** All methods of a store but its opening and closing, each of which asks `call`. */
export function routed(call: Call): Asked {
  const methods = (part: string | null, routes: Readonly<Record<string, Place>>): Record<string, unknown> =>
    Object.fromEntries(
      Object.entries(routes).map(([method, place]) => [
        method,
        (...args: readonly unknown[]) => call(place, part as PartName | null, method, args),
      ]),
    );
  const parts = Object.entries(PARTS).map(([part, routes]) => [part, methods(part, routes)]);
  // why: the tables name every method of the port, which the type system has checked
  return { ...methods(null, OWN), ...Object.fromEntries(parts) };
}

type Methods = Readonly<Record<string, ((...args: readonly unknown[]) => Promise<unknown>) | undefined>>;

/** Calls a method of the port by its name. */
export function ask(store: Store, part: PartName | null, method: string, args: readonly unknown[]): Promise<unknown> {
  const on = (part === null ? store : store[part]) as unknown as Methods;
  return on[method]?.(...args) ?? Promise.reject(new PawlError('ENGINE_BROKEN', `The store has no method ${method}.`));
}
