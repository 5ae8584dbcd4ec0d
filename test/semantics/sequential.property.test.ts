/** Every history is one that the sequential model allows: both decide the same after every commit, whatever arrives in whatever order. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Graph } from '../../src/core/graph/graph.ts';
import type { RunningTask, TaskState, WaitingTask } from '../../src/core/kernel/run-state.ts';
import type { Outcome, RunEvent } from '../../src/core/kernel/turn.ts';
import { anyGraph } from './any-graph.ts';
import type { Primary } from './sequential-table.ts';
import { Sequential } from './sequential.ts';
import { randomFrom, World } from './world.ts';

type Random = (below: number) => number;

/** What happens, to the kernel and to the model. */
interface Happening {
  readonly event: RunEvent;
  readonly primary: Primary;
}

const nameOf = (world: World, { node, item }: { readonly node: number; readonly item: number }): string =>
  `${world.graph.nodes[node]?.id}${item < 0 ? '' : `[${item}]`}`;

const textOf = (task: TaskState | undefined): string => {
  const cell = { handled: false, partial: false, reason: null, ...task };
  const reason = task?.status === 'retrying' || task?.status === 'failed' || cell.reason !== null ? cell.reason : '';
  return `${task?.status ?? 'pending'}${cell.handled ? ' handled' : ''}${cell.partial ? ' partial' : ''} ${reason ?? ''}`;
};

const winnerOf = (first: TaskState | undefined): string =>
  first?.status === 'success' ? (JSON.parse(first.output ?? '') as { winner: string }).winner : 'null';

/** The states of the kernel, as the model tells its own. */
function statesOf(world: World): Record<string, string> {
  const tasks = world.graph.nodes.map((node): [string, string] => [node.id, textOf(world.live.tasks[node.index])]);
  const items = [...world.rows.values()].flatMap((row): [string, string][] => (row.item < 0 ? [] : [[nameOf(world, row), textOf(row)]]));
  const firsts = world.graph.nodes.flatMap(({ id, index, task }): [string, string][] =>
    task.kind === 'first' ? [[`${id} winner`, winnerOf(world.live.tasks[index])]] : [],
  );
  const { status, reason } = world.end ?? { status: world.live.status, reason: null };
  return { ...Object.fromEntries([...tasks, ...items, ...firsts]), ' run': `${status} ${reason ?? ''}` };
}

const ERROR = JSON.stringify({ name: 'Error', message: 'no' });

function ended(world: World, task: RunningTask, random: Random): Happening {
  const at = nameOf(world, task);
  const of = (outcome: Outcome, primary: Primary): Happening => {
    return { event: { type: 'ended', node: task.node, item: task.item, token: task.lease?.token ?? 0, outcome }, primary };
  };
  const chance = random(12);
  if (chance === 0) return of({ kind: 'lost', crashed: random(2) === 0 }, { type: 'lost', at, crashed: false });
  if (task.phase === 'evaluate') return verdict(world, task, random, of);
  const unsafe = isUnsafe(world.graph.graph, task.node);
  if (chance === 1 && task.handBacks < 9 && !unsafe) return of({ kind: 'released', began: true, ranMs: 1 }, { type: 'released', at });
  if (chance < 4) return of({ kind: 'error', error: ERROR, facts: {} }, { type: 'error', at, reason: 'error', final: false });
  if (chance === 4)
    return of({ kind: 'error', error: ERROR, facts: { nonRetryable: true } }, { type: 'error', at, reason: 'error', final: true });
  if (chance === 5) return of({ kind: 'timeout', reason: 'timeout', error: ERROR }, { type: 'error', at, reason: 'timeout', final: false });
  if (chance === 6)
    return of({ kind: 'refused', reason: 'not_storable', error: ERROR }, { type: 'error', at, reason: 'not_storable', final: true });
  return of({ kind: 'ok', output: '1' }, { type: 'ok', at });
}

