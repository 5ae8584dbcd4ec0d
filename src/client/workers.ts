import type { Store, WorkerRow } from '../store/store.ts';

/** Counted up to here. */
const HELD_LIMIT = 1_000;

export interface WorkerView {
  readonly id: number;
  readonly name: string;
  readonly host: string;
  readonly pid: number;
  /** `silent`: its lease has run out, others take its work; `wedged`: its main thread does not answer. */
  readonly state: 'live' | 'wedged' | 'silent';
  /** Attempts that it holds, up to 1,000. */
  readonly running: number;
  readonly startedAt: Date;
  readonly leaseUntil: Date;
}

/** Every worker process that has not ended, the oldest first. */
export async function listWorkers(store: Store, now: number): Promise<WorkerView[]> {
  const rows = await store.workers();
  return Promise.all(
    rows
      .toSorted((a, b) => a.id - b.id)
      .map(async (row) => ({
        id: row.id,
        name: row.name,
        host: row.host,
        pid: row.pid,
        state: stateOf(row, now),
        running: (await store.heldBy(row.id, HELD_LIMIT)).length,
        startedAt: new Date(row.startedAt),
        leaseUntil: new Date(row.leaseUntil),
      })),
  );
}

function stateOf(row: WorkerRow, now: number): WorkerView['state'] {
  if (row.fenced || row.leaseUntil < now) return 'silent';
  return row.wedged ? 'wedged' : 'live';
}
