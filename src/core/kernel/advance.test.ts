import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cases, expected, expectedOutcome, graphOf, idOf, isBeyondTolerance, outputOf, type Case } from '../../../test/semantics/graphs.ts';
import { randomFrom, textOf, World } from '../../../test/semantics/world.ts';
import { runRootCauses, rootCauses } from './outcome.ts';
import type { EndedTask, RunFacts, RunningTask } from './run-state.ts';
import { isTerminal } from './states.ts';
import type { Outcome, RunEvent } from './turn.ts';

type Random = (below: number) => number;

const ORDERS = 20;
const MAX_STEPS = 2_000;

/** How a claim ends: fixed per task and attempt, whatever the order. */
function outcomeOf({ specs }: Case, task: RunningTask): Outcome {
  const spec = specs[task.node];
  if (spec === undefined) throw new Error(`no task ${task.node}`);
  if (task.phase === 'evaluate') return { kind: 'verdict', verdict: spec.holds };
  const fails = task.item < 0 ? spec.fails : (spec.map?.fails[task.item] ?? 0);
  if (task.begun - task.losses > fails) return { kind: 'ok', output: outputOf(spec, task.node, task.item) };
  const error = JSON.stringify({ name: 'Error', message: `attempt failed` });
  if (spec.failure === 'timeout') return { kind: 'timeout', reason: 'timeout', error };
  if (spec.failure === 'refused') return { kind: 'refused', reason: 'not_storable', error };
  return { kind: 'error', error, facts: spec.failure === 'nonRetryable' ? { nonRetryable: true } : {} };
}

const endOf = (task: RunningTask, outcome: Outcome): RunEvent => ({
  type: 'ended',
  node: task.node,
  item: task.item,
  token: task.lease?.token ?? 0,
  outcome,
});

interface Noise {
  /** Leases are lost and tasks handed back on the way, within what is free. */
  readonly losses: boolean;
}

/** One thing that may happen now; false where nothing can. */
function step(world: World, given: Case, random: Random, noise: Noise): boolean {
  world.now += random(500);
  const running = world.in('running').filter((task) => task.lease !== null);
  const queued = world.in('queued');
  const retrying = world.in('retrying');
  const maps = world.openMaps();
  const total = running.length + queued.length + retrying.length + maps.length;
  if (total === 0) return false;
  let at = random(total);
  if (at < running.length) {
    const some = running.slice(at, at + 1 + random(3));
    report(
      world,
      some.map((task) => endOf(task, (noise.losses ? mishap(given, task, random) : null) ?? outcomeOf(given, task))),
      random,
    );
    return true;
  }
  at -= running.length;
  const ready = queued[at];
  if (ready !== undefined) {
    world.claim(ready);
    return true;
  }
  const waiting = retrying[at - queued.length];
  if (waiting !== undefined) {
    world.now = Math.max(world.now, waiting.dueAt ?? 0);
    world.apply([{ type: 'due', node: waiting.node, item: waiting.item }], () => random(2) === 0);
    return true;
  }
  const node = maps[at - queued.length - retrying.length];
  if (node === undefined) throw new Error('no such thing to happen');
  world.apply([{ type: 'take', node, count: 1 + random(3) }]);
  return true;
}

function report(world: World, events: readonly RunEvent[], random: Random): void {
  const maps = random(2) === 0 ? world.openMaps().map((node) => ({ node, count: random(3) })) : [];
  const { refused, end } = world.apply(events, () => random(2) === 0, maps);
  world.spent.push(...events.filter((_, i) => !refused.includes(i)));
  if (end === null) expect(refused).toEqual([]);
}

/** Up to two lost leases and nine hand-backs of a task cost it nothing, unless its body must not run twice. */
function mishap({ specs }: Case, task: RunningTask, random: Random): Outcome | null {
  if (specs[task.node]?.unsafe) return null;
  const kind = random(6);
  if (kind === 0 && task.losses < 2 && task.crashes < 2) return { kind: 'lost', crashed: random(2) === 0 };
  if (kind === 1 && task.handBacks < 9) return { kind: 'released', began: true, ranMs: random(100) };
  return kind === 2 && task.handBacks < 9 ? { kind: 'released', began: false, ranMs: 0 } : null;
}

