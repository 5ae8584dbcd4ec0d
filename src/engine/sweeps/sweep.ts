import type { Logger } from '../../core/log.ts';
import type { Store } from '../../store/store.ts';
import type { StoreClock } from '../clock.ts';
import type { Committer } from '../committer.ts';
import type { Deliverer } from '../mailbox.ts';
import type { Host } from '../host.ts';
import type { Registry } from '../registry.ts';

/** What the sweeps share. Each is idempotent: run by any process, at any time, any number of times. */
export interface SweepContext {
  readonly store: Store;
  readonly committer: Committer;
  readonly deliverer: Deliverer;
  readonly clock: StoreClock;
  readonly registry: Registry;
  readonly host: Host;
  readonly logger: Logger;
  readonly worker: number;
  readonly graceMs: number;
  /** Nobody else can touch the store: nothing is left to others. */
  readonly isAlone: boolean;
}
