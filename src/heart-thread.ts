import { parentPort, workerData } from 'node:worker_threads';
import { SqliteStore } from './store/sqlite/store.ts';

/** Runs in a thread of its own: renews one worker's lease, whatever the main thread is busy with. */
interface HeartData {
  readonly path: string;
  readonly worker: number;
  readonly leaseMs: number;
  readonly beatMs: number;
}

const { path, worker, leaseMs, beatMs } = workerData as HeartData;
const store = new SqliteStore({ path, durability: 'full', patienceMs: 10_000 });
const { clock } = await store.open();

async function beat(): Promise<void> {
  const now = Math.max(Date.now(), clock);
  // A beat that cannot be written is not the end: the lease is still this worker's until it is over.
  const renewed = await store.beat(worker, now, now + leaseMs).catch(() => true);
  if (renewed) setTimeout(() => void beat(), beatMs);
  else parentPort?.postMessage('lost');
}

void beat();
