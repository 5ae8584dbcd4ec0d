import type { RunDocument } from '../../core/documents/run-document.ts';
import { PawlError } from '../../core/errors.ts';
import type { FactsOptions, StoreFacts } from '../care.ts';
import { SqlCare, type Definer } from '../sql/care.ts';
import type { Connection } from '../sql/connection.ts';
import { exportOf } from '../sql/export.ts';
import { inTurns } from '../sql/program.ts';
import { backupTo } from './backup.ts';
import { factsOf } from './facts.ts';
import { openToRead } from './open-to-read.ts';
import { prepareStatements, SETUP } from './statements.ts';

const PATIENCE_MS = 10_000;

export class SqliteCare extends SqlCare {
  private readonly path: string;

  constructor(connection: Connection, definer: Definer, path: string) {
    super(connection, definer);
    this.path = path;
  }

  async backup(file: string): Promise<{ readonly bytes: number }> {
    if (this.path === ':memory:') throw new PawlError('CONFIG_STORE', 'A store in memory has no file to back up.');
    return backupTo(file, this.path);
  }

  async facts(options: FactsOptions): Promise<StoreFacts> {
    return factsOf(this.connection, this.path, options);
  }

  /** On one snapshot: of a file by a connection of its own, in pages; of a store in memory at once. */
  async exportRun(uid: Uint8Array): Promise<RunDocument | null> {
    if (this.path === ':memory:') return this.connection.read((sql) => exportOf(sql, uid));
    const { db } = openToRead(this.path, PATIENCE_MS);
    try {
      db.exec(SETUP.beginRead);
      return await inTurns(exportOf(prepareStatements(db), uid));
    } finally {
      db.close();
    }
  }
}
