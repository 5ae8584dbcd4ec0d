import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { anyGraph, chain, fan, graphOf, large } from '../../../test/support/graphs.ts';
import { crossings } from './crossings.ts';
import { at, layered, layersOf, leastWidth, placed, type Layers, type Spacing } from './layout.ts';
import type { DrawnGraph } from './model.ts';

const spacing: Spacing = { width: (node) => 5 + (node % 7), line: 3, gap: 2 };
const widthOf = (layers: Layers, vertex: number): number => (vertex < layers.nodes ? spacing.width(vertex) : spacing.line);

/** What is wrong with a layout; nothing, if it can be drawn. */
function faults(model: DrawnGraph, layers: Layers, left: readonly number[]): string[] {
  const found: string[] = [];
  for (const layer of layers.order) {
    for (const [index, vertex] of layer.slice(1).entries()) {
      const before = at(layer, index);
      if (at(left, vertex) < at(left, before) + widthOf(layers, before) + spacing.gap - 1e-6) found.push(`${before} touches ${vertex}`);
    }
  }
  model.edges.forEach(({ from, to }, edge) => {
    const path = at(layers.paths, edge);
    const levels = path.map((vertex) => at(layers.layerOf, vertex));
    if (path[0] !== from || path.at(-1) !== to) found.push(`edge ${edge} has other ends`);
    const steps = levels.slice(1).map((level, index) => level - at(levels, index));
    if (layers.detours.includes(edge) ? steps.some((step) => step < 1) : steps.some((step) => step !== 1)) found.push(`edge ${edge} jumps`);
  });
  if (layers.order.flat().length !== layers.layerOf.length) found.push('a vertex is lost');
  return found;
}

describe('a layout', () => {
  test('leads every edge down, layer by layer, and keeps boxes apart', () => {
    fc.assert(
      fc.property(anyGraph({ nodes: 40 }), (model) => {
        const layers = layered(model);
        expect(faults(model, layers, placed(layers, spacing).left)).toEqual([]);
      }),
    );
  });

  test('notices boxes that touch', () => {
    const layers = layered(fan(3));
    expect(
      faults(
        fan(3),
        layers,
        layers.layerOf.map(() => 0),
      ),
    ).not.toEqual([]);
  });

  test('is the same each time', () => {
    fc.assert(
      fc.property(anyGraph({ nodes: 30 }), (model) => {
        const again = structuredClone(model);
        expect(placed(layered(again), spacing)).toEqual(placed(layered(model), spacing));
      }),
    );
  });

  test('stays within a width that its widest layer allows, in whole columns where asked', () => {
    fc.assert(
      fc.property(anyGraph({ nodes: 30 }), (model) => {
        const layers = layered(model);
        const within = leastWidth(layers, spacing);
        const { left, width } = placed(layers, { ...spacing, within, whole: true });
        expect(width).toBeLessThanOrEqual(within);
        expect(left.every((each) => Number.isInteger(each) && each >= 0)).toBe(true);
        expect(faults(model, layers, left)).toEqual([]);
      }),
    );
  });

  test('never has more crossings than it began with', () => {
    fc.assert(
      fc.property(anyGraph({ nodes: 40 }), (model) => {
        const count = (layers: Layers): number => {
          const place = new Map(layers.order.flatMap((layer) => layer.map((vertex, index) => [vertex, index] as const)));
          return crossings(
            layers,
            layers.order,
            layers.layerOf.map((_, vertex) => place.get(vertex) ?? 0),
          );
        };
        expect(count(layered(model))).toBeLessThanOrEqual(count(layersOf(model)));
      }),
    );
  });

  test('untangles two lines that cross', () => {
    const model = graphOf(
      ['a', 'b', 'c', 'd', 'e'],
      [
        [0, 3],
        [1, 2],
        [0, 4],
        [1, 4],
      ],
    );
    const { order } = layered(model);
    expect(at(order, 1).indexOf(3) < at(order, 1).indexOf(2)).toBe(at(order, 0).indexOf(0) < at(order, 0).indexOf(1));
  });

  test('puts a root next to what it leads to', () => {
    const { layerOf } = layered(
      graphOf(
        ['a', 'b', 'c', 'late'],
        [
          [0, 1],
          [1, 2],
          [3, 2],
        ],
      ),
    );
    expect(layerOf.slice(0, 4)).toEqual([0, 1, 2, 1]);
  });

  test('refuses circles', () => {
    expect(() =>
      layersOf(
        graphOf(
          ['a', 'b'],
          [
            [0, 1],
            [1, 0],
          ],
        ),
      ),
    ).toThrow(/circle/);
  });
});

describe('a large graph', () => {
  test('of 5,000 nodes and 10,000 edges is laid out in about a second', () => {
    const model = large(5000, 10_000);
    const start = process.cpuUsage();
    const layers = layered(model);
    const { left } = placed(layers, spacing);
    // Time of the processor, which other tests do not take from it: about 0.6 s, and room for a slow machine. Quadratic work takes minutes.
    const spent = process.cpuUsage(start);
    expect(spent.user / 1000).toBeLessThan(3000);
    expect(faults(model, layers, left)).toEqual([]);
  });

  test('with long edges along a chain gives up places rather than hold millions', () => {
    const model = chain(2000);
    const long = Array.from(
      { length: 1990 },
      (_, i) => ({ from: i, to: Math.min(1999, i + 2 + ((i * 37) % 1900)), kind: 'data', label: '' }) as const,
    );
    const layers = layered({ ...model, edges: [...model.edges, ...long] });
    expect(layers.layerOf.length).toBeLessThan(30_000);
    expect(layers.detours.length).toBeGreaterThan(0);
  });

  test.each([
    ['a fan', fan(300), 3],
    ['a chain', chain(2000), 2000],
    ['nothing', graphOf([], []), 0],
    ['one node', graphOf(['a'], []), 1],
  ])('%s has its layers', (_, model, count) => {
    const layers = layered(model);
    expect(layers.order).toHaveLength(count);
    expect(faults(model, layers, placed(layers, spacing).left)).toEqual([]);
  });
});
