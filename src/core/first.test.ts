import { describe, expect, test } from 'vitest';
import { contract } from '../../test/semantics/graphs.ts';
import { World } from '../../test/semantics/world.ts';
import { compileGraph } from './compile.ts';
import { onlyNeededBy } from './first.ts';
import type { BodyTask, Graph, GraphTask } from './graph.ts';

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

describe('what only the losers need', () => {
  const needed = (tasks: readonly GraphTask[], losers: readonly string[], output: Graph['output'] = {}): string[] => {
    const graph = compileGraph(graphOf(tasks, output));
    const at = (id: string): number => graph.byId.get(id)?.index ?? -1;
    return onlyNeededBy(graph, at('f'), losers.map(at)).map((index) => graph.nodes[index]?.id ?? '');
  };
  const after = (id: string, ...of: string[]): BodyTask => body(id, { after: of });

  test.each<[string, readonly GraphTask[], readonly string[], readonly string[]]>([
    ['its own task', [body('a'), body('b'), first('f', 'a', 'b')], ['b'], ['b']],
    ['a chain before it', [body('a'), body('x'), after('y', 'x'), after('b', 'y'), first('f', 'a', 'b')], ['b'], ['x', 'y', 'b']],
    [
      'what two losers share',
      [body('a'), body('x'), after('b', 'x'), after('c', 'x'), first('f', 'a', 'b', 'c')],
      ['b', 'c'],
      ['x', 'b', 'c'],
    ],
    ['nothing that the winner needs', [body('x'), after('a', 'x'), after('b', 'x'), first('f', 'a', 'b')], ['b'], ['b']],
    ['nothing that somebody else hangs on', [body('a'), body('x'), after('b', 'x'), after('z', 'x'), first('f', 'a', 'b')], ['b'], ['b']],
    [
      'nothing before what somebody else hangs on',
      [body('a'), body('w'), after('x', 'w'), after('b', 'x'), after('z', 'x'), first('f', 'a', 'b')],
      ['b'],
      ['b'],
    ],
    ['not a part that somebody else hangs on', [body('a'), body('x'), after('b', 'x'), after('z', 'b'), first('f', 'a', 'b')], ['b'], []],
    ['not a part of another first', [body('a'), body('b'), first('g', 'b'), first('f', 'a', 'b')], ['b'], []],
    [
      'another first that leads to it alone',
      [body('a'), body('x'), body('y'), first('g', 'x', 'y'), first('f', 'a', 'g')],
      ['g'],
      ['x', 'y', 'g'],
    ],
  ])('is %s', (_, tasks, losers, wanted) => {
    expect(needed(tasks, losers)).toEqual(wanted);
  });

  test('is nothing that the output of the run reads', () => {
    expect(needed([body('a'), body('x'), after('b', 'x'), first('f', 'a', 'b')], ['b'], { x: { $ref: 'x' } })).toEqual(['b']);
  });
});
