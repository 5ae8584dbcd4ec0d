import { isEnded, isUnderway } from '../kernel/changes.ts';
import type { CompiledGraph, GraphNode } from '../kernel/compile.ts';
import { compensationRows } from '../kernel/compensating.ts';
import { decideNode } from '../kernel/joining.ts';
import { decideOutcome, rootCauses, runRootCauses } from '../kernel/outcome.ts';
import type { EndedTask, QueuedTask, RunningTask, RunState, TaskState } from '../kernel/run-state.ts';
import { isRunOver, type RunStatus, type TaskStatus } from '../kernel/states.ts';
import { contractOf } from '../kernel/turn.ts';
import { parseError } from '../kernel/values.ts';
import { waitSentence } from './why-waits.ts';
import { gateText, limitWait, type CapacityFacts, type WaitReason } from './why-capacity.ts';
import { DEFAULT_QUEUE } from '../define/needs-options.ts';
import { openDecisions, skippedBy } from './why-branches.ts';
import { listText, spanText } from './words.ts';

/** One sentence about a run or a task: what it waits for, since when, what lets it go on; or how and why it ended. */
export interface Why {
  readonly status: RunStatus | TaskStatus;
  readonly sentence: string;
  /** The tasks that it is about: what it waits for, or where its failure began. */
  readonly tasks: readonly string[];
  readonly since: Date | null;
  /** When it goes on by itself, where that is known. */
  readonly until: Date | null;
  /** Of a queued task: why it is not claimed. */
  readonly waitReason?: WaitReason;
  /** No live worker can run it. */
  readonly code?: 'WORKER_NONE';
}

/** A worker process as the sentence needs it. */
export interface WorkerFact {
  readonly id: number;
  readonly name: string;
  readonly isLive: boolean;
  readonly slots: number;
  readonly busy: number;
  /** When it was last heard of. */
  readonly seenAt: number;
  readonly serves: ReadonlySet<number>;
}

export interface WhyFacts {
  readonly graph: CompiledGraph;
  readonly state: RunState;
  readonly firstBody: number;
  readonly now: number;
  /** Live ones, and those that ended last. */
  readonly workers: readonly WorkerFact[];
  readonly quarantined: string | null;
  readonly isImported: boolean;
  readonly isUnclaimed: boolean;
  readonly version: string;
  /** Where the newest version of its workflow is another one: why it is not of that. */
  readonly stays: string | null;
  readonly capacity: CapacityFacts;
  readonly reason: string | null;
  readonly finishedAt: number | null;
}

type Told = Omit<Why, 'status'>;

const told = (sentence: string, about: Partial<Omit<Told, 'sentence'>> = {}): Told => ({
  sentence,
  tasks: about.tasks ?? [],
  since: about.since ?? null,
  until: about.until ?? null,
  ...(about.waitReason === undefined ? {} : { waitReason: about.waitReason }),
  ...(about.code === undefined ? {} : { code: about.code }),
});

const at = (ms: number | null): Date | null => (ms === null ? null : new Date(ms));

export function whyRun(facts: WhyFacts): Why {
  return { status: facts.state.status, ...tellRun(facts) };
}

/** `item` -1: the task itself. */
export function whyTask(facts: WhyFacts, node: GraphNode, item: number, task: TaskState | undefined): Why {
  return { status: task?.status ?? 'pending', ...tellTask(facts, node, item, task) };
}

