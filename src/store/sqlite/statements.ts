import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { SQL, type StatementName } from '../sql/statements.ts';

/** All statements, of one connection. */
export type Statements = Record<StatementName, StatementSync>;

/** why: an object of SQLite's takes ten times as much, and is slow to read from. Their rows are given names where they are read. */
const AS_ARRAYS: ReadonlySet<string> = new Set<StatementName>(['claimRuns', 'unclaimedRuns', 'queuedTasks']);

/** Prepares each statement when it is first used, so that opening costs what is needed. */
export function prepareStatements(db: DatabaseSync): Statements {
  const prepared = Object.create(null) as Statements;
  for (const name of Object.keys(SQL) as StatementName[]) {
    Object.defineProperty(prepared, name, {
      configurable: true,
      enumerable: true,
      get: () => {
        const statement = db.prepare(SQL[name]);
        if (AS_ARRAYS.has(name)) statement.setReturnArrays(true);
        Object.defineProperty(prepared, name, { value: statement, enumerable: true });
        return statement;
      },
    });
  }
  return prepared;
}

/** For the test that proves the plans. */
export const statementText = (name: StatementName): string => SQL[name];

export const SETUP = {
  applicationId: 0x5041_574c,
  readApplicationId: 'PRAGMA application_id',
  readSchema: 'PRAGMA user_version',
  readObjects: 'SELECT count(*) AS n FROM sqlite_schema',
  beginRead: 'BEGIN',
  end: 'COMMIT',
  beginWrite: 'BEGIN IMMEDIATE',
  rollback: 'ROLLBACK',
  // A row that would stay as it is is not written. Gaps in the tokens are normal.
  writeOne: "BEGIN IMMEDIATE; UPDATE meta SET value = value + 1 WHERE name = 'next_token'",
  markAsOurs: 'PRAGMA application_id = 1346459468',
  setSchema: (version: number): string => `PRAGMA user_version = ${version}`,
  wal: 'PRAGMA journal_mode = WAL',
  full: 'PRAGMA synchronous = FULL',
  fast: 'PRAGMA synchronous = NORMAL',
  neverWait: 'PRAGMA busy_timeout = 0',
  checkpointAt: 'PRAGMA wal_autocheckpoint = 1000',
  libraryVersion: 'SELECT sqlite_version() AS version',
  quickCheck: 'PRAGMA quick_check(20)',
} as const;
