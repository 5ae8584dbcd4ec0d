import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import {
  isRunOver,
  isTerminal,
  REASONS,
  RUN_STATUSES,
  RUN_TRANSITIONS,
  TASK_STATUSES,
  TASK_TRANSITIONS,
  type Transition,
} from '../../src/core/kernel/states.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const doc = readFileSync(`${root}docs/lifecycle.md`, 'utf8');
const migrations = `${root}src/store/sqlite/migrations/`;
const sql = readdirSync(migrations)
  .toSorted()
  .map((name) => readFileSync(migrations + name, 'utf8'))
  .join('\n');

/** The rows of the first table after this line, without its head. */
function tableAfter(line: string): string[][] {
  const [, rest = ''] = doc.split(`${line}\n`);
  const lines = rest.trimStart().split('\n');
  const end = lines.findIndex((each) => !each.startsWith('|'));
  return lines.slice(2, end === -1 ? undefined : end).map((row) =>
    row
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim().replace(/^`(.*)`$/, '$1')),
  );
}

const textOf = <S extends string>(transitions: readonly Transition<S>[]): string[][] =>
  transitions.map(({ from, event, to }) => [from, event, to.join(', ')]);

describe('docs/lifecycle.md', () => {
  test('has the states of a task, and which are terminal', () => {
    const rows = tableAfter('## States of a task').map(([state, terminal]) => [state, terminal]);
    expect(rows).toEqual(TASK_STATUSES.map((status) => [status, isTerminal[status] ? 'yes' : 'no']));
  });

  test('has the states of a run, and in which it is over', () => {
    const rows = tableAfter('## States of a run').map(([state, over]) => [state, over]);
    expect(rows).toEqual(RUN_STATUSES.map((status) => [status, isRunOver[status] ? 'yes' : 'no']));
  });

  test('has every move of a task and of a run', () => {
    expect(tableAfter('<!-- table: tasks -->')).toEqual(textOf(TASK_TRANSITIONS));
    expect(tableAfter('<!-- table: runs -->')).toEqual(textOf(RUN_TRANSITIONS));
  });

  test('has every reason', () => {
    expect(tableAfter('<!-- list: reasons -->').map(([reason]) => reason)).toEqual([...REASONS]);
  });
});

describe('the tables of the kernel', () => {
  test.each([
    ['tasks', TASK_TRANSITIONS, isTerminal],
    ['runs', RUN_TRANSITIONS, isRunOver],
  ])(
    'let only a person leave a state in which %s are over, or the parent that is undone',
    (_, transitions, isOver: Readonly<Record<string, boolean>>) => {
      const acts = [
        'redrive or rerun',
        'mark success',
        'left as it is by a redrive',
        'redrive in the child run',
        'discard',
        'redrive, rerun or mark',
        'redrive of a compensation',
        'its parent compensates',
      ];
      expect(transitions.filter(({ from, event }) => isOver[from] && !acts.includes(event))).toEqual([]);
    },
  );

  test('have the open states before the terminal ones, so that one partial index can hold just them', () => {
    const order = [TASK_STATUSES.map((status) => isTerminal[status]), RUN_STATUSES.map((status) => isRunOver[status])];
    for (const over of order) expect(over.lastIndexOf(false)).toBe(over.indexOf(true) - 1);
  });
});

describe('the migrations of SQLite', () => {
  const table = (name: string): string =>
    new RegExp(`CREATE TABLE ${name} \\((.*?)\\n\\) STRICT`, 's').exec(sql)?.[1] ?? expect.fail(`no table ${name}`);
  const range = (text: string): number[] => {
    const [, low, high] = /status INTEGER NOT NULL CHECK \(status BETWEEN (\d+) AND (\d+)\)/.exec(text) ?? [];
    return [Number(low), Number(high)];
  };
  const firstOver = TASK_STATUSES.findIndex((status) => isTerminal[status]);
  const firstRunOver = RUN_STATUSES.findIndex((status) => isRunOver[status]);
  const numbers = (pattern: RegExp): number[] => [...sql.matchAll(pattern)].map((match) => Number(match[1]));

  test('check that a state is one of the kernel’s', () => {
    expect(range(table('tasks'))).toEqual([0, TASK_STATUSES.length - 1]);
    expect(range(table('runs'))).toEqual([0, RUN_STATUSES.length - 1]);
  });

  test('check leases of running tasks and ends of terminal ones by the kernel’s numbers', () => {
    expect(table('tasks')).toContain(`(status = ${TASK_STATUSES.indexOf('running')} AND token IS NOT NULL) = (worker IS NOT NULL)`);
    expect(table('tasks')).toContain(`(status >= ${firstOver}) = (finished_at IS NOT NULL)`);
  });

  test('index what is open by the kernel’s numbers', () => {
    expect(numbers(/CREATE INDEX tasks_open .* WHERE status <= (\d+)/g)).toEqual([firstOver - 1]);
    expect(numbers(/CREATE INDEX runs_open .* WHERE status < (\d+)/g)).toEqual([firstRunOver]);
  });

  test('name the states in their views as the kernel does', () => {
    const named = (view: string, alias: string): Record<string, string> => {
      const text =
        new RegExp(`CREATE VIEW ${view} AS.*?CASE ${alias}\\.status (.*?) END AS status`, 's').exec(sql)?.[1] ??
        expect.fail(`no view ${view}`);
      const cases = [...text.matchAll(/WHEN (\d+) THEN '(\w+)'/g)].map(([, number, name]) => [number, name]);
      const last = Number(cases.at(-1)?.[0]) + 1;
      return Object.fromEntries([...cases, [last, /ELSE '(\w+)'/.exec(text)?.[1]]]) as Record<string, string>;
    };
    expect(named('run_overview', 'r')).toEqual(Object.fromEntries(RUN_STATUSES.map((status, i) => [i, status])));
    expect(named('task_overview', 't')).toEqual(Object.fromEntries(TASK_STATUSES.map((status, i) => [i, status])));
  });
});
