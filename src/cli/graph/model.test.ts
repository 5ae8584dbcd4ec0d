import { expect, test } from 'vitest';
import { order } from '../../../test/support/graphs.ts';
import { workflow } from '../../index.ts';
import { drawnGraph, type DrawnGraph } from './model.ts';

const facts = ({ nodes }: DrawnGraph): Record<string, string> => Object.fromEntries(nodes.map((node) => [node.id, node.facts.join(' · ')]));
const edges = ({ nodes, edges: all }: DrawnGraph): string[] =>
  all.map(({ from, to, kind, label }) => `${nodes[from]?.id} > ${nodes[to]?.id} ${label || kind}`);

test('a node says what is out of the ordinary about its task', () => {
  expect(facts(drawnGraph(order.graph))).toEqual({
    'load-order': '',
    reserve: 'map ×20 · settle · effects none',
    cents: '',
    when: '',
    'ask-manager': '',
    'when.result': '',
    charge: 'join none_failed · effects unsafe · retry 5',
    'send-receipt': 'may fail',
  });
});

test('an edge says what it carries; a branch hangs on its decision, and so does what is without a branch', () => {
  expect(edges(drawnGraph(order.graph))).toEqual([
    'load-order > reserve data',
    'load-order > cents data',
    'load-order > when data',
    'load-order > ask-manager data',
    'when > ask-manager yes',
    'ask-manager > when.result data',
    'when > when.result no',
    'reserve > charge order',
    'when.result > charge order',
    'cents > charge data',
    'charge > send-receipt optional',
  ]);
});

test('only the first tasks of a branch hang on the decision', () => {
  const made = workflow({ name: 'w' }, (w) => {
    const n = w.run('n', {}, () => 1);
    const big = w.when(
      n,
      (v) => v > 1,
      () => w.run('b', { a: w.run('a', {}, () => 1) }, (i) => i.a),
      () => n,
      { id: 'big' },
    );
    return { big };
  });
  const drawn = drawnGraph(made.graph);
  expect(edges(drawn).filter((edge) => /yes|no/.test(edge))).toEqual(['big > a yes', 'big > big.result no']);
  expect(facts(drawn)).toMatchObject({ big: 'when' });
});

test('states are taken by id, and a task without one has none', () => {
  const drawn = drawnGraph(order.graph, new Map([['charge', { status: 'failed' }]]));
  expect(drawn.nodes.filter((node) => node.state).map((node) => [node.id, node.state])).toEqual([['charge', { status: 'failed' }]]);
});
