import type { RunDetail, TaskDetail } from '../client/inspect.ts';
import type { Graph } from '../core/graph/graph.ts';
import type { TaskStatus } from '../core/kernel/states.ts';
import { drawnGraph, type DrawnGraph, type DrawnState } from './graph/model.ts';
import { drawTerm } from './graph/term.ts';
import type { Output } from './output.ts';

/** Nothing says how wide a line in a pipe may be; the drawing has to fit something. */
const PIPE_COLUMNS = 160;

type Paper = Pick<Output, 'columns' | 'hasColours'>;

/** A file. */
export const PLAIN: Paper = { columns: undefined, hasColours: false };

/** A run's graph with how each task stands. `detail` is to have the items of maps. */
export function runDrawing(graph: Graph, { tasks }: RunDetail): DrawnGraph {
  const itemsOf = Map.groupBy(
    tasks.filter((task) => task.item !== undefined),
    (task) => task.task,
  );
  const states = tasks
    .filter((task) => task.item === undefined)
    .map((task): [string, DrawnState] => [task.task, stateOf(task, itemsOf.get(task.task) ?? [])]);
  return drawnGraph(graph, new Map(states));
}

function stateOf({ status, items: counts }: TaskDetail, items: readonly TaskDetail[]): DrawnState {
  if (counts === undefined || counts.total === 0) return { status };
  const { total, started, ok, failed, cancelled, skipped } = counts;
  // Of a large map not every item is given: of those that have started and not ended it is then not known how they stand.
  const open = started - ok - failed - cancelled - skipped;
  const known = items.length === started ? countsOf(items) : { success: ok, failed, cancelled, skipped, running: open };
  const all = { ...known, pending: (known.pending ?? 0) + total - started };
  return { status, items: Object.fromEntries(Object.entries(all).filter(([, n]) => n > 0)) };
}

function countsOf(items: readonly TaskDetail[]): Partial<Record<TaskStatus, number>> {
  const by = Map.groupBy(items, (item) => item.status);
  return Object.fromEntries([...by].map(([status, some]) => [status, some.length]));
}

export function drawingLines(drawn: DrawnGraph, out: Paper, { ascii = false } = {}): string[] {
  return drawTerm(drawn, { columns: out.columns ?? PIPE_COLUMNS, colour: out.hasColours, unicode: !ascii });
}
