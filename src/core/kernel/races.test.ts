import { describe, expect, test } from 'vitest';
import { contract } from '../../../test/semantics/graphs.ts';
import { World } from '../../../test/semantics/world.ts';
import { compileGraph } from './compile.ts';
import type { BodyTask, Graph, GraphTask } from '../graph/graph.ts';
import { unneeded } from './races.ts';

const body = (id: string, more: Partial<BodyTask> = {}): BodyTask => ({ id, kind: 'task', input: {}, contract: contract(), ...more });
const first = (id: string, ...of: string[]): GraphTask => ({
  id,
  kind: 'first',
  parts: of.map((name) => ({ name, value: { $ref: name } })),
});
const graphOf = (tasks: readonly GraphTask[], output: Graph['output'] = {}): Graph => ({ format: 1, workflow: 'first', tasks, output });

describe('two parts that succeed in one commit', () => {
  test.each([
    ['a', 'b'],
    ['b', 'a'],
  ])('%s and then %s: the first that was recorded wins, and the report of the other is refused', (winner, loser) => {
    const world = new World(graphOf([body('a'), body('b'), first('f', 'a', 'b')], { f: { $ref: 'f' } }));
    const running = world.in('queued').map((task) => world.claim(task));
    const report = (id: string) => {
      const task = running.find(({ node }) => node === (id === 'a' ? 0 : 1));
      const outcome = { kind: 'ok', output: JSON.stringify(id) } as const;
      return { type: 'ended', node: task?.node ?? -1, item: -1, token: task?.lease?.token ?? 0, outcome } as const;
    };
    const changes = world.apply([report(winner), report(loser)]);
    expect(changes.refused).toEqual([1]);
    expect(changes.end).toMatchObject({ status: 'success', output: JSON.stringify({ f: { winner, value: winner } }) });
    expect(world.rows.get(loser === 'a' ? '0:-1' : '1:-1')).toMatchObject({ status: 'cancelled', reason: 'superseded' });
  });
});

describe('two parts that succeed by the same event', () => {
  const after = (id: string, ...of: string[]): GraphTask => ({
    id,
    kind: 'map',
    task: 'item',
    items: [],
    each: null,
    maxItems: 1,
    onEmpty: 'success',
    contract: contract(),
    after: of,
  });
  const tasks = [body('go'), after('a', 'go'), after('a2', 'a'), after('a3', 'a2'), after('b', 'go'), after('b2', 'b'), first('g', 'b2')];
  const winnerOf = (...given: readonly GraphTask[]): string | undefined => {
    const world = new World(graphOf(given, { f: { $ref: 'f', path: ['winner'] } }));
    const [go] = world.in('queued').map((task) => world.claim(task));
    world.apply([{ type: 'ended', node: go?.node ?? -1, item: -1, token: go?.lease?.token ?? 0, outcome: { kind: 'ok', output: '1' } }]);
    return (JSON.parse(world.end?.output ?? '{}') as { f?: string }).f;
  };

  test('are won by the one that is written first, whatever the order of the graph and however long the way', () => {
    for (const parts of [
      ['a3', 'b2'],
      ['b2', 'a3'],
      ['a3', 'g'],
      ['g', 'a3'],
    ]) {
      const all = [...tasks, first('f', ...parts)];
      expect([winnerOf(...all), winnerOf(...all.toReversed())]).toEqual([parts[0], parts[0]]);
    }
  });
});

describe('what nobody needs once a first is won', () => {
  /** `ended`: beside the winner, which is `a`, and the first. */
  const lost = (tasks: readonly GraphTask[], output: Graph['output'] = {}, ...ended: readonly string[]): string[] => {
    const graph = compileGraph(graphOf(tasks, output));
    const found = unneeded(graph, graph.races?.firsts ?? expect.fail(), (index) => {
      const id = graph.nodes[index]?.id ?? '';
      return id === 'a' || id === 'f' ? 'success' : ended.includes(id) ? 'ended' : 'open';
    });
    return [...found].toSorted((a, b) => a - b).map((index) => graph.nodes[index]?.id ?? '');
  };
  const after = (id: string, ...of: string[]): BodyTask => body(id, { after: of });

  test.each<[string, readonly GraphTask[], readonly string[]]>([
    ['a loser', [body('a'), body('b'), first('f', 'a', 'b')], ['b']],
    ['a chain before it', [body('a'), body('x'), after('y', 'x'), after('b', 'y'), first('f', 'a', 'b')], ['x', 'y', 'b']],
    ['what two losers share', [body('a'), body('x'), after('b', 'x'), after('c', 'x'), first('f', 'a', 'b', 'c')], ['x', 'b', 'c']],
    ['what the winner did not wait for', [body('x'), after('a', 'x'), after('b', 'x'), first('f', 'a', 'b')], ['x', 'b']],
    ['nothing that somebody else hangs on', [body('a'), body('x'), after('b', 'x'), after('z', 'x'), first('f', 'a', 'b')], ['b']],
    [
      'nothing before what somebody else hangs on',
      [body('a'), body('w'), after('x', 'w'), after('b', 'x'), after('z', 'x'), first('f', 'a', 'b')],
      ['b'],
    ],
    ['not a part that somebody else hangs on', [body('a'), body('x'), after('b', 'x'), after('z', 'b'), first('f', 'a', 'b')], []],
    ['not a part of another first that is open', [body('a'), body('b'), first('g', 'b'), first('f', 'a', 'b')], []],
    [
      'another first that leads to it alone',
      [body('a'), body('x'), body('y'), first('g', 'x', 'y'), first('f', 'a', 'g')],
      ['x', 'y', 'g'],
    ],
  ])('is %s', (_, tasks, wanted) => {
    expect(lost(tasks)).toEqual(wanted);
  });

  test('is also what somebody hung on who has ended', () => {
    const tasks = [body('a'), body('w'), after('x', 'w'), after('b', 'x'), after('y', 'x'), after('z', 'b'), first('f', 'a', 'b')];
    expect(lost(tasks, {}, 'y')).toEqual([]);
    expect(lost(tasks, {}, 'z')).toEqual(['b']);
    expect(lost(tasks, {}, 'y', 'z')).toEqual(['w', 'x', 'b']);
  });

  test('is nothing that the output of the run reads', () => {
    const tasks = [body('a'), body('x'), after('b', 'x'), first('f', 'a', 'b')];
    expect(lost(tasks, { x: { $ref: 'x' } })).toEqual(['b']);
    expect(lost(tasks, { b: { $settle: { $ref: 'b' } } })).toEqual([]);
  });
});
