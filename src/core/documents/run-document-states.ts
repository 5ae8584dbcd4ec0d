/** Whether the runs of a document, each well formed, can be what they say: what a kernel relies on when it reads their rows. */
import { isAwaited } from '../kernel/children.ts';
import { compileGraph } from '../kernel/compile.ts';
import { DOCUMENT_KEYS, DOCUMENT_TABLES } from './document-fields.ts';
import type { Graph } from '../graph/graph.ts';
import type { DocumentRow, RunDocument, RunPart } from './run-document.ts';
import { readFlow } from '../kernel/run-flow.ts';
import type { LinkKind, ParentLink } from '../kernel/run-state.ts';
import { isRunOver, isTerminal, type RunStatus, type TaskStatus } from '../kernel/states.ts';
import { readWaits, type Wait } from '../kernel/waits.ts';

type Add = (at: string, problem: string) => void;

export function checkRuns(document: RunDocument, add: Add): void {
  const graphs = new Map<string, Graph>([[document.id, document.definition.graph]]);
  checkRun(document, document.definition.graph, add);
  checkTop(document, add);
  document.children.forEach((child, i) => {
    const at = `children[${i}]`;
    const graph = document.definitions[child.definition]?.graph;
    if (graph === undefined) return;
    checkRun(child, graph, (where, problem) => add(`${at}.${where}`, problem));
    const above = child.link === null ? undefined : graphs.get(String(child.link['parent']));
    if (above === undefined) add(`${at}.link`, 'it must name the run to which it belongs, and that must stand before it');
    else if (!isPlace(child.link, above)) add(`${at}.link.node`, 'the run to which it belongs has no such task');
    if (graphs.has(child.id)) add(`${at}.id`, 'two runs have it');
    graphs.set(child.id, graph);
  });
  checkPlaces(document, add);
}

/** Hooks stand for no task. */
const isPlace = (link: DocumentRow | null, { tasks }: Graph): boolean =>
  Number(link?.['node']) < tasks.length && Number(link?.['node']) >= (link?.['kind'] === 'hooks' ? -1 : 0);

/** Whether the end of such a run is news for the run to which it belongs. */
export function isWaitedFor({ run, link }: RunPart): boolean {
  if (link === null || isRunOver[run['status'] as RunStatus]) return false;
  return isAwaited({ kind: link['kind'] as LinkKind, recalled: link['recall'] === 1 } as ParentLink);
}

/** Its end would go nowhere. */
function checkTop(document: RunDocument, add: Add): void {
  if (isWaitedFor(document))
    add('link', `it is a part of run ${document.link?.['parent']}, which waits for it: export that run, its parts come along`);
}

/** Whoever waits for a run below it has that run in the document: nothing else would ever wake it. */
function checkPlaces(document: RunDocument, add: Add): void {
  const there = new Set<string>();
  for (const { run, link } of document.children) {
    if (link !== null && (!isRunOver[run['status'] as RunStatus] || link['recall'] === 2))
      there.add(placeKey(String(link['parent']), link, link['name'] ?? null));
  }
  const runs: readonly (readonly [string, RunPart])[] = [
    ['', document],
    ...document.children.map((child, i) => [`children[${i}].`, child] as const),
  ];
  for (const [at, { id, tasks }] of runs) {
    tasks.forEach((task, i) => {
      const missing = childWaits(task).find(({ name }) => !there.has(placeKey(id, task, name)));
      if (missing?.kind === 'child')
        add(
          `${at}tasks[${i}].waits`,
          `it waits for a run of "${missing.workflow.slice(0, 60)}" that is not in the document: export the run that it belongs to`,
        );
    });
  }
}

const placeKey = (run: string, { node, item, generation }: DocumentRow, name: string | number | null): string =>
  JSON.stringify([run, node, item, generation, name]);

function childWaits(task: DocumentRow): readonly Wait[] {
  if (task['status'] !== 'waiting') return [];
  return (readWaits(String(task['waits'])) ?? []).filter(({ kind }) => kind === 'child');
}

