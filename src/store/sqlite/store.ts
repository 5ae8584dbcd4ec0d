import type * as port from '../store.ts';
import { SqlStore } from '../sql/store.ts';
import { SqliteCare } from './care.ts';
import { SCHEMA, type OpenOptions } from './driver.ts';
import { SqliteSession } from './session.ts';

/** One SQLite file (or `:memory:`), one connection, used by one process; other processes may have the same file open. */
export class SqliteStore extends SqlStore {
  readonly care: SqliteCare;
  private readonly session: SqliteSession;

  constructor(options: OpenOptions) {
    const session = new SqliteSession(options);
    super(session);
    this.session = session;
    this.care = new SqliteCare(session, this, options.path);
  }

  async open(): Promise<port.StoreInfo> {
    const { clock, isImmutable } = this.session.open();
    const { path } = this.session;
    return { kind: 'sqlite', clock, schema: SCHEMA, path, isImmutable, writer: { in: 'main', flushMs: null } };
  }

  async close(): Promise<void> {
    this.session.close();
  }

  async head(): Promise<port.Head> {
    return this.session.head();
  }
}
