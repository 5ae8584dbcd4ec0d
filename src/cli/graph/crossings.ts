/** The order within layers: barycentre sweeps, down and up, with swaps of neighbours between them; the order with fewest crossings stays. */
import { at, type Layers, type Link } from './layers.ts';

type Order = number[][];

export function untangled(layers: Layers): readonly (readonly number[])[] {
  const order = layers.order.map((layer) => [...layer]);
  const place = places(order, layers.layerOf.length);
  let best = order.map((layer) => [...layer]);
  let fewest = crossings(layers, order, place);
  // Large graphs are tangled anyway, and each round costs as much as there are links.
  const { length } = layers.links;
  const [rounds, passes] = length < 2000 ? [24, 3] : length < 12_000 ? [8, 2] : [4, 1];
  for (let round = 0, idle = 0; round < rounds && fewest > 0 && idle < 4; round++) {
    sweep(layers, order, place, round % 2 === 0);
    for (let pass = 0; pass < passes && swapNeighbours(layers, order, place) > 0; pass++);
    const left = crossings(layers, order, place);
    idle = left < fewest ? 0 : idle + 1;
    if (left >= fewest) continue;
    fewest = left;
    best = order.map((layer) => [...layer]);
  }
  return best;
}

/** The place of each vertex within its layer. */
function places(order: Order, vertices: number): number[] {
  const place = Array.from({ length: vertices }, () => 0);
  for (const layer of order) for (const [index, vertex] of layer.entries()) place[vertex] = index;
  return place;
}

function sweep({ up, down }: Layers, order: Order, place: number[], downwards: boolean): void {
  const layers = downwards ? order : order.toReversed();
  const weight = place.map(() => 0);
  for (const layer of layers.slice(1)) {
    for (const vertex of layer) {
      const links = at(downwards ? up : down, vertex);
      let sum = 0;
      for (const link of links) sum += at(place, downwards ? link.from : link.to);
      weight[vertex] = links.length === 0 ? at(place, vertex) : sum / links.length;
    }
    layer.sort((a, b) => at(weight, a) - at(weight, b));
    for (const [index, vertex] of layer.entries()) place[vertex] = index;
  }
}

/** Swaps neighbours where that saves crossings; says how many it swapped. */
function swapNeighbours({ up, down }: Layers, order: Order, place: number[]): number {
  let swaps = 0;
  const endsOf = (vertex: number): Ends => ({
    above: placesOf(at(up, vertex), 'from', place),
    below: placesOf(at(down, vertex), 'to', place),
  });
  for (const layer of order) {
    let leftEnds: Ends | null = null;
    for (let index = 0; index + 1 < layer.length; index++) {
      const left = at(layer, index);
      const right = at(layer, index + 1);
      const rightEnds = endsOf(right);
      leftEnds ??= endsOf(left);
      const gain = saved(leftEnds.above, rightEnds.above) + saved(leftEnds.below, rightEnds.below);
      if (gain <= 0) {
        leftEnds = rightEnds;
        continue;
      }
      layer[index] = right;
      layer[index + 1] = left;
      place[right] = index;
      place[left] = index + 1;
      swaps++;
    }
  }
  return swaps;
}

/** Where the lines of a vertex end, in the layers above and below, sorted. */
interface Ends {
  readonly above: readonly number[];
  readonly below: readonly number[];
}

function placesOf(links: readonly Link[], end: 'from' | 'to', place: readonly number[]): number[] {
  const ends: number[] = [];
  for (const link of links) ends.push(at(place, link[end]));
  return ends.length > 1 ? ends.sort((a, b) => a - b) : ends;
}

/** Crossings of the lines of two neighbours, less those after a swap; both lists are sorted. */
function saved(left: readonly number[], right: readonly number[]): number {
  return inverted(left, right) - inverted(right, left);
}

/** Pairs of which the left one ends to the right of the right one. */
function inverted(left: readonly number[], right: readonly number[]): number {
  let pairs = 0;
  let smaller = 0;
  for (const end of left) {
    while (smaller < right.length && at(right, smaller) < end) smaller++;
    pairs += smaller;
  }
  return pairs;
}

export function crossings({ down }: Pick<Layers, 'down'>, order: readonly (readonly number[])[], place: readonly number[]): number {
  let total = 0;
  order.forEach((layer, index) => {
    const ends = layer.flatMap((vertex) => placesOf(at(down, vertex), 'to', place));
    total += inversions(ends, order[index + 1]?.length ?? 0);
  });
  return total;
}

/** By a tree of counts (Fenwick): a pair-by-pair count is quadratic. */
function inversions(ends: readonly number[], size: number): number {
  const counts = new Int32Array(size + 1);
  let pairs = 0;
  ends.forEach((end, seen) => {
    let smallerOrEqual = 0;
    for (let slot = end + 1; slot > 0; slot -= slot & -slot) smallerOrEqual += counts[slot] ?? 0;
    pairs += seen - smallerOrEqual;
    for (let slot = end + 1; slot <= size; slot += slot & -slot) counts[slot] = (counts[slot] ?? 0) + 1;
  });
  return pairs;
}
