/** Random graphs with failure policies, brackets and catch handlers, driven by hand in random orders. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isEnded } from '../../src/core/kernel/changes.ts';
import type { ContractData, FailurePolicy, Graph, GraphTask, HandlerTask } from '../../src/core/graph/graph.ts';
import { graphProblems } from '../../src/core/graph/validate.ts';
import { runRootCauses, rootCauses } from '../../src/core/kernel/outcome.ts';
import type { RunningTask } from '../../src/core/kernel/run-state.ts';
import { randomFrom, World } from './world.ts';

interface Spec {
  readonly after: readonly number[];
  readonly join: 'all_success' | 'all_done' | 'one_failed' | 'none_failed';
  /** Attempts that fail before one succeeds; 9: all of them. */
  readonly fails: number;
  readonly allow: boolean;
  /** How often its handler fails; null: it has none. */
  readonly caught: number | null;
  /** It is the setup of a bracket. */
  readonly isSetup: boolean;
  /** How often its teardown fails. */
  readonly tearsDown: number;
  readonly failRun: boolean;
  /** Of the setups before it the one inside whose bracket it is; none where there are fewer. */
  readonly inside: number;
}

interface Case {
  readonly specs: readonly Spec[];
  readonly policy: FailurePolicy;
}

const times = fc.constantFrom(0, 0, 0, 1, 9);
const rawSpec = fc.record({
  picks: fc.array(fc.nat(1_000), { maxLength: 3 }),
  join: fc.constantFrom<Spec['join']>('all_success', 'all_success', 'all_done', 'one_failed', 'none_failed'),
  fails: times,
  allow: fc.boolean(),
  caught: fc.option(times),
  isSetup: fc.boolean(),
  tearsDown: times,
  failRun: fc.boolean(),
  inside: fc.nat(5),
});
const casesOf = (policy: fc.Arbitrary<FailurePolicy>): fc.Arbitrary<Case> =>
  fc.record({
    specs: fc
      .array(rawSpec, { minLength: 1, maxLength: 8, size: 'max' })
      .map((raws) =>
        raws.map(({ picks, ...rest }, i): Spec => ({ ...rest, after: i === 0 ? [] : [...new Set(picks.map((pick) => pick % i))] })),
      ),
    policy,
  });

const contract: ContractData = {
  effects: 'idempotent',
  retry: { maxAttempts: 2, capped: true, initialMs: 1_000, factor: 2, maxDelayMs: 60_000, jitter: 'full', on: [] },
  timeout: { attemptMs: 60_000 },
};
const idOf = (index: number): string => `t${index}`;
const handler = (role: HandlerTask['role'], of: number, more: Partial<HandlerTask> = {}): HandlerTask => ({
  id: `${idOf(of)}.${role}`,
  kind: 'handler',
  role,
  of: idOf(of),
  contract,
  ...more,
});

/** The setup around a task: one before it, so that brackets nest and never cross a cycle. */
function setupOf({ specs }: Case, index: number): number | null {
  const before = specs.flatMap((spec, i) => (i < index && spec.isSetup ? [i] : []));
  return before[specs[index]?.inside ?? 0] ?? null;
}

function graphOf(given: Case): Graph {
  const tasks = given.specs.flatMap((spec, i): GraphTask[] => {
    const setup = setupOf(given, i);
    return [
      {
        id: idOf(i),
        kind: 'task',
        input: {},
        after: spec.after.map(idOf),
        join: spec.join,
        ...(setup === null ? {} : { using: idOf(setup) }),
        ...(spec.allow ? { allowFailure: true as const } : {}),
        contract,
      },
      ...(spec.caught === null ? [] : [handler('catch', i)]),
      ...(spec.isSetup ? [handler('teardown', i, spec.failRun ? { failRun: true } : {})] : []),
    ];
  });
  const graph: Graph = {
    format: 1,
    workflow: 'random',
    tasks,
    output: null,
    ...(given.policy === 'continue' ? {} : { failurePolicy: given.policy }),
  };
  expect(graphProblems(graph)).toEqual([]);
  return graph;
}

function failsOf({ specs }: Case, id: string): number {
  const [name = '', role] = id.split('.');
  const spec = specs[Number(name.slice(1))];
  return (role === undefined ? spec?.fails : role === 'catch' ? spec?.caught : spec?.tearsDown) ?? 0;
}

/** Runs to its end, one thing at a time; what there is nothing to do for is stuck. */
function drive(given: Case, seed: number, interrupt: { readonly at: number; readonly by: 'cancel' | 'fail' } | null = null): World {
  const world = new World(graphOf(given));
  const random = randomFrom(seed);
  for (let step = 0; world.end === null; step++) {
    if (step > 2_000) throw new Error('it does not end');
    if (interrupt?.at === step)
      world.apply([interrupt.by === 'cancel' ? { type: 'cancel', reason: 'person' } : { type: 'fail', reason: 'deadline' }]);
    else once(world, given, random);
    if (random(7) === 0) world.forget();
  }
  return world;
}

