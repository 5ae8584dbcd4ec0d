import type { Graph } from '../../core/graph/graph.ts';
import type { EndedTask, TaskState } from '../../core/kernel/run-state.ts';
import type * as port from '../store.ts';
import { readFacts, readMap, readRun, readTask, runCode, type Row } from './rows.ts';
import { many, one, type Program } from './program.ts';
import type { Statements } from './statements.ts';

/** Reads of several statements; the caller holds a snapshot. */

/** A run as its rows say; nothing where it does not exist. */
export function* loadRun(sql: Statements, request: port.LoadRequest, epoch: number): Program<port.LoadedRun[]> {
  const { run } = request;
  const row = yield* one(sql.runById.get(run));
  if (row === undefined) return [];
  const maps = yield* many(sql.mapsOf.all(run));
  const facts = readFacts(row, run);
  // why: what is to be undone is every task and item that succeeded, in their order
  if (facts.flow?.compensated === true) return [{ row: readRun(row), facts, ...(yield* allRows(sql, run, maps)), completions: 0, epoch }];
  const tops = maps.length === 0 ? sql.plainTasks : sql.topTasks;
  const tasks = (yield* many(tops.all(run))).map(readTask);
  for (const map of maps) {
    tasks.push(...(yield* many(sql.openItems.all(map['body'] ?? null, run))).map(readTask));
    tasks.push(...(yield* many(sql.laneItems.all(Math.abs(Number(map['body'])), run))).map(readTask));
  }
  const items: { node: number; items: EndedTask[] }[] = [];
  for (const node of request.items) items.push({ node, items: (yield* many(sql.endedItems.all(run, node))).map(readTask) as EndedTask[] });
  return [
    {
      row: readRun(row),
      facts,
      tasks: yield* withEndedCalls(sql, run, tasks),
      maps: maps.map((map) => ({ ...readMap(map), again: againOf(tasks, Number(map['node'])) })),
      items,
      completions: maps.length === 0 ? 0 : Number((yield* one(sql.lastCompletion.get(run)))?.['n'] ?? 0),
      epoch,
    },
  ];
}

/** Of bodies that wait for a group of calls: which of them have ended stands in their records alone. */
export function* withEndedCalls(sql: Statements, run: number, tasks: TaskState[]): Program<TaskState[]> {
  for (const task of tasks) {
    if (task.status !== 'waiting' || task.calls === undefined) continue;
    for (const { name } of yield* many(sql.endedCalls.all(run, task.node, task.item, task.generation))) {
      const call = task.calls.find(String(name));
      if (call !== undefined) task.calls.end(call);
    }
  }
  return tasks;
}

/** Every row of a run, as the parts of a {@link port.LoadedRun}. */
function* allRows(sql: Statements, run: number, maps: readonly Row[]): Program<Pick<port.LoadedRun, 'tasks' | 'maps' | 'items'>> {
  const all = (yield* many(sql.allTasks.all(run))).map(readTask);
  const nodes = maps.map((map) => Number(map['node']));
  const isEndedItem = (task: TaskState): task is EndedTask => task.item >= 0 && nodes.includes(task.node) && 'finishedAt' in task;
  return {
    tasks: yield* withEndedCalls(
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

export function* readDue(sql: Statements, now: number, limit: number): Program<port.Due> {
  const runs = (yield* many(sql.dueRuns.all(now, limit))).map((row) => ({
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
  const expiry = (yield* one(sql.nextExpiry.get()))?.['at'];
  const expired = expiry !== undefined && Number(expiry) <= now;
  const ahead = [
    (yield* one(sql.nextTaskDue.get(now)))?.['at'],
    (yield* one(sql.nextRunDue.get(now)))?.['at'],
    expired ? undefined : expiry,
  ]
    .filter((at) => at !== undefined)
    .map(Number);
  return {
    tasks: (yield* many(sql.dueTasks.all(now, limit))) as unknown as port.Due['tasks'],
    runs,
    expired,
    nextAt: ahead.length === 0 ? null : Math.min(...ahead),
  };
}

export function* readHolders(sql: Statements, key: string, workflow: string | null): Program<port.RunRow[]> {
  const rows: port.RunRow[] = [];
  for (const { run } of yield* many(sql.holdersOf.all(key, workflow))) {
    const row = yield* one(sql.runById.get(run ?? null));
    if (row !== undefined) rows.push(readRun(row));
  }
  return rows;
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

export function* listRuns(sql: Statements, query: port.ListQuery): Program<port.RunRow[]> {
  const statuses = query.statuses === undefined ? null : JSON.stringify(query.statuses.map((status) => runCode(status)));
  const { before = Number.MAX_SAFE_INTEGER, workflow = null, tag = null, since = null, key = null, parts = false, limit } = query;
  return (yield* many(sql.listRuns.all(before, workflow, statuses, tag, since, limit, key, parts ? 1 : 0))).map((row) => readRun(row));
}

export function* readStuck(
  sql: Statements,
  after: port.OpenCursor | null,
  limit: number,
): Program<{ runs: port.StuckRun[]; last: port.OpenCursor | null }> {
  const rows = (yield* many(sql.stuckRuns.all(after?.definition ?? -1, after?.run ?? -1, limit))) as unknown as (port.StuckRun &
    port.OpenCursor & { stuck: number })[];
  const runs: port.StuckRun[] = [];
  for (const { run, rev, stuck } of rows)
    if (Number(stuck) === 1 && (yield* one(sql.anyLive.get(run))) === undefined) runs.push({ run, rev });
  const last = rows.at(-1);
  return { runs, last: rows.length < limit || last === undefined ? null : { definition: last.definition, run: last.run } };
}

export function* readOpenDefinitions(sql: Statements): Program<number[]> {
  const found: number[] = [];
  // why: from one to the next by the index, whatever the number of their runs
  for (
    let row = yield* one(sql.nextOpenDefinition.get(-1));
    row !== undefined;
    row = yield* one(sql.nextOpenDefinition.get(found.at(-1) ?? -1))
  ) {
    found.push(Number(row['definition']));
  }
  return found;
}

export function* readWaitingSince(
  sql: Statements,
  { id, firstBody, graph }: Pick<port.StoredDefinition, 'id' | 'firstBody' | 'graph'>,
): Program<number | null> {
  const unclaimed = yield* one(sql.oldestUnclaimed.get(id));
  const instants = unclaimed === undefined ? [] : [Number(unclaimed['startAt'] ?? unclaimed['at'])];
  for (const node of graph.tasks.keys()) {
    const queued = yield* one(sql.oldestQueued.get(firstBody + node));
    if (queued !== undefined) instants.push(Number(queued['at']));
  }
  return instants.length === 0 ? null : Math.min(...instants);
}
