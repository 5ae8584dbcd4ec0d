import { hasSucceeded, isEnded, isUnderway, move, putTask } from './changes.ts';
import type { GraphNode } from './compile.ts';
import { compensates, isIncomplete } from './compensating.ts';
import { LAST_INSTANT } from '../duration-text.ts';
import { startHandler } from './ending.ts';
import { hookEnd } from './hooks.ts';
import { isPawlError } from '../errors.ts';
import { recordAttempt } from './failure.ts';
import { asksForKey } from './gates.ts';
import { letGoOf } from './letting-go.ts';
import { decideOutcome } from './outcome.ts';
import { isRefusal, planReset, REDRIVE_ALL } from './reset.ts';
import { backoffMs } from './retry.ts';
import type { Upkeep } from './roles.ts';
import type { TaskState } from './run-state.ts';
import { isRunOver, type Reason } from './states.ts';
import { endTask, freshTask, isAdmitted, type Turn } from './turn.ts';
import { runOutput } from './values.ts';

/** What comes after the last task: teardowns, the run's own retry, compensations; then the end of the run. */
export function concludeRun(turn: Turn): void {
  const { graph, state, changes } = turn;
  if (changes.end !== null || isRunOver[state.status]) return;
  if (graph.upkeep !== null) startTeardowns(turn, graph.upkeep);
  const mayEnd = isAdmitted(state) || state.cause !== null || state.cancelAsked !== null;
  if (state.open > 0 || !mayEnd || isHeldUp(turn)) return;
  endRun(turn);
}

/** Whether something must still happen before the run is over. The one test of that. */
function isHeldUp(turn: Turn): boolean {
  const { upkeep } = turn.graph;
  const isOpen = (task: TaskState | undefined): boolean => isUnderway(task) && !isEnded(task);
  if (upkeep?.teardowns.some((node) => isOpen(turn.state.tasks[node])) === true) {
    enterCleanup(turn);
    return true;
  }
  if (goesOnNext(turn) || (upkeep !== null && retriesLater(turn, upkeep))) return true;
  if (!compensates(turn)) return false;
  enterCleanup(turn);
  return true;
}

/** A paused run goes there when it is resumed. */
function enterCleanup(turn: Turn): void {
  const { status, cause, cancelAsked } = turn.state;
  const to = cause !== null || cancelAsked !== null ? 'cancelling' : 'finishing';
  if (status === 'cancelling' || status === 'finishing' || (status === 'paused' && to === 'finishing')) return;
  turn.state.resumeTo = null;
  move(turn, to);
}

// ---- teardowns ----------------------------------------------------------------------------------------------------------------------

/** A teardown is due when its setup has succeeded and everything inside its bracket has ended; that of a bracket inside goes first. */
function startTeardowns(turn: Turn, upkeep: Upkeep): void {
  for (let changed = true; changed;) {
    changed = false;
    for (const index of upkeep.teardowns) {
      const node = turn.graph.nodes[index];
      if (node !== undefined && decideTeardown(turn, node)) changed = true;
    }
  }
}

/** True where it ended without having run. */
function decideTeardown(turn: Turn, node: GraphNode): boolean {
  const { graph, state, changes, now } = turn;
  const setup = state.tasks[node.serves?.of ?? -1];
  if (isUnderway(state.tasks[node.index]) || !isEnded(setup)) return false;
  // What another run made, that run has cleaned up.
  if (!hasSucceeded(setup) || setup.cached) {
    putTask(state, changes, endTask(freshTask(state, node, now), { status: 'skipped' }, now));
    return true;
  }
  if (graph.nodes[setup.node]?.inside.every((one) => isEnded(state.tasks[one])) === true) startHandler(turn, node);
  return false;
}

// ---- retry of the run ---------------------------------------------------------------------------------------------------------------