function verdict(world: World, task: RunningTask, random: Random, of: (outcome: Outcome, primary: Primary) => Happening): Happening {
  const at = nameOf(world, task);
  const { kind } = world.graph.graph.tasks[task.node] ?? {};
  if (random(8) === 0)
    return of(
      { kind: 'refused', reason: 'definition_error', error: ERROR },
      { type: 'error', at, reason: 'definition_error', final: true },
    );
  const found = kind === 'switch' ? ((['a', 'b', null] as const)[random(3)] ?? null) : random(kind === 'guard' ? 8 : 3) !== 0;
  return of({ kind: 'verdict', verdict: found }, { type: 'verdict', at, verdict: found });
}

function isUnsafe({ tasks }: Graph, node: number): boolean {
  const task = tasks[node];
  return task !== undefined && 'contract' in task && task.contract.effects === 'unsafe';
}

/** What a waiting task waits for comes, or its time does. */
function woken(world: World, task: WaitingTask, random: Random): Happening {
  const at = nameOf(world, task);
  const { node, item } = task;
  const kind = task.on[0]?.kind;
  const wake = (by: Extract<RunEvent, { type: 'wake' }>['by'], primary: Primary): Happening => {
    return { event: { type: 'wake', node, item, name: null, by }, primary };
  };
  if (kind === 'signal' && random(3) > 0) return wake({ kind: 'signal', message: 1, data: null }, { type: 'message', at });
  if (kind === 'approval' && random(3) > 0) {
    const approved = random(2) === 0;
    const decision = approved ? 'approved' : 'rejected';
    return wake({ kind: 'approval', decision, output: '1', by: 'ann', comment: null }, { type: 'answer', at, approved });
  }
  world.now = Math.max(world.now, task.dueAt ?? 0);
  return { event: { type: 'due', node, item }, primary: { type: 'due', at } };
}

function interrupt(world: World, random: Random): Happening {
  const chance = random(3);
  if (chance === 0) return { event: { type: 'cancel', reason: 'person' }, primary: { type: 'cancel', reason: 'person' } };
  const reason = chance === 1 ? ('deadline' as const) : ('marked_failed' as const);
  return { event: { type: 'fail', reason }, primary: { type: 'fail', reason } };
}

/** An operator's skip of something that has not begun. */
function skipped(world: World, random: Random): Happening | null {
  const open = world.graph.nodes.filter(({ index, task }) => {
    const status = world.live.tasks[index]?.status ?? 'pending';
    return !['branch', 'handler', 'guard'].includes(task.kind) && ['pending', 'queued', 'waiting', 'retrying'].includes(status);
  });
  const node = open[random(open.length || 1)];
  if (node === undefined) return null;
  return { event: { type: 'skip', node: node.index, item: -1 }, primary: { type: 'skip', at: node.id } };
}

/** Something that can happen now. */
function next(world: World, random: Random): Happening {
  const rows = [...world.rows.values()].filter((row) => world.live.tasks[row.node] === row || row.item >= 0);
  const able = rows.filter(
    (row) =>
      row.status === 'queued' ||
      (row.status === 'running' && row.lease !== null) ||
      (row.status === 'retrying' && row.dueAt !== null) ||
      row.status === 'waiting',
  );
  const maps = world.openMaps();
  const at = random(able.length + maps.length || 1);
  const row = able[at];
  const map = maps[at - able.length];
  if (row?.status === 'running') return ended(world, row, random);
  if (row?.status === 'waiting') return woken(world, row, random);
  if (row?.status === 'retrying') {
    world.now = Math.max(world.now, row.dueAt ?? 0);
    return { event: { type: 'due', node: row.node, item: row.item }, primary: { type: 'due', at: nameOf(world, row) } };
  }
  if (row?.status === 'queued') return { event: { type: 'resume' }, primary: { type: 'claim', at: nameOf(world, row) } };
  if (map === undefined) throw new Error(`stuck: ${JSON.stringify(statesOf(world))}`);
  const count = 1 + random(2);
  return { event: { type: 'take', node: map, count }, primary: { type: 'take', map: world.graph.nodes[map]?.id ?? '', count } };
}

interface Drive {
  readonly seed: number;
  /** The step at which the run is cancelled or fails as a whole. */
  readonly interruptAt?: number;
  readonly skips?: boolean;
  readonly model?: Sequential;
}

