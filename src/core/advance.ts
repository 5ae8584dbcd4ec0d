import { childEnded, letGo, startChild } from './children.ts';
import { isEnded, isUnderway, mapChange, move, noChanges, putTask, setTask, taskAt, type Changes, type TaskChange } from './changes.ts';
import { concludeRun } from './cleanup.ts';
import type { CompiledGraph, GraphNode } from './compile.ts';
import { cancelCatcher, end } from './ending.ts';
import { afterFailure, afterLoss } from './failure.ts';
import { hookStart } from './hooks.ts';
import { decideNode, tally } from './joining.ts';
import { closeMap, expandMap, startItems, takeItems } from './maps.ts';
import { judged } from './judging.ts';
import { enforcePolicy } from './policy.ts';
import { isUntouched } from './moving.ts';
import { replay } from './replay.ts';
import { endedItem, isRefusal, planReset, REDRIVE_ALL, type ResetRequest } from './reset.ts';
import { NumberMap } from './number-map.ts';
import { applyReset } from './resetting.ts';
import {
  emptyRunState,
  type Lease,
  type MapState,
  type QueuedTask,
  type RunFacts,
  type RunningTask,
  type RunState,
  type TaskFacts,
  type TaskState,
} from './run-state.ts';
import { endByLimit, enqueue } from './queueing.ts';
import { isRunOver } from './states.ts';
import { timeoutFrom } from './gates.ts';
import { restarted, suspended, totalEndOf } from './suspending.ts';
import { afterDue, afterWake, beginWait } from './waiting.ts';
import { supersedeLosers } from './superseding.ts';
import { cancelOpen, discard, failRun, isCleaningUp } from './stopping.ts';
import { endDecision } from './switching.ts';
import {
  bareFacts,
  endTask,
  expiryOf,
  freshTask,
  isAdmitted,
  type KernelSettings,
  type Outcome,
  type RunEvent,
  type Turn,
} from './turn.ts';

/** Accepts a run: its roots are decided at once unless it starts later. */
export function openRun(
  graph: CompiledGraph,
  facts: RunFacts,
  now: number,
  settings: KernelSettings,
): { state: RunState; changes: Changes } {
  const state = emptyRunState(graph, facts);
  const changes = noChanges();
  if (state.status !== 'scheduled') {
    const turn = newTurn(graph, state, changes, now, settings);
    admitted(turn);
    decideRoots(turn);
    followUp(turn);
  }
  return { state, changes };
}

/** A run that takes over what these tasks of another one gave; their maps come with their items. */
export function openFork(
  graph: CompiledGraph,
  facts: RunFacts,
  taken: { readonly donor: RunState; readonly nodes: readonly number[] },
  now: number,
  settings: KernelSettings,
): { state: RunState; changes: Changes } {
  const state = emptyRunState(graph, facts);
  const changes = noChanges();
  const turn = newTurn(graph, state, changes, now, settings);
  for (const index of taken.nodes) takeOver(turn, taken.donor, index);
  replay(graph, state);
  admitted(turn);
  // The losers of what was won then are not begun anew.
  for (const node of graph.nodes) supersedeLosers(turn, node);
  for (const node of graph.nodes) decide(turn, node);
  followUp(turn);
  return { state, changes };
}

function takeOver({ graph, state, changes, now }: Turn, donor: RunState, index: number): void {
  const node = graph.nodes[index];
  const task = donor.tasks[index];
  if (node === undefined || task?.status !== 'success') return;
  const map = donor.maps.get(index);
  if (map !== undefined) state.maps.set(index, { ...map, open: new NumberMap(), again: [], results: map.results?.slice() ?? null });
  const ending = { status: task.status, output: task.output, partial: task.partial } as const;
  putTask(state, changes, { ...endTask({ ...freshTask(state, node, now), edited: task.edited }, ending, now), cached: true });
}

/**
 * Decides what the events come to, in their order: outcome, retry, joins to a fixed point, outcome of the run (semantics, section 3).
 * Changes `state` in place; on an exception, or when the changes were not committed, the state is void.
 */
export function advance(
  graph: CompiledGraph,
  state: RunState,
  events: readonly RunEvent[],
  now: number,
  settings: KernelSettings,
): Changes {
  const changes = noChanges();
  const turn = newTurn(graph, state, changes, now, settings);
  events.forEach((event, i) => {
    if (!apply(turn, event)) changes.refused.push(i);
    else followUp(turn);
  });
  return changes;
}

/**
 * What follows when a run goes on under another graph (moving.ts): `state` is of that graph, and every join in it is decided anew. A run that
 * nobody has claimed yet stays so where its roots need nothing but a free slot.
 */