function checkRun({ run, key, ...rest }: RunPart, graph: Graph, add: Add): void {
  const isOver = isRunOver[run['status'] as RunStatus];
  if (isOver !== (run['finishedAt'] !== null)) add('run.finishedAt', 'it must be there when the run is over, and only then');
  if (key !== null && run['key'] === null) add('key', 'the run has none');
  if (!isFlow(run['flow'] ?? null)) add('run.flow', 'it is nothing that a run remembers');
  if (run['unclaimed'] === 1 && !mayBeUnclaimed(run, rest.tasks.length, graph)) add('run.unclaimed', 'such a run has begun');
  checkTasks(rest, { isOver, sizes: sizesOf(rest.maps, graph) }, add);
  for (const table of DOCUMENT_TABLES) {
    const rows = rest[table];
    if (rows.some((row) => Number(row['node'] ?? 0) >= graph.tasks.length)) add(table, 'one of them is of no task of the graph');
    const seen = new Set(rows.map((row) => JSON.stringify(DOCUMENT_KEYS[table].map((name) => row[name]))));
    if (seen.size < rows.length) add(table, 'two of them are the same');
  }
}

/** How many items a task may have: a map its own, what undoes the items of one just as many. */
function sizesOf(maps: RunPart['maps'], graph: Graph): ReadonlyMap<number, number> {
  const sizes = new Map(maps.map((map) => [Number(map['node']), Number(map['n'])]));
  graph.tasks.forEach((task, node) => {
    if (task.kind !== 'handler' || task.role !== 'compensation') return;
    const size = sizes.get(graph.tasks.findIndex(({ id }) => id === task.of));
    if (size !== undefined) sizes.set(node, size);
  });
  return sizes;
}

function checkTasks(
  { tasks, maps }: Pick<RunPart, 'tasks' | 'maps'>,
  { isOver, sizes }: { readonly isOver: boolean; readonly sizes: ReadonlyMap<number, number> },
  add: Add,
): void {
  const places = new Set(tasks.map((row) => `${row['node']}:${row['item']}`));
  for (const [i, task] of tasks.entries()) {
    const at = `tasks[${i}]`;
    const hasEnded = isTerminal[task['status'] as TaskStatus];
    if (hasEnded !== (task['finishedAt'] !== null)) add(at, 'finishedAt must be there when the task has ended, and only then');
    const waits = task['waits'] ?? null;
    if ((task['status'] === 'waiting') !== (waits !== null && readWaits(String(waits)) !== null))
      add(`${at}.waits`, 'it must say what a waiting task waits for, and only then');
    if (!areDraws(task['draws'] ?? null)) add(`${at}.draws`, 'it must be a list of numbers');
    if (isOver && !hasEnded) add(at, 'it is open, and the run is over');
    if (Number(task['item']) >= (sizes.get(Number(task['node'])) ?? 0)) add(at, 'it is an item of no map');
  }
  for (const [i, map] of maps.entries()) {
    const ended = Number(map['ok']) + Number(map['failed']) + Number(map['cancelled']) + Number(map['skipped']);
    if (Number(map['next']) > Number(map['n']) || ended > Number(map['n'])) add(`maps[${i}]`, 'its counters are more than its items');
    if (!places.has(`${map['node']}:-1`)) add(`maps[${i}]`, 'it has no task');
  }
}

/** A claim of the whole run inserts its roots: a row of one must not be there, and nothing may have to let it in. */
function mayBeUnclaimed(run: DocumentRow, tasks: number, graph: Graph): boolean {
  const status = run['status'] === 'paused' ? run['resumeTo'] : run['status'];
  return tasks === 0 && status === 'running' && compileGraph(graph).plainRoots !== null;
}

function isFlow(flow: string | number | null): boolean {
  try {
    readFlow(flow === null ? null : String(flow));
    return true;
  } catch {
    return false;
  }
}

function areDraws(text: string | number | null): boolean {
  if (text === null) return true;
  const draws = JSON.parse(String(text)) as unknown;
  return Array.isArray(draws) && draws.every((n) => Number.isSafeInteger(n) && Number(n) >= 0);
}