function drive(
  graph: Graph,
  { seed, interruptAt = -1, skips = false, model = new Sequential(graph) }: Drive,
): { readonly world: World; readonly history: readonly string[] } {
  const random = randomFrom(seed);
  const world = new World(graph);
  const history: string[] = [];
  const same = (): void => {
    try {
      expect(statesOf(world)).toEqual(model.states());
    } catch (error) {
      throw new Error(`after\n${history.join('\n')}\n${(error as Error).message}`, { cause: error });
    }
  };
  same();
  for (let step = 0; world.end === null; step++) {
    if (step > 1_000) throw new Error('it does not end');
    world.now += 1 + random(50);
    const what =
      (step === interruptAt ? interrupt(world, random) : null) ??
      (skips && random(6) === 0 ? skipped(world, random) : null) ??
      next(world, random);
    if (what.primary.type === 'claim') claimOne(world, what.primary.at);
    else commit(world, what, random(3) === 0);
    history.push(JSON.stringify(what.primary));
    model.apply(crashed(what));
    follow(world, model, history);
    same();
    if (random(5) === 0) world.forget();
  }
  return { world, history };
}

/** Where the worker died is only in the kernel's event. */
function crashed({ event, primary }: Happening): Primary {
  if (primary.type !== 'lost' || event.type !== 'ended' || event.outcome.kind !== 'lost') return primary;
  return { ...primary, crashed: event.outcome.crashed };
}

function claimOne(world: World, at: string): void {
  const row = world.in('queued').find((one) => nameOf(world, one) === at);
  if (row !== undefined) world.claim(row);
}

function commit(world: World, { event, primary }: Happening, goesOn: boolean): void {
  const { refused } = world.apply([event], () => goesOn);
  // A cancel that comes while the run cleans up changes nothing, and of a map that was stopped nothing starts.
  if (!['cancel', 'fail', 'take'].includes(primary.type)) expect(refused).toEqual([]);
}

/** What was claimed in the commit that queued it. */
function follow(world: World, model: Sequential, history: string[]): void {
  for (const row of world.in('running')) {
    const at = nameOf(world, row);
    if (row.lease === null || !model.states()[at]?.startsWith('queued')) continue;
    history.push(`claimed in the same commit: ${at}`);
    model.apply({ type: 'claim', at });
  }
}

const seeds = fc.integer();
const policies = ['continue', 'drain', 'abort'] as const;

describe('the kernel decides as the sequential model does, after every commit', () => {
  test('under every policy, with firsts, tolerated, allowed and caught failures, brackets and waits', () => {
    fc.assert(
      fc.property(anyGraph({ policy: policies, first: true, size: 9 }), seeds, (graph, seed) => void drive(graph, { seed })),
      { numRuns: 200 },
    );
  });

  test('when it is cancelled, runs out of time or is marked as failed at any moment', () => {
    fc.assert(
      fc.property(
        anyGraph({ policy: policies, first: true, size: 7 }),
        seeds,
        fc.nat(25),
        (graph, seed, interruptAt) => void drive(graph, { seed, interruptAt }),
      ),
      { numRuns: 200 },
    );
  });

  test('when a person skips what has not begun', () => {
    fc.assert(
      fc.property(anyGraph({ policy: policies, first: true, size: 7 }), seeds, (graph, seed) => void drive(graph, { seed, skips: true })),
      { numRuns: 150 },
    );
  });

  test('and would not, were the model of another policy', () => {
    let differing = 0;
    fc.assert(
      fc.property(anyGraph({ policy: ['abort'], first: false, size: 7 }), seeds, (graph, seed) => {
        try {
          drive(graph, { seed, model: new Sequential({ ...graph, failurePolicy: 'drain' }) });
        } catch {
          differing++;
        }
      }),
      { numRuns: 50 },
    );
    // Where nothing fails, or nothing else is open then, the two are the same.
    expect(differing).toBeGreaterThan(0);
    expect(differing).toBeLessThan(50);
  });
});
