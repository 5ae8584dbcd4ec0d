import { hasSucceeded, isEnded, taskAt } from './changes.ts';
import { decode, encode } from '../values/codec.ts';
import type { CompiledGraph, GraphNode } from './compile.ts';
import type { ErrorRecord } from '../errors.ts';
import type { Scope } from '../graph/expr.ts';
import type { Reason } from './states.ts';
import type { EndedTask, ItemResult, MapState, RunState } from './run-state.ts';
import { chosenCase } from './verdict.ts';

/** A task's failure as a reader of a settled result sees it. */
export interface SettledError {
  readonly code: string;
  readonly message: string;
  readonly attempts: number;
}

/**
 * Thrown where a value is needed that this process has not seen: the ended items of a map. The caller drops the run state, loads it with
 * these maps' items and decides again.
 */
export class ItemsNeeded extends Error {
  readonly nodes: readonly number[];
  constructor(node: number) {
    super(`items of map ${node} are needed`);
    this.name = 'ItemsNeeded';
    this.nodes = [node];
  }
}

/** The values of a run as its expressions read them (semantics, section 4). */
export class RunScope implements Scope {
  private readonly graph: CompiledGraph;
  private readonly state: RunState;
  readonly item: unknown;

  constructor(graph: CompiledGraph, state: RunState, item?: unknown) {
    this.graph = graph;
    this.state = state;
    this.item = item;
  }

  input(): unknown {
    this.state.inputValue ??= { value: decode(this.state.input) };
    return this.state.inputValue.value;
  }

  output(id: string): unknown {
    const node = this.node(id);
    const { values } = this.state;
    const known = values.get(node.index);
    if (known !== undefined || values.has(node.index)) return known;
    const value = this.read(node);
    values.set(node.index, value);
    return value;
  }

  settled(id: string): unknown {
    const node = this.node(id);
    const task = this.state.tasks[node.index];
    if (!isEnded(task)) return undefined;
    if (hasSucceeded(task)) return { status: 'success', value: this.output(id) };
    return settledOf(task, undefined);
  }

  skipped(id: string): boolean {
    return this.state.tasks[this.node(id).index]?.status === 'skipped';
  }

  private node(id: string): GraphNode {
    const node = this.graph.byId.get(id);
    if (node === undefined) throw new RangeError(`no task ${id} in the graph`);
    return node;
  }

  private read(node: GraphNode): unknown {
    const task = this.state.tasks[node.index];
    if (!isEnded(task)) throw new RangeError(`task ${node.id} has not ended`);
    if (node.cases !== null) return this.branchValue(node);
    if (node.parts !== null) return this.firstValue(node, task);
    const map = this.state.maps.get(node.index);
    return map === undefined ? decode(task.output) : mapValue(node, map);
  }

  private firstValue({ parts }: GraphNode, task: EndedTask): unknown {
    const winner = winnerOf(task);
    return { winner, value: parts?.get(winner)?.(this) };
  }

  private branchValue(node: GraphNode): unknown {
    return chosenCase(this.state, node)?.value(this);
  }
}

/** The part of a first that won. */
const winnerOf = (task: EndedTask): string => (decode(task.output) as { readonly winner: string }).winner;

/** `T[]` in input order, or the settled results; the successes where failures were tolerated. */
function mapValue(node: GraphNode, map: MapState): unknown[] {
  const { results } = map;
  if (results === null) throw new ItemsNeeded(node.index);
  const settle = node.task.kind === 'map' && node.task.settle === true;
  const values: unknown[] = [];
  for (let i = 0; i < map.n; i++) {
    const item = results[i];
    if (item === undefined) throw new ItemsNeeded(node.index);
    if (!isWhole(item)) values.push(settle ? { status: 'success', value: decode(item) } : decode(item));
    else if (settle) values.push(settledOf(item, item.status === 'success' ? decode(item.output) : undefined));
    else if (item.status === 'success') values.push(decode(item.output));
  }
  return values;
}

export const isWhole = (item: ItemResult | undefined): item is EndedTask => typeof item === 'object' && item !== null;

function settledOf(task: EndedTask, value: unknown): unknown {
  if (task.status === 'success') return { status: 'success', value };
  if (task.status === 'skipped') return { status: 'skipped' };
  return { status: task.status, error: settledError(task) };
}

