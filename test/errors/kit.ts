import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { createEngine, isPawlError, type Engine, type ErrorCode, type PawlError } from '../../src/index.ts';
import { testEngine, type TestEngine } from '../../src/testing/index.ts';
import { silent } from '../engine/kit.ts';
import { folder } from '../store/kit.ts';

type Use = Parameters<typeof createEngine>[0]['use'];
type Options = Omit<Parameters<typeof createEngine>[0], 'store' | 'use'>;

/** Where one trigger works: what it makes is gone afterwards. */
export class Place {
  private readonly steps: (() => unknown)[] = [];
  private readonly dir: string;
  /** Of a database that is not there yet. */
  readonly path: string;

  constructor() {
    const { path, remove } = folder();
    this.dir = path;
    this.path = join(path, 'app.db');
    this.undo(remove);
  }

  /** Done at the end, the last first. */
  undo(step: () => unknown): void {
    this.steps.push(step);
  }

  async leave(): Promise<void> {
    for (const step of this.steps.splice(0).reverse()) await step();
    rmSync(this.dir, { recursive: true, force: true });
  }

  /** An engine on the file. */
  engine(use: Use, options: Options = {}): Engine {
    const engine = createEngine({ store: `sqlite:${this.path}`, use, drain: '100ms', logger: silent, ...options });
    this.undo(() => engine.close());
    return engine;
  }

  /** An engine in memory on a virtual clock. */
  kit(...use: Use): TestEngine {
    const engine = testEngine({ use, logger: silent });
    this.undo(() => engine.close());
    return engine;
  }

  /** Another connection to the file, as another program would have one. */
  sqlite(sql: string): DatabaseSync {
    const db = new DatabaseSync(this.path, { timeout: 5_000 });
    this.undo(() => {
      if (db.isOpen) db.close();
    });
    db.exec(sql);
    return db;
  }
}

export interface Trigger {
  readonly code: ErrorCode;
  /** What the message must name: the place and the value. */
  readonly names: readonly RegExp[];
  /** Throws the error, or returns it where it is met inside a body. */
  readonly work: (place: Place) => unknown;
}

export const triggers: Trigger[] = [];

/** A way to meet an error through what a user calls. Several may stand for one code. */
export function trigger(code: ErrorCode, names: readonly RegExp[], work: Trigger['work']): void {
  triggers.push({ code, names, work });
}

/** The error that a trigger met. */
export async function met({ work, code }: Trigger): Promise<PawlError> {
  const place = new Place();
  try {
    const error = await (async () => work(place))().catch((thrown: unknown) => thrown);
    if (isPawlError(error)) return error;
    throw new Error(`met no error of Pawl where ${code} was expected: ${String(error)}`, { cause: error });
  } finally {
    await place.leave();
  }
}
