import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { SqliteStore } from '../../src/store/sqlite/store.ts';
import { mayStrand } from '../support/stranded.ts';
import { actsConformance } from './acts-conformance.ts';
import { capacityConformance } from './capacity-conformance.ts';
import { mailboxConformance } from './mailbox-conformance.ts';
import { careConformance } from './care-conformance.ts';
import { schedulesConformance } from './schedules-conformance.ts';
import { storeConformance, type Place } from './conformance.ts';
import { flowConformance } from './flow-conformance.ts';
import { outlookConformance } from './outlook-conformance.ts';
import { folder } from './kit.ts';

async function newPlace(): Promise<Place> {
  const { path, remove } = folder();
  const file = join(path, 'app.db');
  const stores: SqliteStore[] = [];
  return {
    connect: async () => {
      const store = new SqliteStore({ path: file, durability: 'fast', patienceMs: 5_000 });
      await store.open();
      // The rows are made up, state by state.
      mayStrand(store);
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
outlookConformance('sqlite', newPlace);
