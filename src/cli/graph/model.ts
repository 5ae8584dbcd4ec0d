/** What is drawn of a workflow's graph: nodes with their facts, edges with what they mean, and, of a run, how each task stands. */
import { spanText } from '../../core/words.ts';
import { compileGraph, type CompiledGraph, type Edge, type GraphNode, type ReadMode } from '../../core/compile.ts';
import { DEFAULTS } from '../../core/contract.ts';
import type { BodyTask, ChildTask, ContractData, Graph, GraphTask, MapTask } from '../../core/graph.ts';
import { TASK_STATUSES, type TaskStatus } from '../../core/states.ts';
import { STATUS } from '../status.ts';

/** `branch` leads from a decision to what it decides about; its label is the verdict. */
export type EdgeKind = 'data' | 'optional' | 'settled' | 'order' | 'branch';

export interface DrawnEdge {
  /** Indices into `nodes`. */
  readonly from: number;
  readonly to: number;
  readonly kind: EdgeKind;
  readonly label: '' | 'yes' | 'no' | 'yes, no';
}

/** How a task of a run stands; of a map, also how many of its items are in each state. */
export interface DrawnState {
  readonly status: TaskStatus;
  readonly items?: Readonly<Partial<Record<TaskStatus, number>>>;
}

export interface DrawnNode {
  readonly id: string;
  readonly kind: GraphTask['kind'];
  readonly label: string;
  readonly facts: readonly string[];
  readonly state?: DrawnState;
}

/** At most one edge between two nodes, no circles. */
export interface DrawnGraph {
  readonly workflow: string;
  readonly nodes: readonly DrawnNode[];
  readonly edges: readonly DrawnEdge[];
}

const KIND_OF: Readonly<Record<ReadMode, EdgeKind>> = { required: 'data', optional: 'optional', settle: 'settled' };

/** Expects a graph that `graphProblems` finds nothing in. States are by id; a task that has none is drawn without. */
export function drawnGraph(graph: Graph, states: ReadonlyMap<string, DrawnState> = new Map()): DrawnGraph {
  const compiled = compileGraph(graph);
  const nodes = graph.tasks.map((task): DrawnNode => {
    const state = states.get(task.id);
    return { id: task.id, kind: task.kind, label: task.id, facts: factsOf(task), ...(state ? { state } : {}) };
  });
  return { workflow: graph.workflow, nodes, edges: compiled.nodes.flatMap((node) => edgesInto(node, compiled)) };
}

/** One edge per pair: where a decision is read as well, the verdict says more. */
function edgesInto(node: GraphNode, { nodes, byId }: CompiledGraph): DrawnEdge[] {
  const made = new Map<number, DrawnEdge>();
  const put = (from: number, kind: EdgeKind, label: DrawnEdge['label'] = ''): void =>
    void made.set(from, { from, to: node.index, kind, label });
  for (const edge of node.in) put(edge.from, kindOf(edge, node));
  if (node.gate && !isGatedAbove(node, nodes)) put(node.gate.when, 'branch', node.gate.is ? 'yes' : 'no');
  const { task } = node;
  if (task.kind === 'branch') {
    const decision = byId.get(task.when);
    const empty = [true, false].filter((is) => !decision?.watchers.some((each) => nodes[each]?.gate?.is === is));
    const label = empty.length === 2 ? 'yes, no' : empty[0] === true ? 'yes' : 'no';
    if (decision && empty.length > 0) put(decision.index, 'branch', label);
  }
  return [...made.values()];
}

function kindOf(edge: Edge, node: GraphNode): EdgeKind {
  if (edge.read !== null) return KIND_OF[edge.read];
  const modes = [node.cases?.whenTrue, node.cases?.whenFalse].flatMap((each) =>
    (each?.members ?? []).filter((member) => member.node === edge.from).map((member) => member.mode),
  );
  const mode = (['required', 'optional', 'settle'] as const).find((each) => modes.includes(each));
  return mode ? KIND_OF[mode] : 'order';
}

/** Something before it on the same side of the same decision already hangs on it: an edge to each task of a branch hides the branch. */
function isGatedAbove(node: GraphNode, nodes: readonly GraphNode[]): boolean {
  return node.in.some(({ from }) => nodes[from]?.gate?.when === node.gate?.when && nodes[from]?.gate?.is === node.gate?.is);
}

function factsOf(task: GraphTask): string[] {
  const join = task.join === undefined ? [] : [`join ${task.join}`];
  // Said already where they have the ids that a builder gives them.
  if (task.kind === 'when') return [...(task.id === 'when' ? [] : ['when']), ...join];
  if (task.kind === 'branch') return [...(task.id === `${task.when}.result` ? [] : [`result of ${task.when}`]), ...join];
  if (task.kind === 'sleep') return [task.ms === undefined ? 'sleeps until a time' : `sleeps ${spanText(task.ms)}`, ...join];
  return [
    ...(task.kind === 'map' ? mapFacts(task) : []),
    ...runFacts(task),
    ...('task' in task && task.task !== undefined && task.task !== task.id ? [`task ${task.task}`] : []),
    ...(task.when ? ['conditional'] : []),
    ...join,
    ...(task.allowFailure ? ['may fail'] : []),
    ...('contract' in task && task.contract !== undefined ? contractFacts(task.contract) : []),
  ];
}

/** A task, or the items of a map, that are runs of their own. */
function runFacts(task: BodyTask | ChildTask | MapTask): string[] {
  if (task.kind === 'task') return [];
  const name = task.kind === 'map' ? (task.graph?.workflow ?? task.workflow) : task.workflow;
  if (name === undefined) return [];
  return [...(name === task.id ? ['workflow'] : [`workflow ${name}`]), ...(task.detached ? ['detached'] : [])];
}

function mapFacts({ concurrency, settle, tolerate, onEmpty }: MapTask): string[] {
  const tolerated = [
    ...(tolerate?.count === undefined ? [] : [`${tolerate.count}`]),
    ...(tolerate?.ratio === undefined ? [] : [`${Math.round(tolerate.ratio * 10_000) / 100}%`]),
  ];
  return [
    concurrency === undefined ? 'map' : `map ×${concurrency}`,
    ...(settle ? ['settle'] : []),
    ...(tolerated.length > 0 ? [`tolerates ${tolerated.join(' and ')}`] : []),
    ...(onEmpty === 'skip' ? ['skipped when empty'] : []),
  ];
}

function contractFacts({ effects, retry }: ContractData): string[] {
  const ordinary = effects === 'unsafe' ? 1 : DEFAULTS.maxAttempts;
  return [
    ...(effects === 'idempotent' ? [] : [`effects ${effects}`]),
    ...(!retry.capped ? ['retry by rule'] : retry.maxAttempts === ordinary ? [] : [`retry ${retry.maxAttempts}`]),
  ];
}

/** How the items of a map stand, as words: "118 success, 2 failed". */
export function itemsText({ items }: DrawnState): string {
  const counts = TASK_STATUSES.flatMap((status) => (items?.[status] ? [`${items[status]} ${STATUS[status].label}`] : []));
  return counts.join(', ');
}
