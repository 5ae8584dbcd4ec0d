/** Joins to a fixed point: what becomes of tasks whose upstreams have ended, and how each begins. */
import { startChild } from './children.ts';
import { isEnded, isUnderway, putTask } from './changes.ts';
import { concludeRun } from './cleanup.ts';
import type { GraphNode } from './compile.ts';
import { end } from './ending.ts';
import { asksFirst } from './going-on.ts';
import { hookStart } from './hooks.ts';
import type { Races } from './races.ts';
import { decideNode, tally } from './joining.ts';
import { expandMap, startItems } from './maps.ts';
import { enforcePolicy } from './policy.ts';
import { type TaskFacts, type TaskState } from './run-state.ts';
import { enqueue } from './queueing.ts';
import { beginWait } from './waiting.ts';
import { supersedeLosers } from './superseding.ts';
import { endTask, expiryOf, freshTask, isAdmitted, type Turn } from './turn.ts';

/** Where a guard is to be asked, it says when the run begins. */
export function admitted(turn: Turn): void {
  if (turn.graph.guard === null) hookStart(turn);
}

export function decideRoots(turn: Turn): void {
  for (const node of turn.graph.nodes) if (node.in.length === 0 || node.join === 'always') decide(turn, node);
}

/** Joins to a fixed point, the failure policy, then the outcome of the run. */
export function followUp(turn: Turn): void {
  joinUp(turn);
  if (turn.graph.upkeep !== null) {
    enforcePolicy(turn);
    joinUp(turn);
  }
  concludeRun(turn);
  // The policy is in force by now; what comes next in this commit may be a person who sends the run on.
  turn.hasFailed = false;
  turn.followed = turn.changes.tasks.length;
}

function joinUp(turn: Turn): void {
  joinEnded(turn);
  if (turn.graph.races !== null) raceOn(turn, turn.graph.races);
}

/**
 * Who has won a first is asked, and who has lost is told, when nothing else follows any more: so that neither the graph's order nor an
 * edge's decides what they end as.
 */
function raceOn(turn: Turn, { firsts }: Races): void {
  for (;;) {
    const next = firsts.find((index) => turn.racing?.delete(index) === true);
    const first = next === undefined ? undefined : turn.graph.nodes[next];
    if (first !== undefined) decideNow(turn, first);
    else if (!turn.freed || !supersedeLosers(turn)) return;
    joinEnded(turn);
  }
}

function joinEnded(turn: Turn): void {
  const { graph, state } = turn;
  const { races } = graph;
  if (state.maps.size > 0) for (const map of state.maps.values()) startItems(turn, map);
  for (let task = turn.ended.pop(); task !== undefined; task = turn.ended.pop()) {
    const node = graph.nodes[task.node];
    if (node === undefined) continue;
    if (races?.holders.has(task.node) === true) turn.freed = true;
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

export function decide(turn: Turn, node: GraphNode): void {
  if (node.parts === null) decideNow(turn, node);
  else (turn.racing ??= new Set()).add(node.index);
}

function decideNow(turn: Turn, node: GraphNode): void {
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
  const isAsked = evaluates && !goesOn;
  putTask(turn.state, turn.changes, {
    ...facts,
    status: 'queued',
    phase: isAsked ? 'evaluate' : 'body',
    // Of a child that is held back while the run is paused: the run that it had goes on.
    next: goesOn ? 'return' : 'start',
    expiresAt: expiryOf(node, turn.now),
  });
}

/** Writes a task's next state, and follows it up where that is its end. Null: it is written already. */
export function settle(turn: Turn, to: TaskState | null): void {
  if (to === null) return;
  if (isEnded(to)) end(turn, to);
  else putTask(turn.state, turn.changes, to);
}

export function expand(turn: Turn, node: GraphNode, facts: TaskFacts): void {
  const ended = expandMap(turn, node, facts);
  if (ended !== null) end(turn, ended);
}