function tellRun(facts: WhyFacts): Told {
  const { state, now } = facts;
  if (facts.isImported) {
    return told(
      'It was imported while it was open, and may still run where it was exported; here it goes on after "pawl quarantine retry".',
    );
  }
  if (facts.quarantined !== null) {
    return told(
      `It was set aside because its state cannot be advanced (${firstLine(facts.quarantined)}); it goes on after "pawl quarantine retry".`,
    );
  }
  if (isRunOver[state.status]) return tellEnd(facts);
  if (state.status === 'paused') {
    const running = openTasks(facts, 'running').length;
    return told(
      `It is paused${running === 0 ? '' : `, while ${running} running ${running === 1 ? 'task ends' : 'tasks end'}`}; it goes on after "pawl resume".`,
    );
  }
  if (state.status === 'scheduled') {
    return told(`It starts in ${spanText((state.startAt ?? now) - now)}.`, { since: at(state.acceptedAt), until: at(state.startAt) });
  }
  if (state.status === 'queued') {
    const { gate } = facts.capacity;
    const limit = gate === null ? 0 : (facts.capacity.key(gate.need.name) ?? gate.need.limit);
    const text = gate === null || gate.isHeld || gate.holders < limit ? 'It is about to be admitted.' : gateText(gate, limit);
    return told(text, { since: at(state.acceptedAt), waitReason: 'key' });
  }
  if (state.status === 'cancelling' || state.status === 'finishing') return tellCleanup(facts);
  if (state.flow.retryAt !== null) {
    const at = new Date(state.flow.retryAt);
    return told(`It failed, and is redriven as a whole in ${spanText(at.getTime() - now)}.`, {
      until: at,
      tasks: runRootCauses(facts.graph, state),
    });
  }
  const first = graphRoots(facts)[0];
  const paused = facts.isUnclaimed && first !== undefined ? pausedText(facts, first) : null;
  if (paused !== null) return told(paused, { since: at(state.acceptedAt), waitReason: 'paused' });
  if (facts.isUnclaimed) return waitsForWorker(facts, graphRoots(facts), state.acceptedAt, 'It');
  return tellOpen(facts);
}

const graphRoots = ({ graph }: WhyFacts): readonly GraphNode[] => graph.nodes.filter((node) => node.in.length === 0);

/** How it will end, and what still cleans up. */
function tellCleanup(facts: WhyFacts): Told {
  const { graph, state } = facts;
  const { status, reason } = decideOutcome(graph, state);
  const ending =
    status === 'failed' ? 'It failed' : status === 'cancelled' ? `It is being cancelled (${reasonText(reason)})` : `It ends as ${status}`;
  const { sentence, ...about } = tellOpen(facts);
  return told(`${ending}, cleaning up: ${lower(sentence)}`, about);
}

/** Such a run goes on no more: all that is left is what could not be undone. */
function tellCompensated(facts: WhyFacts, ago: string): Told {
  const { graph, state, finishedAt } = facts;
  const { status, flow } = state;
  const left = compensationRows(graph, state).filter((row) => row.status !== 'success');
  const ids = [...new Set(left.flatMap((row) => graph.nodes[row.node]?.id ?? []))];
  const causes = runRootCauses(graph, state);
  const because = causes.length === 0 ? '' : ` because ${listText(causes)} failed`;
  const how = status === 'cancelled' ? 'It was cancelled' : status === 'failed' ? 'It failed' : 'It succeeded, and ended for good';
  const undone = !flow.incomplete
    ? 'what its tasks had done was undone'
    : `not everything could be undone: ${ids.length === 0 ? 'a run that it called is incomplete' : `${listText(ids)} did not succeed; redrive that`}`;
  return told(`${how}${ago}${because}; ${undone}.`, { since: at(finishedAt), tasks: ids.length > 0 ? ids : causes });
}

function tellEnd(facts: WhyFacts): Told {
  const { graph, state, finishedAt, now } = facts;
  const since = at(finishedAt);
  const ago = finishedAt === null ? '' : ` ${spanText(now - finishedAt)} ago`;
  if (state.flow.compensated) return tellCompensated(facts, ago);
  switch (state.status) {
    case 'failed': {
      const causes = runRootCauses(graph, state);
      const first = causes[0] === undefined ? undefined : graph.byId.get(causes[0]);
      const task = first === undefined ? undefined : state.tasks[first.index];
      if (first === undefined || !isEnded(task)) return told(`It failed${ago}: ${reasonText(facts.reason)}.`, { since });
      const others = causes.length > 1 ? ` (and ${causes.length - 1} more failed)` : '';
      return told(`It failed${ago} because ${failureText(facts, first, task)}${others}; after "pawl redrive" it goes on from there.`, {
        since,
        tasks: causes,
      });
    }
    case 'cancelled':
      return told(`It was cancelled${ago} (${reasonText(facts.reason)}); after "pawl redrive" it goes on where it stopped.`, { since });
    case 'partial':
      return told(`It ended as partial${ago}: some of its failures were excused.`, { since });
    case 'skipped':
      return told(`It was skipped${ago}: its guard said no, and nothing of it ran.`, { since });
    case 'success':
    case 'scheduled':
    case 'queued':
    case 'running':
    case 'paused':
    case 'cancelling':
    case 'finishing':
      return told(`It ended as ${state.status}${ago}.`, { since });
  }
}

