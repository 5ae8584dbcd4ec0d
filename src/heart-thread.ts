import { parentPort, workerData } from 'node:worker_threads';
import { giveBack } from './engine/give-back.ts';
import type { HeartOptions } from './engine/heart.ts';
import { Slots } from './engine/slots.ts';
import { SqliteStore } from './store/sqlite/store.ts';

/**
 * Runs in a thread of its own: renews one worker's lease, whatever the main thread is busy with. Where the main thread does not answer for
 * half a lease the worker is marked as wedged, and what it claimed but never began goes back to the queue.
 */
const data = workerData as Omit<HeartOptions, 'onLost'> & { readonly path: string };
const { worker, leaseMs, beatMs, kernel } = data;
const slots = new Slots(data.slotCount, data.slots);
const store = new SqliteStore({ path: data.path, durability: 'full', patienceMs: 10_000 });
const { clock } = await store.open();

const now = (): number => Math.max(Date.now(), clock);

async function beat(): Promise<void> {
  // A beat that cannot be written is not the end: the lease is still this worker's until it is over.
  const renewed = await store.beat(worker, now(), now() + leaseMs).catch(() => true);
  if (renewed) setTimeout(() => void beat(), beatMs);
  else parentPort?.postMessage('lost');
}

let touches = slots.touches;
let touchedAt = performance.now();

async function watch(): Promise<void> {
  if (slots.touches !== touches) {
    touches = slots.touches;
    touchedAt = performance.now();
  } else if (performance.now() - touchedAt > leaseMs / 2) {
    await store.wedge(worker);
    await giveBack(store, slots.takeBack(), { worker, now: now(), settings: kernel });
  }
}

setInterval(() => void watch().catch(() => undefined), Math.min(1_000, leaseMs / 4));
void beat();