export function advanceMoved(graph: CompiledGraph, state: RunState, now: number, settings: KernelSettings): Changes {
  const changes = noChanges();
  const turn = newTurn(graph, state, changes, now, settings);
  const waits = isUntouched(state) && (graph.plainRoots !== null || !isAdmitted(state));
  replay(graph, state);
  if (waits) return changes;
  for (const node of graph.nodes) decide(turn, node);
  followUp(turn);
  return changes;
}

/** More events, in changes that are not committed yet; true where all were taken. */
export function advanceMore(
  graph: CompiledGraph,
  state: RunState,
  changes: Changes,
  events: readonly RunEvent[],
  now: number,
  settings: KernelSettings,
): boolean {
  const turn = newTurn(graph, state, changes, now, settings);
  let taken = 0;
  for (const event of events) {
    if (!apply(turn, event)) continue;
    taken++;
    followUp(turn);
  }
  return taken === events.length;
}

/** Starts more items of a map, in changes that are not committed yet. */
export function takeMore(
  graph: CompiledGraph,
  state: RunState,
  changes: Changes,
  what: { readonly node: number; readonly count: number; readonly now: number; readonly settings: KernelSettings },
): void {
  if (what.count > 0) takeItems(newTurn(graph, state, changes, what.now, what.settings), what.node, what.count);
}

/** A queued task taken by a worker: a start begins an attempt, a return or an evaluation does not. */
export function claimTask(task: QueuedTask, lease: Lease, now: number): RunningTask {
  const begins = task.phase === 'body' && task.next === 'start' ? 1 : 0;
  // Field by field: a rest pattern builds its object property by property, which costs three times the memory.
  return {
    node: task.node,
    item: task.item,
    generation: task.generation,
    attempt: task.attempt + begins,
    begun: task.begun + begins,
    losses: task.losses,
    crashes: task.crashes,
    handBacks: task.handBacks,
    draws: task.draws,
    ranMs: begins === 1 ? 0 : task.ranMs,
    rank: task.rank,
    firstQueuedAt: task.firstQueuedAt,
    effect: task.effect,
    edited: task.edited,
    status: 'running',
    phase: task.phase,
    lease,
    startedAt: now,
    ...(task.next === 'resume' ? { resumed: true } : {}),
  };
}

/** Claims a task in the commit that queues it (semantics, section 8: local continuation). */
export function claimInPlace(state: RunState, change: TaskChange, lease: Lease, now: number): RunningTask {
  if (change.to.status !== 'queued') throw new RangeError(`a ${change.to.status} task cannot be claimed`);
  const running = claimTask(change.to, lease, now);
  change.to = running;
  setTask(state, running);
  return running;
}

const newTurn = (graph: CompiledGraph, state: RunState, changes: Changes, now: number, settings: KernelSettings): Turn => ({
  graph,
  state,
  changes,
  now,
  settings,
  ended: [],
  hasFailed: false,
});

/** Where a guard is to be asked, it says when the run begins. */
function admitted(turn: Turn): void {
  if (turn.graph.guard === null) hookStart(turn);
}

function decideRoots(turn: Turn): void {
  for (const node of turn.graph.nodes) if (node.in.length === 0 || node.join === 'always') decide(turn, node);
}

