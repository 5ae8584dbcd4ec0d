import { describe, expect, test } from 'vitest';
import { contract } from '../../../test/semantics/graphs.ts';
import { World } from '../../../test/semantics/world.ts';
import type { BodyTask, Expr, Graph, GraphTask, MapTask } from '../graph/graph.ts';
import { rootCauses } from './outcome.ts';
import type { Outcome } from './turn.ts';

const FAILURE: Outcome = { kind: 'error', error: JSON.stringify({ name: 'Error', message: 'no' }), facts: { nonRetryable: true } };
const body = (id: string, options: Partial<BodyTask> = {}): BodyTask => ({ id, kind: 'task', input: {}, contract: contract(), ...options });
const mapOf = (count: number, options: Partial<MapTask>): MapTask => ({
  id: 'm',
  kind: 'map',
  task: 'item',
  items: Array.from({ length: count }, (_, i) => i),
  each: { $item: [] },
  maxItems: 1_000,
  onEmpty: 'success',
  contract: contract(),
  ...options,
});

/** The run after everything ended: the bodies of these tasks, or so many items of each map, fail. */
function ended(tasks: readonly GraphTask[], fails: readonly string[] | number, output: Expr = {}): World {
  const graph: Graph = { format: 1, workflow: 'outcome', tasks, output };
  const world = new World(graph);
  const outcome = (id: string, item: number): Outcome => {
    if (tasks.find((task) => task.id === id)?.kind === 'when') return { kind: 'verdict', verdict: true };
    const isBad = typeof fails === 'number' ? item < fails : fails.includes(id);
    return isBad ? FAILURE : { kind: 'ok', output: JSON.stringify({ id, item }) };
  };
  for (let turn = 0; world.end === null && turn < 50; turn++) {
    for (const node of world.openMaps()) world.apply([{ type: 'take', node, count: 1_000 }]);
    const claims = world.in('queued').map((task) => world.claim(task));
    const id = (node: number): string => world.graph.nodes[node]?.id ?? '';
    world.apply(
      claims.map(({ node, item, lease }) => ({ type: 'ended', node, item, token: lease?.token ?? 0, outcome: outcome(id(node), item) })),
    );
  }
  return world;
}

describe('a map', () => {
  test.each([
    [{ ratio: 0.5 }, 4, 2],
    [{ ratio: 0.29 }, 100, 29],
    [{ ratio: 0.57 }, 100, 57],
    [{ ratio: 0.1 }, 30, 3],
    [{ ratio: 1 }, 3, 3],
    [{ count: 2 }, 3, 2],
    [{ count: 2, ratio: 0.5 }, 4, 2],
  ])('that tolerates %j of its %i items is partial with %i failures, and failed with one more', (tolerate, items, failures) => {
    expect(ended([mapOf(items, { tolerate })], failures).live.tasks[0]).toMatchObject({ status: 'success', partial: true });
    if (failures === items) return;
    const beyond = ended([mapOf(items, { tolerate })], failures + 1);
    expect(beyond.live.tasks[0]).toMatchObject({ status: 'failed', reason: 'too_many_failures', partial: false });
    expect(beyond.end?.status).toBe('failed');
  });

  test.each([[undefined], [{}], [{ ratio: 0 }], [{ count: 0 }]])('that tolerates %j fails with its first failed item', (tolerate) => {
    const options = tolerate === undefined ? {} : { tolerate };
    expect(ended([mapOf(3, options)], 1).live.tasks[0]).toMatchObject({ status: 'failed', reason: 'too_many_failures' });
  });

  test('that settles succeeds, and the run is partial', () => {
    const world = ended([mapOf(3, { settle: true })], 3, { $ref: 'm' });
    expect(world.end).toMatchObject({ status: 'partial', hasOutput: true });
  });
});

describe('the root cause of a task', () => {
  const causesOf = (world: World, id: string): string[] => rootCauses(world.graph, world.live, world.graph.byId.get(id)?.index ?? -1);

  test('are the failed tasks from which a failure reached it, over any path', () => {
    const tasks = [body('a'), body('b'), body('c', { after: ['a', 'b'] }), body('d', { after: ['c'] })];
    const world = ended(tasks, ['a', 'b']);
    expect(['a', 'c', 'd'].map((id) => causesOf(world, id))).toEqual([['a'], ['a', 'b'], ['a', 'b']]);
  });

  test('is no task whose failure was let pass on the way: settled, or allowed and only waited for', () => {
    const reader = body('d', { after: ['c'], input: { a: { $ref: 'a' }, b: { $settle: { $ref: 'b' } } } });
    const world = ended([body('a'), body('b'), body('c', { allowFailure: true }), reader], ['a', 'b', 'c']);
    expect(causesOf(world, 'd')).toEqual(['a']);
  });

  test('ends at a task that ran although something had failed, and failed itself', () => {
    const world = ended([body('a'), body('b', { after: ['a'], join: 'all_done' }), body('c', { after: ['b'] })], ['a', 'b']);
    expect(causesOf(world, 'c')).toEqual(['b']);
  });
});

describe('what a reader gets', () => {
  test('of a branch that failed is the same in a process that never saw the run', () => {
    const branch: GraphTask = {
      id: 'r',
      kind: 'branch',
      when: 'w',
      cases: [{ is: true, value: { a: { $ref: 'a' } }, members: ['a'] }],
    };
    const tasks: GraphTask[] = [
      { id: 'w', kind: 'when', input: {} },
      body('a', { if: { when: 'w', is: true } }),
      branch,
      body('s', { input: { r: { $settle: { $ref: 'r' } } } }),
    ];
    expect(ended(tasks, ['a']).end?.status).toBe('failed');
  });

  test('under an eager join is there: what it settles has ended before it starts, also where it is named under after too', () => {
    const reader = body('s', { after: ['a', 'b'], join: 'one_success', input: { a: { $settle: { $ref: 'a' } } } });
    const world = new World({ format: 1, workflow: 'eager', tasks: [body('a'), body('b'), reader], output: {} });
    const [, b] = world.in('queued').map((task) => world.claim(task));
    world.apply([{ type: 'ended', node: 1, item: -1, token: b?.lease?.token ?? 0, outcome: { kind: 'ok', output: null } }]);
    expect(world.rows.get('2:-1')).toBeUndefined();
  });
});
