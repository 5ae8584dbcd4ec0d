import { DatabaseSync } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';
import { SETUP } from './statements.ts';

/** Reads a whole file and says what is wrong with it, in a thread of its own: that takes seconds for each gigabyte. */
const { location } = workerData as { readonly location: string };
const db = new DatabaseSync(new URL(location), { readOnly: true, timeout: 10_000 });
const complaints = db
  .prepare(SETUP.quickCheck)
  .all()
  .map((row) => String(row['quick_check']));
const mark = Number(db.prepare(SETUP.readApplicationId).get()?.['application_id']);
db.close();
parentPort?.postMessage({ damage: complaints.filter((line) => line !== 'ok'), isOurs: mark === SETUP.applicationId });
