import { once } from 'node:events';
import { resolve } from 'node:path';
import { Worker } from 'node:worker_threads';
import { ownModule } from '../../own-files.ts';

export interface CheckedFile {
  /** What SQLite complained about; empty: nothing. */
  readonly damage: readonly string[];
  readonly isOurs: boolean;
}

/** `immutable`: nobody else has the file open, and no `-shm` is to be left beside it. */
export async function checkFile(path: string, { immutable }: { readonly immutable: boolean }): Promise<CheckedFile> {
  const thread = new Worker(ownModule('store/sqlite/check-thread'), { workerData: { path: resolve(path), immutable } });
  try {
    const [checked] = (await once(thread, 'message')) as [CheckedFile];
    return checked;
  } finally {
    await thread.terminate();
  }
}
