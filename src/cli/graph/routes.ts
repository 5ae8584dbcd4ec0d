/** The lines of an SVG drawing: smooth between layers, straight beside boxes, so that no line runs over a box. */
import { at, type Layers } from './layout.ts';
import type { DrawnGraph } from './model.ts';

export interface Point {
  readonly x: number;
  readonly y: number;
}

interface Sizes {
  readonly layers: Layers;
  /** Of the nodes. */
  readonly shapes: readonly { readonly width: number; readonly height: number }[];
  /** Of all vertices. */
  readonly left: readonly number[];
  readonly total: number;
}

export interface Sketch {
  /** By layer. */
  readonly tops: readonly number[];
  readonly height: number;
  readonly right: number;
  /** By edge: the data of an SVG path, and where it starts. */
  readonly paths: readonly { readonly d: string; readonly start: Point }[];
}

const PLACE = 14;
const LANE = 9;
const PORTS = 30;

export function sketch(model: DrawnGraph, sizes: Sizes): Sketch {
  const { layers, shapes, left } = sizes;
  const width = (vertex: number): number => shapes[vertex]?.width ?? PLACE;
  const centre = (vertex: number): number => at(left, vertex) + width(vertex) / 2;
  const ends = portsOf(layers, width, centre);
  const rows = rowsOf(sizes, ends);
  const bottomOf = (vertex: number): number => at(rows.tops, at(layers.layerOf, vertex)) + (shapes[vertex]?.height ?? 0);
  const netOf = netFinder(model, layers);
  const lanes = lanesOf(model, layers);
  const paths = model.edges.map((edge, index) => {
    const net = netOf(index);
    const start = { x: ends.leave(edge.from, net), y: bottomOf(edge.from) };
    const lane = lanes.get(index);
    if (lane !== undefined) {
      const [from, to] = [at(layers.layerOf, edge.from), at(layers.layerOf, edge.to)];
      const turn = { down: at(rows.bottoms, from) + 12, up: at(rows.tops, to) - 14 };
      const end = centre(edge.to) + Math.min(12, width(edge.to) / 4);
      const x = sizes.total + LANE * (lane + 1);
      return { start, d: `M${n(start.x)} ${n(start.y)}V${n(turn.down)}H${n(x)}V${n(turn.up)}H${n(end)}V${n(at(rows.tops, to))}` };
    }
    let d = `M${n(start.x)} ${n(start.y)}`;
    let from = start;
    for (const vertex of at(layers.paths, index).slice(1)) {
      const layer = at(layers.layerOf, vertex);
      const beside = at(rows.bottoms, layer - 1);
      const end = { x: ends.arrive(vertex, net), y: at(rows.tops, layer) };
      const bend = (end.y - beside) / 2;
      if (from.y < beside) d += `V${n(beside)}`;
      d += from.x === end.x ? `V${n(end.y)}` : `C${n(from.x)} ${n(beside + bend)} ${n(end.x)} ${n(end.y - bend)} ${n(end.x)} ${n(end.y)}`;
      from = end;
    }
    return { start, d };
  });
  const right = sizes.total + LANE * (lanes.size === 0 ? 0 : Math.max(...lanes.values()) + 2);
  return { tops: rows.tops, height: rows.bottoms.at(-1) ?? 0, right, paths };
}

const n = (value: number): string => `${Math.round(value * 10) / 10}`;

interface Ports {
  readonly leave: (vertex: number, net: number) => number;
  readonly arrive: (vertex: number, net: number) => number;
}

/** Lines leave and arrive side by side, in the order of where they lead. */
function portsOf(layers: Layers, width: (vertex: number) => number, centre: (vertex: number) => number): Ports {
  const leaving = new Map<string, number>();
  const arriving = new Map<string, number>();
  const spread = (vertex: number, nets: readonly number[], into: Map<string, number>): void => {
    const step = Math.min(PORTS, (width(vertex) - 24) / nets.length);
    nets.forEach((net, index) => into.set(`${vertex} ${net}`, centre(vertex) + (index - (nets.length - 1) / 2) * step));
  };
  for (let vertex = 0; vertex < layers.layerOf.length; vertex++) {
    const sums = new Map<number, { sum: number; count: number }>();
    for (const { net, to } of at(layers.down, vertex)) {
      const { sum, count } = sums.get(net) ?? { sum: 0, count: 0 };
      sums.set(net, { sum: sum + centre(to), count: count + 1 });
    }
    const mean = ([, { sum, count }]: readonly [number, { sum: number; count: number }]): number => sum / count;
    spread(
      vertex,
      [...sums].toSorted((a, b) => mean(a) - mean(b)).map(([net]) => net),
      leaving,
    );
    spread(
      vertex,
      at(layers.up, vertex)
        .toSorted((a, b) => centre(a.from) - centre(b.from))
        .map(({ net }) => net),
      arriving,
    );
  }
  const of = (ports: ReadonlyMap<string, number>) => (vertex: number, net: number) => ports.get(`${vertex} ${net}`) ?? centre(vertex);
  return { leave: of(leaving), arrive: of(arriving) };
}

/** The wider lines swing between two layers, the farther these stand apart. */
function rowsOf({ layers, shapes }: Sizes, ends: Ports): { tops: number[]; bottoms: number[] } {
  const tops: number[] = [];
  const bottoms: number[] = [];
  let y = 0;
  for (const layer of layers.order) {
    tops.push(y);
    const bottom = y + layer.reduce((most, vertex) => Math.max(most, shapes[vertex]?.height ?? 0), 0);
    bottoms.push(bottom);
    const swings = layer.flatMap((vertex) =>
      at(layers.down, vertex).map(({ net, to }) => Math.abs(ends.leave(vertex, net) - ends.arrive(to, net))),
    );
    y = bottom + 48 + Math.min(96, 0.12 * swings.reduce((most, swing) => Math.max(most, swing), 0));
  }
  return { tops, bottoms };
}

function netFinder({ edges }: DrawnGraph, { nets }: Layers): (edge: number) => number {
  const key = ({ from, kind, label }: { from: number; kind: string; label: string }): string => `${from} ${kind} ${label}`;
  const index = new Map(nets.map((net, i) => [key(net), i]));
  return (edge) => index.get(key(at(edges, edge))) ?? -1;
}

/** Edges that hold no places go round, on the right: two share a lane if one ends above the other. */
function lanesOf({ edges }: DrawnGraph, { detours, layerOf }: Layers): Map<number, number> {
  const lanes = new Map<number, number>();
  const freeFrom: number[] = [];
  const start = (edge: number): number => at(layerOf, at(edges, edge).from);
  for (const edge of detours.toSorted((a, b) => start(a) - start(b))) {
    const free = freeFrom.findIndex((layer) => layer <= start(edge));
    const lane = free < 0 ? freeFrom.length : free;
    freeFrom[lane] = at(layerOf, at(edges, edge).to);
    lanes.set(edge, lane);
  }
  return lanes;
}