export const settledError = (task: EndedTask): SettledError => failureOf(task);

export function parseError(text: string | null): ErrorRecord | null {
  return text === null ? null : (JSON.parse(text) as ErrorRecord);
}

/** The list of a map, in the order of its items. */
export function mapList(graph: CompiledGraph, state: RunState, node: GraphNode, map: MapState): readonly unknown[] {
  const edited = state.tasks[node.index]?.edited ?? null;
  map.list ??= (edited === null ? node.input(new RunScope(graph, state)) : decode(edited)) as readonly unknown[];
  return map.list;
}

/** What the body or predicate of a claimed task or item gets: put together from recorded outputs, a fresh copy each time. */
export function taskInput(graph: CompiledGraph, state: RunState, nodeIndex: number, item: number): unknown {
  const node = graph.nodes[nodeIndex];
  if (node === undefined) throw new RangeError(`no node ${nodeIndex}`);
  const edited = taskAt(state, nodeIndex, item)?.edited ?? null;
  if (edited !== null) return decode(edited);
  if (node.serves !== null) return handlerInput(graph, state, node.serves, item);
  if (item < 0 || node.each === null) return node.input(new RunScope(graph, state));
  const map = state.maps.get(nodeIndex);
  if (map === undefined) throw new RangeError(`map ${node.id} has not started`);
  return node.each(new RunScope(graph, state, mapList(graph, state, node, map)[item]));
}

/** What a handler gets comes from the task that it serves. */
function handlerInput(graph: CompiledGraph, state: RunState, { role, of }: NonNullable<GraphNode['serves']>, item: number): unknown {
  const served = graph.nodes[of];
  if (served === undefined) throw new RangeError(`no node ${of}`);
  if (role === 'teardown') return new RunScope(graph, state).output(served.id);
  const ended = item < 0 ? undefined : state.maps.get(of)?.results?.[item];
  const task = item < 0 ? state.tasks[of] : isWhole(ended) ? ended : undefined;
  if (task === undefined && item >= 0) throw new ItemsNeeded(of);
  if (task === undefined) throw new RangeError(`task ${served.id} has no state`);
  const input = task.edited === null ? taskInput(graph, state, of, item) : decode(task.edited);
  if (role === 'compensation') return { input, output: isEnded(task) ? decode(task.output) : undefined };
  return { input, error: 'error' in task ? failureOf(task) : undefined };
}

/** A failure as readers of it see it. */
function failureOf(task: {
  readonly error: string | null;
  readonly reason: Reason | null;
  readonly status: string;
  readonly begun: number;
}): SettledError {
  const record = parseError(task.error);
  const code = record?.code ?? task.reason ?? record?.name ?? task.status;
  return { code, message: record?.message ?? task.reason ?? task.status, attempts: task.begun };
}

/** The run's output as stored; null where a part that it requires did not succeed. */
export function runOutput(graph: CompiledGraph, state: RunState, maxBytes: number): { readonly text: string | null } | null {
  const readable = graph.outputReads.every(({ node, mode }) => {
    const task = state.tasks[node];
    return mode === 'settle' || (mode === 'optional' && task?.status === 'skipped') || hasSucceeded(task);
  });
  if (!readable) return null;
  return { text: encode(graph.output(new RunScope(graph, state)), { maxBytes, root: 'output' }) ?? null };
}

/** The index of an item by its index or, where the map names its items, its key; null where there is none such. */
export function itemNumber(graph: CompiledGraph, state: RunState, node: GraphNode, name: number | string): number | null {
  const map = state.maps.get(node.index);
  if (map === undefined) return null;
  if (typeof name === 'number') return Number.isInteger(name) && name >= 0 && name < map.n ? name : null;
  const list = mapList(graph, state, node, map);
  const found = list.findIndex((item, i) => itemKey(graph, state, node, item, i) === name);
  return found === -1 ? null : found;
}

/** The key of an item: its index where the map does not name its items. */
export function itemKey(graph: CompiledGraph, state: RunState, node: GraphNode, item: unknown, index: number): string {
  return node.key === null ? String(index) : String(node.key(new RunScope(graph, state, item)));
}
