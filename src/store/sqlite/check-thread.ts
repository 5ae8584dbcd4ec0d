import { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { parentPort, workerData } from 'node:worker_threads';
import { isPawlError } from '../../core/errors.ts';
import { identity, storeError } from './driver.ts';
import { openToRead } from './open-to-read.ts';
import { SETUP } from './statements.ts';
import type { CheckedFile } from './check-file.ts';

const { path, immutable } = workerData as { readonly path: string; readonly immutable: boolean };

function check(): CheckedFile {
  const db = immutable
    ? new DatabaseSync(new URL(`${pathToFileURL(path).href}?immutable=1`), { readOnly: true })
    : openToRead(path, 10_000, (file) => void identity(file)).db;
  const complaints = db
    .prepare(SETUP.quickCheck)
    .all()
    .map((row) => String(row['quick_check']));
  const mark = Number(db.prepare(SETUP.readApplicationId).get()?.['application_id']);
  db.close();
  return { damage: complaints.filter((line) => line !== 'ok'), isOurs: mark === SETUP.applicationId };
}

/** A file that is damaged at its head cannot even be asked; that it cannot be reached says nothing of what is in it. */
function checked(): CheckedFile {
  try {
    return check();
  } catch (error) {
    const coded = storeError(error, path);
    if (!isPawlError(coded, 'STORE_CORRUPT', 'STORE_NOT_A_DATABASE')) throw coded;
    return { damage: [coded.message], isOurs: false };
  }
}

/** Reads a whole file and says what is wrong with it, in a thread of its own: that takes seconds for each gigabyte. */
parentPort?.postMessage(checked());