function apply(turn: Turn, event: RunEvent): boolean {
  const { state } = turn;
  if (turn.changes.end !== null) return false;
  if (event.type === 'reset') return reset(turn, event.request);
  if (event.type === 'discard') return discard(turn, event.node, event.item);
  if (event.type === 'recall') return recalled(turn);
  if (event.type === 'reopened') return reopen(turn, event);
  if (event.type === 'tell') return isRunOver[state.status] && (turn.changes.kin = 'told') === 'told';
  if (isRunOver[state.status]) return false;
  switch (event.type) {
    case 'ended':
      return applyEnd(turn, event.node, event.item, event.token, event.outcome);
    case 'due':
      return applyDue(turn, event.node, event.item);
    case 'wake':
      return applyWake(turn, event);
    case 'take':
      return turn.graph.nodes[event.node]?.child != null || takeItems(turn, event.node, event.count);
    case 'child':
    case 'accepted':
    case 'refused': {
      const next = childEnded(turn, event);
      if (next !== null) settle(turn, next);
      return next !== null;
    }
    case 'cached':
      return applyCached(turn, event.node, event.item, event.output);
    case 'limit': {
      const ended = endByLimit(turn, event);
      if (ended !== null) end(turn, ended);
      return ended !== null;
    }
    case 'admit':
      if (state.status !== 'scheduled') return false;
      move(turn, turn.graph.gate === null ? 'running' : 'queued');
      if (turn.graph.gate === null) admitted(turn);
      for (const node of turn.graph.nodes) decide(turn, node);
      return true;
    case 'granted':
      if (state.status !== 'queued') return false;
      move(turn, 'running');
      state.deadlineAt = timeoutFrom(turn.graph, turn.now);
      admitted(turn);
      for (const node of turn.graph.nodes) decide(turn, node);
      return true;
    case 'displaced':
      if (isCleaningUp(state)) return false;
      state.cause ??= { status: event.status, reason: 'key_limit' };
      turn.changes.flow = true;
      cancelOpen(turn, 'key_limit');
      return true;
    case 'pause':
      if (state.status !== 'running' && state.status !== 'scheduled' && state.status !== 'queued') return false;
      state.resumeTo = state.status;
      move(turn, 'paused');
      return true;
    case 'resume':
      if (state.status !== 'paused') return false;
      move(turn, state.resumeTo ?? 'running');
      state.resumeTo = null;
      startHeld(turn);
      return true;
    case 'skip':
      return skip(turn, event.node, event.item);
    case 'cancel':
      if (isCleaningUp(state)) return false;
      state.cancelAsked = event.reason;
      turn.changes.flow = true;
      cancelOpen(turn, event.reason);
      return true;
    case 'fail':
      return failRun(turn, event.reason);
    case 'run_due':
      return runDue(turn);
  }
}

/** Its own retry, or its deadline: whichever was first. */
function runDue(turn: Turn): boolean {
  const { state, now } = turn;
  const { retryAt } = state.flow;
  if (state.status === 'scheduled' || isCleaningUp(state)) return false;
  if (state.deadlineAt !== null && state.deadlineAt <= now && (retryAt === null || state.deadlineAt < retryAt))
    return failRun(turn, 'deadline');
  return retryAt !== null && retryAt <= now && retryRun(turn);
}

/** The run is redriven as a whole; where nothing can be redriven any more, it ends. */
function retryRun(turn: Turn): boolean {
  const { state } = turn;
  const retries = state.flow.retries + 1;
  const isReset = reset(turn, REDRIVE_ALL);
  state.flow = { ...state.flow, retries: isReset ? retries : (turn.graph.upkeep?.retry?.maxAttempts ?? 0), retryAt: null };
  turn.changes.flow = true;
  return true;
}

/** A person's redrive, rerun or mark: what it resets is pending again, and is decided again. */
function reset(turn: Turn, request: ResetRequest): boolean {
  const { graph, state } = turn;
  const plan = planReset(graph, state, request);
  if (isRefusal(plan)) return false;
  applyReset(turn, request, plan);
  for (const node of graph.nodes) decide(turn, node);
  for (const map of state.maps.values()) {
    const ended = closeMap(turn, map);
    if (ended !== null) end(turn, ended);
  }
  return true;
}

/** The child in this place was redriven: the place waits for it again, and what depends on it is reset as by a redrive of it. */
function reopen(turn: Turn, event: Extract<RunEvent, { type: 'reopened' }>): boolean {
  const { generation, node: nodeIndex, item } = event;
  const map = turn.state.maps.get(nodeIndex);
  const task = taskAt(turn.state, nodeIndex, item) ?? (map === undefined || item >= map.next ? undefined : endedItem(map, item));
  // why: what has gone on without this child, and what a person decided, stays
  if (!isEnded(task) || task.generation !== generation || task.reason === 'manual') return false;
  const targets = [{ node: nodeIndex, item, waits: true }] as const;
  return reset(turn, { kind: 'redrive', targets, keep: [], acceptUnknown: true, sameKey: false });
}

/** An operator's skip: only of what is not running. */
function skip(turn: Turn, nodeIndex: number, item: number): boolean {
  const node = turn.graph.nodes[nodeIndex];
  if (node === undefined || node.cases !== null || nodeIndex === turn.graph.guard) return false;
  const map = turn.state.maps.get(nodeIndex);
  const task = taskAt(turn.state, nodeIndex, item);
  if (item >= 0 && task === undefined) return false;
  // A handler is there from the moment its role starts it.
  if (node.serves !== null && !isUnderway(task)) return false;
  if (task?.status === 'running' || isEnded(task)) return false;
  if (task?.status === 'pending' && map !== undefined) takeOut(turn, map, item);
  if (task?.status === 'waiting') letGo(turn, task);
  end(turn, endTask(task ?? freshTask(turn.state, node, turn.now), { status: 'skipped', reason: 'manual' }, turn.now));
  cancelCatcher(turn, node, 'superseded');
  // Of a run that nobody has claimed the roots are not decided yet.
  decideRoots(turn);
  return true;
}

