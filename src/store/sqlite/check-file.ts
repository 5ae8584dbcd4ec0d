import { once } from 'node:events';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { storeError } from './driver.ts';

export interface CheckedFile {
  /** What SQLite complained about; empty: nothing. */
  readonly damage: readonly string[];
  readonly isOurs: boolean;
}

/** `immutable`: nobody else has the file open, and no `-shm` is to be left beside it. */
export async function checkFile(path: string, { immutable }: { readonly immutable: boolean }): Promise<CheckedFile> {
  const location = `${pathToFileURL(resolve(path)).href}${immutable ? '?immutable=1' : ''}`;
  const file = import.meta.url.endsWith('.ts') ? './check-thread.ts' : './check-thread.js';
  const thread = new Worker(new URL(file, import.meta.url), { workerData: { location } });
  try {
    const [checked] = (await once(thread, 'message')) as [CheckedFile];
    return checked;
  } catch (error) {
    // A file that is damaged at its head cannot even be asked.
    const coded = storeError(error, path);
    return { damage: [coded instanceof Error ? coded.message : String(coded)], isOurs: false };
  } finally {
    await thread.terminate();
  }
}
