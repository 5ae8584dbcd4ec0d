import { TABLE_FIELDS, type DocumentTable } from '../../core/documents/document-fields.ts';

/** A document's field as a column: `finishedAt` is `finished_at`. */
export const columnOf = (field: string): string => field.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** What an import gives a row beside the fields of the document. */
export const GIVEN = {
  tasks: ['run', 'body', 'token', 'worker'],
  maps: ['run', 'body'],
  attempts: ['run', 'worker'],
  steps: ['run'],
  logs: ['run'],
  generations: ['run'],
  run_generations: ['run'],
  messages: ['run'],
} as const satisfies Record<DocumentTable, readonly string[]>;

/** Fields of a table that an import writes: numbers of messages are given anew. */
export const importedFields = (table: DocumentTable): string[] =>
  Object.keys(TABLE_FIELDS[table]).filter((field) => table !== 'messages' || field !== 'id');