function takeOut(turn: Turn, map: MapState, item: number): void {
  const at = map.again.indexOf(item);
  if (at === -1) return;
  map.again.splice(at, 1);
  mapChange(turn.changes, map.node).again--;
}

function applyEnd(turn: Turn, nodeIndex: number, item: number, token: number, outcome: Outcome): boolean {
  const task = taskAt(turn.state, nodeIndex, item);
  const node = turn.graph.nodes[nodeIndex];
  if (node === undefined || task?.status !== 'running' || task.lease?.token !== token) return false;
  // One claim may evaluate and then run the body: a report about the one is no report about the other.
  if (outcome.kind === (task.phase === 'evaluate' ? 'ok' : 'verdict')) return false;
  switch (outcome.kind) {
    case 'ok':
      end(turn, endTask(task, { status: 'success', output: outcome.output }, turn.now));
      return true;
    case 'verdict':
      applyVerdict(turn, node, task, outcome);
      return true;
    case 'waits':
      settle(turn, suspended(turn, node, task, outcome.waits));
      return true;
    case 'restart':
      settle(turn, restarted(turn, node, task, outcome.input));
      return true;
    case 'lost':
    case 'released':
      settle(turn, afterLoss(turn, node, task, outcome));
      return true;
    case 'error':
    case 'timeout':
    case 'refused':
      settle(turn, afterFailure(turn, node, task, outcome));
      return true;
  }
}

function applyVerdict(turn: Turn, node: GraphNode, task: RunningTask, outcome: Extract<Outcome, { kind: 'verdict' }>): void {
  const { verdict } = outcome;
  if (!('contract' in node.task) && node.child === null) {
    end(turn, endDecision(turn, node, task, verdict));
    return;
  }
  if (verdict !== true) {
    end(turn, endTask(task, { status: 'skipped', reason: 'condition' }, turn.now));
    return;
  }
  if (node.task.kind === 'map' && task.item < 0) {
    expand(turn, node, task);
    return;
  }
  if (node.child !== null) {
    startChild(turn, node, task, outcome.input === undefined ? {} : { input: outcome.input });
    return;
  }
  if (node.needs !== null) {
    settle(turn, enqueue(turn, node, bareFacts(task)));
    return;
  }
  // The body starts in the claim that evaluated: it needs nothing that the claim does not hold already.
  putTask(turn.state, turn.changes, {
    ...task,
    phase: 'body',
    attempt: task.attempt + 1,
    begun: task.begun + 1,
    // Workers that died over the predicate say nothing of the body.
    crashes: 0,
    ranMs: 0,
    startedAt: turn.now,
  });
}

/** Before a body has begun, or in the commit in which it would have. */
function applyCached(turn: Turn, nodeIndex: number, item: number, output: string | null): boolean {
  const task = taskAt(turn.state, nodeIndex, item);
  if (task === undefined || !('phase' in task) || task.phase !== 'body') return false;
  const uncounted = task.status === 'running' ? { attempt: task.attempt - 1, begun: task.begun - 1, startedAt: null } : {};
  end(turn, { ...endTask({ ...task, ...uncounted }, { status: 'success', output }, turn.now), cached: true });
  return true;
}

function applyDue(turn: Turn, nodeIndex: number, item: number): boolean {
  const task = taskAt(turn.state, nodeIndex, item);
  const node = turn.graph.nodes[nodeIndex];
  if (task === undefined || node === undefined) return false;
  if (task.status === 'queued') return applyExpiry(turn, node, task);
  if (task.status === 'waiting') {
    const next = afterDue(turn, node, task);
    if (next !== null) settle(turn, next);
    return next !== null;
  }
  if (task.status !== 'retrying' || task.dueAt === null || task.dueAt > turn.now) return false;
  const { status: _, dueAt: __, reason: ___, error: ____, ...facts } = task;
  putTask(turn.state, turn.changes, {
    ...facts,
    status: 'queued',
    phase: 'body',
    next: 'start',
    expiresAt: totalEndOf(node, task.firstQueuedAt),
  });
  return true;
}

function applyWake(turn: Turn, event: Extract<RunEvent, { type: 'wake' }>): boolean {
  const task = taskAt(turn.state, event.node, event.item);
  const node = turn.graph.nodes[event.node];
  if (node === undefined || task?.status !== 'waiting') return false;
  const next = afterWake(turn, node, task, event);
  if (next !== null) settle(turn, next);
  return next !== null;
}