function nothingChanges(world: World, events: readonly RunEvent[]): void {
  const of = (): string => textOf([world.live.tasks, [...world.live.maps.values()], world.live.open, world.live.status]);
  const before = of();
  const { tasks, attempts, maps, end, refused } = world.apply(events);
  expect({ tasks, attempts, maps: maps.size, end, refused }).toEqual({
    tasks: [],
    attempts: [],
    maps: 0,
    end: null,
    refused: events.map((_, i) => i),
  });
  expect(of()).toBe(before);
}

interface Drive {
  readonly seed: number;
  readonly noise?: Noise;
  readonly facts?: Partial<RunFacts>;
  readonly steps?: number;
}

function drive(given: Case, { seed, noise = { losses: false }, facts = {}, steps = MAX_STEPS }: Drive): World {
  const world = new World(graphOf(given), facts);
  const random = randomFrom(seed);
  if (facts.status === 'scheduled') world.apply([{ type: 'admit' }], () => random(2) === 0);
  for (let i = 0; world.end === null && i < steps; i++) {
    if (!step(world, given, random, noise)) throw new Error(`stuck: ${JSON.stringify(world.final())}`);
    if (random(4) === 0) world.forget();
    const late = world.spent.filter((event) => !(event.type === 'ended' && event.outcome.kind === 'verdict'));
    if (random(8) === 0 && late.length > 0) nothingChanges(world, [late[random(late.length)] ?? { type: 'admit' }]);
  }
  return world;
}

const causesOf = (world: World): Record<string, string[]> =>
  Object.fromEntries(world.graph.nodes.map(({ id, index }) => [id, rootCauses(world.graph, world.live, index)]));

const summaryOf = (world: World) => ({
  tasks: world.final(),
  run: world.end?.status,
  reason: world.end?.reason,
  output: world.end?.output,
  hasOutput: world.end?.hasOutput,
  rootCauses: causesOf(world),
  began: runRootCauses(world.graph, world.live),
  inputs: Object.fromEntries([...world.inputs].toSorted(([a], [b]) => (a < b ? -1 : 1))),
});

describe('a run under the policy continue', () => {
  test('ends as the semantics say, in the same states, with the same inputs and causes, in every order of events', () => {
    fc.assert(
      fc.property(cases(12), fc.nat(), (given, seed) => {
        const wanted = expected(given);
        const outcome = expectedOutcome(given, wanted);
        let first: ReturnType<typeof summaryOf> | null = null;
        for (let order = 0; order < ORDERS; order++) {
          const world = drive(given, { seed: seed + order, ...(order % 5 === 4 ? { facts: { status: 'scheduled' as const } } : {}) });
          const summary = summaryOf(world);
          first ??= summary;
          expect(summary).toEqual(first);
          expect(world.live.open).toBe(0);
          expect([...world.rows.values()].filter((row) => !isTerminal[row.status])).toEqual([]);
          if (order > 0) continue;
          const found = wanted.map((_, i) => [idOf(i), world.live.tasks[i]?.status]);
          expect(Object.fromEntries(found)).toEqual(Object.fromEntries(wanted.map(({ status }, i) => [idOf(i), status])));
          expect(world.end?.status).toBe(outcome);
        }
      }),
      { numRuns: 40 },
    );
  });

  test('ends the same although leases are lost and tasks handed back on the way', () => {
    fc.assert(
      fc.property(cases(8), fc.nat(), (given, seed) => {
        const wanted = expected(given);
        const world = drive(given, { seed, noise: { losses: true } });
        expect(wanted.map((_, i) => world.live.tasks[i]?.status)).toEqual(wanted.map(({ status }) => status));
        expect(world.end?.status).toBe(expectedOutcome(given, wanted));
      }),
      { numRuns: 100 },
    );
  });

  test('takes nothing any more once it has ended', () => {
    fc.assert(
      fc.property(cases(6), fc.nat(), (given, seed) => {
        const world = drive(given, { seed });
        nothingChanges(world, [
          ...world.spent,
          { type: 'admit' },
          { type: 'cancel', reason: 'person' },
          { type: 'fail', reason: 'deadline' },
          ...given.specs.flatMap((_, node): RunEvent[] => [
            { type: 'due', node, item: -1 },
            { type: 'take', node, count: 5 },
            { type: 'ended', node, item: -1, token: 1, outcome: { kind: 'ok', output: null } },
          ]),
        ]);
      }),
      { numRuns: 40 },
    );
  });
});