/** A run that would fail, and has a budget, is redriven as a whole after a delay; never after a cancel or a deadline. */
function retriesLater(turn: Turn, { retry }: Upkeep): boolean {
  const { graph, state, changes, now } = turn;
  const { flow } = state;
  if (retry === null || flow.compensated || state.cause !== null || state.cancelAsked !== null) return false;
  if (flow.retryAt !== null) return true;
  if (flow.retries + 1 >= retry.maxAttempts || decideOutcome(graph, state).status !== 'failed') return false;
  if (!canRedrive(turn)) return false;
  const seed = { run: state.run, task: -1, item: -1, generation: state.generation, attempt: flow.retries + 1 };
  state.flow = { ...flow, retryAt: Math.min(LAST_INSTANT, now + backoffMs(retry, flow.retries + 1, retry.jitter, seed)) };
  changes.flow = true;
  if (state.status === 'finishing') move(turn, 'running');
  return true;
}

/** It has cleaned up, and its place was redriven meanwhile: it is redriven before it ends. What was undone by then is not done again. */
function goesOnNext(turn: Turn): boolean {
  const { state, changes, graph, now } = turn;
  const { flow } = state;
  if (!flow.again || flow.compensated) return false;
  if (flow.retryAt !== null) return true;
  const { status } = decideOutcome(graph, state);
  if ((status !== 'failed' && status !== 'cancelled') || !canRedrive(turn)) return false;
  state.flow = { ...flow, retryAt: now };
  state.cause = null;
  state.cancelAsked = null;
  state.deadlineAt = null;
  changes.flow = true;
  move(turn, 'running');
  return true;
}

/** What it has set up is torn down by now: then it may be redriven although it is finishing. */
function canRedrive({ graph, state }: Turn): boolean {
  const { status } = state;
  state.status = 'running';
  const plan = planReset(graph, state, REDRIVE_ALL);
  state.status = status;
  return !isRefusal(plan);
}

// ---- the end ------------------------------------------------------------------------------------------------------------------------

/** Ends whatever cleans up, too. */
export function cancelHandlers(turn: Turn, reason: Reason): void {
  const { graph, state } = turn;
  const rows = graph.nodes
    .filter((node) => node.serves !== null)
    .flatMap((node) => [state.tasks[node.index], ...(state.served.get(node.index)?.values() ?? [])]);
  for (const row of rows) {
    if (!isUnderway(row) || isEnded(row)) continue;
    letGoOf(turn, row);
    if (row.status === 'running') recordAttempt(turn, row, 'cancelled', reason, null);
    putTask(state, turn.changes, endTask(row, { status: 'cancelled', reason }, turn.now));
  }
}

function endRun(turn: Turn): void {
  const { graph, state, changes, now } = turn;
  const { status, reason } = finalOutcome(turn);
  dropUnused(turn);
  const output = status === 'success' || status === 'partial' ? outputOf(turn) : null;
  const tooLarge = output === 'too_large';
  changes.end = {
    from: state.status,
    status,
    reason: tooLarge ? 'output_too_large' : reason,
    output: tooLarge ? null : (output?.text ?? null),
    hasOutput: output !== null && !tooLarge,
    finishedAt: now,
  };
  state.status = status;
  // What follows the end of a run has followed it, where only its compensations were done over.
  if (state.flow.reopened) return;
  hookEnd(turn);
  if (asksForKey(graph, state)) changes.gate = { kind: 'leave' };
}

/** What could not be undone leaves the run failed, whatever it would have been. */
function finalOutcome(turn: Turn): ReturnType<typeof decideOutcome> {
  const { graph, state, changes } = turn;
  const outcome = decideOutcome(graph, state);
  const incomplete = state.flow.compensated && isIncomplete(turn);
  if (incomplete !== state.flow.incomplete) {
    state.flow = { ...state.flow, incomplete };
    changes.flow = true;
  }
  return incomplete && outcome.status !== 'failed' ? { status: 'failed', reason: 'error' } : outcome;
}

/** A handler that was reset and not needed again. */
function dropUnused({ graph, state, changes, now }: Turn): void {
  for (const index of graph.upkeep?.catchers ?? []) {
    const row = state.tasks[index];
    if (row?.status === 'pending') putTask(state, changes, endTask(row, { status: 'skipped' }, now));
  }
}

/** An output that is put together from many may be too large although its parts were not: the run keeps its status and has no output. */
function outputOf({ graph, state, settings }: Turn): ReturnType<typeof runOutput> | 'too_large' {
  try {
    return runOutput(graph, state, settings.maxPayload);
  } catch (error) {
    if (isPawlError(error, 'PAYLOAD_TOO_LARGE')) return 'too_large';
    throw error;
  }
}
