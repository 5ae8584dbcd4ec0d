import type { JournaledTask } from '../../core/kernel/checkpoint.ts';
import { PawlError } from '../../core/errors.ts';
import { parseRunId } from '../../core/ids.ts';
import type { DocumentDefinition, RunDocument } from '../../core/documents/run-document.ts';
import { RUN_STATUSES, TASK_STATUSES } from '../../core/kernel/states.ts';
import type * as port from '../care.ts';
import type { NewDefinition, Reserved, StoredDefinition } from '../store.ts';
import type { Connection } from './connection.ts';
import { meta, prunable, prunableJournal, prune, pruneActs, pruneJournal } from './prune.ts';
import { many } from './program.ts';
import { checkNew, heldTasks, importRuns, partsOf } from './transfer.ts';

/** What an import needs of the store beside its connection. */
export interface Definer {
  define(definitions: readonly NewDefinition[]): Promise<StoredDefinition[]>;
  reserve(runs: number, tokens: number): Promise<Reserved>;
}

/** What differs between databases, their class adds: backups, facts, and on what an export reads. */
export abstract class SqlCare implements port.Care {
  protected readonly connection: Connection;
  private readonly definer: Definer;

  constructor(connection: Connection, definer: Definer) {
    this.connection = connection;
    this.definer = definer;
  }

  async prune(request: port.PruneRequest): Promise<port.Pruned> {
    return prune(this.connection, request);
  }

  async prunable(request: port.PruneRequest): Promise<number> {
    return this.connection.ask((sql) => prunable(sql, request));
  }

  async pruneJournal(request: port.JournalPruneRequest): Promise<port.JournalPruned> {
    return pruneJournal(this.connection, request);
  }

  async prunableJournal(before: number): Promise<number> {
    return this.connection.ask((sql) => prunableJournal(sql, before));
  }

  async pruneActs(request: port.ActsPruneRequest): Promise<port.ActsPruned> {
    return pruneActs(this.connection, request);
  }

  async checkpoint(): Promise<{ readonly seq: number; readonly at: number }> {
    return this.connection.read(function* (sql) {
      return { seq: yield* meta(sql, 'pruned_to'), at: yield* meta(sql, 'pruned_at') };
    });
  }

  async checkpointRuns(after: number, limit: number): Promise<port.CheckpointRun[]> {
    const rows = await this.connection.ask((sql) => many(sql.checkpointRuns.all(after, limit)));
    return rows.map(({ run, generation, status }) => ({
      run: Number(run),
      generation: Number(generation),
      status: RUN_STATUSES[Number(status)] ?? 'running',
    }));
  }

  async checkpointTasks(run: number): Promise<JournaledTask[]> {
    const rows = await this.connection.ask((sql) => many(sql.checkpointTasks.all(run)));
    return rows.map(({ status, ...task }) => ({
      ...(task as unknown as Omit<JournaledTask, 'status'>),
      status: TASK_STATUSES[Number(status)] ?? 'pending',
    }));
  }

  abstract backup(file: string): Promise<{ readonly bytes: number }>;
  abstract facts(options: port.FactsOptions): Promise<port.StoreFacts>;
  abstract exportRun(uid: Uint8Array): Promise<RunDocument | null>;

  async importRun(document: RunDocument, now: number): Promise<number> {
    const parts = partsOf(document).map((part) => ({ part, uid: parseRunId(part.id) as Uint8Array }));
    // Before anything is written: a document that is refused leaves no definition behind.
    await this.connection.read((sql) => checkNew(sql, parts));
    const [first, ...others] = await this.defineAll([document.definition, ...document.definitions], now);
    const held = parts.reduce((sum, { part }) => sum + heldTasks(part), 0);
    const { firstRun, firstToken } = await this.definer.reserve(parts.length, held);
    const definitionOf = (i: number): StoredDefinition =>
      (i === 0 ? first : others[document.children[i - 1]?.definition ?? 0]) as StoredDefinition;
    const arriving = parts.map((part, i) => ({ ...part, run: firstRun + i, definition: definitionOf(i) }));
    await importRuns(this.connection, arriving, { firstToken, now });
    return firstRun;
  }

  private async defineAll(definitions: readonly DocumentDefinition[], now: number): Promise<StoredDefinition[]> {
    const stored = await this.definer.define(
      definitions.map(({ hash, workflow, version, graph }) => ({ workflow, version, hash, graph, at: now })),
    );
    definitions.forEach(({ hash, workflow, version }, i) => {
      if (stored[i]?.hash !== hash)
        throw new PawlError('CONFIG_VERSION_CHANGED', `Workflow "${workflow}" version "${version}" is stored with another graph.`);
    });
    return stored;
  }
}
