import type { Logger, Redactor } from '../core/log.ts';
import { isBroken, type Store } from '../store/store.ts';
import { RunCache, stateFromRows } from './cache.ts';
import type { StoreClock } from './clock.ts';
import type { Registry } from './registry.ts';
import type { EventUnit } from './units.ts';

interface LoaderOptions {
  readonly store: Store;
  readonly clock: StoreClock;
  readonly registry: Registry;
  readonly logger: Logger;
  readonly redactor: Redactor;
}

/** Brings runs from the store into the cache, and sets those aside that cannot be read or advanced. */
export class RunLoader {
  readonly cache = new RunCache();
  readonly quarantined = new Set<number>();
  private readonly options: LoaderOptions;
  private readonly worker: () => number;

  constructor(options: LoaderOptions, worker: () => number) {
    this.options = options;
    this.worker = worker;
  }

  async allMaps(run: number): Promise<number[]> {
    const [loaded] = await this.options.store.load([{ run, items: [] }]);
    return loaded === undefined || isBroken(loaded) ? [] : loaded.maps.map((map) => map.node);
  }

  /** One that another process alone holds is shared first, so that its holder notices what is written here. */
  async load(requests: readonly { run: number; items: readonly number[] }[]): Promise<void> {
    const { store, registry } = this.options;
    const worker = this.worker();
    let loaded = await store.load(requests);
    const foreign = loaded.flatMap((one) => (isBroken(one) || one.row.owner === null || one.row.owner === worker ? [] : [one.row.run]));
    if (foreign.length > 0) {
      await store.commit({ now: this.options.clock.now(), worker, starts: [], runs: [], steps: [], logs: [], share: foreign, claim: null });
      loaded = await store.load(requests);
    }
    for (const one of loaded) {
      if (isBroken(one)) {
        await this.setAside(one.run, [], new Error(one.broken));
        continue;
      }
      const { row } = one;
      if (row.quarantined !== null) {
        this.quarantined.add(row.run);
        continue;
      }
      // Another process may have taken it out of quarantine.
      this.quarantined.delete(row.run);
      try {
        const known = await registry.learn(store, row.definition);
        if (known === null) continue;
        const state = stateFromRows(known.compiled, one);
        this.cache.put({
          known,
          state,
          uid: row.uid,
          traceparent: row.traceparent,
          dueAt: row.dueAt,
          epoch: one.epoch,
          owner: row.owner,
          held: 0,
        });
      } catch (error) {
        await this.setAside(row.run, [], error);
      }
    }
  }

  /** A run whose own state cannot be advanced: nothing of it is claimed, outcomes are kept and not applied; the others go on. */
  async setAside(run: number, units: readonly EventUnit[], error: unknown): Promise<void> {
    const { store, clock, logger, redactor } = this.options;
    this.cache.drop(run);
    const outcomes = units.flatMap(({ event }) =>
      event.type === 'ended' ? [{ node: event.node, item: event.item, token: event.token, outcome: JSON.stringify(event.outcome) }] : [],
    );
    const why = error instanceof Error ? (error.stack ?? error.message) : 'it was quarantined before';
    if (!this.quarantined.has(run)) logger.error('a run was quarantined: its state cannot be advanced', { runNumber: run, error: why });
    this.quarantined.add(run);
    await store.quarantine(run, redactor.text(why).slice(0, 4_000), outcomes, clock.now());
    for (const unit of units) unit.done?.(false);
  }
}
