import { existsSync } from 'node:fs';
import { link, open, rename, rm, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { backup } from 'node:sqlite';
import { isPawlError, PawlError } from '../../core/errors.ts';
import { checkFile } from './check-file.ts';
import { storeError, syncFolder } from './driver.ts';
import { openToRead } from './open-to-read.ts';
import { SETUP } from './statements.ts';

/** Pages that are copied before another call of this process's thread pool gets its turn. */
const PAGES_PER_STEP = 1_000;
const PATIENCE_MS = 10_000;

/** Copies the store at `source` to a file that is not there yet. What a crash leaves is called `.part`. */
export async function backupTo(file: string, source: string): Promise<{ readonly bytes: number }> {
  const target = resolve(file);
  const part = `${target}.part`;
  if (existsSync(target)) throw exists(target);
  await createEmpty(part);
  try {
    await copySnapshot(source, part);
    await check(part, source);
    const bytes = await sync(part);
    await giveName(part, target);
    await rm(part, { force: true });
    syncFolder(dirname(target));
    return { bytes };
  } catch (error) {
    await rm(part, { force: true });
    await rm(`${part}-journal`, { force: true });
    throw storeError(error, target);
  }
}

const exists = (path: string): PawlError => new PawlError('STORE_EXISTS', `${path} is there already.`, { details: { path } });

/** Readable by its owner alone from the start; fails where another backup to this name is under way. */
async function createEmpty(part: string): Promise<void> {
  try {
    await (await open(part, 'wx', 0o600)).close();
  } catch (error) {
    throw isCode(error, 'EEXIST') ? exists(part) : storeError(error, part);
  }
}

/**
 * By a connection of its own that holds one snapshot: SQLite begins a backup anew whenever somebody else has written, which beside live
 * workers would be for ever. The pages are copied by Node's thread pool.
 */
async function copySnapshot(source: string, part: string): Promise<void> {
  const { db } = openToRead(source, PATIENCE_MS);
  try {
    db.exec(SETUP.beginRead);
    db.prepare(SETUP.readSchema).get();
    await backup(db, part, { rate: PAGES_PER_STEP });
  } finally {
    db.close();
  }
}

async function check(part: string, source: string): Promise<void> {
  const { damage, isOurs } = await checkFile(part, { immutable: true });
  if (damage.length === 0 && isOurs) return;
  const found = damage.length === 0 ? 'it is not a store of Pawl' : damage.join('; ');
  throw new PawlError('STORE_CORRUPT', `The backup of ${source} is damaged, and was deleted: ${found}`, { details: { damage } });
}

async function sync(part: string): Promise<number> {
  const handle = await open(part, 'r+');
  try {
    await handle.sync();
    return (await stat(part)).size;
  } finally {
    await handle.close();
  }
}

/** A link fails where the name is taken, a rename would overwrite; not every file system has links. */
async function giveName(part: string, target: string): Promise<void> {
  try {
    await link(part, target);
  } catch (error) {
    if (isCode(error, 'EEXIST') || existsSync(target)) throw exists(target);
    if (isPawlError(error) || !isCode(error, 'EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK')) throw error;
    await rename(part, target);
  }
}

function isCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}
