import { expect, test } from 'vitest';
import type { RunDetail, TaskDetail } from '../client/inspect.ts';
import type { TaskStatus } from '../core/kernel/states.ts';
import { Screen } from '../../test/support/screen.ts';
import { Output } from './output.ts';
import { runLines } from './tree.ts';

const screen = new Screen({ columns: 60, rows: 12 });
const out = new Output(
  { stdin: process.stdin, stdout: screen, stderr: screen, env: {}, cwd: '', now: () => 0, interrupt: () => new AbortController().signal },
  { format: 'text', color: false },
);
const task = (status: TaskStatus, i: number): TaskDetail => ({ task: `t${i}`, kind: 'task', status, attempt: 0, attempts: [] });
const runOf = (statuses: readonly TaskStatus[]): RunDetail => ({
  id: 'id',
  workflow: 'w',
  version: '1',
  status: 'running',
  tags: [],
  acceptedAt: new Date(0),
  tasks: statuses.map(task),
});
const shown = (statuses: readonly TaskStatus[], room?: number): string[] =>
  runLines(runOf(statuses), out, { now: 0, ...(room === undefined ? {} : { room }) }).slice(4);

test('of more tasks than there is room for, those that run or have failed are shown, in their order; the others are counted', () => {
  const many: TaskStatus[] = ['success', 'failed', 'success', 'running', 'pending', 'queued', 'retrying', 'pending'];
  expect(shown(many)).toHaveLength(8);
  expect(shown(many, 12)).toHaveLength(8);
  expect(shown(many, 9).map((line) => line.split(/ {2,}/)[0])).toEqual(['t1', 't3', 't5', 't6', '… and 2 pending, 2 success']);
  expect(shown(many, 1)).toEqual(['… and 2 pending, 1 queued, 1 running, 1 retrying, 2 success, 1 failed']);
});