describe('an event that does not fit', () => {
  test('is refused and changes nothing: other tokens, tasks that are no claim, unknown tasks, instants that have not come', () => {
    fc.assert(
      fc.property(cases(8), fc.nat(), fc.nat(30), (given, seed, steps) => {
        const world = drive(given, { seed, steps });
        const known = given.specs.flatMap((_, node): RunEvent[] =>
          [-1, 0, 1].flatMap((item): RunEvent[] => [
            { type: 'ended', node, item, token: 0, outcome: { kind: 'ok', output: null } },
            { type: 'ended', node, item, token: 1_000_000, outcome: { kind: 'lost', crashed: true } },
          ]),
        );
        const early = world
          .in('retrying')
          .filter(({ dueAt }) => (dueAt ?? 0) > world.now)
          .map(({ node, item }): RunEvent => ({ type: 'due', node, item }));
        nothingChanges(world, [
          ...known,
          ...early,
          ...world.in('queued').map(({ node, item }): RunEvent => ({ type: 'due', node, item })),
          { type: 'ended', node: 99, item: -1, token: 1, outcome: { kind: 'ok', output: null } },
          { type: 'due', node: 99, item: -1 },
          { type: 'take', node: 99, count: 1 },
          { type: 'take', node: 0, count: 0 },
          { type: 'admit' },
        ]);
      }),
      { numRuns: 60 },
    );
  });
});

describe('cancel and deadline', () => {
  const endings = fc.constantFrom<RunEvent>(
    { type: 'cancel', reason: 'person' },
    { type: 'fail', reason: 'deadline' },
    { type: 'fail', reason: 'stuck' },
  );

  test('at every point end what is open at once, leave what has ended, and end the run', () => {
    fc.assert(
      fc.property(cases(8), fc.nat(), endings, (given, seed, ending) => {
        for (let steps = 0; ; steps++) {
          const world = drive(given, { seed, steps });
          if (world.end !== null) break;
          endedBy(world, given, ending);
        }
      }),
      { numRuns: 25 },
    );
  });

  function endedBy(world: World, given: Case, ending: RunEvent): void {
    const before = new Map(world.rows);
    world.apply([ending]);
    const reason = 'reason' in ending ? ending.reason : null;
    for (const [at, row] of world.rows) {
      const old = before.get(at);
      if (old !== undefined && isTerminal[old.status]) expect(row).toBe(old);
      else expect(row).toMatchObject({ status: 'cancelled', reason });
    }
    const failed = world.ended().some((row) => (row.status === 'failed' && row.item < 0 && !row.allowed) || isFailedMap(world, given, row));
    if (ending.type === 'fail') expect(world.end).toMatchObject({ status: 'failed', reason });
    else expect(world.end).toMatchObject({ status: failed ? 'failed' : 'cancelled' });
    expect(world.end?.hasOutput).toBe(false);
    const tasks = given.specs.filter(({ kind }) => kind !== 'branch').length;
    expect([...world.rows.values()].filter((row) => row.item < 0).length).toBe(tasks);
    const late = [...before.values()].flatMap((row): RunEvent[] =>
      row.status === 'running' && row.lease !== null ? [endOf(row, outcomeOf(given, row))] : [],
    );
    nothingChanges(world, late);
  }

  /** A map cut short when more of its items had failed than it tolerates: nothing excuses these failures. */
  function isFailedMap(world: World, { specs }: Case, { node, item, status }: EndedTask): boolean {
    const spec = specs[node];
    if (item >= 0 || status !== 'cancelled' || spec?.map === undefined || spec.allow) return false;
    const failed = world.ended().filter((row) => row.node === node && row.item >= 0 && row.status === 'failed').length;
    return isBeyondTolerance(spec.map, failed, world.live.maps.get(node)?.n ?? 0);
  }

  test('of a run that has not started yet end it at once', () => {
    fc.assert(
      fc.property(cases(4), endings, (given, ending) => {
        const world = new World(graphOf(given), { status: 'scheduled' });
        expect(world.rows.size).toBe(0);
        world.apply([ending]);
        expect(world.end).toMatchObject({ status: ending.type === 'cancel' ? 'cancelled' : 'failed' });
      }),
      { numRuns: 10 },
    );
  });
});
