import { columnOf, GIVEN, importedFields } from './transfer-columns.ts';
import { DOCUMENT_TABLES, RUN_FIELDS, TABLE_FIELDS, type DocumentTable } from '../../core/documents/document-fields.ts';

/** SQL that carries runs from store to store, made from the fields of a document: a part of the list in `statements.ts`. */

function importing(table: string, given: readonly string[], fields: readonly string[]): string {
  const columns = [...given, ...fields.map(columnOf)];
  return `INSERT INTO ${table} (${columns.join(', ')}) VALUES (${columns.map(() => '?').join(',')})`;
}

/** Of a quarantined run an instant that is due lies below zero, and what nobody has claimed is 0. */
const HIDDEN: Readonly<Record<string, string>> = { dueAt: 'abs(due_at)', unclaimed: '(unclaimed IS NOT NULL)' };

function exporting(table: string, fields: readonly string[], where: string): string {
  return `SELECT ${fields.map((field) => `${HIDDEN[field] ?? columnOf(field)} AS "${field}"`).join(', ')} FROM ${table} WHERE ${where}`;
}

/** `order`: by table, what tells the rows of one run apart. */
export const transferStatements = (order: Readonly<Record<DocumentTable, string>>) => ({
  exportRun: exporting('runs', Object.keys(RUN_FIELDS), 'id = ?'),
  exportLink: `SELECT parent, parent_node AS node, parent_item AS item, parent_generation AS generation, parent_name AS name,
    parent_kind AS kind, recall, completion FROM runs WHERE id = ? AND parent IS NOT NULL`,
  exportBelow: `SELECT id FROM runs WHERE parent IS NOT NULL AND parent = ? ORDER BY parent_node, parent_item, parent_generation, id`,
  exportKey: 'SELECT input_hash AS inputHash, until, while_open AS whileOpen FROM keys WHERE workflow = ? AND key = ? AND run = ?',
  importRun: importing('runs', ['id', 'uid', 'definition', 'rev', 'recall', 'imported'], Object.keys(RUN_FIELDS)),
  ...(Object.fromEntries(
    DOCUMENT_TABLES.flatMap((table) => [
      [
        `export_${table}`,
        `${exporting(table, Object.keys(TABLE_FIELDS[table]), 'run = ?')} ORDER BY ${table === 'messages' ? 'signal, id' : order[table]}`,
      ],
      [`import_${table}`, importing(table, GIVEN[table], importedFields(table))],
    ]),
  ) as Record<`export_${DocumentTable}` | `import_${DocumentTable}`, string>),
  uidTaken: 'SELECT 1 AS n FROM runs WHERE uid = ?',
  keyTaken: 'SELECT 1 AS n FROM keys WHERE workflow = ? AND key = ?',
  keepLeftover: 'SELECT due_at FROM leftovers WHERE run = ?',
});
