import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { DatabaseSync, SQLOutputValue } from 'node:sqlite';
import { PawlError } from '../../core/errors.ts';
import { identity, SCHEMA, sqliteCode, storeError } from './driver.ts';
import { openToRead } from './open-to-read.ts';
import { SETUP } from './statements.ts';

const PATIENCE_MS = 5_000;

/** What stands in a file, found out without changing it. */
export interface StoreVersion {
  readonly path: string;
  readonly exists: boolean;
  /** Version of its schema; 0 where nothing is in it. */
  readonly schema: number;
  /** The version that this code writes. */
  readonly known: number;
}

export function storeVersion(path: string): StoreVersion {
  const facts = { path: path === ':memory:' ? path : resolve(path), known: SCHEMA };
  if (path === ':memory:' || !existsSync(path)) return { ...facts, exists: false, schema: 0 };
  const { db } = openToRead(path, PATIENCE_MS, identify);
  try {
    return { ...facts, exists: true, schema: identify(db, path) };
  } finally {
    db.close();
  }
}

/**
 * The rows of one SELECT that a person wrote. Throws `STORE_QUERY_WRITES` for anything else than a query: the connection cannot write, and
 * what could write elsewhere (VACUUM INTO, ATTACH, PRAGMA) is not begun.
 */
export function* queryRows(path: string, sql: string): Generator<Readonly<Record<string, SQLOutputValue>>, void> {
  const { db } = openToRead(path, PATIENCE_MS, identify);
  try {
    if (identify(db, path) > SCHEMA) throw new PawlError('STORE_NEWER', `${path} was written by a newer version of Pawl.`);
    if (!/^(select|with|values|explain)\b/i.test(bare(sql))) {
      throw new PawlError('STORE_QUERY_WRITES', 'The statement is no query: it does not begin with SELECT, WITH, VALUES or EXPLAIN.');
    }
    const statement = db.prepare(sql);
    statement.setReadBigInts(true);
    if (bare(sql.slice(statement.sourceSQL.length)) !== '') throw new PawlError('STORE_QUERY', 'There is more than one statement.');
    yield* statement.iterate();
  } catch (error) {
    throw queryError(error, path);
  } finally {
    db.close();
  }
}

/** Without what stands before the first word: blanks, comments, semicolons. */
function bare(sql: string): string {
  return sql.replace(/^(\s|;|--[^\n]*(\n|$)|\/\*[^]*?(\*\/|$))+/, '');
}

function queryError(error: unknown, path: string): unknown {
  const code = sqliteCode(error);
  const message = error instanceof Error ? error.message : String(error);
  if (code === 8) return new PawlError('STORE_QUERY_WRITES', `The statement would write: ${message}.`, { cause: error });
  if (code === 1 || code === 23 || code === 25) return new PawlError('STORE_QUERY', `SQLite says: ${message}.`, { cause: error });
  return storeError(error, path);
}

/** The version of its schema. Throws where it is none of Pawl's files. */
function identify(db: DatabaseSync, path: string): number {
  try {
    const { schema, isForeign } = identity(db);
    if (isForeign) throw new PawlError('STORE_FOREIGN', `${path} is a SQLite database, but not one of Pawl's.`);
    return schema;
  } catch (error) {
    if (db.isTransaction) db.exec(SETUP.rollback);
    throw storeError(error, path);
  }
}
