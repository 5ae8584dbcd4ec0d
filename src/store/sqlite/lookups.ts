import type { Graph } from '../../core/graph/graph.ts';
import type { EndedTask, TaskState } from '../../core/kernel/run-state.ts';
import type * as port from '../store.ts';
import { readFacts, readMap, readRun, readTask, runCode, type Row } from './rows.ts';
import type { Statements } from './statements.ts';

/** Reads of several statements; the caller holds a snapshot. */

/** A run as its rows say; nothing where it does not exist. */
export function loadRun(sql: Statements, request: port.LoadRequest, epoch: number): port.LoadedRun[] {
  const { run } = request;
  const row = sql.runById.get(run) as Row | undefined;
  if (row === undefined) return [];
  const maps = sql.mapsOf.all(run) as Row[];
  const facts = readFacts(row, run);
  // why: what is to be undone is every task and item that succeeded, in their order
  if (facts.flow?.compensated === true) return [{ row: readRun(row), facts, ...allRows(sql, run, maps), completions: 0, epoch }];
  const tops = maps.length === 0 ? sql.plainTasks : sql.topTasks;
  const tasks = (tops.all(run) as Row[]).map(readTask);
  for (const map of maps) {
    tasks.push(...(sql.openItems.all(map['body'] ?? null, run) as Row[]).map(readTask));
    tasks.push(...(sql.laneItems.all(Math.abs(Number(map['body'])), run) as Row[]).map(readTask));
  }
  return [
    {
      row: readRun(row),
      facts,
      tasks: withEndedCalls(sql, run, tasks),
      maps: maps.map((map) => ({ ...readMap(map), again: againOf(tasks, Number(map['node'])) })),
      items: request.items.map((node) => ({ node, items: (sql.endedItems.all(run, node) as Row[]).map(readTask) as EndedTask[] })),
      completions: maps.length === 0 ? 0 : Number(sql.lastCompletion.get(run)?.['n'] ?? 0),
      epoch,
    },
  ];
}

/** Of bodies that wait for a group of calls: which of them have ended stands in their records alone. */
export function withEndedCalls(sql: Statements, run: number, tasks: TaskState[]): TaskState[] {
  for (const task of tasks) {
    if (task.status !== 'waiting' || task.calls === undefined) continue;
    for (const { name } of sql.endedCalls.all(run, task.node, task.item, task.generation)) {
      const call = task.calls.find(String(name));
      if (call !== undefined) task.calls.end(call);
    }
  }
  return tasks;
}

/** Every row of a run, as the parts of a {@link port.LoadedRun}. */
function allRows(sql: Statements, run: number, maps: readonly Row[]): Pick<port.LoadedRun, 'tasks' | 'maps' | 'items'> {
  const all = (sql.allTasks.all(run) as Row[]).map(readTask);
  const nodes = maps.map((map) => Number(map['node']));
  const isEndedItem = (task: TaskState): task is EndedTask => task.item >= 0 && nodes.includes(task.node) && 'finishedAt' in task;
  return {
    tasks: withEndedCalls(
      sql,
      run,
      all.filter((task) => !isEndedItem(task)),
    ),
    maps: maps.map((map) => ({ ...readMap(map), again: againOf(all, Number(map['node'])) })),
    items: nodes.map((node) => ({ node, items: all.filter(isEndedItem).filter((task) => task.node === node) })),
  };
}

/** Items that a reset left pending, in their order. */
const againOf = (tasks: readonly TaskState[], node: number): number[] =>
  tasks.filter((task) => task.node === node && task.item >= 0 && task.status === 'pending').map((task) => task.item);

export function readDue(sql: Statements, now: number, limit: number): port.Due {
  const runs = sql.dueRuns.all(now, limit).map((row) => ({
    run: Number(row['run']),
    event:
      row['recall'] === 1
        ? ('recall' as const)
        : row['recall'] === 3
          ? ('undo' as const)
          : Number(row['status']) === runCode('scheduled')
            ? ('admit' as const)
            : ('deadline' as const),
    dueAt: Number(row['dueAt']),
  }));
  const expiry = sql.nextExpiry.get()?.['at'];
  const expired = expiry !== undefined && Number(expiry) <= now;
  const ahead = [sql.nextTaskDue.get(now)?.['at'], sql.nextRunDue.get(now)?.['at'], expired ? undefined : expiry]
    .filter((at) => at !== undefined)
    .map(Number);
  return {
    tasks: sql.dueTasks.all(now, limit) as unknown as port.Due['tasks'],
    runs,
    expired,
    nextAt: ahead.length === 0 ? null : Math.min(...ahead),
  };
}

export function readHolders(sql: Statements, key: string, workflow: string | null): port.RunRow[] {
  return sql.holdersOf.all(key, workflow).flatMap(({ run }) => {
    const row = sql.runById.get(run ?? null);
    return row === undefined ? [] : [readRun(row)];
  });
}

export function readDefinition(row: Row): port.StoredDefinition {
  return {
    id: Number(row['id']),
    workflow: String(row['workflow']),
    version: String(row['version']),
    hash: String(row['hash']),
    graph: JSON.parse(String(row['graph'])) as Graph,
    firstBody: Number(row['firstBody']),
  };
}

export function listRuns(sql: Statements, query: port.ListQuery): port.RunRow[] {
  const statuses = query.statuses === undefined ? null : JSON.stringify(query.statuses.map((status) => runCode(status)));
  const { before = Number.MAX_SAFE_INTEGER, workflow = null, tag = null, since = null, key = null, parts = false, limit } = query;
  return sql.listRuns.all(before, workflow, statuses, tag, since, limit, key, parts ? 1 : 0).map((row) => readRun(row as Row));
}

export function readStuck(
  sql: Statements,
  after: port.OpenCursor | null,
  limit: number,
): { runs: port.StuckRun[]; last: port.OpenCursor | null } {
  const rows = sql.stuckRuns.all(after?.definition ?? -1, after?.run ?? -1, limit) as unknown as (port.StuckRun &
    port.OpenCursor & { stuck: number })[];
  const isStuck = ({ run, stuck }: { run: number; stuck: number }): boolean => Number(stuck) === 1 && sql.anyLive.get(run) === undefined;
  const runs = rows.filter(isStuck).map(({ run, rev }) => ({ run, rev }));
  const last = rows.at(-1);
  return { runs, last: rows.length < limit || last === undefined ? null : { definition: last.definition, run: last.run } };
}

export function readOpenDefinitions(sql: Statements): number[] {
  const found: number[] = [];
  // why: from one to the next by the index, whatever the number of their runs
  for (let row = sql.nextOpenDefinition.get(-1); row !== undefined; row = sql.nextOpenDefinition.get(found.at(-1) ?? -1)) {
    found.push(Number(row['definition']));
  }
  return found;
}

export function readWaitingSince(
  sql: Statements,
  { id, firstBody, graph }: Pick<port.StoredDefinition, 'id' | 'firstBody' | 'graph'>,
): number | null {
  const unclaimed = sql.oldestUnclaimed.get(id);
  const instants = unclaimed === undefined ? [] : [Number(unclaimed['startAt'] ?? unclaimed['at'])];
  graph.tasks.forEach((_, node) => {
    const queued = sql.oldestQueued.get(firstBody + node);
    if (queued !== undefined) instants.push(Number(queued['at']));
  });
  return instants.length === 0 ? null : Math.min(...instants);
}
