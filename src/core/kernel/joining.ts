import { isEnded } from './changes.ts';
import type { CompiledGraph, Edge, GraphNode, ReadMode } from './compile.ts';
import type { FirstTask } from '../graph/graph.ts';
import { decideJoin, strongest, type JoinVerdict, type Never } from './joins.ts';
import type { EndedTask, RunState, UpstreamTally } from './run-state.ts';
import { chosenCase, verdictOf } from './verdict.ts';

/** What is to become of a pending node now; `wait`: nothing yet. */
export type Decision =
  | { readonly kind: 'wait' }
  | { readonly kind: 'start' }
  | { readonly kind: 'end'; readonly as: Never | 'success'; readonly unmet: boolean; readonly output?: string };

const WAIT: Decision = { kind: 'wait' };
const START: Decision = { kind: 'start' };
const end = (as: Never | 'success', unmet = false): Decision => ({ kind: 'end', as, unmet });

/** Takes an upstream's end into the tally of the node at the edge's other end. */
export function tally(graph: CompiledGraph, state: RunState, edge: Edge, upstream: EndedTask): void {
  const t = tallyOf(graph, state, edge.to);
  if (edge.read !== null) t.readsOpen--;
  const forced = forcedBy(edge, upstream);
  if (forced !== null) t.override = t.override === null ? forced : strongest(t.override, forced);
  if (!edge.counts) return;
  switch (countedAs(edge, upstream)) {
    case 'success':
      t.success++;
      break;
    case 'failed':
      t.failed++;
      break;
    case 'upstream_failed':
      t.upstreamFailed++;
      break;
    case 'skipped':
      t.skipped++;
      break;
    case 'cancelled':
      t.cancelled++;
      break;
  }
}

/** As what an upstream's end counts in the join: an allowed failure that is only waited for, and a skip that may be read, as success. */
function countedAs(edge: Edge, upstream: EndedTask): EndedTask['status'] {
  if (upstream.handled) return 'success';
  const isExcused = upstream.status === 'failed' && upstream.allowed && (edge.read === null || (edge.read === 'settle' && edge.ordered));
  return isExcused || (upstream.status === 'skipped' && edge.read === 'optional') ? 'success' : upstream.status;
}

/** Whether a failure of the upstream passes over this edge. */
export function carriesFailure(edge: Edge, upstream: EndedTask): boolean {
  if (forcedBy(edge, upstream) === 'upstream_failed') return true;
  const counted = edge.counts ? countedAs(edge, upstream) : 'success';
  return counted === 'failed' || counted === 'upstream_failed';
}

function forcedBy(edge: Edge, upstream: EndedTask): Never | null {
  if (edge.read === null || edge.read === 'settle') return null;
  const label = neverOf(upstream);
  return label === 'skipped' && edge.read === 'optional' ? null : label;
}

function neverOf(task: EndedTask): Never | null {
  switch (task.status) {
    case 'success':
      return null;
    case 'failed':
      return task.handled ? null : 'upstream_failed';
    case 'upstream_failed':
      return 'upstream_failed';
    case 'cancelled':
      return 'cancelled';
    case 'skipped':
      return 'skipped';
  }
}

function tallyOf(graph: CompiledGraph, state: RunState, node: number): UpstreamTally {
  let t = state.tallies[node];
  if (t === undefined) {
    t = { success: 0, failed: 0, upstreamFailed: 0, skipped: 0, cancelled: 0, readsOpen: graph.nodes[node]?.reads ?? 0, override: null };
    state.tallies[node] = t;
  }
  return t;
}

