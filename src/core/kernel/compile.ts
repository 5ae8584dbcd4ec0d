import { compileExpr, exprRefs, type Compiled } from '../graph/expr.ts';
import { rolesOf, type NodeRoles, type Upkeep } from './roles.ts';
import { inputExpr, taskExprs } from '../graph/task-exprs.ts';
import type { BranchTask, CaseData, Graph, GraphTask, Join } from '../graph/graph.ts';
import { compileKey, compileNeeds, type CompiledKey, type CompiledNeeds } from '../capacity/needs.ts';
import { DEFAULT_QUEUE } from '../define/needs-options.ts';
import { racesOf, type Races } from './races.ts';
import { verdictText } from './verdict.ts';

export type ReadMode = 'required' | 'optional' | 'settle';

/** `to` waits for `from`. One edge per pair: of several reads of the same task the strictest counts. */
export interface Edge {
  readonly from: number;
  readonly to: number;
  readonly read: ReadMode | null;
  /** Named in `after`, or a member of a branch. */
  readonly ordered: boolean;
  /** Takes part in the join: settled edges do so only where the join is written out. */
  readonly counts: boolean;
}

export interface GraphNode extends NodeRoles {
  readonly index: number;
  readonly id: string;
  readonly task: GraphTask;
  readonly join: Join;
  /** The decision that it was made under, and the verdict, as recorded, with which it runs. */
  readonly gate: { readonly when: number; readonly verdict: string } | null;
  readonly in: readonly Edge[];
  readonly out: readonly Edge[];
  /** Edges that take part in the join. */
  readonly n: number;
  readonly reads: number;
  /** A task with a row that the outcome of the run counts: neither a branch nor a handler. */
  readonly isCounted: boolean;
  /** Branches whose decision this node is, nodes made inside them or inside its bracket; of the guard, all others: looked at again when it ends. */
  readonly watchers: readonly number[];
  /** Its output is read by somebody, so a cache may want to keep it. */
  readonly isRead: boolean;
  readonly input: Compiled;
  readonly each: Compiled | null;
  readonly key: Compiled | null;
  /** A run that stands for the task, or for each item of the map. */
  readonly child: Child | null;
  /** Of a first: the values of its parts, by their names. */
  readonly parts: ReadonlyMap<string, Compiled> | null;
  /** Of a branch: the decision, and what is chosen by its verdict. */
  readonly cases: { readonly when: number; readonly byVerdict: ReadonlyMap<string, BranchCase> } | null;
  /** What a claim of its body takes beside a slot; null where that is nothing. */
  readonly needs: CompiledNeeds | null;
  readonly queue: string;
}

export interface Child {
  readonly workflow: string;
  /** Of a part of the workflow itself, its graph. */
  readonly graph: Graph | null;
  readonly kind: 'child' | 'detached' | 'item';
}

/** One case of a decision: its value, and the tasks that must end before it is decided, with how the value reads them. */
export interface BranchCase {
  readonly value: Compiled;
  readonly members: readonly { readonly node: number; readonly mode: ReadMode | 'order' }[];
}

/** A graph with its edges in both directions and its expressions as functions; made once per definition and process. */
export interface CompiledGraph {
  readonly graph: Graph;
  readonly nodes: readonly GraphNode[];
  readonly byId: ReadonlyMap<string, GraphNode>;
  readonly output: Compiled;
  readonly outputReads: readonly { readonly node: number; readonly mode: ReadMode }[];
  /** Nodes that are counted: all but branches and handlers. */
  readonly taskCount: number;
  readonly upkeep: Upkeep | null;
  /** The node that is asked before any other may start. */
  readonly guard: number | null;
  /** Null of a graph without a first. */
  readonly races: Races | null;
  /** Every node without upstreams and gate, in order; null where one of them asks for more than a free slot. */
  readonly plainRoots: readonly number[] | null;
  /** Whether a task of it has a cache. */
  readonly caches: boolean;
  /** Some of its tasks take more than a slot. */
  readonly hasNeeds: boolean;
  readonly hasMaps: boolean;
  /** The key that its runs hold from admission to end. */
  readonly gate: CompiledKey | null;
}

const STRICTNESS: Readonly<Record<ReadMode, number>> = { settle: 0, optional: 1, required: 2 };

