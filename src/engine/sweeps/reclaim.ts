import type { WorkerRow } from '../../store/store.ts';
import type { SweepContext } from './sweep.ts';

const AT_ONCE = 200;

/**
 * Takes back what dead workers of these held: their process is proven dead on this host, or their lease ran out by the store's clock. First the
 * worker is fenced, so that it cannot renew; then each of its tasks is lost, by the kernel's rules. Gives how many workers are gone.
 */
export async function reclaim(context: SweepContext, workers: readonly WorkerRow[], now: number): Promise<number> {
  const { store, clock, host, worker, logger } = context;
  let gone = 0;
  for (const other of workers) {
    if (other.id === worker) continue;
    const dead = host.isDead(other);
    const expired = other.fenced || (other.leaseUntil < now && clock.isTrusted);
    if (!dead && !expired) continue;
    if (!(await store.fence(other.id, dead ? { dead: true } : { now }))) continue;
    const lost = await takeBack(context, other, dead);
    if (lost === null) continue;
    await store.leave(other.id, now);
    gone++;
    logger.info('a worker is gone: what it held was taken back', {
      worker: other.name,
      tasks: lost,
      proof: dead ? 'process dead' : 'lease over',
    });
  }
  return gone;
}

/** Null where a whole round changed nothing: somebody else is at it, or the rows cannot be settled; the next sweep looks again. */
async function takeBack({ store, committer }: SweepContext, other: WorkerRow, crashed: boolean): Promise<number | null> {
  let count = 0;
  for (let held = await store.heldBy(other.id, AT_ONCE); held.length > 0; held = await store.heldBy(other.id, AT_ONCE)) {
    const applied = await Promise.all(held.map((task) => committer.outcome(task.run, task, { kind: 'lost', crashed })));
    const moved = applied.filter(Boolean).length;
    if (moved === 0) return null;
    count += moved;
  }
  return count;
}
