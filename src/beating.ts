import { parentPort } from 'node:worker_threads';
import type { HeartOptions } from './engine/heart.ts';
import { Slots } from './engine/slots.ts';
import { LeaseFile } from './store/sqlite/lease.ts';

export interface HeartData extends Omit<HeartOptions, 'onLost'> {
  readonly path: string;
  /** When the lease was booted, by the machine's clock. */
  readonly bootedAt: number;
}

/**
 * In a thread of its own: renews one worker's lease, whatever the main thread is busy with. Where the main thread does not answer for
 * half a lease the worker is marked as wedged, and what it claimed but never began goes back to the queue.
 */
export function keepBeating(data: HeartData): void {
  const { worker, leaseMs, beatMs } = data;
  const slots = new Slots(data.slotCount, data.slots);
  const lease = new LeaseFile(data.path);

  async function beat(): Promise<void> {
    // A beat that cannot be written is not the end: the lease is still this worker's until it is over.
    const renewed = await lease.beat(worker, leaseMs).catch(() => true);
    if (renewed) setTimeout(() => void beat(), beatMs);
    else parentPort?.postMessage('lost');
  }

  let touches = slots.touches;
  let touchedAt = performance.now();
  let rescue: ReturnType<typeof loadRescue> | null = null;

  async function watch(): Promise<void> {
    if (slots.touches !== touches) {
      touches = slots.touches;
      touchedAt = performance.now();
    } else if (performance.now() - touchedAt > leaseMs / 2) {
      await lease.wedge(worker);
      rescue ??= loadRescue(data, lease).catch((error: unknown) => {
        rescue = null;
        throw error;
      });
      const giveBack = await rescue;
      await giveBack(slots.takeBack());
    }
  }

  setInterval(() => void watch().catch(() => undefined), Math.min(1_000, leaseMs / 4));
  // The worker was booted with a whole lease: a beat at once would only stand in the way of its first run.
  setTimeout(() => void beat(), Math.max(0, data.bootedAt + beatMs - Date.now()));
}

/** What hardly ever happens brings its own code along: store and kernel weigh more than all else in this thread. */
async function loadRescue(
  { path, worker, kernel }: HeartData,
  lease: LeaseFile,
): Promise<(taken: ReturnType<Slots['takeBack']>) => Promise<void>> {
  const [{ giveBack }, { SqliteStore }] = await Promise.all([import('./engine/give-back.ts'), import('./store/sqlite/store.ts')]);
  const store = new SqliteStore({ path, durability: 'full', patienceMs: 10_000 });
  await store.open();
  return (taken) => giveBack(store, taken, { worker, now: lease.now(), settings: kernel });
}
