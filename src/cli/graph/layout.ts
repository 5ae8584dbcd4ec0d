/**
 * A layered layout: every edge leads to a lower layer. Layers by longest paths, order by barycentre sweeps (`crossings.ts`), columns by
 * moving each layer as near to its neighbours as the order and the widths allow. The same graph always gives the same drawing.
 */
import { untangled } from './crossings.ts';
import { at, layersOf, type Layers } from './layers.ts';
import type { DrawnGraph } from './model.ts';

export { at, layersOf, type Layers, type Link, type Net } from './layers.ts';

export interface Spacing {
  /** Of a node, by index. */
  readonly width: (node: number) => number;
  /** Of the place of a long edge. */
  readonly line: number;
  readonly gap: number;
  /** No wider than this, where the widest layer allows it. */
  readonly within?: number;
  /** Whole numbers only: columns of a terminal. */
  readonly whole?: boolean;
}

/** The left edge of every vertex; the leftmost is 0. */
export interface Placed {
  readonly left: readonly number[];
  readonly width: number;
}

export function layered(model: DrawnGraph): Layers {
  const layers = layersOf(model);
  return { ...layers, order: untangled(layers) };
}

/** The widest layer, packed: no drawing of these layers is narrower. */
export function leastWidth(layers: Layers, spacing: Spacing): number {
  return layers.order.reduce((most, layer) => Math.max(most, packed(layer, layers, spacing).width), 0);
}

export function placed(layers: Layers, spacing: Spacing): Placed {
  const width = (vertex: number): number => (vertex < layers.nodes ? spacing.width(vertex) : spacing.line);
  const left = layers.layerOf.map(() => 0);
  const rows = layers.order.map((layer) => ({ layer, ...packed(layer, layers, spacing) }));
  for (const { layer, offsets, width: total } of rows) {
    for (const [index, vertex] of layer.entries()) left[vertex] = at(offsets, index) - Math.floor(total / 2);
  }
  const centre = (vertex: number): number => at(left, vertex) + width(vertex) / 2;
  const centreOf = (vertices: readonly number[]): number => vertices.reduce((sum, each) => sum + centre(each), 0) / vertices.length;
  const half = spacing.within === undefined ? Infinity : Math.floor(spacing.within / 2);
  const settle = (row: (typeof rows)[number], towards: Direction): void => {
    const wishes = row.layer.map((vertex, index) => {
      const ends = endsOf(layers, vertex, towards);
      const wish = ends.length === 0 ? at(left, vertex) : centreOf(ends) - width(vertex) / 2;
      // A bend in a long line is worse than a box that is off its centre.
      const weight = ends.length === 0 ? 0.1 : vertex >= layers.nodes ? 4 : 1;
      return { at: wish - at(row.offsets, index), weight };
    });
    const least = -half;
    const most = spacing.within === undefined ? Infinity : spacing.within - half - row.width;
    for (const [index, shift] of nearestRising(wishes).entries()) {
      const kept = Math.min(Math.max(shift, least), Math.max(most, least));
      left[at(row.layer, index)] = (spacing.whole ? Math.round(kept) : kept) + at(row.offsets, index);
    }
  };
  for (const towards of ROUNDS) {
    for (const row of towards === 'down' ? rows.toReversed() : rows) settle(row, towards);
  }
  return atZero(left, width);
}

type Direction = 'up' | 'down' | 'both';

const ROUNDS: readonly Direction[] = ['up', 'down', 'up', 'down', 'up', 'down', 'both', 'both'];

function endsOf({ up, down }: Layers, vertex: number, towards: Direction): number[] {
  const above = towards === 'down' ? [] : at(up, vertex).map((link) => link.from);
  const below = towards === 'up' ? [] : at(down, vertex).map((link) => link.to);
  return [...above, ...below];
}

function packed(layer: readonly number[], { nodes }: Layers, { width, line, gap }: Spacing): { offsets: number[]; width: number } {
  let next = 0;
  const offsets = layer.map((vertex) => {
    const offset = next;
    next += (vertex < nodes ? width(vertex) : line) + gap;
    return offset;
  });
  return { offsets, width: Math.max(0, next - gap) };
}

/** The rising numbers that are nearest to the wishes, by weighted squares: wishes that are out of order meet at their mean. */
function nearestRising(wishes: readonly { readonly at: number; readonly weight: number }[]): number[] {
  const blocks: { at: number; weight: number; size: number }[] = [];
  for (const wish of wishes) {
    let block = { ...wish, size: 1 };
    for (let last = blocks.at(-1); last && last.at >= block.at; last = blocks.at(-1)) {
      const weight = last.weight + block.weight;
      block = { at: (last.at * last.weight + block.at * block.weight) / weight, weight, size: last.size + block.size };
      blocks.pop();
    }
    blocks.push(block);
  }
  return blocks.flatMap((block) => Array.from({ length: block.size }, () => block.at));
}

function atZero(left: readonly number[], width: (vertex: number) => number): Placed {
  const first = left.reduce((least, each) => Math.min(least, each), Infinity);
  const moved = left.map((each) => each - first);
  return { left: moved, width: moved.reduce((most, each, vertex) => Math.max(most, each + width(vertex)), 0) };
}