function once(world: World, given: Case, random: (below: number) => number): void {
  world.now += random(100);
  const running = world.in('running');
  const queued = world.in('queued');
  const retrying = world.in('retrying').filter(({ dueAt }) => dueAt !== null);
  const at = random(running.length + queued.length + retrying.length || 1);
  const task = running[at];
  const ready = queued[at - running.length];
  const waiting = retrying[at - running.length - queued.length];
  if (task !== undefined) {
    // One event at a time: which came first is what an order is.
    world.apply([
      { type: 'ended', node: task.node, item: task.item, token: task.lease?.token ?? 0, outcome: outcomeOf(world, given, task) },
    ]);
  } else if (ready !== undefined) world.claim(ready);
  else if (waiting === undefined) throw new Error(`stuck: ${JSON.stringify(world.final())}`);
  else {
    world.now = Math.max(world.now, waiting.dueAt ?? 0);
    world.apply([{ type: 'due', node: waiting.node, item: waiting.item }]);
  }
}

function outcomeOf(world: World, given: Case, task: RunningTask) {
  const id = world.graph.nodes[task.node]?.id ?? '';
  if (task.begun > failsOf(given, id)) return { kind: 'ok', output: JSON.stringify(id) } as const;
  return { kind: 'error', error: JSON.stringify({ name: 'Error', message: id }), facts: {} } as const;
}

const statesOf = (world: World): Record<string, string> =>
  Object.fromEntries(
    world.graph.nodes.flatMap((node) => {
      const task = world.live.tasks[node.index];
      return isEnded(task) ? [[node.id, `${task.status}${task.handled ? ' handled' : ''} ${task.reason ?? ''}`]] : [];
    }),
  );
const causesOf = (world: World): unknown => [
  runRootCauses(world.graph, world.live),
  world.graph.nodes.map((node) => rootCauses(world.graph, world.live, node.index)),
];

/** What must hold of every run that is over, whatever happened to it. */
function checkEnd(world: World): void {
  for (const node of world.graph.nodes) {
    const task = world.live.tasks[node.index];
    if (node.isCounted || node.serves?.role === 'teardown') expect([node.id, isEnded(task)]).toEqual([node.id, true]);
    else expect([node.id, task === undefined || isEnded(task)]).toEqual([node.id, true]);
    if (node.serves?.role !== 'teardown') continue;
    const setup = world.live.tasks[node.serves.of];
    const isUp = isEnded(setup) && (setup.status === 'success' || setup.handled);
    // To an end of its own, never cancelled; and not before everything inside had ended.
    expect([node.id, isEnded(task) ? task.status : '']).toEqual([
      node.id,
      isUp ? (expect.stringMatching(/^(success|failed)$/) as string) : 'skipped',
    ]);
    if (!isUp || !isEnded(task)) continue;
    const inside = world.graph.nodes[node.serves.of]?.inside ?? [];
    for (const index of inside) {
      const one = world.live.tasks[index];
      expect(isEnded(one) && one.finishedAt <= (task.startedAt ?? 0)).toBe(true);
    }
  }
}

const seed = fc.integer();
const anyPolicy = fc.constantFrom<FailurePolicy>('continue', 'drain', 'abort');

describe('a run with brackets and catch handlers', () => {
  test('ends under every policy, and tears down whatever it has set up, after all that was inside', () => {
    fc.assert(
      fc.property(casesOf(anyPolicy), seed, (given, at) => checkEnd(drive(given, at))),
      { numRuns: 200 },
    );
  });

  test('does so too when it is cancelled or runs out of time in the middle', () => {
    fc.assert(
      fc.property(casesOf(anyPolicy), seed, fc.nat(20), fc.constantFrom<'cancel' | 'fail'>('cancel', 'fail'), (given, at, step, by) => {
        const world = drive(given, at, { at: step, by });
        checkEnd(world);
      }),
      { numRuns: 200 },
    );
  });

  test('under continue ends in the same states, with the same causes, in 20 orders', () => {
    fc.assert(
      fc.property(casesOf(fc.constant('continue')), seed, (given, first) => {
        const model = drive(given, first);
        for (let i = 1; i < 20; i++) {
          const other = drive(given, first + i);
          expect(statesOf(other)).toEqual(statesOf(model));
          expect(other.end?.status).toBe(model.end?.status);
          expect(causesOf(other)).toEqual(causesOf(model));
        }
      }),
      { numRuns: 30 },
    );
  });

  test('starts nothing of its work after the first failure, and cancels nothing of what abort spares', () => {
    fc.assert(
      fc.property(casesOf(fc.constantFrom<FailurePolicy>('drain', 'abort')), seed, (given, at) => {
        const world = drive(given, at);
        const isCause = (node: number): boolean =>
          world.graph.nodes[node]?.isCounted === true || world.graph.nodes[node]?.serves?.failRun === true;
        const failed = world.ended().filter((task) => task.status === 'failed' && !task.allowed && !task.handled && isCause(task.node));
        const firstAt = Math.min(...failed.map((task) => task.finishedAt));
        for (const task of world.ended()) {
          const node = world.graph.nodes[task.node];
          if (node?.isCounted !== true) expect(task.status).not.toBe('cancelled');
          else if (task.reason === 'fail_fast') expect([task.status, task.finishedAt >= firstAt]).toEqual(['cancelled', true]);
          else if (task.startedAt !== null && task.status === 'success') expect(task.startedAt).toBeLessThanOrEqual(firstAt);
        }
      }),
      { numRuns: 200 },
    );
  });
});
