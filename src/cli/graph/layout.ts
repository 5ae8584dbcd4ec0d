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
  /** The mean of where the lines of a vertex end; null where it has none. */
  const meanOf = (vertex: number, towards: Direction): number | null => {
    let [sum, count] = [0, 0];
    if (towards !== 'down') for (const link of at(layers.up, vertex)) [sum, count] = [sum + centre(link.from), count + 1];
    if (towards !== 'up') for (const link of at(layers.down, vertex)) [sum, count] = [sum + centre(link.to), count + 1];
    return count === 0 ? null : sum / count;
  };
  const half = spacing.within === undefined ? Infinity : Math.floor(spacing.within / 2);
  const settle = (row: (typeof rows)[number], towards: Direction): void => {
    const wishes = row.layer.map((vertex, index) => {
      const mean = meanOf(vertex, towards);
      const wish = mean === null ? at(left, vertex) : mean - width(vertex) / 2;
      // A bend in a long line is worse than a box that is off its centre.
      const weight = mean === null ? 0.1 : vertex >= layers.nodes ? 4 : 1;
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
    let block = { at: wish.at, weight: wish.weight, size: 1 };
    for (let last = blocks.at(-1); last && last.at >= block.at; last = blocks.at(-1)) {
      const weight = last.weight + block.weight;
      block = { at: (last.at * last.weight + block.at * block.weight) / weight, weight, size: last.size + block.size };
      blocks.pop();
    }
    blocks.push(block);
  }
  const risen: number[] = [];
  for (const block of blocks) for (let i = 0; i < block.size; i++) risen.push(block.at);
  return risen;
}

function atZero(left: readonly number[], width: (vertex: number) => number): Placed {
  const first = left.reduce((least, each) => Math.min(least, each), Infinity);
  const moved = left.map((each) => each - first);
  return { left: moved, width: moved.reduce((most, each, vertex) => Math.max(most, each + width(vertex)), 0) };
}
