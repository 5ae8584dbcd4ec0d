import { join } from 'node:path';
import type * as threads from 'node:worker_threads';
import { DatabaseSync } from 'node:sqlite';
import { vi } from 'vitest';
import { splitStore } from '../../src/store/sqlite/split.ts';
import type { Store } from '../../src/store/store.ts';
import { actsConformance } from './acts-conformance.ts';
import { capacityConformance } from './capacity-conformance.ts';
import { careConformance } from './care-conformance.ts';
import { storeConformance, type Place } from './conformance.ts';
import { flowConformance } from './flow-conformance.ts';
import { folder } from './kit.ts';
import { mailboxConformance } from './mailbox-conformance.ts';
import { schedulesConformance } from './schedules-conformance.ts';
import { mayStrandHere } from '../support/stranded.ts';

vi.mock('node:worker_threads', async (original) => ({
  ...(await original<typeof threads>()),
  Worker: (await import('./near-thread.ts')).NearThread,
}));
// The rows are made up, state by state.
mayStrandHere();

/** What is read comes from a connection of its own, what is written from another thread: every case says that a write that was acknowledged is seen. */
async function newPlace(): Promise<Place> {
  const { path, remove } = folder();
  const file = join(path, 'app.db');
  const stores: Store[] = [];
  return {
    connect: async () => {
      const store = splitStore({ path: file, durability: 'fast', patienceMs: 5_000, writer: 'thread' });
      await store.open();
      stores.push(store);
      return store;
    },
    run: (sql) => {
      const db = new DatabaseSync(file, { timeout: 5_000 });
      db.exec(sql);
      db.close();
    },
    remove: async () => {
      await Promise.all(stores.map((store) => store.close()));
      remove();
    },
  };
}

storeConformance('sqlite', newPlace);
careConformance('sqlite', newPlace);
actsConformance('sqlite', newPlace);
mailboxConformance('sqlite', newPlace);
flowConformance('sqlite', newPlace);
schedulesConformance('sqlite', newPlace);
capacityConformance('sqlite', newPlace);