/** Semantics, section 4: the branch it was made in, then its join, then its reads. */
export function decideNode(graph: CompiledGraph, state: RunState, node: GraphNode): Decision {
  // A handler waits for no task: what starts it is its role.
  if (node.serves !== null) return WAIT;
  if (graph.guard !== null && graph.guard !== node.index) {
    const kept = guardedEnd(state, graph.guard);
    if (kept !== null) return kept;
  }
  if (node.cases !== null) return decideBranch(state, node);
  if (node.gate !== null) {
    const gate = state.tasks[node.gate.when];
    if (!isEnded(gate)) return WAIT;
    const label = neverOf(gate);
    if (label !== null) return end(label);
    if (verdictOf(state, node.gate.when) !== node.gate.verdict) return end('skipped', true);
  }
  if (node.bracket >= 0) {
    const setup = state.tasks[node.bracket];
    if (!isEnded(setup)) return WAIT;
    const label = neverOf(setup);
    if (label !== null) return end(label);
  }
  if (node.task.kind === 'first') return decideFirst(graph, state, node.task);
  if (node.in.length === 0) return START;
  const t = tallyOf(graph, state, node.index);
  return combine(decideJoin(node.join, { n: node.n, ...t }), t);
}

/** Nothing of a run with a guard starts before its yes; its no, or its failure, ends every other task whatever its join. */
function guardedEnd(state: RunState, guard: number): Decision | null {
  const task = state.tasks[guard];
  if (!isEnded(task)) return WAIT;
  const label = neverOf(task);
  return label === null ? null : end(label, label === 'skipped');
}

/** A failed required read wins at once; weaker labels wait for the reads that could still fail, so that order decides nothing. */
function combine(verdict: JoinVerdict, t: UpstreamTally): Decision {
  if (verdict === 'upstream_failed' || t.override === 'upstream_failed') return end('upstream_failed');
  if (verdict === 'wait' || t.readsOpen > 0) return WAIT;
  if (verdict === 'run') return t.override === null ? START : end(t.override);
  return end(t.override === null ? verdict : strongest(verdict, t.override));
}

/** The part that succeeded first; of several that did by the same event, after which this is asked, the one that is written first. */
function decideFirst(graph: CompiledGraph, state: RunState, first: FirstTask): Decision {
  let winner: { readonly name: string; readonly at: number } | null = null;
  let worst: Never = 'skipped';
  let open = false;
  for (const { name, value } of first.parts) {
    const part = state.tasks[graph.byId.get(value.$ref)?.index ?? -1];
    const label = isEnded(part) ? neverOf(part) : null;
    if (!isEnded(part)) open = true;
    else if (label !== null) worst = strongest(worst, label);
    else if (winner === null || part.finishedAt < winner.at) winner = { name, at: part.finishedAt };
  }
  if (winner !== null) return { kind: 'end', as: 'success', unmet: false, output: JSON.stringify({ winner: winner.name }) };
  return open ? WAIT : end(worst);
}

/** The chosen branch's tasks, all of them; no branch for this verdict: skipped. */
function decideBranch(state: RunState, node: GraphNode): Decision {
  const decided = state.tasks[node.cases?.when ?? -1];
  if (!isEnded(decided)) return WAIT;
  const label = neverOf(decided);
  if (label !== null) return end(label);
  const chosen = chosenCase(state, node);
  if (chosen === undefined) return end('skipped', true);
  let worst: Never | null = null;
  let open = false;
  for (const { node: index, mode } of chosen.members) {
    const member = state.tasks[index];
    if (!isEnded(member)) {
      open = true;
      continue;
    }
    const one = memberLabel(member, mode);
    if (one !== null) worst = worst === null ? one : strongest(worst, one);
  }
  if (worst === 'upstream_failed') return end(worst);
  if (open) return WAIT;
  return end(worst ?? 'success');
}

/** What a member's end means for its branch: by how the value reads it; one that is not read only has to be over without harm. */
export function memberLabel(member: EndedTask, mode: ReadMode | 'order'): Never | null {
  if (mode === 'settle') return null;
  if (mode === 'order' && member.allowed) return null;
  const label = neverOf(member);
  return label === 'skipped' && mode !== 'required' ? null : label;
}