/** Expects a graph that `graphProblems` finds nothing in. */
export function compileGraph(graph: Graph): CompiledGraph {
  const index = new Map(graph.tasks.map((task, i) => [task.id, i]));
  const at = (id: string): number => index.get(id) ?? -1;
  const upstreams = graph.tasks.map((task) => upstreamKinds(task, at));
  const edgesIn = upstreams.map((kinds, to) =>
    [...kinds].map(([from, { read, ordered }]): Edge => {
      return { from, to, read, ordered, counts: ordered || read !== 'settle' || graph.tasks[to]?.join !== undefined };
    }),
  );
  const edgesOut = graph.tasks.map((): Edge[] => []);
  for (const edge of edgesIn.flat()) edgesOut[edge.from]?.push(edge);
  const watchers = graph.tasks.map((): number[] => []);
  const guard = graph.tasks.findIndex((task) => task.kind === 'guard');
  graph.tasks.forEach((task, i) => {
    if (guard !== -1 && i !== guard) watchers[guard]?.push(i);
    if (task.if) watchers[at(task.if.when)]?.push(i);
    if (task.using !== undefined) watchers[at(task.using)]?.push(i);
    if (task.kind === 'branch') watchers[at(task.when)]?.push(i);
  });
  const outputReads = exprRefs(graph.output).map((ref) => ({ node: at(ref.id), mode: ref.mode }));
  const readByOutput = new Set(outputReads.map((read) => read.node));
  const roles = rolesOf(graph, at);
  const nodes = graph.tasks.map((task, i): GraphNode => {
    const edges = edgesIn[i] ?? [];
    const own = roles.of(i);
    return {
      ...own,
      isCounted: task.kind !== 'branch' && task.kind !== 'handler',
      index: i,
      id: task.id,
      task,
      join: task.join ?? 'all_success',
      gate: task.if ? { when: at(task.if.when), verdict: verdictText(task.if.is) } : null,
      in: edges,
      out: edgesOut[i] ?? [],
      n: edges.filter((edge) => edge.counts).length,
      reads: edges.filter((edge) => edge.read !== null).length,
      watchers: watchers[i] ?? [],
      isRead:
        readByOutput.has(i) ||
        own.compensation >= 0 ||
        (edgesOut[i] ?? []).some((edge) => edge.read !== null || graph.tasks[edge.to]?.kind === 'branch'),
      input: compileExpr(inputExpr(task)),
      each: task.kind === 'map' ? compileExpr(task.each) : null,
      key: task.kind === 'map' && task.key !== undefined ? compileExpr(task.key) : null,
      child: childOf(task),
      parts: task.kind === 'first' ? new Map(task.parts.map((part) => [part.name, compileExpr(part.value)])) : null,
      cases: task.kind === 'branch' ? compileCases(task, at) : null,
      needs: 'contract' in task ? compileNeeds(graph.workflow, task) : null,
      queue: ('contract' in task ? task.contract.queue : undefined) ?? DEFAULT_QUEUE,
    };
  });
  const roots = nodes.filter((node) => node.in.length === 0 && node.gate === null && node.bracket < 0 && node.isCounted);
  const eager = nodes.some((node) => node.join === 'always' && node.in.length > 0);
  // why: a run that waits as a whole is found by those who serve the queue of its roots
  const isOneQueue = new Set(roots.map((node) => node.queue)).size === 1;
  const isHeld = guard !== -1 || graph.concurrency !== undefined || graph.hooks?.onStart !== undefined;
  const plain = isOneQueue && !isHeld && !eager && roots.every((node) => isPlain(node.task) && node.needs === null);
  return {
    graph,
    nodes,
    byId: new Map(nodes.map((node) => [node.id, node])),
    output: compileExpr(graph.output),
    outputReads,
    taskCount: nodes.filter((node) => node.isCounted).length,
    upkeep: roles.upkeep,
    guard: guard === -1 ? null : guard,
    races: racesOf(nodes),
    plainRoots: plain ? roots.map((node) => node.index) : null,
    caches: graph.tasks.some((task) => 'contract' in task && task.contract.cache !== undefined),
    hasNeeds: nodes.some((node) => node.needs !== null),
    hasMaps: nodes.some((node) => node.task.kind === 'map'),
    gate: graph.concurrency === undefined ? null : compileKey(graph.concurrency, `workflow:${graph.workflow}`),
  };
}

function childOf(task: GraphTask): Child | null {
  if (task.kind !== 'child' && task.kind !== 'map') return null;
  if (task.kind === 'map' && task.graph !== undefined) return { workflow: task.graph.workflow, graph: task.graph, kind: 'item' };
  if (task.workflow === undefined) return null;
  return { workflow: task.workflow, graph: null, kind: task.detached === true ? 'detached' : 'child' };
}

const compileCases = (task: BranchTask, at: (id: string) => number) => ({
  when: at(task.when),
  byVerdict: new Map(task.cases.map((one) => [verdictText(one.is), compileCase(one, at)])),
});

function compileCase(branch: CaseData, at: (id: string) => number): BranchCase {
  const modes = new Map<string, ReadMode | 'order'>(branch.members.map((id) => [id, 'order']));
  for (const { id, mode } of exprRefs(branch.value)) {
    const before = modes.get(id);
    if (before === undefined || before === 'order' || STRICTNESS[mode] > STRICTNESS[before]) modes.set(id, mode);
  }
  return { value: compileExpr(branch.value), members: [...modes].map(([id, mode]) => ({ node: at(id), mode })) };
}

/** A root that any free slot may start: nothing to evaluate, to expand or to time while it is queued, no rank of its own. */
function isPlain(task: GraphTask): boolean {
  return (
    task.kind === 'task' &&
    !task.when &&
    (task.join === undefined || task.join === 'always' || task.join === 'all_success') &&
    task.contract.priority === undefined &&
    task.contract.cache === undefined &&
    task.contract.timeout.queueMs === undefined &&
    task.contract.timeout.totalMs === undefined
  );
}

interface UpstreamKind {
  read: ReadMode | null;
  ordered: boolean;
}

function upstreamKinds(task: GraphTask, at: (id: string) => number): Map<number, UpstreamKind> {
  const kinds = new Map<number, UpstreamKind>();
  const kindOf = (id: string): UpstreamKind => {
    const kind = kinds.get(at(id)) ?? { read: null, ordered: false };
    kinds.set(at(id), kind);
    return kind;
  };
  for (const id of task.after ?? []) kindOf(id).ordered = true;
  if (task.kind === 'branch') {
    for (const id of task.cases.flatMap(({ members }) => members)) kindOf(id).ordered = true;
    return kinds;
  }
  for (const { id, mode } of taskExprs(task).flatMap(({ reads }) => reads)) {
    const kind = kindOf(id);
    if (kind.read === null || STRICTNESS[mode] > STRICTNESS[kind.read]) kind.read = mode;
  }
  return kinds;
}