/** What holds an open run up: what runs, else what waits for a retry, else what is queued, else what waits. */
function tellOpen(facts: WhyFacts): Told {
  for (const status of ['running', 'retrying', 'queued', 'waiting'] as const) {
    const found = openTasks(facts, status);
    const [first] = found;
    if (first === undefined) continue;
    const { sentence, ...about } = tellTask(facts, first.node, first.task.item, first.task);
    const more = found.length > 1 ? ` (and ${found.length - 1} more ${status})` : '';
    const name = nameOf(first.node, first.task.item);
    return told(`Task ${name}: ${lower(sentence).replace(/\.$/, '')}${more}.`, { ...about, tasks: found.map((one) => one.node.id) });
  }
  const open = facts.graph.nodes.find((node) => node.cases === null && !isEnded(facts.state.tasks[node.index]));
  if (open === undefined && facts.state.flow.compensated && facts.state.flow.called !== null)
    return told('It waits for a run of its own to undo what that did.');
  return open === undefined ? told('It is about to end.') : tellTask(facts, open, -1, facts.state.tasks[open.index]);
}

function openTasks(facts: WhyFacts, status: 'running' | 'retrying' | 'queued' | 'waiting'): { node: GraphNode; task: TaskState }[] {
  const { graph, state } = facts;
  return graph.nodes.flatMap((node) => {
    const top = state.tasks[node.index];
    const map = state.maps.get(node.index);
    const all = map === undefined ? [top, ...(state.served.get(node.index)?.values() ?? [])] : [...map.open.values()];
    return all.flatMap((task) => (task?.status === status ? [{ node, task }] : []));
  });
}

function tellTask(facts: WhyFacts, node: GraphNode, item: number, task: TaskState | undefined): Told {
  if (!isUnderway(task)) return item >= 0 ? told('It waits for its turn in the map.') : tellPending(facts, node);
  switch (task.status) {
    case 'queued':
      return tellQueued(facts, node, task);
    case 'running':
      return tellRunning(facts, node, task);
    case 'retrying': {
      const error = parseError(task.error);
      const why = error === null ? task.reason : `${error.code ?? error.name}: ${firstLine(error.message)}`;
      if (task.dueAt === null) return told(`It failed for good (${why}), and its catch handler runs.`, { tasks: [node.id] });
      const text = `Attempt ${task.attempt} failed (${why}); the next begins ${task.dueAt <= facts.now ? 'now' : `in ${spanText(task.dueAt - facts.now)}`}.`;
      return told(text, { until: at(task.dueAt), tasks: [node.id] });
    }
    case 'waiting':
      return told(waitSentence(task, facts.now, 'who' in node.task ? node.task.who : []), {
        since: at(task.since),
        until: at(task.dueAt),
        tasks: [node.id],
      });
    case 'success':
    case 'failed':
    case 'skipped':
    case 'upstream_failed':
    case 'cancelled':
      return tellEnded(facts, node, task);
  }
}

/** What a teardown waits for: its setup, and what was made inside its bracket. */
const tornDownAfter = (graph: CompiledGraph, setup: number): readonly number[] => [setup, ...(graph.nodes[setup]?.inside ?? [])];

function tellPending(facts: WhyFacts, node: GraphNode): Told {
  const { graph, state } = facts;
  const open = node.in.map((edge) => edge.from).filter((from) => !isEnded(state.tasks[from]));
  if (node.bracket >= 0) open.push(...[node.bracket].filter((setup) => !isEnded(state.tasks[setup])));
  if (node.serves?.role === 'teardown') open.push(...tornDownAfter(graph, node.serves.of).filter((index) => !isEnded(state.tasks[index])));
  open.push(...openDecisions(graph, state, node));
  const names = [...new Set(open)].flatMap((index) => graph.nodes[index]?.id ?? []);
  if (names.length === 0)
    return told(decideNode(graph, state, node).kind === 'start' ? 'It is about to be queued.' : 'It is about to be decided.');
  if (node.task.kind === 'first') return told(`It waits until one of ${listText(names)} has succeeded.`, { tasks: names });
  const verb = names.length === 1 ? 'has' : 'have';
  return told(`It waits until ${listText(names)} ${verb} ended.`, { tasks: names });
}

