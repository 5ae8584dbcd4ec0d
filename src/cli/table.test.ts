import { describe, expect, test } from 'vitest';
import { table, type Column } from './table.ts';
import { width } from './text.ts';

const heads: readonly Column[] = [
  { title: 'STATUS' },
  { title: 'NAME', least: 8 },
  { title: 'TOOK', align: 'right' },
  { title: 'NOTE', least: 6 },
];
const rows = [
  ['ok', 'short', '1 s', ''],
  ['failed', '支払いサービスへの接続', '120 ms', 'connection to the payment service was refused three times'],
];

describe('a table', () => {
  test('in a pipe cuts nothing', () => {
    expect(table(heads, rows, undefined)).toEqual([
      'STATUS  NAME                      TOOK  NOTE',
      'ok      short                      1 s',
      'failed  支払いサービスへの接続  120 ms  connection to the payment service was refused three times',
    ]);
  });

  test.each([160, 80, 50, 30, 10])('fits a terminal of %i columns', (columns) => {
    const lines = table(heads, rows, columns);
    expect(lines.filter((line) => width(line) > columns)).toEqual([]);
  });

  test('cuts the longest cells first, and those that may not be cut last', () => {
    expect(table(heads, rows, 50)).toEqual([
      'STATUS  NAME                TOOK  NOTE',
      'ok      short                1 s',
      'failed  支払いサービス…   120 ms  connection to t…',
    ]);
  });
});
