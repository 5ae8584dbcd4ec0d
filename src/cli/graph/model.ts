/** What is drawn of a workflow's graph: nodes with their facts, edges with what they mean, and, of a run, how each task stands. */
import { spanText } from '../../core/why/words.ts';
import { clipMiddle, safe } from '../text.ts';
import { compileGraph, type CompiledGraph, type Edge, type GraphNode, type ReadMode } from '../../core/kernel/compile.ts';
import { DEFAULTS } from '../../core/define/contract.ts';
import type {
  ApproveTask,
  BodyTask,
  CaseKey,
  ChildTask,
  ContractData,
  Graph,
  GraphTask,
  MapTask,
  WaitTask,
} from '../../core/graph/graph.ts';
import { TASK_STATUSES, type TaskStatus } from '../../core/kernel/states.ts';
import { caseKeys } from '../../core/kernel/verdict.ts';
import { STATUS } from '../status.ts';

/** `branch` leads from a decision to what it decides about; its label is the verdict. The guard of a run is drawn as a decision about its roots. */
export type EdgeKind = 'data' | 'optional' | 'settled' | 'order' | 'branch';

export interface DrawnEdge {
  /** Indices into `nodes`. */
  readonly from: number;
  readonly to: number;
  readonly kind: EdgeKind;
  /** Names of cases are the author's: each drawing makes them fit and harmless. */
  readonly label: string;
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
function edgesInto(node: GraphNode, { nodes, guard }: CompiledGraph): DrawnEdge[] {
  const made = new Map<number, DrawnEdge>();
  const put = (from: number, kind: EdgeKind, label: DrawnEdge['label'] = ''): void =>
    void made.set(from, { from, to: node.index, kind, label });
  for (const edge of node.in) put(edge.from, kindOf(edge, node));
  // A handler hangs on what it serves, and nothing hangs on it.
  if (node.serves) put(node.serves.of, 'order');
  const { task } = node;
  if (node.gate && task.if && !isGatedAbove(node, nodes)) put(node.gate.when, 'branch', labelOf(task.if.is));
  if (guard !== null && guard !== node.index && node.in.length === 0 && node.gate === null && node.cases === null)
    put(guard, 'branch', labelOf(true));
  if (node.cases !== null) {
    const decision = nodes[node.cases.when];
    const taken = new Set(decision?.watchers.map((each) => nodes[each]?.task.if?.is));
    const empty = decision === undefined ? [] : (caseKeys(decision.task) ?? []).filter((is) => !taken.has(is));
    if (decision && empty.length > 0) put(decision.index, 'branch', clipMiddle(empty.map(labelOf).join(', '), 2 * LABEL, '..'));
  }
  return [...made.values()];
}

const LABEL = 16;

/** The name of a case is of its author: it is made harmless here, for every drawing. */
const labelOf = (is: CaseKey): string => (typeof is === 'string' ? clipMiddle(safe(is), LABEL, '..') : is ? 'yes' : 'no');

function kindOf(edge: Edge, node: GraphNode): EdgeKind {
  if (edge.read !== null) return KIND_OF[edge.read];
  const modes = [...(node.cases?.byVerdict.values() ?? [])].flatMap(({ members }) =>
    members.filter((member) => member.node === edge.from).map((member) => member.mode),
  );
  const mode = (['required', 'optional', 'settle'] as const).find((each) => modes.includes(each));
  return mode ? KIND_OF[mode] : 'order';
}

/** Something before it on the same side of the same decision already hangs on it: an edge to each task of a branch hides the branch. */
function isGatedAbove(node: GraphNode, nodes: readonly GraphNode[]): boolean {
  return node.in.some(({ from }) => nodes[from]?.gate?.when === node.gate?.when && nodes[from]?.gate?.verdict === node.gate?.verdict);
}

function factsOf(task: GraphTask): string[] {
  const join = task.join === undefined ? [] : [`join ${task.join}`];
  // Said already where they have the ids that a builder gives them.
  if (task.kind === 'when' || task.kind === 'guard') return [...(task.id === task.kind ? [] : [task.kind]), ...join];
  if (task.kind === 'switch')
    return [...(task.id === 'switch' ? [] : ['switch']), ...(task.default === 'skip' ? ['may choose none'] : []), ...join];
  if (task.kind === 'first') return task.id === 'first' ? [] : ['first'];
  if (task.kind === 'branch') return [...(task.id === `${task.when}.result` ? [] : [`result of ${task.when}`]), ...join];
  if (task.kind === 'handler')
    return [
      `${task.role} of ${task.of}`,
      ...(task.task === undefined ? [] : [`task ${task.task}`]),
      ...(task.failRun ? ['fails the run'] : []),
      ...contractFacts(task.contract),
    ];
  if (task.kind === 'sleep') return [task.ms === undefined ? 'sleeps until a time' : `sleeps ${spanText(task.ms)}`, ...join];
  if (task.kind === 'wait' || task.kind === 'approve') return [...waitFacts(task), ...join];
  return [
    ...(task.kind === 'map' ? mapFacts(task) : []),
    ...runFacts(task),
    ...('task' in task && task.task !== undefined && task.task !== task.id ? [`task ${task.task}`] : []),
    ...(task.when ? ['conditional'] : []),
    ...join,
    ...(task.allowFailure ? ['may fail'] : []),
    ...(task.using === undefined ? [] : [`inside ${task.using}`]),
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

function waitFacts(task: WaitTask | ApproveTask): string[] {
  const isSkipped = task.onTimeout === 'skip';
  return [
    task.kind === 'wait' ? `waits for ${task.signal}` : `asks ${task.who.join(', ')}`,
    ...(task.timeoutMs === undefined ? [] : [`${isSkipped ? 'skipped' : 'fails'} after ${spanText(task.timeoutMs)}`]),
    ...(task.allowFailure ? ['may fail'] : []),
  ];
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