function tellQueued(facts: WhyFacts, node: GraphNode, task: QueuedTask): Told {
  if (facts.state.status === 'paused')
    return told('It is queued, and its run is paused; it goes on after "pawl resume".', {
      since: at(task.firstQueuedAt),
      waitReason: 'paused',
    });
  const since = at(task.firstQueuedAt);
  const paused = pausedText(facts, node);
  if (paused !== null) return told(paused, { since, tasks: [node.id], waitReason: 'paused' });
  const waits = hasWorker(facts, [node]) ? limitWait(facts.capacity, facts.capacity.needsOf(node.index, task.item), facts.now) : null;
  if (waits === null) return waitsForWorker(facts, [node], task.firstQueuedAt, 'It');
  const text = `It waits since ${spanText(facts.now - task.firstQueuedAt)} ${waits.text}.`;
  return told(text, { since, until: at(waits.until), tasks: [node.id], waitReason: waits.reason });
}

function pausedText({ capacity, graph }: WhyFacts, node: GraphNode): string | null {
  if (capacity.isWorkflowPaused)
    return `It is queued, and its workflow is paused; it goes on after "pawl resume workflow:${graph.graph.workflow}".`;
  if (!capacity.pausedQueues.has(node.queue)) return null;
  return `It is queued, and its queue "${node.queue}" is paused; it goes on after "pawl resume queue:${node.queue}".`;
}

function hasWorker({ workers, firstBody }: WhyFacts, nodes: readonly GraphNode[]): boolean {
  return workers.some((worker) => worker.isLive && nodes.every((node) => worker.serves.has(firstBody + node.index)));
}

function waitsForWorker(facts: WhyFacts, nodes: readonly GraphNode[], since: number, who: string): Told {
  const bodies = nodes.map((node) => facts.firstBody + node.index);
  const able = facts.workers.filter((worker) => bodies.every((body) => worker.serves.has(body)));
  const live = able.filter((worker) => worker.isLive);
  const waited = spanText(facts.now - since);
  const names = nodes.map((node) => node.id);
  const about = { since: at(since), tasks: names, waitReason: 'worker' as const };
  const queues = [...new Set(nodes.map((node) => node.queue))].filter((queue) => queue !== DEFAULT_QUEUE);
  if (live.length === 0) {
    const last = able.toSorted((a, b) => b.seenAt - a.seenAt)[0];
    const seen =
      last === undefined ? 'none was ever seen' : `the last one, ${last.name}, was seen ${spanText(facts.now - last.seenAt)} ago`;
    if (facts.stays !== null) {
      const sentence = `${who} waits since ${waited} for a worker of version "${facts.version}": no live worker has the code of ${listText(names)} (${seen}); ${facts.stays}.`;
      return { ...told(sentence, about), waitReason: 'version' };
    }
    const serves = queues.length === 0 ? '' : `serves the queue ${listText(queues)} and `;
    return told(
      `${who} waits since ${waited} for a worker: no live worker ${serves}has the code of ${listText(names)} (${seen}); start one.`,
      { ...about, code: 'WORKER_NONE' },
    );
  }
  const free = live.find((worker) => worker.busy < worker.slots);
  if (free !== undefined)
    return told(`${who} is queued since ${waited} and will be claimed by ${free.name}, which has a free slot.`, about);
  const slots = live.reduce((sum, worker) => sum + worker.slots, 0);
  const noun = live.length === 1 ? `worker ${live[0]?.name ?? ''}` : `${live.length} workers`;
  return told(`${who} waits since ${waited} for a free slot: all ${slots} of ${noun} are taken.`, about);
}

