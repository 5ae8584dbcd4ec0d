/** One event each: what it comes to, before what follows from it is decided. */
import { noteCalled } from './calling.ts';
import { childEnded, startChild } from './children.ts';
import { isEnded, isUnderway, mapChange, move, putTask, taskAt } from './changes.ts';
import type { GraphNode } from './compile.ts';
import { cancelCatcher, end } from './ending.ts';
import { afterFailure, afterLoss } from './failure.ts';
import { beginAnew, forgetPlace, goOn, hold, startHeld } from './going-on.ts';
import { letGoOf } from './letting-go.ts';
import { closeMap, takeItems } from './maps.ts';
import { judged } from './judging.ts';
import { reopenCleanup } from './compensating.ts';
import { endedItem, isRefusal, planReset, REDRIVE_ALL, type ResetRequest } from './reset.ts';
import { applyReset } from './resetting.ts';
import { type MapState, type QueuedTask, type RunningTask } from './run-state.ts';
import { endByLimit, enqueue } from './queueing.ts';
import { isRunOver } from './states.ts';
import { enterGate, timeoutFrom } from './gates.ts';
import { restarted, suspended, totalEndOf } from './suspending.ts';
import { afterDue, afterWake } from './waiting.ts';
import { cancelOpen, discard, failRun, isCleaningUp } from './stopping.ts';
import { endDecision } from './switching.ts';
import { bareFacts, endTask, freshTask, isAdmitted, type Outcome, type RunEvent, type Turn } from './turn.ts';
import { admitted, decideRoots, decide, settle, expand } from './deciding.ts';

export function apply(turn: Turn, event: RunEvent): boolean {
  const { state } = turn;
  if (turn.changes.end !== null) return false;
  if (event.type === 'reset') return reset(turn, event.request);
  if (event.type === 'discard') return discard(turn, event.node, event.item);
  if (event.type === 'recall') return recalled(turn);
  if (event.type === 'reopened') return reopen(turn, event);
  if (event.type === 'undo') return undoForParent(turn);
  if (event.type === 'undone_again') return undoneAgain(turn);
  if (event.type === 'goOn') return goOn(turn, event.generation, () => reset(turn, REDRIVE_ALL));
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
      // A run that compensates hears of its children again: of those that it let go of, and of those that undo what they did.
      if (next === null && !(event.type === 'child' && state.flow.compensated)) return false;
      if (event.type === 'child' && event.end.undoable) noteCalled(turn, ++state.completions);
      // Where a call of a group has ended, and others of it are open, the task stays as it is.
      if (next !== null && next !== taskAt(state, event.node, event.item)) settle(turn, next);
      return true;
    }
    case 'kin':
      turn.kin = event.kin;
      return true;
    case 'anew':
      return applyAnew(turn, event);
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
      // Of a run that moved here since it was accepted: its version then may have had no key, or another.
      else turn.changes.gate = enterGate(turn.graph, state);
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
  const retries = state.flow.again ? 0 : state.flow.retries + 1;
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
  turn.freed = true;
  if (state.flow.unstarted && isAdmitted(state)) admitted(turn);
  for (const node of graph.nodes) decide(turn, node);
  for (const map of state.maps.values()) {
    const ended = closeMap(turn, map);
    if (ended !== null) end(turn, ended);
  }
  return true;
}

/** The child in this place was redriven: the place waits for it again, and what depends on it is reset as by a redrive of it. */
function reopen(turn: Turn, event: Extract<RunEvent, { type: 'reopened' }>): boolean {
  const { generation, node: nodeIndex, item, name } = event;
  // why: a body that has ended cannot wait again for one of its calls; it is a dead letter of its own, and redriven by itself
  if (name !== null) return false;
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
  if (task?.status === 'waiting') letGoOf(turn, task);
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
      end(turn, endTask(task, { status: 'success', output: outcome.output, partial: outcome.partial === true }, turn.now));
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
    if (turn.state.status === 'paused') hold(turn, node, task, outcome.input === undefined ? {} : { given: outcome.input });
    else startChild(turn, node, task, outcome.input === undefined ? {} : { input: outcome.input });
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

function applyAnew(turn: Turn, { node: nodeIndex, item, generation }: Extract<RunEvent, { type: 'anew' }>): boolean {
  const task = taskAt(turn.state, nodeIndex, item);
  const node = turn.graph.nodes[nodeIndex];
  if (node === undefined || task?.status !== 'waiting' || task.generation !== generation) return false;
  beginAnew(turn, node, task);
  return true;
}

/** The parent waits for this run no more. */
function recalled(turn: Turn): boolean {
  const { state, changes } = turn;
  changes.kin = 'recalled';
  if (state.parent !== null) state.parent = { ...state.parent, recalled: true };
  forgetPlace(turn);
  cancelWithParent(turn);
  return true;
}

function cancelWithParent(turn: Turn): void {
  const { state, changes } = turn;
  if (state.cause !== null || state.cancelAsked !== null || isRunOver[state.status] || isCleaningUp(state)) return;
  state.cancelAsked = 'parent';
  changes.flow = true;
  cancelOpen(turn, 'parent');
}

/** The parent compensates: what this run did is undone; of one that is open or was undone before, only its end is awaited. */
function undoForParent(turn: Turn): boolean {
  const { state, changes } = turn;
  const isOver = isRunOver[state.status];
  const isDue = (state.status === 'success' || state.status === 'partial') && !state.flow.compensated;
  if (state.parent !== null) state.parent = { ...state.parent, recalled: false, completion: null };
  changes.kin = isOver && !isDue ? 'told' : 'undo';
  if (isDue) reopenCleanup(turn);
  else if (!isOver) cancelWithParent(turn);
  return true;
}

/** What came of the compensation is decided anew: one in a child was redriven. */
function undoneAgain(turn: Turn): boolean {
  const { state, changes } = turn;
  if (!state.flow.compensated) return false;
  if (isRunOver[state.status]) {
    reopenCleanup(turn);
    changes.kin = 'undone_again';
  }
  return true;
}