function applyExpiry(turn: Turn, node: GraphNode, task: QueuedTask): boolean {
  if (task.expiresAt === null || task.expiresAt > turn.now) return false;
  const total = totalEndOf(node, task.firstQueuedAt);
  const reason = total !== null && total <= turn.now ? 'total_timeout' : 'queue_timeout';
  end(turn, endTask(task, { status: 'failed', reason, ...judged(turn, node, task.item) }, turn.now));
  return true;
}

/** Writes a task's next state, and follows it up where that is its end. Null: it is written already. */
function settle(turn: Turn, to: TaskState | null): void {
  if (to === null) return;
  if (isEnded(to)) end(turn, to);
  else putTask(turn.state, turn.changes, to);
}

/** Child runs that were held back while the run was paused. */
function startHeld(turn: Turn): void {
  for (const node of turn.graph.nodes) {
    const task = turn.state.tasks[node.index];
    if (node.child !== null && task?.status === 'queued' && task.phase === 'body') startChild(turn, node, task);
  }
}

/** The parent waits for this run no more. */
function recalled(turn: Turn): boolean {
  const { state, changes } = turn;
  changes.kin = 'recalled';
  if (state.parent !== null) state.parent = { ...state.parent, recalled: true };
  if (state.cause !== null || state.cancelAsked !== null || isRunOver[state.status] || isCleaningUp(state)) return true;
  state.cancelAsked = 'parent';
  changes.flow = true;
  cancelOpen(turn, 'parent');
  return true;
}

function expand(turn: Turn, node: GraphNode, facts: TaskFacts): void {
  const ended = expandMap(turn, node, facts);
  if (ended !== null) end(turn, ended);
}

/** Joins to a fixed point, the failure policy, then the outcome of the run. */
function followUp(turn: Turn): void {
  joinUp(turn);
  if (turn.graph.upkeep !== null) {
    enforcePolicy(turn);
    joinUp(turn);
  }
  concludeRun(turn);
}

function joinUp(turn: Turn): void {
  const { graph, state } = turn;
  if (state.maps.size > 0) for (const map of state.maps.values()) startItems(turn, map);
  for (let task = turn.ended.pop(); task !== undefined; task = turn.ended.pop()) {
    const node = graph.nodes[task.node];
    if (node === undefined) continue;
    for (const edge of node.out) {
      tally(graph, state, edge, task);
      decideAt(turn, edge.to);
    }
    for (const watcher of node.watchers) decideAt(turn, watcher);
  }
}

function decideAt(turn: Turn, index: number): void {
  const node = turn.graph.nodes[index];
  if (node !== undefined) decide(turn, node);
}

function decide(turn: Turn, node: GraphNode): void {
  if (isUnderway(turn.state.tasks[node.index])) return;
  const decision = decideNode(turn.graph, turn.state, node);
  if (decision.kind === 'start' && isAdmitted(turn.state)) start(turn, node);
  if (decision.kind === 'end') {
    end(
      turn,
      endTask(
        freshTask(turn.state, node, turn.now),
        { status: decision.as, output: decision.output ?? null, ...(decision.unmet ? { reason: 'condition' as const } : {}) },
        turn.now,
      ),
    );
    supersedeLosers(turn, node);
  }
}

function start(turn: Turn, node: GraphNode): void {
  const facts = freshTask(turn.state, node, turn.now);
  const evaluates = node.child === null ? !('contract' in node.task) || ('when' in node.task && node.task.when === true) : asksFirst(node);
  if (node.task.kind === 'map' && !evaluates) {
    expand(turn, node, facts);
    return;
  }
  const before = turn.state.tasks[node.index];
  const goesOn = before?.status === 'pending' && before.goesOn === true;
  if (node.child !== null && (goesOn || !evaluates) && turn.state.status !== 'paused') {
    startChild(turn, node, facts, { goesOn });
    return;
  }
  if (node.needs !== null && !evaluates) {
    settle(turn, enqueue(turn, node, facts));
    return;
  }
  const wait = beginWait(turn, node, facts);
  if (wait !== null) {
    settle(turn, wait);
    return;
  }
  putTask(turn.state, turn.changes, {
    ...facts,
    status: 'queued',
    phase: evaluates ? 'evaluate' : 'body',
    next: 'start',
    expiresAt: expiryOf(node, turn.now),
  });
}

/** Before a child starts, a worker that has the code asks its predicate and checks its input. */
const asksFirst = ({ task }: GraphNode): boolean =>
  'when' in task && (task.when === true || (task.kind === 'child' && task.checked === true));
