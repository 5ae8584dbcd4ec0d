import { resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { isBusy } from './driver.ts';
import { prepareStatements, SETUP, type Statements } from './statements.ts';

/** As long as the store's own writes wait for another's. */
const BUSY_LIMIT_MS = 10_000;

/**
 * The lease of one worker, on a connection of its own: all that a thread needs which must stay small and cannot wait for the store to be loaded.
 * The file is opened when it is first written, and anew after it failed; one that is gone is not made again.
 */
export class LeaseFile {
  private readonly path: string;
  private open: { readonly db: DatabaseSync; readonly sql: Statements } | null = null;
  private clock = 0;

  constructor(path: string) {
    this.path = resolve(path);
  }

  /** The machine's time, never less than that of the last commit before this connection. */
  now(): number {
    this.connection();
    return Math.max(Date.now(), this.clock);
  }

  /** False where the lease is over: it ran out, or was taken. */
  async beat(worker: number, leaseMs: number): Promise<boolean> {
    return this.write(({ beat }) => beat.run(this.now() + leaseMs, worker, this.now()).changes === 1);
  }

  async wedge(worker: number): Promise<void> {
    await this.write(({ wedge }) => wedge.run(worker));
  }

  private connection(): { readonly db: DatabaseSync; readonly sql: Statements } {
    if (this.open !== null) return this.open;
    const db = new DatabaseSync(new URL(`${pathToFileURL(this.path).href}?mode=rw`), { timeout: 0 });
    this.open = { db, sql: prepareStatements(db) };
    db.exec(SETUP.full);
    this.clock = Number(this.open.sql.journalHead.get()?.['at'] ?? 0);
    return this.open;
  }

  private async write<T>(work: (sql: Statements) => T): Promise<T> {
    const started = performance.now();
    for (;;) {
      try {
        return work(this.connection().sql);
      } catch (error) {
        const mayWait = isBusy(error) && performance.now() - started < BUSY_LIMIT_MS;
        if (!mayWait) {
          this.open?.db.close();
          this.open = null;
          throw error;
        }
      }
      // why: SQLite's own wait asks ever more rarely, and a process that writes all the time would leave it no gap
      await new Promise((resolve) => setTimeout(resolve, 1 + Math.random() * 2));
    }
  }
}
