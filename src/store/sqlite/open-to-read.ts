import { existsSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { PawlError } from '../../core/errors.ts';
import { checkLibrary, guarded, identity, openDatabase, SCHEMA, sqliteCode, type OpenOptions } from './driver.ts';

export interface OpenFile {
  readonly db: DatabaseSync;
  /** The file was opened as one that nobody changes: what another process writes may not be seen, or be read half. */
  readonly isImmutable: boolean;
}

export const openFile = (options: OpenOptions): OpenFile =>
  options.access === 'read' ? openToRead(options.path, options.patienceMs) : { db: openDatabase(options), isImmutable: false };

/**
 * Opens a file without creating, migrating or writing anything. A file in WAL mode needs its `-shm` beside it, which a folder that may not be
 * written does not get: then it is opened as immutable, but only where no `-wal` holds commits that would be missing.
 */
export function openToRead(given: string, timeoutMs: number, check: Check = checkIdentity): OpenFile {
  const path = resolve(given);
  const openAt = (location: string | URL): DatabaseSync => openLocation(path, location, { timeoutMs, check });
  if (!existsSync(path)) throw new PawlError('STORE_UNREACHABLE', `${path}: there is no such file.`, { details: { path } });
  try {
    return { db: openAt(path), isImmutable: false };
  } catch (error) {
    if (!isSharingRefused(error)) throw error;
    if (hasCommitsInWal(path)) {
      throw new PawlError(
        'STORE_READONLY',
        `${path} has commits in its -wal, and this process may not create the -shm that reading them takes.`,
        {
          cause: error,
          details: { path },
          fix: 'Give this process write access to the folder, or read a backup.',
        },
      );
    }
    return { db: openAt(new URL(`${pathToFileURL(path).href}?immutable=1`)), isImmutable: true };
  }
}

/** Throws where the file is not one to go on with. It has to read: only then does SQLite say whether it can. */
type Check = (db: DatabaseSync, path: string) => void;

interface Opening {
  readonly timeoutMs: number;
  readonly check: Check;
}

function openLocation(path: string, location: string | URL, { timeoutMs, check }: Opening): DatabaseSync {
  return guarded(path, () => {
    const db = new DatabaseSync(location, { readOnly: true, timeout: timeoutMs, defensive: true });
    try {
      checkLibrary(db);
      check(db, path);
      return db;
    } catch (error) {
      db.close();
      throw error;
    }
  });
}

function checkIdentity(db: DatabaseSync, path: string): void {
  const { schema, isForeign } = identity(db);
  if (isForeign) throw new PawlError('STORE_FOREIGN', `${path} is a SQLite database, but not one of Pawl's.`);
  if (schema === SCHEMA) return;
  const code = schema > SCHEMA ? 'STORE_NEWER' : 'STORE_OLDER';
  throw new PawlError(code, `${path} has schema ${schema}; this version of Pawl reads schema ${SCHEMA}.`, {
    details: { schema, known: SCHEMA },
  });
}

/** Cannot open, or read-only: what SQLite says where the -shm can neither be opened nor created. */
function isSharingRefused(error: unknown): boolean {
  const cause = error instanceof PawlError ? error.cause : error;
  return [8, 14].includes(sqliteCode(cause) ?? -1);
}

function hasCommitsInWal(path: string): boolean {
  return (statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0) > 0;
}