function tellRunning(facts: WhyFacts, node: GraphNode, task: RunningTask): Told {
  const map = facts.state.maps.get(node.index);
  if (task.lease === null && map !== undefined) {
    const done = map.ok + map.failed + map.cancelled + map.skipped;
    const failed = map.failed === 0 ? '' : `, ${map.failed} of them failed`;
    return told(`It waits for its items: ${done} of ${map.n} have ended${failed}.`, { since: at(task.startedAt), tasks: [node.id] });
  }
  const worker = facts.workers.find((one) => one.id === task.lease?.worker);
  const where = worker === undefined ? '' : ` on ${worker.name}${worker.isLive ? '' : ', which is silent: its lease is taken back soon'}`;
  const what = task.phase === 'evaluate' ? 'Its condition is evaluated' : `Attempt ${task.attempt} runs`;
  const end = task.phase === 'evaluate' ? null : task.startedAt - task.ranMs + (contractOf(node)?.timeout.attemptMs ?? 0);
  const limit = end === null ? '' : `; it times out in ${spanText(end - facts.now)}`;
  return told(`${what} since ${spanText(facts.now - task.startedAt)}${where}${limit}.`, {
    since: at(task.startedAt),
    until: at(end),
    tasks: [node.id],
  });
}

function deadAdvice({ state }: WhyFacts, { serves }: GraphNode): string {
  if (!state.flow.compensated || serves?.role === 'compensation') return 'redrive or discard it';
  return 'discard it, for its run was compensated';
}

function tellEnded(facts: WhyFacts, node: GraphNode, task: EndedTask): Told {
  const since = at(task.finishedAt);
  const ago = `${spanText(facts.now - task.finishedAt)} ago`;
  switch (task.status) {
    case 'success':
      return told(
        `It succeeded ${ago}${task.reason === 'manual' ? ': a person marked it' : task.cached ? ': its output was taken over' : ''}.`,
        { since },
      );
    case 'failed':
      if (task.handled)
        return told(`${upper(failureText(facts, node, task))} ${ago}; its catch handler took the failure.`, { since, tasks: [node.id] });
      return told(
        `${upper(failureText(facts, node, task))} ${ago}${task.dead ? `; it is a dead letter: ${deadAdvice(facts, node)}` : ''}.`,
        {
          since,
          tasks: [node.id],
        },
      );
    case 'upstream_failed': {
      const causes = rootCauses(facts.graph, facts.state, node.index);
      const after = facts.state.flow.compensated ? '' : '; it goes on when that is redriven';
      return told(`It did not run because ${listText(causes)} did not succeed${after}.`, {
        since,
        tasks: causes,
      });
    }
    case 'skipped':
      return told(`It was skipped ${ago}: ${skippedBy(facts.graph, facts.state, node, task)}.`, { since });
    case 'cancelled':
      return told(`It was cancelled ${ago} (${reasonText(task.reason)}).`, { since });
  }
}

function failureText(facts: WhyFacts, node: GraphNode, task: EndedTask): string {
  const map = facts.state.maps.get(node.index);
  const error = parseError(task.error);
  const name = nameOf(node, task.item);
  if (task.item < 0 && map !== undefined && task.reason === 'too_many_failures') return `${map.failed} of ${map.n} items of ${name} failed`;
  const what = error === null ? reasonText(task.reason) : `${error.code ?? error.name}: ${firstLine(error.message)}`;
  const tries = task.begun > 1 ? ` after ${task.begun} attempts` : '';
  const kind = task.reason === null || task.reason === 'error' ? '' : ` (${reasonText(task.reason)})`;
  return `${name} failed${tries}${error === null ? '' : kind} with ${what}`;
}

const nameOf = (node: GraphNode, item: number): string => (item < 0 ? `"${node.id}"` : `"${node.id}[${item}]"`);
/** Of a message what fits into a sentence. */
const firstLine = (text: string): string =>
  text
    .split('\n', 1)[0]
    ?.slice(0, 200)
    .replace(/[.;:\s]+$/, '') ?? '';
const lower = (text: string): string => text.slice(0, 1).toLowerCase() + text.slice(1);
const upper = (text: string): string => text.slice(0, 1).toUpperCase() + text.slice(1);
const reasonText = (reason: string | null): string => (reason ?? 'no reason is recorded').replaceAll('_', ' ');
