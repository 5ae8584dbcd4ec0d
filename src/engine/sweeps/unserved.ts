import type { StoredDefinition, WorkerRow } from '../../store/store.ts';
import type { SweepContext } from './sweep.ts';

/** So long a version may be without a worker: a restart takes less. */
const PATIENCE_MS = 60_000;
const ENDED_SEEN = 50;

/** Says of each version once that its runs have work and no live worker has its code; again after one had. */
export class Unserved {
  private readonly told = new Set<number>();

  async runOnce({ store, registry, logger }: SweepContext, all: readonly number[], now: number): Promise<number> {
    const open = all.filter((id) => !registry.isCurrent(id));
    let told = 0;
    if (open.length === 0) return told;
    const workers = await store.workers();
    for (const id of open) {
      const stored = (await registry.learn(store, id))?.stored;
      if (stored === undefined) continue;
      if (workers.some((worker) => isLive(worker, now) && serves(worker, stored))) {
        this.told.delete(id);
        continue;
      }
      if (this.told.has(id)) continue;
      const since = await store.waitingSince(stored);
      if (since === null) continue;
      const gone = [...workers, ...(await store.endedWorkers(ENDED_SEEN))].filter((worker) => serves(worker, stored));
      const alone = Math.max(since, ...gone.map((worker) => worker.endedAt ?? Math.min(worker.leaseUntil, now)));
      if (now - alone < PATIENCE_MS) continue;
      this.told.add(id);
      told++;
      const { workflow, version } = stored;
      logger.warn(`no live worker has version "${version}" of workflow "${workflow}", and runs of it wait: start one, or see pawl move`, {
        workflow,
        version,
        since: new Date(alone).toISOString(),
      });
    }
    return told;
  }
}

const isLive = (worker: WorkerRow, now: number): boolean => !worker.fenced && worker.endedAt === null && worker.leaseUntil >= now;

function serves(worker: WorkerRow, { firstBody, graph }: StoredDefinition): boolean {
  return worker.serves.some((body) => body >= firstBody && body < firstBody + graph.tasks.length);
}
