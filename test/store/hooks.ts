import { DatabaseSync, StatementSync, type SQLInputValue } from 'node:sqlite';
import { SETUP } from '../../src/store/sqlite/statements.ts';

/** Stands between the store and SQLite, for all connections of this thread: faults, and counts. */
export interface Hooks {
  /** Called in place of a statement; `next` runs it. */
  onRun?: (sql: string, next: () => unknown, values: readonly SQLInputValue[]) => unknown;
  /** Called in place of a preparation. */
  onPrepare?: (sql: string, next: () => StatementSync) => StatementSync;
}

/** Puts hooks in place until the returned function is called. */
export function hook(hooks: Hooks): () => void {
  const statements = StatementSync.prototype;
  const databases = DatabaseSync.prototype;
  const own = (of: object, name: string): ((...values: unknown[]) => unknown) =>
    Object.getOwnPropertyDescriptor(of, name)?.value as (...values: unknown[]) => unknown;
  const before = { run: own(statements, 'run'), get: own(statements, 'get'), all: own(statements, 'all') };
  const prepare = own(databases, 'prepare');
  for (const name of ['run', 'get', 'all'] as const) {
    const original = before[name];
    statements[name] = function hooked(this: StatementSync, ...values: SQLInputValue[]): never {
      const next = (): unknown => original.apply(this, values);
      return (hooks.onRun === undefined ? next() : hooks.onRun(this.sourceSQL, next, values)) as never;
    } as never;
  }
  databases.prepare = function hooked(this: DatabaseSync, sql: string): StatementSync {
    const next = (): StatementSync => prepare.call(this, sql) as StatementSync;
    return hooks.onPrepare === undefined ? next() : hooks.onPrepare(sql, next);
  };
  return () => {
    Object.assign(statements, before);
    Object.assign(databases, { prepare });
  };
}

/** An error as node:sqlite throws it. */
export const sqliteError = (errcode: number, message = 'injected'): Error =>
  Object.assign(new Error(message), { code: 'ERR_SQLITE_ERROR', errcode, errstr: message });

/** Opening a database fails until the returned function is called. */
export const unopenable = (): (() => void) =>
  hook({
    onPrepare: (sql, next) => {
      if (sql === SETUP.libraryVersion) throw sqliteError(14, 'unable to open database file');
      return next();
    },
  });

/** SQLite says that it is of this version, until the returned function is called. */
export const sqliteOf = (version: string): (() => void) =>
  hook({
    onPrepare: (sql, next) => {
      const statement = next();
      return sql === SETUP.libraryVersion
        ? (Object.assign(Object.create(statement), { get: () => ({ version }) }) as StatementSync)
        : statement;
    },
  });

/** The next COMMIT that `picks` chooses fails: before it has happened, or after. */
export function failCommit(
  when: 'before' | 'after',
  options: { errcode?: number; skip?: number; between?: () => void } = {},
): () => boolean {
  const { errcode = 10, skip = 0, between } = options;
  let left = skip;
  let done = false;
  let isWrite = false;
  const undo = hook({
    onRun: (sql, next) => {
      if (sql === 'BEGIN IMMEDIATE') isWrite = true;
      if (sql !== 'COMMIT' || done || !isWrite) {
        if (sql === 'BEGIN' || sql === 'ROLLBACK') isWrite = false;
        return next();
      }
      isWrite = false;
      if (left-- > 0) return next();
      done = true;
      if (when === 'after') next();
      between?.();
      throw sqliteError(errcode, `the commit failed ${when} it happened`);
    },
  });
  // Whether it came to the fault
  return () => {
    undo();
    return done;
  };
}
