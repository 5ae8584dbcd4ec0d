import { chmodSync, closeSync, existsSync, fsyncSync, mkdirSync, openSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { isPawlError, PawlError, type ErrorCode } from '../../core/errors.ts';
import { initial } from './migrations/001-initial.ts';
import { measuredFlush, pause, timedCommit } from './flush.ts';
import { SETUP } from './statements.ts';

/** The schema that this code writes; `migrations[n]` leads from n to n + 1. */
const migrations: readonly string[] = [initial];
export const SCHEMA = migrations.length;

export interface OpenOptions {
  readonly path: string;
  readonly durability: 'full' | 'fast';
  /** How long opening may wait for another process that migrates, in milliseconds. */
  readonly patienceMs: number;
  /** `'read'`: nothing is created, migrated or written. Default `'write'`. */
  readonly access?: 'write' | 'read';
  /** Told how many milliseconds the disk takes to flush a commit. Measured at the price of one, where it is slow of a few; without it not at all. */
  readonly onFlush?: (ms: number) => void;
  /** The first of the numbers that tell which states were compared with the file; those of two connections of one engine never meet. Default 0. */
  readonly firstEpoch?: number;
  /** For tests and benchmarks: each commit takes so many milliseconds longer, as on a disk whose flush is slow. */
  readonly flushDelayMs?: number;
}

/** Opens the file, refuses what is not safe, migrates. The only place where the main thread may wait for SQLite's lock. */
export function openDatabase(options: OpenOptions): DatabaseSync {
  const inMemory = options.path === ':memory:';
  const path = inMemory ? options.path : resolve(options.path);
  const created = !inMemory && prepareFile(path);
  const db = guarded(path, () => new DatabaseSync(path, { timeout: options.patienceMs }));
  try {
    patiently(options.patienceMs, () => guarded(path, () => setUp(db, path, options)));
    if (created) syncFolder(dirname(path));
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** Switching a new file to WAL does not wait for another opener's lock as everything else does. */
function patiently(ms: number, work: () => void): void {
  const started = performance.now();
  for (;;) {
    try {
      work();
      return;
    } catch (error) {
      if (!isPawlError(error, 'STORE_BUSY') || performance.now() - started > ms) throw error;
      pause(5 + Math.random() * 20);
    }
  }
}

function setUp(db: DatabaseSync, path: string, options: OpenOptions): void {
  checkLibrary(db);
  const { schema, isForeign } = identity(db);
  if (isForeign) throw new PawlError('STORE_FOREIGN', `${path} is a SQLite database of another program.`);
  if (schema > SCHEMA) {
    throw new PawlError('STORE_NEWER', `${path} has schema ${schema}; this version of Pawl knows schema ${SCHEMA}.`, {
      details: { schema, known: SCHEMA },
    });
  }
  db.exec(SETUP.wal);
  // why: a checkpoint flushes whatever the durability, so a disk is measured as if each commit did
  db.exec(options.onFlush !== undefined || options.durability === 'full' ? SETUP.full : SETUP.fast);
  db.exec(SETUP.checkpointAt);
  if (schema < SCHEMA) migrate(db);
  checkWritable(db, options);
  if (options.durability === 'fast') db.exec(SETUP.fast);
}

/** Read on one snapshot: another process may be migrating the same new file. */
export function identity(db: DatabaseSync): { schema: number; isForeign: boolean } {
  db.exec(SETUP.beginRead);
  try {
    const schema = readNumber(db, SETUP.readSchema, 'user_version');
    const mark = readNumber(db, SETUP.readApplicationId, 'application_id');
    const isNew = mark === 0 && schema === 0 && readNumber(db, SETUP.readObjects, 'n') === 0;
    return { schema, isForeign: mark !== SETUP.applicationId && !isNew };
  } finally {
    db.exec(SETUP.end);
  }
}

/** A file that SQLite could open only to read would fail at the first write: better now. */
function checkWritable(db: DatabaseSync, { onFlush, flushDelayMs }: OpenOptions): void {
  try {
    if (onFlush !== undefined) {
      onFlush(measuredFlush(() => timedCommit(db, flushDelayMs)));
      return;
    }
    db.exec(SETUP.writeOne);
    db.exec(SETUP.rollback);
  } catch (error) {
    if (db.isTransaction) db.exec(SETUP.rollback);
    if (!isBusy(error)) throw error;
  }
}

function migrate(db: DatabaseSync): void {
  db.exec('BEGIN IMMEDIATE');
  try {
    for (let at = readNumber(db, SETUP.readSchema, 'user_version'); at < SCHEMA; at++) {
      db.exec(migrations[at] ?? '');
      db.exec(SETUP.setSchema(at + 1));
    }
    db.exec(SETUP.markAsOurs);
    db.exec('COMMIT');
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK');
    throw error;
  }
}

/** SQLite before these versions may corrupt a database when a WAL is reset under a reader. */
export function checkLibrary(db: DatabaseSync): void {
  const version = String(db.prepare(SETUP.libraryVersion).get()?.['version']);
  const [major = 0, minor = 0, patch = 0] = version.split('.').map(Number);
  const fixed = major > 3 || minor > 51 || (minor === 51 && patch >= 3) || (minor === 50 && patch >= 7) || (minor === 44 && patch >= 6);
  if (!fixed)
    throw new PawlError(
      'STORE_LIBRARY',
      `Node ${process.version} has SQLite ${version}, which is not safe in WAL mode: 3.44.6, 3.50.7 and 3.51.3 are the first that are.`,
      { details: { version } },
    );
}

function readNumber(db: DatabaseSync, sql: string, column: string): number {
  return Number(db.prepare(sql).get()?.[column] ?? 0);
}

/** Creates folder and file readable by their owner alone; true where the file is new. */
function prepareFile(path: string): boolean {
  if (existsSync(path)) return false;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    closeSync(openSync(path, 'a', 0o600));
    chmodSync(path, 0o600);
    return true;
  } catch (error) {
    throw storeError(error, path);
  }
}

export function syncFolder(folder: string): void {
  const handle = openSync(folder, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

export function guarded<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw storeError(error, path);
  }
}

const PRIMARY: Readonly<Record<number, ErrorCode>> = {
  5: 'STORE_BUSY',
  6: 'STORE_BUSY',
  7: 'STORE_IO',
  8: 'STORE_READONLY',
  9: 'STORE_IO',
  10: 'STORE_IO',
  11: 'STORE_CORRUPT',
  13: 'STORE_FULL',
  14: 'STORE_UNREACHABLE',
  15: 'STORE_IO',
  22: 'STORE_IO',
  26: 'STORE_NOT_A_DATABASE',
};

const SYSTEM: Readonly<Record<string, ErrorCode>> = {
  ENOSPC: 'STORE_FULL',
  EDQUOT: 'STORE_FULL',
  EROFS: 'STORE_READONLY',
  EACCES: 'STORE_READONLY',
  EPERM: 'STORE_READONLY',
  ENOTDIR: 'STORE_UNREACHABLE',
  EISDIR: 'STORE_UNREACHABLE',
  ENOENT: 'STORE_UNREACHABLE',
  EEXIST: 'STORE_UNREACHABLE',
  ENAMETOOLONG: 'STORE_UNREACHABLE',
  ELOOP: 'STORE_UNREACHABLE',
  EINVAL: 'STORE_UNREACHABLE',
  ERR_INVALID_ARG_VALUE: 'STORE_UNREACHABLE',
  EIO: 'STORE_IO',
  EMFILE: 'STORE_IO',
  ENFILE: 'STORE_IO',
};

/** SQLite's primary result code, null where the error is none of SQLite's. */
export function sqliteCode(error: unknown): number | null {
  const code = error instanceof Error && 'errcode' in error ? error.errcode : null;
  return typeof code === 'number' ? code & 0xff : null;
}

export const isBusy = (error: unknown): boolean => [5, 6].includes(sqliteCode(error) ?? -1);

/** A driver's error as one of Pawl's; faults of a single change (constraints, types) come back as they are. */
export function storeError(error: unknown, path: string): unknown {
  if (error instanceof PawlError || !(error instanceof Error)) return error;
  const system = 'code' in error && typeof error.code === 'string' ? SYSTEM[error.code] : undefined;
  const code = system ?? PRIMARY[sqliteCode(error) ?? -1];
  return code === undefined ? error : new PawlError(code, `${path}: ${error.message}`, { cause: error, details: { path } });
}
